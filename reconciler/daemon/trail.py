"""The trail: one line for each decision and each write, stored before the write is made. ``docs/trail.md`` tells more.

A write whose line cannot be stored is forbidden; so are all writes while an outcome, or a decision of the same pass,
could not be.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any, Self

from reconciler.core.changes import Change
from reconciler.core.events import (
    ChangeApplied,
    ChangeFailed,
    ChangeSkipped,
    ChangeStarted,
    Event,
    PassFinished,
    PassStarted,
    PlanComputed,
)
from reconciler.core.keys import AccountRef, RemoteKey, Source
from reconciler.core.report import Mode, Report, ReportedChange, report_change
from reconciler.daemon.chain import DECISION, NOTIFIED, WRITE_ENDED, WRITE_STARTED, Body
from reconciler.daemon.decisions import DECIDED, REMEMBERED, Decisions, Key, ageless, key_of, planned
from reconciler.daemon.segments import TrailFile, stamp
from reconciler.daemon.told import masked
from reconciler.errors import TrailError, mask
from reconciler.files.commits import Commits
from reconciler.logs import plain


def open_trail(
    path: Path,
    *,
    size: int = 0,
    secrets: Callable[[], Iterable[str]],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    commits: Commits | None = None,
) -> "Trail":
    """Open a trail to write to, or begin one; it must be closed.

    Args:
        path: The file; its folder must exist.
        size: The bytes at which it is put aside for a new one; 0: never.
        secrets: Gives the credentials in use at the moment, to be masked wherever they come up.
        now: Gives the time, with a zone.
        commits: Where commits are looked up, so that others who are told of the same passes need not do it again.

    Raises:
        TrailError: it cannot be written, another process writes it, or its last line was changed.
    """
    return Trail(path, size, secrets, now, commits or Commits())


@dataclass(slots=True)
class _Pass:
    """What lines say of the pass that they belong to."""

    mode: Mode | None = None
    trigger: str | None = None
    plan: str | None = None


class Trail:
    """An observer that stores decisions and writes; it must be told before all others.

    What it raises at ``ChangeStarted`` forbids the write. At the end of a write it raises, too: the outcome is kept and
    stored as soon as that is possible, and no write begins before. There are never more of them than writes under way.
    A decision that cannot be stored raises nothing: it forbids the writes of its pass, and the next one tells it again.

    A decision about a key that is the same as the last one about it is not stored again.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        secrets: Callable[[], Iterable[str]],
        now: Callable[[], datetime],
        commits: Commits,
    ) -> None:
        self._secrets = secrets
        self._now = now
        self._file = TrailFile(path, size, now, lambda text: mask(text, *secrets()))
        self._commits = commits
        self._pass = _Pass()
        self._writing: set[Key] = set()
        self._waiting: list[Body] = []
        self._untold: TrailError | None = None
        self._decisions = Decisions[bytes]()
        recent = stamp(now() - REMEMBERED)
        for entry in self._file.recent:
            if entry.time > recent:
                self._recall(entry.body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._file.path

    @property
    def head(self) -> str:
        """The hash of the last line that is stored, as ``sha256:…``."""
        return self._file.link.head

    @property
    def problem(self) -> str | None:
        """Why something of the last pass is not stored, and so no write may begin; None where all is well."""
        if self._file.broken is not None:
            return self._file.broken
        if self._untold is not None:
            return self._untold.message
        return f"{len(self._waiting)} outcomes of writes are not stored yet" if self._waiting else None

    def close(self) -> None:
        """Store what waits, if that is possible, and let others write."""
        with suppress(TrailError):
            self._store()
        self._commits.end()
        self._file.close()

    def __call__(self, event: Event) -> None:
        """Store what an event tells.

        Raises:
            TrailError: the event is a write that begins, or its outcome, and cannot be stored.
        """
        match event:
            case PassStarted():
                self._begin(event)
            case PlanComputed(_, digest):
                self._pass.plan = digest
            case ChangeStarted(run_id, change):
                self._start(run_id, change)
            case ChangeApplied(run_id, change) | ChangeFailed(run_id, change) | ChangeSkipped(run_id, change):
                self._end(run_id, change)
            case PassFinished(run_id, report):
                self._finish(run_id, report)
            case _:
                pass

    def store_notified(self, told: Body) -> int:
        """Store what people have been told of, as `reconciler.daemon.told` has it; give the bytes of that line.

        Raises:
            TrailError: it cannot be stored; no write is forbidden by that.
        """
        shown = masked(told, tuple(self._secrets()))
        return self._file.append({"event": NOTIFIED, "time": stamp(self._now()), "run_id": None, "told": shown})

    def _begin(self, event: PassStarted) -> None:
        self._pass = _Pass(event.mode, event.trigger)
        self._commits.begin(current=event.config_age is None)
        self._writing.clear()
        self._decisions.begin()
        self._untold = None

    def _start(self, run_id: str, change: Change) -> None:
        if self._untold is not None:
            raise TrailError(f"a decision of this pass is not in the trail: {self._untold.message}")
        told = report_change(change)
        self._store(self._asked(self._about(WRITE_STARTED, run_id, change.account, told), told.source))
        self._writing.add(key_of(change.account, told))

    def _end(self, run_id: str, change: Change) -> None:
        told = report_change(change)
        key = key_of(change.account, told)
        if key not in self._writing:
            self._decide(run_id, change.account, told)
            return
        self._writing.discard(key)
        self._decisions.drop(key)
        body = self._asked(self._about(WRITE_ENDED, run_id, change.account, told), told.source)
        seen = None if change.seen is None else plain(_access(change.seen), tuple(self._secrets()))
        self._waiting.append({**body, "written": change.written, "seen": seen})
        self._store()

    def _decide(self, run_id: str, account: AccountRef, change: ReportedChange) -> None:
        """Store a decision, unless it is the last one about that key; what is not stored is not remembered, either."""
        key = key_of(account, change)
        body = self._about(DECISION, run_id, account, change)
        digest = _digest(body)
        if self._decisions.repeats(key, digest):
            return
        try:
            self._file.append(self._asked(body, change.source), sync=False)
        except TrailError as error:
            self._untold = error
        else:
            self._decisions.keep(key, digest)

    def _recall(self, body: Body) -> None:
        """Learn from a line that is there already which decision about a key was the last one."""
        key = ((body.get("account_id"), body.get("sub_account_id")), body.get("key_id"), body.get("name"))
        if body["event"] == DECISION:
            self._decisions.keep(key, _digest(body))
        else:
            self._decisions.drop(key)

    def _finish(self, run_id: str, report: Report) -> None:
        """Store what a dry run would do, and forget decisions about what is no longer so."""
        for account, change in planned(report):
            self._decide(run_id, account, change)
        try:
            self._store()
        except TrailError as error:
            self._untold = error
        self._decisions.forget(report.accounts)
        self._commits.end()

    def _store(self, *bodies: Body) -> None:
        """Store lines, and before them what waits, so that all that is there survives a crash of the machine.

        Raises:
            TrailError: it cannot be stored; outcomes go on waiting.
        """
        self._file.append(*self._waiting, *bodies)
        self._waiting.clear()

    def _about(self, event: str, run_id: str, account: AccountRef, change: ReportedChange) -> Body:
        told = {
            "event": event,
            "time": stamp(self._now()),
            "run_id": run_id,
            "mode": self._pass.mode,
            "trigger": self._pass.trigger,
            "plan": self._pass.plan,
            "account_id": account.account_id,
            "sub_account_id": account.sub_account_id,
            "key_id": change.key_id,
            "name": change.name,
            "label": change.label,
            "action": change.action,
            "fields": {name: asdict(diff) for name, diff in change.fields.diffs.items()},
            "access": asdict(change.access),
            "outcome": change.outcome,
            "reason": change.reason,
        }
        current = tuple(self._secrets())
        return {name: plain(value, current) for name, value in told.items()}

    def _asked(self, body: Body, source: Source | None) -> Body:
        """Add who asked for it: the place in the files, and the commit that they come from."""
        if source is None:
            return {**body, "asked_by": None}
        commit = self._commits.of(source.file)
        of_git = {"commit": commit.id if commit else None, "modified": commit.modified if commit else None}
        return {**body, "asked_by": plain({**asdict(source), **of_git}, tuple(self._secrets()))}


def _digest(decision: Body) -> bytes:
    """Give what makes a decision the same as another one."""
    decided = {name: decision.get(name) for name in DECIDED}
    decided["reason"] = ageless(str(decided["reason"]))
    return sha256(dumps(decided, sort_keys=True).encode()).digest()


def _access(key: RemoteKey) -> dict[str, Any]:
    return {"label": key.label, "scopes": key.scopes.texts, "ip_allow_list": key.ip_allow_list.networks}
