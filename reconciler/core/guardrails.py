"""Limits on what one pass may do. Only :func:`approve` makes an :class:`ApprovedPlan`, and only one can be applied.

The guardrails that :class:`Limits` and ``--allow`` know:

``max-changes``, ``max-switched-off``
    refuse the whole plan of an account, of a sub account, or of all sub accounts of one parent together.
``empty-desired``
    refuses an account's whole plan.
``guardian``, ``restore``, ``unreachable``
    refuse single changes.
``digest``, ``hold``
    refuse everything, and cannot be allowed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Final

from reconciler.core.changes import Action, Change, Direction, Outcome, skip_dependents
from reconciler.core.keys import AccountRef, RemoteKey
from reconciler.core.plan import AccountPlan, Plan
from reconciler.core.scopes import parse_scope

ALLOWABLE: Final = ("max-changes", "max-switched-off", "empty-desired", "guardian", "restore", "unreachable")
NEVER_ALLOWED: Final = ("digest", "hold")
_WRITES_KEYS = parse_scope("api-keys:write")
_WRITES_BELOW = parse_scope("sub-account-api-keys:write")
_NEEDED = (
    _WRITES_KEYS,
    parse_scope("api-keys:read"),
    parse_scope("sub-accounts:read"),
    parse_scope("sub-account-api-keys:read"),
    _WRITES_BELOW,
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A share of the listed keys (percent, rounded down), but never less than ``at_least``."""

    percent: int
    at_least: int

    def of(self, listed: int) -> int:
        """Give the largest number that is still allowed where ``listed`` keys were listed."""
        return max(self.at_least, self.percent * listed // 100)


@dataclass(frozen=True, slots=True)
class Limits:
    """The ``guardrails`` of a policy file; these are the defaults where there is none."""

    max_changes: Threshold = Threshold(percent=30, at_least=5)
    max_switched_off: Threshold = Threshold(percent=10, at_least=1)
    allow_restore: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """One guardrail that did not let something through; ``limit`` and ``actual`` where it counts."""

    guardrail: str
    message: str
    account: AccountRef | None = None
    key_id: str | None = None
    limit: int | None = None
    actual: int | None = None


class Guardian:
    """Watches over the ability to manage keys in one account, never a sub account: its keys the parent manages.

    The key that the reconciler uses must not lose key management, be fenced or have its list narrowed; where it is not
    known, or not among the account's keys, that holds for every key that can write keys. And an account that had an
    unfenced key which can write keys must still have one.
    """

    def __init__(self, actual: Iterable[RemoteKey], self_key: str | None) -> None:
        actual = tuple(actual)
        known = self_key in {key.id for key in actual}
        self._self_key = self_key if known else None
        self._unknown = None if known else self_key
        self._protected = frozenset(
            {self_key} if known else {key.id for key in actual if _manages_keys(key) or _manages_below(key)}
        )
        self._must_keep_a_manager = any(map(_manages_keys, actual))

    def protects(self, change: Change) -> str | None:
        """Say why ``change`` must not be made to this very key, whatever else happens, or None."""
        if change.key_id in self._protected and (loss := _loss(change)):
            return f"{self._whose()} would {loss}"
        return None

    def objection(self, change: Change, others: Iterable[RemoteKey]) -> str | None:
        """Say why ``change`` must not be made, or None.

        Args:
            change: The change; one that only grants is never objected to.
            others: The account's other keys as they are, or as they will be.
        """
        if self._must_keep_a_manager and _stops_managing(change) and not any(map(_manages_keys, others)):
            return "no unfenced key of the account could write keys any more"
        return self.protects(change)

    def _whose(self) -> str:
        if self._self_key:
            return "the key that the reconciler uses"
        wrong = f", {self._unknown} is not one of this account's keys" if self._unknown else ""
        return (
            "a key that can write keys, and so may be the one that the reconciler uses (set RECONCILER_SELF_KEY_ID, or "
            f"RECONCILER_SELF_KEY_ID_<CREDENTIAL>, to the id of that one to protect it alone{wrong}),"
        )


def _stops_managing(change: Change) -> bool:
    if change.before is None or not _manages_keys(change.before):
        return False
    return change.after is None or not _manages_keys(change.after)


def _manages_keys(key: RemoteKey) -> bool:
    return key.scopes.covers(_WRITES_KEYS) and not key.ip_allow_list.fenced


def _manages_below(key: RemoteKey) -> bool:
    return key.scopes.covers(_WRITES_BELOW) and not key.ip_allow_list.fenced


def _loss(change: Change) -> str | None:
    """Say in words what a protected key would lose, or None."""
    if change.switches_off:
        return "be switched off"
    if change.before is None or change.after is None:
        return None
    for needed in _NEEDED:
        if change.before.scopes.covers(needed) and not change.after.scopes.covers(needed):
            return f"lose {needed.text}"
    if change.access.networks.revoked:
        return "have its ip_allow_list narrowed"
    return None


_SEAL = object()


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """A plan that the guardrails let through; its changes with outcome ``planned`` may be made, no others."""

    plan: Plan
    consent: Consent
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only the guardrails make an ApprovedPlan")

    def guardian(self, account: AccountPlan) -> Guardian | None:
        """Give the guardian to be asked again before each change that revokes, None where it was allowed away."""
        return _guardian(account, self.consent)


@dataclass(frozen=True, slots=True)
class Approval:
    """The whole plan with the outcome of each change, why what was refused was refused, and what may be applied."""

    plan: Plan
    refusals: tuple[Refusal, ...]
    approved: ApprovedPlan


def approve(plan: Plan, consent: Consent) -> Approval:
    """Let each guardrail judge the plan; judge the state that results without what is held back or paused."""
    accounts: list[AccountPlan] = []
    refusals: list[Refusal] = []
    for account in plan.accounts:
        judged, refused = _judge_account(account, consent)
        accounts.append(judged)
        refusals += refused
    below = _family_refusals(accounts, consent)
    accounts = [_refuse_all(account, below.get(account.account.parent, ())) for account in accounts]
    refusals += (refusal for refused in below.values() for refusal in refused)
    judged_plan = replace(plan, accounts=tuple(accounts))
    for refusal in _run_refusals(judged_plan, consent):
        refusals.append(refusal)
        judged_plan = judged_plan.with_changes(_refused(change, refusal) for change in judged_plan.changes)
    return Approval(judged_plan, tuple(refusals), ApprovedPlan(judged_plan, consent, _SEAL))


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


def _judge_account(account: AccountPlan, consent: Consent) -> tuple[AccountPlan, list[Refusal]]:
    guardian = _guardian(account, consent)
    singles = [_single_refusals(change, consent, guardian) for change in account.changes]
    refusals = [refusal for refused in singles for refusal in refused]
    changes = skip_dependents(
        tuple(_refuse(change, refused) for change, refused in zip(account.changes, singles, strict=True))
    )
    while guardian and (last := _takes_the_last_manager(account, changes, guardian)):
        refusal, refused_change = last
        refusals.append(refusal)
        changes = skip_dependents(
            tuple(_refuse(change, [refusal]) if change is refused_change else change for change in changes)
        )
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
        too_many = _too_many(_Counted(parent, changes, listed, f" in {len(family)} sub accounts"), consent.limits)
        if standing := [refusal for refusal in too_many if _stands(refusal, consent)]:
            refused[parent] = standing
    return refused


def _stands(refusal: Refusal, consent: Consent) -> bool:
    return refusal.guardrail not in consent.allowed


def _refuse(change: Change, refusals: Iterable[Refusal]) -> Change:
    for refusal in refusals:
        change = _refused(change, refusal)
    return change


def _guardian(account: AccountPlan, consent: Consent) -> Guardian | None:
    if "guardian" in consent.allowed or account.account.parent is not None:
        return None
    return Guardian(account.actual, consent.self_keys.get(account.account.credential))


def _single_refusals(change: Change, consent: Consent, guardian: Guardian | None) -> list[Refusal]:
    """Ask the guardrails that look at one change alone."""
    if not change.applicable:
        return []
    objections = {
        "guardian": guardian.protects(change) if guardian else None,
        "restore": _restore_objection(change, consent.limits),
        "unreachable": _unreachable_objection(change),
    }
    refusals = [
        Refusal(guardrail, f"{change.title}: {objection}; {way_out(guardrail)}", change.account, change.key_id)
        for guardrail, objection in objections.items()
        if objection
    ]
    return [refusal for refusal in refusals if _stands(refusal, consent)]


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


def way_out(guardrail: str) -> str:
    """Say how a person lets a guardrail through."""
    setting = " or list its name under guardrails.allow_restore in the policy" if guardrail == "restore" else ""
    return f"let it through with --allow {guardrail}{setting}"


def _takes_the_last_manager(
    account: AccountPlan, changes: tuple[Change, ...], guardian: Guardian
) -> tuple[Refusal, Change] | None:
    """Find a planned change without which the account would keep a key that can write keys, and with it not."""
    result = {key.id: key for key in account.actual}
    for change in changes:
        if change.applicable and change.key_id and change.after:
            result[change.key_id] = change.after
    managers = [key for key in result.values() if _manages_keys(key)]
    for change in changes:
        if change.applicable and change.access.direction is not Direction.WIDEN:
            others = (key for key in managers if key.id != change.key_id)
            if objection := guardian.objection(change, others):
                message = f"{change.title}: {objection}; {way_out('guardian')}"
                return Refusal("guardian", message, change.account, change.key_id), change
    return None


def _plan_refusals(account: AccountPlan, limits: Limits) -> list[Refusal]:
    """Ask the guardrails that look at an account's whole plan, over what is left of it."""
    applicable = [change for change in account.changes if change.applicable]
    listed = len(account.actual)
    refusals = _too_many(_Counted(account.account, applicable, listed, ""), limits)
    if account.without_desired and account.unmanaged_acts and applicable:
        message = f"the files name no key of this account, so all {listed} would count as unmanaged; "
        refusals.append(Refusal("empty-desired", message + way_out("empty-desired"), account.account))
    return refusals


@dataclass(frozen=True, slots=True)
class _Counted:
    """Changes that are counted together: of which account, over how many listed keys, and where in words."""

    account: AccountRef
    changes: Sequence[Change]
    listed: int
    where: str


def _too_many(counted: _Counted, limits: Limits) -> list[Refusal]:
    off = sum(change.switches_off for change in counted.changes)
    checks = (
        ("max-changes", limits.max_changes, len(counted.changes), "changes"),
        ("max-switched-off", limits.max_switched_off, off, "keys switched off"),
    )
    return [
        Refusal(
            guardrail,
            f"{actual} {what}{counted.where}, but the limit is {limit}: {threshold.percent} % of the {counted.listed} "
            f"keys listed, or {threshold.at_least} if that is more; raise guardrails.{guardrail.replace('-', '_')} in "
            f"the policy or {way_out(guardrail)}",
            counted.account,
            limit=limit,
            actual=actual,
        )
        for guardrail, threshold, actual, what in checks
        if actual > (limit := threshold.of(counted.listed))
    ]
