"""YAML text to plain values with places: what is read, and the exact words for what is refused."""

import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.errors import FilesError
from reconciler.files import document
from reconciler.files.document import Mapping, Place, Places, locate, parse, read_text


def problems(text: str) -> list[str]:
    with pytest.raises(FilesError) as caught:
        parse(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("999999999999999999", 999999999999999999),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12:30:45", "12:30:45"),
        ("2027-01-31", "2027-01-31"),
        ("=", "="),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("tRUE", "tRUE"),
        ("-", "-"),
        ("<<", "<<"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("'yes'", "yes"),
        ('"010"', "010"),
        ('""', ""),
        ('"\\0\\u2028"', "\0\u2028"),
        ("|\n  12", "12"),
        (">\n  ~\n", "~\n"),
    ],
)
def test_scalars(scalar: str, value: object) -> None:
    """A scalar is what YAML 1.2's core schema says; quoted and block scalars, dates and times are text."""
    if scalar == "-":
        scalar = "[-]"
        value = ["-"]
    read = parse(f"a: {scalar}", "f.yaml")
    assert read == {"a": value}
    assert isinstance(read, Mapping)
    assert type(read["a"]) is type(value)


def test_nan() -> None:
    """``.nan`` is a float that is not a number."""
    read = parse(".nan", "f.yaml")
    assert isinstance(read, float)
    assert math.isnan(read)


def test_mappings_know_their_place() -> None:
    """A mapping carries the 1-based place, in characters, of its first key or its brace."""
    read: Any = parse('%YAML 1.2\n---\n\nkeys:\n  - name: é\n  - "é😀": {b: {}}\n', "f.yaml")
    first, second = read["keys"]
    assert [(read.line, read.column), (first.line, first.column)] == [(4, 1), (5, 5)]
    assert (second["é😀"].line, second["é😀"].column) == (6, 11)
    assert (second["é😀"]["b"].line, second["é😀"]["b"].column) == (6, 15)


def test_aliases_share() -> None:
    """An alias gives the very object of its anchor, scalars included, also one that stands on a key."""
    read = parse("&k a: &l [&s x, &m {b: 1}]\nc: *l\nd: [*s, *m, *k]\n", "f.yaml")
    assert read == {"a": ["x", {"b": 1}], "c": ["x", {"b": 1}], "d": ["x", {"b": 1}, "a"]}
    assert isinstance(read, Mapping)
    assert read["a"] is read["c"]


SYNTAX = [
    ("a: b: c", '1:5: a ": " cannot stand here: quote the text, or indent it right'),
    ('a: "é😀" @', "1:9: this character begins no value: quote the text; indent with spaces"),
    ("a:\n\t- b", "2:1: this character begins no value: quote the text; indent with spaces"),
    ("a: 1\nb\nc: 2", '2:1: this needs a ":" after it, to be a key: mend the line, or its indentation'),
    ('a: 1\nb: "c\n', "2:4: the closing quote is missing"),
    (
        "a:\n  [b,\n c }",
        "3:4: is not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins on line 2)",
    ),
    (
        "a: [b",
        "1:6: is not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins on line 1)",
    ),
    ("%YAML 1.3\n--- a", "1:1: is not YAML: found incompatible YAML document"),
]

