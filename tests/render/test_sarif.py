"""The report as SARIF: it keeps to the schema, points at lines, and each result is known again."""

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import ValidationError  # type: ignore[import-untyped] # it ships no types

from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import ReportedRule, ReportedWaiver
from reconciler.core.keys import Source
from reconciler.core.report import ReportedFinding, Since, Standing
from reconciler.render.sarif import render
from render.reports import finding, report
from render.rich import BOTH, HOSTILE
from render.sarif_schema import SCHEMA, VALIDATOR, valid

RULE = ReportedRule("no-wildcard", Severity.DENY, "no-wildcard", "list the scopes", Source("config/policy.yaml", 9, 5))
WAIVED = Waiver("2026-12-05", "team-sec", "INC-204")
OPS = finding("no-wildcard", Severity.DENY, key_id="k-1", hint="list the scopes")


def results(*findings: ReportedFinding, **given: object) -> list[dict[str, Any]]:
    made = replace(report(findings=findings), **given)  # type: ignore[arg-type] # of a story
    return list(valid(render(made))["results"])


def prints(*findings: ReportedFinding) -> list[str]:
    """Give the fingerprints of findings, in the order of the results."""
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results(*findings)]


# The schema


def test_the_schema_is_that_of_the_standard() -> None:
    """What the tests go by is the whole schema of SARIF 2.1.0 as OASIS published it."""
    assert SCHEMA["title"] == "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"
    assert SCHEMA["id"] == json.loads(render(report()))["$schema"]
    assert {"threadFlow", "webRequest", "suppression", "physicalLocation"} < SCHEMA["definitions"].keys()
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("tool", "driver", "informationUri"), "no scheme"),
        (("results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"), "a b.yaml"),
        (("results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"), "a:b c.yaml"),
        (("results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"), "é.yaml"),
        (("results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"), "100%.yaml"),
        (("results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
        (("results", 0, "level"), "deny"),
        (("invocations", 0, "startTimeUtc"), "2026-11-24T10:00:00+01:00"),
        (("invocations", 0, "startTimeUtc"), "2026-13-24T10:00:00Z"),
        (("unknown",), 1),
    ],
)
def test_the_tests_would_see_what_is_not_in_the_schema(path: tuple[str | int, ...], wrong: object) -> None:
    """A log with a wrong URI, time, line, level or member does not pass."""
    log = json.loads(render(replace(report(findings=[OPS]), started_at="2026-11-24T09:00:00Z")))
    VALIDATOR.validate(log)
    holder = log["runs"][0]
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = wrong
    with pytest.raises(ValidationError):
        VALIDATOR.validate(log)


@pytest.mark.parametrize("name", BOTH)
def test_rich_reports_keep_to_the_schema(name: str) -> None:
    """A plan and an audit with all that there can be keep to the schema, in printable lines."""
    text = render(BOTH[name])
    assert valid(text)["results"]
    assert text.endswith("}\n")
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.encode().decode() == text


def test_each_result_is_a_line() -> None:
    """A log can be compared line by line with another one: each result stands on one of its own."""
    lines = render(report(findings=[OPS, replace(OPS, rule="other")])).split("\n")
    assert [json.loads(line.rstrip(","))["ruleId"] for line in lines if line.startswith('{"ruleId"')] == [
        "no-wildcard",
        "other",
    ]
    assert '"results":[],' in render(report())


# Results


def test_a_result_tells_what_where_and_of_what() -> None:
    """It names its rule, says what is wrong, points at the line and the column, and holds what a program would ask."""
    (result,) = results(OPS)
    assert result == {
        "ruleId": "no-wildcard",
        "ruleIndex": 0,
        "level": "error",
        "message": {
            "text": "ops may do everything. Hint: list the scopes. This is about key k-1 of account a-1.",
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "keys/ops.yaml", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 3, "startColumn": 5},
                },
                "logicalLocations": [{"name": "a-1/ops", "kind": "resource"}],
            }
        ],
        "partialFingerprints": {
            "primaryLocationLineHash": "1aebcd771f433680c1177c155dc927ce:1",
            "reconcilerAlert/v1": "1aebcd771f433680c1177c155dc927ce:1",
        },
        "properties": {"severity": "deny", "account_id": "a-1", "key": "ops", "key_id": "k-1", "label": "ops"},
    }


