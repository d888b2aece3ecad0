"""Whatever comes in, the answer is one of the API's own."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.scene import ACCOUNT, ACME, ACME_KEYS, DOMAINS, KEYS, NOBODY, SHOP_KEY, SUB_ACCOUNTS, emulator
from reconciler.emulator.server import Emulator

PATHS = [
    KEYS,
    SHOP_KEY,
    f"{KEYS}/{NOBODY}",
    SUB_ACCOUNTS,
    ACME,
    f"{ACME}/suspend",
    f"{ACME}/unsuspend",
    f"{SUB_ACCOUNTS}/usage",
    ACME_KEYS,
    f"{ACME_KEYS}/{NOBODY}",
    DOMAINS,
    f"{DOMAINS}/shop.example.com",
    "/v2/ping",
    "/_emulator/state",
    "/_emulator/faults",
    f"/_emulator/domains/{ACCOUNT}/x",
]
ODD_TEXTS = ["", "\x00", "\ud800", "é" * 300, "a/b", "..", "%00", "{", "🔑", "\n", "9" * 5000, "-1", "1e999", "NaN"]
ODD_VALUES: list[object] = [
    None,
    True,
    0,
    -1,
    10**400,
    0.5,
    float("inf"),
    float("nan"),
    [],
    {},
    [None],
    [[]],
    [{}],
    ["x"] * 1000,
    {"a": {"b": []}},
    *ODD_TEXTS,
]
FIELDS = [
    "label",
    "scopes",
    "ip_allow_list",
    "name",
    "website",
    "monthly_credit",
    "reason",
    "accounts",
    "rules",
    "keys",
]
STATUSES = {200, 201, 400, 401, 403, 404, 405, 409, 422}


async def answer_to(app: Emulator, **scope: Any) -> tuple[int, bytes, dict[bytes, bytes]]:
    """The answer to a request made of raw parts, as a server hands them on: nothing is put in order first."""
    sent: list[dict[str, Any]] = []
    body = scope.pop("body", b"")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer aha-sk-admin"), *scope.pop("headers", [])]
    await app(
        {"type": "http", "query_string": b"", "client": ("127.0.0.1", 1), "headers": headers} | scope, receive, send
    )
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


def check(status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    assert status in STATUSES
    assert headers[b"content-type"] == b"application/json"
    assert int(headers[b"content-length"]) == len(body)
    document = json.loads(body)
    if status >= 400:
        assert list(document) == ["message"]
        assert isinstance(document["message"], str)


def bodies(chance: random.Random) -> Iterator[bytes]:
    yield from (b"", b"\x00", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"nul", b'"\\ud800"', b"1e999", b"-")
    yield from (b'{"scopes": ["*"], "label": "x", "label": 5}', b"\xef\xbb\xbf{}", b'{"label": "\xff"}', b"9" * 5000)
    while True:
        chosen = {chance.choice(FIELDS): chance.choice(ODD_VALUES) for _ in range(chance.randrange(4))}
        yield json.dumps(chosen).encode()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "X" * 100, ""])
async def test_odd_requests(method: str) -> None:
    """Any method, body, query or header on any path gets a status of the API's own; an error is a JSON message."""
    chance = random.Random(method)  # noqa: S311 - the same requests in each run
    app = emulator(rate=1e6, burst=10**6)
    made = bodies(chance)
    for _ in range(400):
        path = chance.choice(PATHS)
        if chance.random() < 0.3:
            path = path.replace(chance.choice(path.split("/")[2:] or [path]), chance.choice(ODD_TEXTS))
        query = "&".join(f"{chance.choice(QUERIES)}={chance.choice(ODD_TEXTS)}" for _ in range(chance.randrange(4)))
        headers = [(name, chance.choice(ODD_HEADERS)) for name in HEADERS if chance.random() < 0.3]
        answer = await answer_to(
            app,
            method=method,
            path=path,
            query_string=query.encode("utf-8", "surrogatepass"),
            headers=headers,
            body=next(made),
        )
        check(*answer)


QUERIES = ["limit", "after", "before", "cursor", "dns_valid", "unknown", ""]
HEADERS = [b"idempotency-key", b"content-type", b"authorization", b"content-length", b"x-forwarded-for", b"accept"]
ODD_HEADERS = [b"", b"\x00", b"\xff" * 300, b"application/json", b"text/plain", b"Bearer", b"Bearer \xff", b"k" * 255]


@pytest.mark.parametrize("name", ODD_TEXTS)
async def test_odd_parts_of_paths(name: str) -> None:
    """A part of a path that is no identifier is a 400 or a 404, never a success."""
    app = emulator()
    for path in (f"{KEYS}/{name}", f"{SUB_ACCOUNTS}/{name}", f"{DOMAINS}/{name}", f"/v2/accounts/{name}/api-keys"):
        for method in ("GET", "PUT", "DELETE"):
            status, body, headers = await answer_to(app, method=method, path=path, body=b'{"label": "x"}')
            check(status, body, headers)
            assert status in {400, 404, 405}


async def test_odd_tokens() -> None:
    """A token of any bytes is a 401, and the first of two authorizations counts."""
    for value in (b"", b"Bearer \x00", b"Bearer \xff\xfe", b"Bearer " + b"x" * 100_000, b"\xff Bearer"):
        request: dict[str, Any] = {"type": "http", "method": "GET", "path": "/v2/ping", "headers": []}
        request["headers"] = [(b"authorization", value), (b"authorization", b"Bearer aha-sk-admin")]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        await emulator()(request, receive, send)
        assert sent[0]["status"] == 401


async def test_repeated_parameters() -> None:
    """Of a parameter that is given twice the first counts, and unknown ones are ignored."""
    app = emulator()
    for query, status in ((b"limit=1&limit=x", 200), (b"limit=x&limit=1", 400), (b"unknown=x&page=-1&&=", 200)):
        assert (await answer_to(app, method="GET", path=KEYS, query_string=query))[0] == status


async def test_identifiers_in_any_case() -> None:
    """Identifiers are taken in upper case too."""
    app = emulator()
    path = ACME_KEYS.replace(ACCOUNT, ACCOUNT.upper())
    assert (await answer_to(app, method="GET", path=path))[0] == 200
    assert (await answer_to(app, method="GET", path=SHOP_KEY.replace("aaaaaaaa", "AAAAAAAA")))[0] == 200
