"""The plan: a story for each thing that a file may ask of a key, and the digest."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
import rfc8785

from builders import (
    ACCOUNT,
    FENCE,
    NEWS,
    NOW,
    OFFICE,
    SHOP,
    SUB_ACCOUNT,
    desired,
    networks,
    only,
    plan,
    remote,
    scopes,
    spec,
    whole,
)
from reconciler.core.changes import AccessChange, Action, Change, Delta, Direction, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.keys import KeyState, Pause, RemoteKey, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.networks import FENCED
from reconciler.core.plan import (
    NO_CREATION,
    NO_DELETION,
    NO_EMPTY_SCOPES,
    SAY_WHICH_NETWORKS,
    KeyCounts,
    digest,
    plan_account,
)

QUARANTINED = KeyState.QUARANTINED
ABSENT = KeyState.ABSENT
FENCE_UNMANAGED = UnmanagedRule(then=UnmanagedAction.QUARANTINE, source=Source("keys.yaml", 9, 1))
FENCED_AT = (FENCE,)


@pytest.mark.parametrize(
    "key",
    [
        remote("1", "shop", SHOP, NEWS),
        remote("1", "shop", NEWS, SHOP, at=("203.0.113.0/25", "203.0.113.128/25")),
        remote("1", "shop", SHOP, NEWS, last_used_at=NOW),
    ],
)
def test_in_sync(key: RemoteKey) -> None:
    """Whatever means the same as the file, however the server writes it, is no change."""
    assert plan((spec("shop", SHOP, NEWS),), (key,)).changes == ()


def test_equivalent_scopes_are_left_as_they_are() -> None:
    """A covered scope more or less is no difference, and does not ride along with another change."""
    change = only(
        plan((spec("shop", "messages:send:all", SHOP, was=("old",)),), (remote("1", "old", "messages:send:all"),))
    )
    assert change.fields == Fields(label=TextDiff("old", "shop"))


def test_update() -> None:
    """An update carries only the fields that differ, canonical, without covered scopes, and says what it does."""
    wanted = spec("shop", "messages:send:all", SHOP, at=("203.0.113.0/25", OFFICE))
    key = remote("1", "shop", SHOP, "api-keys:read", at=("198.51.100.0/24",))
    assert only(plan((wanted,), (key,))) == Change(
        account=ACCOUNT,
        action=Action.UPDATE,
        name="shop",
        key_id="1",
        label="shop",
        source=wanted.source,
        fields=Fields(
            scopes=ListDiff(("api-keys:read", SHOP), ("messages:send:all",)),
            ip_allow_list=ListDiff(("198.51.100.0/24",), ("203.0.113.0/24", "203.0.113.0/25")),
        ),
        access=AccessChange(
            Direction.MIXED,
            Delta(("messages:send:all",), ("api-keys:read",)),
            Delta(("203.0.113.0/24", "203.0.113.0/25"), ("198.51.100.0/24",)),
        ),
        before=key,
        after=replace(key, scopes=scopes("messages:send:all"), ip_allow_list=networks(OFFICE, "203.0.113.0/25")),
    )


def test_what_the_file_leaves_open() -> None:
    """A list or scopes that the file does not say stay as they are."""
    assert plan((spec("shop", SHOP, at=None),), (remote("1", "shop", SHOP, at=()),)).changes == ()
    left_open = spec("shop", state=QUARANTINED, scopes=None)
    assert only(plan((left_open,), (remote("1", "shop", SHOP),))).fields.scopes is None


def test_list_is_cleared_when_the_file_says_so() -> None:
    """``[]`` means anywhere, and only ``[]`` equals it."""
    change = only(plan((spec("shop", SHOP, at=()),), (remote("1", "shop", SHOP),)))
    assert change.fields == Fields(ip_allow_list=ListDiff((OFFICE,), ()))
    assert change.access.networks == Delta(("anywhere",), ())


def test_quarantine() -> None:
    """A quarantine sets the fence and keeps label and scopes reconciled in the same write."""
    wanted = spec("shop", NEWS, was=("old",), state=QUARANTINED)
    change = only(plan((wanted,), (remote("1", "old", SHOP),)))
    assert (change.action, change.outcome) == (Action.QUARANTINE, Outcome.PLANNED)
    assert change.fields == Fields(TextDiff("old", "shop"), ListDiff((SHOP,), (NEWS,)), ListDiff((OFFICE,), FENCED_AT))
    assert change.access.networks == Delta((), (OFFICE,))


def test_quarantined_key_stays_reconciled() -> None:
    """A fenced key that is to be fenced is as wanted; its label and scopes are still updated."""
    wanted = spec("shop", NEWS, state=QUARANTINED)
    assert plan((wanted,), (remote("1", "shop", NEWS, at=FENCED_AT),)).changes == ()
    change = only(plan((wanted,), (remote("1", "shop", SHOP, at=FENCED_AT),)))
    assert (change.action, change.fields) == (Action.UPDATE, Fields(scopes=ListDiff((SHOP,), (NEWS,))))


def test_the_fence_does_not_wait_for_empty_scopes() -> None:
    """A key that is to be fenced with no scopes is fenced with those it has; emptying them stays impossible."""
    wanted = spec("shop", state=QUARANTINED)
    first = only(plan((wanted,), (remote("1", "shop", SHOP),)))
    assert (first.outcome, first.fields) == (Outcome.PLANNED, Fields(ip_allow_list=ListDiff((OFFICE,), FENCED_AT)))
    then = only(plan((wanted,), (remote("1", "shop", SHOP, at=FENCED_AT),)))
    assert (then.action, then.outcome, then.reason) == (Action.UPDATE, Outcome.SKIPPED, NO_EMPTY_SCOPES)


def test_restore() -> None:
    """A fenced key that is to be present is restored with what the file says."""
    change = only(plan((spec("shop", SHOP),), (remote("1", "shop", SHOP, at=FENCED_AT),)))
    assert (change.action, change.outcome) == (Action.RESTORE, Outcome.PLANNED)
    assert change.access == AccessChange(Direction.WIDEN, Delta(), Delta((OFFICE,), ()))


@pytest.mark.parametrize(
    ("at", "texts", "reason"),
    [
        (None, (SHOP,), SAY_WHICH_NETWORKS),
        (None, (NEWS,), SAY_WHICH_NETWORKS),
        (FENCED_AT, (SHOP,), SAY_WHICH_NETWORKS),
        ((OFFICE,), (), NO_EMPTY_SCOPES),
    ],
)
def test_restore_that_cannot_be_made(at: tuple[str, ...] | None, texts: tuple[str, ...], reason: str) -> None:
    """A fenced key whose spec is present is never in sync, even where the file does not say enough."""
    change = only(plan((spec("shop", *texts, at=at),), (remote("1", "shop", SHOP, at=FENCED_AT),)))
    assert (change.action, change.outcome, change.reason) == (Action.RESTORE, Outcome.SKIPPED, reason)


def test_empty_scopes() -> None:
    """No scopes is no difference where the key has none, and skipped where it has some."""
    assert plan((spec("shop"),), (remote("1", "shop"),)).changes == ()
    change = only(plan((spec("shop"),), (remote("1", "shop", SHOP),)))
    assert (change.action, change.outcome, change.reason) == (Action.UPDATE, Outcome.SKIPPED, NO_EMPTY_SCOPES)


@pytest.mark.parametrize(
    ("at", "access"),
    [
        ((OFFICE,), AccessChange(Direction.NARROW, Delta((), (SHOP,)), Delta((), (OFFICE,)))),
        (FENCED_AT, AccessChange()),
    ],
)
def test_absent(at: tuple[str, ...], access: AccessChange) -> None:
    """A key that is to be gone is a deletion that this version leaves to a person."""
    change = only(plan((spec("shop", state=ABSENT),), (remote("1", "shop", SHOP, at=at),)))
    assert (change.action, change.outcome, change.reason) == (Action.DELETE, Outcome.SKIPPED, NO_DELETION)
    assert (change.fields, change.access, change.after) == (Fields(), access, None)


@pytest.mark.parametrize(("at", "listed"), [((OFFICE,), (OFFICE,)), (None, ()), ((), ())])
def test_create(at: tuple[str, ...] | None, listed: tuple[str, ...]) -> None:
    """A missing key is a creation that this version leaves to a person, with what it would grant."""
    change = only(plan((spec("shop", "messages:send:all", SHOP, at=at),), ()))
    assert (change.action, change.outcome, change.reason, change.key_id) == (
        Action.CREATE,
        Outcome.SKIPPED,
        NO_CREATION,
        None,
    )
    assert change.fields == Fields(
        TextDiff(None, "shop"), ListDiff(None, ("messages:send:all",)), ListDiff(None, listed)
    )
    assert change.access == AccessChange(
        Direction.WIDEN, Delta(("messages:send:all",), ()), Delta(listed or ("anywhere",), ())
    )


def test_missing_and_rightly_so() -> None:
    """What is to be gone or fenced and is not there is as wanted; a note tells of what was to be fenced."""
    made = plan((spec("a", state=ABSENT), spec("b", id="9", state=ABSENT), spec("c", state=QUARANTINED)), ())
    assert made.changes == ()
    assert [(remark.rule, remark.message) for remark in made.remarks] == [
        ("quarantined-missing", "b is to be absent, but the account has no such key"),
        ("quarantined-missing", "c is to be quarantined, but the account has no such key"),
    ]


def test_unclear() -> None:
    """A key that cannot be told is failed: an update without fields, without a key unless one was pinned."""
    wanted = spec("shop", SHOP, NEWS)
    change = only(plan((wanted,), (remote("1", "shop", SHOP), remote("2", "shop"))))
    assert (change.action, change.key_id, change.fields) == (Action.UPDATE, None, Fields())
    assert (change.outcome, change.meant_to_grant) == (Outcome.FAILED, (NEWS, SHOP))
    pinned = only(plan((replace(wanted, id="9"),), ()))
    assert (pinned.key_id, pinned.outcome, pinned.meant_to_grant) == ("9", Outcome.FAILED, (NEWS, SHOP))
    lacking = only(plan((replace(wanted, id="9"),), (remote("1", "shop", SHOP),)))
    assert lacking.meant_to_grant == (NEWS,)


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC), Outcome.PAUSED),
        (datetime(2026, 11, 24, tzinfo=UTC), Outcome.PLANNED),
    ],
)
def test_paused(now: datetime, outcome: Outcome) -> None:
    """A paused key is left as it is until 24:00 UTC of its last day; the plan still shows the change."""
    wanted = spec("shop", SHOP, paused=Pause("INC-1", date(2026, 11, 23)))
    change = only(plan_account(desired(wanted), (remote("1", "shop", NEWS),), now))
    assert change.outcome is outcome
    assert change.reason == ("paused until 2026-11-23: INC-1" if outcome is Outcome.PAUSED else None)


def test_a_pause_does_not_hide_a_failure() -> None:
    """A paused key that cannot be told is failed all the same."""
    wanted = spec("shop", SHOP, id="9", paused=Pause("INC-1", date(2027, 1, 1)))
    assert only(plan((wanted,), ())).outcome is Outcome.FAILED


def fenced_labels(rule: UnmanagedRule, *keys: RemoteKey) -> list[str]:
    made = plan((spec("shop", SHOP),), (remote("1", "shop", SHOP), *keys), unmanaged=rule)
    return [change.label for change in made.changes]


def test_unmanaged_keys_are_fenced() -> None:
    """With ``quarantine`` an unmanaged key is fenced, and nothing else about it changes."""
    stray = remote("2", "stray", "*")
    made = plan((spec("shop", SHOP),), (remote("1", "shop", SHOP), stray), unmanaged=FENCE_UNMANAGED)
    change = only(made)
    assert (change.action, change.name, change.key_id, change.label) == (Action.QUARANTINE, None, "2", "stray")
    assert change.source == FENCE_UNMANAGED.source
    assert change.fields == Fields(ip_allow_list=ListDiff((OFFICE,), FENCED_AT))
    assert change.after == replace(stray, ip_allow_list=FENCED)
    assert (made.unmanaged_acts, made.without_desired, made.unmanaged) == (True, False, (stray,))


def test_which_unmanaged_keys_are_left_alone() -> None:
    """Young, excepted, fenced and send-only keys, and those that bear a desired key's label, are left alone."""
    rule = replace(FENCE_UNMANAGED, exceptions=("legacy-*",))
    a_day_ago = NOW - timedelta(hours=24)
    keys = (
        remote("2", "old enough", "*", created_at=a_day_ago),
        remote("3", "too young", "*", created_at=a_day_ago + timedelta(microseconds=1)),
        remote("4", "legacy-importer", "*"),
        remote("5", "Legacy-importer", "*"),
        remote("6", "fenced", "*", at=FENCED_AT),
        remote("7", "sender", SHOP),
        remote("8", "nothing"),
    )
    assert fenced_labels(rule, *keys) == ["Legacy-importer", "nothing", "old enough"]
    assert "sender" in fenced_labels(replace(rule, include_senders=True), *keys)
    assert "too young" in fenced_labels(replace(rule, min_age=timedelta()), *keys)


