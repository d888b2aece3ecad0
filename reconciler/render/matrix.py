"""Who can do what, and from where: keys against families of scopes, those together that may do the same.

Texts from files and from the server come out as they are: to escape them is the rendering's affair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from reconciler.core.inventory import ReportedKey
from reconciler.core.networks import AllowList
from reconciler.core.scopes import EVERYTHING, STATIC, TARGETED, WRITES_KEYS, WRITES_KEYS_BELOW, Reach, ScopeSet
from reconciler.render.groups import Owner

_Texts = tuple[str, ...]
_KNOWN = STATIC | TARGETED
_MANAGING = frozenset({WRITES_KEYS.text, WRITES_KEYS_BELOW.text})


class Place(StrEnum):
    """From where a key can be used."""

    ANYWHERE = "anywhere"
    LISTED = "listed"
    NOWHERE = "nowhere"
    OFF = "off"


class Grant(StrEnum):
    """How a key comes to a family of scopes."""

    NONE = ""
    EVERYTHING = "everything"
    ALL = "all"
    DOMAINS = "domains"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a key may do in one family: how it comes to it, and for how many domains where it is for some."""

    grant: Grant = Grant.NONE
    domains: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """A key and whose it is."""

    owner: Owner
    key: ReportedKey
    scopes: ScopeSet
    networks: AllowList

    @classmethod
    def of(cls, owner: Owner, key: ReportedKey) -> "Holder":
        """Read scopes and networks of a reported key."""
        return cls(owner, key, ScopeSet.parse(key.scopes), AllowList.parse(key.ip_allow_list))

    @property
    def place(self) -> Place:
        """From where it can be used; nowhere: its list has no network from which the API can be reached."""
        return place_of(self.networks)

    @property
    def holds_everything(self) -> bool:
        """Whether it holds ``*``."""
        return EVERYTHING in self.scopes.texts


@lru_cache(maxsize=65536)  # thousands of keys share a few lists
def place_of(networks: AllowList) -> Place:
    """Give from where a key with this list can be used."""
    if networks.fenced:
        return Place.OFF
    if networks.lets_everybody_in:
        return Place.ANYWHERE
    return Place.LISTED if networks.reachable() else Place.NOWHERE


@dataclass(frozen=True, slots=True)
class Row:
    """Keys that may do the same from the same kind of place, with a cell for each column; ``number`` names it."""

    number: int
    holders: tuple[Holder, ...]
    place: Place
    cells: tuple[Cell, ...]

    @property
    def networks(self) -> tuple[str, ...] | None:
        """The networks of all of them, None where their lists differ."""
        first = self.holders[0].networks.networks
        return first if self.lists == 1 else None

    @property
    def lists(self) -> int:
        """How many different lists of networks they have."""
        return len({each.networks.networks for each in self.holders})


@dataclass(frozen=True, slots=True)
class Column:
    """One family of scopes, and how many keys can do something in it, those that are switched off not counted."""

    family: str
    count: int

    @property
    def resource(self) -> str:
        """What it is about: ``messages`` of ``messages:send``."""
        return self.family.rpartition(":")[0] or self.family

    @property
    def grants_anything(self) -> bool:
        """Whether whoever holds it can grant themselves anything."""
        return self.family in _MANAGING


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rows, the most powerful first, the families that any key holds, and the ``others`` that are known.

    ``everything``: some key that is not switched off holds ``*``, so those others as well; else nobody holds them.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    others: tuple[str, ...]
    everything: bool


def matrix(holders: Sequence[Holder], most_single: int) -> Matrix:
    """Give the matrix; each key has a row of its own unless there are more than ``most_single`` of them."""
    sets = {holder.scopes.texts: holder.scopes for holder in holders}  # thousands of keys share a few of them
    held = {texts: _held(scopes) for texts, scopes in sets.items()}
    families = sorted({family for cells in held.values() for family in cells} - {EVERYTHING}, key=_order)
    together: defaultdict[object, list[int]] = defaultdict(list)
    alike = _alike(held, families)
    rows_of = [alike[holder.scopes.texts] for holder in holders]
    for number, (holder, cells) in enumerate(zip(holders, rows_of, strict=True)):
        alone = number if len(holders) <= most_single else None
        together[holder.place, cells, holder.holds_everything, alone].append(number)
    groups = sorted(together.values(), key=lambda group: _by_power(holders[group[0]], rows_of[group[0]], len(group)))
    rows = (
        Row(number, tuple(holders[each] for each in group), holders[group[0]].place, rows_of[group[0]])
        for number, group in enumerate(groups)
    )
    usable = [cells for holder, cells in zip(holders, rows_of, strict=True) if holder.place is not Place.OFF]
    counts = Counter(
        family for cells in usable for family, cell in zip(families, cells, strict=True) if cell.grant is not Grant.NONE
    )
    everything = any(holder.holds_everything and holder.place is not Place.OFF for holder in holders)
    others = tuple(sorted(_KNOWN - set(families)))
    return Matrix(tuple(Column(family, counts[family]) for family in families), tuple(rows), others, everything)


def _alike(held: Mapping[_Texts, Mapping[str, Cell]], families: Sequence[str]) -> dict[_Texts, tuple[Cell, ...]]:
    """Give the cells of each set of scopes; equal ones are one value, which is quick to compare."""
    kept: dict[tuple[Cell, ...], tuple[Cell, ...]] = {}
    found = ((texts, _cells(cells, families)) for texts, cells in held.items())
    return {texts: kept.setdefault(cells, cells) for texts, cells in found}


def _held(scopes: ScopeSet) -> dict[str, Cell]:
    """Give what a key with these scopes holds by family."""
    cells: dict[str, Cell] = {}
    for scope in scopes:
        match scope.reach:
            case Reach.EVERYTHING:
                cells[EVERYTHING] = Cell(Grant.EVERYTHING)
            case Reach.ALL:
                cells[scope.family] = Cell(Grant.ALL)
            case Reach.DOMAIN:
                before = cells.get(scope.family, Cell())
                cells[scope.family] = before if before.grant is Grant.ALL else Cell(Grant.DOMAINS, before.domains + 1)
            case _:
                cells[scope.family] = Cell(Grant.PLAIN)
    return cells


def _cells(held: Mapping[str, Cell], families: Iterable[str]) -> tuple[Cell, ...]:
    other = Cell(Grant.EVERYTHING) if EVERYTHING in held else Cell()
    return tuple(other if other.grant is Grant.EVERYTHING else held.get(family, other) for family in families)


def _order(family: str) -> tuple[bool, str]:
    """Sort families by name, and what this version does not know after all others."""
    return family not in _KNOWN, family


_PLACES = list(Place)


def _by_power(holder: Holder, cells: Sequence[Cell], count: int) -> tuple[object, ...]:
    """Sort by what a key may do: ``*`` first, then who can write keys, then by how much, and from how many places."""
    manages = not _MANAGING.isdisjoint(holder.scopes.texts)
    reach = sum(cell.grant is not Grant.NONE for cell in cells)
    wide = sum(cell.grant is Grant.ALL for cell in cells)
    place = _PLACES.index(holder.place)
    might = (holder.place is Place.OFF, not holder.holds_everything, not manages, -reach, -wide, place, -count)
    return *might, holder.key.name or holder.key.label, holder.key.key_id
