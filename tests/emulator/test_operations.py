"""What the operations on keys, sub accounts and domains do."""

import re

import pytest

from emulator.scene import (
    ACCOUNT,
    ACME,
    ACME_KEYS,
    ADMIN,
    DOMAINS,
    KEYS,
    NEW_KEY,
    NOBODY,
    OTHER_ACCOUNT,
    SEED,
    SHOP,
    SHOP_KEY,
    SUB_ACCOUNT,
    SUB_ACCOUNTS,
    ask,
    create,
    emulator,
    labels_of,
    put,
    scopes_of,
    seed,
    with_sub_account,
)
from reconciler.emulator.listing import FIRST_PAGE


async def test_create_a_key() -> None:
    """A new key comes with 201, in canonical form, with a secret that works and is never shown again."""
    app = emulator()
    answer = await create(app, json=NEW_KEY | {"ip_allow_list": ["127.0.0.1"], "unknown": 1})
    created = answer.json()
    assert answer.status_code == 201
    assert re.fullmatch(r"aha-sk-[0-9a-zA-Z]{64}", created["secret_key"])
    assert (created["account_id"], created["label"], created["last_used_at"]) == (ACCOUNT, "new", None)
    assert (scopes_of(answer), created["ip_allow_list"]) == (NEW_KEY["scopes"], ["127.0.0.1/32"])
    assert (await ask(app, "GET", DOMAINS, token=created["secret_key"])).status_code == 200
    assert (await ask(app, "GET", DOMAINS, token=created["secret_key"], address="192.0.2.1")).status_code == 403
    read = await ask(app, "GET", f"{KEYS}/{created['id']}")
    assert "secret_key" not in read.text
    assert read.json() | {"last_used_at": None} == {name: created[name] for name in created if name != "secret_key"}
    assert await labels_of(app) == ["admin", "reader", "shop", "new"]


async def test_new_keys_come_last() -> None:
    """New keys stand behind the others in the order of their creation, also within one tick of the clock."""
    app = emulator({"accounts": [SEED["accounts"][0] | {"sub_accounts": []}]})
    for number in range(5):
        await create(app, json={"label": str(number), "scopes": ["*"]})
    assert await labels_of(app) == ["admin", "reader", "shop", *"01234"]
    app = emulator()
    await create(app, ACME_KEYS, json={"label": "b", "scopes": ["*"]})
    assert await labels_of(app, ACME_KEYS) == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"label": "x"}',
        b'{"scopes": ["*"]}',
        b'{"label": "x", "scopes": []}',
        b'{"label": "x", "scopes": null}',
        b'{"label": null, "scopes": ["*"]}',
        b'{"label": "", "scopes": ["*"]}',
        b'{"label": "x", "scopes": ["*", "*"]}',
        b'{"label": "x", "scopes": ["nonsense"]}',
        b'{"label": "x", "scopes": ["messages:send:{gone.example.com}"]}',
        b'{"label": "x", "scopes": ["messages:send:shop.example.com"]}',
        b'{"label": "x", "scopes": ["*"], "ip_allow_list": null}',
        b'{"label": "x", "scopes": ["*"], "ip_allow_list": ["0.0.0.0/0"]}',
        b'{"label": "x", "scopes": ["*"], "ip_allow_list": "127.0.0.1"}',
        b'{"label": "x", "scopes": ["*"], "extra": NaN}',
        b'{"label": "x", "scopes": ["*"], "extra": -Infinity}',
    ],
)
async def test_bad_new_keys(body: bytes) -> None:
    """A creation that lacks a field, or has a bad one, is a 400 and creates nothing."""
    app = emulator()
    for path in (KEYS, ACME_KEYS):
        answer = await ask(app, "POST", path, content=body)
        assert (answer.status_code, list(answer.json())) == (400, ["message"])
    assert app.history == []


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 201),
        ("Application/JSON; charset=utf-8", 201),
        ("", 201),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("\xff", 400),
    ],
)
async def test_media_type(media_type: str, status: int) -> None:
    """A body that says that it is something other than JSON is refused; one that says nothing is taken as JSON."""
    headers = {"Content-Type": media_type.encode("latin-1")}
    answer = await ask(emulator(), "POST", KEYS, headers=headers, content=b'{"label": "x", "scopes": ["*"]}')
    assert answer.status_code == status


