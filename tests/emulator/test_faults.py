"""Faults: which requests they hit, and what those see."""

import asyncio
import json
from typing import Any

import pytest

from emulator.scene import ACCOUNT, KEYS, SHOP, SHOP_KEY, ask, emulator, put
from reconciler.emulator.faults import ConnectionDropped, FaultError, Faults

STATUS = {"status": 503}


def rules(*listed: dict[str, Any], **settings: object) -> dict[str, Any]:
    return {"rules": list(listed), **settings}


def hits(faults: Faults, count: int, method: str = "GET", path: str = "/v2/ping") -> list[int]:
    """Which of the next requests are hit, by number from one."""
    return [number for number in range(1, count + 1) if faults.pick(method, path).status]


def test_without_counter() -> None:
    """A rule without a counter, method or path hits every request."""
    assert hits(Faults(rules({"do": STATUS})), 3) == [1, 2, 3]
    assert hits(Faults({}), 3) == []


def test_counters() -> None:
    """`first` hits the next n requests and `every` each n-th one, of those that the rule is about."""
    assert hits(Faults(rules({"first": 2, "do": STATUS})), 5) == [1, 2]
    every = Faults(rules({"method": "put", "every": 2, "do": STATUS}))
    assert hits(every, 3) == []
    assert hits(every, 5, "PUT") == [2, 4]


def test_rate() -> None:
    """`rate` hits a share of the requests, and the same ones for the same random seed."""
    sevens = [hits(Faults(rules({"rate": 0.25, "do": STATUS}, random_seed=seed)), 400) for seed in (7, 7, 8)]
    assert sevens[0] == sevens[1] != sevens[2]
    assert 60 < len(sevens[0]) < 140
    assert hits(Faults(rules({"rate": 1, "do": STATUS})), 2) == [1, 2]
    assert hits(Faults(rules({"rate": 0, "do": STATUS})), 2) == []


def test_paths() -> None:
    """A path's `*` crosses slashes, and the whole path must match."""
    faults = Faults(rules({"path": "/v2/accounts/*/api-keys/*", "do": STATUS}))
    assert hits(faults, 1, path=SHOP_KEY) == [1]
    assert hits(faults, 1, path=KEYS) == []


def test_first_match_wins() -> None:
    """The first rule that matches and fires wins; one whose counter does not fire leaves the request to the next."""
    faults = Faults(
        rules({"method": "PUT", "do": {"status": 500}}, {"first": 1, "do": {"status": 502}}, {"do": STATUS})
    )
    seen = [faults.pick(method, "/").status for method in ("GET", "PUT", "GET")]
    assert seen == [502, 500, 503]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "faults: a mapping is expected"),
        ({"rule": []}, "faults: unknown field rule; known are random_seed, rules"),
        (rules(random_seed="x"), "random_seed: a whole number is expected, not 'x'"),
        ({"rules": {}}, "rules: a list is expected"),
        ({"rules": ["x"]}, "rules[0]: a mapping is expected"),
        (rules({"do": STATUS}, {}), "rules[1].do: a mapping is expected"),
        (rules({"do": STATUS, "once": True}), "rules[0]: unknown field once"),
        (rules({"do": STATUS, "first": 1, "rate": 1}), "rules[0]: only one of first, rate can be given"),
        (rules({"do": STATUS, "method": 1}), "rules[0].method: a text is expected, not 1"),
        (rules({"do": STATUS, "path": None}), "rules[0].path: a text is expected, not None"),
        (rules({"do": STATUS, "first": 0}), "rules[0].first: a whole number from 1 is expected, not 0"),
        (rules({"do": STATUS, "every": True}), "rules[0].every: a whole number from 1 is expected, not True"),
        (rules({"do": STATUS, "rate": 1.5}), "rules[0].rate: a share from 0 to 1 is expected, not 1.5"),
        (rules({"do": STATUS, "rate": "1"}), "rules[0].rate: a share from 0 to 1 is expected, not '1'"),
        (rules({"do": {}}), "rules[0].do: exactly one of status, delay, drop, body, cursor is expected"),
        (rules({"do": {"status": 503, "delay": "1s"}}), "rules[0].do: exactly one of"),
        (rules({"do": {"crash": 1}}), "rules[0].do: unknown field crash"),
        (rules({"do": {"status": 199}}), "rules[0].do.status: a status with a body, 200 to 599 is expected, not 199"),
        (rules({"do": {"status": 204}}), "rules[0].do.status"),
        (rules({"do": {"status": 503, "when": "later"}}), "rules[0].do.when: before or after is expected, not 'later'"),
        (rules({"do": {"delay": "1s", "when": "after"}}), "rules[0].do: exactly one of"),
        (rules({"do": {"when": "after"}}), "rules[0].do: exactly one of"),
        (rules({"do": {"delay": 2}}), 'rules[0].do.delay: a text such as "2s" or "150ms" is expected, not 2'),
        (rules({"do": {"delay": "2 days"}}), "rules[0].do.delay"),
        (rules({"do": {"drop": "never"}}), "rules[0].do.drop: before or after is expected, not 'never'"),
        (rules({"do": {"body": "empty"}}), "rules[0].do.body: truncated, malformed, html is expected, not 'empty'"),
        (rules({"do": {"cursor": "none"}}), "rules[0].do.cursor: repeat is expected, not 'none'"),
    ],
)
async def test_wrong_rules(document: object, message: str) -> None:
    """Rules that cannot be used are refused with the place and what is expected, and the old ones stay in force."""
    app = emulator()
    app.set_faults(rules({"do": STATUS}))
    with pytest.raises(FaultError) as error:
        app.set_faults(document)
    assert message in str(error.value)
    answer = await ask(app, "PUT", "/_emulator/faults", json=document)
    assert (answer.status_code, answer.json()) == (400, {"message": str(error.value)})
    assert (await ask(app, "GET", "/v2/ping")).status_code == 503


