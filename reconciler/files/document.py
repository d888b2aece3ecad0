r"""YAML text to plain values with places: strict, linear in time, and never a surprise.

PyYAML's binding of libyaml gives the events; the values are built here. The constructors of PyYAML would take seven
times as long and as much memory for 100,000 keys, let a duplicate key win silently, and read YAML 1.1: ``on``, ``no``,
``010`` and ``12:30:45`` as other things than people mean.

What is read is one document of YAML 1.2 with the core schema's scalars. Refused are: keys that are not text, duplicate
keys, nulls, tags, merge keys (``<<``), directives other than ``%YAML 1.2``, anchors defined twice, aliases that lie in
their own anchor or stand for too many nodes, deep nesting, and plain scalars that YAML 1.1 and 1.2 read differently
(``yes``, ``010``). Line breaks are ``\n`` and ``\r\n`` only: what libyaml takes for one besides (a lone ``\r``, U+0085,
U+2028, U+2029) is refused, because it could end a comment where no reviewer sees it end.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, NoReturn

from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.collector import collector_paused
from reconciler.errors import FilesError, Problem
from reconciler.files.folders import why_unreadable
from reconciler.files.places import (
    MAX_DEPTH,
    Path,
    Place,
    Places,
    events,
    locate,
    place_after,
    place_of,
    refused_characters,
    syntax_problem,
)

__all__ = ["MAX_FILE_BYTES", "MAX_RUN_BYTES", "Mapping", "Path", "Place", "Places", "Value"]
__all__ += ["locate", "parse", "parse_all", "read_text"]

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_RUN_BYTES = 64 * 1024 * 1024
MAX_ALIASED_NODES = 100_000
MAX_DIGITS = 18
MAX_PROBLEMS = 1000


class Mapping(dict[str, "Value"]):
    """A mapping that knows the 1-based place where it starts: its first key, or its ``{``."""

    __slots__ = ("column", "line")

    def __init__(self, line: int, column: int) -> None:
        super().__init__()
        self.line = line
        self.column = column


Value = str | int | float | bool | list["Value"] | Mapping


def read_text(path: FilePath, name: str) -> str:
    """Return a regular file's text without its byte order mark, never loading more than ``MAX_FILE_BYTES`` and one.

    Raises:
        FilesError: the file, shown as ``name``, is not there, not readable, not a file, too large or not UTF-8.
    """
    try:
        data = _read_bytes(path)
    except OSError as error:
        raise FilesError((Problem(name, 0, 0, why_unreadable(path, error)),)) from None
    if len(data) > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // (1024 * 1024)
        raise FilesError((Problem(name, 0, 0, f"is larger than {limit} MiB: split it into several files"),))
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = place_after(data[: error.start].decode("utf-8"))
        message = f"is not UTF-8 here (byte 0x{data[error.start]:02x}): save the file as UTF-8"
        raise FilesError((Problem(name, place.line, place.column, message),)) from None


def _read_bytes(path: FilePath) -> bytes:
    # Without O_NONBLOCK a FIFO would wait for a writer for ever; only the open descriptor can be trusted to be a file.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(0, "it is a directory")
        if not stat.S_ISREG(mode):
            raise OSError(0, "it is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)


def parse(text: str, file: str) -> Value:
    """Return the value of the one document in ``text``; aliased parts of it are shared objects.

    Raises:
        FilesError: everything found wrong in the text, which ``file`` names, up to ``MAX_PROBLEMS``.
    """
    value, problems = parse_all(text, file)
    if problems or value is None:
        raise FilesError(problems)
    return value


def parse_all(text: str, file: str) -> tuple[Value | None, tuple[Problem, ...]]:
    """Return as :func:`parse` the value, None where nothing could be built, and everything found wrong in the text.

    A value beside problems is what the text probably means: to be looked at for more of them, not to be used.
    """
    builder = _Builder()
    with collector_paused(), suppress(_Stop):  # what stops it is the last of the problems
        builder.build(text, file)
    problems = tuple(_problems(builder.found, text, file)) if builder.found else ()
    return builder.root[0] if builder.whole and builder.root else None, problems


def _problems(found: list["_Found"], text: str, file: str) -> Iterator[Problem]:
    firsts = locate(text, (each.first for each in found if each.first))
    for each in found:
        message = each.message
        if each.first:
            first = firsts[each.first]
            message += f" on line {(first.key or first.value).line}: keep one of them"
        yield Problem(file, each.place.line, each.place.column, message)


# YAML 1.2.2, 10.3.2 "Tag Resolution", and what YAML 1.1 (yaml.org/type/bool.html, int.html) reads in another way.
_NOT_TEXT = re.compile(
    r"""(?P<null>~|null|Null|NULL|)
    |(?P<truth>true|True|TRUE|false|False|FALSE)
    |(?P<old_truth>y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)
    |(?P<old_octal>[-+]?0[0-9]+)
    |(?P<integer>[-+]?[0-9]+)
    |0o(?P<octal>[0-7]+)
    |0x(?P<hexadecimal>[0-9a-fA-F]+)
    |(?P<number>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)
    |(?P<infinity>[-+]?\.(?:inf|Inf|INF))
    |(?P<not_a_number>\.(?:nan|NaN|NAN))""",
    re.VERBOSE,
).fullmatch

_FIRST = frozenset(["", *"~nNtTfFyYoO-+.0123456789"])  # characters of all that _NOT_TEXT matches: most text has another
_BASES = {"integer": 10, "octal": 8, "hexadecimal": 16}


class _Stop(Exception):
    """Nothing more can be found in this text."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A problem; for a duplicate key, ``first`` is the path of the key, whose first place is looked up at the end."""

    place: Place
    message: str
    first: Path = ()


@dataclass(slots=True)
class _Anchor:
    """An anchored node; ``size`` (in nodes, written out) is 0 and ``height`` unknown until its end has been seen."""

    line: int
    value: Value
    size: int = 1
    height: int = 0  # containers from here downwards, itself included; 0: a scalar
    written: int = 0  # the builder's counts at its start
    deepest: int = 0


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - enough to find it by


def _shown(text: str) -> str:
    return json.dumps(_short(text), ensure_ascii=not text.isprintable())


class _Builder:
    """Builds the value from the events, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self.whole = False  # read to the end
        self.root: list[Value] = []
        self.current: list[Value] | Mapping = self.root
        self.key: str | None = None  # of the next value, where `current` is a mapping
        self.stack: list[tuple[list[Value] | Mapping, str | None, _Anchor | None]] = []
        self.text = ""
        self.names: dict[str, str] = {}  # keys known to be text: each is kept once, and checked once
        self.anchors: dict[str, _Anchor] = {}
        self.events = self.aliased = self.closed = 0
        self.deepest = 0

    def build(self, text: str, file: str) -> None:
        """Read all events; raises ``_Stop`` when something ends the reading early."""
        self.text = text
        for place, character in refused_characters(text):
            message = f"the character U+{ord(character):04X} is not allowed: remove it, or escape it in double quotes"
            self.report(place, message)
        if self.found:
            return
        handlers: dict[type[Event], Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._open_mapping,
            SequenceStartEvent: self._open_sequence,
            MappingEndEvent: self._close,
            SequenceEndEvent: self._close,
            AliasEvent: self._alias,
            DocumentStartEvent: self._document,
        }
        try:
            for self.events, event in enumerate(events(text, file)):
                if handler := handlers.get(type(event)):
                    handler(event)
        except MarkedYAMLError as error:
            self.found.append(_Found(*syntax_problem(error, text)))
        else:
            self.whole = True
        if not self.root and not self.found:
            self.found.append(_Found(Place(0, 0), "the file is empty: remove the file, or write its fields"))

    def report(self, place: Place, message: str, first: Path = ()) -> None:
        """Keep a problem; raises ``_Stop`` at ``MAX_PROBLEMS``."""
        self.found.append(_Found(place, message, first))
        if len(self.found) >= MAX_PROBLEMS:
            self.found.append(_Found(place, f"more than {MAX_PROBLEMS} problems: the rest is not looked at"))
            raise _Stop

    def _report(self, event: Event, message: str) -> None:
        self.report(place_of(event, self.text), message)

    def _stop(self, event: Event, message: str) -> NoReturn:
        self._report(event, message)
        raise _Stop

    def _document(self, event: DocumentStartEvent) -> None:
        if self.root:
            self._stop(event, "a second document begins here: a file holds one; write several files")
        if event.tags or event.version not in {None, (1, 2)}:
            self._report(event, "directives other than %YAML 1.2 are not read: remove them")

    def _scalar(self, event: ScalarEvent) -> None:
        value: Value
        value = text = event.value
        current = self.current
        if isinstance(current, list):
            if not event.style and text[:1] in _FIRST and _NOT_TEXT(text):
                value = self._value(event)
            current.append(value)
        elif self.key is None:
            value = self.key = self.names.get(text) or self._name(event)
            if value in current:
                self._duplicate(event, value)
        else:
            if not event.style and text[:1] in _FIRST and _NOT_TEXT(text):
                value = self._value(event)
            current[self.key] = value
            self.key = None
        if event.anchor or event.tag:
            self._properties(event, value)

    def _value(self, event: ScalarEvent) -> Value:
        """Return what a plain scalar that is not text means."""
        text = event.value
        match = _NOT_TEXT(text)
        kind = match.lastgroup if match else None
        if kind == "truth":
            return text[0] in "tT"
        if kind in _BASES:
            return self._integer(event, text if kind == "integer" else text[2:], _BASES[kind])
        if kind in {"number", "infinity", "not_a_number"}:
            return float(text.replace(".", "", 1) if kind != "number" else text)
        if kind == "null":
            self._null(event)
        elif kind == "old_truth":
            self._report(event, f'{text} is true or false to some readers: write "{text}" for text, or true or false')
        else:
            self._report(event, f"{_short(text)} is octal to some readers: quote it as text, or drop the leading zero")
        return text

    def _integer(self, event: ScalarEvent, digits: str, base: int) -> int:
        if len(digits.lstrip("+-")) > MAX_DIGITS:
            self._report(event, f"this number has more than {MAX_DIGITS} digits: quote it if it is text")
            return 0
        return int(digits, base)

    def _null(self, event: ScalarEvent) -> None:
        if self.current is self.root:
            self._report(event, "the document is empty: remove the file, or write its fields")
            return
        where = "this list item" if self.key is None else _shown(self.key)
        self._report(event, f'{where} has no value: leave it out, or write "{event.value}" for text')

    def _name(self, event: ScalarEvent) -> str:
        """Return a key that is met for the first time."""
        text = event.value
        if not event.style and text == "<<":
            self._report(event, "merge keys (<<) are not read: write the fields out")
        elif not event.style and _NOT_TEXT(text):
            self._report(event, f"the key {_short(text)} is not text: quote it" if text else "a key is missing here")
        else:
            self.names[text] = text
        return text

    def _duplicate(self, event: ScalarEvent, name: str) -> None:
        path = [len(into) - 1 if isinstance(into, list) else key or "" for into, key, _ in self.stack[1:]]
        place = place_of(event, self.text)
        self.report(place, f"the key {_shown(name)} is already there,", (*path, name))

    def _properties(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent, value: Value) -> _Anchor | None:
        if event.tag:
            self._report(event, "tags (!) are not read: remove it, and quote the value if it is text")
        if not event.anchor:
            return None
        anchor = _Anchor(place_of(event, self.text).line, value)
        first = self.anchors.setdefault(event.anchor, anchor)
        if first is not anchor:
            where = f"already there, on line {first.line}"
            self._report(event, f"the anchor &{_short(event.anchor)} is {where}: rename one of them")
        return anchor

    def _open_mapping(self, event: MappingStartEvent) -> None:
        mark: Any = event.start_mark  # libyaml always sets it
        self._open(event, Mapping(mark.line + 1, mark.column + 1))

    def _open_sequence(self, event: SequenceStartEvent) -> None:
        self._open(event, [])

    def _open(self, event: MappingStartEvent | SequenceStartEvent, container: list[Value] | Mapping) -> None:
        depth = len(self.stack) + 1
        if depth > MAX_DEPTH:
            self._stop(event, f"is nested deeper than {MAX_DEPTH} levels")
        anchor = self._properties(event, container) if event.anchor or event.tag else None
        if anchor:
            anchor.size, anchor.deepest = 0, self.deepest
            anchor.written = self.events + self.aliased - self.closed
            self.deepest = depth
        elif depth > self.deepest:
            self.deepest = depth
        self.stack.append((self.current, self.key, anchor))
        self._add(event, container)
        self.current = container
        self.key = None

    def _add(self, event: Event, value: Value) -> None:
        current = self.current
        if isinstance(current, list):
            current.append(value)
        elif self.key is None:
            self._stop(event, "a key must be text: quote it if it is meant as text")
        else:
            current[self.key] = value
            self.key = None

    def _close(self, _event: Event) -> None:
        self.closed += 1
        self.current, _, anchor = self.stack.pop()
        self.key = None
        if anchor:
            anchor.size = self.events + self.aliased - self.closed - anchor.written + 1
            anchor.height = self.deepest - len(self.stack)
            self.deepest = max(self.deepest, anchor.deepest)

    def _alias(self, event: AliasEvent) -> None:
        name = event.anchor or ""
        anchor = self.anchors.get(name)
        if anchor is None or not anchor.size:
            why = "lies inside its own anchor" if anchor else "has no anchor before it"
            self._report(event, f"the alias *{_short(name)} {why}: write the value out")
            self._add(event, "")
            return
        self.aliased += anchor.size
        if self.aliased > MAX_ALIASED_NODES:
            self._stop(event, f"aliases stand for more than {MAX_ALIASED_NODES} values in all: write fewer")
        depth = len(self.stack) + anchor.height
        if depth > MAX_DEPTH:
            self._stop(event, f"is nested deeper than {MAX_DEPTH} levels, written out")
        self.deepest = max(self.deepest, depth)
        self._add(event, anchor.value)
