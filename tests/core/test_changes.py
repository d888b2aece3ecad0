"""Changes: what they do to access, which of them wait for which, and in which order they may be made."""

from dataclasses import replace

import pytest

from builders import ACCOUNT, FENCE, MANAGER, NEWS, OFFICE, SHOP, networks, remote, scopes
from reconciler.core.changes import (
    AccessChange,
    Action,
    Change,
    Delta,
    Dependencies,
    Direction,
    Fields,
    ListDiff,
    Outcome,
    TextDiff,
    access_change,
    skip_dependents,
    waves,
)

ALL = "messages:send:all"


def change(
    name: str,
    *,
    grants: tuple[str, ...] = (),
    revokes: tuple[str, ...] = (),
    action: Action = Action.UPDATE,
    outcome: Outcome = Outcome.PLANNED,
    meant: tuple[str, ...] = (),
) -> Change:
    """A change that grants and revokes scopes, with a key before and after that fit."""
    before, after = remote(name, name, *revokes), remote(name, name, *grants)
    return Change(
        account=ACCOUNT,
        action=action,
        name=name,
        key_id=name,
        label=name,
        source=None,
        access=access_change((before.scopes, after.scopes), None),
        before=before,
        after=after,
        outcome=outcome,
        meant_to_grant=meant,
    )


def names(changes: tuple[Change, ...]) -> list[str | None]:
    return [change.name for change in changes]


@pytest.mark.parametrize(
    ("outcome", "held_back", "may_be_retried"),
    [
        (Outcome.PLANNED, False, False),
        (Outcome.APPLIED, False, False),
        (Outcome.FAILED, False, True),
        (Outcome.STALE, False, True),
        (Outcome.DENIED, True, False),
        (Outcome.REFUSED, True, False),
        (Outcome.SKIPPED, True, False),
        (Outcome.PAUSED, False, False),
    ],
)
def test_outcomes(outcome: Outcome, held_back: bool, may_be_retried: bool) -> None:
    """Refused, denied and skipped wait for a person, failed and stale for the next pass, the others for nothing."""
    assert (outcome.held_back, outcome.may_be_retried) == (held_back, may_be_retried)
    assert change("a", outcome=outcome).applicable is (outcome is Outcome.PLANNED)


@pytest.mark.parametrize("action", list(Action))
def test_switching_off(action: Action) -> None:
    """A quarantine and a deletion switch a key off, nothing else does."""
    assert change("a", action=action).switches_off is (action in (Action.QUARANTINE, Action.DELETE))


def test_titles() -> None:
    """A change is called by the key's name, or by the id of the unmanaged key."""
    assert change("a").title == "a"
    assert replace(change("a"), name=None).title == "unmanaged key a"


def test_ended() -> None:
    """Another outcome leaves everything else as it was."""
    assert change("a").ended(Outcome.FAILED, "why") == replace(change("a"), outcome=Outcome.FAILED, reason="why")


def test_fields_are_true_when_something_differs() -> None:
    """Fields without a difference are false, any difference makes them true."""
    assert not Fields()
    assert Fields(label=TextDiff("a", "b"))
    assert Fields(scopes=ListDiff((), ()))
    assert Fields(ip_allow_list=ListDiff(None, ()))


@pytest.mark.parametrize(
    ("before", "after", "granted", "revoked"),
    [
        ((), (), (), ()),
        ((OFFICE,), (), ("anywhere",), ()),
        ((), (OFFICE,), (), ("anywhere",)),
        ((OFFICE,), (FENCE,), (), (OFFICE,)),
        ((FENCE,), (OFFICE,), (OFFICE,), ()),
        ((), (FENCE,), (), ("anywhere",)),
        ((FENCE,), (), ("anywhere",), ()),
        ((FENCE,), (FENCE,), (), ()),
        ((FENCE, OFFICE), (FENCE,), (), (OFFICE,)),
        (("10.0.0.0/24",), ("10.0.0.0/25", "10.0.1.0/24"), ("10.0.1.0/24",), ("10.0.0.0/24",)),
        (("10.0.0.0/25", "10.0.0.128/25"), ("10.0.0.0/24",), (), ()),
    ],
)
def test_networks_granted_and_revoked(
    before: tuple[str, ...], after: tuple[str, ...], granted: tuple[str, ...], revoked: tuple[str, ...]
) -> None:
    """Networks are the entries of one list that the other does not wholly cover; the fence reaches nobody."""
    made = access_change((scopes(), scopes()), (networks(*before), networks(*after)))
    assert made.networks == Delta(granted, revoked)


