"""The daemon's web server, in the event loop that it shares with the passes; it takes no signals."""

import asyncio
import errno
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from reconciler.daemon.address import Address
from reconciler.daemon.connections import Connection, Limits, Registry
from reconciler.errors import SettingsError

_BACKLOG = 128
"""Connections that wait to be accepted, in the kernel."""


class Web:
    """An ASGI application on a socket, for clients that are not trusted.

    ``host`` is an IP address or a name; of a name the first IPv4 address counts, else the first IPv6 one; ``::`` is
    every address, IPv4 ones included. ``port`` 0 is any free one.
    """

    def __init__(self, application: ASGIApp, host: str, port: int, limits: Limits | None = None) -> None:
        self._application = application
        self._address = Address(host, port)
        self._limits = limits or Limits()
        self._everybody = Registry(self._limits.connections)
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self) -> Address:
        """Listen, and return the address.

        Raises:
            SettingsError: the port is taken, or may not be had, or the host is none of this machine's.
        """
        # uvicorn's connections without its Server, whose loop wakes ten times a second and which takes SIGTERM.
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
        )
        slow_readers = Registry(self._limits.unread_answers)

        def connection() -> Connection:
            return Connection(config, self._state, self._limits, self._everybody, slow_readers)

        try:
            listener = await _listener(self._address)
            self._server = await asyncio.get_running_loop().create_server(connection, sock=listener, backlog=_BACKLOG)
        except (OSError, UnicodeError) as error:  # a UnicodeError is a name of which no resolver is asked
            raise _cannot_listen(self._address, error) from None
        return Address(*listener.getsockname()[:2])

    async def stop(self) -> None:
        """Stop listening, let answers under way be sent, a moment long, and drop every connection."""
        if self._server is None:
            return
        self._server.close()
        await self._answers()
        self._everybody.dismiss()
        await self._answers()

    async def _answers(self) -> None:
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=self._limits.stop_seconds)


async def _listener(address: Address) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, *_, place = min(found, key=lambda one: one[0] != socket.AF_INET)
    # Not socket.create_server(): it leaves the protocol open, and asyncio switches Nagle's algorithm off only for what
    # says that it is TCP. With it each answer waits 40 ms for the client's delayed acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _cannot_listen(address: Address, error: OSError | UnicodeError) -> SettingsError:
    match error:
        case socket.gaierror() | UnicodeError():
            why, hint = "no such host is known", f"write an IP address of this machine, or 0.0.0.0:{address.port}"
        case OSError(errno=errno.EADDRINUSE):
            why, hint = "another process listens there", "choose another port, or none for no web server"
        case OSError(errno=errno.EACCES):
            why, hint = "this process may not", "choose a port above 1023"
        case OSError(errno=errno.EADDRNOTAVAIL):
            why = "it is no address of this machine"
            hint = f"for every address that it has write 0.0.0.0:{address.port}"
        case _:
            why, hint = error.strerror or str(error), "choose another address, or none for no web server"
    return SettingsError(f"--listen {address}: {why}", hint=hint)
