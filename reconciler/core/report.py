"""The report of one pass: the one value that every rendering shows, schema ``reconciler/report/v1``."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from reconciler.core.changes import AccessChange, Action, Change, Fields, Outcome
from reconciler.core.findings import OF_THE_RUN, Finding, Severity, Waiver, without_age
from reconciler.core.guardrails import Refusal
from reconciler.core.inventory import (
    ReportedFreeze,
    ReportedKey,
    ReportedPausedKey,
    ReportedRule,
    ReportedWaiver,
    report_keys,
    rfc3339,
)
from reconciler.core.keys import DesiredAccount, RemoteKey, Source, is_named
from reconciler.core.patterns import is_like, is_like_id
from reconciler.core.plan import AccountPlan, KeyCounts
from reconciler.exits import ExitCode

SCHEMA: Literal["reconciler/report/v1"] = "reconciler/report/v1"


class Mode(StrEnum):
    """What kind of pass it was; ``plan`` is any dry run."""

    PLAN = "plan"
    APPLY = "apply"
    AUDIT = "audit"


class AccountStatus(StrEnum):
    """Whether the account could be read."""

    OK = "ok"
    SUSPENDED = "suspended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReportedChange:
    """One change and how it ended."""

    action: Action
    name: str | None
    key_id: str | None
    label: str
    source: Source | None
    fields: Fields
    access: AccessChange
    outcome: Outcome
    reason: str | None


@dataclass(frozen=True, slots=True)
class UnmanagedKey:
    """An actual key that no file names; times in RFC 3339."""

    key_id: str
    label: str
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    last_used_at: str | None


@dataclass(frozen=True, slots=True)
class ReportedAccount:
    """One account: whether it could be read, and what was to be done there; a sub account has a name.

    ``inventory`` is None where the keys are not known: nobody read them, or an older version wrote the report.
    """

    account_id: str
    sub_account_id: str | None
    status: AccountStatus
    error: str | None
    keys: KeyCounts
    changes: tuple[ReportedChange, ...] = ()
    unmanaged: tuple[UnmanagedKey, ...] = ()
    sub_account_name: str | None = None
    inventory: tuple[ReportedKey, ...] | None = None

    @property
    def unchanged(self) -> int:
        """How many desired keys differ in nothing; 0 where the account could not be read."""
        if self.status is not AccountStatus.OK:
            return 0
        return self.keys.desired - sum(change.name is not None for change in self.changes)


class Standing(StrEnum):
    """How a finding stands against an earlier report."""

    NEW = "new"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """One finding, with the account and the key that it is about, where there is one.

    ``since`` tells of an unwaived one whether an earlier report had it, where the two were compared.
    """

    rule: str
    severity: Severity
    account_id: str | None
    sub_account_id: str | None
    key: str | None
    key_id: str | None
    label: str | None
    message: str
    hint: str
    source: Source | None
    waived: Waiver | None
    since: Standing | None = None

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What makes it the same in two reports; one about no key is known by its message, but for an age in it."""
        key = self.key_id or self.key
        message = without_age(self.message) if key is None else None
        return self.rule, self.account_id, self.sub_account_id, key, message

    def waived_by(self, waiver: ReportedWaiver) -> bool:
        """Tell whether it is this waiver that accepts it, or one that says the same of it."""
        if self.waived != Waiver(waiver.until, waiver.owner, waiver.reason) or self.rule != waiver.rule:
            return False
        return (
            (waiver.key is None or is_named(waiver.key, self.key, self.key_id))
            and (waiver.label is None or is_like(self.label or "", waiver.label))
            and (waiver.account is None or is_like_id(self.account_id or "", waiver.account))
        )


class KeyEvent(StrEnum):
    """What became of a key since an earlier report."""

    APPEARED = "appeared"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """A key that is not what it was in an earlier report, with what that grants and revokes.

    ``fields`` are those that differ, ``before`` in the earlier report; there are none where the key is gone.
    """

    what: KeyEvent
    account_id: str
    sub_account_id: str | None
    key_id: str
    name: str | None
    label: str
    fields: Fields
    access: AccessChange


