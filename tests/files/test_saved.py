"""Saved listings: what is written comes back, and what is wrong with a file that is none is told."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from builders import ACCOUNT, LONG_AGO, NOW, OFFICE, SHOP, SUB_ACCOUNT, remote
from reconciler.core.keys import RemoteKey, RemoteSubAccount
from reconciler.errors import FilesError
from reconciler.files.export import SubAccountKeys
from reconciler.files.saved import Listing, SavedAccount, listing_schema, load_listings, write_listing

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "listing.json"
OTHER = "44444444-abcd-4444-8444-444444444444"
BELOW = SUB_ACCOUNT.sub_account_id or ""
AGAIN = f"account {ACCOUNT.account_id} is there twice, or in another listing, too: keep one of them"
AGAIN_OTHER = AGAIN.replace(ACCOUNT.account_id, OTHER)
NO_LISTING = "is no listing: `reconciler export --actual FILE` writes one"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(*texts: str) -> Listing:
    """Load files a.json, b.json and so on."""
    paths = [Path(f"{name}.json") for name in "abcdef"[: len(texts)]]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return load_listings(paths)


def refused(*texts: str) -> list[str]:
    with pytest.raises(FilesError) as caught:
        load(*texts)
    return str(caught.value).split("\n")


def listing(*accounts: SavedAccount, taken_at: datetime = NOW) -> Listing:
    return Listing(taken_at, accounts)


def account(*keys: RemoteKey, account_id: str = ACCOUNT.account_id) -> SavedAccount:
    return SavedAccount(account_id, keys)


def below(*keys: RemoteKey, status: str = "active", sub_account_id: str = BELOW) -> SubAccountKeys:
    return SubAccountKeys(RemoteSubAccount(sub_account_id, "Acme", status), keys)


def written(*path: str | int, **changes: Any) -> str:
    """Give the text of a listing of one key, changed at a path in it; None removes a field."""
    record = json.loads(write_listing(listing(account(remote("k", "a", SHOP)))))
    node = record
    for step in path:
        node = node[step]
    node.update(changes)
    for name in [name for name, value in changes.items() if value is None]:
        del node[name]
    return json.dumps(record)


KEY = ("accounts", 0, "keys", 0)


# What comes back


@pytest.mark.parametrize(
    "saved",
    [
        listing(account()),
        listing(account(remote("k", "a"))),
        listing(account(remote("a", "Shop", SHOP, "*", at=()), remote("b", "Shop", "made:up", at=(OFFICE, "::1/128")))),
        listing(account(remote("a", "never used"), remote("b", "used", "*", last_used_at=NOW - timedelta(seconds=1)))),
        listing(account(remote("a", "made in parts of a second", created_at=NOW - timedelta(microseconds=1)))),
        listing(account(remote("a", ' "quoted"\n\t\x00\x1b[31m 日本 😀 \u2028'))),
        listing(replace(account(), sub_accounts=())),
        listing(replace(account(remote("a", "a")), sub_accounts=(below(remote("a", "a")), below(sub_account_id="x")))),
        listing(replace(account(), sub_accounts=(below(status="suspended"),))),
        listing(account(remote("a", "a")), account(remote("a", "a"), account_id=OTHER)),
    ],
)
def test_a_listing_comes_back(saved: Listing) -> None:
    """What is written is what is read; that sub accounts were not listed is not that there are none."""
    assert load(write_listing(saved)) == saved
    assert write_listing(load(write_listing(saved))) == write_listing(saved)


def test_a_listing_reads_well() -> None:
    """The text is JSON with fields by the API's own names, in UTC, one field a line; nothing in it is a secret."""
    used = remote("b", "B", "*", SHOP, at=("203.0.113.9",), last_used_at=NOW.astimezone(timezone(timedelta(hours=5))))
    text = write_listing(listing(replace(account(used, remote("a", "A", at=())), sub_accounts=(below(),))))
    assert text.startswith('{\n "schema": "reconciler/listing/v1",\n "taken_at": "2026-11-23T12:00:00Z",\n')
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "schema": "reconciler/listing/v1",
        "taken_at": "2026-11-23T12:00:00Z",
        "accounts": [
            {
                "account_id": ACCOUNT.account_id,
                "keys": [
                    {
                        "id": "a",
                        "label": "A",
                        "scopes": [],
                        "ip_allow_list": [],
                        "created_at": "2025-11-23T12:00:00Z",
                        "last_used_at": None,
                    },
                    {
                        "id": "b",
                        "label": "B",
                        "scopes": ["*", SHOP],
                        "ip_allow_list": ["203.0.113.9/32"],
                        "created_at": "2025-11-23T12:00:00Z",
                        "last_used_at": "2026-11-23T12:00:00Z",
                    },
                ],
                "sub_accounts": [{"id": BELOW, "name": "Acme", "status": "active", "keys": []}],
            }
        ],
    }


