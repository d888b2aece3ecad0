"""What rules say of keys, asked one by one or many together."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, SHOP, SUB_ACCOUNT, only, plan, remote, spec
from core.rulebook import MEND, TEMPORARY, TICKETED, built_in, subject, when
from reconciler.core.builtins import DuplicateLabel, IdenticalAccess, MaxScopes
from reconciler.core.findings import Severity
from reconciler.core.judging import Bench, Judgement, Verdict
from reconciler.core.rules import Match, Rule
from reconciler.core.subjects import Subject

NO_TICKET = (
    '{} could not be judged, which counts as broken: Key not found in map : "ticket"; '
    'ask first whether it is there, as in "tier" in key.annotations && ...'
)
DUPLICATE = built_in("duplicate-label", DuplicateLabel())
IDENTICAL = built_in("identical-access", IdenticalAccess())
WIDENING = only(plan((spec("shop", SHOP, NEWS),), (remote("1", "shop", SHOP),)))


def told(rules: tuple[Rule, ...], *subjects: Subject, others: tuple[Subject, ...] = ()) -> list[tuple[str, str]]:
    return [(judged.rule.id, judged.message) for judged in Bench(rules, subjects, others).broken()]


def key(number: int, label: str = "twin", *texts: str, **fields: Any) -> Subject:
    return subject(label, *texts, remote=remote(str(number), label, *texts), **fields)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (built_in("r"), "unmanaged key 'tmp-1' holds * and may do everything"),
        (when("r", TEMPORARY), "unmanaged key 'tmp-1' breaks this rule"),
        (when("r", TEMPORARY, "{key.label} of {key.account}: {{why}}"), f"tmp-1 of {ACCOUNT.account_id}: {{why}}"),
        (
            replace(built_in("r"), message=when("r", "true", "{key.scopes} on {now}").message),
            "* on 2026-11-23 12:00 UTC",
        ),
        (when("r", "!(" + TEMPORARY + ")"), None),
        (built_in("r", MaxScopes(1)), None),
    ],
)
def test_what_is_told_of_a_broken_rule(rule: Rule, message: str | None) -> None:
    """A rule's own message is filled in; without one the check says what is wrong; of a rule that is kept, nothing."""
    one = subject("tmp-1", "*")
    expected = [] if message is None else [Judgement(rule, one, Verdict.BROKEN, message)]
    assert [*Bench([rule], [one]).broken()] == expected


def test_the_order_of_keys_is_kept() -> None:
    """What is told comes key by key, in the order in which they were given."""
    rules = (when("s", TEMPORARY), built_in("r"), when("t", "key.never_used"))
    found = Bench(rules, (subject("tmp-2", "*"), subject("shop"), subject("tmp-1"))).broken()
    assert [(judged.subject.label, judged.rule.id) for judged in found] == [
        ("tmp-2", "r"),
        ("tmp-2", "s"),
        ("tmp-2", "t"),
        ("shop", "t"),
        ("tmp-1", "s"),
        ("tmp-1", "t"),
    ]


def test_nothing_to_judge() -> None:
    """Without rules or without keys there is nothing to be said."""
    assert told((), subject("tmp-1", "*")) == []
    assert told((built_in("r"), when("s", "true"))) == []
    assert [*Bench((), (subject("a"),)).judgements()] == []


@pytest.mark.parametrize("label", ["tmp-old", "tmp-new", "shop-old", "shop-new"])
def test_expressions_are_asked_together_as_one_by_one(label: str) -> None:
    """Many expressions, asked together, say of a key what each of them says when it is asked alone."""
    rules = (
        when("a", TEMPORARY),
        when("b", 'key.label.endsWith("-old") // the old ones'),
        when("c", "key.managed"),
        when("d", 'key.label + "!" == "tmp-old!"'),
    )
    one = subject(label)
    alone = [each for rule in rules for each in told((rule,), one)]
    assert told(rules, one) == alone
    assert {rule for rule, _ in alone} == {
        "tmp-old": {"a", "b", "d"},
        "tmp-new": {"a"},
        "shop-old": {"b"},
        "shop-new": set(),
    }[label]


@pytest.mark.parametrize("beside", [(), (when("a", TEMPORARY), when("z", '"*" in key.scopes'))])
def test_a_rule_that_cannot_be_evaluated(beside: tuple[Rule, ...]) -> None:
    """It counts as broken and says so, for the keys where it fails; it keeps no other rule from being asked."""
    failing = when("m", TICKETED, "{key.label} has no ticket")
    tagged = subject("tmp-1", spec=spec("tagged", annotations=(("ticket", ""),)))
    kept = subject("shop", spec=spec("kept", annotations=(("ticket", "SEC-1"),)))
    found = [
        (judged.rule.id, judged.verdict, judged.message)
        for judged in Bench((*beside, failing), (subject("shop", "*"), tagged, kept)).broken()
        if judged.rule is failing
    ]
    assert found == [
        ("m", Verdict.FAILED, NO_TICKET.format("unmanaged key 'shop'")),
        ("m", Verdict.BROKEN, "tmp-1 has no ticket"),
    ]
    others = [each for each in told((*beside, failing), subject("tmp-1", "*")) if each[0] != "m"]
    assert others == [(rule.id, "unmanaged key 'tmp-1' breaks this rule") for rule in beside]


