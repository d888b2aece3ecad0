"""What ``run`` remembers from pass to pass: changes that somebody undoes, and changes that the API does not take.

A CronJob, whose passes are processes of their own, remembers nothing: there each pass tries each change anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.core.changes import Change, FieldName, Outcome
from reconciler.core.findings import Finding, Severity
from reconciler.core.plan import Plan

MOST_REVERTS: Final = 3
"""After so many reverts a change is left alone: AhaSend mails the owners at each change of an allow list."""
FIRST_REST: Final = timedelta(hours=1)
LONGEST_REST: Final = timedelta(hours=24)
FORGOTTEN_AFTER: Final = timedelta(hours=48)
FIRST_PAUSE: Final = timedelta(minutes=10)
LONGEST_PAUSE: Final = timedelta(hours=1)

Value = str | tuple[str, ...]
Values = Mapping[FieldName, Value]
Place = tuple[str, str, str]
"""A key: its account, its sub account or nothing, its id."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A change that was written, and perhaps undone by somebody.

    Attributes:
        wrote: What the last write carried.
        seen: When it was written last, or last seen undone.
        found: What stood in its place then.
        reverts: How often it was undone.
        stands: Whether it was not seen undone since it was written.
    """

    wrote: Values
    seen: datetime
    found: Values = field(default_factory=dict)
    reverts: int = 0
    stands: bool = True

    @property
    def rests_until(self) -> datetime | None:
        """Until when the change is left alone, None where it need not be; longer each time that it was for nothing."""
        if self.reverts < MOST_REVERTS or self.stands:
            return None
        return self.seen + _doubled(FIRST_REST, self.reverts - MOST_REVERTS, LONGEST_REST)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that the API did not take as it is: what was asked, when last, how often, and what it said."""

    asked: Values
    seen: datetime
    tries: int
    reason: str

    @property
    def again_at(self) -> datetime:
        """When it is worth another try."""
        return self.seen + _doubled(FIRST_PAUSE, self.tries - 1, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the passes before this one left; the number of them, and keys with a history."""

    passes: int = 0
    contests: Mapping[Place, Contest] = field(default_factory=dict)
    rejections: Mapping[Place, Rejection] = field(default_factory=dict)


def recall(plan: Plan, memory: Memory, now: datetime) -> tuple[Plan, Memory, tuple[Finding, ...]]:
    """Hold back what the passes before show to be of no use at ``now``; give a finding for each contest as well.

    A change that somebody undid `MOST_REVERTS` times is ``skipped`` until the other side has rested for a while; one
    that the API rejected stays ``failed`` between growing pauses. Either ends at once when the files ask for
    something else.
    """
    if not (memory.contests or memory.rejections):
        return plan, memory, ()
    due = {place: change for change in plan.changes if change.applicable and (place := _place(change))}
    memory = _looked_up(memory, due, now)
    held = {place: held for place, change in due.items() if (held := _held(memory, place, change, now))}
    changes = (held.get(place, change) if (place := _place(change)) else change for change in plan.changes)
    contested = (held[place] for place in held if held[place].outcome is Outcome.SKIPPED)
    findings = tuple(_finding(memory.contests[place], change) for change in contested if (place := _place(change)))
    return plan.with_changes(changes), memory, findings


def learn(memory: Memory, ended: Iterable[Change], now: datetime) -> Memory:
    """Remember what became of the changes of a pass that began at ``now``."""
    contests, rejections = dict(memory.contests), dict(memory.rejections)
    for change in ended:
        place = _place(change)
        if place is None:
            continue
        if change.outcome is Outcome.APPLIED:
            before = contests.get(place)
            wrote = {**(before.wrote if before else {}), **_asked(change)}
            contests[place] = replace(before or Contest(wrote, now), wrote=wrote, seen=now, stands=True)
            rejections.pop(place, None)
        elif change.rejected:
            tries = rejections[place].tries if place in rejections else 0
            rejections[place] = Rejection(_asked(change), now, tries + 1, change.reason or "")
    return replace(memory, contests=contests, rejections=rejections)


def _doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    return min(first * (1 << min(times, 16)), longest)  # more than sixteen times leads past any calendar


def _place(change: Change) -> Place | None:
    return (*change.account.identity, change.key_id) if change.key_id is not None else None


def _asked(change: Change) -> Values:
    return {name: diff.after for name, diff in change.fields.diffs.items()}


def _looked_up(memory: Memory, due: Mapping[Place, Change], now: datetime) -> Memory:
    """Compare what is remembered with what is due; forget what is old, and what the files do not ask for any more."""
    contests = {
        place: looked_at
        for place, contest in memory.contests.items()
        if now - contest.seen < FORGOTTEN_AFTER
        and (looked_at := _looked_at(contest, due[place], now) if place in due else contest)
    }
    rejections = {
        place: rejection
        for place, rejection in memory.rejections.items()
        if now - rejection.seen < FORGOTTEN_AFTER and (place not in due or rejection.asked == _asked(due[place]))
    }
    return replace(memory, contests=contests, rejections=rejections)


def _held(memory: Memory, place: Place, change: Change, now: datetime) -> Change | None:
    """Give the change as it stands if it is of no use now, else None."""
    contest, rejection = memory.contests.get(place), memory.rejections.get(place)
    if contest and (held := _contested(contest, change, now)):
        return held
    return _rejected(rejection, change) if rejection and now < rejection.again_at else None


def _looked_at(contest: Contest, change: Change, now: datetime) -> Contest | None:
    """Compare what was written with what is to be written again; None when the files want something else now."""
    asked = _asked(change)
    again = {name for name, value in asked.items() if contest.wrote.get(name) == value}
    if any(name in contest.wrote and name not in again for name in asked):
        return None
    if not again:
        return contest
    found: Values = {
        name: diff.before for name, diff in change.fields.diffs.items() if name in again and diff.before is not None
    }
    if contest.stands:
        return replace(contest, found=found, reverts=contest.reverts + 1, seen=now, stands=False)
    # The other side still moves: its rest begins anew.
    return contest if found == contest.found else replace(contest, found=found, seen=now)


def _contested(contest: Contest, change: Change, now: datetime) -> Change | None:
    until = contest.rests_until
    if until is None or now >= until:
        return None
    reason = (
        f"contested: it was undone {contest.reverts} times, so it is left alone until {_minute(until)}, or until the "
        f"files ask for something else; {_both(contest)}"
    )
    return change.ended(Outcome.SKIPPED, reason)


def _finding(contest: Contest, change: Change) -> Finding:
    return Finding(
        "contested",
        Severity.WARN,
        f"somebody undoes the change of {change.title}, {contest.reverts} times by now: {_both(contest)}",
        "find out which person or tool writes the other value, and let one of the two give way",
        change.account,
        change.name,
        change.key_id,
        change.label,
        change.source,
    )


def _both(contest: Contest) -> str:
    """Name both values between which a key goes back and forth."""
    return "; ".join(
        f"{name} is {_shown(name, contest.wrote[name])} by the files, {_shown(name, found)} by the other side"
        for name, found in contest.found.items()
    )


def _shown(name: FieldName, value: Value) -> str:
    if isinstance(value, str):
        return repr(value)
    return ", ".join(value) or ("anywhere" if name == "ip_allow_list" else "none")


def _rejected(rejection: Rejection, change: Change) -> Change:
    tries = "once" if rejection.tries == 1 else f"{rejection.tries} times"
    again = f"again from {_minute(rejection.again_at)} on, or when the files ask for something else"
    reason = f"{rejection.reason}; tried {tries}, {again}"
    return change.ended(Outcome.FAILED, reason)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
