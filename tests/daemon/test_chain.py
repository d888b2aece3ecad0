"""The trail's format: what a line is, and what is said of one that is not what was written."""

import json
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from shutil import which

import pytest

from daemon.chained import body, chain, judged, sealed
from reconciler.daemon.chain import (
    BEGINNING,
    FIRST_HASH,
    MAX_LINE,
    Break,
    Broken,
    Link,
    Place,
    Survey,
    base_of,
    read_line,
    seal,
)

PAGE = (Path(__file__).parents[2] / "docs" / "trail.md").read_text()


def test_a_line_is_canonical_json_with_its_hash() -> None:
    """A line is sorted, compact, printable ASCII; its hash is that of the line without it; the first follows zeros."""
    (line,) = sealed(body(name="Zoë\n\x7f"))
    assert line == (
        b'{"event":"decision","hash":"' + json.loads(line)["hash"].encode() + b'","name":"Zo\\u00eb\\n\\u007f",'
        b'"prev":"' + FIRST_HASH.encode() + b'","run_id":"run","seq":1,"time":"2026-11-23T12:00:01.000Z"}\n'
    )
    record = json.loads(line)
    own = record.pop("hash")
    plain = json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert own == sha256(plain.encode()).hexdigest()


@pytest.mark.skipif(which("jq") is None, reason="not run: jq is not installed")
def test_other_tools_can_verify_it() -> None:
    """The command of docs/trail.md gives a line's hash with jq and sha256sum, also for what is not ASCII."""
    (line,) = sealed(body(name='Zoë 😀 "\\ \x01\x7f', fields={"scopes": {"after": [], "before": None}}))
    assert "`jq -acjS 'del(.hash)' | sha256sum`" in PAGE
    told = subprocess.run(["jq", "-acjS", "del(.hash)"], input=line, capture_output=True, check=True).stdout
    assert sha256(told).hexdigest() == json.loads(line)["hash"]


def test_each_line_has_the_hash_of_the_one_before() -> None:
    """Numbers count from 1, and every ``prev`` is the ``hash`` before it."""
    records = [json.loads(line) for line in chain(3)]
    assert [record["seq"] for record in records] == [1, 2, 3]
    assert [record["prev"] for record in records[1:]] == [record["hash"] for record in records[:-1]]


def test_a_whole_chain_is_intact() -> None:
    """What is told of it are its lines, its writes, its first and last time, and its head."""
    lines = sealed(body(1), body(2, "write.started"), body(3, "write.ended"), body(4, "write.started"))
    head = json.loads(lines[-1])["hash"]
    assert judged(lines) == Survey(4, 2, "2026-11-23T12:00:01.000Z", "2026-11-23T12:00:04.000Z", Link(4, head))
    assert judged([]) == Survey()
    assert Link(4, head).head == f"sha256:{head}"


