"""Tells at a terminal how far reading and writing have come, where that takes longer than a moment."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TextIO, assert_never

from reconciler.cli.last_line import LINE, LastLine
from reconciler.core.events import (
    AccountListed,
    ChangeApplied,
    ChangeFailed,
    Event,
    ListingProgressed,
    PassFinished,
    PassStarted,
    PlanComputed,
    SubAccountsListed,
)
from reconciler.core.keys import AccountRef
from reconciler.core.report import Mode

MOMENT: Final = 0.5
"""Seconds of work of which nothing is shown."""
PAUSE: Final = 0.1
"""Seconds from one line to the next: more often nobody could read."""
_ROOM_FOR_A_BAR: Final = 70


@dataclass(frozen=True, slots=True)
class Stage:
    """How far something has come: ``done`` of ``total``, where that is known, or of ``about`` so many."""

    doing: str
    done: int
    total: int | None = None
    about: int | None = None

    def line(self, seconds: float, width: int, *, bars: bool = True) -> str:
        """Tell it in fewer columns than ``width``, after so many seconds; ``bars``: the terminal has their letters."""
        room = max(width - 1, 0)
        if width > _ROOM_FOR_A_BAR and self._most:
            return self._with_bar(seconds, room, bars=bars)
        return next((form for form in self._forms(seconds) if len(form) <= room), "")

    @property
    def _most(self) -> int:
        """What it comes to, 0 where nobody knows or more was done already."""
        most = self.total if self.total is not None else self.about or 0
        return most if self.done <= most else 0

    def _with_bar(self, seconds: float, room: int, *, bars: bool) -> str:
        left = " {remaining} left" if self.done else ""
        return self._meter(seconds, f"{{desc}} |{{bar}}|{left}", ncols=room, prefix=self._words, ascii=not bars)

    def _forms(self, seconds: float) -> Iterator[str]:
        """Give what is told without a bar, the longest first: figures stay when there is no room for words."""
        what = self.doing.partition(" ")[2]
        if not self._most:
            yield from (f"{self.doing}: {self.done:,} so far", f"{what} {self.done:,}", f"{self.done:,}")
            return
        figures = f"{self.done:,}/{'' if self.total is not None else '~'}{self._most:,}"
        if self.done:
            left = self._meter(seconds, "{remaining}")
            yield from (f"{self._words}, {left} left", f"{what} {figures} {left}")
        else:
            yield self._words
        yield from (f"{what} {figures}", figures, f"{self.done:,}")

    @property
    def _words(self) -> str:
        about = "" if self.total is not None else "about "
        return f"{self.doing}: {self.done:,} of {about}{self._most:,}"

    def _meter(self, seconds: float, form: str, **more: Any) -> str:
        from tqdm import tqdm

        return str(tqdm.format_meter(self.done, self._most, seconds, bar_format=form, **more))


@dataclass(slots=True)
class Progress:
    """An observer that shows how far a command has come, and never raises: that would forbid a write.

    ``clock`` gives seconds. What is read is counted in sub accounts once there are any, else in keys, of which there
    are about as many as the files name.
    """

    stream: TextIO
    clock: Callable[[], float]
    to: LastLine = LINE
    _began: float = 0.0
    _drawn: float = 0.0
    _expected: int | None = None
    _writes: bool = False
    _keys: int = 0
    _under_way: dict[AccountRef, int] = field(default_factory=dict)
    _below: int = 0
    _selected: int = 0
    _changes: int | None = None
    _changed: int = 0

    def __post_init__(self) -> None:
        self._began = self.clock()

    def __call__(self, event: Event) -> None:
        """Take notice of an event, and show what it means for the whole."""
        with suppress(Exception):
            self._note(event)
            now = self.clock()
            if isinstance(event, PassFinished):
                self.to.wipe()
            elif now - self._began >= MOMENT and now - self._drawn >= PAUSE:
                self._drawn = now
                width = shutil.get_terminal_size().columns
                bars = (self.stream.encoding or "").lower().startswith("utf")
                self.to.show(self.stream, self.stage.line(now - self._began, width, bars=bars))

    @property
    def stage(self) -> Stage:
        """How far the work has come that is under way."""
        if self._changes is not None:
            return Stage("writing changes", self._changed, total=self._changes)
        if self._below or self._selected:
            return Stage("reading sub accounts", self._below, total=self._selected or None)
        return Stage("reading keys", self._keys + sum(self._under_way.values()), about=self._expected)

    def _note(self, event: Event) -> None:
        match event:
            case PassStarted(mode=mode, desired=desired):
                self._expected, self._writes = desired, mode is Mode.APPLY
            case ListingProgressed() | AccountListed() | SubAccountsListed():
                self._note_reading(event)
            case PlanComputed(applicable=applicable) if self._writes and applicable:
                self._changes, self._began = applicable, self.clock()
            case ChangeApplied() | ChangeFailed():
                self._changed += 1
            case _:
                pass

    def _note_reading(self, event: ListingProgressed | AccountListed | SubAccountsListed) -> None:
        match event:
            case ListingProgressed(account, keys):
                self._under_way[account] = keys
            case SubAccountsListed(selected=selected):
                self._selected += selected
            case AccountListed(account=account, keys=keys):
                self._under_way.pop(account, None)
                self._below += account.sub_account_id is not None
                self._keys += keys
            case _:
                assert_never(event)


def is_wanted(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether somebody looks who can be shown a line that changes."""
    return stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "")
