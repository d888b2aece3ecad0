"""Reading whole lists, of keys, sub accounts and domains, or none at all."""

import asyncio
from typing import Any

import httpx
import pytest

from ahasend.scene import (
    ACCOUNT,
    SUB_ACCOUNT,
    Reply,
    Scene,
    Server,
    identifier,
    page,
    refusal,
    virtual,
    wire_key,
)
from reconciler.ahasend import client, open_reads
from reconciler.ahasend.transport import POOL
from reconciler.core.keys import RemoteKey
from reconciler.errors import BadAnswer, Forbidden, Unreachable, UnsoundListing

ONE, TWO, THREE = (wire_key(identifier(number)) for number in (1, 2, 3))


async def listed(*replies: Reply) -> tuple[tuple[RemoteKey, ...], Server]:
    """List the keys of a server, which is given back with what it was asked."""
    server = Server(*replies)
    async with open_reads(Scene(server).config) as session:
        return await session.reader(ACCOUNT).list_keys(), server


@virtual
async def test_pages() -> None:
    """A list is followed page by page to its end, cursors quoted, and every key is given."""
    keys, server = await listed(page(ONE, after="a&b=c/?"), page(TWO, after="d"), page(THREE, next_cursor="ignored"))
    assert [found.id for found in keys] == [identifier(1), identifier(2), identifier(3)]
    assert [dict(request.url.params) for request in server.asked] == [
        {"limit": "100"},
        {"limit": "100", "after": "a&b=c/?"},
        {"limit": "100", "after": "d"},
    ]


