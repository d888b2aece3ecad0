"""The report as SARIF 2.1.0, for code hosts and editors, which show results at the lines of files.

Source: the standard (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, § below) and, where a host is
narrower, GitHub's "SARIF support for code scanning". GitHub shows whatever is a result: it heeds neither `suppressions`
nor `baselineState`, and no notification. So what is waived is a note besides being suppressed, what is gone is a
notification and no result, and an account that could not be read is both. No rule has a `security-severity`: GitHub
would take it for the level of each of its results. And there are no `automationDetails`: they would win over the
category that people give to an upload, by which GitHub tells one upload from another.

Texts are plain, and hold nothing that a viewer would obey: no link (§3.11.6) and no placeholder (§3.11.5). Other braces
stay single, since people copy the scopes in which they are.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from reconciler.core.allowable import ALLOWABLE
from reconciler.core.changes import Outcome
from reconciler.core.guardrails import way_out
from reconciler.core.inventory import ReportedRule, rfc3339
from reconciler.core.keys import Source
from reconciler.core.report import AccountStatus, Report, Since, Standing
from reconciler.errors import visible
from reconciler.render.alerts import CHANGE, GUARDRAIL, LEVELS, UNREAD, Alert, Alerts, Level, collect, shortened

_Object = dict[str, Any]

_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_NAME = "AhaSend key reconciler"
_ROOT = "%SRCROOT%"
_MOST_RESULTS = 25_000  # GitHub refuses a run with more, and shows the 5,000 most serious ones
_LONGEST_DESCRIPTION = 1024
_FINGERPRINT = "reconcilerAlert/v1"
_PROBLEMS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "recommendation"}
_SEMANTIC = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_LINK = re.compile(r"(?<=\])\(")
_PLACEHOLDER = re.compile(r"\{+[0-9]+\}+")
_PATH = "/!$&'()*+,;=@"
"""What a path may hold besides letters and digits (RFC 3986), but for the colon: before it would be a scheme."""

_OWN = "The reconciler itself looks at this, whatever the policy says."
_LIMIT = "A guardrail, a limit on what one pass may do, refused something."
_DESCRIBED = {
    UNREAD: "An account could not be read, so nothing is known of its keys.",
    f"{CHANGE}{Outcome.DENIED}": "A rule of the policy speaks against what a change would grant.",
    f"{CHANGE}{Outcome.REFUSED}": "A guardrail speaks against a change.",
    f"{CHANGE}{Outcome.SKIPPED}": "As things stand a change cannot be made, or must not.",
    f"{CHANGE}{Outcome.FAILED}": "A change could not be worked out, or nobody saw that it was made.",
    f"{CHANGE}{Outcome.STALE}": "A key changed after it was listed, so that a change waits for the next pass.",
}


def render(report: Report) -> str:
    """Give the report as JSON of one run, the most serious results first, each on a line of its own."""
    run = _run(report, collect(report))
    members = ",\n".join(f"{_written(name)}:{_in_lines(value)}" for name, value in run.items())
    return f'{{"$schema":{_written(_SCHEMA)},"version":"2.1.0","runs":[{{\n{members}\n}}]}}\n'


def _in_lines(value: Any) -> str:
    match value:
        case [_, *_]:
            return "[\n" + ",\n".join(map(_written, value)) + "\n]"
        case _:
            return _written(value)


def _run(report: Report, alerts: Alerts) -> _Object:
    shown = _in_order(alerts.shown)
    kept = shown[:_MOST_RESULTS]
    rules = _rules(report.rules, [each.alert for each in kept])
    results = _Results(report, rules, waivers=any(each.alert.waived for each in kept))
    return {
        "tool": {"driver": {"name": "reconciler", "fullName": _NAME, **_version(report.version), "rules": rules}},
        "invocations": [_invocation(report, alerts, len(shown) - len(kept))],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The directory in which the reconciler was started."}}},
        "columnKind": "unicodeCodePoints",
        "results": [results.of(each) for each in kept],
        "properties": _about_run(report),
    }


def _version(version: str) -> _Object:
    shown = {"version": visible(version)}
    return shown | {"semanticVersion": version} if _SEMANTIC.fullmatch(version) else shown


def _about_run(report: Report) -> _Object:
    return _known(
        {
            "mode": report.mode,
            "run_id": report.run_id,
            "accounts": sorted({visible(account.account_id) for account in report.accounts}),
            "policy": report.policy,
            "digest": report.digest,
            "as_of": report.as_of,
            "shard": report.shard,
            "requests": asdict(report.requests),
            "since": _since(report, report.since) if report.since else None,
        }
    )


def _since(report: Report, since: Since) -> _Object:
    standings = Counter(finding.since for finding in report.findings)
    return {
        "run_id": visible(since.run_id),
        "finished_at": visible(since.finished_at),
        "new": standings[Standing.NEW],
        "open": standings[Standing.OPEN],
        "gone": len(since.gone),
    }


def _known(values: Mapping[str, Any]) -> _Object:
    """Give what there is of some values, texts made visible."""
    return {
        name: visible(value) if isinstance(value, str) else value for name, value in values.items() if value is not None
    }


# Results, each with a fingerprint


@dataclass(frozen=True, slots=True)
class _Shown:
    """An alert that has a place, and the fingerprint by which it is known again; no other one in the run has that."""

    alert: Alert
    place: Source
    fingerprint: str


def _in_order(alerts: Iterable[Alert]) -> list[_Shown]:
    """Give those that have a place, the most serious and the new ones first, whatever order they come in."""
    placed = [(json.dumps(alert.identity), alert, alert.place) for alert in alerts if alert.place is not None]
    seen: Counter[str] = Counter()
    shown = []
    # Of what is alike each is numbered by what it says: neither a line that moves nor a waiver gives it another number.
    for identity, alert, place in sorted(placed, key=lambda each: (each[0], each[1].text, _spot(each[2]))):
        seen[identity] += 1
        shown.append(_Shown(alert, place, f"{sha256(identity.encode()).hexdigest()[:32]}:{seen[identity]}"))
    return sorted(shown, key=lambda each: (each.alert.level.rank, not each.alert.new, _spot(each.place)))


def _spot(place: Source) -> tuple[str, int, int]:
    return place.file, place.line, place.column


class _Results:
    """Writes the results of one run: the standard wants some of their members at all of them or at none."""

    def __init__(self, report: Report, rules: Sequence[_Object], *, waivers: bool) -> None:
        self._rules = {rule["id"]: number for number, rule in enumerate(rules)}
        self._compared = report.since is not None
        self._waivers = waivers
        self._waived = {(each.rule, each.until, each.owner, each.reason): each.source for each in report.waivers}

    def of(self, shown: _Shown) -> _Object:
        """Give one result."""
        alert = shown.alert
        rule = visible(alert.rule)
        state = {"baselineState": "new" if alert.new else "unchanged"} if self._compared else {}
        return {
            "ruleId": rule,
            "ruleIndex": self._rules[rule],
            "level": alert.level,
            "message": _message(alert.text),
            "locations": [_location(alert, shown.place)],
            # GitHub knows a result by the first and by no other, together with its rule and its file.
            "partialFingerprints": {"primaryLocationLineHash": shown.fingerprint, _FINGERPRINT: shown.fingerprint},
            **({"suppressions": self._suppressions(alert)} if self._waivers else {}),
            **state,
            "properties": _known({"severity": alert.severity, **alert.about.members}),
        }

    def _suppressions(self, alert: Alert) -> list[_Object]:
        waived = alert.waived
        if waived is None:
            return []
        place = self._waived.get((alert.rule, waived.until, waived.owner, waived.reason))
        justification = visible(f"until {waived.until}, by {waived.owner}: {waived.reason}")
        location = {"location": {"physicalLocation": _physical(place)}} if place else {}
        return [{"kind": "external", "status": "accepted", "justification": justification, **location}]


def _message(text: str) -> _Object:
    return {"text": _plain(text)}


def _plain(text: str) -> str:
    """Give a text with nothing in it that a viewer of SARIF would take for a link or a placeholder."""
    linkless = _LINK.sub(r"\\x28", visible(text))
    return _PLACEHOLDER.sub(lambda found: found[0].replace("{", "{{").replace("}", "}}"), linkless)


# Places


def _location(alert: Alert, place: Source | None) -> _Object:
    """Give the place of an alert in the files, and where it is in accounts."""
    location: _Object = {"physicalLocation": _physical(place)} if place else {}
    if path := alert.about.path:
        location["logicalLocations"] = [{"name": "/".join(path), "kind": "resource"}]
    return location


def _physical(place: Source) -> _Object:
    """Give a place; what is about a file as a whole is at its first line, since GitHub wants one."""
    region = {"startLine": max(place.line, 1)}
    if place.line > 0 and place.column > 0:
        region["startColumn"] = place.column
    return {"artifactLocation": _artifact(place.file), "region": region}


def _artifact(file: str) -> _Object:
    return {"uri": f"file:///{_uri(file)}"} if file.startswith("/") else {"uri": _uri(file), "uriBaseId": _ROOT}


@lru_cache(maxsize=1024)
def _uri(file: str) -> str:
    """Give a path as a relative URI (§3.10): without segments that are empty or lead nowhere, the others escaped."""
    parts = [part for part in file.split("/") if part not in ("", ".")]
    return quote("/".join(parts) or ".", safe=_PATH, errors="backslashreplace")


# Rules


def _rules(reported: Iterable[ReportedRule], alerts: Iterable[Alert]) -> list[_Object]:
    """Describe each rule that was asked, and whatever else speaks: each once, whatever order the alerts come in."""
    checked: dict[str, list[ReportedRule]] = {}
    levels: dict[str, Level] = {}
    for rule in reported:
        checked.setdefault(visible(rule.rule), []).append(rule)
    for alert in alerts:
        level = LEVELS[alert.severity] if alert.severity else alert.level
        known = levels.get(visible(alert.rule), Level.NOTE)
        levels[visible(alert.rule)] = min(level, known, key=lambda each: each.rank)
    of_policy = [_policy_rule(rule, checks) for rule, checks in checked.items()]
    return of_policy + [_descriptor(rule, levels[rule], *_described(rule)) for rule in sorted(levels.keys() - checked)]


def _policy_rule(rule: str, checks: Sequence[ReportedRule]) -> _Object:
    """Describe a rule of the policy; of what must keep working there are several under one name."""
    level = min((LEVELS[each.severity] for each in checks), key=lambda each: each.rank)
    looks_at = "; ".join(dict.fromkeys(each.checks for each in checks))
    hints = "; ".join(dict.fromkeys(each.hint for each in checks if each.hint))
    described = _descriptor(rule, level, f"It checks: {looks_at}.", hints)
    places = [str(each.source) for each in checks if each.source]
    described["properties"] |= {"sources": [visible(place) for place in places]} if places else {}
    return described


def _described(rule: str) -> tuple[str, str]:
    """Say of what is no rule of the policy what it is about, and what helps."""
    if not rule.startswith(GUARDRAIL):
        return _DESCRIBED.get(rule, _OWN), ""
    guardrail = rule.removeprefix(GUARDRAIL)
    return _LIMIT, way_out(guardrail) if guardrail in ALLOWABLE else ""


def _descriptor(rule: str, level: Level, description: str, hint: str) -> _Object:
    words = re.split("[-/]", rule)
    title = " ".join(words)
    return {
        "id": rule,
        "name": "".join(word[:1].upper() + word[1:] for word in [*words, "rule"]),
        "shortDescription": _description(title[:1].upper() + title[1:]),
        "fullDescription": _description(description),
        "help": _message(f"{description} Hint: {hint}." if hint else description),
        "defaultConfiguration": {"level": level},
        "properties": {
            "tags": ["security", "api-keys"],
            "precision": "very-high",
            "problem.severity": _PROBLEMS[level],
        },
    }


def _description(text: str) -> _Object:
    return _message(shortened(visible(text), _LONGEST_DESCRIPTION))


# How the run went


def _invocation(report: Report, alerts: Alerts, left_out: int) -> _Object:
    told = [*map(_unshown, alerts.shown), *map(_gone, alerts.gone), _left_out(left_out)]
    return {
        "executionSuccessful": all(account.status is not AccountStatus.FAILED for account in report.accounts),
        **_known({"startTimeUtc": _utc(report.started_at), "endTimeUtc": _utc(report.finished_at)}),
        "toolExecutionNotifications": [notification for notification in told if notification],
        "toolConfigurationNotifications": [
            _notification(alert.rule, alert.text, _no_failure(alert.level), alert) for alert in alerts.of_the_run
        ],
    }


def _unshown(alert: Alert) -> _Object | None:
    """Tell that an account could not be read, which makes the run a failed one; and of what there is no result."""
    if alert.rule == UNREAD:
        return _notification(UNREAD, alert.text, Level.ERROR, alert)
    if alert.place is None:
        return _notification("alert/without-place", alert.text, _no_failure(alert.level), alert)
    return None


def _gone(alert: Alert) -> _Object:
    return _notification("alert/gone", f"Gone, or waived, since the earlier report: {alert.text}", Level.NOTE, alert)


def _left_out(count: int) -> _Object | None:
    told = f"{count} more, the least serious ones, are left out, since GitHub takes no more: all are in -o json."
    return _notification("alert/left-out", told, Level.WARNING) if count else None


def _no_failure(level: Level) -> Level:
    """Give a level that does not say that the run failed (§3.58.6)."""
    return Level.WARNING if level is Level.ERROR else level


def _notification(what: str, text: str, level: Level, alert: Alert | None = None) -> _Object:
    location = _location(alert, alert.place) if alert else {}
    return {
        "descriptor": {"id": visible(what)},
        "level": level,
        "message": _message(text),
        **({"associatedRule": {"id": visible(alert.rule)}} if alert and alert.rule != what else {}),
        **({"locations": [location]} if location else {}),
    }


def _utc(text: str) -> str | None:
    """Give a time in UTC, as §3.9 wants it; None where a text is no time with a zone."""
    try:
        moment = datetime.fromisoformat(text)
        return rfc3339(moment) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
