"""The change windows of policy files, checked, and when those of crontab lines are in force."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from reconciler.core.freezes import Days, Terms
from reconciler.core.keys import Source
from reconciler.files.entries import length
from reconciler.files.policy_entries import FreezeEntry
from reconciler.files.policy_rules import at
from reconciler.files.shape import Faults, Spot, shown

if TYPE_CHECKING:
    from reconciler.crontab import Crontab

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=31)
_YEARS: Final = range(2000, 3000)
_MOMENT: Final = timedelta(microseconds=1)
_MOST_BEGINNINGS: Final = 1000
_YEAR: Final = timedelta(days=366)
_DAYS: Final = "write less, or 'from' and 'until'"
_TIMES: Final = "write 'cron' and 'for', or 'from' and 'until'"


@dataclass(frozen=True, slots=True)
class Recurring:
    """A window that begins when a crontab line says and then lasts for a ``length`` of elapsed time.

    A time that a clock skips when it is put forward comes as much later as it would have come before; one that comes
    twice begins the window twice.
    """

    terms: Terms
    cron: str
    length: timedelta
    trigger: "Crontab" = field(compare=False)

    @property
    def times(self) -> tuple[object, ...]:
        """When it begins, and how long it lasts."""
        return self.cron, self.length

    @property
    def last(self) -> None:
        """It comes again and again."""
        return

    def until(self, now: datetime) -> datetime | None:
        """Give when it ends, in UTC, if it is in force at ``now``, else None.

        Where the next window begins before the end of this one, or with it, the end is the next one's. Of windows that
        never leave a gap it is that of one of the next.
        """
        now = now.astimezone(UTC)
        until: datetime | None = None
        for begins in islice(self._beginnings(now - self.length), _MOST_BEGINNINGS):
            if begins > (until or now):
                break
            if begins + self.length > now:
                until = begins + self.length
        return until

    def _beginnings(self, after: datetime) -> Iterator[datetime]:
        """Give the times at which it begins, in UTC."""
        while begins := self.trigger.first_from(after):
            yield begins
            after = begins + _MOMENT


WindowOfFile = Recurring | Days


def read_windows(entries: Iterable[tuple[FreezeEntry, Spot]], faults: Faults) -> Iterator[tuple[WindowOfFile, Spot]]:
    """Give the windows of one file, without their places; what is wrong with one goes to ``faults``."""
    for entry, spot in entries:
        zone = _zone(entry.time_zone, at(spot, "time_zone"), faults)
        terms = Terms(entry.reason, zone or UTC, entry.account, entry.allow_quarantine)
        if window := _window(entry, terms, spot, faults):
            yield window, spot


def placed(window: WindowOfFile, source: Source) -> WindowOfFile:
    """Give a window with its place."""
    return replace(window, terms=replace(window.terms, source=source))


def _window(entry: FreezeEntry, terms: Terms, spot: Spot, faults: Faults) -> WindowOfFile | None:
    match entry:
        case FreezeEntry(cron=str() as cron, length=str() as lasts, first=None, last=None):
            return _crontab(cron, lasts, terms, spot, faults)
        case FreezeEntry(cron=None, length=None, first=str() as first, last=str() as last):
            return _days(first, last, terms, spot, faults)
        case FreezeEntry(cron=str(), length=None, first=None, last=None):
            faults.wrong(spot, "'for' is missing: say how long it lasts each time, such as 62h")
        case FreezeEntry(cron=None, length=None, first=str(), last=None):
            faults.wrong(spot, "'until' is missing: say its last day, as YYYY-MM-DD")
        case FreezeEntry(cron=None, length=None, first=None, last=None):
            faults.wrong(spot, f"nothing says when it is: {_TIMES}")
        case _:
            faults.wrong(spot, f"when it is cannot be told from these together: {_TIMES}")
    return None


def _crontab(cron: str, lasts: str, terms: Terms, spot: Spot, faults: Faults) -> WindowOfFile | None:
    from reconciler.crontab import read_crontab

    for_length = length(lasts)
    if not SHORTEST <= for_length <= LONGEST:
        faults.wrong(at(spot, "for"), f"for: {lasts} is out of range: write 1m at least, and at most 31d")
    try:
        trigger = read_crontab(cron, terms.zone)
    except ValueError as error:
        faults.wrong(at(spot, "cron"), f"cron: {shown(cron)} is not understood: {error}")
        return None
    if for_length >= _longest_gap(cron):
        faults.wrong(at(spot, "for"), f"for: with {lasts} it never ends, since the next one has begun by then: {_DAYS}")
    return Recurring(terms, cron, for_length, trigger)


@lru_cache(maxsize=64)  # files are loaded for each pass, and this takes a while
def _longest_gap(cron: str) -> timedelta:
    from reconciler.crontab import read_crontab

    return read_crontab(cron).longest_gap(datetime.now(UTC))


def _days(first: str, last: str, terms: Terms, spot: Spot, faults: Faults) -> WindowOfFile | None:
    days = _day("from", first, spot, faults), _day("until", last, spot, faults)
    match days:
        case date() as begins, date() as ends if ends < begins:
            faults.wrong(at(spot, "until"), f"until: {last} is before {first}: write that day or a later one")
        case date() as begins, date() as ends if ends - begins > _YEAR:
            faults.wrong(at(spot, "until"), f"until: {last} is more than a year after {first}: write an earlier day")
        case date() as begins, date() as ends:
            return Days(terms, begins, ends)
    return None


def _day(name: str, text: str, spot: Spot, faults: Faults) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        faults.wrong(at(spot, name), f"{name}: there is no day {text} in the calendar")
        return None
    if day.year not in _YEARS:
        faults.wrong(at(spot, name), f"{name}: {text} is out of range: write a day of the years 2000 to 2999")
        return None
    return day


def _zone(name: str, spot: Spot, faults: Faults) -> tzinfo | None:
    from reconciler.crontab import read_zone

    try:
        return read_zone(name)
    except ValueError as error:
        faults.wrong(spot, f"time_zone: {error}")
    return None
