"""Limits on what one pass may do. Only :func:`approve` makes an :class:`ApprovedPlan`, and only one can be applied.

The guardrails that :class:`Limits` and ``--allow`` know:

``max-changes``, ``max-switched-off``, ``max-widened``
    refuse the whole plan of an account, of a sub account, or of all sub accounts of one parent together.
``empty-desired``
    refuses an account's whole plan.
``guardian``, ``coverage``, ``restore``, ``unreachable``, ``widening``, ``in-use``
    refuse single changes.
``freeze``
    lets changes through that change windows would pause (:mod:`reconciler.core.freezes`); it refuses nothing.
``digest``, ``hold``
    refuse everything, and cannot be allowed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from reconciler.core.allowable import COVERAGE, FREEZE, GUARDIAN
from reconciler.core.changes import Action, Change, Direction, Outcome, skip_dependents
from reconciler.core.freezes import Freeze, Window, in_force
from reconciler.core.keys import AccountRef, RemoteKey, is_named
from reconciler.core.plan import AccountPlan, Plan
from reconciler.core.requirements import Requirement
from reconciler.core.subjects import span
from reconciler.core.watch import Coverage, Guardian, Objection, Watch


@dataclass(frozen=True, slots=True)
class Threshold:
    """A share of the listed keys (percent, rounded down), but never less than ``at_least``."""

    percent: int
    at_least: int

    def of(self, listed: int) -> int:
        """Give the largest number that is still allowed where ``listed`` keys were listed."""
        return max(self.at_least, self.percent * listed // 100)


@dataclass(frozen=True, slots=True)
class InUse:
    """Which keys count as in use: those used ``within`` so long, but those named in ``allow``.

    AhaSend tells of a use 5 to 10 minutes late, so that less than `SHORTEST_USE` would say nothing. ``narrowing``: also
    a change that only takes something away from such a key is refused.
    """

    within: timedelta
    narrowing: bool = False
    allow: tuple[str, ...] = ()


SHORTEST_USE: Final = timedelta(minutes=15)
TOLD_LATE: Final = "AhaSend tells of a use 5 to 10 minutes late"


@dataclass(frozen=True, slots=True)
class Limits:
    """The ``guardrails`` of a policy file, what it requires and when; these are the defaults where there is none.

    ``allow_widening`` None: any key may be given more; else only those named. ``max_widened`` and ``in_use`` None: off.
    """

    max_changes: Threshold = Threshold(percent=30, at_least=5)
    max_switched_off: Threshold = Threshold(percent=10, at_least=1)
    max_widened: Threshold | None = None
    allow_widening: tuple[str, ...] | None = None
    allow_restore: tuple[str, ...] = ()
    in_use: InUse | None = None
    require: tuple[Requirement, ...] = ()
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """What one run brings to its approval.

    Attributes:
        limits: The limits in force.
        allowed: Guardrails that the person who started the run let through, by name.
        self_keys: The id of the key that the reconciler itself uses, by credential (None: the one without a name).
        digest: The digest of the plan that was reviewed; any other plan is refused.
        hold: Why nothing may be changed at present.
    """

    limits: Limits = field(default_factory=Limits)
    allowed: frozenset[str] = frozenset()
    self_keys: Mapping[str | None, str] = field(default_factory=dict)
    digest: str | None = None
    hold: str | None = None

    def freezes(self, now: datetime) -> tuple[Freeze, ...]:
        """Give the change windows that pause changes at ``now`` (with a zone): none where they are let through."""
        return () if FREEZE in self.allowed else in_force(self.limits.windows, now)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One guardrail that did not let something through; ``limit`` and ``actual`` where it counts.

    ``of_family``: it is about all sub accounts of ``account`` together.
    """

    guardrail: str
    message: str
    account: AccountRef | None = None
    key_id: str | None = None
    limit: int | None = None
    actual: int | None = None
    of_family: bool = False