@dataclass(frozen=True, slots=True)
class Since:
    """The earlier report that this one was compared with.

    Attributes:
        run_id: Its run.
        finished_at: When it was made.
        as_of: As of when it is, where that is known: when the keys were listed.
        gone: The findings of it that are gone, or waived by now.
        keys: The keys that appeared, changed or are gone, in accounts that both reports have read.
        not_compared: How many accounts only one of the two has read, so that nothing is known of their keys.
    """

    run_id: str
    finished_at: str
    gone: tuple[ReportedFinding, ...]
    keys: tuple[ChangedKey, ...] = ()
    not_compared: int = 0
    as_of: str | None = None

    @property
    def moment(self) -> str:
        """As of when it is, as well as that is known."""
        return self.as_of or self.finished_at


@dataclass(frozen=True, slots=True)
class ReportedRefusal:
    """One guardrail that refused something."""

    guardrail: str
    account_id: str | None
    sub_account_id: str | None
    key_id: str | None
    message: str
    limit: int | None
    actual: int | None


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """Unwaived findings by severity."""

    deny: int = 0
    warn: int = 0
    note: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Changes by action and by outcome, and what is left."""

    update: int = 0
    create: int = 0
    delete: int = 0
    quarantine: int = 0
    restore: int = 0
    unchanged: int = 0
    unmanaged: int = 0
    planned: int = 0
    applied: int = 0
    failed: int = 0
    stale: int = 0
    denied: int = 0
    refused: int = 0
    skipped: int = 0
    paused: int = 0
    findings: FindingCounts = field(default_factory=FindingCounts)


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests sent to the API, by method, retries included."""

    GET: int = 0
    PUT: int = 0
    POST: int = 0
    DELETE: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One pass, whole; times in RFC 3339, ``policy`` the digest of the policy or None.

    ``digest`` is None where an account failed, and in an audit; ``since`` where no earlier report was compared.
    ``as_of`` is the time by which ages, pauses and waivers are judged: when the keys were listed. ``freezes`` are the
    change windows that were in force. ``shard`` is the one whose accounts alone were looked at, as ``3/16``.
    """

    schema: Literal["reconciler/report/v1"]
    version: str
    mode: Mode
    run_id: str
    started_at: str
    finished_at: str
    digest: str | None
    policy: str | None
    accounts: tuple[ReportedAccount, ...]
    findings: tuple[ReportedFinding, ...]
    refusals: tuple[ReportedRefusal, ...]
    summary: Summary
    requests: RequestCounts
    since: Since | None = None
    as_of: str | None = None
    rules: tuple[ReportedRule, ...] = ()
    waivers: tuple[ReportedWaiver, ...] = ()
    pauses: tuple[ReportedPausedKey, ...] = ()
    freezes: tuple[ReportedFreeze, ...] = ()
    shard: str | None = None

    @property
    def changes(self) -> tuple[ReportedChange, ...]:
        """All changes of all accounts, in order."""
        return tuple(change for account in self.accounts for change in account.changes)


def report_account(plan: AccountPlan, name: str | None = None) -> ReportedAccount:
    """Give the report of an account that was read; ``name`` is a sub account's."""
    return ReportedAccount(
        account_id=plan.account.account_id,
        sub_account_id=plan.account.sub_account_id,
        status=AccountStatus.OK,
        error=None,
        keys=plan.counts,
        changes=tuple(map(report_change, plan.changes)),
        unmanaged=tuple(map(_report_unmanaged, plan.unmanaged)),
        sub_account_name=name,
        inventory=report_keys(plan),
    )


def report_unplanned_account(desired: DesiredAccount, status: AccountStatus, error: str | None) -> ReportedAccount:
    """Give the report of an account for which nothing was planned: it could not be read, or it is suspended."""
    account = desired.account
    return ReportedAccount(
        account_id=account.account_id,
        sub_account_id=account.sub_account_id,
        status=status,
        error=error,
        keys=KeyCounts(desired=len(desired.keys)),
        sub_account_name=desired.name,
    )


def report_change(change: Change) -> ReportedChange:
    """Give a change as the report shows it."""
    return ReportedChange(
        change.action,
        change.name,
        change.key_id,
        change.label,
        change.source,
        change.fields,
        change.access,
        change.outcome,
        change.reason,
    )


def _report_unmanaged(key: RemoteKey) -> UnmanagedKey:
    last_used = rfc3339(key.last_used_at) if key.last_used_at else None
    return UnmanagedKey(key.id, key.label, key.scopes.texts, key.ip_allow_list.networks, last_used)


