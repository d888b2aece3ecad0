"""Counts what happens during passes: an observer of the events."""

import platform
from collections.abc import Callable
from pathlib import Path

from reconciler import __version__
from reconciler.core.events import (
    ConfigRejected,
    ConfigReloaded,
    Event,
    PassFinished,
    PassStarted,
    RequestEnded,
    RequestRetried,
    Trigger,
)
from reconciler.core.report import Mode, Report
from reconciler.files.whole import write_whole
from reconciler.metrics.catalogue import (
    ACCOUNT_FAILED,
    ACCOUNT_SUCCESS,
    BUILD,
    CHANGES,
    COMMAND,
    CONFIG_LOADED,
    CONFIG_REJECTED,
    CONFIG_REJECTIONS,
    CONTESTED,
    DRIFT_AGE,
    FAILURES,
    FINDINGS,
    FROZEN,
    HOLD,
    INTERVAL,
    KEYS,
    LAST_PASS,
    METHODS,
    OTHER,
    PACE_WAIT,
    PASSES,
    PAUSES,
    REFUSALS,
    REQUESTS,
    RETRIES,
    START,
    STATUSES,
    TRAIL_FAILURES,
    WAIVERS,
    KeyState,
    Metric,
    Values,
    at_the_start,
)
from reconciler.metrics.exposition import Durations, write
from reconciler.metrics.figures import DRIFT, Family, days_left, families, findings, found, refusals, result_of

_NOT_PAUSED, _PAUSED = "false", "true"


class Metrics:
    """Counts events, and writes down what was counted.

    It is told and asked on one thread, that of the loop. What is told of accounts is what the last pass saw; accounts
    that the files no longer name are forgotten.
    """

    def __init__(self, now: Callable[[], float], interval: float | None = None) -> None:
        """Begin to count.

        Args:
            now: Gives the time in unix seconds.
            interval: The longest time between the beginnings of two passes in seconds, where there is a schedule.
        """
        self._now = now
        self._values = at_the_start()
        self._values[BUILD] = {(__version__, platform.python_version()): 1.0}
        self._values[START] = {(): now()}
        if interval is not None:
            self._values[INTERVAL] = {(): interval}
        self._requests = self._values[REQUESTS]
        self._pace_wait = self._values[PACE_WAIT]
        self._durations = Durations()
        self._families: dict[str, Family] = {}
        self._differs_since: dict[tuple[str, ...], float | None] = {}
        self._trigger: Trigger | None = None

    @property
    def any_pass(self) -> bool:
        """Whether a pass has ended since counting began."""
        return bool(self._values[LAST_PASS])

    def observe(self, event: Event) -> None:
        """Count what happened; it never raises, since that would forbid a write."""
        try:
            self._count(event)
        except Exception:  # noqa: BLE001 # whatever it was, it must stop no pass, and a counter tells of it
            self._add(FAILURES)

    def trail_failed(self) -> None:
        """Count that the trail could not be written."""
        self._add(TRAIL_FAILURES)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Give all metrics as text, and its content type; ``accept`` is the ``Accept`` header of who asks."""
        return write(self._up_to_date(), self._durations, accept, process=True)

    def write_textfile(self, path: Path) -> None:
        """Write the metrics to a file for the textfile collector of Prometheus' node exporter, whole or not at all.

        What is told of this process itself is left out: the node exporter tells the same of itself, by the same names.

        Raises:
            OutputError: it cannot be written.
        """
        text, _ = write(self._up_to_date(), self._durations, "", process=False)
        write_whole(path, text.decode(), overwrite=True)

    def _up_to_date(self) -> dict[Metric, Values]:
        now = self._now()
        ages: Values = {each: 0.0 if since is None else now - since for each, since in self._differs_since.items()}
        return self._values | {DRIFT_AGE: ages}

    def _count(self, event: Event) -> None:
        match event:
            case RequestEnded():
                self._request_ended(event)
            case RequestRetried(method=method):
                self._add(RETRIES, _method(method))
            case PassStarted(trigger=trigger, config_age=age):
                self._trigger = trigger
                self._set(CONFIG_LOADED, self._now() - age)
                if not age:
                    self._set(CONFIG_REJECTED, 0.0)
            case PassFinished():
                self._pass_finished(event)
            case ConfigRejected():
                self._add(CONFIG_REJECTIONS)
                self._set(CONFIG_REJECTED, 1.0)
            case ConfigReloaded():
                self._set(CONFIG_LOADED, self._now())
                self._set(CONFIG_REJECTED, 0.0)
            case _:
                pass  # the report, at the end of the pass, tells the same in one piece

    def _request_ended(self, event: RequestEnded) -> None:
        labels = _method(event.method), STATUSES.get(event.status, OTHER)
        self._requests[labels] = self._requests.get(labels, 0.0) + 1
        self._pace_wait[()] += event.waited

    def _pass_finished(self, event: PassFinished) -> None:
        report, now = event.report, self._now()
        # Worked out before anything is counted: what cannot be is not counted by half.
        result = result_of(report)
        seen = {} if report.mode is Mode.AUDIT else self._accounts(report, now, now - event.seconds)
        self._values |= {
            **seen,
            LAST_PASS: {(): now},
            FINDINGS: findings(report),
            REFUSALS: (refused := refusals(report)),
            HOLD: {(): min(refused["hold",], 1.0)},
            CONTESTED: {(): found(report, "contested")},
            FROZEN: {(): found(report, "frozen")},
            WAIVERS: days_left((waiver.until for waiver in report.waivers), now),
            PAUSES: days_left((pause.until for pause in report.pauses), now),
        }
        self._durations.add(event.seconds)
        self._add(PASSES, report.mode, result, self._trigger or COMMAND)
        for change in report.changes:
            self._add(CHANGES, change.action, change.access.direction, change.outcome)

    def _accounts(self, report: Report, now: float, began: float) -> dict[Metric, Values]:
        """Give what a pass has seen of each account; what of it could not be read stays as it was known."""
        self._families = families(report, self._families)
        states = {account_id: family.states for account_id, family in self._families.items() if family.members}
        before = self._differs_since
        self._differs_since = {}
        for account_id, counted in states.items():
            differs = {_NOT_PAUSED: any(counted[state] for state in DRIFT), _PAUSED: counted[KeyState.PAUSED] > 0}
            for paused, does in differs.items():
                labels = account_id, paused
                since = before.get(labels)
                self._differs_since[labels] = (began if since is None else since) if does else None
        read = {(account_id,): now for account_id, family in self._families.items() if family.whole}
        known = {labels: at for labels, at in self._values[ACCOUNT_SUCCESS].items() if labels[0] in self._families}
        return {
            ACCOUNT_SUCCESS: known | read,
            ACCOUNT_FAILED: {(each,): float(not family.whole) for each, family in self._families.items()},
            KEYS: {(each, state): float(counted[state]) for each, counted in states.items() for state in KeyState},
        }

    def _add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        values = self._values[metric]
        values[labels] = values.get(labels, 0.0) + by

    def _set(self, metric: Metric, value: float) -> None:
        self._values[metric] = {(): value}


def _method(method: str) -> str:
    return method if method in METHODS else OTHER
