"""The last line of the terminal: it tells for a moment what goes on, and gives way to everything else.

A terminal that cannot be written loses it, and nothing more: who observes a pass must not stop it.
"""

from contextlib import suppress
from typing import TextIO

_BEGIN_ANEW = "\r\x1b[K"
"""To the left edge, and clear what is there."""


class LastLine:
    """A line that is shown in place of the one before, until it is wiped."""

    def __init__(self) -> None:
        self._stream: TextIO | None = None

    def show(self, stream: TextIO, text: str) -> None:
        """Show a text, which must be narrower than the terminal."""
        self._stream = stream
        self._write(stream, f"{_BEGIN_ANEW}{text}")

    def wipe(self) -> None:
        """Take it away, before something else is written or for good."""
        if self._stream is not None:
            self._write(self._stream, _BEGIN_ANEW)
            self._stream = None

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, or cannot show a letter
            stream.write(text)
            stream.flush()


LINE = LastLine()
"""That of this process: a terminal has but one."""


class Above:
    """A stream for lines that stay: each is written where the last line was."""

    def __init__(self, stream: TextIO, line: LastLine) -> None:
        self._stream = stream
        self._line = line

    @property
    def closed(self) -> bool:
        """Whether the stream below is closed."""
        return self._stream.closed

    def isatty(self) -> bool:
        """Tell whether a person looks at it."""
        return self._stream.isatty()

    def flush(self) -> None:
        """Hand on what was written."""
        self._stream.flush()

    def write(self, text: str) -> int:
        """Write a line in the place of the last one."""
        self._line.wipe()
        return self._stream.write(text)
