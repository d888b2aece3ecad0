"""Laws of reading desired state and of writing it, over random files and random accounts."""

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.keys import AccountRef, DesiredAccount, DesiredState, KeySpec, RemoteKey, RemoteSubAccount, Source
from reconciler.core.networks import AllowList
from reconciler.core.plan import plan_account
from reconciler.core.scopes import STATIC, TARGETED, ScopeSet
from reconciler.core.sub_accounts import choose, unmatched
from reconciler.errors import FilesError, Problem
from reconciler.files.desired import load_desired
from reconciler.files.entries import desired_schema
from reconciler.files.export import SubAccountKeys, export_account
from reconciler.files.policy import load_policy
from reconciler.files.whole import write_whole

LAW = settings(derandomize=True, deadline=None, max_examples=100)
SURROGATE = re.compile("[\ud800-\udfff]")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ACCOUNT = AccountRef("11111111-1111-4111-8111-111111111111", credential="prod")

labels = st.one_of(
    st.text(st.characters(), max_size=300),
    st.sampled_from(["shop", "Shop", "on", "1e5", "~", "", "é", "\ud800", "\u2028#", "x" * 255, "x" * 256]),
)
domains = st.sampled_from(["example.com", "a-b.example.org", "domain", "münchen.de"])
scopes = st.one_of(
    st.sampled_from([*sorted(STATIC), "*", "brand:new", "messages:snd:all", "messages:send", "x\ny: {z", "A:Read"]),
    st.sampled_from(sorted(TARGETED)).map(lambda family: f"{family}:all"),
    st.builds("{}:{{{}}}".format, st.sampled_from(sorted(TARGETED)), domains),
    st.text(st.characters(categories=["L", "P", "Z", "Cc"]), min_size=1),
)
networks = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(
        ["192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", "::/0", "::ffff:1.2.3.4", "10.0.0.0/8", "2001:db8::/32"]
    ),
)
lists = st.one_of(
    st.lists(networks, max_size=4),
    st.just(["192.0.2.1"]),
    st.integers(99, 103).map(lambda count: [f"198.51.100.{number}" for number in range(count)]),
)


def keys(key_ids: st.SearchStrategy[str], key_labels: st.SearchStrategy[str]) -> st.SearchStrategy[RemoteKey]:
    scope_sets, allow_lists = st.lists(scopes, max_size=5).map(ScopeSet.parse), lists.map(AllowList.parse)
    return st.builds(RemoteKey, key_ids, key_labels, scope_sets, allow_lists, st.just(NOW))


def accounts_of(each: st.SearchStrategy[RemoteKey]) -> st.SearchStrategy[list[RemoteKey]]:
    return st.lists(each, max_size=6, unique_by=lambda key: key.id)


# In the second kind of account ids begin alike, and labels have one slug or look like names made from an id.
ids = st.uuids().map(str)
alike = st.integers(1, 5).map(lambda number: str(UUID(int=(7 << 96) + number)))
confusing = st.one_of(st.sampled_from(["shop", "Shop", "shop 00000007"]), alike.map(lambda key_id: f"key {key_id}"))
accounts = st.one_of(accounts_of(keys(ids, labels)), accounts_of(keys(alike, confusing)))
statuses = st.sampled_from(["active", "active", "suspended", "parent-suspended", "new\nword"])
below = st.lists(
    st.builds(SubAccountKeys, st.builds(RemoteSubAccount, ids, labels, statuses), accounts.map(tuple)),
    max_size=4,
    unique_by=lambda each: each.sub_account.id,
)


def load(*texts: str, reverse: bool = False) -> DesiredState:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.yaml") for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            write_whole(path, text, overwrite=False)
        return load_desired(paths[::-1] if reverse else paths, lambda _: None).state


@LAW
@given(accounts, below, st.randoms(use_true_random=False))
def test_a_plan_from_an_export_changes_nothing(
    actual: list[RemoteKey], sub_accounts: list[SubAccountKeys], random: Any
) -> None:
    """What is exported asks for exactly what is there; the same keys give the same bytes in any order."""
    text = export_account(ACCOUNT, actual, sub_accounts)
    assert all(line.isprintable() for line in text.split("\n"))
    (desired,) = load(text).accounts
    assert desired.account == ACCOUNT
    assert_in_sync(desired, actual)
    listed = [each.sub_account for each in sub_accounts]
    chosen = choose(desired, listed)
    assert unmatched(desired, listed) == ()
    there = {each.sub_account.id: each for each in sub_accounts if each.sub_account.active}
    assert {each.remote.id for each in chosen} == {each for each in there if any(map(writable, there[each].keys))}
    for each in chosen:
        assert each.clash is None
        assert_in_sync(each.desired, list(there[each.remote.id].keys))
    random.shuffle(actual)
    random.shuffle(sub_accounts)
    turned = [SubAccountKeys(each.sub_account, each.keys[::-1]) for each in sub_accounts]
    assert export_account(ACCOUNT, actual, turned) == text


