"""The client against the emulator, which was written from the API's document and not from this client."""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from ahasend.scene import ACCOUNT, FIELDS, SHOP, Scene, identifier, virtual
from reconciler.ahasend import open_reads, open_writes
from reconciler.ahasend.pace import in_flight
from reconciler.core.changes import Fields, ListDiff, TextDiff
from reconciler.core.keys import AccountRef
from reconciler.emulator.faults import ConnectionDropped
from reconciler.emulator.server import Emulator
from reconciler.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    Rejected,
    RemoteError,
    ServerFault,
    Unauthorized,
    Unreachable,
    UnsoundListing,
)


class Lossy(httpx.ASGITransport):
    """Shows a connection that the emulator drops as httpx shows one."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionDropped as drop:
            raise httpx.ReadError(str(drop)) from drop


def seed(count: int = 250, scopes: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    keys = [{"id": identifier(number), "label": f"key {number}", "scopes": ["domains:read"]} for number in range(count)]
    shop = {"id": SHOP, "label": "shop", "scopes": ["messages:read:all"], "ip_allow_list": ["203.0.113.0/24"]}
    admin = {"label": "admin", "secret_key": Scene.token, "scopes": list(scopes)}
    return {"accounts": [{"id": ACCOUNT.account_id, "domains": [], "keys": [admin, shop, *keys]}]}


def emulated(**options: Any) -> tuple[Emulator, Scene]:
    loop = asyncio.get_running_loop()
    emulator = Emulator(options.pop("seed", None) or seed(), clock=loop.time, **options)
    return emulator, Scene(Lossy(app=emulator), rate=100, burst=200)


def faults(emulator: Emulator, method: str, **do: Any) -> None:
    emulator.set_faults({"rules": [{"method": method, "first": 1, "do": do}]})


@virtual
async def test_whole_list() -> None:
    """A list of 252 keys takes three requests and is whole."""
    emulator, scene = emulated()
    async with open_reads(scene.config) as session:
        keys = await session.reader(ACCOUNT).list_keys()
    assert len({key.id for key in keys}) == 252
    assert session.requests.GET == emulator.requests["GET"] == 3


@virtual
async def test_write_and_read_back() -> None:
    """A PUT changes what it names and nothing else; the answer is the key as it is now."""
    _, scene = emulated()
    async with open_writes(scene.config) as session:
        written = await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
        assert (written.label, written.scopes.texts) == ("Shop", ("messages:send:all",))
        assert written.ip_allow_list.networks == ("203.0.113.0/24",)
        opened = Fields(ip_allow_list=ListDiff(("203.0.113.0/24",), ()))
        assert (await session.writer(ACCOUNT).update_key(SHOP, opened)).ip_allow_list.anywhere
        assert (await session.reader(ACCOUNT).get_key(SHOP)).label == "Shop"
        with pytest.raises(Rejected, match="400"):
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS)


@virtual
async def test_dropped_put() -> None:
    """A PUT whose answer was lost is not sent again, whether it took effect or not; reading tells which."""
    for when, label in (("before", "shop"), ("after", "Shop")):
        emulator, scene = emulated()
        faults(emulator, "PUT", drop=when)
        async with open_writes(scene.config) as session:
            with pytest.raises(Unreachable, match="lost"):
                await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
            assert (await session.reader(ACCOUNT).get_key(SHOP, patient=True)).label == label
        assert emulator.requests["PUT"] == 1


@pytest.mark.parametrize("do", [{"drop": "before"}, {"status": 503}, {"status": 429}, {"body": "html"}])
@virtual
async def test_faults_that_pass(do: dict[str, str]) -> None:
    """A fault that passes is not seen by who lists keys."""
    emulator, scene = emulated()
    faults(emulator, "*", **do)
    async with open_reads(scene.config) as session:
        assert len(await session.reader(ACCOUNT).list_keys()) == 252
    assert session.requests.GET == 4


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        ({"drop": "after"}, Unreachable),
        ({"status": 500}, ServerFault),
        ({"body": "truncated"}, BadAnswer),
        ({"body": "malformed"}, BadAnswer),
        ({"body": "html"}, BadAnswer),
        ({"cursor": "repeat"}, UnsoundListing),
    ],
)
@virtual
async def test_faults_that_stay(do: dict[str, str], kind: type[RemoteError]) -> None:
    """A fault that stays makes the list an error, never a shorter list."""
    emulator, scene = emulated()
    emulator.set_faults({"rules": [{"method": "GET", "path": "*", "do": do}]})
    async with open_reads(scene.config) as session:
        with pytest.raises(kind):
            await session.reader(ACCOUNT).list_keys()


@virtual
async def test_refusals() -> None:
    """What the emulator refuses comes as the error of its status."""
    _, scene = emulated(seed=seed(0, ("api-keys:read",)))
    async with open_writes(scene.config) as session:
        with pytest.raises(NotFound):
            await session.reader(ACCOUNT).get_key(identifier(9))
        with pytest.raises(Rejected, match="400"):
            await session.reader(ACCOUNT).get_key("..")
        with pytest.raises(Forbidden, match="api-keys:write"):
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
        with pytest.raises(Unauthorized):
            await session.reader(AccountRef(identifier(1))).list_keys()


def family(count: int, *scopes: str) -> dict[str, Any]:
    """Give an account with domains and ``count`` sub accounts, every fifth of them deleted, which have a key each."""
    statuses = ["active", "suspended", "parent-suspended", "active", "deleted"]
    account = seed(0, scopes)["accounts"][0] | {"domains": ["shop.example.com", "news.example.com"]}
    account["sub_accounts"] = [
        {
            "id": identifier(number),
            "name": f"Acme {number}",
            "status": statuses[number % 5],
            "keys": [{"id": identifier(1000 + number), "label": "sender", "scopes": ["messages:send:all"]}],
        }
        for number in range(count)
    ]
    return {"accounts": [account]}


@virtual
async def test_family() -> None:
    """Sub accounts, their keys and the account's domains are found as the account has them."""
    emulator, scene = emulated(seed=family(250, "*"))
    async with open_writes(scene.config) as session:
        found = await session.reader(ACCOUNT).list_sub_accounts()
        assert len({one.id for one in found}) == 200
        assert Counter(one.status for one in found) == {"active": 100, "suspended": 50, "parent-suspended": 50}
        assert await session.reader(ACCOUNT).list_domains() == {"shop.example.com", "news.example.com"}
        below = AccountRef(ACCOUNT.account_id, next(one.id for one in found if one.name == "Acme 0"))
        (sender,) = await session.reader(below).list_keys()
        assert (sender.id, sender.send_only) == (identifier(1000), True)
        renamed = await session.writer(below).update_key(sender.id, Fields(label=TextDiff("sender", "Sender")))
        assert renamed.label == "Sender"
    assert emulator.requests["GET"] == session.requests.GET