def test_too_much_text_fails_the_rules_that_would_copy_it() -> None:
    """A label that is too long to be put together with others fails that rule alone, asked together or not."""
    rules = (when("copies", 'key.label + "!" == "x"'), when("looks", 'key.label == "x"'), when("holds", "true"))
    long = subject("x" * 1025)
    assert [(judged.rule.id, judged.verdict) for judged in Bench(rules, (long,)).broken()] == [
        ("copies", Verdict.FAILED),
        ("holds", Verdict.BROKEN),
    ]
    fits = subject("x" * 1024)
    assert [judged.rule.id for judged in Bench(rules, (fits,)).broken()] == ["holds"]


@pytest.mark.parametrize("rule", [built_in("r"), when("r", '"*" in key.scopes'), when("r", TICKETED), DUPLICATE])
def test_a_match_narrows_every_kind_of_rule(rule: Rule) -> None:
    """A key that a rule is not about neither breaks it nor fails it, whatever the rule looks at."""
    pair = (key(1, "twin", "*"), key(2, "twin", "*"))
    assert len(told((rule,), *pair)) == 2
    assert told((replace(rule, match=Match(managed=True)),), *pair) == []
    assert len(told((replace(rule, match=Match(managed=True)), rule), *pair)) == 2


def test_a_rule_about_changes_needs_one() -> None:
    """What a change does is asked of keys that are to be changed, and of no others; alone or beside other rules."""
    rules = (when("grants", "size(change.granted) > 0", "{change.action} of {key.label}: {change.granted}"),)
    beside = (when("a", TEMPORARY), when("b", "key.managed"))
    changed = subject("shop", spec=spec("shop"), change=WIDENING)
    expected = ("grants", f"update of shop: {NEWS}")
    assert told(rules, changed, subject("shop")) == [expected]
    assert told((*rules, *beside), changed) == [("b", "shop breaks this rule"), expected]
    assert told((replace(rules[0], match=Match(managed=False)),), changed) == []


def test_a_rule_about_changes_may_fail() -> None:
    """A rule about changes that cannot be evaluated counts as broken, too."""
    rule = when("grants", 'change.granted[1] == "x"')
    (judged,) = Bench((rule,), (subject("shop", change=WIDENING),)).broken()
    assert (judged.verdict, judged.message) == (
        Verdict.FAILED,
        "unmanaged key 'shop' could not be judged, which counts as broken: Index error: index=1 size=1",
    )


def test_what_to_do() -> None:
    """A rule that is broken has its own hint; one that cannot be evaluated tells to mend it."""
    rules = (built_in("a", hint="list them"), when("b", TICKETED, hint="add a ticket"))
    assert [judged.hint for judged in Bench(rules, (subject("shop", "*"),)).broken()] == ["list them", MEND]


# Rules over all keys of an account


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (1, None),
        (2, "key 2"),
        (4, "key 2, key 3, key 4"),
        (5, "key 2, key 3, key 4 and 1 more"),
        (9, "key 2, key 3, key 4 and 5 more"),
    ],
)
def test_who_else_bears_a_label(count: int, named: str | None) -> None:
    """Each key of a group is told with the others of it, of which the first three are named."""
    found = told((DUPLICATE,), *(key(number) for number in range(1, count + 1)), key(99, "another"))
    assert len(found) == (count if named else 0)
    assert found[:1] == ([("duplicate-label", f"unmanaged key 'twin' has the same label as {named}")] if named else [])


def test_how_the_others_are_called() -> None:
    """Another key is called by its name, else by its id; one without either by what it is."""
    named = subject("twin", spec=spec("shop", id="1"))
    assert told((DUPLICATE,), named, key(2), subject("twin")) == [
        ("duplicate-label", "shop has the same label as key 2, unmanaged key 'twin'"),
        ("duplicate-label", "unmanaged key 'twin' has the same label as shop, unmanaged key 'twin'"),
        ("duplicate-label", "unmanaged key 'twin' has the same label as shop, key 2"),
    ]


