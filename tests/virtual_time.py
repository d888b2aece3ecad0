"""An event loop whose time jumps to the next timer instead of passing: hours of waiting in milliseconds, exactly.

For transports inside the process only: nothing outside keeps up with such a clock.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

import time_machine

type_result = TypeVar("type_result")


class _Clock(selectors.DefaultSelector):
    """A selector that, where the loop would sleep, moves its own time forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.passed: Callable[[float], object] = lambda seconds: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits, and no timer will ever wake it")
            self.now += timeout
            self.passed(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps; its time starts at 0, and what is done in a thread is done at once."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def run_in_executor(  # type: ignore[override] # less general than asyncio's
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Do it here and now: no thread keeps up with such a clock."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 # whatever it raises is for who awaits it
            done.set_exception(error)
        return done

    def passes(self, tell: Callable[[float], object]) -> None:
        """Tell of the seconds that pass, so that other clocks may follow."""
        self._clock.passed = tell

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._clock.now


def run_virtual(work: Coroutine[Any, Any, type_result]) -> type_result:
    """Run ``work`` to its end in virtual time, as ``asyncio.run`` would."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


def run_in_calendar(
    start: datetime, work: Callable[[time_machine.Traveller], Coroutine[Any, Any, type_result]]
) -> type_result:
    """Run ``work`` in virtual time, with the calendar's clock beside it; ``work`` gets that one, to set it."""
    with time_machine.travel(start, tick=False) as calendar, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.passes(calendar.shift)
        return runner.run(work(calendar))
