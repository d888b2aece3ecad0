"""What is no request, or breaks off, or wants something else: a proper answer or a closed connection, and no effect."""

import asyncio
import json
import random
from typing import Any

import pytest

from daemon.visitor import TOKEN, Behind, request, serving
from reconciler.daemon.connections import Limits

POST = ("POST", "/reconcile", f"Authorization: Bearer {TOKEN}")


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
            await asyncio.sleep(0.01)
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