def writable(key: RemoteKey) -> bool:
    return 1 <= len(key.label) <= 255 and not SURROGATE.search(key.label)


def assert_in_sync(desired: DesiredAccount, actual: list[RemoteKey]) -> None:
    """Nothing would change, and every key that a file can name is named."""
    assert plan_account(desired, actual, NOW).changes == ()
    assert {spec.id for spec in desired.keys} == {key.id for key in actual if writable(key)}


def plain(state: DesiredState) -> list[object]:
    """Give what a state says without where it says so."""
    return [
        (
            account.account,
            plain_keys(account.keys),
            sorted(
                (str(rule.select), plain_keys(rule.keys), rule.unmanaged and rule.unmanaged.then)
                for rule in account.sub_accounts
            ),
        )
        for account in state.accounts
    ]


def plain_keys(specs: tuple[KeySpec, ...]) -> list[tuple[object, ...]]:
    return sorted((key.name, key.scopes, key.ip_allow_list, key.id, key.owner) for key in specs)


entries = st.fixed_dictionaries(
    {"name": st.text("abc", min_size=1, max_size=2), "scopes": st.lists(st.sampled_from(["*", "domains:read"]))},
    optional={
        "ip_allow_list": st.lists(st.sampled_from(["10.0.0.1", "192.0.2.1", "office"]), max_size=2),
        "was": st.lists(st.text("abc", min_size=1, max_size=2)),
        "roles": st.lists(st.sampled_from(["r", "s"])),
        "owner": st.sampled_from(["a", 1]),
    },
)
selects = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([*[str(UUID(int=number)) for number in range(3, 9)], "x"]),
        "name": st.sampled_from(["a*", "*", "b", "c?", ""]),
        "status": st.sampled_from(["active", "suspended", "parent-suspended", "deleted"]),
    },
)
rules = st.fixed_dictionaries(
    {"select": selects},
    optional={
        "keys": st.lists(entries, max_size=2),
        "unmanaged": st.sampled_from(["ignore", "report", "quarantine", "delete"]),
    },
)
files = st.lists(
    st.fixed_dictionaries(
        {"version": st.just(1), "account": st.integers(1, 2).map(lambda number: str(UUID(int=number)))},
        optional={
            "keys": st.lists(entries, max_size=3),
            "roles": st.sampled_from([{"r": ["*"]}, {"s": ["domains:write"]}]),
            "unmanaged": st.sampled_from(["ignore", "report"]),
            "sub_accounts": st.lists(rules, max_size=2),
        },
    ),
    min_size=1,
    max_size=3,
)


def outcome(documents: list[dict[str, Any]], *, reverse: bool) -> object:
    try:
        return plain(load(*map(json.dumps, documents), reverse=reverse))
    except FilesError as error:
        return len(error.problems)


@LAW
@given(files)
def test_order_never_matters(documents: list[dict[str, Any]]) -> None:
    """The order in which paths are given, files come and keys stand changes nothing: not the state, not a verdict."""
    straight = outcome(documents, reverse=False)
    assert outcome(documents, reverse=True) == straight
    turned = [
        {name: value[::-1] if isinstance(value, list) else value for name, value in each.items()}
        for each in reversed(documents)
    ]
    again = outcome(turned, reverse=False)
    assert (isinstance(again, int)) == isinstance(straight, int)
    assert isinstance(again, int) or again == straight


good_keys = st.lists(
    st.fixed_dictionaries(
        {"name": st.text("abc", min_size=1, max_size=3), "scopes": st.lists(st.sampled_from(["*", "domains:read"]))},
        optional={"ip_allow_list": st.lists(st.just("10.0.0.1")), "state": st.sampled_from(["present", "absent"])},
    ),
    max_size=3,
    unique_by=lambda key: key["name"],
)
ways = st.sampled_from(["ignore", "report", "quarantine"])
good_rules = st.fixed_dictionaries(
    {
        "select": st.fixed_dictionaries(
            {"name": st.text("a*?é :#", min_size=1, max_size=3)},
            optional={"id": ids, "status": st.sampled_from(["active", "suspended", "parent-suspended"])},
        ),
        "keys": good_keys,
        "unmanaged": st.one_of(ways, ways.map(lambda then: {"then": then, "min_age": "3d"})),
    }
).flatmap(
    lambda rule: st.sampled_from([rule, {"select": rule["select"], "keys": rule["keys"]}] if rule["keys"] else [rule])
)


