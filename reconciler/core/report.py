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
    """One change and how it ended.

    Attributes:
        action: What it does to the key.
        name: The name of the key in the files; null: no file names it.
        key_id: The id of the key; null where there is none yet, or it cannot be told which key is meant.
        label: The label of the key, as the files want it; of a key of no file, as it is.
        source: The place in the files that asks for it; null: no file names the key.
        fields: The fields that differ, before and after.
        access: What it grants and what it revokes.
        outcome: How it stands, or how it ended.
        reason: Why, and what to do; null where there is nothing to say.
    """

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
    """An actual key that no file names.

    Attributes:
        key_id: Its id.
        label: What AhaSend calls it.
        scopes: Its scopes, in canonical form.
        ip_allow_list: The networks that may use it; empty: it is usable from anywhere.
        last_used_at: When it was used last, in RFC 3339; null: never.
    """

    key_id: str
    label: str
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    last_used_at: str | None


@dataclass(frozen=True, slots=True)
class ReportedAccount:
    """One account or sub account: whether it could be read, and what was to be done there.

    Attributes:
        account_id: The account; of a sub account its parent.
        sub_account_id: The sub account; null: this is about the account's own keys.
        status: Whether it could be read.
        error: Why it could not be read; null: it could.
        keys: How many keys there are.
        changes: Its changes, by the names of their keys; those of keys of no file come last.
        unmanaged: Its keys that no file names.
        sub_account_name: What the sub account is called; null for an account.
        inventory: Every actual key as the pass left it; null where the keys are not known, since nobody read them or an
            older version wrote the report.
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
    """One finding: a rule that something breaks, and what to do.

    Attributes:
        rule: The rule: its id in the policy, or the name of a check that is always made.
        severity: How serious it is.
        account_id: The account; null: it is about the run.
        sub_account_id: The sub account, where it is about one.
        key: The name of the key in the files, where it is about one that they name.
        key_id: The id of the key, where it has one.
        label: The label of the key, where it is about one.
        message: What is wrong, in words.
        hint: What to do about it; may be empty.
        source: The place in the files, or in the policy where no file names the key; null: there is none.
        waived: Who accepts it until when, and why; null: nobody does.
        since: How it stands against the earlier report; null: there was none to compare with, or it is waived.
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
    """A key that is not what it was in an earlier report.

    Attributes:
        what: What became of it.
        account_id: Its account.
        sub_account_id: Its sub account; null for an account's own key.
        key_id: Its id.
        name: Its name in the files; null: no file names it.
        label: What AhaSend calls it.
        fields: The fields that differ, as they were and as they are; none where the key is gone.
        access: What that grants and revokes.
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
        gone: The findings of it that are gone, or waived by now.
        keys: The keys that appeared, changed or are gone, in accounts that both reports have read.
        not_compared: How many accounts only one of the two has read, so that nothing is known of their keys.
        as_of: As of when it is, where that is known: when the keys were listed.
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
    """One guardrail that refused something.

    Attributes:
        guardrail: Its name.
        account_id: The account; null: it is about the run.
        sub_account_id: The sub account, where it is about one.
        key_id: The id of the key; null: it is about a whole plan, or a key that does not exist yet.
        message: What it refuses, the limit, and the way out, in words.
        limit: The number that is allowed; null where no number is.
        actual: The number that was met; null where no number is.
    """

    guardrail: str
    account_id: str | None
    sub_account_id: str | None
    key_id: str | None
    message: str
    limit: int | None
    actual: int | None


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """Unwaived findings by severity.

    Attributes:
        deny: Those that hold back what grants.
        warn: Those that are told, and no reason to hold anything back.
        note: Those that are told.
    """

    deny: int = 0
    warn: int = 0
    note: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Changes by action and by outcome, and what is left.

    Attributes:
        update: Changes that bring a key to what the files say.
        create: Keys that the files ask for and that do not exist.
        delete: Keys that are to be removed.
        quarantine: Keys that are to be switched off.
        restore: Keys that are to be switched on again.
        unchanged: Desired keys that differ in nothing.
        unmanaged: Keys that no file names.
        planned: Changes that would be made.
        applied: Changes that were made, and seen.
        failed: Changes that were to be made and were not, or were not seen; the next pass may succeed.
        stale: Changes that were not made, since the key, or what the files ask for, changed since the plan.
        denied: Changes that a rule of the policy holds back.
        refused: Changes that a guardrail holds back.
        skipped: Changes that wait for another one, or cannot be made.
        paused: Changes that the files or a change window put off.
        findings: Findings that nobody waives.
    """

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
    """Requests sent to the API, by method, retries included.

    Attributes:
        GET: Those that read.
        PUT: Those that change a key.
        POST: Those that make a key; this version sends none.
        DELETE: Those that remove a key; this version sends none.
    """

    GET: int = 0
    PUT: int = 0
    POST: int = 0
    DELETE: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One pass, whole; times in RFC 3339.

    Attributes:
        schema: What this is.
        version: The reconciler's.
        mode: What kind of pass it was.
        run_id: The pass, as logs and the trail name it.
        started_at: When it began.
        finished_at: When it ended.
        digest: The digest of the plan, as `--digest` takes it; null where an account failed, and in an audit.
        policy: The digest of the policy; null: there is none.
        accounts: Each account and each sub account that the files mean.
        findings: What breaks a rule.
        refusals: What guardrails refused.
        summary: Counts of it all.
        requests: How many requests were sent.
        since: The earlier report and what became of it; null where none was compared.
        as_of: The time by which ages, pauses and waivers are judged: when the keys were listed.
        rules: The rules that were asked, those too that found nothing.
        waivers: What the policy accepts until when, ended ones too.
        pauses: The keys that the files leave as they are until when.
        freezes: The change windows that were in force.
        shard: The shard whose accounts alone were looked at, as `3/16`; null: all were.
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
