"""A daemon's status for a person at a terminal: is all as it should be, since when, and what is there to do.

It answers in the order in which a person asks: how does it stand, what differs and who asked for that, what is held
back, what changed lately, who can do what, what needs somebody soon. Each part is short, and says what it leaves out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

from reconciler.core.changes import Outcome
from reconciler.core.endings import ENDS_SOON
from reconciler.core.findings import Severity
from reconciler.core.report import Mode, Report, ReportedChange
from reconciler.core.status import AccountReadiness, AskedBy, Occurrence, Status
from reconciler.core.subjects import span
from reconciler.errors import visible
from reconciler.render import owners
from reconciler.render.ages import minute, moment
from reconciler.render.block import DIRECTIONS, OUTCOMES, Columns, add_change, called
from reconciler.render.groups import Group, Once
from reconciler.render.matrix import Cell, Grant, Holder, Place, Row
from reconciler.render.overview import Overview
from reconciler.render.page import GUTTER, Page, Style, listed
from reconciler.render.recap import SEVERITIES, counted
from reconciler.render.standing import since, standing
from reconciler.render.tables import Ending
from reconciler.render.verdict import Tone
from reconciler.render.words import number, summary

__all__ = ["Style", "render"]

_TONES = {Tone.GOOD: "bold green", Tone.LOOK: "bold yellow", Tone.ACT: "bold magenta", Tone.BAD: "bold red"}
_MOST_PROBLEMS = 5
_MOST_ACCOUNTS = 10
_MOST_CHANGES = 20
_MOST_RECENT = 12
_MOST_ROWS = 10
_MOST_FAMILIES = 4
_MOST_NAMED = 5
_MOST_OWNERS = 5
_LONGEST_NAME = 40
_SHORT_COMMIT = 12
_UNDER_NAME = " " * len("  2026-11-23 10:00  ")
_SCREENFUL = 40


def render(status: Status, report: Report | None, style: Style) -> str:
    """Give the status, and what the last report tells, as text that ends with a newline."""
    page = Page(style)
    told = Overview(report) if report else None
    _verdict(page, status, report)
    _daemon(page, status)
    _configuration(page, status)
    _accounts(page, status)
    if told is not None:
        known = _Known.of(status, told.report)
        _changes(page, told, known)
    _recent(page, status)
    if told is not None:
        _who(page, told)
        _soon(page, told)
    if page.height > _SCREENFUL:
        page.gap()
        _in_a_word(page, status, report)
    return page.text


# How it stands


def _verdict(page: Page, status: Status, report: Report | None) -> None:
    _in_a_word(page, status, report)
    found = standing(status, report)
    if found.call != f"{found.words}.":
        _say(page, "  ", found.call)
    if report is not None:
        _say(page, "  ", f"The last pass: {summary(report)}")


def _in_a_word(page: Page, status: Status, report: Report | None) -> None:
    """Say how it stands, and since when it is in sync or not."""
    found = standing(status, report)
    _say(page, "", f"{found.words}.", _TONES[found.tone])
    if told := since(status):
        _say(page, "  ", told if status.readiness.ready else f"At the last pass: {told}")


def _daemon(page: Page, status: Status) -> None:
    """Say what the daemon is doing."""
    page.gap()
    mode = ", dry runs only: it writes nothing" if status.mode is Mode.PLAN else ""
    _say(page, _gutter("passes"), f"{status.schedule}{mode}; the daemon began at {minute(status.started_at)}")
    last = status.last_pass
    if last is not None:
        began = f" ({last.trigger})" if last.trigger else ""
        ended = "the first one ended" if last.number == 1 else f"the last one, number {last.number}, ended"
        _say(page, _gutter(""), f"{ended} {_ago(status, last.finished_at)}, after {last.seconds:.1f} s{began}")
    if status.next_at is not None:
        _say(page, _gutter(""), f"the next one begins at {_second(status.next_at)}")


def _configuration(page: Page, status: Status) -> None:
    """Say what is wrong with newer files, where they do not load."""
    configuration = status.readiness.configuration
    if configuration.rejected is None:
        return
    page.gap()
    _say(page, "", "Newer files do not load", "bold magenta")
    at = f" since {minute(configuration.rejected_at.isoformat())}" if configuration.rejected_at else ""
    loaded = configuration.loaded_at
    in_force = f"; those loaded at {minute(loaded.isoformat())} stay in force" if loaded else ""
    _say(page, "  ", f"{configuration.rejected}{at}{in_force}")
    for problem in configuration.problems[:_MOST_PROBLEMS]:
        _say(page, "  ", problem)
    more = configuration.problem_count - len(configuration.problems[:_MOST_PROBLEMS])
    _more(page, more, "`reconciler validate` tells them all")


def _accounts(page: Page, status: Status) -> None:
    """Say which accounts could not be read."""
    troubled = [each for each in status.readiness.accounts if _is_troubled(each)]
    if not troubled:
        return
    page.gap()
    _say(page, "", "Accounts that could not be read", "bold red")
    for account in troubled[:_MOST_ACCOUNTS]:
        _account(page, status, account)
    _more(page, len(troubled) - _MOST_ACCOUNTS, "all of them on /readyz")


def _is_troubled(account: AccountReadiness) -> bool:
    return bool(account.error) or not account.ready or account.sub_accounts.failed_count > 0


def _account(page: Page, status: Status, account: AccountReadiness) -> None:
    page.add(f"  {page.paint(visible(account.account_id), 'bold')}")
    if account.error or not account.ready:
        read = f"last read {_ago(status, account.read_at.isoformat())}" if account.read_at else "never read"
        late = ", too long ago" if account.read_at and not account.ready else ""
        _say(page, "    ", f"{read}{late}{f': {account.error}' if account.error else ''}")
    if below := account.sub_accounts.failed_count:
        names = [visible(each.sub_account_id) for each in account.sub_accounts.failed[:_MOST_NAMED]]
        beginning = f"{below} of {number(account.sub_accounts.count, 'sub account')}:"
        page.words("    ", [beginning, *listed(names, below)])


# What differs, and who asked for it


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of changes beside the report: the owners of keys, and what the daemon noted of who asked."""

    owners: dict[str, str]
    asked: dict[tuple[str | None, str | None, str], AskedBy]

    @classmethod
    def of(cls, status: Status, report: Report) -> "_Known":
        owned = {key.key_id: key.owner for account in report.accounts for key in account.inventory or () if key.owner}
        asked = {
            (each.key_id, each.name, f"{each.asked_by.file}:{each.asked_by.line}"): each.asked_by
            for each in reversed(status.recent)
            if each.asked_by
        }
        return cls(owned, asked)

    def whose(self, change: ReportedChange) -> str:
        """Say whose key it is, and which commit asked; nothing of what is not known."""
        place = f"{change.source.file}:{change.source.line}" if change.source else ""
        owner = self.owners.get(change.key_id or "", "")
        told = (f"owner {owner}" if owner else "", _commit(self.asked.get((change.key_id, change.name, place))))
        return ", ".join(filter(None, told))


