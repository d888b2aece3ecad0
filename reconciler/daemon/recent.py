"""What became of keys lately, as much of it as there is room for."""

import heapq
from collections import OrderedDict, defaultdict, deque
from typing import Final

from reconciler.core.changes import ListDiff, TextDiff
from reconciler.core.status import Occurrence

MOST: Final = 2_000
"""Occurrences that are kept in all."""
MOST_TEXTS: Final = 200_000
"""Texts that they may hold in all: a change of a large allow list counts for as many as it has networks."""
OF_EACH_KEY: Final = 5
"""As many of the newest ones of a key go last, so that one that changes all the time does not push out the others."""

_Key = tuple[str, str | None, str | None]


class Recent:
    """Occurrences in the order in which they came; beyond the bounds some of the oldest are let go.

    ``lost`` is the time of the newest one that was let go: what came after it is whole. None: nothing was.
    """

    def __init__(self, most: int = MOST, most_texts: int = MOST_TEXTS) -> None:
        self._most = most
        self._most_texts = most_texts
        self._texts = 0
        self._count = 0
        self._kept: OrderedDict[int, Occurrence] = OrderedDict()
        self._newest: defaultdict[_Key, deque[int]] = defaultdict(deque)
        self._spare: list[int] = []
        self.lost: str | None = None

    @property
    def newest_first(self) -> tuple[Occurrence, ...]:
        """All that is kept."""
        return tuple(reversed(self._kept.values()))

    def add(self, occurrence: Occurrence) -> None:
        """Keep one more, and let go of what there is no room for."""
        self._count += 1
        self._kept[self._count] = occurrence
        self._texts += _texts(occurrence)
        of_key = self._newest[_key(occurrence)]
        of_key.append(self._count)
        if len(of_key) > OF_EACH_KEY:
            heapq.heappush(self._spare, of_key.popleft())
        while len(self._kept) > self._most or (self._texts > self._most_texts and len(self._kept) > 1):
            self._let_go()

    def _let_go(self) -> None:
        """Let go of the oldest of what keys have beyond their newest ones, where there is any; else of the oldest."""
        if self._spare:
            gone = self._kept.pop(heapq.heappop(self._spare))
        else:
            _, gone = self._kept.popitem(last=False)
            key = _key(gone)
            self._newest[key].popleft()
            if not self._newest[key]:
                del self._newest[key]
        self._texts -= _texts(gone)
        self.lost = max(self.lost or "", gone.time)


def _key(occurrence: Occurrence) -> _Key:
    return occurrence.account_id, occurrence.sub_account_id, occurrence.key_id or occurrence.name


def _texts(occurrence: Occurrence) -> int:
    """Count the texts that an occurrence holds: those of its access stand in its fields as well, but for a deletion."""
    access = occurrence.access
    deltas = (access.scopes.granted, access.scopes.revoked, access.networks.granted, access.networks.revoked)
    return 1 + sum(map(len, deltas)) + sum(map(_texts_of, occurrence.fields.diffs.values()))


def _texts_of(diff: TextDiff | ListDiff) -> int:
    return len(diff.before or ()) + len(diff.after) if isinstance(diff, ListDiff) else 2