def report_finding(finding: Finding) -> ReportedFinding:
    """Give a finding as the report shows it."""
    account = finding.account
    return ReportedFinding(
        rule=finding.rule,
        severity=finding.severity,
        account_id=account.account_id if account else None,
        sub_account_id=account.sub_account_id if account else None,
        key=finding.key,
        key_id=finding.key_id,
        label=finding.label,
        message=finding.message,
        hint=finding.hint,
        source=finding.source,
        waived=finding.waived,
    )


def report_refusal(refusal: Refusal) -> ReportedRefusal:
    """Give a refusal as the report shows it."""
    account = refusal.account
    return ReportedRefusal(
        refusal.guardrail,
        account.account_id if account else None,
        account.sub_account_id if account else None,
        refusal.key_id,
        refusal.message,
        refusal.limit,
        refusal.actual,
    )


def summarize(accounts: Iterable[ReportedAccount], findings: Iterable[ReportedFinding]) -> Summary:
    """Count what a report holds; waived findings do not count."""
    accounts = tuple(accounts)
    changes = [change for account in accounts for change in account.changes]
    actions = Counter(change.action for change in changes)
    outcomes = Counter(change.outcome for change in changes)
    severities = Counter(finding.severity for finding in findings if finding.waived is None)
    return Summary(
        update=actions[Action.UPDATE],
        create=actions[Action.CREATE],
        delete=actions[Action.DELETE],
        quarantine=actions[Action.QUARANTINE],
        restore=actions[Action.RESTORE],
        unchanged=sum(account.unchanged for account in accounts),
        unmanaged=sum(len(account.unmanaged) for account in accounts),
        planned=outcomes[Outcome.PLANNED],
        applied=outcomes[Outcome.APPLIED],
        failed=outcomes[Outcome.FAILED],
        stale=outcomes[Outcome.STALE],
        denied=outcomes[Outcome.DENIED],
        refused=outcomes[Outcome.REFUSED],
        skipped=outcomes[Outcome.SKIPPED],
        paused=outcomes[Outcome.PAUSED],
        findings=FindingCounts(severities[Severity.DENY], severities[Severity.WARN], severities[Severity.NOTE]),
    )


def exit_code(
    report: Report, *, tell_differences: bool = False, judge_held_back: bool = True, interrupted: bool = False
) -> ExitCode:
    """Give the exit code of a pass: the first that applies of 1, 4, 3, 2, 0.

    Args:
        report: The report of the pass.
        interrupted: Whether a signal ended it early: then what was not read may be at the next try.
        tell_differences: Whether planned changes are worth a 2 (``plan --detailed-exitcode``).
        judge_held_back: Whether what is held back is worth a 3 (always but for a plain ``plan``).
    """
    outcomes = {change.outcome for change in report.changes}
    if unread := _unread_code(report, interrupted=interrupted):
        return unread
    if any(outcome.may_be_retried for outcome in outcomes):
        return ExitCode.UNFINISHED
    if judge_held_back and (report.refusals or any(outcome.held_back for outcome in outcomes)):
        return ExitCode.HELD_BACK
    return ExitCode.DIFFERENT if tell_differences and Outcome.PLANNED in outcomes else ExitCode.IN_ORDER


def audit_exit_code(report: Report, fail_on: Severity | None, *, interrupted: bool = False) -> ExitCode:
    """Give the exit code of an audit: 1 or 4 where accounts could not be read, 3 for a finding, else 0.

    Args:
        report: The report of the audit.
        fail_on: The least serious finding that is worth a 3, unless it is waived; None: none is.
        interrupted: Whether a signal ended it early.
    """
    if unread := _unread_code(report, interrupted=interrupted):
        return unread
    worst = fail_on.rank if fail_on else -1
    found = (one for one in report.findings if one.waived is None and one.rule not in OF_THE_RUN)
    return ExitCode.HELD_BACK if any(finding.severity.rank <= worst for finding in found) else ExitCode.IN_ORDER


def _unread_code(report: Report, *, interrupted: bool) -> ExitCode:
    """Give 1 where no account could be read, 4 where some could not, 0 where all could."""
    statuses = {account.status for account in report.accounts}
    if AccountStatus.FAILED not in statuses:
        return ExitCode.IN_ORDER
    return ExitCode.UNFINISHED if AccountStatus.OK in statuses or interrupted else ExitCode.ERROR
