"""What rules say of a plan and what that holds back, of the keys that there are, and of a single one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, SUB_ACCOUNT, desired, remote, spec
from core.rulebook import MEND, MIDNIGHT, PLACE, TEMPORARY, TICKETED, built_in, judge, policy, subject, waiver, when
from reconciler.core.builtins import DuplicateLabel, IdenticalAccess, RequireIpAllowList, UnusedFor
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.judging import Judgement, Verdict
from reconciler.core.keys import DesiredAccount, KeySpec, KeyState, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import plan_account
from reconciler.core.policy import deny, judge_actual, judge_plan, judgements_of
from reconciler.core.rules import Match, Rule

WAIVED = Waiver("2026-11-30", "team-sec", "INC-204")
UNUSED = built_in("unused", UnusedFor(timedelta(days=180)), fences=True, severity=Severity.WARN, source=PLACE)
SHOP_SPEC, SHOP_KEY = spec("shop", SHOP), remote("1", "shop", SHOP)
STRAY = remote("8", "stray", "domains:read")


def told(found: tuple[Finding, ...]) -> list[tuple[str, str | None, str]]:
    return [(finding.rule, finding.key or finding.key_id, finding.message) for finding in found]


def test_without_rules_nothing_is_judged() -> None:
    """No rules, or none for this account, leave the plan as it is and find nothing."""
    wanted = desired(spec("shop", "*"))
    made = plan_account(wanted, (SHOP_KEY, STRAY), NOW)
    elsewhere = policy(built_in("r", match=Match(account="2222*")), replace(UNUSED, match=Match(sub_account="*")))
    for rules in (policy(), elsewhere):
        judged = judge_plan(rules, wanted, made, NOW)
        assert judged.plan is made
        assert judged.findings == ()


def test_a_sub_account_is_known_by_its_name() -> None:
    """A rule for sub accounts of a name judges their keys, and those of no others."""
    rules = policy(built_in("r", match=Match(sub_account="Acme *")))
    wanted = replace(desired(spec("shop", "*"), account=SUB_ACCOUNT), name="Acme 1")
    made = plan_account(wanted, (SHOP_KEY,), NOW)
    assert [finding.account for finding in judge_plan(rules, wanted, made, NOW).findings] == [SUB_ACCOUNT]
    assert judge_plan(rules, replace(wanted, name="Bolt"), made, NOW).findings == ()


@pytest.mark.parametrize("severity", [*Severity])
def test_a_finding_tells_all_about_its_key(severity: Severity) -> None:
    """A finding has the rule's severity and hint, and the key's account, name, id, label and place."""
    rules = policy(built_in("no-wildcard", severity=severity, hint="list them"))
    wanted = spec("shop", "*", label="Shop", was=("shop",))
    assert judge(rules, (wanted,), (SHOP_KEY,)).findings == (
        Finding(
            "no-wildcard",
            severity,
            "shop holds * and may do everything",
            "list them",
            ACCOUNT,
            "shop",
            "1",
            "Shop",
            wanted.source,
        ),
    )


def test_a_rule_that_fails_is_a_deny() -> None:
    """A rule that cannot be evaluated counts as broken with deny, says so, and tells to mend it; it can be waived."""
    note = when("ticketed", TICKETED, "no ticket", severity=Severity.NOTE, hint="add one")
    (finding,) = judge(policy(note), (spec("shop", NEWS),), (SHOP_KEY,)).findings
    assert (finding.severity, finding.hint, finding.waived) == (Severity.DENY, MEND, None)
    assert finding.message == (
        'shop could not be judged, which counts as broken: Key not found in map : "ticket"; '
        'ask first whether it is there, as in "tier" in key.annotations && ...'
    )
    (finding,) = judge(policy(note, waivers=(waiver("ticketed", key="shop"),)), (SHOP_SPEC,), (SHOP_KEY,)).findings
    assert (finding.severity, finding.waived) == (Severity.DENY, WAIVED)


@pytest.mark.parametrize(
    ("wanted", "actual", "found"),
    [
        (spec("shop", "*"), remote("1", "shop", SHOP), True),
        (spec("shop", SHOP), remote("1", "shop", "*"), False),
        (spec("shop", "*"), remote("1", "shop", "*"), True),
        (spec("shop", "*"), None, True),
        (spec("shop", "*", id="9"), None, True),
        (spec("shop", "*", state=KeyState.QUARANTINED), remote("1", "shop", "*"), True),
        (spec("shop", "*", state=KeyState.ABSENT), remote("1", "shop", "*"), False),
        (spec("shop", scopes=None, state=KeyState.QUARANTINED), remote("1", "shop", "*"), True),
        (spec("shop", scopes=None, state=KeyState.QUARANTINED), None, False),
    ],
)
def test_a_key_is_judged_as_it_will_be(wanted: KeySpec, actual: RemoteKey | None, found: bool) -> None:
    """What the file asks for is judged, also of a key that is not there yet; one that is to go is not judged."""
    judged = judge(policy(built_in("no-wildcard")), (wanted,), (actual,) if actual else ())
    assert [finding.key for finding in judged.findings] == (["shop"] if found else [])


@pytest.mark.parametrize(
    ("at", "before", "found"),
    [((), (OFFICE,), True), ((OFFICE,), (), False), (None, (), True), (None, (OFFICE,), False), (None, None, True)],
)
def test_networks_are_judged_as_they_will_be(
    at: tuple[str, ...] | None, before: tuple[str, ...] | None, found: bool
) -> None:
    """The list of the file is judged; where it leaves the list alone that of the account, of a new key anywhere."""
    keys = () if before is None else (remote("1", "shop", SHOP, at=before),)
    judged = judge(policy(built_in("listed", RequireIpAllowList())), (spec("shop", SHOP, at=at),), keys)
    assert bool(judged.findings) is found


@pytest.mark.parametrize(("state", "found"), [(KeyState.QUARANTINED, False), (KeyState.PRESENT, True)])
@pytest.mark.parametrize("keys", [(), (remote("1", "shop", SHOP, at=()),)])
def test_a_quarantined_key_will_be_switched_off(state: KeyState, found: bool, keys: tuple[RemoteKey, ...]) -> None:
    """A key that is to be quarantined is judged as nobody can use it, whatever list the file gives it."""
    judged = judge(policy(built_in("listed", RequireIpAllowList())), (spec("shop", SHOP, at=(), state=state),), keys)
    assert bool(judged.findings) is found


def test_a_deny_holds_back_what_it_is_about() -> None:
    """A rule's deny holds back the change of the key that breaks it; its warning, or a waived deny, does not."""
    specs = (spec("a", "*"), spec("b", NEWS), spec("c", "*"))
    keys = tuple(remote(label, label, SHOP) for label in "abc")
    strict = policy(built_in("no-wildcard"), waivers=(waiver("no-wildcard", key="c"),))
    judged = judge(strict, specs, keys)
    assert [
        (change.name, change.outcome.value, change.reason) for change in deny(judged.plan, judged.findings).changes
    ] == [
        ("a", "denied", "no-wildcard: a holds * and may do everything"),
        ("b", "planned", None),
        ("c", "planned", None),
    ]
    mild = judge(policy(built_in("no-wildcard", severity=Severity.WARN)), specs, keys)
    assert {change.outcome.value for change in deny(mild.plan, mild.findings).changes} == {"planned"}


