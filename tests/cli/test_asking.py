"""Asking a daemon: whatever answers there, and however slowly, the asking ends in time and says what was wrong."""

import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from reconciler.cli import asking
from reconciler.cli.asking import DaemonAt
from reconciler.core.status import Sync
from reconciler.daemon.address import Address
from reconciler.errors import NoDaemon
from reconciler.render.json import render
from render.reports import account, report
from render.statuses import status

READY = b'{"ready":true,"reasons":[],"configuration":{"loaded_at":null,"age_seconds":null,"rejected":null,'
READY += b'"rejected_at":null,"problems":[],"problem_count":0},"accounts":[]}'
STATUS = status()
REPORT = replace(report(account()), run_id="run-1")
Talk = Callable[[socket.socket, bytes], None]


def http(body: bytes | str, code: int = 200, *headers: str) -> bytes:
    sent = body if isinstance(body, bytes) else body.encode()
    head = [f"HTTP/1.1 {code} X", f"Content-Length: {len(sent)}", *headers, "", ""]
    return "\r\n".join(head).encode() + sent


@contextmanager
def answering(talk: Talk) -> Iterator[tuple[DaemonAt, list[bytes]]]:
    """Something that answers, each request in a thread, and what it was asked."""
    asked: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self.request.recv(1 << 16)
            asked.append(head)
            with suppress(OSError):  # who asked has left
                talk(self.request, head.split(b" ")[1])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield DaemonAt(Address("127.0.0.1", server.server_address[1]), 1.0), asked
        server.shutdown()


def says(**bodies: bytes) -> Talk:
    """Answers of a server, by path."""

    def talk(connection: socket.socket, path: bytes) -> None:
        connection.sendall(bodies[path.decode().strip("/")])

    return talk


def refusal(talk: Talk, ask: Callable[[DaemonAt], object] = DaemonAt.status) -> NoDaemon:
    began = time.monotonic()
    with answering(talk) as (daemon, _), pytest.raises(NoDaemon) as raised:
        ask(daemon)
    assert time.monotonic() - began < 2
    assert raised.value.exit_code == 1
    assert raised.value.hint
    return raised.value


def test_a_daemon() -> None:
    """A daemon's status, its report, and whether it is ready come as they were sent."""
    with answering(says(status=http(render(STATUS)), report=http(render(REPORT)), readyz=http(READY))) as (
        daemon,
        asked,
    ):
        assert daemon.status() == STATUS
        assert daemon.look() == (STATUS, REPORT)
        assert daemon.readiness().ready
    assert asked[0].startswith(b"GET /status HTTP/1.1\r\nHost: 127.0.0.1:")
    assert [line.split(b" ")[1] for line in asked] == [b"/status", b"/status", b"/report", b"/readyz"]


def test_one_that_is_not_ready() -> None:
    """A daemon that is not ready says so with 503, which is an answer like another."""
    told = READY.replace(b"true", b"false").replace(b'"reasons":[]', b'"reasons":["no"]')
    with answering(says(readyz=http(told, 503))) as (daemon, _):
        assert daemon.readiness().reasons == ("no",)


def test_one_that_contradicts_itself() -> None:
    """One that says ready, and answers 503, or the other way round, is no daemon."""
    told = READY.replace(b"true", b"false")
    for body, code in ((READY, 503), (told, 200)):
        error = refusal(says(readyz=http(body, code)), DaemonAt.readiness)
        assert "and says otherwise" in error.message
    assert "answered 404" in refusal(says(readyz=http(READY, 404)), DaemonAt.readiness).message


def test_before_the_first_pass() -> None:
    """Before the first pass there is no report, and none is asked for."""
    with answering(says(status=http(render(status(Sync(), passes=0))))) as (daemon, asked):
        assert daemon.look()[1] is None
    assert len(asked) == 1


