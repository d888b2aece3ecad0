"""Documents to dataclasses: what does not fit is said in words for a person, and then found in its file.

pydantic does the checking and gives the JSON Schema; neither its words nor its errors leave this module. What is wrong
is kept as a path inside a document. Lines and columns cost a second pass over the text, so they are looked up once, at
the end, and only in files that something is to be said about.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import Source
from reconciler.errors import FilesError, Problem
from reconciler.files.document import MAX_PROBLEMS, Path, Place, Places, Value, locate, read_text
from reconciler.files.places import place_after

T = TypeVar("T")
_LONGEST_SHOWN = 60
_SECRET_KEY = re.compile(r"aha-sk-[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Inside:
    """A place inside of a text that a file holds: the whole text, and a 1-based line and column of it."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Spot:
    """A value in a file, by its path in the document; ``at_key``: the key that it stands under.

    ``inside`` is a place in the value, where that is text; where the file writes it differently the value's is told.
    """

    file: str
    path: Path
    at_key: bool = False
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something wrong at a spot; the place of ``other``, if there is one, comes between ``message`` and ``then``."""

    spot: Spot
    message: str
    other: Spot | Source | None = None
    then: str = ""


@dataclass(slots=True)
class Faults:
    """What is found wrong in files while they are read, until it is all told at once."""

    problems: list[Problem] = field(default_factory=list)
    opened: dict[str, FilePath] = field(default_factory=dict)
    _wrongs: dict[str, list[Wrong]] = field(default_factory=dict)

    def wrong(self, spot: Spot, message: str, other: Spot | Source | None = None, then: str = "") -> None:
        """Keep a problem; one more than ``MAX_PROBLEMS`` of a file is only said to exist."""
        wrongs = self._wrongs.setdefault(spot.file, [])
        if len(wrongs) < MAX_PROBLEMS:
            wrongs.append(Wrong(spot, message, other, then))
        elif len(wrongs) == MAX_PROBLEMS:
            wrongs.append(Wrong(spot, f"more than {MAX_PROBLEMS} problems: the rest is not shown"))

    def raise_any(self) -> None:
        """Raise what :meth:`error` gives, if anything is wrong."""
        if self.problems or self._wrongs:
            raise self.error()

    def error(self) -> FilesError:
        """Give every problem of every file, with its place."""
        wrongs = [wrong for each in self._wrongs.values() for wrong in each]
        others = [wrong.other for wrong in wrongs if isinstance(wrong.other, Spot)]
        sources = self.sources([*(wrong.spot for wrong in wrongs), *others])
        told = {(problem.file, problem.line, problem.column) for problem in self.problems}
        for wrong in wrongs:
            at = sources[wrong.spot]
            if (at.file, at.line, at.column) in told:  # it follows from what is told of this very place
                continue
            other = sources[wrong.other] if isinstance(wrong.other, Spot) else wrong.other or ""
            self.problems.append(Problem(at.file, at.line, at.column, f"{wrong.message}{other}{wrong.then}"))
        return FilesError(tuple(self.problems))

    def sources(self, spots: Iterable[Spot]) -> dict[Spot, Source]:
        """Look up spots, each file read and scanned once more."""
        wanted: dict[str, list[Spot]] = {}
        for spot in spots:
            wanted.setdefault(spot.file, []).append(spot)
        return {spot: source for file, each in wanted.items() for spot, source in self._in_file(file, each).items()}

    def _in_file(self, file: str, spots: list[Spot]) -> dict[Spot, Source]:
        try:
            text = read_text(self.opened[file], file)
            places = locate(text, (spot.path for spot in spots))
        except FilesError:  # it could be read a moment ago: show the file without a place
            return {spot: Source(file, 0, 0) for spot in spots}
        found = {spot: _place(places[spot.path], spot, text) for spot in spots}
        return {spot: Source(file, place.line, place.column) for spot, place in found.items()}


def _place(places: Places, spot: Spot, text: str) -> Place:
    if spot.inside:
        return _place_inside(text.split("\n"), places.value, spot.inside)
    return places.key if spot.at_key and places.key else places.value


def _place_inside(lines: list[str], start: Place, inside: Inside) -> Place:
    """Find a place in a text that a file writes as it is, in a block or on one line; else give where it starts."""
    written = inside.text.split("\n")
    if inside.line > 1 and inside.line == len(written) and not written[-1]:  # after the last line break: at its end
        last = next((at for at in range(len(written), 0, -1) if written[at - 1]), 1)
        inside = Inside(inside.text, last, len(written[last - 1]) + 1)
    wanted = written[inside.line - 1]
    first = lines[start.line - 1][start.column - 1 :]
    if first[:1] in ("|", ">"):
        line = start.line + inside.line
        indent = lines[line - 1].find(wanted) if line <= len(lines) else -1
        return Place(line, indent + inside.column) if indent >= 0 else start
    quote = first[:1] in ("'", '"')
    exact = inside.line == 1 and first[quote:].startswith(wanted[: inside.column - 1])
    return Place(start.line, start.column + quote + inside.column - 1) if exact else start


def shown(value: object) -> str:
    """Show a scalar of a document as JSON, on one line and not too long; of anything else only say what it is."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            text = value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}…"
            return json.dumps(text, ensure_ascii=not text.isprintable())
        case _:
            return json.dumps(value)


