"""The trail's format: lines of canonical JSON, each with the hash of the line before. ``docs/trail.md`` describes it.

A line is an object in printable ASCII, its names sorted, without blanks. Its ``hash`` is the SHA-256 of the same line
without ``hash``, its ``prev`` the hash of the line before, so that no line can be changed, taken out, put in or moved
without that showing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

FORMAT: Final = "reconciler/trail/v1"
MAX_LINE: Final = 32 * 1024 * 1024
"""The most bytes that a line may have: both sides of a change of the largest file, with room to spare."""
FIRST_HASH: Final = "0" * 64
"""What stands for the hash of the line before the first one."""
STARTED: Final = "trail.started"
CONTINUED: Final = "trail.continued"
RECOVERED: Final = "trail.recovered"
DECISION: Final = "decision"
WRITE_STARTED: Final = "write.started"
WRITE_ENDED: Final = "write.ended"
NOTIFIED: Final = "notified"

Body = Mapping[str, Any]
"""What a line says, but for its place in the chain."""
_HASH = re.compile(r"[0-9a-f]{64}")
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _no_number(name: str) -> float:
    raise ValueError(name)


_decode = json.JSONDecoder(parse_constant=_no_number).decode


class Broken(Exception):
    """A line is not what was written there; never leaves the modules of the trail."""


class Gap(Broken):
    """A line stands where an earlier one should."""


@dataclass(frozen=True, slots=True)
class Link:
    """A place in a chain: the number of a line, from 1, and its hash."""

    seq: int
    hash: str

    @property
    def head(self) -> str:
        """The hash as it is shown."""
        return f"sha256:{self.hash}"


BEGINNING: Final = Link(0, FIRST_HASH)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that was checked: its place in the chain, and what it says."""

    link: Link
    prev: str
    body: Mapping[str, Any]

    @property
    def event(self) -> str:
        """What kind of line it is."""
        return str(self.body["event"])

    @property
    def time(self) -> str:
        """When it happened, in RFC 3339."""
        return str(self.body["time"])


def seal(body: Body, before: Link) -> tuple[bytes, Link]:
    """Give the line that says ``body`` after the line ``before``, and its place in the chain."""
    record = {**body, "prev": before.hash, "seq": before.seq + 1}
    digest = sha256(_encode(record).encode("ascii")).hexdigest()
    line = _encode({**record, "hash": digest}).encode("ascii") + b"\n"
    return line, Link(before.seq + 1, digest)


def read_line(line: bytes) -> Entry:
    """Read one line with its line end, and check it against its own hash.

    Raises:
        Broken: it is not a line of a trail, or was changed.
    """
    if len(line) > MAX_LINE:
        raise Broken(f"is longer than the {MAX_LINE} bytes that a line may have")
    if not line.endswith(b"\n"):
        raise Broken("is torn: its end is missing")
    try:
        text = line[:-1].decode("ascii")
    except UnicodeDecodeError as error:
        raise Broken(f"is not ASCII at byte {error.start + 1}, so that it was not written like this") from None
    try:
        record = _decode(text)
        written = _encode(record)
    except (ValueError, RecursionError):  # a ValueError is also a number with too many digits
        raise Broken("is not JSON") from None
    if type(record) is not dict:
        raise Broken("is JSON, but no object")
    entry = _entry(record)
    if written != text:
        raise Broken(f"was changed: {_not_canonical(text)}")
    content = _without_hash(text, entry.link.hash)
    if sha256(content.encode("ascii")).hexdigest() != entry.link.hash:
        raise Broken("was changed: its hash is not that of what it says")
    return entry


def _without_hash(text: str, own: str) -> str:
    """Cut a hash out of a canonical text, in a fifth of the time of writing it anew; it is never the last name."""
    member = f'"hash":"{own}",'
    if text.count(member[:-1]) != 1:  # no line that was sealed holds its own hash a second time
        raise Broken("was changed: it has its own hash twice")
    return text.replace(member, "")


