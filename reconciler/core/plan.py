"""The plan: every change that would make actual equal desired, in a stable order, with its digest."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from reconciler.core.changes import (
    AccessChange,
    Action,
    Change,
    Fields,
    ListDiff,
    Outcome,
    TextDiff,
    access_change,
)
from reconciler.core.keys import (
    AccountRef,
    DesiredAccount,
    KeySpec,
    KeyState,
    RemoteKey,
    Source,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.core.matching import Matched, Matching, Missing, Unclear, match_keys
from reconciler.core.networks import FENCED, OPEN
from reconciler.core.patterns import is_like
from reconciler.core.scopes import ScopeSet

NO_CREATION = "this version does not create keys: create it in the dashboard, the next pass takes it over by its label"
_MOST_ALIKE = 3
_MOST_COMPARED = 100
NO_DELETION = "this version does not delete keys: delete it in the dashboard, or write 'state: quarantined'"
NO_EMPTY_SCOPES = "the API takes no empty list of scopes: list at least one, or write 'state: quarantined'"
SAY_WHICH_NETWORKS = (
    "the key is fenced and the file does not say its ip_allow_list: say which networks, or [] for anywhere"
)


_ByScopes = Mapping[tuple[str, ...], list[RemoteKey]]


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many keys an account has, and how many of them the files ask for.

    Attributes:
        desired: Keys that the files name.
        actual: Keys that the account has.
        list_not_managed: Keys of the files whose networks the files leave as they are.
        list_open: How many of those are usable from anywhere.
    """

    desired: int = 0
    actual: int = 0
    list_not_managed: int = 0
    list_open: int = 0


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a key that a person should know although nothing is to be done; it becomes a ``note``."""

    rule: str
    message: str
    hint: str
    spec: KeySpec | None = None
    remote: RemoteKey | None = None


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """The plan for one account, with the actual keys that it was made from and how they were matched."""

    account: AccountRef
    changes: tuple[Change, ...]
    actual: tuple[RemoteKey, ...]
    matching: Matching
    unmanaged: tuple[RemoteKey, ...]
    counts: KeyCounts
    without_desired: bool
    unmanaged_acts: bool
    remarks: tuple[Remark, ...] = ()

    @property
    def waits(self) -> Remark | None:
        """Why unmanaged keys are left alone whoever wants to switch them off, or None."""
        return _waiting_for(self.matching)

    def fencing(self, keys: Iterable[RemoteKey], source: Source | None) -> "AccountPlan":
        """Give the same plan in which these unmanaged keys are switched off, too; ``source`` asks for it."""
        planned = {change.key_id for change in self.changes}
        due = {key.id: key for key in keys if key.id not in planned}
        fences = (_fence(self.account, key, source) for key in due.values())
        changes = tuple(sorted((*self.changes, *fences), key=_order))
        return replace(self, changes=changes, unmanaged_acts=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """The plans of all accounts that could be read, sorted by account; not ``complete`` where one could not."""

    accounts: tuple[AccountPlan, ...]
    complete: bool = True

    @property
    def digest(self) -> str | None:
        """The digest to approve the plan by, None while it is not complete."""
        return digest(self.changes) if self.complete else None

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes of all accounts, in order."""
        return tuple(change for account in self.accounts for change in account.changes)

    def with_changes(self, changes: Iterable[Change]) -> "Plan":
        """Give the same plan with each account's changes taken from ``changes``, which are in order."""
        left = iter(changes)
        accounts = (replace(account, changes=tuple(next(left) for _ in account.changes)) for account in self.accounts)
        return replace(self, accounts=tuple(accounts))


