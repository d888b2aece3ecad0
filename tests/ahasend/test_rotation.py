"""A credential that is replaced while it is in use."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ahasend.scene import ACCOUNT, FIELDS, SHOP, Reply, Scene, Server, identifier, key, page, refusal, virtual, wire_key
from reconciler.ahasend import ClientConfig, WriteSession, open_reads, open_writes
from reconciler.core.events import ListingProgressed, RequestRetried
from reconciler.core.keys import AccountRef
from reconciler.core.report import RequestCounts
from reconciler.errors import Forbidden, Interrupted, ServerFault, SettingsError, Unauthorized
from reconciler.settings import load_settings

OLD, NEW = "aha-sk-" + "o" * 64, "aha-sk-" + "n" * 64
ONE, TWO = (wire_key(identifier(number)) for number in (1, 2))
REFUSED = refusal(401, "invalid API key")


class Source:
    """Gives the first of its tokens until that is refused, then the next one; the last one for ever."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.refused: list[str] = []

    def __call__(self, account: AccountRef, refused: str | None) -> str:
        if refused is not None:
            self.refused.append(refused)
            if refused == self._tokens[0] and len(self._tokens) > 1:
                del self._tokens[0]
        return self._tokens[0]


def scene(source: Source, *replies: Reply) -> tuple[Scene, Server, ClientConfig]:
    made = Scene(server := Server(*replies))
    return made, server, replace(made.config, token=source)


def tokens_of(server: Server) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.asked]


@virtual
async def test_listing_goes_on() -> None:
    """A token that is refused in the middle of a list is asked for again, and the same page with the new one."""
    made, server, config = scene(Source(OLD, NEW), page(ONE, after="a"), REFUSED, page(TWO))
    async with open_reads(config) as session:
        assert len(await session.reader(ACCOUNT).list_keys()) == 2
    assert tokens_of(server) == [OLD, OLD, NEW]
    assert server.asked[1].url == server.asked[2].url
    assert session.requests == RequestCounts(GET=3)
    progressed, event = made.events
    assert progressed == ListingProgressed(ACCOUNT, 1)
    assert isinstance(event, RequestRetried)
    assert (event.method, event.attempt, event.wait) == ("GET", 1, 0)
    assert "401" in event.error


@virtual
async def test_write_goes_once_more() -> None:
    """A PUT that met a 401 wrote nothing: it goes once more with the new token, and what comes first does so again."""
    made, server, config = scene(Source(OLD, NEW), REFUSED, key())
    firsts: list[int] = []

    async def first() -> None:
        firsts.append(len(server.asked))

    async with open_writes(config) as session:
        assert (await session.writer(ACCOUNT).update_key(SHOP, FIELDS, first=first)).id == SHOP
    assert tokens_of(server) == [OLD, NEW]
    assert server.asked[0].content == server.asked[1].content
    assert firsts == [0, 1]
    assert session.requests == RequestCounts(PUT=2)
    (event,) = made.events
    assert isinstance(event, RequestRetried)
    assert event.method == "PUT"


@virtual
async def test_the_token_that_was_given() -> None:
    """Sent once more is what the source gave for the refused token, whatever it would give when asked again."""
    for work in ("list", "write"):
        server = Server(REFUSED, page(ONE) if work == "list" else key())
        config = replace(Scene(server).config, token=lambda _account, refused: NEW if refused == OLD else OLD)
        async with open_writes(config) as session:
            if work == "list":
                await session.reader(ACCOUNT).list_keys()
            else:
                await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
        assert tokens_of(server) == [OLD, NEW]


@virtual
async def test_what_forbids_the_second_write() -> None:
    """What comes first may forbid the PUT at its second time, and so may a request to stop."""
    made, server, config = scene(Source(OLD, NEW), REFUSED, key())

    async def stopped() -> None:
        if server.asked:
            made.stop.request()
            await asyncio.sleep(0.1)

    async def forbidden() -> None:
        if server.asked:
            raise Forbidden("no more")

    async with open_writes(config) as session:
        with pytest.raises(Forbidden, match="no more"):
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS, first=forbidden)
    assert len(server.asked) == 1
    made, server, config = scene(Source(OLD, NEW), REFUSED, key())
    async with open_writes(config) as session:
        with pytest.raises(Interrupted, match=r"^interrupted$"):
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS, first=stopped)
    assert len(server.asked) == 1