@pytest.mark.parametrize(
    ("file", "uri", "is_relative"),
    [
        ("config/keys/shop.yaml", "config/keys/shop.yaml", True),
        ("./a//b/./c.yaml", "a/b/c.yaml", True),
        ("../keys.yaml", "../keys.yaml", True),
        ("my keys/100%.yaml", "my%20keys/100%25.yaml", True),
        ("a#b?c.yaml", "a%23b%3Fc.yaml", True),
        ("schlüssel/🔑.yaml", "schl%C3%BCssel/%F0%9F%94%91.yaml", True),
        ("mailto:a/b.yaml", "mailto%3Aa/b.yaml", True),
        (r"a\b.yaml", "a%5Cb.yaml", True),
        ("a\nb.yaml", "a%0Ab.yaml", True),
        ("a\ud800b.yaml", "a%5Cud800b.yaml", True),
        ("it's_(a)-b~c+d=e,f;g@h!$&*.yaml", "it's_(a)-b~c+d=e,f;g@h!$&*.yaml", True),
        ('"<[{|^`}]>"', "%22%3C%5B%7B%7C%5E%60%7D%5D%3E%22", True),
        ("", ".", True),
        ("/srv/my keys/shop.yaml", "file:///srv/my%20keys/shop.yaml", False),
        ("//srv/a:b.yaml", "file:///srv/a%3Ab.yaml", False),
        ("starter policy", "starter%20policy", True),
    ],
)
def test_a_path_becomes_a_uri(file: str, uri: str, is_relative: bool) -> None:
    """A relative path is one to where the reconciler was started, and whatever a URI cannot hold is escaped."""
    (result,) = results(replace(OPS, source=Source(file, 3, 5)))
    base = {"uriBaseId": "%SRCROOT%"} if is_relative else {}
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri, **base}


@pytest.mark.parametrize(
    ("line", "column", "region"),
    [
        (12, 7, {"startLine": 12, "startColumn": 7}),
        (12, 0, {"startLine": 12}),
        (0, 0, {"startLine": 1}),
        (0, 3, {"startLine": 1}),
    ],
)
def test_a_file_as_a_whole_is_its_first_line(line: int, column: int, region: dict[str, int]) -> None:
    """GitHub wants a line of each result, so what is about a file as a whole stands at its first one."""
    (result,) = results(replace(OPS, source=Source("a.yaml", line, column)))
    assert result["locations"][0]["physicalLocation"]["region"] == region


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("[x](javascript:alert(1))", r"[x]\x28javascript:alert(1))"),
        ("[a][b](0)", r"[a][b]\x280)"),
        ("['a', 'b'] (c)", "['a', 'b'] (c)"),
        ("{0} {12}", "{{0}} {{12}}"),
        ("{{0}} {{{1}", "{{{{0}}}} {{{{{{1}}"),
        ("messages:send:{0.example}", "messages:send:{0.example}"),
        ("\x1b[2J\u202e]\u200b(1)", r"\x1b[2J\u202e]\u200b(1)"),
        (r"a\[b\](1)", r"a\[b\]\x281)"),
    ],
)
def test_a_message_is_neither_a_link_nor_a_placeholder(message: str, text: str) -> None:
    """A viewer finds nothing in a message that it would make a link of, or fill in; scopes stay as they are."""
    (result,) = results(finding("r", Severity.DENY, account_id=None, key=None, label=None, message=message))
    assert result["message"] == {"text": f"{text}."}


def test_hostile_labels_are_only_shown() -> None:
    """Whatever a label holds, texts are printable and without links."""
    found = [finding("r", Severity.DENY, key=None, label=label, message=f"{label} is bad") for label in HOSTILE]
    for result in results(*found):
        assert result["message"]["text"].isprintable()
        assert "](" not in result["message"]["text"]
        assert result["properties"]["label"].isprintable()


def test_a_waived_finding_is_suppressed() -> None:
    """It says until when, by whom, why and where it is waived; all other results say that they are not."""
    place = ReportedWaiver("no-wildcard", "ops", None, None, *_told(WAIVED), Source("config/policy.yaml", 21, 5))
    waived, elsewhere = replace(OPS, waived=WAIVED), replace(OPS, rule="other", waived=WAIVED)
    open_, first, second = results(waived, elsewhere, replace(OPS, rule="open"), waivers=(place,))
    assert open_["suppressions"] == []
    assert open_["level"] == "error"
    told = {"kind": "external", "status": "accepted", "justification": "until 2026-12-05, by team-sec: INC-204"}
    assert {result["ruleId"]: result["suppressions"] for result in (first, second)} == {
        "other": [told],
        "no-wildcard": [
            {
                **told,
                "location": {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "config/policy.yaml", "uriBaseId": "%SRCROOT%"},
                        "region": {"startLine": 21, "startColumn": 5},
                    }
                },
            }
        ],
    }
    assert {result["level"] for result in (first, second)} == {"note"}


