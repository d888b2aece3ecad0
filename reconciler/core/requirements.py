"""What must keep working: which permissions some usable key must hold, whatever else changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.allowable import COVERAGE
from reconciler.core.findings import Finding, Severity, counted
from reconciler.core.keys import EVERY_SUB_ACCOUNT, AccountRef, RemoteKey, Source
from reconciler.core.patterns import is_like_id
from reconciler.core.scopes import Reach, Scope

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Requirement:
    """Some key that is not switched off and can be reached must be able to do what ``scope`` allows.

    ``account`` and ``sub_account`` are patterns of ids. Where neither is said any account may have that key; with an
    account alone, it itself and none of its sub accounts.
    """

    scope: Scope
    account: str | None = None
    sub_account: str | None = None
    source: Source | None = None

    def concerns(self, account: AccountRef) -> bool:
        """Tell whether a key of this account, or of some sub account that could not be listed, may be the one."""
        if self.account is not None and not is_like_id(account.account_id, self.account):
            return False
        below = account.sub_account_id
        if self.sub_account is None:
            return self.account is None or below is None
        return below is not None and (below == EVERY_SUB_ACCOUNT or is_like_id(below, self.sub_account))

    def met_by(self, key: RemoteKey) -> bool:
        """Tell whether a key can do it as it is."""
        return key.scopes.covers(self.scope) and not key.ip_allow_list.fenced and key.ip_allow_list.reachable()

    def __str__(self) -> str:
        return self.scope.family + (f" for {self.scope.domain}" if self.scope.domain else "")


@dataclass(frozen=True, slots=True)
class KeysOf:
    """The keys of one account, None where they could not be read."""

    account: AccountRef
    keys: tuple[RemoteKey, ...] | None


def named(keys: Iterable[RemoteKey]) -> str:
    """Name keys in a sentence, by label and id."""
    return counted([f"{key.label!r} ({key.id})" for key in keys], _MOST_NAMED)


def unmet(
    requirements: Iterable[Requirement], accounts: Sequence[KeysOf], elsewhere: Sequence[AccountRef] = ()
) -> tuple[Finding, ...]:
    """Give a finding for each requirement that does not hold now, or of which that cannot be told.

    Args:
        requirements: What must keep working.
        accounts: What was looked at.
        elsewhere: The accounts of other shards; what is about those alone is told there.
    """
    found = []
    for wanted in requirements:
        concerned = [each for each in accounts if wanted.concerns(each.account)]
        others = sum(map(wanted.concerns, elsewhere))
        if concerned or not others:
            found.append(_unmet(wanted, concerned, others))
    return tuple(finding for finding in found if finding)


def _unmet(wanted: Requirement, concerned: Sequence[KeysOf], others: int) -> Finding | None:
    """Judge a requirement by the accounts that it concerns; so many ``others`` belong to other shards."""
    if not concerned:
        hint = "correct the account, or remove the requirement"
        return _finding(wanted, Severity.WARN, f"no account that was looked at is the one for {wanted}", hint)
    able = [key for each in concerned for key in each.keys or () if wanted.met_by(key)]
    if any(wanted.scope in key.scopes.scopes for key in able) or (
        able and not _unsure(wanted, len(concerned) + others)
    ):
        return None
    if able:
        hint = "say with 'account' or 'sub_account' in the requirement which of them has the domain"
        number = len(concerned) + others
        told = f"only keys that reach every domain can do {wanted}, and {number} accounts may have that domain"
        return _finding(wanted, Severity.WARN, told, hint)
    if any(each.keys is None for each in concerned):
        told = f"whether any key can do {wanted} is not known: not every account could be read"
        return _finding(wanted, Severity.WARN, told, "see which account failed, and why")
    if others:
        told = f"whether any key can do {wanted} is not known: accounts of other shards may have one, too"
        return _finding(wanted, Severity.WARN, told, "say with 'account' in the requirement whose it is")
    hint = "give some key that is in use the scope, or its networks back"
    return _finding(wanted, Severity.DENY, f"no key that is in use can do {wanted}, which must keep working", hint)


def _unsure(wanted: Requirement, concerned: int) -> bool:
    """Tell whether a scope for every domain proves nothing: each account has domains of its own."""
    return wanted.scope.reach is Reach.DOMAIN and concerned > 1


def _finding(wanted: Requirement, severity: Severity, message: str, hint: str) -> Finding:
    return Finding(COVERAGE, severity, message, hint, source=wanted.source)
