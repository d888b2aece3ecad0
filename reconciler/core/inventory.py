"""What a report tells besides changes: which keys there are, which rules judged them, and what is waived until when."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from reconciler.core.allowable import COVERAGE
from reconciler.core.builtins import AccountCheck, KeyCheck
from reconciler.core.changes import Change, Outcome
from reconciler.core.expressions import Expression
from reconciler.core.findings import Severity
from reconciler.core.freezes import Freeze
from reconciler.core.keys import DesiredState, KeySpec, RemoteKey, Source
from reconciler.core.matching import Matched
from reconciler.core.plan import AccountPlan
from reconciler.core.requirements import Requirement
from reconciler.core.rules import Check, Match, Policy, Rule, WaiverRule

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_AS_WRITTEN = {"exceptions": "except", "length": "for"}
"""Parameters that policies call by words which Python keeps for itself."""
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


class KeyStanding(StrEnum):
    """Whether a file names a key; ``unclear``: one may mean it, but which key it means cannot be told."""

    MANAGED = "managed"
    UNMANAGED = "unmanaged"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class ReportedPause:
    """Why a key is left as it is, and until when.

    Attributes:
        until: Its last day, to 24:00 UTC (ISO 8601).
        reason: Why.
    """

    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportedKey:
    """One actual key as the pass leaves it: as it was listed, and with what was applied; times in RFC 3339.

    Attributes:
        key_id: Its id.
        label: What AhaSend calls it.
        standing: Whether a file names it.
        scopes: Its scopes, in canonical form.
        ip_allow_list: The networks that may use it; empty: it is usable from anywhere.
        created_at: When it was made.
        last_used_at: When it was used last; null: never.
        name: Its name in the files, where they name it; else null.
        owner: Who answers for it, as the files say; may be empty.
        paused: Why the files leave it as it is, and until when; null: they do not.
        source: The place in the files, where they name it; else null.
    """

    key_id: str
    label: str
    standing: KeyStanding
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    created_at: str
    last_used_at: str | None
    name: str | None = None
    owner: str = ""
    paused: ReportedPause | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class ReportedRule:
    """One rule that was asked, or something that must keep working.

    Attributes:
        rule: Its id; `coverage` for what must keep working.
        severity: How serious it is when it is broken.
        checks: What it looks at: an expression, or a built-in rule with its parameters.
        hint: What to do about it; may be empty.
        source: Its place in the policy; null: it stands in no file.
        why: What a built-in rule is for; empty for an expression.
    """

    rule: str
    severity: Severity
    checks: str
    hint: str
    source: Source | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ReportedWaiver:
    """One waiver of the policy, whether or not anything needs it.

    Attributes:
        rule: The id of the rule that it waives.
        key: The name of the key in the files, or its id; null: it goes by the label.
        label: A pattern of labels; null: it goes by the key.
        account: A pattern of ids of accounts; null: all of them.
        until: Its last day, to 24:00 UTC (ISO 8601).
        owner: Who answers for it.
        reason: Why this is accepted.
        source: Its place in the policy.
    """

    rule: str
    key: str | None
    label: str | None
    account: str | None
    until: str
    owner: str
    reason: str
    source: Source | None


@dataclass(frozen=True, slots=True)
class ReportedPausedKey:
    """One key that the files pause, whether or not it is there.

    Attributes:
        account_id: Its account.
        name: Its name in the files.
        until: The last day of the pause, to 24:00 UTC (ISO 8601).
        reason: Why it is paused.
        owner: Who answers for the key; may be empty.
        source: The place in the files.
        of_sub_accounts: Whether it is one of each sub account that a rule selects.
    """

    account_id: str
    name: str
    until: str
    reason: str
    owner: str
    source: Source
    of_sub_accounts: bool


@dataclass(frozen=True, slots=True)
class ReportedFreeze:
    """One change window that was in force.

    Attributes:
        reason: Why nothing was to be changed.
        until: When it ends, in RFC 3339.
        account: A pattern of ids of accounts; null: all of them.
        allow_quarantine: Whether keys might be switched off all the same.
        source: Its place in the policy.
    """

    reason: str
    until: str
    account: str | None
    allow_quarantine: bool
    source: Source | None


def rfc3339(moment: datetime) -> str:
    """Write a time with a zone as RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def report_keys(plan: AccountPlan) -> tuple[ReportedKey, ...]:
    """Give the actual keys of an account that was read, sorted by id, as the changes that were applied leave them."""
    specs = {match.remote.id: match.spec for match in plan.matching.matches if isinstance(match, Matched)}
    unmanaged = {key.id for key in plan.matching.unmanaged}
    left = {change.key_id: _left(change) for change in plan.changes}
    return tuple(
        _report_key(
            left.get(key.id) or key,
            specs.get(key.id),
            KeyStanding.UNMANAGED if key.id in unmanaged else KeyStanding.UNCLEAR,
        )
        for key in plan.actual
    )


