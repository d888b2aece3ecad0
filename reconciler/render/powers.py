"""Who can do what, at a terminal: the most powerful keys first, and from where."""

from collections.abc import Sequence

from reconciler.errors import visible
from reconciler.render import owners
from reconciler.render.block import called
from reconciler.render.matrix import Cell, Grant, Place, Row
from reconciler.render.overview import Overview
from reconciler.render.page import Page, listed
from reconciler.render.words import number

_MOST_ROWS = 10
_MOST_FAMILIES = 4
_MOST_NAMED = 5
_LONGEST_NAME = 40


def add_powers(page: Page, told: Overview) -> None:
    """Add the most powerful keys to a page: what they may do, from where, and (of several accounts) whose they are."""
    rows = told.matrix.rows
    if not rows:
        return
    page.gap()
    heading = page.paint("Who can do what", "bold")
    page.add(heading + page.paint(f"  {number(len(told.rows), 'key')}, the most powerful first", "dim"))
    for row in rows[:_MOST_ROWS]:
        _row(page, told, row)
    if (more := sum(len(row.holders) for row in rows[_MOST_ROWS:])) > 0:
        page.hang("  ", f"and {more} more, all of them on the page, and on /report", "dim")


_PLACES = {
    Place.ANYWHERE: ("from anywhere", "yellow"),
    Place.LISTED: ("from its networks", ""),
    Place.NOWHERE: ("from nowhere: no network that can reach the API", "dim"),
    Place.OFF: ("switched off", "dim"),
}


def _row(page: Page, told: Overview, row: Row) -> None:
    names = [called(each.key, _LONGEST_NAME) for each in row.holders[:_MOST_NAMED]]
    page.words("  ", [*listed(names, len(row.holders)), *(_whose(row) if told.several else ())], "bold")
    where, looks = _PLACES[row.place]
    may = "everything (*)" if row.holders[0].holds_everything else _families(told, row.cells)
    page.hang("      ", visible(f"{may}  {where}"), looks)


def _whose(row: Row) -> list[str]:
    """Say in which account keys are, or in how many."""
    whose = {each.owner for each in row.holders}
    return ["of", *owners.in_words(row.holders[0].owner)] if len(whose) == 1 else ["in", number(len(whose), "account")]


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