REFUSED = [
    ("label:\n", '1:7: "label" has no value: leave it out, or write "" for text'),
    ("label: null", '1:8: "label" has no value: leave it out, or write "null" for text'),
    ("- a\n- ~", '2:3: this list item has no value: leave it out, or write "~" for text'),
    ("-", '1:2: this list item has no value: leave it out, or write "" for text'),
    ("---\n", "2:1: the document is empty: remove the file, or write its fields"),
    ("a: no", '1:4: no is true or false to some readers: write "no" for text, or true or false'),
    ("a: [On]", '1:5: On is true or false to some readers: write "On" for text, or true or false'),
    ("a: 010", "1:4: 010 is octal to some readers: quote it as text, or drop the leading zero"),
    ("a: -1234567890123456789", "1:4: this number has more than 18 digits: quote it if it is text"),
    ("a: 0x1234567890123456789", "1:4: this number has more than 18 digits: quote it if it is text"),
    ("1: a", "1:1: the key 1 is not text: quote it"),
    ("true: a", "1:1: the key true is not text: quote it"),
    ("on: a", "1:1: the key on is not text: quote it"),
    ("{? : a}", "1:4: a key is missing here"),
    ("[a]: b", "1:1: a key must be text: quote it if it is meant as text"),
    ("name: {{ name }}", "1:8: a key must be text: quote it if it is meant as text"),
    ("a: &x b\n*x : c", "2:1: a key must be text: quote it if it is meant as text"),
    ("a: {}\n<<: {b: c}", "2:1: merge keys (<<) are not read: write the fields out"),
    ("a: !!str b", "1:4: tags (!) are not read: remove it, and quote the value if it is text"),
    ("a: ! b", "1:4: tags (!) are not read: remove it, and quote the value if it is text"),
    ('a: ! "b"', "1:4: tags (!) are not read: remove it, and quote the value if it is text"),
    ("!x {a: b}", "1:1: tags (!) are not read: remove it, and quote the value if it is text"),
    ("a: !!set [b]", "1:4: tags (!) are not read: remove it, and quote the value if it is text"),
    ("%YAML 1.1\n--- a", "1:1: directives other than %YAML 1.2 are not read: remove them"),
    ("%TAG !e! x\n--- a", "1:1: directives other than %YAML 1.2 are not read: remove them"),
    ("a: b\n---\nc: d", "2:1: a second document begins here: a file holds one; write several files"),
    ("a: *b", "1:4: the alias *b has no anchor before it: write the value out"),
    ("a: &b [*b]", "1:8: the alias *b lies inside its own anchor: write the value out"),
    ("- &a b\n- &a c", "2:3: the anchor &a is already there, on line 1: rename one of them"),
    ("a: b\x01", "1:5: the character U+0001 is not allowed: remove it, or escape it in double quotes"),
    ("# é\n\nb: \0", "3:4: the character U+0000 is not allowed: remove it, or escape it in double quotes"),
    ("# a\u2028b: c", "1:4: the character U+2028 is not allowed: remove it, or escape it in double quotes"),
    ("# a\rb: c", "1:4: the character U+000D is not allowed: remove it, or escape it in double quotes"),
    ("a: \ud800", "1:4: the character U+D800 is not allowed: remove it, or escape it in double quotes"),
    ("[" * 33, "1:33: is nested deeper than 32 levels"),
]


@pytest.mark.parametrize(("text", "problem"), SYNTAX + REFUSED)
def test_problems(text: str, problem: str) -> None:
    """Each kind of problem is told at its place, in characters, with what to write instead."""
    assert problems(text) == [f"f.yaml:{problem}"]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "\n\n  # c"])
def test_empty(text: str) -> None:
    """A file without content is refused as a whole."""
    assert problems(text) == ["f.yaml: the file is empty: remove the file, or write its fields"]


def test_duplicate_keys() -> None:
    """A duplicate key is told at each later place, with the line of the first, however deep and however quoted."""
    text = 'keys:\n  - {x: 1}\n  - name: a\n    "name": b\n    é: {c: 1,\n     c: 2}\n    name: d\nkeys: []\n'
    assert problems(text) == [
        'f.yaml:4:5: the key "name" is already there, on line 3: keep one of them',
        'f.yaml:6:6: the key "c" is already there, on line 5: keep one of them',
        'f.yaml:7:5: the key "name" is already there, on line 3: keep one of them',
        'f.yaml:8:1: the key "keys" is already there, on line 1: keep one of them',
    ]


def test_a_bad_key_may_also_be_a_duplicate() -> None:
    """A key that is refused is still compared with the others."""
    assert problems("1: a\n1: b")[1:] == [
        'f.yaml:2:1: the key "1" is already there, on line 1: keep one of them',
        "f.yaml:2:1: the key 1 is not text: quote it",
    ]


