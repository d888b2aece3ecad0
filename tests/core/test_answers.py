"""Who can do something, by the files and in the account, and why a key is as it is."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, SUB_ACCOUNT, desired, remote, spec
from core.rulebook import built_in, policy, waiver, when
from reconciler.core.answers import (
    ExplainedRule,
    ExplainedScope,
    Explaining,
    Explanation,
    Hold,
    Holder,
    KeysIn,
    explain,
    who_can,
)
from reconciler.core.builtins import DuplicateLabel
from reconciler.core.findings import Severity, Waiver
from reconciler.core.guardrails import Refusal
from reconciler.core.judging import Verdict
from reconciler.core.keys import (
    DesiredAccount,
    KeySpec,
    KeyState,
    Pause,
    RemoteKey,
    Role,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.core.plan import plan_account
from reconciler.core.rules import Match, Policy
from reconciler.core.scopes import parse_scope

SEND_SHOP = parse_scope(SHOP)
BY_SHOP = Hold((SHOP,), (OFFICE,))
OFF = KeyState.QUARANTINED
FENCING = UnmanagedRule(then=UnmanagedAction.QUARANTINE)
SHOP_ALONE = "messages:send for shop.example.com alone"


def holders(specs: tuple[KeySpec, ...], keys: tuple[RemoteKey, ...], wanted: str = SHOP) -> list[tuple[Any, ...]]:
    """Each key that can, with its name, label and id, and how the files and the account let it."""
    found = who_can([KeysIn(desired(*specs), keys)], parse_scope(wanted))
    return [(each.name, each.label, each.key_id, each.desired, each.actual) for each in found]


# Who can


def test_a_key_of_both_sides() -> None:
    """A key is told with its account, name, label, id and place, and both sides' word, as it is and as it should be."""
    below = replace(desired(spec("shop", SHOP, NEWS), account=SUB_ACCOUNT), name="Acme East")
    keys = (remote("1", "shop", "messages:send:all", at=()),)
    assert who_can([KeysIn(below, keys)], SEND_SHOP) == (
        Holder(
            SUB_ACCOUNT.account_id,
            SUB_ACCOUNT.sub_account_id,
            "Acme East",
            "shop",
            "shop",
            "1",
            below.keys[0].source,
            Hold((SHOP,), (OFFICE,)),
            Hold(("messages:send:all",), ()),
        ),
    )


@pytest.mark.parametrize(
    ("held", "by"),
    [
        (("*",), ("*",)),
        (("messages:send:all", SHOP, "domains:read"), ("messages:send:all", SHOP)),
        ((NEWS,), None),
        (("messages:read:all",), None),
    ],
)
def test_who_covers_it(held: tuple[str, ...], by: tuple[str, ...] | None) -> None:
    """Every scope that covers it is told; a key with none is not one of those who can."""
    told = [(None, "a", "1", None, Hold(by, (OFFICE,)))] if by else []
    assert holders((), (remote("1", "a", *held),)) == told


def test_only_one_side_says_so() -> None:
    """What is only wanted, only there, or in no file is told for the side that has it."""
    specs = (
        spec("gone", SHOP, state=KeyState.ABSENT),
        spec("new", SHOP),
        spec("old", NEWS),
        spec("pinned", SHOP, id="9"),
    )
    keys = (remote("1", "gone", SHOP), remote("2", "old", SHOP), remote("3", "stray", SHOP))
    assert holders(specs, keys) == [
        ("gone", "gone", "1", None, BY_SHOP),
        ("new", "new", None, BY_SHOP, None),
        ("old", "old", "2", None, BY_SHOP),
        ("pinned", "pinned", "9", BY_SHOP, None),
        (None, "stray", "3", None, BY_SHOP),
    ]


@pytest.mark.parametrize(
    ("wanted", "actual", "told"),
    [
        (spec("a", SHOP, state=OFF), remote("1", "a", SHOP), (Hold((SHOP,), (OFFICE,), switched_off=True), BY_SHOP)),
        (spec("a", SHOP), remote("1", "a", SHOP, at=(FENCE,)), (BY_SHOP, Hold((SHOP,), (FENCE,), switched_off=True))),
        (
            spec("a", SHOP),
            remote("1", "a", SHOP, at=("10.0.0.0/8",)),
            (BY_SHOP, Hold((SHOP,), ("10.0.0.0/8",), switched_off=True)),
        ),
        (spec("a", SHOP, at=None), remote("1", "a", SHOP), (Hold((SHOP,), None), BY_SHOP)),
        (spec("a", SHOP, at=()), remote("1", "a", NEWS), (Hold((SHOP,), ()), None)),
        (replace(spec("a"), scopes=None), remote("1", "a", SHOP), (BY_SHOP, BY_SHOP)),
    ],
)
def test_from_where_and_whether_now(wanted: KeySpec, actual: RemoteKey, told: tuple[Hold | None, Hold | None]) -> None:
    """What is fenced or cannot be reached is switched off; what the file leaves open is the account's affair."""
    assert holders((wanted,), (actual,)) == [("a", "a", "1", *told)]


