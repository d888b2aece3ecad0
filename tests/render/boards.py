"""Statuses and reports as the pages of the daemon show them, and the pages taken apart."""

import re
from dataclasses import replace

from reconciler.core.changes import Action, Outcome
from reconciler.core.events import Trigger
from reconciler.core.inventory import ReportedKey
from reconciler.core.plan import KeyCounts
from reconciler.core.report import AccountStatus, Mode, Report, ReportedAccount, ReportedChange, summarize
from reconciler.core.status import AskedBy, Occurrence, Status
from reconciler.render.board import Board
from render.markup import Markup
from render.reports import report
from render.rich import ACCOUNT, CHANGES, PLANNED
from render.statuses import status

COMMIT = "3f9c2d1e8b7a6c5d4e3f2a1b0c9d8e7f6a5b4c3d"
CALM = replace(
    PLANNED,
    mode=Mode.APPLY,
    accounts=tuple(replace(each, changes=()) for each in PLANNED.accounts),
    refusals=(),
    findings=(),
)
CALM = replace(CALM, summary=summarize(CALM.accounts, ()))
"""The account of the rich reports, as a pass finds it that has nothing to do."""


_BLOCK = re.compile("<(?=(?:p|li|dt|dd|div|pre|ul|ol|td|th|h[1-6]|section|details|code class=.command)\\b)")
"""What begins on a line of its own in a browser."""


def occurrence(
    change: ReportedChange,
    outcome: Outcome = Outcome.APPLIED,
    *,
    time: str = "2026-11-23T09:30:00Z",
    modified: bool = False,
    trigger: Trigger | None = Trigger.FILES,
    below: str | None = None,
) -> Occurrence:
    """Build what became of a key by a change, asked for by a commit where a file asks for it."""
    source = change.source
    return Occurrence(
        time,
        "run-1",
        trigger,
        Mode.APPLY,
        ACCOUNT,
        below,
        change.key_id,
        change.name,
        change.label,
        change.action,
        change.fields,
        change.access,
        outcome,
        None if outcome is Outcome.APPLIED else "the reason of it",
        AskedBy(source.file, source.line, source.column, COMMIT, modified) if source else None,
    )


RECENT = tuple(
    occurrence(change, Outcome.APPLIED if change.outcome is Outcome.PLANNED else change.outcome) for change in CHANGES
)


def keyed(*keys: ReportedKey, changes: tuple[ReportedChange, ...] = ()) -> Report:
    """Build a report of one account that has these keys."""
    own = ReportedAccount("a-1", None, AccountStatus.OK, None, KeyCounts(0, len(keys)), changes, inventory=keys)
    return replace(report(own, mode=Mode.APPLY), as_of="2026-11-24T09:00:00Z")


def document(made: Report | None, path: str = "/", query: str = "", told: Status | None = None) -> Markup:
    """Give a page that there must be, taken apart."""
    text = Board(made).page(told or status(), path, query)
    assert text is not None
    return Markup(_BLOCK.sub(" <", text))


def words(markup: Markup, name: str = "main", **attributes: str) -> str:
    """Give the text of the only element of a kind, without the blanks that a browser does not show."""
    (element,) = markup.find(name, **attributes)
    return re.sub(r"\s+", " ", element.text).strip()


def section(markup: Markup, heading: str) -> str:
    """Give the text of the section under a heading, by its id."""
    return words(markup, "section", **{"aria-labelledby": heading})


def created(name: str) -> ReportedChange:
    """Give the creation of a key that does not exist yet."""
    (new,) = (change for change in CHANGES if change.action is Action.CREATE)
    return replace(new, name=name, label=name)
