"""The trail's files: whole lines appended under a lock, continued in further files, and read back in order.

``FILE`` is the one that is written. At a size it becomes ``FILE.000001``, then ``FILE.000002`` and so on, and a new
``FILE`` goes on with the chain. ``FILE.lock`` keeps a second process from writing the same trail.
"""

import fcntl
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler import __version__
from reconciler.daemon.chain import (
    BEGINNING,
    CONTINUED,
    FORMAT,
    MAX_LINE,
    RECOVERED,
    STARTED,
    Body,
    Broken,
    Entry,
    Lines,
    Place,
    read_line,
    seal,
)
from reconciler.errors import TrailError

_TAIL = 256 * 1024
_TORN_SHOWN = 4096
_LINES_NEEDED = 3
_HEADING_BEGINS = b'{"event":"trail.'
_MODE = 0o600
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_YEARS = range(2000, 2200)
_NUMBER = re.compile(r"\.([0-9]{6,})")


def stamp(moment: datetime) -> str:
    """Write a time with a zone in RFC 3339, in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_stamp(text: str) -> bool:
    """Tell whether a time is written as `stamp` does, and in a century in which there are trails."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.year in _YEARS and stamp(moment) == text


def segments(path: Path) -> list[Path]:
    """Give the files that a trail became before the one that is written, in their order."""
    found = {}
    with suppress(FileNotFoundError, NotADirectoryError):
        for each in path.parent.iterdir():
            if match := _NUMBER.fullmatch(each.name.removeprefix(path.name)):
                found[int(match[1])] = each
    return [found[number] for number in sorted(found)]


