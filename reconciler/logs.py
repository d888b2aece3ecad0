"""Logs: one line for each event of a pass, as JSON or for a person's console. ``docs/logs.md`` is the catalogue.

Logging is no veto: what cannot be written is dropped, and nothing that a label holds breaks a line in two.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TextIO, assert_never, cast

from reconciler.core.changes import Change, Outcome
from reconciler.core.events import (
    AccountListed,
    ChangeApplied,
    ChangeFailed,
    ChangeSkipped,
    ChangeStarted,
    ConfigRejected,
    ConfigReloaded,
    DaemonFaulted,
    DaemonStarted,
    DaemonStopped,
    Event,
    FindingRaised,
    ListingProgressed,
    NotificationFailed,
    NotificationSent,
    Observer,
    PassFailed,
    PassFinished,
    PassStarted,
    PlanComputed,
    PlanRefused,
    ReportDropped,
    RequestEnded,
    RequestRetried,
    SubAccountsListed,
    VariableMisspelt,
)
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import Refusal
from reconciler.core.keys import AccountRef
from reconciler.core.report import Mode, Summary
from reconciler.errors import mask, uncommanded

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor


class Stream(Protocol):
    """Where lines are written."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        ...

    def isatty(self) -> bool:
        """Tell whether a person looks at it."""
        ...

    def write(self, text: str, /) -> int:
        """Write a line."""
        ...

    def flush(self) -> None:
        """Hand on what was written."""
        ...


