"""A request to stop, wherever an operation waits."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from ahasend.scene import (
    ACCOUNT,
    FIELDS,
    SHOP,
    Reply,
    Scene,
    Server,
    hang,
    identifier,
    key,
    page,
    refusal,
    virtual,
    wire_key,
)
from reconciler.ahasend import WriteSession, open_reads, open_writes
from reconciler.ahasend.pace import Stop
from reconciler.core.keys import AccountRef
from reconciler.errors import (
    Interrupted,
)

ONE = wire_key(identifier(1))

Act = Callable[[WriteSession], Coroutine[Any, Any, object]]


def listing(session: WriteSession) -> Coroutine[Any, Any, object]:
    return session.reader(ACCOUNT).list_keys()


def looking(session: WriteSession) -> Coroutine[Any, Any, object]:
    return session.reader(ACCOUNT).get_key(SHOP, patient=True)


def writing(session: WriteSession) -> Coroutine[Any, Any, object]:
    return session.writer(ACCOUNT).update_key(SHOP, FIELDS)


async def stopped(scene: Scene, act: Act) -> tuple[float, str]:
    """Ask to stop after a second of ``act``; give when it gave up and with which words."""
    loop = asyncio.get_running_loop()
    loop.call_later(1.0, scene.stop.request)
    async with open_writes(scene.config) as session:
        with pytest.raises(Interrupted) as caught:
            await act(session)
        return loop.time(), caught.value.message


@pytest.mark.parametrize(
    ("replies", "rate"),
    [
        ((hang,), 1000),
        ((refusal(429, retry_after="30"),), 1000),
        ((httpx.ConnectError("refused"), refusal(503, retry_after="30"), hang), 1000),
        ((page(ONE, after="a"),), 0.01),
    ],
    ids=["answer", "pause", "retry", "pace"],
)
@virtual
async def test_stop_reading(replies: tuple[Reply, ...], rate: float) -> None:
    """A request to stop ends reading at once, whatever it waits for: the answer, a pause, a retry, its turn."""
    scene = Scene(Server(*replies), rate=rate, burst=1)
    assert await stopped(scene, listing) == (1.0, "interrupted")


@virtual
async def test_stop_while_waiting_for_a_connection() -> None:
    """A request to stop ends waiting for a connection, and the request never begins."""
    scene = Scene(server := Server(hang))
    async with open_reads(scene.config) as session:
        accounts = [AccountRef(identifier(number)) for number in range(40)]
        tasks = [asyncio.create_task(session.reader(account).list_keys()) for account in accounts]
        await asyncio.sleep(1)
        scene.stop.request()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {Interrupted}
        assert len(server.asked) == session.requests.GET == 16
    assert asyncio.get_running_loop().time() == pytest.approx(2)


@virtual
async def test_patience() -> None:
    """To see what a write did goes on through the grace, retries included, and ends with it."""
    slow = httpx.ConnectError("refused")
    assert await stopped(Scene(Server(hang)), looking) == (9.0, "interrupted")
    scene = Scene(Server(slow, slow, key()))
    scene.stop.request()
    async with open_reads(scene.config) as session:
        assert (await session.reader(ACCOUNT).get_key(SHOP, patient=True)).id == SHOP
        with pytest.raises(Interrupted):
            await session.reader(ACCOUNT).get_key(SHOP)
        with pytest.raises(Interrupted):
            await session.reader(ACCOUNT).list_keys()
    assert session.requests.GET == 3


@virtual
async def test_stop_before_a_put() -> None:
    """After a request to stop no PUT is begun, also not one that waits for its turn already."""
    scene = Scene(server := Server(page()), rate=0.01, burst=1)
    config = scene.config
    await config.paces.of(ACCOUNT).turn()
    asyncio.get_running_loop().call_later(1, scene.stop.request)
    async with open_writes(config) as session:
        for _ in range(2):
            with pytest.raises(Interrupted, match=r"^interrupted$"):
                await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
    assert not server.asked


@virtual
async def test_stop_during_a_put() -> None:
    """A PUT under way is waited for through the grace; after that its error says that it was sent."""

    async def late(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return key()

    scene = Scene(Server(late))
    asyncio.get_running_loop().call_later(1, scene.stop.request)
    async with open_writes(scene.config) as session:
        assert (await session.writer(ACCOUNT).update_key(SHOP, FIELDS)).id == SHOP
    time, message = await stopped(Scene(Server(hang)), writing)
    assert time == pytest.approx(5 + 9)
    assert "it was sent" in message


async def test_plain_work_does_not_hold_a_stop_up() -> None:
    """Work in a thread is not waited for once asked to stop; asked before, it is not even begun."""
    stop, done = Stop(), threading.Event()
    asyncio.get_running_loop().call_later(0.01, stop.request)
    with pytest.raises(Interrupted):
        await stop.unless_requested(lambda: done.wait(5))
    assert not done.is_set()
    done.set()
    with pytest.raises(Interrupted):
        await stop.unless_requested(done.clear)
    assert done.is_set()
