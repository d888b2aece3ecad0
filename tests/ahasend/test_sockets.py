"""Real sockets: a pool that survives a storm, and connections that are refused, lost or without TLS."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ahasend.scene import ACCOUNT, FIELDS, SHOP, Scene, Server, identifier, key, page
from reconciler.ahasend import ClientConfig, Endpoint, Limits, open_reads, open_writes
from reconciler.core.keys import AccountRef
from reconciler.core.report import RequestCounts
from reconciler.errors import Unreachable


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's environment decides how a loopback address is reached."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Mute:
    """Whether a server keeps silent for the time being."""

    on = False


@asynccontextmanager
async def listening(answer: bytes, *, hang_up: bool = False, mute: type[Mute] | Mute = Mute) -> AsyncIterator[int]:
    """Serve real sockets with one ``answer``; give the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if mute.on:
                    await reader.read()
                    break
                writer.write(answer)
                if hang_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)


def real(port: int, scheme: str = "http", **changes: float) -> ClientConfig:
    """Give a configuration that goes over real sockets, with short limits."""
    config = Scene(Server(key()), rate=100_000, burst=10_000).config
    limits = Limits(connect=0.5, read=changes.get("read", 0.5), write=0.5)
    return replace(
        config, endpoint=Endpoint(f"{scheme}://127.0.0.1:{port}"), make_transport=None, limits=limits, backoff=0.001
    )


async def test_storm() -> None:
    """After hundreds of time-outs at once, some of them given up by their callers, the same session still works."""
    body = page().content
    mute = Mute()
    mute.on = True
    async with listening(OK % (len(body), body), mute=mute) as port:
        config = replace(real(port, read=0.08), attempts=3)
        async with open_reads(config) as session:
            # Of several accounts, so that nothing but the pool's own width holds them back.
            readers = [session.reader(AccountRef(identifier(number))) for number in range(90)]
            storm = [asyncio.create_task(reader.list_keys()) for reader in readers]
            while session.requests.GET < 20:
                await asyncio.sleep(0.001)
            for number in range(0, 90, 3):
                storm[number].cancel()
                await asyncio.sleep(0.01)
            results = await asyncio.gather(*storm, return_exceptions=True)
            assert {type(result) for result in results} == {Unreachable, asyncio.CancelledError}
            assert session.requests.GET > 180
            mute.on = False
            assert await asyncio.gather(*(reader.list_keys() for reader in readers)) == [()] * 90
    gc.collect()  # an unclosed socket would be a warning, and so an error


async def test_refused_connection() -> None:
    """A refused connection is tried again, and then says that nobody listens."""
    async with listening(b"") as port:
        pass
    async with open_reads(real(port)) as session:
        with pytest.raises(Unreachable, match="no connection came about") as caught:
            await session.reader(ACCOUNT).list_keys()
    assert session.requests.GET == 5
    assert "AHASEND_ENDPOINT" in caught.value.hint


async def test_lost_connection() -> None:
    """A connection that is closed without an answer, or in the middle of one, is lost; a PUT is not sent again."""
    for answer in (b"", OK % (100, b"{")):
        async with listening(answer, hang_up=True) as port, open_writes(replace(real(port), attempts=1)) as session:
            with pytest.raises(Unreachable, match="lost"):
                await session.reader(ACCOUNT).list_keys()
            with pytest.raises(Unreachable, match="lost"):
                await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
            assert session.requests == RequestCounts(GET=1, PUT=1)


async def test_no_tls() -> None:
    """A server that does not speak TLS where https was asked for is told as a failure of TLS."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"plain text\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_reads(replace(real(port, "https"), attempts=2)) as session:
            with pytest.raises(Unreachable, match="TLS failed") as caught:
                await session.reader(ACCOUNT).list_keys()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)
    assert "https" in caught.value.hint
