"""Crontab lines mean what crontab(5) says."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.crontab import Crontab, read_crontab, read_zone

MONDAY = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


def begins(trigger: Crontab, count: int = 3, after: datetime = MONDAY) -> list[datetime]:
    times: list[datetime] = []
    now, previous = after, None
    for _ in range(count):
        previous = trigger.get_next_fire_time(previous, now)
        assert previous
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


BERLIN = read_zone("Europe/Berlin")
SPRING = datetime(2026, 3, 28, 23, 45, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 23, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "times"),
    [
        ("30 2 * * *", SPRING, ["29 01:30", "30 00:30", "31 00:30"]),  # 02:30 is not there, and comes as 03:30
        ("0 3 * * *", SPRING, ["29 01:00", "30 01:00"]),
        ("*/30 * * * *", SPRING, ["29 00:00", "29 00:30", "29 01:00", "29 01:30", "29 02:00"]),
        ("30 2 * * *", AUTUMN, ["25 00:30", "25 01:30", "26 01:30"]),  # 02:30 is there twice
        ("0 3 * * *", AUTUMN, ["25 02:00", "26 02:00"]),
        ("*/30 * * * *", AUTUMN, ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00"]),
        ("0 12 1 7 *", AUTUMN, ["01 10:00", "01 10:00"]),
    ],
)
def test_nights_in_which_clocks_change(expression: str, after: datetime, times: list[str]) -> None:
    """Where clocks go forward what is skipped comes later, where they go back no hour is left out; nothing sticks."""
    found = begins(read_crontab(expression, BERLIN), len(times), after)
    assert [time.strftime("%d %H:%M") for time in found] == times
    assert found == sorted(set(found))


@pytest.mark.parametrize("hour", range(24))
def test_from_any_moment_of_such_a_night(hour: int) -> None:
    """Asked at any moment of such a day, the next time of a line is that of the clock, and never lies in the past."""
    trigger = read_crontab("*/7 2,3 * * *", BERLIN)
    for day in (SPRING, AUTUMN):
        moment = day + timedelta(hours=hour, minutes=17)
        time = trigger.first_from(moment)
        assert time
        assert moment <= time
        assert time.astimezone(BERLIN).hour in (2, 3, 4)
        walked = next(
            each
            for minutes in range(60 * 26)
            if (each := (moment + timedelta(minutes=minutes)).replace(second=0)).astimezone(BERLIN).hour in (2, 3)
            and each.astimezone(BERLIN).minute % 7 == 0
        )
        assert time <= walked


def test_jitter_only_delays() -> None:
    """Jitter shifts each time by up to so much, and never to before its time."""
    trigger = read_crontab("0 3 * * *", jitter=timedelta(seconds=30))
    shifts = {(begins(trigger, 1)[0] - MONDAY - timedelta(hours=3)).total_seconds() for _ in range(50)}
    assert min(shifts) >= 0
    assert 0 < max(shifts) <= 30


@pytest.mark.parametrize("name", ["Europe/Berln", "Mars", "../../etc/passwd", "/etc/localtime", "Europe", "", "a\0b"])
def test_time_zones_that_are_none(name: str) -> None:
    """What is no time zone is refused, a path and a folder of zones too, with what was probably meant."""
    with pytest.raises(ValueError, match="no time zone"):
        read_zone(name)


def test_a_time_zone_that_is_nearly_one() -> None:
    """A misspelt zone is answered with the nearest."""
    with pytest.raises(ValueError, match=r"did you mean 'Europe/Berlin'\?"):
        read_zone("Europe/Berln")


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("*/5 * * * *", 1 / 12),
        ("0 3 * * *", 24),
        ("0 3,4 * * *", 23),
        ("* 8-18 * * mon-fri", 61 + 1 / 60),
        ("0 3 1,15 * *", 24 * 17),
        ("0 3 1 * *", 24 * 31),
        ("0 3 1 1 *", 24 * 365),
        ("0 0 29 2 *", 24 * 366),
    ],
)
@pytest.mark.parametrize(
    "start", [MONDAY, datetime(2026, 11, 2, 12, 30, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC)]
)
def test_the_longest_gap(expression: str, hours: float, start: datetime) -> None:
    """The longest time without a beginning is that over nights, weekends and months, whenever it is asked for."""
    gap = read_crontab(expression, BERLIN).longest_gap(start)
    assert gap.total_seconds() / 3600 == pytest.approx(hours, abs=1e-6)
