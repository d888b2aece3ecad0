"""The seed: taken as it is, refused only for its shape."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emulator.scene import ACCOUNT, ADMIN, NOON, SEED, SHOP, emulator, seed
from reconciler.emulator.seed import SeedError, load_seed, parse_seed


def test_verbatim() -> None:
    """What the API would refuse or rewrite is kept to the letter."""
    odd: dict[str, Any] = {
        "label": "x" * 300,
        "scopes": ["messages:send:example.com", "messages:send:all", "messages:send:{Foo.}", "new:thing", "new:thing"],
        "ip_allow_list": ["0.0.0.0/0", "10.1.2.3/8", "nonsense"],
        "secret_key": "",
    }
    (account, _) = emulator(seed(**odd)).dump()["accounts"]
    assert account["keys"][2].items() >= odd.items()
    assert account["domains"] == ["shop.example.com", "News.Example.org."]


def test_round_trip() -> None:
    """A dump loads back into the same dump, sub accounts, secrets and dates included."""
    first = emulator(
        seed(created_at="2020-01-01T00:00:00.000001Z", scopes=[], last_used_at="2026-11-23T11:00:00+02:00")
    )
    assert emulator(first.dump()).dump() == first.dump()
    (account, _) = first.dump()["accounts"]
    assert account["sub_accounts"][0]["status"] == "active"
    assert account["keys"][0] == {
        "id": SHOP,
        "label": "shop",
        "scopes": [],
        "ip_allow_list": [],
        "created_at": "2020-01-01T00:00:00.000001Z",
        "updated_at": "2020-01-01T00:00:00.000001Z",
        "last_used_at": "2026-11-23T09:00:00Z",
    }


def test_round_trip_of_sub_accounts() -> None:
    """A dump keeps every field of accounts and sub accounts, deleted ones included, in the order of their creation."""
    document = seed()
    document["accounts"][0]["status"] = "suspended"
    fields = {"website": "a.example", "monthly_credit": 5, "last_activity_at": "2026-01-02T00:00:00Z"}
    document["accounts"][0]["sub_accounts"] = [
        {"name": "late", "created_at": "2026-03-01T00:00:00Z", "status": "parent-suspended"} | fields,
        {"name": "early", "created_at": "2026-02-01T00:00:00Z"},
        {"name": "gone", "status": "deleted"},
        {"name": "undated"},
    ]
    first = emulator(document).dump()
    assert emulator(first).dump() == first
    account = first["accounts"][0]
    assert account["status"] == "suspended"
    assert [one["name"] for one in account["sub_accounts"]] == ["early", "late", "undated", "gone"]
    assert account["sub_accounts"][1].items() >= fields.items()
    assert account["sub_accounts"][2]["website"] == "example.com"


def test_defaults() -> None:
    """Identifiers and dates may be left out: identifiers are made up, and undated keys keep the seed's order."""
    document = {
        "accounts": [{"keys": [{"label": str(number), "scopes": None} for number in range(20)], "domains": None}]
    }
    (account,) = parse_seed(document, NOON).values()
    assert [key["label"] for key in account.as_seed()["keys"]] == [str(number) for number in range(20)]
    assert len(account.keys) == 20


def test_dates() -> None:
    """A date may be YAML's own, a text, without a time or without a zone (which is UTC)."""
    written: tuple[object, ...] = (
        "2026-01-02",
        datetime(2026, 1, 2).date(),  # noqa: DTZ001 - a date has no zone
        datetime(2026, 1, 2),  # noqa: DTZ001 - what YAML gives for a time without a zone
        "2026-01-02T01:00:00+01:00",
    )
    for created_at in written:
        (account, _) = parse_seed(seed(created_at=created_at), NOON).values()
        assert account.keys[SHOP].created_at == datetime(2026, 1, 2, tzinfo=UTC)


