"""An event loop whose time jumps to the next timer instead of passing: hours of waiting in milliseconds, exactly.

For transports inside the process only: nothing outside keeps up with such a clock.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

type_result = TypeVar("type_result")


class _Clock(selectors.DefaultSelector):
    """A selector that, where the loop would sleep, moves its own time forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits, and no timer will ever wake it")
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps; its time starts at 0."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._clock.now


def run_virtual(work: Coroutine[Any, Any, type_result]) -> type_result:
    """Run ``work`` to its end in virtual time, as ``asyncio.run`` would."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
