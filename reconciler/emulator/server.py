"""The emulator on a socket of a loopback address."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reconciler.emulator.answers import message
from reconciler.emulator.api import Emulator
from reconciler.emulator.faults import ConnectionDropped
from reconciler.emulator.seed import SeedError, load_seed

__all__ = ["Emulator", "SeedError", "Server", "load_seed", "serve"]


class Server:
    """The emulator on a real socket, inside the running event loop; it takes no signals.

    ``host`` must be a loopback address (else ``ValueError``): the emulator has no protection of its own.
    """

    def __init__(self, emulator: Emulator, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if not _is_loopback(host):
            raise ValueError(f"the emulator listens on a loopback address only, such as 127.0.0.1, not {host}")
        self._emulator = emulator
        self._address = (host, port)

    async def start(self) -> int:
        """Listen, and return the port; raises ``OSError`` if the address cannot be had."""
        listener = _listener(self._address)
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # a client's address must not be what the client says it is
            server_header=False,
            timeout_keep_alive=75,
        )
        self._server = _Uvicorn(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.listening.wait()
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, drop what is in flight, and return when all of it has ended."""
        self._server.should_exit = True
        await self._serving

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._emulator(scope, receive, send)
        except (ConnectionDropped, asyncio.CancelledError):
            scope["extensions"]["emulator"]["abort"]()
            # uvicorn would try to answer for us until it has been told that the connection is gone.
            while (await receive())["type"] != "http.disconnect":
                pass


async def serve(emulator: Emulator, *, host: str = "127.0.0.1", port: int, started: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``started`` is called with the port (0: any free one) once it listens."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    server = Server(emulator, host=host, port=port)
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        port = await server.start()
        try:
            started(port)
            await stopping.wait()
        finally:
            await server.stop()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


class _Protocol(HttpToolsProtocol):
    """Lets the application abort its connection, and refuses what is not HTTP in the API's own form."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"emulator": {"abort": self.transport.abort}}

    def send_400_response(self, msg: str) -> None:
        answer = message(400, msg)
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.format(answer.content_type.decode(), len(answer.body)).encode() + answer.body)
        self.transport.close()


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        # uvicorn's own waits for requests in flight; a fault may hold one up for an hour.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Not socket.create_server(): it leaves the protocol open, and asyncio switches Nagle's algorithm off only for what
    # says that it is TCP. With it each answer waits 40 ms for the client's delayed acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
