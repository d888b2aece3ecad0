"""What the daemon did lately, kept in memory for those who look: its last pass, its report, what became of keys.

It costs next to nothing while nobody looks: what is kept is what passes made anyway.
"""

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from reconciler import __version__
from reconciler.core.changes import Change
from reconciler.core.events import (
    ChangeApplied,
    ChangeFailed,
    ChangeSkipped,
    ChangeStarted,
    DaemonFaulted,
    DaemonStarted,
    Event,
    Observer,
    PassFailed,
    PassFinished,
    PassStarted,
    Trigger,
)
from reconciler.core.keys import AccountRef, Source
from reconciler.core.report import Mode, Report, ReportedChange, report_change
from reconciler.core.status import SCHEMA, AskedBy, LastPass, Occurrence, Readiness, Status, Sync, in_sync
from reconciler.daemon.decisions import REMEMBERED, Decisions, Key, ageless, key_of, planned
from reconciler.daemon.past import Past
from reconciler.daemon.recent import Recent
from reconciler.daemon.segments import stamp
from reconciler.daemon.service import told
from reconciler.files.commits import Commits


@dataclass(frozen=True, slots=True)
class Plans:
    """What a daemon is for: its mode, and when its passes begin, in words."""

    mode: Mode
    schedule: str


@dataclass(frozen=True, slots=True)
class _Pass:
    """The pass under way."""

    number: int = 0
    mode: Mode | None = None
    trigger: Trigger | None = None


