"""What answers mean: keys, pages, errors, each seen through a session."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import time_machine

from ahasend.scene import (
    ACCOUNT,
    FIELDS,
    SHOP,
    SUB_ACCOUNT,
    TOKEN,
    Scene,
    Server,
    identifier,
    key,
    page,
    refusal,
    virtual,
    wire_key,
)
from reconciler.ahasend import open_reads, open_writes
from reconciler.ahasend.transport import Answer, Ask, Endpoint, Passing, Resource
from reconciler.ahasend.wire import check_status, keys_url, list_url, read_key, update_body
from reconciler.core.changes import Fields, ListDiff, TextDiff
from reconciler.core.keys import AccountRef, RemoteKey
from reconciler.core.networks import AllowList
from reconciler.core.scopes import ScopeSet
from reconciler.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    RemoteError,
    ServerFault,
    Unauthorized,
)

ENDPOINT = Endpoint("https://api.ahasend.com")
READ = Ask("GET", "https://api.ahasend.com/x", ACCOUNT, "reading key k of account a")
HTML = b"<html><body>Bad Gateway</body></html>"


def meaning(status: int, body: bytes = b'{"message": "no"}', ask: Ask = READ, **answer: str) -> RemoteError:
    """Give the error that an answer means, taken out of `Passing`."""
    with pytest.raises((RemoteError, Passing)) as caught:
        check_status(Answer(status, body, **answer), ask, TOKEN)
    error = caught.value.error if isinstance(caught.value, Passing) else caught.value
    assert isinstance(error, RemoteError)
    return error


def test_key() -> None:
    """A key is read with its scopes as texts and its times with their zone; fields that we do not know are ignored."""
    body = wire_key(
        SHOP.upper(),
        scopes=["messages:send:{B.example.com.}", "domains:read"],
        ip_allow_list=["203.0.113.7", "203.0.113.0/25"],
        last_used_at="2026-05-06T07:08:09+02:00",
        nickname="new",
    )
    assert read_key(Answer(200, json.dumps(body).encode()), READ) == RemoteKey(
        id=SHOP,
        label="Shop",
        scopes=ScopeSet.parse(["domains:read", "messages:send:{b.example.com}"]),
        ip_allow_list=AllowList.parse(["203.0.113.0/25", "203.0.113.7/32"]),
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        last_used_at=datetime(2026, 5, 6, 5, 8, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"scopes": "all"}, "scopes"),
        ({"label": 7}, "label"),
        ({"label": None}, "label"),
        ({"id": "key-7"}, "id"),
        ({"id": f"{SHOP}\n"}, "id"),
        ({"account_id": None}, "account_id"),
        ({"ip_allow_list": None}, "ip_allow_list"),
        ({"ip_allow_list": [7]}, "ip_allow_list[0]"),
        ({"created_at": "2026-01-02T03:04:05"}, "created_at"),
        ({"created_at": 1767323045}, "created_at"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
        ({"last_used_at": "9999-12-31T23:59:59-14:00"}, "last_used_at"),
        ({"last_used_at": "yesterday"}, "last_used_at"),
    ],
)
def test_wrong_field(change: dict[str, Any], place: str) -> None:
    """A field of the wrong type is named by its path, without its value."""
    body = json.loads(json.dumps(wire_key()))
    body |= change
    with pytest.raises(BadAnswer) as caught:
        read_key(Answer(200, json.dumps(body).encode(), request_id="x-request-id: 7"), READ)
    assert caught.value.message.startswith(f"reading key k of account a: {place}: ")
    assert caught.value.message.endswith("(x-request-id: 7)")
    assert "yesterday" not in str(caught.value)
    assert "key-7" not in str(caught.value)


def test_scope_as_text() -> None:
    """Scopes as plain texts, as they are sent, are not how the API lists them."""
    body = json.dumps(wire_key() | {"scopes": ["messages:send:all"]}).encode()
    with pytest.raises(BadAnswer, match=r"scopes\[0\]"):
        read_key(Answer(200, body), READ)


@pytest.mark.parametrize("name", ["id", "account_id", "label", "scopes", "ip_allow_list", "created_at", "last_used_at"])
def test_missing_field(name: str) -> None:
    """A field that is missing is never guessed."""
    body = wire_key()
    del body[name]
    with pytest.raises(BadAnswer, match=f": {name}: "):
        read_key(Answer(200, json.dumps(body).encode()), READ)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"data": None, "pagination": {"has_more": False}}),
        httpx.Response(200, json={"data": []}),
        page(has_more="false"),
        page(has_more=1),
        page(next_cursor=7),
        page(wire_key() | {"scopes": ["*"]}),
    ],
)
@virtual
async def test_wrong_page(reply: httpx.Response) -> None:
    """An answer that is no page is an error, and not asked for again: unread is not empty."""
    scene = Scene(server := Server(reply))
    async with open_reads(scene.config) as session:
        with pytest.raises(BadAnswer, match=f"^listing the keys of account {ACCOUNT}: "):
            await session.reader(ACCOUNT).list_keys()
    assert len(server.asked) == 1


@virtual
async def test_wrong_network() -> None:
    """Something that is no network is refused with the key's id, without its text."""
    async with open_reads(Scene(Server(key(ip_allow_list=["office"]))).config) as session:
        with pytest.raises(BadAnswer, match=f"ip_allow_list of key {SHOP}") as caught:
            await session.reader(ACCOUNT).get_key(SHOP)
    assert "office" not in str(caught.value)