@pytest.mark.parametrize("tokens", [(OLD,), (OLD, NEW), (OLD, NEW, OLD + "x", NEW + "x")])
@virtual
async def test_refused_for_good(tokens: tuple[str, ...]) -> None:
    """With the same token nothing is sent again, with another one only once: then a 401 is an error as ever."""

    async def write(session: WriteSession) -> None:
        await session.writer(ACCOUNT).update_key(SHOP, FIELDS)

    async def read(session: WriteSession) -> None:
        await session.reader(ACCOUNT).list_keys()

    for act in (read, write):
        made, server, config = scene(source := Source(*tokens), REFUSED)
        async with open_writes(config) as session:
            with pytest.raises(Unauthorized, match="invalid API key"):
                await act(session)
        assert tokens_of(server) == list(tokens[:2])
        assert source.refused == [OLD]
        assert len(made.events) == len(tokens[:2]) - 1


@virtual
async def test_once_among_other_faults() -> None:
    """A GET that goes on after faults has another token once, not once an attempt; what waited stays counted."""
    _, server, config = scene(Source(OLD, NEW, "third"), refusal(503), REFUSED, refusal(503), REFUSED)
    async with open_reads(config) as session:
        with pytest.raises(Unauthorized):
            await session.reader(ACCOUNT).get_key(SHOP)
    assert tokens_of(server) == [OLD, OLD, NEW, NEW]
    _, server, config = scene(Source(OLD, NEW), REFUSED, refusal(503))
    async with open_reads(config) as session:
        with pytest.raises(ServerFault):
            await session.reader(ACCOUNT).get_key(SHOP)
    assert len(server.asked) == 1 + 5


@virtual
async def test_a_new_token_that_is_none() -> None:
    """A new token that cannot be one is told as that, and not sent."""
    _, server, config = scene(Source(OLD, "two\nlines"), REFUSED)
    async with open_writes(config) as session:
        with pytest.raises(SettingsError, match="line break"):
            await session.reader(ACCOUNT).get_key(SHOP)
        with pytest.raises(SettingsError, match="line break"):
            await session.writer(ACCOUNT).update_key(SHOP, FIELDS)
    assert len(server.asked) == 1


class Account(Server):
    """Takes one token only; the secret's file is replaced when so many requests were asked, as Kubernetes does it."""

    def __init__(self, volume: Path, after: int, *replies: Reply) -> None:
        super().__init__(*replies)
        self._volume = volume
        self._after = after
        self._valid = OLD

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._after == 0:
            self._valid = NEW
            mount(self._volume, NEW)
        self._after -= 1
        if request.headers["authorization"] != f"Bearer {self._valid}":
            return REFUSED
        return await super().handle_async_request(request)


def mount(volume: Path, token: str) -> None:
    """Write a secret as Kubernetes does: into a new directory, to which a link is turned in one step."""
    version = volume / f"..{len(list(volume.iterdir()))}"
    version.mkdir()
    (version / "ahasend_api_key").write_text(f"{token}\n")
    (volume / "..next").symlink_to(version.name)
    (volume / "..next").rename(volume / "..data")
    if not (volume / "ahasend_api_key").is_symlink():
        (volume / "ahasend_api_key").symlink_to("..data/ahasend_api_key")


@virtual
async def test_from_a_mounted_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Kubernetes Secret that is replaced in the middle of a list, or before a PUT, is not noticed by who asks."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", os.fspath(tmp_path))
    mount(tmp_path, OLD)
    server = Account(tmp_path, 1, page(ONE, after="a"), page(TWO))
    async with open_writes(replace(Scene(server).config, token=load_settings([]).token)) as session:
        assert len(await session.reader(ACCOUNT).list_keys()) == 2
    assert session.requests == RequestCounts(GET=3)
    mount(tmp_path, OLD)
    server = Account(tmp_path, 0, key())
    settings = load_settings([])
    async with open_writes(replace(Scene(server).config, token=settings.token)) as session:
        assert (await session.writer(ACCOUNT).update_key(SHOP, FIELDS)).id == SHOP
    assert session.requests == RequestCounts(PUT=2)
    assert set(settings.secrets) == {OLD, NEW}