@virtual
async def test_no_keys() -> None:
    """An account without keys is an empty list, as long as the API says so."""
    assert (await listed(page()))[0] == ()


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ((page(ONE, after="a"), page(TWO, after="a")), "cursor that was used"),
        ((page(ONE, after="a"), page(TWO, after="b"), page(THREE, after="a")), "cursor that was used"),
        ((page(ONE, has_more=True),), "not where"),
        ((page(ONE, after=""),), "not where"),
        ((page(ONE, has_more=True, next_cursor=None),), "not where"),
        ((page(ONE, after="a"), page(after="b")), "empty page"),
        ((page(ONE, TWO, ONE),), f"key {identifier(1)} came twice"),
        ((page(ONE, TWO, after="a"), page(TWO)), f"key {identifier(2)} came twice"),
        ((page(ONE, after="a"), page(TWO, after="b"), page(THREE, after="c")), "more than 2 pages"),
    ],
)
@virtual
async def test_unsound_lists(replies: tuple[httpx.Response, ...], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that cannot be trusted is an error that says why, and never a part of the keys."""
    if "pages" in why:
        monkeypatch.setattr(client, "MOST_PAGES", 2)
    with pytest.raises(UnsoundListing, match=why) as caught:
        await listed(*replies, *replies)
    assert str(ACCOUNT) in caught.value.message
    assert caught.value.hint


@virtual
async def test_key_moved_while_listing() -> None:
    """A key that came twice once, because it moved while the list was read, is no error: the list is read again."""
    keys, server = await listed(page(ONE, after="a"), page(ONE), page(ONE, after="a"), page(TWO))
    assert len(keys) == 2
    assert len(server.asked) == 4


@virtual
async def test_broken_page() -> None:
    """A page that cannot be read makes the whole list an error."""
    for reply, kind in ((refusal(403), Forbidden), (httpx.ReadError("lost"), Unreachable), (page({}), BadAnswer)):
        with pytest.raises(kind):
            await listed(page(ONE, after="a"), reply)


def sub_account(number: int, **fields: Any) -> dict[str, Any]:
    """Give a sub account as the API writes it."""
    return {
        "object": "sub_account",
        "id": identifier(number),
        "parent_account_id": ACCOUNT.account_id,
        "name": f"Acme {number}",
        "website": "acme.example.com",
        "status": "active",
    } | fields


def domain(name: str) -> dict[str, Any]:
    """Give a domain as the API writes it."""
    return {"object": "domain", "id": identifier(8), "account_id": ACCOUNT.account_id, "domain": name}


@virtual
async def test_sub_accounts() -> None:
    """Sub accounts are listed to the end, with whatever status they have, but for the deleted ones."""
    statuses = ["active", "suspended", "parent-suspended", "deleted", "on-fire"]
    listed = [sub_account(number, status=status) for number, status in enumerate(statuses)]
    scene = Scene(server := Server(page(*listed[:2], after="a"), page(*listed[2:])))
    async with open_reads(scene.config) as session:
        found = await session.reader(ACCOUNT).list_sub_accounts()
    assert [(one.id, one.name, one.status) for one in found] == [
        (identifier(number), f"Acme {number}", status) for number, status in enumerate(statuses) if status != "deleted"
    ]
    assert [one.suspended for one in found] == [False, True, True, False]
    assert [request.url.path for request in server.asked] == [f"/v2/accounts/{ACCOUNT.account_id}/sub-accounts"] * 2
    assert dict(server.asked[1].url.params) == {"limit": "100", "after": "a"}


@virtual
async def test_sub_accounts_page_by_page() -> None:
    """Whoever wants to is told of each page when it comes, the deleted ones left out, and again if it is read again."""
    listed = [sub_account(number, status="deleted" if number == 2 else "active") for number in range(4)]
    told: list[tuple[str, ...]] = []
    pages = (page(listed[0], after="a"), page(listed[0]), page(*listed[:2], after="b"), page(*listed[2:]))
    async with open_reads(Scene(Server(*pages)).config) as session:
        found = await session.reader(ACCOUNT).list_sub_accounts(lambda page: told.append(tuple(one.id for one in page)))
    first, second, fourth = (identifier(number) for number in (0, 1, 3))
    assert told == [(first,), (first,), (first, second), (fourth,)]
    assert [one.id for one in found] == [first, second, fourth]


@virtual
async def test_sub_accounts_go_ahead() -> None:
    """At one request a second 25 pages of sub accounts are read in a minute, although fifteen readers are never idle.

    The readers still get every turn that the list leaves.
    """
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(loop.time())
        await asyncio.sleep(0.2)
        if not request.url.path.endswith("/sub-accounts"):
            return page(ONE)
        number = int(request.url.params.get("after", "0"))
        more = str(number + 1) if number < 24 else None
        return page(*(sub_account(100 * number + place) for place in range(100)), after=more)

    async with open_reads(Scene(Server(answer), rate=1, burst=1).config) as session:

        async def read_keys() -> None:
            while True:
                await session.reader(SUB_ACCOUNT).list_keys()

        readers = [asyncio.create_task(read_keys()) for _ in range(POOL - 1)]
        await asyncio.sleep(30)
        found = await session.reader(ACCOUNT).list_sub_accounts()
        took = loop.time() - 30
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    assert len(found) == 2500
    assert took < 60
    assert asked == pytest.approx(range(len(asked)), abs=1e-3)
    assert len(asked) >= 30 + took - 1


@virtual
async def test_domains() -> None:
    """Domains are listed by their canonical names."""
    scene = Scene(server := Server(page(domain("Shop.Example.com."), after="a"), page(domain("news.example.com"))))
    async with open_reads(scene.config) as session:
        found = await session.reader(ACCOUNT).list_domains()
    assert found == {"shop.example.com", "news.example.com"}
    assert server.asked[0].url.path == f"/v2/accounts/{ACCOUNT.account_id}/domains"


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ((page(sub_account(1), after="a"), page(sub_account(2), after="a")), "cursor that was used"),
        ((page(sub_account(1), has_more=True),), "not where"),
        ((page(after="a"),), "empty page"),
        ((page(sub_account(1), sub_account(1)),), f"sub account {identifier(1)} came twice"),
        ((page(sub_account(1), sub_account(1, status="deleted")),), "came twice"),
    ],
)
@virtual
async def test_unsound_lists_of_sub_accounts(replies: tuple[httpx.Response, ...], why: str) -> None:
    """A list of sub accounts is as sound as one of keys, or it is an error that says of what it is."""
    async with open_reads(Scene(Server(*replies, *replies)).config) as session:
        with pytest.raises(UnsoundListing, match=f"^the list of sub accounts of account {ACCOUNT}: .*{why}"):
            await session.reader(ACCOUNT).list_sub_accounts()


@virtual
async def test_unsound_list_of_domains() -> None:
    """A domain that comes twice, in whatever spelling, makes the list one that cannot be trusted."""
    twice = page(domain("a.example.com"), domain("A.example.com"))
    async with open_reads(Scene(server := Server(twice)).config) as session:
        with pytest.raises(UnsoundListing, match=r"the list of domains .*: domain a\.example\.com came twice"):
            await session.reader(ACCOUNT).list_domains()
    assert len(server.asked) == 2


@virtual
async def test_what_sub_accounts_do_not_list() -> None:
    """Asked for a sub account's own domains or sub accounts, a reader gives no one else's: that is a bug, and told."""
    async with open_reads(Scene(server := Server(page())).config) as session:
        for listing in (session.reader(SUB_ACCOUNT).list_domains, session.reader(SUB_ACCOUNT).list_sub_accounts):
            with pytest.raises(ValueError, match="is a sub account"):
                await listing()
    assert not server.asked
