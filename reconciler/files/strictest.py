"""What several policy files say together: the strictest of each, whatever their order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.guardrails import InUse, Limits, Threshold
from reconciler.core.requirements import Requirement
from reconciler.core.rules import WaiverRule
from reconciler.files.policy_entries import ThresholdEntry

_NOTHING: Final = Threshold(percent=0, at_least=0)


@dataclass(frozen=True, slots=True)
class Said:
    """What one file says of guardrails; None, and an empty threshold, say nothing."""

    max_changes: ThresholdEntry
    max_switched_off: ThresholdEntry
    max_widened: ThresholdEntry
    allow_widening: tuple[str, ...] | None
    allow_restore: tuple[str, ...] | None
    in_use: InUse | None


def strictest(said: Sequence[Said]) -> Limits:
    """Give the limits that hold when all of these do; what none says has its default."""
    default = Limits()
    return Limits(
        max_changes=_lowest((each.max_changes for each in said), default.max_changes) or default.max_changes,
        max_switched_off=_lowest((each.max_switched_off for each in said), default.max_switched_off)
        or default.max_switched_off,
        max_widened=_lowest([each.max_widened for each in said], _NOTHING),
        allow_widening=_common([each.allow_widening for each in said]),
        allow_restore=_common([each.allow_restore for each in said]) or (),
        in_use=_longest([each.in_use for each in said if each.in_use]),
    )


def _lowest(entries: Iterable[ThresholdEntry], default: Threshold) -> Threshold | None:
    """Give the lowest of what files say, each with the default for the number that it leaves out; None where none does.

    So no file is ever laxer beside another one than it is alone.
    """
    said = [entry for entry in entries if entry != ThresholdEntry()]
    if not said:
        return None
    percents = (default.percent if entry.percent is None else entry.percent for entry in said)
    numbers = (default.at_least if entry.at_least is None else entry.at_least for entry in said)
    return Threshold(min(percents), min(numbers))


def _common(said: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Give what all allow that say anything; None where none does."""
    sets = [set(each) for each in said if each is not None]
    return tuple(sorted(set.intersection(*sets))) if sets else None


def _longest(said: Sequence[InUse]) -> InUse | None:
    if not said:
        return None
    return InUse(
        max(each.within for each in said),
        any(each.narrowing for each in said),
        _common([each.allow for each in said]) or (),
    )


def strictest_waivers(waivers: Iterable[WaiverRule]) -> tuple[WaiverRule, ...]:
    """Give each waiver of each policy once; of those for the same the one that ends first."""
    kept: dict[tuple[str | int | None, ...], WaiverRule] = {}
    for waiver in sorted(waivers, key=lambda waiver: waiver.order):
        kept.setdefault((waiver.policy, waiver.rule, waiver.key, waiver.label, waiver.account), waiver)
    return tuple(
        sorted(kept.values(), key=lambda each: (each.rule, each.key or "", each.label or "", each.account or ""))
    )


def each_once(required: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Give each requirement once."""
    kept: dict[tuple[str | None, ...], Requirement] = {}
    for each in required:
        kept.setdefault((each.scope.text, each.account, each.sub_account), each)
    return tuple(kept[what] for what in sorted(kept, key=str))
