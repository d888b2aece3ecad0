"""The metrics that there are: their names, labels, and the values of labels that are known beforehand."""

from dataclasses import dataclass, fields
from enum import StrEnum
from http import HTTPStatus
from itertools import product
from typing import Final

from reconciler.core.allowable import ALLOWABLE, NEVER_ALLOWED
from reconciler.core.changes import Action, Direction, Outcome
from reconciler.core.events import Trigger
from reconciler.core.report import Mode, RequestCounts


class Kind(StrEnum):
    """What kind of a metric it is, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; ``help`` is what it tells, in a sentence, here as in its documentation."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


class KeyState(StrEnum):
    """How a key stands after a pass; each key stands in one way."""

    IN_SYNC = "in_sync"
    PLANNED = "planned"
    FAILED = "failed"
    HELD_BACK = "held_back"
    PAUSED = "paused"
    MISSING = "missing"
    UNMANAGED = "unmanaged"


class DaysLeft(StrEnum):
    """How long something still holds."""

    ENDED = "ended"
    WITHIN_A_WEEK = "within_a_week"
    WITHIN_TWO_WEEKS = "within_two_weeks"
    LATER = "later"


class Result(StrEnum):
    """How a pass ended; ``error``: no account could be read."""

    OK = "ok"
    HELD_BACK = "held_back"
    FAILED = "failed"
    ERROR = "error"


OTHER: Final = "other"
"""Stands for whatever is not known beforehand where the values of a label must be few."""
NO_ANSWER: Final = "none"
COMMAND: Final = "command"
"""What makes a pass that no daemon makes: a person, or a CronJob."""
SENT: Final = "sent"
FAILED: Final = "failed"
METHODS: Final = tuple(field.name for field in fields(RequestCounts))
GUARDRAILS: Final = (*ALLOWABLE, *NEVER_ALLOWED)
STATUSES: Final = {status.value: str(status.value) for status in HTTPStatus} | {None: NO_ANSWER}
DURATIONS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Bounds of the buckets of a pass's duration in seconds; 1800 is what a pass may take."""
# What alerts and dashboards count is there before it first happens: a counter that begins with 1 has not risen.
_USUAL_STATUSES = ("200", "400", "401", "403", "404", "429", "500", "502", "503", "504", NO_ANSWER)

