"""Lines that nobody reads are dropped, and not waited for."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from reconciler.cli.unhurried import Unhurried


@contextmanager
def pipe(size: int = 4096) -> Iterator[tuple[int, TextIO]]:
    """A pipe that takes so many bytes: its reading end, and a stream into it."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, size)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def test_lines_are_written_as_they_are() -> None:
    """What is read is written at once, also what is longer than a pipe takes in one piece."""
    with pipe() as (reading, stream):
        unhurried = Unhurried(stream)
        assert unhurried.write("grüß\n") == 5
        unhurried.flush()
        assert os.read(reading, 100).decode() == "grüß\n"
        assert (unhurried.isatty(), unhurried.closed) == (False, False)


def test_a_reader_that_hangs() -> None:
    """The first line that finds no room waits a moment, the others not at all; when there is room, lines come whole."""
    with pipe() as (reading, stream):
        unhurried = Unhurried(stream, patience=0.05)
        began = time.monotonic()
        for number in range(1000):
            unhurried.write(f"{number:03} {'x' * 500}\n")
        assert time.monotonic() - began < 5
        got = os.read(reading, 100_000)
        unhurried.write("and on\n")
        got += os.read(reading, 100)
        lines = got.decode().splitlines()
        assert lines[0].startswith("000 ")
        assert lines[-1] == "and on"
        assert len(lines) < 20


def test_a_line_that_is_cut() -> None:
    """A line of which only a part found room ends before the next one begins."""
    with pipe() as (reading, stream):
        unhurried = Unhurried(stream, patience=0.01)
        unhurried.write("x" * 10_000 + "\n")
        first = os.read(reading, 100_000)
        unhurried.write("next\n")
        assert set(first) == {ord("x")}
        assert os.read(reading, 100) == b"\nnext\n"


def test_a_stream_that_is_closed() -> None:
    """A stream that is closed takes nothing, which is an error for who writes, as with any other."""
    with pipe() as (_, stream):
        unhurried = Unhurried(stream)
        stream.close()
        assert unhurried.closed
        with pytest.raises(ValueError, match="closed"):
            unhurried.write("x")


def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing the rest of a line fails, that is an error, and the next line stands alone all the same."""
    write, rooms = os.write, [10, 0]

    def full(descriptor: int, data: bytes) -> int:
        room = rooms.pop(0) if rooms else len(data)
        if not room:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:room])

    with pipe(65536) as (reading, stream):
        unhurried = Unhurried(stream)
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            unhurried.write("the first line\n")
        unhurried.write("next\n")
        assert os.read(reading, 100) == b"the first \nnext\n"