def link_not_followed(link: str) -> Finding:
    """Give the note that a link which leads out of a folder of files was not followed."""
    message = f"{link} is a link that leads out of its folder: it was not followed"
    return Finding(
        "link-not-followed", Severity.NOTE, message, "name what it leads to as a path of its own, or copy it"
    )


def pasted_secrets(text: str, name: str) -> tuple[Problem, ...]:
    """Find secret keys that somebody pasted: as a label or a scope one would be sent, and shown in the dashboard."""
    message = "this looks like a secret key: take it out, and revoke that key, since it has been in a file"
    return tuple(
        Problem(name, place.line, place.column, message)
        for found in _SECRET_KEY.finditer(text)
        for place in (place_after(text[: found.start()]),)
    )


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Suggest the nearest known word, or list all of them after ``otherwise``."""
    known = sorted(set(known))
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"{otherwise} {', '.join(known)}"


@dataclass(frozen=True, slots=True)
class Misfit:
    """What does not fit at a path of a document; ``at_key``: it is the key there that does not."""

    path: Path
    message: str
    at_key: bool = False


class Shape(Generic[T]):
    """One kind of document: a dataclass, the words for its patterns, and those for fields and values refused by name.

    ``refused`` has them by ``field`` and by ``field: value``.
    """

    def __init__(self, kind: type[T], patterns: Mapping[str, str], refused: Mapping[str, str]) -> None:
        self._kind = kind
        self._patterns = patterns
        self._refused = refused

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._kind)

    @cached_property
    def _schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = _without_nulls(self._adapter.json_schema(mode="validation"))
        return schema

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema (draft 2020-12)."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **self._schema}

    def read(self, document: Value | dict[str, Any]) -> T | list[Misfit]:
        """Give the document as a dataclass, or everything in it that does not fit."""
        try:
            return self._adapter.validate_python(document)
        except ValidationError as invalid:
            return [self._misfit(error) for error in invalid.errors(include_url=False) if not _follows(error)]

    def _misfit(self, error: ErrorDetails) -> Misfit:
        path, kind = error["loc"], error["type"]
        name = next((part for part in reversed(path) if isinstance(part, str)), "the file")
        if kind == "unexpected_keyword_argument":
            return Misfit(path, self._unknown(path), at_key=True)
        if kind == "missing":
            return Misfit(path[:-1], f"{_named(name)} is missing: {self._at(path)[0].get('description')}")
        return Misfit(path, f"{name if name.isprintable() else shown(name)}: {self._words(error)}")

    def _unknown(self, path: Path) -> str:
        name = str(path[-1])
        if name in self._refused:
            return f"{_named(name)} {self._refused[name]}"
        known = tuple(each for node in self._at(path[:-1]) for each in node.get("properties", ()))
        if not known:
            return f"unknown field {_named(name)}: there are none here, remove it"
        return f"unknown field {_named(name)}: {did_you_mean(name, known, 'the fields here are')}"

    def _words(self, error: ErrorDetails) -> str:
        value, context = error["input"], error.get("ctx", {})
        match error["type"]:
            case "string_pattern_mismatch":
                return f"{shown(value)} {self._patterns[context['pattern']]}"
            case "string_too_short" | "too_short":
                least = context["min_length"]
                return f"has {len(value)}: write {least} at least" if value else _EMPTY
            case "string_too_long":
                return f"has {len(value)} characters: at most {context['max_length']} are allowed"
            case "literal_error":
                return self._no_choice(value, error["loc"])
            case "greater_than_equal" | "less_than_equal":
                return f"{value} is out of range: the limit is {context.get('ge', context.get('le'))}"
            case other:
                texts = other != "string_type" and any(node.get("type") == "string" for node in self._at(error["loc"]))
                told = f"{_kind(value)}: write {'text, or ' if texts else ''}{_instead(other, value)}"
                return self._no_text(value, error["loc"]) or told

    def _no_text(self, value: Any, path: Path) -> str | None:
        """Say how to write a number that quotes alone do not make the text that is meant, or None."""
        patterns = [node["pattern"] for node in self._at(path) if "pattern" in node]
        wrong = [each for each in patterns if isinstance(value, int | float) and not re.search(each, str(value))]
        return f"{shown(value)} {self._patterns[wrong[0]]}" if wrong else None

    def _no_choice(self, value: Any, path: Path) -> str:
        if isinstance(value, str) and (why := self._refused.get(f"{path[-1]}: {value}")):
            return f"{value} {why}"
        choices = [choice for node in self._at(path) for choice in node.get("enum", (node.get("const"),)) if choice]
        choices = list(dict.fromkeys(choices))
        if isinstance(value, str):
            return f"{shown(value)}: {did_you_mean(value, choices, 'write one of')}"
        return f"{_kind(value)}: write one of {', '.join(choices)}"

    def _at(self, path: Path) -> list[dict[str, Any]]:
        """Give the schemas that hold for the value at ``path``: its own, then its alternatives."""
        nodes = self._alternatives(self._schema)
        for part in path:
            nodes = [node for parent in nodes for node in self._below(parent, part)]
        return nodes or [{}]

    def _below(self, node: dict[str, Any], part: str | int) -> list[dict[str, Any]]:
        if isinstance(part, int):
            child = node.get("items")
        else:
            child = node.get("properties", {}).get(part) or node.get("additionalProperties")
        return self._alternatives(child) if child else []

    def _alternatives(self, node: dict[str, Any]) -> list[dict[str, Any]]:
        nodes = [node]
        for each in nodes:  # it grows while it is walked
            nodes += each.get("anyOf", ())
            if "$ref" in each:
                nodes.append(self._schema["$defs"][each["$ref"].rpartition("/")[2]])
        return nodes


_EMPTY = "is empty: leave it out, or write something"


def _follows(error: ErrorDetails) -> bool:
    """Tell whether a list is only too short because pydantic does not count what does not fit in it."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _named(name: str) -> str:
    return f"'{name}'" if name.isidentifier() else shown(name)


