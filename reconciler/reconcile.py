"""One pass: load (done by the caller), list, plan, judge, approve, apply, report."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from reconciler import __version__
from reconciler.ahasend.client import ReadSession, WriteSession
from reconciler.ahasend.pace import Stop
from reconciler.apply import Run, apply_plan
from reconciler.collector import collector_paused
from reconciler.core import departures
from reconciler.core.allowable import FREEZE
from reconciler.core.changes import Change, Outcome
from reconciler.core.endings import endings, idle_requirements, idle_waivers
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
    Trigger,
)
from reconciler.core.findings import Finding, Severity
from reconciler.core.freezes import (
    Freeze,
    ended_freezes,
    freeze_plan,
    idle_freezes,
    in_force,
    report_frozen,
    waiting_fences,
)
from reconciler.core.guardrails import Approval, Consent, Refusal, approve, way_out
from reconciler.core.inventory import ReportedRule, report_freeze, report_pauses, report_rules, report_waiver, rfc3339
from reconciler.core.keys import EVERY_SUB_ACCOUNT, AccountRef, DesiredAccount, DesiredState
from reconciler.core.memory import Memory, learn, recall
from reconciler.core.plan import AccountPlan, Plan, Remark, plan_account
from reconciler.core.policy import deny, judge_plan, unknown_domains
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    RequestCounts,
    report_account,
    report_finding,
    report_refusal,
    report_unplanned_account,
    summarize,
)
from reconciler.core.rests import after_pass, holding
from reconciler.core.rules import Policy
from reconciler.files.saved import Listing
from reconciler.listing import OUT_OF_TIME, Errand, Listed, Reading, Suspended, Unread, asked, list_accounts, look_up


@dataclass(frozen=True, slots=True)
class DryRun:
    """Access for a pass that only plans: it can give sessions that read, and nothing else."""

    open: Callable[[], AbstractAsyncContextManager[ReadSession]]


@dataclass(frozen=True, slots=True)
class Live:
    """Access for a pass that applies what the guardrails approve."""

    open: Callable[[], AbstractAsyncContextManager[WriteSession]]


@dataclass(frozen=True, slots=True)
class Saved:
    """No access at all: a pass that only plans, by what accounts had when they were listed."""

    listing: Listing


Access = DryRun | Saved | Live
_WHOLE_FAMILY = (None, EVERY_SUB_ACCOUNT)
_ASKED_FOR = (Trigger.FILES, Trigger.SIGNAL, Trigger.REQUEST)
"""Passes that a person asked for: for those an account that failed before is not left alone."""
_NO_MEMORY = Memory()
READING_SHARE = 2 / 3
"""How much of a pass's time reading may take where something may have to be written afterwards."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The seconds that one pass may take, and one account or sub account in it, by the loop's clock."""

    per_pass: float = 1800.0
    per_account: float = 300.0


@dataclass(frozen=True, slots=True)
class PassInputs:
    """All that one pass needs.

    ``notes`` are what loading the files had to say; ``policy`` is what rules judge by; ``check_domains`` asks each
    account for its domains, so that a scope for another one is denied before it is sent; ``began`` is when the pass
    really begins, where it judges by the time of a listing. ``trigger`` and ``config_age`` are as in `PassStarted`;
    ``policy_files`` are those that ``policy`` comes from. ``clock`` tells the time of day, for change windows that
    begin when it is set; ``superseded`` tells of which accounts files say something else by now, so
    that nothing more is begun there. ``shard`` is the one whose accounts ``desired`` has, as ``3/16``, None where
    it has all.
    """

    run_id: str
    desired: DesiredState
    access: Access
    observe: Observer
    stop: Stop
    consent: Consent = field(default_factory=Consent)
    notes: tuple[Finding, ...] = ()
    policy: Policy = field(default_factory=Policy)
    patience: Patience = field(default_factory=Patience)
    check_domains: bool = False
    began: datetime | None = None
    trigger: Trigger | None = None
    config_age: float | None = None
    policy_files: frozenset[str] = frozenset()
    clock: Callable[[], datetime] | None = None
    superseded: Callable[[AccountRef], bool] = lambda _account: False
    shard: str | None = None

    @property
    def mode(self) -> Mode:
        """What a pass with this access is."""
        return Mode.APPLY if isinstance(self.access, Live) else Mode.PLAN

    @property
    def started(self) -> PassStarted:
        """The event with which a pass begins, the first one of a process."""
        return PassStarted(self.run_id, self.mode, 1, self.trigger, self.config_age, self.named, self.shard)

    @property
    def named(self) -> int:
        """How many keys the files name for accounts; how many they mean in sub accounts is not known before."""
        return sum(len(account.keys) for account in self.desired.accounts)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was read, what the guardrails made of the plan for it, all findings, and the change windows in force."""

    readings: tuple[Reading, ...]
    approval: Approval
    findings: tuple[Finding, ...]
    memory: Memory
    freezes: tuple[Freeze, ...]


