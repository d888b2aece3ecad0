"""When passes begin: at an interval, or as a crontab line says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.crontab import Crontab, read_crontab

_MOST_JITTER = timedelta(seconds=30)
_SHORTEST = timedelta(seconds=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When passes begin, and how to say so.

    ``fresh`` gives a trigger that counts from now on: one that counted from a time that a clock no longer shows would
    wait until it is shown again. ``after`` gives a beginning that comes after a moment, the n-th, without its jitter;
    ``longest`` is the longest time between two beginnings, with it.
    """

    fresh: Callable[[], BaseTrigger]
    words: str
    jitter: timedelta
    after: Callable[[datetime, int], datetime]
    longest: timedelta

    @classmethod
    def every(cls, interval: timedelta, jitter: timedelta | None = None) -> "Schedule":
        """Begin a pass each ``interval``, shifted at random by up to ``jitter`` (a tenth of it unless given).

        Raises:
            ValueError: the interval is shorter than a second, or the jitter is not shorter than the interval.
        """
        if interval < _SHORTEST:
            raise ValueError("--every must be at least 1s")
        if jitter is not None and jitter >= interval:
            raise ValueError("--jitter must be shorter than --every")
        shift = min(interval / 10, _MOST_JITTER) if jitter is None else jitter

        def fresh() -> BaseTrigger:
            return IntervalTrigger(seconds=interval.total_seconds(), jitter=shift.total_seconds() or None, timezone=UTC)

        def after(moment: datetime, count: int) -> datetime:
            return moment + interval * count

        return cls(fresh, f"every {_in_words(interval)}", shift, after, interval + shift)

    @classmethod
    def cron(cls, expression: str, jitter: timedelta = timedelta(), zone: tzinfo = UTC) -> "Schedule":
        """Begin passes as a crontab line says, in a time zone.

        Raises:
            ValueError: the expression is none, or is one whose meaning differs between programs.
        """
        try:
            trigger = read_crontab(expression, zone, jitter)
        except ValueError as error:
            raise ValueError(f"--cron {expression!r}: {error}") from None

        def after(moment: datetime, count: int) -> datetime:
            return _nth(trigger, moment, count)

        longest = trigger.longest_gap(datetime.now(UTC)) + jitter
        return cls(lambda: trigger, f"cron {expression} ({zone})", jitter, after, longest)


def _nth(trigger: Crontab, moment: datetime, count: int) -> datetime:
    for _ in range(count):
        following = trigger.first_from(moment + timedelta(microseconds=1))
        if following is None:
            return _NEVER
        moment = following
    return moment


def _in_words(interval: timedelta) -> str:
    """Write an interval in its largest whole unit, as ``--every`` takes it."""
    seconds = interval.total_seconds()
    unit, size = next(
        (unit, size) for unit, size in (("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0 or size == 1
    )
    return f"{seconds / size:g}{unit}"