async def test_delete_a_key() -> None:
    """A deleted key is gone from the list, answers 404, and authenticates nobody from then on."""
    app = emulator(seed(secret_key="aha-sk-shop"))
    answer = await ask(app, "DELETE", SHOP_KEY)
    assert (answer.status_code, answer.json()) == (200, {"message": f"api key {SHOP} (shop) deleted successfully"})
    assert await labels_of(app) == ["admin", "reader"]
    for method in ("GET", "PUT", "DELETE"):
        assert (await ask(app, method, SHOP_KEY, json={"label": "x"})).status_code == 404
    assert (await ask(app, "GET", "/v2/ping", token="aha-sk-shop")).status_code == 401


async def test_delete_the_calling_key() -> None:
    """A key may delete itself; it is refused at once."""
    app = emulator()
    assert (await ask(app, "DELETE", f"{KEYS}/{ADMIN}")).status_code == 200
    assert (await ask(app, "GET", "/v2/ping")).status_code == 401


async def test_keys_of_a_sub_account() -> None:
    """The parent lists, makes, reads, changes and deletes a sub account's keys, which belong to the sub account."""
    app = emulator()
    answer = await create(app, ACME_KEYS, json={"label": "b", "scopes": ["messages:send:all"]})
    assert (answer.status_code, answer.json()["account_id"]) == (201, SUB_ACCOUNT)
    path = f"{ACME_KEYS}/{answer.json()['id']}"
    assert (await put(app, path, label="c", ip_allow_list=["192.0.2.1"])).json()["label"] == "c"
    assert (await ask(app, "GET", path)).json()["ip_allow_list"] == ["192.0.2.1/32"]
    assert (await ask(app, "GET", path.replace(ACME_KEYS, KEYS))).status_code == 404
    assert (await ask(app, "GET", f"{ACME_KEYS}/{SHOP}")).status_code == 404
    assert await labels_of(app, ACME_KEYS) == ["a", "c"]
    assert (await ask(app, "DELETE", path)).json()["message"].endswith("(c) deleted successfully")
    assert await labels_of(app, ACME_KEYS) == ["a"]
    assert {change.account_id for change in app.history} == {SUB_ACCOUNT}


async def test_domains_of_a_sub_account() -> None:
    """A sub account's scopes are judged against its own domains, not against its parent's."""
    app = with_sub_account(domains=["acme.example.com"])
    statuses = []
    for domain in ("acme.example.com", "shop.example.com"):
        body = {"label": "x", "scopes": [f"messages:send:{{{domain}}}"]}
        statuses.append((await create(app, ACME_KEYS, json=body)).status_code)
        path = f"{ACME_KEYS}/{app.state[ACCOUNT].sub_accounts[SUB_ACCOUNT].keys.page(FIRST_PAGE).items[0].id}"
        statuses.append((await put(app, path, scopes=body["scopes"])).status_code)
    assert statuses == [201, 200, 400, 400]


async def test_a_sub_account_s_own_key() -> None:
    """A sub account's key reads its own domains, but manages neither keys nor sub accounts, not even its own."""
    app = with_sub_account(domains=["acme.example.com"])
    own = f"/v2/accounts/{SUB_ACCOUNT}"
    answer = await ask(app, "GET", f"{own}/domains", token="sub")
    assert [domain["domain"] for domain in answer.json()["data"]] == ["acme.example.com"]
    new = (await create(app, ACME_KEYS, json={"label": "new", "scopes": ["*"]})).json()["secret_key"]
    for path in (f"{own}/api-keys", f"{own}/sub-accounts", ACME_KEYS, SUB_ACCOUNTS, DOMAINS):
        for token in ("sub", new):
            assert (await ask(app, "GET", path, token=token)).status_code == 401