async def run_pass(inputs: PassInputs, now: datetime, memory: Memory) -> tuple[Report, Memory]:
    """Make one pass and report on it.

    Remote errors do not escape: an account that cannot be read is ``failed`` in the report, a change that cannot be
    made has an outcome and a reason. What its `Patience` does not suffice for is ``failed`` too, as out of time.

    Args:
        inputs: What the files, the settings and the command line say.
        now: The time at which the pass begins, or keys were listed that it goes by, with a zone.
        memory: What the pass before remembered; a dry run heeds and changes of it only which accounts
            rest, and which keys files named.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    memory = replace(memory, passes=memory.passes + 1)
    inputs.observe(replace(inputs.started, number=memory.passes))
    with inputs.stop.within(inputs.patience.per_pass, OUT_OF_TIME) as stop:
        match inputs.access:
            case DryRun() | Saved() as access:
                decision, requests = await look(
                    inputs, access, stop, now, Memory(rests=memory.rests, named=memory.named)
                )
                memory = replace(memory, rests=decision.memory.rests, named=decision.memory.named)
                plan = decision.approval.plan
            case Live(open=open_session):
                async with open_session() as session:
                    read = await _read(inputs, session, stop, _heeded(inputs, memory, now))
                    decision = await _decide(inputs, read, now, memory)
                    ended = await _apply(inputs, decision, session, stop, began)
                memory = learn(decision.memory, ended, now)
                plan, requests = decision.approval.plan.with_changes(ended), session.requests
            case _:
                assert_never(inputs.access)
    seconds = clock() - began
    refusals = (*decision.approval.refusals, *_late_refusals(decision.approval.approved.plan, plan))
    late = _begun_meanwhile(inputs, decision, now + timedelta(seconds=seconds))
    findings = (*decision.findings, *_frozen(inputs, late), *waiting_fences(plan.changes, late))
    told = Told(decision.readings, plan, findings, refusals, (*decision.freezes, *late))
    report = replace(make_report(inputs, told, Times(inputs.mode, now, seconds)), requests=requests)
    finish(inputs, report, seconds)
    return report, memory


async def look(
    inputs: PassInputs, access: DryRun | Saved, stop: Stop, now: datetime, memory: Memory = _NO_MEMORY
) -> tuple[Decision, RequestCounts]:
    """Decide what there would be to do, without anything that could write."""
    readings, requests = await read_only(inputs, access, stop, _heeded(inputs, memory, now))
    return await _decide(inputs, readings, now, memory), requests


Readings = tuple[tuple[Reading, ...], tuple[Finding, ...]]


async def read_only(
    inputs: PassInputs, access: DryRun | Saved, stop: Stop, heeded: Memory = _NO_MEMORY
) -> tuple[Readings, RequestCounts]:
    """Read every account; give what is to be said about them, too, and how many requests that took."""
    match access:
        case DryRun(open=open_session):
            async with open_session() as session:
                return await _read(inputs, session, stop, heeded), session.requests
        case Saved(listing=listing):
            return look_up(inputs.desired, listing, partial(_tell, inputs)), RequestCounts()
        case _:
            assert_never(access)


def _tell(inputs: PassInputs, desired: DesiredAccount, keys: int, error: str | None, *, suspended: bool) -> None:
    inputs.observe(AccountListed(inputs.run_id, desired.account, keys, error, desired.name, suspended=suspended))


def finish(inputs: PassInputs, report: Report, seconds: float) -> None:
    """Tell that a pass has ended; what was done is reported, whether or not it can be recorded."""
    with suppress(Exception):
        inputs.observe(PassFinished(inputs.run_id, report, seconds))


async def _decide(inputs: PassInputs, read: Readings, now: datetime, memory: Memory) -> Decision:
    """Plan each account that could be read, and let memory, rules and guardrails judge."""
    readings, selected = read
    complete = not any(isinstance(reading, Unread) for reading in readings)
    listed = [reading for reading in readings if isinstance(reading, Listed)]
    with collector_paused():
        planned = [_plan(inputs.policy, reading, now) for reading in listed]
    plan = Plan(tuple(account for account, _ in planned), complete)
    plan, memory, contests = recall(plan, memory, now)
    memory = replace(memory, named=departures.look(plan, memory.named, asyncio.get_running_loop().time()))
    plan = departures.spare(plan, memory.named)
    approval = approve(freeze_plan(plan, inputs.consent.freezes(now)), inputs.consent, now)
    freezes = in_force(inputs.consent.limits.windows, now)
    judged = (finding for _, findings in planned for finding in findings)
    fences = waiting_fences(approval.plan.changes, freezes)
    found = (*_frozen(inputs, freezes), *fences, *selected, *judged, *contests, *noted_all(approval.plan))
    findings = (*inputs.notes, *about_policy(inputs, now), *found)
    for event in _decisions(inputs, approval, findings):
        inputs.observe(event)
    rests = after_pass(memory.rests, dict(asked(readings)), now)
    memory = replace(memory, passed_over=_passed_over(readings, memory), rests=rests)
    return Decision(readings, approval, findings, memory, freezes)


def _heeded(inputs: PassInputs, memory: Memory, now: datetime) -> Memory:
    """Give what reading heeds of the passes before: nobody is kept waiting by a rest who asked for this pass."""
    return replace(memory, rests={} if inputs.trigger in _ASKED_FOR else holding(memory.rests, now))


def _frozen(inputs: PassInputs, freezes: Iterable[Freeze]) -> tuple[Finding, ...]:
    return report_frozen(freezes, let_through=FREEZE in inputs.consent.allowed)


def _begun_meanwhile(inputs: PassInputs, decision: Decision, now: datetime) -> tuple[Freeze, ...]:
    """Give the change windows that are in force by ``now`` and were not when it was decided what to do."""
    known = {freeze.terms for freeze in decision.freezes}
    return tuple(freeze for freeze in in_force(inputs.consent.limits.windows, now) if freeze.terms not in known)


def about_policy(inputs: PassInputs, now: datetime) -> tuple[Finding, ...]:
    """Give what is to be said about the policy itself: what ends soon or has ended, what is about nothing."""
    ending = (each.finding for each in endings(inputs.policy, inputs.desired, now))
    idle = (
        *idle_waivers(inputs.policy, inputs.desired),
        *idle_requirements(inputs.consent.limits.require, inputs.desired),
        *idle_freezes(inputs.consent.limits.windows, inputs.desired),
    )
    return (*ending, *ended_freezes(inputs.consent.limits.windows, now), *idle)


def _passed_over(readings: tuple[Reading, ...], memory: Memory) -> frozenset[tuple[str, str]]:
    """Give the accounts whose turn comes first in the next pass; where a list failed, those of before keep theirs."""
    unread = [reading for reading in readings if isinstance(reading, Unread)]
    families = {one.desired.account.account_id for one in unread if one.desired.account.sub_account_id in _WHOLE_FAMILY}
    now = {one.desired.account.identity for one in unread if one.passed_over}
    return frozenset(now | {identity for identity in memory.passed_over if identity[0] in families})


async def _read(inputs: PassInputs, session: ReadSession, stop: Stop, heeded: Memory) -> Readings:
    """Read every account; a pass that may write keeps time back for what there will be to write.

    Otherwise one account that is slow, or large, would keep the changes of all others from being made, in each pass.
    """
    patience = inputs.patience
    share = READING_SHARE if isinstance(inputs.access, Live) else 1.0
    with stop.within(patience.per_pass * share, OUT_OF_TIME) as reading:
        errand = Errand(
            inputs.run_id,
            session,
            reading,
            inputs.observe,
            patience.per_account,
            inputs.check_domains,
            heeded.passed_over,
            heeded.rests,
        )
        return await list_accounts(inputs.desired.accounts, errand)


def _plan(policy: Policy, listed: Listed, now: datetime) -> tuple[AccountPlan, tuple[Finding, ...]]:
    """Plan one account, and judge the plan by the rules."""
    judged = judge_plan(policy, listed.desired, plan_account(listed.desired, listed.keys, now), now)
    unknown = () if listed.domains is None else unknown_domains(listed.desired, listed.domains)
    findings = (*unknown, *judged.findings)
    return deny(judged.plan, findings), findings


async def _apply(
    inputs: PassInputs, decision: Decision, session: WriteSession, stop: Stop, began: float
) -> tuple[Change, ...]:
    """Apply what was approved, each account with what reading it has left of its patience."""
    per_account = inputs.patience.per_account
    left = {
        reading.desired.account: per_account - reading.seconds
        for reading in decision.readings
        if isinstance(reading, Listed)
    }
    run = Run(inputs.run_id, stop, inputs.observe, left, began, inputs.clock, inputs.superseded)
    return await apply_plan(decision.approval.approved, session, run)


def _decisions(inputs: PassInputs, approval: Approval, findings: Iterable[Finding]) -> Iterable[Event]:
    """Tell what was decided, before anything is written."""
    changes = approval.plan.changes
    applicable = sum(change.applicable for change in changes)
    yield PlanComputed(inputs.run_id, approval.plan.digest, len(changes), applicable)
    for finding in findings:
        yield FindingRaised(inputs.run_id, finding)
    for refusal in approval.refusals:
        yield PlanRefused(inputs.run_id, refusal)
    for change in changes:
        if change.outcome.may_be_retried:
            yield ChangeFailed(inputs.run_id, change)
        elif not change.applicable:
            yield ChangeSkipped(inputs.run_id, change)


def noted_all(plan: Plan) -> tuple[Finding, ...]:
    """Give what planning had to remark, as findings."""
    return tuple(_noted(account, remark) for account in plan.accounts for remark in account.remarks)


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
class Times:
    """What kind of pass it was, when it began, and how many seconds it took."""

    mode: Mode
    started: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to report: what was read, the plan for what could be, what was found, refused and in force."""

    readings: tuple[Reading, ...]
    plan: Plan
    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...] = ()
    freezes: tuple[Freeze, ...] = ()


