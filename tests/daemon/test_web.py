"""The web server begins and ends."""

import asyncio
import errno
import signal
import socket
from contextlib import AsyncExitStack

import pytest
from starlette.types import Receive, Scope, Send

from daemon.visitor import Behind, Served, request, serving
from reconciler.daemon.address import Address
from reconciler.daemon.connections import Limits
from reconciler.daemon.endpoints import application
from reconciler.daemon.maker import Maker
from reconciler.daemon.web import Web, _cannot_listen
from reconciler.errors import SettingsError

LARGE = b"x" * (64 << 20)


def web(host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None) -> Web:
    return Web(application(Behind().handlers(Maker())), host, port, limits)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "[::1]")])
async def test_hosts(host: str, shown: str) -> None:
    """It listens on an address, or on the one that a name has, and says which it is; port 0 is any free one."""
    if host == "::1" and not has_ipv6():
        pytest.skip("not run: IPv6, this machine has none")
    async with serving(Behind(), host=host) as served:
        assert str(served.address) == f"{shown}:{served.address.port}"
        assert served.address.port > 0
        assert (await served.get("/livez")).status == 200


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


async def test_names_of_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name with several addresses the first one of IPv4 counts, as people expect of localhost."""
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.3", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_names, **_about: found)
    async with serving(Behind(), host="name.example") as served:
        assert served.address.host == "127.0.0.2"


async def test_every_address() -> None:
    """`::` is every address, those of IPv4 included."""
    if not has_ipv6():
        pytest.skip("not run: IPv6, this machine has none")
    async with serving(Behind(), host="::") as served:
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, served.address.port)
            writer.write(request("GET", "/livez"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()


async def test_a_port_that_is_taken() -> None:
    """A port that is taken is an error that says so and what to do; nothing needs to be stopped then."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = web(port=port)
        with pytest.raises(SettingsError) as caught:
            await server.start()
    assert caught.value.message == f"--listen 127.0.0.1:{port}: another process listens there"
    assert caught.value.hint == "choose another port, or none for no web server"
    await server.stop()


async def test_two_servers_on_one_port() -> None:
    """Two of these servers never share a port, of which each would get some of the requests."""
    async with serving(Behind()) as served:
        with pytest.raises(SettingsError, match="another process listens there"):
            await web(port=served.address.port).start()


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("203.0.113.1", "it is no address of this machine"),
        ("fe80::1%no-such", "no such host is known"),
        ("a" * 64 + ".example", "no such host is known"),
    ],
)
async def test_hosts_that_are_none_of_ours(host: str, why: str) -> None:
    """A host that this machine does not have, and one that nobody has, are errors that say what to write."""
    with pytest.raises(SettingsError) as caught:
        await web(host, 8080).start()
    assert caught.value.message == f"--listen {Address(host, 8080)}: {why}"
    assert "0.0.0.0:8080" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "this process may not\n  hint: choose a port above 1023"),
        (OSError(errno.EINVAL, "Invalid argument"), "Invalid argument\n  hint: choose another address, or none"),
        (OSError("unheard of"), "unheard of\n  hint: choose another address, or none"),
    ],
)
def test_other_reasons(error: OSError, told: str) -> None:
    """Where the system says no for another reason, that is told, with what may help."""
    assert told in str(_cannot_listen(Address("127.0.0.1", 80), error))


async def test_the_loop_is_left_alone() -> None:
    """While nobody comes it wakes the loop never, and the signals are not its own."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    server = web()
    await server.start()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert getattr(asyncio.get_running_loop(), "_scheduled") == []  # noqa: B009 # asyncio's own, which has no type
    await server.stop()


async def test_stop_with_clients_of_every_kind() -> None:
    """Whatever clients do, it stops soon, lets go of all of them, and frees the port."""
    limits = Limits(stop_seconds=0.05)
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(Behind(metrics=LARGE), limits))
        visits = [await stack.enter_async_context(served.visit()) for _ in range(5)]
        silent, halfway, idle, deaf, refused = visits
        halfway.send(b"GET /livez HTTP/1.1\r\n")
        idle.send(request("GET", "/livez"))
        await idle.answer()
        deaf.send(request("GET", "/metrics"))
        await deaf.reader.readuntil(b"\r\n\r\n")
        refused.send(b"garbage\r\n\r\n")
        await refused.answer()
        async with asyncio.timeout(1):
            await served.web.stop()
        assert not served.web._state.tasks
        for visit in (silent, halfway, idle, refused):
            assert await visit.rest() == b""
        assert len(await deaf.rest()) < len(LARGE)
        assert served.open == 0
        again = web(port=served.address.port)
        assert (await again.start()) == served.address
        await again.stop()


async def test_stop_and_answers_under_way() -> None:
    """An answer that is under way when it stops is sent."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        asked.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    server = Web(slow, "127.0.0.1", 0, Limits(stop_seconds=10))
    served = Served(server, await server.start())
    async with served.visit() as visit:
        visit.send(request("GET", "/"))
        await asked.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        go_on.set()
        assert (await visit.answer()).body == b"done"
        await stopping


# Not after two turns of the loop: there asyncio itself loses the socket, until garbage is collected.
@pytest.mark.parametrize("turns", [0, 1, 3, 4, 5])
async def test_stop_and_who_just_came(turns: int) -> None:
    """A connection that is being accepted while it stops is let go, too."""
    server = web()
    served = Served(server, await server.start())
    with socket.create_connection((served.address.host, served.address.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.stop()
        for _ in range(10):
            await asyncio.sleep(0)
        assert served.open == 0
        client.settimeout(1)
        try:
            assert client.recv(1) == b""
        except ConnectionError:
            assert turns < 3
