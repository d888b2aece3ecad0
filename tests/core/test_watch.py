"""What watches over an account while its keys change: the coverage, and who objects first."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from builders import ACCOUNT, FENCE, MANAGER, NEWS, OFFICE, SHOP, SUB_ACCOUNT, only, plan, remote, spec
from reconciler.core.changes import Action, Change
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.requirements import Requirement
from reconciler.core.scopes import parse_scope
from reconciler.core.watch import Coverage, Guardian, Objection, Watch

SENDING, NEWS_TOO = Requirement(parse_scope(SHOP)), Requirement(parse_scope(NEWS))
SENDER = remote("1", "a", SHOP)
SPARE = remote("2", "b", "messages:send:all")
NOBODY = "no key in use could do what must keep working: "
SHOP_LOST = f"{NOBODY}messages:send for shop.example.com (now 'a' (1) can)"


def wanting(wanted: KeySpec, key: RemoteKey = SENDER) -> Change:
    return only(plan((wanted,), (key,)))


def objection(change: Change, *others: RemoteKey, required: Iterable[Requirement] = (SENDING,)) -> str | None:
    """What the coverage of the account with that key and these others says, while the others stay as they are."""
    before = (change.before,) if change.before else ()
    return Coverage(ACCOUNT, (*before, *others), required).objection(change, others)


@pytest.mark.parametrize(
    "wanted",
    [
        spec("a", NEWS),
        spec("a", SHOP, state=KeyState.QUARANTINED),
        spec("a", SHOP, state=KeyState.ABSENT),
        spec("a", SHOP, at=("10.0.0.0/8",)),
        spec("a", SHOP, at=("2001:db8::/32",)),
        spec("a", SHOP.replace("shop", "other"), at=()),
    ],
)
def test_the_last_key_that_can_keeps_it(wanted: KeySpec) -> None:
    """The only key in use that can do it must not lose the scope, its reach or itself, unless another one can."""
    change = wanting(wanted)
    assert objection(change) == SHOP_LOST
    assert objection(change, remote("2", "b", NEWS)) == SHOP_LOST
    assert objection(change, SPARE) is None


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        (spec("a", SHOP, NEWS), SENDER),
        (spec("a", "messages:send:all"), SENDER),
        (spec("a", SHOP), remote("1", "a", "*")),
        (spec("a", SHOP, at=()), SENDER),
        (spec("a", SHOP, at=("203.0.113.7",)), SENDER),
        (spec("a", SHOP, label="A", was=("a",)), SENDER),
        (spec("a", SHOP, NEWS, state=KeyState.QUARANTINED), remote("1", "a", SHOP, at=(FENCE,))),
        (spec("a", SHOP, at=("198.51.100.0/24",)), remote("1", "a", SHOP, at=("10.0.0.0/8",))),
        (spec("a", NEWS), remote("1", "a", SHOP, at=("10.0.0.0/8",))),
        (spec("a", "domains:read"), remote("1", "a", NEWS)),
    ],
)
def test_what_keeps_working_is_not_objected_to(wanted: KeySpec, key: RemoteKey) -> None:
    """A key that can do it afterwards, or could not before, may change; narrower networks still reach it."""
    assert objection(wanting(wanted, key)) is None


@pytest.mark.parametrize(
    "other",
    [
        remote("2", "b", SHOP, at=(FENCE,)),
        remote("2", "b", SHOP, at=("10.0.0.0/8",)),
        remote("2", "b", SHOP.replace("shop", "other")),
        remote("2", "b", "messages:read:all"),
    ],
)
def test_a_key_that_cannot_be_used_is_no_spare(other: RemoteKey) -> None:
    """Another key that is switched off, cannot be reached or holds something else does not count."""
    assert objection(wanting(spec("a", NEWS)), other) == SHOP_LOST


def test_the_keys_that_could_are_named() -> None:
    """All keys that could do it when the account was listed are named, with everything that would be lost."""
    change = wanting(spec("a", "domains:read"), remote("1", "a", SHOP, NEWS))
    coverage = Coverage(ACCOUNT, (*([change.before] if change.before else []), SPARE), (SENDING, NEWS_TOO))
    assert coverage.objection(change, ()) == (
        f"{NOBODY}messages:send for shop.example.com (now 'a' (1), 'b' (2) can); "
        "messages:send for news.example.com (now 'a' (1), 'b' (2) can)"
    )
    sender_of_news = remote("2", "b", NEWS)
    assert coverage.objection(change, (sender_of_news,)) == (
        f"{NOBODY}messages:send for shop.example.com (now 'a' (1), 'b' (2) can)"
    )
    assert coverage.objection(change, (remote("2", "b", SHOP, at=()), sender_of_news)) is None


@pytest.mark.parametrize(
    ("required", "objected"),
    [
        ((), False),
        ((SENDING,), True),
        ((NEWS_TOO,), False),
        ((replace(SENDING, account=ACCOUNT.account_id),), True),
        ((replace(SENDING, account="2222*"),), False),
        ((replace(SENDING, sub_account="2222*"),), False),
        ((NEWS_TOO, replace(SENDING, account="2222*"), SENDING), True),
    ],
)
def test_only_what_the_account_had_is_watched(required: tuple[Requirement, ...], objected: bool) -> None:
    """What no key of the account could do at first, or what is required of other accounts, is not watched there."""
    assert objection(wanting(spec("a", "domains:read")), required=required) == (SHOP_LOST if objected else None)


def test_a_sub_account_is_watched_by_itself() -> None:
    """A requirement that names a sub account is watched there."""
    keys = Coverage(SUB_ACCOUNT, (SENDER,), (replace(SENDING, sub_account="2222*"),))
    assert keys.objection(wanting(spec("a", NEWS)), ()) == SHOP_LOST


def test_it_is_asked_again_with_what_has_been_applied() -> None:
    """The keys as they are by then decide: a spare that came is enough, one that has gone is not."""
    coverage = Coverage(ACCOUNT, (SENDER, SPARE), (SENDING,))
    change = wanting(spec("a", NEWS))
    told = f"{NOBODY}messages:send for shop.example.com (now 'a' (1), 'b' (2) can)"
    assert coverage.objection(change, (SPARE,)) is None
    assert (
        coverage.objection(change, (replace(SPARE, ip_allow_list=remote("x", "x", at=(FENCE,)).ip_allow_list),)) == told
    )
    assert coverage.objection(change, ()) == told
    assert coverage.objection(change, (remote("9", "new", "*"),)) is None


def test_a_change_without_a_key_takes_nothing_away() -> None:
    """A change for which no key was matched is never objected to; one after which there is no key is."""
    change = wanting(spec("a", NEWS))
    coverage = Coverage(ACCOUNT, (SENDER,), (SENDING,))
    assert coverage.objection(replace(change, before=None, after=None), ()) is None
    assert coverage.objection(replace(change, after=None), ()) == SHOP_LOST


def test_an_unmanaged_key_may_be_the_one() -> None:
    """A key of no file that must keep working is not fenced while no other one can do the same."""
    stray = remote("8", "stray", SHOP, "domains:read")
    fence = only(plan((), (stray,), unmanaged=UnmanagedRule(then=UnmanagedAction.QUARANTINE)))
    assert objection(fence) == f"{NOBODY}messages:send for shop.example.com (now 'stray' (8) can)"
    assert objection(fence, SENDER) is None


# Who objects


ALL = remote("1", "a", *MANAGER, SHOP)
FENCED = wanting(spec("a", *MANAGER, SHOP, state=KeyState.QUARANTINED), ALL)
GUARDIAN, COVERAGE = Guardian((ALL,), "1"), Coverage(ACCOUNT, (ALL,), (SENDING,))
NO_MANAGER = Objection("guardian", "no unfenced key of the account could write keys any more")
OWN = Objection("guardian", "the key that the reconciler uses would be switched off")
NO_SENDER = Objection("coverage", SHOP_LOST)


@pytest.mark.parametrize(
    ("watch", "others", "objected"),
    [
        (Watch(None, None), (), None),
        (Watch(GUARDIAN, None), (), NO_MANAGER),
        (Watch(None, COVERAGE), (), NO_SENDER),
        (Watch(GUARDIAN, COVERAGE), (), NO_MANAGER),
        (Watch(GUARDIAN, COVERAGE), (remote("2", "b", "*"),), OWN),
        (Watch(Guardian((ALL, SPARE), "2"), COVERAGE), (remote("3", "c", "api-keys:write"),), NO_SENDER),
        (Watch(Guardian((ALL, SPARE), "2"), COVERAGE), (remote("3", "c", "*"),), None),
        (Watch(None, COVERAGE), (SPARE,), None),
    ],
)
def test_the_first_who_objects_is_told(watch: Watch, others: tuple[RemoteKey, ...], objected: Objection | None) -> None:
    """The guardian is asked before the coverage, each with all the others; what was let through is not asked."""
    assert watch.objection(FENCED, lambda: iter(others)) == objected


@pytest.mark.parametrize(
    ("watch", "others", "objected"),
    [
        (Watch(None, None), (), ()),
        (Watch(GUARDIAN, None), (), (NO_MANAGER,)),
        (Watch(None, COVERAGE), (), (NO_SENDER,)),
        (Watch(GUARDIAN, COVERAGE), (), (NO_MANAGER, NO_SENDER)),
        (Watch(GUARDIAN, COVERAGE), (remote("2", "b", "*"),), (OWN,)),
        (Watch(Guardian((ALL, SPARE), "2"), COVERAGE), (remote("3", "c", "*"),), ()),
    ],
)
def test_all_who_object_are_told(watch: Watch, others: tuple[RemoteKey, ...], objected: tuple[Objection, ...]) -> None:
    """Whoever else would object is told as well, each asked with all the others."""
    assert tuple(watch.objections(FENCED, lambda: iter(others))) == objected


@pytest.mark.parametrize(
    ("key", "needed"),
    [
        (remote("2", "b", *MANAGER), (True, True)),
        (remote("2", "b", *MANAGER, at=(FENCE,)), (False, False)),
        (SPARE, (False, True)),
        (remote("2", "b", SHOP, at=("10.0.0.0/8",)), (False, False)),
        (remote("2", "b", NEWS), (False, False)),
    ],
)
def test_on_whom_an_objection_may_depend(key: RemoteKey, needed: tuple[bool, bool]) -> None:
    """Only keys in use that manage keys, or can do what is required, decide; all others need not be looked at."""
    assert (Watch(GUARDIAN, None).needs(key), Watch(GUARDIAN, COVERAGE).needs(key)) == needed


@pytest.mark.parametrize("unknown", [replace(FENCED, before=None), replace(FENCED, after=None)])
def test_the_guardian_of_a_change_that_is_half_known(unknown: Change) -> None:
    """Of a change that does not know what the key was, or will be, only that it switches off is told."""
    assert GUARDIAN.protects(unknown) == OWN.message
    assert GUARDIAN.protects(replace(unknown, action=Action.UPDATE)) is None


@pytest.mark.parametrize(("at", "protected"), [((OFFICE,), True), ((FENCE,), False)])
@pytest.mark.parametrize("right", ["api-keys:write", "sub-account-api-keys:write"])
def test_a_fenced_key_cannot_be_the_own_one(at: tuple[str, ...], protected: bool, right: str) -> None:
    """Where the own key is not known, each key in use that writes keys may be it; a fenced one cannot."""
    key = remote("1", "a", right, SHOP, at=at)
    loses = only(plan((spec("a", SHOP, state=KeyState.QUARANTINED if at == (FENCE,) else KeyState.PRESENT),), (key,)))
    assert (Guardian((key,), None).protects(loses) is not None) is protected


def test_a_change_that_only_grants() -> None:
    """Nobody objects to what only grants."""
    grants = wanting(spec("a", *MANAGER, SHOP, NEWS, at=(OFFICE, "198.51.100.1")), ALL)
    assert Watch(GUARDIAN, COVERAGE).objection(grants, lambda: ()) is None