def _accounts(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = deepcopy(SEED)
    change(document["accounts"][0])
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "seed: a mapping is expected, not list"),
        (None, "seed: a mapping is expected, not NoneType"),
        ({"account": []}, "seed: unknown field 'account'; known are accounts"),
        ({"accounts": {}}, "seed.accounts: a list is expected, not dict"),
        ({"accounts": [{"id": "x"}]}, "accounts[0].id: a UUID is expected, not 'x'"),
        ({"accounts": [{"id": 5}]}, "accounts[0].id: a text is expected, not int"),
        (seed(label=None), "accounts[0].keys[2].label: a text is expected, not NoneType"),
        (seed(scopes="*"), "accounts[0].keys[2].scopes: a list is expected, not str"),
        (seed(scopes=["*", 1]), "accounts[0].keys[2].scopes[1]: a text is expected, not int"),
        (seed(secret_key=1), "accounts[0].keys[2].secret_key: a text is expected, not int"),
        (seed(secret_key="aha-sk-admin"), "accounts[0].keys[2].secret_key: it is given twice"),
        (seed(id=ADMIN), "accounts[0].keys[2].id: it is given twice"),
        (seed(created_at="noon"), "accounts[0].keys[2].created_at: a date and time is expected, not 'noon'"),
        (seed(updated_at=5), "accounts[0].keys[2].updated_at: a date and time is expected, not 5"),
        (seed(created_at="9999-12-31"), "accounts[0].keys[2].created_at: a date and time is expected"),
        (seed(created_at="0001-01-01T00:00:00+14:00"), "accounts[0].keys[2].created_at: a date and time is expected"),
        (_accounts(lambda account: account["sub_accounts"][0].update(id=ACCOUNT)), "sub_accounts[0].id: it is given"),
        (_accounts(lambda account: account["sub_accounts"][0].update(status="on")), "sub_accounts[0].status: one of"),
        (_accounts(lambda account: account["sub_accounts"][0].update(name=1)), "sub_accounts[0].name: a text"),
        (_accounts(lambda account: account["sub_accounts"][0].update(website=1)), "sub_accounts[0].website: a text"),
        (_accounts(lambda account: account["sub_accounts"][0].update(monthly_credit="1")), "monthly_credit: a whole"),
        (_accounts(lambda account: account.update(status="on")), "accounts[0].status: one of"),
        (_accounts(lambda account: account["sub_accounts"][0].update(sub_accounts=[])), "unknown field 'sub_accounts'"),
    ],
)
def test_wrong_shapes(document: object, message: str) -> None:
    """A seed of another shape is refused, and the message says where and what was expected."""
    with pytest.raises(SeedError) as error:
        parse_seed(document, NOON)
    assert message in str(error.value)
    assert "aha-sk" not in str(error.value)


def test_failed_load_changes_nothing() -> None:
    """A seed that is refused leaves the accounts as they were."""
    app = emulator()
    before = app.dump()
    with pytest.raises(SeedError):
        app.load({"accounts": [{"keys": [{}]}]})
    assert app.dump() == before


def test_files(tmp_path: Path) -> None:
    """A seed is read from YAML and from JSON."""
    file = tmp_path / "seed"
    file.write_text("accounts:\n- domains: [a.example]\n  keys: [{label: a, created_at: 2026-01-02T00:00:00Z}]\n")
    (account,) = parse_seed(load_seed(file), NOON).values()
    assert [key.created_at.year for key in account.keys.values()] == [2026]
    file.write_text('{"accounts": []}')
    assert load_seed(file) == {"accounts": []}


def test_garbage_collection_is_left_as_found(tmp_path: Path) -> None:
    """Reading a seed switches the garbage collector off for its time only, and on only if it was on."""
    import gc

    file = tmp_path / "seed"
    file.write_text("{}")
    load_seed(file)
    assert gc.isenabled()
    gc.disable()
    try:
        load_seed(file)
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"a: 2026-13-45", b"[" * 100_000, b"a: &a [*a]\n<<: b"])
def test_unreadable_files(tmp_path: Path, content: bytes) -> None:
    """A file that is neither YAML nor JSON is a `SeedError` with its name, as is one that is missing."""
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(SeedError, match=r"broken\.yaml"):
        load_seed(file)
    with pytest.raises(SeedError, match=r"absent\.yaml"):
        load_seed(tmp_path / "absent.yaml")
