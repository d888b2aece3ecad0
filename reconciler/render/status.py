"""A daemon's status for a person at a terminal: is all as it should be, since when, and what is there to do.

It answers in the order in which a person asks: how does it stand, what differs and who asked for that, what is held
back, what changed lately, who can do what, what needs somebody soon. Each part is short, and says what it leaves out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from reconciler.core.changes import Outcome
from reconciler.core.endings import ENDS_SOON
from reconciler.core.findings import Severity
from reconciler.core.report import Mode, Report, ReportedChange, ReportedFinding
from reconciler.core.status import AccountReadiness, AskedBy, Occurrence, Status
from reconciler.core.subjects import span
from reconciler.errors import visible
from reconciler.render import owners
from reconciler.render.advice import Advice
from reconciler.render.ages import minute, moment
from reconciler.render.approval import approval
from reconciler.render.block import DIRECTIONS, OUTCOMES, Columns, add_change, called
from reconciler.render.groups import Group, Once, Owner, owner_of
from reconciler.render.overview import Overview
from reconciler.render.page import GUTTER, Page, Style, cut, listed, quoted
from reconciler.render.powers import add_powers
from reconciler.render.recap import SEVERITIES, counted
from reconciler.render.standing import is_unread, since, standing
from reconciler.render.tables import Ending
from reconciler.render.verdict import Tone
from reconciler.render.words import number, summary

__all__ = ["Style", "render"]

_TONES = {Tone.GOOD: "bold green", Tone.LOOK: "bold yellow", Tone.ACT: "bold magenta", Tone.BAD: "bold red"}
_MOST_PROBLEMS = 5
_MOST_ACCOUNTS = 10
_MOST_CHANGES = 20
_MOST_RECENT = 12
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
    names = _names(report)
    _accounts(page, status, names)
    if told is not None:
        known = _Known.of(status, told.report)
        _changes(page, told, known)
    _recent(page, status, names)
    if told is not None:
        add_powers(page, told)
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
    if told := since(status, report):
        _say(page, "  ", told)


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


_Names = Mapping[tuple[str, str | None], Owner]
"""The accounts that a report tells of, with the names of sub accounts."""


def _names(report: Report | None) -> _Names:
    owners_told = map(owner_of, report.accounts if report else ())
    return {(owner.account_id, owner.sub_account_id): owner for owner in owners_told}


def _accounts(page: Page, status: Status, names: _Names) -> None:
    """Say which accounts could not be read."""
    troubled = [each for each in status.readiness.accounts if is_unread(each) or not each.ready]
    if not troubled:
        return
    page.gap()
    _say(page, "", "Accounts that could not be read", "bold red")
    for account in troubled[:_MOST_ACCOUNTS]:
        _account(page, status, account, names)
    _more(page, len(troubled) - _MOST_ACCOUNTS, "all of them on /readyz")


def _account(page: Page, status: Status, account: AccountReadiness, names: _Names) -> None:
    page.add(f"  {page.paint(visible(account.account_id), 'bold')}")
    if account.error or not account.ready:
        read = f"last read {_ago(status, account.read_at.isoformat())}" if account.read_at else "never read"
        late = ", too long ago" if account.read_at and not account.ready else ""
        _say(page, "    ", f"{read}{late}{f': {account.error}' if account.error else ''}")
    if below := account.sub_accounts.failed_count:
        ids = [(account.account_id, each.sub_account_id) for each in account.sub_accounts.failed[:_MOST_NAMED]]
        told = owners.in_list([names.get(each) or Owner(*each) for each in ids], _MOST_NAMED)
        more = f" and {below - len(ids)} more" if below > len(ids) else ""
        beginning = f"{below} of {number(account.sub_accounts.count, 'sub account')}:"
        page.words("    ", [beginning, *told, *more.split()])


# What differs, and who asked for it


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of changes besides: the owners of keys, what the daemon noted of who asked, and what to do."""

    owners: dict[str, str]
    asked: dict[tuple[str | None, str | None, str], AskedBy]
    advice: Advice

    @classmethod
    def of(cls, status: Status, report: Report) -> "_Known":
        owned = {key.key_id: key.owner for account in report.accounts for key in account.inventory or () if key.owner}
        asked = {
            (each.key_id, each.name, f"{each.asked_by.file}:{each.asked_by.line}"): each.asked_by
            for each in reversed(status.recent)
            if each.asked_by
        }
        return cls(owned, asked, Advice(report))

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
            if group is Group.HELD_BACK:
                _advice(page, known.advice)
            for change in changes[:_MOST_CHANGES]:
                _change(page, told, change, columns, known)
            _more(page, sum(each.times for each in changes[_MOST_CHANGES:]), "all of them on /report")
    _approval(page, told.report)


