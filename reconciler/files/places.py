"""Places in a YAML text: libyaml's events with their marks, and where the values at given paths stand."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.events import (
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.errors import FilesError, Problem

MAX_DEPTH = 32

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a text: 1-based line, and 1-based column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where a value starts, and where its key does if it is a mapping's."""

    key: Place | None
    value: Place


def events(text: str, file: str) -> Iterator[Any]:
    """Return libyaml's events.

    Raises:
        FilesError: PyYAML has no libyaml; it is never replaced by PyYAML's own parser, which takes 30 times as long.
        MarkedYAMLError: the text is not YAML (while iterating).
    """
    if not yaml.__with_libyaml__:
        message = "cannot be read: PyYAML was installed without libyaml; install one of its wheels"
        raise FilesError((Problem(file, 0, 0, message),))
    from yaml._yaml import CParser  # absent without libyaml

    return iter(CParser(text).get_event, None)


def place_of(event: Event, text: str) -> Place:
    """Return where an event of ``text`` starts."""
    return place_at(text, event.start_mark)


def place_at(text: str, mark: Any) -> Place:
    """Return the place of a mark of libyaml: it counts code points from 0, but invents a line break at the end."""
    return Place(mark.line + 1, mark.column + 1) if mark.index < len(text) else place_after(text)


def place_after(before: str) -> Place:
    """Return the place of the character that follows the text ``before``."""
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


# Refused are what libyaml's reader refuses (its own error counts bytes), lone surrogates (UnicodeEncodeError), byte
# order marks, and every line break of libyaml's that `git diff` does not show as one: see `document`.
_ALLOWED = "\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_ORDINARY = re.compile(f"[{_ALLOWED}]*+")
_REFUSED = re.compile(f"\r(?!\n)|[^\r{_ALLOWED}]")


def refused_characters(text: str) -> Iterator[tuple[Place, str]]:
    """Return the characters of ``text`` that may not stand in it unescaped."""
    if _ORDINARY.fullmatch(text):  # seven times as fast as a search for what is refused
        return
    line, start, seen = 1, 0, 0
    for match in _REFUSED.finditer(text):
        line += text.count("\n", seen, match.start())
        start = max(start, text.rfind("\n", seen, match.start()) + 1)
        seen = match.start()
        yield Place(line, seen - start + 1), match[0]


_SYNTAX = {
    "mapping values are not allowed in this context": 'a ": " cannot stand here: quote the text, or indent it right',
    "found character that cannot start any token": "this character begins no value: quote the text; indent with spaces",
}
_SYNTAX_OF_CONTEXT = {
    "could not find expected ':'": 'this needs a ":" after it, to be a key: mend the line, or its indentation',
    "found unexpected end of stream": "the closing quote is missing",
}


def syntax_problem(error: MarkedYAMLError, text: str) -> tuple[Place, str]:
    """Return where a text is not YAML, and why, in plain words."""
    problem = error.problem or ""
    place = place_at(text, error.problem_mark)
    if error.context_mark is None or problem in _SYNTAX:
        return place, _SYNTAX.get(problem, f"is not YAML: {problem}")
    begin = place_at(text, error.context_mark)
    if problem in _SYNTAX_OF_CONTEXT:
        return begin, _SYNTAX_OF_CONTEXT[problem]
    return place, f"is not YAML: {problem} ({error.context} that begins on line {begin.line})"


@dataclass(slots=True)
class _Step:
    """One step of the wanted paths, and where it was first seen."""

    children: dict[str | int, "_Step"] = field(default_factory=dict)
    places: Places | None = None


def locate(text: str, wanted: Iterable[Path]) -> dict[Path, Places]:
    """Return the places of the values at ``wanted``, in one pass over ``text``, which ``parse`` has read before.

    A path that does not exist gets the places of the deepest part of it that does; what lies behind an alias gets the
    alias's. Of duplicate keys the first counts. A text that ends early, in whatever way, is located up to there.
    """
    paths = list(wanted)
    root = _Step()
    for path in paths:
        step = root
        for part in path:
            step = step.children.setdefault(part, _Step())
    if paths:
        with suppress(MarkedYAMLError):  # `parse` has reported it
            _walk(text, root)
    return {path: _deepest(root, path) for path in paths}


def _deepest(step: _Step, path: Path) -> Places:
    places = step.places or Places(None, Place(1, 1))
    for part in path:
        step = step.children[part]
        if step.places is None:
            break
        places = step.places
    return places


def _walk(text: str, root: _Step) -> None:
    # One frame an open container: its step if that is wanted, and the index of its next item, or -1 in a mapping.
    stack: list[tuple[_Step | None, int]] = []
    step: _Step | None = _Step({0: root})
    index = 0
    key: ScalarEvent | None = None
    for event in events(text, ""):
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            step, index = stack.pop()
        elif index < 0 and key is None and isinstance(event, ScalarEvent):
            key = event
        elif isinstance(event, NodeEvent):
            child = step.children.get(key.value if key else index) if step else None
            if child and child.places is None:
                child.places = Places(place_of(key, text) if key else None, place_of(event, text))
            key = None
            index += index >= 0
            if isinstance(event, CollectionStartEvent):
                stack.append((step, index))
                step, index = child, 0 if isinstance(event, SequenceStartEvent) else -1
            if len(stack) > MAX_DEPTH:
                return  # `parse` stopped here
