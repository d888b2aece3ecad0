"""Rules, waivers and keys under judgement, for tests of what is made of them."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from builders import ACCOUNT, NOW, OFFICE, desired, networks, scopes
from reconciler.core.builtins import NoWildcard
from reconciler.core.expressions import compile_expression
from reconciler.core.findings import Severity
from reconciler.core.keys import KeySpec, RemoteKey, Source, UnmanagedRule
from reconciler.core.plan import plan_account
from reconciler.core.policy import Judged, judge_plan
from reconciler.core.rules import Check, Policy, Rule, WaiverRule
from reconciler.core.subjects import Subject
from reconciler.core.templates import read_template

UNTIL = date(2026, 11, 30)
MIDNIGHT = datetime.fromisoformat("2026-12-01T00:00:00Z")
PLACE = Source("policy.yaml", 4, 5)
TEMPORARY = 'key.label.startsWith("tmp-")'
TICKETED = 'key.annotations.ticket == ""'
"""What has no value for a key without that annotation."""
MEND = "mend the rule, or what it reads of the key"


def built_in(name: str, check: Check | None = None, **fields: Any) -> Rule:
    """A rule that no key may hold ``*``, unless another check is given."""
    return replace(Rule(name, Severity.DENY, check or NoWildcard()), **fields)


def when(name: str, expression: str, message: str | None = None, **fields: Any) -> Rule:
    template = None if message is None else read_template(message)
    return built_in(name, compile_expression(expression), message=template, **fields)


def waiver(rule: str, **fields: Any) -> WaiverRule:
    return replace(WaiverRule(rule, UNTIL, "team-sec", "INC-204", source=PLACE), **fields)


def policy(*rules: Rule, waivers: tuple[WaiverRule, ...] = ()) -> Policy:
    return Policy(tuple(sorted(rules, key=lambda each: each.id)), waivers)


def subject(label: str, *texts: str, at: tuple[str, ...] = (OFFICE,), **fields: Any) -> Subject:
    """A key of no file, unless a spec is given."""
    managed = "spec" in fields
    return replace(Subject(NOW, ACCOUNT, label, scopes(*texts), networks(*at), managed), **fields)


def judge(
    rules: Policy, specs: tuple[KeySpec, ...], keys: tuple[RemoteKey, ...], unmanaged: UnmanagedRule | None = None
) -> Judged:
    wanted = desired(*specs, unmanaged=unmanaged)
    return judge_plan(rules, wanted, plan_account(wanted, keys, NOW), NOW)
