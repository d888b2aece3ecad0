"""Guardrails: what one pass may do, on both sides of every edge."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from builders import (
    FENCE,
    MANAGER,
    NEWS,
    NOW,
    SHOP,
    SUB_ACCOUNT,
    below,
    plan,
    remote,
    spec,
    whole,
)
from reconciler.core.allowable import ALLOWABLE, NEVER_ALLOWED
from reconciler.core.changes import Change, Outcome
from reconciler.core.guardrails import Approval, ApprovedPlan, Consent, Limits, Refusal, Threshold, approve
from reconciler.core.keys import AccountRef, KeySpec, KeyState, Pause, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import AccountPlan
from reconciler.core.watch import Guardian

QUARANTINED = KeyState.QUARANTINED
FENCE_UNMANAGED = UnmanagedRule(then=UnmanagedAction.QUARANTINE)
SELF = Consent(self_keys={None: "self"})
ADMIN = remote("self", "admin", *MANAGER)
SPARE = remote("spare", "spare", *MANAGER)
UNCHANGED = (spec("admin", *MANAGER), spec("spare", *MANAGER))


def judge(account: AccountPlan, **consent: Any) -> Approval:
    return approve(whole(account), Consent(**{"self_keys": {None: "self"}} | consent), NOW)


def outcomes(approval: Approval) -> dict[str, str]:
    return {change.title: change.outcome.value for change in approval.plan.changes}


def raised(approval: Approval) -> list[str]:
    return [refusal.guardrail for refusal in approval.refusals]


def drifted(changed: int, listed: int) -> AccountPlan:
    """An account of so many keys, of which so many need another scope."""
    specs = tuple(spec(f"k{place:03}", SHOP) for place in range(listed))
    keys = tuple(remote(f"{n:03}", f"k{n:03}", NEWS if n < changed else SHOP) for n in range(listed))
    return plan(specs, keys)


def fenced(off: int, listed: int) -> AccountPlan:
    """An account of so many keys, of which so many are to be switched off."""
    specs = tuple(spec(f"k{n:03}", SHOP, state=QUARANTINED if n < off else KeyState.PRESENT) for n in range(listed))
    return plan(specs, tuple(remote(f"{n:03}", f"k{n:03}", SHOP) for n in range(listed)))


@pytest.mark.parametrize(
    ("percent", "at_least", "listed", "limit"),
    [(30, 5, 0, 5), (30, 5, 16, 5), (30, 5, 19, 5), (30, 5, 20, 6), (10, 1, 29, 2), (0, 0, 1000, 0), (100, 0, 7, 7)],
)
def test_threshold(percent: int, at_least: int, listed: int, limit: int) -> None:
    """A limit is a share of the listed keys, rounded down, and never less than ``at_least``."""
    assert Threshold(percent, at_least).of(listed) == limit


@pytest.mark.parametrize(("changed", "listed", "limit"), [(5, 5, 5), (5, 16, 5), (6, 20, 6), (30, 100, 30)])
def test_max_changes_at_the_edge(changed: int, listed: int, limit: int) -> None:
    """As many changes as the limit pass; one more refuses every change of the account."""
    assert judge(drifted(changed, listed)).refusals == ()
    refused = judge(drifted(changed + 1, max(listed, changed + 1)))
    (refusal,) = refused.refusals
    assert (refusal.guardrail, refusal.limit, refusal.actual) == ("max-changes", limit, changed + 1)
    assert set(outcomes(refused).values()) == {"refused"}


def test_max_changes_says_its_numbers() -> None:
    """The message has the number, the limit, where it comes from, and both ways out."""
    (refusal,) = judge(drifted(9, 10)).refusals
    assert refusal == Refusal(
        "max-changes",
        "9 changes, but the limit is 5: 30 % of the 10 keys listed, or 5 if that is more; raise guardrails.max_changes "
        "in the policy or let it through with --allow max-changes",
        drifted(0, 0).account,
        limit=5,
        actual=9,
    )


@pytest.mark.parametrize(("off", "listed"), [(1, 1), (1, 19), (2, 20), (3, 39)])
def test_max_switched_off_at_the_edge(off: int, listed: int) -> None:
    """As many keys as the limit may be switched off; one more refuses the account's plan."""
    assert judge(fenced(off, listed)).refusals == ()
    refused = judge(fenced(off + 1, max(listed, off + 1)))
    (refusal,) = refused.refusals
    assert (refusal.guardrail, refusal.limit, refusal.actual) == ("max-switched-off", off, off + 1)
    assert "guardrails.max_switched_off" in refusal.message


