"""Who may call what, in which order it is judged, and what comes back."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from emulator.scene import (
    ACCOUNT,
    ADMIN,
    KEYS,
    NOBODY,
    NOON,
    OTHER_ACCOUNT,
    READER,
    SEED,
    SHOP,
    SHOP_KEY,
    STRANGER,
    SUB_ACCOUNT,
    Time,
    ask,
    client,
    emulator,
    put,
    scopes_of,
    seed,
)
from reconciler.emulator.server import Emulator

MINUTE = timedelta(minutes=1)


async def test_ping() -> None:
    """Any key that authenticates gets a pong."""
    answer = await ask(emulator(), "GET", "/v2/ping", token="aha-sk-reader")
    assert (answer.status_code, answer.json()) == (200, {"message": "pong"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic aha-sk-admin", "aha-sk-admin", "Bearer aha-sk-x"]
)
async def test_unauthenticated(header: str | None) -> None:
    """Without a token that a key has, the answer is a 401 with a message and nothing else."""
    headers = {} if header is None else {"Authorization": header}
    for path in ("/v2/ping", KEYS, SHOP_KEY, f"{KEYS}/nonsense"):
        answer = await ask(emulator(), "GET", path, token=None, headers=headers)
        assert answer.status_code == 401
        assert list(answer.json()) == ["message"]


async def test_scheme_in_any_case() -> None:
    """The word bearer is taken in any case."""
    answer = await ask(emulator(), "GET", "/v2/ping", token=None, headers={"Authorization": "bEARER  aha-sk-admin"})
    assert answer.status_code == 200


async def test_another_account() -> None:
    """A key of another account is a 401, whatever its scopes."""
    for token in ("aha-sk-stranger", "sub"):
        assert (await ask(emulator(), "GET", KEYS, token=token)).status_code == 401
    assert (await ask(emulator(), "GET", f"/v2/accounts/{SUB_ACCOUNT}/api-keys")).status_code == 401


async def test_sub_account_keys() -> None:
    """A sub account's key authenticates while the sub account is active, but it manages no keys, not even its own."""
    app = emulator()
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 200
    assert (await ask(app, "GET", f"/v2/accounts/{SUB_ACCOUNT}/api-keys", token="sub")).status_code == 401
    document = app.dump()
    document["accounts"][0]["sub_accounts"][0]["status"] = "suspended"
    app.load(document)
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 401


async def test_allow_list_of_the_caller() -> None:
    """A key with an allow list gets 403 on every endpoint from elsewhere, before its scopes are looked at."""
    document = seed(secret_key="aha-sk-shop", ip_allow_list=["198.51.100.0/24"])
    app = emulator(document)
    for path in ("/v2/ping", KEYS, f"{KEYS}/nonsense"):
        answer = await ask(app, "GET", path, token="aha-sk-shop", address="203.0.113.1")
        assert (answer.status_code, "IP address" in answer.json()["message"]) == (403, True)
    assert (await ask(app, "GET", "/v2/ping", token="aha-sk-shop", address="198.51.100.77")).status_code == 200


async def test_unknown_client_address() -> None:
    """A client without an address is outside every allow list, and inside an empty one."""
    app = emulator(seed(secret_key="aha-sk-shop", ip_allow_list=["127.0.0.0/8"]))
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    for token in (b"aha-sk-shop", b"aha-sk-admin"):
        headers = [(b"authorization", b"Bearer " + token)]
        scope = {"type": "http", "method": "GET", "path": "/v2/ping", "query_string": b"", "headers": headers}
        await app(scope, receive, send)
    assert statuses == [403, None, 200, None]


@pytest.mark.parametrize(
    ("scopes", "method", "status"),
    [
        (["api-keys:read"], "GET", 200),
        (["api-keys:read"], "PUT", 403),
        (["api-keys:write"], "GET", 403),
        (["api-keys:write"], "PUT", 200),
        (["*"], "GET", 200),
        (["*"], "PUT", 200),
        ([], "GET", 403),
    ],
)
async def test_scopes_of_the_caller(scopes: list[str], method: str, status: int) -> None:
    """Each operation needs its own scope of the calling key; writing does not include reading."""
    app = emulator(seed(secret_key="aha-sk-shop", scopes=scopes))
    answer = await ask(app, method, SHOP_KEY, token="aha-sk-shop", json={"label": "new"})
    assert answer.status_code == status


