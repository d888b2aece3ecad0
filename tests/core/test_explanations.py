"""Why a key is as it is: what asks for it, what it may do, what rules say, what would be done and why not."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, SUB_ACCOUNT, desired, remote, spec
from core.rulebook import MEND, built_in, policy, waiver, when
from reconciler.core.answers import ExplainedRule, ExplainedScope, Explaining, Explanation, explain
from reconciler.core.builtins import DuplicateLabel, IdenticalAccess, UnmanagedKey
from reconciler.core.findings import Severity, Waiver
from reconciler.core.guardrails import Refusal
from reconciler.core.judging import Verdict
from reconciler.core.keys import (
    DesiredAccount,
    KeySpec,
    KeyState,
    Pause,
    RemoteKey,
    Role,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.core.plan import plan_account
from reconciler.core.policy import judge_actual, judge_plan
from reconciler.core.rules import Match, Policy

OFF = KeyState.QUARANTINED
GONE = KeyState.ABSENT
FENCING = UnmanagedRule(then=UnmanagedAction.QUARANTINE)
SHOP_ALONE = "messages:send for shop.example.com alone"
NO_RULES = Policy()
RULES = policy(
    built_in("no-wildcard"),
    when("about-changes", 'change.direction == "widen"', "{key.name} widens", severity=Severity.WARN),
    when("elsewhere", 'key.label == "x"', "never", match=Match(account="9*")),
    when("tickets", 'key.annotations["ticket"] != ""', "{key.label} has a ticket", hint="close it"),
    waivers=(waiver("no-wildcard", key="ops"),),
)
ROLE = Role("sender", ("messages:send:{domain}", "suppressions:read"), "roles.yaml")


def explained(
    account: DesiredAccount,
    keys: tuple[RemoteKey, ...],
    which: str,
    rules: Policy = NO_RULES,
    **fields: Any,
) -> tuple[Explanation, ...]:
    plan = plan_account(account, keys, NOW)
    return explain(account, plan, which, replace(Explaining(rules, (), (), NOW), **fields))


def only(found: tuple[Explanation, ...]) -> Explanation:
    (explanation,) = found
    return explanation


@pytest.mark.parametrize("which", ["shop", "1", "Shop"])
def test_a_key_is_found_by_name_id_and_label(which: str) -> None:
    """Whatever a person knows of a key finds it; what is like nothing finds nothing."""
    account = desired(spec("shop", SHOP, label="Shop"))
    keys = (remote("1", "Shop", SHOP), remote("2", "other", SHOP))
    told = only(explained(account, keys, which))
    assert (told.subject.name, told.subject.id, told.subject.label) == ("shop", "1", "Shop")
    assert (told.account, told.account_name, told.change, told.refusals) == (ACCOUNT, None, None, ())
    assert explained(account, keys, "shopp") == ()


def test_every_key_of_that_name_is_explained() -> None:
    """A desired key comes first, then actual ones that bear the label; a key is not explained twice."""
    account = desired(spec("shop", SHOP, label="a"), spec("twin", SHOP, label="shop"))
    keys = (remote("1", "shop", SHOP), remote("2", "a", SHOP), remote("3", "shop", SHOP))
    found = explained(account, keys, "shop")
    assert [(each.subject.name, each.subject.id, each.subject.managed) for each in found] == [
        ("shop", "2", True),
        ("twin", None, True),
        (None, "1", True),
        (None, "3", True),
    ]


def test_an_unmanaged_key_is_explained_as_it_is() -> None:
    """A key of no file has scopes that nobody asks for, and no change."""
    told = only(explained(desired(), (remote("1", "stray", SHOP),), "stray"))
    assert (told.subject.name, told.subject.managed, told.subject.actual, told.change) == (None, False, True, None)
    assert told.scopes == (ExplainedScope(SHOP, (), listed=False, held=True, covered_by=(), covers=SHOP_ALONE),)


@pytest.mark.parametrize("keys", [(), (remote("1", "old", SHOP),)])
def test_a_key_that_is_to_go_is_explained(keys: tuple[RemoteKey, ...]) -> None:
    """A key that the files want gone is found, whether or not the account has it."""
    told = only(explained(desired(spec("old", state=GONE)), keys, "old"))
    assert told.subject.spec is not None
    assert told.subject.spec.state is GONE
    assert (told.subject.remote, told.change is None) == (keys[0] if keys else None, not keys)


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        (spec("a", SHOP, label="A"), "1"),
        (spec("a", SHOP), "does not exist yet"),
        (spec("a", SHOP, state=OFF), "there is none"),
        (spec("a", SHOP, state=OFF, id="9"), "there is none"),
        (spec("a", state=GONE), "there is none"),
        (spec("a", SHOP, label="twin"), "cannot be told: 2 keys could be meant, 2, 3: pin the id"),
        (spec("a", label="twin", state=GONE), "cannot be told: 2 keys could be meant, 2, 3: pin the id"),
        (
            spec("a", SHOP, id="9"),
            "cannot be told: the account has no key with the pinned id 9: correct the id, or remove it to match by "
            "label",
        ),
    ],
)
def test_which_key_it_is(wanted: KeySpec, known: str) -> None:
    """A key is known by its id; where it has none that is because it is to be made, is gone, or cannot be told."""
    keys = (remote("1", "A", SHOP), remote("2", "twin", SHOP), remote("3", "twin", SHOP))
    told = only(explained(desired(wanted), keys, "a"))
    assert told.known == known
    assert (told.subject.remote is None) is (known != "1")


def test_who_gives_a_scope_and_what_covers_it() -> None:
    """Each scope tells its roles, whether the file lists it itself, whether the account has it, and its reach."""
    wanted = spec(
        "shop",
        "messages:send:all",
        SHOP,
        "suppressions:read",
        "domains:read",
        roles=("sender",),
        domains=("shop.example.com",),
    )
    keys = (remote("1", "shop", SHOP, "domains:read", "*", "new:unknown"),)
    other = Role("other", ("suppressions:read",), "roles.yaml")
    told = only(explained(desired(wanted), keys, "shop", roles=(other, ROLE)))
    assert told.roles == (ROLE,)
    everything, static = "everything, also what is added later", "just this"
    every_domain, unknown = "messages:send for every domain of the account", "what this version does not know"
    assert told.scopes == (
        ExplainedScope("*", (), listed=False, held=True, covered_by=(), covers=everything),
        ExplainedScope("domains:read", (), listed=True, held=True, covered_by=("*",), covers=static),
        ExplainedScope("messages:send:all", (), listed=True, held=False, covered_by=("*",), covers=every_domain),
        ExplainedScope(
            SHOP, ("sender",), listed=False, held=True, covered_by=("*", "messages:send:all"), covers=SHOP_ALONE
        ),
        ExplainedScope("new:unknown", (), listed=False, held=True, covered_by=("*",), covers=unknown),
        ExplainedScope("suppressions:read", ("sender",), listed=False, held=False, covered_by=("*",), covers=static),
    )


def test_scopes_that_a_file_leaves_open() -> None:
    """Where the file says no scopes, only those of the account are told."""
    wanted = replace(spec("shop", state=OFF), scopes=None)
    assert [each.held for each in only(explained(desired(wanted), (remote("1", "shop", SHOP),), "shop")).scopes] == [
        True
    ]


def test_what_every_rule_says() -> None:
    """Each rule has its verdict, those about other keys and about changes too; what is waived says by whom."""
    account = desired(spec("ops", "*"), spec("told", SHOP, annotations=(("ticket", "T-1"),)))
    keys = (remote("1", "ops", SHOP), remote("2", "told", SHOP), remote("3", "stray", "*"))
    ops, told, stray = (only(explained(account, keys, which, RULES)).rules for which in ("ops", "told", "stray"))
    assert [(each.rule, each.verdict) for each in ops] == [
        ("about-changes", Verdict.BROKEN),
        ("elsewhere", Verdict.OTHER_KEYS),
        ("no-wildcard", Verdict.BROKEN),
        ("tickets", Verdict.FAILED),
    ]
    assert [each.message for each in ops[:3]] == ["ops widens", "", "ops holds * and may do everything"]
    assert ops[2].waived == Waiver("2026-11-30", "team-sec", "INC-204")
    assert [each.verdict for each in told] == [
        Verdict.NO_CHANGE,
        Verdict.OTHER_KEYS,
        Verdict.KEPT,
        Verdict.BROKEN,
    ]
    assert told[3] == ExplainedRule(
        "tickets", Severity.DENY, Verdict.BROKEN, "told has a ticket", "close it", RULES.rules[3].source, None
    )
    assert (stray[2].verdict, stray[2].waived) == (Verdict.BROKEN, None)


def test_a_rule_about_all_keys_sees_the_others() -> None:
    """A key is judged beside the keys that there will be, and not beside itself."""
    twins = policy(built_in("twins", DuplicateLabel(), severity=Severity.WARN))
    account = desired(spec("one", SHOP, id="1", label="twin"), spec("two", SHOP, id="2", label="twin"))
    keys = (remote("1", "twin", SHOP), remote("2", "a", SHOP), remote("3", "stray", SHOP), remote("4", "stray", NEWS))
    (judged,) = only(explained(account, keys, "one", twins)).rules
    assert judged.message == "one has the same label as two"
    (judged,) = only(explained(account, keys, "3", twins)).rules
    assert judged.message == "unmanaged key 'stray' has the same label as key 4"
    assert only(explained(desired(spec("one", SHOP)), keys[:1], "one", twins)).rules[0].verdict is Verdict.KEPT


def test_the_change_of_a_key() -> None:
    """A key has its own change: by its name, by its id where no file names it, and no other's."""
    paused = Pause("move", date(2027, 1, 1))
    account = desired(spec("a", SHOP, paused=paused), spec("new", SHOP), unmanaged=FENCING)
    keys = (remote("1", "a", NEWS), remote("2", "b", "domains:read"))
    change = only(explained(account, keys, "a")).change
    assert change is not None
    assert (change.name, change.reason) == ("a", "paused until 2027-01-01: move")
    assert only(explained(account, keys, "b")).change is None
    created = only(explained(account, keys, "new")).change
    assert created is not None
    assert created.action == "create"
    fence = only(explained(desired(spec("a", NEWS), unmanaged=FENCING), keys, "b")).change
    assert fence is not None
    assert (fence.key_id, fence.action) == ("2", "quarantine")


