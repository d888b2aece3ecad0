"""Shards: each account belongs to one, and few of them move when there are more shards or fewer."""

from collections import Counter
from uuid import UUID

import pytest

from builders import ACCOUNT, desired, spec
from reconciler.core.keys import AccountRef, DesiredAccount, DesiredState
from reconciler.core.shards import MOST_SHARDS, Shard, home

FLEET = [str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(1, 601)]
"""Ids of many accounts, as different as random ones."""


@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_each_account_belongs_to_exactly_one_shard(count: int) -> None:
    """Of all shards there are, one takes it: the one that is its home."""
    shards = [Shard(index, count) for index in range(count)]
    for account in FLEET[:100]:
        assert [shard.index for shard in shards if shard.takes(account)] == [home(account, count)]


@pytest.mark.parametrize("count", [4, 16])
def test_shards_are_about_as_large_as_each_other(count: int) -> None:
    """No shard has twice its share, and none less than half of it."""
    sizes = Counter(home(account, count) for account in FLEET)
    share = len(FLEET) / count
    assert sorted(sizes) == list(range(count))
    assert all(share / 2 < size < share * 2 for size in sizes.values())


@pytest.mark.parametrize("count", [1, 4, 15])
def test_few_accounts_move(count: int) -> None:
    """With one shard more only those accounts move that go to the new one, about as many as are its share."""
    moved = [account for account in FLEET if home(account, count) != home(account, count + 1)]
    assert {home(account, count + 1) for account in moved} == {count}
    share = len(FLEET) / (count + 1)
    assert share / 2 < len(moved) < share * 2


def test_where_an_account_belongs_is_for_ever() -> None:
    """Versions agree: during an update pods of both are at work, and no account may be everybody's or nobody's.

    Worked out apart from the code, with sha256sum of ``<id>/0``, ``<id>/1`` and so on: the greatest wins.
    """
    assert [home(f"{number}" * 8 + "-0000-4000-8000-000000000000", 4) for number in range(8)] == WORKED_OUT


WORKED_OUT = [2, 1, 1, 3, 0, 3, 1, 3]


@pytest.mark.parametrize(
    ("index", "count", "told"),
    [
        (0, 0, "there can be 1 to 1000 shards, not 0"),
        (0, MOST_SHARDS + 1, "there can be 1 to 1000 shards, not 1001"),
        (4, 4, "shards are counted from 0, so that the last of 4 is 3/4"),
        (-1, 4, "shards are counted from 0, so that the last of 4 is 3/4"),
    ],
)
def test_no_such_shard(index: int, count: int, told: str) -> None:
    """A shard that is none is refused, and it is said how they are counted."""
    with pytest.raises(ValueError, match=f"^{told}$"):
        Shard(index, count)


def test_the_largest_shard() -> None:
    """The last of the most shards that there can be is one."""
    assert str(Shard(MOST_SHARDS - 1, MOST_SHARDS)) == "999/1000"


def test_a_state_of_one_shard() -> None:
    """A state of one shard has its accounts, in their order, and keeps all others elsewhere; both have all."""
    accounts = tuple(DesiredAccount(AccountRef(each), ()) for each in sorted(FLEET[:9]))
    parts = [DesiredState(accounts).of(Shard(index, 3)) for index in range(3)]
    assert all(set(part.everywhere) == set(accounts) for part in parts)
    ids = [[each.account.account_id for each in part.accounts] for part in parts]
    assert all(mine == sorted(mine) for mine in ids)
    assert sorted(each for mine in ids for each in mine) == [each.account.account_id for each in accounts]
    assert all(home(each.account.account_id, 3) == index for index, part in enumerate(parts) for each in part.accounts)


def test_keys_of_other_shards_do_not_count() -> None:
    """How many keys the files name is told of this shard alone."""
    other = 1 - home(ACCOUNT.account_id, 2)
    state = DesiredState((desired(spec("shop")),))
    assert state.of(Shard(1 - other, 2)).named == 1
    assert state.of(Shard(other, 2)).named == 0
