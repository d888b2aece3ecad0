"""What the emulator's tests start from: one account with a few keys, and ways to ask about it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from reconciler.emulator.server import Emulator

ACCOUNT = "11111111-1111-4111-8111-111111111111"
OTHER_ACCOUNT = "22222222-2222-4222-8222-222222222222"
SUB_ACCOUNT = "33333333-3333-4333-8333-333333333333"
ADMIN = "aaaaaaaa-0000-4000-8000-000000000001"
READER = "aaaaaaaa-0000-4000-8000-000000000002"
SHOP = "aaaaaaaa-0000-4000-8000-000000000003"
STRANGER = "aaaaaaaa-0000-4000-8000-000000000004"
NOBODY = "aaaaaaaa-0000-4000-8000-00000000ffff"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

KEYS = f"/v2/accounts/{ACCOUNT}/api-keys"
SHOP_KEY = f"{KEYS}/{SHOP}"
SUB_ACCOUNTS = f"/v2/accounts/{ACCOUNT}/sub-accounts"
ACME = f"{SUB_ACCOUNTS}/{SUB_ACCOUNT}"
ACME_KEYS = f"{ACME}/api-keys"
DOMAINS = f"/v2/accounts/{ACCOUNT}/domains"

NEW_KEY: dict[str, Any] = {"label": "new", "scopes": ["messages:send:{shop.example.com}", "domains:read"]}

SEED: dict[str, Any] = {
    "accounts": [
        {
            "id": ACCOUNT,
            "domains": ["shop.example.com", "News.Example.org."],
            "keys": [
                {"id": ADMIN, "label": "admin", "secret_key": "aha-sk-admin", "scopes": ["*"]},
                {"id": READER, "label": "reader", "secret_key": "aha-sk-reader", "scopes": ["api-keys:read"]},
                {"id": SHOP, "label": "shop", "scopes": ["messages:send:{shop.example.com}", "suppressions:read"]},
            ],
            "sub_accounts": [
                {"id": SUB_ACCOUNT, "name": "Acme", "keys": [{"label": "a", "secret_key": "sub", "scopes": ["*"]}]}
            ],
        },
        {
            "id": OTHER_ACCOUNT,
            "keys": [{"id": STRANGER, "label": "stranger", "secret_key": "aha-sk-stranger", "scopes": ["*"]}],
        },
    ]
}


class Time:
    """A clock and a calendar that move only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.moment = NOON

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.moment

    def passes(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


def seed(**shop: object) -> dict[str, Any]:
    """The usual seed, with other fields for the shop's key."""
    document = deepcopy(SEED)
    document["accounts"][0]["keys"][2].update(shop)
    return document


def emulator(document: object = None, *, time: Time | None = None, **limits: Any) -> Emulator:
    time = time or Time()
    return Emulator(SEED if document is None else document, clock=time.clock, now=time.now, **limits)


@asynccontextmanager
async def client(
    app: Emulator, *, token: str | None = "aha-sk-admin", address: str = "127.0.0.1"
) -> AsyncIterator[httpx.AsyncClient]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app, client=(address, 50000))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://emulator", headers=headers, trust_env=False
    ) as opened:
        yield opened


async def ask(
    app: Emulator,
    method: str,
    path: str,
    *,
    token: str | None = "aha-sk-admin",
    address: str = "127.0.0.1",
    **request: Any,
) -> httpx.Response:
    """One request of a client of its own."""
    async with client(app, token=token, address=address) as opened:
        return await opened.request(method, path, **request)


async def put(app: Emulator, path: str = SHOP_KEY, **fields: Any) -> httpx.Response:
    """A PUT of these fields by the administrator."""
    return await ask(app, "PUT", path, json=fields)


def with_sub_account(**fields: object) -> Emulator:
    """The usual accounts, with other fields for the sub account."""
    document = seed()
    document["accounts"][0]["sub_accounts"][0].update(fields)
    return emulator(document)


async def create(app: Emulator, path: str = KEYS, *, key: str | None = None, **request: Any) -> httpx.Response:
    """A POST of a new key by the administrator, under this `Idempotency-Key` if one is given."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await ask(app, "POST", path, headers=headers, **({"json": NEW_KEY} | request))


async def labels_of(app: Emulator, path: str = KEYS) -> list[str]:
    return [key["label"] for key in (await ask(app, "GET", path)).json()["data"]]


def scopes_of(answer: httpx.Response) -> list[str]:
    return [item["scope"] for item in answer.json()["scopes"]]
