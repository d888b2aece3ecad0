"""The report for a person at a terminal: what differs, who gains or loses what, what is held back, and the way out.

Colour only repeats what a sign or a word says. What is the same in many sub accounts is told once, those that are in
sync are only counted, so that a thousand of them read as quickly as one. What more than fills a screen ends with what
matters of it: the beginning has scrolled away.
"""

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core.findings import Severity
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    Standing,
)
from reconciler.errors import visible
from reconciler.render import groups, owners, recap
from reconciler.render.approval import of_shard
from reconciler.render.block import Columns, add_change, add_key, called
from reconciler.render.groups import Family, Once, Owner, Section, Told
from reconciler.render.page import Page, Style, listed, quoted, width_of
from reconciler.render.recap import SEVERITIES
from reconciler.render.words import approvable, in_sync, list_not_managed, mention, number, summary, unmentioned

__all__ = ["Style", "render"]

_LONGEST_LABEL = 64
_LONGEST_LISTED = 32
_MOST_LISTED = 5
_MOST_OWNERS = 10
_REASONS_START = 16
_MOST_GONE = 20
_MOST_KEYS = 20
_MARGIN = " " * 8
_MOST_FOUND = {Severity.DENY: 100, Severity.WARN: 100, Severity.NOTE: 10}


def render(report: Report, *, style: Style) -> str:
    """Give the report as text that ends with a newline."""
    page = Page(style)
    told = Told.of(report)
    _failures(page, told.failures)
    _changes(page, report, told.families)
    _refusals(page, report, told.refusals)
    _findings(page, report, told.findings)
    _gone(page, report)
    _keys(page, report)
    recap.add(page, told)
    _end(page, report)
    return page.text


# Accounts and their changes


def _failures(page: Page, failures: Sequence[Once[ReportedAccount]]) -> None:
    """Show what could not be read, and why."""
    for failure in failures:
        page.gap()
        title, of_account = owners.heading(failure.owners[0], page.width)
        if failure.shared:
            title, of_account = f"{number(len(failure.owners), 'sub account')} {of_account}", ""
        fits = of_account and width_of(f"{title}  {of_account}  FAILED") <= page.width
        beside = page.paint(f"  {of_account}", "dim") if fits else ""
        page.add(page.paint(title, "bold") + beside + "  " + page.paint("FAILED", "bold red"))
        if of_account and not fits:
            page.add(page.paint(f"  {of_account}", "dim"))
        if failure.shared:
            page.words("  ", ["with the same error:", *owners.in_list(failure.owners, _MOST_LISTED)])
        page.hang("  ", failure.text or "it could not be read", "red")


def _changes(page: Page, report: Report, families: Sequence[Family]) -> None:
    """Show each account that differs, then what its sub accounts share, then what each of them has besides."""
    headings = len(report.accounts) > 1 or any(one.status is AccountStatus.FAILED for one in report.accounts)
    columns = Columns.of([told.item for family in families for told in family.changes], page.width)
    for family in families:
        for section in family.accounts:
            _section(page, section, columns, headings=headings)
        if family.shared:
            _shared(page, family, columns)
        for section in family.sub_accounts:
            _section(page, section, columns, headings=headings)


def _section(page: Page, section: Section, columns: Columns, *, headings: bool) -> None:
    account = section.account
    if headings and section.changes:
        page.gap()
        told = number(len(account.changes), "change")
        above = len(account.changes) - len(section.changes)
        told += f" ({above} of them above)" if above else ""
        title, of_account = owners.heading(groups.owner_of(account), page.width)
        _heading(page, title, of_account, f"{told}, {account.unchanged} unchanged")
    _blocks(page, section.changes, columns)


def _shared(page: Page, family: Family, columns: Columns) -> None:
    page.gap()
    count = len({owner for told in family.shared for owner in told.owners})
    title = f"{number(count, 'sub account')} of account {visible(family.account_id)}"
    _heading(page, title, number(sum(told.times for told in family.shared), "change") + ", told once where the same")
    _blocks(page, family.shared, columns)


def _blocks(page: Page, changes: Sequence[Once[ReportedChange]], columns: Columns) -> None:
    """Add changes; a reason of several lines that another one above has, too, is told by the name of that one."""
    first: dict[str, str] = {}
    for change in changes:
        page.gap()
        name, text = called(change.item, _LONGEST_LISTED), change.text or ""
        alike = text if change.item.name is None else mention(change.item.name).sub("*", text)
        above = first.setdefault(alike, name)
        repeated = above != name and len(text) > page.width - _REASONS_START
        add_change(page, replace(change, text=f"as for {above}, above") if repeated else change, columns)