@pytest.mark.parametrize(
    ("then", "listed"), [(UnmanagedAction.REPORT, 1), (UnmanagedAction.IGNORE, 0), (UnmanagedAction.QUARANTINE, 1)]
)
def test_unmanaged_keys_are_reported(then: UnmanagedAction, listed: int) -> None:
    """Unmanaged keys are listed unless they are to be ignored, and touched only by a quarantine."""
    made = plan((spec("shop", SHOP),), (remote("1", "shop", SHOP), remote("2", "x")), unmanaged=UnmanagedRule(then))
    assert len(made.unmanaged) == listed
    assert bool(made.changes) is made.unmanaged_acts is (then is UnmanagedAction.QUARANTINE)


@pytest.mark.parametrize("wanted", [spec("new", SHOP), spec("new", SHOP, id="9"), spec("new", state=ABSENT, id="9")])
def test_unmanaged_keys_wait_for_the_desired(wanted: Any) -> None:
    """While a desired key is not matched an unmanaged one may be it, so none is fenced; a note says so."""
    acts = wanted.state is ABSENT
    made = plan((wanted,), (remote("2", "stray", "*"),), unmanaged=FENCE_UNMANAGED)
    assert any(change.action is Action.QUARANTINE for change in made.changes) is acts
    assert ("unmanaged-waits" in [remark.rule for remark in made.remarks]) is not acts


