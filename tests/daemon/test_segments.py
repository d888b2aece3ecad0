"""The trail's files: never torn by our own hand, never written by two, continued in order, mended after a crash."""

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.chained import NOON, body, sealed
from reconciler.daemon import segments as module
from reconciler.daemon.chain import MAX_LINE, Break, Survey, survey
from reconciler.daemon.segments import TrailFile, read_files, segments
from reconciler.errors import TrailError


def open_file(path: Path, limit: int = 0) -> TrailFile:
    return TrailFile(path, limit, lambda: NOON, lambda text: text.replace("secret", "***"))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """What the whole trail says, oldest first; a kill between two files leaves it without the newest for a while."""
    newest = [path] if path.exists() else []
    return [json.loads(line) for _, line in read_files([*segments(path), *newest])]


def whole(path: Path) -> Survey:
    """What verifying the whole trail tells; it must be intact."""
    found = survey(read_files([*segments(path), path]))
    assert isinstance(found, Survey), str(found)
    return found


def make(path: Path, count: int = 3) -> None:
    """A trail with its heading and ``count`` more lines."""
    file = open_file(path)
    for number in range(1, count + 1):
        file.append(body(number))
    file.close()


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes, as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_trail_begins_and_goes_on(tmp_path: Path) -> None:
    """The first line says which format it is, the next ones follow, also after it was opened anew; only we read it."""
    path = tmp_path / "trail"
    make(path, 2)
    make(path, 1)
    assert [line["event"] for line in lines_of(path)] == ["trail.started", "decision", "decision", "decision"]
    assert lines_of(path)[0]["format"] == "reconciler/trail/v1"
    assert lines_of(path)[0]["time"] == "2026-11-23T12:00:00.000Z"
    assert whole(path).head.seq == 4
    assert path.stat().st_mode & 0o777 == 0o600


def test_lines_are_stored_all_or_none(tmp_path: Path) -> None:
    """Where the disk is full in the middle of a line nothing of it stays, and what comes when there is room follows."""
    path = tmp_path / "trail"
    file = open_file(path)
    file.append(body(1))
    before, head = path.read_bytes(), file.link
    for room in (0, 1, 100, 250, 400):
        with (
            no_room_beyond(len(before) + room),
            pytest.raises(TrailError, match="cannot be written: file too large") as told,
        ):
            file.append(body(2), body(3))
        assert (path.read_bytes(), file.link) == (before, head)
    assert "make room" in told.value.hint
    file.append(body(2), body(3))
    file.close()
    assert whole(path).lines == 4


