"""Whether accounts are as the files say, by what a pass reports."""

import pytest

from reconciler.core.changes import AccessChange, Action, Fields, Outcome
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    RequestCounts,
    summarize,
)
from reconciler.core.status import in_sync

OK, FAILED, SUSPENDED = AccountStatus.OK, AccountStatus.FAILED, AccountStatus.SUSPENDED


def account(status: AccountStatus, *outcomes: Outcome) -> ReportedAccount:
    changes = (
        ReportedChange(Action.UPDATE, "a", "1", "a", None, Fields(), AccessChange(), outcome, None)
        for outcome in outcomes
    )
    return ReportedAccount("acc", None, status, None, KeyCounts(desired=9, actual=9), tuple(changes))


def report(*accounts: ReportedAccount) -> Report:
    counts = summarize(accounts, ())
    return Report(SCHEMA, "0", Mode.APPLY, "run", "", "", None, None, accounts, (), (), counts, RequestCounts())


@pytest.mark.parametrize(
    ("accounts", "wanted"),
    [
        ((account(OK),), True),
        ((account(OK, Outcome.APPLIED),), True),
        ((account(OK), account(SUSPENDED)), True),
        ((account(OK), account(FAILED)), None),
        ((account(OK, Outcome.SKIPPED), account(FAILED)), False),
        *(((account(OK, Outcome.APPLIED, outcome),), False) for outcome in Outcome if outcome is not Outcome.APPLIED),
    ],
)
def test_only_what_was_read_and_differs_in_nothing_is_in_sync(
    accounts: tuple[ReportedAccount, ...], wanted: bool | None
) -> None:
    """Whatever was not applied is a difference; an account that was not read could differ, and nobody can tell."""
    assert in_sync(report(*accounts)) is wanted