def _heading(page: Page, title: str, *told: str) -> None:
    """Add a heading, with what is told about it on the same line or, where that has no room, on the next."""
    rest = "  ".join(filter(None, told))
    if width_of(f"{title}  {rest}") <= page.width:
        page.add(page.paint(title, "bold") + page.paint(f"  {rest}", "dim"))
    else:
        page.add(page.paint(title, "bold"))
        page.add(page.paint(f"  {rest}", "dim"))


# What is refused, and what was found


def _refusals(page: Page, report: Report, left: Sequence[Once[ReportedRefusal]]) -> None:
    """Show each refusal that no change has shown in full."""
    if not left:
        return
    page.gap()
    page.add(page.paint("Refused by guardrails", "bold"))
    longest = max(len(visible(told.item.guardrail)) for told in left)
    for told in left:
        gutter = f"  {visible(told.item.guardrail):<{longest}}  "
        page.hang(gutter, told.text or "", gutter_looks="bold magenta")
        if len(report.accounts) > 1:
            _about(page, " " * len(gutter), told.owners)


def _about(page: Page, margin: str, about: Sequence[Owner]) -> None:
    """Say whom something is about; nothing where that is the whole run."""
    if len(about) > 1:
        count = f"{number(len(about), 'sub account')} of account {visible(about[0].account_id)}:"
        page.words(margin, [count, *owners.in_list(about, _MOST_OWNERS)], "dim")
    elif about:
        page.words(margin, owners.in_words(about[0]), "dim")


def _heading_about(
    page: Page, report: Report, told: Sequence[Once[ReportedFinding]] | Sequence[Once[ChangedKey]]
) -> bool:
    """Say below a heading whom all that follows is about, and tell whether each must say that by itself instead."""
    about = {each.owners for each in told if each.owners}
    if len(report.accounts) > 1 and len(about) == 1:
        _about(page, "  ", *about)
    return len(report.accounts) > 1 and len(about) > 1


def _findings(page: Page, report: Report, found: Sequence[Once[ReportedFinding]]) -> None:
    """Show findings by severity and rule, and those that are waived after all others."""
    if not found:
        return
    page.gap()
    page.add(page.paint("Findings", "bold"))
    several = _heading_about(page, report, found)
    for (severity, rule), broken in groups.by_rule(found).items():
        counted = "  ".join(filter(None, (rule, recap.counted(broken))))
        page.hang(f"  {severity:<6}", counted, "bold", gutter_looks=SEVERITIES[severity])
        _finding_group(page, broken, several=several)
    for told in found:
        _waived(page, told, several=several)


def _finding_group(page: Page, group: Sequence[Once[ReportedFinding]], *, several: bool) -> None:
    """Show what breaks one rule, by whom it is about; a hint that is the same for all is told once, and it ends."""
    shown = group[: _MOST_FOUND[group[0].item.severity]]
    same_hint = len({told.item.hint for told in group}) == 1
    about: Sequence[Owner] = ()
    for told in shown:
        if several and told.owners != about:
            _about(page, _MARGIN, told.owners)
        about = told.owners
        margin = f"{_MARGIN}  " if several and about else _MARGIN
        new = "  new" if told.item.since is Standing.NEW else ""
        text, key = _finding(told)
        page.hang(f"{new:<{len(margin)}}", text, gutter_looks="bold", beside=key)
        if not same_hint:
            _hint(page, margin, told.item.hint)
    if same_hint:
        _hint(page, _MARGIN, shown[0].item.hint)
    if more := sum(told.times for told in group[len(shown) :]):
        page.hang(_MARGIN, f"and {more} more, all of them in -o json", "dim")


def _hint(page: Page, margin: str, hint: str) -> None:
    if hint:
        page.hang(f"{margin}hint: ", hint, gutter_looks="cyan")


def _waived(page: Page, told: Once[ReportedFinding], *, several: bool) -> None:
    waiver = told.item.waived
    if waiver is None:
        return
    margin = " " * len("  waived  ")
    text, key = _finding(told)
    page.hang("  waived  ", f"{told.item.rule}: {text}", "dim", beside=key)
    if several and told.item.sub_account_id is not None:
        _about(page, margin, told.owners)
    page.hang(margin, f"until {waiver.until}, by {waiver.owner}: {waiver.reason}", "dim")


