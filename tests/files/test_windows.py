"""Change windows of crontab lines: when they are in force, above all in the nights in which clocks are changed."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from reconciler.core.freezes import Days, Terms, in_force
from reconciler.core.keys import Source
from reconciler.crontab import read_crontab
from reconciler.files.policy import load_policy
from reconciler.files.windows import Recurring

BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = timedelta(microseconds=1)
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
"""At 02:00 in Berlin it is 03:00."""
BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""At 03:00 in Berlin it is 02:00 again."""


def window(cron: str, lasts: timedelta, zone: ZoneInfo = BERLIN) -> Recurring:
    return Recurring(Terms("r", zone), cron, lasts, read_crontab(cron, zone))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def every(begin: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


@pytest.mark.parametrize(
    ("friday", "monday"),
    [
        ("2026-11-27T18:00+01:00", "2026-11-30T08:00+01:00"),
        ("2026-03-27T18:00+01:00", "2026-03-30T09:00+02:00"),
        ("2026-10-23T18:00+02:00", "2026-10-26T07:00+01:00"),
    ],
)
def test_a_weekend(friday: str, monday: str) -> None:
    """A window begins by the clock of its zone and lasts for hours that go by, whatever is done to that clock."""
    weekend = window("0 18 * * fri", timedelta(hours=62))
    begin, end = at(friday), at(monday)
    assert end - begin == timedelta(hours=62)
    times = (begin - MOMENT, begin, begin + timedelta(hours=30), end - MOMENT, end)
    assert [weekend.until(now) for now in times] == [None, end, end, end, None]
    assert [weekend.until(now.astimezone(BERLIN)) for now in times] == [None, end, end, end, None]


@pytest.mark.parametrize("lasts", [timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=3), timedelta(days=2)])
@pytest.mark.parametrize(
    ("cron", "night", "begins"),
    [
        # A time that is skipped comes as much later as it would have come before: 02:30 is 03:30 then.
        ("30 2 * * *", FORWARD, [FORWARD + timedelta(minutes=30)]),
        ("0 2 * * sun", FORWARD, [FORWARD]),
        ("45 1 * * *", FORWARD, [FORWARD - timedelta(minutes=15)]),
        ("0 3 * * *", FORWARD, [FORWARD]),
        # A time that comes twice begins the window twice.
        ("30 2 * * *", BACK, [BACK - timedelta(minutes=30), BACK + timedelta(minutes=30)]),
        ("0 2 * * sun", BACK, [BACK - timedelta(hours=1), BACK]),
        ("45 1 * * *", BACK, [BACK - timedelta(minutes=75)]),
        ("0 3 * * *", BACK, [BACK + timedelta(hours=1)]),
    ],
)
def test_a_night_in_which_clocks_change(cron: str, night: datetime, begins: list[datetime], lasts: timedelta) -> None:
    """At every minute of the day it is in force exactly where one that began that day has not lasted long enough."""
    once = window(f"{cron.rsplit(' ', 3)[0]} {night.day} {night.month} *", lasts)
    for now in every(night - timedelta(hours=5), night + timedelta(hours=5), timedelta(minutes=1)):
        wanted = any(begin <= now < begin + lasts for begin in begins)
        assert (once.until(now) is not None) is wanted, now


@pytest.mark.parametrize("asked", [timedelta(minutes=minutes) for minutes in range(1, 60, 7)])
def test_a_skipped_time_is_found_from_inside_of_the_gap(asked: timedelta) -> None:
    """APScheduler passes over a skipped time if asked from inside of the gap; no window ends early for that."""
    night = window("30 2 * * *", timedelta(hours=10))
    end = FORWARD + timedelta(minutes=30, hours=10)
    assert night.until(FORWARD + timedelta(hours=10) + asked) == (end if asked < timedelta(minutes=30) else None)


def test_windows_that_overlap_end_with_the_last() -> None:
    """Where the next one begins before the end of this one, or with it, changes are made only after the next one's."""
    both = window("0 18 * * fri,sat", timedelta(hours=38))
    assert both.until(at("2026-11-27T18:00+01:00")) == at("2026-11-30T08:00+01:00")
    touching = window("0 0 * dec *", timedelta(hours=24))
    assert touching.until(at("2026-12-01T00:00+01:00")) == at("2027-01-01T00:00+01:00")
    assert touching.until(at("2027-01-01T00:00+01:00")) is None
    apart = window("0 18 * * fri,sat", timedelta(hours=24) - timedelta(minutes=1))
    assert apart.until(at("2026-11-27T18:00+01:00")) == at("2026-11-28T17:59+01:00")


@pytest.mark.parametrize(("cron", "lasts"), [("* * * * *", 31), ("0 0 * * *", 3), ("0 * * * *", 31)])
def test_windows_without_a_gap_are_always_in_force(cron: str, lasts: int) -> None:
    """A window that is longer than its period is in force whenever it is asked, with an end that lies ahead."""
    always = window(cron, timedelta(days=lasts), ZoneInfo("UTC"))
    for now in every(at("2026-11-23T12:00:30Z"), at("2026-11-24T12:00Z"), timedelta(hours=5)):
        until = always.until(now)
        assert until is not None
        assert until > now


def test_the_end_of_the_calendar() -> None:
    """Where a crontab line names no further time, nothing is in force for it."""
    assert window("0 0 1 1 *", timedelta(hours=1)).until(datetime(9999, 12, 30, tzinfo=UTC)) is None


def test_what_a_policy_says(tmp_path: Path) -> None:
    """Each window is there with its terms and its place; a zone is UTC unless said, in whatever way that is written."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\nfreeze:\n"
        '  - {cron: "0 18 * * fri", for: 62h, time_zone: Europe/Berlin, reason: weekend}\n'
        '  - {from: 2026-12-20, until: 2027-01-03, account: "1111*", allow_quarantine: true, reason: year end}\n'
        "  - {from: 2026-12-20, until: 2026-12-20, time_zone: Etc/UTC, reason: a day}\n",
        encoding="utf-8",
    )
    weekend, *days = load_policy([path]).limits.windows
    place = [Source(str(path), line, 5) for line in (3, 4, 5)]
    assert weekend.terms == Terms("weekend", BERLIN, source=place[0])
    assert (weekend.last, weekend.until(at("2026-11-29T00:00Z"))) == (None, at("2026-11-30T07:00Z"))
    year_end = Terms("year end", UTC, "1111*", allow_quarantine=True, source=place[1])
    assert days == [
        Days(year_end, date(2026, 12, 20), date(2027, 1, 3)),
        Days(Terms("a day", ZoneInfo("Etc/UTC"), source=place[2]), date(2026, 12, 20), date(2026, 12, 20)),
    ]


def test_all_windows_of_all_policies_hold(tmp_path: Path) -> None:
    """Several policies have the windows of each of them, whatever the order in which they are named."""
    paths = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    for number, path in enumerate(paths):
        text = f"version: 1\nfreeze: [{{from: 2026-12-2{number}, until: 2026-12-24, reason: r{number}}}]\n"
        path.write_text(text, encoding="utf-8")
    loaded = load_policy(paths[::-1])
    assert loaded == load_policy(paths)
    assert [each.terms.reason for each in in_force(loaded.limits.windows, at("2026-12-20T12:00Z"))] == ["r0"]
    assert [each.terms.reason for each in in_force(loaded.limits.windows, at("2026-12-24T12:00Z"))] == ["r0", "r1"]
    paths[0].write_text("version: 1\n", encoding="utf-8")
    assert load_policy(paths).policy.digest != loaded.policy.digest
