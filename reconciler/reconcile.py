"""One pass: load (done by the caller), list, plan, judge, approve, apply, report."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, assert_never

from reconciler import __version__
from reconciler.ahasend.client import ReadSession, WriteSession
from reconciler.ahasend.pace import Stop
from reconciler.apply import Run, apply_plan
from reconciler.core.changes import Outcome
from reconciler.core.events import (
    AccountListed,
    ChangeFailed,
    ChangeSkipped,
    Event,
    FindingRaised,
    Observer,
    PassFinished,
    PassStarted,
    PlanComputed,
    PlanRefused,
)
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import Approval, Consent, Refusal, approve, way_out
from reconciler.core.keys import DesiredAccount, DesiredState, RemoteKey
from reconciler.core.plan import AccountPlan, Plan, Remark, plan_account
from reconciler.core.report import (
    SCHEMA,
    Mode,
    Report,
    ReportedAccount,
    RequestCounts,
    report_account,
    report_failed_account,
    report_finding,
    report_refusal,
    rfc3339,
    summarize,
)
from reconciler.errors import ReconcilerError


@dataclass(frozen=True, slots=True)
class DryRun:
    """Access for a pass that only plans: it can give sessions that read, and nothing else."""

    mode: ClassVar = Mode.PLAN
    open: Callable[[], AbstractAsyncContextManager[ReadSession]]


@dataclass(frozen=True, slots=True)
class Live:
    """Access for a pass that applies what the guardrails approve."""

    mode: ClassVar = Mode.APPLY
    open: Callable[[], AbstractAsyncContextManager[WriteSession]]


@dataclass(frozen=True, slots=True)
class PassInputs:
    """All that one pass needs.

    ``notes`` are what loading the files had to say; ``policy`` is the digest of the policy, None without one.
    """

    run_id: str
    desired: DesiredState
    access: DryRun | Live
    observe: Observer
    stop: Stop
    consent: Consent = field(default_factory=Consent)
    notes: tuple[Finding, ...] = ()
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What ``run`` remembers from one pass to the next; a CronJob starts with none."""

    passes: int = 0


@dataclass(frozen=True, slots=True)
class _Listed:
    desired: DesiredAccount
    keys: tuple[RemoteKey, ...]


@dataclass(frozen=True, slots=True)
class _Unread:
    desired: DesiredAccount
    error: ReconcilerError


