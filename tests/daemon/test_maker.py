"""Large answers: made beside the event loop, each once for all who ask."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from daemon.visitor import until
from reconciler.daemon.maker import Maker, Turn, Wish
from reconciler.errors import Busy, Interrupted


@pytest_asyncio.fixture
async def maker() -> AsyncIterator[Maker]:
    one = Maker(kept_seconds=0.05)
    yield one
    one.end()


class Slow:
    """Something that takes until it is let go; it counts how often, and in which threads, it was made."""

    def __init__(self, what: bytes = b"made") -> None:
        self.what = what
        self.go = threading.Event()
        self.threads: list[str] = []

    def __call__(self) -> bytes:
        self.threads.append(threading.current_thread().name)
        assert self.go.wait(10)
        return self.what


def made(what: bytes) -> Callable[[], bytes]:
    slow = Slow(what)
    slow.go.set()
    return slow


async def test_two_hundred_ask_at_once(maker: Maker) -> None:
    """However many ask for the same, it is made once, beside the loop, and all get the one copy."""
    slow = Slow()
    asking = [asyncio.create_task(maker.kept("report", 1, slow)) for _ in range(200)]
    await until(lambda: bool(slow.threads))
    slow.go.set()
    answers = await asyncio.gather(*asking)
    assert len({id(answer) for answer in answers}) == 1
    assert slow.threads == ["answers_0"]


async def test_one_thing_after_the_other(maker: Maker) -> None:
    """There is one thread, whatever is asked for, so that passes have theirs."""
    first, second = Slow(b"1"), Slow(b"2")
    asking = [asyncio.create_task(maker.made(number, each)) for number, each in enumerate((first, second))]
    await until(lambda: bool(first.threads))
    await asyncio.sleep(0.02)
    assert second.threads == []
    first.go.set()
    second.go.set()
    assert await asyncio.gather(*asking) == [b"1", b"2"]


async def test_it_is_kept_for_a_while(maker: Maker) -> None:
    """What was made is given again, until a newer version is wanted, or nobody asks for a while."""
    slow = Slow()
    slow.go.set()
    for _ in range(3):
        assert await maker.kept("report", 1, slow) == b"made"
    assert len(slow.threads) == 1
    assert await maker.kept("report", 2, made(b"newer")) == b"newer"
    assert await maker.kept("status", 1, made(b"other")) == b"other"
    assert await maker.kept("report", 2, slow) == b"newer"
    await until(lambda: not maker._kept)
    assert await maker.kept("report", 2, slow) == b"made"


async def test_asking_again_keeps_it(maker: Maker) -> None:
    """It is the last one who asked from whom the time counts."""
    slow = Slow()
    slow.go.set()
    for _ in range(10):
        await maker.kept("report", 1, slow)
        await asyncio.sleep(0.015)
    assert len(slow.threads) == 1


async def test_who_leaves_does_not_take_it_from_the_others(maker: Maker) -> None:
    """One who asked and leaves does not stop the making."""
    slow = Slow()
    leaves, stays = (asyncio.create_task(maker.made(1, slow)) for _ in range(2))
    await until(lambda: bool(slow.threads))
    leaves.cancel()
    slow.go.set()
    assert await stays == b"made"


async def test_an_error_is_for_all_who_ask_and_not_kept(maker: Maker) -> None:
    """Who asks for what cannot be made gets the error; who asks next lets it be tried again."""

    def fails() -> bytes:
        raise KeyError("x")

    asking = [asyncio.create_task(maker.kept("report", 1, fails)) for _ in range(2)]
    assert [type(each) for each in await asyncio.gather(*asking, return_exceptions=True)] == [KeyError, KeyError]
    assert await maker.kept("report", 1, made(b"now")) == b"now"


async def test_the_end() -> None:
    """At the end nothing is kept and nothing is begun; what is being made is not waited for."""
    maker = Maker()
    await maker.kept("report", 1, made(b"x"))
    slow = Slow()
    asking = asyncio.create_task(maker.made(1, slow))
    await until(lambda: bool(slow.threads))
    maker.end()
    assert not maker._kept
    with pytest.raises(Interrupted):
        await maker.kept("report", 2, made(b"x"))
    slow.go.set()
    assert await asking == b"made"


async def queued(maker: Maker, *wishes: Wish) -> tuple[Slow, list[int], list[asyncio.Task[None]]]:
    """Something that is being made, and behind it one thing for each wish, which notes its number when it is made."""
    slow, order = Slow(), list[int]()

    async def ask(number: int, wish: Wish) -> None:
        await maker.made(number, lambda: order.append(number), wish)

    first = asyncio.create_task(maker.made("slow", slow))
    await until(lambda: bool(slow.threads))
    asking = [asyncio.create_task(ask(number, wish)) for number, wish in enumerate(wishes)]
    await asyncio.sleep(0)
    slow.go.set()
    assert await first == b"made"
    return slow, order, asking


async def test_what_everybody_looks_at_goes_first(maker: Maker) -> None:
    """What has the first turn is made before all that waits for a later one, in the order in which it was asked for."""
    later, first = Wish(Turn.LATER), Wish()
    _, order, asking = await queued(maker, later, later, first, later, first)
    await asyncio.gather(*asking)
    assert order == [2, 4, 0, 1, 3]


async def test_what_nobody_waits_for_is_not_made(maker: Maker) -> None:
    """What all have left who asked for it is dropped when its turn comes; one who stays is enough."""
    gone = Wish(Turn.LATER, lambda: True)
    _, order, asking = await queued(maker, gone, gone, Wish(Turn.LATER))
    stays = asyncio.create_task(maker.made(1, lambda: None))
    assert [type(each) for each in await asyncio.gather(*asking, return_exceptions=True)] == [Busy, Busy, type(None)]
    await stays
    assert order == [2]


async def test_one_who_stays_is_enough(maker: Maker) -> None:
    """What one of those who asked still waits for is made, for all of them."""
    slow = Slow()
    first = asyncio.create_task(maker.made("slow", slow))
    await until(lambda: bool(slow.threads))
    wishes = (Wish(Turn.LATER, lambda: True), Wish(Turn.LATER), Wish(Turn.LATER, lambda: True))
    asking = [asyncio.create_task(maker.made("page", made(b"page"), wish)) for wish in wishes]
    await asyncio.sleep(0)
    slow.go.set()
    assert await asyncio.gather(first, *asking) == [b"made", *[b"page"] * 3]


async def test_only_so_much_waits() -> None:
    """Beyond a bound nothing more is begun to be waited for; what has the first turn has room of its own."""
    maker = Maker(most_waiting=2)
    later = Wish(Turn.LATER)
    _, order, asking = await queued(maker, later, later, later, Wish(), later)
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in found] == [type(None), type(None), Busy, type(None), Busy]
    assert order == [3, 0, 1]
    maker.end()


async def test_the_end_while_things_wait() -> None:
    """At the end what waits is not begun, and nobody goes on waiting for it."""
    maker = Maker()
    slow = Slow()
    first, second = (asyncio.create_task(maker.made(number, slow)) for number in range(2))
    await until(lambda: bool(slow.threads))
    maker.end()
    slow.go.set()
    assert await first == b"made"
    with pytest.raises(asyncio.CancelledError):
        await second
    assert len(slow.threads) == 1


async def test_the_end_before_it_is_begun(maker: Maker) -> None:
    """What the thread had not yet taken up at the end is cancelled, too."""
    slow = Slow()
    maker._thread.submit(slow)
    asking = asyncio.create_task(maker.made(1, made(b"x")))
    await until(lambda: bool(slow.threads and maker._jobs))
    maker.end()
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
