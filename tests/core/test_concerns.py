"""Which concerns a pass shows, and what it says nothing of."""

from dataclasses import replace

import pytest

from core.telling import DIGEST, GOOD, OTHER, SHOP, account, change, finding, owned, report, unread
from reconciler.core.changes import Action, Outcome
from reconciler.core.concerns import Concern, Facts, Kind, Matter, observe
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.report import AccountStatus, Report, ReportedAccount, ReportedFinding


def stands(told: Report | None, facts: Facts | None = None) -> list[tuple[str, str | None]]:
    """The kinds of what stands, with the names of the keys, or else their ids."""
    concerns = observe(told, facts or Facts()).concerns
    return [(matter.kind.value, each.name or matter.key) for matter, each in concerns.items()]


def test_good_order_is_no_concern() -> None:
    """Where all is applied, paused or in sync, nobody is told anything."""
    calm = account(change("a", Outcome.APPLIED), change("b", Outcome.PAUSED))
    assert stands(GOOD) == stands(report(calm)) == []


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.PLANNED, "planned"),
        (Outcome.FAILED, "failed"),
        (Outcome.STALE, "failed"),
        (Outcome.DENIED, "held_back"),
        (Outcome.REFUSED, "held_back"),
        (Outcome.SKIPPED, "held_back"),
    ],
)
def test_a_change_that_was_not_made(outcome: Outcome, kind: str) -> None:
    """Each outcome but a good one is a concern about its key."""
    assert stands(report(account(change("shop", outcome)))) == [(kind, "shop")]


@pytest.mark.parametrize("action", [Action.CREATE, Action.DELETE])
def test_what_is_to_be_made_by_hand(action: Action) -> None:
    """A key that cannot be made or deleted is a concern of its own; one that a guardrail refuses is held back."""
    by_hand = account(change("shop", Outcome.SKIPPED, action=action))
    refused = account(change("shop", Outcome.REFUSED, action=action))
    assert stands(report(by_hand)) == [("unsupported", "shop")]
    assert stands(report(refused)) == [("held_back", "shop")]


def test_a_change_is_told_whole() -> None:
    """A concern has the outcome, the reason, the place, the id and the owner of its key."""
    changed = change("shop", Outcome.REFUSED, "hold: INC-1", label="Shop")
    told = observe(report(account(changed, inventory=(owned("shop", "team-growth"),))), Facts())
    assert list(told.concerns.values()) == [
        Concern(
            Matter(Kind.HELD_BACK, SHOP, None, "id-shop"),
            "Shop",
            "update, refused",
            "hold: INC-1",
            Source("keys/shop.yaml", 12, 5),
            "id-shop",
            "team-growth",
            "shop",
        )
    ]
    assert (told.digest, told.owners) == (DIGEST, frozenset({"team-growth"}))


def test_a_key_is_known_by_its_id() -> None:
    """Whatever the files call it; one that does not exist yet by its name, and without one by its label."""
    changes = (change("a", Outcome.REFUSED), change("b", Outcome.REFUSED, key_id=None))
    nameless = change(None, Outcome.REFUSED, key_id=None, label="Shop")
    seen = observe(report(account(*changes, nameless), findings=(finding("c", key_id="id-c"),)), Facts())
    assert [matter.key for matter in seen.concerns] == ["id-c", "id-a", "b", "Shop"]


def test_owners_are_known_where_all_was_read() -> None:
    """Whose key is in an account that was not read nobody knows."""
    some = account(inventory=(owned("shop", "team-growth"), owned("free", "")))
    assert observe(report(some), Facts()).owners == frozenset({"team-growth"})
    assert observe(report(some, unread(OTHER)), Facts()).owners is None
    assert observe(None, Facts()).owners is None


def test_an_unmanaged_key_is_known_by_its_id() -> None:
    """A key without a name is the same one in the next pass by its id."""
    assert stands(report(account(change(None, Outcome.REFUSED)))) == [("held_back", "id-None")]