def _told(waiver: Waiver) -> tuple[str, str, str]:
    return waiver.until, waiver.owner, waiver.reason


def test_nothing_is_said_of_suppressions_where_nothing_is_waived() -> None:
    """The standard wants them at all results or at none."""
    assert [("suppressions" in result) for result in results(OPS, replace(OPS, rule="r"))] == [False, False]


def test_all_results_tell_whether_an_earlier_report_had_them() -> None:
    """Where two reports were compared each result is new or unchanged, and otherwise none says so."""
    findings = (
        replace(OPS, since=Standing.NEW),
        replace(OPS, rule="a", since=Standing.OPEN),
        replace(OPS, rule="b", waived=WAIVED),
    )
    told = {result["ruleId"]: result["baselineState"] for result in results(*findings, since=Since("r-0", "t", ()))}
    assert told == {"no-wildcard": "new", "a": "unchanged", "b": "unchanged"}
    assert all("baselineState" not in result for result in results(*findings))


def test_the_most_serious_and_the_new_come_first() -> None:
    """Results are in order of their level, then new before old, then by place, whatever order they are found in."""
    places = [Source(file, line, column) for file, line, column in (("b", 1, 1), ("a", 2, 1), ("a", 1, 2), ("a", 1, 1))]
    old = [
        finding(f"r{number}", Severity.WARN, source=place, since=Standing.OPEN) for number, place in enumerate(places)
    ]
    new = finding("new", Severity.WARN, source=Source("z", 9, 9), since=Standing.NEW)
    found = [finding("note", Severity.NOTE), *old, new, finding("deny", Severity.DENY, source=Source("z", 9, 9))]
    assert [result["ruleId"] for result in results(*found)] == ["deny", "new", "r3", "r2", "r1", "r0", "note"]
    assert results(*found) == results(*reversed(found))


# Fingerprints


def test_a_finding_that_moves_is_the_same() -> None:
    """Another line, another column, other words or other findings before it do not make a new finding of it."""
    (known,) = prints(OPS)
    moved = replace(OPS, source=Source("keys/ops.yaml", 99, 7), message="ops may do everything for 8 days")
    assert prints(moved) == [known]
    assert prints(finding("first", Severity.DENY, source=Source("keys/ops.yaml", 1, 1)), moved)[1] == known
    assert prints(replace(OPS, waived=WAIVED)) == [known]


def test_two_findings_never_have_the_same_fingerprint() -> None:
    """Findings differ by rule, account and key, and those that are alike by their number."""
    found = [
        OPS,
        replace(OPS, rule="a"),
        replace(OPS, account_id="a-2"),
        replace(OPS, sub_account_id="s"),
        replace(OPS, key_id="k-2"),
        replace(OPS, account_id=None, sub_account_id="a-1"),
        OPS,
    ]
    told = prints(*found)
    assert len(set(told)) == len(found)
    assert sorted(each[-2:] for each in told) == [":1"] * 6 + [":2"]


def test_what_is_alike_is_numbered_by_what_it_says() -> None:
    """Of two findings of one rule and key each keeps its fingerprint in another order, at other lines, and waived."""
    first, second = (replace(OPS, message=f"ops has {scope}", source=Source("a", 9, 1)) for scope in "ab")

    def numbered(*findings: ReportedFinding) -> dict[str, str]:
        return {
            result["message"]["text"][:9]: result["partialFingerprints"]["primaryLocationLineHash"]
            for result in results(*findings)
        }

    known = numbered(first, second)
    assert known["ops has a"][:-1] == known["ops has b"][:-1]
    assert numbered(second, first) == known
    assert numbered(first, replace(second, source=Source("a", 1, 1))) == known
    assert numbered(replace(first, waived=WAIVED), second) == known


def test_both_fingerprints_are_the_same() -> None:
    """GitHub's own and the named one hold the same value, so that neither tells less than the other."""
    (result,) = results(OPS)
    assert len(set(result["partialFingerprints"].values())) == 1
