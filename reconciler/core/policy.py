"""What rules say about desired keys, and which changes that holds back."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core.changes import Action, Change, Direction, Outcome
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import DesiredAccount, KeySpec, KeyState
from reconciler.core.plan import AccountPlan

UNKNOWN_DOMAIN = "unknown-domain"


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


def deny(plan: AccountPlan, findings: Iterable[Finding]) -> AccountPlan:
    """Hold back each planned change that grants anything to a key with an unwaived ``deny``.

    A change that only takes away goes on, and so does a quarantine: neither makes worse what the rule forbids. Scopes
    for an unknown domain are not sent in any direction, since the API would refuse them.
    """
    denials: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity is Severity.DENY and finding.waived is None and finding.key is not None:
            denials.setdefault(finding.key, []).append(finding)
    return replace(plan, changes=tuple(_judged(change, denials.get(change.name or "", [])) for change in plan.changes))


def _judged(change: Change, denials: list[Finding]) -> Change:
    standing = [denial for denial in denials if _stands_against(denial, change)]
    if not (standing and change.applicable) or change.action is Action.QUARANTINE:
        return change
    return change.ended(Outcome.DENIED, "; ".join(f"{denial.rule}: {denial.message}" for denial in standing))


def _stands_against(denial: Finding, change: Change) -> bool:
    grants = change.access.direction in (Direction.WIDEN, Direction.MIXED)
    return grants or (denial.rule == UNKNOWN_DOMAIN and change.fields.scopes is not None)
