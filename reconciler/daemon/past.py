"""What the end of a trail tells of keys, so that what happened lately survives a restart.

A trail is read for what it tells, not for what it proves: a line that is broken or odd is passed over, and what follows
it is whole from there on.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.core.changes import Outcome
from reconciler.core.status import Occurrence
from reconciler.daemon.chain import DECISION, NOTIFIED, WRITE_ENDED, WRITE_STARTED, Broken, Entry, read_line
from reconciler.daemon.segments import is_stamp, segments

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MOST_BYTES: Final = 4 * 1024 * 1024
"""So much of the end of a trail is read: several thousand lines, in less than a second."""
_FARTHEST: Final = 4
"""So many times as much is looked at for them: lines of what people were told are long, and tell nothing of this."""
_NOTIFIED: Final = f'"event":"{NOTIFIED}"'.encode()
_NEVER_ENDED: Final = "how it ended is not in the trail: the process ended before, or the trail could not be written"
_LATER: Final = {"trigger": None, "mode": None}
"""What lines of earlier versions lack."""
_Key = tuple[str, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One occurrence that the trail tells of; ``decided``: it is a decision, else a write as it ended."""

    occurrence: Occurrence
    decided: bool


@dataclass(slots=True)
class Past:
    """What was read, oldest first, and since when that is whole; None where nothing of it could be understood."""

    remembered: list[Remembered] = field(default_factory=list)
    whole_from: str | None = None


def read_past(path: Path, most: int = MOST_BYTES) -> Past:
    """Read the end of a trail, ``most`` bytes of it; nothing where there is none, or it cannot be read."""
    past = Past()
    under_way: dict[_Key, Occurrence] = {}
    for line in _last_lines(path, most):
        try:
            entry = read_line(line)
            told = _occurrence(entry)
        except (Broken, ValueError):  # one of the second kind is a line that says something else than lines do
            past.whole_from = None
            continue
        past.whole_from = past.whole_from or entry.time
        if told is not None:
            past.remembered += _became(entry.event, told, under_way)
    past.remembered += [Remembered(each, decided=False) for each in under_way.values()]
    past.remembered.sort(key=lambda each: each.occurrence.time)
    return past


def _became(event: str, told: Occurrence, under_way: dict[_Key, Occurrence]) -> Iterator[Remembered]:
    """Give what a line about a key tells of: a write that began is told when it ends, or when something else comes."""
    key = (told.account_id, told.sub_account_id, told.key_id, told.name)
    begun = under_way.pop(key, None)
    if begun is not None and event != WRITE_ENDED:
        yield Remembered(begun, decided=False)
    if event == WRITE_STARTED:
        under_way[key] = replace(told, outcome=Outcome.FAILED, reason=_NEVER_ENDED)
    else:
        yield Remembered(told, decided=event == DECISION)


def _occurrence(entry: Entry) -> Occurrence | None:
    """Read a line; None where it is about no key.

    Raises:
        ValueError: it is about one, but does not say what such lines do.
    """
    if entry.event not in (DECISION, WRITE_STARTED, WRITE_ENDED):
        return None
    if not is_stamp(entry.time):
        raise ValueError("its time is none")
    return _adapter().validate_python({**_LATER, **entry.body})


@cache
def _adapter() -> "TypeAdapter[Occurrence]":
    from pydantic import TypeAdapter

    return TypeAdapter(Occurrence)


def _last_lines(path: Path, most: int) -> Iterable[bytes]:
    """Give the last lines of a trail, in their order; the first may be the rest of one."""
    lines: deque[bytes] = deque()
    farthest = _FARTHEST * most
    try:
        for file in reversed((*segments(path), path)):
            data = _end_of(file, farthest)
            farthest -= len(data)
            for line in reversed(data.splitlines(keepends=True)):
                if _NOTIFIED not in line:
                    most -= len(line)
                    lines.appendleft(line[max(0, -most) :])
                if most <= 0:
                    return lines
    except OSError:
        pass  # what was read by then is the newest part of it
    return lines


def _end_of(file: Path, most: int) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
    try:
        return os.pread(descriptor, most, max(0, os.fstat(descriptor).st_size - most))
    finally:
        os.close(descriptor)
