"""Laws of a whole pass, against an emulator that shares no code with the product."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.networks import AllowList
from reconciler.core.scopes import ScopeSet, parse_scope
from reconciler.emulator.permissions import canonical_scopes, may
from world import World, key, key_id, outcomes

DOMAINS = ("shop.example.com", "news.example.com")
ALL = frozenset({"max-changes", "max-switched-off", "restore", "guardian", "unreachable", "empty-desired"})
FENCE = ["192.0.2.1/32"]

laws = settings(derandomize=True, deadline=None, max_examples=120)
texts = st.sampled_from(
    (
        "*",
        "domains:read",
        "api-keys:read",
        "api-keys:write",
        "suppressions:read",
        "messages:send:all",
        "messages:read:all",
        *(f"messages:{action}:{{{domain}}}" for action in ("send", "read") for domain in DOMAINS),
    )
)
scope_lists = st.lists(texts, min_size=1, max_size=4, unique=True)
networks = st.lists(
    st.sampled_from(("203.0.113.0/24", "203.0.113.0/25", "203.0.113.128/25", "198.51.100.7/32")), unique=True
)


@given(scope_lists, texts.filter(lambda text: parse_scope(text).reach.value in ("static", "everything")))
@laws
def test_the_emulator_agrees_who_may_do_what(held: list[str], needed: str) -> None:
    """Whether a key may call an operation, the emulator judges as ``covers`` does."""
    assert may(held, needed) is ScopeSet.parse(held).covers(parse_scope(needed))


@given(scope_lists)
@laws
def test_the_emulator_agrees_what_is_covered(sent: list[str]) -> None:
    """What the server makes of the scopes that it is sent allows the same as what was sent, and as what we send."""
    kept = ScopeSet.parse(canonical_scopes(sent, held=(), domains=DOMAINS))
    assert kept.equivalent(ScopeSet.parse(sent))
    assert kept.equivalent(ScopeSet.parse(sent).reduced())


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """An account of up to five keys, and what the files say about most of them."""
    keys, entries = [], []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        listed = draw(networks | st.just(FENCE))
        keys.append(key(number, f"key {number}", *draw(scope_lists), ip_allow_list=listed))
        if draw(st.integers(0, 4)):
            entries.append(_entry(draw, number))
    return keys, entries


def _entry(draw: st.DrawFn, number: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": f"key-{number}", "id": key_id(number), "scopes": draw(scope_lists)}
    entry["label"] = draw(st.sampled_from((f"key {number}", "another")))
    entry["state"] = draw(st.sampled_from(("present", "present", "quarantined")))
    if draw(st.booleans()):
        entry["ip_allow_list"] = draw(networks)
    return entry


@given(stories(), st.randoms(use_true_random=False))
@laws
def test_a_full_apply_converges(story: tuple[list[dict[str, Any]], list[dict[str, Any]]], random: Any) -> None:
    """After an apply nothing is left to do; nothing was granted that neither side had, and no other key touched."""
    keys, entries = story
    random.shuffle(entries)
    with TemporaryDirectory() as folder:
        world = World(Path(folder), keys, f"keys: {json.dumps(entries)}")
        before = world.account()
        planned = world.plan(allowed=ALL)
        applied = world.apply(allowed=ALL, digest=planned.digest)
        assert set(outcomes(applied).values()) <= {"applied", "skipped"}
        assert set(outcomes(applied)) == set(outcomes(planned))
        again = world.apply(allowed=ALL)
        assert again.requests.PUT == 0
        assert not any(change.outcome.value == "planned" for change in world.plan(allowed=ALL).changes)
        _check_history(world, before, entries)


def _check_history(world: World, before: dict[str, dict[str, Any]], entries: Sequence[dict[str, Any]]) -> None:
    """No state that a key went through allows more than it had and the files ask for; no other key was written."""
    asked = {entry["id"]: entry for entry in entries}
    for change in world.emulator.history:
        entry = asked[change.key_id]
        assert change.after is not None
        allowed = ScopeSet.parse([*before[change.key_id]["scopes"], *entry["scopes"]])
        assert not ScopeSet.parse(change.after["scopes"]).beyond(allowed)
        had = AllowList.parse(before[change.key_id]["ip_allow_list"])
        wanted = AllowList.parse(FENCE if entry["state"] == "quarantined" else entry.get("ip_allow_list", had.networks))
        now = AllowList.parse(change.after["ip_allow_list"])
        assert now.equivalent(had) or now.equivalent(wanted)


@given(stories(), st.lists(st.sampled_from(("after", "before", 500, 429, "html", "truncated")), max_size=4))
@settings(laws, max_examples=60)
def test_faults_never_lie(story: tuple[list[dict[str, Any]], list[dict[str, Any]]], faults: list[Any]) -> None:
    """Whatever happens to PUTs, what is reported as applied is so, and a pass without faults finds nothing undone."""
    keys, entries = story
    with TemporaryDirectory() as folder:
        world = World(Path(folder), keys, f"keys: {json.dumps(entries)}")
        world.faults(*({"method": "PUT", "path": "*", "first": 1, "do": _do(fault)} for fault in faults))
        report = world.apply(allowed=ALL)
        for change in report.changes:
            if change.outcome.value == "applied":
                assert change.key_id is not None
                now = world.account()[change.key_id]
                if change.fields.scopes:
                    assert ScopeSet.parse(now["scopes"]).equivalent(ScopeSet.parse(change.fields.scopes.after))
                if change.fields.ip_allow_list:
                    wanted = AllowList.parse(change.fields.ip_allow_list.after)
                    assert AllowList.parse(now["ip_allow_list"]).equivalent(wanted)
        world.faults()
        world.apply(allowed=ALL)
        assert not any(change.outcome.value == "planned" for change in world.plan(allowed=ALL).changes)


def _do(fault: Any) -> dict[str, Any]:
    if isinstance(fault, int):
        return {"status": fault}
    return {"drop": fault} if fault in ("after", "before") else {"body": fault}