def test_a_waiver_removes_exactly_its_own_findings() -> None:
    """Of two rules and two keys a waiver waives the one finding it is for, and after its end none."""
    rules = (built_in("a"), when("b", TEMPORARY))
    specs = tuple(spec(name, "*", label=f"tmp-{name}") for name in ("one", "two"))
    wanted = desired(*specs)
    made = plan_account(wanted, (), NOW)
    lenient = policy(*rules, waivers=(waiver("b", key="two"),))
    found = judge_plan(lenient, wanted, made, NOW).findings
    assert [(each.rule, each.key, each.waived) for each in found] == [
        ("a", "one", None),
        ("b", "one", None),
        ("a", "two", None),
        ("b", "two", WAIVED),
    ]
    strict = judge_plan(policy(*rules), wanted, made, NOW).findings
    assert tuple(replace(each, waived=None) for each in found) == strict
    assert judge_plan(lenient, wanted, made, MIDNIGHT).findings == strict


def test_what_a_change_does_is_judged() -> None:
    """A rule about changes is asked of keys that are to be changed: here of one that gains, not of one that stays."""
    grants = when("grants", 'change.direction in ["widen", "mixed"]', "{key.name} gains {change.granted}")
    specs = (spec("a", SHOP, NEWS), spec("b", SHOP), spec("c", SHOP))
    keys = (remote("1", "a", SHOP), remote("2", "b", SHOP), remote("3", "c", SHOP, NEWS))
    assert told(judge(policy(grants), specs, keys).findings) == [("grants", "a", f"a gains {NEWS}")]


def test_switching_off_an_unmanaged_key_is_judged() -> None:
    """A rule about changes is asked of keys of no file that are to be switched off, as they will be."""
    fences = when(
        "fences",
        'change.action == "quarantine" && !key.managed',
        "{key.label} {key.scopes} {key.state} {key.ip_allow_list}",
    )
    quarantine = UnmanagedRule(then=UnmanagedAction.QUARANTINE)
    rules = policy(fences, built_in("no-wildcard"))
    (finding,) = judge(rules, (), (remote("8", "stray", "*"),), quarantine).findings
    assert finding == Finding(
        "fences", Severity.DENY, f"stray * quarantined {FENCE}", "", ACCOUNT, None, "8", "stray", None
    )
    assert judge(rules, (), (remote("8", "stray", "*"),)).findings == ()
    by_rule = judge(policy(fences, UNUSED), (), (STRAY,)).findings
    assert [finding.rule for finding in by_rule] == ["fences", "unused"]