BUILD: Final = Metric("reconciler_build_info", Kind.INFO, "What runs.", ("version", "python"))
START: Final = Metric("reconciler_start_timestamp_seconds", Kind.GAUGE, "When the process began to count.")
INTERVAL: Final = Metric(
    "reconciler_pass_interval_seconds",
    Kind.GAUGE,
    "The longest time between the beginnings of two passes, as the schedule has it; absent where there is none.",
)
PASSES: Final = Metric(
    "reconciler_passes_total",
    Kind.COUNTER,
    "Passes that ended, by what they did, how they ended and why they began.",
    ("mode", "result", "trigger"),
)
DURATION: Final = Metric("reconciler_pass_duration_seconds", Kind.HISTOGRAM, "How long passes took.")
LAST_PASS: Final = Metric(
    "reconciler_last_pass_timestamp_seconds",
    Kind.GAUGE,
    "When the last pass that came to a report ended; absent before the first.",
)
LAST_SECONDS: Final = Metric(
    "reconciler_last_pass_duration_seconds",
    Kind.GAUGE,
    "How long the last pass that came to a report took; absent before the first.",
)
ACCOUNT_SUCCESS: Final = Metric(
    "reconciler_account_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When an account and the sub accounts that the files mean were last read whole; absent before that.",
    ("account_id",),
)
ACCOUNT_FAILED: Final = Metric(
    "reconciler_account_failed",
    Kind.GAUGE,
    "1 where the last pass could not read an account, or a sub account of it, else 0.",
    ("account_id",),
)
KEYS: Final = Metric(
    "reconciler_keys",
    Kind.GAUGE,
    "Keys of an account and its sub accounts, as the last pass that could read them left them.",
    ("account_id", "state"),
)
DRIFT_AGE: Final = Metric(
    "reconciler_drift_age_seconds",
    Kind.GAUGE,
    "For how long some key of an account has differed from what the files say, 0 while none does; "
    "keys that the files pause, or a change window, are told apart.",
    ("account_id", "paused"),
)
IN_SYNC_SINCE: Final = Metric(
    "reconciler_in_sync_since_timestamp_seconds",
    Kind.GAUGE,
    "Since which pass every key of an account is known to be as the files say, or paused; absent while it is not.",
    ("account_id",),
)
CHANGES: Final = Metric(
    "reconciler_changes_total",
    Kind.COUNTER,
    "Changes of the passes that ended, each time that one is planned anew.",
    ("action", "direction", "outcome"),
)
FINDINGS: Final = Metric(
    "reconciler_findings", Kind.GAUGE, "Findings of the last pass that are not waived.", ("rule", "severity")
)
REFUSALS: Final = Metric("reconciler_refusals", Kind.GAUGE, "Refusals of the last pass.", ("guardrail",))
WAIVERS: Final = Metric("reconciler_waivers", Kind.GAUGE, "Waivers of the policy.", ("days_left",))
PAUSES: Final = Metric("reconciler_pauses", Kind.GAUGE, "Keys that the files pause.", ("days_left",))
CONTESTED: Final = Metric(
    "reconciler_contested_keys", Kind.GAUGE, "Keys that are left alone since somebody undoes each change of them."
)
HOLD: Final = Metric(
    "reconciler_hold", Kind.GAUGE, "1 where RECONCILER_HOLD kept changes of the last pass from being made, else 0."
)
FROZEN: Final = Metric("reconciler_frozen_windows", Kind.GAUGE, "Change windows of the policy that are in force.")
REQUESTS: Final = Metric(
    "reconciler_requests_total",
    Kind.COUNTER,
    "Requests that ended, by the status of the answer, none where no answer came.",
    ("method", "status"),
)
RETRIES: Final = Metric(
    "reconciler_request_retries_total", Kind.COUNTER, "Requests that were sent again after a fault.", ("method",)
)
PACE_WAIT: Final = Metric(
    "reconciler_pace_wait_seconds_total",
    Kind.COUNTER,
    "Time that requests waited for their account's pace, added up over all of them.",
)
CONFIG_LOADED: Final = Metric(
    "reconciler_config_loaded_timestamp_seconds", Kind.GAUGE, "When the files and settings in force were loaded."
)
CONFIG_REJECTED: Final = Metric(
    "reconciler_config_rejected", Kind.GAUGE, "1 while the newest files or settings do not load, else 0."
)
CONFIG_REJECTIONS: Final = Metric(
    "reconciler_config_rejections_total", Kind.COUNTER, "How often files or settings did not load."
)
TRAIL_FAILURES: Final = Metric(
    "reconciler_trail_failures_total", Kind.COUNTER, "How often the trail could not be written."
)
NOTIFICATIONS: Final = Metric(
    "reconciler_notifications_total",
    Kind.COUNTER,
    "Messages to people, by whether they were delivered; one that is tried again counts again.",
    ("outcome",),
)
FAULTS: Final = Metric(
    "reconciler_faults_total", Kind.COUNTER, "Errors that nobody foresaw, in passes and beside them: bugs."
)
FAILURES: Final = Metric(
    "reconciler_metrics_failures_total", Kind.COUNTER, "Events that could not be counted: the other metrics lack them."
)

CATALOGUE: Final = (
    BUILD,
    START,
    INTERVAL,
    PASSES,
    DURATION,
    LAST_PASS,
    LAST_SECONDS,
    ACCOUNT_SUCCESS,
    ACCOUNT_FAILED,
    KEYS,
    DRIFT_AGE,
    IN_SYNC_SINCE,
    CHANGES,
    FINDINGS,
    REFUSALS,
    WAIVERS,
    PAUSES,
    CONTESTED,
    HOLD,
    FROZEN,
    REQUESTS,
    RETRIES,
    PACE_WAIT,
    CONFIG_LOADED,
    CONFIG_REJECTED,
    CONFIG_REJECTIONS,
    TRAIL_FAILURES,
    NOTIFICATIONS,
    FAULTS,
    FAILURES,
)

Values = dict[tuple[str, ...], float]
"""The series of a metric, by the values of its labels."""


def at_the_start() -> dict[Metric, Values]:
    """Give the series of each metric before anything has happened."""
    values: dict[Metric, Values] = {metric: {} if metric.labels else {(): 0.0} for metric in CATALOGUE}
    for metric in (BUILD, START, INTERVAL, DURATION, LAST_PASS, LAST_SECONDS, CONFIG_LOADED):
        values[metric] = {}
    values[PASSES] = dict.fromkeys(product(Mode, Result, (*Trigger, COMMAND)), 0.0)
    values[CHANGES] = dict.fromkeys(product(Action, Direction, Outcome), 0.0)
    values[REQUESTS] = dict.fromkeys(product(METHODS, _USUAL_STATUSES), 0.0)
    values[RETRIES] = {(method,): 0.0 for method in METHODS}
    values[NOTIFICATIONS] = {(SENT,): 0.0, (FAILED,): 0.0}
    values[REFUSALS] = {(guardrail,): 0.0 for guardrail in GUARDRAILS}
    values[WAIVERS] = {(left,): 0.0 for left in DaysLeft}
    values[PAUSES] = {(left,): 0.0 for left in DaysLeft}
    return values
