"""Why a key is as it is: what asks for it, what it may do, what would be done and why not."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, SHOP, SUB_ACCOUNT, desired, remote, spec
from core.explaining import FENCING, explained, only
from core.rulebook import built_in, policy, waiver, when
from reconciler.core.answers import ExplainedScope
from reconciler.core.builtins import UnmanagedKey
from reconciler.core.findings import Severity
from reconciler.core.guardrails import Refusal
from reconciler.core.keys import KeySpec, KeyState, Pause, RemoteKey, Role, UnmanagedRule
from reconciler.core.rules import Match

OFF = KeyState.QUARANTINED
GONE = KeyState.ABSENT
CORRECT = "correct the id, or remove it to match by label"
SHOP_ALONE = "messages:send for shop.example.com alone"
ROLE = Role("sender", ("messages:send:{domain}", "suppressions:read"), "roles.yaml")


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


def test_a_key_that_two_claim_is_explained_as_it_is() -> None:
    """Where two desired keys pin one id, both are explained by it, and so is the key that has it."""
    account = desired(spec("a", SHOP, id="1"), spec("b", SHOP, id="1"))
    found = explained(account, (remote("1", "x", SHOP),), "1")
    assert [(each.subject.name, each.known) for each in found] == [
        ("a", "cannot be told: key 1 is also claimed by b (keys.yaml:1:5): pin the id"),
        ("b", "cannot be told: key 1 is also claimed by a (keys.yaml:1:5): pin the id"),
        (None, "1"),
    ]


def test_an_unmanaged_key_is_explained_as_it_is() -> None:
    """A key of no file has scopes that nobody asks for, and no change."""
    told = only(explained(desired(), (remote("1", "stray", SHOP),), "stray", roles=(ROLE,)))
    assert told.roles == ()
    assert (told.subject.name, told.subject.managed, told.subject.actual, told.change) == (None, False, True, None)
    assert told.scopes == (ExplainedScope(SHOP, (), listed=False, held=True, covered_by=(), covers=SHOP_ALONE),)


@pytest.mark.parametrize("keys", [(), (remote("1", "old", SHOP),)])
def test_a_key_that_is_to_go_is_explained(keys: tuple[RemoteKey, ...]) -> None:
    """A key that the files want gone is found, whether or not the account has it."""
    told = only(explained(desired(spec("old", state=GONE)), keys, "old"))
    assert told.subject.spec is not None
    assert told.subject.spec.state is GONE
    assert (told.subject.remote, told.change is None) == (keys[0] if keys else None, not keys)


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        (spec("a", SHOP, label="A"), "1"),
        (spec("a", SHOP), "does not exist yet"),
        (spec("a", SHOP, state=OFF), "there is none"),
        (spec("a", SHOP, state=OFF, id="9"), "there is none"),
        (spec("a", state=GONE), "there is none"),
        (spec("a", SHOP, label="twin"), "cannot be told: 2 keys could be meant, 2, 3: pin the id"),
        (spec("a", label="twin", state=GONE), "cannot be told: 2 keys could be meant, 2, 3: pin the id"),
        (
            spec("a", SHOP, id="9"),
            f"cannot be told: the account has no key with the pinned id 9: {CORRECT}",
        ),
    ],
)
def test_which_key_it_is(wanted: KeySpec, known: str) -> None:
    """A key is known by its id; where it has none that is because it is to be made, is gone, or cannot be told."""
    keys = (remote("1", "A", SHOP), remote("2", "twin", SHOP), remote("3", "twin", SHOP))
    told = only(explained(desired(wanted), keys, "a"))
    assert told.known == known
    assert (told.subject.remote is None) is (known != "1")


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
    every_domain, unknown = "messages:send for every domain of the account", "what this version does not know"
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


def test_a_scope_of_several_roles() -> None:
    """A scope that several roles give names them all, by name; a role that the key does not have gives nothing."""
    roles = tuple(Role(name, (text,), "roles.yaml") for name, text in (("z", SHOP), ("b", SHOP), ("a", SHOP)))
    wanted = spec("shop", SHOP, roles=("z", "b"))
    (told,) = only(explained(desired(wanted), (), "shop", roles=roles)).scopes
    assert told == ExplainedScope(SHOP, ("b", "z"), listed=False, held=False, covered_by=(), covers=SHOP_ALONE)


def test_scopes_that_a_file_leaves_open() -> None:
    """Where the file says no scopes, only those of the account are told."""
    wanted = replace(spec("shop", state=OFF), scopes=None)
    assert [each.held for each in only(explained(desired(wanted), (remote("1", "shop", SHOP),), "shop")).scopes] == [
        True
    ]


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
    ("refusal", "below", "above"),
    [
        (Refusal("hold", "m"), True, True),
        (Refusal("max-changes", "m", SUB_ACCOUNT), True, False),
        (Refusal("max-changes", "m", ACCOUNT), False, True),
        (Refusal("max-changes", "m", ACCOUNT, of_family=True), True, False),
        (Refusal("max-changes", "m", replace(ACCOUNT, account_id="x"), of_family=True), False, False),
        (Refusal("max-changes", "m", replace(SUB_ACCOUNT, sub_account_id="x")), False, False),
        (Refusal("restore", "m", SUB_ACCOUNT, "1"), True, False),
        (Refusal("restore", "m", SUB_ACCOUNT, "2"), False, False),
        (Refusal("restore", "m", ACCOUNT, "1"), False, True),
    ],
)
def test_which_refusals_concern_a_key(refusal: Refusal, below: bool, above: bool) -> None:
    """Those about the key itself, its account, all sub accounts of which its own is one, or the whole run."""
    for account, concerned in ((SUB_ACCOUNT, below), (ACCOUNT, above)):
        wanted = desired(spec("shop", SHOP), account=account)
        told = only(explained(wanted, (remote("1", "shop", SHOP),), "shop", refusals=(refusal,)))
        assert told.refusals == ((refusal,) if concerned else ())


# Why a rule leaves a key alone

STRAYS = policy(
    built_in("kept", UnmanagedKey(), severity=Severity.WARN),
    built_in("strays", UnmanagedKey(), severity=Severity.WARN, fences=True, match=Match(label="stray*")),
    built_in("tested", UnmanagedKey(), severity=Severity.WARN, fences=True, match=Match(label="*test*")),
    waivers=(waiver("strays", label="stray test*"), waiver("tested", label="*pardoned")),
)
READER = "domains:read"


@pytest.mark.parametrize(
    ("key", "rule", "why"),
    [
        (remote("2", "stray", READER, at=(FENCE,)), UnmanagedRule(), "it is switched off already"),
        (
            remote("2", "stray", READER, created_at=NOW - timedelta(hours=23)),
            UnmanagedRule(),
            "it is younger than min_age of 'unmanaged'",
        ),
        (remote("2", "stray", SHOP), UnmanagedRule(), "it may only send, and 'unmanaged' does not say include_senders"),
        (
            remote("2", "stray cat", READER),
            UnmanagedRule(exceptions=("cats*", "*cat")),
            "its label is like '*cat', under 'except' of 'unmanaged'",
        ),
    ],
)
def test_why_a_rule_leaves_a_key_alone(key: RemoteKey, rule: UnmanagedRule, why: str) -> None:
    """A key of no file that a rule would switch off, and does not, says what exempts it."""
    account = desired(spec("a", SHOP), unmanaged=rule)
    told = only(explained(account, (remote("1", "a", SHOP), key), "2", STRAYS))
    assert (told.change, told.left_alone) == (None, f"strays would switch it off, but {why}")


def test_a_rule_waits_for_a_key_that_is_not_matched() -> None:
    """While a desired key is not matched, a rule switches nothing off, and a key that would be says so."""
    told = only(explained(desired(spec("a", SHOP)), (remote("2", "stray", READER),), "stray", STRAYS))
    assert told.left_alone == (
        "strays would switch it off, but unmanaged keys are left alone while a is not matched: one of them may be it"
    )


@pytest.mark.parametrize("label", ["stray", "stray test"])
def test_a_key_that_a_rule_switches_off(label: str) -> None:
    """What one rule that is not waived switches off has that change, and no reason why not."""
    told = only(explained(desired(), (remote("9", label, READER),), "9", STRAYS))
    assert told.change is not None
    assert (told.change.action, told.left_alone) == ("quarantine", None)


@pytest.mark.parametrize("label", ["other", "test pardoned", "a", "twin", "fails"])
def test_nothing_is_said_of_being_left_alone(label: str) -> None:
    """A key that breaks no such rule, is waived, may be a desired one, or cannot be judged, has no reason to tell."""
    rules = policy(
        *STRAYS.rules,
        built_in("wild", fences=True),
        when("fails", 'key.annotations["x"] == ""', fences=True, match=Match(label="fails")),
        when("kept-apart", "false", fences=True),
        waivers=STRAYS.waivers,
    )
    account = desired(spec("a", SHOP), spec("twins", SHOP, label="twin", id="8"))
    held = "*" if label in ("a", "twin") else SHOP
    exempt = remote("9", label, held, created_at=NOW)
    keys = (remote("1", "a", SHOP), remote("8", "twin", SHOP), exempt)
    told = next(each for each in explained(account, keys, "9", rules) if each.subject.id == "9")
    assert (told.change, told.left_alone) == (None, None)