def make_report(inputs: PassInputs, told: Told, times: Times) -> Report:
    """Give the report of a pass, but for the requests that it made."""
    planned = iter(told.plan.accounts)
    began = inputs.began or times.started
    with collector_paused():
        accounts = tuple(_reported(reading, planned) for reading in told.readings)
    findings = tuple(map(report_finding, told.findings))
    summary = summarize(accounts, findings)
    return Report(
        schema=SCHEMA,
        version=__version__,
        mode=times.mode,
        run_id=inputs.run_id,
        started_at=rfc3339(began),
        finished_at=rfc3339(began + timedelta(seconds=times.seconds)),
        digest=None if times.mode is Mode.AUDIT else told.plan.digest,
        policy=inputs.policy.digest,
        accounts=accounts,
        findings=findings,
        refusals=tuple(map(report_refusal, told.refusals)),
        summary=replace(summary, unchanged=0) if times.mode is Mode.AUDIT else summary,  # an audit plans nothing
        requests=RequestCounts(),
        as_of=rfc3339(times.started),
        rules=_rules(inputs, times.mode),
        waivers=tuple(map(report_waiver, inputs.policy.waivers)),
        pauses=report_pauses(inputs.desired),
        freezes=tuple(map(report_freeze, told.freezes)),
        shard=inputs.shard,
    )