GONE = spec("gone", NEWS, label="Gone", was=("old",), state=KeyState.ABSENT, owner="team-a")


def test_the_end_of_a_key_is_judged() -> None:
    """A rule about changes is asked of a key that is to go, with what it may do until then and what a file says."""
    goes = when(
        "goes",
        'change.action == "delete" && key.state == "absent"',
        "{key.name} of {key.owner}: {key.managed} {key.scopes} {key.state} {change.direction} {change.revoked}",
    )
    about_keys = (built_in("no-wildcard"), when("state", 'key.state == "absent"', "never asked"))
    found = judge(policy(goes, *about_keys), (GONE, SHOP_SPEC), (remote("1", "old", "*"), remote("2", "shop", SHOP)))
    message = f"gone of team-a: true * absent narrow *, {OFFICE}"
    assert found.findings == (Finding("goes", Severity.DENY, message, "", ACCOUNT, "gone", "1", "old", GONE.source),)
    (change,) = deny(found.plan, found.findings).changes
    assert (change.action.value, change.outcome.value) == ("delete", "skipped")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, True),
        ({"match": Match(managed=True)}, True),
        ({"match": Match(managed=False)}, False),
        ({"match": Match(owner="team-*")}, True),
        ({"match": Match(owner="dept-*")}, False),
    ],
)
def test_which_keys_that_are_to_go_are_judged(fields: dict[str, Any], found: bool) -> None:
    """A rule about changes is about keys that are to go as about others; one that is gone is not judged."""
    rules = policy(when("goes", 'change.action == "delete"', "{key.name}", **fields))
    assert told(judge(rules, (GONE,), (remote("1", "old", NEWS),)).findings) == (
        [("goes", "gone", "gone")] if found else []
    )
    assert told(judge(rules, (GONE,), (remote("1", "old", NEWS, at=(FENCE,)),)).findings) == (
        [("goes", "gone", "gone")] if found else []
    )
    assert judge(rules, (GONE,), ()).findings == ()


def test_the_end_of_a_key_may_be_waived() -> None:
    """A waiver by the name of a key that is to go is in force, as for any other key."""
    rules = policy(when("goes", 'change.action == "delete"', "m"), waivers=(waiver("goes", key="gone"),))
    assert [each.waived for each in judge(rules, (GONE,), (remote("1", "old", NEWS),)).findings] == [WAIVED]


@pytest.mark.parametrize(
    ("wanted", "key", "title"),
    [
        (desired(unmanaged=UnmanagedRule(then=UnmanagedAction.QUARANTINE)), STRAY, "unmanaged key 8"),
        (desired(GONE), remote("1", "old", NEWS), "gone"),
    ],
)
def test_an_end_without_a_key_is_a_bug(wanted: DesiredAccount, key: RemoteKey, title: str) -> None:
    """A change that ends the use of a key, but does not know the key, is never judged in silence."""
    made = plan_account(wanted, (key,), NOW)
    broken = replace(made, changes=tuple(replace(change, before=None) for change in made.changes))
    rules = policy(when("r", 'change.action == "create"'))
    with pytest.raises(RuntimeError, match=rf"^the change of {title} has no key$"):
        judge_plan(rules, wanted, broken, NOW)


def test_a_label_cannot_pass_for_a_line() -> None:
    """Whatever a label, or what a file says of a key, holds stays on the line of its message."""
    rules = policy(when("r", 'key.label != ""', "{key.label} is wrong, {key.annotations}"))
    wanted = spec("shop", SHOP, label="a\n  b\x1b[31m\u202e", annotations=(("why", "c\r\nd"),))
    assert told(judge(rules, (wanted,), ()).findings) == [
        ("r", "shop", "a\\n  b\\x1b[31m\\u202e is wrong, why: c\\r\\nd"),
    ]


def test_desired_keys_are_compared_with_unmanaged_ones() -> None:
    """Rules over all keys of an account see the unmanaged ones, too, and tell of the desired ones alone."""
    same = policy(built_in("identical", IdenticalAccess()), built_in("label", DuplicateLabel()))
    specs = (spec("a", SHOP), spec("b", NEWS), spec("c", "domains:read", label="B", was=("c",)))
    keys = (remote("1", "a", SHOP), remote("2", "b", SHOP), STRAY)
    assert told(judge(same, specs, keys).findings) == [
        ("identical", "c", "c may do the same from the same networks as key 8")
    ]