def test_keys_are_shown_short_and_printable() -> None:
    """A problem shows of a key no more than 60 characters, and nothing that would move a terminal's cursor."""
    assert problems(f'"\\e[2J\u202e": ~\n{"k" * 90}: ~') == [
        'f.yaml:1:11: "\\u001b[2J\\u202e" has no value: leave it out, or write "~" for text',
        f'f.yaml:2:93: "{"k" * 60}…" has no value: leave it out, or write "~" for text',
    ]


@pytest.mark.parametrize("text", ["{}: a", "a: {}", "a: *{}", "a: &{0} b\nc: &{0} d", "{0}: 1\n{0}: 2"])
def test_problems_are_short(text: str) -> None:
    """A problem repeats no more of the file than helps to find it."""
    assert all(len(problem) < 200 for problem in problems(text.format("0" * 100_000)))


def test_all_problems_at_once() -> None:
    """Everything that can be found is told, also duplicates, and what stands before a syntax error."""
    assert problems("a: ~\nb: yes\na: 1\nc: [!x d, *e]\nf: @") == [
        'f.yaml:1:4: "a" has no value: leave it out, or write "~" for text',
        'f.yaml:2:4: yes is true or false to some readers: write "yes" for text, or true or false',
        'f.yaml:3:1: the key "a" is already there, on line 1: keep one of them',
        "f.yaml:4:5: tags (!) are not read: remove it, and quote the value if it is text",
        "f.yaml:4:11: the alias *e has no anchor before it: write the value out",
        "f.yaml:5:4: this character begins no value: quote the text; indent with spaces",
    ]


@pytest.mark.parametrize("text", ["- ~\n" * 100_000, "\0" * 100_000, "{a: 1" + ", a: 1" * 100_000])
def test_problems_are_counted(text: str) -> None:
    """After a thousand problems the rest is not looked at: a bad file cannot fill the memory with its problems."""
    found = problems(text)
    assert len(found) == 1001
    assert any(problem.endswith(": more than 1000 problems: the rest is not looked at") for problem in found)