def test_the_same_keys_give_the_same_text() -> None:
    """The order in which the API lists keys and sub accounts does not matter."""
    keys = [remote(name, "x", SHOP) for name in "abc"]
    subs = [below(*keys, sub_account_id=name) for name in "xyz"]
    texts = {
        write_listing(listing(SavedAccount("a", tuple(each), tuple(other))))
        for each in (keys, keys[::-1])
        for other in (subs, subs[::-1], [below(*keys[::-1], sub_account_id=name) for name in "yzx"])
    }
    assert len(texts) == 1


def test_several_listings_are_one() -> None:
    """Listings of several accounts are one, sorted by account, as of the last of them."""
    early, late = NOW - timedelta(hours=1), NOW
    first = listing(account(remote("a", "a"), account_id=OTHER), taken_at=late)
    second = listing(account(remote("b", "b")), taken_at=early)
    expected = listing(*second.accounts, *first.accounts, taken_at=late)
    assert load(write_listing(first), write_listing(second)) == expected
    assert load(write_listing(second), write_listing(first)) == expected


def test_what_people_write_is_spelled_as_the_api_does() -> None:
    """Ids in capitals, scopes and networks in any spelling, and times without a zone are read as the API gives them."""
    text = json.dumps(
        {
            "schema": "reconciler/listing/v1",
            "taken_at": "2026-11-23T12:00:00",
            "accounts": [
                {
                    "account_id": "ABC",
                    "keys": [
                        {
                            "id": "KEY",
                            "label": "A",
                            "scopes": ["messages:send:Shop.Example.com", "*"],
                            "ip_allow_list": ["203.0.113.9/24"],
                            "created_at": "2025-11-23T13:00:00+01:00",
                            "last_used_at": "2026-11-23T12:00:00",
                        },
                        {
                            "id": "L",
                            "label": "",
                            "scopes": [],
                            "ip_allow_list": [],
                            "created_at": "2025-11-23T12:00:00",
                        },
                    ],
                    "sub_accounts": [{"id": "SUB", "name": "Acme", "status": "active", "keys": []}],
                }
            ],
        }
    )
    assert load(text) == listing(
        SavedAccount(
            "abc",
            (remote("key", "A", "*", SHOP, last_used_at=NOW), remote("l", "", at=())),
            (below(sub_account_id="sub"),),
        )
    )
    assert LONG_AGO == datetime(2025, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "in_utc"),
    [
        ("2026-11-23T12:00:00Z", "2026-11-23 12:00:00+00:00"),
        ("2026-11-23T12:00:00", "2026-11-23 12:00:00+00:00"),
        ("2026-11-24T01:30:00+05:30", "2026-11-23 20:00:00+00:00"),
        ("2026-11-23T20:00:00.000001-04:00", "2026-11-24 00:00:00.000001+00:00"),
    ],
)
def test_times_come_out_in_utc(moment: str, in_utc: str) -> None:
    """In whatever zone a listing has its times, they are read in UTC, which rules and messages show."""
    loaded = load(written(*KEY, created_at=moment, last_used_at=moment).replace("2026-11-23T12:00:00Z", moment, 1))
    (key,) = loaded.accounts[0].keys
    assert [str(each) for each in (loaded.taken_at, key.created_at, key.last_used_at)] == [in_utc] * 3


def test_the_example_is_a_listing() -> None:
    """The listing that the documentation judges loads."""
    (saved,) = load_listings([EXAMPLE]).accounts
    assert [key.label for key in saved.keys] == [
        "reconciler",
        "Storefront",
        "Newsletter",
        "break glass",
        "old importer",
    ]
    assert saved.sub_accounts is None


# What is told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "version: 1\n",
        "{}",
        '{"schema": "reconciler/report/v1"}',
        '{"schema": null, "taken_at": "x", "accounts": 3}',
        '{"taken_at": "2026-11-23T12:00:00Z", "accounts": []}',
        json.dumps({"mode": "audit", "accounts": [{}]}),
    ],
)
def test_a_file_that_is_no_listing_is_told_once(text: str) -> None:
    """Of something else, also a report, it is said that it is none and how to get one, not what it lacks."""
    assert refused(text) == [f"a.json: {NO_LISTING}"]


