"""How long ago keys were made and used, and the time line on which that is shown."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.core.inventory import ReportedKey

STALE: Final = timedelta(days=90)
"""A key that was not used for so long, or was made so long ago and never used, is shown as stale."""
_SPANS: Final = (
    ("in the last day", timedelta(days=1)),
    ("2 to 7 days ago", timedelta(days=7)),
    ("8 to 30 days ago", timedelta(days=30)),
    ("31 to 90 days ago", STALE),
    ("91 days to half a year ago", timedelta(days=182)),
    ("half a year to a year ago", timedelta(days=365)),
)
_LONGER: Final = "longer ago"
_NEVER: Final = "never"
_MOST_TICKS: Final = 8
_YEARS: Final = range(1970, 9000)
"""Those that a time may be in: days can be added to it and taken from it, too."""
_TIME: Final = re.compile(
    r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def moment(text: str | None) -> datetime | None:
    """Read a time in RFC 3339, in UTC; None where there is none, or nobody can have meant it."""
    try:
        read = datetime.fromisoformat(text or "")
        when = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return when if when.year in _YEARS else None


def minute(text: str) -> str:
    """Write a time to the minute; one that nobody can read stays as it is."""
    when = moment(text)
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else text


def to_the_minute(text: str) -> str:
    """Write the times in a sentence, in RFC 3339, as a person reads them."""
    return _TIME.sub(lambda found: minute(found[0]), text)


@dataclass(frozen=True, slots=True)
class Life:
    """When a key was made and last used (None: never, or nobody can tell), as of some time."""

    made: datetime | None
    used: datetime | None
    now: datetime

    @classmethod
    def of(cls, key: ReportedKey, now: datetime) -> "Life":
        """Read the times of a key."""
        return cls(moment(key.created_at), moment(key.last_used_at), now)

    @property
    def idle(self) -> timedelta | None:
        """How long it was not used, since it was made if it never was."""
        since = self.used or self.made
        return max(self.now - since, timedelta()) if since else None

    @property
    def stale(self) -> bool:
        """Whether nobody used it for long."""
        idle = self.idle
        return idle is not None and idle >= STALE


@dataclass(frozen=True, slots=True)
class Share:
    """So many of all keys were last used then; ``percent`` is of the most frequent answer."""

    told: str
    count: int
    percent: float


def last_uses(lives: Iterable[Life]) -> tuple[Share, ...]:
    """Count keys by how long ago they were last used."""
    counts = Counter(map(_span, lives))
    told = [*(name for name, _ in _SPANS), _LONGER, _NEVER]
    most = max(counts.values(), default=0) or 1
    return tuple(Share(name, counts[name], round(100 * counts[name] / most, 1)) for name in told)


def _span(life: Life) -> str:
    if life.used is None:
        return _NEVER
    idle = life.now - life.used
    return next((name for name, longest in _SPANS if idle <= longest), _LONGER)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the time line: where, in percent, and what stands there."""

    percent: float
    told: str


@dataclass(frozen=True, slots=True)
class Scale:
    """A time line from ``start`` to ``end``; its places are percentages of its length."""

    start: datetime
    end: datetime

    @classmethod
    def over(cls, lives: Sequence[Life], now: datetime) -> "Scale":
        """Give the time line that holds these lives and is a month long at least."""
        known = [life.made or life.used or now for life in lives]
        return cls(min([*known, now - timedelta(days=30)]), now)

    def place(self, when: datetime) -> float:
        """Give the place of a time, at an end of the line where it is beyond."""
        share = (when - self.start) / (self.end - self.start)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The first days of months, of so many that a person can read them."""
        first = self.start.year * 12 + self.start.month  # the first month that begins on the line
        last = self.end.year * 12 + self.end.month - 1
        step = next(
            each
            for each in (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 6000, 12000, 120000)
            if (last - first) // each < _MOST_TICKS
        )
        months = (month for month in range(first, last + 1) if month % step == 0)
        return tuple(self._tick(month, yearly=step >= 12) for month in months)  # noqa: PLR2004 # months of a year

    def _tick(self, month: int, *, yearly: bool) -> Tick:
        begins = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return Tick(self.place(begins), f"{begins:%Y}" if yearly else f"{begins:%Y-%m}")
