"""The report: what it takes over, what it counts, and what the pass exits with."""

from dataclasses import replace

import pytest

from builders import FENCE, NEWS, NOW, SHOP, SUB_ACCOUNT, desired, plan, remote, spec
from reconciler.core.changes import AccessChange, Action, Fields, Outcome
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.guardrails import Refusal
from reconciler.core.inventory import report_keys
from reconciler.core.keys import Source
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    FindingCounts,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    RequestCounts,
    Summary,
    UnmanagedKey,
    exit_code,
    report_account,
    report_finding,
    report_refusal,
    report_unplanned_account,
    summarize,
)


def account(
    *outcomes: Outcome, status: AccountStatus = AccountStatus.OK, name: str | None = "a", action: Action = Action.UPDATE
) -> ReportedAccount:
    changes = tuple(
        ReportedChange(action, name, "1", "a", None, Fields(), AccessChange(), outcome, None) for outcome in outcomes
    )
    return ReportedAccount("acc", None, status, None, KeyCounts(desired=9, actual=9), changes)


def report(*accounts: ReportedAccount) -> Report:
    return Report(
        SCHEMA, "0", Mode.PLAN, "run", "", "", None, None, accounts, (), (), summarize(accounts, ()), RequestCounts()
    )


FAILED = account(status=AccountStatus.FAILED)
SUSPENDED = account(status=AccountStatus.SUSPENDED)


@pytest.mark.parametrize(
    ("accounts", "plain", "detailed", "apply"),
    [
        ((), 0, 0, 0),
        ((account(),), 0, 0, 0),
        ((account(Outcome.APPLIED),), 0, 0, 0),
        ((account(Outcome.PAUSED),), 0, 0, 0),
        ((SUSPENDED,), 0, 0, 0),
        ((FAILED, SUSPENDED), 1, 1, 1),
        ((account(Outcome.PLANNED, Outcome.PAUSED),), 0, 2, 0),
        ((account(Outcome.PLANNED, Outcome.DENIED),), 0, 3, 3),
        ((account(Outcome.REFUSED),), 0, 3, 3),
        ((account(Outcome.SKIPPED),), 0, 3, 3),
        ((account(Outcome.FAILED, Outcome.SKIPPED, Outcome.PLANNED),), 4, 4, 4),
        ((account(Outcome.STALE),), 4, 4, 4),
        ((account(Outcome.SKIPPED), FAILED), 4, 4, 4),
        ((FAILED, FAILED), 1, 1, 1),
        ((FAILED,), 1, 1, 1),
    ],
)
def test_exit_codes(accounts: tuple[ReportedAccount, ...], plain: int, detailed: int, apply: int) -> None:
    """The first that applies of 1, 4, 3, 2, 0: a plain plan judges nothing held back, only a detailed one says 2."""
    made = report(*accounts)
    assert exit_code(made, judge_held_back=False) == plain
    assert exit_code(made, tell_differences=True) == detailed
    assert exit_code(made) == apply


def test_summary() -> None:
    """The summary counts changes by action and by outcome, the rest, and findings that are not waived."""
    waiver = Waiver("2027-01-01", "team-sec", "INC-204")
    findings = [
        ReportedFinding("r", severity, None, None, None, None, None, "", "", None, waived)
        for severity, waived in (
            (Severity.DENY, None),
            (Severity.DENY, waiver),
            (Severity.WARN, None),
            (Severity.WARN, None),
            (Severity.NOTE, None),
        )
    ]
    accounts = [account(outcome, action=action) for outcome, action in zip(Outcome, (*Action, *Action), strict=False)]
    assert summarize([*accounts, account(Outcome.PLANNED, name=None)], findings) == Summary(
        update=3,
        create=2,
        delete=2,
        quarantine=1,
        restore=1,
        unchanged=8 * 8 + 9,
        unmanaged=0,
        planned=2,
        applied=1,
        failed=1,
        stale=1,
        denied=1,
        refused=1,
        skipped=1,
        paused=1,
        findings=FindingCounts(deny=1, warn=2, note=1),
    )


def test_an_account_that_was_read() -> None:
    """An account's report takes over its changes, its counts and its unmanaged keys."""
    used = remote("2", "stray", "*", at=(FENCE,), last_used_at=NOW)
    made = plan((spec("shop", SHOP),), (remote("1", "shop", NEWS), used, remote("3", "x", at=())), account=SUB_ACCOUNT)
    reported = report_account(made, "Acme")
    change = made.changes[0]
    assert reported.changes == (
        ReportedChange(
            change.action,
            "shop",
            "1",
            "shop",
            change.source,
            change.fields,
            change.access,
            Outcome.PLANNED,
            None,
        ),
    )
    assert reported.unmanaged == (
        UnmanagedKey("2", "stray", ("*",), (FENCE,), "2026-11-23T12:00:00Z"),
        UnmanagedKey("3", "x", (), (), None),
    )
    assert (reported.account_id, reported.sub_account_id) == (SUB_ACCOUNT.account_id, SUB_ACCOUNT.sub_account_id)
    assert (reported.status, reported.error, reported.keys) == (AccountStatus.OK, None, made.counts)
    assert reported.sub_account_name == "Acme"
    assert reported.inventory == report_keys(made)
    assert [key.key_id for key in reported.inventory or ()] == ["1", "2", "3"]
    assert report(reported).changes == reported.changes
    assert summarize([reported], ()).unmanaged == 2


def test_an_account_that_could_not_be_read() -> None:
    """A failed account has an error, no changes, no known keys, and nothing of it counts as unchanged."""
    unread = replace(desired(spec("a", SHOP), spec("b", SHOP), account=SUB_ACCOUNT), name="Acme")
    reported = report_unplanned_account(unread, AccountStatus.FAILED, "no answer")
    assert (reported.status, reported.error, reported.changes) == (AccountStatus.FAILED, "no answer", ())
    assert (reported.keys, reported.unchanged) == (KeyCounts(desired=2), 0)
    assert (reported.inventory, report_unplanned_account(unread, AccountStatus.SUSPENDED, None).inventory) == (
        None,
        None,
    )
    assert (reported.sub_account_id, reported.sub_account_name) == (SUB_ACCOUNT.sub_account_id, "Acme")


def test_findings_and_refusals() -> None:
    """Findings and refusals name their account where they have one."""
    place = Source("keys.yaml", 3, 5)
    finding = Finding("r", Severity.WARN, "m", "h", SUB_ACCOUNT, "shop", "1", "Shop", place)
    ids = (SUB_ACCOUNT.account_id, SUB_ACCOUNT.sub_account_id)
    assert report_finding(finding) == ReportedFinding(
        "r", Severity.WARN, *ids, "shop", "1", "Shop", "m", "h", place, None
    )
    assert report_finding(Finding("r", Severity.NOTE, "m")) == ReportedFinding(
        "r", Severity.NOTE, None, None, None, None, None, "m", "", None, None
    )
    assert report_refusal(Refusal("max-changes", "m", SUB_ACCOUNT, "1", 5, 9)) == ReportedRefusal(
        "max-changes", *ids, "1", "m", 5, 9
    )
    assert report_refusal(Refusal("hold", "m")) == ReportedRefusal("hold", None, None, None, "m", None, None)
