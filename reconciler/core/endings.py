"""What of a policy is over, or soon will be: waivers, pauses of keys, rules and waivers that are about nothing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Final

from reconciler.core.findings import Finding, Severity, days_ago
from reconciler.core.keys import (
    UUID_PATTERN,
    AccountRef,
    DesiredAccount,
    DesiredState,
    KeySpec,
    Pause,
)
from reconciler.core.networks import OPEN
from reconciler.core.patterns import is_like_id
from reconciler.core.requirements import Requirement
from reconciler.core.rules import Match, Policy, WaiverRule, end_of
from reconciler.core.scopes import ScopeSet
from reconciler.core.subjects import Subject

ENDS_SOON: Final = timedelta(days=14)
"""How long before its end a waiver or a pause is noted."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A waiver or a pause that ends soon, or has ended."""

    finding: Finding
    ended: bool


def endings(policy: Policy, desired: DesiredState, now: datetime) -> tuple[Ending, ...]:
    """Give the waivers and pauses that ended or will within `ENDS_SOON`, with what to do about each."""
    waivers = (each for waiver in policy.waivers if (each := _waiver_ending(waiver, now)))
    accounts = [(each.account, each.keys) for each in desired.accounts]
    accounts += [(each.account, rule.keys) for each in desired.accounts for rule in each.sub_accounts]
    pauses = (
        each
        for account, keys in accounts
        for spec in keys
        if spec.paused and (each := _pause_ending(account, spec, spec.paused, now))
    )
    return (*waivers, *pauses)


def _waiver_ending(waiver: WaiverRule, now: datetime) -> Ending | None:
    if waiver.end - now > ENDS_SOON:
        return None
    ended = now >= waiver.end
    rule, severity = ("waiver-ended", Severity.WARN) if ended else ("waiver-ends-soon", Severity.NOTE)
    told = f"{waiver} {_with(waiver.until, now, ended=ended)}"
    hint = f"mend what it was for, or agree on a new date with {waiver.owner}: {waiver.reason}"
    return Ending(Finding(rule, severity, told, hint, source=waiver.source), ended)


def _pause_ending(account: AccountRef, spec: KeySpec, pause: Pause, now: datetime) -> Ending | None:
    end = end_of(pause.until)
    if end - now > ENDS_SOON:
        return None
    ended = now >= end
    rule, severity = ("pause-ended", Severity.WARN) if ended else ("pause-ends-soon", Severity.NOTE)
    told = f"the pause of {spec.name} {_with(pause.until, now, ended=ended)}"
    hint = (
        "remove it from the file, or set a new date" if ended else f"then the key is reconciled again: {pause.reason}"
    )
    finding = Finding(rule, severity, told, hint, account, spec.name, spec.id, spec.label, spec.source)
    return Ending(finding, ended)


def _with(until: date, now: datetime, *, ended: bool) -> str:
    """Say with which day something ends, or ended and how long ago."""
    return f"ended with {until}{days_ago(until, now.astimezone(UTC).date())}" if ended else f"ends with {until}"


def idle_waivers(policy: Policy, desired: DesiredState) -> tuple[Finding, ...]:
    """Give a finding for each waiver by name of a key that no file has; one by id may be for a key of no file."""
    specs = [spec for account in desired.everywhere for spec in account.named]
    names = {spec.name for spec in specs} | {spec.id for spec in specs}
    return tuple(
        Finding(
            "waiver-matches-nothing",
            Severity.WARN,
            f"{waiver}: the files have no key of that name",
            _meant(waiver.key, specs),
            source=waiver.source,
        )
        for waiver in policy.waivers
        if waiver.key is not None and waiver.key not in names and not re.fullmatch(UUID_PATTERN, waiver.key)
    )


def _meant(name: str, specs: Sequence[KeySpec]) -> str:
    """Say what a waiver was probably meant for."""
    if any(name == spec.label for spec in specs):
        return f"that is a label: write 'label: {name}', or the key's name"
    near = get_close_matches(name, [spec.name for spec in specs], n=1)
    return f"did you mean {near[0]!r}?" if near else "correct the name, or remove the waiver"


def idle_requirements(required: Iterable[Requirement], desired: DesiredState) -> tuple[Finding, ...]:
    """Give a finding for each requirement that is about none of the accounts of the files: it protects nothing."""
    return tuple(
        Finding(
            "requirement-matches-nothing",
            Severity.WARN,
            f"the requirement of {wanted} is about none of the accounts in the files",
            "correct its account or sub_account, or remove it",
            source=wanted.source,
        )
        for wanted in required
        if not any(wanted.concerns(each) for account in desired.everywhere for each in account.family)
    )


def idle_rules(policy: Policy, desired: DesiredState, now: datetime) -> tuple[Finding, ...]:
    """Give a note for each rule that is about none of the keys of the files; one for keys of no file has none there."""
    return tuple(
        Finding(
            "rule-matches-nothing",
            Severity.NOTE,
            f"the rule {rule.id} is about none of the keys in the files",
            "correct its match, or keep it for keys to come",
            source=rule.source,
        )
        for rule in policy.rules
        if rule.match.managed is not False
        and not any(_concerns(rule.match, account, now) for account in desired.accounts)
    )


def _concerns(match: Match, account: DesiredAccount, now: datetime) -> bool:
    """Tell whether a rule may be about a key of an account, or below it: which sub accounts there are is not known."""
    if match.account is not None and not is_like_id(account.account.account_id, match.account):
        return False
    specs = account.named if match.sub_account is None else account.named[len(account.keys) :]
    return any(match.takes(_of_file(now, account.account, spec)) for spec in specs)


def _of_file(now: datetime, account: AccountRef, spec: KeySpec) -> Subject:
    scopes, networks = spec.scopes or ScopeSet(()), spec.ip_allow_list or OPEN
    return Subject(now, account, spec.label, scopes, networks, managed=True, spec=spec)
