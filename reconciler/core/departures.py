"""Keys that files name no more: one that a file named a moment ago may be missing only while files are replaced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.core.changes import Change, Outcome
from reconciler.core.plan import AccountPlan, Plan

GRACE: Final = 300.0
"""The seconds for which a key that files named before is not switched off for being in none."""

_WAITS: Final = "a file named it a moment ago: it is switched off if none has for 5 minutes"

_Identity = tuple[str, str]
_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Named:
    """Which keys files named when their accounts were read last, by id, and since when others are named no more.

    Times are in seconds of a clock that nobody sets.
    """

    named: Mapping[_Identity, frozenset[str]] = field(default_factory=dict)
    left: Mapping[_Place, float] = field(default_factory=dict)


def look(plan: Plan, before: Named, moment: float) -> Named:
    """Learn from a plan which keys files name at a ``moment``; of an account that was not read nothing is new."""
    named = {account.account.identity: _named(account) for account in plan.accounts}
    left: dict[_Place, float] = {}
    for place, since in before.left.items():
        away = place[:2] not in named or place[2] not in named[place[:2]]
        if away and moment - since < GRACE:
            left[place] = since
    for identity, ids in before.named.items():
        # An account that no file means any more may come back, too; what could not be read is not gone.
        gone = ids - named[identity] if identity in named else ids if plan.complete else frozenset()
        left |= {(*identity, key_id): moment for key_id in gone}
    return Named(named if plan.complete else {**before.named, **named}, left)


def _named(account: AccountPlan) -> frozenset[str]:
    """Give the keys that files may mean: also those of which it cannot be told, and namesakes of others."""
    return frozenset(key.id for key in account.actual) - {key.id for key in account.matching.unmanaged}


def spare(plan: Plan, named: Named) -> Plan:
    """Pause what would switch a key off that a file named a moment ago: whoever replaces files may not be done."""
    if not named.left:
        return plan
    return plan.with_changes(_spared(change, named) or change for change in plan.changes)


def _spared(change: Change, named: Named) -> Change | None:
    place = (*change.account.identity, change.key_id or "")
    if change.name is not None or not change.applicable or place not in named.left:
        return None
    return change.ended(Outcome.PAUSED, _WAITS)


def first_end(named: Named) -> float | None:
    """Give the first moment at which a key is spared no more, None where none is spared."""
    return min(named.left.values()) + GRACE if named.left else None
