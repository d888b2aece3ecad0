"""One worker that makes passes, woken by a schedule."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.ahasend.pace import Stop
from reconciler.core.events import ConfigRejected, ConfigReloaded, DaemonStarted, DaemonStopped, Observer
from reconciler.core.memory import Memory
from reconciler.core.report import Report
from reconciler.errors import FilesError, Interrupted, ReconcilerError
from reconciler.reconcile import PassInputs, run_pass

_MOST_JITTER = timedelta(seconds=30)
_SHORTEST = timedelta(seconds=1)
_CRON_FIELDS = 5
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SUNDAY = 7


@dataclass(frozen=True, slots=True)
class Schedule:
    """When passes begin, and how to say so."""

    trigger: BaseTrigger
    words: str

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
        trigger = IntervalTrigger(seconds=interval.total_seconds(), jitter=shift.total_seconds() or None, timezone=UTC)
        return cls(trigger, f"every {_in_words(interval)}")

    @classmethod
    def cron(cls, expression: str, jitter: timedelta = timedelta()) -> "Schedule":
        """Begin passes as a crontab line says, in UTC.

        Raises:
            ValueError: the expression is none, or is one whose meaning differs between programs.
        """
        parts = expression.split()
        if len(parts) != _CRON_FIELDS:
            raise ValueError(f"--cron {expression!r}: write five fields, such as '*/5 * * * *'")
        minute, hour, day, month, weekday = parts
        if day != "*" and weekday != "*":
            raise ValueError(
                f"--cron {expression!r} restricts both the day of the month and the day of the week, "
                "which programs read differently: restrict one of them"
            )
        try:
            trigger = CronTrigger(
                minute=minute,
                hour=hour,
                day=day,
                month=month,
                day_of_week=_weekdays(weekday),
                timezone=UTC,
                jitter=jitter.total_seconds() or None,
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"--cron {expression!r}: {error}") from None
        if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
            raise ValueError(f"--cron {expression!r} names no time that ever comes")
        return cls(trigger, f"cron {expression} (UTC)")


def _in_words(interval: timedelta) -> str:
    """Write an interval in its largest whole unit, as ``--every`` takes it."""
    seconds = interval.total_seconds()
    unit, size = next(
        (unit, size) for unit, size in (("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0 or size == 1
    )
    return f"{seconds / size:g}{unit}"


def _weekdays(field: str) -> str:
    """Write weekdays out by name: crontab counts from Sunday (0 and 7), APScheduler from Monday.

    Raises:
        ValueError: the field is no list of days, ranges and steps.
    """
    if field == "*":
        return field
    days = [day for part in field.lower().split(",") for day in _days(part)]
    return ",".join(dict.fromkeys(_WEEKDAYS[day] for day in days))


def _days(part: str) -> range:
    ends, _, step = part.partition("/")
    first, _, last = ("0-6" if ends == "*" else ends).partition("-")
    start = _day(first)
    end = _day(last) if last else start
    if end == 0 < start:  # a range that ends on Sunday
        end = _SUNDAY
    if not 0 <= start <= end <= _SUNDAY or not (step or "1").strip("0").isdecimal():
        raise ValueError(f"{part!r} is no range of weekdays: write sun, 1-5 or mon-fri/2")
    return range(start, end + 1, int(step or 1))


def _day(text: str) -> int:
    """Count a weekday from Sunday, by name or number."""
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no weekday: write sun to sat, or 0 to 7")
    return int(text)


class Service:
    """Makes passes, one after another: one at once, then one each time that the schedule says.

    The schedule only sets an event, so that nothing is ever dropped or cancelled: a beginning that was missed, or that
    came while a pass was under way, is made up for by one pass.
    """

    def __init__(self, schedule: Schedule, load: Callable[[], PassInputs], deliver: Callable[[Report], None]) -> None:
        self._schedule = schedule
        self._load = load
        self._deliver = deliver
        self._due = asyncio.Event()
        self._rejected = False

    async def run(self, stop: Stop, observe: Observer) -> None:
        """Make passes until asked to stop.

        Raises:
            ReconcilerError: what the first pass needs does not load. Later, that is reported, and tried again.
        """
        inputs: PassInputs | None = await stop.unless_requested(self._load)
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_job(self._wake, self._schedule.trigger, misfire_grace_time=None, coalesce=True, max_instances=1)
        scheduler.start()
        observe(DaemonStarted(self._schedule.words))
        memory = Memory()
        try:
            while not stop.requested.is_set():
                memory = await self._pass(inputs, memory, observe) if inputs else memory
                await self._wait(stop)
                inputs = None if stop.requested.is_set() else await self._reload(stop, observe)
        finally:
            scheduler.shutdown(wait=False)
            observe(DaemonStopped("asked to stop", memory.passes))

    async def _pass(self, inputs: PassInputs, memory: Memory, observe: Observer) -> Memory:
        """Make one pass; a setting that shows to be wrong only then, as that of a proxy, is told like a broken file."""
        try:
            report, memory = await run_pass(inputs, datetime.now(UTC), memory)
        except ReconcilerError as error:
            self._reject(error, observe)
        else:
            self._deliver(report)
        return memory

    async def _wake(self) -> None:
        self._due.set()

    async def _wait(self, stop: Stop) -> None:
        """Wait until a pass is due, or until asked to stop."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._due, stop.requested)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        self._due.clear()

    async def _reload(self, stop: Stop, observe: Observer) -> PassInputs | None:
        """Load files and settings anew; None where they do not load, which the next time may mend."""
        try:
            inputs = await stop.unless_requested(self._load)
        except Interrupted:
            return None
        except ReconcilerError as error:
            self._reject(error, observe)
            return None
        if self._rejected:
            self._rejected = False
            desired = inputs.desired
            observe(ConfigReloaded(len(desired.accounts), desired.named))
        return inputs

    def _reject(self, error: ReconcilerError, observe: Observer) -> None:
        self._rejected = True
        if isinstance(error, FilesError):
            observe(ConfigRejected(error.problems, "the files do not load"))
        else:
            observe(ConfigRejected((), str(error)))