_SEAL = object()


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """A plan that the guardrails let through; its changes with outcome ``planned`` may be made, no others."""

    plan: Plan
    consent: Consent
    now: datetime
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only the guardrails make an ApprovedPlan")

    def in_use(self, change: Change, seen: RemoteKey) -> str | None:
        """Say why a change must not be made to a key that was seen to be used meanwhile, or None."""
        if "in-use" in self.consent.allowed:
            return None
        return _in_use_objection(replace(change, before=seen), self.consent.limits.in_use, self.now)

    def watch(self, account: AccountPlan) -> Watch:
        """Give what is to be asked again before each change that revokes."""
        return _watch(account, self.consent)


@dataclass(frozen=True, slots=True)
class Approval:
    """The whole plan with the outcome of each change, why what was refused was refused, and what may be applied."""

    plan: Plan
    refusals: tuple[Refusal, ...]
    approved: ApprovedPlan


def approve(plan: Plan, consent: Consent, now: datetime) -> Approval:
    """Let each guardrail judge the plan; judge the state that results without what is held back or paused.

    ``now`` (with a zone) decides which keys are in use.
    """
    accounts: list[AccountPlan] = []
    refusals: list[Refusal] = []
    for account in plan.accounts:
        judged, refused = _judge_account(account, consent, now)
        accounts.append(judged)
        refusals += refused
    below = _family_refusals(accounts, consent)
    accounts = [_refuse_all(account, below.get(account.account.parent, ())) for account in accounts]
    refusals += (refusal for refused in below.values() for refusal in refused)
    judged_plan = replace(plan, accounts=tuple(accounts))
    for refusal in _run_refusals(judged_plan, consent):
        refusals.append(refusal)
        judged_plan = judged_plan.with_changes(_refused(change, refusal) for change in judged_plan.changes)
    return Approval(judged_plan, tuple(refusals), ApprovedPlan(judged_plan, consent, now, _SEAL))


def _run_refusals(plan: Plan, consent: Consent) -> tuple[Refusal, ...]:
    refusals = []
    if consent.digest is not None and consent.digest != plan.digest:
        found = plan.digest or "without a digest, since an account could not be read"
        message = f"this is not the plan that was reviewed: --digest asks for {consent.digest}, this plan is {found}"
        refusals.append(Refusal("digest", f"{message}; review it and pass its digest"))
    if consent.hold is not None and any(c.outcome in (Outcome.PLANNED, Outcome.REFUSED) for c in plan.changes):
        refusals.append(Refusal("hold", f"on hold: {consent.hold}; nothing is changed while RECONCILER_HOLD is set"))
    return tuple(refusals)


def _refused(change: Change, refusal: Refusal) -> Change:
    """Refuse what is planned, and add the reason to what is refused already: every reason is shown at once."""
    reason = f"{refusal.guardrail}: {refusal.message}"
    match change.outcome:
        case Outcome.PLANNED:
            return change.ended(Outcome.REFUSED, reason)
        case Outcome.REFUSED:
            return change.ended(Outcome.REFUSED, f"{change.reason}; {reason}")
        case _:
            return change


def _judge_account(account: AccountPlan, consent: Consent, now: datetime) -> tuple[AccountPlan, list[Refusal]]:
    watch = _watch(account, consent)
    singles = [_single_refusals(change, consent, watch.guardian, now) for change in account.changes]
    refusals = [refusal for refused in singles for refusal in refused]
    changes = skip_dependents(
        tuple(_refuse(change, refused) for change, refused in zip(account.changes, singles, strict=True))
    )
    while lost := _loses_too_much(account, changes, watch):
        refusal, refused_change = lost
        refusals.append(refusal)
        changes = skip_dependents(
            tuple(_refuse(change, [refusal]) if change is refused_change else change for change in changes)
        )
    result = _result(account, changes, watch)
    told = {(refusal.guardrail, refusal.key_id) for refusal in refusals}
    more = {id(change): _further(result, change, watch, told) for change in changes}
    refusals += (refusal for refused in more.values() for refusal in refused)
    changes = tuple(_refuse(change, more[id(change)]) for change in changes)
    account = replace(account, changes=changes)
    whole = [refusal for refusal in _plan_refusals(account, consent.limits) if _stands(refusal, consent)]
    return _refuse_all(account, whole), refusals + whole


