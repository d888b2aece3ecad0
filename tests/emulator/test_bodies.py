"""What a PUT makes of a key."""

from datetime import timedelta
from typing import Any

import pytest

from emulator.scene import ACCOUNT, ADMIN, KEYS, NOON, SHOP, SHOP_KEY, Time, ask, emulator, put, scopes_of, seed

ADMIN_KEY = f"{KEYS}/{ADMIN}"


async def test_partial() -> None:
    """A field that is omitted or null stays as it is, and unknown fields are ignored."""
    app = emulator(seed(ip_allow_list=["203.0.113.0/24"]))
    answer = await put(app, label="new", scopes=None, description="ignored")
    assert (answer.json()["label"], len(answer.json()["scopes"])) == ("new", 2)
    assert answer.json()["ip_allow_list"] == ["203.0.113.0/24"]
    assert (await put(app, ip_allow_list=[])).json()["ip_allow_list"] == []
    assert (await ask(app, "GET", SHOP_KEY)).json()["label"] == "new"


async def test_canonical_answer() -> None:
    """The answer shows what was stored, not what was sent."""
    sent = [
        "messages:send:{ NEWS.example.org. }",
        "messages:send:{shop.example.com}",
        "messages:send:all",
        "domains:read",
    ]
    answer = await put(emulator(), scopes=sent, ip_allow_list=["203.0.113.7", "203.0.113.7/32", "10.1.2.3/8"])
    assert scopes_of(answer) == ["messages:send:all", "domains:read"]
    assert answer.json()["ip_allow_list"] == ["203.0.113.7/32", "10.0.0.0/8"]


async def test_domains_as_seeded() -> None:
    """An account owns its domains whatever their form in the seed, and no others."""
    app = emulator()
    assert scopes_of(await put(app, scopes=["routes:read:{news.example.org}"])) == ["routes:read:{news.example.org}"]
    assert (await put(app, scopes=["routes:read:{gone.example.com}"])).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"label": None, "scopes": None, "ip_allow_list": None},
        {"unknown": 1},
        {"label": "shop"},
        {"scopes": ["suppressions:read", "messages:send:{SHOP.example.com.}"]},
        {"ip_allow_list": ["203.0.113.9/24"]},
        {"label": "shop", "ip_allow_list": ["203.0.113.0/24", "203.0.113.0/24"]},
    ],
)
async def test_nothing_changes(fields: dict[str, Any]) -> None:
    """A PUT that gives nothing, or only what is there already in another form or order, is a 400."""
    app = emulator(seed(ip_allow_list=["203.0.113.0/24"]))
    before = app.dump()["accounts"][0]["keys"][2]
    assert (await put(app, **fields)).status_code == 400
    assert app.dump()["accounts"][0]["keys"][2] == before
    assert app.history == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"label"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"label": 5}',
        b'{"label": ""}',
        b'{"label": "%b"}' % (b"x" * 256),
        b'{"label": ["x"]}',
        b'{"label": true}',
        b'{"scopes": "*"}',
        b'{"scopes": []}',
        b'{"scopes": [null]}',
        b'{"scopes": [["*"]]}',
        b'{"scopes": {}}',
        b'{"scopes": ["\\ud800"]}',
        b'{"ip_allow_list": "203.0.113.1"}',
        b'{"ip_allow_list": [1]}',
        b'{"ip_allow_list": ["\\ud800"]}',
        b'{"ip_allow_list": false}',
        b'{"label": "good", "scopes": ["bad"]}',
        b'{"label": %b}' % (b"9" * 5000),
    ],
)
async def test_bad_bodies(body: bytes) -> None:
    """A body of another shape, or with one bad value, is a 400 with a message, and changes nothing."""
    app = emulator()
    answer = await ask(app, "PUT", SHOP_KEY, content=body)
    assert (answer.status_code, list(answer.json())) == (400, ["message"])
    assert app.state[ACCOUNT].keys[SHOP].label == "shop"
    assert app.history == []


async def test_label_length() -> None:
    """A label has up to 255 characters, not bytes."""
    app = emulator()
    assert (await put(app, label="é" * 255)).status_code == 200
    assert (await put(app, label="é" * 256)).status_code == 400


async def test_scopes_it_has() -> None:
    """A scope that is not known is kept when the key has it, and refused when it has not."""
    app = emulator(seed(scopes=["future:do", "domains:read"]))
    assert scopes_of(await put(app, scopes=["future:do"])) == ["future:do"]
    assert (await put(app, scopes=["future:do", "future:undo"])).status_code == 400


async def test_self_lockout() -> None:
    """A key that would lock itself out gets 409 and stays as it is; its own address inside, or another key, is fine."""
    app = emulator()
    answer = await put(app, ADMIN_KEY, label="new", ip_allow_list=["203.0.113.0/24"])
    assert (answer.status_code, list(answer.json())) == (409, ["message"])
    assert (app.state[ACCOUNT].keys[ADMIN].label, app.history) == ("admin", [])
    assert (await put(app, ADMIN_KEY, ip_allow_list=["127.0.0.1"])).status_code == 200
    assert (await put(app, ADMIN_KEY, label="new")).status_code == 200
    assert (await put(app, ADMIN_KEY, ip_allow_list=[])).status_code == 200
    assert (await put(app, SHOP_KEY, ip_allow_list=["192.0.2.1/32"])).status_code == 200


async def test_update_time() -> None:
    """`updated_at` moves with every change, also within one tick of the clock, and with nothing else."""
    time = Time()
    app = emulator(seed(created_at=NOON.isoformat(), updated_at=NOON.isoformat()), time=time)
    seen = [(await put(app, label=str(number))).json()["updated_at"] for number in range(2)]
    time.moment = NOON + timedelta(hours=1)
    assert (await put(app, label="1")).status_code == 400
    seen.append((await ask(app, "GET", SHOP_KEY)).json()["updated_at"])
    seen.append((await put(app, label="2")).json()["updated_at"])
    second = "2026-11-23T12:00:00.000002Z"
    assert seen == ["2026-11-23T12:00:00.000001Z", second, second, "2026-11-23T13:00:00Z"]


async def test_history() -> None:
    """Every PUT that took effect is remembered, with the key before and after."""
    app = emulator()
    await put(app, label="one")
    await put(app, label="one")
    await put(app, ip_allow_list=["203.0.113.1"])
    first, second = app.history
    assert (first.account_id, first.key_id) == (ACCOUNT, SHOP)
    assert first.before is not None
    assert first.after is not None
    assert second.after is not None
    assert (first.before["label"], first.after["label"]) == ("shop", "one")
    assert second.before == first.after
    assert second.after == first.after | {
        "ip_allow_list": ["203.0.113.1/32"],
        "updated_at": second.after["updated_at"],
    }
