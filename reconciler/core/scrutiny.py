"""What an expression must not hold although CEL takes it.

CEL bounds the steps of an expression, not the size of its values nor the cost of its patterns; and it finds a constant
that is wrong only when a key reaches it, or never, which for a rule means that it is silently kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from reconciler.core.changes import Action, Direction
from reconciler.core.costs import MOST_COST, cost, instructions
from reconciler.core.keys import KeyState
from reconciler.core.networks import check_network
from reconciler.core.scopes import Reach, parse_scope, suggestion
from reconciler.core.tree import Kind, Node, Tree

Fails = Callable[[str, str], bool]
"""Tells whether an expression over the one variable ``text`` fails for a text."""

MOST_ADDITIONS: Final = 6
_MOST_VARYING: Final = 20
_MOST_DEPTH: Final = 2
_LONGEST_PATTERN: Final = 200
_MOST_INSTRUCTIONS: Final = 1000
_COLLECTED: Final = "@result"
"""What CEL calls the list that ``map`` and ``filter`` make, one element at a time."""
_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "key.state": frozenset(KeyState),
    "change.action": frozenset(Action),
    "change.direction": frozenset(Direction),
}
_SCOPE_LISTS: Final = frozenset({"key.scopes", "change.granted", "change.revoked"})


def wrong_parts(tree: Tree, fails: Fails) -> Iterator[tuple[Node, str]]:
    """Give each part of an expression that must not be in it, with what is wrong."""
    additions = 0
    if cost(tree) > MOST_COST:
        yield tree.root, "could take too long for one key: ask less inside all, exists, filter and map"
    for node in tree.nodes():
        yield from ((node, message) for message in _growing(tree, node))
        if node.kind is Kind.CALL:
            additions += "add_string" in tree.overloads(node)
            if additions > MOST_ADDITIONS:
                yield node, f"puts texts together more than {MOST_ADDITIONS} times: that is too costly"
                return
            yield from _wrong_constants(node, fails)


def _growing(tree: Tree, node: Node) -> Iterator[str]:
    """Refuse what could make values grow: CEL bounds the steps of an expression, not the size of its values."""
    kind = tree.type_of(node)
    if kind.dynamic:
        yield "mixes types, or hides them with dyn(): only values of one known type can be checked"
    elif kind.depth > _MOST_DEPTH:
        yield "holds lists in lists in lists: that is too costly"
    if node.kind is Kind.LIST and sum(not child.constant for child in node.children) > _MOST_VARYING:
        yield f"lists more than {_MOST_VARYING} values that are not constant: that is too costly"
    if not tree.overloads(node).isdisjoint({"add_list", "add_bytes"}) and node.children[0].text != _COLLECTED:
        yield "puts lists together: that is too costly; ask about each of them"


def _wrong_constants(node: Node, fails: Fails) -> Iterator[tuple[Node, str]]:
    """Find constants that can never be right: CEL would find some when a key reaches them, and others never."""
    name, arguments = node.text, node.children
    match name:
        case "matches":
            yield from _wrong_pattern(arguments[1], fails)
        case "duration" | "timestamp":
            yield from _wrong_time(name, arguments[0], fails)
        case "covers":
            yield from _wrong_scope(arguments[1])
        case "networks_within":
            yield from _wrong_networks(arguments)
        case "@in" | "_==_" | "_!=_":
            yield from _wrong_comparison(name, *arguments)
        case _ if name.startswith("get"):
            yield from _wrong_zone(arguments[1:])


_ZONE: Final = re.compile(r"UTC|[+-]?[0-9]{2}:[0-9]{2}")


def _wrong_zone(arguments: tuple[Node, ...]) -> Iterator[tuple[Node, str]]:
    for zone in arguments:
        if zone.string is None or not _ZONE.fullmatch(zone.string):
            yield zone, "this zone would be read from a file, if there is one: write 'UTC' or '+01:00'"


_TIMES: Final = {
    "duration": ("duration(text) > duration('0s')", "a length of time: write hours, minutes or seconds, such as '24h'"),
    "timestamp": ("timestamp(text) > timestamp(0)", "a time: write it as '2026-01-31T00:00:00Z'"),
}


def _wrong_time(function: str, argument: Node, fails: Fails) -> Iterator[tuple[Node, str]]:
    trial, what = _TIMES[function]
    text = argument.string
    if text is not None and fails(trial, text):
        days = re.fullmatch(r"(\d{1,6})d", text) if function == "duration" else None
        yield argument, f"{text!r} is not {what}" if days is None else f"write {text!r} as '{int(days[1]) * 24}h'"


def _wrong_scope(argument: Node) -> Iterator[tuple[Node, str]]:
    if argument.string is not None and (better := suggestion(argument.string)):
        yield argument, f"{argument.string!r} is not a known scope: write {better}"


def _wrong_pattern(pattern: Node, fails: Fails) -> Iterator[tuple[Node, str]]:
    if pattern.string is None:
        yield pattern, "a pattern must be written out: one that varies could be wrong for some key"
        return
    if len(pattern.string) > _LONGEST_PATTERN or instructions(pattern.string) > _MOST_INSTRUCTIONS:
        yield pattern, "this pattern is too long, or repeats too much: that is too costly"
    elif fails("''.matches(text)", pattern.string):
        yield pattern, f"{pattern.string!r} is no pattern in RE2's syntax"


def _wrong_networks(lists: tuple[Node, ...]) -> Iterator[tuple[Node, str]]:
    for node in (each for one in lists if one.kind is Kind.LIST for each in one.children):
        if node.string is not None:
            try:
                check_network(node.string)
            except ValueError as error:
                yield node, str(error)


def _wrong_comparison(name: str, one: Node, other: Node) -> Iterator[tuple[Node, str]]:
    if name != "@in":
        yield from (*_wrong_choice(one, other), *_wrong_choice(other, one))
    elif other.kind is Kind.LIST:
        for choice in other.children:
            yield from _wrong_choice(one, choice)
    elif one.string is not None and (problem := _never_in(one.string, other.text)):
        yield one, problem


def _never_in(text: str, variable: str) -> str | None:
    """Say why a list of a key never holds ``text``, or None: a comparison of texts would be false for every key."""
    if variable == "key.ip_allow_list":
        return _never_networked(text)
    return _never_listed(text) if variable in _SCOPE_LISTS else None


def _never_networked(text: str) -> str | None:
    try:
        network = check_network(text)
    except ValueError as error:
        return str(error)
    return None if network == text else f"{text!r} is never listed so: write {network}"


def _never_listed(text: str) -> str | None:
    scope = parse_scope(text)
    if scope.reach is Reach.UNKNOWN:
        better = suggestion(text)
        return f"{text!r} is not a known scope: write {better}" if better else None
    return None if scope.text == text else f"{text!r} is never listed so: write {scope.text}"


def _wrong_choice(name: Node, constant: Node) -> Iterator[tuple[Node, str]]:
    choices = _CHOICES.get(name.text, frozenset())
    if choices and constant.string is not None and constant.string not in choices:
        yield constant, f"{name.text} is never {constant.string!r}: it is one of {', '.join(sorted(choices))}"