def _refuse_all(account: AccountPlan, refusals: Sequence[Refusal]) -> AccountPlan:
    if not refusals:
        return account
    return replace(account, changes=tuple(_refuse(change, refusals) for change in account.changes))


def _family_refusals(accounts: Iterable[AccountPlan], consent: Consent) -> dict[AccountRef | None, list[Refusal]]:
    """Ask the guardrails that count over all sub accounts of one parent together, by parent.

    What each sub account may change by itself adds up: a mistake in one rule reaches all of them.
    """
    families: defaultdict[AccountRef | None, list[AccountPlan]] = defaultdict(list)
    for account in accounts:
        families[account.account.parent].append(account)
    refused: dict[AccountRef | None, list[Refusal]] = {}
    for parent, family in families.items():
        if parent is None:
            continue
        changes = [change for account in family for change in account.changes if change.applicable]
        listed = sum(len(account.actual) for account in family)
        too_many = _too_many(_Counted(parent, changes, listed, len(family)), consent.limits)
        if standing := [refusal for refusal in too_many if _stands(refusal, consent)]:
            refused[parent] = standing
    return refused


def _stands(refusal: Refusal, consent: Consent) -> bool:
    return refusal.guardrail not in consent.allowed


def _refuse(change: Change, refusals: Iterable[Refusal]) -> Change:
    for refusal in refusals:
        change = _refused(change, refusal)
    return change


def _watch(account: AccountPlan, consent: Consent) -> Watch:
    guardian = coverage = None
    if GUARDIAN not in consent.allowed and account.account.parent is None:
        guardian = Guardian(account.actual, consent.self_keys.get(account.account.credential))
    if COVERAGE not in consent.allowed and consent.limits.require:
        coverage = Coverage(account.account, account.actual, consent.limits.require)
    return Watch(guardian, coverage)


def _single_refusals(change: Change, consent: Consent, guardian: Guardian | None, now: datetime) -> list[Refusal]:
    """Ask the guardrails that look at one change alone."""
    if not change.applicable:
        return []
    objections = {
        GUARDIAN: guardian.protects(change) if guardian else None,
        "restore": _restore_objection(change, consent.limits),
        "unreachable": _unreachable_objection(change),
        "widening": _widening_objection(change, consent.limits.allow_widening),
        "in-use": _in_use_objection(change, consent.limits.in_use, now),
    }
    refusals = [
        _refusal(change, Objection(guardrail, objection)) for guardrail, objection in objections.items() if objection
    ]
    return [refusal for refusal in refusals if _stands(refusal, consent)]


def _refusal(change: Change, objection: Objection) -> Refusal:
    guardrail = objection.guardrail
    message = f"{change.title}: {objection.message}; {way_out(guardrail)}"
    return Refusal(guardrail, message, change.account, change.key_id)


def _restore_objection(change: Change, limits: Limits) -> str | None:
    if change.action is not Action.RESTORE or change.name in limits.allow_restore:
        return None
    return "the key is fenced, somebody switched it off for a reason"


def _unreachable_objection(change: Change) -> str | None:
    if change.fields.ip_allow_list is None or change.switches_off:
        return None
    if change.after is None or change.after.ip_allow_list.reachable():
        return None
    return "its ip_allow_list would hold no public IPv4 network, where alone the API answers: nobody could use the key"


def _widening_objection(change: Change, allowed: tuple[str, ...] | None) -> str | None:
    if allowed is None or change.name in allowed or change.switches_off or not change.widens:
        return None
    granted = change.access.scopes.granted + change.access.networks.granted
    return f"it would be given more ({', '.join(granted)}), and guardrails.allow_widening does not name it"


def _in_use_objection(change: Change, in_use: InUse | None, now: datetime) -> str | None:
    before = change.before
    if in_use is None or before is None or before.last_used_at is None or before.ip_allow_list.fenced:
        return None
    used = before.last_used_at
    if now - used > in_use.within or any(is_named(each, change.name, change.key_id) for each in in_use.allow):
        return None
    if not (change.switches_off or (in_use.narrowing and change.revokes)):
        return None
    ago = span(max(now - used, timedelta()))
    return f"it was used {ago} before, and guardrails.in_use protects what was used within {span(in_use.within)}"


