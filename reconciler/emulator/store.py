"""The accounts in memory, the keys that authenticate, and what became of every key."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconciler.emulator.account import Account, Key
from reconciler.emulator.listing import TICK
from reconciler.emulator.permissions import canonical_domain, domain_of
from reconciler.emulator.seed import parse_seed


@dataclass(frozen=True, slots=True)
class Change:
    """A key that was created (no ``before``), changed, or deleted (no ``after``), as a seed has it, without its secret.

    ``account_id`` is the sub account's where the key is a sub account's.
    """

    account_id: str
    key_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a bearer token stands for: a key of ``account``, for whose requests ``payer`` (it, or its parent) pays."""

    account: Account
    key_id: str
    payer: Account


class Store:
    """Accounts by identifier, and the history of their keys.

    The last use of a key is no change of it, and a load is no history: it is another beginning.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.accounts: dict[str, Account] = {}
        self.history: list[Change] = []
        self._callers: dict[str, Caller] = {}

    def load(self, seed: object) -> None:
        """Replace all accounts; raises `SeedError` and keeps the old ones if the seed has another shape."""
        self.accounts = parse_seed(seed, self.now())
        self._callers = {}
        for account in self.accounts.values():
            for holder in (account, *account.sub_accounts.values()):
                self._callers |= _callers_of(account, holder, holder.keys.values())

    def dump(self) -> dict[str, Any]:
        """Return all accounts as a seed."""
        return {"accounts": [account.as_seed() for account in self.accounts.values()]}

    def caller(self, token: str) -> Caller | None:
        """Return whom a token stands for, if anybody."""
        return self._callers.get(token)

    def create_key(self, payer: Account, account: Account, key: Key) -> None:
        """Add a new key; ``payer`` is the account's parent, or the account itself."""
        account.keys.add(key)
        self._callers |= _callers_of(payer, account, [key])
        self.history.append(Change(account.id, key.id, before=None, after=key.as_seed()))

    def change_key(self, account: Account, before: Key, after: Key) -> None:
        """Put a changed key in the place of the one that it was."""
        account.keys.replace(after)
        self.history.append(Change(account.id, after.id, before=before.as_seed(), after=after.as_seed()))

    def delete_key(self, account: Account, key: Key) -> None:
        """Delete a key; it authenticates nobody from now on."""
        account.keys.remove(key.id)
        self._callers.pop(key.secret_key or "", None)
        self.history.append(Change(account.id, key.id, before=key.as_seed(), after=None))

    def delete_domain(self, account_id: str, domain: str) -> bool:
        """Delete a domain of an account or sub account, and its scopes from every key; tells whether it was there.

        Open: whether a key may be left without any scope, as it is here.
        """
        account, name = self._holder(account_id), canonical_domain(domain)
        if account is None or name not in account.domain_names:
            return False
        account.disown(name)
        for key in list(account.keys.values()):
            kept = tuple(scope for scope in key.scopes if not _aims_at(scope, name))
            if kept != key.scopes:
                updated_at = max(self.now(), key.updated_at + TICK)
                self.change_key(account, key, replace(key, scopes=kept, updated_at=updated_at))
        return True

    def _holder(self, account_id: str) -> Account | None:
        if account_id in self.accounts:
            return self.accounts[account_id]
        found = (account.sub_accounts.find(account_id) for account in self.accounts.values())
        return next((holder for holder in found if holder is not None), None)


def _callers_of(payer: Account, account: Account, keys: Iterable[Key]) -> dict[str, Caller]:
    return {key.secret_key: Caller(account, key.id, payer) for key in keys if key.secret_key}


def _aims_at(scope: str, domain: str) -> bool:
    named = domain_of(scope)
    return named is not None and canonical_domain(named) == domain