@pytest.mark.parametrize(
    ("refusal", "below", "above"),
    [
        (Refusal("hold", "m"), True, True),
        (Refusal("max-changes", "m", SUB_ACCOUNT), True, False),
        (Refusal("max-changes", "m", ACCOUNT), False, True),
        (Refusal("max-changes", "m", ACCOUNT, of_family=True), True, False),
        (Refusal("max-changes", "m", replace(ACCOUNT, account_id="x"), of_family=True), False, False),
        (Refusal("max-changes", "m", replace(SUB_ACCOUNT, sub_account_id="x")), False, False),
        (Refusal("restore", "m", SUB_ACCOUNT, "1"), True, False),
        (Refusal("restore", "m", SUB_ACCOUNT, "2"), False, False),
        (Refusal("restore", "m", ACCOUNT, "1"), False, True),
    ],
)
def test_which_refusals_concern_a_key(refusal: Refusal, below: bool, above: bool) -> None:
    """Those about the key itself, its account, all sub accounts of which its own is one, or the whole run."""
    for account, concerned in ((SUB_ACCOUNT, below), (ACCOUNT, above)):
        wanted = desired(spec("shop", SHOP), account=account)
        told = only(explained(wanted, (remote("1", "shop", SHOP),), "shop", refusals=(refusal,)))
        assert told.refusals == ((refusal,) if concerned else ())


