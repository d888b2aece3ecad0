"""Which requests may use one of a session's connections, and how a write keeps one from its last look to its sending.

The last look of a write is a request too. If the write held a slot while its look waits for another one, writes could
hold them all; if it held none, it would wait for one after the look, which is old by then. So a write gives its slot
back whenever its look waits for anything, and gets the one on which the look's answer came.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar


class Slot:
    """The use of one of the connections that ``free`` counts, from `take` to `let_go`; then it is the ``heir``'s."""

    def __init__(self, free: asyncio.Semaphore, heir: "Slot | None" = None) -> None:
        self.free = free
        self._heir = heir
        self._held = False
        self._looking = False

    async def take(self) -> None:
        """Wait for a connection, first come, first served; do not wait where it is held already."""
        if not self._held:
            await self.free.acquire()
            self._held = True

    async def take_for(self, look: Callable[[], Awaitable[None]]) -> None:
        """Take it, ``look``, and hold it when that ends: there is nothing to wait for then.

        Only a look that passes over a request which it gave up has left no connection, and one must be waited for.
        """
        await self.take()
        before = _WRITE.set(self)
        self._looking = True
        try:
            await look()
        finally:
            self._looking = False
            _WRITE.reset(before)
        await self.take()

    def let_go(self) -> None:
        """Leave it to the heir, or to anybody; nothing happens where it is not held."""
        if self._held:
            self._held = False
            if not (self._heir and self._heir.inherit()):
                self.free.release()

    def inherit(self) -> bool:
        """Take over a connection from a request of the look, and say whether there is a use for it."""
        wanted = self._looking and not self._held
        self._held = self._held or wanted
        return wanted


class Slots:
    """As many slots as a session has connections."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    def slot(self) -> Slot:
        """Give a slot for one request, not held yet."""
        return Slot(self._free, self._write())

    def give_back(self) -> None:
        """Within the look of a write, let others use the write's connection until the look's next answer came."""
        write = self._write()
        if write:
            write.let_go()

    def _write(self) -> Slot | None:
        """Give the slot of the write whose look this is, if it is one of these."""
        write = _WRITE.get()
        return write if write and write.free is self._free else None


_WRITE: ContextVar[Slot | None] = ContextVar("the slot of the write whose look is under way", default=None)