@virtual
async def test_other_account() -> None:
    """A key of another account is refused, alone or among others, before a write as after it."""
    stranger = wire_key(identifier(5), account_id=SUB_ACCOUNT.sub_account_id)
    scene = Scene(Server(page(stranger), page(wire_key(), stranger), httpx.Response(200, json=stranger)))
    async with open_writes(scene.config) as session:
        for _ in range(2):
            with pytest.raises(BadAnswer, match=f"holds key {identifier(5)} of another account"):
                await session.reader(ACCOUNT).list_keys()
        with pytest.raises(BadAnswer, match="of another account"):
            await session.reader(ACCOUNT).get_key(identifier(5))
        with pytest.raises(BadAnswer, match="of another account"):
            await session.writer(ACCOUNT).update_key(identifier(5), FIELDS)
    shouted = AccountRef(ACCOUNT.account_id.upper())
    async with open_reads(Scene(Server(page(wire_key(account_id=ACCOUNT.account_id)))).config) as session:
        assert len(await session.reader(shouted).list_keys()) == 1


@virtual
async def test_keys_of_a_sub_account() -> None:
    """The keys of a sub account name it or its parent, in any spelling; one of anybody else makes the list an error."""
    parent, own = identifier(7), identifier(8)
    sibling = wire_key(identifier(5), account_id=identifier(9))
    both = page(wire_key(identifier(1), account_id=own.upper()), wire_key(identifier(2), account_id=parent.upper()))
    among_others = page(wire_key(identifier(1), account_id=own), sibling)
    account, shouted = AccountRef(parent, own), AccountRef(parent.upper(), own.upper())
    async with open_reads(Scene(Server(both, both, among_others, httpx.Response(200, json=sibling))).config) as session:
        for spelling in (account, shouted):
            assert len(await session.reader(spelling).list_keys()) == 2
        why = f"account {account}: the answer holds key {identifier(5)} of another account"
        with pytest.raises(BadAnswer, match=why):
            await session.reader(account).list_keys()
        with pytest.raises(BadAnswer, match=why):
            await session.reader(account).get_key(identifier(5))


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "one"},
        {"id": None},
        {"parent_account_id": None},
        {"name": None},
        {"status": 1},
    ],
)
@virtual
async def test_wrong_sub_account(entry: dict[str, Any]) -> None:
    """A sub account that is not as promised makes the list an error that names the place."""
    whole = {"id": SHOP, "parent_account_id": ACCOUNT.account_id, "name": "Acme", "status": "active"}
    async with open_reads(Scene(Server(page(whole | entry))).config) as session:
        with pytest.raises(
            BadAnswer, match=rf"^listing the sub accounts of account .*data\[0\]\.{next(iter(entry))}: "
        ):
            await session.reader(ACCOUNT).list_sub_accounts()


@virtual
async def test_what_belongs_to_others() -> None:
    """A sub account of another parent and a domain of another account are refused; spelling does not matter."""
    stranger, own = str(SUB_ACCOUNT.sub_account_id), ACCOUNT.account_id.upper()
    for account_id, message in ((stranger, "of another account"), (own, "")):
        sub_account = {"id": SHOP, "parent_account_id": account_id, "name": "Acme", "status": "active"}
        domain = {"id": SHOP, "account_id": account_id, "domain": "shop.example.com"}
        async with open_reads(Scene(Server(page(sub_account), page(domain))).config) as session:
            reader = session.reader(ACCOUNT)
            expected = pytest.raises(BadAnswer, match=message) if message else nullcontext()
            with expected:
                assert len(await reader.list_sub_accounts()) == 1
            with expected:
                assert len(await reader.list_domains()) == 1


