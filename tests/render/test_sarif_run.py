"""The run that a report is as SARIF: what speaks in it, how it went, and what is told beside its results."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import ReportedRule
from reconciler.core.keys import Source
from reconciler.core.report import Report, ReportedRefusal, RequestCounts, Since
from reconciler.render import sarif
from reconciler.render.sarif import render
from render.reports import account, change, failed, finding, report
from render.rich import AUDITED, BOTH
from render.sarif_schema import valid

RULE = ReportedRule("no-wildcard", Severity.DENY, "no-wildcard", "list the scopes", Source("config/policy.yaml", 9, 5))
WAIVED = Waiver("2026-12-05", "team-sec", "INC-204")
OPS = finding("no-wildcard", Severity.DENY, key_id="k-1", hint="list the scopes")
HOMELESS = finding("account-not-named", Severity.DENY, key=None, label=None, source=None, message="it is not named")


def run_of(made: Report) -> dict[str, Any]:
    """Give the run that a report is rendered as, held against the schema."""
    return valid(render(made))


def notifications(made: Report) -> list[dict[str, Any]]:
    return list(run_of(made)["invocations"][0]["toolExecutionNotifications"])


# Rules


def test_a_rule_of_the_policy_says_what_it_checks() -> None:
    """It is described by what it checks, its hint, its level and its place, whether or not something breaks it."""
    (rule,) = run_of(replace(report(), rules=(RULE,)))["tool"]["driver"]["rules"]
    assert rule == {
        "id": "no-wildcard",
        "name": "NoWildcardRule",
        "shortDescription": {"text": "No wildcard"},
        "fullDescription": {"text": "It checks: no-wildcard."},
        "help": {"text": "It checks: no-wildcard. Hint: list the scopes."},
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": ["security", "api-keys"],
            "precision": "very-high",
            "problem.severity": "error",
            "sources": ["config/policy.yaml:9:5"],
        },
    }


def test_what_must_keep_working_is_one_rule() -> None:
    """Rules of one name are described once, with all that they check and the most serious of their levels."""
    wanted = [
        ReportedRule("coverage", Severity.NOTE, "some key can a", "", None),
        ReportedRule("coverage", Severity.WARN, "some key can b", "", Source("p.yaml", 3, 1)),
        ReportedRule("coverage", Severity.NOTE, "some key can c", "h", None),
        ReportedRule("coverage", Severity.NOTE, "some key can c", "h", None),
    ]
    (rule,) = run_of(replace(report(), rules=tuple(wanted)))["tool"]["driver"]["rules"]
    assert rule["help"]["text"] == ("It checks: some key can a; some key can b; some key can c. Hint: h.")
    assert rule["defaultConfiguration"] == {"level": "warning"}
    assert rule["properties"]["sources"] == ["p.yaml:3:1"]


def test_a_rule_without_a_place_names_none() -> None:
    """Where no file has a rule it says nothing of places."""
    (rule,) = run_of(replace(report(), rules=(replace(RULE, source=None),)))["tool"]["driver"]["rules"]
    assert "sources" not in rule["properties"]


def test_whatever_speaks_is_described() -> None:
    """Guardrails, outcomes, unread accounts and what the reconciler itself looks at have descriptions of their own."""
    refusals = [ReportedRefusal(name, "a-1", None, None, "m", None, None) for name in ("max-changes", "hold")]
    changes = (change("ops", outcome=Outcome.FAILED, reason="why"), change("shop", outcome=Outcome.STALE))
    found = [finding("waiver-ended", Severity.WARN), finding("contested", Severity.WARN)]
    found += [finding("contested", Severity.DENY, waived=WAIVED), finding("contested", Severity.NOTE)]
    run = run_of(report(account(*changes), failed("403"), findings=found, refusals=refusals))
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert list(rules) == sorted(rules)
    own = "The reconciler itself looks at this, whatever the policy says."
    limit = "A guardrail, a limit on what one pass may do, refused something."
    assert {name: (rule["help"]["text"], rule["defaultConfiguration"]["level"]) for name, rule in rules.items()} == {
        "account/unread": ("An account could not be read, so nothing is known of its keys.", "error"),
        "change/failed": ("A change could not be worked out, or nobody saw that it was made.", "error"),
        "change/stale": (
            "A key changed after it was listed, so that a change waits for the next pass.",
            "warning",
        ),
        "contested": (own, "error"),
        "guardrail/hold": (limit, "error"),
        "guardrail/max-changes": (f"{limit} Hint: let it through with --allow max-changes.", "error"),
        "waiver-ended": (own, "warning"),
    }
    assert rules["guardrail/max-changes"]["name"] == "GuardrailMaxChangesRule"
    assert rules["guardrail/max-changes"]["shortDescription"] == {"text": "Guardrail max changes"}


@pytest.mark.parametrize("name", BOTH)
def test_each_result_points_at_its_rule(name: str) -> None:
    """The index of each result is that of the rule that it names, and no rule is described twice."""
    run = run_of(BOTH[name])
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    assert [rules[result["ruleIndex"]] for result in run["results"]] == [result["ruleId"] for result in run["results"]]


def test_a_description_is_not_longer_than_a_host_takes() -> None:
    """GitHub takes 1,024 characters of a description; the help holds all."""
    (rule,) = run_of(replace(report(), rules=(replace(RULE, checks="x" * 3000),)))["tool"]["driver"]["rules"]
    assert len(rule["fullDescription"]["text"]) == 1024
    assert len(rule["help"]["text"]) > 3000


# The run


def test_a_run_says_how_it_was_made() -> None:
    """It holds its mode, its id, its accounts, its digests, its requests, and what it was compared with."""
    run = run_of(replace(AUDITED, requests=RequestCounts(GET=3)))
    assert run["properties"] == {
        "mode": "audit",
        "run_id": AUDITED.run_id,
        "accounts": sorted({one.account_id for one in AUDITED.accounts}),
        "policy": AUDITED.policy,
        "as_of": AUDITED.as_of,
        "requests": {"GET": 3, "PUT": 0, "POST": 0, "DELETE": 0},
        "since": {
            "run_id": "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e",
            "finished_at": "2026-10-24T09:00:01Z",
            "new": 7,
            "open": 1,
            "gone": 1,
        },
    }
    assert run["columnKind"] == "unicodeCodePoints"
    assert list(run["originalUriBaseIds"]) == ["%SRCROOT%"]


def test_the_category_of_an_upload_is_left_to_people() -> None:
    """A run has no automation details, which would win over the category that an upload is given."""
    assert "automationDetails" not in run_of(AUDITED)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("0.1.0", {"version": "0.1.0", "semanticVersion": "0.1.0"}),
        ("1.2.3-rc.1+b", {"version": "1.2.3-rc.1+b", "semanticVersion": "1.2.3-rc.1+b"}),
        ("0.1.0.dev1", {"version": "0.1.0.dev1"}),
        ("\x1b", {"version": r"\x1b"}),
    ],
)
def test_a_version_is_semantic_only_where_it_is(version: str, told: dict[str, str]) -> None:
    """A version that is not written as Semantic Versioning wants is not called so."""
    driver = run_of(replace(report(), version=version))["tool"]["driver"]
    assert {name: driver[name] for name in driver if name.lower().endswith("version")} == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-24T09:00:01.250000Z", "2026-11-24T09:00:01.250000Z"),
        ("2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00Z"),
        ("2026-11-24T10:00:00", None),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
    ],
)
def test_times_are_in_utc(text: str, told: str | None) -> None:
    """A time with a zone is given in UTC, and what is no such time is left out."""
    (invocation,) = run_of(replace(report(), started_at=text))["invocations"]
    assert invocation.get("startTimeUtc") == told
    (invocation,) = run_of(replace(report(), finished_at=text))["invocations"]
    assert invocation.get("endTimeUtc") == told


def test_a_run_that_could_not_read_an_account_has_failed() -> None:
    """It is told twice: as a notification, for the standard, and as a result, for hosts that show only those."""
    (invocation,) = run_of(report(account()))["invocations"]
    assert invocation["executionSuccessful"] is True
    run = run_of(replace(report(failed("403")), rules=(RULE,)))
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (told,) = invocation["toolExecutionNotifications"]
    assert (told["descriptor"], told["level"]) == ({"id": "account/unread"}, "error")
    assert [(each["ruleId"], each["message"]) for each in run["results"]] == [("account/unread", told["message"])]
    nowhere = run_of(report(failed("403")))
    assert nowhere["results"] == []
    assert nowhere["invocations"][0]["toolExecutionNotifications"][0]["message"] == told["message"]


@pytest.mark.parametrize(
    ("severity", "level"), [(Severity.DENY, "warning"), (Severity.WARN, "warning"), (Severity.NOTE, "note")]
)
def test_what_has_no_place_is_a_notification(severity: Severity, level: str) -> None:
    """GitHub refuses a log in which one result has no place; an error would say that the run failed."""
    made = report(findings=[replace(HOMELESS, severity=severity)])
    assert run_of(made)["results"] == []
    assert notifications(made) == [
        {
            "descriptor": {"id": "alert/without-place"},
            "level": level,
            "message": {"text": "it is not named. This is about account a-1."},
            "associatedRule": {"id": "account-not-named"},
            "locations": [{"logicalLocations": [{"name": "a-1", "kind": "resource"}]}],
        }
    ]


def test_what_is_gone_is_a_notification() -> None:
    """Of what only the earlier report had there is no result: GitHub would show it as open."""
    made = replace(report(), since=Since("r-0", "t", (OPS,)))
    assert run_of(made)["results"] == []
    (told,) = notifications(made)
    assert told["message"]["text"].startswith("Gone, or waived, since the earlier report: ops may do everything. ")
    assert (told["descriptor"], told["associatedRule"]) == ({"id": "alert/gone"}, {"id": "no-wildcard"})
    assert told["level"] == "note"
    assert told["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 5}


def test_how_the_run_was_made_is_a_notification() -> None:
    """That the starter policy was used, say, is about the run's configuration and no result."""
    note = finding("starter-policy", Severity.NOTE, account_id=None, key=None, label=None, source=None, message="m")
    run = run_of(report(findings=[note]))
    assert run["results"] == []
    assert run["invocations"][0]["toolConfigurationNotifications"] == [
        {"descriptor": {"id": "starter-policy"}, "level": "note", "message": {"text": "m."}}
    ]


def test_no_more_results_are_given_than_a_host_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many the least serious ones are left out, and a notification counts them."""
    monkeypatch.setattr(sarif, "_MOST_RESULTS", 2)
    found = [finding(severity, severity) for severity in (Severity.NOTE, Severity.WARN, Severity.DENY)]
    made = report(findings=[*found, finding("note", Severity.NOTE, key_id="k-1")])
    assert [result["ruleId"] for result in run_of(made)["results"]] == ["deny", "warn"]
    assert {rule["id"] for rule in run_of(made)["tool"]["driver"]["rules"]} == {"deny", "warn"}
    (told,) = notifications(made)
    assert told == {
        "descriptor": {"id": "alert/left-out"},
        "level": "warning",
        "message": {
            "text": "2 more, the least serious ones, are left out, since GitHub takes no more: all are in -o json."
        },
    }
    assert notifications(report(findings=found[:2])) == []