def test_findings() -> None:
    """An unwaived deny is a concern, and a contested key whatever its severity; no other finding is one."""
    waived = finding("waived", waived=Waiver("2027-01-01", "team-sec", "INC"))
    warned = finding("warned", severity=Severity.WARN)
    contested = finding("fought", rule="contested", severity=Severity.WARN)
    found = observe(report(account(), findings=(finding("ops"), waived, warned, contested)), Facts()).concerns
    assert [(each.kind.value, each.key, each.rule) for each in found] == [
        ("finding", "ops", "no-wildcard"),
        ("contested", "fought", "contested"),
    ]
    assert (next(iter(found.values())).reason, next(iter(found.values())).hint) == ("it may do all", "list it")


def test_what_a_finding_tells_is_not_told_twice() -> None:
    """A change that is held back where a finding is about its key is told by that; one that fails is another matter."""
    for outcome, kinds in (
        (Outcome.DENIED, ["finding"]),
        (Outcome.SKIPPED, ["finding"]),
        (Outcome.FAILED, ["finding", "failed"]),
    ):
        told = report(account(change("shop", outcome)), findings=(finding("shop"),))
        assert [kind for kind, _ in stands(told)] == kinds


def test_a_finding_about_no_key_is_known_by_its_message() -> None:
    """Two of one rule are two matters, the same one tomorrow is the same; neither holds the text."""

    def matters(*findings: ReportedFinding) -> list[Matter]:
        return list(observe(report(account(), findings=findings), Facts()).concerns)

    first, second = finding(None, message="gone, 2 days ago", hint=""), finding(None, message="secret-label")
    older = replace(first, message="gone, 3 days ago")
    assert matters(first) == matters(older)
    assert len(matters(first, second, first)) == 2
    assert "secret-label" not in str(matters(second))


def test_accounts_that_were_not_read() -> None:
    """An account that failed is a concern with what it said; one that is suspended is none."""
    suspended = account(account_id=OTHER, status=AccountStatus.SUSPENDED)
    told = observe(report(unread(error="403 Forbidden"), suspended), Facts()).concerns
    assert [(each.matter, each.reason) for each in told.values()] == [(Matter(Kind.ACCOUNT, SHOP), "403 Forbidden")]


def test_the_daemon_itself() -> None:
    """What is known of files, trail and pass stands beside what a report shows, and alone where there is none."""
    facts = Facts("keys.yaml:3:1: no", "no space left", "KeyError: 'x'")
    kinds = [("files", None), ("trail", None), ("pass", None)]
    assert stands(GOOD, facts) == stands(None, facts) == kinds


HELD = Matter(Kind.HELD_BACK, SHOP, None, "id-shop")
BELOW = Matter(Kind.HELD_BACK, SHOP, "sub", "id-shop")


@pytest.mark.parametrize(
    ("failed", "known"),
    [
        (unread(OTHER), [True, True]),
        (unread(), [False, False]),
        (unread(sub_account_id="sub"), [True, False]),
        (unread(sub_account_id="another"), [True, True]),
        (unread(sub_account_id=EVERY_SUB_ACCOUNT), [True, False]),
        (account(status=AccountStatus.SUSPENDED), [False, False]),
        (account(sub_account_id="sub", status=AccountStatus.SUSPENDED), [True, False]),
    ],
)
def test_unread_is_not_over(failed: ReportedAccount, known: list[bool]) -> None:
    """Of keys in an account that was not read nothing is known, nor of sub accounts below one."""
    seen = observe(report(failed, account()), Facts())
    assert [seen.knows(HELD), seen.knows(BELOW)] == known


def test_paused_is_not_over() -> None:
    """A change that was held back and is paused now is not made, either; what a rule found is no change."""
    seen = observe(report(account(change("shop", Outcome.PAUSED))), Facts())
    assert not seen.knows(HELD)
    assert seen.knows(BELOW)
    assert seen.knows(replace(HELD, kind=Kind.FINDING, rule="no-wildcard"))


def test_a_pass_without_a_report_knows_the_daemon_alone() -> None:
    """Where a pass ended in an error, what stood in accounts is unknown, and what is known of files is not."""
    seen = observe(None, Facts())
    assert not seen.knows(HELD)
    assert seen.knows(Matter(Kind.FILES))


def test_a_finding_of_no_account_is_over_only_where_all_was_read() -> None:
    """What a rule says of the whole is known when the whole is."""
    whole = Matter(Kind.FINDING, rule="r#1")
    assert observe(GOOD, Facts()).knows(whole)
    assert not observe(report(unread(), account(account_id=OTHER)), Facts()).knows(whole)
