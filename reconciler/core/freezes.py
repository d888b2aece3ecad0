"""Change windows: times during which a policy wants nothing to be changed. What is due then is paused until their end.

When a window is in force is its own affair (`Window`); here is what follows from it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Protocol

from reconciler.core.allowable import FREEZE
from reconciler.core.changes import Change, Outcome
from reconciler.core.findings import Finding, Severity, days_ago
from reconciler.core.keys import DesiredState, Source
from reconciler.core.patterns import is_like_id
from reconciler.core.plan import Plan

_DAY: Final = timedelta(days=1)
_TOLD_AFTER: Final = _DAY


@dataclass(frozen=True, slots=True)
class Terms:
    """What a change window says besides its time.

    Attributes:
        reason: Why nothing is to be changed.
        zone: The time zone in which its time is written, and told.
        account: Which accounts it is about, a pattern of their ids; None: all. It holds in their sub accounts, too.
        allow_quarantine: Whether keys may be switched off all the same.
        source: Where it stands.
    """

    reason: str
    zone: tzinfo = UTC
    account: str | None = None
    allow_quarantine: bool = False
    source: Source | None = None


class Window(Protocol):
    """Times during which nothing is to be changed."""

    @property
    def terms(self) -> Terms:
        """What it says besides its time."""
        ...

    @property
    def last(self) -> date | None:
        """Its last day in its zone, None where it comes again and again."""
        ...

    @property
    def times(self) -> tuple[object, ...]:
        """What says when it is, to tell whether it is the same as another one."""
        ...

    def until(self, now: datetime) -> datetime | None:
        """Give when it ends, in UTC, if it is in force at ``now`` (with a zone), else None."""
        ...


@dataclass(frozen=True, slots=True)
class Days:
    """A window of whole days in a zone, the first and the last included, however many hours they have there."""

    terms: Terms
    first: date
    last: date

    @property
    def times(self) -> tuple[object, ...]:
        """Its first and its last day."""
        return self.first, self.last

    def until(self, now: datetime) -> datetime | None:
        """Give when its last day ends, in UTC, if it is in force at ``now``, else None."""
        begins, ends = _midnight(self.first, self.terms.zone), _end(self.last, self.terms.zone)
        return ends if begins <= now < ends else None


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Give when a day begins in a zone, in UTC; comparing two local times would look at their clocks alone."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _end(day: date, zone: tzinfo) -> datetime:
    return _midnight(day + _DAY, zone)


@dataclass(frozen=True, slots=True)
class Freeze:
    """A change window that is in force, until a time in UTC."""

    terms: Terms
    until: datetime

    def holds(self, change: Change) -> bool:
        """Tell whether it forbids to make a change now."""
        terms = self.terms
        concerned = terms.account is None or is_like_id(change.account.account_id, terms.account)
        return concerned and not (terms.allow_quarantine and change.switches_off)

    def __str__(self) -> str:
        local = self.until.astimezone(self.terms.zone).replace(tzinfo=None)
        shown = local.isoformat(" ", "seconds" if local.second else "minutes")
        return f"frozen until {shown} {self.terms.zone}: {self.terms.reason}"


def in_force(windows: Iterable[Window], now: datetime) -> tuple[Freeze, ...]:
    """Give the windows that are in force at ``now`` (with a zone), each with its end."""
    return tuple(Freeze(window.terms, until) for window in windows if (until := window.until(now)))


def frozen(change: Change, freezes: Iterable[Freeze]) -> Change | None:
    """Give a change that could be made as paused if any of these windows forbids it, with all that do; else None."""
    holding = [freeze for freeze in freezes if freeze.holds(change)] if change.applicable else []
    return change.ended(Outcome.PAUSED, "; ".join(dict.fromkeys(map(str, holding)))) if holding else None


def freeze_plan(plan: Plan, freezes: Sequence[Freeze]) -> Plan:
    """Pause what these windows forbid; what cannot be made for another reason stays as it is."""
    if not freezes:
        return plan
    return plan.with_changes(frozen(change, freezes) or change for change in plan.changes)


def waiting_fences(changes: Iterable[Change], freezes: Iterable[Freeze]) -> tuple[Finding, ...]:
    """Give a ``deny`` for each key that windows keep from being switched off: a leak must not stay open unseen."""
    freezes = tuple(freezes)
    return tuple(
        Finding(
            "fence-waits",
            Severity.DENY,
            f"{change.title} is to be switched off, and a change window keeps it usable: {change.reason}",
            f"apply --allow {FREEZE} switches it off now, and so does a window with allow_quarantine: true",
            change.account,
            change.name,
            change.key_id,
            change.label,
            change.source,
        )
        for change in changes
        if change.outcome is Outcome.PAUSED and change.switches_off and any(map(_concerns(change), freezes))
    )


def _concerns(change: Change) -> Callable[[Freeze], bool]:
    return lambda freeze: freeze.holds(change) and str(freeze) in (change.reason or "")


def report_frozen(freezes: Iterable[Freeze], *, let_through: bool) -> tuple[Finding, ...]:
    """Give a note for each window in force; ``let_through``: whether whoever made the pass let changes through."""
    return tuple(_note(freeze, let_through=let_through) for freeze in freezes)


def _note(freeze: Freeze, *, let_through: bool) -> Finding:
    terms = freeze.terms
    where = "" if terms.account is None else f" in accounts like {terms.account}"
    still = "keys may still be switched off; " if terms.allow_quarantine else ""
    hint = f"{still}let {'all other' if still else 'them'} through with --allow {FREEZE}"
    message = f"changes{where} are {freeze}"
    if let_through:
        message, hint = f"changes{where} would be {freeze}", f"--allow {FREEZE} lets them through"
    return Finding("frozen", Severity.NOTE, message, hint, source=terms.source)


def idle_freezes(windows: Iterable[Window], desired: DesiredState) -> tuple[Finding, ...]:
    """Give a warning for each window that is about none of the accounts of the files: it freezes nothing."""
    ids = [account.account.account_id for account in desired.everywhere]
    return tuple(
        Finding(
            "freeze-matches-nothing",
            Severity.WARN,
            f"the change window {terms.reason!r} is about none of the accounts in the files",
            "correct its account, or remove it",
            source=terms.source,
        )
        for window in windows
        if (terms := window.terms).account is not None and not any(is_like_id(each, terms.account) for each in ids)
    )


def ended_freezes(windows: Iterable[Window], now: datetime) -> tuple[Finding, ...]:
    """Give a warning for each window that ended for good more than a day ago and still stands in the policy."""
    return tuple(finding for window in windows if (finding := _ended(window, now)))


def _ended(window: Window, now: datetime) -> Finding | None:
    terms, last = window.terms, window.last
    if last is None or now - _end(last, terms.zone) <= _TOLD_AFTER:
        return None
    age = days_ago(last, now.astimezone(terms.zone).date())
    message = f"the change window {terms.reason!r} ended with {last}{age}"
    return Finding("freeze-ended", Severity.WARN, message, "remove it, or give it new days", source=terms.source)
