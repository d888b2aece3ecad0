"""How much an expression could take for one key: CEL counts the turns of loops, not what each of them costs.

The estimate is in steps of about a tenth of a microsecond or a hundred bytes, for a key with `MOST_ELEMENTS` scopes.
"""

import re
from typing import Final

from reconciler.core.tree import Kind, Node, Tree

MOST_COST: Final = 1_000_000
MOST_ELEMENTS: Final = 300
_MOST_TURNS: Final = 10_000
_CONVERSION, _ADDITION, _INSTRUCTION, _LONG, _SEARCH, _CLASS = 20, 20, 20, 200, 1000, 900


def cost(tree: Tree) -> int:
    """Estimate the steps that an expression takes at most: loops multiply what lies in them."""
    doublings = sum(
        "add_string" in tree.overloads(each) and not any(part.constant for part in each.children)
        for each in tree.nodes()
    )
    return _cost(tree, tree.root, 1, 1 << doublings)


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


def _compared(tree: Tree, node: Node) -> int:
    """Estimate how many values a comparison looks at: those of lists in lists, too."""
    depth = tree.type_of(node).depth
    if depth and node.kind in (Kind.LIST, Kind.STRUCT):
        return sum(1 + _compared(tree, each) for each in node.children)
    return _elements(tree, node) * (MOST_ELEMENTS if depth > 1 else 1)


def _weight(tree: Tree, node: Node, growth: int) -> int:
    """Estimate one evaluation of a node, without its children; ``growth``: how often texts may double."""
    match node.text if node.kind is Kind.CALL else "":
        case "_==_" | "_!=_" | "@in":
            return growth + sum(_compared(tree, each) for each in node.children)
        case "matches":
            return _INSTRUCTION * instructions(node.children[1].string or "") * growth
        case "_+_" if "add_string" in tree.overloads(node):
            return _ADDITION * growth
        case "contains" if growth > 1:
            return _SEARCH * growth * growth
        case "size" | "string" | "bytes" | "timestamp" | "duration":
            return _LONG * growth if growth > 1 else _CONVERSION
        case _:
            return 1


def instructions(pattern: str) -> int:
    """Estimate how long a pattern is once its counted repeats are written out: those of groups multiply."""
    classes = len(re.findall(r"\\[pP]", pattern))
    length, groups = len(pattern) + _CLASS * classes, 1
    for group, least, most in re.findall(r"(\)?)\{(\d+)(?:,(\d*))?\}", pattern):
        count = max(int(least), int(most or 0), 1) * (1 if group or not classes else _CLASS)
        length, groups = (length, groups * count) if group else (length + count, groups)
    return length * groups
