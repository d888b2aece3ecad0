"""Rules with ``then: quarantine``: which keys of no file they switch off, and which they leave alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, SHOP, plan, remote, spec, whole
from core.rulebook import MEND, PLACE, TICKETED, built_in, judge, policy, waiver, when
from reconciler.core.builtins import UnusedFor
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import Consent, approve
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.policy import Judged
from reconciler.core.rules import Match, WaiverRule

UNUSED = built_in("unused", UnusedFor(timedelta(days=180)), fences=True, severity=Severity.WARN, source=PLACE)
SHOP_SPEC, SHOP_KEY = spec("shop", SHOP), remote("1", "shop", SHOP)
STRAY = remote("8", "stray", "domains:read")


def fenced(judged: Judged) -> list[str | None]:
    return [change.key_id for change in judged.plan.changes if change.name is None]


@pytest.mark.parametrize(
    ("stray", "unmanaged", "off"),
    [
        (STRAY, UnmanagedRule(), True),
        (STRAY, UnmanagedRule(then=UnmanagedAction.IGNORE), True),
        (replace(STRAY, last_used_at=NOW - timedelta(days=180)), UnmanagedRule(), True),
        (replace(STRAY, last_used_at=NOW - timedelta(days=180, microseconds=-1)), UnmanagedRule(), False),
        (STRAY, UnmanagedRule(min_age=timedelta(days=365)), True),
        (STRAY, UnmanagedRule(min_age=timedelta(days=365, microseconds=1)), False),
        (STRAY, UnmanagedRule(exceptions=("st?ay",)), False),
        (STRAY, UnmanagedRule(exceptions=("stay",)), True),
        (remote("8", "stray", SHOP), UnmanagedRule(), False),
        (remote("8", "stray", SHOP), UnmanagedRule(include_senders=True), True),
        (remote("8", "stray", SHOP, "domains:read"), UnmanagedRule(), True),
        (remote("8", "stray", "*", at=(FENCE,)), UnmanagedRule(), False),
    ],
)
def test_which_keys_a_rule_switches_off(stray: RemoteKey, unmanaged: UnmanagedRule, off: bool) -> None:
    """A key of no file that breaks the rule is switched off, unless it is exempt: too young, excepted, a sender's."""
    judged = judge(policy(UNUSED), (SHOP_SPEC,), (SHOP_KEY, stray), unmanaged)
    assert fenced(judged) == (["8"] if off else [])
    unused = [finding.key_id for finding in judged.findings if finding.key is None]
    assert unused == (["8"] if off else [])


def test_how_a_rule_switches_off() -> None:
    """The fence is planned like one of the files', with the rule's place, and found as the rule says."""
    judged = judge(policy(UNUSED), (), (STRAY,))
    (change,) = judged.plan.changes
    by_files = plan((), (STRAY,), unmanaged=UnmanagedRule(then=UnmanagedAction.QUARANTINE, source=PLACE))
    assert judged.plan == by_files
    assert (change.source, change.action.value, change.outcome.value) == (PLACE, "quarantine", "planned")
    message = "unmanaged key 'stray' was made 365 days ago and never used"
    assert judged.findings == (Finding("unused", Severity.WARN, message, "", ACCOUNT, None, "8", "stray", None),)


def test_a_rule_without_then_switches_nothing_off() -> None:
    """Without `then` the rule says nothing of keys of no file in a plan; with it, it finds desired keys as well."""
    mild = judge(policy(replace(UNUSED, fences=False)), (SHOP_SPEC,), (SHOP_KEY, STRAY))
    assert (fenced(mild), [finding.key for finding in mild.findings]) == ([], ["shop"])
    strict = judge(policy(UNUSED), (SHOP_SPEC,), (SHOP_KEY, STRAY))
    assert (fenced(strict), [finding.key_id for finding in strict.findings]) == (["8"], ["1", "8"])


def test_a_rule_switches_off_only_what_it_is_about() -> None:
    """Its match narrows the keys that it switches off."""
    keys = (STRAY, remote("9", "tmp-1", "domains:read"))
    narrowed = replace(UNUSED, match=Match(label="tmp-*"))
    assert fenced(judge(policy(narrowed, built_in("no-wildcard")), (), keys)) == ["9"]


@pytest.mark.parametrize(
    ("waivers", "off"),
    [
        ((waiver("unused", key="8"),), ["9"]),
        ((waiver("unused", label="st*"),), ["9"]),
        ((waiver("unused", label="*"),), []),
        ((waiver("other", label="*"),), ["8", "9"]),
        ((waiver("unused", key="8", until=NOW.date() - timedelta(days=1)),), ["8", "9"]),
        ((waiver("unused", key="8", until=NOW.date()),), ["9"]),
    ],
)
def test_a_waived_key_is_not_switched_off(waivers: tuple[WaiverRule, ...], off: list[str]) -> None:
    """A waiver in force keeps its own keys from being switched off, and is shown with the finding."""
    judged = judge(policy(UNUSED, waivers=waivers), (), (STRAY, remote("9", "tmp-1", "domains:read")))
    assert fenced(judged) == off
    assert [finding.key_id for finding in judged.findings if finding.waived is None] == off
    assert len(judged.findings) == 2
    assert judged.plan.unmanaged_acts is bool(off)


