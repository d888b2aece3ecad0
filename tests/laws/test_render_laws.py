"""Renderings hold for every report, whatever a label, a reason or an error contains."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from reconciler.core.report import (
    SCHEMA,
    FindingCounts,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    RequestCounts,
    Summary,
)
from reconciler.files.report import load_report, report_schema
from reconciler.render.json import render as dump_report
from reconciler.render.json import render as render_json
from reconciler.render.terminal import Style, render

REPORTS = st.builds(
    Report,
    schema=st.just(SCHEMA),
    accounts=st.lists(
        st.builds(ReportedAccount, changes=st.lists(st.builds(ReportedChange), max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    findings=st.lists(st.builds(ReportedFinding), max_size=2).map(tuple),
    summary=st.sampled_from([Summary(), Summary(planned=2, refused=1, unchanged=9, findings=FindingCounts(note=3))]),
    requests=st.builds(RequestCounts),
    refusals=st.lists(st.builds(ReportedRefusal), max_size=2).map(tuple),
)
VALIDATOR = Draft202012Validator(report_schema())
LAW = settings(derandomize=True, deadline=None, max_examples=100)


@LAW
@given(report=REPORTS, width=st.integers(0, 200))
def test_the_terminal_is_never_given_a_control_character(report: Report, width: int) -> None:
    """A rendering holds nothing but printable characters and line ends; colours add nothing to it but their codes."""
    text = render(report, style=Style(colour=False, width=width))
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    coloured = render(report, style=Style(colour=True, width=width))
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == text


@LAW
@given(report=REPORTS)
def test_json_loads_back(report: Report) -> None:
    """A report written as JSON follows its schema and loads back into the same value."""
    text = render_json(report)
    assert load_report(text) == report
    assert text == dump_report(load_report(text))
    VALIDATOR.validate(json.loads(text))
