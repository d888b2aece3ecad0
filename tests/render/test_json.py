"""The report for programs."""

from reconciler.core.report import SCHEMA, Mode, Report, RequestCounts, Summary
from reconciler.files.report import load_report
from reconciler.render.json import render
from render.reports import account, change, report


def test_a_report_is_rendered_as_what_loads_back() -> None:
    """The rendering is the report's own JSON, one newline at the end."""
    report = Report(SCHEMA, "0.1.0", Mode.PLAN, "r", "t0", "t1", None, None, (), (), (), Summary(), RequestCounts())
    text = render(report)
    assert load_report(text) == report
    assert text.endswith("}\n")


def test_what_a_terminal_would_obey_is_escaped() -> None:
    """Marks that turn text around, and the like, are there when it is loaded, but never as themselves."""
    hostile = "a\x85\u061c\u200f\u202e\u2066\ufeffz"
    report = Report(SCHEMA, "0.1.0", Mode.PLAN, hostile, "t0", "t1", None, None, (), (), (), Summary(), RequestCounts())
    text = render(report)
    assert r'"a\u0085\u061c\u200f\u202e\u2066\ufeffz"' in text
    assert load_report(text) == report


def test_no_text_is_a_command_of_a_ci_runner() -> None:
    """``##[`` and ``##vso[`` are escaped, so that no runner finds a command in a line; the text loads back."""
    made = report(account(change("a", label="##[group]x ##vso[task]y")))
    text = render(made)
    assert "##[" not in text
    assert "##vso[" not in text
    assert load_report(text) == made
