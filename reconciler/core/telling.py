"""Which concerns are due to be told to an address: what is new, what lasts, what is over, what still stands a day on.

All of it is worked out from how things stand, not from a queue of messages: what an address missed, since it failed or
was told of something else a moment ago, is in its next message, once.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.core.concerns import Concern, Kind, Matter, Observation, Place
from reconciler.core.rests import doubled

LASTS_PASSES: Final = 3
LASTS: Final = timedelta(minutes=10)
"""A failure is told when so many passes have shown it, over so long: not at the first hiccup."""
PLANNED_PASSES: Final = 2
"""So many passes must leave a change planned: one may have been made in between."""
OVER_PASSES: Final = 2
"""What so many passes in a row did not show is over."""
RELEARNT: Final = timedelta(hours=1)
RELEARNT_PASSES: Final = 6
"""After a restart a key must be undone several times again before it shows as contested: for so long, and then for so
many passes, it is not over only because it does not show."""
CALM: Final = timedelta(minutes=10)
LONGEST_CALM: Final = timedelta(hours=6)
"""For how long something must be gone before that is told, once it came back; twice as long each time."""
REMINDED: Final = timedelta(days=1)
"""What still stands so long after it was told is told of once more."""
FORGOTTEN: Final = timedelta(days=2)
"""For how long what is over is remembered; longer than any calm."""
_AT_ONCE = frozenset({Kind.FINDING, Kind.CONTESTED, Kind.HELD_BACK, Kind.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Standing:
    """How a concern stands over several passes.

    Attributes:
        concern: As it was seen last; after a restart nothing but the matter, and the name of the key.
        since: When it was first seen.
        passes: How many passes saw it; since a restart.
        gone: When it was first not seen any more; None: it stands.
        gone_passes: How many passes in a row did not see it.
        recalled: When it was recalled after a restart, if nothing saw it since: it is no news to anybody until then.
    """

    concern: Concern
    since: datetime
    passes: int = 1
    gone: datetime | None = None
    gone_passes: int = 0
    recalled: datetime | None = None

    @classmethod
    def recall(cls, concern: Concern, since: datetime, gone: datetime | None, now: datetime) -> "Standing":
        """Give it as it was before a restart: it stands, as far as is known, or has been over since ``gone``."""
        return cls(concern, since, 0, gone, RELEARNT_PASSES if gone else 0, now)

    @property
    def matter(self) -> Matter:
        """What it is about."""
        return self.concern.matter

    @property
    def is_over(self) -> bool:
        """Whether enough passes in a row did not see it."""
        return self.gone_passes >= (RELEARNT_PASSES if self._is_relearnt else OVER_PASSES)

    @property
    def _is_relearnt(self) -> bool:
        return self.recalled is not None and self.matter.kind is Kind.CONTESTED

    def is_due(self, now: datetime) -> bool:
        """Tell whether it stands, and has stood for as long as its kind must."""
        if self.gone is not None or self.recalled is not None:
            return False
        kind = self.matter.kind
        if kind in _AT_ONCE:
            return True
        if kind is Kind.PLANNED:
            return self.passes >= PLANNED_PASSES
        return self.passes >= LASTS_PASSES and now - self.since >= LASTS

    def again(self, concern: Concern, now: datetime) -> "Standing":
        """Give it as one more pass saw it; what had been over begins anew."""
        if self.is_over:
            return Standing(concern, now)
        return Standing(concern, self.since, self.passes + 1)

    def missed(self, now: datetime) -> "Standing":
        """Give it as a pass left it that did not see it."""
        if self._is_relearnt and self.recalled is not None and now - self.recalled < RELEARNT:
            return self
        return replace(self, gone=self.gone or now, gone_passes=self.gone_passes + 1)


@dataclass(frozen=True, slots=True)
class Situation:
    """How everything stands, with the digest of the last plan."""

    standing: Mapping[Matter, Standing] = field(default_factory=dict)
    digest: str | None = None

    def after(self, seen: Observation, now: datetime, awaited: AbstractSet[Matter] = frozenset()) -> "Situation":
        """Give the situation after one more pass; what is ``awaited`` is not forgotten, however long it is gone."""
        stands = {
            matter: self.standing[matter].again(concern, now) if matter in self.standing else Standing(concern, now)
            for matter, concern in seen.concerns.items()
        }
        left = {matter: standing for matter, standing in self.standing.items() if matter not in stands}
        gone = {matter: each.missed(now) if seen.knows(matter) else each for matter, each in left.items()}
        kept = {
            matter: each
            for matter, each in gone.items()
            if matter in awaited or each.gone is None or now - each.gone < FORGOTTEN
        }
        return Situation({**kept, **stands}, self.digest if seen.blind else seen.digest)

    @property
    def unsettled(self) -> frozenset[Place]:
        """The keys that are not as the files want them, for whatever reason."""
        return frozenset(
            matter.place for matter, each in self.standing.items() if matter.kind.of_a_change and not each.is_over
        )


@dataclass(frozen=True, slots=True)
class Told:
    """That an address was told of a concern: when last, how often it was news lately, when it was said to be over."""

    at: datetime
    times: int = 1
    over: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told to an address.

    Attributes:
        news: What it has not been told of.
        over: What it was told of, and is over.
        reminders: What it was told of, and still stands.
        standing: How many concerns stand of which it knows, once it is told all this.
        digest: The digest of the last plan.
    """

    news: tuple[Standing, ...] = ()
    over: tuple[Standing, ...] = ()
    reminders: tuple[Standing, ...] = ()
    standing: int = 0
    digest: str | None = None

    def __bool__(self) -> bool:
        return bool(self.news or self.over or self.reminders)

    @property
    def matters(self) -> frozenset[Matter]:
        """All that it tells of."""
        return frozenset(each.matter for each in (*self.news, *self.over, *self.reminders))


