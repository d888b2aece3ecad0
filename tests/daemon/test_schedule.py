"""When passes begin."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.daemon.schedule import Schedule


def test_an_interval_has_jitter() -> None:
    """An interval's beginnings are shifted by up to a tenth of it, at most 30 s, or as it was said."""
    assert Schedule.every(timedelta(minutes=1)).jitter == timedelta(seconds=6)
    assert Schedule.every(timedelta(hours=1)).jitter == timedelta(seconds=30)
    assert Schedule.every(timedelta(hours=1)).fresh().jitter == 30
    assert Schedule.every(timedelta(hours=1), timedelta()).fresh().jitter is None
    assert Schedule.cron("0 3 * * *", timedelta(seconds=5)).jitter == timedelta(seconds=5)


def test_the_beginnings_after_a_moment() -> None:
    """The third beginning after a moment is three intervals later, or the third time of the crontab line."""
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert Schedule.every(timedelta(minutes=5)).after(noon, 3) == noon + timedelta(minutes=15)
    assert Schedule.cron("0 12 * * 1-5").after(noon, 1) == noon + timedelta(days=1)
    assert Schedule.cron("0 12 * * 1-5").after(noon, 5) == noon + timedelta(days=7)
    assert Schedule.cron("0 0 1 1 *").after(datetime(9998, 6, 1, tzinfo=UTC), 3).year == 9999


def test_the_longest_time_between_beginnings() -> None:
    """It is the interval, or the longest gap of the crontab line, and the jitter."""
    assert Schedule.every(timedelta(minutes=5)).longest == timedelta(minutes=5, seconds=30)
    assert Schedule.cron("0 3 * * 1-5", timedelta(minutes=1)).longest == timedelta(days=3, minutes=1)
    assert Schedule.cron("0 3 1 * *").longest == timedelta(days=31)


def test_intervals_that_are_none() -> None:
    """An interval under a second, or jitter as long as the interval, is refused."""
    with pytest.raises(ValueError, match="at least 1s"):
        Schedule.every(timedelta(milliseconds=999))
    with pytest.raises(ValueError, match="shorter than --every"):
        Schedule.every(timedelta(seconds=5), timedelta(seconds=5))


def test_a_crontab_line_that_is_none() -> None:
    """A crontab line that is none is refused by the name of its option, with what is wrong."""
    with pytest.raises(ValueError, match=r"--cron '61 \* \* \* \*': .*61"):
        Schedule.cron("61 * * * *")
