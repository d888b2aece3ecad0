"""Plans that guardrails of a policy judge, and what they say."""

from datetime import timedelta
from typing import Any

from builders import MANAGER, NEWS, NOW, SHOP, plan, remote, spec, whole
from reconciler.core.guardrails import (
    Approval,
    Consent,
    Limits,
    approve,
)
from reconciler.core.keys import KeySpec, KeyState, RemoteKey
from reconciler.core.plan import AccountPlan
from reconciler.core.requirements import Requirement
from reconciler.core.scopes import parse_scope

QUARANTINED = KeyState.QUARANTINED
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
SENDING = Requirement(parse_scope(SHOP))
LOST = "no key in use could do what must keep working: messages:send for shop.example.com (now {} can)"
WIDENING_WAY_OUT = "let it through with --allow widening or list its name under guardrails.allow_widening in the policy"
COVERAGE_WAY_OUT = "let it through with --allow coverage or correct what it requires in the policy"
IN_USE_WAY_OUT = "let it through with --allow in-use or list its name or id under guardrails.in_use.allow in the policy"


def judge(*accounts: AccountPlan, allowed: frozenset[str] = frozenset(), **limits: Any) -> Approval:
    """Let guardrails with these limits judge, where the reconciler's own key is none that changes."""
    consent = Consent(Limits(**limits), allowed, self_keys={None: "self"})
    return approve(whole(*accounts), consent, NOW)


def account(specs: tuple[KeySpec, ...], *keys: RemoteKey, **fields: Any) -> AccountPlan:
    """An account with one more key: the reconciler's own, which stays as it is."""
    return plan((*specs, spec("zz-self", *MANAGER)), (*keys, remote("self", "zz-self", *MANAGER)), **fields)


def raised(approval: Approval) -> list[str]:
    """Which guardrails refused something."""
    return [refusal.guardrail for refusal in approval.refusals]


def outcomes(approval: Approval) -> dict[str, str]:
    """What became of each change, by its key."""
    return {change.title: change.outcome.value for change in approval.plan.changes}


def used(ago: timedelta, key_id: str = "1", label: str = "shop", *texts: str) -> RemoteKey:
    """A key that was used so long ago."""
    return remote(key_id, label, *(texts or (SHOP, NEWS)), last_used_at=NOW - ago)
