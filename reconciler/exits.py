"""The exit codes of the commands; scripts and schedulers build on them."""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """How a command ended; where several hold, the first of this order.

    They need nothing that a process has not loaded by itself: one may be needed at its very start.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make one of its number and of what it means, in a sentence in which backquotes mark what is typed."""
        self = int.__new__(cls, code)
        self._value_ = code
        self.meaning = meaning
        return self

    KILLED_BY_INTERRUPT = 130, "Interrupted where nothing was under way."
    USAGE = 64, "Wrong usage: a command, an option or a value that there is not."
    ERROR = 1, "Files or settings do not load, or no account could be read."
    UNFINISHED = 4, "Something failed, or changed meanwhile; a retry may help."
    HELD_BACK = (
        3,
        "Something is held back. `plan`: only with `--detailed-exitcode`. `audit`: an unwaived finding of `--fail-on`.",
    )
    DIFFERENT = 2, "`plan --detailed-exitcode`: actual and desired differ."
    IN_ORDER = 0, "In order; keys that are paused do not change that."