def test_scopes_that_nobody_says() -> None:
    """A quarantined key without scopes in the file, and without a key in the account, can do nothing."""
    assert holders((replace(spec("a", state=OFF), scopes=None),), ()) == []


def test_the_order_of_those_who_can() -> None:
    """Named keys come first, by name, then those of no file by label and id; accounts in their order."""
    keys = (remote("3", "b", SHOP), remote("1", "c", SHOP), remote("2", "b", SHOP), remote("4", "z", SHOP))
    assert [key_id for _, _, key_id, _, _ in holders((spec("z", SHOP),), keys)] == ["4", "2", "3", "1"]
    accounts = [KeysIn(desired(account=account), (remote("1", "a", SHOP),)) for account in (SUB_ACCOUNT, ACCOUNT)]
    assert [each.sub_account_id for each in who_can(accounts, SEND_SHOP)] == [SUB_ACCOUNT.sub_account_id, None]


# Why a key is as it is

NO_RULES = Policy()
RULES = policy(
    built_in("no-wildcard"),
    when("about-changes", 'change.direction == "widen"', "{key.name} widens", severity=Severity.WARN),
    when("elsewhere", 'key.label == "x"', "never", match=Match(account="9*")),
    when("tickets", 'key.annotations["ticket"] != ""', "{key.label} has a ticket", hint="close it"),
    waivers=(waiver("no-wildcard", key="ops"),),
)
ROLE = Role("sender", ("messages:send:{domain}", "suppressions:read"), "roles.yaml")


def explained(
    account: DesiredAccount,
    keys: tuple[RemoteKey, ...],
    which: str,
    rules: Policy = NO_RULES,
    **fields: Any,
) -> tuple[Explanation, ...]:
    plan = plan_account(account, keys, NOW)
    return explain(account, plan, which, replace(Explaining(rules, (), (), NOW), **fields))


def only(found: tuple[Explanation, ...]) -> Explanation:
    (explanation,) = found
    return explanation


@pytest.mark.parametrize("which", ["shop", "1", "Shop"])
def test_a_key_is_found_by_name_id_and_label(which: str) -> None:
    """Whatever a person knows of a key finds it; what is like nothing finds nothing."""
    account = desired(spec("shop", SHOP, label="Shop"))
    keys = (remote("1", "Shop", SHOP), remote("2", "other", SHOP))
    told = only(explained(account, keys, which))
    assert (told.subject.name, told.subject.id, told.subject.label) == ("shop", "1", "Shop")
    assert (told.account, told.account_name, told.change, told.refusals) == (ACCOUNT, None, None, ())
    assert explained(account, keys, "shopp") == ()


def test_every_key_of_that_name_is_explained() -> None:
    """A desired key comes first, then actual ones that bear the label; a key is not explained twice."""
    account = desired(spec("shop", SHOP, label="a"), spec("twin", SHOP, label="shop"))
    keys = (remote("1", "shop", SHOP), remote("2", "a", SHOP), remote("3", "shop", SHOP))
    found = explained(account, keys, "shop")
    assert [(each.subject.name, each.subject.id, each.subject.managed) for each in found] == [
        ("shop", "2", True),
        ("twin", None, True),
        (None, "1", True),
        (None, "3", True),
    ]


def test_an_unmanaged_key_is_explained_as_it_is() -> None:
    """A key of no file has scopes that nobody asks for, and no change."""
    told = only(explained(desired(), (remote("1", "stray", SHOP),), "stray"))
    assert (told.subject.name, told.subject.managed, told.subject.actual, told.change) == (None, False, True, None)
    assert told.scopes == (ExplainedScope(SHOP, (), listed=False, held=True, covered_by=(), covers=SHOP_ALONE),)


@pytest.mark.parametrize("keys", [(), (remote("1", "old", SHOP),)])
def test_a_key_that_is_to_go_is_explained(keys: tuple[RemoteKey, ...]) -> None:
    """A key that the files want gone is found, whether or not the account has it."""
    told = only(explained(desired(spec("old", state=KeyState.ABSENT)), keys, "old"))
    assert told.subject.spec is not None
    assert told.subject.spec.state is KeyState.ABSENT
    assert (told.subject.remote, told.change is None) == (keys[0] if keys else None, not keys)


def test_who_gives_a_scope_and_what_covers_it() -> None:
    """Each scope tells its roles, whether the file lists it itself, whether the account has it, and its reach."""
    wanted = spec(
        "shop",
        "messages:send:all",
        SHOP,
        "suppressions:read",
        "domains:read",
        roles=("sender",),
        domains=("shop.example.com",),
    )
    keys = (remote("1", "shop", SHOP, "domains:read", "*", "new:unknown"),)
    other = Role("other", ("suppressions:read",), "roles.yaml")
    told = only(explained(desired(wanted), keys, "shop", roles=(other, ROLE)))
    assert told.roles == (ROLE,)
    everything, static = "everything, also what is added later", "just this"
    every_domain, unknown = "messages:send for every domain of the account", "not known to this version"
    assert told.scopes == (
        ExplainedScope("*", (), listed=False, held=True, covered_by=(), covers=everything),
        ExplainedScope("domains:read", (), listed=True, held=True, covered_by=("*",), covers=static),
        ExplainedScope("messages:send:all", (), listed=True, held=False, covered_by=("*",), covers=every_domain),
        ExplainedScope(
            SHOP, ("sender",), listed=False, held=True, covered_by=("*", "messages:send:all"), covers=SHOP_ALONE
        ),
        ExplainedScope("new:unknown", (), listed=False, held=True, covered_by=("*",), covers=unknown),
        ExplainedScope("suppressions:read", ("sender",), listed=False, held=False, covered_by=("*",), covers=static),
    )


