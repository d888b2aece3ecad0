"""The last look of a write and its sending, however many others want the same connections."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest

from ahasend.scene import FIELDS, Scene, identifier, page, refusal, virtual, wire_key
from reconciler.ahasend import ReadSession, WriteSession, open_reads, open_writes
from reconciler.ahasend.transport import POOL
from reconciler.core.keys import AccountRef
from reconciler.core.report import RequestCounts
from reconciler.errors import Interrupted, ReconcilerError


def account(number: int) -> AccountRef:
    return AccountRef(identifier(number))


@dataclass
class Office(httpx.AsyncBaseTransport):
    """Serves every key of every account after ``latency`` seconds, unless ``reply`` has something else to say."""

    latency: Callable[[], float]
    reply: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None
    under_way: int = 0
    most: int = 0
    sent: dict[str, float] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        owner, _, key_id = request.url.path.removeprefix("/v2/accounts/").partition("/api-keys/")
        if request.method == "PUT":
            self.sent[key_id] = asyncio.get_running_loop().time()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.latency())
        finally:
            self.under_way -= 1
        known = wire_key(key_id or identifier(1), account_id=owner.removesuffix("/api-keys"))
        return self.reply(request) or (httpx.Response(200, json=known) if key_id else page(known))


@dataclass
class Writes:
    """Writes of a session, each with a look first, and when each look ended."""

    session: WriteSession
    looked: dict[str, float] = field(default_factory=dict)

    async def change(self, owner: AccountRef, key_id: str) -> None:
        reader = self.session.reader(owner)

        async def look() -> None:
            await reader.get_key(key_id)
            self.looked[key_id] = asyncio.get_running_loop().time()

        await self.session.writer(owner).update_key(key_id, FIELDS, first=look)

    async def change_each(self, accounts: int, changes: int) -> None:
        """Make so many changes in each of so many accounts, all at once."""
        pairs = [(account(one), identifier(1000 * one + many)) for one in range(accounts) for many in range(changes)]
        await asyncio.gather(*(self.change(owner, key_id) for owner, key_id in pairs))


async def room(session: ReadSession, office: Office) -> int:
    """Tell how many requests of many accounts get under way at once."""
    office.latency = lambda: 1.0
    office.most = 0
    await asyncio.gather(*(session.reader(account(number)).list_keys() for number in range(3 * POOL)))
    return office.most


@pytest.mark.parametrize(("accounts", "changes"), [(6, 10), (16, 1), (40, 3)])
@virtual
async def test_sent_when_looked(accounts: int, changes: int) -> None:
    """With slow answers and many accounts each PUT is sent at the very time at which its look ended.

    That costs no time: all connections are used, and nobody waits for ever.
    """
    office = Office(lambda: 8.0)
    async with open_writes(Scene(office).config) as session:
        writes = Writes(session)
        await writes.change_each(accounts, changes)
        assert office.sent == writes.looked
        assert len(office.sent) == accounts * changes
        requests = 2 * accounts * changes
        assert office.most == POOL
        assert asyncio.get_running_loop().time() <= 8 * (requests / POOL + 2)
        assert await room(session, office) == POOL


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_random_latency(seed: int) -> None:
    """However long each answer takes, sixteen writers of sixteen accounts, or more, all end, and look right before."""
    chance = random.Random(seed)  # noqa: S311 # the same for ever
    accounts, changes = chance.choice([(1, 40), (16, 1), (16, 8), (5, 20), (100, 1)])
    office = Office(lambda: chance.choice([0.0, chance.uniform(0, 1), chance.uniform(0, 9)]))
    async with open_writes(Scene(office).config) as session:
        writes = Writes(session)
        await writes.change_each(accounts, changes)
        assert office.sent == writes.looked
        assert session.requests == RequestCounts(GET=accounts * changes, PUT=accounts * changes)
        assert await room(session, office) == POOL


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_no_slot_is_lost(seed: int) -> None:
    """Whatever ends a look or a write, its request, its error or a stop, all connections are of use afterwards."""
    chance = random.Random(seed)  # noqa: S311 # the same for ever
    faults: tuple[Callable[[], httpx.Response | None], ...] = (
        lambda: refusal(401),
        lambda: refusal(503),
        lambda: refusal(429, retry_after="3"),
        lambda: httpx.Response(200, content=b"{"),
        *[lambda: None] * 6,
    )
    office = Office(lambda: chance.uniform(0, 9), lambda _request: chance.choice(faults)())
    scene = Scene(office)
    async with open_writes(scene.config) as session:

        async def change(number: int) -> None:
            owner, key_id = account(number % 20), identifier(number)
            with scene.stop.within(chance.uniform(1, 60), "out of time") as part:
                reader = session.reader(owner, part)

                async def look() -> None:
                    with suppress(ReconcilerError if number % 3 else KeyError):
                        await reader.get_key(key_id, patient=number % 2 == 0)
                    if number % 7 == 0:
                        raise KeyError(number)

                await session.writer(owner, part).update_key(key_id, FIELDS, first=look)

        tasks = [asyncio.create_task(change(number)) for number in range(150)]
        for task in tasks[::10]:
            asyncio.get_running_loop().call_later(chance.uniform(0, 30), task.cancel)
        ended = Counter(map(type, await asyncio.gather(*tasks, return_exceptions=True)))
        assert ended.keys() >= {type(None), KeyError, Interrupted, asyncio.CancelledError}
        await asyncio.sleep(100)  # until the last answer that nobody waited for
        office.reply = lambda _request: None
        assert await room(session, office) == POOL


@pytest.mark.parametrize("hindrance", ["pace", "429", "503"])
@virtual
async def test_slow_accounts(hindrance: str) -> None:
    """Writes whose looks wait, for their account's pace or between attempts, keep no connection from other accounts."""

    def reply(request: httpx.Request) -> httpx.Response | None:
        hindered = hindrance != "pace" and identifier(9) not in request.url.path
        return refusal(int(hindrance), retry_after="60") if hindered else None

    office = Office(lambda: 0.25, reply)
    # Eight turns at once, those of the writes, and then one in ten seconds for the looks.
    scene = Scene(office, *((0.1, 13) if hindrance == "pace" else (1000, 1000)))
    async with open_writes(scene.config) as session:
        writes = Writes(session)
        slow = asyncio.create_task(writes.change_each(5, 8))
        await asyncio.sleep(5)
        await writes.change(account(9), identifier(9))
        assert asyncio.get_running_loop().time() == pytest.approx(5.5)
        slow.cancel()
        await asyncio.wait({slow})


