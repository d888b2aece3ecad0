"""What a report says in numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from reconciler.core.changes import Action, Outcome
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import AccountStatus, Report, ReportedAccount, ReportedChange, exit_code
from reconciler.core.rules import end_of
from reconciler.exits import ExitCode
from reconciler.metrics.catalogue import GUARDRAILS, OTHER, DaysLeft, KeyState, Result, Values

States = Counter[KeyState]
Members = Mapping[str | None, States]
"""The keys of an account (None) and of its sub accounts, by state."""

DRIFT = frozenset({KeyState.PLANNED, KeyState.FAILED, KeyState.HELD_BACK, KeyState.MISSING})
"""How keys stand that differ from what the files say."""
PAUSED = frozenset({KeyState.PAUSED})
"""How keys stand that differ on purpose."""

_RESULTS = {
    ExitCode.IN_ORDER: Result.OK,
    ExitCode.ERROR: Result.ERROR,
    ExitCode.HELD_BACK: Result.HELD_BACK,
    ExitCode.UNFINISHED: Result.FAILED,
}
_DAY = 86400.0
_ENDS = ((0.0, DaysLeft.ENDED), (7.0, DaysLeft.WITHIN_A_WEEK), (14.0, DaysLeft.WITHIN_TWO_WEEKS))


@dataclass(frozen=True, slots=True)
class Family:
    """An account and its sub accounts, as they were last read.

    ``whole``: the last pass could read all of them. ``mended``: it changed some of their keys.
    """

    whole: bool
    mended: bool
    members: Members

    @property
    def states(self) -> States:
        """All their keys, by state."""
        total: States = Counter()
        for states in self.members.values():
            total.update(states)
        return total


def result_of(report: Report) -> Result:
    """Say how a pass ended, as the exit code of a command would."""
    return _RESULTS[exit_code(report)]


def families(report: Report, before: Mapping[str, Family]) -> dict[str, Family]:
    """Give the accounts of a report; of what could not be read is kept what was read ``before``."""
    by_id: dict[str, list[ReportedAccount]] = {}
    for account in report.accounts:
        by_id.setdefault(account.account_id, []).append(account)
    return {account_id: _family(read, before.get(account_id)) for account_id, read in by_id.items()}


def _family(accounts: Sequence[ReportedAccount], before: Family | None) -> Family:
    known = before.members if before else {}
    members: dict[str | None, States] = {}
    whole = True
    for account in accounts:
        if account.status is AccountStatus.OK:
            members[account.sub_account_id] = _states(account)
        elif account.status is AccountStatus.FAILED:
            whole = False
            members |= {each: states for each, states in known.items() if _is_unread(each, account)}
    mended = any(change.outcome is Outcome.APPLIED for account in accounts for change in account.changes)
    return Family(whole, mended, members)


def _is_unread(member: str | None, failed: ReportedAccount) -> bool:
    """Tell whether nothing new is known of a member: below an account that could not be read nobody looked."""
    if failed.sub_account_id == EVERY_SUB_ACCOUNT:
        return member is not None
    return failed.sub_account_id in (None, member)


def _states(account: ReportedAccount) -> States:
    # An unmanaged key that was switched off is unmanaged as before; one that is to be is told by how that stands.
    told = [change for change in account.changes if change.name or change.outcome is not Outcome.APPLIED]
    states = Counter(map(_state, told))
    states[KeyState.IN_SYNC] += account.unchanged
    told_of = {change.key_id for change in told}
    states[KeyState.UNMANAGED] = sum(key.key_id not in told_of for key in account.unmanaged)
    return states


def _state(change: ReportedChange) -> KeyState:
    if change.outcome is Outcome.APPLIED:
        return KeyState.IN_SYNC
    if change.outcome is Outcome.PAUSED:
        return KeyState.PAUSED
    if change.action is Action.CREATE:
        return KeyState.MISSING
    if change.outcome.held_back:
        return KeyState.HELD_BACK
    return KeyState.FAILED if change.outcome.may_be_retried else KeyState.PLANNED


def findings(report: Report) -> Values:
    """Count the findings that are not waived; a rule that was asked and found nothing has a 0."""
    counted: Values = {(rule.rule, rule.severity): 0.0 for rule in report.rules}
    for finding in report.findings:
        if finding.waived is None:
            labels = finding.rule, finding.severity
            counted[labels] = counted.get(labels, 0.0) + 1
    return counted


def found(report: Report, rule: str) -> float:
    """Count what a rule found, each key once."""
    return float(len({finding.identity for finding in report.findings if finding.rule == rule}))


def refusals(report: Report) -> Values:
    """Count the refusals of each guardrail."""
    counted = Counter(each.guardrail if each.guardrail in GUARDRAILS else OTHER for each in report.refusals)
    return {(guardrail,): float(counted[guardrail]) for guardrail in (*GUARDRAILS, *counted)}


def days_left(ends: Iterable[str], now: float) -> Values:
    """Count dates (ISO 8601, to their end in UTC) by how far they are away at ``now``, in unix seconds."""
    left = Counter(_left((end_of(date.fromisoformat(end)).timestamp() - now) / _DAY) for end in ends)
    return {(each,): float(left[each]) for each in DaysLeft}


def _left(days: float) -> DaysLeft:
    return next((left for most, left in _ENDS if days <= most), DaysLeft.LATER)
