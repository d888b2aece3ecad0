"""Ages of keys, and the time line on which they are shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.render.ages import STALE, Life, Scale, Share, last_uses, moment
from render.rich import key

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def life(*, made: timedelta | None = timedelta(days=400), used: timedelta | None = None) -> Life:
    """Give the life of a key that was made and used so long ago."""
    return Life(None if made is None else NOW - made, None if used is None else NOW - used, NOW)


def test_times_are_read_whatever_they_are() -> None:
    """RFC 3339 is read, in UTC where no zone is said; what is no time, and no text at all, is none."""
    assert moment("2026-11-24T09:00:00Z") == NOW
    assert moment("2026-11-24T10:00:00+01:00") == NOW
    assert moment("2026-11-24T09:00:00") == NOW
    assert moment("yesterday") is None
    assert moment(None) is None
    for beyond in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z", "9000-01-01"):
        assert moment(beyond) is None  # no day could be added to it, or taken from it
    assert Life.of(replace(key(1, "a", made="x", used=None), last_used_at="y"), NOW) == Life(None, None, NOW)


def test_how_long_a_key_is_idle() -> None:
    """Idle is the time since the last use, since it was made where there is none, never less than nothing."""
    assert life(used=timedelta(days=3)).idle == timedelta(days=3)
    assert life().idle == timedelta(days=400)
    assert life(made=None).idle is None
    assert life(used=timedelta(seconds=-5)).idle == timedelta()


@pytest.mark.parametrize(("used", "stale"), [(STALE, True), (STALE - timedelta(seconds=1), False), (None, True)])
def test_a_key_is_stale_after_90_days(used: timedelta | None, stale: bool) -> None:
    """A key is stale from the 90th day on, a key that was never used from the 90th day after it was made."""
    assert life(used=used).stale is stale
    assert not life(made=None).stale
    assert not life(made=timedelta(days=89)).stale


def test_last_uses_are_counted_by_how_long_ago() -> None:
    """Each key counts once, the last second of a span with it; shares are of the most frequent answer."""
    days = (0, 1, 1.1, 7, 30, 90, 182, 365, 366)
    told = last_uses([*(life(used=timedelta(days=each)) for each in days), life(), life(made=None)])
    assert [(share.told, share.count) for share in told] == [
        ("in the last day", 2),
        ("2 to 7 days ago", 2),
        ("8 to 30 days ago", 1),
        ("31 to 90 days ago", 1),
        ("91 days to half a year ago", 1),
        ("half a year to a year ago", 1),
        ("longer ago", 1),
        ("never", 2),
    ]
    assert told[0] == Share("in the last day", 2, 100.0)
    assert told[2].percent == 50.0
    assert {share.percent for share in last_uses([])} == {0.0}


def test_the_time_line_holds_every_life() -> None:
    """It goes from the first day that a key was made to the day of the report; what is beyond stands at its ends."""
    scale = Scale.over([life(made=timedelta(days=100)), life(made=None, used=timedelta(days=200))], NOW)
    assert scale == Scale(NOW - timedelta(days=200), NOW)
    assert scale.place(NOW) == 100.0
    assert scale.place(NOW - timedelta(days=50)) == 75.0
    assert scale.place(NOW - timedelta(days=500)) == 0.0
    assert scale.place(NOW + timedelta(days=1)) == 100.0
    assert Scale.over([], NOW) == Scale(NOW - timedelta(days=30), NOW)
    assert Scale.over([life(made=None)], NOW) == Scale(NOW - timedelta(days=30), NOW)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (30, ["2026-11"]),
        (150, ["2026-07", "2026-08", "2026-09", "2026-10", "2026-11"]),
        (400, ["2025-11", "2026-01", "2026-03", "2026-05", "2026-07", "2026-09", "2026-11"]),
        (600, ["2025-07", "2025-10", "2026-01", "2026-04", "2026-07", "2026-10"]),
        (1000, ["2024-07", "2025-01", "2025-07", "2026-01", "2026-07"]),
        (2000, ["2022", "2023", "2024", "2025", "2026"]),
        (700_000, ["500", "1000", "1500", "2000"]),
    ],
)
def test_marks_are_as_many_as_one_can_read(days: int, told: list[str]) -> None:
    """Marks stand at the first of months, and their steps grow, so that there are never more than eight."""
    scale = Scale(NOW - timedelta(days=days), NOW)
    assert [tick.told for tick in scale.ticks] == told
    assert all(0 <= tick.percent <= 100 for tick in scale.ticks)
    year, _, month = told[0].partition("-")
    first = datetime(int(year), int(month or 1), 1, tzinfo=UTC)
    assert scale.ticks[0].percent == scale.place(first)


def test_a_mark_is_at_most_one_of_eight() -> None:
    """Whatever the length of the line, down to the beginning of the calendar."""
    for days in (*range(1, 4000, 7), 738_000):
        assert len(Scale(NOW - timedelta(days=days), NOW).ticks) <= 8
