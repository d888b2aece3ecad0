"""Guardrails about what is given more and what is in use; each on both sides of its edge."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import FENCE, NEWS, NOW, OFFICE, SHOP, below, plan, remote, spec
from core.guarding import (
    DAY,
    IN_USE_WAY_OUT,
    MOMENT,
    QUARANTINED,
    WIDENING_WAY_OUT,
    account,
    judge,
    outcomes,
    raised,
    used,
)
from reconciler.core.guardrails import (
    InUse,
    Refusal,
    Threshold,
)
from reconciler.core.keys import AccountRef, KeySpec, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import AccountPlan

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