def test_bytes_that_are_no_text_are_no_listing() -> None:
    """Something that is not UTF-8 is no listing."""
    Path("a.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(FilesError) as caught:
        load_listings([Path("a.json")])
    assert str(caught.value) == f"a.json: {NO_LISTING}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (written(taken_at=None), ["taken_at: Field required"]),
        (written(accounts=None), ["accounts: Field required"]),
        (written("accounts", 0, keys=None), ["accounts[0].keys: Field required"]),
        (written("accounts", 0, account_id=1), ["accounts[0].account_id: Input should be a valid string"]),
        (written(*KEY, id=None), ["accounts[0].keys[0].id: Field required"]),
        (written(*KEY, label=3), ["accounts[0].keys[0].label: Input should be a valid string"]),
        (written(*KEY, scopes="*"), ["accounts[0].keys[0].scopes: Input should be a valid array"]),
        (written(*KEY, scopes=["*", 1]), ["accounts[0].keys[0].scopes[1]: Input should be a valid string"]),
        (written(*KEY, ip_allow_list=None), ["accounts[0].keys[0].ip_allow_list: Field required"]),
        (
            written("accounts", 0, sub_accounts=[{"id": "s", "name": "n", "keys": []}]),
            ["accounts[0].sub_accounts[0].status: Field required"],
        ),
        (
            written(*KEY, id=1, scopes={}),
            [
                "accounts[0].keys[0].id: Input should be a valid string",
                "accounts[0].keys[0].scopes: Input should be a valid array",
            ],
        ),
        (written(*KEY, ip_allow_list=["office"]), ["key k: 'office' is not an IPv4 or IPv6 address or CIDR block"]),
    ],
)
def test_what_is_wrong_in_a_listing_is_told(text: str, told: list[str]) -> None:
    """Each field of a listing that is wrong is told by its path in the file."""
    assert refused(text) == [f"a.json: {each}" for each in told]


def test_times_that_are_none_are_told() -> None:
    """A time that is none is told by its path; why is said by whoever read it."""
    (problem,) = refused(written(*KEY, created_at="yesterday"))
    assert problem.startswith("a.json: accounts[0].keys[0].created_at: Input should be a valid datetime")


def test_not_more_is_told_than_helps() -> None:
    """Of a file that is wrong all over, twenty mistakes are told."""
    assert len(refused(written(accounts=[{"keys": []}] * 20))) == 20
    assert len(refused(written(accounts=[{"keys": []}] * 21))) == 20


@pytest.mark.parametrize(("one", "two"), [("k", "k"), ("k", "K")])
def test_a_key_twice_is_an_error(one: str, two: str) -> None:
    """A key that is in a listing twice makes it unsound, also below, and however its id is written."""
    keys = [json.loads(written())["accounts"][0]["keys"][0] | {"id": each} for each in (one, two)]
    assert refused(written("accounts", 0, keys=keys)) == ["a.json: a key is in the listing twice: save it anew"]
    sub_accounts = [{"id": "s", "name": "n", "status": "active", "keys": keys}]
    assert refused(written("accounts", 0, sub_accounts=sub_accounts)) == [
        "a.json: a key is in the listing twice: save it anew"
    ]


@pytest.mark.parametrize(("one", "two"), [("s", "s"), ("s", "S")])
def test_a_sub_account_twice_is_an_error(one: str, two: str) -> None:
    """A sub account that is in a listing twice makes it unsound, however its id is written."""
    sub_accounts = [{"id": each, "name": "n", "status": "active", "keys": []} for each in (one, two)]
    assert refused(written("accounts", 0, sub_accounts=sub_accounts)) == [
        "a.json: a sub account is in the listing twice: save it anew"
    ]


def test_a_listing_of_no_account_is_an_error() -> None:
    """One that holds no account would be in sync with anything."""
    assert refused(written(accounts=[])) == ["a.json: holds no account: save it anew"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ip_allow_list": ["10.0.0.0/33"]}, "'10.0.0.0/33' is not an IPv4 or IPv6 address or CIDR block"),
        ({"ip_allow_list": [OFFICE, ""]}, "'' is not an IPv4 or IPv6 address or CIDR block"),
        ({"created_at": "0001-01-01T00:00:00+01:00"}, "date value out of range"),
        ({"last_used_at": "9999-12-31T23:59:59-01:00"}, "date value out of range"),
    ],
)
def test_a_key_with_what_is_none_is_named(changes: dict[str, Any], told: str) -> None:
    """Of many keys the one is named whose network is none, or whose time is none in UTC, also below."""
    good, bad = json.loads(written())["accounts"][0]["keys"][0], json.loads(written(*KEY, id="BAD", **changes))
    keys = [good, *bad["accounts"][0]["keys"]]
    assert refused(written("accounts", 0, keys=keys)) == [f"a.json: key BAD: {told}"]
    sub_accounts = [{"id": "s", "name": "n", "status": "active", "keys": keys}]
    assert refused(written("accounts", 0, sub_accounts=sub_accounts)) == [f"a.json: key BAD: {told}"]