async def test_order_of_refusals() -> None:
    """A missing scope is told before a malformed identifier, and that before a key that is not there."""
    app = emulator(seed(secret_key="aha-sk-shop"))
    assert (await ask(app, "GET", f"{KEYS}/nonsense", token="aha-sk-shop")).status_code == 403
    assert (await ask(app, "GET", f"{KEYS}/nonsense")).status_code == 400
    assert (await ask(app, "GET", "/v2/accounts/nonsense/api-keys")).status_code == 400
    assert (await ask(app, "GET", f"{KEYS}/{NOBODY}")).status_code == 404
    assert (await ask(app, "PUT", f"{KEYS}/{NOBODY}", content=b"{")).status_code == 404
    assert (await ask(app, "GET", f"{KEYS}/{STRANGER}")).status_code == 404


async def test_unknown_paths_and_methods() -> None:
    """What is not served is 404, and a method that is not served is 405 and says which are."""
    app = emulator()
    for path in ("/", "/v1/ping", "/v2/pings", "/v2/ping/", "/v2/accounts", f"{KEYS}/", f"{SHOP_KEY}/x"):
        answer = await ask(app, "GET", path)
        assert (answer.status_code, list(answer.json())) == (404, ["message"])
    answer = await ask(app, "PATCH", SHOP_KEY)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT, DELETE")


async def test_a_key_as_it_is_shown() -> None:
    """A key has every field of the API's own description, its scopes as objects, and never its secret."""
    app = emulator(seed(secret_key="aha-sk-shop", ip_allow_list=["203.0.113.0/24"]))
    answer = await ask(
        app, "GET", SHOP_KEY.upper().replace("/V2/ACCOUNTS", "/v2/accounts").replace("API-KEYS", "api-keys")
    )
    shown = answer.json()
    scopes = shown.pop("scopes")
    created = "2026-11-23T12:00:00.000002Z"
    assert shown.pop("public_key").startswith("aha-pk-")
    assert shown == {
        "object": "api_key",
        "id": SHOP,
        "created_at": created,
        "updated_at": created,
        "last_used_at": None,
        "account_id": ACCOUNT,
        "label": "shop",
        "ip_allow_list": ["203.0.113.0/24"],
    }
    for item in scopes:
        dates = (item["api_key_id"], item["created_at"], item["updated_at"])
        assert (*dates, len(item["id"])) == (SHOP, created, created, 36)
    assert [item["scope"] for item in scopes] == ["messages:send:{shop.example.com}", "suppressions:read"]
    assert [item["domain_id"] is None for item in scopes] == [False, True]
    assert "aha-sk" not in answer.text
    assert (await ask(app, "GET", SHOP_KEY)).json()["scopes"] == scopes


async def test_last_use() -> None:
    """A key's last use is noted at most every five minutes, and not when its address was refused."""
    time = Time()
    app = emulator(time=time)

    async def last_used() -> object:
        return (await ask(app, "GET", f"{KEYS}/{READER}")).json()["last_used_at"]

    assert await last_used() is None
    seen = []
    for minutes in (0, 4, 5):
        time.moment = NOON + minutes * MINUTE
        await ask(app, "GET", "/v2/ping", token="aha-sk-reader")
        seen.append(await last_used())
    assert seen == ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T12:05:00Z"]
    time.moment += 10 * MINUTE
    await put(app, f"{KEYS}/{READER}", ip_allow_list=["192.0.2.1"])
    assert (await ask(app, "GET", "/v2/ping", token="aha-sk-reader")).status_code == 403
    assert await last_used() == "2026-11-23T12:05:00Z"


async def test_rate_limit() -> None:
    """An account has one bucket for all its keys, sub accounts and pings included; another account has its own."""
    time = Time()
    app = emulator(time=time, rate=2, burst=3)
    for token, path in (("aha-sk-admin", KEYS), ("aha-sk-reader", "/v2/ping"), ("sub", "/v2/ping")):
        assert (await ask(app, "GET", path, token=token)).status_code == 200
    refused = await ask(app, "GET", "/v2/ping")
    assert (refused.status_code, refused.headers["retry-after"], list(refused.json())) == (429, "1", ["message"])
    assert (await ask(app, "GET", "/v2/ping", token="aha-sk-stranger")).status_code == 200
    assert (await ask(app, "GET", "/v2/ping", token="unknown")).status_code == 401
    time.seconds = 0.5
    assert (await ask(app, "GET", "/v2/ping")).status_code == 200
    assert (await ask(app, "GET", "/v2/ping")).status_code == 429


