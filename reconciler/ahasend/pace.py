"""When a request may go: at an account's pace, and not at all once a signal asked to stop.

All times are in seconds of the running loop's clock, so that a loop whose time jumps is obeyed too.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from reconciler.core.keys import AccountRef
from reconciler.errors import Interrupted

type_result = TypeVar("type_result")

KEPT_BACK = 5
"""Tokens of the burst that are never used: the server's bucket is not filled at the same instants as ours."""
_EARLY = 1e-6  # a loop may wake a sleeper this much too soon; waiting again for so little could go on for ever


class Stop:
    """Asks everything to end.

    ``requested``: begin nothing new. ``abandoned``: the grace is over, wait for no answer any more.
    """

    def __init__(self, grace: float = 8.0) -> None:
        self.requested = asyncio.Event()
        self.abandoned = asyncio.Event()
        self._grace = grace

    def request(self) -> None:
        """Ask to stop, with ``grace`` seconds for what was begun; a second call ends the grace at once."""
        if self.requested.is_set():
            self.abandoned.set()
        else:
            self.requested.set()
            asyncio.get_running_loop().call_later(self._grace, self.abandoned.set)

    async def unless_requested(self, work: Callable[[], type_result]) -> type_result:
        """Do plain work in a thread, so that signals are heard meanwhile; `Interrupted` does not wait for its end."""
        return await unless(self.requested, asyncio.to_thread(work))


async def unless(
    event: asyncio.Event, work: Coroutine[Any, Any, type_result], otherwise: str = "interrupted"
) -> type_result:
    """Do ``work``, unless ``event`` comes first: then cancel it and raise `Interrupted` saying ``otherwise``.

    ``work`` must be something that may be cancelled at any point: never a request itself.
    """
    if event.is_set():
        work.close()
        raise Interrupted(otherwise)
    doing, watching = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise Interrupted(otherwise)
    finally:
        doing.cancel()
        watching.cancel()
        await asyncio.gather(doing, watching, return_exceptions=True)


class Pace:
    """A token bucket, first come, first served: ``rate`` turns a second, ``burst`` less `KEPT_BACK` of them at once.

    It is kept as one number, the time at which the bucket will be full again: nothing is added up, so nothing drifts.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._whole = max(1, burst - KEPT_BACK) * self._interval
        self._full_at = float("-inf")
        self._queue = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        async with self._queue:
            # Asked again after each sleep: a pause may have come meanwhile.
            while (wait := self._full_at + self._interval - self._whole - loop.time()) > _EARLY:  # noqa: ASYNC110 # it waits for a time, and no event tells of that
                await asyncio.sleep(wait)
            self._full_at = max(self._full_at, loop.time()) + self._interval

    def pause(self, seconds: float) -> None:
        """Give nobody a turn for that long, and then start from an empty bucket: the server said that it is full."""
        empty = asyncio.get_running_loop().time() + seconds
        self._full_at = max(self._full_at, empty + self._whole)


class Paces:
    """One pace for each account, its sub accounts included; they live as long as the process."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._paces: dict[str, Pace] = {}

    def of(self, account: AccountRef) -> Pace:
        """Give the pace that requests about ``account`` share."""
        name = account.account_id.lower()
        if name not in self._paces:
            self._paces[name] = Pace(self._rate, self._burst)
        return self._paces[name]