def plan_account(desired: DesiredAccount, actual: Iterable[RemoteKey], now: datetime) -> AccountPlan:
    """Compute the changes that one account needs; ``now`` (with a zone) decides about pauses and ages."""
    actual = tuple(sorted(actual, key=lambda key: key.id))
    matching = match_keys(desired, actual)
    changes: list[Change] = []
    alike: _ByScopes = {}
    for match in matching.matches:
        match match:
            case Matched(spec, remote):
                change = _change(desired.account, spec, remote)
            case Missing(spec):
                alike = alike or _by_scopes(matching.unmanaged)
                change = _missing(desired.account, spec, alike)
            case Unclear():
                change = _unclear(desired.account, match)
            case _:
                assert_never(match)
        if change is not None:
            changes.append(_paused(change, match.spec, now))
    remarks = _remarks(matching)
    acts = desired.unmanaged.then is UnmanagedAction.QUARANTINE
    if acts:
        if waiting := _waiting_for(matching):
            remarks = (*remarks, waiting)
        else:
            rule = desired.unmanaged
            due = (key for key in matching.unmanaged if may_be_fenced(key, rule, now))
            changes += (_fence(desired.account, key, rule.source) for key in due)
    return AccountPlan(
        account=desired.account,
        changes=tuple(sorted(changes, key=_order)),
        actual=actual,
        matching=matching,
        unmanaged=() if desired.unmanaged.then is UnmanagedAction.IGNORE else matching.unmanaged,
        counts=_counts(desired, matching, len(actual)),
        without_desired=not desired.keys,
        unmanaged_acts=acts,
        remarks=remarks,
    )


def _order(change: Change) -> tuple[bool, str, str, str]:
    return change.name is None, change.name or "", change.label, change.key_id or ""


def _change(account: AccountRef, spec: KeySpec, remote: RemoteKey) -> Change | None:
    """Compare one desired key with the actual one that it means; None when they differ in nothing."""
    if spec.state is KeyState.ABSENT:
        access = AccessChange() if remote.ip_allow_list.fenced else _access(remote, None)
        change = _named(account, spec, Action.DELETE, remote.id)
        return replace(change, access=access, before=remote, outcome=Outcome.SKIPPED, reason=NO_DELETION)
    wanted = _wanted(spec, remote)
    to_be_restored = spec.state is KeyState.PRESENT and remote.ip_allow_list.fenced
    if wanted is remote and not to_be_restored:
        return None
    action, reason = _action(spec, remote, wanted)
    return replace(
        _named(account, spec, action, remote.id),
        fields=_fields(remote, wanted),
        access=_access(remote, wanted),
        before=remote,
        after=wanted,
        outcome=Outcome.SKIPPED if reason else Outcome.PLANNED,
        reason=reason,
    )


def _named(account: AccountRef, spec: KeySpec, action: Action, key_id: str | None) -> Change:
    return Change(account=account, action=action, name=spec.name, key_id=key_id, label=spec.label, source=spec.source)


def _wanted(spec: KeySpec, remote: RemoteKey) -> RemoteKey:
    """Give the key as it should be: what the file leaves open, or writes in an equivalent form, stays as it is."""
    scopes, networks = remote.scopes, remote.ip_allow_list
    if spec.scopes is not None and not spec.scopes.equivalent(scopes):
        scopes = spec.scopes.reduced()
    listed = FENCED if spec.state is KeyState.QUARANTINED else spec.ip_allow_list
    if listed is not None and not listed.equivalent(networks):
        networks = listed
    if spec.state is KeyState.QUARANTINED and not scopes.scopes and not remote.ip_allow_list.fenced:
        scopes = remote.scopes  # the fence must not wait for a list of scopes that the API would not take
    if spec.label == remote.label and scopes is remote.scopes and networks is remote.ip_allow_list:
        return remote
    return replace(remote, label=spec.label, scopes=scopes, ip_allow_list=networks)


def _action(spec: KeySpec, remote: RemoteKey, wanted: RemoteKey) -> tuple[Action, str | None]:
    """Name the action, and the reason why it cannot be made as the file stands."""
    emptied = NO_EMPTY_SCOPES if remote.scopes.scopes and not wanted.scopes.scopes else None
    if spec.state is KeyState.QUARANTINED:
        return Action.UPDATE if remote.ip_allow_list.fenced else Action.QUARANTINE, emptied
    if remote.ip_allow_list.fenced:
        return Action.RESTORE, SAY_WHICH_NETWORKS if wanted.ip_allow_list.fenced else emptied
    return Action.UPDATE, emptied