def test_a_rule_that_fails_switches_nothing_off() -> None:
    """A rule that cannot be evaluated is a deny of the key, and no reason to switch it off."""
    failing = when("ticketed", TICKETED, "no ticket", fences=True)
    judged = judge(policy(failing), (), (STRAY,))
    assert [(finding.key_id, finding.severity, finding.hint) for finding in judged.findings] == [
        ("8", Severity.DENY, MEND)
    ]
    assert fenced(judged) == []
    assert judged.plan.unmanaged_acts is False
    both = judge(policy(failing, UNUSED), (), (STRAY,))
    assert (fenced(both), len(both.findings)) == (["8"], 2)


@pytest.mark.parametrize(
    "unmatched", [spec("gone", NEWS), spec("gone", NEWS, id="7"), spec("twin", "*")], ids=["missing", "pinned", "twins"]
)
@pytest.mark.parametrize("then", [UnmanagedAction.REPORT, UnmanagedAction.QUARANTINE])
def test_rules_wait_until_every_desired_key_is_matched(unmatched: KeySpec, then: UnmanagedAction) -> None:
    """While one of the unmanaged keys may be a desired one none is switched off; the finding stands, the note once."""
    keys = (SHOP_KEY, STRAY, remote("2", "twin", SHOP), remote("3", "twin", SHOP))
    judged = judge(policy(UNUSED), (SHOP_SPEC, unmatched), keys, UnmanagedRule(then=then))
    assert fenced(judged) == []
    assert "8" in [finding.key_id for finding in judged.findings]
    assert [remark.message for remark in judged.plan.remarks if remark.rule == "unmanaged-waits"] == [
        f"unmanaged keys are left alone while {unmatched.name} is not matched: one of them may be it"
    ]


@pytest.mark.parametrize("state", [KeyState.QUARANTINED, KeyState.ABSENT])
def test_rules_do_not_wait_for_what_is_as_wanted(state: KeyState) -> None:
    """A desired key that shall not be usable, and is not there, keeps nothing from being switched off."""
    assert fenced(judge(policy(UNUSED), (spec("gone", NEWS, state=state),), (STRAY,))) == ["8"]


def test_nothing_waits_where_nothing_is_to_be_switched_off() -> None:
    """A rule that no unmanaged key breaks says nothing about waiting."""
    used = replace(STRAY, last_used_at=NOW)
    assert judge(policy(UNUSED), (spec("gone", NEWS),), (used,)).plan.remarks == ()


def test_a_key_is_switched_off_once() -> None:
    """What the files switch off already, or two rules do, is one change; the findings of each rule are told."""
    quarantine = UnmanagedRule(then=UnmanagedAction.QUARANTINE, source=Source("keys.yaml", 9, 1))
    judged = judge(policy(UNUSED), (), (STRAY,), quarantine)
    assert [(change.key_id, change.source) for change in judged.plan.changes] == [("8", quarantine.source)]
    other = when("odd", "true", "odd", fences=True, source=Source("policy.yaml", 9, 5))
    judged = judge(policy(UNUSED, other), (), (STRAY,))
    assert fenced(judged) == ["8"]
    assert [finding.rule for finding in judged.findings] == ["unused", "odd"]
    judged = judge(policy(replace(UNUSED, source=None), replace(other, source=None)), (), (STRAY,))
    assert (fenced(judged), len(judged.findings)) == (["8"], 2)


def test_fences_of_rules_stand_in_the_order_of_the_plan() -> None:
    """Whichever rule asks for it, a fence has its place in the stable order of changes."""
    early = when("a", 'key.label == "zeta"', "z", fences=True, source=Source("policy.yaml", 1, 5))
    keys = (remote("7", "zeta", "domains:read", last_used_at=NOW), remote("8", "beta", "domains:read"), SHOP_KEY)
    judged = judge(policy(early, UNUSED), (spec("shop", NEWS),), keys)
    assert [(change.label, change.source) for change in judged.plan.changes] == [
        ("shop", SHOP_SPEC.source),
        ("beta", PLACE),
        ("zeta", early.source),
    ]


def test_reserved_keys_are_not_switched_off() -> None:
    """A key that bears the label of a desired one is none of the unmanaged, and no rule switches it off."""
    judged = judge(policy(UNUSED), (spec("shop", SHOP, id="1"),), (SHOP_KEY, remote("2", "shop", "domains:read")))
    assert fenced(judged) == []
    assert [finding.key_id for finding in judged.findings] == ["1"]


def test_guardrails_judge_what_rules_switch_off() -> None:
    """Fences of rules count as those of the files do, and need a desired key as they do."""
    keys = (remote("7", "a", "domains:read"), remote("8", "b", "domains:read"))
    nobody = approve(whole(judge(policy(UNUSED), (), keys).plan), Consent(), NOW)
    assert [(refusal.guardrail, refusal.limit, refusal.actual) for refusal in nobody.refusals] == [
        ("max-switched-off", 1, 2),
        ("empty-desired", None, None),
    ]
    one = approve(whole(judge(policy(UNUSED), (SHOP_SPEC,), (SHOP_KEY, STRAY)).plan), Consent(), NOW)
    assert (one.refusals, [change.outcome.value for change in one.plan.changes]) == ((), ["planned"])
