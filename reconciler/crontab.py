"""Crontab lines, as crontab(5) and not as a scheduler understands them: weekdays count from Sunday, in a time zone."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

_FIELDS = 5
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SUNDAY = 7


_INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_YEAR = timedelta(days=366)
_NEAR = timedelta(hours=3)
"""More than any clock is put forward or back at once."""
_ALIKE = 0.8
"""How like a name must be to a zone's to be a misspelling of it: Europe is like no city in it."""


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
        # Near a change of clocks what they showed before and will show after counts, too: they may have skipped
        # something that is still to come, or be about to show it again.
        offsets = {self._offset(start + near) for near in (-_NEAR, timedelta(), _NEAR)}
        # And far away they may show something else than now.
        if first := self._at(self._offset(start), start):
            offsets.add(self._offset(first))
        latest = max(first or start, start) + _NEAR
        return min(filter(None, (self._counting(offset, start, latest) for offset in offsets)), default=None)

    def longest_gap(self, now: datetime) -> timedelta:
        """Give the longest time between two of the coming year, as clocks show them; a year where there is none."""
        shown = self._make(UTC)
        gaps, last = [], None
        moment, end = now.astimezone(UTC), now + _YEAR
        times: list[datetime] = []
        while moment < end and (first := shown.get_next_fire_time(None, moment)):
            day = first.replace(hour=0, minute=0)
            times = times or _times_of(shown, day)  # which are those of each day that has any
            if last is not None:
                gaps.append(day + (times[0] - times[0].replace(hour=0, minute=0)) - last)
            last = day + (times[-1] - times[-1].replace(hour=0, minute=0))
            moment = day + _DAY
        gaps += (later - earlier for earlier, later in pairwise(times))
        return max(gaps, default=_YEAR)

    def _counting(self, offset: timedelta, start: datetime, latest: datetime) -> datetime | None:
        """Give the first time that counts where clocks are so much ahead of UTC, None where it is after ``latest``."""
        coming = self._at(offset, start)
        while coming and coming <= latest:
            if self._counts(coming, offset):
                return coming
            coming = self._at(offset, coming + _INSTANT)
        return None

    def _at(self, offset: timedelta, start: datetime) -> datetime | None:
        """Give the first time from ``start`` if clocks were always so much ahead of UTC."""
        if offset not in self._by_offset:
            self._by_offset[offset] = self._make(timezone(offset))
        coming: datetime | None = self._by_offset[offset].get_next_fire_time(None, start.astimezone(timezone(offset)))
        return coming and coming.astimezone(UTC)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()

    def _counts(self, moment: datetime, offset: timedelta) -> bool:
        """Tell whether clocks are so much ahead of UTC then, or were before they skipped what they would show."""
        if self._offset(moment) == offset:
            return True
        shown = moment.astimezone(timezone(offset)).replace(tzinfo=None)
        there_and_back = shown.replace(tzinfo=self._zone).astimezone(UTC).astimezone(self._zone)
        return there_and_back.replace(tzinfo=None) != shown and self._offset(moment - _NEAR) == offset


def _times_of(shown: CronTrigger, day: datetime) -> list[datetime]:
    """Give the times of one day."""
    times: list[datetime] = []
    moment: datetime | None = day
    while (moment := shown.get_next_fire_time(None, moment)) and moment < day + _DAY:
        times.append(moment)
        moment += _INSTANT
    return times


def read_zone(name: str) -> tzinfo:
    """Give a time zone by its name in the IANA database.

    Raises:
        ValueError: there is none of that name, which may be anything, also a path that leads somewhere else.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}: {_meant(name)}") from None


def _meant(name: str) -> str:
    """Say which zone was probably meant: people leave the continent out, or write the name in their own case."""
    zones = {zone.lower(): zone for zone in sorted(available_timezones())}
    wanted = name.strip().lower().replace(" ", "_")
    near = [zone for zone in zones if zone.endswith(f"/{wanted}")] or get_close_matches(wanted, zones, 1, _ALIKE)
    return f"did you mean {zones[near[0]]!r}?" if near else "write the name of a city's, such as Europe/Berlin, or UTC"


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
