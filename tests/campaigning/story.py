"""One run of a scene: an account on a virtual clock, and passes over it of which each may go wrong in its own way."""

import asyncio
import io
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from campaigning.hazards import Hazards
from campaigning.oracle import Access
from campaigning.scene import CREDENTIALS, Scene, accesses, admin_id
from campaigning.verdict import leaks, misreported, strayed, unread
from campaigning.watch import Watch
from campaigning.wire import Cut, Far, Near
from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.core.events import ChangeStarted, Event, RequestRetried
from reconciler.core.guardrails import Consent
from reconciler.core.memory import Memory
from reconciler.core.report import Report
from reconciler.emulator.account import Account
from reconciler.emulator.server import Emulator
from reconciler.files.desired import load_desired
from reconciler.logs import LogFormat, LogLevel, log_observer
from reconciler.reconcile import DryRun, Live, PassInputs, Patience, run_pass
from reconciler.render import json, terminal

MOST_EDITS = 2
"""To one key: after three that undo something the reconciler leaves it alone for an hour."""
BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Early:
    """An end that comes at the n-th request, before or after that one is sent: a kill, or a wish to stop."""

    at: int
    before: bool
    kills: bool


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody else does to a key in the dashboard: each field becomes what it was, or what the files want."""

    key_id: str
    label: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls one pass beside faults; ``edits`` are what somebody else does at the n-th request."""

    end: Early | None = None
    edits: Mapping[int, Edit] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    dry: bool = False
    forgets: bool = False


