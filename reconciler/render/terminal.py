r"""The report for a person at a terminal: what differs, who gains or loses what, what is held back, and the way out.

Colour only repeats what a sign or a word says. Whatever comes from files or from the server is shown with its control
characters escaped (``\x1b``, ``\n``, ``\u202e``), so that no label can move the cursor or pretend to be our text.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.changes import Action, Direction, Outcome
from reconciler.core.findings import Severity
from reconciler.core.report import (
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
)
from reconciler.errors import visible
from reconciler.render.words import Line, in_sync, in_words, kept, network_lines, number, scope_lines, summary


@dataclass(frozen=True, slots=True)
class Style:
    """How the text is shown: with ANSI colours or without, and for how many columns."""

    colour: bool
    width: int


_LOOKS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
_SIGNS = {
    Action.UPDATE: ("~", "yellow"),
    Action.CREATE: ("+", "green"),
    Action.DELETE: ("-", "red"),
    Action.QUARANTINE: ("#", "magenta"),
    Action.RESTORE: ("^", "cyan"),
}
_DIRECTIONS = {
    Direction.WIDEN: ("widens", "yellow"),
    Direction.NARROW: ("narrows", "cyan"),
    Direction.MIXED: ("mixed", "yellow"),
    Direction.NONE: ("same access", "dim"),
}
_OUTCOMES = {
    Outcome.PLANNED: ("", ""),
    Outcome.APPLIED: ("applied", "green"),
    Outcome.FAILED: ("FAILED", "bold red"),
    Outcome.STALE: ("stale", "red"),
    Outcome.DENIED: ("denied", "bold magenta"),
    Outcome.REFUSED: ("refused", "bold magenta"),
    Outcome.SKIPPED: ("skipped", "bold magenta"),
    Outcome.PAUSED: ("paused", "cyan"),
}
_SEVERITIES = {Severity.DENY: "bold red", Severity.WARN: "yellow", Severity.NOTE: "cyan"}
_NARROWEST = 40
_LONGEST_NAME = 64
_SHORTEST_LABEL = 16
_LONGEST_LABEL = 48
_LONGEST_LISTED = 32
_MOST_LABELS = 5
_MOST_NOTES = 10
_GUTTER = 10


def render(report: Report, *, style: Style) -> str:
    """Give the report as text that ends with a newline."""
    page = _Page(style)
    _accounts(page, report)
    _refusals(page, report)
    _findings(page, report)
    _end(page, report)
    return page.text


class _Page:
    """Lines of text, as they come."""

    def __init__(self, style: Style) -> None:
        self.width = max(style.width, _NARROWEST)
        self._colour = style.colour
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def paint(self, text: str, looks: str) -> str:
        """Give ``text`` in some looks, named as in ``_LOOKS``; as it is where there is no colour, or nothing to see."""
        if not (self._colour and looks and text.strip()):
            return text
        return f"\x1b[{';'.join(_LOOKS[look] for look in looks.split())}m{text}\x1b[0m"

    def add(self, line: str) -> None:
        self._lines.append(line)

    def gap(self) -> None:
        """Leave one line free, but never the first."""
        if self._lines:
            self._lines.append("")

    def hang(self, gutter: str, text: str, looks: str = "", *, gutter_looks: str = "dim") -> None:
        """Add a text of one or more lines right of ``gutter``, wrapped; words that are too long are left whole."""
        margin = len(gutter)
        for given in text.split("\n"):
            inset = " " * min(len(given) - len(given.lstrip(" ")), _GUTTER)
            room = max(self.width - margin - len(inset), _NARROWEST // 2)
            for line in _wrapped(visible(given.strip(" ")), room):
                start = gutter + inset if line else gutter.rstrip()
                self.add(self.paint(start, gutter_looks) + self.paint(line, looks))
                gutter = " " * margin


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _quoted(text: str, room: int | None = None) -> str:
    """Give a text in quotes, cut to ``room`` columns."""
    shown = visible(text).replace('"', '\\"')
    return f'"{shown}"' if room is None else f'"{_cut(shown, room - 2)}"'


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."


def _identity(account: ReportedAccount | ReportedRefusal) -> tuple[str | None, str | None]:
    return account.account_id, account.sub_account_id


def _account_name(account_id: str, sub_account_id: str | None) -> str:
    return visible(f"account {account_id}" + (f", sub account {sub_account_id}" if sub_account_id else ""))


# Accounts and their changes


def _accounts(page: _Page, report: Report) -> None:
    """Show each account that there is something to say about, those that could not be read first."""
    failed = [account for account in report.accounts if account.status is AccountStatus.FAILED]
    for account in failed:
        page.gap()
        name = _account_name(account.account_id, account.sub_account_id)
        page.add(page.paint("A" + name[1:], "bold") + "  " + page.paint("FAILED", "bold red"))
        page.hang("  ", account.error or "it could not be read", "red")
    headings = len(report.accounts) > 1 or bool(failed)
    whole = _whole_plan_refusals(report)
    columns = _Columns.of(report.changes, page.width)
    for account in report.accounts:
        if headings and account.changes:
            page.gap()
            _account_heading(page, account)
        texts = whole[_identity(account)] + whole[None, None]
        for change in account.changes:
            page.gap()
            _change(page, change, _reason(change, texts), columns)


def _account_heading(page: _Page, account: ReportedAccount) -> None:
    name = _account_name(account.account_id, account.sub_account_id)
    told = f"  {number(len(account.changes), 'change')}, {account.unchanged} unchanged"
    page.add(page.paint("A" + name[1:], "bold") + page.paint(told, "dim"))


def _whole_plan_refusals(report: Report) -> dict[tuple[str | None, str | None], list[tuple[str, str]]]:
    """Give, by account, the reasons that all its changes share, and the words that stand for each."""
    texts = defaultdict(list)
    for refusal in report.refusals:
        if refusal.key_id is None:
            reason = f"{refusal.guardrail}: {refusal.message}"
            texts[_identity(refusal)].append((reason, f"{refusal.guardrail} (see below)"))
    return texts


def _reason(change: ReportedChange, shared: Iterable[tuple[str, str]]) -> str | None:
    """Give a change's reason, what it shares with the whole plan in short: that is told once, further down."""
    reason = change.reason
    if reason is not None:
        for text, short in shared:
            reason = reason.replace(text, short)
    return reason


