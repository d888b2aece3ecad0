"""When requests may go."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ahasend.scene import virtual
from reconciler.ahasend.pace import Pace, Paces, Signal, Stop, in_flight, unless
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
async def test_ahead() -> None:
    """Who goes ahead waits behind one ordinary turn at most, among equals the first comes first, and none is added."""
    loop, pace, got = asyncio.get_running_loop(), Pace(1, 1), []

    async def one(name: str, *, ahead: bool) -> None:
        await pace.turn(ahead=ahead)
        got.append((loop.time(), name))

    await pace.turn()
    ordinary = [asyncio.create_task(one(f"ordinary {number}", ahead=False)) for number in range(4)]
    await asyncio.sleep(0.5)
    ordinary[1].cancel()
    await asyncio.gather(*(one(f"ahead {number}", ahead=True) for number in range(2)))
    await asyncio.gather(*ordinary, return_exceptions=True)
    names = ["ordinary 0", "ahead 0", "ahead 1", "ordinary 2", "ordinary 3"]
    assert [name for _, name in got] == names
    assert [time for time, _ in got] == pytest.approx([1, 2, 3, 4, 5])


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
async def test_slowed() -> None:
    """A refusal halves the rate and takes the burst away; then it comes back by a tenth of the whole in ten seconds."""
    pace = Pace(100, 200)
    assert pace.rate == 100
    pace.refused(asyncio.get_running_loop().time())
    assert pace.rate == 50
    times = [time for time, _ in await turns(pace, 60)]
    assert times[:3] == pytest.approx([0.02, 0.04, 0.06], abs=1e-4)
    await asyncio.sleep(10 - times[-1])
    assert pace.rate == pytest.approx(60)
    assert [time for time, _ in await turns(pace, 2)] == pytest.approx([10, 10 + 1 / 60], abs=1e-4)
    await asyncio.sleep(29)
    assert pace.rate == pytest.approx(89, abs=0.1)


@virtual
async def test_back_at_full_rate() -> None:
    """Once back at its full rate a pace starts from an empty bucket, which fills as any other."""
    pace = Pace(100, 200)
    pace.refused(0)
    await asyncio.sleep(49.5)
    await asyncio.gather(turns(pace, 40), asyncio.sleep(0.5))
    got = [time for time, _ in await turns(pace, 20)]
    assert got == pytest.approx([50 + 0.01 * number for number in range(1, 21)], abs=0.011)
    assert pace.rate == 100
    await asyncio.sleep(60)
    start = asyncio.get_running_loop().time()
    assert [time - start for time, _ in await turns(pace, 196)] == pytest.approx([0.0] * 195 + [0.01], abs=1e-6)


@virtual
async def test_back_after_idling() -> None:
    """The bucket fills only from the time on at which the full rate is back, also where nobody asked meanwhile."""
    pace = Pace(100, 200)
    pace.refused(0)
    await asyncio.sleep(50.5)
    got = [time for time, _ in await turns(pace, 52)]
    assert got == pytest.approx([50.5] * 50 + [50.51, 50.52], abs=1e-6)


@virtual
async def test_refused_together() -> None:
    """Several refusals of requests begun before a slowing count once; those of later ones count again, to a floor."""
    pace = Pace(100, 200)
    for _ in range(16):
        pace.refused(0)
    assert pace.rate == 50
    await asyncio.sleep(1)
    pace.refused(0)
    assert pace.rate == pytest.approx(51)
    pace.refused(0.5)
    assert pace.rate == pytest.approx(25.5)
    for _ in range(10):
        await asyncio.sleep(0.1)
        pace.refused(asyncio.get_running_loop().time())
    assert pace.rate == pytest.approx(1)
    got = [time for time, _ in await turns(pace, 2)]
    assert got == pytest.approx([3, 3.5], abs=0.01)


@virtual
async def test_slow_already() -> None:
    """A pace below one a second is not slowed: nobody starves of it."""
    pace = Pace(0.5, 1)
    pace.refused(0)
    assert pace.rate == 0.5
    assert [time for time, _ in await turns(pace, 2)] == pytest.approx([2, 4])


@virtual
async def test_pause_while_slowed() -> None:
    """A pause does not count as time without a refusal, however often it is asked for."""
    pace = Pace(100, 200)
    pace.refused(0)
    for _ in range(16):
        pace.pause(30)
    await asyncio.sleep(30)
    assert pace.rate == pytest.approx(50)
    assert [time for time, _ in await turns(pace, 2)] == pytest.approx([30.02, 30.04], abs=1e-4)


@virtual
async def test_waiters_are_slowed() -> None:
    """Who waits for a turn already is slowed too."""
    pace = Pace(10, 1)
    await pace.turn()
    waiting = asyncio.create_task(turns(pace, 2))
    await asyncio.sleep(0.05)
    pace.refused(asyncio.get_running_loop().time())
    assert [time for time, _ in await waiting] == pytest.approx([0.25, 0.45], abs=1e-3)


@virtual
async def test_in_flight() -> None:
    """Many items are worked on a few at a time, and the results stand in their order."""
    under_way, most, taken = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        assert taken <= number + 7
        assert len(asyncio.all_tasks()) == 1 + 7
        await asyncio.sleep((number * 7919) % 13 / 10)
        under_way -= 1
        return number * 2

    assert await in_flight(items(), work, 7) == tuple(range(0, 2000, 2))
    assert most == 7
    assert await in_flight([], work, 3) == ()
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_in_flight_fails() -> None:
    """The first exception comes out as it is, what was under way has been cancelled by then, and nothing new begins."""
    begun, cancelled = [], []

    async def work(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.sleep(number)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        if number == 2:
            raise KeyError(number)

    with pytest.raises(KeyError, match="2"):
        await in_flight(range(1, 100), work, 4)
    assert asyncio.get_running_loop().time() == 2
    assert sorted(begun) == [1, 2, 3, 4, 5]
    assert sorted(cancelled) == [3, 4, 5]
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(ValueError, match="nobody"):
        await in_flight([1], work, 0)


@virtual
async def test_in_flight_is_cancelled() -> None:
    """Who cancels it cancels all of its work."""
    ended = []

    async def work(number: int) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(number)

    whole = asyncio.create_task(in_flight(range(5), work, 3))
    await asyncio.sleep(1)
    whole.cancel()
    await asyncio.wait({whole})
    assert whole.cancelled()
    assert sorted(ended) == [0, 1, 2]


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
    event = Signal()
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
        await unless(event, work(3), lambda: "too late")
    with pytest.raises(Interrupted, match="interrupted"):
        await unless(event, work(4))
    assert ended == [1, 3]


def test_followers() -> None:
    """Whoever follows a signal is called once, when it comes or at once if it came, and not after the block."""
    signal, called = Signal(), []
    with signal.followed_by(lambda: called.append("before")):
        signal.set()
        signal.set()
    with signal.followed_by(lambda: called.append("after")):
        pass
    signal.clear()
    signal.set()
    assert called == ["before", "after"]


@virtual
async def test_unless_leaves_no_trace() -> None:
    """A signal that comes from the work itself, or together with its end, interrupts nothing afterwards."""
    signal = Signal()

    async def signalling() -> str:
        signal.set()
        return "done"

    assert await unless(signal, signalling()) == "done"
    await asyncio.sleep(1)
    late = Signal()

    async def stubborn() -> str:
        late.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return "done"

    assert await unless(late, stubborn()) == "done"
    await asyncio.sleep(1)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual
async def test_unless_within_unless() -> None:
    """Work below work, both until the same signal, is interrupted once; a time-out of the work's own is its own."""
    signal = Signal()

    async def inner() -> None:
        await unless(signal, asyncio.sleep(5), lambda: "inner")

    asyncio.get_running_loop().call_later(1, signal.set)
    with pytest.raises(Interrupted):
        await unless(signal, inner(), lambda: "outer")
    await asyncio.sleep(1)

    async def timing_out() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await unless(Signal(), timing_out())


@virtual
async def test_unless_is_cancelled() -> None:
    """Who cancels it cancels the work, and gets no other error for it."""
    task = asyncio.create_task(unless(Signal(), asyncio.sleep(5)))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
