"""Collections that the API shows in pages: items in the order of their creation, and cursors into that order.

Source: AhaSend's OpenAPI document 2.0.0, "Pagination" and `PaginationInfo`.
"""

import base64
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

from reconciler.emulator.permissions import Refused

LARGEST_PAGE = 100
TICK = timedelta(microseconds=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = re.compile(r"(?P<created>-?[0-9]{1,20}) (?P<id>[0-9a-f-]{36})", re.ASCII)
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)

Position = tuple[int, str]


class Listed(Protocol):
    """What a listing holds."""

    @property
    def id(self) -> str:
        """Its identifier, a UUID."""

    @property
    def position(self) -> Position:
        """Where it stands, as `position` gives it; it never changes."""


type_item = TypeVar("type_item", bound=Listed)


def position(created_at: datetime, identifier: str) -> Position:
    """Return where something stands in its list: by creation, then by identifier."""
    return (created_at - _EPOCH) // TICK, identifier


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which page is asked for; at most one of the cursors is not empty."""

    after: str = ""
    before: str = ""
    limit: int = LARGEST_PAGE


FIRST_PAGE = PageQuery()


@dataclass(frozen=True, slots=True)
class Page(Generic[type_item]):
    """A page of a listing, and the cursors to its neighbours (None: there is none)."""

    items: tuple[type_item, ...]
    next_cursor: str | None
    previous_cursor: str | None


class Listing(Mapping[str, type_item]):
    """Items by identifier, in the order of their creation; a page costs as much as it shows."""

    def __init__(self, items: Iterable[type_item]) -> None:
        self._items = {item.id: item for item in items}
        self._order = sorted(item.position for item in self._items.values())

    def __getitem__(self, identifier: str) -> type_item:
        return self._items[identifier]

    def __iter__(self) -> Iterator[str]:
        return (identifier for _, identifier in self._order)

    def __len__(self) -> int:
        return len(self._order)

    def find(self, identifier: str) -> type_item | None:
        """Return the item with this identifier, if there is one."""
        return self._items.get(identifier)

    def add(self, item: type_item) -> None:
        """Add a new item, created at the `next_moment` and so the last one."""
        self._items[item.id] = item
        self._order.append(item.position)

    def replace(self, item: type_item) -> None:
        """Put an item in the place of the one with its identifier and position."""
        self._items[item.id] = item

    def remove(self, identifier: str) -> type_item:
        """Take an item out and return it."""
        item = self._items.pop(identifier)
        del self._order[bisect_left(self._order, item.position)]
        return item

    def next_moment(self, now: datetime) -> datetime:
        """Return ``now``, or later: after the creation of all that is listed, so that what is new comes last."""
        if not self._order:
            return now
        return max(now, _EPOCH + (self._order[-1][0] + 1) * TICK)

    def page(self, query: PageQuery) -> Page[type_item]:
        """Return the items next to a cursor, or the first ones; raises `Refused` for a cursor that is none.

        A cursor holds the place of an item, not a number: a page stays right when items come and go before it, and
        when that item is gone.
        """
        if query.before:
            end = bisect_left(self._order, _decoded(query.before))
            start = max(0, end - query.limit)
        else:
            start = bisect_right(self._order, _decoded(query.after)) if query.after else 0
            end = min(len(self._order), start + query.limit)
        shown = self._order[start:end]
        return Page(
            items=tuple([self._items[identifier] for _, identifier in shown]),
            next_cursor=_encoded(shown[-1]) if shown and end < len(self._order) else None,
            previous_cursor=_encoded(shown[0]) if shown and start else None,
        )


def start_cursor() -> str:
    """Return a cursor before everything."""
    return _encoded((-(10**18), "0" * 36))


def first_parameters(query: bytes) -> dict[str, str]:
    """Return a query's parameters; of one that is given twice the first counts."""
    return dict(reversed(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))


def page_query(query: bytes) -> PageQuery:
    """Read which page a query asks for; raises `Refused` (400) for what makes no sense."""
    if not query:
        return FIRST_PAGE
    parameters = first_parameters(query)
    # AhaSend's command-line client still sends the name that `after` had once.
    after, before = parameters.get("after") or parameters.get("cursor", ""), parameters.get("before", "")
    if after and before:
        raise Refused(400, "after and before are mutually exclusive")
    limit = parameters.get("limit", str(LARGEST_PAGE))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Refused(400, f"limit must be a whole number from 1 to {LARGEST_PAGE}")
    return PageQuery(after, before, int(limit))


def _encoded(place: Position) -> str:
    created, identifier = place
    return base64.urlsafe_b64encode(f"{created} {identifier}".encode()).decode()


def _decoded(cursor: str) -> Position:
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise Refused(400, "invalid cursor") from None
    match = _POSITION.fullmatch(text)
    if match is None:
        raise Refused(400, "invalid cursor")
    return int(match["created"]), match["id"]
