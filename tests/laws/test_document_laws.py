"""Laws of reading YAML, over random texts and random documents."""

import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from yaml.nodes import MappingNode, Node, SequenceNode

from reconciler.errors import FilesError, Problem
from reconciler.files.document import Mapping, Path, Place, Places, locate, parse

LAW = settings(derandomize=True, deadline=None, max_examples=400)

WORDS = (  # pieces of YAML, one a word; `_` is a space and `$` a line break in them
    "a b : :_ _ $ $__ -_ [ ] { } ,_ \" ' &a_ *a ! !!str_ ?_ | |$_ >_ ---$ ...$ %YAML_1.2$ %TAG_!_x$ # _#_c ~ yes 010 1 "
    "\t \r é 😀 << @ ` \\ \\u12 \ufeff \x85 \0 \ud800 null 0x1 .inf 1e9 - a:_ k:_[*a]$ $-_ {a:_b,_a:_c}"
)
PIECES = st.sampled_from([word.replace("_", " ").replace("$", "\n") for word in re.split(" +", WORDS)])
TEXTS = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=60)


class PlainDumper(yaml.CSafeDumper):
    """Writes what is shared in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


NAMES = st.text(max_size=8)
# PyYAML, a YAML 1.1 dumper, leaves text plain that is a number in YAML 1.2.
NUMBERS = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+|0o[0-7]+")
SCALARS = (
    st.text(max_size=12).filter(lambda text: not NUMBERS.fullmatch(text))
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)
ORDINARY_TEXT = st.text("abcé😀 -:#", max_size=12)
ORDINARY = st.recursive(
    ORDINARY_TEXT | st.booleans() | st.integers(-99, 99),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ORDINARY_TEXT, inner, max_size=4),
)
STYLES = st.sampled_from([False, True, None])


def dump(value: Any, style: bool | None, *, unicode: bool, dumper: type[yaml.CSafeDumper] = PlainDumper) -> str:
    text: str = yaml.dump(value, Dumper=dumper, default_flow_style=style, allow_unicode=unicode, sort_keys=False)
    return text


def within(text: str, line: int, column: int) -> bool:
    lines = text.split("\n")
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1


def mappings(value: Any) -> list[Mapping]:
    found, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            found.append(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return found


def outcome(text: str) -> tuple[Any, tuple[Problem, ...]]:
    try:
        return parse(text, "f.yaml"), ()
    except FilesError as error:
        return None, error.problems


@settings(LAW, max_examples=4000)
@given(TEXTS)
def test_nothing_but_files_errors(text: str) -> None:
    """Any text is read or refused with problems; every place, of a problem or a mapping, lies within the text."""
    value, problems = outcome(text)
    assert bool(problems) == (value is None)
    assert all(problem.line == 0 or within(text, problem.line, problem.column) for problem in problems), problems
    assert all(within(text, each.line, each.column) for each in mappings(value))


@LAW
@given(TEXTS, st.lists(st.lists(st.sampled_from(["a", "b", "", 0, 1]), max_size=4).map(tuple), max_size=4))
def test_locate_never_fails(text: str, wanted: list[Path]) -> None:
    """Whatever ``parse`` has read or refused, without forbidden characters, can be searched for any path."""
    text = text.encode("utf-8", "replace").decode().translate({0: None, 0x85: None, 0xFEFF: None, 13: None})
    text = "".join(character for character in text if character == "\n" or character.isprintable())
    places = locate(text, wanted)
    assert set(places) == set(wanted)
    assert all(within(text, each.value.line, each.value.column) for each in places.values())


@LAW
@given(VALUES, STYLES, st.booleans())
def test_what_is_dumped_is_read(value: Any, style: bool | None, unicode: bool) -> None:
    """Where both read a document that PyYAML dumped, we read what CSafeLoader reads, of the same types."""
    text = dump(value, style, unicode=unicode)
    theirs = yaml.load(text, Loader=yaml.CSafeLoader)
    try:
        ours = parse(text, "f.yaml")
    except FilesError:
        return
    assert ours == theirs
    assert repr(ours) == repr(theirs)


@LAW
@given(ORDINARY, STYLES, st.booleans())
def test_ordinary_documents_are_never_refused(value: Any, style: bool | None, unicode: bool) -> None:
    """Documents of text, booleans and small numbers, as PyYAML dumps them, are read and give the same values."""
    assert repr(parse(dump(value, style, unicode=unicode), "f.yaml")) == repr(value)


@LAW
@given(st.lists(VALUES, min_size=1, max_size=3), STYLES)
def test_aliases_are_read(values: list[Any], style: bool | None) -> None:
    """A document in which parts are shared is read as one in which they are written out."""
    shared = [values, {"again": values}, [each for each in values if isinstance(each, list | dict)]]
    text = dump(shared, style, unicode=False, dumper=yaml.CSafeDumper)
    try:
        ours = parse(text, "f.yaml")
    except FilesError:
        return
    assert ours == yaml.load(text, Loader=yaml.CSafeLoader)


def composed(node: Node, path: Path, key: Place | None) -> dict[Path, Places]:
    found = {path: Places(key, place(node))}
    if isinstance(node, MappingNode):
        for name, value in node.value:
            found |= composed(value, (*path, name.value), place(name))
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            found |= composed(value, (*path, index), None)
    return found


def place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


@LAW
@given(VALUES, STYLES, st.booleans())
def test_places_are_those_of_the_composer(value: Any, style: bool | None, unicode: bool) -> None:
    """Every path of a document is located where PyYAML's composer has its node, all in one pass."""
    text = dump(value, style, unicode=unicode)
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    assert root
    expected = composed(root, (), None)
    assert locate(text, expected) == expected
    try:
        read = parse(text, "f.yaml")
    except FilesError:
        return
    theirs = {each.value for path, each in expected.items() if isinstance(at(read, path), Mapping)}
    assert {Place(each.line, each.column) for each in mappings(read)} == theirs


def at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value
