"""Guardrails that a policy switches on: coverage, and all of them together."""

from dataclasses import replace
from typing import Any

import pytest

from builders import FENCE, MANAGER, NEWS, NOW, SHOP, SUB_ACCOUNT, plan, remote, spec
from core.guarding import (
    COVERAGE_WAY_OUT,
    DAY,
    IN_USE_WAY_OUT,
    LOST,
    QUARANTINED,
    SENDING,
    WIDENING_WAY_OUT,
    account,
    judge,
    outcomes,
    raised,
    used,
)
from reconciler.core.allowable import ALLOWABLE
from reconciler.core.guardrails import InUse, Refusal, Threshold, way_out
from reconciler.core.keys import Pause
from reconciler.core.requirements import Requirement
from reconciler.core.scopes import parse_scope


def test_every_way_out() -> None:
    """Each guardrail that can be allowed says how, and where the policy has a setting by name, which."""
    assert {guardrail: way_out(guardrail) for guardrail in ALLOWABLE} == {
        "max-changes": "let it through with --allow max-changes",
        "max-switched-off": "let it through with --allow max-switched-off",
        "max-widened": "let it through with --allow max-widened",
        "empty-desired": "let it through with --allow empty-desired",
        "guardian": "let it through with --allow guardian",
        "coverage": COVERAGE_WAY_OUT,
        "restore": "let it through with --allow restore or list its name under guardrails.allow_restore in the policy",
        "unreachable": "let it through with --allow unreachable",
        "widening": WIDENING_WAY_OUT,
        "in-use": IN_USE_WAY_OUT,
        "freeze": "let it through with --allow freeze",
    }


# coverage


def test_coverage_refuses_what_would_be_lost() -> None:
    """The change that takes the last such key is refused, named with who can now; the others go on."""
    made = account((spec("a", NEWS), spec("b", SHOP)), remote("1", "a", SHOP), remote("2", "b"))
    assert outcomes(judge(made, require=(SENDING,))) == {"a": "planned", "b": "planned"}
    fence = account(
        (spec("a", SHOP, state=QUARANTINED), spec("b", NEWS)), remote("1", "a", SHOP), remote("2", "b", SHOP)
    )
    refused = judge(fence, require=(SENDING,))
    assert outcomes(refused) == {"a": "refused", "b": "planned"}
    message = f"a: {LOST.format(named('a', 'b'))}; {COVERAGE_WAY_OUT}"
    assert refused.refusals == (Refusal("coverage", message, fence.account, "1"),)
    assert refused.plan.changes[0].reason == f"coverage: {message}"


def named(*labels: str) -> str:
    return ", ".join(f"{label!r} ({number})" for number, label in enumerate(labels, 1))


def test_coverage_counts_nothing_that_is_held_back() -> None:
    """A grant that is itself refused is no spare: what relied on it is held back as well."""
    made = account((spec("a", NEWS), spec("b", SHOP)), remote("1", "a", SHOP), remote("2", "b", SHOP, at=(FENCE,)))
    refused = judge(made, require=(SENDING,))
    assert raised(refused) == ["restore", "coverage"]
    assert outcomes(refused) == {"a": "refused", "b": "refused"}
    assert outcomes(judge(made, require=(SENDING,), allow_restore=("b",))) == {"a": "planned", "b": "planned"}


def test_coverage_refuses_no_more_than_it_must() -> None:
    """Of three keys that would all lose it one is refused, and that keeps it working."""
    names = ("a", "b", "c")
    made = account(tuple(spec(name, "domains:read") for name in names), *(remote(name, name, SHOP) for name in names))
    refused = judge(made, require=(SENDING,))
    assert (raised(refused), outcomes(refused)) == (["coverage"], {"a": "refused", "b": "planned", "c": "planned"})
    twice = judge(made, require=(SENDING, SENDING))
    assert outcomes(twice) == outcomes(refused)


def test_coverage_of_several_requirements() -> None:
    """Each requirement keeps its own key, and each refusal is listed."""
    specs = (spec("a", "domains:read"), spec("b", "domains:read"))
    made = account(specs, remote("1", "a", SHOP), remote("2", "b", NEWS))
    refused = judge(made, require=(SENDING, Requirement(parse_scope(NEWS))))
    assert [(refusal.guardrail, refusal.key_id) for refusal in refused.refusals] == [
        ("coverage", "1"),
        ("coverage", "2"),
    ]
    assert raised(judge(made, require=(Requirement(parse_scope(NEWS)),))) == ["coverage"]


