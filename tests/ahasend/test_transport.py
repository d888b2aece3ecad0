"""The way to the API: address, proxies, the write barrier, faults, and a pool that survives a storm."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from ahasend.scene import ACCOUNT, BASE, FIELDS, SHOP, TOKEN, Scene, Server, hang, key, page, virtual, wire_key
from reconciler import __version__
from reconciler.ahasend import Endpoint, open_reads, open_writes
from reconciler.ahasend import transport as transport_module
from reconciler.ahasend.transport import (
    FAULTS,
    Ask,
    Passing,
    ReadOnlyTransport,
    Transports,
    WriteRefused,
    fault,
    legible,
    real_transport,
)
from reconciler.errors import BadAnswer, Interrupted, RemoteError, SettingsError, Unreachable

READ = Ask("GET", "https://api.ahasend.com/x", ACCOUNT, "reading")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests choose their proxies and authorities themselves."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
            monkeypatch.delenv(name)
    transport_module._tls_context.cache_clear()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.ahasend.com", "https://api.ahasend.com"),
        ("https://proxy.example.com:8443/aha/send//", "https://proxy.example.com:8443/aha/send"),
        ("http://localhost:4280/", "http://localhost:4280"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:4280", "http://[::1]:4280"),
    ],
)
def test_endpoints(given: str, kept: str) -> None:
    """An endpoint is https, or http on a loopback address; its prefix is kept, trailing slashes are not."""
    assert Endpoint(given).url == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "api.ahasend.com",
        "ftp://api.ahasend.com",
        "https://",
        "https://host:port",
        "https://host:99999",
        "https://[::1",
        "http://api.ahasend.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "https://user:hush@api.ahasend.com",
        "https://api.ahasend.com?token=hush",
        "https://api.ahasend.com/#hush",
        "https://api.ahasend.com/a b",
        "https://api.ahasend.com/\n",
        "https://ärger.example.com",
        "https://api.ahasend.com/\x00",
    ],
)
def test_wrong_endpoints(given: str) -> None:
    """Any other address is refused with a hint, and without the parts that may be secret."""
    with pytest.raises(SettingsError, match="AHASEND_ENDPOINT") as caught:
        Endpoint(given)
    assert caught.value.hint
    assert "hush" not in str(caught.value)


@virtual
async def test_write_barrier() -> None:
    """A session that reads has nothing that writes, and no method but GET gets below it."""
    scene = Scene(server := Server(key()))
    barrier = ReadOnlyTransport(server)
    for method in ("PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        with pytest.raises(WriteRefused, match=method):
            await barrier.handle_async_request(httpx.Request(method, "https://api.ahasend.com"))
    async with open_reads(scene.config) as session:
        assert not [name for name in dir(session) if "writ" in name]
        assert not [name for name in dir(session.reader(ACCOUNT)) if "update" in name]
        line = session.reader(ACCOUNT)._line
        assert not [name for name in dir(line) if "put" in name]
        begun = await line.begin(Ask("PUT", BASE, ACCOUNT, "writing"))
        with pytest.raises(WriteRefused):
            await begun.task
    assert not server.asked
    assert server.closed


@virtual
async def test_request() -> None:
    """A request carries the token, who asks, and for a PUT the body with its type."""
    scene = Scene(server := Server(key()))
    async with open_writes(scene.config) as session:
        await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
        await session.reader(ACCOUNT).get_key(SHOP)
    put, get = server.asked
    assert put.headers["authorization"] == get.headers["authorization"] == f"Bearer {TOKEN}"
    assert put.headers["user-agent"] == f"ahasend-key-reconciler/{__version__}"
    assert put.headers["content-type"] == "application/json"
    assert put.content == b'{"label": "Shop", "scopes": ["messages:send:all"]}'
    assert "content-type" not in get.headers


@virtual
async def test_redirects() -> None:
    """A redirect is not followed: the token goes nowhere else."""
    moved = httpx.Response(307, headers={"location": "https://elsewhere.example.com"}, json={})
    async with open_reads(Scene(server := Server(moved)).config) as session:
        with pytest.raises(BadAnswer, match="307"):
            await session.reader(ACCOUNT).list_keys()
    assert len(server.asked) == 1


@virtual
async def test_endless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without end is not read to it."""
    monkeypatch.setattr(transport_module, "LARGEST_ANSWER", 100)
    async with open_reads(Scene(Server(page(wire_key()))).config) as session:
        with pytest.raises(BadAnswer, match="longer than 100 bytes"):
            await session.reader(ACCOUNT).list_keys()