_SETTINGS: Final = {
    COVERAGE: "correct what it requires",
    "restore": "list its name under guardrails.allow_restore",
    "widening": "list its name under guardrails.allow_widening",
    "in-use": "list its name or id under guardrails.in_use.allow",
}


def way_out(guardrail: str) -> str:
    """Say how a person lets a guardrail through."""
    setting = f" or {_SETTINGS[guardrail]} in the policy" if guardrail in _SETTINGS else ""
    return f"let it through with --allow {guardrail}{setting}"


def _loses_too_much(account: AccountPlan, changes: tuple[Change, ...], watch: Watch) -> tuple[Refusal, Change] | None:
    """Find a planned change without which the account would keep what it must not lose, and with it not."""
    result = _result(account, changes, watch)
    for change in changes:
        if change.applicable and change.access.direction is not Direction.WIDEN:
            others = partial(_but, result, change.key_id)
            if objection := watch.objection(change, others):
                return _refusal(change, objection), change
    return None


def _further(
    result: Mapping[str, RemoteKey], change: Change, watch: Watch, told: AbstractSet[tuple[str, str | None]]
) -> list[Refusal]:
    """Give what else would speak against a change that is refused already: every reason is shown at once."""
    if change.outcome is not Outcome.REFUSED or change.access.direction is Direction.WIDEN:
        return []
    objections = watch.objections(change, partial(_but, result, change.key_id))
    return [_refusal(change, each) for each in objections if (each.guardrail, change.key_id) not in told]


def _result(account: AccountPlan, changes: Iterable[Change], watch: Watch) -> dict[str, RemoteKey]:
    """Give the account's keys as they will be, by id, without what is held back or paused."""
    result = {key.id: key for key in account.actual}
    for change in changes:
        if change.applicable and change.key_id and change.after:
            result[change.key_id] = change.after
    return {key_id: key for key_id, key in result.items() if watch.needs(key)}


def _but(keys: Mapping[str, RemoteKey], key_id: str | None) -> Iterator[RemoteKey]:
    return (key for key in keys.values() if key.id != key_id)


def _plan_refusals(account: AccountPlan, limits: Limits) -> list[Refusal]:
    """Ask the guardrails that look at an account's whole plan, over what is left of it."""
    applicable = [change for change in account.changes if change.applicable]
    listed = len(account.actual)
    refusals = _too_many(_Counted(account.account, applicable, listed), limits)
    if account.without_desired and account.unmanaged_acts and applicable:
        message = f"the files name no key of this account, so all {listed} would count as unmanaged; "
        refusals.append(Refusal("empty-desired", message + way_out("empty-desired"), account.account))
    return refusals


@dataclass(frozen=True, slots=True)
class _Counted:
    """Changes that are counted together: of which account, over how many listed keys, perhaps in how many below it."""

    account: AccountRef
    changes: Sequence[Change]
    listed: int
    sub_accounts: int = 0

    @property
    def where(self) -> str:
        """Where they are, in words."""
        return f" in {self.sub_accounts} sub accounts" if self.sub_accounts else ""


def _too_many(counted: _Counted, limits: Limits) -> list[Refusal]:
    off = sum(change.switches_off for change in counted.changes)
    widened = sum(change.widens and not change.switches_off for change in counted.changes)
    checks = (
        ("max-changes", limits.max_changes, len(counted.changes), "change{s}"),
        ("max-switched-off", limits.max_switched_off, off, "key{s} switched off"),
        ("max-widened", limits.max_widened, widened, "key{s} given more"),
    )
    return [
        Refusal(
            guardrail,
            f"{actual} {what.format(s='' if actual == 1 else 's')}{counted.where}, but the limit is {limit}: "
            f"{threshold.percent} % of the {counted.listed} keys listed, or {threshold.at_least} if that is more; "
            f"raise guardrails.{guardrail.replace('-', '_')} in the policy or {way_out(guardrail)}",
            counted.account,
            limit=limit,
            actual=actual,
            of_family=counted.sub_accounts > 0,
        )
        for guardrail, threshold, actual, what in checks
        if threshold is not None and actual > (limit := threshold.of(counted.listed))
    ]
