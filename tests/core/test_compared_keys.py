"""Keys compared with those of an earlier report: which appeared, which are gone, and what became of the others."""

import re
from dataclasses import replace
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, OFFICE, SHOP, SUB_ACCOUNT, below
from core.comparing import FAILED, OTHER, SUSPENDED, read, report
from reconciler.core.changes import AccessChange, Delta, Direction, Fields, ListDiff, TextDiff
from reconciler.core.comparison import check_lists, compared
from reconciler.core.inventory import KeyStanding, ReportedKey, ReportedPause
from reconciler.core.keys import AccountRef, Source
from reconciler.core.report import ChangedKey, KeyEvent, Report

EVERYWHERE: tuple[str, ...] = ()
HALVES = ("203.0.113.0/25", "203.0.113.128/25")


def key(key_id: str, *texts: str, at: tuple[str, ...] = (OFFICE,), label: str = "shop", **fields: Any) -> ReportedKey:
    """A key of an inventory, with its scopes and networks as they are given."""
    made = ReportedKey(key_id, label, KeyStanding.MANAGED, texts, at, "2025-11-23T12:00:00Z", None, "shop")
    return replace(made, **fields)


def keys_of(*keys: ReportedKey, account: AccountRef = ACCOUNT) -> Report:
    """A report of one account with these keys."""
    return report(accounts=(replace(read(account), inventory=keys),))


def changed(now: Report, before: Report) -> tuple[ChangedKey, ...]:
    since = compared(now, before).since
    assert since is not None
    return since.keys


def changed_only(now: ReportedKey, before: ReportedKey) -> ChangedKey:
    (only,) = changed(keys_of(now), keys_of(before))
    return only


def test_a_key_that_appeared() -> None:
    """A key that was not there grants all that it may do, from wherever it may; all its fields differ from nothing."""
    (told,) = changed(keys_of(key("1", SHOP), key("2", "*", at=EVERYWHERE, label="new")), keys_of(key("1", SHOP)))
    assert told == ChangedKey(
        KeyEvent.APPEARED,
        ACCOUNT.account_id,
        None,
        "2",
        "shop",
        "new",
        Fields(TextDiff(None, "new"), ListDiff(None, ("*",)), ListDiff(None, ())),
        AccessChange(Direction.WIDEN, Delta(("*",)), Delta(("anywhere",))),
    )


def test_a_key_that_is_gone() -> None:
    """A key that is not there any more takes along all that it could do; there are no fields of it left to differ."""
    (told,) = changed(keys_of(), keys_of(key("1", SHOP, name=None, label="old")))
    assert told == ChangedKey(
        KeyEvent.GONE,
        ACCOUNT.account_id,
        None,
        "1",
        None,
        "old",
        Fields(),
        AccessChange(Direction.NARROW, Delta((), (SHOP,)), Delta((), (OFFICE,))),
    )


def test_a_key_of_nothing() -> None:
    """Even a key without id, label and scopes, that nobody can use, appears and is gone."""
    nothing = keys_of(key("", at=(FENCE,), label=""))
    (appeared,), (gone,) = changed(nothing, keys_of()), changed(keys_of(), nothing)
    assert (appeared.what, gone.what) == (KeyEvent.APPEARED, KeyEvent.GONE)
    assert appeared.access == gone.access == AccessChange()


def test_a_key_that_changed() -> None:
    """A changed key is told with its present name and label, with the fields that differ, and what that changes."""
    before = key("1", SHOP, label="Shop", name="store")
    assert changed_only(key("1", NEWS, at=EVERYWHERE), before) == ChangedKey(
        KeyEvent.CHANGED,
        ACCOUNT.account_id,
        None,
        "1",
        "shop",
        "shop",
        Fields(TextDiff("Shop", "shop"), ListDiff((SHOP,), (NEWS,)), ListDiff((OFFICE,), ())),
        AccessChange(Direction.MIXED, Delta((NEWS,), (SHOP,)), Delta(("anywhere",))),
    )
    told = changed_only(key("1", SHOP, "domains:read"), key("1", SHOP))
    assert told.fields == Fields(scopes=ListDiff((SHOP,), ("domains:read", SHOP)))
    assert told.access == AccessChange(Direction.WIDEN, Delta(("domains:read",)))
    told = changed_only(key("1", SHOP, at=HALVES[:1]), key("1", SHOP))
    assert told.fields == Fields(ip_allow_list=ListDiff((OFFICE,), HALVES[:1]))
    assert told.access == AccessChange(Direction.NARROW, networks=Delta((), (OFFICE,)))


def test_only_a_label() -> None:
    """A key that is only called something else has changed, and grants and revokes nothing."""
    told = changed_only(key("1", "messages:send:all", SHOP, at=HALVES, label="Shop"), key("1", "messages:send:all"))
    assert (told.what, told.label) == (KeyEvent.CHANGED, "Shop")
    assert (told.fields, told.access) == (Fields(TextDiff("shop", "Shop")), AccessChange())


