"""Asks a running daemon over HTTP: what it may send, and how long it may take in all, has a bound.

Nothing that answers there is trusted: it may be another server, or none that knows HTTP.
"""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reconciler.daemon.address import Address
from reconciler.errors import FilesError, NoDaemon, visible
from reconciler.files.status import Ready, load_readiness, load_status

if TYPE_CHECKING:
    from reconciler.core.report import Report
    from reconciler.core.status import Status

Told = TypeVar("Told")
SMALL: Final = 16 * 1024 * 1024
"""The most bytes that an answer may have, but for a report: a status that tells all that a daemon keeps has fewer."""
LARGE: Final = 256 * 1024 * 1024
"""The most that a report may have; one of 100,000 keys has half of it."""
_HEAD: Final = 64 * 1024
_PIECE: Final = 256 * 1024
_MOST_LETTERS: Final = 300
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # what a server listens on, not this
_NOT_MODIFIED: Final = 304
_UNAVAILABLE: Final = 503
_OK: Final = 200
_TOO_LARGE: Final = "its answer is larger than one of a daemon can be"
_OTHER: Final = (
    "is it `reconciler run` of this version that listens there? --at, or RECONCILER_LISTEN, says where to ask"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    tag: str | None = None


@dataclass(slots=True)
class DaemonAt:
    """A daemon at an address, and its last report, so that it need not be sent twice.

    Attributes:
        address: Where it listens; every address of a machine is this machine.
        seconds: How long it may take to be asked one thing, from looking up its name to the last byte.
    """

    address: Address
    seconds: float
    _report: "tuple[str | None, Report] | None" = field(default=None, init=False)

    def readiness(self) -> Ready:
        """Ask whether it does its work.

        Raises:
            NoDaemon: it does not answer, or not as a daemon does.
        """
        deadline = self._deadline()
        reply = self._get("/readyz", deadline, SMALL)
        if reply.status not in (_OK, _UNAVAILABLE):
            raise self._refused(reply)
        readiness = self._understood(lambda: load_readiness(reply.body))
        if readiness.ready != (reply.status == _OK):
            raise self._strange(f"it answered {reply.status}, and says otherwise")
        return readiness

    def status(self) -> "Status":
        """Ask how it stands.

        Raises:
            NoDaemon: it does not answer, or not as a daemon does.
        """
        return self._status(self._deadline())

    def look(self) -> "tuple[Status, Report | None]":
        """Ask how it stands, and for the report of the same pass; None: no pass has ended yet.

        Raises:
            NoDaemon: it does not answer, or not as a daemon does.
        """
        deadline = self._deadline()
        status = self._status(deadline)
        while status.last_pass is not None:
            report = self._last_report(deadline)
            if report.run_id == status.last_pass.run_id:
                return status, report
            status = self._status(deadline)  # a pass ended in between
        return status, None

    def _status(self, deadline: float) -> "Status":
        reply = self._get("/status", deadline, SMALL)
        if reply.status != _OK:
            raise self._refused(reply)
        return self._understood(lambda: load_status(reply.body))

    def _last_report(self, deadline: float) -> "Report":
        from reconciler.files.report import load_told_report

        known = {"If-None-Match": self._report[0]} if self._report and self._report[0] else {}
        reply = self._get("/report", deadline, LARGE, known)
        if reply.status == _NOT_MODIFIED and self._report is not None:
            return self._report[1]
        if reply.status != _OK:
            raise self._refused(reply)
        report = self._understood(lambda: load_told_report(reply.body.decode("utf-8", "replace")))
        self._report = reply.tag, report
        return report

    def _get(self, path: str, deadline: float, most: int, headers: dict[str, str] | None = None) -> Reply:
        try:
            with _connected(self.address, deadline) as connection:
                return _exchange(connection, path, self._authority, deadline, most, headers or {})
        except TimeoutError:
            hint = "--timeout gives it longer; one that hangs does not answer at all"
            raise NoDaemon(f"{self._authority} did not answer within {self.seconds:g} s", hint=hint) from None
        except OSError as error:
            why = (error.strerror or str(error) or type(error).__name__).lower()
            hint = (
                "is `reconciler run` running, and is this where it listens? --at HOST:PORT, or RECONCILER_LISTEN, says "
                "where to ask"
            )
            raise NoDaemon(f"no daemon answers at {self._authority}: {visible(why)}", hint=hint) from None
        except http.client.IncompleteRead:
            raise NoDaemon(f"{self._authority} broke off in the middle of its answer", hint="ask again") from None
        except (http.client.HTTPException, ValueError) as error:
            raise self._strange(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None

    def _understood(self, load: Callable[[], Told]) -> Told:
        try:
            return load()
        except FilesError as error:
            raise self._strange(error.problems[0].message) from None

    def _refused(self, reply: Reply) -> NoDaemon:
        """Say what an answer other than the one that was asked for tells."""
        try:
            told = json.loads(reply.body)["error"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return self._strange(f"it answered {reply.status}")
        return NoDaemon(f"{self._authority} answered {reply.status}: {_short(str(told))}", hint=_OTHER)

    def _strange(self, why: str) -> NoDaemon:
        return NoDaemon(f"what answers at {self._authority} is no daemon of this version: {_short(why)}", hint=_OTHER)

    @property
    def _authority(self) -> str:
        return str(_reached(self.address))

    def _deadline(self) -> float:
        return time.monotonic() + self.seconds


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]}..."


def _reached(address: Address) -> Address:
    """Give the address by which a server on this machine is reached that listens on all that it has."""
    return Address(_EVERYWHERE.get(address.host, address.host), address.port)


def _left(deadline: float) -> float:
    """Give the seconds that are left.

    Raises:
        TimeoutError: none are.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(address: Address, deadline: float) -> socket.socket:
    """Connect to the first of a host's addresses that lets us.

    Raises:
        OSError: none does.
    """
    errors: list[OSError] = []
    for place in _places(_reached(address), deadline):
        try:
            return socket.create_connection(place, timeout=_left(deadline))
        except OSError as error:
            errors.append(error)
    raise errors[0]


def _places(address: Address, deadline: float) -> list[tuple[str, int]]:
    """Look up a host, in a thread: a resolver may take minutes, and nothing can stop it.

    Raises:
        OSError: no such host is known.
    """
    found: list[tuple[str, int]] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            told = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            found.extend((str(place[0]), address.port) for *_, place in told)
        except (OSError, UnicodeError):
            failed.append(OSError(f"no host {address.host!r} is known"))

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found


def _exchange(
    connection: socket.socket, path: str, authority: str, deadline: float, most: int, headers: dict[str, str]
) -> Reply:
    """Send a request, and read the answer.

    Raises:
        OSError: the connection breaks, or the time is over.
        http.client.HTTPException: the answer is no HTTP, or too long.
    """
    told = {"Host": authority, "Connection": "close", **headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    connection.settimeout(_left(deadline))
    connection.sendall("\r\n".join(lines).encode())
    response = http.client.HTTPResponse(_Bounded(connection, deadline, most + _HEAD), method="GET")  # type: ignore[arg-type] # it takes a file from a socket, and nothing else
    with response:
        response.begin()
        return Reply(response.status, _body(response, most), response.getheader("ETag"))


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """Read a body piece by piece: one that is said to be as large as memory is not taken at its word.

    Raises:
        http.client.HTTPException: it is too long, or breaks off.
    """
    if (response.length or 0) > most:
        raise http.client.HTTPException(_TOO_LARGE)
    pieces = []
    while piece := response.read(_PIECE):
        pieces.append(piece)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


class _Bounded(io.RawIOBase):
    """What comes from a socket until a deadline, and no more than so many bytes of it."""

    def __init__(self, connection: socket.socket, deadline: float, most: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._room = most

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Give it as a file, as a socket does."""
        return io.BufferedReader(self, 1 << 16)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some bytes.

        Raises:
            TimeoutError: the time is over.
            http.client.HTTPException: more came than may.
        """
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise http.client.HTTPException(_TOO_LARGE)
        return count