def test_what_cannot_be_made_to_last_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk does not take what was written, the line is taken back."""
    file = open_file(tmp_path / "trail")
    before = file.path.read_bytes()

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(TrailError, match="input/output error"):
            file.append(body(1))
        file.append(body(1), sync=False)
    file.append(body(2))
    file.close()
    assert file.path.read_bytes().startswith(before)
    assert whole(file.path).lines == 3


def test_a_line_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """A line that nobody would read back is not stored."""
    file = open_file(tmp_path / "trail")
    with pytest.raises(TrailError, match="would be longer than"):
        file.append(body(1, reason="x" * MAX_LINE))
    file.close()
    assert whole(file.path).lines == 1


def test_one_process_writes(tmp_path: Path) -> None:
    """A second writer is refused, told who holds the trail and what to do; when that one is done, it may."""
    path = tmp_path / "trail"
    file = open_file(path)
    with pytest.raises(TrailError, match=rf"is written by another process \(pid {os.getpid()}\)") as told:
        open_file(path)
    assert "end the other one" in told.value.hint
    file.close()
    open_file(path).close()
    whole(path)


def test_a_lock_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without room for the lock, or a file system without locks, is said at the start."""
    path = tmp_path / "trail"
    (tmp_path / "trail.lock").mkdir()
    with pytest.raises(TrailError, match=r"trail\.lock cannot be made: is a directory"):
        open_file(path)
    (tmp_path / "trail.lock").rmdir()

    def unsupported(_descriptor: int, _operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(TrailError, match="cannot be locked: operation not supported"):
        open_file(path)


def test_each_cut_of_the_last_line_is_mended(tmp_path: Path) -> None:
    """A line of which a crash left any part is cut off and kept as text, and the chain goes on."""
    path = tmp_path / "trail"
    make(path, 2)
    data = path.read_bytes()
    begin = data.rindex(b"\n", 0, -1) + 1
    for end in range(begin + 1, len(data)):
        path.write_bytes(data[:end])
        open_file(path).close()
        mended = lines_of(path)
        assert [line["event"] for line in mended] == ["trail.started", "decision", "trail.recovered"]
        assert mended[-1]["torn"] == data[begin:end].decode()
        assert mended[-1]["torn_bytes"] == end - begin
        whole(path)


@pytest.mark.parametrize("torn", [b"\0" * 5000, b"\0\0\n", b"aha secret \xff", b'{"event":"dec', b"x" * 300_000])
def test_other_remains_of_a_crash(tmp_path: Path, torn: bytes) -> None:
    """Blanks of the file system, or anything that is no line, are cut off likewise; no secret is kept with them."""
    path = tmp_path / "trail"
    make(path, 2)
    with path.open("ab") as file:
        file.write(torn)
    open_file(path).close()
    last = lines_of(path)[-1]
    assert (last["event"], last["torn_bytes"]) == ("trail.recovered", len(torn))
    assert "secret" not in last["torn"]
    assert len(last["torn"]) < 30_000
    assert (whole(path).lines, whole(path).recovered) == (4, 1)


def test_remains_that_cannot_be_recorded_stay(tmp_path: Path) -> None:
    """Where there is no room to tell of a torn line it is left for the next start."""
    path = tmp_path / "trail"
    make(path, 2)
    data = path.read_bytes()[:-7]
    path.write_bytes(data)
    with no_room_beyond(len(data)), pytest.raises(TrailError, match="cannot be written"):
        open_file(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("cut", [0, 1, 14, 17, 60])
def test_a_crash_while_the_file_is_begun(tmp_path: Path, cut: int) -> None:
    """A first line that is torn, or not there at all, is begun anew."""
    path = tmp_path / "trail"
    make(path, 0)
    path.write_bytes(path.read_bytes()[:cut])
    open_file(path).close()
    events = [line["event"] for line in lines_of(path)]
    assert events == ["trail.started", "trail.recovered"][: 2 if cut else 1]
    whole(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"my notes", "is not a trail, but holds something else"),
        (b"my notes\n", "ends with a line that is not JSON"),
        (b"my notes\nmore notes\n", "ends with a line that is not JSON"),
        (b'{"a": 1}\n', "ends with a line that was changed: it has no number"),
        (b"my notes\n" + sealed(body())[0], "does not begin with a line of a trail: it is not JSON"),
    ],
)
def test_another_file_is_left_alone(tmp_path: Path, content: bytes, told: str) -> None:
    """What is no trail is refused, and nothing of it is lost."""
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(TrailError, match=told):
        open_file(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("last", [b"\xc3\xa9{}", b"{", b" ", b"[1]", b'{"event":"dec'])
def test_a_last_line_that_was_spoilt(tmp_path: Path, last: bytes) -> None:
    """A last line that has its end is no remains of a crash, whatever it holds: nothing is cut off, nor appended."""
    path = tmp_path / "trail"
    make(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + last + b"\n")
    with pytest.raises(TrailError, match="ends with a line that"):
        open_file(path)
    assert path.read_bytes().endswith(last + b"\n")


def test_a_last_line_that_was_changed(tmp_path: Path) -> None:
    """Where the last line is not what its hash says nothing is appended, and the way to look at it is told."""
    path = tmp_path / "trail"
    make(path)
    data = path.read_bytes().replace(b"12:00:03", b"12:00:33")
    path.write_bytes(data)
    with pytest.raises(TrailError, match="ends with a line that was changed: its hash") as told:
        open_file(path)
    assert f"`reconciler trail verify {path}`" in told.value.hint
    assert path.read_bytes() == data


def test_an_end_without_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that ends with more than a line may be long is not searched to its beginning."""
    monkeypatch.setattr(module, "MAX_LINE", 100_000)
    path = tmp_path / "trail"
    make(path)
    with path.open("ab") as file:
        file.write(b"\0" * 5_000_000)
    with pytest.raises(TrailError, match="ends with more than 100000 bytes that are no line"):
        open_file(path)


def test_only_the_end_is_read(tmp_path: Path) -> None:
    """A long trail is opened by its end: what is there of lines is given, also when an older one was changed."""
    path = tmp_path / "trail"
    file = open_file(path)
    file.append(*(body(number % 60, reason="x" * 1000) for number in range(1000)), sync=False)
    file.close()
    file = open_file(path)
    file.close()
    assert 100 < len(file.recent) < 400
    assert file.recent[-1].link == file.link
    data = path.read_bytes()
    place = len(data) - 100_000
    path.write_bytes(data[:place] + b"y" + data[place + 1 :])
    file = open_file(path)
    file.close()
    assert 50 < len(file.recent) < 100


@pytest.mark.parametrize("limit", [1, 400, 1000, 5000])
def test_rotation_keeps_the_chain(tmp_path: Path, limit: int) -> None:
    """At its size the file is put aside under the next number; no file but one of two lines is larger; all verify."""
    path = tmp_path / "trail"
    file = open_file(path, limit)
    for number in range(1, 21):
        file.append(body(number))
    file.close()
    parts = segments(path)
    assert [part.name for part in parts] == [f"trail.{number:06}" for number in range(1, len(parts) + 1)]
    assert (len(parts) > 2) == (limit < 5000)
    told = lines_of(path)
    assert [line["time"][17:19] for line in told if line["event"] == "decision"] == [f"{n:02}" for n in range(1, 21)]
    assert whole(path).lines == 21 + len(parts)
    for part in [*parts, path]:
        assert part.stat().st_size <= limit or part.read_bytes().count(b"\n") == 2
        assert part.stat().st_mode & 0o777 == 0o600
    assert [line["file_number"] for line in told if "file_number" in line] == [*range(1, len(parts) + 2)]


def test_a_number_is_never_taken_twice(tmp_path: Path) -> None:
    """A file that is there under the next number is not replaced, and numbers go on although files were archived."""
    path = tmp_path / "trail"
    file = open_file(path, 1)
    (tmp_path / "trail.000001").write_text("somebody's")
    (tmp_path / "trail.000002").mkdir()
    file.append(body(1))
    file.append(body(2))
    file.append(body(3))
    file.close()
    assert (tmp_path / "trail.000001").read_text() == "somebody's"
    assert {each.name for each in segments(path)} == {f"trail.{number:06}" for number in (1, 2, 3, 4)}
    for name in ("trail.000003", "trail.000004"):
        (tmp_path / name).unlink()
    file = open_file(path, 1)
    file.append(body(4))
    file.close()
    assert not (tmp_path / "trail.000003").exists()
    assert (tmp_path / "trail.000005").read_bytes().count(b"\n") == 2


def test_a_rotation_that_gets_stuck(tmp_path: Path) -> None:
    """Where a new file cannot be begun, nothing is stored until it can; the chain then goes on."""
    path = tmp_path / "trail"
    file = open_file(path, 1)
    file.append(body(1))
    with no_room_beyond(40), pytest.raises(TrailError, match="cannot be written"):
        file.append(body(2))
    assert path.read_bytes() == b""
    path.unlink()
    path.mkdir()
    with pytest.raises(TrailError, match="cannot be written: is a directory"):
        file.append(body(2))
    path.rmdir()
    file.append(body(2))
    file.close()
    assert [line["event"] for line in lines_of(path)] == ["trail.started", "decision", "trail.continued", "decision"]
    whole(path)


def test_a_crash_in_the_middle_of_a_rotation(tmp_path: Path) -> None:
    """Where the file was put aside and no new one begun, or begun in part, the next process goes on with the chain."""
    path = tmp_path / "trail"
    for text in (None, b"", b'{"event":"trail.con'):
        make(path, 2)
        aside = path.with_name(f"trail.{len(segments(path)) + 1:06}")
        path.rename(aside)
        if text is not None:
            path.write_bytes(text)
        file = open_file(path)
        assert file.recent[-1].link.seq < file.link.seq
        file.close()
        assert "trail.continued" in [line["event"] for line in lines_of(path)[-2:]]
        whole(path)
    assert lines_of(path)[-2]["file_number"] == 4


def test_an_earlier_file_that_was_spoilt(tmp_path: Path) -> None:
    """The chain is not continued from a file whose end is not whole."""
    path = tmp_path / "trail"
    make(path, 2)
    aside = path.with_name("trail.000001")
    path.rename(aside)
    data = aside.read_bytes()
    aside.write_bytes(data[:-5])
    with pytest.raises(TrailError, match=r"trail\.000001 does not end with a whole line"):
        open_file(path)
    aside.write_bytes(data.replace(b"12:00:02", b"12:00:20"))
    with pytest.raises(TrailError, match=r"trail\.000001 ends with a line that was changed"):
        open_file(path)


@pytest.mark.parametrize("left", [False, True])
def test_moved_away_while_it_is_written(tmp_path: Path, left: bool) -> None:
    """After somebody moved the file away, with or without an empty one in its place, the chain goes on in a new one."""
    path, moved = tmp_path / "trail", tmp_path / "trail-monday"
    file = open_file(path)
    file.append(body(1))
    path.rename(moved)
    if left:
        path.touch()
    file.append(body(2))
    file.close()
    assert [line["event"] for line in lines_of(path)] == ["trail.continued", "decision"]
    assert isinstance(survey(read_files([path])), Break)
    assert survey(read_files([moved, path])) == whole_of(moved, path)


def whole_of(*paths: Path) -> Survey:
    found = survey(read_files(paths))
    assert isinstance(found, Survey), str(found)
    return found


def test_moved_away_just_before_its_rotation(tmp_path: Path) -> None:
    """A file that is not at its place any more is not put aside once more."""
    path = tmp_path / "trail"
    file = open_file(path, 1)
    file.append(body(1))
    path.rename(tmp_path / "elsewhere")
    file.append(body(2))
    file.close()
    assert segments(path) == []
    assert whole_of(tmp_path / "elsewhere", path).lines == 4


@pytest.mark.parametrize("how", ["cut", "longer", "replaced"])
def test_changed_while_it_is_written(tmp_path: Path, how: str) -> None:
    """Once somebody else has written to the file nothing more is stored until a restart."""
    path = tmp_path / "trail"
    file = open_file(path)
    file.append(body(1))
    data = path.read_bytes()
    if how == "replaced":
        path.unlink()
    path.write_bytes({"cut": data[:-20], "longer": data + b"x", "replaced": b"other\n"}[how])
    for _ in range(2):
        with pytest.raises(TrailError, match=r"was (changed|replaced) by (somebody|another file)") as told:
            file.append(body(2))
        if how == "cut":
            path.write_bytes(data)
    assert "trail verify" in told.value.hint
    assert file.broken is not None
    file.close()


def test_what_cannot_hold_a_trail(tmp_path: Path) -> None:
    """A folder that is missing, a directory, a pipe, a link to itself: each is said before anything is done."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for path, told in {
        tmp_path / "none" / "trail": "cannot be made: there is no folder",
        tmp_path: "is a directory",
        tmp_path / "pipe": "is no regular file",
        tmp_path / "loop": "cannot be opened: too many levels of symbolic links",
        tmp_path / "file" / "trail": "cannot be opened: not a directory",
        Path("/dev/null"): "is no regular file",
        Path("/proc/trail"): "cannot be made: no such file or directory",
    }.items():
        with pytest.raises(TrailError, match=told) as error:
            open_file(path)
        assert error.value.hint
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "loop", "pipe"]


