"""What rules say about desired keys, and what that holds back."""

from dataclasses import replace

import pytest

from builders import ACCOUNT, FENCE, NEWS, OFFICE, SHOP, desired, plan, remote, spec
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.keys import KeySpec, KeyState, RemoteKey
from reconciler.core.policy import deny, unknown_domains

DOMAINS = frozenset({"shop.example.com"})


def test_unknown_domains() -> None:
    """A key with a scope for a domain that the account does not have is denied, at its place, with the names."""
    both = spec("b", NEWS, "messages:read:{gone.example.com}", SHOP, "domains:read", id="7", label="B")
    (finding,) = unknown_domains(desired(spec("a", SHOP), both, spec("c", "messages:send:all")), DOMAINS)
    assert finding == Finding(
        "unknown-domain",
        Severity.DENY,
        "b is to have scopes for gone.example.com, news.example.com, which the account does not have",
        "add the domain to the account first, or correct the scope",
        ACCOUNT,
        "b",
        "7",
        "B",
        both.source,
    )


@pytest.mark.parametrize(
    ("wanted", "denied"),
    [
        (spec("a", NEWS), True),
        (spec("a", NEWS, state=KeyState.QUARANTINED), True),
        (spec("a", NEWS, state=KeyState.ABSENT), False),
        (replace(spec("a"), scopes=None), False),
        (spec("a", "*"), False),
        (spec("a", "messages:send:all", NEWS), False),
    ],
)
def test_whose_domains_are_checked(wanted: KeySpec, denied: bool) -> None:
    """Scopes that the files ask for are checked; a key that is to go, or whose scopes are left alone, has none."""
    assert bool(unknown_domains(desired(wanted), DOMAINS)) is denied


@pytest.mark.parametrize(
    ("wanted", "actual", "outcome"),
    [
        (spec("a", SHOP, NEWS), remote("1", "a", SHOP), "denied"),
        (spec("a", NEWS), remote("1", "a", SHOP), "denied"),
        (spec("a", NEWS, at=()), remote("1", "a", NEWS), "denied"),
        (spec("a", NEWS), remote("1", "a", NEWS, SHOP), "denied"),
        (spec("a", NEWS), remote("1", "a", "messages:send:all"), "denied"),
        (spec("a", NEWS, at=("203.0.113.0/25",)), remote("1", "a", NEWS), "planned"),
        (spec("a", NEWS, label="b", was=("a",)), remote("1", "a", NEWS), "planned"),
        (spec("a", NEWS, state=KeyState.QUARANTINED), remote("1", "a", SHOP), "planned"),
        (spec("a", NEWS), remote("1", "a", SHOP, at=(FENCE,)), "denied"),
        (spec("a", NEWS), None, "skipped"),
    ],
)
def test_what_a_deny_holds_back(wanted: KeySpec, actual: RemoteKey | None, outcome: str) -> None:
    """It holds back whatever grants or sends such a scope, whole; what narrows networks, renames or fences goes on."""
    account = plan((wanted,), (actual,) if actual else ())
    (change,) = deny(account, unknown_domains(desired(wanted), DOMAINS)).changes
    assert change.outcome.value == outcome
    if outcome == "denied":
        assert change.reason == (
            "unknown-domain: a is to have scopes for news.example.com, which the account does not have"
        )


def test_which_findings_hold_back() -> None:
    """Only an unwaived deny does, of this very key; several are told together."""
    account = plan((spec("a", NEWS), spec("b", NEWS)), (remote("1", "a", SHOP), remote("2", "b", SHOP, at=(OFFICE,))))
    found = Finding("rule", Severity.DENY, "no", key="a")
    waived = replace(found, waived=Waiver("2027-01-01", "team", "why"))
    others = (replace(found, severity=Severity.WARN), waived, replace(found, key=None))
    assert deny(account, others) == account
    narrowing = plan((spec("a", NEWS),), (remote("1", "a", NEWS, SHOP),))
    assert deny(narrowing, (found,)) == narrowing
    judged = deny(account, (found, replace(found, rule="other", message="never")))
    assert [(change.outcome.value, change.reason) for change in judged.changes] == [
        ("denied", "rule: no; other: never"),
        ("planned", None),
    ]