@dataclass(frozen=True, slots=True)
class _Columns:
    """How wide the columns of the changes' headings are, so that they stand in line."""

    action: int
    title: int
    label_room: int
    verdict: int

    @classmethod
    def of(cls, changes: Sequence[ReportedChange], width: int) -> "_Columns":
        action = max((len(change.action) for change in changes), default=0)
        verdicts = max((len("  ".join(_verdict_words(change))) for change in changes), default=0)
        direction = max((len(_verdict_words(change)[0]) for change in changes), default=0)
        room = width - len("  ~ ") - action - 2 - len("  ") - max(verdicts, direction + len("  refused"))
        if room < _SHORTEST_LABEL * 2:
            room = width - len("  ~ ") - action - 2
        title = max((len("  ".join(filter(None, _title(change, room)))) for change in changes), default=0)
        return cls(action, min(title, room), room, direction)


def _verdict_words(change: ReportedChange) -> tuple[str, str]:
    """Give the words for the direction and the outcome; a change that could not be worked out has no direction."""
    known = change.fields or change.access.direction is not Direction.NONE
    return _DIRECTIONS[change.access.direction][0] if known else "", _OUTCOMES[change.outcome][0]


def _title(change: ReportedChange, room: int) -> tuple[str, str]:
    """Give the name of a change's key, and its label in quotes where that says more."""
    if change.name == change.label:
        return _cut(visible(change.name), _LONGEST_NAME), ""
    name = "unmanaged key" if change.name is None else _cut(visible(change.name), _LONGEST_NAME)
    return name, _quoted(change.label, min(max(room - len(name) - 2, _SHORTEST_LABEL), _LONGEST_LABEL))