@dataclass(frozen=True, slots=True)
class Ledger:
    """What an address was told."""

    told: Mapping[Matter, Told] = field(default_factory=dict)

    @property
    def awaited(self) -> frozenset[Matter]:
        """What it is still to be told to be over."""
        return frozenset(matter for matter, told in self.told.items() if told.over is None)

    def due(self, situation: Situation, now: datetime, owners: frozenset[str]) -> Notice:
        """Give what it is to be told now.

        Args:
            situation: How everything stands.
            now: The time.
            owners: Those whose keys alone it hears of, as `owner_tag` gives them; empty: it hears of everything.
        """
        standing = situation.standing
        news = [each for each in standing.values() if each.is_due(now) and self._is_news(each, owners)]
        open_ = {matter: told for matter, told in self.told.items() if told.over is None and matter in standing}
        gone = [matter for matter in open_ if standing[matter].is_over]
        unsettled = situation.unsettled if gone else frozenset()
        over = [standing[matter] for matter in gone if _is_over(standing[matter], open_[matter], unsettled, now)]
        still = [matter for matter in open_ if standing[matter].gone is None and matter.kind is not Kind.UNSUPPORTED]
        remind = any(now - open_[matter].at >= REMINDED for matter in still)
        return Notice(
            _sorted(news),
            _sorted(over),
            _sorted(standing[matter] for matter in still) if remind else (),
            len(open_) - len(over) + len(news),
            situation.digest,
        )

    def _is_news(self, standing: Standing, owners: frozenset[str]) -> bool:
        told = self.told.get(standing.matter)
        if told is not None and told.over is None:
            return False
        return not owners or owner_tag(standing.concern.owner) in owners

    def after(self, notice: Notice, now: datetime) -> "Ledger":
        """Give it after a notice was delivered; what was over for long is forgotten."""
        kept = {matter: told for matter, told in self.told.items() if told.over is None or now - told.over < FORGOTTEN}
        before = {each.matter: kept[each.matter].times for each in notice.news if each.matter in kept}
        first = Told(now)  # one value for all that is told alike, so that thousands are quick to store
        news = {
            each.matter: Told(now, before[each.matter] + 1) if each.matter in before else first for each in notice.news
        }
        alike: dict[tuple[datetime, int], Told] = {}
        over = {}
        for each in notice.over:
            told = kept[each.matter]
            over[each.matter] = alike.setdefault((told.at, told.times), replace(told, over=now))
        again = {times: Told(now, times) for times in {kept[each.matter].times for each in notice.reminders}}
        reminded = {each.matter: again[kept[each.matter].times] for each in notice.reminders}
        return Ledger({**kept, **news, **over, **reminded})


def owner_tag(owner: str) -> str:
    """Give an owner as a tag can be written: in lower case, with ``-`` for what no tag may hold."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in owner.lower()
    )


def _is_over(standing: Standing, told: Told, unsettled: frozenset[Place], now: datetime) -> bool:
    """Tell whether what was told, and is gone, is over, and has been for long enough."""
    if standing.matter.kind.of_a_change and standing.matter.place in unsettled:
        return False  # it is refused where it failed before, say: the key is as little in order as it was
    calm = timedelta() if told.times == 1 else doubled(CALM, told.times - 2, LONGEST_CALM)
    return standing.gone is not None and now - standing.gone >= calm


def _sorted(standings: Iterable[Standing]) -> tuple[Standing, ...]:
    return tuple(sorted(standings, key=_order))


def _order(standing: Standing) -> tuple[int, str, str, str, str]:
    matter = standing.matter
    ids = (matter.account_id, matter.sub_account_id, standing.concern.name or matter.key, matter.rule)
    first, second, third, fourth = (each or "" for each in ids)
    return matter.kind.rank, first, second, third, fourth
