"""Switching off keys of no file: what exempts one, what a rule adds to a plan, and what it waits for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, plan, remote, spec
from reconciler.core.changes import AccessChange, Action, Change, Delta, Direction, Fields, ListDiff, Outcome
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.networks import FENCED
from reconciler.core.plan import Remark, fence_alone, may_be_fenced

RULE = Source("policy.yaml", 7, 3)
A_DAY = timedelta(hours=24)
A_SECOND = timedelta(seconds=1)
READER = remote("1", "reader", "domains:read")
SENDER = remote("2", "sender", SHOP)


@pytest.mark.parametrize(
    ("key", "rule", "may_be"),
    [
        (READER, UnmanagedRule(), True),
        (replace(READER, created_at=NOW - A_DAY), UnmanagedRule(), True),
        (replace(READER, created_at=NOW - A_DAY + A_SECOND), UnmanagedRule(), False),
        (replace(READER, created_at=NOW), UnmanagedRule(min_age=timedelta()), True),
        (replace(READER, created_at=NOW + A_SECOND), UnmanagedRule(min_age=timedelta()), False),
        (remote("1", "reader", "domains:read", at=(FENCE,)), UnmanagedRule(), False),
        (remote("1", "reader", "domains:read", at=(FENCE, OFFICE)), UnmanagedRule(), True),
        (SENDER, UnmanagedRule(), False),
        (SENDER, UnmanagedRule(include_senders=True), True),
        (remote("2", "sender", SHOP, "domains:read"), UnmanagedRule(), True),
        (READER, UnmanagedRule(exceptions=("reader",)), False),
        (READER, UnmanagedRule(exceptions=("none", "read*")), False),
        (READER, UnmanagedRule(exceptions=("read", "1")), True),
        (remote("1", "ci[1]", "domains:read"), UnmanagedRule(exceptions=("ci[1]",)), False),
        (remote("1", "ci1", "domains:read"), UnmanagedRule(exceptions=("ci[1]",)), True),
        (READER, UnmanagedRule(UnmanagedAction.IGNORE), True),
    ],
)
def test_what_may_be_fenced(key: RemoteKey, rule: UnmanagedRule, may_be: bool) -> None:
    """A key is exempt while it is young, where it only sends, by its label, and when it is switched off already."""
    assert may_be_fenced(key, rule, NOW) is may_be


def test_fencing() -> None:
    """A rule's fence is a change like any other, planned at the rule's place, with all that it takes away."""
    made = plan((), (READER,)).fencing((READER,), RULE)
    assert made.changes == (
        Change(
            ACCOUNT,
            Action.QUARANTINE,
            name=None,
            key_id="1",
            label="reader",
            source=RULE,
            fields=Fields(ip_allow_list=ListDiff((OFFICE,), (FENCE,))),
            access=AccessChange(Direction.NARROW, Delta(), Delta((), (OFFICE,))),
            before=READER,
            after=replace(READER, ip_allow_list=FENCED),
            outcome=Outcome.PLANNED,
        ),
    )


def test_fencing_keeps_what_is_planned() -> None:
    """Other changes stay, all in the one order of plans; nothing else of a plan changes but that it acts."""
    before = plan((spec("shop", SHOP),), (remote("9", "shop", NEWS), READER, SENDER))
    made = before.fencing((SENDER, READER), RULE)
    assert [(change.name, change.label, change.key_id) for change in made.changes] == [
        ("shop", "shop", "9"),
        (None, "reader", "1"),
        (None, "sender", "2"),
    ]
    assert (before.unmanaged_acts, made.unmanaged_acts) == (False, True)
    assert replace(made, changes=before.changes, unmanaged_acts=False) == before


def test_a_key_is_fenced_once() -> None:
    """A key that is to be switched off already keeps its change and the place that asks for it."""
    files = UnmanagedRule(UnmanagedAction.QUARANTINE, source=Source("keys.yaml", 9, 1))
    young = remote("3", "young", "domains:read", created_at=NOW)
    made = plan((), (READER, young), unmanaged=files).fencing((READER, young), RULE)
    assert [(change.key_id, change.source) for change in made.changes] == [("1", files.source), ("3", RULE)]
    assert made.fencing((READER, young), Source("policy.yaml", 8, 3)) == made


@pytest.mark.parametrize(
    ("specs", "keys", "waits"),
    [
        ((), (READER,), None),
        ((spec("a", SHOP),), (remote("9", "a", NEWS), READER), None),
        ((spec("a", state=KeyState.QUARANTINED),), (READER,), None),
        ((spec("a", state=KeyState.ABSENT),), (READER,), None),
        ((spec("a", SHOP),), (READER,), "a"),
        ((spec("a", SHOP),), (remote("8", "a"), remote("9", "a")), "a"),
        ((spec("a", state=KeyState.QUARANTINED, id="77"),), (READER,), None),
        ((spec("a", SHOP, id="77"),), (READER,), "a"),
        ((spec("a", state=KeyState.ABSENT),), (remote("8", "a"), remote("9", "a")), "a"),
        ((spec("b", SHOP), spec("a", SHOP)), (), "a"),
    ],
)
def test_what_fencing_waits_for(specs: tuple[KeySpec, ...], keys: tuple[RemoteKey, ...], waits: str | None) -> None:
    """Keys of no file are left alone while a desired key that should be there is not found, or cannot be told."""
    made = plan(specs, keys)
    asked = {each.name: each for each in specs}
    assert made.waits == (
        None
        if waits is None
        else Remark(
            "unmanaged-waits",
            f"unmanaged keys are left alone while {waits} is not matched: one of them may be it",
            "pin its id, create it, or remove it from the files",
            asked[waits],
        )
    )


def test_a_plan_that_waits_tells_it_only_where_files_act() -> None:
    """The reason stands among the remarks where the files themselves want keys switched off; it is the same reason."""
    specs = (spec("a", SHOP),)
    reporting = plan(specs, (READER,))
    acting = plan(specs, (READER,), unmanaged=UnmanagedRule(UnmanagedAction.QUARANTINE))
    assert reporting.remarks == ()
    assert acting.remarks == (acting.waits,) == (reporting.waits,)
    assert [change.key_id for change in acting.changes] == [None]


def test_a_quarantine_without_what_else_it_would_do() -> None:
    """The fence is set and the rest stays as it was listed, whatever the file says of scopes and labels."""
    held = remote("1", "Old", "domains:read")
    wanted = spec("reader", "*", label="New", was=("Old",), state=KeyState.QUARANTINED)
    (change,) = plan((wanted,), (held,)).changes
    assert change.action is Action.QUARANTINE
    assert change.fields.scopes is not None
    assert change.fields.label is not None
    alone = fence_alone(change)
    assert alone.after == replace(held, ip_allow_list=FENCED)
    assert (alone.fields.scopes, alone.fields.label) == (None, None)
    assert alone.access.direction is Direction.NARROW
    assert fence_alone(replace(change, before=None)) == replace(change, before=None)
