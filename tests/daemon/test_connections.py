"""What clients of the web server may not do: send too much, wait too long, come in too great a number."""

import asyncio
import json
import random
import resource
import socket
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from daemon.visitor import TOKEN, Behind, Served, Visit, request, serving, until
from reconciler.daemon.connections import Limits

SOON = 0.05
LARGE = b"x" * (64 << 20)
"""More than the kernel keeps for two ends of a connection."""
POST = ("POST", "/reconcile", f"Authorization: Bearer {TOKEN}")


def head(size: int) -> bytes:
    start, end = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


async def test_a_head_at_its_limit() -> None:
    """A head of 16 KiB is answered; one byte more is 431, and the connection is closed."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(head(16384))
        assert (await visit.answer()).status == 200
        visit.send(head(16385))
        answer = await visit.answer()
        assert await visit.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (431, "close")
    assert "16384" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 100_000,
        b"GET /livez HTTP/1.1\r\nX: " + b"x" * 100_000,
        b"GET /livez HTTP/1.1\r\n" + b"X: x\r\n" * 10_000,
        b"GET /livez HTTP/1.1\r\n" + b"x" * 100_000,
        b"\r\n" * 50_000,
    ],
)
async def test_heads_without_end(sent: bytes) -> None:
    """A head without end is refused at the limit, whatever part of it has none."""
    async with serving(Behind()) as served:
        assert (await served.ask(sent)).status in {400, 431}


async def test_a_body_at_its_limit() -> None:
    """A body of 4 KiB is dropped and the connection goes on; of one byte more is only the length read."""
    behind = Behind()
    async with serving(behind) as served, served.visit() as visit:
        visit.send(request(*POST, "Content-Length: 4096") + b"x" * 4096)
        assert (await visit.answer()).status == 202
        visit.send(request(*POST, "Content-Length: 4097"))
        answer = await visit.answer()
        assert await visit.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert "4096" in json.loads(answer.body)["error"]
    assert behind.asked == 1


def chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (chunks(2048, 2048, 0), 202),
        (chunks(2048, 2049, 0), 413),
        (chunks(*[1] * 4096, 0), 413),
        (b"1;" + b"x" * 30_000 + b"\r\nx\r\n0\r\n\r\n", 413),
        (b"0\r\n" + b"X: x\r\n" * 5_000 + b"\r\n", 413),
    ],
)
async def test_bodies_in_chunks(body: bytes, status: int) -> None:
    """A body in chunks may have 4 KiB, framing and trailers included; a larger one asks for nothing."""
    behind = Behind()
    async with serving(behind) as served:
        assert (await served.ask(request(*POST, "Transfer-Encoding: chunked") + body)).status == status
    assert behind.asked == (status == 202)


async def pour(served: Served, opening: bytes, piece: bytes, total: int) -> int:
    """Send ``opening`` and then a body of ``total`` bytes until the server will have no more; count what it took."""
    loop = asyncio.get_running_loop()
    taken = 0
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, (served.address.host, served.address.port))
        with suppress(ConnectionError):
            await loop.sock_sendall(client, opening)
            while taken < total:
                await loop.sock_sendall(client, piece)
                taken += len(piece)
    return taken


@pytest.mark.parametrize(
    ("header", "piece"),
    [(f"Content-Length: {1 << 30}", b"x" * 65536), ("Transfer-Encoding: chunked", chunks(65536))],
)
async def test_a_body_of_a_gigabyte(header: str, piece: bytes) -> None:
    """Of a body of 1 GB, announced or not, next to nothing is taken, and nothing of it is kept."""
    behind = Behind()
    async with serving(behind, Limits(linger_seconds=SOON)) as served:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with asyncio.timeout(10):
            taken = await pour(served, request(*POST, header), piece, 1 << 30)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert (await served.get("/livez")).status == 200
    assert taken < 16 << 20  # what the kernel keeps
    assert after - before < 8 << 10  # in KiB
    assert behind.asked == 0


async def test_why_a_request_was_refused_can_be_read() -> None:
    """A client that is still sending when its request is refused can read why: the connection is not reset at once."""
    async with serving(Behind(), Limits(linger_seconds=10)) as served, served.visit() as visit:
        visit.send(request(*POST, f"Content-Length: {1 << 30}") + b"x" * 1_000_000)
        assert (await visit.answer()).status == 413
        assert await visit.rest() == b""


async def test_a_body_that_is_asked_for_first() -> None:
    """A client that asks whether to send its body is told to go on, or at once that it is too large."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(request(*POST, "Expect: 100-continue", "Content-Length: 2"))
        assert (await visit.answer()).status == 100
        visit.send(b"{}")
        assert (await visit.answer()).status == 202
        visit.send(request(*POST, "Expect: 100-continue", "Content-Length: 5000"))
        assert (await visit.answer()).status == 413


