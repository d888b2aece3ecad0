"""What became of keys lately, as the pages tell it: which key, what, when, how it ended, and who asked for it.

Texts come out as they are: to escape them is the template's affair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from reconciler.core.changes import Action, Outcome
from reconciler.core.report import ReportedChange
from reconciler.core.status import AskedBy, Occurrence, Status
from reconciler.render.addresses import Address
from reconciler.render.groups import Once, Owner

_DONE = {
    Action.UPDATE: "updated",
    Action.CREATE: "created",
    Action.DELETE: "deleted",
    Action.QUARANTINE: "switched off",
    Action.RESTORE: "switched on again",
}
_UNDONE = {
    Action.UPDATE: "update",
    Action.CREATE: "creation",
    Action.DELETE: "deletion",
    Action.QUARANTINE: "switching off",
    Action.RESTORE: "switching on again",
}
_ENDED = (Outcome.APPLIED, Outcome.FAILED, Outcome.STALE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history: an occurrence, and the page of its key; a key that does not exist has its account's.

    ``number`` tells those apart that look alike, from 1 for the oldest.
    """

    told: Occurrence
    address: Address
    number: int

    @property
    def mark(self) -> str:
        """What it is known by on a page, also when newer ones have come."""
        return f"h{sha256(repr(_sign(self.told)).encode()).hexdigest()[:16]}-{self.number}"

    @property
    def what(self) -> str:
        """What was done, or was to be done, in words."""
        if self.told.outcome is Outcome.APPLIED:
            return _DONE[self.told.action]
        words = _UNDONE[self.told.action]
        return {
            Outcome.PLANNED: f"{words} planned",
            Outcome.FAILED: f"{words} failed",
            Outcome.STALE: f"{words} not made: the key had changed",
            Outcome.PAUSED: f"{words} paused",
        }.get(self.told.outcome, f"{words} held back: {self.told.outcome}")

    @property
    def once(self) -> "Once[Occurrence]":
        """The same as changes are told."""
        owner = Owner(self.told.account_id, self.told.sub_account_id)
        return Once(self.told, self.told.reason, (owner,), 1)


class Lately:
    """The history that a status holds, the newest first."""

    def __init__(self, status: Status) -> None:
        self.whole_from = status.recent_from
        self.entries = list(_entries(status.recent))

    @property
    def written(self) -> list[Entry]:
        """What was written, or was tried to be."""
        return [entry for entry in self.entries if entry.told.outcome in _ENDED]

    @cached_property
    def _by_address(self) -> dict[Address, list[Entry]]:
        found: defaultdict[Address, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.address].append(entry)
        return dict(found)

    def about(self, address: Address, name: str | None = None) -> list[Entry]:
        """Give what became of a key; ``name`` finds what was said of it before it existed."""
        own = self._by_address.get(address, [])
        name = name or next((entry.told.name for entry in own if entry.told.name), None)
        unborn = [] if name is None or address.key_id is None else self._by_address.get(address.account, [])
        before = [entry for entry in unborn if entry.told.name == name]
        return sorted((*own, *before), key=lambda entry: entry.told.time, reverse=True) if before else own

    def within(self, account: Address) -> list[Entry]:
        """Give what became of keys of an account, its sub accounts not counted."""
        return [entry for entry in self.entries if entry.address.account == account]

    def asked(self, change: ReportedChange, owners: Iterable[Owner]) -> AskedBy | None:
        """Find out from which commit a change comes: what asks for it at the same place of the same file."""
        if change.source is None:
            return None
        for owner in owners:
            for entry in self.about(Address.of(owner, change.key_id), change.name):
                by = entry.told.asked_by
                if by and (by.file, by.line) == (change.source.file, change.source.line):
                    return by
        return None


def _entries(recent: Sequence[Occurrence]) -> Iterator[Entry]:
    alike = Counter(map(_sign, recent))  # counted down: the oldest of those that look alike is always the first
    for told in recent:
        sign = _sign(told)
        yield Entry(told, _place(told), alike[sign])
        alike[sign] -= 1


def _sign(told: Occurrence) -> tuple[str | None, ...]:
    return told.time, told.account_id, told.sub_account_id, told.key_id, told.name, told.outcome


def _place(told: Occurrence) -> Address:
    return Address.of(Owner(told.account_id, told.sub_account_id), told.key_id)