def test_what_is_held_back_does_not_count() -> None:
    """A paused change is no change of this pass."""
    pause = Pause("INC-1", date(2027, 1, 1))
    specs = tuple(spec(f"k{n}", SHOP, paused=pause if n == 0 else None) for n in range(6))
    assert judge(plan(specs, tuple(remote(str(n), f"k{n}", NEWS) for n in range(6)))).refusals == ()


def test_limits_of_a_policy() -> None:
    """A policy's limits take the place of the defaults."""
    assert raised(judge(drifted(1, 9), limits=Limits(max_changes=Threshold(0, 0)))) == ["max-changes"]


@pytest.mark.parametrize("guardrail", ["max-changes", "max-switched-off", "empty-desired"])
def test_allowed_by_name(guardrail: str) -> None:
    """Each guardrail over an account is let through by its own name, and by no other."""
    specs = () if guardrail == "empty-desired" else tuple(spec(f"k{n}", state=QUARANTINED) for n in range(9))
    keys = tuple(remote(str(n), f"k{n}", "*", created_at=ADMIN.created_at) for n in range(9))
    account = plan(specs, keys, unmanaged=FENCE_UNMANAGED)
    all_of_them = frozenset(ALLOWABLE)
    assert judge(account, allowed=all_of_them).refusals == ()
    assert raised(judge(account, allowed=all_of_them - {guardrail})) == [guardrail]


def test_every_reason_at_once() -> None:
    """All guardrails that refuse a change are named on it, and each refusal is listed."""
    account = plan((), tuple(remote(str(n), f"k{n}", "*") for n in range(9)), unmanaged=FENCE_UNMANAGED)
    refused = judge(
        account, self_keys={None: "0"}, allowed=frozenset({"guardian"}), digest="sha256:other", hold="INC-7"
    )
    assert raised(refused) == ["max-changes", "max-switched-off", "empty-desired", "digest", "hold"]
    for change in refused.plan.changes:
        reason = change.reason or ""
        assert all(f"{guardrail}: " in reason for guardrail in raised(refused))
    assert "the files name no key of this account, so all 9 would count as unmanaged" in refused.refusals[2].message


def test_empty_desired_needs_something_to_refuse() -> None:
    """No desired key and nothing to be fenced is nothing to refuse."""
    assert judge(plan((), (), unmanaged=FENCE_UNMANAGED)).refusals == ()
    assert judge(plan((), (remote("1", "x", "*"),))).refusals == ()


def test_restore_is_refused_unless_allowed() -> None:
    """A fenced key comes back only where the policy names it or a person allows it."""
    account = plan((spec("shop", SHOP),), (remote("1", "shop", SHOP, at=(FENCE,)),))
    refused = judge(account)
    assert refused.refusals == (
        Refusal(
            "restore",
            "shop: the key is fenced, somebody switched it off for a reason; let it through with --allow restore "
            "or list its name under guardrails.allow_restore in the policy",
            account.account,
            "1",
        ),
    )
    assert outcomes(refused) == {"shop": "refused"}
    assert judge(account, limits=Limits(allow_restore=("shop",))).refusals == ()
    assert judge(account, allowed=frozenset({"restore"})).refusals == ()
    assert raised(judge(account, limits=Limits(allow_restore=("other",)))) == ["restore"]


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        (("10.0.0.0/8",), True),
        (("2001:db8::/32", "100.64.0.0/10"), True),
        (("10.0.0.0/8", "198.51.100.1"), False),
        ((), False),
    ],
)
def test_unreachable(at: tuple[str, ...], refused: bool) -> None:
    """A list that no public IPv4 caller can be on is refused, unless allowed; other fields go on."""
    account = plan((spec("shop", SHOP, at=at),), (remote("1", "shop", SHOP),))
    assert raised(judge(account)) == (["unreachable"] if refused else [])
    assert judge(account, allowed=frozenset({"unreachable"})).refusals == ()
    only_scopes = plan((spec("shop", SHOP, at=at),), (remote("1", "shop", NEWS, at=at),))
    assert judge(only_scopes).refusals == ()