def test_update_body() -> None:
    """A PUT carries only the fields that differ; an empty list is sent, an absent one is not."""
    assert json.loads(update_body(Fields(label=TextDiff("a", "b")))) == {"label": "b"}
    fields = Fields(scopes=ListDiff(("x",), ("y", "z")), ip_allow_list=ListDiff(("192.0.2.1/32",), ()))
    assert json.loads(update_body(fields)) == {"scopes": ["y", "z"], "ip_allow_list": []}


def test_addresses() -> None:
    """Keys live below their account, those of a sub account below its parent; a path prefix is kept."""
    base = "https://proxy.example.com/ahasend"
    assert keys_url(Endpoint(f"{base}/"), AccountRef("a"), "k") == f"{base}/v2/accounts/a/api-keys/k"
    assert keys_url(Endpoint(base), AccountRef("a", "s")) == f"{base}/v2/accounts/a/sub-accounts/s/api-keys"
    for resource, path in (
        (Resource.KEY, "api-keys"),
        (Resource.SUB_ACCOUNT, "sub-accounts"),
        (Resource.DOMAIN, "domains"),
    ):
        assert list_url(Endpoint(base), AccountRef("a"), resource) == f"{base}/v2/accounts/a/{path}"


@pytest.mark.parametrize("key_id", ["..", "a/b", "a?b", "a#b", "a%2Fb", " ", "ä", "a\r\nb"])
def test_one_segment(key_id: str) -> None:
    """Whatever an identifier holds, it stays one segment of the path."""
    path = httpx.URL(keys_url(ENDPOINT, AccountRef("a"), key_id)).raw_path.decode()
    assert path.startswith("/v2/accounts/a/api-keys/")
    assert path.count("/") == 5
    assert not set(path) & set("?# \r\n")


def test_unwritable_identifier() -> None:
    """An identifier that no address can hold is refused before anything is sent."""
    with pytest.raises(Rejected, match="identifier"):
        keys_url(ENDPOINT, AccountRef("\ud800"))


@pytest.mark.parametrize(
    ("status", "kind", "foreign"),
    [
        (201, BadAnswer, BadAnswer),
        (204, BadAnswer, BadAnswer),
        (302, BadAnswer, BadAnswer),
        (308, BadAnswer, BadAnswer),
        (400, Rejected, BadAnswer),
        (401, Unauthorized, Unauthorized),
        (403, Forbidden, BadAnswer),
        (404, NotFound, BadAnswer),
        (408, ServerFault, ServerFault),
        (409, Rejected, BadAnswer),
        (418, Rejected, BadAnswer),
        (422, Rejected, BadAnswer),
        (425, ServerFault, ServerFault),
        (429, RateLimited, RateLimited),
        (499, Rejected, BadAnswer),
        (500, ServerFault, ServerFault),
        (503, ServerFault, ServerFault),
        (599, ServerFault, ServerFault),
        (999, BadAnswer, BadAnswer),
    ],
)
def test_statuses(status: int, kind: type[RemoteError], foreign: type[RemoteError]) -> None:
    """Each status has its error; a body that is not the API's says nothing of scopes or keys, and the error tells."""
    own = meaning(status)
    assert (type(own), own.exit_code) == (kind, 4)
    assert own.message.startswith(f"reading key k of account a: {status}")
    assert own.message.endswith(": no")
    assert own.hint
    for body in (HTML, b"", b"{}", b'"no"', b'{"message": 7}'):
        other = meaning(status, body)
        assert type(other) is foreign
        assert "something between here and the API" in other.message
        assert "Gateway" not in other.message.removeprefix(f"reading key k of account a: {status} Bad Gateway")


