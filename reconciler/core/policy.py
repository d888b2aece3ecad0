"""What the security team's rules say about keys and changes, and which changes that holds back.

A plan is judged by what each desired key will be and by what each change does; an audit by what each actual key is. A
rule that cannot be evaluated for a key counts as broken, with ``deny``: nobody should rely on a rule that says nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from reconciler.core.builtins import AccountCheck, DuplicateLabel, IdenticalAccess
from reconciler.core.changes import Action, Change, Outcome
from reconciler.core.expressions import Bound, EvaluationError, Expression, bind
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.keys import DesiredAccount, KeySpec, KeyState, RemoteKey, Source
from reconciler.core.plan import AccountPlan, may_be_fenced
from reconciler.core.rules import Policy, Rule
from reconciler.core.subjects import (
    Subject,
    actual_subjects,
    in_words,
    planned_subjects,
    unmanaged_subjects,
    values,
)
from reconciler.core.templates import Template

UNKNOWN_DOMAIN = "unknown-domain"


class Verdict(Enum):
    """How a key stands with a rule."""

    KEPT = "kept"
    BROKEN = "broken"
    FAILED = "could not be evaluated"
    OTHER_KEYS = "about other keys"
    NO_CHANGE = "about changes, and there is none"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule says of one key; ``message`` where it is broken or failed."""

    rule: Rule
    subject: Subject
    verdict: Verdict
    message: str = ""


_Said = Callable[[Subject, "_View"], str | None]
_KEPT: Final = (Verdict.KEPT, "")
_OTHER_KEYS: Final = (Verdict.OTHER_KEYS, "")
_NO_CHANGE: Final = (Verdict.NO_CHANGE, "")


class _Bench:
    """Rules over the keys of one account; ``others`` are keys that only stand beside those under judgement."""

    def __init__(
        self, rules: Iterable[Rule], subjects: Iterable[Subject], now: datetime, others: Iterable[Subject] = ()
    ) -> None:
        rules = tuple(rules)
        self._subjects = tuple(subjects)
        self._now = now
        self._names = frozenset(name for rule in rules for name in rule.names)
        everyone: tuple[Subject, ...] = ()
        if any(isinstance(rule.check, AccountCheck) for rule in rules):
            everyone = (*self._subjects, *others)
        self._checks = [(rule, self._said(rule, everyone)) for rule in rules]

    def judgements(self) -> Iterator[Judgement]:
        """Give what every rule says of every key, in the order of the keys."""
        for rule, subject, (verdict, message) in self._verdicts():
            yield Judgement(rule, subject, verdict, message)

    def broken(self) -> Iterator[Judgement]:
        """Give what there is to be said, in the order of the keys."""
        for rule, subject, (verdict, message) in self._verdicts():
            if message:
                yield Judgement(rule, subject, verdict, message)

    def _verdicts(self) -> Iterator[tuple[Rule, Subject, tuple[Verdict, str]]]:
        for subject in self._subjects:
            view = _View(subject, self._names, self._now)
            for rule, said in self._checks:
                yield rule, subject, _verdict(rule, said, subject, view)

    def _said(self, rule: Rule, everyone: Iterable[Subject]) -> _Said:
        """Give what asks a rule about a key, made once for all keys."""
        match rule.check:
            case Expression() as expression:
                return lambda _, view: "breaks this rule" if expression.holds(view.bound, view.values) else None
            case DuplicateLabel() | IdenticalAccess() as of_all:
                groups = _groups(of_all, everyone)
                return lambda subject, _: _among(of_all, groups, subject)
            case check:
                verdict, now = check.verdict, self._now
                return lambda subject, _: verdict(subject, now)


def _verdict(rule: Rule, said: _Said, subject: Subject, view: "_View") -> tuple[Verdict, str]:
    if not rule.match.takes(subject):
        return _OTHER_KEYS
    if rule.about_changes and subject.change is None:
        return _NO_CHANGE
    try:
        told = said(subject, view)
    except EvaluationError as error:
        return Verdict.FAILED, f"{subject.title} could not be judged, which counts as broken: {error}"
    if told is None:
        return _KEPT
    return Verdict.BROKEN, view.filled(rule.message) if rule.message else f"{subject.title} {told}"


