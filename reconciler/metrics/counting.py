"""Counts what happens during passes: an observer of the events."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reconciler import __version__
from reconciler.core.events import (
    ConfigRejected,
    ConfigReloaded,
    DaemonFaulted,
    Event,
    NotificationFailed,
    NotificationSent,
    PassFailed,
    PassFinished,
    PassStarted,
    RequestEnded,
    RequestRetried,
    Trigger,
)
from reconciler.core.report import Mode
from reconciler.files.whole import write_whole
from reconciler.metrics.accounts import Accounts
from reconciler.metrics.catalogue import (
    BUILD,
    CHANGES,
    COMMAND,
    CONFIG_LOADED,
    CONFIG_REJECTED,
    CONFIG_REJECTIONS,
    CONTESTED,
    FAILED,
    FAILURES,
    FAULTS,
    FINDINGS,
    FROZEN,
    HOLD,
    INTERVAL,
    LAST_PASS,
    LAST_SECONDS,
    METHODS,
    NOTIFICATIONS,
    OTHER,
    PACE_WAIT,
    PASSES,
    PAUSES,
    REFUSALS,
    REQUESTS,
    RETRIES,
    SENT,
    START,
    STATUSES,
    TRAIL_FAILURES,
    WAIVERS,
    Metric,
    Values,
    at_the_start,
)
from reconciler.metrics.exposition import Durations, write
from reconciler.metrics.figures import days_left, findings, found, refusals, result_of

_TALLIES: Final[dict[type[Event], tuple[Metric, *tuple[str, ...]]]] = {
    PassFailed: (FAULTS,),
    DaemonFaulted: (FAULTS,),
    NotificationSent: (NOTIFICATIONS, SENT),
    NotificationFailed: (NOTIFICATIONS, FAILED),
}


class Metrics:
    """Counts events, and writes down what was counted.

    It is told and asked on one thread, that of the loop.
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
        self._accounts = Accounts()
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
        return self._values | self._accounts.values(self._now())

    def _count(self, event: Event) -> None:
        match event:
            case RequestEnded():
                self._request_ended(event)
            case RequestRetried(method=method):
                self._add(RETRIES, _method(method))
            case PassStarted():
                self._pass_started(event)
            case PassFinished():
                self._pass_finished(event)
            case ConfigRejected():
                self._add(CONFIG_REJECTIONS)
                self._set(CONFIG_REJECTED, 1.0)
            case PassFailed() | DaemonFaulted() | NotificationSent() | NotificationFailed():
                self._add(*_TALLIES[type(event)])
            case ConfigReloaded():
                self._set(CONFIG_LOADED, self._now())
                self._set(CONFIG_REJECTED, 0.0)
            case _:
                pass  # the report, at the end of the pass, tells the same in one piece

    def _pass_started(self, event: PassStarted) -> None:
        self._trigger = event.trigger
        self._set(CONFIG_LOADED, self._now() - (event.config_age or 0.0))
        if event.config_age is None:
            self._set(CONFIG_REJECTED, 0.0)

    def _request_ended(self, event: RequestEnded) -> None:
        labels = _method(event.method), STATUSES.get(event.status, OTHER)
        self._requests[labels] = self._requests.get(labels, 0.0) + 1
        self._pace_wait[()] += event.waited

    def _pass_finished(self, event: PassFinished) -> None:
        report, now = event.report, self._now()
        # Worked out before anything is counted: what cannot be is not counted by half.
        result = result_of(report)
        last: dict[Metric, Values] = {
            LAST_PASS: {(): now},
            LAST_SECONDS: {(): event.seconds},
            FINDINGS: findings(report),
            REFUSALS: (refused := refusals(report)),
            HOLD: {(): min(refused["hold",], 1.0)},
            CONTESTED: {(): found(report, "contested")},
            FROZEN: {(): found(report, "frozen")},
            WAIVERS: days_left((waiver.until for waiver in report.waivers), now),
            PAUSES: days_left((pause.until for pause in report.pauses), now),
        }
        if report.mode is not Mode.AUDIT:  # which plans nothing, so that it cannot tell what is in sync
            self._accounts.learn(report, now - event.seconds, now)
        self._values |= last
        self._durations.add(event.seconds)
        self._add(PASSES, report.mode, result, self._trigger or COMMAND)
        for change in report.changes:
            self._add(CHANGES, change.action, change.access.direction, change.outcome)

    def _add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        values = self._values[metric]
        values[labels] = values.get(labels, 0.0) + by

    def _set(self, metric: Metric, value: float) -> None:
        self._values[metric] = {(): value}


def _method(method: str) -> str:
    return method if method in METHODS else OTHER