@pytest.mark.parametrize(
    ("require", "allowed"),
    [
        ((), frozenset()),
        ((SENDING,), frozenset({"coverage"})),
        ((replace(SENDING, account="2222*"),), frozenset()),
        ((Requirement(parse_scope(NEWS)),), frozenset()),
    ],
)
def test_where_coverage_has_nothing_to_say(require: tuple[Requirement, ...], allowed: frozenset[str]) -> None:
    """Without a requirement, for another account, for what nobody could do, or allowed by a person, it is silent."""
    made = account((spec("a", "domains:read"),), remote("1", "a", SHOP))
    assert judge(made, require=require, allowed=allowed).refusals == ()
    assert raised(judge(made, require=(SENDING,), allowed=frozenset(ALLOWABLE) - {"coverage"})) == ["coverage"]


def test_coverage_is_asked_in_each_account_by_itself() -> None:
    """What a key of another account can do is no spare; sub accounts are watched as accounts are."""
    lost = account((spec("a", NEWS),), remote("1", "a", SHOP))
    kept = plan((spec("a", SHOP),), (remote("1", "a", SHOP),), account=SUB_ACCOUNT)
    assert [refusal.account for refusal in judge(lost, kept, require=(SENDING,)).refusals] == [lost.account]
    lost_below = plan((spec("a", NEWS),), (remote("1", "a", SHOP),), account=SUB_ACCOUNT)
    assert [refusal.account for refusal in judge(lost_below, require=(SENDING,)).refusals] == [SUB_ACCOUNT]


def test_coverage_goes_with_the_approved_plan() -> None:
    """What is asked again before each write knows the requirements, unless there are none or a person allowed it."""
    made = account((spec("a", NEWS), spec("b", SHOP)), remote("1", "a", SHOP), remote("2", "b", SHOP))
    approved = judge(made, require=(SENDING,)).approved
    (change,) = approved.plan.changes
    assert change.applicable
    objection = approved.watch(made).objection(change, lambda: ())
    assert objection is not None
    assert (objection.guardrail, objection.message) == ("coverage", LOST.format(named("a", "b")))
    assert judge(made).approved.watch(made).coverage is None
    assert judge(made, require=(SENDING,), allowed=frozenset({"coverage"})).approved.watch(made).coverage is None
    elsewhere = plan((spec("a", NEWS),), (remote("1", "a", SHOP),), account=SUB_ACCOUNT)
    watch = approved.watch(elsewhere)
    assert (watch.guardian, watch.coverage is None) == (None, False)


# Together


def test_every_reason_of_one_change_at_once() -> None:
    """All guardrails that look at one change speak at once, each with its way out."""
    restored = account((spec("shop", "*", at=("10.0.0.0/8",)),), remote("1", "shop", SHOP, at=(FENCE,)))
    refused = judge(restored, allow_widening=())
    assert raised(refused) == ["restore", "unreachable", "widening"]
    reason = refused.plan.changes[0].reason or ""
    assert reason == "; ".join(f"{refusal.guardrail}: {refusal.message}" for refusal in refused.refusals)
    assert all(f"--allow {guardrail}" in reason for guardrail in raised(refused))
    own = plan((spec("self", *MANAGER, state=QUARANTINED),), (remote("self", "self", *MANAGER, last_used_at=NOW),))
    assert raised(judge(own, in_use=InUse(DAY))) == ["guardian", "in-use"]
    moved = account((spec("shop", SHOP, at=("10.0.0.0/8",)),), used(DAY))
    assert raised(judge(moved, allow_widening=(), in_use=InUse(DAY, narrowing=True))) == [
        "unreachable",
        "widening",
        "in-use",
    ]


def test_what_would_be_lost_is_told_of_what_is_refused_already() -> None:
    """A change that another guardrail refuses is asked for coverage and guardian, too: no second run tells of more."""
    off = account((spec("shop", SHOP, NEWS, state=QUARANTINED),), used(DAY))
    refused = judge(off, require=(SENDING,), in_use=InUse(DAY))
    assert raised(refused) == ["in-use", "coverage"]
    lost = f"shop: {LOST.format(named('shop'))}; {COVERAGE_WAY_OUT}"
    assert refused.refusals[1] == Refusal("coverage", lost, off.account, "1")
    assert refused.plan.changes[0].reason == f"in-use: {refused.refusals[0].message}; coverage: {lost}"
    assert raised(judge(off, require=(SENDING,), in_use=InUse(DAY), allowed=frozenset({"coverage"}))) == ["in-use"]
    manager = remote("1", "m", *MANAGER, SHOP, last_used_at=NOW)
    last = plan((spec("m", *MANAGER, SHOP, state=QUARANTINED),), (manager, remote("self", "self", "api-keys:read")))
    refused = judge(last, require=(SENDING,), in_use=InUse(DAY))
    assert [refusal.message.partition("; ")[0] for refusal in refused.refusals] == [
        "m: it was used less than a minute before, and guardrails.in_use protects what was used within 24 hours",
        "m: no unfenced key of the account could write keys any more",
        f"m: {LOST.format(named('m'))}",
    ]


