"""The checked tree that CEL gives: its nodes, their types, what they refer to and where they stand."""

import pytest

from reconciler.core.expressions import compile_expression
from reconciler.core.tree import Kind, Node, NodeType, Tree, read_tree

CALL, NAME, CONSTANT = Kind.CALL, Kind.NAME, Kind.CONSTANT


def field(number: int, value: bytes | int) -> bytes:
    """One short field of a message of Protocol Buffers: a number below 128, or fewer than 128 bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


PRIMITIVE, DYN, NEVER_BOUND, ERROR = field(3, 5), field(1, b""), field(10, b"T"), field(12, b"")


def tree(text: str) -> Tree:
    return read_tree(compile_expression(text).program.serialize())


def shown(text: str) -> list[tuple[Kind, str, str | None]]:
    return [(node.kind, node.text, node.string) for node in tree(text).nodes()]


def found(text: str, kind: Kind) -> list[Node]:
    return [node for node in tree(text).nodes() if node.kind is kind]


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("key.managed", [(NAME, "key.managed", None)]),
        ('key.owner == "é😀"', [(CALL, "_==_", None), (NAME, "key.owner", None), (CONSTANT, "", "é😀")]),
        ('"" == key.owner', [(CALL, "_==_", None), (CONSTANT, "", ""), (NAME, "key.owner", None)]),
        ('key.owner.contains("x")', [(CALL, "contains", None), (NAME, "key.owner", None), (CONSTANT, "", "x")]),
        (
            'matches(["a"][0], "b")',
            [
                (CALL, "matches", None),
                (CALL, "_[_]", None),
                (Kind.LIST, "", None),
                (CONSTANT, "", "a"),
                (CONSTANT, "", None),
                (CONSTANT, "", "b"),
            ],
        ),
        (
            "has(key.annotations.ticket)",
            [(Kind.SELECT, "ticket", None), (NAME, "key.annotations", None)],
        ),
        (
            '{"a": 1.5, "b": 2.5}["a"] != -1.5',
            [
                (CALL, "_!=_", None),
                (CALL, "_[_]", None),
                (Kind.STRUCT, "", None),
                (CONSTANT, "", "a"),
                (CONSTANT, "", None),
                (CONSTANT, "", "b"),
                (CONSTANT, "", None),
                (CONSTANT, "", "a"),
                (CONSTANT, "", None),
            ],
        ),
        (
            "google.protobuf.Int32Value{value: 300} == 300",
            [(CALL, "_==_", None), (Kind.STRUCT, "", None), (CONSTANT, "", None), (CONSTANT, "", None)],
        ),
    ],
)
def test_nodes(text: str, nodes: list[tuple[Kind, str, str | None]]) -> None:
    """Every node is given once, a call's before its arguments', with its name or its text."""
    assert shown(text) == nodes


def test_a_loop() -> None:
    """A macro is a comprehension over its range, whose step and result are its children."""
    (loop,) = found('key.scopes.exists(s, s == "*")', Kind.COMPREHENSION)
    assert [child.text for child in loop.children] == ["key.scopes", "", "@not_strictly_false", "_||_", "@result"]
    assert ("_==_", "s", "*") in [
        (node.text, node.children[0].text, node.children[1].string)
        for node in found('key.scopes.exists(s, s == "*")', CALL)
        if node.text == "_==_"
    ]


@pytest.mark.parametrize(
    ("text", "kind", "constant"),
    [
        ('"a" == key.owner', CONSTANT, True),
        ("[1, 2].size() == 2", Kind.LIST, True),
        ('[["a"]].size() == 1', Kind.LIST, True),
        ('[key.owner, "a"].size() == 2', Kind.LIST, False),
        ('["a", "a" + "b"].size() == 2', Kind.LIST, False),
        ('{"a": 1}.size() == 1', Kind.STRUCT, True),
        ('{"a": key.owner}.size() == 1', Kind.STRUCT, False),
        ('{key.owner: "a"}.size() == 1', Kind.STRUCT, False),
        ("key.managed", NAME, False),
        ("1 == 1", CALL, False),
    ],
)
def test_constants(text: str, kind: Kind, constant: bool) -> None:
    """A constant is written out, and so is a list or mapping of nothing else."""
    assert found(text, kind)[0].constant is constant


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("key.managed", 0),
        ("key.scopes == key.roles", 1),
        ("key.annotations == key.annotations", 1),
        ('[["a"]] == [key.roles]', 2),
        ('{"a": ["b"]} == {"a": key.roles}', 2),
        ("[key.annotations] == [key.annotations]", 2),
    ],
)
def test_types(text: str, depth: int) -> None:
    """A type is as deep as its lists and mappings lie in each other."""
    read = tree(text)
    operand = next(iter(read.root.children), read.root)
    assert read.type_of(operand) == NodeType(depth)


def test_what_a_call_may_mean() -> None:
    """A call knows which form of its function is meant; whatever is no call means none."""
    read = tree('key.owner + "x" == ""')
    equal, added, name, *_ = read.nodes()
    assert read.overloads(equal) == {"equals"}
    assert read.overloads(added) == {"add_string"}
    assert read.overloads(name) == read.overloads(read.root.children[1]) == frozenset()


def test_names() -> None:
    """The names are those that CEL looked up, the variables among them, however often each is read."""
    assert tree('key.owner == "now" && key.owner != key.name').names >= {"key.owner", "key.name"}
    assert "now" not in tree('key.owner == "now"').names


def test_offsets() -> None:
    """A place is told in characters, not in bytes, also beyond 127 of them and in later lines."""
    text = '"é😀" != "" &&' + " " * 300 + '\n key.owner == "x"'
    read = tree(text)
    places = {node.string: read.offset(node) for node in read.nodes() if node.string}
    assert places == {"é😀": 0, "x": text.index('"x"')}


def test_what_cel_says_nothing_about() -> None:
    """A node that the tree knows nothing about has no overloads, no depth, and stands at the beginning."""
    read, stranger = tree("key.managed"), Node(99, CONSTANT)
    assert (read.overloads(stranger), read.type_of(stranger), read.offset(stranger)) == (frozenset(), NodeType(), 0)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (PRIMITIVE, NodeType()),
        (DYN, NodeType(0, dynamic=True)),
        (NEVER_BOUND, NodeType(0, dynamic=True)),
        (ERROR, NodeType(0, dynamic=True)),
        (field(6, field(1, PRIMITIVE)), NodeType(1)),
        (field(6, field(1, NEVER_BOUND)), NodeType(1, dynamic=True)),
        (field(6, b""), NodeType(1)),
        (field(7, field(1, PRIMITIVE) + field(2, field(6, field(1, PRIMITIVE)))), NodeType(2)),
        (field(7, field(1, PRIMITIVE) + field(2, ERROR)), NodeType(1, dynamic=True)),
        (field(7, field(1, DYN) + field(2, PRIMITIVE)), NodeType(1, dynamic=True)),
    ],
)
@pytest.mark.parametrize("unknown", [b"", bytes([15 << 3 | 1]) + b"12345678", bytes([15 << 3 | 5]) + b"1234"])
def test_types_that_cel_may_give(encoded: bytes, expected: NodeType, unknown: bytes) -> None:
    """Whatever is not known before the expression runs is dynamic, and fields that a later CEL adds are skipped."""
    root = field(2, 7) + unknown + field(3, field(6, b"x"))
    checked = field(3, field(1, 7) + field(2, encoded + unknown)) + unknown + field(4, root)
    read = read_tree(field(2, checked))
    assert (read.root, read.type_of(read.root)) == (Node(7, CONSTANT, string="x"), expected)
