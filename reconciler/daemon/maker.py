"""Makes large answers beside the event loop, each once for all who ask for it."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from reconciler.errors import Interrupted

Made = TypeVar("Made")
KEPT: Final = 30.0
"""Seconds that an answer is kept after somebody asked for it last: as much memory as it has is taken for so long."""


@dataclass(slots=True)
class _Kept:
    version: Hashable
    made: Any
    end: asyncio.TimerHandle


class Maker:
    """One thread, which makes one thing after the other; it has nothing to do with those that passes need.

    However many clients ask, there is one thread and one copy.
    """

    def __init__(self, kept_seconds: float = KEPT) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answers")
        self._kept_seconds = kept_seconds
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}
        self._kept: dict[str, _Kept] = {}
        self._ended = False

    async def kept(self, what: str, version: Hashable, make: Callable[[], Made]) -> Made:
        """Give the newest version of something, which is kept for a while for those who ask next."""
        kept = self._kept.get(what)
        if kept is None or kept.version != version:
            made = await self.made((what, version), make)
            kept = self._kept.get(what)
            if kept is not None:
                kept.end.cancel()
        else:
            made = kept.made
            kept.end.cancel()
        end = asyncio.get_running_loop().call_later(self._kept_seconds, self._kept.pop, what, None)
        self._kept[what] = _Kept(version, made, end)
        return made

    async def made(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Make something in the thread; who asks for the same key meanwhile gets the same.

        Raises:
            Interrupted: the server ends.
        """
        if self._ended:
            raise Interrupted
        making: asyncio.Future[Made] | None = self._under_way.get(key)
        if making is None:
            making = asyncio.get_running_loop().run_in_executor(self._thread, make)
            self._under_way[key] = making
            making.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(making)  # who leaves does not take it from the others

    def end(self) -> None:
        """Forget everything, and begin nothing more; what is being made is not waited for."""
        self._ended = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        for kept in self._kept.values():
            kept.end.cancel()
        self._kept.clear()