def read_files(paths: Sequence[Path]) -> Lines:
    """Give the lines of some files, one after the other, with their line ends; one that is too long is cut.

    Raises:
        TrailError: a file is missing, or cannot be read.
    """
    for path in paths:
        hint = "name the file that --trail names"
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                raise TrailError(f"{path} is no regular file", hint=hint)
            with path.open("rb") as file:
                number = 0
                while line := file.readline(MAX_LINE + 1):
                    number += 1
                    yield Place(str(path), number), line
        except OSError as error:
            raise TrailError(f"{path} cannot be read: {_reason(error)}", hint=hint) from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a file: the lines that were checked, how many bytes are whole, and what is torn after them."""

    entries: tuple[Entry, ...]
    size: int
    torn: bytes


class TrailFile:
    """The files of a trail, as the one process holds them that may write there.

    Attributes:
        path: The one that is written.
        link: The last line that was stored.
        recent: Some of the last lines that were there when it was opened.
        broken: Why nothing more can be stored until somebody looked at the file, or None.
    """

    def __init__(self, path: Path, limit: int, now: Callable[[], datetime], masked: Callable[[str], str]) -> None:
        self.path = Path(os.path.realpath(path))
        self._limit = limit
        self._now = now
        self.broken: str | None = None
        self.recent: tuple[Entry, ...] = ()
        self.link = BEGINNING
        self._number = self._first_seq = self._size = 0
        self._descriptor = -1
        self._refuse_special()
        self._lock = _lock(self.path)
        try:
            self._open(masked)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others write."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def append(self, *bodies: Body, sync: bool = True) -> int:
        """Store lines, all of them or none, and give how many bytes they are.

        Args:
            bodies: What they say.
            sync: Whether they must survive a crash of the machine from now on.

        Raises:
            TrailError: they cannot be stored.
        """
        try:
            self._check()
            if self._is_full(bodies):
                self._put_aside()
            if not self._in_place():
                self._continue()
            return self._append(bodies, sync=sync)
        except OSError as error:
            hint = "make room, or mend the file system; nothing is written to the account until then"
            raise TrailError(f"{self.path} cannot be written: {_reason(error)}", hint=hint) from None

    def _append(self, bodies: Sequence[Body], *, sync: bool) -> int:
        lines, link = [], self.link
        for body in bodies:
            line, link = seal(body, link)
            if len(line) > MAX_LINE:
                raise TrailError(f"{self.path}: a line would be longer than {MAX_LINE} bytes")
            lines.append(line)
        before = self._size
        self._size = _pour(self._descriptor, before, b"".join(lines), sync=sync)
        self.link = link
        return self._size - before

    def _check(self) -> None:
        """Refuse to go on in a file that somebody else has written to."""
        if self.broken is None and os.fstat(self._descriptor).st_size != self._size:
            self.broken = f"{self.path} was changed by somebody else while it was written"
        if self.broken is not None:
            hint = f"see `reconciler trail verify {self.path}`, and start anew when it is put right or moved away"
            raise TrailError(self.broken, hint=hint)

    def _is_full(self, bodies: Sequence[Body]) -> bool:
        """Tell whether the file would get too large; one with nothing but its first line never is."""
        if not self._limit or self.link.seq <= self._first_seq:
            return False
        return self._size + sum(len(seal(body, self.link)[0]) for body in bodies) > self._limit

    def _put_aside(self) -> None:
        """Give the file its number; one that is there already is never replaced: the lock keeps others from it."""
        if self._in_place():
            number = self._number
            while os.path.lexists(aside := self.path.with_name(f"{self.path.name}.{number:06}")):
                number += 1
            os.fsync(self._descriptor)
            self.path.rename(aside)
            self._number = number

    def _in_place(self) -> bool:
        """Tell whether the path still leads to the file that is open."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _continue(self) -> None:
        """Go on in a new file, since the one before has another name now, or none."""
        descriptor = os.open(self.path, _FLAGS, _MODE)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size:
                self.broken = f"{self.path} was replaced by another file while it was written"
                self._check()
            line, link = seal(self._heading(CONTINUED, self._number + 1), self.link)
            size = _pour(descriptor, 0, line, sync=True)
        except BaseException:
            os.close(descriptor)
            raise
        _sync_folder(self.path)
        os.close(self._descriptor)
        self._descriptor, self._size, self.link = descriptor, size, link
        self._number += 1
        self._first_seq = link.seq

    def _heading(self, event: str, number: int) -> Body:
        return {
            "event": event,
            "time": stamp(self._now()),
            "run_id": None,
            "format": FORMAT,
            "version": __version__,
            "file_number": number,
        }

    def _refuse_special(self) -> None:
        """Refuse what is no file before it is opened: to open a device may do something."""
        path, hint = self.path, "give --trail a file in a folder that exists and is kept, such as a mounted volume"
        try:
            kind = path.stat().st_mode
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise TrailError(f"{path} cannot be made: there is no folder {path.parent}", hint=hint) from None
            return
        except OSError as error:
            raise TrailError(f"{path} cannot be opened: {_reason(error)}", hint=hint) from None
        if not stat.S_ISREG(kind):
            what = "a directory" if stat.S_ISDIR(kind) else "no regular file"
            raise TrailError(f"{path} is {what}", hint=hint)

    def _open(self, masked: Callable[[str], str]) -> None:
        try:
            self._descriptor = os.open(self.path, _FLAGS, _MODE)
            tail = self._tail(self._descriptor, self.path)
            if tail.entries:
                self._resume(tail)
            else:
                self._begin(tail)
            if tail.torn:
                self._recover(tail.torn, masked)
        except OSError as error:
            raise TrailError(
                f"{self.path} cannot be written: {_reason(error)}", hint="make room, or make it writable"
            ) from None

    def _begin(self, tail: _Tail) -> None:
        """Write the first line of a file that holds none yet, as a crash right after it was made may leave one."""
        seen = min(len(tail.torn), len(_HEADING_BEGINS))
        if tail.torn[:seen].strip(b"\0") not in (b"", _HEADING_BEGINS[:seen]):
            raise self._unsound(self.path, "is not a trail, but holds something else")
        earlier = segments(self.path)
        os.ftruncate(self._descriptor, 0)
        heading = self._heading(STARTED, 1)
        if earlier:
            with earlier[-1].open("rb") as file:
                before = self._tail(file.fileno(), earlier[-1])
            if before.torn or not before.entries:
                raise self._unsound(earlier[-1], "does not end with a whole line")
            self.recent, self.link = before.entries, before.entries[-1].link
            number = int(earlier[-1].name.removeprefix(f"{self.path.name}."))
            heading = self._heading(CONTINUED, number + 1)
        self._number = heading["file_number"]
        self._append([heading], sync=True)
        self._first_seq = self.link.seq
        _sync_folder(self.path)

    def _resume(self, tail: _Tail) -> None:
        """Go on after the last line; what a crash left of one more is cut off."""
        if tail.torn:
            os.ftruncate(self._descriptor, tail.size)
        self.recent, self._size, self.link = tail.entries, tail.size, tail.entries[-1].link
        first = os.pread(self._descriptor, _TORN_SHOWN, 0).split(b"\n")[0] + b"\n"
        try:
            entry = read_line(first)
        except Broken as error:
            raise self._unsound(self.path, f"does not begin with a line of a trail: it {error}") from None
        number = entry.body.get("file_number")
        self._number = number if type(number) is int else 1
        self._first_seq = entry.link.seq

    def _recover(self, torn: bytes, masked: Callable[[str], str]) -> None:
        """Keep as text what a crash left of a line; where that cannot be stored, leave it for the next time."""
        text = torn[:_TORN_SHOWN].decode("utf-8", "backslashreplace")
        told = {"event": RECOVERED, "time": stamp(self._now()), "run_id": None}
        try:
            self.append({**told, "torn": masked(text), "torn_bytes": len(torn)})
        except TrailError:
            with suppress(OSError):
                os.write(self._descriptor, torn)
            raise

    def _tail(self, descriptor: int, path: Path) -> _Tail:
        """Read the end of a file: its last line must be as its hash says, unless a crash tore it."""
        size = os.fstat(descriptor).st_size
        data = _end_of(descriptor, size)
        whole, newline, torn = data.rpartition(b"\n")
        lines = [line + newline for line in whole.split(newline)] if newline else []
        if len(data) < size:
            lines = lines[1:]  # of which the beginning was not read
        if lines and not torn and _is_torn(lines[-1]):
            torn = lines.pop()
        if not lines and size > len(torn):
            raise self._unsound(path, f"ends with more than {MAX_LINE} bytes that are no line")
        entries: list[Entry] = []
        for line in reversed(lines):
            try:
                entries.insert(0, read_line(line))
            except Broken as error:
                if not entries:
                    raise self._unsound(path, f"ends with a line that {error}") from None
                break  # to find it is the affair of who verifies the whole
        return _Tail(tuple(entries), size - len(torn), torn)

    def _unsound(self, path: Path, told: str) -> TrailError:
        hint = f"see `reconciler trail verify {self.path}`; a trail that was moved away is begun anew"
        return TrailError(f"{path} {told}", hint=hint)