def _finding(told: Once[ReportedFinding]) -> tuple[str, str]:
    """Give place, key and message in one sentence, and the id of a key that no place leads to.

    The key is in it only where the message does not name it.
    """
    finding, message = told.item, told.text or ""
    place = f"{finding.source.file}:{finding.source.line}: " if finding.source else ""
    id_of_key = f"key {visible(finding.key_id)}" if finding.key_id and not (place or told.shared) else ""
    about = unmentioned(finding, message)
    who = "" if about is None else f"{finding.key or quoted(about, _LONGEST_LABEL)}: "
    return f"{visible(place)}{visible(who)}{message}", id_of_key


# What became of it since an earlier report


def _gone(page: Page, report: Report) -> None:
    """Show what an earlier report had found and this one does not."""
    if report.since is None or not report.since.gone:
        return
    page.gap()
    page.add(page.paint("Gone, or waived, since then", "bold"))
    for finding in report.since.gone[:_MOST_GONE]:
        about = unmentioned(finding, finding.message)
        who = "" if about is None else f"{finding.key or quoted(about, _LONGEST_LABEL)}: "
        beside = f"key {visible(finding.key_id)}" if finding.key_id and not finding.key else ""
        told = f"{finding.rule}: {visible(who)}{finding.message}"
        page.hang(f"  {finding.severity:<6}", told, "dim", gutter_looks="dim", beside=beside)
    if (more := len(report.since.gone) - _MOST_GONE) > 0:
        page.hang(_MARGIN, f"and {more} more, all of them in -o json", "dim")


def _keys(page: Page, report: Report) -> None:
    """Show what became of keys: first what gives more, and last how much could not be compared."""
    if report.since is None or not (report.since.keys or report.since.not_compared):
        return
    page.gap()
    page.add(page.paint("Keys, since then", "bold"))
    told = groups.changed_keys(report)
    several = _heading_about(page, report, told)
    shown = told[:_MOST_KEYS]
    columns = Columns.of([key.item for key in shown], page.width)
    for key in shown:
        page.gap()
        add_key(page, key, columns, several=several)
    more, not_compared = sum(key.times for key in told[_MOST_KEYS:]), report.since.not_compared
    if shown and (more or not_compared):
        page.gap()
    if more:
        page.hang("  ", f"and {more} more, all of them in -o json", "dim")
    if not_compared:
        whose = "its keys" if not_compared == 1 else "their keys"
        page.hang(
            "  ", f"{number(not_compared, 'account')} not compared: only one of the two reports has {whose}", "dim"
        )


# What it comes to


def _left_alone(page: Page, report: Report) -> None:
    """Tell how many keys and sub accounts are left alone, and why."""
    good = [account for account in report.accounts if account.status is AccountStatus.OK and not account.changes]
    count = sum(account.sub_account_id is not None for account in good)
    if count and report.mode is not Mode.AUDIT and not in_sync(report):
        page.hang("", f"{number(count, 'sub account')} in sync.")
    suspended = [account for account in report.accounts if account.status is AccountStatus.SUSPENDED]
    if suspended:
        told = f"{number(len(suspended), 'suspended sub account')} left alone:"
        _sentence(page, told, owners.in_list(groups.by_name(map(groups.owner_of, suspended)), _MOST_LISTED))
    for told in list_not_managed(report):
        page.hang("", f"{told}.")
    unmanaged = [(key.label, account) for account in report.accounts for key in account.unmanaged]
    if unmanaged:
        are = "is" if len(unmanaged) == 1 else "are"
        shown = [
            quoted(label, _LONGEST_LISTED)
            + (f" of {quoted(account.sub_account_name, _LONGEST_LISTED)}" if account.sub_account_name else "")
            for label, account in unmanaged[:_MOST_LISTED]
        ]
        _sentence(page, f"{number(len(unmanaged), 'key')} {are} in no file:", listed(shown, len(unmanaged)))


def _sentence(page: Page, beginning: str, words: Sequence[str]) -> None:
    page.words("", [*beginning.split(" "), *words[:-1], f"{words[-1]}."])


def _end(page: Page, report: Report) -> None:
    """End with what is left alone, one line that says it all, and the digest to approve the plan by."""
    page.gap()
    _left_alone(page, report)
    good = in_sync(report) and report.mode is not Mode.AUDIT
    page.hang("", summary(report), "bold green" if good else "bold")
    if approvable(report) and report.digest is not None:
        digest, use = (
            visible(f"digest {report.digest}"),
            f"(apply exactly this with {visible(of_shard(report.shard))}--digest)",
        )
        between = " " if len(digest) + len(use) < page.width else "\n"  # a terminal must not break what is to be copied
        page.add(f"{digest}{between}{page.paint(use, 'dim')}")
