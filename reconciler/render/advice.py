"""What to do about a change that is held back for something found: the hint of the finding that the reason names."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from reconciler.core.report import Report, ReportedAccount, ReportedChange, ReportedFinding
from reconciler.render.groups import Owner, owner_of


@dataclass(frozen=True, slots=True)
class Hint:
    """What a rule says is to be done."""

    rule: str
    text: str


_Place = tuple[str, str | None, str | None, str | None]


class Advice:
    """The hints for what a report holds back; texts come out as they are."""

    def __init__(self, report: Report | None) -> None:
        self._report = report

    def of(self, change: ReportedChange, owner: Owner) -> tuple[Hint, ...]:
        """Give what to do about one change; the reason of one that a guardrail refuses says it itself."""
        return self._hints.get((owner.account_id, owner.sub_account_id, change.key_id, change.name), ())

    def own(self, change: ReportedChange, owner: Owner) -> tuple[Hint, ...]:
        """Give of that what is not shared with other changes."""
        return tuple(hint for hint in self.of(change, owner) if hint not in self.shared)

    @cached_property
    def shared(self) -> dict[Hint, int]:
        """What to do about several changes, and about how many."""
        counts = Counter(hint for hints in self._hints.values() for hint in hints)
        return {hint: count for hint, count in counts.most_common() if count > 1}

    @cached_property
    def _hints(self) -> dict[_Place, tuple[Hint, ...]]:
        found = self._found
        return {
            (account.account_id, account.sub_account_id, change.key_id, change.name): hints
            for account, change in self._held
            if (hints := tuple(dict.fromkeys(_hints(change, _about(found, account, change)))))
        }

    @property
    def _held(self) -> Iterator[tuple[ReportedAccount, ReportedChange]]:
        for account in self._report.accounts if self._report else ():
            yield from ((account, change) for change in account.changes if change.outcome.held_back)

    @cached_property
    def _found(self) -> dict[tuple[str | None, ...], list[ReportedFinding]]:
        """The findings that may hold something back, by each name of the key that they are about."""
        found: defaultdict[tuple[str | None, ...], list[ReportedFinding]] = defaultdict(list)
        for finding in self._report.findings if self._report else ():
            if finding.hint and finding.waived is None:
                for key in {finding.key, finding.key_id} - {None}:
                    found[finding.account_id, finding.sub_account_id, key].append(finding)
        return dict(found)


def _about(
    found: dict[tuple[str | None, ...], list[ReportedFinding]], account: ReportedAccount, change: ReportedChange
) -> Iterator[ReportedFinding]:
    owner = owner_of(account)
    for key in (change.name, change.key_id):
        yield from found.get((owner.account_id, owner.sub_account_id, key), ()) if key is not None else ()


def _hints(change: ReportedChange, findings: Iterable[ReportedFinding]) -> Iterator[Hint]:
    reason = f"; {change.reason or ''}"
    yield from (Hint(each.rule, each.hint) for each in findings if f"; {each.rule}: " in reason)
