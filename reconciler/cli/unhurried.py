"""A stream for the lines of a process that must go on: one that nobody reads is not waited for."""

import os
import select
from typing import Final, TextIO

PATIENCE: Final = 1.0
"""Seconds for which the first line waits that nobody takes; those after it do not wait at all."""


class Unhurried:
    """Writes lines to where another stream writes them, and drops what cannot be written soon.

    A pipe whose reader hangs would stop the event loop, and with it passes, health and signals. Source of the length of
    a piece: a pipe that is told to be writable takes that much at once (``pipe(7)``).
    """

    def __init__(self, stream: TextIO, patience: float = PATIENCE) -> None:
        self._stream = stream
        self._patience = patience
        self._stalled = False
        self._torn = False

    @property
    def closed(self) -> bool:
        """Whether the stream below is closed."""
        return self._stream.closed

    def isatty(self) -> bool:
        """Tell whether a person looks at it."""
        return self._stream.isatty()

    def flush(self) -> None:
        """Do nothing: what was taken is written."""

    def write(self, text: str) -> int:
        """Write a line, or drop it; of one that could be written in part the rest is dropped."""
        descriptor = self._stream.fileno()
        left = ("\n" * self._torn + text).encode("utf-8", "backslashreplace")
        while left and self._has_room(descriptor):
            written = os.write(descriptor, left[: select.PIPE_BUF])
            left = left[written:]
            self._torn = bool(left)  # until the rest is written, also where writing it fails
        return len(text)

    def _has_room(self, descriptor: int) -> bool:
        _, ready, _ = select.select([], [descriptor], [], 0 if self._stalled else self._patience)
        self._stalled = not ready
        return bool(ready)