def _rules(inputs: PassInputs, mode: Mode) -> tuple[ReportedRule, ...]:
    """Give what was asked: an audit looks at keys and at what must keep working, a plan at keys and changes."""
    if mode is Mode.AUDIT:
        return report_rules(inputs.policy, inputs.consent.limits.require, about_changes=False)
    return report_rules(inputs.policy, (), about_changes=True)


def _reported(reading: Reading, planned: Iterator[AccountPlan]) -> ReportedAccount:
    match reading:
        case Listed(desired=desired):
            return report_account(next(planned), desired.name)
        case Unread(desired=desired, error=error):
            return report_unplanned_account(desired, AccountStatus.FAILED, error)
        case Suspended(desired=desired):
            return report_unplanned_account(desired, AccountStatus.SUSPENDED, None)
        case _:
            assert_never(reading)


def _late_refusals(approved: Plan, ended: Plan) -> Iterable[Refusal]:
    """Give the refusals that came only when what watches over an account was asked again before a write."""
    for before, after in zip(approved.changes, ended.changes, strict=True):
        if before.applicable and after.outcome is Outcome.REFUSED and after.reason:
            guardrail, _, objection = after.reason.partition(": ")
            message = f"{after.title}: {objection}; {way_out(guardrail)}"
            yield Refusal(guardrail, message, after.account, after.key_id)
