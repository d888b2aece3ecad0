"""The first page of the daemon: what differs and who asked for it, what is held back, what changed, who can do what.

Texts come out as they are: to escape them is the template's affair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import AccountStatus, ReportedAccount, ReportedChange, ReportedRefusal
from reconciler.render.addresses import Address
from reconciler.render.advice import Hint
from reconciler.render.ages import Life
from reconciler.render.approval import Approval, approval
from reconciler.render.cards import Card, card
from reconciler.render.groups import Once
from reconciler.render.headline import Headline
from reconciler.render.lately import Entry, Lately
from reconciler.render.lookup import DIFFERS, HELD, Counted, Lookup, differs, held
from reconciler.render.matrix import Row
from reconciler.render.tables import Ending, KeyRow, Tile
from reconciler.render.verdict import Tone

_MOST_CARDS: Final = 25
_MOST_ENTRIES: Final = 10
_MOST_FOLDED: Final = 100
_MOST_ACCOUNTS: Final = 12
_MOST_STALE: Final = 5
_AS_LONG: Final = 3


@dataclass(frozen=True, slots=True)
class Cards:
    """Differences of one kind, of which some are shown; ``mark`` finds the keys of all."""

    shown: tuple[Card, ...]
    count: int
    mark: str

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.count - sum(card.once.times for card in self.shown)


class Front:
    """What the first page tells besides its headline."""

    def __init__(self, headline: Headline, lookup: Lookup, lately: Lately) -> None:
        self._headline = headline
        self._lookup = lookup
        self._lately = lately
        self.overview = lookup.overview

    @cached_property
    def differs(self) -> Cards:
        """What is not as the files say, and may come to be so by itself."""
        return self._cards(differs, DIFFERS)

    @cached_property
    def held(self) -> Cards:
        """What a person must act on before it is as the files say."""
        return self._cards(held, HELD)

    def _cards(self, judge: Callable[[ReportedChange], bool], mark: str) -> Cards:
        changes = self.overview.changes.values() if self.overview else ()
        found = [once for group in changes for once in group if judge(once.item)]
        shown = tuple(card(once, self._lookup, self._lately, alone=False) for once in found[:_MOST_CARDS])
        return Cards(shown, sum(once.times for once in found), mark)

    @property
    def beside(self) -> bool:
        """Whether what differs and what is held back stand side by side: both are there, and nearly as long."""
        fewer, more = sorted((len(self.differs.shown), len(self.held.shown) + len(self.refusals)))
        return fewer > 0 and more <= fewer * _AS_LONG

    @property
    def advice(self) -> dict[Hint, int]:
        """What to do about several changes that are held back, and about how many."""
        return self._lookup.advice.shared

    @property
    def refusals(self) -> list[Once[ReportedRefusal]]:
        """What guardrails refuse as a whole."""
        return self.overview.refusals if self.overview else []

    @cached_property
    def failures(self) -> list[Once[ReportedAccount]]:
        """The accounts that the last pass could not read, but for those that the headline tells of."""
        return [failure for failure in self.overview.failures if not self._told(failure)] if self.overview else []

    def _told(self, failure: Once[ReportedAccount]) -> bool:
        named, counted = {each.address for each in self._headline.unread}, self._headline.counted_unread
        single = [owner for owner in failure.owners if owner.sub_account_id != EVERY_SUB_ACCOUNT]
        told = [owner for owner in single if owner.sub_account_id and owner.account_id in counted]
        told += [owner for owner in single if Address.of(owner) in named]
        return set(told) == set(failure.owners)

    @cached_property
    def approval(self) -> Approval | None:
        """What applies the plan, where it is not carried out."""
        report = self._lookup.report
        return approval(report) if report else None

    @cached_property
    def written(self) -> list[Entry]:
        """What was written lately."""
        return self._lately.written[: _MOST_ENTRIES + _MOST_FOLDED]

    @property
    def latest(self) -> list[Entry]:
        """The latest of it."""
        return self.written[:_MOST_ENTRIES]

    @property
    def earlier(self) -> list[Entry]:
        """What was before that."""
        return self.written[_MOST_ENTRIES:]

    @property
    def accounts(self) -> list[Counted]:
        """The accounts, those first that need somebody; one alone that was read is told of by all the rest."""
        counted = self._lookup.counted
        alone = len(counted) == 1 and counted[0].account.status is AccountStatus.OK and not self._lookup.unlisted
        return [] if alone else counted[:_MOST_ACCOUNTS]

    @property
    def more_accounts(self) -> int:
        """How many are not shown."""
        return max(len(self._lookup.counted) - _MOST_ACCOUNTS, 0)

    @cached_property
    def tiles(self) -> list[Tile]:
        """The numbers that are told first; None where no account was read."""
        counts = self._lookup.mark_counts
        known = self.overview is not None and self.overview.known
        tiles = (
            Tile(len(self._lookup.rows), "keys"),
            Tile(self.differs.count, "differ", Tone.LOOK, DIFFERS),
            Tile(self.held.count, "held back", Tone.ACT, HELD),
            Tile(counts["deny"], "break a deny rule", Tone.ACT, "deny"),
            Tile(counts["warn"], "break a warn rule", Tone.LOOK, "warn"),
            Tile(counts["open"], "usable from anywhere", None, "open"),
            Tile(counts["wild"], "may do everything", None, "wild"),
        )
        return list(tiles) if known else [Tile(None, tile.told) for tile in tiles[:3]]

    def found(self, tile: Tile) -> bool:
        """Whether the keys that a number counts can be shown: those that do not exist yet cannot."""
        return bool(tile.count and tile.mark and self._lookup.mark_counts[tile.mark])

    def like(self, row: Row) -> str:
        """Give the id of a key that stands for a line of the matrix."""
        return row.holders[0].key.key_id

    def at(self, row: Row) -> Address:
        """Give where the key of a line that has but one is shown."""
        return Address.of(row.holders[0].owner, row.holders[0].key.key_id)

    @cached_property
    def endings(self) -> list[Ending]:
        """The waivers and pauses that end soon, or have ended."""
        return [ending for ending in self.overview.endings if ending.looks] if self.overview else []

    @cached_property
    def stale(self) -> list[tuple[Address, KeyRow]]:
        """The keys that nobody used for long, the longest first."""
        marks = self._lookup.marks
        stale = [each for each in self._lookup.rows.items() if not marks[each[0]].isdisjoint(("stale", "never"))]
        return sorted(stale, key=lambda each: (-_days(each[1].life), each[0].key_id or ""))

    @property
    def longest(self) -> list[tuple[Address, KeyRow]]:
        """The first of them."""
        return self.stale[:_MOST_STALE]

    @property
    def quiet(self) -> bool:
        """Whether nothing of what needs a person soon is there."""
        frozen = self._lookup.report.freezes if self._lookup.report else ()
        return not (self.endings or self.stale or self._lookup.broken or frozen)


def _days(life: Life) -> int:
    return life.idle.days if life.idle else 0
