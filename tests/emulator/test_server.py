"""The emulator on a real socket."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from emulator.scene import ACCOUNT, KEYS, SHOP, SHOP_KEY, emulator
from reconciler.emulator.server import Emulator, Server, serve

ADMIN = {"Authorization": "Bearer aha-sk-admin"}


@asynccontextmanager
async def served(app: Emulator, *, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    server = Server(app, host=host)
    port = await server.start()
    address = f"[{host}]" if ":" in host else host
    async with httpx.AsyncClient(base_url=f"http://{address}:{port}", headers=ADMIN, trust_env=False) as client:
        yield client
    await server.stop()


async def test_over_a_socket() -> None:
    """What is answered in process is answered over a socket, from the address that the connection has."""
    app = emulator()
    async with served(app) as client:
        assert (await client.get("/v2/ping")).json() == {"message": "pong"}
        await client.put(SHOP_KEY, json={"label": "new"})
        document = app.dump()
        document["accounts"][0]["keys"][0]["ip_allow_list"] = ["127.0.0.1"]
        app.load(document)
        answer = await client.get(KEYS, headers={"X-Forwarded-For": "203.0.113.1"})
        assert [key["label"] for key in answer.json()["data"]] == ["admin", "reader", "new"]


@pytest.mark.parametrize(("when", "label"), [("before", "shop"), ("after", "new")])
async def test_dropped_connection(when: str, label: str) -> None:
    """A drop is a connection that is lost without a byte of an answer; the server goes on, and tells of nothing."""
    app = emulator()
    async with served(app) as client:
        app.set_faults({"rules": [{"first": 1, "do": {"drop": when}}]})
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.put(SHOP_KEY, json={"label": "new"})
        assert (await client.get(SHOP_KEY)).json()["label"] == label


async def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither answers nor drops, nor an end amid a request, write a line to anybody's log."""
    app = emulator()
    app.set_faults({"rules": [{"first": 1, "do": {"drop": "after"}}, {"method": "PUT", "do": {"delay": "60s"}}]})
    async with served(app) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get("/v2/ping")
        await client.get("/v2/ping")
    assert caplog.records == []


async def test_abort_is_awaited() -> None:
    """A dropped request ends only when its connection is known to be gone: uvicorn would answer 500 in our place."""
    app = emulator()
    app.set_faults({"rules": [{"do": {"drop": "before"}}]})
    told: list[str] = []
    messages = ["http.request", "http.request", "http.disconnect"]

    async def receive() -> dict[str, Any]:
        told.append(messages.pop(0))
        return {"type": told[-1]}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    extensions = {"emulator": {"abort": lambda: told.append("aborted")}}
    scope = {"type": "http", "method": "GET", "path": "/v2/ping", "extensions": extensions}
    await Server(app)._application(scope, receive, send)
    assert told == ["http.request", "aborted", "http.request", "http.disconnect"]


async def test_effect_without_a_client() -> None:
    """A request whose client gave up waiting takes effect all the same."""
    app = emulator()
    app.set_faults({"rules": [{"do": {"delay": "60ms"}}]})
    async with served(app) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.put(SHOP_KEY, json={"label": "new"}, timeout=0.02)
        assert app.history == []
        async with asyncio.timeout(5):
            while not app.history:
                await asyncio.sleep(0.005)
    assert app.state[ACCOUNT].keys[SHOP].label == "new"


async def test_half_a_request() -> None:
    """A request of which only a part ever comes has no effect, is not counted, and disturbs nobody."""
    app = emulator()
    async with served(app) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = f"PUT {SHOP_KEY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer aha-sk-admin\r\nContent-Length: 20\r\n\r\n"
        writer.write(head.encode() + b'{"label":')
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""
        assert (await client.get("/v2/ping")).status_code == 200
    assert app.requests["PUT"] == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /v2/ping\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v2/ping HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v2/ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_no_http(sent: bytes) -> None:
    """Bytes that are no request get a 400 in the API's form, and the server goes on."""
    async with served(emulator()) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert f"content-length: {len(body)}".encode() in head
        assert list(json.loads(body)) == ["message"]
        assert (await client.get("/v2/ping")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"), [("/v2/%ff%00%ed%a0%80", 404), ("/v2/accounts/%2F/api-keys", 404), ("//v2/ping", 404)]
)
async def test_odd_paths(path: str, status: int) -> None:
    """A path of any bytes, percent-encoded, is a path that is not served."""
    async with served(emulator()) as client:
        assert (await client.get(path)).status_code == status
        head = await client.head("/v2/ping")
        assert (head.status_code, head.headers["allow"], head.content) == (405, "GET", b"")


async def test_stop_amid_a_request() -> None:
    """Stopping drops what is in flight at once, logs nothing, and frees the port."""
    app = emulator()
    app.set_faults({"rules": [{"do": {"delay": "60s"}}]})
    server = Server(app)
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=ADMIN, trust_env=False) as client:
        request = asyncio.create_task(client.get("/v2/ping"))
        while not app.requests["GET"]:
            await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            await server.stop()
        with pytest.raises(httpx.HTTPError):
            await request
    again = Server(app, port=port)
    assert await again.start() == port
    await again.stop()


async def test_address_in_use() -> None:
    """A port that is taken is an `OSError` of the caller's, not the end of the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await Server(emulator(), port=taken.getsockname()[1]).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "203.0.113.1", "::", "example.com", ""])  # noqa: S104 - it is refused
def test_other_hosts(host: str) -> None:
    """The emulator listens on loopback addresses only."""
    with pytest.raises(ValueError, match="loopback"):
        Server(emulator(), host=host)


async def test_loopback_hosts() -> None:
    """The name localhost is a loopback address, and so is ::1 where the machine has it."""
    hosts = ["localhost"]
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            hosts += []
        else:
            hosts += ["::1"]
    for host in hosts:
        async with served(emulator(), host=host) as client:
            assert (await client.get("/v2/ping")).status_code == 200


async def test_answers_are_not_held_back() -> None:
    """An answer does not wait for the client's acknowledgement of its first packet (40 ms each, without this)."""
    app = emulator()
    async with served(app) as client:
        await client.get("/v2/ping")
        started = asyncio.get_running_loop().time()
        for _ in range(20):
            await client.get("/v2/ping")
        assert asyncio.get_running_loop().time() - started < 0.4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_until_a_signal(number: signal.Signals) -> None:
    """`serve` tells its port once it listens, ends at a signal, and leaves the signals as they were."""
    ports: list[int] = []
    before = signal.getsignal(number)
    serving = asyncio.create_task(serve(emulator(), port=0, started=ports.append))
    while not ports:
        await asyncio.sleep(0.001)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", headers=ADMIN, trust_env=False) as client:
        assert (await client.get("/v2/ping")).status_code == 200
    os.kill(os.getpid(), number)
    async with asyncio.timeout(5):
        await serving
    assert signal.getsignal(number) in {before, signal.default_int_handler, signal.SIG_DFL}


async def test_serve_and_a_failing_listener() -> None:
    """An error of the one who is told the port stops the server and comes through."""

    def fail(_port: int) -> Any:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await serve(emulator(), port=0, started=fail)
