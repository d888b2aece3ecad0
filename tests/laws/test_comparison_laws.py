"""Laws of comparing the keys of two reports, counted out in a small universe, and of what a pass leaves."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ACCOUNT, FENCE, NOW, SUB_ACCOUNT, desired
from core.comparing import read, report
from laws.test_pass_laws import ALL, stories
from laws.universe import SPELLED_OUT, allowed, law, let_in, remotes, specs
from looking import audit
from reconciler.core.changes import Delta
from reconciler.core.comparison import check_lists, compared
from reconciler.core.inventory import ReportedKey, report_keys
from reconciler.core.keys import RemoteKey
from reconciler.core.plan import plan_account
from reconciler.core.report import ChangedKey, KeyEvent, Report
from reconciler.files.report import load_report
from reconciler.render.json import render
from world import World

APPEARED, GONE, CHANGED = KeyEvent
TURNED = {APPEARED: GONE, GONE: APPEARED, CHANGED: CHANGED}
Keys = Mapping[str, ReportedKey]


@st.composite
def inventories(draw: st.DrawFn) -> tuple[ReportedKey, ...]:
    """The keys of an account of which a few are managed, and any may be missing."""
    keys: tuple[RemoteKey, ...] = draw(remotes(0, 5))
    left = draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    return report_keys(plan_account(desired(*draw(specs(0, 2))), left, NOW))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """A report of an account and a sub account, of which either may not have been read."""
    known = st.none() | inventories() | inventories() | inventories()
    return report(accounts=tuple(replace(read(each), inventory=draw(known)) for each in (ACCOUNT, SUB_ACCOUNT)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Report, Report]:
    """A report and an earlier one, of which most keys are what they were, if spelled or called otherwise."""
    now, before = draw(reports()), draw(reports())
    accounts = []
    for account, earlier in zip(now.accounts, before.accounts, strict=True):
        kept = [one for key in earlier.inventory or () for one in draw(st.sampled_from(AFTERWARDS))(key)]
        others = [key for key in account.inventory or () if draw(st.booleans())]
        keys = {key.key_id: key for key in (*others, *kept)}
        accounts.append(replace(account, inventory=None if account.inventory is None else tuple(keys.values())))
    return replace(now, accounts=tuple(accounts)), before


def respelled(key: ReportedKey) -> ReportedKey:
    """The same key with every scope that it holds through another one, and its networks cut in halves."""
    held = [text for text in SPELLED_OUT if text in allowed(key.scopes)]
    return replace(
        key, scopes=(*key.scopes, *held), ip_allow_list=tuple(each for text in key.ip_allow_list for each in _cut(text))
    )


def _cut(text: str) -> list[str]:
    network = ip_network(text)
    return [text] if network.prefixlen == network.max_prefixlen else [str(half) for half in network.subnets()]


def relabelled(key: ReportedKey) -> ReportedKey:
    return replace(key, label=f"{key.label} again")


AFTERWARDS: tuple[Callable[[ReportedKey], tuple[ReportedKey, ...]], ...] = (
    lambda key: (key,),
    lambda key: (respelled(key),),
    lambda key: (relabelled(key),),
    lambda key: (relabelled(respelled(key)),),
    lambda key: (replace(key, ip_allow_list=(FENCE,)),),
    lambda key: (),
)
"""What becomes of a key: nothing, another spelling, another label, both, the fence, or the end."""


def keys_of(one: Report) -> dict[str | None, Keys]:
    """The keys of the accounts that were read, by the id of the sub account and theirs."""
    return {
        account.sub_account_id: {key.key_id: key for key in account.inventory}
        for account in one.accounts
        if account.inventory is not None
    }


def changed(now: Report, before: Report) -> tuple[ChangedKey, ...]:
    since = compared(now, before).since
    assert since is not None
    assert since.not_compared == len(keys_of(now).keys() ^ keys_of(before).keys())
    return since.keys


def may(key: ReportedKey | None) -> tuple[frozenset[str], frozenset[str]]:
    """What a key may do and from where; one that is not there may nothing."""
    return (allowed(key.scopes), let_in(key.ip_allow_list)) if key else (frozenset(), frozenset())


@law
@given(reports())
def test_nothing_became_of_keys_since_now(one: Report) -> None:
    """A report compared with itself, as it is or read back, tells of no key and of no account that only one has."""
    assert changed(one, one) == ()
    assert changed(load_report(render(one)), one) == ()
    check_lists(one)


@law
@given(pairs())
def test_there_and_back(both: tuple[Report, Report]) -> None:
    """What appeared is gone the other way round, what changed did, and whatever the one grants the other revokes."""
    now, before = both
    there = {(each.sub_account_id, each.key_id): each for each in changed(now, before)}
    back = {(each.sub_account_id, each.key_id): each for each in changed(before, now)}
    assert [*there] == [*back]
    for place, each in there.items():
        assert back[place].what is TURNED[each.what]
        assert turned(back[place].access.scopes) == each.access.scopes
        assert turned(back[place].access.networks) == each.access.networks


def turned(delta: Delta) -> Delta:
    return Delta(delta.revoked, delta.granted)


@law
@given(pairs())
def test_every_difference_in_access_is_told(both: tuple[Report, Report]) -> None:
    """A key is told if, and only if, its label, what it may do or whom it lets in is another, in order, with each."""
    now, before = both
    told = {(each.sub_account_id, each.key_id): each for each in changed(now, before)}
    assert [*told] == sorted(told, key=lambda place: (place[0] or "", place[1]))
    listed, listed_before = keys_of(now), keys_of(before)
    expected = {
        (account, key_id): (old.get(key_id), new.get(key_id))
        for account in listed.keys() & listed_before.keys()
        for old, new in [(listed_before[account], listed[account])]
        for key_id in {*old, *new}
    }
    differing = {place: both for place, both in expected.items() if _differ(*both)}
    assert told.keys() == differing.keys()
    for place, (first, last) in differing.items():
        _check(told[place], first, last)


def _differ(old: ReportedKey | None, new: ReportedKey | None) -> bool:
    return old is None or new is None or old.label != new.label or may(old) != may(new)


def _check(told: ChangedKey, old: ReportedKey | None, new: ReportedKey | None) -> None:
    """Hold what is told of a key against what it could do and can do by now."""
    assert told.what is (APPEARED if old is None else GONE if new is None else CHANGED)
    key = new or old
    assert key is not None
    assert (told.label, told.name) == (key.label, key.name)
    (could, could_from), (can, can_from) = may(old), may(new)
    scopes, networks = told.access.scopes, told.access.networks
    assert bool(scopes.granted) is bool(can - could)
    assert bool(scopes.revoked) is bool(could - can)
    assert bool(networks.granted) is bool(can_from - could_from)
    assert bool(networks.revoked) is bool(could_from - can_from)
    assert can - could <= allowed(scopes.granted) <= can
    assert could - can <= allowed(scopes.revoked) <= could
    if new is None:
        assert not told.fields
    elif old is not None:
        assert bool(told.fields.label) is (old.label != new.label)
        assert bool(told.fields.scopes) is (can != could)
        assert bool(told.fields.ip_allow_list) is (can_from != could_from)


@given(stories(), st.lists(st.sampled_from((400, 403, 503, "after", "before")), max_size=4))
@settings(law, max_examples=60)
def test_a_pass_tells_what_it_leaves(story: tuple[list[Any], list[Any]], faults: list[Any]) -> None:
    """Whatever is applied, held back or fails, an audit right after a pass finds the keys that the pass has told."""
    keys, entries = story
    with TemporaryDirectory() as folder:
        world = World(Path(folder), keys, f"keys: {json.dumps(entries)}")
        does = ({"drop": fault} if isinstance(fault, str) else {"status": fault} for fault in faults)
        world.faults(*({"method": "PUT", "path": "*", "first": 1, "do": do} for do in does))
        applied = world.apply(allowed=ALL)
        world.faults()
        found = audit(world)
    assert changed(found, applied) == ()
    (account,), (audited,) = applied.accounts, found.accounts
    for left, seen in zip(account.inventory or (), audited.inventory or (), strict=True):
        assert replace(left, last_used_at=None) == replace(seen, last_used_at=None)
