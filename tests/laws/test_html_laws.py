"""Laws of the HTML file: it is rendered whatever a report holds, and no text of others becomes markup."""

from collections import Counter
from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from laws.reports import REPORTS
from laws.universe import law
from reconciler.core.changes import AccessChange
from reconciler.core.report import Report
from reconciler.render.html import render
from render.markup import Markup
from render.rich import AUDITED, HOSTILE, PLANNED

texts = (
    st.text(min_size=1, max_size=30)
    | st.text("<>&\"'`= \n/-!{%}#;ab", min_size=1, max_size=30)
    | st.sampled_from(HOSTILE)
)


KEPT = frozenset(
    {"schema", "started_at", "finished_at", "as_of", "created_at", "last_used_at", "until", "scopes", "ip_allow_list"}
)
"""Fields that are no text of others, or that decide which elements there are."""


def everywhere(value: Any, text: str) -> Any:
    """Give a report with ``text`` at the end of every text in it: names, labels, ids, places, messages, rules."""
    if type(value) is str:
        return f"{value}{text}"
    if isinstance(value, tuple):
        return tuple(everywhere(each, text) for each in value)
    if not is_dataclass(value) or isinstance(value, type | AccessChange):
        return value
    held = {each.name: getattr(value, each.name) for each in fields(value) if each.name not in KEPT}
    return replace(value, **{name: everywhere(each, text) for name, each in held.items()})


def elements(report: Report, text: str) -> Counter[tuple[str, tuple[str, ...]]]:
    """Count the elements of the page, with their attributes: labels sort keys, so that their order may be another.

    A text of several lines has breaks between them, and may tell a name that another text then mentions.
    """
    ours = (("br", ()), ("q", ("class",)))
    return Counter(each for each in Markup(render(everywhere(report, text))).skeleton if each not in ours)


PLAIN = {report: elements(report, "plain") for report in (PLANNED, AUDITED)}


@settings(law, max_examples=60)
@given(REPORTS)
def test_every_report_is_rendered(report: Report) -> None:
    """No report, whatever it holds, keeps the page from being rendered, well nested and in UTF-8."""
    text = render(report)
    Markup(text)
    assert text.encode()


@settings(law, max_examples=60)
@given(text=texts, report=st.sampled_from([PLANNED, AUDITED]))
def test_no_text_becomes_markup(text: str, report: Report) -> None:
    """Whatever stands in the texts of a report, the page has the elements that it has for plain words."""
    assert elements(report, text) == PLAIN[report]
