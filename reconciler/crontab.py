"""Crontab lines, as crontab(5) and not as a scheduler understands them: weekdays count from Sunday, in a time zone."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

_FIELDS = 5
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SUNDAY = 7


_INSTANT = timedelta(microseconds=1)


class Crontab(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """The times that a crontab line names on the clocks of a zone.

    In the night in which clocks go forward, what falls into the hour that is missing comes as much later; where they go
    back, what falls into the hour that comes twice comes twice. APScheduler's own trigger gives the second of such
    times again and again, and its scheduler never ends asking for the next.
    """

    def __init__(self, make: Callable[[tzinfo], CronTrigger], zone: tzinfo, jitter: timedelta) -> None:
        self._make = make
        self._zone = zone
        self._jitter = jitter
        self._by_offset: dict[timedelta, CronTrigger] = {}

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Give the first time that is not before ``now``, and after the previous one, in UTC."""
        start = now if previous_fire_time is None else max(now, previous_fire_time + _INSTANT)
        coming = self.first_from(start)
        shift = random.uniform(0, self._jitter.total_seconds())  # noqa: S311 # spreads load, hides nothing
        return coming and coming + timedelta(seconds=shift)

    def first_from(self, start: datetime) -> datetime | None:
        """Give the first time that is not before ``start``, without any jitter, in UTC; None where there is none."""
        here = self._offset(start)
        first = self._at(here, start)
        if first is None or (there := self._offset(first)) == here:
            return first
        # Clocks change before that: what it says is right only where no clock shows that time at all.
        second = self._at(there, start)
        while second and self._offset(second) != there:
            second = self._at(there, second + _INSTANT)
        return min(first, second) if second and self._skipped(first.astimezone(timezone(here))) else second

    def _at(self, offset: timedelta, start: datetime) -> datetime | None:
        """Give the first time from ``start`` if clocks were always so much ahead of UTC."""
        if offset not in self._by_offset:
            self._by_offset[offset] = self._make(timezone(offset))
        coming: datetime | None = self._by_offset[offset].get_next_fire_time(None, start.astimezone(timezone(offset)))
        return coming and coming.astimezone(UTC)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()

    def _skipped(self, shown: datetime) -> bool:
        """Tell whether clocks of the zone never show this time."""
        local = shown.replace(tzinfo=self._zone)
        return local.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) != shown.replace(tzinfo=None)


def read_zone(name: str) -> ZoneInfo:
    """Give a time zone by its name in the IANA database.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a path, or a folder of zones, is none either
        near = get_close_matches(name, available_timezones(), n=1)
        meant = f"did you mean {near[0]}?" if near else "write one such as Europe/Berlin"
        raise ValueError(f"{name!r} is no time zone: {meant}") from None


def read_crontab(expression: str, zone: tzinfo = UTC, jitter: timedelta = timedelta()) -> Crontab:
    """Give the times that a crontab line names in a time zone, each shifted at random by up to ``jitter``.

    Raises:
        ValueError: the expression is none, is one whose meaning differs between programs, or names no time at all.
    """
    parts = expression.split()
    if len(parts) != _FIELDS:
        raise ValueError("write five fields, such as '*/5 * * * *'")
    minute, hour, day, month, weekday = parts
    if day != "*" and weekday != "*":
        raise ValueError(
            "it restricts both the day of the month and the day of the week, "
            "which programs read differently: restrict one of them"
        )
    days = _weekdays(weekday)

    def make(offset: tzinfo) -> CronTrigger:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=days, timezone=offset)

    try:
        make(UTC)
    except TypeError as error:
        raise ValueError(str(error)) from None
    trigger = Crontab(make, zone, jitter)
    if trigger.first_from(datetime.now(UTC)) is None:
        raise ValueError("it names no time that ever comes")
    return trigger


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