@LAW
@given(
    st.lists(
        st.lists(good_rules, max_size=4, unique_by=lambda rule: json.dumps(rule["select"], sort_keys=True)),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_every_rule_is_loaded_as_it_stands(files_of_rules: list[Any], indent: int | None, reverse: bool) -> None:
    """Rules come in the order of their places, and each place of a rule, a key or `unmanaged` shows what was read."""
    texts = [
        json.dumps({"version": 1, "account": str(UUID(int=number)), "sub_accounts": rules}, indent=indent)
        for number, rules in enumerate(files_of_rules)
    ]
    accounts = load(*texts, reverse=reverse).accounts
    assert len(accounts) == len(texts)
    for account, text, rules in zip(accounts, texts, files_of_rules, strict=True):
        assert [at(text, rule.source) for rule in account.sub_accounts] == rules
        for loaded, written in zip(account.sub_accounts, rules, strict=True):
            assert {"id": None, "status": None, **written["select"]} == asdict(loaded.select)
            assert sorted(key.name for key in loaded.keys) == [key.name for key in loaded.keys]
            for key in loaded.keys:
                written_key = at(text, key.source)
                assert written_key in written["keys"]
                assert (key.name, key.state) == (written_key["name"], written_key.get("state", "present"))
                assert key.scopes == ScopeSet.parse(written_key["scopes"])
            assert len(loaded.keys) == len(written["keys"])
            way = written.get("unmanaged")
            assert (loaded.unmanaged is None) == (way is None)
            if loaded.unmanaged and loaded.unmanaged.source:
                assert at(text, loaded.unmanaged.source) == way
                assert loaded.unmanaged.then == (way if isinstance(way, str) else way["then"])


def at(text: str, source: Source) -> Any:
    """Give the JSON value that stands at a place."""
    start = sum(len(line) + 1 for line in text.split("\n")[: source.line - 1]) + source.column - 1
    return json.JSONDecoder().raw_decode(text, start)[0]


FIELDS = st.sampled_from(
    sorted({name for each in (desired_schema(), *desired_schema()["$defs"].values()) for name in each["properties"]})
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.floats(), st.text(max_size=5), FIELDS, st.just(1), st.just("${A}")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(FIELDS, st.text(max_size=3)), inner)
    ),
    max_leaves=25,
)
odd_entries = st.one_of(entries, st.dictionaries(FIELDS, values, max_size=4), values)
PLACE = re.compile(r"\S+/0\.yaml:\d+:\d+")


@LAW
@given(st.lists(st.one_of(entries, odd_entries), min_size=1, max_size=4))
def test_a_key_in_a_rule_is_read_as_one_of_an_account(held: list[Any]) -> None:
    """Keys mean the same, and the same is wrong with them, whether they stand in an account or in a rule in it."""
    head = {"version": 1, "account": ACCOUNT.account_id, "roles": {"r": ["*"]}, "defaults": {"owner": "o"}}

    def read(document: dict[str, Any]) -> tuple[list[DesiredAccount], list[str]]:
        try:
            return list(load(json.dumps(head | document)).accounts), []
        except FilesError as error:
            return [], sorted(PLACE.sub("", problem.message) for problem in error.problems)

    in_account, wrong = read({"keys": held})
    in_rule, wrong_in_rule = read({"sub_accounts": [{"select": {"id": str(UUID(int=3))}, "keys": held}]})
    assert wrong_in_rule == wrong
    assert [plain_keys(rule.keys) for account in in_rule for rule in account.sub_accounts] == [
        plain_keys(account.keys) for account in in_account
    ]


documents = st.one_of(
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, values, max_size=6).map(lambda value: json.dumps({"version": 1, **value}).encode()),
    st.lists(st.dictionaries(FIELDS, values), max_size=3).map(
        lambda value: json.dumps({"version": 1, "account": ACCOUNT.account_id, "keys": value}).encode()
    ),
    st.lists(st.dictionaries(FIELDS, values), max_size=3).map(
        lambda value: json.dumps({"version": 1, "account": ACCOUNT.account_id, "sub_accounts": value}).encode()
    ),
    st.binary(max_size=60),
)


@LAW
@given(documents)
def test_no_file_is_a_surprise(content: bytes) -> None:
    """Whatever is in a file, it loads or is refused with at least one problem, each on one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        path.write_bytes(content)
        for read in (lambda: load_desired([path], lambda _: "x"), lambda: load_policy([path])):
            problems = refusal(read)
            assert problems is None or (problems and all(problem.message.isprintable() for problem in problems))


def refusal(read: Callable[[], object]) -> tuple[Problem, ...] | None:
    try:
        read()
    except FilesError as error:
        return error.problems
    return None
