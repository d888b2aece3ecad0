"""Laws of the HTML file: it is rendered whatever a report holds, and no text of others becomes markup."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from laws.reports import REPORTS
from laws.universe import law
from reconciler.core.report import Report
from reconciler.render.html import render
from render.markup import Markup
from render.rich import AUDITED, HOSTILE, PLANNED

texts = (
    st.text(min_size=1, max_size=30)
    | st.text("<>&\"'`= \n/-!{%}#;ab", min_size=1, max_size=30)
    | st.sampled_from(HOSTILE)
)


def everywhere(report: Report, text: str) -> Report:
    """Give a report in which every text that others write is ``text``."""
    accounts = tuple(
        replace(
            account,
            sub_account_name=account.sub_account_name and text,
            error=account.error and text,
            changes=tuple(replace(one, label=text, reason=one.reason and text) for one in account.changes),
            inventory=account.inventory
            and tuple(replace(one, label=text, owner=one.owner and text) for one in account.inventory),
        )
        for account in report.accounts
    )
    since = report.since and replace(
        report.since,
        gone=tuple(replace(one, message=text, rule=text) for one in report.since.gone),
        keys=tuple(replace(one, label=text) for one in report.since.keys),
    )
    return replace(
        report,
        accounts=accounts,
        findings=tuple(replace(one, message=text, hint=one.hint and text, label=text) for one in report.findings),
        refusals=tuple(replace(one, message=text) for one in report.refusals),
        rules=tuple(replace(one, checks=text, hint=text) for one in report.rules),
        waivers=tuple(replace(one, owner=text, reason=text, label=one.label and text) for one in report.waivers),
        since=since,
    )


def elements(report: Report, text: str) -> Counter[tuple[str, tuple[str, ...]]]:
    """Count the elements of the page, with their attributes: labels sort keys, so that their order may be another."""
    return Counter(Markup(render(everywhere(report, text))).skeleton)


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
    """Whatever stands in labels, messages, reasons, hints and rules, the page has the elements of plain words."""
    assert elements(report, text) == PLAIN[report]
