"""Repeating what may be repeated, writing once, and leaving nothing behind."""

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from ahasend.scene import (
    ACCOUNT,
    FIELDS,
    SHOP,
    SUB_ACCOUNT,
    TOKEN,
    Reply,
    Scene,
    Server,
    identifier,
    key,
    page,
    refusal,
    virtual,
    wire_key,
)
from reconciler.ahasend import KeyReader, open_reads, open_writes
from reconciler.ahasend.pace import in_flight
from reconciler.core.events import RequestRetried
from reconciler.core.keys import AccountRef
from reconciler.core.report import RequestCounts
from reconciler.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    RemoteError,
    ServerFault,
    SettingsError,
    Unauthorized,
    Unreachable,
)

ONE = wire_key(identifier(1))


@virtual
async def test_keys_of_others() -> None:
    """Asking for one key and getting another is an error, in reading as in writing."""
    async with open_writes(Scene(Server(key(key_id=identifier(1)))).config) as session:
        with pytest.raises(BadAnswer, match=identifier(1)):
            await session.reader(ACCOUNT).get_key(SHOP)
        with pytest.raises(BadAnswer, match=identifier(1)):
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
        assert (await session.reader(ACCOUNT).get_key(identifier(1).upper())).id == identifier(1)


PASSING: tuple[Reply, ...] = (
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("late"),
    httpx.RemoteProtocolError("lost"),
    refusal(429),
    refusal(429, retry_after="1"),
    refusal(408),
    refusal(425),
    refusal(500),
    refusal(503),
    httpx.Response(502, html="<html>"),
    httpx.Response(200, content=b'{"data": ['),
    httpx.Response(200, content=b"not gzip", headers={"content-encoding": "identity"}),
)


@pytest.mark.parametrize("fault", PASSING, ids=repr)
@virtual
async def test_retries(fault: Reply) -> None:
    """A GET is sent again after what may pass, each attempt counted and told, with growing pauses."""
    scene = Scene(server := Server(fault, fault, key()))
    async with open_reads(scene.config) as session:
        await session.reader(ACCOUNT).get_key(SHOP)
    assert session.requests == RequestCounts(GET=3)
    first, second = scene.events
    assert isinstance(first, RequestRetried)
    assert isinstance(second, RequestRetried)
    assert (first.account_id, first.method, first.attempt, second.attempt) == (ACCOUNT.account_id, "GET", 1, 2)
    assert first.error.startswith(f"reading key {SHOP} of account {ACCOUNT}: ")
    gaps = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
    assert gaps == pytest.approx([first.wait, second.wait], abs=0.01)
    if isinstance(fault, httpx.Response) and "retry-after" in fault.headers:
        assert (first.wait, second.wait) == (1, 1)
    else:
        assert 0.5 <= first.wait <= 1 <= second.wait <= 2


@pytest.mark.parametrize("fault", PASSING, ids=repr)
@virtual
async def test_given_up(fault: Reply) -> None:
    """After five attempts the last error is raised; there is no event for a retry that does not come."""
    scene = Scene(server := Server(fault))
    async with open_reads(scene.config) as session:
        with pytest.raises((Unreachable, RateLimited, ServerFault, BadAnswer)) as caught:
            await session.reader(ACCOUNT).get_key(SHOP)
    assert len(server.asked) == session.requests.GET == 5
    assert len(scene.events) == 4
    assert caught.value.__cause__ is None
    assert server.times[-1] < 16


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (401, Unauthorized), (403, Forbidden), (404, NotFound), (409, Rejected), (302, BadAnswer)],
)
@virtual
async def test_no_retry(status: int, kind: type[RemoteError]) -> None:
    """What stays as it is, is asked once."""
    scene = Scene(server := Server(refusal(status)))
    async with open_reads(scene.config) as session:
        with pytest.raises(kind):
            await session.reader(ACCOUNT).list_keys()
    assert len(server.asked) == 1
    assert not scene.events


@pytest.mark.parametrize("fault", [*PASSING, refusal(400), refusal(404)], ids=repr)
@virtual
async def test_put_once(fault: Reply) -> None:
    """A PUT is never sent twice, whatever comes back: whether it took effect is for its caller to see.

    Only what may not pass says that it was refused.
    """
    scene = Scene(server := Server(fault))
    async with open_writes(scene.config) as session:
        with pytest.raises(RemoteError) as caught:
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
    assert isinstance(caught.value, Rejected | NotFound) is (fault not in PASSING)
    assert [request.method for request in server.asked] == ["PUT"]
    assert session.requests == RequestCounts(PUT=1)
    assert not scene.events


@pytest.mark.parametrize("method", ["GET", "PUT"])
@virtual
async def test_shared_pause(method: str) -> None:
    """After a 429 nothing is sent to the account, its sub accounts included, for as long as the server asks.

    Then its pace is half as fast.
    """
    scene = Scene(server := Server(refusal(429, retry_after="7"), key()), rate=100, burst=105)
    config = scene.config
    async with open_writes(config) as session, open_reads(config) as other:
        if method == "PUT":
            with pytest.raises(RateLimited):
                await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
        else:
            task = asyncio.create_task(session.reader(ACCOUNT).get_key(SHOP))
            await asyncio.sleep(1)
        await asyncio.gather(*(other.reader(account).get_key(SHOP) for account in (ACCOUNT, SUB_ACCOUNT)))
        elsewhere = AccountRef("22222222-2222-4222-8222-222222222222")
        with pytest.raises(BadAnswer, match="another account"):
            await other.reader(elsewhere).get_key(SHOP)
        if method == "GET":
            await task
    assert server.times[0] == 0
    assert server.times[1:3] == pytest.approx([7.02, 7.04], abs=1e-4)