def test_hints() -> None:
    """A 401 names where its credential is held, a 403 the scope that the call needs."""
    account = AccountRef("a", credential="team-one")
    hint = meaning(401, ask=Ask("GET", "", account, "reading")).hint
    assert "AHASEND_API_KEY_TEAM_ONE" in hint
    assert "ahasend_api_key_team_one" in hint
    assert "AHASEND_API_KEY " in meaning(401).hint
    assert "scope api-keys:read" in meaning(403).hint
    assert "scope sub-account-api-keys:write" in meaning(403, ask=Ask("PUT", "", SUB_ACCOUNT, "writing")).hint
    assert "scope sub-account-api-keys:read" in meaning(403, ask=Ask("GET", "", SUB_ACCOUNT, "reading")).hint
    sub_accounts = Ask("GET", "", ACCOUNT, "listing", resource=Resource.SUB_ACCOUNT)
    assert "scope sub-accounts:read," in meaning(403, ask=sub_accounts).hint
    domains = Ask("GET", "", ACCOUNT, "listing", resource=Resource.DOMAIN)
    assert "scope domains:read, which --check-domains needs," in meaning(403, ask=domains).hint
    assert "--check-domains" not in meaning(403).hint + meaning(403, ask=sub_accounts).hint


def test_message_is_fit_to_show() -> None:
    """The server's text is shown without secrets, with control characters escaped, and not endlessly."""
    said = f"\x1b[31m{TOKEN}\n aha-sk-other_one \u202e" + "x" * 1000
    message = meaning(
        400, json.dumps({"message": said}).encode(), request_id=f"cf-ray: \x1b{TOKEN}" + "9" * 200
    ).message
    assert "aha-sk-***\\n aha-sk-*** \\u202exxx" in message
    assert TOKEN not in message
    assert "other_one" not in message
    assert message.isprintable()
    assert len(message) < 500
    assert "(cf-ray: \\x1baha-sk-***999" in message


@pytest.mark.parametrize(
    ("status", "passing"),
    [(400, False), (404, False), (408, True), (409, False), (422, False), (425, True), (429, True), (500, True)],
)
def test_passing_statuses(status: int, passing: bool) -> None:
    """A refusal of the moment may pass; one of what was asked never does."""
    with pytest.raises(Passing if passing else RemoteError):
        check_status(Answer(status, b'{"message": "no"}'), READ, TOKEN)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        (" 1.5 ", 1.5),
        ("9" * 5000, 60),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 12:00:00 GMT", 60),
        ("Mon, 99 Nov 2026 12:00:00 GMT", None),
        ("Mon, 23 Nov 99999999999999999999 12:00:00 GMT", None),
        ("Mon, 23 Nov 2026 12:00:00 +99999999999999", None),
    ],
)
@time_machine.travel(datetime(2026, 11, 23, 12, tzinfo=UTC), tick=False)
def test_retry_after(sent: str, seconds: float | None) -> None:
    """Retry-After is followed as seconds or as a date, within a minute; anything else is as if it had not come."""
    with pytest.raises(Passing) as caught:
        check_status(Answer(429, b"", retry_after=sent), READ, TOKEN)
    assert caught.value.retry_after == seconds


def test_retry_after_by_the_servers_clock() -> None:
    """A date is read by the clock of the server that wrote it."""
    answer = Answer(429, b"", "Mon, 23 Nov 2026 12:00:05 GMT", "Mon, 23 Nov 2026 12:00:00 GMT")
    with pytest.raises(Passing) as caught:
        check_status(answer, READ, TOKEN)
    assert caught.value.retry_after == 5


def cut(body: bytes) -> bytes:
    return body[:-20]


def as_html(_body: bytes) -> bytes:
    return HTML


@pytest.mark.parametrize(
    ("mangle", "named"), [(cut, "truncated JSON"), (as_html, "an HTML page"), (bytes.upper, "JSON")]
)
@virtual
async def test_garbled_body(mangle: Callable[[bytes], bytes], named: str) -> None:
    """A body that is no JSON is a hiccup of something on the way: asked for again, and named if it stays."""
    good = page(wire_key())
    garbled = httpx.Response(200, content=mangle(good.content))
    async with open_reads(Scene(Server(garbled, good)).config) as session:
        assert len(await session.reader(ACCOUNT).list_keys()) == 1
    async with open_reads(Scene(Server(garbled)).config) as session:
        with pytest.raises(BadAnswer, match=named):
            await session.reader(ACCOUNT).list_keys()


@virtual
async def test_request_id() -> None:
    """A request id that came is shown: support asks for it."""
    async with open_reads(Scene(Server(refusal(400, cf_ray="8f1"))).config) as session:
        with pytest.raises(Rejected, match=r"400 Bad Request: no \(cf-ray: 8f1\)"):
            await session.reader(ACCOUNT).list_keys()
