"""Laws of judging: a stricter policy finds no less, a waiver waives its own findings alone, and order never matters."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from builders import ACCOUNT, NOW, SUB_ACCOUNT, desired
from laws.universe import DAY, TICK, law, like, remotes, specs
from reconciler.core.builtins import (
    CanManageKeys,
    DuplicateLabel,
    ForbiddenScopes,
    IdenticalAccess,
    LabelPattern,
    MaxScopes,
    NeverUsed,
    NoGlobalWhereDomainWouldDo,
    NoWildcard,
    OlderThan,
    RedundantScopes,
    RequireIpAllowList,
    RequireOwner,
    SeparateDuties,
    UnmanagedKey,
    UnreachableList,
    UnusedFor,
    WidestNetwork,
)
from reconciler.core.changes import Outcome
from reconciler.core.expressions import compile_expression
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import DesiredAccount, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.matching import Matched
from reconciler.core.plan import AccountPlan, plan_account
from reconciler.core.policy import Judged, deny, judge_actual, judge_plan
from reconciler.core.rules import Check, Match, Policy, Rule, WaiverRule
from reconciler.core.scopes import ScopePatterns

SENDING, READING, KEYS = (ScopePatterns((text,)) for text in ("messages:send:*", "messages:read:*", "api-keys:*"))
ALL = ScopePatterns((*SENDING.texts, *READING.texts, *KEYS.texts))
DUTIES = {"sending": SENDING, "keys": KEYS}

STRICTER: tuple[tuple[Check, Check], ...] = (
    (MaxScopes(3), MaxScopes(2)),
    (MaxScopes(1), MaxScopes(0)),
    (ForbiddenScopes(KEYS), ForbiddenScopes(ALL)),
    (RequireIpAllowList(SENDING), RequireIpAllowList(ALL)),
    (NoGlobalWhereDomainWouldDo(READING), NoGlobalWhereDomainWouldDo(ALL)),
    (SeparateDuties(DUTIES), SeparateDuties({**DUTIES, "reading": READING})),
    (SeparateDuties(DUTIES), SeparateDuties({**DUTIES, "keys": ALL})),
    (WidestNetwork(ipv4=29), WidestNetwork(ipv4=30)),
    (WidestNetwork(ipv6=64), WidestNetwork(ipv4=32, ipv6=65)),
    (LabelPattern(("a*", "l*")), LabelPattern(("a*",))),
    (RequireOwner(("team-a", "team-b")), RequireOwner(("team-b",))),
    (UnusedFor(60 * DAY), UnusedFor(30 * DAY)),
    (NeverUsed(30 * DAY), NeverUsed(1 * DAY)),
    (OlderThan(60 * DAY), OlderThan(30 * DAY)),
    (UnmanagedKey(("legacy *",)), UnmanagedKey()),
    (CanManageKeys(("a*",)), CanManageKeys()),
    (compile_expression('"*" in key.scopes'), compile_expression('"*" in key.scopes || key.owner == ""')),
    (compile_expression('key.annotations.tier == "1"'), compile_expression('key.annotations.tier != "3"')),
    (compile_expression('change.direction == "widen"'), compile_expression('change.direction != "none"')),
)
"""Checks, each with one that is stricter."""
OTHERS: tuple[Check, ...] = (
    *(NoWildcard(), RedundantScopes(), UnreachableList(), DuplicateLabel(), IdenticalAccess()),
    compile_expression('change.action == "quarantine"'),
)
CHECKS = (*OTHERS, *(check for pair in STRICTER for check in pair))
ABOUT_ALL = (DuplicateLabel, IdenticalAccess)

severities = st.sampled_from((Severity.DENY, Severity.DENY, Severity.WARN, Severity.NOTE))
matches = st.sampled_from(
    (
        *(Match(),) * 8,
        *(Match(owner="team-?"), Match(label="legacy *"), Match(managed=False), Match(managed=True)),
        *(Match(account="1111*"), Match(sub_account="*"), Match(annotations=(("tier", "*"),))),
    )
)
whose = st.sampled_from(
    [(key, None) for key in ("k0", "k1", "0", "1")] + [(None, like) for like in ("*", "*", "l*", "?")]
)
waivers = st.lists(
    st.builds(
        lambda rule, until, whose, account, policy: WaiverRule(
            rule, until, "team", "why", whose[0], whose[1], account, policy=policy
        ),
        st.sampled_from(("r0", "r1", "r2")),
        st.sampled_from([date(2026, 11, day) for day in (22, 23, 24, 24)]),
        whose,
        st.sampled_from((None, None, "1111*", "2*")),
        st.sampled_from((0, 0, 1)),
    ),
    min_size=2,
    max_size=5,
).map(tuple)


def may_fence(check: Check) -> bool:
    return not isinstance(check, ABOUT_ALL) and "change." not in getattr(check, "text", "")


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    each = draw(st.sampled_from(CHECKS))
    fences = may_fence(each) and draw(st.integers(0, 3)) == 0
    policies = draw(
        st.sampled_from((frozenset({0}), frozenset({0}), frozenset({0, 1})))
    )  # of which policies it is a rule
    return Rule("", draw(severities), each, match=draw(matches), fences=fences, hint="do", policies=policies)


def policy(named: Iterable[Rule], waived: Iterable[WaiverRule]) -> Policy:
    """Give a policy with these rules, and the waivers that are in a policy which has their rule."""
    rules = {f"r{place}": replace(rule, id=f"r{place}") for place, rule in enumerate(named)}
    return Policy(tuple(rules.values()), tuple(each for each in waived if each.policy in rules[each.rule].policies))


policies = st.builds(policy, st.lists(rules(), min_size=3, max_size=4), waivers)
unmanaged = st.sampled_from((UnmanagedRule(), UnmanagedRule(UnmanagedAction.QUARANTINE, include_senders=True)))
Scene = tuple[DesiredAccount, tuple[RemoteKey, ...]]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    wanted = draw(specs(2, 3)) if draw(st.integers(0, 3)) else ()
    here = draw(st.sampled_from((ACCOUNT, ACCOUNT, SUB_ACCOUNT)))
    return desired(*wanted, account=here, unmanaged=draw(unmanaged)), draw(remotes(2, 4))


def judged(policy: Policy, scene: Scene, now: datetime = NOW) -> Judged:
    return judge_plan(policy, scene[0], plan_account(*scene, now), now)


def audited(policy: Policy, scene: Scene, now: datetime = NOW) -> tuple[Finding, ...]:
    return judge_actual(policy, scene[0], plan_account(*scene, now), now)


# A stricter policy


def denied(findings: Iterable[Finding]) -> Counter[tuple[object, ...]]:
    """Count what is denied and stands, by rule and key."""
    return Counter(
        (each.rule, each.account, each.key, each.key_id)
        for each in findings
        if each.severity is Severity.DENY and each.waived is None
    )


def held_back(judged: Judged) -> set[str]:
    changes = deny(judged.plan, judged.findings).changes
    return {change.title for change in changes if change.outcome is Outcome.DENIED}


def more_serious(severity: Severity) -> Severity:
    return Severity.WARN if severity is Severity.NOTE else Severity.DENY


@st.composite
def tightened(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """A policy and one that is stricter in one thing."""
    loose = draw(policies)
    place = draw(st.integers(0, len(loose.rules) - 1))
    rule = loose.rules[place]
    match draw(st.sampled_from(("rule", "check", "severity", "match", "policies", "fences", "waiver", "end"))):
        case "rule":
            return loose, replace(loose, rules=(*loose.rules, replace(draw(rules()), id="r5")))
        case "waiver":
            return loose, replace(loose, waivers=loose.waivers[1:])
        case "end":
            sooner = (replace(each, until=each.until - DAY) for each in loose.waivers)
            return loose, replace(loose, waivers=tuple(sooner))
        case "check":
            lax, strict = draw(st.sampled_from(STRICTER))
            rule = replace(rule, check=lax, fences=rule.fences and may_fence(lax))
            stricter = replace(rule, check=strict)
        case "severity":
            stricter = replace(rule, severity=more_serious(rule.severity))
        case "match":
            stricter = replace(rule, match=Match())
        case "policies":
            stricter = replace(rule, policies=frozenset({0, 1}))
        case _:
            stricter = replace(rule, fences=may_fence(rule.check))
    one, other = ((*loose.rules[:place], each, *loose.rules[place + 1 :]) for each in (rule, stricter))
    return replace(loose, rules=one), replace(loose, rules=other)


@law
@given(tightened(), scenes())
def test_a_stricter_policy_denies_no_less(pair: tuple[Policy, Policy], scene: Scene) -> None:
    """What a policy denies a stricter one denies as well, in plans and in audits, and holds back as much."""
    loose, strict = pair
    before, after = judged(loose, scene), judged(strict, scene)
    assert denied(before.findings) <= denied(after.findings)
    assert held_back(before) <= held_back(after)
    assert denied(audited(loose, scene)) <= denied(audited(strict, scene))


# Waivers


MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


def waived_until(rules: Policy, scene: Scene, found: Finding, today: date) -> date | None:
    """Give until when a finding is accepted: each policy that has its rule must waive it, and may more than once."""
    matches = plan_account(*scene, NOW).matching.matches
    called = {each.remote.label for each in matches if isinstance(each, Matched) and each.spec.name == found.key}
    ends: defaultdict[int, list[date]] = defaultdict(list)
    for each in rules.waivers:
        if (
            each.rule == found.rule
            and today <= each.until
            and (each.key is None or each.key in (found.key, found.key_id))
            and (each.label is None or all(like(label, each.label) for label in {found.label or "", *called}))
            and (each.account is None or like(found.account.account_id if found.account else "", each.account))
        ):
            ends[each.policy].append(each.until)
    (rule,) = (rule for rule in rules.rules if rule.id == found.rule)
    return min(max(ends[number]) for number in rule.policies) if ends.keys() >= rule.policies else None


@law
@given(policies, scenes(), st.sampled_from((NOW, MIDNIGHT - TICK, MIDNIGHT)))
def test_a_waiver_waives_its_own_findings(rules: Policy, scene: Scene, now: datetime) -> None:
    """With waivers the same is found as without, and waived is what those in force are for, until they end."""
    steady = replace(rules, rules=tuple(replace(rule, fences=False) for rule in rules.rules))
    bare = replace(steady, waivers=())
    for found, without in (
        (audited(steady, scene, now), audited(bare, scene, now)),
        (judged(steady, scene, now).findings, judged(bare, scene, now).findings),
    ):
        assert tuple(replace(each, waived=None) for each in found) == without
        for each in found:
            until = waived_until(rules, scene, each, now.date())
            assert (each.waived.until if each.waived else None) == (until.isoformat() if until else None)


@law
@given(policies, scenes())
def test_what_is_waived_is_not_switched_off(rules: Policy, scene: Scene) -> None:
    """Rules switch off the unmanaged keys about which they have a finding that stands, and no others."""
    planned = plan_account(*scene, NOW)
    after = judged(rules, scene)
    fencing = {rule.id for rule in rules.rules if rule.fences}
    due = {
        each.key_id
        for each in after.findings
        if each.rule in fencing and each.key is None and not each.waived and "could not be judged" not in each.message
    }
    assert switched_off(after.plan) == switched_off(planned) | (set() if planned.waits else due)


def switched_off(plan: AccountPlan) -> set[str | None]:
    return {change.key_id for change in plan.changes if change.name is None}