@pytest.mark.parametrize(
    ("scopes_before", "scopes_after", "lists", "direction"),
    [
        ((SHOP,), (SHOP,), ((OFFICE,), (OFFICE,)), Direction.NONE),
        ((SHOP,), (ALL,), ((OFFICE,), (OFFICE,)), Direction.WIDEN),
        ((ALL,), (SHOP,), ((OFFICE,), (OFFICE,)), Direction.NARROW),
        ((SHOP,), (NEWS,), ((OFFICE,), (OFFICE,)), Direction.MIXED),
        ((SHOP,), (ALL,), ((), (OFFICE,)), Direction.MIXED),
        ((ALL,), (SHOP,), ((OFFICE,), ()), Direction.MIXED),
        ((SHOP,), (SHOP,), ((OFFICE,), ()), Direction.WIDEN),
        ((SHOP,), (SHOP,), ((), (OFFICE,)), Direction.NARROW),
        ((ALL, SHOP), (ALL,), None, Direction.NONE),
        (("*",), MANAGER, None, Direction.NARROW),
    ],
)
def test_direction(
    scopes_before: tuple[str, ...],
    scopes_after: tuple[str, ...],
    lists: tuple[tuple[str, ...], tuple[str, ...]] | None,
    direction: Direction,
) -> None:
    """What is granted anywhere widens, what is revoked anywhere narrows, both is mixed."""
    both = (networks(*lists[0]), networks(*lists[1])) if lists else None
    assert access_change((scopes(*scopes_before), scopes(*scopes_after)), both).direction is direction


@pytest.mark.parametrize(
    ("granted", "revoked", "waits"),
    [
        (SHOP, SHOP, True),
        (ALL, SHOP, True),
        (SHOP, ALL, True),
        (ALL, ALL, True),
        ("*", SHOP, True),
        ("*", "future:do", True),
        (SHOP, "*", True),
        ("*", "*", True),
        ("api-keys:read", "api-keys:read", True),
        ("future:do", "future:do", True),
        (SHOP, NEWS, False),
        (ALL, "messages:read:all", False),
        ("api-keys:read", "api-keys:write", False),
        ("future:do:all", "future:do:{a.example}", False),
    ],
)
def test_dependencies(granted: str, revoked: str, waits: bool) -> None:
    """A change waits for every other that was to grant something which it revokes, even if only in part."""
    provider, dependent = change("p", grants=(granted,)), change("d", revokes=(revoked,))
    dependencies = Dependencies([dependent, provider])
    assert dependencies.of(dependent) == ((provider,) if waits else ())
    assert (dependencies.any_of(dependent) is provider) is waits
    assert dependencies.of(provider) == ()


def test_nobody_waits_for_oneself() -> None:
    """A change that grants and revokes overlapping scopes does not wait for itself."""
    swap = change("a", grants=(SHOP,), revokes=(NEWS,))
    both = replace(swap, access=AccessChange(Direction.MIXED, Delta((SHOP,), (SHOP,))))
    assert Dependencies([both]).of(both) == ()


def test_each_provider_once_in_order() -> None:
    """A provider of several revoked scopes is named once, in the plan's order."""
    one, two = change("1", grants=(SHOP, NEWS)), change("2", grants=(ALL,))
    taker = change("t", revokes=(NEWS, SHOP))
    assert names(Dependencies([two, one, taker]).of(taker)) == ["2", "1"]


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.DELETE])
def test_what_is_switched_off_provides_nothing(action: Action) -> None:
    """A scope given to a key that is being switched off reaches nobody, so nobody waits for it."""
    taker = change("t", revokes=(SHOP,))
    assert Dependencies([change("p", grants=(SHOP,), action=action)]).of(taker) == ()


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.STALE, Outcome.DENIED, Outcome.REFUSED, Outcome.SKIPPED, Outcome.PAUSED]
)
@pytest.mark.parametrize("action", [Action.UPDATE, Action.CREATE])
def test_a_right_that_does_not_arrive_does_not_leave(outcome: Outcome, action: Action) -> None:
    """Whatever holds a grant back also holds back the revocation of the same right, which says why."""
    provider = change("new", grants=(SHOP,), action=action, outcome=outcome)
    taker = change("old", revokes=(SHOP,))
    why = f"it revokes what the change of new was to grant, and that one is {outcome}: somebody may be left without it"
    reason = f"{why}; settle that one first, or take this revocation out of the files"
    assert skip_dependents((provider, taker)) == (provider, taker.ended(Outcome.SKIPPED, reason))


def test_what_an_unclear_key_was_meant_to_have() -> None:
    """A key that could not be told would have been granted something too."""
    unclear = change("new", meant=(SHOP,), outcome=Outcome.FAILED)
    assert skip_dependents((change("old", revokes=(ALL,)), unclear))[0].outcome is Outcome.SKIPPED


