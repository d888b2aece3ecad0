"""How long an account that cannot be read is left alone: longer after each failure in a row, at most 15 minutes.

All times are those at which passes began.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

FIRST: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(minutes=15)
FORGOTTEN_AFTER: Final = timedelta(hours=48)
_MOST_DOUBLINGS: Final = 16  # more lead past any calendar

Identity = tuple[str, str]
"""An account, by its id and that of the sub account or nothing."""


def doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    """Give a length of time, doubled so many times, and no more than the longest."""
    return min(first * (1 << min(times, _MOST_DOUBLINGS)), longest)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an account could not be read, and what to do."""

    said: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """An account that could not be read: what its last failure said, how many came in a row, when the pass began."""

    failure: Failure
    failures: int
    since: datetime

    @property
    def again_at(self) -> datetime:
        """When it is asked again."""
        return self.since + doubled(FIRST, self.failures - 1, LONGEST)

    def holds(self, now: datetime) -> bool:
        """Tell whether it is still left alone; where the clock was set back it is not, or that could last for ever."""
        return self.since <= now < self.again_at

    def __str__(self) -> str:
        times = "once" if self.failures == 1 else f"{self.failures} times in a row"
        again = f"{self.again_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.failure.said}; not asked in this pass, since it failed {times}; asked again from {again} on"


def holding(rests: Mapping[Identity, Rest], now: datetime) -> dict[Identity, Rest]:
    """Give the rests of accounts that are left alone at ``now``."""
    return {identity: rest for identity, rest in rests.items() if rest.holds(now)}


def after_pass(
    rests: Mapping[Identity, Rest], asked: Mapping[Identity, Failure | None], now: datetime
) -> dict[Identity, Rest]:
    """Give the rests after a pass that began at ``now``: ``asked`` are the accounts that it asked, None: with success.

    Those that it did not ask keep theirs; those that nobody asks any more are forgotten.
    """
    kept = {
        identity: rest
        for identity, rest in rests.items()
        if identity not in asked and now - rest.since < FORGOTTEN_AFTER
    }
    begun = {
        identity: Rest(failure, 1 + (rests[identity].failures if identity in rests else 0), now)
        for identity, failure in asked.items()
        if failure is not None
    }
    return kept | begun
