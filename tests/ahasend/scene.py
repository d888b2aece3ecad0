"""What the client's tests start from: a small fake server, sessions over it, keys as the API writes them."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ParamSpec

import httpx

from reconciler.ahasend import ClientConfig, Endpoint, Paces, Stop
from reconciler.core.changes import Fields, ListDiff, TextDiff
from reconciler.core.events import Event, RequestEnded
from reconciler.core.keys import AccountRef
from virtual_time import run_virtual

type_parameters = ParamSpec("type_parameters")

ACCOUNT = AccountRef("11111111-1111-4111-8111-111111111111")
SUB_ACCOUNT = AccountRef(ACCOUNT.account_id, "33333333-3333-4333-8333-333333333333")
SHOP = "aaaaaaaa-0000-4000-8000-000000000003"
TOKEN = "aha-sk-" + "t0ken" * 12 + "abcd"
BASE = "http://127.0.0.1:4280"
KEYS = f"{BASE}/v2/accounts/{ACCOUNT.account_id}/api-keys"
FIELDS = Fields(
    label=TextDiff("shop", "Shop"), scopes=ListDiff(("messages:read:all",), ("messages:send:all",)), ip_allow_list=None
)

Reply = httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response]]


def virtual(
    test: Callable[type_parameters, Coroutine[Any, Any, None]],
) -> Callable[type_parameters, None]:
    """Run a test in virtual time."""

    @functools.wraps(test)
    def run(*args: type_parameters.args, **kwargs: type_parameters.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run


class Server(httpx.AsyncBaseTransport):
    """Gives its replies one after the other, the last one for ever, and remembers what it was asked and when."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = replies
        self.asked: list[httpx.Request] = []
        self.times: list[float] = []
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.times.append(asyncio.get_running_loop().time())
        reply = self._replies[min(len(self.asked), len(self._replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):
            return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)
        return await reply(request)

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Scene:
    """A configuration over a server, and what was observed: the requests that ended, and all other events."""

    server: httpx.AsyncBaseTransport
    rate: float = 1000.0
    burst: int = 1000
    token: str = field(default=TOKEN, repr=False)
    events: list[Event] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)
    ended: list[RequestEnded] = field(default_factory=list)

    def observe(self, event: Event) -> None:
        match event:
            case RequestEnded():
                self.ended.append(event)
            case _:
                self.events.append(event)

    @property
    def config(self) -> ClientConfig:
        return ClientConfig(
            endpoint=Endpoint(BASE),
            paces=Paces(self.rate, self.burst),
            stop=self.stop,
            observe=self.observe,
            token=lambda _account, _refused: self.token,
            make_transport=lambda: self.server,
            backoff=1.0,
        )


def identifier(number: int) -> str:
    return f"bbbbbbbb-0000-4000-8000-{number:012}"


def wire_key(key_id: str = SHOP, **fields: Any) -> dict[str, Any]:
    """Give a key as the API writes it."""
    scopes = fields.pop("scopes", ["messages:send:all"])
    stamps = {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05.678901Z"}
    return {
        "object": "api_key",
        "id": key_id,
        **stamps,
        "last_used_at": None,
        "account_id": ACCOUNT.account_id,
        "label": "Shop",
        "public_key": "aha-pk-x",
        "scopes": [
            {"id": identifier(9), **stamps, "api_key_id": key_id, "scope": s, "domain_id": None} for s in scopes
        ],
        "ip_allow_list": [],
    } | fields


def page(*keys: dict[str, Any], after: str | None = None, **pagination: Any) -> httpx.Response:
    """Give an answer that holds a page of a list."""
    more = {"has_more": after is not None} | ({"next_cursor": after} if after is not None else {}) | pagination
    return httpx.Response(200, json={"object": "list", "data": list(keys), "pagination": more})


def key(**fields: Any) -> httpx.Response:
    """Give an answer that holds one key."""
    return httpx.Response(200, json=wire_key(**fields))


def refusal(status: int, message: str = "no", **headers: str) -> httpx.Response:
    """Give an answer that is an error of the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=json.dumps({"message": message}), headers=named)


async def hang(_request: httpx.Request) -> httpx.Response:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError
