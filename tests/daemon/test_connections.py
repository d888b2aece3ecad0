"""What clients of the web server may not do: send too much, wait too long, come in too great a number."""

import asyncio
import json
import resource
import socket
import struct
from contextlib import AsyncExitStack, suppress

import pytest

from daemon.visitor import TOKEN, Behind, Served, Visit, request, serving, until
from reconciler.daemon.connections import Connection, Limits

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
        assert await visit.reader.read() == b""  # an end, and no error


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


async def test_a_later_request_that_never_ends() -> None:
    """A later request on a connection must be whole in its own time: neither sooner nor later than the first."""
    for limits, status in (
        (Limits(request_seconds=SOON, idle_seconds=60), None),
        (Limits(request_seconds=60, idle_seconds=SOON), 200),
    ):
        async with serving(Behind(), limits) as served, served.visit() as visit:
            visit.send(request("GET", "/livez"))
            await visit.answer()
            visit.send(request("GET", "/livez")[:-1])
            await asyncio.sleep(SOON * 2)
            assert served.open == (status is not None)
            visit.send(b"\n")
            received = await visit.answer() if status else None
            assert (received.status if received else None) == status


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


async def test_answers_are_not_held_back() -> None:
    """An answer does not wait for the client's acknowledgement of its first packet (40 ms each, without this)."""
    async with serving(Behind()) as served, served.visit() as visit:
        started = asyncio.get_running_loop().time()
        for _ in range(20):
            visit.send(request("GET", "/livez"))
            await visit.answer()
        assert asyncio.get_running_loop().time() - started < 0.4


async def test_nothing_is_kept_of_a_connection() -> None:
    """Of a connection that is gone no timer is left that would keep it in memory, however it went."""
    async with serving(Behind()) as served:
        for reset in (False, True):
            async with served.visit() as visit:
                visit.send(request("GET", "/livez"))
                await visit.answer()
                (connection,) = served.web._state.connections
                assert isinstance(connection, Connection)
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    visit.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            await served.until_open(0)
            assert connection._timer.cancelled()
            assert connection.timeout_keep_alive_task is None


async def test_a_connection_that_is_old() -> None:
    """A connection that is old is closed with its next answer, which says so."""
    async with serving(Behind(), Limits(age_seconds=0)) as served, served.visit() as visit:
        visit.send(request("GET", "/livez"))
        assert (await visit.answer()).headers["connection"] == "close"
        assert await visit.rest() == b""


async def test_a_client_that_does_not_read() -> None:
    """An answer that its client does not read is broken off, and hardly any of it is kept for that long."""
    limits = Limits(answer_seconds=SOON, request_seconds=60)
    async with serving(Behind(metrics=LARGE), limits) as served, served.visit() as visit:
        visit.send(request("GET", "/metrics"))
        await visit.reader.readuntil(b"\r\n\r\n")
        (connection,) = served.web._state.connections
        assert isinstance(connection, Connection)
        assert 0 < connection.transport.get_write_buffer_size() < 256 << 10
        await served.until_open(0)
        assert not connection._slow_readers._members
        assert len(await visit.rest()) < len(LARGE)
    assert not served.web._state.tasks


async def test_a_last_answer_that_is_not_read() -> None:
    """Nor is it waited for when the connection was to end with the answer, and all of that has been handed over."""
    little = b"x" * 50_000
    loop = asyncio.get_running_loop()
    async with serving(Behind(metrics=little), Limits(answer_seconds=SOON, request_seconds=60)) as served:
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


async def test_a_request_that_comes_while_an_answer_is_read() -> None:
    """A client that asks again while it is still reading gets both answers, also when it closes its side then."""
    async with serving(Behind(metrics=LARGE)) as served, served.visit() as visit:
        visit.send(request("GET", "/metrics"))
        await visit.reader.readuntil(b"\r\n\r\n")
        visit.send(request("GET", "/livez"))
        visit.writer.write_eof()
        await asyncio.sleep(SOON)
        assert await visit.reader.readexactly(len(LARGE)) == LARGE
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
    """For a connection too many, the one gives way that asked longest ago, not one in use."""
    async with serving(Behind(), Limits(connections=3)) as served, AsyncExitStack() as stack:
        first, second, third = [await stack.enter_async_context(served.visit()) for _ in range(3)]
        first.send(request("GET", "/livez"))
        await first.answer()
        assert (await served.get("/livez")).status == 200
        assert await second.rest() == b""
        for visit in (first, third):
            visit.send(request("GET", "/livez"))
            assert (await visit.answer()).status == 200


async def test_connections_that_are_gone_count_no_more() -> None:
    """However many connections come and go, one that stays is left alone."""
    async with serving(Behind(), Limits(connections=2)) as served, served.visit() as visit:
        for _ in range(5):
            assert (await served.get("/livez")).status == 200
            await served.until_open(1)
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


async def test_a_request_right_behind_a_large_head() -> None:
    """Nor is it where the first of them has all the room that there is."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(head(16384) + request("GET", "/livez"))
        assert (await visit.answer()).headers["connection"] == "close"
        assert await visit.rest() == b""


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
