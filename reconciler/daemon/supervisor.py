"""Tells systemd how the daemon stands, as ``sd_notify(3)`` says, where systemd asked for it."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from reconciler.ahasend.pace import Stop
from reconciler.core.events import DaemonStarted, Event, PassFailed, PassFinished
from reconciler.render.verdict import verdict

_MICROSECONDS: Final = 1_000_000


class Supervisor:
    """The process that started the daemon, if it wants to be told: it is ready, it lives, how it stands, it stops.

    It is asked for by ``NOTIFY_SOCKET`` in the environment, a path or, behind an ``@``, an abstract name; signs of life
    by ``WATCHDOG_USEC``, unless ``WATCHDOG_PID`` names another ``process``. Nothing that goes wrong here is an error:
    a supervisor that was told nothing acts by itself.
    """

    def __init__(self, environment: Mapping[str, str], process: int) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._every = _half_of_limit(environment, process) if address else None

    def observe(self, event: Event) -> None:
        """Tell what an event means for the supervisor, if anything."""
        match event:
            case DaemonStarted(schedule=schedule):
                self._tell("READY=1", f"STATUS=Makes passes: {schedule}")
            case PassFinished(report=report):
                found = verdict(report)
                said = dict.fromkeys((f"{found.words}.", found.call))  # which may say the same
                self._tell(f"STATUS={' '.join(said)}")
            case PassFailed():
                self._tell("STATUS=The last pass ended in an error that nobody foresaw: the log tells it.")
            case _:
                pass

    @asynccontextmanager
    async def watching(self, stop: Stop) -> AsyncIterator[None]:
        """Give signs of life of the event loop while the block lasts, and say when it was asked to stop."""
        pulse = asyncio.create_task(self._pulse(self._every)) if self._every else None
        try:
            with stop.requested.followed_by(lambda: self._tell("STOPPING=1")):
                yield
        finally:
            if pulse:
                pulse.cancel()

    async def _pulse(self, every: float) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(every)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.setblocking(False)  # what finds no room is lost, and nothing else: passes do not wait for it
            speaker.sendto("\n".join(lines).encode(), self._address)


def _half_of_limit(environment: Mapping[str, str], process: int) -> float | None:
    """Give the seconds between two signs of life, of which one may be late; None: none are wanted of this process."""
    limit, wanted_of = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not re.fullmatch("[0-9]{1,18}", limit) or wanted_of not in ("", str(process)):
        return None
    return int(limit) / _MICROSECONDS / 2