def kinds(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


def raised(kind: type[Exception]) -> Exception:
    """Make an error of any of httpx's kinds, its text holding the token."""
    if issubclass(kind, httpx.HTTPStatusError):
        return kind(TOKEN, request=httpx.Request("GET", "http://x"), response=httpx.Response(500))
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        return kind()  # type: ignore[call-arg] # each writes its own text
    if issubclass(kind, UnicodeDecodeError):
        return kind("ascii", TOKEN.encode(), 0, 1, "no")
    if issubclass(kind, UnicodeEncodeError):
        return kind("ascii", TOKEN, 0, 1, "no")
    if issubclass(kind, UnicodeTranslateError):
        return kind(TOKEN, 0, 1, "no")
    return kind(TOKEN)


ALL_FAULTS = sorted(
    {
        kind
        for module in (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
        for kind in kinds(module)
    }
    | {OSError, ConnectionResetError, TimeoutError, socket.gaierror, ssl.SSLError, ssl.SSLEOFError}
    | {ssl.SSLCertVerificationError, UnicodeError, UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError},
    key=lambda kind: kind.__qualname__,
)


@pytest.mark.parametrize("kind", ALL_FAULTS)
@virtual
async def test_every_fault(kind: type[Exception]) -> None:
    """Nothing that httpx or what lies below it raises gets out: it is an error of ours with a hint, without secrets."""
    error = raised(kind)
    async with open_writes(Scene(server := Server(error)).config) as session:
        with pytest.raises((Unreachable, BadAnswer)) as read:
            await session.reader(ACCOUNT).get_key(SHOP)
        asked = len(server.asked)
        with pytest.raises((Unreachable, BadAnswer)) as written:
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
    assert len(server.asked) == asked + 1
    assert asked == (5 if isinstance(fault(error, READ, TOKEN), Passing) else 1)
    for caught in (read.value, written.value):
        assert caught.hint
        assert TOKEN not in str(caught)
        assert caught.__cause__ is None


def test_all_of_httpx() -> None:
    """No exception that httpx has is missing from what is caught."""
    named = [getattr(httpx, name) for name in dir(httpx)]
    errors = [kind for kind in named if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(errors) > 20
    assert not [kind for kind in errors if not issubclass(kind, FAULTS)]


@pytest.mark.parametrize(
    ("kind", "passing"),
    [
        (ssl.SSLCertVerificationError, False),
        (httpx.InvalidURL, False),
        (httpx.UnsupportedProtocol, False),
        (httpx.LocalProtocolError, False),
        (ssl.SSLEOFError, True),
        (httpx.ReadTimeout, True),
        (httpx.ConnectTimeout, True),
        (httpx.WriteTimeout, True),
        (httpx.ConnectError, True),
        (httpx.ReadError, True),
        (httpx.RemoteProtocolError, True),
        (httpx.DecodingError, True),
        (httpx.ProxyError, True),
    ],
)
def test_passing_faults(kind: type[Exception], passing: bool) -> None:
    """A certificate that is not accepted and a malformed address stay so; what goes wrong on the way may pass."""
    assert isinstance(fault(raised(kind), READ, TOKEN), Passing) is passing


def test_wrapped_tls_error() -> None:
    """A TLS error is found inside what httpx makes of it."""
    try:
        try:
            raise ssl.SSLCertVerificationError("self-signed certificate")
        except ssl.SSLError as inner:
            raise httpx.ConnectError("handshake") from inner
    except httpx.ConnectError as outer:
        error = fault(outer, READ, TOKEN)
    assert isinstance(error, Unreachable)
    assert "SSL_CERT_FILE" in error.hint


def test_legible() -> None:
    """Text of exactly the length that is shown stays whole; longer text ends with a sign of that."""
    assert legible("x" * 300, TOKEN) == "x" * 300
    assert legible("x" * 301, TOKEN) == "x" * 300 + "…"
    assert legible("", "") == ""


@pytest.mark.parametrize("token", ["", " ", "aha-sk-hush\n", "aha-sk-hush hush", "aha-sk-hüsh", "aha-sk-hush\x00"])
@virtual
async def test_unusable_token(token: str) -> None:
    """A token that no header can hold is refused before anything is sent, and is not shown; the line stays usable."""
    scene = Scene(server := Server(key()), token=token)
    async with open_reads(scene.config) as session:
        reader = session.reader(ACCOUNT)
        for _ in range(20):
            with pytest.raises(SettingsError, match="AHASEND_API_KEY") as caught:
                await reader.get_key(SHOP)
            assert "sh" not in str(caught.value).replace("should", "")
        assert not server.asked
        scene.token = TOKEN
        await reader.get_key(SHOP)


def pool(endpoint: str) -> str:
    """Tell what kind of pool the real transport has for an address."""
    transport = real_transport(Endpoint(endpoint))
    assert isinstance(transport, Transports)
    inner = transport._make()
    assert isinstance(inner, httpx.AsyncHTTPTransport)
    return type(inner._pool).__name__


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used for the API, and never for a loopback address or a host named by NO_PROXY."""
    api = "https://api.ahasend.com"
    assert pool(api) == "AsyncConnectionPool"
    for name, value in (("HTTPS_PROXY", "http://u:hush@proxy:3128"), ("ALL_PROXY", "proxy:3128")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert pool(api) == "AsyncHTTPProxy"
            for loopback in ("http://127.0.0.1:1", "http://localhost:1", "https://[::1]:1", "https://localhost:1"):
                assert pool(loopback) == "AsyncConnectionPool"
            patch.setenv("NO_PROXY", ".ahasend.com")
            assert pool(api) == "AsyncConnectionPool"


@virtual
async def test_connections() -> None:
    """Requests that are under way together have a connection each; afterwards the latest is used again.

    That holds for a request that failed, too; and one connection that cannot be closed does not keep the others open.
    """
    made: list[Server] = []

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return key()

    class Stubborn(Server):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

        async def aclose(self) -> None:
            await super().aclose()
            raise httpx.CloseError("no")

    def make() -> Server:
        made.append(Stubborn(slow, httpx.ReadError("lost"), key()))
        return made[-1]

    async with open_reads(replace(Scene(Transports(make)).config, attempts=1)) as session:
        reader = session.reader(ACCOUNT)
        await asyncio.gather(*(reader.get_key(SHOP) for _ in range(3)))
        with pytest.raises(Unreachable):
            await reader.get_key(SHOP)
        for _ in range(5):
            await reader.get_key(SHOP)
    assert sorted(len(server.asked) for server in made) == [1, 1, 7]
    assert all(server.closed for server in made)


@pytest.mark.parametrize("address", ["socks5://u:hush@proxy:1", "ftp://hush", "http://hush:port"])
def test_wrong_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A proxy that cannot be used is an error of the settings; its address, which may hold a password, is not shown."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        real_transport(Endpoint("https://api.ahasend.com"))
    assert "hush" not in str(caught.value)


def test_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    """The TLS context is made once a process; certificates that cannot be read are an error of the settings."""
    monkeypatch.setenv("SSL_CERT_FILE", os.path.join(tmp_path, "absent.pem"))  # noqa: PTH118 # a name, not a file
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        real_transport(Endpoint("https://api.ahasend.com"))
    monkeypatch.delenv("SSL_CERT_FILE")
    assert transport_module._tls_context() is transport_module._tls_context()


@virtual
async def test_closing_waits() -> None:
    """Closing waits a second for answers that nobody waits for any more, then ends their requests."""
    scene = Scene(server := Server(hang))
    loop = asyncio.get_running_loop()
    async with open_reads(scene.config) as session:
        task = asyncio.create_task(session.reader(ACCOUNT).list_keys())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    assert loop.time() == pytest.approx(1.5)
    assert server.closed
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_closing_after_the_grace() -> None:
    """Once the grace is over, closing waits for nothing."""
    scene = Scene(server := Server(hang))
    loop = asyncio.get_running_loop()
    async with open_writes(scene.config) as session:
        task = asyncio.create_task(session.writer(ACCOUNT).update_key(SHOP, FIELDS))
        await asyncio.sleep(0.5)
        scene.stop.request()
        scene.stop.request()
        with pytest.raises(Interrupted, match="it was sent"):
            await task
    assert loop.time() == pytest.approx(0.5)
    assert server.closed


@virtual
async def test_closing_fails() -> None:
    """A connection that cannot be closed in good order changes nothing about what was read."""

    class Stubborn(Server):
        async def aclose(self) -> None:
            raise httpx.CloseError("no")

    async with open_reads(Scene(Stubborn(key())).config) as session:
        assert (await session.reader(ACCOUNT).get_key(SHOP)).label == "Shop"


def test_passing_is_private() -> None:
    """What carries an error inside this package is no error of the tree."""
    assert not issubclass(Passing, RemoteError)
    assert str(Passing(Unreachable("reading: no", hint="h"))) == "reading: no"
