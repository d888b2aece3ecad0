"""Which sub accounts rules select, and what they want of each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import ACCOUNT, NEWS, NOW, SHOP, below, remote, spec
from reconciler.core.findings import Severity
from reconciler.core.keys import (
    DesiredAccount,
    KeySpec,
    RemoteSubAccount,
    Selector,
    Source,
    SubAccountRule,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.core.plan import plan_account
from reconciler.core.sub_accounts import Chosen, choose, unmatched, unselected

FENCE_OTHERS = UnmanagedRule(UnmanagedAction.QUARANTINE, timedelta())


def sub_account(number: int, name: str, status: str = "active") -> RemoteSubAccount:
    return RemoteSubAccount(str(below(number).sub_account_id), name, status)


ACME = sub_account(1, "Acme East")
ACME_WEST = sub_account(2, "Acme West", "suspended")
BETA = sub_account(3, "Beta [old]")
LISTED = (BETA, ACME_WEST, ACME)


def rule(select: Selector, *keys: KeySpec, line: int = 1, unmanaged: UnmanagedRule | None = None) -> SubAccountRule:
    return SubAccountRule(select, keys, Source("keys.yaml", line, 5), unmanaged)


def chosen(*rules: SubAccountRule) -> tuple[Chosen, ...]:
    return choose(DesiredAccount(ACCOUNT, (), sub_accounts=rules), LISTED)


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (Selector(name="*"), ["Acme East", "Acme West", "Beta [old]"]),
        (Selector(name="Acme *"), ["Acme East", "Acme West"]),
        (Selector(name="acme *"), []),
        (Selector(name="Acme ?ast"), ["Acme East"]),
        (Selector(name="Beta [old]"), ["Beta [old]"]),
        (Selector(name="Acme *", status="active"), ["Acme East"]),
        (Selector(status="suspended"), ["Acme West"]),
        (Selector(id=BETA.id), ["Beta [old]"]),
        (Selector(id=BETA.id, name="Acme *"), []),
        (Selector(id=BETA.id, status="suspended"), []),
        (Selector(id="elsewhere"), []),
    ],
)
def test_selection(select: Selector, names: list[str]) -> None:
    """All that a selector says must hold; ``*`` and ``?`` are the only signs that stand for others."""
    assert [one.remote.name for one in chosen(rule(select))] == names


def test_what_is_wanted_of_a_sub_account() -> None:
    """It is an account of its own below its parent, with the parent's credential and the keys of its rules, by name."""
    parent = replace(ACCOUNT, credential="production")
    keys = spec("b", SHOP), spec("a", NEWS)
    rules = (rule(Selector(name="*"), keys[0], unmanaged=FENCE_OTHERS), rule(Selector(id=ACME.id), keys[1]))
    wanted = choose(DesiredAccount(parent, (), UnmanagedRule(), rules), (ACME,))
    assert [one.desired for one in wanted] == [
        DesiredAccount(
            replace(parent, sub_account_id=ACME.id),
            keys[::-1],
            FENCE_OTHERS,
            name="Acme East",
            reserved=frozenset({"a", "b"}),
        )
    ]


def test_a_renamed_sub_account_keeps_the_keys_of_its_rule() -> None:
    """A key that bears the label of any rule's key is not unmanaged, whether that rule selects its account or not."""
    rules = (
        rule(Selector(name="Beta *"), replace(spec("sender", SHOP), was=("old sender",))),
        rule(Selector(id=ACME.id), spec("a", NEWS), unmanaged=FENCE_OTHERS),
    )
    (acme, _) = choose(DesiredAccount(ACCOUNT, (), sub_accounts=rules), LISTED)
    labels = {"1": "a", "2": "sender", "3": "old sender", "4": "stranger"}
    keys = [remote(key_id, label, NEWS if label == "a" else "domains:read") for key_id, label in labels.items()]
    made = plan_account(acme.desired, keys, NOW)
    assert [change.label for change in made.changes] == ["stranger"]
    assert [one.rule for one in made.remarks] == ["label-belongs-to-another"] * 2