# What rules say

TO_GO = policy(
    when("fencing", 'change.action == "quarantine"', "{key.label} is to be {key.state}", hint="give it a name"),
    when("granting", 'change.direction == "widen"', "never"),
    when("private", "size(key.ip_allow_list) == 1", "{key.ip_allow_list}", severity=Severity.NOTE),
    when("elsewhere", 'change.action == "quarantine"', "never", match=Match(account="9*")),
    when("named", 'change.action == "quarantine"', "never", match=Match(managed=True)),
)


def rules_of(told: Explanation) -> list[tuple[str, Verdict, str]]:
    return [(each.rule, each.verdict, each.message) for each in told.rules]


def test_a_key_that_is_to_be_fenced() -> None:
    """A rule about changes is asked about a key of no file as it will be; all others judge it as it is."""
    account = desired(spec("a", SHOP), unmanaged=FENCING)
    keys = (remote("1", "a", SHOP), remote("2", "stray", "domains:read"), remote("3", "sender", SHOP))
    assert rules_of(only(explained(account, keys, "stray", TO_GO))) == [
        ("elsewhere", Verdict.OTHER_KEYS, ""),
        ("fencing", Verdict.BROKEN, "stray is to be quarantined"),
        ("granting", Verdict.KEPT, ""),
        ("named", Verdict.OTHER_KEYS, ""),
        ("private", Verdict.BROKEN, OFFICE),
    ]
    assert rules_of(only(explained(account, keys, "sender", TO_GO))) == [
        ("elsewhere", Verdict.OTHER_KEYS, ""),
        ("fencing", Verdict.NO_CHANGE, ""),
        ("granting", Verdict.NO_CHANGE, ""),
        ("named", Verdict.OTHER_KEYS, ""),
        ("private", Verdict.BROKEN, OFFICE),
    ]