def _fields(before: RemoteKey, after: RemoteKey) -> Fields:
    if before is after:
        return Fields()
    return Fields(
        label=None if before.label == after.label else TextDiff(before.label, after.label),
        scopes=None if before.scopes == after.scopes else ListDiff(before.scopes.texts, after.scopes.texts),
        ip_allow_list=None
        if before.ip_allow_list == after.ip_allow_list
        else ListDiff(before.ip_allow_list.networks, after.ip_allow_list.networks),
    )


def _access(before: RemoteKey, after: RemoteKey | None) -> AccessChange:
    """Tell what a change does to access; ``after`` None: the key goes, and everything with it."""
    if after is None:
        return access_change((before.scopes, ScopeSet(())), (before.ip_allow_list, FENCED))
    return access_change((before.scopes, after.scopes), (before.ip_allow_list, after.ip_allow_list))


def _missing(account: AccountRef, spec: KeySpec, alike: _ByScopes) -> Change | None:
    if spec.state is not KeyState.PRESENT:
        return None
    scopes = spec.scopes or ScopeSet(())
    networks = OPEN if spec.ip_allow_list is None else spec.ip_allow_list
    return replace(
        _named(account, spec, Action.CREATE, None),
        fields=Fields(
            TextDiff(None, spec.label), ListDiff(None, scopes.reduced().texts), ListDiff(None, networks.networks)
        ),
        access=access_change((ScopeSet(()), scopes), (FENCED, networks)),
        outcome=Outcome.SKIPPED,
        reason=_no_creation(spec, alike),
    )


def _by_scopes(unmanaged: tuple[RemoteKey, ...]) -> _ByScopes:
    """Look keys up by what they may do, so that a thousand missing ones do not each look at a thousand."""
    found: defaultdict[tuple[str, ...], list[RemoteKey]] = defaultdict(list)
    for key in unmanaged:
        found[key.scopes.reduced().texts].append(key)
    return found


def _no_creation(spec: KeySpec, alike: _ByScopes) -> str:
    """Say why a key is not created, and which other key it may be: one that was renamed has all but its label."""
    wanted = spec.scopes.reduced().texts if spec.scopes else ()
    listed = spec.ip_allow_list
    keys = [
        key for key in alike.get(wanted, [])[:_MOST_COMPARED] if listed is None or listed.equivalent(key.ip_allow_list)
    ]
    if not keys:
        return NO_CREATION
    shown = ", ".join(f"{key.id} {key.label!r}" for key in keys[:_MOST_ALIKE])
    return f"{NO_CREATION}; or was it renamed? It is like {shown}: set the label back, or list it under 'was'"


def _unclear(account: AccountRef, match: Unclear) -> Change:
    spec = match.spec
    wanted = spec.scopes or ScopeSet(())
    lacking = {s.text for key in match.candidates for s in wanted.beyond(key.scopes)}
    return replace(
        _named(account, spec, Action.UPDATE, spec.id),
        outcome=Outcome.FAILED,
        reason=match.reason,
        meant_to_grant=tuple(sorted(lacking)) if match.candidates else wanted.texts,
    )


def _paused(change: Change, spec: KeySpec, now: datetime) -> Change:
    if change.outcome is Outcome.FAILED or spec.paused is None or not spec.paused.holds(now):
        return change
    return change.ended(Outcome.PAUSED, f"paused until {spec.paused.until}: {spec.paused.reason}")


def exemption(key: RemoteKey, rule: UnmanagedRule, now: datetime) -> str | None:
    """Say what exempts an unmanaged key from being switched off, as the rest of a sentence, or None."""
    if key.ip_allow_list.fenced:
        return "it is switched off already"
    if now - key.created_at < rule.min_age:
        return "it is younger than min_age of 'unmanaged'"
    if key.send_only and not rule.include_senders:
        return "it may only send, and 'unmanaged' does not say include_senders"
    named = [pattern for pattern in rule.exceptions if is_like(key.label, pattern)]
    return f"its label is like {named[0]!r}, under 'except' of 'unmanaged'" if named else None