@virtual
async def test_what_a_family_needs() -> None:
    """Without its scope a list is an error that names it."""
    _, scene = emulated(seed=family(1, "api-keys:read"))
    below = AccountRef(ACCOUNT.account_id, identifier(0))
    async with open_writes(scene.config) as session:
        assert len(await session.reader(ACCOUNT).list_keys()) == 2
        for work, scope in (
            (session.reader(ACCOUNT).list_sub_accounts(), "sub-accounts:read"),
            (session.reader(ACCOUNT).list_domains(), "domains:read"),
            (session.reader(below).list_keys(), "sub-account-api-keys:read"),
            (session.writer(below).update_key(identifier(1000), FIELDS), "sub-account-api-keys:write"),
        ):
            with pytest.raises(Forbidden) as caught:
                await work
            assert f"lacks the scope {scope}" in caught.value.hint


@virtual
async def test_no_request_over_the_limit() -> None:
    """At the API's own rate and burst, six hundred requests at once meet no 429, and take no longer than they must."""
    emulator, scene = emulated(latency=0.02)
    async with open_writes(scene.config) as session:
        reader, writer = session.reader(ACCOUNT), session.writer(ACCOUNT)
        changes = [Fields(label=TextDiff("", f"new {number}")) for number in range(100)]
        await asyncio.gather(
            *(reader.get_key(identifier(number % 250)) for number in range(500)),
            *(writer.update_key(identifier(number), change) for number, change in enumerate(changes)),
        )
    assert emulator.requests["statuses"] == {"200": 600}
    assert asyncio.get_running_loop().time() == pytest.approx((600 - 195) / 100, abs=0.2)


@dataclass
class Neighbour:
    """The account's own mail: so many requests a second, each sent once, whatever comes back."""

    emulator: Emulator
    rate: float
    refused: list[float] = field(default_factory=list)

    async def send(self) -> None:
        loop = asyncio.get_running_loop()
        headers = {"Authorization": f"Bearer {Scene.token}"}
        number, began = 0, loop.time()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.emulator), base_url="http://mail") as client:
            while True:
                number += 1
                await asyncio.sleep(began + number / self.rate - loop.time())
                if (await client.get("/v2/ping", headers=headers)).status_code == httpx.codes.TOO_MANY_REQUESTS:
                    self.refused.append(loop.time())


class Watched(Lossy):
    """Remembers when requests were asked, and which were over the limit."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(app=emulator)
        self.asked: list[float] = []
        self.refused: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        time = asyncio.get_running_loop().time()
        self.asked.append(time)
        answer = await super().handle_async_request(request)
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.refused.append(time)
        return answer


@virtual
async def test_a_bucket_that_is_shared() -> None:
    """Beside mail that takes 60 of 100 requests a second ours settles at what is left, and comes back when mail ends.

    After the first seconds few of ours are refused, few of the mail's, and most of what is left is used.
    """
    loop = asyncio.get_running_loop()
    emulator = Emulator(seed(1), clock=loop.time, latency=0.02, rate=100, burst=200)
    watched, neighbour = Watched(emulator), Neighbour(emulator, 60)
    config = Scene(watched, rate=100, burst=200).config
    pace = config.paces.of(ACCOUNT)
    async with open_reads(replace(config, attempts=50)) as session:

        async def read(_number: int) -> None:
            await session.reader(ACCOUNT).get_key(SHOP)

        mail = asyncio.create_task(neighbour.send())
        ours = asyncio.create_task(in_flight(itertools.count(), read, 16))
        await asyncio.sleep(60)
        mail.cancel()
        ours.cancel()
        await asyncio.wait({mail, ours})
        settled = [time for time in watched.asked if time > 5]
        assert len([time for time in watched.refused if time > 5]) < 0.05 * len(settled)
        assert len([time for time in neighbour.refused if time > 5]) < 0.05 * 60 * 55
        assert len(settled) > 0.7 * 40 * 55
        assert pace.rate < 70
        await asyncio.sleep(100)
        assert pace.rate == 100