async def test_an_old_client_is_not_told_to_go_on() -> None:
    """A client of HTTP/1.0 knows nothing of going on, and gets its one answer."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(b"POST /livez HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n")
        answer = await visit.answer()
        assert await visit.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (405, "close")


async def test_a_request_that_never_ends() -> None:
    """A request must be whole in time, however busily its bytes come in, and whether of its head or of its body."""
    for opening in (b"", b"GET /livez HTTP/1.1\r\nX: ", request(*POST, "Content-Length: 4000")):
        behind = Behind()
        async with serving(behind, Limits(request_seconds=SOON)) as served, served.visit() as visit:
            visit.send(opening)
            async with asyncio.timeout(5):
                while not visit.reader.at_eof() and not visit.reader.exception():
                    visit.send(b"x" if opening else b"")
                    await asyncio.sleep(SOON / 10)
            assert served.open == 0
        assert behind.asked == 0


async def test_a_connection_that_is_idle() -> None:
    """A connection that nothing comes in on after an answer is closed."""
    async with serving(Behind(), Limits(idle_seconds=SOON)) as served, served.visit() as visit:
        visit.send(request("GET", "/livez"))
        await visit.answer()
        assert await visit.rest() == b""


async def test_requests_one_after_another_keep_it_open() -> None:
    """The time for a request and for a pause counts anew for each."""
    async with serving(Behind(), Limits(request_seconds=0.4, idle_seconds=0.4)) as served, served.visit() as visit:
        for _ in range(4):
            visit.send(request("GET", "/livez"))
            assert (await visit.answer()).status == 200
            await asyncio.sleep(0.2)


async def test_a_connection_that_is_old() -> None:
    """A connection that is old is closed with its next answer, which says so."""
    async with serving(Behind(), Limits(age_seconds=0)) as served, served.visit() as visit:
        visit.send(request("GET", "/livez"))
        assert (await visit.answer()).headers["connection"] == "close"
        assert await visit.rest() == b""


async def test_a_client_that_does_not_read() -> None:
    """An answer that its client does not read is broken off, and hardly any of it is kept for that long."""
    async with serving(Behind(metrics=LARGE), Limits(answer_seconds=SOON)) as served, served.visit() as visit:
        visit.send(request("GET", "/metrics"))
        await visit.reader.readuntil(b"\r\n\r\n")
        (connection,) = served.web._state.connections
        assert 0 < connection.transport.get_write_buffer_size() < 256 << 10
        await served.until_open(0)
        assert len(await visit.rest()) < len(LARGE)
    assert not served.web._state.tasks


async def test_a_last_answer_that_is_not_read() -> None:
    """Nor is it waited for when the connection was to end with the answer, and all of that has been handed over."""
    little = b"x" * 50_000
    loop = asyncio.get_running_loop()
    async with serving(Behind(metrics=little), Limits(answer_seconds=SOON)) as served:
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            await loop.sock_connect(client, (served.address.host, served.address.port))
            await served.until_open(1)
            (connection,) = served.web._state.connections
            connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            await loop.sock_sendall(client, request("GET", "/metrics", "Connection: close"))
            await until(connection.transport.is_closing)
            assert not served.web._state.tasks
            assert connection.transport.get_write_buffer_size() > 0
            await served.until_open(0)


async def test_a_client_that_reads_slowly() -> None:
    """A client that reads, if slowly, gets all of a large answer."""
    async with serving(Behind(metrics=LARGE)) as served, served.visit() as visit:
        visit.send(request("GET", "/metrics"))
        await asyncio.sleep(SOON)
        assert (await visit.answer()).body == LARGE
        visit.send(request("GET", "/livez"))
        assert (await visit.answer()).status == 200


async def test_many_clients_that_do_not_read() -> None:
    """Answers are kept for a few slow readers only; the one that has been slow for longest gives way."""
    async with serving(Behind(metrics=LARGE), Limits(unread_answers=2)) as served, AsyncExitStack() as stack:
        visits: list[Visit] = []
        for _ in range(4):
            visits.append(await stack.enter_async_context(served.visit()))
            visits[-1].send(request("GET", "/metrics"))
            await visits[-1].reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(SOON / 5)
        await served.until_open(2)
        for visit in visits[:2]:
            assert len(await visit.rest()) < len(LARGE)
        for visit in visits[2:]:
            assert await visit.reader.readexactly(len(LARGE)) == LARGE


async def test_three_hundred_connections() -> None:
    """Three hundred connections that say nothing keep nobody out, and most of them are not kept."""
    async with serving(Behind()) as served, AsyncExitStack() as stack:
        visits = [await stack.enter_async_context(served.visit()) for _ in range(300)]
        async with asyncio.timeout(1):
            assert (await served.get("/livez")).status == 200
        assert served.open <= 200
        assert await visits[0].rest() == b""
        visits[-1].send(request("GET", "/livez"))
        assert (await visits[-1].answer()).status == 200


async def test_who_gives_way() -> None:
    """For a connection too many, the one gives way that was answered longest ago, not one in use."""
    async with serving(Behind(), Limits(connections=3)) as served, AsyncExitStack() as stack:
        first, second, third = [await stack.enter_async_context(served.visit()) for _ in range(3)]
        first.send(request("GET", "/livez"))
        await first.answer()
        assert (await served.get("/livez")).status == 200
        assert await second.rest() == b""
        for visit in (first, third):
            visit.send(request("GET", "/livez"))
            assert (await visit.answer()).status == 200


async def test_requests_that_do_not_wait() -> None:
    """Of requests that come at once only the first is answered, and the connection is closed: there is no queue."""
    behind = Behind()
    one = request(*POST)
    for sent in (one * 2, one * 10_000, one + b"garbage", one + request("CONNECT", "x:1")):
        async with serving(behind) as served, served.visit() as visit:
            behind.asked = 0
            visit.send(sent)
            answer = await visit.answer()
            assert (answer.status, answer.headers["connection"]) == (202, "close")
            assert await visit.rest() == b""
        assert behind.asked == 1


async def test_a_line_too_many() -> None:
    """An empty line after a request, as old clients send, does no harm."""
    async with serving(Behind()) as served, served.visit() as visit:
        for _ in range(2):
            visit.send(request("GET", "/livez") + b"\r\n")
            assert (await visit.answer()).status == 200


async def test_a_client_that_has_said_all() -> None:
    """A client that closes its side after its request gets the answer."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(request("GET", "/livez"))
        visit.writer.write_eof()
        assert (await visit.answer()).status == 200
        assert await visit.rest() == b""


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.2"])
async def test_upgrades(upgrade: str) -> None:
    """A request to speak something else is answered as if it had not been made, and the connection is closed."""
    sent = request("GET", "/livez", "Connection: Upgrade", f"Upgrade: {upgrade}", "Sec-WebSocket-Key: x")
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(sent + b"\x81\x00")
        answer = await visit.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await visit.rest() == b""