@pytest.mark.parametrize(
    ("at_first", "at_last", "delta"),
    [
        ((FENCE,), (OFFICE,), Delta((OFFICE,))),
        ((FENCE,), EVERYWHERE, Delta(("anywhere",))),
        ((OFFICE,), (FENCE,), Delta((), (OFFICE,))),
        (EVERYWHERE, (FENCE,), Delta((), ("anywhere",))),
        ((OFFICE, FENCE), (FENCE,), Delta((), (OFFICE,))),
        ((FENCE,), (OFFICE, FENCE), Delta((OFFICE,))),
    ],
)
def test_the_fence_reaches_nobody(at_first: tuple[str, ...], at_last: tuple[str, ...], delta: Delta) -> None:
    """To be fenced takes all networks away and grants none; to be let out again grants them and takes none away."""
    told = changed_only(key("1", SHOP, at=at_last), key("1", SHOP, at=at_first))
    assert told.access.networks == delta
    (appeared,) = changed(keys_of(key("1", SHOP, at=(FENCE,))), keys_of())
    assert appeared.access == AccessChange(Direction.WIDEN, Delta((SHOP,)))


@pytest.mark.parametrize(
    "same",
    [
        {"scopes": ("messages:send:Shop.Example.com.",)},
        {"scopes": (SHOP, SHOP)},
        {"ip_allow_list": HALVES},
        {"ip_allow_list": ("203.0.113.7/24", "203.0.113.9")},
        {"last_used_at": "2026-11-23T11:00:00Z", "created_at": "2020-01-01T00:00:00Z"},
        {"name": "store", "owner": "team-x", "standing": KeyStanding.UNCLEAR},
        {"paused": ReportedPause("2026-12-24", "INC-77"), "source": Source("keys.yaml", 1, 5)},
    ],
)
def test_what_changes_no_key(same: dict[str, Any]) -> None:
    """Another spelling, a use, and whatever only the files say of a key is no change of it."""
    assert changed(keys_of(replace(key("1", SHOP), **same)), keys_of(key("1", SHOP))) == ()
    assert changed(keys_of(key("1", SHOP)), keys_of(replace(key("1", SHOP), **same))) == ()


def test_keys_of_other_accounts_are_other_keys() -> None:
    """Keys are compared in their account or sub account, in the order of these; ids of another one are other keys."""
    accounts, others = (SUB_ACCOUNT, OTHER, ACCOUNT), (ACCOUNT, OTHER, SUB_ACCOUNT)
    before = report(
        accounts=tuple(replace(read(each), inventory=(key("2", SHOP), key("3", SHOP))) for each in accounts)
    )
    now = report(accounts=tuple(replace(read(each), inventory=(key("1", SHOP), key("2", SHOP))) for each in others))
    assert [(each.account_id, each.sub_account_id, each.key_id, each.what.value) for each in changed(now, before)] == [
        (each.account_id, each.sub_account_id, key_id, what)
        for each in (ACCOUNT, SUB_ACCOUNT, OTHER)
        for key_id, what in (("1", "appeared"), ("3", "gone"))
    ]
    moved = changed(
        report(accounts=(keys_of().accounts[0], *keys_of(key("1", SHOP), account=SUB_ACCOUNT).accounts)),
        report(accounts=(keys_of(key("1", SHOP)).accounts[0], *keys_of(account=SUB_ACCOUNT).accounts)),
    )
    assert [(each.sub_account_id, each.what.value) for each in moved] == [
        (None, "gone"),
        (SUB_ACCOUNT.sub_account_id, "appeared"),
    ]


@pytest.mark.parametrize(
    ("now", "before", "not_compared"),
    [
        ((ACCOUNT,), (ACCOUNT,), 0),
        ((ACCOUNT,), (), 1),
        ((), (ACCOUNT,), 1),
        ((ACCOUNT, SUB_ACCOUNT), (ACCOUNT, OTHER), 2),
        ((SUB_ACCOUNT, below(1)), (OTHER, ACCOUNT), 4),
        ((), (), 0),
    ],
)
def test_accounts_that_only_one_has_read(
    now: tuple[AccountRef, ...], before: tuple[AccountRef, ...], not_compared: int
) -> None:
    """Of an account that only one of the reports has read no key is told to have appeared or gone; it is counted."""
    every = (ACCOUNT, SUB_ACCOUNT, below(1), OTHER)

    def made(known: tuple[AccountRef, ...], *keys: ReportedKey) -> Report:
        unread = (read(each, FAILED if each is OTHER else SUSPENDED) for each in every if each not in known)
        return report(accounts=(*(replace(read(each), inventory=keys) for each in known), *unread))

    since = compared(made(now, key("1", SHOP)), made(before, key("2", SHOP))).since
    assert since is not None
    assert since.not_compared == not_compared
    both = {each.account_id if each.sub_account_id is None else each.sub_account_id for each in {*now} & {*before}}
    assert {each.sub_account_id or each.account_id for each in since.keys} == both
    assert [each.what.value for each in since.keys] == ["appeared", "gone"] * len(both)


def test_an_earlier_report_that_tells_no_keys() -> None:
    """Where a report is from before keys were told, none has appeared: its accounts are counted as not compared."""
    now, before = keys_of(key("1", SHOP)), report(accounts=(read(ACCOUNT),))
    since = compared(now, before).since
    assert since is not None
    assert (since.keys, since.not_compared) == ((), 1)


@pytest.mark.parametrize("text", ["nowhere", "", "10.0.0.0/33", "fe80::1%eth0", "1.2.3.4/8/8", "\x00"])
def test_what_is_no_network(text: str) -> None:
    """A report with something on an allow list that is no network is refused before it is compared."""
    check_lists(keys_of(key("1", SHOP), key("2", SHOP, at=EVERYWHERE)))
    check_lists(report(accounts=(read(ACCOUNT, FAILED),)))
    before = keys_of(key("1", SHOP), key("2", SHOP, at=(OFFICE, text)))
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        check_lists(before)
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        compared(keys_of(), before)
