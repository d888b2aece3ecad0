"""Explanations of the keys of an account that was planned, and rules to be asked."""

from dataclasses import replace
from typing import Any

from builders import NOW
from core.rulebook import built_in, policy, waiver, when
from reconciler.core.answers import Explaining, Explanation, explain
from reconciler.core.findings import Severity
from reconciler.core.judging import Verdict
from reconciler.core.keys import DesiredAccount, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import plan_account
from reconciler.core.policy import judge_plan
from reconciler.core.rules import Match, Policy

FENCING = UnmanagedRule(then=UnmanagedAction.QUARANTINE)
NO_RULES = Policy()
RULES = policy(
    built_in("no-wildcard"),
    when("about-changes", 'change.direction == "widen"', "{key.name} widens", severity=Severity.WARN),
    when("elsewhere", 'key.label == "x"', "never", match=Match(account="9*")),
    when("tickets", 'key.annotations["ticket"] != ""', "{key.label} has a ticket", hint="close it"),
    waivers=(waiver("no-wildcard", key="ops"),),
)


def explained(
    account: DesiredAccount,
    keys: tuple[RemoteKey, ...],
    which: str,
    rules: Policy = NO_RULES,
    **fields: Any,
) -> tuple[Explanation, ...]:
    """Explain the keys that are called ``which``, with what rules would switch off."""
    plan = judge_plan(rules, account, plan_account(account, keys, NOW), NOW).plan
    return explain(account, plan, which, replace(Explaining(rules, (), (), NOW), **fields))


def only(found: tuple[Explanation, ...]) -> Explanation:
    """The one explanation that there is."""
    (explanation,) = found
    return explanation


def rules_of(told: Explanation) -> list[tuple[str, Verdict, str]]:
    """What each rule says of a key."""
    return [(each.rule, each.verdict, each.message) for each in told.rules]