def test_desired_keys_are_compared_with_keys_that_may_be_theirs() -> None:
    """A key that bears the label of a desired one but is another stands beside it, too, and is not judged itself."""
    labels = policy(built_in("label", DuplicateLabel()), built_in("no-wildcard"))
    judged = judge(labels, (spec("shop", SHOP, id="1"),), (SHOP_KEY, remote("2", "shop", "*")))
    assert told(judged.findings) == [("label", "shop", "shop has the same label as key 2")]


# Audits and single keys


def test_an_audit_judges_keys_as_they_are() -> None:
    """Every actual key is judged by what it has, with what the files say of it, also one that is to change."""
    rules = policy(
        built_in("no-wildcard"),
        when("grants", "size(change.granted) > 0", "never"),
        when("owned", 'key.owner == ""', "{key.label} has no owner", match=Match(managed=True)),
        waivers=(waiver("no-wildcard", key="8"),),
    )
    wanted = desired(spec("shop", SHOP, label="Shop", was=("shop",)), spec("new", "*"), spec("pinned", NEWS, id="2"))
    keys = (remote("1", "shop", "*"), remote("2", "new"), remote("3", "pinned", "*"), remote("8", "stray", "*"))
    found = judge_actual(rules, wanted, plan_account(wanted, keys, NOW), NOW)
    assert [(each.rule, each.key, each.key_id, each.label, each.waived) for each in found] == [
        ("no-wildcard", "shop", "1", "shop", None),
        ("owned", "shop", "1", "shop", None),
        ("owned", "pinned", "2", "new", None),
        ("no-wildcard", None, "3", "pinned", None),
        ("owned", None, "3", "pinned", None),
        ("no-wildcard", None, "8", "stray", WAIVED),
    ]
    assert [each.message for each in found if each.key is None and each.rule == "no-wildcard"] == [
        "'pinned' holds * and may do everything",
        "unmanaged key 'stray' holds * and may do everything",
    ]


def test_an_audit_judges_by_the_rules_of_the_account() -> None:
    """A rule for another account says nothing in an audit, and a failing one is a deny there, too."""
    wanted = desired()
    made = plan_account(wanted, (STRAY,), NOW)
    elsewhere = built_in("r", IdenticalAccess(), match=Match(account="2222*"))
    failing = when("ticketed", TICKETED, "no ticket", severity=Severity.NOTE)
    (finding,) = judge_actual(policy(elsewhere, failing), wanted, made, NOW)
    assert (finding.rule, finding.severity, finding.hint) == ("ticketed", Severity.DENY, MEND)


def test_an_audit_does_not_switch_off() -> None:
    """A rule that would switch a key off only tells of it in an audit, and of those that are exempt as well."""
    wanted = desired(unmanaged=UnmanagedRule(exceptions=("stray",)))
    found = judge_actual(policy(UNUSED), wanted, plan_account(wanted, (STRAY,), NOW), NOW)
    assert [(finding.rule, finding.key_id) for finding in found] == [("unused", "8")]


def test_every_verdict_of_one_key() -> None:
    """All rules of the policy are told of a key, its waivers where it breaks one, rules of other accounts last."""
    rules = policy(
        built_in("a-elsewhere", match=Match(account="2222*")),
        built_in("b-broken"),
        when("c-failed", TICKETED),
        when("d-kept", TEMPORARY),
        built_in("e-others", match=Match(managed=True)),
        built_in("f-twin", DuplicateLabel()),
        waivers=tuple(waiver(rule, label="*") for rule in ("a-elsewhere", "b-broken", "d-kept", "e-others")),
    )
    one, twin = subject("shop", "*"), subject("shop", remote=SHOP_KEY)
    judged = [*judgements_of(rules, desired(), one, (twin,))]
    assert [(each.rule.id, each.verdict, found) for each, found in judged] == [
        ("b-broken", Verdict.BROKEN, WAIVED),
        ("c-failed", Verdict.FAILED, None),
        ("d-kept", Verdict.KEPT, None),
        ("e-others", Verdict.OTHER_KEYS, None),
        ("f-twin", Verdict.BROKEN, None),
        ("a-elsewhere", Verdict.OTHER_KEYS, None),
    ]
    assert judged[4][0] == Judgement(
        rules.rules[5], one, Verdict.BROKEN, "unmanaged key 'shop' has the same label as key 1"
    )
    of_a_sub_account = replace(desired(account=SUB_ACCOUNT), name="Acme")
    named: Rule = built_in("r", match=Match(sub_account="Acme"))
    assert [each.verdict for each, _ in judgements_of(policy(named), of_a_sub_account, one, ())] == [Verdict.BROKEN]