def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says against opening the file is said at the start, and the lock is let go."""
    path = tmp_path / "trail"
    opening = os.open

    def read_only(name: Any, flags: int, *mode: int) -> int:
        if Path(name) == path:
            raise OSError(30, "Read-only file system")
        return opening(name, flags, *mode)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", read_only)
        with pytest.raises(TrailError, match="trail cannot be written: read-only file system"):
            open_file(path)
    open_file(path).close()


def test_a_link_leads_to_the_trail(tmp_path: Path) -> None:
    """A trail named by a link lies, and is put aside, where the link leads."""
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "trail"
    (tmp_path / "here").symlink_to(path)
    file = open_file(tmp_path / "here", 1)
    file.append(body(1))
    file.append(body(2))
    file.close()
    assert len(segments(path)) == 1
    assert (tmp_path / "here").is_symlink()


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing, a pipe or a folder is said, and not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path, told in {tmp_path / "none": "cannot be read: no such file", tmp_path / "pipe": "no regular file"}.items():
        with pytest.raises(TrailError, match=told):
            list(read_files([path]))
    assert segments(tmp_path / "none" / "trail") == []


def test_an_endless_line_is_read_in_parts(tmp_path: Path) -> None:
    """No more of a line is held than a line may have."""
    path = tmp_path / "trail"
    with path.open("wb") as file:
        file.truncate(2 * MAX_LINE)
    assert [len(line) for _, line in read_files([path])] == [MAX_LINE + 1, MAX_LINE - 1]


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.daemon.segments import TrailFile
file = TrailFile(Path(sys.argv[1]), 20_000, lambda: datetime.now(UTC), str)
print("open", flush=True)
for number in range(10**9):
    file.append({"event": "decision", "time": "t", "run_id": "run", "number": number})
    print(number, flush=True)
"""


def test_killed_in_the_middle_of_an_append(tmp_path: Path) -> None:
    """Whenever the writer is killed, every line that it was told is stored is there, and the next one goes on."""
    path = tmp_path / "trail"
    for number in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        first = [process.stdout.readline() for _ in range(15 + number)]
        process.send_signal(signal.SIGKILL)
        stored = "".join(first) + process.stdout.read()
        process.wait()
        process.stdout.close()
        last = re.findall(r"^\d+\n", stored, flags=re.MULTILINE)[-1]
        told = lines_of(path)
        assert max(line["number"] for line in told[-60:] if "number" in line) >= int(last)
    assert all(part.stat().st_size <= 20_000 for part in segments(path))
    open_file(path).close()
    assert whole(path).lines > 100