def test_scopes_that_a_file_leaves_open() -> None:
    """Where the file says no scopes, only those of the account are told."""
    wanted = replace(spec("shop", state=OFF), scopes=None)
    assert [each.held for each in only(explained(desired(wanted), (remote("1", "shop", SHOP),), "shop")).scopes] == [
        True
    ]


def test_what_every_rule_says() -> None:
    """Each rule has its verdict, those about other keys and about changes too; what is waived says by whom."""
    account = desired(spec("ops", "*"), spec("told", SHOP, annotations=(("ticket", "T-1"),)))
    keys = (remote("1", "ops", SHOP), remote("2", "told", SHOP), remote("3", "stray", "*"))
    ops, told, stray = (only(explained(account, keys, which, RULES)).rules for which in ("ops", "told", "stray"))
    assert [(each.rule, each.verdict) for each in ops] == [
        ("about-changes", Verdict.BROKEN),
        ("elsewhere", Verdict.OTHER_KEYS),
        ("no-wildcard", Verdict.BROKEN),
        ("tickets", Verdict.FAILED),
    ]
    assert [each.message for each in ops[:3]] == ["ops widens", "", "ops holds * and may do everything"]
    assert ops[2].waived == Waiver("2026-11-30", "team-sec", "INC-204")
    assert [each.verdict for each in told] == [
        Verdict.NO_CHANGE,
        Verdict.OTHER_KEYS,
        Verdict.KEPT,
        Verdict.BROKEN,
    ]
    assert told[3] == ExplainedRule(
        "tickets", Severity.DENY, Verdict.BROKEN, "told has a ticket", "close it", RULES.rules[3].source, None
    )
    assert (stray[2].verdict, stray[2].waived) == (Verdict.BROKEN, None)


def test_a_rule_about_all_keys_sees_the_others() -> None:
    """A key is judged beside the keys that there will be, and not beside itself."""
    twins = policy(built_in("twins", DuplicateLabel(), severity=Severity.WARN))
    account = desired(spec("one", SHOP, id="1", label="twin"), spec("two", SHOP, id="2", label="twin"))
    keys = (remote("1", "twin", SHOP), remote("2", "a", SHOP), remote("3", "stray", SHOP), remote("4", "stray", NEWS))
    (judged,) = only(explained(account, keys, "one", twins)).rules
    assert judged.message == "one has the same label as two"
    (judged,) = only(explained(account, keys, "3", twins)).rules
    assert judged.message == "unmanaged key 'stray' has the same label as key 4"
    assert only(explained(desired(spec("one", SHOP)), keys[:1], "one", twins)).rules[0].verdict is Verdict.KEPT


def test_the_change_of_a_key() -> None:
    """A key has its own change: by its name, by its id where no file names it, and no other's."""
    paused = Pause("move", date(2027, 1, 1))
    account = desired(spec("a", SHOP, paused=paused), spec("new", SHOP), unmanaged=FENCING)
    keys = (remote("1", "a", NEWS), remote("2", "b", "domains:read"))
    change = only(explained(account, keys, "a")).change
    assert change is not None
    assert (change.name, change.reason) == ("a", "paused until 2027-01-01: move")
    assert only(explained(account, keys, "b")).change is None
    created = only(explained(account, keys, "new")).change
    assert created is not None
    assert created.action == "create"
    fence = only(explained(desired(spec("a", NEWS), unmanaged=FENCING), keys, "b")).change
    assert fence is not None
    assert (fence.key_id, fence.action) == ("2", "quarantine")


@pytest.mark.parametrize(
    ("refusal", "concerns"),
    [
        (Refusal("hold", "m"), True),
        (Refusal("max-changes", "m", SUB_ACCOUNT), True),
        (Refusal("max-changes", "m", ACCOUNT), True),
        (Refusal("restore", "m", SUB_ACCOUNT, "1"), True),
        (Refusal("restore", "m", SUB_ACCOUNT, "2"), False),
        (Refusal("restore", "m", ACCOUNT, "1"), False),
        (Refusal("max-changes", "m", replace(SUB_ACCOUNT, sub_account_id="x")), False),
    ],
)
def test_which_refusals_concern_a_key(refusal: Refusal, concerns: bool) -> None:
    """Those about the key itself, its account, all sub accounts beside its own, or the whole run."""
    account = desired(spec("shop", SHOP), account=SUB_ACCOUNT)
    told = only(explained(account, (remote("1", "shop", SHOP),), "shop", refusals=(refusal,)))
    assert told.refusals == ((refusal,) if concerns else ())