def test_a_key_with_the_label_of_another() -> None:
    """A key that bears a pinned key's label is never fenced; a note tells of it, as of candidates."""
    keys = (remote("1", "shop", SHOP), remote("2", "shop", "*"))
    made = plan((spec("shop", SHOP, id="1"),), keys, unmanaged=FENCE_UNMANAGED)
    assert made.changes == ()
    assert [(remark.rule, remark.remote) for remark in made.remarks] == [("label-belongs-to-another", keys[1])]
    assert [remark.remote for remark in plan((spec("shop", SHOP),), keys).remarks] == list(keys)


def test_counts() -> None:
    """The plan counts the keys, those whose list is not managed, and those of them that are usable from anywhere."""
    specs = (
        spec("a", SHOP, at=None),
        spec("b", SHOP, at=None),
        spec("c", SHOP, at=()),
        spec("d", SHOP, at=None, state=QUARANTINED),
        spec("e", SHOP, at=None),
    )
    keys = (remote("1", "a", SHOP, at=()), remote("2", "b", SHOP), remote("3", "c", SHOP, at=()), remote("4", "x"))
    assert plan(specs, keys).counts == KeyCounts(desired=5, actual=4, list_not_managed=3, list_open=1)
    assert plan((), keys).without_desired


def a_plan() -> tuple[Change, ...]:
    """Three changes, of which one creates, one updates every field, and one fences an unmanaged key."""
    made = plan((spec("b", NEWS, was=("old",), at=()), spec("a", SHOP)), (remote("2", "old", SHOP),))
    stray = plan((spec("shop"),), (remote("1", "shop"), remote("2", "stray", "*")), unmanaged=FENCE_UNMANAGED)
    return made.changes + stray.changes


