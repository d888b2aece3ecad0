"""What people were told of, as lines of the trail hold it, so that a restart neither repeats it nor forgets it.

A line adds to those before it, but for one that is ``whole``: that one takes the place of them all. Concerns for which
the same holds stand together, so that thousands of them have room in one line.
"""

import mmap
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.concerns import Concern, Kind, Matter
from reconciler.core.keys import UUID_PATTERN
from reconciler.core.telling import Ledger, Situation, Standing, Told
from reconciler.daemon.chain import NOTIFIED, Body, Broken, read_line
from reconciler.daemon.segments import segments, stamp
from reconciler.errors import mask_all

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LONGEST_LINE: Final = 256 * 1024
"""So many bytes a line has at most; it holds the most serious concerns for which there is room."""
WHOLE_AFTER: Final = 1024 * 1024
"""When so many bytes of such lines were stored, the next one is whole."""
_ROOM: Final = LONGEST_LINE * 3 // 4
"""What is left of that for concerns: what is masked may become longer by a quarter."""
_FARTHEST: Final = 64 * 1024 * 1024
"""So many bytes of a trail, the newest ones, are searched for such lines."""
_SIGN: Final = f'"event":"{NOTIFIED}"'.encode()
_GROUP: Final = 120
_ADDRESS: Final = 90
"""The most bytes that a group has beside its texts, and of one address in it."""


@dataclass(frozen=True, slots=True)
class Register:
    """What one address was told.

    Attributes:
        ledger: Of which concerns.
        name: What the address is called.
        left: When it was first not among the addresses any more; None: it is.
    """

    ledger: Ledger = field(default_factory=Ledger)
    name: str = ""
    left: datetime | None = None