def test_keys_that_only_stand_beside() -> None:
    """Keys beside those under judgement are compared with, and not judged themselves."""
    found = told((DUPLICATE, built_in("no-wildcard")), key(1), others=(key(2, "twin", "*"), key(3, "solo", "*")))
    assert found == [("duplicate-label", "unmanaged key 'twin' has the same label as key 2")]


def test_a_match_narrows_who_is_judged_and_not_with_whom() -> None:
    """A rule about some keys alone compares them with all keys of the account."""
    narrowed = replace(DUPLICATE, match=Match(managed=True))
    named = subject("twin", spec=spec("shop"))
    assert told((narrowed,), named, key(2)) == [("duplicate-label", "shop has the same label as key 2")]


def test_identical_access() -> None:
    """Keys are alike that do the same from the same networks; one that is switched off is like no other."""
    halves = ("203.0.113.0/25", "203.0.113.128/25")
    alike = (key(1, "a", "messages:send:all"), key(2, "b", "messages:send:all", SHOP, at=halves))
    different = (key(3, "c", SHOP), key(4, "d", "messages:send:all", at=()))
    off = (key(5, "e", SHOP, at=(FENCE,)), key(6, "f", SHOP, at=(FENCE,)))
    assert told((IDENTICAL,), *alike, *different, *off) == [
        ("identical-access", "unmanaged key 'a' may do the same from the same networks as key 2"),
        ("identical-access", "unmanaged key 'b' may do the same from the same networks as key 1"),
    ]


# Every verdict


def test_every_rule_says_something_of_every_key() -> None:
    """All rules are listed in their order, those that are kept or about something else with the reason."""
    rules = (
        built_in("broken"),
        when("failed", TICKETED),
        when("about-changes", 'change.direction == "widen"'),
        when("kept", TEMPORARY),
        built_in("of-others", match=Match(managed=True)),
        when("changes-of-others", 'change.direction == "widen"', match=Match(owner="team")),
        replace(IDENTICAL, severity=Severity.NOTE),
    )
    stray = subject("shop", "*")
    assert [(judged.rule, judged.verdict, judged.message) for judged in Bench(rules, (stray,)).judgements()] == [
        (rules[0], Verdict.BROKEN, "unmanaged key 'shop' holds * and may do everything"),
        (rules[1], Verdict.FAILED, NO_TICKET.format("unmanaged key 'shop'")),
        (rules[2], Verdict.NO_CHANGE, ""),
        (rules[3], Verdict.KEPT, ""),
        (rules[4], Verdict.OTHER_KEYS, ""),
        (rules[5], Verdict.OTHER_KEYS, ""),
        (rules[6], Verdict.KEPT, ""),
    ]
    changed = replace(stray, change=WIDENING)
    verdicts = {judged.rule.id: judged.verdict for judged in Bench(rules, (changed,)).judgements()}
    assert (verdicts["about-changes"], verdicts["changes-of-others"]) == (Verdict.BROKEN, Verdict.OTHER_KEYS)
    narrowing = only(plan((spec("shop", SHOP),), (remote("1", "shop", SHOP, NEWS),)))
    verdicts = {
        judged.rule.id: judged.verdict for judged in Bench(rules, (replace(stray, change=narrowing),)).judgements()
    }
    assert verdicts["about-changes"] is Verdict.KEPT


def test_verdicts_come_key_by_key() -> None:
    """Every key has the verdict of every rule; what one key breaks says nothing of the next."""
    rules = (built_in("a"), when("b", TEMPORARY))
    judged = Bench(rules, (subject("tmp-1"), subject("shop", "*"))).judgements()
    assert [(each.subject.label, each.rule.id, each.verdict.value) for each in judged] == [
        ("tmp-1", "a", "kept"),
        ("tmp-1", "b", "broken"),
        ("shop", "a", "broken"),
        ("shop", "b", "kept"),
    ]


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_the_order_of_rules_does_not_matter(order: tuple[int, ...]) -> None:
    """The same rules say the same of the same keys in whatever order they come."""
    rules = (built_in("a"), when("b", TEMPORARY), when("c", TICKETED), DUPLICATE)
    keys = (key(1, "tmp-1", "*"), key(2, "shop"), key(3, "shop"), key(4, "tmp-1"))
    expected = sorted(told(rules, *keys))
    assert len(expected) == 11
    assert sorted(told(tuple(rules[place] for place in order), *keys)) == expected
    assert {rule for rule, _ in told(rules, *(keys[place] for place in order))} == {rule for rule, _ in expected}


def test_sub_accounts_are_told_in_messages() -> None:
    """A message shows where a key is; an account's own key has no sub account."""
    rule = when("r", "true", "[{key.sub_account}]")
    below = replace(subject("a"), account=SUB_ACCOUNT)
    assert [message for _, message in told((rule,), subject("a"), below)] == ["[]", f"[{SUB_ACCOUNT.sub_account_id}]"]
