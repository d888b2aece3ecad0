"""How much an expression could take for one key: CEL counts the turns of loops, not what each of them costs.

The estimate is in steps of about a tenth of a microsecond or a hundred bytes, for a key with `MOST_ELEMENTS` scopes.
"""

import re
from typing import Final

from reconciler.core.tree import Kind, Node, Tree

MOST_COST: Final = 1_000_000
MOST_ELEMENTS: Final = 300
_MOST_TURNS: Final = 10_000
_CONVERSION, _ADDITION, _INSTRUCTION = 20, 1000, 20


def cost(tree: Tree) -> int:
    """Estimate the steps that an expression takes at most: loops multiply what lies in them."""
    additions = sum("add_string" in tree.overloads(each) for each in tree.nodes())
    return _cost(tree, tree.root, 1, 1 << additions)


def _cost(tree: Tree, node: Node, times: int, growth: int) -> int:
    inside = times
    if node.kind is Kind.COMPREHENSION:
        inside = min(times * _elements(tree, node.children[0]), _MOST_TURNS)
    own = times * _weight(tree, node, growth)
    ahead, body = node.children[:1], node.children[1:]
    own += sum(_cost(tree, each, times, growth) for each in ahead)
    return own + sum(_cost(tree, each, inside, growth) for each in body)


def _elements(tree: Tree, node: Node) -> int:
    """Estimate how many elements a list or a map has."""
    if not tree.type_of(node).depth:
        return 0
    if node.kind is Kind.COMPREHENSION:
        return _elements(tree, node.children[0])
    return len(node.children) if node.kind in (Kind.LIST, Kind.STRUCT) else MOST_ELEMENTS


def _weight(tree: Tree, node: Node, growth: int) -> int:
    """Estimate one evaluation of a node, without its children; ``growth``: how often texts may double."""
    match node.text if node.kind is Kind.CALL else "":
        case "_==_" | "_!=_" | "@in":
            return 1 + sum(_elements(tree, each) for each in node.children)
        case "matches":
            return _INSTRUCTION * instructions(node.children[1].string or "") * growth
        case "_+_" if "add_string" in tree.overloads(node):
            return _ADDITION
        case "string" | "timestamp" | "duration":
            return _CONVERSION
        case _:
            return 1


def instructions(pattern: str) -> int:
    """Estimate how long a pattern is once its counted repeats are written out: those of groups multiply."""
    length, groups = len(pattern) + 100 * len(re.findall(r"\\[pP]", pattern)), 1
    for group, least, most in re.findall(r"(\)?)\{(\d+)(?:,(\d*))?\}", pattern):
        count = max(int(least), int(most or 0), 1)
        length, groups = (length, groups * count) if group else (length + count, groups)
    return length * groups