def changed(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """Put something else into line three."""
    return lambda lines: [*lines[:2], lines[2].replace(old, new, 1), *lines[3:]]


def instead(*made: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """Put other lines in the place of line three."""
    return lambda lines: [*lines[:2], *made, *lines[3:]]


THIRD = read_line(chain(2)[1]).link
(MADE_UP,) = sealed(body(9), after=THIRD)
(NESTED,) = sealed(body(3, fields={"a": 1}), after=THIRD)
SPOILT: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "changed": changed(b'"k3"', b'"kx"'),
    "removed": lambda lines: lines[:2] + lines[3:],
    "removed more": lambda lines: lines[:2] + lines[4:],
    "doubled": lambda lines: lines[:2] + lines[1:],
    "swapped": lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
    "moved up": lambda lines: [*lines[:2], lines[4], lines[2], lines[3], lines[5]],
    "replaced": instead(*sealed(body(9), after=Link(2, "f" * 64))),
    "made up": instead(MADE_UP),
    "torn": lambda lines: [*lines[:2], lines[2][:-9]],
    "torn in the middle": lambda lines: [*lines[:2], lines[2][:40] + b"\n", *lines[3:]],
    "empty": instead(b"\n"),
    "twice": changed(b'{"event"', b'{"event":"decision","event"'),
    "twice below": instead(NESTED.replace(b'{"a":1}', b'{"a":1,"a":1}')),
    "blanks": changed(b'":"', b'": "'),
    "NaN": changed(b'"k3"', b"NaN"),
    "infinite": changed(b'"k3"', b"1e999"),
    "many digits": changed(b'"k3"', b"9" * 5000),
    "deep": instead(b"[" * 100_000 + b"]" * 100_000 + b"\n"),
    "not UTF-8": changed(b"k3", b"\xff\xfe"),
    "an array": instead(b"[]\n"),
    "numberless": changed(b'"seq":3', b'"seq":true'),
    "hashless": changed(b'"hash":"', b'"hash":"X'),
    "timeless": changed(b'"time":"', b'"tome":"'),
    "too long": instead(b"x" * (MAX_LINE + 1)),
}


@pytest.mark.parametrize(
    ("what", "line", "told"),
    [
        ("changed", 3, "was changed: its hash is not that of what it says"),
        ("removed", 3, "is line 4, where line 3 should be: what was between them is missing"),
        ("removed more", 3, "is line 5, where line 3 should be"),
        ("doubled", 3, "is line 2, where line 3 should be: it was inserted, or moved here"),
        ("swapped", 3, "is not in its place: line 3, which should stand here, comes later, at trail:4"),
        ("moved up", 3, "is not in its place: line 3, which should stand here, comes later, at trail:4"),
        ("replaced", 3, "does not follow the line before it"),
        ("made up", 4, "does not follow the line before it"),
        ("torn", 3, "is torn: its end is missing"),
        ("torn in the middle", 3, "is not JSON"),
        ("empty", 3, "is not JSON"),
        ("twice", 3, "was changed: it has 'event' twice"),
        ("twice below", 3, "was changed: it has 'a' twice"),
        ("blanks", 3, "was changed: it is not spelt as it was written"),
        ("NaN", 3, "is not JSON"),
        ("infinite", 3, "was changed: it is not spelt as it was written"),
        ("many digits", 3, "is not JSON"),
        ("deep", 3, "is not JSON"),
        ("not UTF-8", 3, "is not ASCII at byte"),
        ("an array", 3, "is JSON, but no object"),
        ("numberless", 3, "was changed: it has no number"),
        ("hashless", 3, "was changed: it has no hash, or none of the line before"),
        ("timeless", 3, "was changed: it does not say what happened, or when"),
        ("too long", 3, "is longer than the"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(what: str, line: int, told: str) -> None:
    """The first line that is not what was written is named, with what is wrong in words, and never a traceback."""
    broken = judged(SPOILT[what](chain(6)))
    assert isinstance(broken, Break)
    assert broken.place == Place("trail", line)
    assert broken.message.startswith(told)
    assert str(broken).startswith(f"trail:{line} ")


def test_a_hash_inside_a_line_is_no_hash_of_it() -> None:
    """What a line quotes is a part of it: a nested hash is kept where it was sealed, and found where it was not."""
    (line,) = sealed(body(fields={"hash": "f" * 64, "z": 1}))
    assert isinstance(judged([line]), Survey)
    forged = line.replace(b"f" * 64, read_line(line).link.hash.encode())
    assert str(judged([forged])) == "trail:1 was changed: it has its own hash twice"
    record = json.loads(line)
    for name in ("access", "fields", "asked_by"):
        stuffed = {**record, name: {"hash": record["hash"]}}
        forged = json.dumps(stuffed, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        assert str(judged([forged])) == "trail:1 was changed: it has its own hash twice"


def test_a_trail_without_its_beginning() -> None:
    """Without the earlier files that is said; with their last hash it is intact; with another one it is not."""
    lines = chain(5)
    base = read_line(lines[1]).link.hash
    assert str(judged(lines[2:])).startswith("trail:1 begins with line 3 rather than 1: earlier files are not here")
    found = judged(lines[2:], base)
    assert isinstance(found, Survey)
    assert (found.lines, found.head.seq) == (3, 5)
    wrong = judged(lines[2:], "0" * 64)
    assert str(wrong) == f"trail:1 does not follow the hash that --base names, but sha256:{base}"
    assert base_of((Place("trail", 1), line) for line in lines[2:]) == base
    assert base_of([(Place("trail", 1), b"{}\n")]) is None
    assert base_of([]) is None


def test_a_first_line_of_another_chain() -> None:
    """Line 1 must follow nothing."""
    lines = sealed(body(), after=Link(0, "f" * 64))
    assert str(judged(lines)).startswith("trail:1 does not follow the line before it")


def test_the_head_is_found() -> None:
    """How many lines follow the head that was asked for; None where the tail with it was cut."""
    lines = chain(5)
    heads = [read_line(line).link.hash for line in lines]
    for head, after in ((heads[4], 0), (heads[1], 3)):
        found = judged(lines, head=head)
        assert isinstance(found, Survey)
        assert found.after_head == after
    cut = judged(lines[:3], head=heads[4])
    assert isinstance(cut, Survey)
    assert cut.after_head is None


def test_a_line_is_read_with_what_it_says() -> None:
    """An entry has its place, the hash before it, and what it says; what is no line raises."""
    line, link = seal(body(7, "write.started", key_id="k"), BEGINNING)
    entry = read_line(line)
    assert (entry.link, entry.prev, entry.event) == (link, FIRST_HASH, "write.started")
    assert (entry.time, entry.body["key_id"]) == ("2026-11-23T12:00:07.000Z", "k")
    with pytest.raises(Broken, match="torn"):
        read_line(b"")
