"""What the end of a trail tells of keys when a daemon begins."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.chained import KEY, NOON, SHOP, body, opened, sealed
from reconciler.core.changes import Outcome
from reconciler.core.events import ChangeApplied, ChangeSkipped, ChangeStarted, PassStarted, Trigger
from reconciler.core.report import Mode
from reconciler.core.status import AskedBy
from reconciler.daemon.chain import BEGINNING, read_line
from reconciler.daemon.past import Past, read_past
from reconciler.daemon.segments import segments

REFUSED = SHOP.ended(Outcome.REFUSED, "hold: x")


def a_trail(path: Path, size: int = 0) -> None:
    """A decision about a key, and a write to it."""
    with opened(path, size=size) as trail:
        trail(PassStarted("run", Mode.APPLY, 1, Trigger.FILES))
        trail(ChangeSkipped("run", REFUSED))
        trail(ChangeStarted("run", SHOP))
        trail(ChangeApplied("run", SHOP.ended(Outcome.APPLIED)))


def outcomes(past: Past) -> list[tuple[str, bool]]:
    return [(each.occurrence.outcome.value, each.decided) for each in past.remembered]


def test_what_a_trail_tells(tmp_path: Path) -> None:
    """Decisions and writes as they ended come back with all that is known of them, oldest first."""
    a_trail(tmp_path / "trail")
    past = read_past(tmp_path / "trail")
    assert outcomes(past) == [("refused", True), ("applied", False)]
    assert past.whole_from == "2026-11-23T12:00:00.000Z"
    told = past.remembered[1].occurrence
    assert (told.run_id, told.trigger, told.mode, told.key_id, told.name) == (
        "run",
        Trigger.FILES,
        Mode.APPLY,
        KEY,
        "shop",
    )
    assert (told.fields, told.access) == (SHOP.fields, SHOP.access)
    assert told.asked_by == AskedBy("keys/shop.yaml", 12, 5, None, None)


def test_a_write_that_never_ended(tmp_path: Path) -> None:
    """A write of which the end is not there, since the process was killed, is told as one that nobody saw end."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(PassStarted("run", Mode.APPLY, 1))
        trail(ChangeStarted("run", SHOP))
        trail(ChangeStarted("run", replace(SHOP, key_id="other")))
    with opened(path) as trail:
        trail(PassStarted("next", Mode.APPLY, 1))
        trail(ChangeSkipped("next", REFUSED))
    past = read_past(path)
    assert sorted(outcomes(past)) == [("failed", False), ("failed", False), ("refused", True)]
    assert "how it ended is not in the trail" in str(past.remembered[0].occurrence.reason)


def test_a_write_that_never_ended_has_its_place(tmp_path: Path) -> None:
    """What came after a write of which the end is not there is told after it, whichever key it was about."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(PassStarted("run", Mode.APPLY, 1))
        trail(ChangeStarted("run", SHOP))
    with opened(path, now=NOON + timedelta(minutes=1)) as trail:
        trail(ChangeSkipped("next", replace(REFUSED, key_id="other")))
    assert outcomes(read_past(path)) == [("failed", False), ("refused", True)]


def test_several_files(tmp_path: Path) -> None:
    """What was put aside belongs to it."""
    a_trail(tmp_path / "trail", size=1)
    assert len(segments(tmp_path / "trail")) > 1
    assert outcomes(read_past(tmp_path / "trail")) == [("refused", True), ("applied", False)]


def test_only_the_end_of_a_large_trail_is_read(tmp_path: Path) -> None:
    """Of a trail as large as may be only the end is read, and it is known since when that is whole."""
    path = tmp_path / "trail"
    with opened(path, size=20_000) as trail:
        trail(PassStarted("run", Mode.APPLY, 1))
        for number in range(60):
            trail(ChangeSkipped("run", replace(REFUSED, key_id=str(number))))
    past = read_past(path, most=8_000)
    told = [each.occurrence.key_id for each in past.remembered]
    assert 3 < len(told) < 12
    assert told == [str(number) for number in range(60 - len(told), 60)]


def test_what_people_were_told_takes_no_room(tmp_path: Path) -> None:
    """Lines about that are long and tell nothing of keys: those about keys before them are still read, to a limit."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(PassStarted("run", Mode.APPLY, 1))
        for number in range(4):
            trail(ChangeSkipped("run", replace(REFUSED, key_id=str(number))))
            trail.store_notified({"whole": "x" * 5_000})
    for most, keys in ((6_000, "0123"), (3_000, "23")):
        assert "".join(str(each.occurrence.key_id) for each in read_past(path, most=most).remembered) == keys


def written(path: Path, lines: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("odd", [b"garbage\n", b"\xff\n", b'{"event":"decision"}\n', b"torn"])
def test_broken_lines_are_passed_over(tmp_path: Path, odd: bytes) -> None:
    """A broken line keeps nobody from the rest; what is whole begins after it."""
    a_trail(tmp_path / "trail")
    lines = (tmp_path / "trail").read_bytes().splitlines(keepends=True)
    past = read_past(written(tmp_path / "spoilt", [*lines[:2], odd if odd != b"torn" else b"", *lines[2:], odd]))
    assert outcomes(past) == [("refused", True), ("applied", False)]
    assert past.whole_from is None


TOLD: dict[str, Any] = {
    "account_id": "a",
    "sub_account_id": None,
    "key_id": "k",
    "name": None,
    "label": "l",
    "reason": None,
    "action": "update",
    "fields": {},
    "access": {},
    "outcome": "applied",
    "asked_by": None,
}


def test_odd_lines_are_passed_over(tmp_path: Path) -> None:
    """A line that is whole, but says something that no line does, is passed over; so are events of other kinds."""
    bodies = (
        body(1, **{**TOLD, "action": "dance"}),
        body(2, "trail.recovered"),
        body(3, **TOLD),  # as before there were modes and triggers
        body(4, "write.ended", **{**TOLD, "label": 7}),
        body(5, "write.ended", **TOLD),
    )
    past = read_past(written(tmp_path / "trail", sealed(*bodies, after=BEGINNING)))
    assert [each.occurrence.time[-6:] for each in past.remembered] == ["3.000Z", "5.000Z"]
    assert past.whole_from == read_line(sealed(*bodies)[4]).time


@pytest.mark.parametrize(
    "time",
    [
        "zzzz",
        "9999",
        "",
        "9999-12-31T23:59:59.000Z",
        "0001-01-01T00:00:00+23:59",
        "2026-11-23 12:00",
        "2026-11-23T12:00:00",
    ],
)
def test_a_time_that_is_none(tmp_path: Path, time: str) -> None:
    """A line with a time that no daemon writes is passed over: it would hide others, or could not be shown."""
    bodies = (body(1, **TOLD), body(2, **{**TOLD, "time": time}), body(3, **TOLD))
    past = read_past(written(tmp_path / "trail", sealed(*bodies)))
    assert [each.occurrence.time[-6:] for each in past.remembered] == ["1.000Z", "3.000Z"]
    assert past.whole_from == "2026-11-23T12:00:03.000Z"


def test_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    """No trail, an empty one, a pipe or a folder: nothing is known of the time before."""
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone", "empty", "pipe", "."):
        assert read_past(tmp_path / name) == Past()


def test_what_was_put_aside_and_cannot_be_read(tmp_path: Path) -> None:
    """Where an earlier file cannot be read, the newer ones still tell what they do."""
    path = tmp_path / "trail"
    a_trail(path, size=1)
    first = segments(path)[0]
    first.unlink()
    first.mkdir()
    assert outcomes(read_past(path)) == [("applied", False)]