async def run_pass(inputs: PassInputs, now: datetime, memory: Memory) -> tuple[Report, Memory]:
    """Make one pass and report on it.

    Remote errors do not escape: an account that cannot be read is ``failed`` in the report, a change that cannot be
    made has an outcome and a reason.

    Args:
        inputs: What the files, the settings and the command line say.
        now: The time at which the pass begins, with a zone.
        memory: What the pass before remembered.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    memory = Memory(memory.passes + 1)
    mode = inputs.access.mode
    inputs.observe(PassStarted(inputs.run_id, mode, memory.passes))
    match inputs.access:
        case DryRun(open=open_session):
            async with open_session() as session:
                read, approval = await _decide(inputs, session, now)
            plan, requests = approval.plan, session.requests
        case Live(open=open_session):
            async with open_session() as session:
                read, approval = await _decide(inputs, session, now)
                ended = await apply_plan(approval.approved, session, Run(inputs.run_id, inputs.stop, inputs.observe))
            plan, requests = approval.plan.with_changes(ended), session.requests
        case _:
            assert_never(inputs.access)
    seconds = clock() - began
    report = _report(inputs, read, replace(approval, plan=plan), _Times(mode, now, now + timedelta(seconds=seconds)))
    report = replace(report, requests=requests)
    with suppress(Exception):  # what was done is reported, whether or not it can be recorded
        inputs.observe(PassFinished(inputs.run_id, report, seconds))
    return report, memory


async def _decide(
    inputs: PassInputs, session: ReadSession, now: datetime
) -> tuple[tuple[_Listed | _Unread, ...], Approval]:
    """List every account side by side, plan each that could be read, and let the guardrails judge."""
    read = tuple(await asyncio.gather(*(_list(inputs, session, account) for account in inputs.desired.accounts)))
    plans = tuple(plan_account(listed.desired, listed.keys, now) for listed in read if isinstance(listed, _Listed))
    approval = approve(Plan(plans, complete=len(plans) == len(read)), inputs.consent)
    for event in _decisions(inputs, approval):
        inputs.observe(event)
    return read, approval


async def _list(inputs: PassInputs, session: ReadSession, desired: DesiredAccount) -> _Listed | _Unread:
    try:
        keys = await session.reader(desired.account).list_keys()
    except ReconcilerError as error:
        inputs.observe(AccountListed(inputs.run_id, desired.account, 0, error.message))
        return _Unread(desired, error)
    inputs.observe(AccountListed(inputs.run_id, desired.account, len(keys)))
    return _Listed(desired, keys)


def _decisions(inputs: PassInputs, approval: Approval) -> Iterable[Event]:
    """Tell what was decided, before anything is written."""
    changes = approval.plan.changes
    applicable = sum(change.applicable for change in changes)
    yield PlanComputed(inputs.run_id, approval.plan.digest, len(changes), applicable)
    for finding in _findings(inputs, approval.plan):
        yield FindingRaised(inputs.run_id, finding)
    for refusal in approval.refusals:
        yield PlanRefused(inputs.run_id, refusal)
    for change in changes:
        if change.outcome.may_be_retried:
            yield ChangeFailed(inputs.run_id, change)
        elif not change.applicable:
            yield ChangeSkipped(inputs.run_id, change)


def _findings(inputs: PassInputs, plan: Plan) -> tuple[Finding, ...]:
    remarks = (_noted(account, remark) for account in plan.accounts for remark in account.remarks)
    return (*inputs.notes, *remarks)


def _noted(account: AccountPlan, remark: Remark) -> Finding:
    spec, remote = remark.spec, remark.remote
    return Finding(
        rule=remark.rule,
        severity=Severity.NOTE,
        message=remark.message,
        hint=remark.hint,
        account=account.account,
        key=spec.name if spec else None,
        key_id=remote.id if remote else None,
        label=remote.label if remote else spec.label if spec else None,
        source=spec.source if spec else None,
    )


@dataclass(frozen=True, slots=True)
class _Times:
    mode: Mode
    started: datetime
    finished: datetime


def _report(inputs: PassInputs, read: tuple[_Listed | _Unread, ...], approval: Approval, times: _Times) -> Report:
    planned = iter(approval.plan.accounts)
    accounts = tuple(
        _report_unread(result) if isinstance(result, _Unread) else report_account(next(planned)) for result in read
    )
    findings = tuple(map(report_finding, _findings(inputs, approval.plan)))
    refusals = (*approval.refusals, *_late_refusals(approval))
    return Report(
        schema=SCHEMA,
        version=__version__,
        mode=times.mode,
        run_id=inputs.run_id,
        started_at=rfc3339(times.started),
        finished_at=rfc3339(times.finished),
        digest=approval.plan.digest,
        policy=inputs.policy,
        accounts=accounts,
        findings=findings,
        refusals=tuple(map(report_refusal, refusals)),
        summary=summarize(accounts, findings),
        requests=RequestCounts(),
    )


def _report_unread(result: _Unread) -> ReportedAccount:
    return report_failed_account(result.desired.account, len(result.desired.keys), str(result.error))


def _late_refusals(approval: Approval) -> Iterable[Refusal]:
    """Give the refusals that came only when the guardian was asked again before a write."""
    for before, after in zip(approval.approved.plan.changes, approval.plan.changes, strict=True):
        if before.applicable and after.outcome is Outcome.REFUSED:
            message = f"{after.title}: {after.reason}; {way_out('guardian')}"
            yield Refusal("guardian", message, after.account, after.key_id)
