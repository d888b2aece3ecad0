"""Guardrails that a policy switches on: coverage, widening, what is in use; each on both sides of its edge."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import FENCE, MANAGER, NEWS, NOW, OFFICE, SHOP, SUB_ACCOUNT, below, plan, remote, spec, whole
from reconciler.core.guardrails import (
    ALLOWABLE,
    Approval,
    Consent,
    InUse,
    Limits,
    Refusal,
    Threshold,
    approve,
    way_out,
)
from reconciler.core.keys import AccountRef, KeySpec, KeyState, Pause, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import AccountPlan
from reconciler.core.requirements import Requirement
from reconciler.core.scopes import parse_scope

QUARANTINED = KeyState.QUARANTINED
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
SENDING = Requirement(parse_scope(SHOP))
LOST = "no key in use could do what must keep working: messages:send for shop.example.com (now {} can)"
WIDENING_WAY_OUT = "let it through with --allow widening or list its name under guardrails.allow_widening in the policy"
COVERAGE_WAY_OUT = "let it through with --allow coverage or correct what it requires in the policy"
IN_USE_WAY_OUT = "let it through with --allow in-use or list its name or id under guardrails.in_use.allow in the policy"


def judge(*accounts: AccountPlan, allowed: frozenset[str] = frozenset(), **limits: Any) -> Approval:
    """Let guardrails with these limits judge, where the reconciler's own key is none that changes."""
    consent = Consent(Limits(**limits), allowed, self_keys={None: "self"})
    return approve(whole(*accounts), consent, NOW)


def account(specs: tuple[KeySpec, ...], *keys: RemoteKey, **fields: Any) -> AccountPlan:
    """An account with one more key: the reconciler's own, which stays as it is."""
    return plan((*specs, spec("zz-self", *MANAGER)), (*keys, remote("self", "zz-self", *MANAGER)), **fields)


def raised(approval: Approval) -> list[str]:
    return [refusal.guardrail for refusal in approval.refusals]


def outcomes(approval: Approval) -> dict[str, str]:
    return {change.title: change.outcome.value for change in approval.plan.changes}


def used(ago: timedelta, key_id: str = "1", label: str = "shop", *texts: str) -> RemoteKey:
    return remote(key_id, label, *(texts or (SHOP, NEWS)), last_used_at=NOW - ago)


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


# widening


@pytest.mark.parametrize(
    ("wanted", "actual", "granted"),
    [
        (spec("shop", SHOP, NEWS), remote("1", "shop", SHOP), NEWS),
        (spec("shop", NEWS), remote("1", "shop", SHOP), NEWS),
        (spec("shop", SHOP, at=()), remote("1", "shop", SHOP), "anywhere"),
        (spec("shop", SHOP, at=(OFFICE, "198.51.100.1")), remote("1", "shop", SHOP), "198.51.100.1/32"),
        (spec("shop", "*", at=()), remote("1", "shop", SHOP), "*, anywhere"),
        (spec("shop", SHOP), remote("1", "shop", SHOP, NEWS), None),
        (spec("shop", SHOP), remote("1", "shop", SHOP, at=()), None),
        (spec("shop", SHOP, label="Shop", was=("shop",)), remote("1", "shop", SHOP), None),
        (spec("shop", SHOP, state=QUARANTINED), remote("1", "shop", SHOP), None),
        (spec("shop", SHOP, NEWS, state=QUARANTINED), remote("1", "shop", SHOP), None),
        (spec("shop", SHOP, NEWS, state=QUARANTINED), remote("1", "shop", SHOP, at=(FENCE,)), NEWS),
        (spec("shop", SHOP), None, None),
    ],
)
@pytest.mark.parametrize("allow_widening", [(), ("other", "1")])
def test_widening(
    wanted: KeySpec, actual: RemoteKey | None, granted: str | None, allow_widening: tuple[str, ...]
) -> None:
    """A key that the policy does not name is given nothing more, also by a change that takes something, too."""
    made = account((wanted,), *((actual,) if actual else ()))
    message = f"shop: it would be given more ({granted}), and guardrails.allow_widening does not name it; "
    expected = (Refusal("widening", message + WIDENING_WAY_OUT, made.account, "1"),) if granted else ()
    assert judge(made, allow_widening=allow_widening).refusals == expected
    assert judge(made, allow_widening=(*allow_widening, "shop")).refusals == ()
    assert judge(made, allow_widening=None).refusals == ()
    assert judge(made, allow_widening=allow_widening, allowed=frozenset({"widening"})).refusals == ()


