"""The functions that rules have beside CEL's own, computed outside of CEL before an expression is evaluated.

What they are asked is written out in the rule, so that each call is one fact about a key: the call's place in the
expression is taken by a variable that holds it. CEL can call Python, but its library (cel-expr-python 0.1.3) never
frees the arguments of such a call, of which a daemon makes millions a day; and a fact costs a tenth of a call.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from reconciler.core.networks import FENCE, AllowList
from reconciler.core.scopes import parse_scope
from reconciler.core.tree import Kind, Node, Tree

FUNCTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "covers": ("key.scopes", "change.granted", "change.revoked"),
    "networks_within": ("key.ip_allow_list",),
}
"""Our functions, and the lists that each may be asked of."""
_TEXT_OR_COMMENT: Final = re.compile(
    r"""//[^\n]*
    |`[^`\n]*`
    |[bB]?[rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
    |[bB]?(?:\"{3}(?:\\.|.)*?\"{3}|'{3}(?:\\.|.)*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Fact:
    """What one call asks of a key: whether a list of its scopes covers one, or its networks lie in others.

    It is asked of a hundred thousand keys: what does not depend on the key is worked out once.
    """

    function: str
    variable: str
    asked: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        """The variable that holds it: the same for the same call in any rule."""
        said = "\0".join((self.function, self.variable, *self.asked))
        return f"_fact_{hashlib.sha256(said.encode()).hexdigest()[:24]}"

    def holds(self, values: Mapping[str, object]) -> bool:
        """Tell whether it holds for a key with these values of variables."""
        held = values[self.variable]
        if not isinstance(held, list):
            raise TypeError(f"{self.variable} is no list")
        if self.function == "covers":
            return not self._covering.isdisjoint(held)
        return held == [FENCE] or self._networks.holds(held)

    @cached_property
    def _covering(self) -> frozenset[str]:
        scope = parse_scope(self.asked[0])
        return frozenset({scope.text, *scope.wider})

    @cached_property
    def _networks(self) -> AllowList:
        return AllowList.parse(self.asked)


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the text of an expression: what it asks, and where it begins and ends."""

    fact: Fact
    start: int
    end: int


def unwritten(tree: Tree) -> Iterator[tuple[Node, str]]:
    """Give each argument of our functions that would have to be looked up while an expression runs."""
    for node in _calls(tree):
        held, asked = node.children
        lists = FUNCTIONS[node.text]
        if held.text not in lists or held.kind is not Kind.NAME:
            yield held, f"{node.text} is asked of a list of the key: write {' or '.join(lists)}"
        if _written_out(asked) is None:
            yield asked, f"what {node.text} asks must be written out: it cannot vary"


def calls(tree: Tree, text: str) -> tuple[Call, ...]:
    """Give the calls of our functions, whose arguments are all written out, in their order in the text."""
    blank = _TEXT_OR_COMMENT.sub(lambda match: " " * len(match[0]), text)
    found = (_call(node, tree.offset(node), blank) for node in _calls(tree))
    return tuple(sorted(found, key=lambda call: call.start))


def replaced(text: str, found: Sequence[Call]) -> str:
    """Give the text with each call's variable in its place."""
    for call in reversed(found):
        text = f"{text[: call.start]} {call.fact.name} {text[call.end :]}"
    return text


def _calls(tree: Tree) -> Iterator[Node]:
    return (node for node in tree.nodes() if node.kind is Kind.CALL and node.text in FUNCTIONS)


def _call(node: Node, parenthesis: int, text: str) -> Call:
    held, asked = node.children
    start = text.rindex(node.text, 0, parenthesis)
    return Call(Fact(node.text, held.text, _written_out(asked) or ()), start, _end(text, parenthesis))


def _written_out(node: Node) -> tuple[str, ...] | None:
    """Give the texts that an argument holds, None where some are not written out."""
    texts = tuple(each.string for each in (node.children if node.kind is Kind.LIST else (node,)))
    written = tuple(text for text in texts if text is not None)
    return written if len(written) == len(texts) else None


def _end(text: str, parenthesis: int) -> int:
    """Give where the parentheses that open there are closed."""
    depth = 0
    for place in range(parenthesis, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place + 1
    raise ValueError("the parentheses of a call are never closed")