def test_a_restore_provides_only_what_it_adds() -> None:
    """A restore that waits for a person keeps nobody from losing what the fenced key holds, only what it adds."""
    fenced = remote("fenced", "fenced", SHOP, at=(FENCE,))
    held = replace(change("fenced", action=Action.RESTORE, outcome=Outcome.REFUSED), before=fenced, after=fenced)
    adding = replace(held, access=AccessChange(Direction.WIDEN, Delta(granted=(NEWS,)), Delta(granted=(OFFICE,))))
    assert Dependencies([held]).of(change("old", revokes=(SHOP,))) == ()
    assert Dependencies([adding]).of(change("old", revokes=(NEWS,))) == (adding,)


def test_what_waits_for_two_is_in_no_circle() -> None:
    """A change that waits for two others goes when both are done; two that wait for each other are held back."""
    both = change("both", grants=("a:x",), revokes=("b:x", "c:x"))
    one, two = (change(name, grants=(f"{name}:x",), revokes=(f"{name}:y",)) for name in ("b", "c"))
    assert skip_dependents((both, one, two)) == (both, one, two)
    there, back = change("there", grants=("d:x",), revokes=("e:x",)), change("back", grants=("e:x",), revokes=("d:x",))
    held = skip_dependents((there, back, one))
    assert [held_back.outcome for held_back in held] == [Outcome.SKIPPED, Outcome.SKIPPED, Outcome.PLANNED]
    assert "there" in (held[1].reason or "")


def test_skipping_runs_through_chains() -> None:
    """A skipped change grants nothing either, so whoever waits for it is skipped as well; others go on."""
    chain = (
        change("c", revokes=("api-keys:read",)),
        change("b", grants=("api-keys:read",), revokes=(NEWS,)),
        change("a", grants=(NEWS,), revokes=(SHOP,)),
        change("start", grants=(SHOP,), outcome=Outcome.REFUSED),
        change("free", grants=("domains:read",), revokes=("domains:write",)),
        change("late", grants=(SHOP,)),
    )
    after = skip_dependents(chain)
    assert [one.outcome.value for one in after] == ["skipped", "skipped", "skipped", "refused", "planned", "planned"]
    assert "the change of b was to grant, and that one is skipped" in (after[0].reason or "")


def test_nothing_held_back_skips_nothing() -> None:
    """Where every grant is planned, every revocation is too."""
    both = (change("new", grants=(SHOP,)), change("old", revokes=(SHOP,)))
    assert skip_dependents(both) == both


def test_order_of_waves() -> None:
    """Grants go first, then the neutral, mixed, narrowing and switching-off changes; none is lost."""
    made = waves(
        [
            change("off", grants=(SHOP,), action=Action.QUARANTINE),
            change("gone", action=Action.DELETE, revokes=("*",)),
            change("narrow", revokes=(ALL,)),
            change("mixed", grants=("domains:read",), revokes=("domains:write",)),
            change("neutral"),
            change("widen", grants=(NEWS,)),
            change("wider", grants=(ALL,)),
        ]
    )
    assert [names(wave) for wave in made] == [["widen", "wider"], ["neutral"], ["mixed"], ["narrow"], ["off", "gone"]]
    assert waves(()) == ()


def swap(name: str, grants: str, revokes: str) -> Change:
    return change(name, grants=(grants,), revokes=(revokes,))


def test_mixed_providers_go_first() -> None:
    """Among mixed changes what grants a scope goes before what revokes it, as many at once as can."""
    made = waves([swap("c", "x:3", "x:2"), swap("b", "x:2", "x:1"), swap("a", "x:1", "x:0"), swap("z", "y:1", "y:0")])
    assert [names(wave) for wave in made] == [["a", "z"], ["b"], ["c"]]


def test_one_of_a_circle_goes_first() -> None:
    """In a circle the first in the plan's order goes first, and the others follow it in order."""
    made = waves([swap("a", "x:1", "x:3"), swap("b", "x:2", "x:1"), swap("c", "x:3", "x:2")])
    assert [names(wave) for wave in made] == [["a"], ["b"], ["c"]]


def test_who_waits_for_a_circle_does_not_go_before_it() -> None:
    """Only members of a circle may go before what they wait for; circles wait for each other in turn."""
    made = waves(
        [
            change("after", grants=("w:1",), revokes=("x:1",)),
            change("b1", grants=("x:1", "w:2"), revokes=("x:2", "y:1")),
            change("b2", grants=("x:2",), revokes=("w:2",)),
            change("a1", grants=("y:1",), revokes=("y:2",)),
            change("a2", grants=("y:2",), revokes=("y:1",)),
        ]
    )
    assert [names(wave) for wave in made] == [["a1"], ["a2"], ["b1"], ["after", "b2"]]