def _change(page: _Page, change: ReportedChange, reason: str | None, columns: _Columns) -> None:
    """Show one change as a block: what happens to which key, who asks for it, what differs, and why it is held back."""
    _change_heading(page, change, columns)
    where = [f"{visible(change.source.file)}:{change.source.line}"] if change.source else []
    key = [page.paint(f"key {visible(change.key_id)}", "dim")] if change.key_id else []
    if where and key and 6 + len(where[0]) + len(f"  key {change.key_id}") > page.width:
        page.add("      " + where.pop())
    if where or key:
        page.add("      " + "  ".join(where + key))
    _label_lines(page, change)
    fields = change.fields
    _diff(page, "scopes", scope_lines(fields.scopes), kept(fields.scopes))
    _diff(page, "networks", network_lines(fields.ip_allow_list, change.access.networks), kept(fields.ip_allow_list))
    for verb, told in zip(("grants", "revokes"), in_words(change), strict=True):
        if told:
            page.hang(_gutter(verb), told)
    if reason is not None:
        page.hang(_gutter("why"), reason, _OUTCOMES[change.outcome][1].removeprefix("bold "))


def _change_heading(page: _Page, change: ReportedChange, columns: _Columns) -> None:
    sign, looks = _SIGNS[change.action]
    name, label = _title(change, columns.label_room)
    direction, outcome = _verdict_words(change)
    line = "  " + page.paint(f"{sign} {change.action:<{columns.action}}", looks) + "  " + page.paint(name, "bold")
    line += f"  {label}" if label else ""
    length = len("  ~ ") + columns.action + 2 + len("  ".join(filter(None, (name, label))))
    told = page.paint(f"{direction:<{columns.verdict if outcome else 0}}", _DIRECTIONS[change.access.direction][1])
    told += f"  {page.paint(outcome, _OUTCOMES[change.outcome][1])}" if outcome else ""
    start = len("  ~ ") + columns.action + 2 + columns.title + 2
    fits = length + 2 <= start and start + columns.verdict + len(f"  {outcome}") <= page.width
    page.add(line + " " * (start - length) + told if fits and told.strip() else line)
    if told.strip() and not fits:
        page.add("      " + told.strip())


def _gutter(title: str) -> str:
    return f"      {title:<{_GUTTER}}"


def _label_lines(page: _Page, change: ReportedChange) -> None:
    label = change.fields.label
    if label is None:
        return
    before = None if label.before is None else _quoted(label.before)
    after = _quoted(label.after)
    if before is not None and len(before) + len(after) + len(_gutter("label")) + len(" -> ") <= page.width:
        page.hang(_gutter("label"), f"{before} -> {after}")
        return
    _diff(page, "label", [Line("-", before), Line("+", after)] if before is not None else [Line("+", after)])


def _diff(page: _Page, title: str, lines: Iterable[Line], unchanged: int = 0) -> None:
    """Show what goes and what comes, a line each, with a remark where a line alone would mislead."""
    gutter = _gutter(title)
    for line in lines:
        shown = page.paint(f"{line.sign} {visible(line.text)}", "red" if line.sign == "-" else "green")
        remark = page.paint(f"  ({line.remark})", "dim") if line.remark else ""
        page.add(page.paint(gutter, "dim") + shown + remark)
        gutter = _gutter("")
    if unchanged:
        page.add(page.paint(f"{gutter}  {unchanged} unchanged", "dim"))


# What is refused, and what was found


def _refusals(page: _Page, report: Report) -> None:
    """Show each refusal that no change has shown in full."""
    told: dict[tuple[str | None, str | None, str | None], str] = defaultdict(str)
    for account in report.accounts:
        for change in account.changes:
            told[*_identity(account), change.key_id] += f"{change.reason}\n"
    left = [r for r in report.refusals if r.key_id is None or r.message not in told[*_identity(r), r.key_id]]
    if not left:
        return
    page.gap()
    page.add(page.paint("Refused by guardrails", "bold"))
    for refusal in left:
        page.hang(f"  {visible(refusal.guardrail)}  ", refusal.message, gutter_looks="bold magenta")
        if refusal.account_id is not None and len(report.accounts) > 1:
            margin = " " * len(f"  {visible(refusal.guardrail)}  ")
            page.hang(margin, _account_name(refusal.account_id, refusal.sub_account_id), "dim")


