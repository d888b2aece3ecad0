"""What is done to a key, or became of it, as a block of lines at a terminal: which key, who asks for it, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from reconciler.core.changes import Action, Direction, Outcome
from reconciler.core.inventory import ReportedKey
from reconciler.core.report import ChangedKey, KeyEvent, ReportedChange
from reconciler.core.status import Occurrence
from reconciler.errors import visible
from reconciler.render import owners
from reconciler.render.groups import Once
from reconciler.render.page import GUTTER, Page, cut, quoted, width_of
from reconciler.render.words import DIRECTION_WORDS, Line, direction, in_words, kept, network_lines, number, scope_lines

_ACTIONS = {
    Action.UPDATE: ("~", ""),
    Action.CREATE: ("+", "green"),
    Action.DELETE: ("-", "red"),
    Action.QUARANTINE: ("#", "magenta"),
    Action.RESTORE: ("^", "cyan"),
}
_NO_WORD = ("", "")
_EVENTS = {KeyEvent.APPEARED: ("+", "green"), KeyEvent.GONE: ("-", "red"), KeyEvent.CHANGED: ("~", "")}
_LONGEST_NAME = 64
_SHORTEST_LABEL = 16
_LONGEST_LABEL = 48
_MOST_OWNERS = 10

DIRECTIONS = {
    Direction.WIDEN: (DIRECTION_WORDS[Direction.WIDEN], "yellow"),
    Direction.NARROW: (DIRECTION_WORDS[Direction.NARROW], "cyan"),
    Direction.MIXED: (DIRECTION_WORDS[Direction.MIXED], "yellow"),
    Direction.NONE: (DIRECTION_WORDS[Direction.NONE], "dim"),
}
"""The words for what becomes of access, with their looks."""

OUTCOMES = {
    Outcome.PLANNED: _NO_WORD,
    Outcome.APPLIED: ("applied", "green"),
    Outcome.FAILED: ("FAILED", "bold red"),
    Outcome.STALE: ("stale", "red"),
    Outcome.DENIED: ("denied", "bold magenta"),
    Outcome.REFUSED: ("refused", "bold magenta"),
    Outcome.SKIPPED: ("skipped", "bold magenta"),
    Outcome.PAUSED: ("paused", "cyan"),
}
"""The words for how a change stands or ended, with their looks; none for what is planned."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns of the headings are, so that they stand in line."""

    action: int
    title: int
    label_room: int
    verdict: int

    @classmethod
    def of(cls, told: Sequence[ReportedChange | ChangedKey], width: int) -> "Columns":
        """Measure the headings of what is told for a page of ``width`` columns."""
        action = max((len(_head(each)[1]) for each in told), default=0)
        verdicts = max((len("  ".join(word for word, _ in _verdict(each))) for each in told), default=0)
        direction = max((len(_verdict(each)[0][0]) for each in told), default=0)
        room = width - len("  ~ ") - action - 2 - len("  ") - max(verdicts, direction + len("  refused"))
        if room < _SHORTEST_LABEL * 2:
            room = width - len("  ~ ") - action - 2
        title = max((width_of("  ".join(filter(None, _title(each, room)))) for each in told), default=0)
        return cls(action, min(title, room), room, direction)


def add_change(page: Page, told: Once[ReportedChange], columns: Columns) -> None:
    """Add a change as a block; one that several sub accounts share names them at its end, instead of a key."""
    change = told.item
    _heading(page, change, columns)
    _where(page, told)
    _label_lines(page, change)
    _access_lines(page, change)
    if told.text is not None:
        page.hang(_gutter("why"), told.text)
    if told.shared:
        page.words(_gutter("in"), owners.in_list(told.owners, _MOST_OWNERS))


def add_key(page: Page, told: Once[ChangedKey], columns: Columns, *, several: bool) -> None:
    """Add what became of a key as a block, with its account where there are ``several``."""
    key = told.item
    _heading(page, key, columns)
    if not told.shared:
        page.add("      " + page.paint(f"key {visible(key.key_id)}", "dim"))
    if key.what is KeyEvent.CHANGED:  # the label of one that appeared is in its heading
        _label_lines(page, key)
    _access_lines(page, key)
    if told.shared:
        page.words(_gutter("in"), owners.in_list(told.owners, _MOST_OWNERS))
    elif several:
        page.words(_gutter("of"), owners.in_words(told.owners[0]))


