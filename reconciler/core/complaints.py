"""What CEL says of an expression that it does not take, in words for the person who wrote it, and where."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from reconciler.core.vocabulary import EXAMPLES, MACROS, VARIABLES

_NEAR: Final = 0.7


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an expression, at a 1-based line and column (in characters) of it."""

    line: int
    column: int
    message: str


_ERROR: Final = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(\d+):(\d+): (.*)", re.MULTILINE)
_UNDECLARED: Final = re.compile(r"undeclared reference to '(.+?)' \(in container ''\)")
_OVERLOAD: Final = re.compile(r"found no matching overload for '(.+?)' applied to '(.+)'")
ABSENT: Final = "Key not found in map"
_THERE_IS: Final = f"there are key, change and now, and the functions {', '.join(EXAMPLES)}"
_OPERATORS: Final = {"@in": "in", "_[_]": "[ ]", "_?_:_": "? :"}
_TRAILER: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")


def plain(message: str) -> str:
    """Give what CEL says without its codes."""
    return _TRAILER.sub("", _TRAILER.sub("", message))


def faults(text: str, message: str) -> list[Fault]:
    """Put CEL's errors in words; what follows from a name that it does not know is left out."""
    found = [(int(line), int(column), said) for line, column, said in _ERROR.findall(message)]
    if not found:
        return [Fault(1, 1, _in_words(plain(message.partition("\n")[0])))]
    unknown = [(line, column, match[1]) for line, column, said in found if (match := _UNDECLARED.match(said))]
    macros = [each for each in unknown if each[2] in MACROS]
    if not unknown:
        line, column, said = found[0]
        return [Fault(line, column, _in_words(said))]
    return [_undeclared(text, *each) for each in macros or unknown]


def _undeclared(text: str, line: int, column: int, name: str) -> Fault:
    """Say what may have been meant by a name that there is not, at the name's beginning."""
    before = text.split("\n")[line - 1][: column - 1]
    if before.endswith(name):  # CEL points at the parenthesis of a call, and at the last dot of a name
        column -= len(name)
    elif before.endswith(name.rpartition(".")[0]):
        column -= len(name.rpartition(".")[0])
    return Fault(line, column, _unknown(name))


def _unknown(name: str) -> str:
    if name in EXAMPLES:
        return f"{name} does not take this: write it as {EXAMPLES[name]}"
    of, _, field = name.partition(".")
    fields = [each.partition(".")[2] for each in VARIABLES if each.startswith(f"{of}.")]
    listed = f"the fields of {of} are {', '.join(fields)}"
    if fields and not field:
        return f"{name!r} is no value by itself: {listed}"
    near = [f"{of}.{each}" for each in get_close_matches(field, fields, n=1)]
    near = near or get_close_matches(name, (*VARIABLES, *EXAMPLES), n=1, cutoff=_NEAR)
    if near:
        return f"there is no {name!r}: did you mean {near[0]!r}?"
    return f"there is no {name!r}: {listed if fields else _THERE_IS}"


_TYPES: Final = {
    "google.protobuf.Duration": "length of time",
    "google.protobuf.Timestamp": "time",
    "list(string)": "list of text",
    "map(string, string)": "text by name",
    "null_type": "null",
    "string": "text",
    "int": "number",
    "bool": "truth",
}
_ADVICE: Final = {
    "length of time": 'write a length of time as duration("720h")',
    "time": 'write a time as timestamp("2026-01-31T00:00:00Z")',
    "null": 'nothing is ever null: compare with ""',
    "list of text": 'write lists as ["a", "b"], and ask for one of a list with in',
}
_SPELLED: Final = {"and": "&&", "or": "||", "not": "!"}


def _in_words(said: str) -> str:
    match = _OVERLOAD.match(said)
    if match:
        return _does_not_fit(match[1], match[2])
    if "recursion limit" in said or "recursion depth" in said:
        return "lies too deep in parentheses: write it in simpler parts"
    if said.startswith("Syntax error: mismatched input '<EOF>'"):
        return "ends too early: something is missing here"
    if "token recognition error at: '=" in said:
        return "write == to compare"
    told = said.partition(" expecting ")[0]
    if (word := re.search(r"input '(and|or|not)'", told)) is not None:
        return f"write {_SPELLED[word[1]]} for {word[1]!r}"
    return told


def _does_not_fit(function: str, types: str) -> str:
    """Say which kinds of values do not go together, and how those that people get wrong are written."""
    for name, words in _TYPES.items():
        types = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", words, types)
    advice = next((each for kind, each in _ADVICE.items() if kind in types), "")
    told = f"{_OPERATORS.get(function, function.strip('_'))!r} does not go with {types}"
    return f"{told}: {advice}" if advice else told


def place(text: str, offset: int) -> tuple[int, int]:
    """Give the 1-based line and column of an offset in characters."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")