class LogFormat(StrEnum):
    """For whom the lines are written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least serious lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_Line = tuple[LogLevel, str, dict[str, Any]]
_SEVERITIES = {Severity.DENY: LogLevel.ERROR, Severity.WARN: LogLevel.WARNING, Severity.NOTE: LogLevel.INFO}
_OUTCOMES = {
    Outcome.FAILED: LogLevel.ERROR,
    Outcome.STALE: LogLevel.WARNING,
    Outcome.DENIED: LogLevel.WARNING,
    Outcome.REFUSED: LogLevel.WARNING,
    Outcome.SKIPPED: LogLevel.WARNING,
}
_DAEMON_EVENTS = {
    ConfigReloaded: "config.reloaded",
    DaemonFaulted: "daemon.faulted",
    DaemonStarted: "daemon.started",
    DaemonStopped: "daemon.stopped",
    NotificationSent: "notification.sent",
    NotificationFailed: "notification.failed",
}


def log_observer(
    stream: Stream,
    *,
    format: LogFormat,  # noqa: A002 # the option is called --log-format
    level: LogLevel,
    secrets: Callable[[], Iterable[str]],
    trail: Callable[[], str | None] = lambda: None,
) -> Observer:
    """Give an observer that writes one line for each event to ``stream``, and that never raises because of it.

    Args:
        stream: Where lines go; a stream that is closed or broken loses them.
        format: JSON for machines, console for people (coloured on a terminal, unless ``NO_COLOR`` is set).
        level: Less serious lines are not written.
        secrets: Gives the credentials in use at the moment, to be masked wherever they come up.
        trail: Gives the head of the trail, if there is one; the trail must be told of each event before.
    """
    numbers = logging.getLevelNamesMapping()
    logger: FilteringBoundLogger | None = None
    run_id: str | None = None
    weight = _Weight()

    def observe(event: Event) -> None:
        nonlocal logger, run_id
        run_id = getattr(event, "run_id", run_id)
        severity, name, fields = _line(event)
        severity = weight.of(event, severity)
        if run_id is not None:
            fields = {"run_id": run_id, **fields}
        if isinstance(event, PassFinished):
            fields = {**fields, "trail": trail()}
        if numbers[severity.upper()] >= numbers[level.upper()]:
            # Made for the first line, since it costs 25 ms at the start, and a quiet command never logs one.
            logger = logger or _logger(stream, format, secrets)
            with suppress(OSError, ValueError):  # a broken pipe, a full disk, a closed file
                logger.log(numbers[severity.upper()], name, **fields)
        if isinstance(event, PassFinished | PassFailed):
            run_id = None

    return observe


class _Weight:
    """How much a line weighs, by the pass that it is of and by the one before."""

    def __init__(self) -> None:
        self._judges_only = False
        self._found: set[Finding] = set()
        self._told: set[Finding] = set()

    def of(self, event: Event, severity: LogLevel) -> LogLevel:
        """Give the level of the line that tells an event, which by itself would be ``severity``."""
        match event:
            case PassStarted(mode=mode):
                self._judges_only = mode is not Mode.APPLY
                self._told, self._found = self._found, set()
                return severity
            case FindingRaised(finding=finding):
                self._found.add(finding)
                return self._of_finding(finding, severity)
            case _:
                return severity

    def _of_finding(self, finding: Finding, severity: LogLevel) -> LogLevel:
        if finding in self._told:
            return LogLevel.DEBUG  # a year of passes must not bury what is new
        if self._judges_only and severity is LogLevel.ERROR:
            return LogLevel.WARNING  # what a dry run finds is its result, and no failure of it
        return severity


def _logger(
    stream: Stream,
    format: LogFormat,  # noqa: A002 # as log_observer
    secrets: Callable[[], Iterable[str]],
) -> "FilteringBoundLogger":
    import structlog

    def masked(_logger: object, _method: str, line: "EventDict") -> "EventDict":
        current = tuple(secrets())
        return {key: plain(value, current) for key, value in line.items()}

    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", stream)),  # of which it uses what a stream has
        processors=[_stamped, masked, _renderer(stream, format)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )
    return logger


def _renderer(stream: Stream, format: LogFormat) -> "Processor":  # noqa: A002 # as log_observer
    import structlog

    if format is LogFormat.JSON:
        return structlog.processors.JSONRenderer(serializer=_written)
    return structlog.dev.ConsoleRenderer(
        colors=not stream.closed and stream.isatty() and not os.environ.get("NO_COLOR"),
        repr_native_str=True,  # repr() escapes newlines and everything else that would move a terminal's cursor
        exception_formatter=structlog.dev.plain_traceback,
        sort_keys=False,
    )


def _written(line: "EventDict", **options: Any) -> str:
    return uncommanded(json.dumps(line, **options))


def _stamped(_logger: object, method: str, line: "EventDict") -> "EventDict":
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": now, "level": method, "event": line.pop("event"), **line}


def plain(value: Any, secrets: Iterable[str]) -> Any:
    """Give a value made of nothing but dicts, lists, texts and numbers, with every secret masked."""
    match value:
        case str():
            return mask(str(value), *secrets)
        case dict():
            return {mask(str(key), *secrets): plain(item, secrets) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, secrets) for item in value]
        case _:
            return value


def _line(event: Event) -> _Line:
    """Give level, name and fields of the line that tells an event."""
    match event:
        case PassStarted() | AccountListed() | PlanComputed() | FindingRaised() | PlanRefused() | PassFinished():
            return _pass_line(event)
        case PassFailed() | ReportDropped():
            name = "pass.failed" if isinstance(event, PassFailed) else "report.dropped"
            return LogLevel.ERROR, name, asdict(event)
        case ChangeStarted() | ChangeApplied() | ChangeFailed() | ChangeSkipped():
            return _change_line(event)
        case RequestRetried() | RequestEnded() | ListingProgressed() | SubAccountsListed() | VariableMisspelt():
            return _line_beside(event)
        case ConfigRejected(problems, message, age):
            fields = {"problems": [str(problem) for problem in problems], "message": message, "in_force_age": age}
            return LogLevel.ERROR, "config.rejected", fields
        case (
            ConfigReloaded()
            | DaemonStarted()
            | DaemonStopped()
            | DaemonFaulted()
            | NotificationSent()
            | NotificationFailed()
        ):
            level = LogLevel.ERROR if isinstance(event, DaemonFaulted | NotificationFailed) else LogLevel.INFO
            return level, _DAEMON_EVENTS[type(event)], asdict(event)
        case _:
            assert_never(event)


def _line_beside(
    event: RequestRetried | RequestEnded | ListingProgressed | SubAccountsListed | VariableMisspelt,
) -> _Line:
    """Tell of what is no step of a pass."""
    match event:
        case ListingProgressed(account, keys):
            return LogLevel.DEBUG, "listing.progressed", {**_account(account), "keys": keys}
        case SubAccountsListed(_, account, sub_accounts, selected):
            fields = {**_account(account), "sub_accounts": sub_accounts, "selected": selected}
            return LogLevel.INFO, "sub_accounts.listed", fields
        case VariableMisspelt():
            return LogLevel.WARNING, "variable.misspelt", asdict(event)
        case RequestRetried():
            return LogLevel.WARNING, "request.retried", asdict(event)
        case RequestEnded():
            return LogLevel.DEBUG, "request.ended", _request(event)
        case _:
            assert_never(event)


def _pass_line(
    event: PassStarted | AccountListed | PlanComputed | FindingRaised | PlanRefused | PassFinished,
) -> _Line:
    match event:
        case PassStarted():
            return LogLevel.INFO, "pass.started", _started(event)
        case AccountListed():
            return _listed(event)
        case PlanComputed(_, digest, changes, applicable):
            fields = {"digest": digest, "changes": changes, "applicable": applicable}
            return LogLevel.INFO, "plan.computed", fields
        case FindingRaised(_, finding):
            level = _SEVERITIES[finding.severity] if finding.waived is None else LogLevel.INFO
            return level, "finding.raised", _finding(finding)
        case PlanRefused(_, refusal):
            return LogLevel.WARNING, "plan.refused", _refusal(refusal)
        case PassFinished():
            return LogLevel.INFO, "pass.finished", _finished(event)
        case _:
            assert_never(event)


def _change_line(event: ChangeStarted | ChangeApplied | ChangeFailed | ChangeSkipped) -> _Line:
    change = event.change
    level = _OUTCOMES.get(change.outcome, LogLevel.INFO)
    match event:
        case ChangeStarted():
            return LogLevel.INFO, "change.started", _change(change)
        case ChangeApplied():
            return LogLevel.INFO, "change.applied", _change(change)
        case ChangeFailed():
            return level, "change.failed", _change(change)
        case ChangeSkipped():
            return level, "change.skipped", _change(change)
        case _:
            assert_never(event)


def _listed(event: AccountListed) -> _Line:
    """Tell of one account; of a sub account in good order only at ``debug``, since there may be thousands of them."""
    name = {} if event.name is None else {"sub_account_name": event.name}
    told = {"keys": event.keys, "suspended": event.suspended, "error": event.error}
    fields = {**_account(event.account), **name, **told}
    good = LogLevel.INFO if event.account.sub_account_id is None or event.suspended else LogLevel.DEBUG
    return good if event.error is None else LogLevel.ERROR, "account.listed", fields


def _account(account: AccountRef | None) -> dict[str, str | None]:
    """Give the account's ids; the sub account's only where there is one."""
    if account is None:
        return {"account_id": None}
    sub_account = {"sub_account_id": account.sub_account_id} if account.sub_account_id else {}
    return {"account_id": account.account_id, **sub_account}


def _change(change: Change) -> dict[str, Any]:
    return {
        **_account(change.account),
        "key_id": change.key_id,
        "name": change.name,
        "label": change.label,
        "action": change.action,
        "fields": {name: diff for name, diff in asdict(change.fields).items() if diff is not None},
        "access": asdict(change.access),
        "outcome": change.outcome,
        "reason": change.reason,
        "source": None if change.source is None else str(change.source),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        **_account(finding.account),
        "key": finding.key,
        "key_id": finding.key_id,
        "label": finding.label,
        "message": finding.message,
        "hint": finding.hint,
        "source": None if finding.source is None else str(finding.source),
        "waived": None if finding.waived is None else asdict(finding.waived),
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "guardrail": refusal.guardrail,
        **_account(refusal.account),
        "key_id": refusal.key_id,
        "message": refusal.message,
        "limit": refusal.limit,
        "actual": refusal.actual,
    }


def _request(event: RequestEnded) -> dict[str, Any]:
    seconds = {"seconds": round(event.seconds, 4), "waited": round(event.waited, 4)}
    return {"account_id": event.account_id, "method": event.method, "status": event.status, **seconds}


def _started(event: PassStarted) -> dict[str, Any]:
    fields = {"mode": event.mode, "number": event.number, "trigger": event.trigger}
    age = None if event.config_age is None else round(event.config_age, 3)
    return {**fields, "config_age": age, "desired": event.desired, "shard": event.shard}


def _finished(event: PassFinished) -> dict[str, Any]:
    report = event.report
    return {
        "mode": report.mode,
        "seconds": round(event.seconds, 3),
        "accounts": Counter(account.status for account in report.accounts),
        "summary": _counted(report.summary),
        "requests": asdict(report.requests),
        "digest": report.digest,
    }


def _counted(summary: Summary) -> dict[str, Any]:
    """Give the counts that are not zero."""
    counts = asdict(summary)
    counts["findings"] = {severity: count for severity, count in counts["findings"].items() if count}
    return {name: count for name, count in counts.items() if count}
