"""Crontab lines, as crontab(5) and not as a scheduler understands them: weekdays count from Sunday, in a time zone."""

from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.cron import CronTrigger

_FIELDS = 5
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SUNDAY = 7


def read_crontab(expression: str, zone: tzinfo = UTC, jitter: timedelta = timedelta()) -> CronTrigger:
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
    try:
        trigger = CronTrigger(
            minute=minute,
            hour=hour,
            day=day,
            month=month,
            day_of_week=_weekdays(weekday),
            timezone=zone,
            jitter=jitter.total_seconds() or None,
        )
    except TypeError as error:
        raise ValueError(str(error)) from None
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
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