def _among(check: AccountCheck, groups: dict[Hashable, list[Subject]], subject: Subject) -> str | None:
    alike = check.alike(subject)
    group = groups.get(alike, ()) if alike is not None else ()
    others = tuple(_named(other) for other in group if other is not subject)
    return check.told(others) if others else None


class _View:
    """The values of one key's variables, made when the first rule asks for them."""

    def __init__(self, subject: Subject, names: frozenset[str], now: datetime) -> None:
        self._subject = subject
        self._names = names
        self._now = now
        self._values: dict[str, object] | None = None
        self._bound: Bound = None

    @property
    def values(self) -> dict[str, object]:
        if self._values is None:
            self._values = values(self._subject, self._names, self._now)
        return self._values

    @property
    def bound(self) -> Bound:
        if self._bound is None:
            self._bound = bind(self.values)
        return self._bound

    def filled(self, message: Template) -> str:
        return message.filled({name: in_words(self.values[name]) for name in message.names})


def _groups(check: AccountCheck, subjects: Iterable[Subject]) -> dict[Hashable, list[Subject]]:
    groups: defaultdict[Hashable, list[Subject]] = defaultdict(list)
    for subject in subjects:
        alike = check.alike(subject)
        if alike is not None:
            groups[alike].append(subject)
    return {alike: group for alike, group in groups.items() if len(group) > 1}


def _named(subject: Subject) -> str:
    return subject.name or (f"key {subject.id}" if subject.id else subject.title)


def _finding(policy: Policy, judged: Judgement, now: datetime) -> Finding:
    rule, subject = judged.rule, judged.subject
    failed = judged.verdict is Verdict.FAILED
    return Finding(
        rule.id,
        Severity.DENY if failed else rule.severity,
        judged.message,
        "mend the rule, or what it reads of the key" if failed else rule.hint,
        subject.account,
        subject.name,
        subject.id,
        subject.label,
        subject.source,
        policy.waived(rule.id, subject, now),
    )


# Judging plans


@dataclass(frozen=True, slots=True)
class Judged:
    """A plan with what rules switch off, and everything that they found."""

    plan: AccountPlan
    findings: tuple[Finding, ...]


def judge_plan(policy: Policy, desired: DesiredAccount, plan: AccountPlan, now: datetime) -> Judged:
    """Judge what each desired key will be, and what each change does; let rules switch off unmanaged keys.

    What the findings hold back is the affair of :func:`deny`.
    """
    rules = policy.rules_for(desired.account, desired.name)
    if not rules:
        return Judged(plan, ())
    plan, fenced = _fenced(policy, rules, desired, plan, now)
    unmanaged = tuple(unmanaged_subjects(plan))
    bench = _Bench(rules, planned_subjects(plan), now, unmanaged)
    switching_off = (_switched_off(change) for change in plan.changes if change.name is None)
    of_changes = _Bench((rule for rule in rules if rule.about_changes), switching_off, now)
    findings = tuple(_finding(policy, judged, now) for each in (bench, of_changes) for judged in each.broken())
    return Judged(plan, (*findings, *fenced))


def _switched_off(change: Change) -> Subject:
    """Give an unmanaged key that is to be switched off, as it will be."""
    before, after = change.before, change.after
    if before is None or after is None:
        raise RuntimeError(f"the change of {change.title} has no key")
    return Subject(
        change.account,
        before.label,
        before.scopes,
        after.ip_allow_list,
        managed=False,
        remote=before,
        change=change,
        actual=False,
    )


def _fenced(
    policy: Policy, rules: Iterable[Rule], desired: DesiredAccount, plan: AccountPlan, now: datetime
) -> tuple[AccountPlan, tuple[Finding, ...]]:
    """Switch off the unmanaged keys that break a rule which says so, but what is exempt or waived.

    A rule that could not be evaluated is no reason to switch anything off.
    """
    fencing = [rule for rule in rules if rule.fences]
    due = (key for key in unmanaged_subjects(plan) if key.remote and may_be_fenced(key.remote, desired.unmanaged, now))
    found = tuple(_Bench(fencing, due, now).broken())
    if not found:
        return plan, ()
    findings = tuple(_finding(policy, judged, now) for judged in found)
    if waits := plan.waits:
        remarks = () if waits in plan.remarks else (waits,)
        return replace(plan, remarks=(*plan.remarks, *remarks)), findings
    broken: dict[Source | None, list[RemoteKey]] = defaultdict(list)
    for judged, finding in zip(found, findings, strict=True):
        if judged.verdict is Verdict.BROKEN and finding.waived is None and judged.subject.remote:
            broken[judged.rule.source].append(judged.subject.remote)
    for source, keys in broken.items():
        plan = plan.fencing(keys, source)
    return plan, findings