def _approval(page: Page, report: Report) -> None:
    """Show the digest of a plan that is not carried out, and the commands that would apply something of it."""
    found = approval(report)
    if found is None:
        return
    page.gap()
    page.add(f"plan {visible(found.digest)}")
    for what, command in found.commands:
        _say(page, "", f"{what}:", "dim")
        page.add(f"  {visible(command)}")


def _change(page: Page, told: Overview, change: Once[ReportedChange], columns: Columns, known: _Known) -> None:
    page.gap()
    add_change(page, change, columns)
    if not change.shared and told.several:
        page.words(_inner("of"), owners.in_words(change.owners[0]))
    if whose := known.whose(change.item):
        _say(page, _inner("by"), whose)
    for hint in known.advice.own(change.item, change.owners[0]):
        _say(page, _inner("to do"), hint.text)


def _advice(page: Page, advice: Advice) -> None:
    """Say once what is to be done about several changes."""
    for hint, count in advice.shared.items():
        _say(
            page, f"  {visible(hint.rule)}  ", f"to do about {count} of these: {hint.text}", gutter_looks="bold magenta"
        )


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


def _recent(page: Page, status: Status, names: _Names) -> None:
    """Show writes as they ended, and count decisions: those that still stand are told with what differs."""
    written = [each for each in status.recent if each.outcome is Outcome.APPLIED or each.outcome.may_be_retried]
    page.gap()
    page.add(
        page.paint("What changed lately", "bold") + page.paint(f"  since {visible(minute(status.recent_from))}", "dim")
    )
    several = len(names) > 1 or len({(each.account_id, each.sub_account_id) for each in written}) > 1
    for each in written[:_MOST_RECENT]:
        place = each.account_id, each.sub_account_id
        _occurrence(page, each, ["in", *owners.in_words(names.get(place) or Owner(*place))] if several else [])
    if not written:
        _say(page, "  ", "No key was changed.", "dim")
    _more(page, len(written) - _MOST_RECENT, "all of them in -o json")
    if decided := len(status.recent) - len(written):
        _say(page, "  ", f"{number(decided, 'decision')} to leave keys as they are, all of them in -o json", "dim")


def _occurrence(page: Page, each: Occurrence, where: Sequence[str]) -> None:
    """Tell when which key was changed and how that ended, who asked for it, and in which account it is."""
    (outcome, looks), (direction, _) = OUTCOMES[each.outcome], DIRECTIONS[each.access.direction]
    when, name = visible(minute(each.time)).removesuffix(" UTC"), page.paint(called(each, _LONGEST_NAME), "bold")
    page.add(f"  {when}  {name}  {each.action}, {direction}  {page.paint(outcome, looks)}")
    asked = f"{each.asked_by.file}:{each.asked_by.line}" if each.asked_by else "no file names it"
    told = visible(", ".join(filter(None, (asked, _commit(each.asked_by)))))
    page.words(_UNDER_NAME, [f"{told}{',' if where else ''}", *where], "dim")


# What needs a person soon


def _soon(page: Page, told: Overview) -> None:
    """Tell what was found, what ends within two weeks, and which keys nobody uses."""
    page.gap()
    page.add(page.paint("For a person, soon", "bold"))
    before = page.height
    for found in told.found:
        if found.severity is not Severity.NOTE:
            rule = " ".join(filter(None, (visible(found.rule), counted(found.all))))
            names = list(dict.fromkeys(_about(each) for each in found.all if each.item.key or each.item.label))
            told_keys = listed(names[:_MOST_NAMED], len(names))
            words = [f"{rule}:" if names else rule, *told_keys]
            page.words(f"  {found.severity:<6}  ", words, gutter_looks=SEVERITIES[found.severity])
    for ending in told.endings:
        _ending(page, ending)
    for title, mark, lives in told.stale:
        names = [called(row.holder.key, _LONGEST_NAME) for row in lives.rows[:_MOST_NAMED]]
        page.words(f"  {mark:<6}  ", [f"{title}:", *listed(names, len(lives.rows))])
    if page.height == before:
        _say(page, "  ", f"Nothing for the next {ENDS_SOON.days} days.", "dim")


def _about(found: Once[ReportedFinding]) -> str:
    """Give what to call the key that a finding is about, visible already."""
    key = found.item.key
    name = quoted(found.item.label or "", _LONGEST_NAME) if key is None else cut(visible(key), _LONGEST_NAME)
    return f"{name} in {number(len(found.owners), 'sub account')}" if found.shared else name


def _ending(page: Page, ending: Ending) -> None:
    if ending.days is None or ending.days > ENDS_SOON.days:
        return
    over = "ended" if ending.days < 0 else f"ends in {number(ending.days, 'day')}"
    owner = f", {ending.owner}" if ending.owner else ""
    told = f"{ending.what} for {ending.about} {over} ({ending.until}){owner}: {ending.reason}"
    _say(page, "  ends    ", told, gutter_looks="yellow")


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
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when else text
