"""What rules say of a key that is explained: as a pass would judge a desired key, and an audit any other."""

from collections.abc import Iterable

import pytest

from builders import FENCE, NEWS, NOW, OFFICE, SHOP, desired, remote, spec
from core.explaining import FENCING, RULES, explained, only, rules_of
from core.rulebook import MEND, built_in, policy, waiver, when
from reconciler.core.answers import ExplainedRule, Explaining, Explanation, explain
from reconciler.core.builtins import DuplicateLabel, IdenticalAccess, UnmanagedKey
from reconciler.core.findings import Severity, Waiver
from reconciler.core.judging import Verdict
from reconciler.core.keys import KeySpec, KeyState, RemoteKey
from reconciler.core.plan import plan_account
from reconciler.core.policy import judge_actual, judge_plan
from reconciler.core.rules import Match

OFF = KeyState.QUARANTINED
GONE = KeyState.ABSENT


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


TO_GO = policy(
    when("fencing", 'change.action == "quarantine"', "{key.label} is to be {key.state}", hint="give it a name"),
    when("granting", 'change.direction == "widen"', "never"),
    when("private", "size(key.ip_allow_list) == 1", "{key.ip_allow_list}", severity=Severity.NOTE),
    when("elsewhere", 'change.action == "quarantine"', "never", match=Match(account="9*")),
    when("named", 'change.action == "quarantine"', "never", match=Match(managed=True)),
)


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
    assert rules_of(told)[2] == ("no-wildcard", Verdict.BROKEN, "old holds * and may do everything")


def test_a_change_that_deletes_is_a_change() -> None:
    """A rule about changes says of a key that is to be deleted what a pass finds."""
    rules = policy(when("deletes", 'change.action == "delete" && key.managed', "{key.name} goes"))
    told = only(explained(desired(spec("old", state=GONE)), (remote("1", "old", "*"),), "old", rules))
    assert rules_of(told) == [("deletes", Verdict.BROKEN, "old goes")]


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
