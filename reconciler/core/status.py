"""How the daemon is doing and what it did lately: the one value that its page and ``reconciler status`` show.

Schema ``reconciler/status/v1``. The last report belongs to it and is told apart (``reconciler/report/v1``), since it is
large and changes only with a pass.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from reconciler.core.changes import AccessChange, Action, Fields, Outcome
from reconciler.core.events import Trigger
from reconciler.core.report import AccountStatus, Mode, Report

SCHEMA: Final = "reconciler/status/v1"


@dataclass(frozen=True, slots=True)
class ConfigurationStatus:
    """The configuration in force, and newer files or settings that do not load.

    Attributes:
        loaded_at: When the one in force was loaded; null: none is.
        age_seconds: How long ago that was.
        rejected: Why a newer one does not load; null: there is no newer one.
        rejected_at: Since when it does not.
        problems: The first of what is wrong with it, as ``FILE:LINE:COL: message``.
        problem_count: How many there are.
    """

    loaded_at: datetime | None
    age_seconds: float | None
    rejected: str | None
    rejected_at: datetime | None
    problems: tuple[str, ...]
    problem_count: int


@dataclass(frozen=True, slots=True)
class SubAccountReadiness:
    """A sub account that could not be read the last time, or was not read in time.

    Attributes:
        sub_account_id: The sub account.
        read_at: When its keys were last read; null: never yet.
        ready: Whether that was in time.
        error: Why they could not be read the last time; null: they could.
    """

    sub_account_id: str
    read_at: datetime | None
    ready: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class SubAccountsReadiness:
    """All sub accounts of an account, of which there may be thousands.

    Attributes:
        count: How many there are.
        late_count: How many were not read in time.
        failed_count: How many were not read in time, or could not be read the last time.
        failed: The first of those, the late ones before others.
    """

    count: int
    late_count: int
    failed_count: int
    failed: tuple[SubAccountReadiness, ...]


@dataclass(frozen=True, slots=True)
class AccountReadiness:
    """An account: whether its own keys were read in time, and how its sub accounts are doing.

    Attributes:
        account_id: The account.
        read_at: When its own keys were last read; null: never yet.
        ready: Whether that was in time.
        error: Why they could not be read the last time; null: they could.
        sub_accounts: The same, of its sub accounts.
    """

    account_id: str
    read_at: datetime | None
    ready: bool
    error: str | None
    sub_accounts: SubAccountsReadiness


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the daemon does what it is for.

    Attributes:
        ready: Whether it does.
        reasons: Why not, in words; empty where it does.
        configuration: The configuration in force.
        accounts: Each account of the files in force.
    """

    ready: bool
    reasons: tuple[str, ...]
    configuration: ConfigurationStatus
    accounts: tuple[AccountReadiness, ...]


@dataclass(frozen=True, slots=True)
class AskedBy:
    """The place in the files that asked for something, and the commit that they came from.

    Attributes:
        file: The file.
        line: The line, from 1.
        column: The column, from 1, in characters.
        commit: The commit of the worktree in which the file lies; null: that is not known.
        modified: Whether the file was changed since that commit; null: that is not known.
    """

    file: str
    line: int
    column: int
    commit: str | None
    modified: bool | None

    def __str__(self) -> str:
        known = f", commit {self.commit}" if self.commit else ""
        return f"{self.file}:{self.line}:{self.column}{known}{' (the file was modified)' if self.modified else ''}"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that became of a key: a decision about it, or a write as it ended.

    Attributes:
        time: When, in RFC 3339.
        run_id: The pass in which it happened; null: that is not known.
        trigger: Why that pass began; null: a person or a CronJob made it.
        mode: What kind of pass it was; null: that is not known.
        account_id: The account.
        sub_account_id: The sub account; null for an account's own key.
        key_id: The id of the key; null where there is none.
        name: The name of the key in the files; null: no file names it.
        label: The label of the key.
        action: What was to be done to it.
        fields: The fields that differ, before and after.
        access: What that grants and revokes.
        outcome: How it stood, or how it ended.
        reason: Why; null where there is nothing to say.
        asked_by: What asked for it; null: no file names the key.
    """

    time: str
    run_id: str | None
    trigger: Trigger | None
    mode: Mode | None
    account_id: str
    sub_account_id: str | None
    key_id: str | None
    name: str | None
    label: str
    action: Action
    fields: Fields
    access: AccessChange
    outcome: Outcome
    reason: str | None
    asked_by: AskedBy | None


@dataclass(frozen=True, slots=True)
class Sync:
    """Whether the accounts are as the files say, and since when.

    Attributes:
        in_sync: Whether they are; null: that is not known, since no pass was made yet or it could not read them all.
        since: Since when it stands so, in RFC 3339: the end of the first pass that found it so, or of the last one that
            had to apply something for that; null: before any.
        at_start: Whether the daemon's first pass found it so already, so that it may stand so for longer.
    """

    in_sync: bool | None = None
    since: str | None = None
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class LastPass:
    """The last pass that ended.

    Attributes:
        number: Its number, from 1, since the daemon began.
        run_id: The pass, as logs and the trail name it.
        trigger: Why it began.
        finished_at: When it ended, in RFC 3339.
        seconds: How long it took.
    """

    number: int
    run_id: str
    trigger: Trigger | None
    finished_at: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """How the daemon is doing; times in RFC 3339.

    Attributes:
        schema: What this is.
        version: The reconciler's.
        as_of: When this was asked.
        started_at: When the daemon began.
        mode: ``apply``, or ``plan`` where it makes dry runs only.
        schedule: When passes begin, in words.
        next_at: When the schedule lets the next pass begin; null: that is not known.
        last_pass: The last pass that ended; null: there was none.
        sync: Whether the accounts are as the files say.
        readiness: Whether the daemon does its work.
        recent: What became of keys lately, the newest first.
        recent_from: Since when ``recent`` is whole.
    """

    schema: Literal["reconciler/status/v1"]
    version: str
    as_of: str
    started_at: str
    mode: Mode
    schedule: str
    next_at: str | None
    last_pass: LastPass | None
    sync: Sync
    readiness: Readiness
    recent: tuple[Occurrence, ...]
    recent_from: str


def in_sync(report: Report) -> bool | None:
    """Tell whether a pass left every account as the files say; null: it could not read them all.

    A change that is paused, planned or held back is a difference as any other; a suspended sub account is none.
    """
    if any(change.outcome is not Outcome.APPLIED for change in report.changes):
        return False
    if any(account.status is AccountStatus.FAILED for account in report.accounts):
        return None
    return True