NO_HTTP = [
    b"garbage\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /livez HTTP/9.9\r\n\r\n",
    b"GET /livez\xff HTTP/1.1\r\n\r\n",
    b"GET livez HTTP/1.1\r\n\r\n",
    b"GET http://h HTTP/1.1\r\n\r\n",
    b"GET http:///livez HTTP/1.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nX : x\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nX: a\r\n b\x00\r\n\r\n",
    b"get /livez HTTP/1.1\r\n\r\n",
    b"CONNECT livez:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /reconcile HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /reconcile HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /reconcile HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"POST /reconcile HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("sent", NO_HTTP)
async def test_no_http(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP, or more than one thing at once, is 400 and the end of the connection; nothing is logged."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(sent)
        answer = await visit.answer()
        assert await visit.rest() == b""
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert json.loads(answer.body) == {"error": "this is no HTTP request that can be understood"}
    assert caplog.records == []


@pytest.mark.parametrize("body", [b"zz\r\n", b"1\r\nxy\r\n0\r\n\r\n", b"fffffffffffffffff\r\n"])
async def test_a_body_that_is_none(body: bytes) -> None:
    """A request with the token whose body breaks the rules has no effect."""
    behind = Behind()
    async with serving(behind) as served:
        assert (await served.ask(request(*POST, "Transfer-Encoding: chunked") + body)).status == 400
    assert behind.asked == 0


async def test_a_request_that_breaks_off() -> None:
    """A request with the token that breaks off in its body has no effect."""
    behind = Behind()
    async with serving(behind) as served:
        async with served.visit() as visit:
            visit.send(request(*POST, "Content-Length: 10") + b"x")
            await served.until_open(1)
            await asyncio.sleep(SOON / 5)
        await served.until_open(0)
    assert behind.asked == 0


PIECES = (
    *NO_HTTP,
    request("GET", "/livez"),
    request("GET", "/metrics"),
    request(*POST, "Content-Length: 3"),
    request(*POST, "Transfer-Encoding: chunked"),
    request("GET", "/livez", "Connection: Upgrade", "Upgrade: h2c"),
    b"3\r\nabc\r\n0\r\n\r\n",
    b"\r\n",
    b"\0" * 50,
    b"x" * 20_000,
)


def broken(chance: random.Random) -> bytes:
    """Some pieces of requests, with a few bytes changed, or cut short."""
    sent = bytearray(b"".join(chance.choices(PIECES, k=chance.randrange(1, 5))))
    for _ in range(chance.choice((0, 0, 1, 5, 50))):
        sent[chance.randrange(len(sent))] = chance.randrange(256)
    return bytes(sent[: chance.choice((len(sent), chance.randrange(len(sent)) + 1))])


@pytest.mark.parametrize("seed", range(4))
async def test_anything_at_all(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever bytes come, in whatever pieces: each client is answered or hung up on, and the server goes on."""
    chance = random.Random(seed)  # noqa: S311 # a story, told again the same way
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    limits = Limits(connections=20, request_seconds=0.02, idle_seconds=0.02, linger_seconds=0.002)
    async with serving(Behind(), limits) as served:

        async def one() -> None:
            async with served.visit() as visit:
                sent = broken(chance)
                while sent:
                    size = chance.choice((1, 100, 100_000))
                    visit.send(sent[:size])
                    sent = sent[size:] if chance.random() < 0.9 else b""
                    await asyncio.sleep(0)
                received = await visit.rest()
            assert received == b"" or received.startswith(b"HTTP/1.1 ")

        for _ in range(15):
            await asyncio.gather(*(one() for _ in range(10)))
        await served.until_open(0)
        assert (await served.get("/livez")).status == 200
        assert not served.web._state.tasks
    assert told == []
    assert caplog.records == []
