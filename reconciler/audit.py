"""One audit: read every account, judge each actual key by the policy, report. Nothing in it could write."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from reconciler.collector import collector_paused
from reconciler.core.events import FindingRaised
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import RemoteKey
from reconciler.core.matching import Unclear
from reconciler.core.plan import AccountPlan, Plan, plan_account
from reconciler.core.policy import judge_actual
from reconciler.core.report import Mode, Report
from reconciler.core.requirements import KeysOf, unmet
from reconciler.core.rules import Policy
from reconciler.listing import OUT_OF_TIME, Listed, Reading, Suspended, Unread
from reconciler.reconcile import (
    DryRun,
    PassInputs,
    Saved,
    Times,
    Told,
    about_policy,
    finish,
    make_report,
    read_only,
)


async def run_audit(inputs: PassInputs, access: DryRun | Saved, now: datetime) -> Report:
    """Judge all actual keys, managed or not, and what must keep working.

    Remote errors do not escape: an account that cannot be read is ``failed`` in the report.

    Args:
        inputs: What the files, the settings and the command line say.
        access: Where keys are read from.
        now: The time at which ages and waivers are judged: when keys were listed, with a zone.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    inputs.observe(replace(inputs.started, mode=Mode.AUDIT))
    with inputs.stop.within(inputs.patience.per_pass, OUT_OF_TIME) as stop:
        (readings, selected), requests = await read_only(inputs, access, stop)
    with collector_paused():
        judged = [_judged(inputs.policy, reading, now) for reading in readings if isinstance(reading, Listed)]
    findings = (
        *inputs.notes,
        *about_policy(inputs, now),
        *selected,
        *_unmet(inputs, readings),
        *(finding for _, found in judged for finding in found),
    )
    for finding in findings:
        inputs.observe(FindingRaised(inputs.run_id, finding))
    seconds = clock() - began
    told = Told(readings, Plan(tuple(account for account, _ in judged)), findings)
    report = replace(make_report(inputs, told, Times(Mode.AUDIT, now, seconds)), requests=requests)
    finish(inputs, report, seconds)
    return report


def _judged(policy: Policy, listed: Listed, now: datetime) -> tuple[AccountPlan, tuple[Finding, ...]]:
    """Judge one account; what would be changed there is no affair of an audit."""
    plan = plan_account(listed.desired, listed.keys, now)
    unclear = (_unclear(plan, match) for match in plan.matching.matches if isinstance(match, Unclear))
    findings = (*unclear, *judge_actual(policy, listed.desired, plan, now))
    return replace(plan, changes=(), unmanaged=plan.matching.unmanaged), findings


def _unclear(plan: AccountPlan, match: Unclear) -> Finding:
    spec = match.spec
    told = f"which key {spec.name} is cannot be told, so its owner and annotations count for none: {match.reason}"
    return Finding(
        "match-unclear",
        Severity.WARN,
        told,
        "settle in the files which key it is",
        plan.account,
        spec.name,
        spec.id,
        spec.label,
        spec.source,
    )


def _unmet(inputs: PassInputs, readings: tuple[Reading, ...]) -> tuple[Finding, ...]:
    elsewhere = tuple(each for account in inputs.desired.elsewhere for each in account.family)
    return unmet(inputs.consent.limits.require, [each for reading in readings for each in _keys_of(reading)], elsewhere)


def _keys_of(reading: Reading) -> Iterator[KeysOf]:
    """Give the keys of an account; of one that was not read, nobody knows the sub accounts either."""
    account = reading.desired.account
    yield KeysOf(account, _usable(reading))
    if isinstance(reading, Unread) and reading.desired.sub_accounts:
        yield KeysOf(account.every_sub_account, None)


def _usable(reading: Reading) -> tuple[RemoteKey, ...] | None:
    """Give the keys that may be of use; those of a suspended sub account are of none."""
    match reading:
        case Listed(keys=keys):
            return keys
        case Suspended():
            return ()
        case Unread():
            return None
        case _:
            assert_never(reading)