class Story:
    """A scene under way, in the running loop; ``breaches`` says what broke a law, ``lines`` what happened.

    ``spared`` are the keys that nobody else edits: those that stay as they are anyway.
    """

    def __init__(self, scene: Scene, folder: Path, hazards: Hazards, spared: frozenset[str] = frozenset()) -> None:
        self.scene = scene
        self._spared = spared
        self.lines: list[str] = []
        self.breaches: list[str] = []
        self.outcomes: dict[tuple[str, str], str] = {}
        self.written: set[str | None] = set()
        self.passes = 0
        self._clock = asyncio.get_running_loop().time
        self._hazards = hazards
        self._dice = random.Random(f"troubles of {scene.seed}")  # noqa: S311 # it makes up stories, no secrets
        rate, burst = hazards.bucket
        self.emulator = Emulator(
            scene.document, latency=hazards.latency, rate=rate, burst=burst, clock=self._clock, now=self.now
        )
        self.emulator.set_faults({"random_seed": scene.seed, "rules": list(hazards.rules)})
        self._far = Far(self.emulator, self._dice, hazards.page, hazards.echo, hazards.ignored)
        self._before = accesses(scene.document)
        self._first_keys = {key.id: key for holder in self._holders() for key in holder.keys.values()}
        self._loaded = load_desired([folder], lambda name: None)
        self._edited: Counter[str] = Counter()
        self._history = 0
        self._restart()
        asyncio.get_running_loop().set_exception_handler(self._complained)

    def now(self) -> datetime:
        """Give the time in the story."""
        return BEGIN + timedelta(seconds=self._clock())

    def state(self) -> dict[str, Access]:
        """Give every key as it is."""
        return {
            key.id: Access.of_seed({"label": key.label, "scopes": key.scopes, "ip_allow_list": key.ip_allow_list})
            for holder in self._holders()
            for key in holder.keys.values()
        }

    def missed(self, excused: Collection[str] = ()) -> list[str]:
        """Give the keys that are not as the files want them, but for those ``excused``."""
        now = self.state()
        return [
            wish.key_id
            for wish in self.scene.wishes
            if wish.key_id and wish.key_id not in excused and wish.fulfilled(now[wish.key_id]) != now[wish.key_id]
        ]

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self.emulator.set_faults({})
        self._far.echo = self._far.ignored = 0.0

    async def rest(self) -> None:
        """Let some time pass, until the next pass is due."""
        await asyncio.sleep(60 * self._dice.uniform(5, 60))

    async def arrive(self) -> None:
        """Wait until nothing is under way any more, and for as long as any pause may last."""
        while self._far.under_way:
            await asyncio.wait(self._far.under_way)
        await asyncio.sleep(3601)

    def trouble(self) -> Trouble:
        """Make up what befalls the next pass."""
        dice = self._dice
        size = 4 + 2 * len(self.scene.wishes)
        end = Early(dice.randint(1, size), dice.random() < 0.5, dice.random() < 0.7) if dice.random() < 0.35 else None
        edits = {}
        for _ in range(dice.choice((0, 0, 1, 2))):
            edits[dice.randint(1, size)] = self._edit()
        patience = Patience(per_account=dice.choice((3.0, 10.0, 40.0))) if dice.random() < 0.1 else Patience()
        return Trouble(end, edits, patience, dry=dice.random() < 0.08, forgets=dice.random() < self._hazards.restarts)

    async def make_pass(self, trouble: Trouble | None = None) -> Report | None:
        """Make one pass and hold it against the laws; None where it was killed."""
        trouble = trouble or Trouble()
        if trouble.forgets:
            self._restart()
        self.passes += 1
        self._say(f"pass {self.passes} at {self.now():%d %H:%M:%S} {_told(trouble)}")
        watch, logs, stop = Watch(self.scene.wishes, self.state, dry=trouble.dry), _Logs(), Stop()

        def observe(event: Event) -> None:
            watch.event(event)
            logs(event)

        def end() -> None:
            if trouble.end and trouble.end.kills:
                work.cancel()
            else:
                stop.request()

        cut = Cut(trouble.end.at, end, before=trouble.end.before, kills=trouble.end.kills) if trouble.end else None
        edits = {at: partial(self._do, edit, watch) for at, edit in trouble.edits.items()}
        config = ClientConfig(
            Endpoint("http://127.0.0.1:1"),
            self._paces,
            stop,
            observe,
            lambda account, _refused: self.scene.tokens[account.account_id],
            make_transport=lambda: Near(self._far, watch, cut, edits),
        )
        work = asyncio.create_task(run_pass(self._inputs(config, trouble), self.now(), self._memory))
        report = await self._ended(work)
        if report is None:
            await asyncio.sleep(1)  # what is cancelled may need a moment to end; of a process nothing would be left
        self._inspect(watch, logs, report)
        return report

    def _inputs(self, config: ClientConfig, trouble: Trouble) -> PassInputs:
        self_keys = dict(zip(CREDENTIALS, map(admin_id, self.scene.tokens), strict=False))
        return PassInputs(
            f"{self.scene.seed}-{self.passes}",
            self._loaded.state,
            DryRun(lambda: open_reads(config)) if trouble.dry else Live(lambda: open_writes(config)),
            config.observe,
            config.stop,
            Consent(allowed=self.scene.allowed, self_keys=self_keys),
            self._loaded.findings,
            patience=trouble.patience,
            check_domains=self.scene.check_domains,
        )

    async def _ended(self, work: "asyncio.Task[tuple[Report, Memory]]") -> Report | None:
        try:
            report, self._memory = await work
        except asyncio.CancelledError:
            self._say("  it was killed")
            self._restart()
        except Exception as error:  # noqa: BLE001 # a pass raises nothing, whatever it is
            self.breaches.append(f"pass {self.passes} raised {error!r}")
            self._restart()
        else:
            return report
        return None

    def _inspect(self, watch: Watch, logs: "_Logs", report: Report | None) -> None:
        breaches = list(watch.breaches)
        self.written = {change.key_id for change in watch.written}
        ours = {asyncio.current_task(), *self._far.under_way}
        if left := sorted(str(task.get_coro()) for task in asyncio.all_tasks() if task not in ours):
            breaches.append(f"it left tasks behind: {left}")
        changes = self.emulator.history[self._history :]
        self._history += len(changes)
        breaches += strayed(changes, self.scene.wishes, self._before)
        self.lines += logs.told
        shown = logs.written
        if report is not None:
            shown += [json.render(report), terminal.render(report, style=terminal.Style(width=100, colour=False))]
            breaches += misreported(report, watch, () if watch.edited else self.missed())
            breaches += unread(report, self.scene.document, self.scene.selected)
            self._keep(report)
        breaches += leaks(shown, self.scene.tokens.values())
        self.breaches += [f"pass {self.passes}: {breach}" for breach in breaches]

    def _keep(self, report: Report) -> None:
        self.outcomes = {
            (account.sub_account_id or account.account_id, change.name or change.key_id or ""): change.outcome.value
            for account in report.accounts
            for change in account.changes
        }
        for account in report.accounts:
            self._say(
                f"  account {account.sub_account_id or account.account_id} {account.status} {account.error or ''}"
            )
            for change in account.changes:
                self._say(f"    {change.name or change.key_id}: {change.action} {change.outcome} {change.reason or ''}")

    def _say(self, line: str) -> None:
        self.lines.append(line)

    def _restart(self) -> None:
        """Begin with a new process, which remembers nothing."""
        self._memory = Memory()
        self._paces = Paces(*self._hazards.pace)

    def _edit(self) -> Edit:
        """Make up an edit; half of what the files want is as good as anything else that is allowed to be there."""
        dice = self._dice
        was = self._first_keys[dice.choice(sorted(self._first_keys))]
        wish = self.scene.wishes_by_key.get(was.id)
        edit = Edit(was.id, was.label, was.scopes, was.ip_allow_list)
        if wish is None or was.id in self._spared or self._edited[was.id] == MOST_EDITS:
            return edit
        self._edited[was.id] += 1
        if wish.label is not None and dice.random() < 0.5:
            edit = replace(edit, label=wish.label)
        if wish.scopes is not None and dice.random() < 0.5:
            edit = replace(edit, scopes=tuple(sorted(wish.scopes)))
        if wish.networks is not None and dice.random() < 0.5:
            edit = replace(edit, networks=tuple(sorted(wish.networks)))
        return edit

    def _do(self, edit: Edit, watch: Watch) -> None:
        for holder in self._holders():
            if now := holder.keys.find(edit.key_id):
                holder.keys.replace(replace(now, label=edit.label, scopes=edit.scopes, ip_allow_list=edit.networks))
        watch.edited.add(edit.key_id)
        self._say(f"  somebody edits {edit}")

    def _holders(self) -> list[Account]:
        accounts = self.emulator.state.values()
        return [holder for account in accounts for holder in (account, *account.sub_accounts.values())]

    def _complained(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.breaches.append(f"the event loop complains: {context.get('message')}: {context.get('exception')!r}")


class _Logs:
    """All that is logged of a pass, in both formats; the logs are not told which secrets to mask."""

    def __init__(self) -> None:
        self._streams = {format_: io.StringIO() for format_ in LogFormat}
        self._observers: list[Callable[[Event], None]] = [
            log_observer(stream, format=format_, level=LogLevel.DEBUG, secrets=tuple)
            for format_, stream in self._streams.items()
        ]
        self.told: list[str] = []
        self._events: list[str] = []

    def __call__(self, event: Event) -> None:
        for observe in self._observers:
            observe(event)
        self._events.append(repr(event))
        match event:
            case ChangeStarted(change=change):
                self.told.append(f"  {change.title}: {', '.join(change.fields.diffs)} is written")
            case RequestRetried(error=error):
                self.told.append(f"  again: {error}")

    @property
    def written(self) -> list[str]:
        """Everything, for who looks for secrets."""
        return [*(stream.getvalue() for stream in self._streams.values()), *self._events]


def _told(trouble: Trouble) -> str:
    end = trouble.end
    parts = (
        "dry" if trouble.dry else "",
        "by a new process" if trouble.forgets else "",
        f"{'killed' if end.kills else 'stopped'} {'before' if end.before else 'after'} request {end.at}" if end else "",
        f"with {trouble.patience.per_account:g} s an account" if trouble.patience != Patience() else "",
    )
    return ", ".join(filter(None, parts))
