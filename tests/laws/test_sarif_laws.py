"""Laws of SARIF: it keeps to the schema whatever a report holds, and knows each finding again wherever it moves."""

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from laws.universe import law
from reconciler.core.findings import Severity
from reconciler.core.inventory import ReportedRule
from reconciler.core.keys import Source
from reconciler.core.report import (
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    RequestCounts,
    Since,
)
from reconciler.render.sarif import render
from render.reports import report
from render.sarif_schema import valid

HARMFUL = 'a/.:%# ?&"\\[](){}0\x1b\n\x85\u202e\u2028é😀'
texts = (
    st.text(HARMFUL, max_size=8)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["[a](0)", "{0}", "\ud800", "//", "..", "2026-11-24T09:00:00Z", "0001-01-01T00:00:00+23:59"])
)
ids = st.sampled_from(["a", "b"]) | texts
sources = st.none() | st.builds(Source, texts, st.integers(-1, 99), st.integers(-1, 99))
accounts = st.builds(
    ReportedAccount,
    account_id=ids,
    sub_account_id=st.none() | ids,
    error=st.none() | texts,
    changes=st.lists(st.builds(ReportedChange, label=texts, source=sources, reason=st.none() | texts), max_size=2).map(
        tuple
    ),
    sub_account_name=st.none() | texts,
    inventory=st.none(),
    unmanaged=st.just(()),
)
findings = st.builds(
    ReportedFinding,
    rule=st.sampled_from(["r", "s", "starter-policy", "change/failed"]) | texts,
    account_id=st.none() | ids,
    sub_account_id=st.none() | ids,
    key=st.none() | ids,
    key_id=st.none() | ids,
    label=st.none() | texts,
    message=texts,
    hint=texts,
    source=sources,
)
refusals = st.builds(
    ReportedRefusal, guardrail=st.sampled_from(["hold", "restore"]) | texts, account_id=st.none() | ids, message=texts
)
rules = st.builds(ReportedRule, rule=ids, checks=texts, hint=texts, source=sources)
reports = st.builds(
    Report,
    version=texts | st.just("0.1.0"),
    run_id=texts,
    started_at=texts,
    finished_at=texts,
    accounts=st.lists(accounts, max_size=3).map(tuple),
    findings=st.lists(findings, max_size=4).map(tuple),
    refusals=st.lists(refusals, max_size=2).map(tuple),
    requests=st.just(RequestCounts()),
    rules=st.lists(rules, max_size=2).map(tuple),
    since=st.none() | st.builds(Since, gone=st.lists(findings, max_size=1).map(tuple), keys=st.just(())),
)

# What can be told apart only by what makes a finding the same: there are few of each.
few = st.sampled_from(["a", "b"])
alike = st.builds(
    ReportedFinding,
    rule=few,
    account_id=st.none() | few,
    sub_account_id=st.none() | few,
    key=st.none() | few,
    key_id=st.none() | few,
    label=st.just("l"),
    message=st.sampled_from(["3 days", "4 days"]),
    hint=st.just(""),
    source=st.builds(Source, few, st.integers(1, 2), st.just(1)),
    waived=st.none(),
)


def results(findings: Sequence[ReportedFinding], refusals: Sequence[ReportedRefusal] = ()) -> list[dict[str, Any]]:
    return list(valid(render(report(findings=findings, refusals=refusals)))["results"])


def fingerprint(result: dict[str, Any]) -> str:
    return str(result["partialFingerprints"]["primaryLocationLineHash"])


def told(text: Any) -> list[str]:
    """Give every message in a part of a log."""
    match text:
        case {"text": str(message)}:
            return [message]
        case dict():
            return [message for part in text.values() for message in told(part)]
        case list():
            return [message for part in text for message in told(part)]
        case _:
            return []


@settings(law, max_examples=100)
@given(reports)
def test_whatever_a_report_holds_it_keeps_to_the_schema(made: Report) -> None:
    """Any text as a name, a path, a message or a time gives a printable log that is valid, with no link to follow."""
    text = render(made)
    run = valid(text)
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.encode()
    messages = told(run)
    assert [message for message in messages if "](" in message] == []
    assert [message for message in messages if re.search(r"(?<!\{)(\{\{)*\{[0-9]+\}", message)] == []


@settings(law, max_examples=60)
@given(reports)
def test_each_result_has_a_place_a_rule_and_a_fingerprint_of_its_own(made: Report) -> None:
    """No result lacks what GitHub refuses a log without, and no two are taken for one."""
    run = valid(render(made))
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"]
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    assert len({fingerprint(result) for result in run["results"]}) == len(run["results"])
    for member in ("suppressions", "baselineState"):
        assert len({member in result for result in run["results"]}) <= 1


@settings(law, max_examples=100)
@given(
    found=st.lists(alike, max_size=6),
    refused=st.lists(st.builds(ReportedRefusal, guardrail=few, account_id=few, message=texts), max_size=2),
    order=st.randoms(use_true_random=False),
)
def test_order_is_of_no_matter(found: list[ReportedFinding], refused: list[ReportedRefusal], order: Random) -> None:
    """Findings and refusals in another order give the same results, each with the same fingerprint."""
    rows = [(fingerprint(each), each["ruleId"], each["message"]["text"]) for each in results(found, refused)]
    order.shuffle(found)
    order.shuffle(refused)
    again = [(fingerprint(each), each["ruleId"], each["message"]["text"]) for each in results(found, refused)]
    assert sorted(again) == sorted(rows)


@settings(law, max_examples=100)
@given(found=st.lists(alike, max_size=6), moved=st.lists(st.tuples(sources, texts), min_size=6, max_size=6))
def test_a_finding_that_moves_is_known_again(
    found: list[ReportedFinding], moved: list[tuple[Source | None, str]]
) -> None:
    """Other files, lines and hints, and for one about a key other words, change no fingerprint."""
    again = [
        replace(
            each,
            source=source or each.source,
            hint=text,
            message=each.message if each.key is None and each.key_id is None else text,
        )
        for each, (source, text) in zip(found, moved, strict=False)
    ]
    assert sorted(map(fingerprint, results(again))) == sorted(map(fingerprint, results(found)))


@settings(law, max_examples=150)
@given(alike, alike)
def test_only_the_same_finding_is_known_again(one: ReportedFinding, other: ReportedFinding) -> None:
    """Two findings have one fingerprint only where rule, account and key, or words, are the same."""
    same = all(getattr(one, name) == getattr(other, name) for name in ("rule", "account_id", "sub_account_id")) and (
        one.key_id or one.key or one.message,
        bool(one.key_id or one.key),
    ) == (
        other.key_id or other.key or other.message,
        bool(other.key_id or other.key),
    )
    (first,), (second,) = results([one]), results([other])
    assert (fingerprint(first) == fingerprint(second)) == same


@settings(law, max_examples=50)
@given(st.lists(st.sampled_from(Severity), max_size=8))
def test_the_most_serious_come_first(severities: list[Severity]) -> None:
    """Results are sorted by how serious they are: a host that shows only the first ones shows those that matter."""
    found = [
        ReportedFinding(f"r{number}", severity, "a", None, "k", None, "l", "m", "", Source("f", number + 1, 1), None)
        for number, severity in enumerate(severities)
    ]
    levels = {Severity.DENY: "error", Severity.WARN: "warning", Severity.NOTE: "note"}
    expected = [levels[severity] for severity in sorted(severities, key=lambda each: each.rank)]
    assert [each["level"] for each in results(found)] == expected