def rows(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    found = []
    for change in changes:
        diffs = [("label", change.fields.label), ("scopes", change.fields.scopes)]
        named = [*diffs, ("ip_allow_list", change.fields.ip_allow_list)]
        row = {
            "account": change.account.account_id,
            "sub_account": change.account.sub_account_id,
            "key_id": change.key_id,
            "name": change.name,
            "action": change.action.value,
        }
        for moment in ("before", "after"):
            row[moment] = {name: getattr(diff, moment) for name, diff in named if diff is not None}  # type: ignore[assignment]
        found.append(row)
    return found


def independent_digest(changes: tuple[Change, ...]) -> str:
    ordered = sorted(rows(changes), key=rfc8785.dumps)
    return "sha256:" + hashlib.sha256(rfc8785.dumps(ordered)).hexdigest()


def test_changes_are_sorted() -> None:
    """Changes come by name, unmanaged keys last by label."""
    keys = tuple(remote(str(place), label, "*") for place, label in enumerate(("z", "y", "b", "a")))
    made = plan((spec("b", SHOP), spec("a", SHOP)), keys, unmanaged=FENCE_UNMANAGED)
    assert [change.label for change in made.changes] == ["a", "b", "y", "z"]


def test_digest_is_canonical() -> None:
    """The digest is sha256 over the canonical JSON (RFC 8785) of the sorted changes."""
    changes = (*a_plan(), replace(a_plan()[0], account=SUB_ACCOUNT))
    assert digest(changes) == independent_digest(changes)
    assert digest(()) == "sha256:" + hashlib.sha256(b"[]").hexdigest()


@pytest.mark.parametrize(
    "label", ['"', "\\", "/", "\b\f\n\r\t", "\x00\x1f\x7f\x80", "é", "€", "\u2028\u2029", "𝄞", "\ufb33", "\ufeff", " "]
)
def test_digest_of_any_label(label: str) -> None:
    """Labels of any characters are written as RFC 8785 writes them."""
    made = plan((spec("a", SHOP, label=label), spec("b", SHOP, id="1", label="x" + label)), (remote("1", label),))
    assert digest(made.changes) == independent_digest(made.changes)


def test_digest_ignores_order() -> None:
    """The order of changes, and of accounts, never changes the digest."""
    assert len({digest(order) for order in permutations(a_plan())}) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"account": SUB_ACCOUNT},
        {"account": replace(ACCOUNT, account_id="other")},
        {"key_id": "other"},
        {"key_id": None},
        {"name": "other"},
        {"name": None},
        {"action": Action.RESTORE},
        {"fields": Fields(label=TextDiff("b", "c"))},
        {"fields": Fields(label=TextDiff("a", "b"))},
        {"fields": Fields(scopes=ListDiff(("x",), ("y",)))},
        {"fields": Fields(scopes=ListDiff(("x",), ()))},
        {"fields": Fields(scopes=ListDiff(None, ()))},
        {"fields": Fields(ip_allow_list=ListDiff(("x",), ("y",)))},
        {"fields": Fields()},
    ],
)
def test_digest_tells_every_part(changed: dict[str, Any]) -> None:
    """Account, sub account, key id, name, action, before and after: a difference in any is another digest."""
    first = replace(a_plan()[1], fields=Fields(label=TextDiff("a", "c")))
    others = [
        replace(first, fields=other) for other in (Fields(label=TextDiff("", "")), Fields(scopes=ListDiff((), ())))
    ]
    assert len({digest((one,)) for one in (first, replace(first, **changed), *others)}) == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": Outcome.PAUSED, "reason": "why"},
        {"source": Source("other.yaml", 1, 1)},
        {"label": "other"},
        {"account": replace(ACCOUNT, credential="production")},
        {"access": AccessChange()},
        {"before": None, "after": None},
    ],
)
def test_digest_tells_nothing_else(changed: dict[str, Any]) -> None:
    """Outcomes, places, credentials and what follows from the rest leave the digest as it is."""
    first = a_plan()[1]
    assert digest((replace(first, **changed),)) == digest((first,))


