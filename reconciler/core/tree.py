"""The checked syntax tree of a CEL expression, as far as its checks need it.

CEL gives the tree as a message of Protocol Buffers (``checked.proto`` and ``syntax.proto`` of its project); its fields
are few and their numbers fixed, so that it is read here without a library for that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

_Value = int | bytes
_VARINT, _FIXED64, _DELIMITED = 0, 1, 2
_FIXED_BYTES = {_FIXED64: 8, 5: 4}


class Kind(Enum):
    """What a node is, by the number of its field in ``syntax.proto``."""

    CONSTANT = 3
    NAME = 4
    SELECT = 5
    CALL = 6
    LIST = 7
    STRUCT = 8
    COMPREHENSION = 9


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a call's ``text`` is its function, a name's the name; ``string`` is a constant's, if it is text.

    The children of a call are its target, if it has one, and its arguments.
    """

    id: int
    kind: Kind
    text: str = ""
    string: str | None = None
    children: "tuple[Node, ...]" = ()

    @property
    def constant(self) -> bool:
        """Whether it is written out, and so the same for every key."""
        return self.kind is Kind.CONSTANT or (
            self.kind in (Kind.LIST, Kind.STRUCT) and all(child.constant for child in self.children)
        )


@dataclass(frozen=True, slots=True)
class NodeType:
    """How deep lists and maps lie in each other, and whether some of it is not known before the expression runs."""

    depth: int = 0
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A checked expression: its nodes, what CEL found about each, and where each stands."""

    root: Node
    references: Mapping[int, tuple[str, frozenset[str]]]
    types: Mapping[int, NodeType]
    offsets: Mapping[int, int]

    @property
    def names(self) -> frozenset[str]:
        """The variables that the expression reads."""
        return frozenset(name for name, _ in self.references.values() if name)

    def nodes(self) -> Iterator[Node]:
        """Give every node, a call's before its arguments'."""
        ahead = [self.root]
        while ahead:
            node = ahead.pop()
            yield node
            ahead += reversed(node.children)

    def overloads(self, node: Node) -> frozenset[str]:
        """Give which of a function's forms a call may mean."""
        return self.references.get(node.id, ("", frozenset[str]()))[1]

    def type_of(self, node: Node) -> NodeType:
        """Give the type that CEL found."""
        return self.types.get(node.id, NodeType())

    def offset(self, node: Node) -> int:
        """Give where a node stands in the text, in characters from 0."""
        return self.offsets.get(node.id, 0)


def read_tree(serialized: bytes) -> Tree:
    """Read the tree from what CEL serializes: a ``CheckedExpr`` in an ``Any``."""
    checked = _Message(_Message(serialized).bytes(2))
    references, types, offsets = {}, {}, {}
    for entry in checked.messages(2):
        reference = _Message(entry.bytes(2))
        overloads = frozenset(each.decode() for each in reference.each(3))
        references[entry.number(1)] = reference.text(1), overloads
    for entry in checked.messages(3):
        types[entry.number(1)] = _type(_Message(entry.bytes(2)))
    for entry in _Message(checked.bytes(5)).messages(4):
        offsets[entry.number(1)] = entry.number(2)
    return Tree(_node(_Message(checked.bytes(4))), references, types, offsets)


class _Message:
    """The fields of one message, by number."""

    def __init__(self, encoded: bytes) -> None:
        self._fields: dict[int, list[_Value]] = {}
        for number, value in _fields(encoded):
            self._fields.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def each(self, number: int) -> list[bytes]:
        return [value for value in self._fields.get(number, ()) if isinstance(value, bytes)]

    def messages(self, number: int) -> list["_Message"]:
        return [_Message(value) for value in self.each(number)]

    def bytes(self, number: int) -> bytes:
        return next(iter(self.each(number)), b"")

    def text(self, number: int) -> str:
        return self.bytes(number).decode()

    def number(self, number: int) -> int:
        return next((value for value in self._fields.get(number, ()) if isinstance(value, int)), 0)


def _fields(encoded: bytes) -> Iterator[tuple[int, _Value]]:
    place = 0
    while place < len(encoded):
        tag, place = _varint(encoded, place)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, place = _varint(encoded, place)
            yield number, value
            continue
        length = _FIXED_BYTES.get(wire, 0)
        if wire == _DELIMITED:
            length, place = _varint(encoded, place)
        yield number, encoded[place : place + length]
        place += length


def _varint(encoded: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        part = encoded[place]
        place += 1
        value |= (part & 0x7F) << shift
        shift += 7
        if not part & 0x80:
            return value, place


_DYNAMIC = frozenset({1, 10, 12})  # dyn, a parameter that was never bound, an error
_LIST, _MAP = 6, 7


def _type(message: _Message) -> NodeType:
    inner = [
        _type(part)
        for number in (_LIST, _MAP)
        for container in message.messages(number)
        for field in ((1,) if number == _LIST else (1, 2))
        for part in container.messages(field)
    ]
    dynamic = any(number in message for number in _DYNAMIC) or any(each.dynamic for each in inner)
    is_container = _LIST in message or _MAP in message
    return NodeType(is_container + max((each.depth for each in inner), default=0), dynamic)


_TEXTS = {Kind.NAME: 1, Kind.SELECT: 2, Kind.CALL: 2}
_CHILDREN = {Kind.SELECT: (1,), Kind.CALL: (1, 3), Kind.LIST: (1,), Kind.COMPREHENSION: (2, 4, 5, 6, 7)}
_STRING, _ENTRIES, _KEY_AND_VALUE = 6, 2, (3, 4)


def _node(message: _Message) -> Node:
    kind = next(each for each in Kind if each.value in message)
    number, body = message.number(2), _Message(message.bytes(kind.value))
    if kind is Kind.CONSTANT:
        return Node(number, kind, string=body.text(_STRING) if _STRING in body else None)
    if kind is Kind.STRUCT:
        entries = body.messages(_ENTRIES)
        return Node(number, kind, children=tuple(c for entry in entries for c in _children(entry, _KEY_AND_VALUE)))
    text = body.text(_TEXTS[kind]) if kind in _TEXTS else ""
    return Node(number, kind, text, children=_children(body, _CHILDREN.get(kind, ())))


def _children(message: _Message, fields: tuple[int, ...]) -> tuple[Node, ...]:
    return tuple(_node(child) for field in fields for child in message.messages(field))