def _commit(asked: AskedBy | None) -> str:
    if asked is None or asked.commit is None:
        return ""
    return f"commit {asked.commit[:_SHORT_COMMIT]}{' (the file was modified)' if asked.modified else ''}"


_DIFFERS = {
    Group.FAILED: "Failed: the next pass tries again",
    Group.HELD_BACK: "Held back: a person must act",
    Group.WIDENING: "Differs, and would give more",
    Group.REST: "Differs, and would take away or leave access as it is",
    Group.PAUSED: "Paused",
}


def _changes(page: Page, told: Overview, known: _Known) -> None:
    """Show what differs now, by what is to be done about it; what was applied differs no more."""
    left = {
        group: [each for each in changes if each.item.outcome is not Outcome.APPLIED]
        for group, changes in told.changes.items()
    }
    _refusals(page, told)
    columns = Columns.of([each.item for changes in left.values() for each in changes[:_MOST_CHANGES]], page.width)
    for group, changes in left.items():
        if changes:
            page.gap()
            page.add(page.paint(f"{_DIFFERS[group]} ({sum(each.times for each in changes)})", "bold"))
            for change in changes[:_MOST_CHANGES]:
                _change(page, told, change, columns, known)
            _more(page, sum(each.times for each in changes[_MOST_CHANGES:]), "all of them on /report")
    if any(left.values()) and told.report.digest:
        page.gap()
        page.add(f"plan {visible(told.report.digest)}")
        _say(page, "", "(a person who read it applies exactly this with `reconciler apply --digest`)", "dim")


def _change(page: Page, told: Overview, change: Once[ReportedChange], columns: Columns, known: _Known) -> None:
    page.gap()
    add_change(page, change, columns)
    if not change.shared and told.several:
        page.words(_inner("of"), owners.in_words(change.owners[0]))
    if whose := known.whose(change.item):
        _say(page, _inner("by"), whose)


def _refusals(page: Page, told: Overview) -> None:
    if not told.refusals:
        return
    page.gap()
    page.add(page.paint("Refused by guardrails", "bold"))
    for refusal in told.refusals:
        page.hang(f"  {visible(refusal.item.guardrail)}  ", refusal.text or "", gutter_looks="bold magenta")
        if told.several and refusal.owners:
            page.words("    ", owners.in_list(refusal.owners, _MOST_OWNERS), "dim")


# What changed lately


def _recent(page: Page, status: Status) -> None:
    """Show writes as they ended, and count decisions: those that still stand are told with what differs."""
    written = [each for each in status.recent if each.outcome is Outcome.APPLIED or each.outcome.may_be_retried]
    page.gap()
    page.add(
        page.paint("What changed lately", "bold") + page.paint(f"  since {visible(minute(status.recent_from))}", "dim")
    )
    for each in written[:_MOST_RECENT]:
        _occurrence(page, each)
    if not written:
        _say(page, "  ", "No key was changed.", "dim")
    _more(page, len(written) - _MOST_RECENT, "all of them in -o json")
    if decided := len(status.recent) - len(written):
        _say(page, "  ", f"{number(decided, 'decision')} to leave keys as they are, all of them in -o json", "dim")


