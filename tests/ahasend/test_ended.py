"""Requests that end: each is told once, with what came of it, and telling breaks nothing."""

import asyncio
from typing import Any

import httpx
import pytest

from ahasend.scene import ACCOUNT, FIELDS, SHOP, SUB_ACCOUNT, Scene, Server, hang, key, virtual
from reconciler.ahasend import open_reads, open_writes
from reconciler.core.events import Event, RequestEnded
from reconciler.errors import ReconcilerError

GOOD = key(scopes=["messages:read:all"])


def told(scene: Scene) -> list[tuple[str, int | None]]:
    return [(event.method, event.status) for event in scene.ended]


@virtual
async def test_each_attempt_is_told() -> None:
    """A request that is sent again is told each time, with the status of its answer, None where there was none."""
    scene = Scene(Server(httpx.Response(503), httpx.ReadError(""), GOOD))
    async with open_reads(scene.config) as session:
        await session.reader(ACCOUNT).get_key(SHOP)
    assert told(scene) == [("GET", 503), ("GET", None), ("GET", 200)]


@virtual
async def test_a_write_is_told() -> None:
    """A PUT is told like a GET, and under the account whose pace it shares, also where it is about a sub account."""
    scene = Scene(Server(GOOD))
    async with open_writes(scene.config) as session:
        await session.writer(SUB_ACCOUNT).update_key(SHOP, FIELDS)
    (event,) = scene.ended
    assert (event.method, event.status, event.account_id) == ("PUT", 200, ACCOUNT.account_id)


@virtual
async def test_how_long_it_took_and_waited() -> None:
    """The seconds of the request, and those before it in which it waited for the pace, are told apart."""

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(3)
        return GOOD

    scene = Scene(Server(slow), rate=0.5, burst=1)
    async with open_reads(scene.config) as session:
        reader = session.reader(ACCOUNT)
        await asyncio.gather(reader.get_key(SHOP), reader.get_key(SHOP))
    assert [event.seconds for event in scene.ended] == pytest.approx([3, 3])
    assert [event.waited for event in scene.ended] == pytest.approx([0, 2])


@virtual
async def test_what_nobody_waits_for_is_told() -> None:
    """A request that was given up is told when its session closes at the latest, as one without an answer."""
    scene = Scene(Server(hang))
    asyncio.get_running_loop().call_later(1, scene.stop.request)
    with pytest.raises(ReconcilerError):
        async with open_reads(scene.config) as session:
            await session.reader(ACCOUNT).get_key(SHOP)
    assert told(scene) == [("GET", None)]


class Broken(Scene):
    """Its observer fails at the end of each request."""

    def observe(self, event: Event) -> None:
        if isinstance(event, RequestEnded):
            raise OSError("no space left on device")


@virtual
async def test_an_observer_that_fails_breaks_nothing() -> None:
    """Reading and writing go on, lanes are free again, and nobody complains, where an end cannot be recorded."""
    scene = Broken(Server(GOOD))
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    async with open_writes(scene.config) as session:
        for _ in range(40):
            await session.reader(ACCOUNT).get_key(SHOP)
        await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
    assert complaints == []