@virtual
async def test_pause_holds_back_the_queue() -> None:
    """A 429 holds back those that wait for a connection too: they have not taken their turn yet."""

    async def slow_refusal(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return refusal(429, retry_after="30")

    scene = Scene(server := Server(*[slow_refusal] * 16, key()))
    async with open_reads(scene.config) as session:
        await asyncio.gather(*(session.reader(ACCOUNT).get_key(SHOP) for _ in range(60)))
    assert len([time for time in server.times if time < 31]) == 16


@virtual
async def test_other_accounts_go_on() -> None:
    """An account that is held back does not take the connections from the others."""
    scene = Scene(Server(refusal(429, retry_after="60"), page()))
    async with open_reads(scene.config) as session:
        held_back = [asyncio.create_task(session.reader(ACCOUNT).list_keys()) for _ in range(40)]
        await asyncio.sleep(1)
        paused = [asyncio.create_task(session.reader(ACCOUNT).list_keys()) for _ in range(40)]
        await session.reader(AccountRef(identifier(1))).list_keys()
        assert asyncio.get_running_loop().time() < 2
        await asyncio.gather(*held_back, *paused)


@virtual
async def test_pace_of_requests() -> None:
    """Every request waits for its turn, and no more than sixteen are under way at once."""
    under_way, most = 0, 0

    async def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.5)
        under_way -= 1
        return key()

    scene = Scene(server := Server(answer), rate=10, burst=25)
    async with open_reads(scene.config) as session:
        await asyncio.gather(*(session.reader(ACCOUNT).get_key(SHOP) for _ in range(60)))
    assert most == 16
    for start in server.times:
        assert len([time for time in server.times if start <= time < start + 1 - 1e-6]) <= 20 + 10


@virtual
async def test_rotated_token() -> None:
    """The token is looked up for each request: a rotated one is used at once, a missing one is the settings' error."""
    scene = Scene(server := Server(refusal(500), key()))
    tokens = iter(["aha-sk-old", "aha-sk-new"])

    def lookup(account: AccountRef, _refused: str | None) -> str:
        assert account == ACCOUNT
        token = next(tokens, None)
        if token is None:
            raise SettingsError("no key", hint="set it")
        return token

    async with open_reads(replace(scene.config, token=lookup)) as session:
        await session.reader(ACCOUNT).get_key(SHOP)
        with pytest.raises(SettingsError, match="no key"):
            await session.reader(ACCOUNT).get_key(SHOP)
    sent = [request.headers["authorization"] for request in server.asked]
    assert sent == ["Bearer aha-sk-old", "Bearer aha-sk-new"]


@virtual
async def test_observer_that_raises() -> None:
    """An observer may forbid a write, but break no reading: what it raises at a retry is passed over."""

    def observe(_event: object) -> None:
        raise KeyError("full disk")

    scene = Scene(Server(refusal(500), key()))
    async with open_reads(replace(scene.config, observe=observe)) as session:
        assert (await session.reader(ACCOUNT).get_key(SHOP)).id == SHOP


@virtual
async def test_silence(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """Retries are told to the observer alone: nothing is printed, and nothing logged that holds the token."""
    caplog.set_level(logging.DEBUG)
    scene = Scene(Server(refusal(500), httpx.ReadError("lost"), key()))
    async with open_reads(scene.config) as session:
        await session.reader(ACCOUNT).get_key(SHOP)
        assert TOKEN not in repr(scene.config) + repr(session) + repr(session.reader(ACCOUNT))
    assert capfd.readouterr() == ("", "")
    assert TOKEN not in caplog.text


class Dribble(httpx.AsyncByteStream):
    """A body that comes a byte every nine seconds, and never ends."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(9)
            yield b" "


@virtual
async def test_an_answer_that_dribbles() -> None:
    """An answer that never ends is given up after a minute, however steadily its pieces come."""

    async def dribble(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Dribble())

    scene = Scene(Server(dribble))
    async with open_reads(replace(scene.config, attempts=2)) as session:
        with pytest.raises(Unreachable, match="did not end in time"):
            await session.reader(ACCOUNT).get_key(SHOP)
    assert asyncio.get_running_loop().time() < 150


@virtual
async def test_writes_leave_room_for_what_comes_first() -> None:
    """However many writes wait for the key to be read first, those reads get through."""

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        return key(key_id=request.url.path.rpartition("/")[2])

    scene = Scene(server := Server(answer))
    async with open_writes(scene.config) as session:

        async def change(number: int) -> None:
            account = AccountRef(ACCOUNT.account_id, identifier(number))

            async def look() -> None:
                await session.reader(account).get_key(identifier(number))

            await session.writer(account).update_key(identifier(number), FIELDS, first=look)

        await asyncio.gather(*map(change, range(100)))
    assert session.requests == RequestCounts(GET=100, PUT=100)
    assert server.times[-1] < 100 / 8 * 0.1 + 0.2


@virtual
async def test_thousands_of_readers() -> None:
    """Reading thousands of sub accounts leaves no task and nothing of any one of them behind."""
    scene = Scene(Server(page(ONE)), rate=1e6, burst=10**6)
    readers: weakref.WeakSet[KeyReader] = weakref.WeakSet()
    most = 0
    async with open_reads(scene.config) as session:

        async def read(number: int) -> int:
            nonlocal most
            reader = session.reader(AccountRef(ACCOUNT.account_id, identifier(number)))
            readers.add(reader)
            most = max(most, len(readers), len(asyncio.all_tasks()))
            return len(await reader.list_keys())

        gc.disable()  # what is gone by now is gone for good, not only at the next collection
        try:
            assert sum(await in_flight(range(2000), read, 16)) == 2000
            assert most <= 2 * 16 + 2
            assert not readers
        finally:
            gc.enable()
    assert len(asyncio.all_tasks()) == 1