class Chronicle:
    """An observer that keeps what a daemon did; it never raises.

    A decision that each pass makes again is one occurrence, at the time of the first; a write is one, at its end.
    What it could not keep, since something went wrong in that, it does not pretend to know: until the next pass ends
    nobody knows how things stand, and what is remembered is whole only from there on.

    Attributes:
        report: That of the last pass that ended; None: none did. Secrets in it are not masked.
        revision: Another one whenever something changed of what is kept.
    """

    def __init__(
        self, plans: Plans, commits: Commits, now: Callable[[], datetime], tell: Observer, past: Past | None = None
    ) -> None:
        """Begin with what a trail tells of the time before, if there is one.

        Args:
            plans: What the daemon is for.
            commits: Where files came from.
            now: Gives the time.
            tell: Is told of what goes wrong here, once of each.
            past: What was before.
        """
        self._plans = plans
        self._commits = commits
        self._now = now
        self._tell = tell
        self._faults: set[str] = set()
        self._began = stamp(now())
        self._pass = _Pass()
        self._last_pass: LastPass | None = None
        self._sync = Sync()
        self._recent = Recent()
        self._whole_from = self._began
        self._writing: set[Key] = set()
        self._decisions = Decisions[Hashable]()
        self.report: Report | None = None
        self.revision = 0
        if past is not None:
            self._recall(past)

    def _recall(self, past: Past) -> None:
        """Take what a trail tells of the time before."""
        self._whole_from = past.whole_from or self._began
        since = stamp(self._now() - REMEMBERED)
        for each in past.remembered:
            became = each.occurrence
            self._recent.add(became)
            key = ((became.account_id, became.sub_account_id), became.key_id, became.name)
            if each.decided and became.time > since:
                self._decisions.keep(key, _gist(became.mode, became))
            else:
                self._decisions.drop(key)

    def status(self, readiness: Readiness, next_at: str | None) -> Status:
        """Give how the daemon stands now; secrets in what became of keys are not masked."""
        return Status(
            schema=SCHEMA,
            version=__version__,
            as_of=stamp(self._now()),
            started_at=self._began,
            mode=self._plans.mode,
            schedule=self._plans.schedule,
            next_at=next_at,
            last_pass=self._last_pass,
            sync=self._sync,
            readiness=readiness,
            recent=self._recent.newest_first,
            recent_from=max(self._whole_from, self._recent.lost or ""),
        )

    def __call__(self, event: Event) -> None:
        """Keep what an event tells; what goes wrong in that is told, and disturbs nothing."""
        try:
            self._keep(event)
        except Exception as error:  # noqa: BLE001 # at a write that begins, raising would forbid it
            self._faulted(error)

    def _faulted(self, error: Exception) -> None:
        """Tell of an error that nobody foresaw, and vouch for nothing that was before it."""
        self.revision += 1
        with suppress(Exception):
            self._whole_from = stamp(self._now())
        self._sync = Sync(None, self._whole_from)
        what, where = told(error)
        if where not in self._faults:
            self._faults.add(where)
            with suppress(Exception):
                self._tell(DaemonFaulted(what, where))

    def _keep(self, event: Event) -> None:
        match event:
            case DaemonStarted():
                self._plans = Plans(event.mode, event.schedule)
            case PassStarted():
                self._begin(event)
            case ChangeStarted(_, change):
                self._writing.add(key_of(change.account, report_change(change)))
            case ChangeApplied(run_id, change) | ChangeFailed(run_id, change) | ChangeSkipped(run_id, change):
                self._end(run_id, change)
            case PassFinished():
                self._finish(event)
            case PassFailed():
                # Nobody knows what it would have found, so that what the one before found counts no longer.
                self._stands(None, stamp(self._now()))
            case _:
                return
        self.revision += 1

    def _begin(self, event: PassStarted) -> None:
        self._pass = _Pass(event.number, event.mode, event.trigger)
        self._commits.begin(current=event.config_age is None)
        self._writing.clear()
        self._decisions.begin()

    def _end(self, run_id: str, change: Change) -> None:
        ended = report_change(change)
        key = key_of(change.account, ended)
        if key in self._writing:
            self._writing.discard(key)
            self._decisions.drop(key)
            self._add(run_id, change.account, ended)
        else:
            self._decide(run_id, change.account, ended)

    def _decide(self, run_id: str, account: AccountRef, change: ReportedChange) -> None:
        key, gist = key_of(account, change), _gist(self._pass.mode, change)
        if not self._decisions.repeats(key, gist):
            self._add(run_id, account, change)
        self._decisions.keep(key, gist)

    def _add(self, run_id: str, account: AccountRef, change: ReportedChange) -> None:
        self._recent.add(
            Occurrence(
                time=stamp(self._now()),
                run_id=run_id,
                trigger=self._pass.trigger,
                mode=self._pass.mode,
                account_id=account.account_id,
                sub_account_id=account.sub_account_id,
                key_id=change.key_id,
                name=change.name,
                label=change.label,
                action=change.action,
                fields=change.fields,
                access=change.access,
                outcome=change.outcome,
                reason=change.reason,
                asked_by=self._asked_by(change.source),
            )
        )

    def _asked_by(self, source: Source | None) -> AskedBy | None:
        if source is None:
            return None
        commit = self._commits.of(source.file)
        known = (commit.id, commit.modified) if commit else (None, None)
        return AskedBy(source.file, source.line, source.column, *known)

    def _finish(self, event: PassFinished) -> None:
        report = event.report
        for account, change in planned(report):
            self._decide(event.run_id, account, change)
        self._decisions.forget(report.accounts)
        self._commits.end()
        found, applied = in_sync(report), report.summary.applied
        if found and applied:  # what was healed had not been in sync
            self._sync = Sync()
        self._stands(found, report.finished_at, at_start=self.report is None and not applied)
        self._last_pass = LastPass(
            self._pass.number, event.run_id, self._pass.trigger, report.finished_at, round(event.seconds, 3)
        )
        self.report = report

    def _stands(self, found: bool | None, when: str, *, at_start: bool = False) -> None:
        if self._sync.since is None or found is not self._sync.in_sync:
            self._sync = Sync(found, when, at_start=at_start and found is not None)


def _gist(mode: Mode | None, about: ReportedChange | Occurrence) -> tuple[Hashable, ...]:
    """Give what makes a decision about a key the same as another one: `decisions.DECIDED`, but for the key itself."""
    reason = ageless(about.reason) if about.reason else about.reason
    return mode, about.label, about.action, about.fields, about.access, about.outcome, reason