Registers = Mapping[str, Register]
"""What each address was told, by what identifies it."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Concerns of a kind and an account for which the same holds.

    ``told`` says for each address when last, how often lately, and when it was told to be over; ``keys`` has the keys
    of each sub account (nothing: of the account) with their names.
    """

    kind: Kind
    account_id: str | None
    rule: str | None
    since: datetime
    gone: datetime | None
    told: dict[str, tuple[datetime, int, datetime | None]]
    keys: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Register:
    """An address, as a line holds it."""

    name: str
    left: datetime | None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What one line holds."""

    addresses: dict[str, _Register]
    concerns: list[_Group]
    whole: bool


def to_store(situation: Situation, registers: Registers, only: AbstractSet[Matter] | None = None) -> Body:
    """Give what a line of the trail is to hold: ids, names of keys, times and addresses; as much as there is room for.

    Args:
        situation: How everything stands.
        registers: What each address was told.
        only: The concerns that the line is about; None: all of them, so that it takes the place of the lines before.
    """
    told: dict[Matter, list[tuple[str, Told]]] = {}
    for address, register in registers.items():
        ledger = register.ledger.told
        for matter in ledger if only is None else only & ledger.keys():
            told.setdefault(matter, []).append((address, ledger[matter]))
    standing = (matter for matter in told if matter in situation.standing)
    ranked = sorted(standing, key=lambda matter: _rank(matter, told[matter]))
    page = _Page()
    for matter in ranked:
        if not page.add(situation.standing[matter], told[matter]):
            break
    return {
        "whole": only is None,
        "addresses": {
            address: {"name": each.name, "left": stamp(each.left) if each.left else None}
            for address, each in registers.items()
        },
        "concerns": [*page.groups.values()],
    }


def _rank(matter: Matter, told: list[tuple[str, Told]]) -> tuple[bool, int]:
    """Put what is over everywhere behind all else: only how often it came lately is known by it."""
    return all(each.over is not None for _, each in told), matter.kind.rank


class _Page:
    """Puts concerns together for which the same holds, as long as there is room."""

    def __init__(self) -> None:
        self.groups: dict[tuple[object, ...], dict[str, Any]] = {}
        self._room = _ROOM

    def add(self, standing: Standing, told: list[tuple[str, Told]]) -> bool:
        """Add a concern, and tell whether there was room."""
        matter = standing.matter
        gone = standing.gone if standing.is_over else None
        alike = tuple((address, id(each)) for address, each in told)  # all that was told alike is one value
        identity = matter.kind, matter.account_id, matter.rule, standing.since, gone, alike
        group = self.groups.get(identity)
        if group is None:
            self._room -= _GROUP + _bytes(matter.account_id) + _bytes(matter.rule) + _ADDRESS * len(told)
            group = self.groups[identity] = {
                "kind": matter.kind,
                "account_id": matter.account_id,
                "rule": matter.rule,
                "since": stamp(standing.since),
                "gone": stamp(gone) if gone else None,
                "told": {address: _stored(each) for address, each in told},
                "keys": {},
            }
        below, key, name = matter.sub_account_id or "", matter.key or "", standing.concern.name
        if below not in group["keys"]:
            self._room -= _bytes(below) + 4
        self._room -= _bytes(key) + _bytes(name) + 2
        if self._room >= 0:
            group["keys"].setdefault(below, {})[key] = name
        return self._room >= 0


def _bytes(text: str | None) -> int:
    """Give how long a text is in the line."""
    return len(encode_basestring_ascii(text)) if text is not None else 4


def _stored(told: Told) -> list[Any]:
    return [stamp(told.at), told.times, stamp(told.over) if told.over else None]


_ID = re.compile(UUID_PATTERN)


def masked(body: Any, secrets: tuple[str, ...]) -> Any:
    """Mask secrets in every text of what a line is to hold, but for ids of accounts and keys, which are none."""
    texts = [text for text in dict.fromkeys(_texts(body)) if not _ID.fullmatch(text)]
    found = {text: shown for text, shown in zip(texts, mask_all(texts, *secrets), strict=True) if shown != text}
    return _replaced(body, found) if found else body


def _texts(body: Any) -> Iterator[str]:
    match body:
        case str():
            yield body
        case dict():
            yield from body
            for each in body.values():
                yield from _texts(each)
        case list():
            for each in body:
                yield from _texts(each)
        case _:
            pass


def _replaced(body: Any, by: Mapping[str, str]) -> Any:
    match body:
        case str():
            return by.get(body, body)
        case dict():
            return {by.get(name, name): _replaced(each, by) for name, each in body.items()}
        case list():
            return [_replaced(each, by) for each in body]
        case _:
            return body


# After a restart


def recall(path: Path, now: datetime) -> tuple[Situation, dict[str, Register]]:
    """Give what was told before, by the last lines of a trail that say so; nothing where none does."""
    standing: dict[Matter, Standing] = {}
    ledgers: dict[str, dict[Matter, Told]] = {}
    about: dict[str, _Register] = {}
    for stored in _lines(path):
        for address, register in stored.addresses.items():
            about.setdefault(address, register)
        for group in stored.concerns:
            _add(group, standing, ledgers, now)
        if stored.whole:
            break
    registers = {
        address: Register(Ledger(ledgers.get(address, {})), each.name, each.left) for address, each in about.items()
    }
    return Situation(standing), registers


def _add(
    group: _Group, standing: dict[Matter, Standing], ledgers: dict[str, dict[Matter, Told]], now: datetime
) -> None:
    """Take over what a line tells that none of the later lines does."""
    told = {address: Told(*each) for address, each in group.told.items()}
    for below, keys in group.keys.items():
        for key, name in keys.items():
            matter = Matter(group.kind, group.account_id, below or None, key or None, group.rule)
            if matter not in standing:
                standing[matter] = Standing.recall(Concern(matter, name=name), group.since, group.gone, now)
            for address, each in told.items():
                ledgers.setdefault(address, {}).setdefault(matter, each)


def _lines(path: Path) -> Iterator[_Stored]:
    """Give what lines of a trail tell of this, the last one first; one that is broken or odd is passed over."""
    left = _FARTHEST
    for file in reversed([*segments(path), path]):
        if left <= 0:
            return
        with suppress(OSError, ValueError), file.open("rb") as opened:  # an empty file cannot be mapped
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            for line in _found(data, max(0, len(data) - left)):
                with suppress(ValueError, Broken):  # what is wrong there, verify says
                    yield _adapter().validate_python(read_line(line).body.get("told"))
            left -= len(data)


def _found(data: mmap.mmap, begin: int) -> Iterator[bytes]:
    """Give the lines that tell what was told, the last one first."""
    place = data.rfind(_SIGN, begin)
    while place >= 0:
        start = data.rfind(b"\n", 0, place) + 1
        yield data[start : data.find(b"\n", place) + 1]
        place = data.rfind(_SIGN, begin, start) if start > begin else -1


@cache
def _adapter() -> "TypeAdapter[_Stored]":
    from pydantic import TypeAdapter

    return TypeAdapter(_Stored)