def called(told: ReportedChange | ChangedKey | ReportedKey | Occurrence, room: int) -> str:
    """Give what to call a key in a list: its name in the files, else its label in quotes; as much as ``room`` holds."""
    return quoted(told.label, room) if told.name is None else cut(visible(told.name), room)


def _verdict(told: ReportedChange | ChangedKey) -> tuple[tuple[str, str], tuple[str, str]]:
    """Give the words for the direction and for the outcome, each with its looks.

    A change that could not be worked out has no direction, what is planned no outcome.
    """
    becomes = DIRECTIONS[told.access.direction] if direction(told) else _NO_WORD
    match told:
        case ReportedChange(outcome=outcome):
            return becomes, OUTCOMES[outcome]
        case ChangedKey():
            return becomes, _NO_WORD
        case _:
            assert_never(told)


def _head(told: ReportedChange | ChangedKey) -> tuple[str, str, str]:
    """Give the sign, the word and the looks of what is done, or was seen."""
    match told:
        case ReportedChange(action=action):
            sign, looks = _ACTIONS[action]
            return sign, action.value, looks
        case ChangedKey(what=what):
            sign, looks = _EVENTS[what]
            return sign, what.value, looks
        case _:
            assert_never(told)


def _title(told: ReportedChange | ChangedKey, room: int) -> tuple[str, str]:
    """Give the name of a key, and its label in quotes where that says more."""
    if told.name == told.label:
        return cut(visible(told.name), _LONGEST_NAME), ""
    name = "unmanaged key" if told.name is None else cut(visible(told.name), _LONGEST_NAME)
    return name, quoted(told.label, min(max(room - len(name) - 2, _SHORTEST_LABEL), _LONGEST_LABEL))


def _heading(page: Page, told: ReportedChange | ChangedKey, columns: Columns) -> None:
    sign, word, looks = _head(told)
    name, label = _title(told, columns.label_room)
    (direction, direction_looks), (outcome, outcome_looks) = _verdict(told)
    line = "  " + page.paint(f"{sign} {word:<{columns.action}}", looks) + "  " + page.paint(name, "bold")
    line += f"  {label}" if label else ""
    length = len("  ~ ") + columns.action + 2 + width_of("  ".join(filter(None, (name, label))))
    told_beside = page.paint(f"{direction:<{columns.verdict if outcome else 0}}", direction_looks)
    told_beside += f"  {page.paint(outcome, outcome_looks)}" if outcome else ""
    start = len("  ~ ") + columns.action + 2 + columns.title + 2
    fits = length + 2 <= start and start + columns.verdict + len(f"  {outcome}") <= page.width
    page.add(line + " " * (start - length) + told_beside if fits and told_beside.strip() else line)
    if told_beside.strip() and not fits:
        page.add("      " + told_beside.strip())


def _where(page: Page, told: Once[ReportedChange]) -> None:
    """Tell which line of which file asks for it, and which key it is, or in how many sub accounts."""
    change = told.item
    place = f"{visible(change.source.file)}:{change.source.line}" if change.source else ""
    if told.shared:
        more = f"{told.times} times " if told.times > len(told.owners) else ""
        key = f"{more}in {number(len(told.owners), 'sub account')}"
    else:
        key = f"key {visible(change.key_id)}" if change.key_id else ""
    if place and key and len("        ") + width_of(place) + len(key) > page.width:
        page.add(f"      {place}")
        place = ""
    if place or key:
        page.add("      " + "  ".join(filter(None, (place, page.paint(key, "" if told.shared else "dim")))))


def _gutter(title: str) -> str:
    return f"      {title:<{GUTTER}}"


def _label_lines(page: Page, told: ReportedChange | ChangedKey) -> None:
    label = told.fields.label
    if label is None:
        return
    before = None if label.before is None else quoted(label.before)
    after = quoted(label.after)
    if before is not None and width_of(f"{_gutter('label')}{before} -> {after}") <= page.width:
        page.words(_gutter("label"), [before, "->", after])
        return
    _diff(page, "label", [Line("-", before), Line("+", after)] if before is not None else [Line("+", after)])


def _access_lines(page: Page, told: ReportedChange | ChangedKey) -> None:
    """Show which scopes and networks come and go, and in words what a key that goes takes with it."""
    scopes, networks = told.fields.scopes, told.fields.ip_allow_list
    _diff(page, "scopes", scope_lines(scopes), kept(scopes))
    _diff(page, "networks", network_lines(networks, told.access.networks), kept(networks))
    for verb, words in zip(("grants", "revokes"), in_words(told), strict=True):
        if words:
            page.hang(_gutter(verb), words)


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