def test_plans_of_several_accounts() -> None:
    """A plan holds its accounts' changes in order and takes them back in that order; without a digest if incomplete."""
    one = plan((spec("a", SHOP), spec("b", SHOP)), (remote("1", "a"), remote("2", "b")))
    two = plan((spec("c", SHOP),), (remote("3", "c"),), account=SUB_ACCOUNT)
    both = whole(one, two)
    assert both.changes == one.changes + two.changes
    ended = [change.ended(Outcome.APPLIED) for change in both.changes]
    assert both.with_changes(ended).changes == tuple(ended)
    assert [len(account.changes) for account in both.with_changes(ended).accounts] == [2, 1]
    assert both.digest == digest(both.changes)
    assert whole(one, two, complete=False).digest is None


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        (remote("1", "b", SHOP), "; or was it renamed? It is like 1 'b': set the label back, or list it under 'was'"),
        (remote("1", "b", NEWS), ""),
        (remote("1", "b", SHOP, at=()), ""),
        (
            remote("1", "b", SHOP, SHOP),
            "; or was it renamed? It is like 1 'b': set the label back, or list it under 'was'",
        ),
    ],
)
def test_a_key_that_was_renamed_is_pointed_at(actual: RemoteKey, told: str) -> None:
    """Where an unmanaged key has all but the label of one that is missing, nobody should create a second one."""
    (change,) = plan((spec("a", SHOP),), (actual,)).changes
    assert change.reason == NO_CREATION + told


def test_the_key_that_was_renamed_is_not_lost_among_others() -> None:
    """Keys that may do the same from elsewhere do not hide the one that has the networks as well."""
    others = tuple(remote(f"{n}", f"other {n}", SHOP, at=()) for n in range(5))
    (change,) = plan((spec("a", SHOP),), (*others, remote("9", "b", SHOP))).changes
    assert "It is like 9 'b':" in str(change.reason)
