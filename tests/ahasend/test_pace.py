"""When requests may go."""

import asyncio

import pytest

from ahasend.scene import virtual
from reconciler.ahasend.pace import Pace, Paces, Stop, unless
from reconciler.core.keys import AccountRef
from reconciler.errors import Interrupted


async def turns(pace: Pace, count: int) -> list[tuple[float, int]]:
    """Give when each of ``count`` that ask at once gets its turn, and which."""
    loop = asyncio.get_running_loop()
    got: list[tuple[float, int]] = []

    async def one(number: int) -> None:
        await pace.turn()
        got.append((loop.time(), number))

    await asyncio.gather(*(one(number) for number in range(count)))
    return got


@virtual
async def test_exact_rate() -> None:
    """600 turns at 100 a second with bursts of 200: 195 at once, then one each hundredth of a second, in order."""
    got = await turns(Pace(100, 200), 600)
    assert [number for _, number in got] == list(range(600))
    expected = [0.0] * 195 + [0.01 * number for number in range(1, 406)]
    assert [time for time, _ in got] == pytest.approx(expected, abs=1e-6)


@virtual
async def test_refilled() -> None:
    """Idle time fills the bucket again, and never beyond the burst."""
    pace = Pace(100, 200)
    await turns(pace, 195)
    await asyncio.sleep(1)
    assert [time for time, _ in await turns(pace, 101)] == pytest.approx([1.0] * 100 + [1.01], abs=1e-6)
    await asyncio.sleep(1000)
    start = asyncio.get_running_loop().time()
    assert [time - start for time, _ in await turns(pace, 196)] == pytest.approx([0.0] * 195 + [0.01], abs=1e-6)


@virtual
async def test_small_burst() -> None:
    """One token stays where the burst is smaller than what is kept back."""
    assert [time for time, _ in await turns(Pace(10, 1), 3)] == pytest.approx([0, 0.1, 0.2], abs=1e-6)


@virtual
async def test_pause() -> None:
    """A pause holds everybody back, those who wait already too, and ends with an empty bucket."""
    pace = Pace(100, 15)
    pace.pause(5)
    pace.pause(1)  # a shorter one does not end it
    waiting = asyncio.create_task(turns(pace, 2))
    await asyncio.sleep(4)
    pace.pause(3)
    assert [time for time, _ in await waiting] == pytest.approx([7.01, 7.02], abs=1e-6)


@virtual
async def test_cancelled_waiter() -> None:
    """Who gives up waiting takes no turn with him."""
    pace = Pace(1, 1)
    await pace.turn()
    waiting = [asyncio.create_task(turns(pace, 1)) for _ in range(2)]
    await asyncio.sleep(0.5)
    waiting[0].cancel()
    assert [time for time, _ in await waiting[1]] == pytest.approx([1.0])


def test_shared_pace() -> None:
    """Sub accounts share the pace of their parent, in any spelling; other accounts have their own."""
    paces = Paces(100, 200)
    pace = paces.of(AccountRef("a"))
    assert pace is paces.of(AccountRef("A", "sub", "other-credential"))
    assert pace is not paces.of(AccountRef("b"))


@virtual
async def test_grace() -> None:
    """A request to stop leaves the grace for what was begun."""
    stop = Stop(grace=8)
    stop.request()
    assert stop.requested.is_set()
    await asyncio.sleep(7.9)
    assert not stop.abandoned.is_set()
    await asyncio.sleep(0.2)
    assert stop.abandoned.is_set()


@virtual
async def test_second_request() -> None:
    """A second request to stop ends the grace at once."""
    stop = Stop()
    stop.request()
    stop.request()
    assert stop.abandoned.is_set()


@virtual
async def test_unless() -> None:
    """Work is done, and its error raised, unless the event comes first; then it is cancelled to its end."""
    event = asyncio.Event()
    assert await unless(event, asyncio.sleep(1, "done")) == "done"
    ended = []

    async def work(seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            raise KeyError
        finally:
            ended.append(seconds)

    with pytest.raises(KeyError):
        await unless(event, work(1))
    asyncio.get_running_loop().call_later(2, event.set)
    with pytest.raises(Interrupted, match="too late"):
        await unless(event, work(3), "too late")
    with pytest.raises(Interrupted, match="interrupted"):
        await unless(event, work(4))
    assert ended == [1, 3]