def _findings(page: _Page, report: Report) -> None:
    """Show findings by severity and rule, and those that are waived after all others."""
    groups: dict[tuple[Severity, str], list[ReportedFinding]] = defaultdict(list)
    for finding in report.findings:
        if finding.waived is None:
            groups[finding.severity, finding.rule].append(finding)
    if report.findings:
        page.gap()
        page.add(page.paint("Findings", "bold"))
    severities = list(Severity)
    for severity, rule in sorted(groups, key=lambda group: severities.index(group[0])):
        page.hang(f"  {severity:<6}", rule, "bold", gutter_looks=_SEVERITIES[severity])
        _finding_group(page, groups[severity, rule], several_accounts=len(report.accounts) > 1)
    for finding in report.findings:
        if finding.waived is not None:
            page.hang("  waived  ", f"{finding.rule}: {_finding(finding)}", "dim")
            told = f"until {finding.waived.until}, by {finding.waived.owner}: {finding.waived.reason}"
            page.hang("          ", told, "dim")


def _finding_group(page: _Page, group: list[ReportedFinding], *, several_accounts: bool) -> None:
    """Show what breaks one rule; a hint that is the same for all is told once, and notes end after a few."""
    shown = group[:_MOST_NOTES] if group[0].severity is Severity.NOTE else group
    same_hint = len({finding.hint for finding in group}) == 1
    margin = " " * 8
    for finding in shown:
        page.hang(margin, _finding(finding))
        if several_accounts and finding.account_id is not None:
            page.hang(margin, "  " + _account_name(finding.account_id, finding.sub_account_id), "dim")
        if finding.hint and (not same_hint or finding is shown[-1]):
            page.hang(margin, f"hint: {finding.hint}", "cyan")
    if len(group) > len(shown):
        page.hang(margin, f"and {len(group) - len(shown)} more, all of them in -o json", "dim")


def _finding(finding: ReportedFinding) -> str:
    """Give place, key and message in one sentence; the key only where the message does not name it."""
    where = f"{finding.source.file}:{finding.source.line}: " if finding.source else ""
    if not where and finding.key_id is not None:
        where = f"key {finding.key_id}: "
    about = finding.key if finding.key is not None else finding.label
    named = about is None or about in finding.message
    who = "" if named else f"{finding.key or _quoted(finding.label or '', _LONGEST_NAME)}: "
    return f"{visible(where)}{visible(who)}{finding.message}"


# What it comes to


def _left_alone(page: _Page, report: Report) -> None:
    """Tell how many keys are left alone, and why."""
    free = sum(account.keys.list_not_managed for account in report.accounts)
    open_ = sum(account.keys.list_open for account in report.accounts)
    if free:
        have = "has" if free == 1 else "have"
        usable = f", {open_} of them {'is' if open_ == 1 else 'are'} usable from anywhere" if open_ else ""
        page.hang("", f"{number(free, 'key')} {have} no ip_allow_list in the files{usable}.")
    unmanaged = [_quoted(key.label, _LONGEST_LISTED) for account in report.accounts for key in account.unmanaged]
    if unmanaged:
        are = "is" if len(unmanaged) == 1 else "are"
        page.hang("", f"{number(len(unmanaged), 'key')} {are} in no file: {_some(unmanaged)}.")
    suspended = [a.sub_account_id or a.account_id for a in report.accounts if a.status is AccountStatus.SUSPENDED]
    if suspended:
        page.hang("", f"{number(len(suspended), 'account')} suspended and left alone: {_some(suspended)}.")


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_LABELS
    return ", ".join(texts[:_MOST_LABELS]) + (f" and {more} more" if more > 0 else "")


def _end(page: _Page, report: Report) -> None:
    """End with what is left alone, one line that says it all, and the digest to approve the plan by."""
    page.gap()
    _left_alone(page, report)
    good = in_sync(report) and report.mode is not Mode.AUDIT
    page.add(page.paint(summary(report), "bold green" if good else "bold"))
    if report.mode is Mode.PLAN and report.summary.planned and report.digest is not None:
        digest, use = visible(f"digest {report.digest}"), "(apply exactly this with --digest)"
        between = " " if len(digest) + len(use) < page.width else "\n"  # a terminal must not break what is to be copied
        page.add(f"{digest}{between}{page.paint(use, 'dim')}")