SCOPES = [
    ("GET", KEYS, "api-keys:read"),
    ("POST", KEYS, "api-keys:write"),
    ("GET", SHOP_KEY, "api-keys:read"),
    ("PUT", SHOP_KEY, "api-keys:write"),
    ("DELETE", f"{KEYS}/{NOBODY}", "api-keys:delete"),
    ("GET", ACME_KEYS, "sub-account-api-keys:read"),
    ("POST", ACME_KEYS, "sub-account-api-keys:write"),
    ("GET", f"{ACME_KEYS}/{NOBODY}", "sub-account-api-keys:read"),
    ("PUT", f"{ACME_KEYS}/{NOBODY}", "sub-account-api-keys:write"),
    ("DELETE", f"{ACME_KEYS}/{NOBODY}", "sub-account-api-keys:delete"),
    ("GET", SUB_ACCOUNTS, "sub-accounts:read"),
    ("POST", SUB_ACCOUNTS, "sub-accounts:write"),
    ("GET", ACME, "sub-accounts:read"),
    ("PUT", ACME, "sub-accounts:write"),
    ("DELETE", f"{SUB_ACCOUNTS}/{NOBODY}", "sub-accounts:delete"),
    ("POST", f"{ACME}/suspend", "sub-accounts:suspend"),
    ("POST", f"{ACME}/unsuspend", "sub-accounts:suspend"),
    ("GET", f"{SUB_ACCOUNTS}/usage", "sub-accounts:usage"),
    ("GET", DOMAINS, "domains:read"),
    ("GET", f"{DOMAINS}/shop.example.com", "domains:read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
async def test_scope_of_each_operation(method: str, path: str, scope: str) -> None:
    """Each operation needs its own scope: it or `*` lets a key in, all the others together do not."""
    others = sorted({one for _, _, one in SCOPES} - {scope})
    for scopes, is_allowed in (([scope], True), (["*"], True), (others, False)):
        app = emulator(seed(secret_key="aha-sk-shop", scopes=scopes))
        answer = await ask(app, method, path, token="aha-sk-shop", json={})
        assert (answer.status_code == 403) is not is_allowed


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
async def test_who_is_refused_everywhere(method: str, path: str, scope: str) -> None:
    """No operation answers to no key, another account's key, a suspended account's key, or a malformed identifier."""
    app = emulator()
    for token in (None, "aha-sk-none", "aha-sk-stranger", "sub"):
        assert (await ask(app, method, path, token=token, json={})).status_code == 401
    assert (await ask(app, method, path.replace(ACCOUNT, "x"), json={})).status_code == 400
    document = app.dump()
    document["accounts"][0]["status"] = "suspended"
    app.load(document)
    for token in ("aha-sk-admin", "sub"):
        assert (await ask(app, method, path, token=token, json={})).status_code == 401
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 401


@pytest.mark.parametrize(("method", "path", "scope"), [one for one in SCOPES if one[1].startswith(ACME)])
async def test_sub_accounts_that_are_not_there(method: str, path: str, scope: str) -> None:
    """A sub account that is unknown, another parent's, or deleted is a 404 for every operation on it."""
    app = emulator()
    assert (await ask(app, method, path.replace(SUB_ACCOUNT, NOBODY), json={"reason": "x"})).status_code == 404
    strange = path.replace(ACCOUNT, OTHER_ACCOUNT)
    assert (await ask(app, method, strange, token="aha-sk-stranger", json={"reason": "x"})).status_code == 404
    for deleted in (with_sub_account(status="deleted"), app):
        await ask(app, "DELETE", ACME)
        assert (await ask(deleted, method, path, json={"reason": "x"})).status_code == 404
    assert (await ask(app, method, path.replace(SUB_ACCOUNT, "x"), json={})).status_code == 400


async def test_history() -> None:
    """Every creation, change and deletion is remembered; a chain of states has no gap and holds no secret."""
    app = emulator()
    created = (await create(app)).json()["id"]
    await put(app, f"{KEYS}/{created}", label="changed")
    app.delete_domain(ACCOUNT, "shop.example.com")
    await ask(app, "DELETE", f"{KEYS}/{created}")
    changes = [change for change in app.history if change.key_id == created]
    assert changes[0].before is changes[-1].after is None
    assert [one.after for one in changes[:-1]] == [one.before for one in changes[1:]]
    states = [change.after for change in changes[:-1]]
    assert [(state["label"], len(state["scopes"])) for state in states if state] == [
        ("new", 2),
        ("changed", 2),
        ("changed", 1),
    ]
    assert "aha-sk" not in str(app.history)
