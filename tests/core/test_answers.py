"""Who can do something, by the files and in the account."""

from dataclasses import replace
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, OFFICE, SHOP, SUB_ACCOUNT, desired, remote, spec
from reconciler.core.answers import Hold, Holder, KeysIn, who_can
from reconciler.core.keys import KeySpec, KeyState, RemoteKey
from reconciler.core.scopes import parse_scope

SEND_SHOP = parse_scope(SHOP)
BY_SHOP = Hold((SHOP,), (OFFICE,))
OFF = KeyState.QUARANTINED
PRIVATE = "10.0.0.0/8"
UNREACHABLE = Hold((SHOP,), (PRIVATE,), reachable=False)


def holders(specs: tuple[KeySpec, ...], keys: tuple[RemoteKey, ...], wanted: str = SHOP) -> list[tuple[Any, ...]]:
    """Each key that can, with its name, label and id, and how the files and the account let it."""
    found = who_can([KeysIn(desired(*specs), keys)], parse_scope(wanted))
    return [(each.name, each.label, each.key_id, each.desired, each.actual) for each in found]


# Who can


def test_a_key_of_both_sides() -> None:
    """A key is told with its account, name, label, id and place, and both sides' word, as it is and as it should be."""
    below = replace(desired(spec("shop", SHOP, NEWS), account=SUB_ACCOUNT), name="Acme East")
    keys = (remote("1", "shop", "messages:send:all", at=()),)
    assert who_can([KeysIn(below, keys)], SEND_SHOP) == (
        Holder(
            SUB_ACCOUNT.account_id,
            SUB_ACCOUNT.sub_account_id,
            "Acme East",
            "shop",
            "shop",
            "1",
            below.keys[0].source,
            Hold((SHOP,), (OFFICE,)),
            Hold(("messages:send:all",), ()),
        ),
    )


@pytest.mark.parametrize(
    ("held", "by"),
    [
        (("*",), ("*",)),
        (("messages:send:all", SHOP, "domains:read"), ("messages:send:all", SHOP)),
        ((NEWS,), None),
        (("messages:read:all",), None),
    ],
)
def test_who_covers_it(held: tuple[str, ...], by: tuple[str, ...] | None) -> None:
    """Every scope that covers it is told; a key with none is not one of those who can."""
    told = [(None, "a", "1", None, Hold(by, (OFFICE,)))] if by else []
    assert holders((), (remote("1", "a", *held),)) == told


def test_only_one_side_says_so() -> None:
    """What is only wanted, only there, or in no file is told for the side that has it."""
    specs = (
        spec("gone", SHOP, state=KeyState.ABSENT),
        spec("new", SHOP),
        spec("old", NEWS),
        spec("pinned", SHOP, id="9"),
    )
    keys = (remote("1", "gone", SHOP), remote("2", "old", SHOP), remote("3", "stray", SHOP))
    assert holders(specs, keys) == [
        ("gone", "gone", "1", None, BY_SHOP),
        ("new", "new", None, BY_SHOP, None),
        ("old", "old", "2", None, BY_SHOP),
        ("pinned", "pinned", "9", BY_SHOP, None),
        (None, "stray", "3", None, BY_SHOP),
    ]


@pytest.mark.parametrize(
    ("wanted", "actual", "told"),
    [
        (spec("a", SHOP, state=OFF), remote("1", "a", SHOP), (Hold((SHOP,), (OFFICE,), switched_off=True), BY_SHOP)),
        (spec("a", SHOP), remote("1", "a", SHOP, at=(FENCE,)), (BY_SHOP, Hold((SHOP,), (FENCE,), switched_off=True))),
        (spec("a", SHOP), remote("1", "a", SHOP, at=(PRIVATE,)), (BY_SHOP, UNREACHABLE)),
        (spec("a", SHOP, at=(PRIVATE,)), remote("1", "a", SHOP), (UNREACHABLE, BY_SHOP)),
        (
            spec("a", SHOP, at=(PRIVATE,), state=OFF),
            remote("1", "a", SHOP, at=(PRIVATE, OFFICE)),
            (Hold((SHOP,), (PRIVATE,), switched_off=True), Hold((SHOP,), (PRIVATE, OFFICE))),
        ),
        (spec("a", SHOP, at=None), remote("1", "a", SHOP), (Hold((SHOP,), None), BY_SHOP)),
        (spec("a", SHOP, at=()), remote("1", "a", NEWS), (Hold((SHOP,), ()), None)),
        (replace(spec("a"), scopes=None), remote("1", "a", SHOP), (BY_SHOP, BY_SHOP)),
    ],
)
def test_from_where_and_whether_now(wanted: KeySpec, actual: RemoteKey, told: tuple[Hold | None, Hold | None]) -> None:
    """What is fenced is switched off, what nobody can reach says so, and what the file leaves open is the account's."""
    assert holders((wanted,), (actual,)) == [("a", "a", "1", *told)]


def test_scopes_that_nobody_says() -> None:
    """A quarantined key without scopes in the file, and without a key in the account, can do nothing."""
    assert holders((replace(spec("a", state=OFF), scopes=None),), ()) == []


def test_the_order_of_those_who_can() -> None:
    """Named keys come first, by name, then those of no file by label and id; accounts in their order."""
    keys = (remote("3", "b", SHOP), remote("1", "c", SHOP), remote("2", "b", SHOP), remote("4", "z", SHOP))
    assert [key_id for _, _, key_id, _, _ in holders((spec("z", SHOP),), keys)] == ["4", "2", "3", "1"]
    accounts = [KeysIn(desired(account=account), (remote("1", "a", SHOP),)) for account in (SUB_ACCOUNT, ACCOUNT)]
    assert [each.sub_account_id for each in who_can(accounts, SEND_SHOP)] == [SUB_ACCOUNT.sub_account_id, None]


def test_who_may_be_one_of_the_files() -> None:
    """An actual key without a name is marked where it may be a desired one, and stands among those of no file."""
    twins = remote("3", "twin", SHOP), remote("1", "twin", "*")
    keys = (*twins, remote("2", "stray", SHOP), remote("5", "zoo", SHOP), remote("6", "twin", NEWS))
    found = who_can([KeysIn(desired(spec("twin", NEWS)), keys)], SEND_SHOP)
    assert [(each.name, each.label, each.key_id, each.unclear) for each in found] == [
        (None, "stray", "2", False),
        (None, "twin", "1", True),
        (None, "twin", "3", True),
        (None, "zoo", "5", False),
    ]
    assert [(each.desired, each.source) for each in found] == [(None, None)] * 4


def test_a_key_that_bears_the_label_of_another() -> None:
    """A key with the label of one that is pinned to another id may be that one; the pinned one has a name."""
    keys = (remote("1", "a", SHOP), remote("2", "a", SHOP))
    found = who_can([KeysIn(desired(spec("a", SHOP, id="1")), keys)], SEND_SHOP)
    assert [(each.name, each.key_id, each.unclear) for each in found] == [("a", "1", False), (None, "2", True)]


def test_what_an_unclear_key_is_to_do() -> None:
    """A desired key that cannot be told from others is told with the files' word alone, and its id where it has one."""
    twins = remote("1", "a", SHOP), remote("2", "a", SHOP)
    assert holders((spec("a", SHOP),), twins)[0] == ("a", "a", None, BY_SHOP, None)
    assert holders((spec("a", SHOP, id="9"),), twins)[0] == ("a", "a", "9", BY_SHOP, None)
