"""Laws of reading desired state and of writing it, over random files and random accounts."""

import json
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.keys import AccountRef, DesiredState, RemoteKey
from reconciler.core.networks import AllowList
from reconciler.core.plan import plan_account
from reconciler.core.scopes import STATIC, TARGETED, ScopeSet
from reconciler.errors import FilesError, Problem
from reconciler.files.desired import load_desired
from reconciler.files.entries import desired_schema
from reconciler.files.export import export_account
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


def load(*texts: str, reverse: bool = False) -> DesiredState:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.yaml") for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            write_whole(path, text, overwrite=False)
        return load_desired(paths[::-1] if reverse else paths, lambda _: None).state


@LAW
@given(accounts, st.randoms(use_true_random=False))
def test_a_plan_from_an_export_changes_nothing(actual: list[RemoteKey], random: Any) -> None:
    """What an account exports asks for exactly what is there; the same keys give the same bytes in any order."""
    text = export_account(ACCOUNT, actual)
    assert all(line.isprintable() for line in text.split("\n"))
    (desired,) = load(text).accounts
    plan = plan_account(desired, actual, NOW)
    assert plan.changes == ()
    named = {spec.id for spec in desired.keys}
    assert named == {key.id for key in actual if 1 <= len(key.label) <= 255 and not SURROGATE.search(key.label)}
    assert desired.account == ACCOUNT
    random.shuffle(actual)
    assert export_account(ACCOUNT, actual) == text


def plain(state: DesiredState) -> list[object]:
    """Give what a state says without where it says so."""
    return [
        (account.account, sorted((key.name, key.scopes, key.ip_allow_list, key.id, key.owner) for key in account.keys))
        for account in state.accounts
    ]


entries = st.fixed_dictionaries(
    {"name": st.text("abc", min_size=1, max_size=2), "scopes": st.lists(st.sampled_from(["*", "domains:read"]))},
    optional={
        "ip_allow_list": st.lists(st.sampled_from(["10.0.0.1", "192.0.2.1", "office"]), max_size=2),
        "was": st.lists(st.text("abc", min_size=1, max_size=2)),
        "roles": st.lists(st.sampled_from(["r", "s"])),
        "owner": st.sampled_from(["a", 1]),
    },
)
files = st.lists(
    st.fixed_dictionaries(
        {"version": st.just(1), "account": st.integers(1, 2).map(lambda number: str(UUID(int=number)))},
        optional={
            "keys": st.lists(entries, max_size=3),
            "roles": st.sampled_from([{"r": ["*"]}, {"s": ["domains:write"]}]),
            "unmanaged": st.sampled_from(["ignore", "report"]),
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
    turned = [{**each, "keys": each["keys"][::-1]} if "keys" in each else each for each in reversed(documents)]
    again = outcome(turned, reverse=False)
    assert (isinstance(again, int)) == isinstance(straight, int)
    assert isinstance(again, int) or again == straight


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
documents = st.one_of(
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, values, max_size=6).map(lambda value: json.dumps({"version": 1, **value}).encode()),
    st.lists(st.dictionaries(FIELDS, values), max_size=3).map(
        lambda value: json.dumps({"version": 1, "account": ACCOUNT.account_id, "keys": value}).encode()
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
        for read in (lambda: load_desired([path], lambda _: "x"), lambda: load_policy(path)):
            problems = refusal(read)
            assert problems is None or (problems and all(problem.message.isprintable() for problem in problems))


def refusal(read: Callable[[], object]) -> tuple[Problem, ...] | None:
    try:
        read()
    except FilesError as error:
        return error.problems
    return None