def _kind(value: object) -> str:
    match value:
        case bool():
            return f"{shown(value)} is a truth value"
        case int() | float():
            return f"{shown(value)} is a number"
        case str():
            return f"{shown(value)} is text"
        case _:
            return f"is {shown(value)}"


def _instead(wanted: str, value: object) -> str:
    match wanted:
        case "string_type" if isinstance(value, int | float):  # also a bool
            return "it in quotes"
        case "string_type":
            return "text"
        case "tuple_type":
            return "a list, [in brackets] or one item a line after '- '"
        case "int_type":
            return "a whole number"
        case "bool_type":
            return "true or false"
        case _:
            return "a mapping, 'field: value' on lines of its own"


def _is_python_only(name: str, value: object) -> bool:
    """Tell whether this is a default that says nothing to a reader of the schema: None, or an entry full of them."""
    return name == "default" and (value is None or isinstance(value, dict))


def _without_nulls(node: Any) -> Any:
    """Leave out of a JSON Schema what only Python has: None for what is absent. No document may hold a null."""
    match node:
        case list():
            return [_without_nulls(each) for each in node if each != {"type": "null"}]
        case dict():
            kept = {name: _without_nulls(each) for name, each in node.items() if not _is_python_only(name, each)}
            only = kept.get("anyOf", ())
            if len(only) == 1:
                del kept["anyOf"]
                kept = {**only[0], **kept}
            return kept
        case _:
            return node