async def test_rules_over_http() -> None:
    """Rules that are put hit API requests alone, with new counters each time."""
    app = emulator()
    document = rules({"first": 1, "do": {"status": 429}})
    for _ in range(2):
        assert (await ask(app, "PUT", "/_emulator/faults", token=None, json=document)).status_code == 200
        assert (await ask(app, "GET", "/_emulator/requests", token=None)).status_code == 200
        assert [(await ask(app, "GET", "/v2/ping")).status_code for _ in range(2)] == [429, 200]
    assert app.requests["statuses"] == {"429": 2, "200": 2}


async def test_status() -> None:
    """A status comes with a JSON message, before anything else is looked at and without any effect."""
    app = emulator()
    for status, message in ((503, "Service Unavailable"), (599, "fault")):
        app.set_faults(rules({"do": {"status": status}}))
        answer = await put(app, label="new")
        assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert app.history == []


async def test_status_after_the_effect() -> None:
    """A status may come after the effect instead: the answer is the same, and the request took effect."""
    app = emulator()
    app.set_faults(rules({"do": {"status": 503, "when": "after"}}))
    answer = await put(app, label="new")
    assert (answer.status_code, answer.json()) == (503, {"message": "Service Unavailable"})
    assert app.state[ACCOUNT].keys[SHOP].label == "new"
    assert app.requests["statuses"] == {"503": 1}


async def test_delay() -> None:
    """A delay, and the emulator's own latency, hold a request up but not the others; it takes effect all the same."""
    app = emulator(latency=0.01)
    app.set_faults(rules({"method": "PUT", "do": {"delay": "50ms"}}))
    started = asyncio.get_running_loop().time()
    slow = asyncio.create_task(put(app, label="slow"))
    assert (await ask(app, "GET", SHOP_KEY)).json()["label"] == "shop"
    between = asyncio.get_running_loop().time()
    assert (await slow).status_code == 200
    assert 0.01 <= between - started < asyncio.get_running_loop().time() - started >= 0.06
    assert Faults(rules({"do": {"delay": "1.5s"}})).pick("GET", "/").delay == 1.5


@pytest.mark.parametrize(("when", "label"), [("before", "shop"), ("after", "new")])
async def test_drop(when: str, label: str) -> None:
    """A dropped request leaves the application as an error that says when; only `after` takes effect."""
    app = emulator()
    app.set_faults(rules({"first": 1, "do": {"drop": when}}))
    with pytest.raises(ConnectionDropped) as dropped:
        await put(app, label="new")
    assert dropped.value.when == when
    assert app.state[ACCOUNT].keys[SHOP].label == label
    assert app.requests["PUT"] == 1
    assert app.requests["statuses"] == {}


@pytest.mark.parametrize("how", ["truncated", "malformed", "html"])
async def test_bodies(how: str) -> None:
    """A spoilt body comes with status 200 and its own length, is no JSON, and the request took effect."""
    app = emulator()
    app.set_faults(rules({"do": {"body": how}}))
    for answer in (await put(app, label=how), await ask(app, "GET", KEYS), await ask(app, "GET", "/v2/ping")):
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) == len(answer.content) > 0
        assert answer.headers["content-type"].startswith("text/html" if how == "html" else "application/json")
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    assert app.state[ACCOUNT].keys[SHOP].label == how


async def test_repeated_cursor() -> None:
    """A list with a repeated cursor always has more, behind the cursor that was asked for; nothing else changes."""
    app = emulator()
    app.set_faults(rules({"do": {"cursor": "repeat"}}))

    async def page(**query: object) -> tuple[list[str], dict[str, Any]]:
        answer = (await ask(app, "GET", KEYS, params=query)).json()
        return [key["label"] for key in answer["data"]], answer["pagination"]

    labels, pagination = await page(limit=2)
    assert (labels, pagination["has_more"]) == (["admin", "reader"], True)
    cursor = pagination["next_cursor"]
    labels, pagination = await page(limit=2, after=cursor)
    assert (labels, pagination["has_more"], pagination["next_cursor"]) == (["shop"], True, cursor)
    labels, pagination = await page()
    assert await page(after=pagination["next_cursor"]) == (labels, pagination)
    assert (await ask(app, "GET", SHOP_KEY)).status_code == 200
