"""Rules and waivers as values: which keys they are about, and until when."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest

from builders import ACCOUNT, NOW, SUB_ACCOUNT, remote, spec
from core.rulebook import MIDNIGHT, UNTIL, built_in, policy, subject, waiver, when
from reconciler.core.builtins import DuplicateLabel
from reconciler.core.findings import Waiver
from reconciler.core.keys import AccountRef
from reconciler.core.rules import Match, Rule, WaiverRule, end_of
from reconciler.core.subjects import Subject

MOMENT = timedelta(microseconds=1)
EAST = timezone(timedelta(hours=2))
OWNED = spec("shop", id="7", owner="team-growth", annotations=(("tier", "gold"), ("region", "eu")))
LETTERS = AccountRef("abcdef00-0000-4000-8000-000000000000", "fedcba00-0000-4000-8000-000000000000")
SHOP_KEY = subject("Shop", spec=OWNED, remote=remote("7", "Shop"))
STRAY = subject("tmp-1", remote=remote("8", "tmp-1"))
R = built_in("r")


@pytest.mark.parametrize(
    ("until", "end"),
    [
        (date(2026, 11, 23), datetime(2026, 11, 24, tzinfo=UTC)),
        (date(2026, 12, 31), datetime(2027, 1, 1, tzinfo=UTC)),
        (date(2028, 2, 28), datetime(2028, 2, 29, tzinfo=UTC)),
        (date.min, datetime(1, 1, 2, tzinfo=UTC)),
        (date.max - timedelta(days=1), datetime(9999, 12, 31, tzinfo=UTC)),
        (date.max, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_the_end_of_a_day(until: date, end: datetime) -> None:
    """What holds until a day ends at 24:00 UTC of it, or with the last moment that there is."""
    assert end_of(until) == end
    assert waiver("r", until=until).end == end


@pytest.mark.parametrize(
    ("match", "account", "name", "taken"),
    [
        (Match(), ACCOUNT, None, True),
        (Match(), SUB_ACCOUNT, "Acme", True),
        (Match(account=ACCOUNT.account_id), ACCOUNT, None, True),
        (Match(account=ACCOUNT.account_id), SUB_ACCOUNT, "Acme", True),
        (Match(account="1111*"), ACCOUNT, None, True),
        (Match(account="ABCDEF*"), LETTERS, None, True),
        (Match(account="2222*"), ACCOUNT, None, False),
        (Match(account="2222*"), SUB_ACCOUNT, "Acme", False),
        (Match(sub_account="*"), ACCOUNT, None, False),
        (Match(sub_account="*"), SUB_ACCOUNT, None, True),
        (Match(sub_account="2222*"), SUB_ACCOUNT, None, True),
        (Match(sub_account="FEDCBA*"), LETTERS, None, True),
        (Match(sub_account="Acme ?"), SUB_ACCOUNT, "Acme 1", True),
        (Match(sub_account="ACME ?"), SUB_ACCOUNT, "Acme 1", False),
        (Match(sub_account="Acme ?"), SUB_ACCOUNT, "Acme 12", False),
        (Match(sub_account="Acme ?"), SUB_ACCOUNT, None, False),
        (Match(account="2222*", sub_account="*"), SUB_ACCOUNT, "Acme", False),
        (Match(account="1111*", sub_account="*"), SUB_ACCOUNT, "Acme", True),
    ],
)
def test_which_accounts_a_rule_is_about(match: Match, account: AccountRef, name: str | None, taken: bool) -> None:
    """An account is known by its id, a sub account by its id or its name, and no account is a sub account.

    Ids are alike in whatever case they are written, names are not.
    """
    assert match.takes_account(account, name) is taken


@pytest.mark.parametrize(
    ("match", "of_a_file", "of_none"),
    [
        (Match(), True, True),
        (Match(managed=True), True, False),
        (Match(managed=False), False, True),
        (Match(owner="team-*"), True, False),
        (Match(owner="team-grow"), False, False),
        (Match(owner="*"), True, False),
        (Match(owner=""), False, False),
        (Match(owner="?*"), True, False),
        (Match(label="Shop"), True, False),
        (Match(label="shop"), False, False),
        (Match(label="tmp-?"), False, True),
        (Match(label="tmp-[1]"), False, False),
        (Match(annotations=(("tier", "*"),)), True, False),
        (Match(annotations=(("tier", "silver"),)), False, False),
        (Match(annotations=(("tier", "g*"), ("region", "eu"))), True, False),
        (Match(annotations=(("tier", "g*"), ("region", "us"))), False, False),
        (Match(annotations=(("ticket", "*"),)), False, False),
        (Match(owner="team-*", label="tmp-*"), False, False),
        (Match(owner="team-*", label="S*", managed=True, annotations=(("tier", "gold"),)), True, False),
    ],
)
def test_which_keys_a_rule_is_about(match: Match, of_a_file: bool, of_none: bool) -> None:
    """A rule is about the keys for which all holds that its match says; brackets are text, no owner is like none."""
    assert match.takes(SHOP_KEY) is of_a_file
    assert match.takes(STRAY) is of_none


@pytest.mark.parametrize(
    ("rule", "about_changes"),
    [
        (when("r", 'change.direction == "widen"'), True),
        (when("r", 'key.managed && "*" in change.granted'), True),
        (when("r", '"*" in key.scopes'), False),
        (built_in("r"), False),
        (built_in("r", DuplicateLabel()), False),
    ],
)
def test_which_rules_are_about_changes(rule: Rule, about_changes: bool) -> None:
    """A rule that reads what a change does is about changes, every other one about keys."""
    assert rule.about_changes is about_changes


@pytest.mark.parametrize(
    ("fields", "of_a_file", "of_none"),
    [
        ({"key": "shop"}, True, False),
        ({"key": "7"}, True, False),
        ({"key": "8"}, False, True),
        ({"key": "Shop"}, False, False),
        ({"key": "sh*"}, False, False),
        ({"label": "Shop"}, True, False),
        ({"label": "shop"}, False, False),
        ({"label": "tmp-*"}, False, True),
        ({"label": "*"}, True, True),
        ({"label": "*", "account": ACCOUNT.account_id}, True, True),
        ({"label": "*", "account": "1111*"}, True, True),
        ({"label": "*", "account": "2222*"}, False, False),
        ({"key": "shop", "label": "tmp-*"}, False, False),
        ({"key": "shop", "account": "2222*"}, False, False),
    ],
)
def test_which_keys_a_waiver_is_for(fields: dict[str, Any], of_a_file: bool, of_none: bool) -> None:
    """A waiver is for one key by its exact name or id, or for labels like a pattern, in one account or in any."""
    assert waiver("r", **fields).takes(SHOP_KEY) is of_a_file
    assert waiver("r", **fields).takes(STRAY) is of_none


def test_a_waiver_for_an_account_in_capitals() -> None:
    """The id of an account is the same in whatever case a waiver has it."""
    assert waiver("r", label="*", account="ABCDEF*").takes(subject("a", account=LETTERS))
    assert not waiver("r", label="*", account="ABCDEE*").takes(subject("a", account=LETTERS))


def test_a_waiver_for_keys_that_do_not_exist_yet() -> None:
    """Without an actual key the id that the file pins counts; a key with neither is known by its name and label."""
    pinned, unpinned = subject("shop", spec=OWNED), subject("shop", spec=spec("shop"))
    assert [waiver("r", key="7").takes(one) for one in (pinned, unpinned)] == [True, False]
    assert [waiver("r", key="shop").takes(one) for one in (pinned, unpinned)] == [True, True]
    assert [waiver("r", label="sho?").takes(one) for one in (pinned, unpinned)] == [True, True]


def test_what_a_waiver_is_called() -> None:
    """A waiver is told by its rule and by what it is for."""
    assert str(waiver("no-wildcard", key="break-glass")) == "the waiver of no-wildcard for break-glass"
    assert str(waiver("no-wildcard", label="tmp-*")) == "the waiver of no-wildcard for labels like 'tmp-*'"


def judged_at(now: datetime) -> Subject:
    return subject("tmp-1", now=now)


@pytest.mark.parametrize(
    ("now", "in_force"),
    [
        (NOW - timedelta(days=365), True),
        (datetime(2026, 11, 30, tzinfo=UTC), True),
        (MIDNIGHT - MOMENT, True),
        (MIDNIGHT, False),
        (MIDNIGHT + timedelta(days=365), False),
        ((MIDNIGHT - MOMENT).astimezone(EAST), True),
        (MIDNIGHT.astimezone(EAST), False),
        (datetime(2026, 12, 1, 1, tzinfo=EAST), True),
    ],
)
def test_a_waiver_holds_to_the_end_of_its_last_day(now: datetime, in_force: bool) -> None:
    """It is in force up to 24:00 UTC of its last day, whatever the zone of the clock, and then counts as absent."""
    found = policy(waivers=(waiver("r", label="tmp-*"),)).waived(R, judged_at(now))
    assert found == (Waiver("2026-11-30", "team-sec", "INC-204") if in_force else None)


def test_a_waiver_is_of_one_rule() -> None:
    """A finding of another rule, or about another key, is not waived."""
    rules = policy(waivers=(waiver("r", label="tmp-*"), waiver("s", key="8")))
    book = tuple(built_in(name) for name in ("r", "s", "t"))
    waived = [(rule.id, one.label) for rule in book for one in (SHOP_KEY, STRAY) if rules.waived(rule, one)]
    assert waived == [("r", "tmp-1"), ("s", "tmp-1")]
    assert policy().waived(R, STRAY) is None


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_of_several_waivers_the_one_that_ends_last_counts(order: tuple[int, ...]) -> None:
    """Of those in force for a key the one that ends last is shown, in whatever order the files have them."""
    given = (
        waiver("r", label="*", until=UNTIL, owner="early"),
        waiver("r", label="tmp-*", until=UNTIL + timedelta(days=1), owner="late"),
        waiver("r", key="other", until=UNTIL + timedelta(days=2), owner="of another key"),
        waiver("s", label="*", until=UNTIL + timedelta(days=3), owner="of another rule"),
    )
    rules = policy(waivers=tuple(given[place] for place in order))
    assert owner_of(rules.waived(R, STRAY)) == "late"
    assert owner_of(rules.waived(R, SHOP_KEY)) == "early"
    assert owner_of(rules.waived(R, judged_at(MIDNIGHT))) == "late"
    assert rules.waived(R, judged_at(MIDNIGHT + timedelta(days=1))) is None


@pytest.mark.parametrize("owners", [*permutations(("team-a", "team-b", "team-c"))])
def test_of_waivers_that_end_together_always_the_same_counts(owners: tuple[str, ...]) -> None:
    """Which of several that end on one day is shown does not depend on the order of files."""
    given = (
        waiver("r", key="8", owner=owner) if owner == "team-a" else waiver("r", label="*", owner=owner)
        for owner in owners
    )
    assert owner_of(policy(waivers=tuple(given)).waived(R, STRAY)) == "team-c"


def owner_of(found: Waiver | None) -> str | None:
    return found.owner if found else None


# Several policies


def until(days: int, policy: int, **whose: str) -> WaiverRule:
    """A waiver of one of several policies, so many days longer than the others."""
    last = UNTIL + timedelta(days=days)
    return waiver("r", **{"label": "*", **whose}, until=last, owner=f"p{policy}+{days}", policy=policy)


@pytest.mark.parametrize(
    ("having", "given", "counts"),
    [
        ({0}, [until(0, 0)], "p0+0"),
        ({1}, [until(0, 1)], "p1+0"),
        ({0}, [until(0, 1)], None),
        ({0, 1}, [until(0, 0)], None),
        ({0, 1}, [until(0, 1)], None),
        ({0, 1}, [until(0, 0), until(0, 2)], None),
        ({0, 1}, [until(0, 0), until(0, 1, label="shop")], None),
        ({0, 1}, [until(0, 0), until(-30, 1)], None),
        ({0, 1}, [until(1, 0), until(0, 1)], "p1+0"),
        ({0, 1}, [until(0, 0), until(1, 1)], "p0+0"),
        ({0, 1}, [until(0, 0), until(9, 0, key="8"), until(5, 1)], "p1+5"),
        ({0, 1}, [until(0, 0), until(3, 0, key="8"), until(5, 1)], "p0+3"),
        ({0, 1}, [until(9, 0, key="other"), until(0, 0), until(5, 1)], "p0+0"),
        ({0, 1, 2}, [until(2, 0), until(1, 1)], None),
        ({0, 1, 2}, [until(2, 0), until(1, 1), until(3, 2)], "p1+1"),
    ],
)
def test_every_policy_that_has_a_rule_must_waive_it(
    having: set[int], given: list[WaiverRule], counts: str | None
) -> None:
    """It is waived where each of them waives it, until the first of those ends; in one policy the last counts."""
    shared = built_in("r", policies=frozenset(having))
    for order in permutations(given):
        assert owner_of(policy(waivers=order).waived(shared, STRAY)) == counts


def test_the_first_of_several_policies_ends_it() -> None:
    """From the end of the first waiver on the finding stands, however long the other policy waives it."""
    shared = built_in("r", policies=frozenset({0, 1}))
    rules = policy(waivers=(until(0, 0), until(9, 1)))
    assert rules.waived(shared, judged_at(MIDNIGHT - MOMENT)) == Waiver("2026-11-30", "p0+0", "INC-204")
    assert rules.waived(shared, judged_at(MIDNIGHT)) is None


def test_the_rules_for_an_account() -> None:
    """The rules for an account are those that are about it, in their order."""
    book = policy(
        built_in("a"),
        built_in("b", match=Match(sub_account="Acme")),
        built_in("c", match=Match(account="2222*")),
        built_in("d", match=Match(label="never")),
    )
    assert [rule.id for rule in book.rules_for(ACCOUNT, None)] == ["a", "d"]
    assert [rule.id for rule in book.rules_for(SUB_ACCOUNT, "Acme")] == ["a", "b", "d"]
