"""Shows a daemon's status again and again: on a terminal in place, else whenever something changed."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Final, NoReturn

from reconciler.cli.asking import DaemonAt
from reconciler.cli.output import terminal_style, write_stdout
from reconciler.core.report import Report
from reconciler.core.status import Status
from reconciler.errors import NoDaemon, mask
from reconciler.render.page import Page
from reconciler.render.status import render

_OPEN: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The terminal's other screen, without a cursor, where a line that is too long ends at the edge."""
_CLOSE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_FIRST: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST: Final = "\x1b[J"
_ENDED: Final = 1
_LOWEST: Final = 3
"""The rows of a window in which more has room than what matters most."""


class Watcher:
    """What is known of a daemon that is asked again and again, also while it does not answer."""

    def __init__(self, daemon: DaemonAt) -> None:
        self._daemon = daemon
        self._known: tuple[Status, Report | None] | None = None
        self._away_since: datetime | None = None

    def look(self, now: datetime) -> tuple[str, Hashable]:
        """Ask; give the text to show, and what makes it another one than before, whatever time it is."""
        try:
            self._known = self._daemon.look()
            self._away_since = None
        except NoDaemon as error:
            self._away_since = self._away_since or now
            return self._away(error), ("away", self._away_since)
        status, report = self._known
        return mask(render(status, report, terminal_style())), _gist(status, report)

    def _away(self, error: NoDaemon) -> str:
        """Say that it does not answer, since when, and what was known before."""
        page = Page(terminal_style())
        page.hang("", f"No answer since {self._away_since:%Y-%m-%d %H:%M:%S} UTC.", "bold red")
        page.hang("  ", error.message)
        page.hang("  hint: ", error.hint, gutter_looks="cyan")
        if self._known is None:
            return mask(page.text)
        status, report = self._known
        page.gap()
        page.hang("", f"What it said last, as of {status.as_of}:", "dim")
        page.gap()
        return mask(page.text + render(status, report, replace(terminal_style(), colour=False)))


def watch_daemon(daemon: DaemonAt, every: float) -> NoReturn:
    """Show how a daemon stands, each ``every`` seconds, until a signal ends it.

    Raises:
        OutputError: nothing can be shown any more.
    """
    watcher = Watcher(daemon)
    with _heeding({signal.SIGTERM: _end, signal.SIGHUP: _end}):
        if sys.stdout.isatty():
            _in_place(watcher, every)
        _one_after_the_other(watcher, every)


@contextmanager
def _heeding(handlers: dict[signal.Signals, Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    """Let signals be handled while the block lasts, but for those that somebody wants to be ignored."""
    heeded = {number: handler for number, handler in handlers.items() if signal.getsignal(number) != signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_ENDED)


def _give_back(number: int, _frame: FrameType | None) -> None:
    """Give the terminal back before a signal stops or ends the process; take it again when that goes on."""
    # Not by write_stdout(): a signal may come in the middle of it.
    os.write(sys.stdout.fileno(), _CLOSE.encode())
    handler = signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.signal(number, handler)
    os.write(sys.stdout.fileno(), _OPEN.encode())


def _in_place(watcher: Watcher, every: float) -> NoReturn:
    try:
        write_stdout(_OPEN)
        with _heeding({signal.SIGTSTP: _give_back, signal.SIGQUIT: _give_back}):
            while True:
                text, _ = watcher.look(datetime.now(UTC))
                write_stdout(screen(text, shutil.get_terminal_size().lines, every))
                time.sleep(every)
    finally:
        write_stdout(_CLOSE)


def screen(text: str, height: int, every: float) -> str:
    """Give what draws a text over the one before, in one piece, so that nothing flickers; say what has no room."""
    lines = text.splitlines()
    if height < _LOWEST:
        return f"{_FIRST}{_REST_OF_LINE}{lines[0]}{_REST}"
    room = height - 1
    shown = lines if len(lines) <= room else lines[: room - 1]
    if len(shown) < len(lines):
        shown = [*shown, f"... {len(lines) - len(shown)} more lines, in a higher window or without --watch"]
    foot = f"asked every {every:g} s; Ctrl-C ends it"
    # A line is cleared before it is written: after one that fills it, its last letter would be cleared instead.
    return _FIRST + "".join(f"{_REST_OF_LINE}{line}\r\n" for line in (*shown, foot))[:-2] + _REST


def _one_after_the_other(watcher: Watcher, every: float) -> NoReturn:
    before: Hashable = None
    while True:
        text, gist = watcher.look(datetime.now(UTC))
        if gist != before:
            write_stdout(f"{text}\n")
        before = gist
        time.sleep(every)


def _gist(status: Status, report: Report | None) -> Hashable:
    """Give what a person would want to be told of anew: not times that go on, nor one more pass that found the same."""
    readiness = status.readiness
    troubled = tuple((each.account_id, each.ready, each.error) for each in readiness.accounts)
    stands = (status.started_at, status.sync, readiness.reasons, readiness.configuration.rejected, troubled)
    identities = tuple(finding.identity for finding in report.findings) if report else ()
    found = (report.changes, report.refusals, identities, report.digest) if report else ()
    return stands, found, status.recent[:1], readiness.configuration.problems
