"""Requests that are sent again with the same `Idempotency-Key`."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from emulator.scene import (
    ACCOUNT,
    ACME_KEYS,
    KEYS,
    NEW_KEY,
    SUB_ACCOUNTS,
    Time,
    ask,
    create,
    emulator,
    labels_of,
    put,
)
from reconciler.emulator.answers import message
from reconciler.emulator.faults import ConnectionDropped
from reconciler.emulator.idempotency import ORDINARY, Idempotency, Repeatable, Replayed
from virtual_time import run_virtual

ACME = {"name": "Acme Subsidiary", "website": "acme.example.com"}


def replayed(answer: Any) -> str | None:
    header: str | None = answer.headers.get("idempotent-replayed")
    return header


@pytest.mark.parametrize("path", [KEYS, ACME_KEYS])
async def test_replay_of_a_secret(path: str) -> None:
    """A creation sent again within five minutes gives the same key and secret, says so, and creates nothing."""
    time = Time()
    app = emulator(time=time)
    body = {"label": "new", "scopes": ["domains:read"]}
    first = await create(app, path, key="k", json=body)
    assert (first.status_code, replayed(first)) == (201, None)
    time.passes(minutes=4, seconds=59)
    again = await create(app, path, key="k", json=body)
    assert (again.status_code, replayed(again), again.content) == (201, "true", first.content)
    assert len(app.history) == 1
    time.passes(seconds=1)
    third = await create(app, path, key="k", json=body)
    assert (third.status_code, replayed(third)) == (201, None)
    assert third.json()["secret_key"] != first.json()["secret_key"]
    assert len(app.history) == 2


async def test_without_a_key() -> None:
    """Without a key, and with an empty one, every request is carried out."""
    app = emulator()
    for key in (None, "", "  ", None, "", "  "):
        assert replayed(await create(app, key=key)) is None
    assert len({change.key_id for change in app.history}) == 6


async def test_length_of_a_key() -> None:
    """A key of more than 255 characters is a 400, and nothing is carried out."""
    app = emulator()
    assert (await create(app, key="k" * 256)).status_code == 400
    assert app.history == []
    assert (await create(app, key="k" * 255)).status_code == 201


async def test_another_request() -> None:
    """A key used with another path or body is a 422 without further headers, also while the first is in progress."""
    app = emulator()
    await create(app, key="good")
    await create(app, key="bad", json={"label": ""})
    for key in ("good", "bad"):
        for path, body in ((KEYS, {**NEW_KEY, "label": "other"}), (SUB_ACCOUNTS, NEW_KEY)):
            answer = await create(app, path, key=key, json=body)
            assert (answer.status_code, list(answer.json())) == (422, ["message"])
            assert not {"idempotent-replayed", "retry-after"} & set(answer.headers)
    assert len(app.history) == 1


async def test_keys_are_the_account_s() -> None:
    """Another account may use the same key, and gets an answer of its own."""
    app = emulator()
    first = await create(app, key="k", json={"label": "a", "scopes": ["*"]})
    path = KEYS.replace(ACCOUNT, "22222222-2222-4222-8222-222222222222")
    other = await create(app, path, key="k", json={"label": "b", "scopes": ["*"]}, token="aha-sk-stranger")
    assert (other.status_code, replayed(other)) == (201, None)
    assert other.json()["id"] != first.json()["id"]


async def test_refused_creation_stays_in_progress() -> None:
    """After a 4xx of a creation of a key the same request is a 409 that says how long, until its lease ends."""
    time = Time()
    app = emulator(time=time)
    bad = {"label": "x", "scopes": ["messages:send:{gone.example.com}"]}
    assert (await create(app, key="k", json=bad)).status_code == 400
    time.passes(minutes=2, seconds=0.5)
    answer = await create(app, key="k", json=bad)
    assert (answer.status_code, replayed(answer), answer.headers["retry-after"]) == (409, "false", "180")
    assert list(answer.json()) == ["message"]
    time.passes(minutes=2, seconds=59.4)
    assert (await create(app, key="k", json=bad)).headers["retry-after"] == "1"
    time.passes(seconds=0.1)
    assert (await create(app, key="k", json=bad)).status_code == 400


async def test_ordinary_refusals_are_replayed() -> None:
    """A creation of a sub account is replayed for a day, whether it succeeded or was refused."""
    time = Time()
    app = emulator(time=time)
    good, bad = [await create(app, SUB_ACCOUNTS, key=key, json=body) for key, body in (("g", ACME), ("b", {}))]
    assert [good.status_code, bad.status_code] == [201, 400]
    time.passes(hours=23, minutes=59)
    for key, first, body in (("g", good, ACME), ("b", bad, {})):
        again = await create(app, SUB_ACCOUNTS, key=key, json=body)
        assert (again.status_code, replayed(again), again.content) == (first.status_code, "true", first.content)
    time.passes(minutes=1)
    again = await create(app, SUB_ACCOUNTS, key="g", json=ACME)
    assert (replayed(again), again.json()["id"] == good.json()["id"]) == (None, False)


@pytest.mark.parametrize(
    ("token", "address", "status"),
    [("unknown", "127.0.0.1", 401), ("aha-sk-reader", "127.0.0.1", 403), ("aha-sk-admin", "203.0.113.1", 403)],
)
async def test_who_may_not_ask(token: str, address: str, status: int) -> None:
    """A refused token, address or scope comes before the idempotency key: it is neither kept nor replayed to."""
    app = emulator()
    await put(app, f"{KEYS}/aaaaaaaa-0000-4000-8000-000000000001", ip_allow_list=["127.0.0.1"])
    for _ in range(2):
        assert (await create(app, key="k", token=token, address=address)).status_code == status
    assert replayed(await create(app, key="k")) is None
    assert (await create(app, key="k", token=token, address=address)).status_code == status


def test_in_progress() -> None:
    """While a slow creation is under way the same request is a 409; once it is done, it is replayed."""

    async def story() -> None:
        app = emulator()
        app.set_faults({"rules": [{"first": 1, "do": {"delay": "30s"}}]})
        slow = asyncio.create_task(create(app, key="k"))
        await asyncio.sleep(10)
        answer = await create(app, key="k")
        assert (answer.status_code, replayed(answer), answer.headers["retry-after"]) == (409, "false", "300")
        assert (await create(app, key="k", json={**NEW_KEY, "label": "y"})).status_code == 422
        assert (await create(app, key="other")).status_code == 201
        first = await slow
        again = await create(app, key="k")
        assert (again.status_code, replayed(again), again.content) == (201, "true", first.content)
        assert len(app.history) == 2

    run_virtual(story())


def test_given_up() -> None:
    """A creation that ends without an answer releases its key."""

    async def story() -> None:
        app = emulator(latency=10)
        slow = asyncio.create_task(create(app, key="k"))
        await asyncio.sleep(5)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert app.history == []
        assert replayed(await create(app, key="k")) is None

    run_virtual(story())


def test_longer_than_its_lease() -> None:
    """A creation slower than its lease lets a second one begin, and the answer of that one is what is replayed."""

    async def story() -> None:
        time = Time()
        app = emulator(time=time)
        app.set_faults({"rules": [{"first": 1, "do": {"delay": "10s"}}, {"first": 1, "do": {"delay": "90s"}}]})
        slow = asyncio.create_task(create(app, key="k"))
        await asyncio.sleep(1)
        time.passes(minutes=5)
        second = asyncio.create_task(create(app, key="k"))
        first = await slow
        assert (await create(app, key="k")).status_code == 409
        kept = await second
        assert (await create(app, key="k")).content == kept.content != first.content

    run_virtual(story())


def test_given_up_after_its_lease() -> None:
    """A creation that ends without an answer after its lease leaves the key to the one that has it by then."""

    async def story() -> None:
        time = Time()
        app = emulator(latency=10, time=time)
        slow = asyncio.create_task(create(app, key="k"))
        await asyncio.sleep(5)
        time.passes(minutes=5)
        second = asyncio.create_task(create(app, key="k"))
        await asyncio.sleep(1)
        slow.cancel()
        await asyncio.wait([slow])
        assert (await create(app, key="k")).status_code == 409
        assert (await second).content == (await create(app, key="k")).content

    run_virtual(story())


@pytest.mark.parametrize("do", [{"status": 500, "when": "after"}, {"drop": "after"}])
async def test_answer_lost_after_the_effect(do: dict[str, Any]) -> None:
    """A creation that took effect, and whose answer was lost, gives its key and secret when sent again."""
    app = emulator()
    app.set_faults({"rules": [{"method": "POST", "first": 1, "do": do}]})
    try:
        assert (await create(app, key="k")).status_code == 500
    except ConnectionDropped:
        assert do == {"drop": "after"}
    (created,) = app.history
    answer = await create(app, key="k")
    assert (answer.status_code, replayed(answer), answer.json()["id"]) == (201, "true", created.key_id)
    assert (await ask(app, "GET", "/v2/ping", token=answer.json()["secret_key"])).status_code == 200
    assert len(app.history) == 1


@pytest.mark.parametrize("do", [{"status": 500}, {"status": 503, "when": "before"}, {"drop": "before"}])
async def test_answer_lost_before_the_effect(do: dict[str, Any]) -> None:
    """A creation that was lost before it took effect is carried out when sent again."""
    app = emulator()
    app.set_faults({"rules": [{"method": "POST", "first": 1, "do": do}]})
    try:
        assert (await create(app, key="k")).status_code in {500, 503}
    except ConnectionDropped:
        assert do == {"drop": "before"}
    assert app.history == []
    answer = await create(app, key="k")
    assert (answer.status_code, replayed(answer)) == (201, None)


async def test_only_where_the_document_says() -> None:
    """The operations that declare no idempotency key take none: each request is carried out."""
    app = emulator()
    headers = {"Idempotency-Key": "k"}
    path = f"{ACME_KEYS.removesuffix('/api-keys')}"
    for reason in ("one", "two"):
        answer = await ask(app, "POST", f"{path}/suspend", headers=headers, json={"reason": reason})
        assert (answer.status_code, replayed(answer)) == (200, None)
    answers = [await ask(app, "PUT", path, headers=headers, content=json.dumps({"name": "n"})) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert "new" not in await labels_of(app)


async def test_errors_of_ours_release_the_key() -> None:
    """A failure of the program itself is not stored: the same request runs again."""
    time = Time()
    idempotency = Idempotency(time.now)
    request = Repeatable("account", "k", "POST", "/", b"")
    with pytest.raises(ZeroDivisionError), idempotency.once(request, ORDINARY):
        raise ZeroDivisionError
    with idempotency.once(request, ORDINARY) as settle:
        settle(message(200, "done"))
    with pytest.raises(Replayed), idempotency.once(request, ORDINARY):
        raise AssertionError


async def test_memory_is_bounded() -> None:
    """What has expired is forgotten: the memory holds what one day brings, not what a year does."""
    time = Time()
    idempotency = Idempotency(time.now)
    for number in range(5000):
        request = Repeatable("account", str(number), "POST", "/", b"")
        with idempotency.once(request, ORDINARY) as settle:
            settle(message(200, "done"))
        time.moment += timedelta(minutes=10)
    assert len(idempotency._records) <= 1000