def test_nesting_of_32_is_read() -> None:
    """32 levels are read, and an alias counts with the levels below its anchor."""
    parse("[" * 32 + "]" * 32, "f.yaml")
    parse("- &a " + "[" * 30 + "]" * 30 + "\n- [*a]", "f.yaml")
    parse("- &a [[[[]]]]\n- &b [&c [*a], *c]\n- " + "[" * 25 + "*b" + "]" * 25, "f.yaml")
    assert problems("- &a " + "[" * 30 + "]" * 30 + "\n- [[*a]]") == [
        "f.yaml:2:5: is nested deeper than 32 levels, written out"
    ]
    assert problems("- &a [[[[]]]]\n- &b [&c [*a], *c]\n- " + "[" * 26 + "*b" + "]" * 26) == [
        "f.yaml:3:29: is nested deeper than 32 levels, written out"
    ]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{", "{a: 1, a: "])
def test_deep_nesting_is_refused_at_once(opening: str) -> None:
    """A million brackets take no longer than thirty-three."""
    deep = opening * 1_000_000
    assert problems(deep) == problems(deep[: len(opening) * (40)])


def test_alias_bombs_are_refused_at_once() -> None:
    """What aliases stand for is counted without writing it out; 100,000 values are the limit."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 25):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    assert problems(bomb) == [
        "f.yaml:6:10: aliases stand for more than 100000 values in all: write fewer",
    ]
    hundred = "- &a [" + "x, " * 99 + "]\n"
    parse(hundred + "- *a\n" * 1000, "f.yaml")
    assert len(problems(hundred + "- *a\n" * 1001)) == 1


def test_every_character_is_read_or_refused_by_us() -> None:
    """No character makes libyaml's reader fail, whose error counts bytes: it is read, or refused before."""
    refused = re.compile(
        "[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"  # YAML 1.2.2, 5.1, and what ends lines
    )
    for code in [*range(0x27), *range(0x28, 0x10000), *range(0x10000, sys.maxunicode + 1, 997), sys.maxunicode]:
        text = f"é: 'x{chr(code)}'"
        if refused.search(chr(code)):
            assert problems(text) == [
                f"f.yaml:1:6: the character U+{code:04X} is not allowed: remove it, or escape it in double quotes"
            ]
        else:
            assert parse(text, "f.yaml") == {"é": f"x{' ' if code == 10 else chr(code)}"}


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML lacks libyaml nothing slower is taken in its place."""
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert problems("a: b") == [
        "f.yaml: cannot be read: PyYAML was installed without libyaml; install one of its wheels"
    ]


TEXT = "a: &x {b: [1, é, {c: d}]}\ne: *x\nlist:\n  - 'f': g\n    a: 1\n  -\n    h: [\n      ]\na: 2\n"


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ((), Places(None, Place(1, 1))),
        (("a",), Places(Place(1, 1), Place(1, 4))),
        (("a", "b"), Places(Place(1, 8), Place(1, 11))),
        (("a", "b", 1), Places(None, Place(1, 15))),
        (("a", "b", 2, "c"), Places(Place(1, 19), Place(1, 22))),
        (("a", "b", 2, "c", "no"), Places(Place(1, 19), Place(1, 22))),
        (("a", "no", "b"), Places(Place(1, 1), Place(1, 4))),
        (("a", "b", 3), Places(Place(1, 8), Place(1, 11))),
        (("e", "b", 1), Places(Place(2, 1), Place(2, 4))),
        (("list", 0), Places(None, Place(4, 5))),
        (("list", 0, "f"), Places(Place(4, 5), Place(4, 10))),
        (("list", 1, "h"), Places(Place(7, 5), Place(7, 8))),
        (("nothing",), Places(None, Place(1, 1))),
    ],
)
def test_locate(path: document.Path, places: Places) -> None:
    """A path gives its key's and its value's place; of one that does not exist, the deepest part that does."""
    assert locate(TEXT, [path]) == {path: places}


def test_locate_many_at_once() -> None:
    """Any number of paths is located in one pass, none in no pass."""
    text = "- {a: [b, c]}\n" * 20_000
    wanted: list[document.Path] = [(index, "a", 1) for index in range(20_000)]
    assert set(locate(text, wanted).values()) == {Places(None, Place(line, 11)) for line in range(1, 20_001)}
    assert locate("[", []) == {}


def test_locate_in_a_text_that_ends_early() -> None:
    """What stands before a syntax error is located; an empty text has its beginning."""
    assert locate("a: b\nc: @", [("a",), ("c",)]) == {
        ("a",): Places(Place(1, 1), Place(1, 4)),
        ("c",): Places(None, Place(1, 1)),
    }
    assert locate("", [("a",)]) == {("a",): Places(None, Place(1, 1))}


def test_read_text(tmp_path: Path) -> None:
    """A file's text is read as UTF-8; a byte order mark is dropped."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + "é: 😀\r\n".encode())
    assert read_text(path, "a.yaml") == "é: 😀\r\n"


def refusal(path: Path) -> str:
    with pytest.raises(FilesError) as caught:
        read_text(path, "a.yaml")
    return str(caught.value)


def test_files_that_are_not_read(tmp_path: Path) -> None:
    """A missing file, a directory, a FIFO and a device are refused, without waiting for anything."""
    assert refusal(tmp_path / "no") == "a.yaml: cannot be read: no such file or directory"
    assert refusal(tmp_path) == "a.yaml: cannot be read: it is a directory"
    os.mkfifo(tmp_path / "fifo")
    assert refusal(tmp_path / "fifo") == "a.yaml: cannot be read: it is not a regular file"
    assert refusal(Path("/dev/zero")) == "a.yaml: cannot be read: it is not a regular file"


def test_files_that_are_too_large(tmp_path: Path) -> None:
    """8 MiB are read, one byte more is not."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a" * document.MAX_FILE_BYTES)
    assert len(read_text(path, "a.yaml")) == document.MAX_FILE_BYTES
    with path.open("ab") as file:
        file.write(b"a")
    assert refusal(path) == "a.yaml: is larger than 8 MiB: split it into several files"


def test_files_that_are_not_utf_8(tmp_path: Path) -> None:
    """A byte that is not UTF-8 is told at its place in characters."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + "a: b\né😀: ".encode() + b"\xff")
    assert refusal(path) == "a.yaml:2:5: is not UTF-8 here (byte 0xff): save the file as UTF-8"
