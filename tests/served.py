"""Servers on real sockets, each in a thread of its own, for tests of whole commands."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer

from reconciler.emulator.server import Emulator, Server


@contextmanager
def served(emulator: Emulator) -> Iterator[str]:
    """Serve an emulator until the block ends; gives the address."""
    ready = threading.Event()
    addresses: list[str] = []
    ends: list[asyncio.Event] = []

    async def serve() -> None:
        server = Server(emulator)
        addresses.append(f"http://127.0.0.1:{await server.start()}")
        ends.append(asyncio.Event())
        ready.set()
        await ends[0].wait()
        await server.stop()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(ends[0].set)
        thread.join()
        loop.close()


@contextmanager
def answering(server: HTTPServer) -> Iterator[None]:
    """Let a server of the standard library answer until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
