"""Crontab lines mean what crontab(5) says."""

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger

from reconciler.crontab import read_crontab

MONDAY = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


def begins(trigger: CronTrigger, count: int = 3, after: datetime = MONDAY) -> list[datetime]:
    times: list[datetime] = []
    now, previous = after, None
    for _ in range(count):
        previous = trigger.get_next_fire_time(previous, now)
        times.append(previous)
        now = previous + timedelta(seconds=1)
    return times


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 3 * * 0", ["Sun"]),
        ("0 3 * * 7", ["Sun"]),
        ("0 3 * * 1", ["Mon"]),
        ("0 3 * * 1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("0 3 * * 5-7", ["Fri", "Sat", "Sun"]),
        ("0 3 * * fri-sun", ["Fri", "Sat", "Sun"]),
        ("0 3 * * SAT,sun", ["Sat", "Sun"]),
        ("0 3 * * */2", ["Tue", "Thu", "Sat", "Sun"]),
        ("0 3 * * 1-5/2", ["Mon", "Wed", "Fri"]),
        ("0 3 * * *", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
    ],
)
def test_weekdays_count_as_in_crontab(expression: str, days: list[str]) -> None:
    """Weekdays are crontab's, counted from Sunday, in ranges, lists, steps and names."""
    times = begins(read_crontab(expression), 7)
    week = [time for time in times if time < MONDAY + timedelta(days=7)]
    assert [time.strftime("%a") for time in week] == days
    assert {time.hour for time in week} == {3}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * *", "five fields"),
        ("61 * * * *", "61"),
        ("x * * * *", '"x"'),
        ("0 3 1 * 1", "restrict one of them"),
        ("0 3 * * 8", "no range of weekdays"),
        ("0 3 * * 5-2", "no range of weekdays"),
        ("0 3 * * funday", "no weekday"),
        ("0 3 * * 1/x", "no range of weekdays"),
        ("0 3 * * 1/0", "no range of weekdays"),
    ],
)
def test_crontab_lines_that_are_none(expression: str, words: str) -> None:
    """A crontab line that is none, or that programs read differently, is refused with what is wrong."""
    with pytest.raises(ValueError, match=words):
        read_crontab(expression)
