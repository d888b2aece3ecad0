"""Reports of audits, for tests of what is compared."""

from builders import ACCOUNT
from reconciler.core.keys import AccountRef
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    ReportedFinding,
    RequestCounts,
    Summary,
)

OK, FAILED, SUSPENDED = AccountStatus.OK, AccountStatus.FAILED, AccountStatus.SUSPENDED
OTHER = AccountRef("99999999-9999-4999-8999-999999999999")


def read(account: AccountRef, status: AccountStatus = OK) -> ReportedAccount:
    return ReportedAccount(account.account_id, account.sub_account_id, status, None, KeyCounts())


def report(*findings: ReportedFinding, accounts: tuple[ReportedAccount, ...] = (read(ACCOUNT),)) -> Report:
    return Report(
        SCHEMA,
        "0",
        Mode.AUDIT,
        "run-2",
        "",
        "2026-11-23T12:00:00Z",
        None,
        None,
        accounts,
        findings,
        (),
        Summary(),
        RequestCounts(),
    )
