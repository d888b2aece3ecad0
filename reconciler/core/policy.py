"""What the security team's rules say about keys and changes, and which changes that holds back.

A plan is judged by what each desired key will be and by what each change does; an audit by what each actual key is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.changes import Action, Change, Outcome
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.judging import Bench, Judgement, Verdict
from reconciler.core.keys import DesiredAccount, KeySpec, KeyState, RemoteKey, Source
from reconciler.core.plan import AccountPlan, fence_alone, may_be_fenced
from reconciler.core.rules import Policy, Rule
from reconciler.core.subjects import Subject, actual_subjects, other_subjects, planned_subjects, unmanaged_subjects

UNKNOWN_DOMAIN = "unknown-domain"


def _finding(policy: Policy, judged: Judgement) -> Finding:
    rule, subject = judged.rule, judged.subject
    failed = judged.verdict is Verdict.FAILED
    return Finding(
        rule.id,
        Severity.DENY if failed else rule.severity,
        judged.message,
        judged.hint,
        subject.account,
        subject.name,
        subject.id,
        subject.label,
        subject.source,
        policy.waived(rule, subject),
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
    bench = Bench(rules, planned_subjects(plan, now), other_subjects(plan, now))
    specs = {spec.name: spec for spec in desired.keys}
    ending = (switched_off(change, now, specs.get(change.name or "")) for change in plan.changes if ends(change))
    of_changes = Bench((rule for rule in rules if rule.about_changes), ending)
    findings = tuple(_finding(policy, judged) for each in (bench, of_changes) for judged in each.broken())
    return Judged(plan, (*findings, *fenced))


def ends(change: Change) -> bool:
    """Tell whether a change ends the use of a key that no desired one is: of no file, or one that is to go."""
    return change.name is None or change.action is Action.DELETE


def switched_off(change: Change, now: datetime, spec: KeySpec | None = None) -> Subject:
    """Give a key that is to be switched off, or to go, as rules about changes see it."""
    before = change.before
    if before is None:
        raise RuntimeError(f"the change of {change.title} has no key")
    after = change.after or before
    return Subject(
        now,
        change.account,
        before.label,
        before.scopes,
        after.ip_allow_list,
        managed=spec is not None,
        spec=spec,
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
    unmanaged = unmanaged_subjects(plan, now)
    due = (key for key in unmanaged if key.remote and may_be_fenced(key.remote, desired.unmanaged, now))
    found = tuple(Bench(fencing, due).broken())
    if not found:
        return plan, ()
    findings = tuple(_finding(policy, judged) for judged in found)
    broken: dict[Source | None, list[RemoteKey]] = defaultdict(list)
    for judged, finding in zip(found, findings, strict=True):
        if judged.verdict is Verdict.BROKEN and finding.waived is None and judged.subject.remote:
            broken[judged.rule.source].append(judged.subject.remote)
    if broken and (waits := plan.waits):
        remarks = () if waits in plan.remarks else (waits,)
        return replace(plan, remarks=(*plan.remarks, *remarks)), findings
    for source, keys in broken.items():
        plan = plan.fencing(keys, source)
    return plan, findings


def deny(plan: AccountPlan, findings: Iterable[Finding]) -> AccountPlan:
    """Hold back each planned change that grants anything to a key with an unwaived ``deny``.

    A change that only takes away goes on, and so does a quarantine, but without whatever else it would do: what it
    grants would be there once the fence is taken away. Scopes for an unknown domain are not sent in any direction,
    since the API would refuse them.
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
    if not (standing and change.applicable):
        return change
    if change.action is Action.QUARANTINE:
        return fence_alone(change)
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
    return tuple(_finding(policy, judged) for judged in Bench(rules, actual_subjects(plan, now)).broken())


def judgements_of(
    policy: Policy, desired: DesiredAccount, subject: Subject, others: Iterable[Subject]
) -> Iterator[tuple[Judgement, Waiver | None]]:
    """Give what every rule of the policy says of a key, those included that are about other keys."""
    rules = policy.rules_for(desired.account, desired.name)
    for judged in Bench(rules, (subject,), others).judgements():
        broken = judged.verdict in (Verdict.BROKEN, Verdict.FAILED)
        yield judged, policy.waived(judged.rule, subject) if broken else None
    yield from ((Judgement(rule, subject, Verdict.OTHER_KEYS), None) for rule in policy.rules if rule not in rules)
