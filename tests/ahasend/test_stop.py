"""A request to stop, wherever an operation waits."""

import asyncio
import gc
import math
import threading
import weakref
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
from reconciler.core.report import RequestCounts
from reconciler.errors import Interrupted

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


@virtual
async def test_part_runs_out_of_time() -> None:
    """A part of the work is asked to stop when its time is over, with a grace of its own; the whole goes on."""
    stop = Stop(grace=8)
    with stop.within(5, "out of time") as part:
        assert (part.requested.is_set(), part.reason) == (False, "interrupted")
        await asyncio.sleep(4.9)
        assert not part.requested.is_set()
        await asyncio.sleep(0.2)
        assert (part.requested.is_set(), part.abandoned.is_set(), part.reason) == (True, False, "out of time")
        await asyncio.sleep(7.8)
        assert not part.abandoned.is_set()
        await asyncio.sleep(0.2)
        assert part.abandoned.is_set()
    assert not stop.requested.is_set()
    assert stop.reason == "interrupted"


@virtual
async def test_part_follows_the_whole() -> None:
    """A part is asked to stop when the whole is, down to parts of parts, and for the same reason."""
    stop = Stop(grace=8)
    with stop.within(5, "out of time") as outer, outer.within(math.inf, "never") as inner:
        await asyncio.sleep(1)
        stop.request()
        for part in (outer, inner):
            assert (part.requested.is_set(), part.abandoned.is_set(), part.reason) == (True, False, "interrupted")
        await asyncio.sleep(6)  # its own time is over meanwhile, which changes nothing
        assert (inner.abandoned.is_set(), outer.reason) == (False, "interrupted")
        await asyncio.sleep(2.1)
        assert outer.abandoned.is_set()
        assert inner.abandoned.is_set()


@virtual
async def test_second_request_reaches_the_parts() -> None:
    """A second request to stop ends the grace of the parts too, those that ran out of time before included."""
    stop = Stop()
    with stop.within(1, "out of time") as late, stop.within(10, "out of time") as early:
        await asyncio.sleep(2)
        stop.request()
        stop.request()
        assert late.abandoned.is_set()
        assert early.abandoned.is_set()
        assert (late.reason, early.reason) == ("out of time", "interrupted")


@virtual
async def test_part_of_an_ended_whole() -> None:
    """A part that begins after the request, after the grace, or without any time, is told at once."""
    stop = Stop(grace=8)
    with stop.within(-1, "out of time") as part:
        assert (part.requested.is_set(), part.abandoned.is_set(), part.reason) == (True, False, "out of time")
        with part.within(-1, "later") as inner:
            assert inner.reason == "out of time"
    stop.request()
    await asyncio.sleep(3)
    with stop.within(100, "out of time") as part:
        assert (part.requested.is_set(), part.abandoned.is_set(), part.reason) == (True, False, "interrupted")
        await asyncio.sleep(5.1)
        assert part.abandoned.is_set()
    with stop.within(100, "out of time") as part:
        assert part.abandoned.is_set()


@virtual
async def test_part_ends() -> None:
    """After its block a part is asked nothing any more: no timer of it is left, nor is it known to the whole."""
    stop = Stop(grace=8)
    with stop.within(5, "out of time") as unused:
        pass
    with stop.within(1, "out of time") as used:
        await asyncio.sleep(2)
    await asyncio.sleep(100)
    assert not unused.requested.is_set()
    assert not used.abandoned.is_set()
    stop.request()
    stop.request()
    assert not unused.requested.is_set()
    assert not used.abandoned.is_set()
    known = weakref.ref(unused)
    del unused
    gc.collect()
    assert known() is None


@virtual
async def test_requests_within_a_part() -> None:
    """Readers and writers of a part give up when the part does, and say its reason; the session's own go on."""
    scene = Scene(Server(hang))
    loop = asyncio.get_running_loop()
    async with open_writes(scene.config) as session:
        with scene.stop.within(2, "out of time") as part:
            with pytest.raises(Interrupted, match=r"^out of time$"):
                await session.reader(ACCOUNT, part).list_keys()
            assert loop.time() == 2
            with pytest.raises(Interrupted, match=r"^out of time$"):
                await session.reader(ACCOUNT, part).get_key(SHOP, patient=True)
            assert loop.time() == 10
        with scene.stop.within(2, "out of time") as part:
            with pytest.raises(
                Interrupted, match=r"^out of time: changing key .*: it was sent, and the answer did not"
            ):
                await session.writer(ACCOUNT, part).update_key(SHOP, FIELDS)
            assert loop.time() == 20
            with pytest.raises(Interrupted, match=r"^out of time$"):
                await session.writer(ACCOUNT, part).update_key(SHOP, FIELDS)
        assert session.requests == RequestCounts(GET=2, PUT=1)
        loop.call_later(30, scene.stop.request)
        with pytest.raises(Interrupted, match=r"^interrupted$"):
            await session.reader(ACCOUNT).list_keys()
        assert loop.time() == 50


async def test_plain_work_of_a_part() -> None:
    """Work in a thread is given up for the reason of the part that it belongs to."""
    done = threading.Event()
    with Stop().within(0.01, "out of time") as part, pytest.raises(Interrupted, match="out of time"):
        await part.unless_requested(lambda: done.wait(5))
    done.set()