def may_be_fenced(key: RemoteKey, rule: UnmanagedRule, now: datetime) -> bool:
    """Tell whether nothing exempts an unmanaged key from being switched off."""
    return exemption(key, rule, now) is None


def fence_alone(change: Change) -> Change:
    """Give a quarantine that sets the fence and leaves the rest of the key as it is."""
    before = change.before
    if before is None:
        return change
    fenced = replace(before, ip_allow_list=FENCED)
    return replace(change, fields=_fields(before, fenced), access=_access(before, fenced), after=fenced)


def _fence(account: AccountRef, key: RemoteKey, source: Source | None) -> Change:
    """Give the change that switches off an unmanaged key."""
    fenced = replace(key, ip_allow_list=FENCED)
    return Change(
        account=account,
        action=Action.QUARANTINE,
        name=None,
        key_id=key.id,
        label=key.label,
        source=source,
        fields=_fields(key, fenced),
        access=_access(key, fenced),
        before=key,
        after=fenced,
    )


def _waiting_for(matching: Matching) -> Remark | None:
    """Say why unmanaged keys are left alone: while a desired key is not matched, one of them may be it."""
    for match in matching.matches:
        if isinstance(match, Unclear) or (isinstance(match, Missing) and match.spec.state is KeyState.PRESENT):
            return Remark(
                "unmanaged-waits",
                f"unmanaged keys are left alone while {match.spec.name} is not matched: one of them may be it",
                "pin its id, create it, or remove it from the files",
                match.spec,
            )
    return None


def _remarks(matching: Matching) -> tuple[Remark, ...]:
    missing = [
        Remark(
            "quarantined-missing",
            f"{match.spec.name} is to be {match.spec.state}, but the account has no such key",
            "remove it from the files, or correct its id or label",
            match.spec,
        )
        for match in matching.matches
        if isinstance(match, Missing)
        and (match.spec.state is KeyState.QUARANTINED or (match.spec.state is KeyState.ABSENT and match.spec.id))
    ]
    reserved = [
        Remark(
            "label-belongs-to-another",
            f"key {key.id} bears a label of a desired key but is not matched with it; it is left alone",
            "rename it in the dashboard, or give it an entry of its own with its id",
            remote=key,
        )
        for key in matching.reserved
    ]
    return (*missing, *reserved)


def _counts(desired: DesiredAccount, matching: Matching, actual: int) -> KeyCounts:
    def not_managed(spec: KeySpec) -> bool:
        return spec.state is KeyState.PRESENT and spec.ip_allow_list is None

    return KeyCounts(
        desired=len(desired.keys),
        actual=actual,
        list_not_managed=sum(not_managed(spec) for spec in desired.keys),
        list_open=sum(
            not_managed(match.spec) and match.remote.ip_allow_list.anywhere
            for match in matching.matches
            if isinstance(match, Matched)
        ),
    )


def digest(changes: Iterable[Change]) -> str:
    """Give ``sha256:…`` over every change's account, sub account, key id, name, action, and fields before and after.

    The form is canonical JSON (RFC 8785; for text without numbers that is sorted keys and the shortest escapes), the
    changes sorted, so equal plans have equal digests on any machine.
    """
    rows = sorted(_canonical(_digested(change)) for change in changes)
    return "sha256:" + hashlib.sha256(f"[{','.join(rows)}]".encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _digested(change: Change) -> dict[str, object]:
    diffs = change.fields.diffs
    return {
        "account": change.account.account_id,
        "sub_account": change.account.sub_account_id,
        "key_id": change.key_id,
        "name": change.name,
        "action": change.action.value,
        "before": {name: diff.before for name, diff in diffs.items()},
        "after": {name: diff.after for name, diff in diffs.items()},
    }