def _is_torn(line: bytes) -> bool:
    """Tell whether a file system left zeros in a line, as after a loss of power; anything else was done to it."""
    return b"\0" in line


def _end_of(descriptor: int, size: int) -> bytes:
    """Read the end of a file: two lines at least, if they are lines, and what is torn."""
    length, data = _TAIL, b""
    while len(data) < size and data.count(b"\n") < _LINES_NEEDED and length <= 4 * MAX_LINE:
        data = os.pread(descriptor, length, max(0, size - length))
        length *= 4
    return data


def _pour(descriptor: int, size: int, data: bytes, *, sync: bool) -> int:
    """Append to a file of ``size`` bytes and give its new size; what cannot be stored whole is taken back at once."""
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        if sync:
            os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return size + len(data)


def _sync_folder(path: Path) -> None:
    with suppress(OSError):  # not every file system can
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(path: Path) -> int:
    """Take the lock of a trail: two that write one would each continue the same line."""
    lock = path.with_name(f"{path.name}.lock")
    hint = "one process writes a trail: end the other one, or give --trail another file"
    try:
        descriptor = os.open(lock, _FLAGS & ~os.O_APPEND, _MODE)
    except OSError as error:
        hint = "a trail's folder must be writable, for its lock and its rotation"
        raise TrailError(f"{lock} cannot be made: {_reason(error)}", hint=hint) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise TrailError(f"{path} is written by another process (pid {holder or 'unknown'})", hint=hint) from None
    except OSError as error:
        os.close(descriptor)
        raise TrailError(f"{lock} cannot be locked: {_reason(error)}", hint="choose another file system") from None
    with suppress(OSError):  # a full disk; it is there for people alone
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