def test_a_report_that_cannot_be_had() -> None:
    """Where a pass has ended and its report cannot be had, nothing is claimed."""
    ends = says(status=http(render(STATUS)), report=http('{"error": "the daemon ends"}', 503))
    assert "answered 503: the daemon ends" in refusal(ends, DaemonAt.look).message
    unasked = says(status=http(render(STATUS)), report=b"HTTP/1.1 304 X\r\n\r\n")
    assert "it answered 304" in refusal(unasked, DaemonAt.look).message


def test_a_pass_that_ends_in_between() -> None:
    """Status and report are of the same pass: where one ended in between, it is asked again."""
    newer = replace(REPORT, run_id="run-2")
    assert STATUS.last_pass
    told = [STATUS, replace(STATUS, last_pass=replace(STATUS.last_pass, run_id="run-2"))]

    def talk(connection: socket.socket, path: bytes) -> None:
        text = render(newer) if path == b"/report" else render(told.pop(0))
        connection.sendall(http(text))

    with answering(talk) as (daemon, _):
        seen, last = daemon.look()
    assert last
    assert seen.last_pass
    assert seen.last_pass.run_id == last.run_id == "run-2"


def test_a_report_that_it_has_is_not_sent_again() -> None:
    """Asked again, it names the report that it has, and goes by it where that is still the last one."""
    sent = [http(render(REPORT), 200, 'ETag: W/"one"'), b"HTTP/1.1 304 X\r\n\r\n", http(render(REPORT))]

    def talk(connection: socket.socket, path: bytes) -> None:
        connection.sendall(http(render(STATUS)) if path == b"/status" else sent.pop(0))

    with answering(talk) as (daemon, asked):
        assert [daemon.look()[1] for _ in range(4 - 1)] == [REPORT] * 3
        sent.append(http(render(REPORT)))
        assert daemon.look()[1] == REPORT
    conditions = [b'If-None-Match: W/"one"' in each for each in asked if b"/report" in each]
    assert conditions == [False, True, True, False]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no daemon of this version"),
        (b"\x00\xff" * 1000, "no daemon of this version"),
        (b"\x1b[2J\r\n\r\n", "no daemon of this version"),
        (http("<html>hello</html>"), "Invalid JSON"),
        (http(b"\xff\xfe"), "Invalid JSON"),
        (http("{}"), "schema"),
        (http("[" * 100_000), "Invalid JSON"),
        (http("<html>", 404), "it answered 404"),
        (http("[1]", 500), "it answered 500"),
        (http("[" * 100_000, 500), "it answered 500"),
        (http('{"error": "who are you?\\u001b[2J"}', 403), "answered 403: who are you?\\x1b[2J"),
        (http('{"error": "%s"}' % ("x" * 1000), 421), "x..."),
        (http("{}", 302), "it answered 302"),
        (http("{}")[:-1], "broke off in the middle of its answer"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "broke off"),
        (b"HTTP/1.1 200 X\r\nContent-Length: -5\r\n\r\n", "no daemon of this version"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 99999999999999999999\r\n\r\n", "larger than one of a daemon can be"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 900000000000\r\n\r\n", "larger than one of a daemon can be"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 60 + b"\r\n{}", "broke off"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}", "no daemon of this version"),
        (b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 1000 + b"\r\n", "no daemon of this version"),
        (b"HTTP/1.1 200 " + b"x" * 100_000, "no daemon of this version"),
        (b"", "no daemon answers at"),
    ],
)
def test_what_is_no_daemon(answer: bytes, told: str) -> None:
    """Whatever answers, it is said in one line what was wrong with it, with nothing that a terminal would obey."""
    error = refusal(says(status=answer))
    assert told in error.message
    assert error.message.isprintable()
    assert len(error.message) < 500


