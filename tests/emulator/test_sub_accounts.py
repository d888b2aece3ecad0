"""What the operations on sub accounts do."""

import json
from typing import Any

import pytest

from emulator.scene import (
    ACCOUNT,
    ACME,
    ACME_KEYS,
    NOON,
    SUB_ACCOUNT,
    SUB_ACCOUNTS,
    Time,
    ask,
    create,
    emulator,
    labels_of,
    put,
    with_sub_account,
)

NEWCO = {"name": " Newco ", "website": "newco.example.com"}


async def test_a_sub_account_as_it_is_shown() -> None:
    """A sub account has every field of the API's own description."""
    app = with_sub_account(
        domains=["a.example", "b.example"], last_activity_at="2026-11-01T00:00:00Z", monthly_credit=7
    )
    assert (await ask(app, "GET", ACME)).json() == {
        "object": "sub_account",
        "id": SUB_ACCOUNT,
        "parent_account_id": ACCOUNT,
        "created_at": (await ask(app, "GET", SUB_ACCOUNTS)).json()["data"][0]["created_at"],
        "name": "Acme",
        "website": "example.com",
        "status": "active",
        "monthly_credit": 7,
        "domain_count": 2,
        "member_count": 0,
        "last_activity_at": "2026-11-01T00:00:00Z",
    }


async def test_create_a_sub_account() -> None:
    """A new sub account is active, its name is trimmed, it comes last in the list, and it can have keys."""
    time = Time()
    app = emulator(time=time)
    answer = await create(app, SUB_ACCOUNTS, json=NEWCO)
    created = answer.json()
    assert (answer.status_code, created["name"], created["status"]) == (201, "Newco", "active")
    assert (created["monthly_credit"], created["last_activity_at"]) == (0, None)
    listed = (await ask(app, "GET", SUB_ACCOUNTS)).json()
    assert [one["name"] for one in listed["data"]] == ["Acme", "Newco"]
    assert listed["pagination"] == {"has_more": False}
    secret = (
        await create(app, f"{SUB_ACCOUNTS}/{created['id']}/api-keys", json={"label": "k", "scopes": ["*"]})
    ).json()
    assert (await ask(app, "GET", "/v2/ping", token=secret["secret_key"])).status_code == 200
    assert emulator(app.dump()).dump() == app.dump()


BAD_SUB_ACCOUNTS: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "  "},
    {"name": "x" * 256},
    {"name": 5},
    {"website": ""},
    {"website": "not a domain"},
    {"website": "localhost"},
    {"website": "https://example.com"},
    {"website": "a.example.1"},
    {"website": f"{'a' * 64}.example"},
    {"website": f"{'a.' * 127}exa"},
    {"monthly_credit": -1},
    {"monthly_credit": 1_000_000_001},
    {"monthly_credit": "5"},
    {"monthly_credit": True},
    {"monthly_credit": 0.5},
    {"monthly_credit": 1e999},
]


@pytest.mark.parametrize("fields", BAD_SUB_ACCOUNTS)
async def test_bad_sub_accounts(fields: dict[str, Any]) -> None:
    """A bad name, website or credit is a 400, of a creation as of a change, and changes nothing."""
    app = emulator()
    before = app.dump()
    for method, path, body in (("POST", SUB_ACCOUNTS, NEWCO | fields), ("PUT", ACME, fields)):
        answer = await ask(app, method, path, content=_json(body))
        assert (answer.status_code, list(answer.json())) == (400, ["message"])
    assert _without_use(app.dump()) == _without_use(before)


@pytest.mark.parametrize("lacking", ["name", "website"])
async def test_lacking_fields(lacking: str) -> None:
    """A new sub account needs a name and a website."""
    answer = await create(emulator(), SUB_ACCOUNTS, json={name: NEWCO[name] for name in NEWCO if name != lacking})
    assert answer.status_code == 400


async def test_update_a_sub_account() -> None:
    """A PUT is partial, and one that changes nothing is a 400."""
    app = emulator()
    changed = await put(app, ACME, name="Acme Ltd", website=None, monthly_credit=5.0)
    assert (changed.status_code, changed.json()["name"], changed.json()["monthly_credit"]) == (200, "Acme Ltd", 5)
    assert (await ask(app, "GET", ACME)).json() == changed.json()
    assert (await put(app, ACME, website="acme.example.com")).json()["website"] == "acme.example.com"
    for fields in ({}, {"name": None}, {"name": " Acme Ltd "}, {"monthly_credit": 5}):
        assert (await put(app, ACME, **fields)).status_code == 400


async def test_delete_a_sub_account() -> None:
    """A deleted sub account is not listed, its keys are refused, and the state still holds it."""
    app = emulator()
    answer = await ask(app, "DELETE", ACME)
    assert (answer.status_code, answer.json()) == (200, {"message": "sub account deleted"})
    assert (await ask(app, "GET", SUB_ACCOUNTS)).json()["data"] == []
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 401
    assert app.dump()["accounts"][0]["sub_accounts"][0]["status"] == "deleted"
    app.load(app.dump())
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 401


async def test_suspend_a_sub_account() -> None:
    """A suspended sub account's keys are refused until it is unsuspended; its parent goes on managing it."""
    app = emulator()
    for _ in range(2):
        answer = await ask(app, "POST", f"{ACME}/suspend", json={"reason": "x" * 500})
        assert (answer.status_code, answer.json()["status"]) == (200, "suspended")
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 401
    assert await labels_of(app, ACME_KEYS) == ["a"]
    assert (await create(app, ACME_KEYS, json={"label": "b", "scopes": ["*"]})).status_code == 201
    answer = await ask(app, "POST", f"{ACME}/unsuspend")
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert (await ask(app, "GET", "/v2/ping", token="sub")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b'{"reason": ""}', b'{"reason": 5}', b'{"reason": "%b"}' % (b"x" * 501)])
async def test_suspension_without_a_reason(body: bytes) -> None:
    """A suspension needs a reason of 1 to 500 characters."""
    app = emulator()
    assert (await ask(app, "POST", f"{ACME}/suspend", content=body)).status_code == 400
    assert (await ask(app, "GET", ACME)).json()["status"] == "active"


async def test_usage() -> None:
    """The usage is that of this month: none, for the parent and each active sub account."""
    time = Time()
    app = emulator(time=time)
    await create(app, SUB_ACCOUNTS, json=NEWCO)
    await ask(app, "POST", f"{ACME}/suspend", json={"reason": "x"})
    usage = (await ask(app, "GET", f"{SUB_ACCOUNTS}/usage")).json()
    assert usage["billing_period"] == {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"}
    assert [one["name"] for one in usage["sub_accounts"]] == ["Newco"]
    assert (usage["parent"]["account_id"], usage["total"]["reception_count"]) == (ACCOUNT, 0)
    time.moment = NOON.replace(month=12)
    usage = (await ask(app, "GET", f"{SUB_ACCOUNTS}/usage")).json()
    assert usage["billing_period"]["end"] == "2027-01-01T00:00:00Z"


def _without_use(dumped: dict[str, Any]) -> dict[str, Any]:
    for key in dumped["accounts"][0]["keys"]:
        key["last_used_at"] = None
    return dumped


def _json(document: object) -> str:
    return json.dumps(document).replace("Infinity", "1e999")