def test_unmanaged_keys_of_a_sub_account() -> None:
    """What the account does with its own unmanaged keys says nothing about those of its sub accounts."""
    desired = DesiredAccount(ACCOUNT, (), FENCE_OTHERS, (rule(Selector(id=ACME.id), spec("a", SHOP)),))
    (one,) = choose(desired, (ACME,))
    assert one.desired.unmanaged == UnmanagedRule()


def test_the_keys_of_one_rule_are_shared() -> None:
    """A thousand sub accounts with the keys of one rule hold them once."""
    wanted = chosen(rule(Selector(name="*"), spec("a", SHOP)))
    assert wanted[0].desired.keys is wanted[1].desired.keys


def test_rules_that_clash() -> None:
    """Two keys of one name, and two words about unmanaged keys, cannot both be: both places are named."""
    pinned = spec("a", NEWS, id="1")
    twice = chosen(rule(Selector(name="Acme *"), spec("a", SHOP)), rule(Selector(id=ACME.id), pinned))
    assert [one.clash for one in twice] == [
        (
            "two rules select it, and both have a key a, at keys.yaml:1:5 and at keys.yaml:1:5: "
            "let only one of them select it, or take the key out of one"
        ),
        None,
    ]
    said = (Selector(name="Acme *"), 7), (Selector(id=ACME.id), 9)
    two_words = chosen(*(rule(select, line=line, unmanaged=FENCE_OTHERS) for select, line in said))
    assert [one.clash for one in two_words] == [
        "two rules select it, and both say unmanaged, at keys.yaml:7:5 and at keys.yaml:9:5: keep one",
        None,
    ]


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (Selector(name="Gamma *"), "no sub account matches name: Gamma *"),
        (Selector(id="0", name="x"), "no sub account matches id: 0, name: x"),
        (
            Selector(name="Acme *", status="parent-suspended"),
            (
                "no sub account matches name: Acme *, status: parent-suspended; "
                "but for the status it would match 1 active, 1 suspended"
            ),
        ),
    ],
)
def test_a_selector_that_matches_nothing(select: Selector, message: str) -> None:
    """It is a warning at the rule: a renamed customer must not be dropped in silence."""
    desired = DesiredAccount(ACCOUNT, (), sub_accounts=(rule(select, line=4), rule(Selector(name="Acme *"))))
    (finding,) = unmatched(desired, LISTED)
    assert (finding.rule, finding.severity, finding.message) == ("select-matches-nothing", Severity.WARN, message)
    assert (finding.account, finding.source) == (ACCOUNT, Source("keys.yaml", 4, 5))


def test_ten_thousand_rules_that_each_pin_one() -> None:
    """An export has a rule for each sub account; that grows with their number, not with its square."""
    listed = [sub_account(number, f"S{number}") for number in range(10_000)]
    rules = tuple(rule(Selector(id=one.id)) for one in listed)
    desired = DesiredAccount(ACCOUNT, (), sub_accounts=rules)
    assert (len(choose(desired, listed)), unmatched(desired, listed)) == (10_000, ())


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], None),
        (["Beta"], 'no rule selects 1 of 2 sub accounts: "Beta"'),
        (["G", "F", "E", "D", "C", "B"], 'no rule selects 6 of 7 sub accounts: "B", "C", "D", "E", "F" and 1 more'),
    ],
)
def test_what_no_rule_selects(names: list[str], told: str | None) -> None:
    """It is a note with the first names: one of them may have been renamed."""
    listed = [ACME, *(sub_account(10 + number, name) for number, name in enumerate(names))]
    desired = DesiredAccount(ACCOUNT, (), sub_accounts=(rule(Selector(id=ACME.id)),))
    found = unselected(desired, listed, choose(desired, listed))
    assert (found and (found.message, found.severity)) == (told and (told, Severity.NOTE))
