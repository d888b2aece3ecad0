"""Made-up statuses of a daemon, as it would tell them."""

from dataclasses import replace
from datetime import UTC, datetime

from reconciler.core.events import Trigger
from reconciler.core.report import Mode
from reconciler.core.status import (
    SCHEMA,
    AccountReadiness,
    ConfigurationStatus,
    LastPass,
    Occurrence,
    Readiness,
    Status,
    SubAccountsReadiness,
    Sync,
)

BEGAN = "2026-11-23T08:00:00Z"
NOW = "2026-11-23T10:00:05Z"
IN_SYNC = Sync(in_sync=True, since=BEGAN, at_start=True)
NOT_IN_SYNC = Sync(in_sync=False, since="2026-11-23T09:30:00Z")


def readiness(*reasons: str, rejected: str | None = None) -> Readiness:
    """Ready, unless there are reasons why not."""
    loaded = datetime(2026, 11, 23, 8, tzinfo=UTC)
    problems = ("config/keys/shop.yaml:12:5: unknown field 'scops'",) if rejected else ()
    configuration = ConfigurationStatus(
        loaded, 7205.0, rejected, loaded if rejected else None, problems, len(problems) * 3
    )
    account = AccountReadiness(
        "a-1", loaded, ready=not reasons, error=None, sub_accounts=SubAccountsReadiness(0, 0, 0, ())
    )
    return Readiness(not reasons, reasons, configuration, (account,))


def status(
    sync: Sync = IN_SYNC,
    *reasons: str,
    passes: int = 24,
    rejected: str | None = None,
    recent: tuple[Occurrence, ...] = (),
    mode: Mode = Mode.APPLY,
) -> Status:
    """How a daemon stands that made its last pass five seconds ago."""
    last = LastPass(passes, "run-1", Trigger.SCHEDULE, "2026-11-23T10:00:00Z", 1.25)
    return Status(
        schema=SCHEMA,
        version="0.1.0",
        as_of=NOW,
        started_at=BEGAN,
        mode=mode,
        schedule="every 5m",
        next_at="2026-11-23T10:05:00Z",
        last_pass=last if passes else None,
        sync=sync,
        readiness=readiness(*reasons, rejected=rejected),
        recent=recent,
        recent_from=BEGAN,
    )


def without_reasons(told: Status) -> Status:
    """The same from a daemon that does not say why it is not ready."""
    return replace(told, readiness=replace(told.readiness, ready=False, reasons=()))