def deny(plan: AccountPlan, findings: Iterable[Finding]) -> AccountPlan:
    """Hold back each planned change that grants anything to a key with an unwaived ``deny``.

    A change that only takes away goes on, and so does a quarantine: neither makes worse what the rule forbids. Scopes
    for an unknown domain are not sent in any direction, since the API would refuse them.
    """
    denials: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity is Severity.DENY and finding.waived is None and finding.key is not None:
            denials.setdefault(finding.key, []).append(finding)
    if not denials:
        return plan
    return replace(plan, changes=tuple(_judged(change, denials.get(change.name or "", [])) for change in plan.changes))


def _judged(change: Change, denials: list[Finding]) -> Change:
    standing = [denial for denial in denials if _stands_against(denial, change)]
    if not (standing and change.applicable) or change.action is Action.QUARANTINE:
        return change
    return change.ended(Outcome.DENIED, "; ".join(f"{denial.rule}: {denial.message}" for denial in standing))


def _stands_against(denial: Finding, change: Change) -> bool:
    return change.widens or (denial.rule == UNKNOWN_DOMAIN and change.fields.scopes is not None)


def unknown_domains(desired: DesiredAccount, domains: frozenset[str]) -> tuple[Finding, ...]:
    """Give a ``deny`` for each desired key with a scope for a domain that is none of the account's.

    AhaSend refuses such a scope (``UpdateAPIKeyRequest``); this says so before anything is sent.

    Args:
        desired: What the files say about the account.
        domains: The account's domains, in canonical form.
    """
    return tuple(
        _unknown_domain(desired, spec, unknown)
        for spec in desired.keys
        if spec.state is not KeyState.ABSENT and (unknown := _domains(spec) - domains)
    )


def _domains(spec: KeySpec) -> frozenset[str]:
    sent = spec.scopes.reduced() if spec.scopes else ()  # what another scope covers is never sent
    return frozenset(scope.domain for scope in sent if scope.domain is not None)


def _unknown_domain(desired: DesiredAccount, spec: KeySpec, unknown: frozenset[str]) -> Finding:
    names = ", ".join(sorted(unknown))
    return Finding(
        UNKNOWN_DOMAIN,
        Severity.DENY,
        f"{spec.name} is to have scopes for {names}, which the account does not have",
        "add the domain to the account first, or correct the scope",
        account=desired.account,
        key=spec.name,
        key_id=spec.id,
        label=spec.label,
        source=spec.source,
    )


# Judging what there is


def judge_actual(policy: Policy, desired: DesiredAccount, plan: AccountPlan, now: datetime) -> tuple[Finding, ...]:
    """Judge every actual key of an account, whether a file names it or not."""
    rules = [rule for rule in policy.rules_for(desired.account, desired.name) if not rule.about_changes]
    return tuple(_finding(policy, judged, now) for judged in _Bench(rules, actual_subjects(plan), now).broken())


def judgements_of(
    policy: Policy, desired: DesiredAccount, subjects: Sequence[Subject], others: Iterable[Subject], now: datetime
) -> Iterator[tuple[Judgement, Waiver | None]]:
    """Give what every rule of the policy says of keys of one account, those included that are about other keys."""
    rules = policy.rules_for(desired.account, desired.name)
    elsewhere = [rule for rule in policy.rules if rule not in rules]
    for judged in _Bench(rules, subjects, now, others).judgements():
        yield judged, policy.waived(judged.rule.id, judged.subject, now) if judged.message else None
    yield from ((Judgement(rule, one, Verdict.OTHER_KEYS), None) for one in subjects for rule in elsewhere)
