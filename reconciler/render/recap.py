"""The end of a long text: in a few lines once more what was not read or done, who gains or loses, what rules break."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.report import ReportedChange, ReportedFinding, Standing
from reconciler.errors import visible
from reconciler.render import owners
from reconciler.render.block import DIRECTIONS, OUTCOMES, called
from reconciler.render.groups import BY_GAIN, Family, Once, Told, by_name, by_rule, owner_of
from reconciler.render.page import Page, listed
from reconciler.render.words import number

_SCREENFUL = 50
_MOST_NAMED = 10
_LONGEST_NAME = 32
_UNDONE: Sequence[Outcome] = [outcome for outcome in Outcome if outcome not in (Outcome.PLANNED, Outcome.APPLIED)]

SEVERITIES = {Severity.DENY: "bold red", Severity.WARN: "yellow", Severity.NOTE: "cyan"}
"""The looks of the words for severities."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What has one thing in common: its title, with its looks, and what to call each, visible already."""

    title: str
    looks: str
    names: Sequence[str]


def add(page: Page, told: Told) -> None:
    """Add the recap to a page of more than a screenful, whose beginning has scrolled away."""
    if page.height <= _SCREENFUL:
        return
    rows = [row for row in (*_unread(told), *_changes(told), *_refusals(told), *_findings(told)) if row.names]
    if not rows:
        return
    title = max(len(row.title) for row in rows)
    page.gap()
    page.add(page.paint("In short", "bold"))
    for row in rows:
        named = listed(row.names[:_MOST_NAMED], len(row.names))
        page.words(f"  {row.title:<{title}}  ", named, gutter_looks=row.looks)


def counted(found: Sequence[Once[ReportedFinding]]) -> str:
    """Say in brackets how often a rule is broken if more than once, and how much of that is new."""
    times = sum(told.times for told in found)
    new = sum(told.times for told in found if told.item.since is Standing.NEW)
    counts = ", ".join(filter(None, (str(times) if times > 1 else "", f"{new} new" if new else "")))
    return f"({counts})" if counts else ""


def _unread(told: Told) -> Iterator[_Row]:
    failed = by_name(owner for failure in told.failures for owner in failure.owners)
    yield _Row("unread", "bold red", [owners.in_short(owner) for owner in failed])


def _changes(told: Told) -> Iterator[_Row]:
    """Give the changes by their outcome, or by what becomes of access where they are made, or would be."""
    rows: defaultdict[tuple[bool, int], list[str]] = defaultdict(list)
    for change, name in (named for family in told.families for named in _named(family)):
        undone = change.outcome in _UNDONE
        place = _UNDONE.index(change.outcome) if undone else BY_GAIN.index(change.access.direction)
        rows[not undone, place].append(name)
    for (done, place), names in sorted(rows.items()):
        word, looks = DIRECTIONS[BY_GAIN[place]] if done else OUTCOMES[_UNDONE[place]]
        yield _Row(word, looks, names)


def _named(family: Family) -> Iterator[tuple[ReportedChange, str]]:
    for section in family.accounts:
        for told in section.changes:
            yield told.item, called(told.item, _LONGEST_NAME)
    for told in family.shared:
        yield told.item, f"{called(told.item, _LONGEST_NAME)} in {number(len(told.owners), 'sub account')}"
    for section in family.sub_accounts:
        whose = owners.in_short(owner_of(section.account))
        for told in section.changes:
            yield told.item, f"{called(told.item, _LONGEST_NAME)} of {whose}"


def _refusals(told: Told) -> Iterator[_Row]:
    names = dict.fromkeys(visible(refusal.item.guardrail) for refusal in told.refusals)
    yield _Row("refused by", "bold magenta", [*names])


def _findings(told: Told) -> Iterator[_Row]:
    """Give the rules that are broken, but for notes."""
    rules = by_rule(told.findings)
    for severity in (Severity.DENY, Severity.WARN):
        names = [
            f"{visible(rule)} {counted(broken)}".rstrip() for (of, rule), broken in rules.items() if of is severity
        ]
        yield _Row(severity, SEVERITIES[severity], names)
