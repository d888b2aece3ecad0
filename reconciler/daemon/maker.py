"""Makes large answers beside the event loop, each once for all who ask for it."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, TypeVar

from reconciler.errors import Busy, Interrupted

Made = TypeVar("Made")
KEPT: Final = 30.0
"""Seconds that an answer is kept after somebody asked for it last: as much memory as it has is taken for so long."""
MOST_WAITING: Final = 32
"""So many things wait to be made at most, of each turn: what came after them would come too late."""


class Turn(IntEnum):
    """When something is made: what everybody looks at before what one has asked for."""

    FIRST = 0
    LATER = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """How somebody asks: when it is their turn, and whether they are still there."""

    turn: Turn = Turn.FIRST
    has_left: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class _Kept:
    version: Hashable
    made: Any
    end: asyncio.TimerHandle


@dataclass(slots=True, eq=False)
class _Job:
    """Something to make, and those who ask for it."""

    key: Hashable
    make: Callable[[], Any]
    future: asyncio.Future[Any]
    asked_by: list[Wish] = field(default_factory=list)


class Maker:
    """One thread, which makes one thing after the other; it has nothing to do with those that passes need.

    However many clients ask, there is one thread and one copy, and only so many things wait. What nobody waits for any
    more when its turn comes is not made.
    """

    def __init__(self, kept_seconds: float = KEPT, most_waiting: int = MOST_WAITING) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answers")
        self._kept_seconds = kept_seconds
        self._most_waiting = most_waiting
        self._jobs: dict[Hashable, _Job] = {}
        self._waiting: dict[Turn, deque[_Job]] = {turn: deque() for turn in Turn}
        self._working = False
        self._kept: dict[str, _Kept] = {}
        self._ended = False

    async def kept(self, what: str, version: Hashable, make: Callable[[], Made], wish: Wish | None = None) -> Made:
        """Give the newest version of something, which is kept for a while for those who ask next.

        Raises:
            Busy: as `made`.
            Interrupted: as `made`.
        """
        kept = self._kept.get(what)
        made = kept.made if kept and kept.version == version else await self.made((what, version), make, wish)
        if before := self._kept.get(what):  # another one, maybe, since that was awaited
            before.end.cancel()
        end = asyncio.get_running_loop().call_later(self._kept_seconds, self._kept.pop, what, None)
        self._kept[what] = _Kept(version, made, end)
        return made

    async def made(self, key: Hashable, make: Callable[[], Made], wish: Wish | None = None) -> Made:
        """Make something in the thread; who asks for the same key meanwhile gets the same.

        Raises:
            Busy: too much waits to be made already, or whoever asked had left before it was their turn.
            Interrupted: the server ends.
        """
        if self._ended:
            raise Interrupted
        wish = wish or Wish()
        job = self._jobs.get(key) or self._enter(_Job(key, make, asyncio.get_running_loop().create_future()), wish.turn)
        job.asked_by.append(wish)
        made: Made = await asyncio.shield(job.future)  # who leaves does not take it from the others
        return made

    def _enter(self, job: _Job, turn: Turn) -> _Job:
        if not self._working:
            self._begin(job)
        elif len(self._waiting[turn]) < self._most_waiting:
            self._waiting[turn].append(job)
        else:
            raise Busy
        self._jobs[job.key] = job
        return job

    def _begin(self, job: _Job) -> None:
        self._working = True
        making = asyncio.get_running_loop().run_in_executor(self._thread, job.make)
        making.add_done_callback(lambda made: self._end(job, made))

    def _end(self, job: _Job, made: asyncio.Future[Any]) -> None:
        """Give what was made, or why it was not, to all who asked, and begin what comes next."""
        del self._jobs[job.key]
        self._working = False
        if made.cancelled():
            job.future.cancel()
        elif error := made.exception():
            job.future.set_exception(error)
        else:
            job.future.set_result(made.result())
        if following := self._next():
            self._begin(following)

    def _next(self) -> _Job | None:
        for turn in Turn:
            while self._waiting[turn]:
                job = self._waiting[turn].popleft()
                if not all(wish.has_left() for wish in job.asked_by):
                    return job
                del self._jobs[job.key]
                job.future.set_exception(Busy())
        return None

    def end(self) -> None:
        """Forget everything, and begin nothing more; what is being made is not waited for."""
        self._ended = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        for kept in self._kept.values():
            kept.end.cancel()
        self._kept.clear()
        for waiting in self._waiting.values():
            for job in waiting:
                job.future.cancel()
            waiting.clear()