@virtual
async def test_first_without_a_request() -> None:
    """What comes first need not be a request, nor only one: the PUT goes when it has ended."""
    office = Office(lambda: 8.0)
    looked: dict[str, float] = {}
    async with open_writes(Scene(office).config) as session:

        async def change(number: int) -> None:
            reader, key_id = session.reader(account(number)), identifier(number)

            async def look() -> None:
                if number % 2:
                    await asyncio.gather(*(reader.get_key(key_id) for _ in range(number % 4)))
                await asyncio.sleep(1)
                looked[key_id] = asyncio.get_running_loop().time()

            await session.writer(account(number)).update_key(key_id, FIELDS, first=look)

        await asyncio.gather(*map(change, range(40)))
        assert office.sent == looked
        assert office.most <= POOL
        assert await room(session, office) == POOL


@virtual
async def test_look_of_another_session() -> None:
    """What comes first may read through other connections; they stay what they are."""
    office, elsewhere = Office(lambda: 2.0), Office(lambda: 2.0)
    looked: dict[str, float] = {}
    async with open_writes(Scene(office).config) as session, open_reads(Scene(elsewhere).config) as other:

        async def change(number: int) -> None:
            async def look() -> None:
                await other.reader(account(number)).get_key(identifier(number))
                looked[identifier(number)] = asyncio.get_running_loop().time()

            await session.writer(account(number)).update_key(identifier(number), FIELDS, first=look)

        await asyncio.gather(*map(change, range(40)))
        assert office.sent == looked
        assert await room(session, office) == POOL
        assert await room(other, elsewhere) == POOL


@virtual
async def test_look_that_was_given_up() -> None:
    """A PUT whose look passed over a request that it gave up waits for a connection, as that one still has its own."""
    office = Office(lambda: 8.0)
    scene = Scene(office)
    async with open_writes(scene.config) as session:

        async def look() -> None:
            with scene.stop.within(1, "late") as part, suppress(Interrupted):
                await session.reader(account(1), part).get_key(identifier(1))

        others = [asyncio.create_task(session.reader(account(2)).list_keys()) for _ in range(POOL - 1)]
        await asyncio.sleep(0)
        await session.writer(account(1)).update_key(identifier(1), FIELDS, first=look)
        await asyncio.gather(*others)
        assert office.sent == {identifier(1): pytest.approx(8)}
        assert office.most == POOL
        assert await room(session, office) == POOL


@virtual
async def test_read_after_a_write() -> None:
    """A write keeps its connection until its answer comes, although nobody waits for it and its task reads on."""
    office = Office(lambda: 20.0)
    scene = Scene(office)
    async with open_writes(scene.config) as session:
        reader = session.reader(account(1))

        async def look() -> None:
            await reader.get_key(identifier(1))

        with scene.stop.within(21, "late") as part:
            writer = session.writer(account(1), part)
            with pytest.raises(Interrupted, match="it was sent"):
                await writer.update_key(identifier(1), FIELDS, first=look)
        assert office.under_way == 1
        reads = [asyncio.create_task(session.reader(account(2)).list_keys()) for _ in range(POOL)]
        await asyncio.sleep(0)
        await reader.get_key(identifier(1))
        await asyncio.gather(*reads)
        assert office.most == POOL