def test_fencing_is_not_unreachable() -> None:
    """Switching a key off is what a quarantine is for."""
    assert judge(fenced(1, 5)).refusals == ()


def test_unreachable_and_restore_are_both_named() -> None:
    """A change that two guardrails refuse names both."""
    account = plan((spec("shop", SHOP, at=("10.0.0.0/8",)),), (remote("1", "shop", SHOP, at=(FENCE,)),))
    assert raised(judge(account)) == ["restore", "unreachable"]


@pytest.mark.parametrize(
    ("wanted", "loss"),
    [
        (spec("admin", *MANAGER, state=QUARANTINED), "be switched off"),
        (spec("admin", "api-keys:read"), "lose api-keys:write"),
        (spec("admin", "api-keys:write"), "lose api-keys:read"),
        (spec("admin", *MANAGER, at=("203.0.113.0/25",)), "have its ip_allow_list narrowed"),
        (spec("admin", *MANAGER, at=("198.51.100.0/24",)), "have its ip_allow_list narrowed"),
        (spec("admin", *MANAGER, "domains:read"), None),
        (spec("admin", *MANAGER, at=()), None),
        (spec("admin", "*"), None),
        (spec("renamed", *MANAGER, was=("admin",)), None),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_guardian_of_the_own_key(wanted: KeySpec, loss: str | None, known: bool) -> None:
    """The key that the reconciler uses keeps key management and its list; where unknown, each that writes keys does."""
    account = plan((wanted, UNCHANGED[1]), (ADMIN, SPARE))
    judged = judge(account, self_keys={None: "self"} if known else {})
    whose = (
        "the key that the reconciler uses"
        if known
        else "a key that can write keys, and so may be the one that the reconciler uses "
        "(set RECONCILER_SELF_KEY_ID, or RECONCILER_SELF_KEY_ID_<CREDENTIAL>, to the id of that one to protect it "
        "alone),"
    )
    messages = [f"{wanted.name}: {whose} would {loss}; let it through with --allow guardian"] if loss else []
    assert [refusal.message for refusal in judged.refusals] == messages
    assert judge(account, allowed=frozenset({"guardian"})).refusals == ()


def test_a_self_key_of_another_account_is_named() -> None:
    """A self key that is not among the account's keys protects none of them by itself, and the message says so."""
    account = plan((spec("admin", "api-keys:read"), UNCHANGED[1]), (ADMIN, SPARE))
    (refusal,) = judge(account, self_keys={None: "elsewhere"}).refusals
    assert "elsewhere is not one of this account's keys" in refusal.message


def test_guardian_of_others() -> None:
    """Where the own key is known, another one that writes keys may lose that."""
    account = plan((UNCHANGED[0], spec("spare", SHOP)), (ADMIN, SPARE))
    assert judge(account).refusals == ()
    assert raised(judge(account, self_keys={})) == ["guardian"]
    assert raised(judge(account, self_keys={"other": "self"})) == ["guardian"]


def test_an_own_key_that_is_not_there_protects_all() -> None:
    """A self key id that the account does not have, a typing mistake, switches no protection off."""
    account = plan((UNCHANGED[0], spec("spare", SHOP)), (ADMIN, SPARE))
    assert raised(judge(account, self_keys={None: "typo"})) == ["guardian"]


def test_last_manager() -> None:
    """One unfenced key that can write keys must be left: the first that would take the last is refused."""
    keys = (remote("1", "a", *MANAGER, SHOP), remote("2", "b", "*"), remote("3", "c", SHOP))
    specs = (spec("a", SHOP), spec("b", SHOP), spec("c", SHOP))
    judged = approve(whole(plan(specs, keys)), Consent(self_keys={None: "3"}), NOW)
    assert outcomes(judged) == {"a": "refused", "b": "planned"}
    (refusal,) = judged.refusals
    assert (refusal.guardrail, refusal.key_id) == ("guardian", "1")
    assert refusal.message == (
        "a: no unfenced key of the account could write keys any more; let it through with --allow guardian"
    )


def test_a_new_manager_may_take_over() -> None:
    """The right to write keys may move: the grant counts, unless it is held back."""
    keys = (remote("1", "a", *MANAGER), remote("2", "b", SHOP), remote("3", "c", SHOP))
    specs = (spec("a", SHOP), spec("b", *MANAGER), spec("c", SHOP))
    consent = Consent(self_keys={None: "3"})
    assert approve(whole(plan(specs, keys)), consent, NOW).refusals == ()
    held = (specs[0], replace(specs[1], paused=Pause("x", date(2027, 1, 1))), specs[2])
    assert outcomes(approve(whole(plan(held, keys)), consent, NOW)) == {"a": "skipped", "b": "paused"}


def test_a_fenced_last_manager() -> None:
    """Fencing counts as losing: a fenced key manages nothing, and an account without any manager has none to keep."""
    keys = (remote("1", "a", *MANAGER), remote("2", "b", *MANAGER, at=(FENCE,)), remote("3", "c", SHOP))
    specs = (spec("a", *MANAGER, state=QUARANTINED), spec("b", *MANAGER, state=QUARANTINED), spec("c", SHOP))
    consent = Consent(self_keys={None: "3"})
    assert outcomes(approve(whole(plan(specs, keys)), consent, NOW)) == {"a": "refused"}
    without = plan((specs[1], spec("c", NEWS)), keys[1:])
    assert approve(whole(without), consent, NOW).refusals == ()


@pytest.mark.parametrize("self_keys", [{}, {None: "self"}])
def test_sub_accounts_need_no_manager(self_keys: dict[str | None, str]) -> None:
    """A sub account's keys are the parent's to manage: none of them can be the reconciler's, and all may lose that."""
    account = plan((spec("a", SHOP),), (remote("1", "a", *MANAGER),), account=SUB_ACCOUNT)
    assert judge(account, self_keys=self_keys).refusals == ()
    assert judge(account).approved.watch(account).guardian is None


@pytest.mark.parametrize("lost", ["sub-accounts:read", "sub-account-api-keys:read", "sub-account-api-keys:write"])
def test_guardian_of_what_sub_accounts_need(lost: str) -> None:
    """The key that the reconciler uses keeps what it needs to manage the keys of sub accounts as well."""
    held = (*MANAGER, "sub-accounts:read", "sub-account-api-keys:read", "sub-account-api-keys:write")
    keys = (remote("self", "admin", *held), SPARE)
    account = plan((spec("admin", *(text for text in held if text != lost)), UNCHANGED[1]), keys)
    (refusal,) = judge(account).refusals
    assert refusal.message == (
        f"admin: the key that the reconciler uses would lose {lost}; let it through with --allow guardian"
    )


def test_guardian_of_a_key_that_manages_sub_accounts_only() -> None:
    """Where the own key is not known, it may also be one that can write keys of sub accounts and no others."""
    below_only = remote("1", "below", "sub-account-api-keys:write", "api-keys:read")
    account = plan((spec("below", "api-keys:read"), UNCHANGED[1]), (below_only, SPARE))
    assert raised(judge(account, self_keys={})) == ["guardian"]
    assert judge(plan((UNCHANGED[1],), (SPARE,)), self_keys={}).refusals == ()


def guardian_of(*keys: RemoteKey) -> Guardian:
    return Guardian(keys, "3")


def test_objections_before_a_write() -> None:
    """Asked again before a write, the guardian looks at the keys as they are by then."""
    keys = (remote("1", "a", *MANAGER), remote("2", "b", *MANAGER), remote("3", "c", SHOP))
    change = plan((spec("a", SHOP), spec("b", *MANAGER), spec("c", SHOP)), keys).changes[0]
    assert guardian_of(*keys).objection(change, keys[1:]) is None
    assert guardian_of(*keys).objection(change, keys[2:]) == "no unfenced key of the account could write keys any more"
    gone = replace(change, after=None)
    assert guardian_of(*keys).objection(gone, ()) == "no unfenced key of the account could write keys any more"
    unclear = replace(change, before=None)
    assert guardian_of(*keys).objection(unclear, ()) is None


def test_a_protected_key_that_nothing_is_known_of() -> None:
    """A change without a before and an after takes nothing away."""
    keys = (ADMIN, SPARE)
    change: Change = plan((spec("admin", SHOP), UNCHANGED[1]), keys).changes[0]
    guardian = Guardian(keys, "self")
    assert guardian.protects(change) is not None
    assert guardian.protects(replace(change, before=None, after=None)) is None


def test_guardian_of_an_approved_plan() -> None:
    """An approved plan gives the guardian for the writes, none where a person allowed it away."""
    account = plan(UNCHANGED, (ADMIN, SPARE))
    assert judge(account).approved.watch(account).guardian is not None
    assert judge(account, allowed=frozenset({"guardian"})).approved.watch(account).guardian is None


def test_digest() -> None:
    """Only the plan that was reviewed passes; the refusal shows both digests."""
    account = drifted(2, 9)
    right = whole(account).digest
    assert judge(account, digest=right).refusals == ()
    refused = judge(account, digest="sha256:0")
    assert [refusal.message for refusal in refused.refusals] == [
        (
            f"this is not the plan that was reviewed: --digest asks for sha256:0, this plan is {right}; "
            "review it and pass its digest"
        )
    ]
    assert set(outcomes(refused).values()) == {"refused"}


def test_digest_of_an_incomplete_plan() -> None:
    """Where an account could not be read there is no digest, so none can be the one that was reviewed."""
    account = drifted(2, 9)
    refused = approve(whole(account, complete=False), Consent(digest=whole(account).digest), NOW)
    assert raised(refused) == ["digest"]
    assert "this plan is without a digest, since an account could not be read" in refused.refusals[0].message
    assert set(outcomes(refused).values()) == {"refused"}


def test_hold() -> None:
    """On hold nothing is changed, and where nothing would be there is nothing to say."""
    refused = judge(drifted(1, 9), hold="INC-7")
    assert [refusal.message for refusal in refused.refusals] == [
        "on hold: INC-7; nothing is changed while RECONCILER_HOLD is set"
    ]
    assert outcomes(refused) == {"k000": "refused"}
    assert judge(drifted(0, 9), hold="INC-7").refusals == ()
    with_a_creation = plan((spec("a", SHOP), spec("b", NEWS)), (remote("1", "a"),))
    assert outcomes(judge(with_a_creation, hold="INC-7")) == {"a": "refused", "b": "skipped"}


@pytest.mark.parametrize("guardrail", NEVER_ALLOWED)
def test_never_allowed(guardrail: str) -> None:
    """No name lets a wrong digest or a hold through."""
    given = {"digest": "sha256:0"} if guardrail == "digest" else {"hold": "INC-7"}
    assert raised(judge(drifted(1, 9), allowed=frozenset((*ALLOWABLE, *NEVER_ALLOWED)), **given)) == [guardrail]


def test_accounts_are_judged_apart() -> None:
    """One account's refusal leaves the other account's changes planned; what was not planned keeps its reason."""
    calm = plan((spec("z", SHOP), spec("y", SHOP)), (remote("1", "z", NEWS),), account=SUB_ACCOUNT)
    judged = approve(whole(drifted(9, 9), calm), SELF, NOW)
    assert (outcomes(judged)["k000"], outcomes(judged)["z"]) == ("refused", "planned")
    assert next(change for change in judged.plan.changes if change.name == "y").outcome is Outcome.SKIPPED


def sub_accounts(*sizes: int, changed: int) -> tuple[AccountPlan, ...]:
    """Sub accounts with so many keys each, of which in each so many need another scope."""
    return tuple(replace(drifted(changed, size), account=below(number)) for number, size in enumerate(sizes))


def test_sub_accounts_are_counted_apart() -> None:
    """Each sub account has its own limit; one over it leaves the others planned."""
    calm, over = sub_accounts(9, changed=2) + sub_accounts(9, 9, changed=6)[1:]
    judged = approve(whole(calm, over, *sub_accounts(*[9] * 9, changed=0)[2:]), SELF, NOW)
    assert [(r.guardrail, r.account, r.limit, r.actual) for r in judged.refusals] == [("max-changes", below(1), 5, 6)]
    assert [change.outcome.value for change in judged.plan.changes] == ["planned"] * 2 + ["refused"] * 6


@pytest.mark.parametrize(("family", "refused"), [(3, True), (7, False)])
def test_sub_accounts_are_counted_together(family: int, refused: bool) -> None:
    """Nine changes in three sub accounts are too many of 9 keys, and not of 33; the parent's own go on."""
    plans = sub_accounts(3, 3, 3, *[6] * (family - 3), changed=3)
    calm = tuple(replace(one, changes=()) if number >= 3 else one for number, one in enumerate(plans))
    judged = approve(whole(drifted(2, 9), *calm), SELF, NOW)
    expected = (
        "9 changes in 3 sub accounts, but the limit is 5: 30 % of the 9 keys listed, or 5 if that is more; raise "
        "guardrails.max_changes in the policy or let it through with --allow max-changes"
    )
    assert [(r.message, r.account) for r in judged.refusals] == ([(expected, below(0).parent)] if refused else [])
    of_parent, of_family = judged.plan.changes[:2], judged.plan.changes[2:]
    assert {change.outcome.value for change in of_parent} == {"planned"}
    assert {change.outcome.value for change in of_family} == {"refused" if refused else "planned"}
    assert approve(whole(*calm), Consent(allowed=frozenset({"max-changes"})), NOW).refusals == ()


def test_switching_off_is_counted_over_all_sub_accounts() -> None:
    """One fence in each of two sub accounts is what each may do, and twice what they may do together."""
    plans = tuple(
        replace(plan((spec("a", SHOP, state=QUARANTINED),), (remote("1", "a", SHOP),)), account=below(number))
        for number in range(2)
    )
    judged = approve(whole(*plans), SELF, NOW)
    assert [(r.guardrail, r.limit, r.actual) for r in judged.refusals] == [("max-switched-off", 1, 2)]
    assert set(outcomes(judged).values()) == {"refused"}


def test_families_are_counted_apart() -> None:
    """Sub accounts of different parents are not added up, and a single one is counted once."""
    other = AccountRef("99999999-9999-4999-8999-999999999999", "99999999-0000-4000-8000-000000000000")
    plans = (*sub_accounts(3, changed=3), replace(drifted(3, 3), account=other))
    assert approve(whole(*plans), SELF, NOW).refusals == ()
    (refusal,) = approve(whole(*sub_accounts(9, changed=6)), SELF, NOW).refusals
    assert refusal.account == below(0)


def test_seal() -> None:
    """Only the guardrails make an approved plan."""
    with pytest.raises(TypeError, match="only the guardrails make an ApprovedPlan"):
        ApprovedPlan(whole(), Consent(), NOW, object())
    approved = judge(drifted(1, 9)).approved
    assert approved.plan == judge(drifted(1, 9)).plan