def test_a_time_of_a_listing_that_is_none_in_utc_is_told() -> None:
    """A time at the very edge of the calendar that its zone puts beyond it is an error, not a crash."""
    assert refused(written(taken_at="0001-01-01T00:00:00+01:00")) == ["a.json: date value out of range"]


def test_an_account_in_two_listings_is_an_error() -> None:
    """Which of two listings of one account is right cannot be told."""
    one, two = write_listing(listing(account(account_id=OTHER))), written("accounts", 0, account_id=OTHER.upper())
    third = write_listing(listing(account()))
    assert refused(one, two) == [f"b.json: {AGAIN_OTHER}"]
    assert refused(third, one, two) == [f"c.json: {AGAIN_OTHER}"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("no one one", [("a", NO_LISTING), ("c", AGAIN)]),
        ("one no one", [("b", NO_LISTING), ("c", AGAIN)]),
        ("one one no", [("b", AGAIN), ("c", NO_LISTING)]),
        ("one other no one other one", [("c", NO_LISTING), ("d", AGAIN), ("e", AGAIN_OTHER), ("f", AGAIN)]),
    ],
)
def test_the_file_is_named_that_has_an_account_again(files: str, told: list[tuple[str, str]]) -> None:
    """Each file that holds an account again is named, also where another one, before it or after it, is no listing."""
    texts = {
        "no": "{",
        "one": write_listing(listing(account())),
        "other": write_listing(listing(account(account_id=OTHER))),
    }
    assert refused(*(texts[each] for each in files.split())) == [f"{name}.json: {each}" for name, each in told]


def test_an_account_twice_in_one_listing_is_an_error() -> None:
    """An account that one file holds twice is told, too."""
    accounts = json.loads(written())["accounts"]
    assert refused(written(accounts=accounts * 2)) == [f"a.json: {AGAIN}"]


def test_a_file_that_is_named_twice_is_read_once() -> None:
    """The same file twice holds no account twice, and what is wrong with it is told once."""
    saved = listing(account(remote("a", "a")))
    assert load(write_listing(saved)) == saved
    assert load_listings([Path("a.json"), Path("./a.json")]) == saved
    with pytest.raises(FilesError, match=r"^gone\.json: cannot be read: no such file or directory$"):
        load_listings([Path("gone.json"), Path("gone.json")])


def test_every_problem_of_every_file_is_told() -> None:
    """Files that are not there, are none, and hold the same account are told together."""
    Path("folder").mkdir()
    Path("c.json").write_text("{}")
    Path("a.json").write_text(write_listing(listing(account())))
    Path("b.json").write_text(write_listing(listing(account())))
    with pytest.raises(FilesError) as caught:
        load_listings([Path(f"{name}") for name in ("a.json", "b.json", "c.json", "gone.json", "folder")])
    assert str(caught.value).split("\n") == [
        f"b.json: {AGAIN}",
        f"c.json: {NO_LISTING}",
        "folder: cannot be read: is a directory",
        "gone.json: cannot be read: no such file or directory",
    ]


@pytest.mark.parametrize(
    ("apart", "said"),
    [
        (timedelta(), []),
        (timedelta(hours=1), []),
        (timedelta(hours=1, seconds=1), ["a.json: the listings were saved more than an hour apart: save them anew"]),
        (timedelta(days=-1), ["a.json: the listings were saved more than an hour apart: save them anew"]),
    ],
)
def test_listings_are_of_one_time(apart: timedelta, said: list[str]) -> None:
    """Listings saved more than an hour apart are refused, in whatever order; all is as of the later of the others."""
    texts = (
        write_listing(listing(account())),
        write_listing(listing(account(account_id=OTHER), taken_at=NOW + apart)),
        write_listing(listing(account(account_id=BELOW), taken_at=NOW + apart / 2)),
    )
    if said:
        assert refused(*texts) == refused(*reversed(texts)) == said
    else:
        assert load(*texts).taken_at == load(*reversed(texts)).taken_at == NOW + apart


def test_the_schema_holds_for_what_is_written() -> None:
    """The schema is valid draft 2020-12; the example and what is written keep to it, and something else does not."""
    Draft202012Validator.check_schema(listing_schema())
    validator = Draft202012Validator(listing_schema())
    validator.validate(json.loads(EXAMPLE.read_text()))
    validator.validate(json.loads(write_listing(Listing(NOW, (SavedAccount(ACCOUNT.account_id, ()),)))))
    assert not validator.is_valid({"schema": "reconciler/listing/v1", "accounts": []})
