"""Connections to the web server, which may come from anybody: what each may send, hold and wait for has a bound.

A request reaches the application only when all of it has come, so that one that breaks off, or turns out to be too
large, has no effect. One at a time: what was sent before the answer to the request before it is not looked at.
"""

import asyncio
import json
import select
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import NoReturn

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from reconciler.daemon.answers import HAS_LEFT

_ALWAYS = [
    (b"cache-control", b"no-store"),  # what is told is true now
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may use, in bytes, connections and seconds.

    Attributes:
        head: The request line and the headers; those of the clients it is for take some hundred.
        body: A request's body with its framing. None is ever needed, and none is kept.
        connections: Those open at once; for one more, the one that asked longest ago is closed.
        unread_answers: Those that clients are slow to read, which are kept for them, at once; for one more, the oldest
            is aborted.
        request_seconds: From the first byte of a request, or from the connection's beginning, to the last one.
        idle_seconds: Between an answer and the next request; longer than most pauses between two scrapes.
        answer_seconds: Until the client has read an answer.
        age_seconds: After this a connection is closed with its next answer, so that none is kept for ever.
        linger_seconds: For a client to read why its request was refused, before the connection is closed.
        stop_seconds: For answers that are under way when the server stops.
    """

    head: int = 16 * 1024
    body: int = 4 * 1024
    connections: int = 200
    unread_answers: int = 8
    request_seconds: float = 10.0
    idle_seconds: float = 20.0
    answer_seconds: float = 30.0
    age_seconds: float = 300.0
    linger_seconds: float = 1.0
    stop_seconds: float = 0.5


class Registry:
    """Connections, in the order in which they entered; beyond ``most`` the one that did so first is aborted."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._members: dict[Connection, None] = {}

    def enter(self, connection: "Connection") -> None:
        """Put a connection at the end of the order, wherever it was."""
        self.leave(connection)
        self._members[connection] = None
        while len(self._members) > self._most:
            first = next(iter(self._members))
            self.leave(first)
            first.transport.abort()

    def leave(self, connection: "Connection") -> None:
        """Forget a connection, if it is known."""
        self._members.pop(connection, None)

    def dismiss(self) -> None:
        """Abort all, and whoever enters later."""
        self._most = 0
        for connection in tuple(self._members):
            connection.transport.abort()


class _NoFurther(Exception):
    """Raised out of the parser's callbacks: it is to look at nothing more of what was sent."""


class Connection(HttpToolsProtocol):
    """One connection: uvicorn's, which knows no bounds, kept within some."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        limits: Limits,
        everybody: Registry,
        slow_readers: Registry,
    ) -> None:
        super().__init__(config, server_state, {})
        self._limits = limits
        self._everybody = everybody
        self._slow_readers = slow_readers
        self._last_answer_after = self.loop.time() + limits.age_seconds
        self._refused = False
        self._expect_request()

    def _expect_request(self) -> None:
        self._received = 0
        self._in_body = False
        self._body_received = 0
        self._whole = False
        self._problem = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._timer = self._abort_in(self._limits.request_seconds)
        self._everybody.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self._everybody.leave(self)
        self._slow_readers.leave(self)
        self._timer.cancel()

    def _allow(self, seconds: float) -> None:
        """Give the client so much time, from now on, for what it has to do next."""
        self._timer.cancel()
        self._timer = self._abort_in(seconds)

    def _abort_in(self, seconds: float) -> asyncio.TimerHandle:
        # Not closed: that would wait until the client has read what was written.
        return self.loop.call_later(seconds, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Look at what was sent, as far as the end of a request."""
        if not self._received:
            self._allow(self._limits.request_seconds)
        rest = memoryview(data)
        while rest and not self._whole and not self._refused:
            # Never more than the bound at once: the parser has none of its own, and would go through all of it.
            room = self._bound - self._received
            self._feed(rest[:room])
            rest = rest[room:]
        if rest and self._whole:
            self.cycle.keep_alive = False

    @property
    def _bound(self) -> int:
        """How many bytes the request may have by the time at which more of it is known."""
        return self._limits.head + (self._limits.body if self._in_body else 0)

    def _feed(self, piece: memoryview) -> None:
        self._received += len(piece)
        try:
            self.parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._whole:  # it is about what came after the request
                self.cycle.keep_alive = False
            else:
                self._refuse(self._problem)
        else:
            if not self._whole and self._received >= self._bound:
                self._refuse(_TOO_LARGE if self._in_body else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request, unless the one before it has not been answered."""
        if self._whole:
            raise _NoFurther
        super().on_message_begin()
        self.scope["state"][HAS_LEFT] = self.has_left

    def has_left(self) -> bool:
        """Tell whether the client is gone, or has said that it sends nothing more, of which nothing is read by then."""
        if self.transport.is_closing():
            return True
        look = select.poll()
        look.register(self.transport.get_extra_info("socket"), select.POLLRDHUP)
        return bool(look.poll(0))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, but none of those that may come after a body: they must not pass for others."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuse a body that is said to be too large; the application has to wait until it is whole."""
        self._in_body = True
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        if int(length) > self._limits.body:
            self._stop_at(_TOO_LARGE)
        if self.expect_100_continue and self.parser.get_http_version() == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.expect_100_continue = False

    def on_body(self, body: bytes) -> None:
        """Count and drop a part of a body."""
        self._body_received += len(body)
        if self._body_received > self._limits.body:
            self._stop_at(_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Start the application."""
        self.server_state.default_headers = _headers_of_all()
        super().on_headers_complete()
        super().on_message_complete()
        self._whole = True
        # It is told of what comes next, also of the client's end, when it has been answered.
        self.flow.pause_reading()
        if self.loop.time() >= self._last_answer_after:
            self.cycle.keep_alive = False
        self._allow(self._limits.answer_seconds)
        self._everybody.enter(self)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        # In place of uvicorn's own, whose timer outlives connections that break off.
        if self.transport.is_closing():
            return  # but perhaps the client is still reading, for which it has as long as it had
        self._expect_request()
        self._allow(self._limits.idle_seconds)
        self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Hold the answer up: the client is slow to read it."""
        super().pause_writing()
        self._slow_readers.enter(self)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._slow_readers.leave(self)

    def _stop_at(self, problem: HTTPStatus) -> NoReturn:
        self._problem = problem
        raise _NoFurther

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why, read nothing more, and close soon: at once would be a reset, at which clients forget what came."""
        self._refused = True
        self.transport.pause_reading()
        body = json.dumps({"error": _REFUSALS[status].format(self._limits)}).encode()
        headers = [
            *_headers_of_all(),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), *(b"%s: %s" % header for header in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.write_eof()
        self._allow(self._limits.linger_seconds)


def _headers_of_all() -> list[tuple[bytes, bytes]]:
    return [(b"date", formatdate(usegmt=True).encode()), *_ALWAYS]


_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "this is no HTTP request that can be understood",
    _TOO_LARGE: "no request needs a body: it may have {0.body} bytes, with the framing of its chunks",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the request line and the headers may have {0.head} bytes",
}