def test_who_objects_is_told_once() -> None:
    """Of a change that the guardian refuses it is not asked again, and the coverage still is."""
    own = plan(
        (spec("self", *MANAGER, state=QUARANTINED),), (remote("self", "self", *MANAGER, SHOP, last_used_at=NOW),)
    )
    assert raised(judge(own, require=(SENDING,), in_use=InUse(DAY))) == ["guardian", "in-use", "coverage"]
    assert raised(judge(own, require=(SENDING,))) == ["guardian", "coverage"]


def test_what_loses_nothing_is_not_asked_for_more() -> None:
    """A refused change that only grants, or after which another key can still do it, has its one reason alone."""
    grants = account((spec("shop", SHOP, NEWS),), remote("1", "shop", SHOP))
    assert raised(judge(grants, require=(SENDING,), allow_widening=())) == ["widening"]
    spare = account((spec("shop", SHOP, NEWS, state=QUARANTINED),), used(DAY), remote("2", "spare", SHOP))
    assert raised(judge(spare, require=(SENDING,), in_use=InUse(DAY))) == ["in-use"]


def test_what_is_held_back_otherwise_is_not_asked() -> None:
    """A change that is paused would take the last such right, but is made in no case: nothing is refused."""
    paused = spec("shop", SHOP, state=QUARANTINED, paused=Pause("x", (NOW + DAY).date()))
    made = account((paused,), remote("1", "shop", SHOP))
    assert (outcomes(judge(made, require=(SENDING,))), raised(judge(made, require=(SENDING,)))) == (
        {"shop": "paused"},
        [],
    )


def test_what_is_refused_is_asked_with_what_the_others_will_be() -> None:
    """Where the spare is to lose the right itself, that of the refused change is told; the other change goes on."""
    specs = (spec("shop", SHOP, NEWS, state=QUARANTINED), spec("spare", "domains:read"))
    both = account(specs, used(DAY), remote("2", "spare", SHOP, "domains:read"))
    refused = judge(both, require=(SENDING,), in_use=InUse(DAY))
    assert [(refusal.guardrail, refusal.key_id) for refusal in refused.refusals] == [("in-use", "1"), ("coverage", "1")]
    assert outcomes(refused) == {"shop": "refused", "spare": "planned"}


def test_every_limit_of_a_plan_at_once() -> None:
    """All limits that a plan exceeds are listed, each with its number, and named on each of its changes."""
    specs = (
        *(spec(f"k{n}", SHOP, NEWS) for n in range(4)),
        *(spec(f"q{n}", SHOP, state=QUARANTINED) for n in range(3)),
    )
    keys = (*(remote(f"1{n}", f"k{n}", SHOP) for n in range(4)), *(remote(f"2{n}", f"q{n}", SHOP) for n in range(3)))
    refused = judge(account(specs, *keys), max_widened=Threshold(0, 3))
    assert [(refusal.guardrail, refusal.limit, refusal.actual) for refusal in refused.refusals] == [
        ("max-changes", 5, 7),
        ("max-switched-off", 1, 3),
        ("max-widened", 3, 4),
    ]
    for change in refused.plan.changes:
        assert change.reason == "; ".join(f"{refusal.guardrail}: {refusal.message}" for refusal in refused.refusals)


@pytest.mark.parametrize("guardrail", ["widening", "in-use", "unreachable", "restore", "coverage"])
def test_each_is_allowed_by_its_own_name(guardrail: str) -> None:
    """A guardrail over single changes is let through by its own name, and by no other."""
    specs = (
        spec("moved", SHOP, at=("10.0.0.0/8",)),
        spec("off", NEWS, state=QUARANTINED),
        spec("on", "domains:read"),
    )
    keys = (
        remote("1", "moved", SHOP),
        remote("2", "off", NEWS, last_used_at=NOW),
        remote("3", "on", "domains:read", at=(FENCE,)),
    )
    limits: dict[str, Any] = {"allow_widening": (), "in_use": InUse(DAY), "require": (SENDING,)}
    everything = frozenset(ALLOWABLE)
    assert judge(account(specs, *keys), allowed=everything, **limits).refusals == ()
    assert set(raised(judge(account(specs, *keys), allowed=everything - {guardrail}, **limits))) == {guardrail}