def _occurrence(page: Page, each: Occurrence) -> None:
    """Tell when which key was changed and how that ended, and who asked for it."""
    (outcome, looks), (direction, _) = OUTCOMES[each.outcome], DIRECTIONS[each.access.direction]
    when, name = visible(minute(each.time)).removesuffix(" UTC"), page.paint(called(each, _LONGEST_NAME), "bold")
    page.add(f"  {when}  {name}  {each.action}, {direction}  {page.paint(outcome, looks)}")
    asked = f"{each.asked_by.file}:{each.asked_by.line}" if each.asked_by else "no file names it"
    _say(page, _UNDER_NAME, ", ".join(filter(None, (asked, _commit(each.asked_by)))), "dim")


# Who can do what


def _who(page: Page, told: Overview) -> None:
    rows = told.matrix.rows
    if not rows:
        return
    page.gap()
    heading = page.paint("Who can do what", "bold")
    page.add(heading + page.paint(f"  {number(len(told.rows), 'key')}, the most powerful first", "dim"))
    for row in rows[:_MOST_ROWS]:
        _row(page, told, row)
    _more(page, sum(len(row.holders) for row in rows[_MOST_ROWS:]), "all of them on the page, and on /report")


_PLACES = {
    Place.ANYWHERE: ("from anywhere", "yellow"),
    Place.LISTED: ("from its networks", ""),
    Place.NOWHERE: ("from nowhere: no network that can reach the API", "dim"),
    Place.OFF: ("switched off", "dim"),
}


def _row(page: Page, told: Overview, row: Row) -> None:
    names = [_called(each) for each in row.holders[:_MOST_NAMED]]
    page.words("  ", listed(names, len(row.holders)), "bold")
    where, looks = _PLACES[row.place]
    may = "everything (*)" if row.holders[0].holds_everything else _families(told, row.cells)
    _say(page, "      ", f"{may}  {where}", looks)


def _families(told: Overview, cells: Sequence[Cell]) -> str:
    """Say what keys may do, by families of scopes, those that let them grant themselves anything first."""
    held = [(column, cell) for column, cell in zip(told.columns, cells, strict=True) if cell.grant is not Grant.NONE]
    held.sort(key=lambda each: (not each[0].grants_anything, each[1].grant is not Grant.ALL))
    shown = [f"{column.family}{_reach(cell)}" for column, cell in held[:_MOST_FAMILIES]]
    return " ".join(listed(shown, len(held))) or "nothing"


def _reach(cell: Cell) -> str:
    if cell.grant is Grant.DOMAINS:
        return f" ({number(cell.domains, 'domain')})"
    return ":all" if cell.grant is Grant.ALL else ""


# What needs a person soon


def _soon(page: Page, told: Overview) -> None:
    """Tell what was found, what ends within two weeks, and which keys nobody uses."""
    page.gap()
    page.add(page.paint("For a person, soon", "bold"))
    before = page.height
    for found in told.found:
        if found.severity is not Severity.NOTE:
            rule = " ".join(filter(None, (found.rule, counted(found.all))))
            _say(page, f"  {found.severity:<6}  ", rule, gutter_looks=SEVERITIES[found.severity])
    for ending in told.endings:
        _ending(page, ending)
    for title, mark, lives in told.stale:
        names = [_called(row.holder) for row in lives.rows[:_MOST_NAMED]]
        page.words(f"  {mark:<6}  ", [f"{title}:", *listed(names, len(lives.rows))])
    if page.height == before:
        _say(page, "  ", f"Nothing for the next {ENDS_SOON.days} days.", "dim")


def _ending(page: Page, ending: Ending) -> None:
    if ending.days is None or ending.days > ENDS_SOON.days:
        return
    over = "ended" if ending.days < 0 else f"ends in {number(ending.days, 'day')}"
    owner = f", {ending.owner}" if ending.owner else ""
    told = f"{ending.what} for {ending.about} {over} ({ending.until}){owner}: {ending.reason}"
    _say(page, "  ends    ", told, gutter_looks="yellow")


def _called(holder: Holder) -> str:
    """Give what to call a key in a list, visible already."""
    return called(holder.key, _LONGEST_NAME)


# Words


def _say(page: Page, gutter: str, text: str, looks: str = "", *, gutter_looks: str = "dim") -> None:
    """Add a text right of a gutter; one line, whatever it says, since what it says comes from elsewhere."""
    page.hang(gutter, visible(text), looks, gutter_looks=gutter_looks)


def _gutter(title: str) -> str:
    return f"  {title:<{GUTTER}}"


def _inner(title: str) -> str:
    return f"      {title:<{GUTTER}}"


def _more(page: Page, count: int, where: str) -> None:
    """Say how much is not shown, and where it is."""
    if count > 0:
        _say(page, "  ", f"and {count} more, {where}", "dim")


def _ago(status: Status, text: str) -> str:
    """Say how long ago something was, and when."""
    when, now = moment(text), moment(status.as_of)
    if when is None or now is None:
        return minute(text)
    return f"{span(max(now - when, timedelta()))} ago, at {minute(text)}"


def _second(text: str) -> str:
    when = moment(text)
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when else text
