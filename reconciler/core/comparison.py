"""What changed since an earlier audit: which findings are new, which are still open, which are gone."""

from collections.abc import Collection
from dataclasses import replace

from reconciler.core.findings import OF_THE_RUN
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import AccountStatus, Report, ReportedFinding, Since, Standing
from reconciler.core.requirements import COVERAGE

_Identity = tuple[str | None, ...]


def compared(report: Report, earlier: Report) -> Report:
    """Give a report that tells of each unwaived finding whether ``earlier`` had it, and what of that is gone.

    A finding is known by its rule and its key, not by its message, in which days are counted. Of an account that could
    not be read now nothing is known to be gone.
    """
    before = {_identity(finding): finding for finding in earlier.findings if _counts(finding)}
    now = {_identity(finding) for finding in report.findings if _counts(finding)}
    unread = {(one.account_id, one.sub_account_id) for one in report.accounts if one.status is AccountStatus.FAILED}
    whole_families = {account for account, below in unread if below in (None, EVERY_SUB_ACCOUNT)}
    gone = [
        replace(finding, since=None)
        for identity, finding in before.items()
        if identity not in now
        and (finding.account_id, finding.sub_account_id) not in unread
        and not (unread and finding.rule == COVERAGE)  # the account that could not be read may be the one
        and not (finding.sub_account_id is not None and finding.account_id in whole_families)
    ]
    gone.sort(key=lambda finding: finding.severity.rank)
    return replace(
        report,
        findings=tuple(_standing(finding, before.keys()) for finding in report.findings),
        since=Since(earlier.run_id, earlier.finished_at, tuple(gone)),
    )


def _counts(finding: ReportedFinding) -> bool:
    return finding.waived is None and finding.rule not in OF_THE_RUN


def _standing(finding: ReportedFinding, before: Collection[_Identity]) -> ReportedFinding:
    if not _counts(finding):
        return finding
    known = _identity(finding) in before
    return replace(finding, since=Standing.OPEN if known else Standing.NEW)


def _identity(finding: ReportedFinding) -> _Identity:
    """Give what makes a finding the same in two reports; one about no key is known by its message."""
    key = finding.key_id or finding.key
    about = (finding.account_id, finding.sub_account_id, key)
    return (finding.rule, *about, finding.message if key is None else None)
