"""The parts of the HTML file as values: rows of keys, lives on a time line, what ends when, what breaks which rule.

Texts from files and from the server come out as they are: to escape them is the template's affair.
"""

from dataclasses import dataclass
from typing import Final

from reconciler.core.endings import ENDS_SOON
from reconciler.core.findings import Severity
from reconciler.core.inventory import KeyStanding
from reconciler.core.keys import Source
from reconciler.core.report import ReportedFinding, Standing
from reconciler.render.ages import Life, Scale
from reconciler.render.groups import Once
from reconciler.render.matrix import Holder, Place
from reconciler.render.verdict import Tone

MOST_BARS: Final = 40
_MOST_FOUND: Final = 1000
_SEVERITIES: Final = tuple(Severity)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of the table; ``row`` is its row of the matrix."""

    holder: Holder
    row: int
    life: Life
    findings: tuple[ReportedFinding, ...]
    waived: tuple[ReportedFinding, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether nobody used it for long, although it can be used."""
        return self.holder.place is not Place.OFF and self.life.stale

    @property
    def marks(self) -> str:
        """The words by which the table is filtered."""
        found = {one.severity for one in self.findings}
        place, standing = self.holder.place, self.holder.key.standing
        marks = (
            *[(severity in found, severity) for severity in _SEVERITIES],
            (standing is not KeyStanding.MANAGED, standing),
            (place is Place.ANYWHERE, "open"),
            (place is Place.OFF, "off"),
            (place is not Place.OFF and self.life.stale, "never" if self.life.used is None else "stale"),
            (self.holder.holds_everything, "wild"),
            (Standing.NEW in [one.since for one in self.findings], "new"),
        )
        return " ".join([word for applies, word in marks if applies])


@dataclass(frozen=True, slots=True)
class Bar:
    """The life of a key on the time line: from when it was made to its last use, and from there to the end."""

    row: KeyRow
    made: float
    used: float | None


@dataclass(frozen=True, slots=True)
class Lives:
    """Keys that nobody used for long, the longest first, on a time line; of many of them the first have a bar."""

    rows: tuple[KeyRow, ...]
    scale: Scale

    @property
    def more(self) -> bool:
        """Whether some have no bar."""
        return len(self.rows) > MOST_BARS

    @property
    def bars(self) -> list[Bar]:
        """Their lives on it."""
        place = self.scale.place
        return [
            Bar(row, place(row.life.made or self.scale.end), place(row.life.used) if row.life.used else None)
            for row in self.rows[:MOST_BARS]
        ]


@dataclass(frozen=True, slots=True)
class Ending:
    """A waiver or a pause with its end: how many days are left, fewer than none where it is over."""

    what: str
    about: str
    until: str
    days: int | None
    owner: str
    reason: str
    source: Source | None
    count: int | None = None

    @property
    def looks(self) -> str:
        """How it is shown."""
        if self.days is None or self.days > ENDS_SOON.days:
            return ""
        return "over" if self.days < 0 else "soon"


@dataclass(frozen=True, slots=True)
class Found:
    """What breaks one rule: all that does, of which some are shown."""

    rule: str
    severity: Severity
    checks: str
    why: str
    all: tuple[Once[ReportedFinding], ...]

    @property
    def shown(self) -> tuple[Once[ReportedFinding], ...]:
        """Those that are shown."""
        return self.all[:_MOST_FOUND]

    @property
    def count(self) -> int:
        """How many findings there are."""
        return sum(each.times for each in self.all)

    @property
    def new(self) -> int:
        """How many of them an earlier report did not have."""
        return sum(each.times for each in self.all if each.item.since is Standing.NEW)

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.count - sum(each.times for each in self.shown)

    @property
    def hint(self) -> str | None:
        """What to do about each of them, None where that is not the same."""
        hints = {each.item.hint for each in self.all}
        return hints.pop() if len(hints) == 1 else None


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that is told first, None where it is not known, what it counts, and by what mark to find it."""

    count: int | None
    told: str
    tone: Tone | None = None
    mark: str = ""