def follow(entry: Entry, before: Link) -> None:
    """Check that a line follows the line ``before``.

    Raises:
        Gap: it comes too early.
        Broken: another line should stand there.
    """
    expected = before.seq + 1
    told = f"is line {entry.link.seq}, where line {expected} should be"
    if entry.link.seq > expected:
        raise Gap(f"{told}: what was between them is missing")
    if entry.link.seq < expected:
        raise Broken(f"{told}: it was inserted, or moved here")
    if entry.prev != before.hash:
        raise Broken("does not follow the line before it: one of the two was put in the place of another")


def _entry(record: dict[str, Any]) -> Entry:
    """Take what every line has; a missing or misshapen part says that no reconciler wrote it."""
    seq, prev, own = record.get("seq"), record.get("prev"), record.get("hash")
    if type(seq) is not int or seq < 1:
        raise Broken("was changed: it has no number")
    if not (_is_hash(prev) and _is_hash(own)):
        raise Broken("was changed: it has no hash, or none of the line before")
    if not (type(record.get("event")) is str and type(record.get("time")) is str):
        raise Broken("was changed: it does not say what happened, or when")
    return Entry(Link(seq, str(own)), str(prev), record)


def _is_hash(value: object) -> bool:
    return type(value) is str and _HASH.fullmatch(value) is not None


def _not_canonical(text: str) -> str:
    """Say in what way a line that is JSON was not written as the trail writes it."""
    told: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        names = sorted(name for name, _ in pairs)
        told.extend(f"it has {one!r} twice" for one, other in pairwise(names) if one == other)

    json.loads(text, object_pairs_hook=note)
    return told[0] if told else "it is not spelt as it was written"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


Lines = Iterable[tuple[Place, bytes]]


@dataclass(frozen=True, slots=True)
class Break:
    """The first line of a trail that is not what was written there."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place} {self.message}"


@dataclass(frozen=True, slots=True)
class Survey:
    """What a trail holds: counts, the times of its first and last line, and its head.

    ``after_head`` is how many lines follow the head that was asked for; None where it was not found, or not asked for.
    ``recovered`` is how many tell of a line that a crash tore.
    """

    lines: int = 0
    writes: int = 0
    begins: str = ""
    ends: str = ""
    head: Link = BEGINNING
    after_head: int | None = None
    recovered: int = 0


def survey(lines: Lines, base: str | None = None, head: str | None = None) -> Survey | Break:
    """Check every line of a trail, one after the other, and give what it holds, or where it is broken first.

    Args:
        lines: The lines with their places, with their line ends.
        base: The hash of the line before the first one, where earlier files are elsewhere.
        head: The hash to look for.
    """
    ahead = iter(lines)
    count = writes = recovered = 0
    begins = ends = ""
    before, sought = BEGINNING, None
    for place, line in ahead:
        try:
            entry = read_line(line)
            follow(entry, before if count else _first(entry, base))
        except Gap as error:
            return Break(place, _moved(before.seq + 1, ahead) or str(error))
        except Broken as error:
            return Break(place, str(error))
        before = entry.link
        count += 1
        writes += entry.event == WRITE_STARTED
        recovered += entry.event == RECOVERED
        begins, ends = begins or entry.time, entry.time
        if head == before.hash:
            sought = count
    return Survey(count, writes, begins, ends, before, None if sought is None else count - sought, recovered)


def base_of(lines: Lines) -> str | None:
    """Give the hash that the first line of a trail says it follows; None where it cannot be read, or there is none."""
    for _, line in lines:
        try:
            return read_line(line).prev
        except Broken:
            return None
    return None


def _first(entry: Entry, base: str | None) -> Link:
    """Give what the first line must follow."""
    seq = entry.link.seq
    if base is not None:
        if entry.prev != base:
            raise Broken(f"does not follow the hash that --base names, but sha256:{entry.prev}")
        return Link(seq - 1, base)
    if seq > 1:
        told = f"begins with line {seq} rather than 1: earlier files are not here"
        raise Broken(f"{told}; name them, or pass --base with the hash that they end with")
    return BEGINNING


def _moved(missing: int, ahead: Iterator[tuple[Place, bytes]]) -> str:
    """Look whether the line that is missing comes later, and so was moved; nothing where it does not."""
    wanted = re.compile(rb'"seq":%d[,}]' % missing)
    for place, line in ahead:
        if wanted.search(line):
            return f"is not in its place: line {missing}, which should stand here, comes later, at {place}"
    return ""
