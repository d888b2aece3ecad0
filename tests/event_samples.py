"""One sample of every event, and the lines that the log makes of events."""

import json
from io import StringIO
from typing import Any

from reconciler.core.changes import AccessChange, Action, Change, Delta, Direction, Fields, ListDiff, Outcome
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
    PassFailed,
    PassFinished,
    PassStarted,
    PlanComputed,
    PlanRefused,
    ReportDropped,
    RequestEnded,
    RequestRetried,
    SubAccountsListed,
    Trigger,
    VariableMisspelt,
)
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.guardrails import Refusal
from reconciler.core.keys import AccountRef, Source
from reconciler.core.report import SCHEMA, FindingCounts, Mode, Report, RequestCounts, Summary
from reconciler.errors import Problem
from reconciler.logs import LogFormat, LogLevel, log_observer

RUN = "4f1c"
ACCOUNT = AccountRef("d3b0", "acme", "production")
PARENT = AccountRef("d3b0", None, "production")
CHANGE = Change(
    account=ACCOUNT,
    action=Action.UPDATE,
    name="storefront",
    key_id="3c90",
    label="Shop",
    source=Source("keys/shop.yaml", 12, 5),
    fields=Fields(scopes=ListDiff(("domains:read", "messages:read:all"), ("domains:read",))),
    access=AccessChange(Direction.NARROW, Delta(revoked=("messages:read:all",))),
)
REPORT = Report(
    SCHEMA,
    "0.1.0",
    Mode.APPLY,
    RUN,
    "t0",
    "t1",
    "sha256:ab",
    None,
    (),
    (),
    (),
    Summary(update=2, applied=1, failed=1, unchanged=9, findings=FindingCounts(warn=1)),
    RequestCounts(GET=4, PUT=2),
)
FINDING = Finding(
    "no-wildcard",
    Severity.DENY,
    "ops may do everything",
    "list the scopes it needs",
    ACCOUNT,
    "ops",
    "77aa",
    "ops",
    Source("keys/ops.yaml", 3, 5),
)
WAIVER = Waiver("2027-01-31", "team-sec", "INC-204")
STORY: tuple[Event, ...] = (
    VariableMisspelt("RECONCILER_TRIAL", "RECONCILER_TRAIL"),
    DaemonStarted("every 5m", listen="http://127.0.0.1:8080"),
    ConfigRejected((Problem("keys/shop.yaml", 3, 7, "unknown field 'scope'"),), "the files do not load", 310.0),
    ConfigReloaded(1, 12),
    PassStarted(RUN, Mode.APPLY, 1, Trigger.SCHEDULE, None, 12),
    RequestRetried("d3b0", "GET", "503 Service Unavailable", 1, 0.5),
    RequestEnded("d3b0", "GET", 200, 0.1234567, 0.04),
    ListingProgressed(ACCOUNT, 100),
    SubAccountsListed(RUN, PARENT, 1200, 1000),
    AccountListed(RUN, ACCOUNT, 14, None, "Acme East"),
    PlanComputed(RUN, "sha256:ab", 2, 1),
    FindingRaised(RUN, FINDING),
    PlanRefused(RUN, Refusal("max-changes", "9 changes are more than 5", ACCOUNT, None, 5, 9)),
    ChangeSkipped(RUN, CHANGE.ended(Outcome.REFUSED, "max-changes: 9 changes are more than 5")),
    ChangeStarted(RUN, CHANGE),
    ChangeApplied(RUN, CHANGE.ended(Outcome.APPLIED)),
    ChangeFailed(RUN, CHANGE.ended(Outcome.FAILED, "503 Service Unavailable")),
    PassFinished(RUN, REPORT, 1.23456),
    ReportDropped(RUN),
    PassFailed(RUN, "KeyError: 'shop'", "plan_account:120"),
    DaemonFaulted("KeyError: 'shop'", "run:120"),
    NotificationSent("mailto://example.com", 3, 1, 0),
    NotificationFailed("json://alerts.example.com", "it answered 503", 1, 60.0),
    DaemonStopped("asked to stop", 1),
)

LEVELS: tuple[tuple[Event, str], ...] = (
    (ChangeFailed(RUN, CHANGE.ended(Outcome.FAILED)), "error"),
    (ChangeFailed(RUN, CHANGE.ended(Outcome.STALE)), "warning"),
    (ChangeSkipped(RUN, CHANGE.ended(Outcome.DENIED)), "warning"),
    (ChangeSkipped(RUN, CHANGE.ended(Outcome.REFUSED)), "warning"),
    (ChangeSkipped(RUN, CHANGE.ended(Outcome.SKIPPED)), "warning"),
    (ChangeSkipped(RUN, CHANGE.ended(Outcome.PAUSED)), "info"),
    (ChangeStarted(RUN, CHANGE), "info"),
    (AccountListed(RUN, PARENT, 0, "403"), "error"),
    (AccountListed(RUN, PARENT, 3), "info"),
    (AccountListed(RUN, ACCOUNT, 0, "403", "Acme East"), "error"),
    (AccountListed(RUN, ACCOUNT, 3, None, "Acme East"), "debug"),
    (AccountListed(RUN, ACCOUNT, 0, None, "Acme East", suspended=True), "info"),
    (FindingRaised(RUN, FINDING), "error"),
    (FindingRaised(RUN, Finding("r", Severity.WARN, "m")), "warning"),
    (FindingRaised(RUN, Finding("r", Severity.NOTE, "m")), "info"),
    (FindingRaised(RUN, Finding("r", Severity.DENY, "m", waived=WAIVER)), "info"),
    (RequestRetried("a", "GET", "503", 1, 0.5), "warning"),
    (RequestEnded("a", "PUT", None, 10.0, 0.0), "debug"),
)
"""Events that weigh differently, each with the level of its line."""


def logged(*events: Event, level: LogLevel = LogLevel.DEBUG, secrets: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    stream = StringIO()
    observe = log_observer(stream, format=LogFormat.JSON, level=level, secrets=lambda: secrets)
    for event in events:
        observe(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]
