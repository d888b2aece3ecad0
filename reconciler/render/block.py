"""One change as a block of lines at a terminal: what happens to which key, who asks for it, what differs, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.changes import Action, Direction, Outcome
from reconciler.core.report import ReportedChange
from reconciler.errors import visible
from reconciler.render import owners
from reconciler.render.groups import Once
from reconciler.render.page import GUTTER, Page, cut, quoted
from reconciler.render.words import Line, in_words, kept, network_lines, number, scope_lines

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
_LONGEST_NAME = 64
_SHORTEST_LABEL = 16
_LONGEST_LABEL = 48
_MOST_OWNERS = 10


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns of the changes' headings are, so that they stand in line."""

    action: int
    title: int
    label_room: int
    verdict: int

    @classmethod
    def of(cls, changes: Sequence[ReportedChange], width: int) -> "Columns":
        """Measure the headings of ``changes`` for a page of ``width`` columns."""
        action = max((len(change.action) for change in changes), default=0)
        verdicts = max((len("  ".join(_verdict_words(change))) for change in changes), default=0)
        direction = max((len(_verdict_words(change)[0]) for change in changes), default=0)
        room = width - len("  ~ ") - action - 2 - len("  ") - max(verdicts, direction + len("  refused"))
        if room < _SHORTEST_LABEL * 2:
            room = width - len("  ~ ") - action - 2
        title = max((len("  ".join(filter(None, _title(change, room)))) for change in changes), default=0)
        return cls(action, min(title, room), room, direction)


def add_change(page: Page, told: Once[ReportedChange], columns: Columns) -> None:
    """Add a change as a block; one that several sub accounts share names them at its end, instead of a key."""
    change = told.item
    _heading(page, change, columns)
    _where(page, told)
    _label_lines(page, change)
    fields = change.fields
    _diff(page, "scopes", scope_lines(fields.scopes), kept(fields.scopes))
    _diff(page, "networks", network_lines(fields.ip_allow_list, change.access.networks), kept(fields.ip_allow_list))
    for verb, words in zip(("grants", "revokes"), in_words(change), strict=True):
        if words:
            page.hang(_gutter(verb), words)
    if told.text is not None:
        page.hang(_gutter("why"), told.text, _OUTCOMES[change.outcome][1].removeprefix("bold "))
    if told.shared:
        page.words(_gutter("in"), owners.in_list(told.owners, _MOST_OWNERS))


def _verdict_words(change: ReportedChange) -> tuple[str, str]:
    """Give the words for the direction and the outcome; a change that could not be worked out has no direction."""
    known = change.fields or change.access.direction is not Direction.NONE
    return _DIRECTIONS[change.access.direction][0] if known else "", _OUTCOMES[change.outcome][0]


def _title(change: ReportedChange, room: int) -> tuple[str, str]:
    """Give the name of a change's key, and its label in quotes where that says more."""
    if change.name == change.label:
        return cut(visible(change.name), _LONGEST_NAME), ""
    name = "unmanaged key" if change.name is None else cut(visible(change.name), _LONGEST_NAME)
    return name, quoted(change.label, min(max(room - len(name) - 2, _SHORTEST_LABEL), _LONGEST_LABEL))


def _heading(page: Page, change: ReportedChange, columns: Columns) -> None:
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


def _where(page: Page, told: Once[ReportedChange]) -> None:
    """Tell which line of which file asks for it, and which key it is, or in how many sub accounts."""
    change = told.item
    place = f"{visible(change.source.file)}:{change.source.line}" if change.source else ""
    if told.shared:
        more = f"{told.times} times " if told.times > len(told.owners) else ""
        key = f"{more}in {number(len(told.owners), 'sub account')}"
    else:
        key = f"key {visible(change.key_id)}" if change.key_id else ""
    if place and key and len("        ") + len(place) + len(key) > page.width:
        page.add(f"      {place}")
        place = ""
    if place or key:
        page.add("      " + "  ".join(filter(None, (place, page.paint(key, "" if told.shared else "dim")))))


def _gutter(title: str) -> str:
    return f"      {title:<{GUTTER}}"


def _label_lines(page: Page, change: ReportedChange) -> None:
    label = change.fields.label
    if label is None:
        return
    before = None if label.before is None else quoted(label.before)
    after = quoted(label.after)
    if before is not None and len(before) + len(after) + len(_gutter("label")) + len(" -> ") <= page.width:
        page.hang(_gutter("label"), f"{before} -> {after}")
        return
    _diff(page, "label", [Line("-", before), Line("+", after)] if before is not None else [Line("+", after)])


def _diff(page: Page, title: str, lines: Iterable[Line], unchanged: int = 0) -> None:
    """Show what goes and what comes, a line each, with a remark where a line alone would mislead."""
    gutter = _gutter(title)
    for line in lines:
        shown = page.paint(f"{line.sign} {visible(line.text)}", "red" if line.sign == "-" else "green")
        remark = page.paint(f"  ({line.remark})", "dim") if line.remark else ""
        page.add(page.paint(gutter, "dim") + shown + remark)
        gutter = _gutter("")
    if unchanged:
        page.add(page.paint(f"{gutter}  {unchanged} unchanged", "dim"))