def test_a_waiver_for_a_key_that_is_to_be_fenced() -> None:
    """A finding about its change is waived as any other."""
    rules = policy(*TO_GO.rules, waivers=(waiver("fencing", label="str*"),))
    keys = (remote("1", "a", SHOP), remote("2", "stray", "domains:read"))
    told = only(explained(desired(spec("a", SHOP), unmanaged=FENCING), keys, "stray", rules))
    assert {each.rule: each.waived for each in told.rules if each.waived} == {
        "fencing": Waiver("2026-11-30", "team-sec", "INC-204")
    }
    assert told.change is not None
    assert told.change.action == "quarantine"


def test_what_there_is_stands_beside_what_there_is() -> None:
    """An actual key is judged beside the other actual ones, a desired one beside what there will be."""
    same = policy(built_in("same", IdenticalAccess(), severity=Severity.NOTE))
    wanted = spec("a", SHOP)
    account, stray = desired(wanted), remote("2", "stray", SHOP)
    alike = "may do the same from the same networks as"

    def told(held: str, which: str, keys: tuple[RemoteKey, ...] = ()) -> list[tuple[str, Verdict, str]]:
        return rules_of(only(explained(account, (remote("1", "a", held), stray, *keys), which, same)))

    assert told(NEWS, "a") == [("same", Verdict.BROKEN, f"a {alike} key 2")]
    assert told(NEWS, "stray") == [("same", Verdict.KEPT, "")]
    assert told(SHOP, "stray") == [("same", Verdict.BROKEN, f"unmanaged key 'stray' {alike} a")]
    account = desired(spec("a", NEWS))
    assert told(SHOP, "a") == [("same", Verdict.KEPT, "")]
    assert told(SHOP, "stray") == [("same", Verdict.BROKEN, f"unmanaged key 'stray' {alike} a")]
    account = desired(spec("twin", NEWS), wanted)
    twins = (remote("3", "twin", SHOP), remote("4", "twin", SHOP, at=(FENCE,)))
    assert told(NEWS, "3", twins) == [("same", Verdict.BROKEN, f"'twin' {alike} key 2")]
    assert told(NEWS, "a", twins) == [("same", Verdict.BROKEN, f"a {alike} key 2, key 3")]


