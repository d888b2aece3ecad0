"""Renderings hold for every report, whatever a label, a name, a reason or an error contains."""

import json
import re
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from laws.reports import REPORTS
from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.report import (
    AccountStatus,
    Mode,
    Report,
    ReportedRefusal,
)
from reconciler.files.report import load_report, report_schema
from reconciler.render.json import render as dump_report
from reconciler.render.json import render as render_json
from reconciler.render.page import Page, cut, width_of
from reconciler.render.terminal import Style, render
from render.reports import below, broken, change, finding, report

VALIDATOR = Draft202012Validator(report_schema())
LAW = settings(derandomize=True, deadline=None, max_examples=100)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@LAW
@given(report=REPORTS, width=st.integers(0, 200))
def test_the_terminal_is_never_given_a_control_character(report: Report, width: int) -> None:
    """A rendering holds nothing but printable characters and line ends; colours add nothing to it but their codes."""
    text = render(report, style=Style(colour=False, width=width))
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    coloured = render(report, style=Style(colour=True, width=width))
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == text


@LAW
@given(
    text=st.text(st.sampled_from("ab 日\u0301\U0001f511ー-"), max_size=80),
    width=st.integers(40, 60),
    room=st.integers(4, 30),
)
def test_nothing_is_wider_than_it_may_be(text: str, width: int, room: int) -> None:
    """Wrapped text keeps its words, and its width unless one word is wider; cut text has room in its columns."""
    page = Page(Style(colour=False, width=width))
    page.hang("why  ", text)
    assert page.text.removeprefix("why").split() == text.split()
    assert [line for line in page.text.splitlines() if width_of(line) > width and len(line[5:].split(" ")) > 1] == []
    assert width_of(cut(text, room)) <= room


@LAW
@given(report=REPORTS)
def test_json_loads_back(report: Report) -> None:
    """A report written as JSON follows its schema and loads back into the same value."""
    text = render_json(report)
    assert load_report(text) == report
    assert text == dump_report(load_report(text))
    VALIDATOR.validate(json.loads(text))


def everywhere(name: str) -> Report:
    """Give a report that shows the name of a sub account at every place where one is shown."""
    one = change("sender", scopes=([], ["domains:read"]))
    other = change("sender", scopes=([], ["messages:read:all"]))
    found = [finding("r", Severity.WARN, sub_account_id=f"s-{n}", message="m") for n in (1, 2)]
    found += [finding("r", Severity.WARN, sub_account_id="s-3", message="another")]
    return report(
        below("s-1", name, one),
        below("s-2", "plain", one),
        below("s-3", name, other),
        below("s-4", name, status=AccountStatus.SUSPENDED),
        broken("s-5", name, "403"),
        broken("s-6", "plain", "403"),
        broken("s-7", name, "out of time"),
        findings=found,
        refusals=[ReportedRefusal("max-changes", "a-1", "s-3", None, "too many", 5, 6)],
    )


def frame(name: str) -> list[str]:
    """Give the lines of such a report with all that stands in quotes left out, and the order of names in a list."""
    text = render(everywhere(name), style=Style(colour=False, width=400))
    return [", ".join(sorted(QUOTED.sub('""', line).split(", "))) for line in text.splitlines()]


@LAW
@given(name=st.text(min_size=1) | st.text('"\\ \n\x1b[],:()ab', min_size=1))
def test_a_name_cannot_break_out_of_its_quotes(name: str) -> None:
    """Whatever a sub account is called, all but what stands in quotes is what it would be for any other name."""
    assert frame(name) == frame("any other")


@LAW
@given(
    count=st.integers(1, 300),
    planned=st.booleans(),
    width=st.integers(100, 200),  # where the last sentence has room whatever its numbers
    mode=st.sampled_from([Mode.PLAN, Mode.APPLY]),
)
def test_sub_accounts_in_sync_take_no_lines(count: int, planned: bool, width: int, mode: Mode) -> None:
    """However many sub accounts are in sync, the text has as many lines as for one."""
    first = below("s-0", "Zero", *([change("sender", scopes=([], ["domains:read"]))] if planned else []))
    few, many = (
        render(
            report(first, *(below(f"s-{n}", f"Shop {n}") for n in range(1, most + 1)), mode=mode),
            style=Style(colour=False, width=width),
        ).splitlines()
        for most in (1, count)
    )
    assert len(many) == len(few)


@LAW
@given(
    outcomes=st.lists(st.sampled_from(Outcome), min_size=1, max_size=40),
    reasons=st.lists(st.sampled_from([None, "why", "max-changes: too many"]), min_size=1, max_size=3),
    order=st.randoms(use_true_random=False),
)
def test_nothing_is_lost_when_it_is_told_once(
    outcomes: list[Outcome], reasons: list[str | None], order: Random
) -> None:
    """The numbers of sub accounts behind what is told come to all there are, in whatever order they are reported."""
    accounts = [
        below(
            f"s-{n}",
            f"Shop {n}",
            change("sender", scopes=([], ["domains:read"]), outcome=outcome, reason=reasons[n % len(reasons)]),
        )
        for n, outcome in enumerate(outcomes)
    ]
    text = render(report(*accounts), style=Style(colour=False, width=120))
    shared = [int(count) for count in re.findall(r"  in (\d+) sub accounts\n", text)]
    alone = re.findall(r"  key s-\d+-k0\n", text)
    assert sum(shared) + len(alone) == len(accounts)
    order.shuffle(accounts)
    again = render(report(*accounts), style=Style(colour=False, width=120))
    blocks, _, end = text.partition("\n\nIn short\n")
    blocks_again, _, end_again = again.partition("\n\nIn short\n")
    assert sorted(blocks_again.splitlines()) == sorted(blocks.splitlines())
    assert sorted(re.split(r"[,\s]+", end_again)) == sorted(re.split(r"[,\s]+", end)) or "more" in end
