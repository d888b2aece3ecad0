"""Which sub accounts the files mean, and what they want of each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from reconciler.core.findings import Finding, Severity, counted
from reconciler.core.keys import (
    AccountRef,
    DesiredAccount,
    KeySpec,
    RemoteSubAccount,
    SubAccountRule,
    UnmanagedRule,
)

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sub account that rules select, with what they want of it; ``clash`` says why that cannot all be wanted."""

    remote: RemoteSubAccount
    desired: DesiredAccount
    clash: str | None = None


def labels_of_rules(parent: DesiredAccount) -> frozenset[str]:
    """Give the labels of the keys of all rules, to be made once: an export may have ten thousand of them."""
    return frozenset(label for rule in parent.sub_accounts for spec in rule.keys for label in spec.labels)


def choose(
    parent: DesiredAccount, listed: Iterable[RemoteSubAccount], reserved: frozenset[str] | None = None
) -> tuple[Chosen, ...]:
    """Give each of these sub accounts that a rule selects, sorted by id; each is judged by itself.

    The labels of all rules are ``reserved`` in each of them: a sub account that was renamed, so that one of them does
    not select it any more, must not have the keys of that rule switched off as unmanaged by another one.
    """
    by_id = {sub_account.id: sub_account for sub_account in listed}
    rules_of: defaultdict[str, list[SubAccountRule]] = defaultdict(list)
    for rule in parent.sub_accounts:
        for sub_account in _candidates(rule, by_id):
            if rule.select.matches(sub_account):
                rules_of[sub_account.id].append(rule)
    labels = labels_of_rules(parent) if reserved is None else reserved
    return tuple(_chosen(parent.account, by_id[each], rules_of[each], labels) for each in sorted(rules_of))


def unmatched(parent: DesiredAccount, listed: Iterable[RemoteSubAccount]) -> tuple[Finding, ...]:
    """Give a finding for each rule that selects none of all the sub accounts that there are."""
    by_id = {sub_account.id: sub_account for sub_account in listed}
    return tuple(
        _matches_nothing(parent.account, rule, _candidates(rule, by_id))
        for rule in parent.sub_accounts
        if not any(map(rule.select.matches, _candidates(rule, by_id)))
    )


def unselected(parent: DesiredAccount, listed: Sequence[RemoteSubAccount], chosen: Sequence[Chosen]) -> Finding | None:
    """Give a note about the sub accounts that no rule selects: one of them may have been renamed."""
    selected = {one.remote.id for one in chosen}
    names = sorted(one.name for one in listed if one.id not in selected)
    if not names:
        return None
    shown = counted([f'"{name}"' for name in names], _MOST_NAMES)
    message = f"no rule selects {len(names)} of {len(listed)} sub accounts: {shown}"
    hint = "nothing is looked at there; if one of them was renamed, let a rule select it again"
    return Finding("sub-accounts-not-selected", Severity.NOTE, message, hint, parent.account)


def _candidates(rule: SubAccountRule, by_id: dict[str, RemoteSubAccount]) -> Iterable[RemoteSubAccount]:
    """Look a pinned one up: ten thousand rules that each pin one must not each look at all."""
    if rule.select.id is None:
        return by_id.values()
    return (by_id[rule.select.id],) if rule.select.id in by_id else ()


def _chosen(
    parent: AccountRef, remote: RemoteSubAccount, rules: Sequence[SubAccountRule], reserved: frozenset[str]
) -> Chosen:
    account = replace(parent, sub_account_id=remote.id)
    # Thousands of sub accounts usually have the keys of one rule: those are shared, not copied.
    keys = rules[0].keys if len(rules) == 1 else tuple(sorted((k for r in rules for k in r.keys), key=_name))
    said = [rule for rule in rules if rule.unmanaged is not None]
    unmanaged = (said[0].unmanaged if said else None) or UnmanagedRule()
    desired = DesiredAccount(account, keys, unmanaged, name=remote.name, reserved=reserved)
    return Chosen(remote, desired, _clash(keys, rules, said))


def _name(spec: KeySpec) -> str:
    return spec.name


def _clash(keys: Sequence[KeySpec], rules: Sequence[SubAccountRule], said: Sequence[SubAccountRule]) -> str | None:
    """Say what several rules want of one sub account that cannot all be."""
    if len(rules) == 1:
        return None
    for first, second in pairwise(keys):
        if first.name == second.name:
            return (
                f"two rules select it, and both have a key {first.name}, at {first.source} and at {second.source}: let "
                "only one of them select it, or take the key out of one"
            )
    if len(said) > 1:
        return f"two rules select it, and both say unmanaged, at {said[0].source} and at {said[1].source}: keep one"
    return None


def _matches_nothing(parent: AccountRef, rule: SubAccountRule, candidates: Iterable[RemoteSubAccount]) -> Finding:
    message = f"no sub account matches {rule.select}"
    named = [sub_account.status for sub_account in candidates if rule.select.names(sub_account)]
    if named:
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(Counter(named).items()))
        message += f"; but for the status it would match {statuses}"
    hint = "correct what it selects, or remove it; the sub account may have been renamed or deleted"
    return Finding("select-matches-nothing", Severity.WARN, message, hint, parent, source=rule.source)