def test_widening_refuses_single_changes() -> None:
    """The other changes of the account go on, but for those that needed what was refused."""
    specs = (spec("a", SHOP), spec("b", "domains:read"), spec("c", NEWS))
    keys = (remote("1", "a"), remote("2", "b", SHOP, "domains:read"), remote("3", "c", NEWS, "domains:read"))
    refused = judge(account(specs, *keys), allow_widening=())
    assert outcomes(refused) == {"a": "refused", "b": "skipped", "c": "planned"}


# in-use


@pytest.mark.parametrize("within", [timedelta(minutes=15), DAY, timedelta(days=90)])
@pytest.mark.parametrize(
    ("beyond", "refused"), [(-MOMENT, True), (timedelta(), True), (MOMENT, False), (timedelta(days=1000), False)]
)
def test_in_use_at_the_edge(within: timedelta, beyond: timedelta, refused: bool) -> None:
    """A key that was used exactly so long ago is in use, one that was used a moment earlier is not."""
    fence = account((spec("shop", SHOP, NEWS, state=QUARANTINED),), used(within + beyond))
    assert raised(judge(fence, in_use=InUse(within))) == (["in-use"] if refused else [])


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        (timedelta(hours=-1), "less than a minute"),
        (timedelta(), "less than a minute"),
        (timedelta(minutes=20), "20 minutes"),
        (timedelta(hours=23), "23 hours"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_in_use_says_its_numbers(ago: timedelta, told: str) -> None:
    """The message has how long ago the key was used, the window, and both ways out; a use to come counts as now."""
    fence = account((spec("shop", SHOP, NEWS, state=QUARANTINED),), used(ago))
    message = f"shop: it was used {told} before, and guardrails.in_use protects what was used within 2 days; "
    assert judge(fence, in_use=InUse(2 * DAY)).refusals == (
        Refusal("in-use", message + IN_USE_WAY_OUT, fence.account, "1"),
    )


@pytest.mark.parametrize(
    ("wanted", "plain", "narrowing"),
    [
        (spec("shop", SHOP, NEWS, state=QUARANTINED), True, True),
        (spec("shop", SHOP), False, True),
        (spec("shop", SHOP, NEWS, at=("203.0.113.7",)), False, True),
        (spec("shop", SHOP, "domains:read"), False, True),
        (spec("shop", SHOP, NEWS, at=("198.51.100.0/24",)), False, True),
        (spec("shop", SHOP, NEWS, "domains:read"), False, False),
        (spec("shop", SHOP, NEWS, at=()), False, False),
        (spec("shop", SHOP, NEWS, label="Shop", was=("shop",)), False, False),
    ],
)
def test_what_is_kept_from_a_key_in_use(wanted: KeySpec, plain: bool, narrowing: bool) -> None:
    """It is not switched off and, if the policy asks for that, nothing is taken away; what only grants goes on."""
    made = account((wanted,), used(DAY))
    assert raised(judge(made, in_use=InUse(DAY))) == (["in-use"] if plain else [])
    assert raised(judge(made, in_use=InUse(DAY, narrowing=True))) == (["in-use"] if narrowing else [])
    assert judge(made).refusals == ()
    assert judge(made, in_use=InUse(DAY, narrowing=True), allowed=frozenset({"in-use"})).refusals == ()


@pytest.mark.parametrize(
    ("allow", "refused"),
    [((), True), (("other",), True), (("shop",), False), (("1",), False), (("SHOP",), True), (("sho*",), True)],
)
def test_keys_in_use_that_are_let_through_by_name(allow: tuple[str, ...], refused: bool) -> None:
    """A key that the policy names, exactly or by its id, is switched off although it is in use."""
    fence = account((spec("shop", SHOP, NEWS, state=QUARANTINED),), used(DAY))
    assert raised(judge(fence, in_use=InUse(DAY, allow=allow))) == (["in-use"] if refused else [])


def test_a_key_that_was_never_used_is_not_in_use() -> None:
    """A key without a last use is switched off, and so is one that does not exist: there is nothing to protect."""
    made = account((spec("shop", SHOP, state=QUARANTINED), spec("new", NEWS)), remote("1", "shop", SHOP))
    assert judge(made, in_use=InUse(timedelta(days=1000), narrowing=True)).refusals == ()


def test_a_key_that_is_switched_off_is_not_in_use() -> None:
    """A fenced key is used by nobody, however short ago somebody did: it may lose what it has."""
    for at, refused in (((FENCE,), []), ((OFFICE,), ["in-use"])):
        key = remote("1", "shop", SHOP, NEWS, at=at, last_used_at=NOW)
        made = account((spec("shop", SHOP, state=QUARANTINED),), key)
        assert raised(judge(made, in_use=InUse(DAY, narrowing=True))) == refused


def test_an_unmanaged_key_in_use() -> None:
    """A key of no file that is in use is not fenced either, unless the policy lists its id."""
    fence = account(
        (), used(DAY, "8", "stray", "domains:read"), unmanaged=UnmanagedRule(then=UnmanagedAction.QUARANTINE)
    )
    (refusal,) = judge(fence, in_use=InUse(DAY)).refusals
    assert (refusal.guardrail, refusal.key_id) == ("in-use", "8")
    assert refusal.message.startswith(
        "unmanaged key 8: it was used 24 hours before, and guardrails.in_use protects what"
    )
    assert judge(fence, in_use=InUse(DAY, allow=("8",))).refusals == ()


# max-widened


def widening(given: int, listed: int) -> AccountPlan:
    """An account of so many keys, of which so many are given more."""
    specs = tuple(spec(f"k{n:03}", SHOP, *([NEWS] if n < given else [])) for n in range(listed))
    return plan(specs, tuple(remote(f"{n:03}", f"k{n:03}", SHOP) for n in range(listed)))


@pytest.mark.parametrize(
    ("limit", "listed", "most"),
    [(Threshold(0, 0), 9, 0), (Threshold(0, 2), 9, 2), (Threshold(10, 1), 19, 1), (Threshold(10, 1), 20, 2)],
)
def test_max_widened_at_the_edge(limit: Threshold, listed: int, most: int) -> None:
    """As many keys as the limit may be given more; one more refuses every change of the account."""
    assert judge(widening(most, listed), max_widened=limit).refusals == ()
    refused = judge(widening(most + 1, listed), max_widened=limit)
    message = (
        f"{most + 1} key{'s' if most else ''} given more, but the limit is {most}: {limit.percent} % of the {listed} "
        f"keys listed, or {limit.at_least} if that is more; raise guardrails.max_widened in the policy or let it "
        "through with --allow max-widened"
    )
    assert refused.refusals == (
        Refusal("max-widened", message, refused.plan.accounts[0].account, limit=most, actual=most + 1),
    )
    assert set(outcomes(refused).values()) == {"refused"}
    assert judge(widening(most + 1, listed)).refusals == ()
    assert judge(widening(most + 1, listed), max_widened=limit, allowed=frozenset({"max-widened"})).refusals == ()


def test_what_max_widened_counts() -> None:
    """Changes that grant anything count, also mixed ones; what narrows, renames, fences or is held back does not."""
    specs = (
        spec("a", SHOP, NEWS),
        spec("b", "domains:read"),
        spec("c", SHOP),
        spec("d", SHOP, label="D", was=("d",)),
        spec("e", SHOP, NEWS, state=QUARANTINED),
        spec("f", SHOP),
    )
    keys = (
        remote("1", "a", SHOP),
        remote("2", "b", "suppressions:read"),
        remote("3", "c", SHOP, "suppressions:write"),
        remote("4", "d", SHOP),
        remote("5", "e", SHOP),
        remote("6", "f", SHOP, at=(FENCE,)),
    )
    (restore, refusal) = judge(
        account(specs, *keys), max_widened=Threshold(0, 1), max_changes=Threshold(100, 9)
    ).refusals
    assert (restore.guardrail, restore.key_id) == ("restore", "6")
    assert (refusal.guardrail, refusal.limit, refusal.actual) == ("max-widened", 1, 2)


def test_max_widened_is_counted_over_all_sub_accounts() -> None:
    """One key in each of two sub accounts is what each may be given, and one too many together."""
    plans = tuple(replace(widening(1, 3), account=below(number)) for number in range(2))
    refused = judge(*plans, max_widened=Threshold(0, 1))
    (refusal,) = refused.refusals
    assert (refusal.guardrail, refusal.limit, refusal.actual) == ("max-widened", 1, 2)
    assert (refusal.account, refusal.of_family) == (below(0).parent, True)
    assert (
        "2 keys given more in 2 sub accounts, but the limit is 1: 0 % of the 6 keys listed"
        in refused.refusals[0].message
    )
    assert {change.outcome.value for change in refused.plan.changes} == {"refused"}
    assert judge(*plans, max_widened=Threshold(0, 2)).refusals == ()


def test_max_widened_is_counted_in_each_account_by_itself() -> None:
    """Accounts that have no parent in common are no family: each may give more to as many keys as its limit."""
    plans = tuple(replace(widening(1, 3), account=AccountRef(f"9999{n}")) for n in range(2))
    assert judge(*plans, max_widened=Threshold(0, 1)).refusals == ()


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