def test_a_rule_that_cannot_be_evaluated() -> None:
    """Its hint is to mend the rule, whatever the rule says what to do where it is broken."""
    account = desired(spec("told", SHOP, annotations=(("ticket", "T-1"),)), spec("untold", SHOP))
    keys = (remote("1", "told", SHOP), remote("2", "untold", SHOP))
    hints = [only(explained(account, keys, which, RULES)).rules[3].hint for which in ("told", "untold")]
    assert hints == ["close it", MEND]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [(spec("old", state=GONE), 0), (spec("old", state=OFF), 4), (spec("old", SHOP), 4)],
)
def test_what_will_not_be_is_not_judged(wanted: KeySpec, count: int) -> None:
    """A key that is to be gone, and is not there, breaks and keeps no rule; one that is to be made is judged."""
    assert len(only(explained(desired(wanted), (), "old", RULES)).rules) == count


def test_a_key_that_is_to_go_is_judged_while_it_is_there() -> None:
    """As long as the account has it, a key that the files want gone is judged as it is."""
    told = only(explained(desired(spec("old", state=GONE)), (remote("1", "old", "*"),), "old", RULES))
    assert [(each.rule, each.verdict) for each in told.rules[:3]] == [
        ("about-changes", Verdict.NO_CHANGE),
        ("elsewhere", Verdict.OTHER_KEYS),
        ("no-wildcard", Verdict.BROKEN),
    ]


EVERYTHING = policy(
    built_in("alike", IdenticalAccess(), severity=Severity.NOTE),
    built_in("labels", DuplicateLabel(), severity=Severity.WARN),
    built_in("strays", UnmanagedKey(), severity=Severity.WARN, fences=True),
    *RULES.rules,
    *TO_GO.rules[1:],
    waivers=RULES.waivers,
)


SAID = ("no-wildcard", "private", "tickets")


def broken(told: Iterable[Explanation]) -> set[tuple[str, str | None, str]]:
    bad = (Verdict.BROKEN, Verdict.FAILED)
    return {(rule.rule, each.subject.id, rule.message) for each in told for rule in each.rules if rule.verdict in bad}


def test_it_says_what_a_pass_and_an_audit_say() -> None:
    """What is explained of a desired key is what a pass finds, of any other key what an audit finds."""
    wanted = (spec("fenced", NEWS, state=OFF), spec("new", SHOP), spec("ops", "*"), spec("shop", SHOP, NEWS))
    account = desired(*wanted, spec("twin", "domains:read"))
    keys = (
        remote("1", "fenced", NEWS, "domains:read"),
        remote("2", "ops", SHOP),
        remote("3", "shop", SHOP),
        remote("4", "stray", "*", at=()),
        remote("5", "stray", SHOP, NEWS),
        remote("6", "twin", "*"),
        remote("7", "twin", "domains:read"),
    )
    plan = plan_account(account, keys, NOW)
    judged = judge_plan(EVERYTHING, account, plan, NOW)
    explaining = Explaining(EVERYTHING, (), (), NOW)
    names = ("fenced", "new", "ops", "shop", "twin")
    passed = {(each.rule, each.key_id, each.message) for each in judged.findings if each.key is not None}
    told = [each for name in names for each in explain(account, judged.plan, name, explaining)]
    assert broken(each for each in told if each.subject.name is not None) == passed
    assert {"about-changes", "alike", "fencing", "granting", "named", *SAID} <= {rule for rule, _, _ in passed}
    audited = {
        (each.rule, each.key_id, each.message)
        for each in judge_actual(EVERYTHING, account, plan, NOW)
        if each.key is None
    }
    told = [each for key in "4567" for each in explain(account, judged.plan, key, explaining)]
    assert broken(told) == audited
    assert {"labels", "strays", *SAID} <= {rule for rule, _, _ in audited}
