"""What ``run`` remembers from pass to pass: changes that somebody undoes, and changes that the API does not take.

Accounts that cannot be read are remembered, too (:mod:`reconciler.core.rests`).

A CronJob, whose passes are processes of their own, remembers nothing: there each pass tries each change anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.core.changes import Change, FieldName, Outcome
from reconciler.core.departures import Named
from reconciler.core.findings import Finding, Severity
from reconciler.core.plan import Plan
from reconciler.core.rests import FORGOTTEN_AFTER, Identity, Rest, doubled

MOST_REVERTS: Final = 3
"""After so many reverts a change is left alone: AhaSend mails the owners at each change of an allow list."""
FIRST_REST: Final = timedelta(hours=1)
LONGEST_REST: Final = timedelta(hours=24)
STOOD: Final = timedelta(hours=6)
"""What stood for so long before it was undone is no fight: the count begins anew."""
FIRST_PAUSE: Final = timedelta(minutes=10)
LONGEST_PAUSE: Final = timedelta(hours=1)

Value = str | tuple[str, ...]
Values = Mapping[FieldName, Value]
Place = tuple[str, str, str]
"""A key: its account, its sub account or nothing, its id."""


@dataclass(frozen=True, slots=True)
class Contest:
    """One field of a key that was written, and perhaps undone by somebody.

    Attributes:
        wrote: The value that was written last.
        written: When that was.
        stood: When it was last seen standing: at the write, or in a pass since.
        seen: When it was last seen to change: written, undone, or another value in place of ours.
        undone: When it was seen undone, None while it stands.
        found: The value that stood in its place last, None before it was undone.
        reverts: How often it was undone.
    """

    wrote: Value
    written: datetime
    stood: datetime
    seen: datetime
    undone: datetime | None = None
    found: Value | None = None
    reverts: int = 0

    def rests_until(self, *, switches_off: bool) -> datetime | None:
        """Until when it is left alone, None where it need not be; longer each time that it was written for nothing.

        Where a key is to be switched off, no more than `FIRST_REST`, whatever else the other side does meanwhile.
        """
        if self.reverts < MOST_REVERTS or self.undone is None:
            return None
        if switches_off:
            return self.undone + FIRST_REST
        return self.seen + doubled(FIRST_REST, self.reverts - MOST_REVERTS, LONGEST_REST)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that the API did not take: the key as it was to be, when that was sent last, how often, what it said."""

    wanted: Values
    seen: datetime
    tries: int
    said: str

    @property
    def again_at(self) -> datetime:
        """When it is worth another try."""
        return self.seen + doubled(FIRST_PAUSE, self.tries - 1, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the passes before left: their number, what the last passed over, by identity, and keys with a history.

    ``rests`` has the accounts that could not be read, ``named`` the keys that files named.
    """

    passes: int = 0
    passed_over: frozenset[Identity] = frozenset()
    contests: Mapping[Place, Mapping[FieldName, Contest]] = field(default_factory=dict)
    rejections: Mapping[Place, Rejection] = field(default_factory=dict)
    rests: Mapping[Identity, Rest] = field(default_factory=dict)
    named: Named = field(default_factory=Named)


def recall(plan: Plan, memory: Memory, now: datetime) -> tuple[Plan, Memory, tuple[Finding, ...]]:
    """Hold back what the passes before show to be of no use at ``now``; give a finding for each contest as well.

    A change all of whose fields somebody undid `MOST_REVERTS` times is ``skipped`` until the other side has rested for
    a while; one that the API rejected stays ``failed`` between growing pauses. Either ends at once when the files ask
    for something else. To switch a key off is never held back by a rejection, nor for longer than `FIRST_REST`.
    """
    if not (memory.contests or memory.rejections):
        return plan, memory, ()
    planned = {place: change for change in plan.changes if (place := _place(change))}
    memory = _looked_up(memory, planned, _read(plan, memory), now)
    due = {place: change for place, change in planned.items() if change.applicable}
    held = {place: held for place, change in due.items() if (held := _held(memory, place, change, now))}
    changes = (held.get(place, change) if (place := _place(change)) else change for change in plan.changes)
    contested = (place for place, change in held.items() if change.outcome is Outcome.SKIPPED)
    findings = tuple(_finding(held[place], memory.contests[place]) for place in contested)
    return plan.with_changes(changes), memory, findings


def learn(memory: Memory, ended: Iterable[Change], now: datetime) -> Memory:
    """Remember what became of the changes of a pass that began at ``now``."""
    contests, rejections = dict(memory.contests), dict(memory.rejections)
    for change in ended:
        place = _place(change)
        if place is None:
            continue
        if written := _written(change):
            before = contests.get(place, {})
            contests[place] = {**before, **{name: _again(before.get(name), written[name], now) for name in written}}
        if change.outcome is Outcome.APPLIED:
            rejections.pop(place, None)
        elif change.rejected is not None:
            tries = rejections[place].tries if place in rejections else 0
            rejections[place] = Rejection(_wanted(change), now, tries + 1, change.rejected)
    return replace(memory, contests=contests, rejections=rejections)


def _written(change: Change) -> Values:
    """Give the values that the account took, whether or not the whole change came to its end."""
    asked = _asked(change)
    return asked if change.outcome is Outcome.APPLIED else {name: asked[name] for name in change.written}


def _again(before: Contest | None, value: Value, now: datetime) -> Contest:
    if before is None or before.wrote != value:
        return Contest(value, now, now, now)
    return replace(before, written=now, stood=now, seen=now, undone=None)


def _read(plan: Plan, memory: Memory) -> frozenset[Place]:
    """Give the remembered keys that this pass has read."""
    accounts = {place[:2] for place in memory.contests}
    return frozenset(
        (*account.account.identity, key.id)
        for account in plan.accounts
        if account.account.identity in accounts
        for key in account.actual
    )


def _place(change: Change) -> Place | None:
    return (*change.account.identity, change.key_id) if change.key_id is not None else None


def _asked(change: Change) -> Values:
    return {name: diff.after for name, diff in change.fields.diffs.items()}


def _wanted(change: Change) -> Values:
    """Give the whole key as it is to be: what else somebody changes meanwhile makes it no other wish."""
    after = change.after
    return (
        {"label": after.label, "scopes": after.scopes.texts, "ip_allow_list": after.ip_allow_list.networks}
        if after
        else {}
    )


def _looked_up(memory: Memory, planned: Mapping[Place, Change], read: frozenset[Place], now: datetime) -> Memory:
    """Compare what is remembered with what was read and is planned; forget what is old, and rejected old wishes."""
    looked = {
        place: {
            name: _looked_at(contest, name, planned.get(place), now) if place in read else contest
            for name, contest in contests.items()
            if now - contest.seen < FORGOTTEN_AFTER
        }
        for place, contests in memory.contests.items()
    }
    rejections = {
        place: rejection
        for place, rejection in memory.rejections.items()
        if now - rejection.seen < FORGOTTEN_AFTER
        and (place not in planned or not planned[place].applicable or rejection.wanted == _wanted(planned[place]))
    }
    return replace(memory, contests={place: each for place, each in looked.items() if each}, rejections=rejections)


def _looked_at(contest: Contest, name: FieldName, change: Change | None, now: datetime) -> Contest:
    """Compare what was written with what is to be written again: the same value was undone, by whomever."""
    diff = change.fields.diffs.get(name) if change else None
    if diff is None:
        return contest if contest.undone else replace(contest, stood=now)
    if diff.after != contest.wrote or not (change and change.applicable):
        return contest
    if contest.undone is None:
        reverts = 1 if contest.stood - contest.written >= STOOD else contest.reverts + 1
        return replace(contest, found=diff.before, reverts=reverts, seen=now, undone=now)
    # Where the other side still moves its rest begins anew.
    return contest if diff.before == contest.found else replace(contest, found=diff.before, seen=now)


def _held(memory: Memory, place: Place, change: Change, now: datetime) -> Change | None:
    """Give the change as it stands if it is of no use now, else None."""
    if held := _contested(memory.contests.get(place, {}), change, now):
        return held
    rejection = memory.rejections.get(place)
    if rejection is None or change.switches_off or now >= rejection.again_at:
        return None
    return _rejected(rejection, change)


def _contested(contests: Mapping[FieldName, Contest], change: Change, now: datetime) -> Change | None:
    """Hold a change back when every field of it is fought over: none that is not may wait for one that is.

    Where a key is to be switched off its list alone decides.
    """
    asked = {
        name: value for name, value in _asked(change).items() if name == "ip_allow_list" or not change.switches_off
    }
    fought = [contests[name] for name, value in asked.items() if _fought(contests.get(name), value)]
    rests = (one.rests_until(switches_off=change.switches_off) for one in fought)
    until = [until for until in rests if until and now < until]
    if not until or len(until) < len(asked):
        return None
    reason = (
        f"contested: it was undone {max(one.reverts for one in fought)} times, so it is left alone until "
        f"{_minute(max(until))}, or until the files ask for something else; {_both(change, contests)}"
    )
    return change.ended(Outcome.SKIPPED, reason)


def _fought(contest: Contest | None, value: Value) -> bool:
    return contest is not None and contest.wrote == value


def _finding(change: Change, contests: Mapping[FieldName, Contest]) -> Finding:
    times = max(contests[name].reverts for name, value in _asked(change).items() if _fought(contests.get(name), value))
    return Finding(
        "contested",
        Severity.DENY if change.switches_off else Severity.WARN,
        f"somebody undoes the change of {change.title}, {times} times by now: {_both(change, contests)}",
        "find out which person or tool writes the other value, and let one of the two give way",
        change.account,
        change.name,
        change.key_id,
        change.label,
        change.source,
    )


def _both(change: Change, contests: Mapping[FieldName, Contest]) -> str:
    """Name both values between which a key goes back and forth."""
    return "; ".join(
        f"{name} is {_shown(name, contests[name].wrote)} by the files, {_shown(name, found)} by the other side"
        for name, value in _asked(change).items()
        if _fought(contests.get(name), value) and (found := contests[name].found) is not None
    )


def _shown(name: FieldName, value: Value) -> str:
    if isinstance(value, str):
        return repr(value)
    return ", ".join(value) or ("anywhere" if name == "ip_allow_list" else "none")


def _rejected(rejection: Rejection, change: Change) -> Change:
    tries = "once" if rejection.tries == 1 else f"{rejection.tries} times"
    again = f"again from {_minute(rejection.again_at)} on, or when the files ask for something else"
    return change.ended(Outcome.FAILED, f"{change.asked_for(rejection.said)}; tried {tries}, {again}")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
