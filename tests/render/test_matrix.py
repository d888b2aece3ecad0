"""Who can do what: cells, rows that are shared, their order, and what nobody can do."""

import pytest

from reconciler.core.networks import FENCE, AllowList
from reconciler.core.scopes import ScopeSet
from reconciler.render.groups import Owner
from reconciler.render.matrix import Cell, Column, Grant, Holder, Place, matrix
from render.rich import key

OWNER = Owner("a-1")
OFFICE = ("203.0.113.0/24",)


def holder(number: int, *scopes: str, networks: tuple[str, ...] = OFFICE) -> Holder:
    return Holder.of(OWNER, key(number, f"k{number}", *scopes, networks=networks))


@pytest.mark.parametrize(
    ("networks", "place"),
    [
        ((), Place.ANYWHERE),
        (("0.0.0.0/1", "128.0.0.0/1"), Place.ANYWHERE),
        (OFFICE, Place.LISTED),
        (("10.0.0.0/8", "fd00::/8"), Place.NOWHERE),
        ((FENCE,), Place.OFF),
        ((FENCE, "203.0.113.0/24"), Place.LISTED),
    ],
)
def test_from_where_a_key_can_be_used(networks: tuple[str, ...], place: Place) -> None:
    """Two halves of the internet are anywhere, private networks are nowhere, and the fence alone is off."""
    assert holder(1, "domains:read", networks=networks).place is place


def test_cells_tell_how_a_key_comes_to_a_family() -> None:
    """Domains are counted, ``all`` swallows them, what has no target is plain, and ``*`` is everything everywhere."""
    made = matrix(
        [
            holder(1, "messages:send:{a.example.com}", "messages:send:{b.example.com}", "domains:read"),
            holder(2, "messages:send:{a.example.com}", "messages:send:all", "new-thing:read"),
            holder(3, "*"),
        ],
        most_single=9,
    )
    assert [column.family for column in made.columns] == ["domains:read", "messages:send", "new-thing:read"]
    by_name = {row.holders[0].key.name: row.cells for row in made.rows}
    none, everything = Cell(), Cell(Grant.EVERYTHING)
    assert by_name == {
        "k1": (Cell(Grant.PLAIN), Cell(Grant.DOMAINS, 2), none),
        "k2": (none, Cell(Grant.ALL), Cell(Grant.PLAIN)),
        "k3": (everything, everything, everything),
    }


def test_counts_leave_out_what_is_switched_off() -> None:
    """A column counts the keys that can do something in it now; nobody can do what only such a key could."""
    made = matrix([holder(1, "domains:read"), holder(2, "domains:read", networks=(FENCE,)), holder(3, "*")], 9)
    assert made.columns == (Column("domains:read", 2),)
    assert made.everything
    made = matrix([holder(1, "domains:read"), holder(3, "*", networks=(FENCE,))], 9)
    assert made.columns == (Column("domains:read", 1),)
    assert not made.everything
    assert "domains:read" not in made.others
    assert {"messages:send", "api-keys:write"} <= set(made.others)


def test_a_family_that_nobody_can_use_is_told() -> None:
    """A family that only keys hold which are switched off is one that nobody can use, and counts none."""
    made = matrix([holder(1, "domains:read", networks=(FENCE,))], 9)
    assert made.columns == (Column("domains:read", 0),)


def test_the_mightiest_come_first() -> None:
    """``*``, then who can write keys, then who can do most, from anywhere before from somewhere, those off last."""
    keys = [
        holder(1, "domains:read"),
        holder(2, "domains:read", networks=()),
        holder(3, "domains:read", "suppressions:read"),
        holder(4, "messages:send:{a.example.com}"),
        holder(5, "messages:send:all"),
        holder(6, "api-keys:write"),
        holder(7, "sub-account-api-keys:write"),
        holder(8, "*"),
        holder(9, "*", networks=(FENCE,)),
    ]
    order = [row.holders[0].key.name for row in matrix(keys, 9).rows]
    assert order == ["k8", "k6", "k7", "k3", "k5", "k2", "k1", "k4", "k9"]
    assert [row.holders[0].key.name for row in matrix(keys[::-1], 9).rows] == order
    assert [row.number for row in matrix(keys, 9).rows] == list(range(9))


def test_many_keys_share_rows() -> None:
    """From one key more than may stand alone, keys share a row that may do the same from the same kind of place."""
    keys = [
        holder(1, "messages:send:{a.example.com}"),
        holder(2, "messages:send:{b.example.com}", networks=("198.51.100.0/24",)),
        holder(3, "messages:send:{b.example.com}", networks=()),
        holder(4, "messages:send:{b.example.com}", networks=()),
        holder(5, "*"),
        holder(6, "*", "domains:read"),
    ]
    assert len(matrix(keys, 6).rows) == 6
    rows = matrix(keys, 5).rows
    assert [[each.key.name for each in row.holders] for row in rows] == [["k5", "k6"], ["k3", "k4"], ["k1", "k2"]]
    assert [row.networks for row in rows] == [OFFICE, (), None]
    assert [row.lists for row in rows] == [1, 1, 2]
    assert [row.place for row in rows] == [Place.LISTED, Place.ANYWHERE, Place.LISTED]


def test_what_lets_whoever_has_it_do_more_is_marked() -> None:
    """Columns of writing keys are marked; a column's resource is what stands before its last colon."""
    marked = {
        column.family: column.grants_anything
        for column in matrix([holder(1, "api-keys:write", "api-keys:read")], 9).columns
    }
    assert marked == {"api-keys:read": False, "api-keys:write": True}
    assert Column("sub-account-api-keys:write", 1).grants_anything
    assert Column("accounts:members:add", 1).resource == "accounts:members"
    assert Column("odd", 1).resource == "odd"


def test_no_keys_no_rows() -> None:
    """Without keys there are no rows and no columns."""
    made = matrix([], 9)
    assert (made.rows, made.columns) == ((), ())


def test_a_holder_reads_scopes_and_networks() -> None:
    """Scopes and networks of a reported key are read as they are elsewhere."""
    one = holder(1, "messages:send:a.example.com")
    assert one.scopes == ScopeSet.parse(["messages:send:{a.example.com}"])
    assert one.networks == AllowList(OFFICE)
    assert not one.holds_everything
    assert holder(2, "*").holds_everything