def _left(change: Change) -> RemoteKey | None:
    """Give the key as a change left it, whether or not that is what was asked for."""
    return change.seen or (change.after if change.outcome is Outcome.APPLIED else change.before)


def _report_key(key: RemoteKey, spec: KeySpec | None, unnamed: KeyStanding) -> ReportedKey:
    """Give one key with what a file says of it; ``unnamed`` is how it stands where none names it."""
    told = (
        key.id,
        key.label,
        KeyStanding.MANAGED if spec else unnamed,
        key.scopes.texts,
        key.ip_allow_list.networks,
        rfc3339(key.created_at),
        rfc3339(key.last_used_at) if key.last_used_at else None,
    )
    if spec is None:
        return ReportedKey(*told)
    paused = ReportedPause(spec.paused.until.isoformat(), spec.paused.reason) if spec.paused else None
    return ReportedKey(*told, spec.name, spec.owner, paused, spec.source)


def report_rules(policy: Policy, required: Iterable[Requirement], *, about_changes: bool) -> tuple[ReportedRule, ...]:
    """Give what was judged by: the rules of the policy (those about changes only where asked for), what must work."""
    rules = (rule for rule in policy.rules if about_changes or not rule.about_changes)
    return (*map(_report_rule, rules), *map(_report_requirement, required))


def _report_rule(rule: Rule) -> ReportedRule:
    checks, about = checks_of(rule.check), _narrowed(rule.match)
    told = f"{checks}; only keys with {about}" if about else checks
    return ReportedRule(rule.id, rule.severity, told, rule.hint, rule.source, _why(rule.check))


def _why(check: Check) -> str:
    """Give the reason of a built-in rule: the sentence that it is described by."""
    return "" if isinstance(check, Expression) else (type(check).__doc__ or "").partition("\n")[0].replace("``", "")


def _narrowed(match: Match) -> str:
    """Say which keys a rule is about, nothing where it is about all: a rule that spares some has not judged those."""
    said = {field.name: getattr(match, field.name) for field in fields(match) if field.name != "annotations"}
    said |= {f"annotations.{name}": pattern for name, pattern in match.annotations}
    return ", ".join(f"{name}: {_in_words(value)}" for name, value in said.items() if value is not None)


def _report_requirement(wanted: Requirement) -> ReportedRule:
    places = (("sub account", wanted.sub_account), ("account", wanted.account))
    where = "".join(f" of {what} {which}" for what, which in places if which is not None)
    return ReportedRule(COVERAGE, Severity.DENY, f"some key{where} can {wanted}", "", wanted.source)


def checks_of(check: Check) -> str:
    """Say what a rule looks at: an expression's text, or the built-in rule with the parameters that limit anything."""
    match check:
        case Expression(text=text):
            return text
        case _:
            told = [
                f"{_AS_WRITTEN.get(field.name, field.name)}: {_in_words(value)}"
                for field in fields(check)
                if (value := getattr(check, field.name)) or value != field.default
            ]
            return f"{_name(check)} ({', '.join(told)})" if told else _name(check)


def _name(check: KeyCheck | AccountCheck) -> str:
    """Give the name of a built-in rule as policies write it."""
    return _HUMP.sub("-", type(check).__name__).lower()


def _in_words(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(value)
        case Mapping():
            return "; ".join(f"{name} = {each}" for name, each in value.items())
        case timedelta():
            return _exactly(value)
        case _:
            return str(value)


def _exactly(length: timedelta) -> str:
    """Write a length of time in the largest unit that it is a multiple of: 49 hours must not read as 2 days."""
    seconds = int(length.total_seconds())
    count, unit = next((seconds // size, unit) for unit, size in _UNITS if seconds % size == 0)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def report_pauses(desired: DesiredState) -> tuple[ReportedPausedKey, ...]:
    """Give the keys that the files pause."""
    return tuple(
        ReportedPausedKey(
            account.account.account_id,
            spec.name,
            spec.paused.until.isoformat(),
            spec.paused.reason,
            spec.owner,
            spec.source,
            number >= len(account.keys),
        )
        for account in desired.accounts
        for number, spec in enumerate(account.named)
        if spec.paused
    )


def report_waiver(waiver: WaiverRule) -> ReportedWaiver:
    """Give a waiver as the report shows it."""
    return ReportedWaiver(
        waiver.rule,
        waiver.key,
        waiver.label,
        waiver.account,
        waiver.until.isoformat(),
        waiver.owner,
        waiver.reason,
        waiver.source,
    )


def report_freeze(freeze: Freeze) -> ReportedFreeze:
    """Give a change window in force as the report shows it."""
    terms = freeze.terms
    return ReportedFreeze(terms.reason, rfc3339(freeze.until), terms.account, terms.allow_quarantine, terms.source)