def test_one_that_has_a_million_mistakes() -> None:
    """Megabytes of mistakes are refused as soon as one is, in a status and in a report."""
    mistakes = ", ".join(["{}"] * 3_000_000)
    recent = re.sub(r'"recent": \[\]', f'"recent": [{mistakes}]', render(STATUS))
    assert "recent.0." in refusal(says(status=http(recent))).message
    findings = re.sub(r'"findings": \[\]', f'"findings": [{mistakes}]', render(REPORT))
    assert "findings[0]." in refusal(says(status=http(render(STATUS)), report=http(findings)), DaemonAt.look).message


def test_one_that_never_answers() -> None:
    """A server that takes connections and says nothing is left after the time that it has."""
    error = refusal(lambda connection, path: time.sleep(3))
    assert "did not answer within 1 s" in error.message
    assert "--timeout" in error.hint


def test_one_that_takes_no_connections() -> None:
    """A server that hangs, while the system still takes connections for it, is left in time, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        daemon = DaemonAt(Address(*listener.getsockname()[:2]), 0.2)
        with pytest.raises(NoDaemon, match=r"did not answer within 0\.2 s"):
            daemon.status()


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 900\r\n\r\n"])
def test_one_that_trickles(beginning: bytes) -> None:
    """An answer of which a byte comes now and then is given up when its time is over, wherever in it that is."""

    def talk(connection: socket.socket, _path: bytes) -> None:
        connection.sendall(beginning)
        for _ in range(60):
            connection.sendall(b"x")
            time.sleep(0.05)

    assert "did not answer within 1 s" in refusal(talk).message


def test_one_that_never_comes_to_the_point() -> None:
    """Interim answers without end are no answer."""

    def talk(connection: socket.socket, _path: bytes) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    assert "did not answer" in refusal(talk).message or "larger" in refusal(talk).message


@pytest.mark.parametrize("header", [b"Content-Length: 100000000", b"Connection: close"])
def test_one_that_sends_too_much(monkeypatch: pytest.MonkeyPatch, header: bytes) -> None:
    """More than a daemon's answer can have is not read to its end."""
    monkeypatch.setattr(asking, "SMALL", 1 << 20)

    def talk(connection: socket.socket, _path: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 X\r\n%s\r\n\r\n" % header)
        for _ in range(100):
            connection.sendall(b" " * 1_000_000)

    assert "larger than one of a daemon can be" in refusal(talk).message


def test_where_nobody_listens() -> None:
    """Where nobody listens, the address is named, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(*listener.getsockname()[:2])
    with pytest.raises(NoDaemon) as raised:
        DaemonAt(address, 1.0).status()
    assert raised.value.message == f"no daemon answers at {address}: connection refused"
    assert "RECONCILER_LISTEN" in raised.value.hint


@pytest.mark.parametrize("host", ["nobody.invalid", "x" * 300 + ".example"])
def test_a_host_that_nobody_knows(host: str) -> None:
    """A name that nobody knows is named."""
    with pytest.raises(NoDaemon, match=r"no host '.*' is known"):
        DaemonAt(Address(host, 1), 5.0).status()


def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that takes minutes to look up is not waited for."""
    found = threading.Event()

    def look_up(*given: object, **named: object) -> list[object]:
        found.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(NoDaemon, match="did not answer within"):
        DaemonAt(Address("slow.example", 1), 0.1).status()
    found.set()


def test_every_address_of_a_machine_is_this_one() -> None:
    """What listens on every address is asked at this machine's own, by its name where it has several."""
    assert str(asking._reached(Address("0.0.0.0", 80))) == "127.0.0.1:80"  # noqa: S104 # nothing listens there
    assert str(asking._reached(Address("::", 80))) == "[::1]:80"
    assert str(asking._reached(Address("10.0.0.1", 80))) == "10.0.0.1:80"
    with answering(says(status=http(render(STATUS)))) as (daemon, _):
        assert DaemonAt(Address("localhost", daemon.address.port), 5.0).status() == STATUS


def test_no_time_at_all() -> None:
    """What has no time left is not begun."""
    with pytest.raises(NoDaemon, match="did not answer"):
        DaemonAt(Address("127.0.0.1", 1), 0.0).status()
