"""Made-up reports, as the core would write them."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core.changes import Action, Fields, ListDiff, Outcome, TextDiff, access_change
from reconciler.core.findings import Severity
from reconciler.core.keys import Source
from reconciler.core.networks import FENCED, AllowList
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    RequestCounts,
    summarize,
)
from reconciler.core.scopes import ScopeSet

KEY = "3c90c3cc-0d44-4b50-8888-8dd25736052a"


def change(
    name: str | None,
    action: Action = Action.UPDATE,
    *,
    label: str | None = None,
    relabelled: tuple[str | None, str] | None = None,
    scopes: tuple[list[str], list[str]] | None = None,
    networks: tuple[list[str], list[str]] | None = None,
    outcome: Outcome = Outcome.PLANNED,
    reason: str | None = None,
) -> ReportedChange:
    """Build a change with the access change that the core would compute."""
    old, new = (ScopeSet.parse(texts) for texts in scopes or ((), ()))
    created = action is Action.CREATE
    lists = None
    if networks:
        before, after = (AllowList.parse(texts) for texts in networks)
        lists = (FENCED if created else before, after)
    return ReportedChange(
        action=action,
        name=name,
        key_id=None if created else KEY,
        label=label or name or "",
        source=Source("keys/shop.yaml", 12, 5),
        fields=Fields(
            TextDiff(*relabelled) if relabelled else None,
            ListDiff(None if created else old.texts, new.texts) if scopes else None,
            ListDiff(None if created else lists[0].networks, lists[1].networks) if lists else None,
        ),
        access=access_change((old, new), lists),
        outcome=outcome,
        reason=reason,
    )


def account(*changes: ReportedChange, name: str = "a-1", keys: KeyCounts | None = None) -> ReportedAccount:
    return ReportedAccount(name, None, AccountStatus.OK, None, keys or KeyCounts(12, 14), changes)


def failed(error: str | None) -> ReportedAccount:
    return ReportedAccount("a-2", None, AccountStatus.FAILED, error, KeyCounts(3))


def below(
    sub_account_id: str, name: str | None, *changes: ReportedChange, status: AccountStatus = AccountStatus.OK
) -> ReportedAccount:
    """Build a sub account of ``a-1`` that wants three keys; ids of keys differ from one sub account to the next."""
    own = tuple(
        replace(change, key_id=change.key_id and f"{sub_account_id}-k{place}") for place, change in enumerate(changes)
    )
    return ReportedAccount("a-1", sub_account_id, status, None, KeyCounts(3, 3), own, sub_account_name=name)


def broken(sub_account_id: str, name: str | None, error: str | None) -> ReportedAccount:
    """Build a sub account of ``a-1`` that could not be read."""
    return replace(below(sub_account_id, name, status=AccountStatus.FAILED), error=error)


def finding(rule: str, severity: Severity, **given: object) -> ReportedFinding:
    values: dict[str, object] = {
        "account_id": "a-1",
        "sub_account_id": None,
        "key": "ops",
        "key_id": None,
        "label": "ops",
    }
    values |= {"message": "ops may do everything", "hint": "", "source": Source("keys/ops.yaml", 3, 5), "waived": None}
    return ReportedFinding(rule=rule, severity=severity, **{**values, **given})  # type: ignore[arg-type] # of a story


def report(
    *accounts: ReportedAccount,
    mode: Mode = Mode.PLAN,
    findings: Iterable[ReportedFinding] = (),
    refusals: Iterable[ReportedRefusal] = (),
) -> Report:
    findings = tuple(findings)
    return Report(
        schema=SCHEMA,
        version="0.1.0",
        mode=mode,
        run_id="r",
        started_at="t0",
        finished_at="t1",
        digest="sha256:ab" if all(one.status is not AccountStatus.FAILED for one in accounts) else None,
        policy=None,
        accounts=accounts,
        findings=findings,
        refusals=tuple(refusals),
        summary=summarize(accounts, findings),
        requests=RequestCounts(),
    )
