"""When a request may go: at an account's pace, and not at all once something asked to stop.

All times are in seconds of the running loop's clock, so that a loop whose time jumps is obeyed too.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from reconciler.core.keys import AccountRef
from reconciler.errors import Interrupted

type_item = TypeVar("type_item")
type_result = TypeVar("type_result")

KEPT_BACK = 5
"""Tokens of the burst that are never used: the server's bucket is not filled at the same instants as ours."""
SLOWEST = 1.0
"""Turns a second below which no refusal slows a pace."""
RETURN = 100.0
"""Seconds in which a pace comes back from nothing to its full rate."""
_EARLY = 1e-6  # a loop may wake a sleeper this much too soon; waiting again for so little could go on for ever


class Signal(asyncio.Event):
    """An event that is also followed by calls, right when it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._followers: set[Callable[[], None]] = set()

    def set(self) -> None:
        """Let the event come, once."""
        if not self.is_set():
            super().set()
            for follow in tuple(self._followers):
                follow()

    @contextmanager
    def followed_by(self, follow: Callable[[], None]) -> Iterator[None]:
        """Call ``follow`` when the event comes, unless this block has ended; at once if it came before."""
        self._followers.add(follow)
        try:
            if self.is_set():
                follow()
            yield
        finally:
            self._followers.discard(follow)


class Stop:
    """Asks everything to end.

    ``requested``: begin nothing new. ``abandoned``: the grace is over, wait for no answer any more. ``reason``: why,
    in words that an error may begin with.
    """

    def __init__(self, grace: float = 8.0) -> None:
        self.requested = Signal()
        self.abandoned = Signal()
        self.reason = "interrupted"
        self._grace = grace
        self._grace_ends: asyncio.TimerHandle | None = None

    def request(self) -> None:
        """Ask to stop, with ``grace`` seconds for what was begun; a second call ends the grace at once."""
        if self.requested.is_set():
            self.abandoned.set()
        else:
            self.requested.set()
            self._grace_ends = asyncio.get_running_loop().call_later(self._grace, self.abandoned.set)

    @contextmanager
    def within(self, seconds: float, reason: str) -> "Iterator[Stop]":
        """Give a stop for a part of the work, which ends with this block.

        It is requested when this one is, or after ``seconds``, for that ``reason`` and with a grace of its own;
        ``math.inf`` seconds: only with this one.
        """
        part = Stop(self._grace)
        timer: asyncio.TimerHandle | None = None

        def follow() -> None:
            if not part.requested.is_set():
                part.reason = self.reason
                part.requested.set()

        def run_out() -> None:
            if not part.requested.is_set():
                part.reason = reason
                part.request()

        try:
            with self.requested.followed_by(follow), self.abandoned.followed_by(part.abandoned.set):
                if seconds <= 0:
                    run_out()
                elif seconds < math.inf:
                    timer = asyncio.get_running_loop().call_later(seconds, run_out)
                yield part
        finally:
            for pending in filter(None, (timer, part._grace_ends)):
                pending.cancel()

    async def unless_requested(self, work: Callable[[], type_result]) -> type_result:
        """Do plain work in a thread, so that signals are heard meanwhile; `Interrupted` does not wait for its end."""
        return await unless(self.requested, asyncio.to_thread(work), lambda: self.reason)


async def unless(
    signal: Signal, work: Coroutine[Any, Any, type_result], otherwise: Callable[[], str] = lambda: "interrupted"
) -> type_result:
    """Do ``work``, unless ``signal`` comes first: then cancel it and raise `Interrupted` saying ``otherwise``.

    ``work`` must be something that may be cancelled at any point: never a request itself.
    """
    if signal.is_set():
        work.close()
        raise Interrupted(otherwise())
    try:
        # A limit that nothing but the signal sets: two tasks, one of them to wait for the signal, would cost more.
        async with asyncio.timeout(None) as limit:
            with signal.followed_by(lambda: limit.reschedule(-math.inf)):
                return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise Interrupted(otherwise()) from None


async def in_flight(
    items: Iterable[type_item], work: Callable[[type_item], Awaitable[type_result]], width: int
) -> tuple[type_result, ...]:
    """Do ``work`` for every item, at most ``width`` at once, and give the results in the items' order.

    The first exception cancels what is under way and comes out as it is; no further item is taken then. Items are taken
    from ``items`` one by one, so that many of them are not as many tasks.
    """
    if width < 1:
        raise ValueError("nothing can be done by nobody")
    results: dict[int, type_result] = {}
    numbered = enumerate(items)

    async def worker() -> None:
        for place, item in numbered:
            results[place] = await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(width)]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return tuple(results[place] for place in range(len(results)))


class Pace:
    """A token bucket, first come, first served: ``rate`` turns a second, ``burst`` less `KEPT_BACK` of them at once.

    A turn ``ahead`` comes before ordinary ones, the one that is awaited already excepted: for a request that finds work
    for the others.

    It is kept as one number, the time at which the bucket was empty: nothing is added up, so nothing drifts. Where the
    server refuses although this pace was kept, somebody else uses the account's bucket, such as its own mail: the rate
    is halved, and comes back by a tenth of the full one in ten seconds, without bursts until it is back. That is kept
    as one number too, the time at which it will be back.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._full_rate = rate
        self._slowest = min(SLOWEST, rate)
        self._whole = max(1, burst - KEPT_BACK) / rate
        self._empty_at = float("-inf")
        self._back_at = float("-inf")
        self._slowed_at = float("-inf")
        self._queue = asyncio.Lock()
        self._ordinary = asyncio.Lock()

    @property
    def rate(self) -> float:
        """Turns a second at this moment: the full rate, unless refusals slowed it."""
        return self._rate_at(asyncio.get_running_loop().time())

    async def turn(self, *, ahead: bool = False) -> None:
        """Wait for a turn; ``ahead``: behind one ordinary turn at most."""
        if ahead:
            await self._take()
            return
        # One of them at a time stands in the queue: who goes ahead passes all the others.
        async with self._ordinary:
            await self._take()

    async def _take(self) -> None:
        clock = asyncio.get_running_loop().time
        async with self._queue:
            # Asked again after each sleep: a pause may have come meanwhile.
            while (wait := self._ready_at(clock()) - clock()) > _EARLY:  # noqa: ASYNC110 # it waits for a time, and no event tells of that
                await asyncio.sleep(wait)
            now = clock()
            # While it is slow what was not used in time is lost: a burst is what the others would starve of.
            self._empty_at = now if now < self._back_at else self._ready_at(now)

    def pause(self, seconds: float) -> None:
        """Give nobody a turn for that long, and then start from an empty bucket: the server said that it is full."""
        now = asyncio.get_running_loop().time()
        if now < self._back_at:  # who may not ask is not refused either, so that it says nothing about the others
            self._back_at += max(0.0, now + seconds - max(now, self._empty_at))
        self._empty_at = max(self._empty_at, now + seconds)

    def refused(self, begun: float) -> None:
        """Halve the rate: the server refused a request that was ``begun`` then.

        Requests that were under way together are refused together, so that one begun before the last slowing says
        nothing new.
        """
        if begun > self._slowed_at:
            now = asyncio.get_running_loop().time()
            slower = max(self._slowest, self.rate / 2)
            self._slowed_at = now
            self._back_at = now + RETURN * (1 - slower / self._full_rate)
            self._empty_at = max(self._empty_at, now)

    def _rate_at(self, time: float) -> float:
        missing = max(0.0, self._back_at - time) / RETURN
        return max(self._slowest, self._full_rate * (1 - missing))

    def _ready_at(self, now: float) -> float:
        """Give when the next turn is, as it looks ``now``."""
        if now < self._back_at:
            return self._empty_at + 1 / self._rate_at(self._empty_at)
        return max(self._empty_at, self._back_at, now - self._whole) + 1 / self._full_rate


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