@pytest.mark.parametrize("limits", [{"rate": 0.0}, {"burst": 0}])
def test_useless_limits(limits: dict[str, Any]) -> None:
    """A rate limit that lets nothing through is refused at once."""
    with pytest.raises(ValueError, match="must be positive"):
        Emulator(SEED, **limits)


async def test_only_http() -> None:
    """Something other than HTTP is a clear error of the program."""

    async def never(*_: object) -> Any:
        raise AssertionError

    with pytest.raises(ValueError, match="HTTP only"):
        await emulator()({"type": "websocket"}, never, never)


async def test_request_counts() -> None:
    """API requests are counted by method and status, calls of the control paths are not, and DELETE starts anew."""
    app = emulator()
    await put(app, label="x")
    await put(app, label="x")
    await ask(app, "PATCH", "/v2/ping")
    await ask(app, "GET", "/nowhere", token=None)
    counted = {"GET": 1, "PUT": 2, "POST": 0, "DELETE": 0, "PATCH": 1}
    counted_statuses = {"200": 1, "400": 1, "405": 1, "404": 1}
    answer = await ask(app, "GET", "/_emulator/requests", token=None)
    assert answer.json() == app.requests == counted | {"statuses": counted_statuses}
    assert (await ask(app, "DELETE", "/_emulator/requests", token=None)).status_code == 200
    assert app.requests == {"GET": 0, "PUT": 0, "POST": 0, "DELETE": 0, "statuses": {}}


async def test_state_over_http() -> None:
    """The state is the seed's format, goes back in unchanged, and an edit of it is seen at once."""
    app = emulator()
    document = (await ask(app, "GET", "/_emulator/state", token=None)).json()
    assert (await ask(app, "PUT", "/_emulator/state", token=None, json=document)).status_code == 200
    assert app.dump() == document
    document["accounts"][0]["keys"][2]["scopes"] = ["messages:read:all"]
    await ask(app, "PUT", "/_emulator/state", token=None, json=document)
    assert scopes_of(await ask(app, "GET", SHOP_KEY)) == ["messages:read:all"]


async def test_control_refusals() -> None:
    """What cannot be used on a control path is told, and changes nothing."""
    app = emulator()
    before = app.dump()
    for path, body in (("state", b"{"), ("state", b"[]"), ("faults", b"[]"), ("faults", b"\xff")):
        answer = await ask(app, "PUT", f"/_emulator/{path}", content=body)
        assert (answer.status_code, list(answer.json())) == (400, ["message"])
    assert (await ask(app, "GET", "/_emulator/faults")).status_code == 405
    assert (await ask(app, "GET", "/_emulator/nothing")).status_code == 404
    assert app.dump() == before


async def test_json_of_odd_labels() -> None:
    """Any label survives the answer: other scripts, control characters, half a surrogate pair (replaced)."""
    app = emulator()
    for label, shown in (("Ключ 🔑", "Ключ 🔑"), ("\x00\u2028", "\x00\u2028"), ("\ud83d", "\ufffd")):
        answer = await ask(app, "PUT", SHOP_KEY, content=json.dumps({"label": label}))
        assert answer.json()["label"] == shown


async def test_split_body() -> None:
    """A body that comes in pieces is read whole."""

    async def pieces() -> Any:
        yield b'{"label":'
        yield b'"split"}'

    assert (await ask(emulator(), "PUT", SHOP_KEY, content=pieces())).json()["label"] == "split"


async def test_connection_of_one_client() -> None:
    """One client may ask many times and always sees the latest state."""
    app = emulator()
    async with client(app) as opened:
        seen = []
        for number in range(3):
            await opened.put(SHOP_KEY, json={"label": str(number)})
            answer: httpx.Response = await opened.get(KEYS)
            seen.append(answer.json()["data"][2]["label"])
    assert seen == ["0", "1", "2"]
    assert all(one.before != two.before for one, two in pairwise(app.history))
    assert ADMIN in app.state[ACCOUNT].keys
    assert OTHER_ACCOUNT in app.state
