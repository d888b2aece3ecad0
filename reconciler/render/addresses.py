"""The addresses on the status page: each account, each sub account and each key has one of its own."""

from dataclasses import dataclass
from urllib.parse import quote

from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.render.groups import Owner


@dataclass(frozen=True, slots=True)
class Address:
    """An account, or one of its sub accounts, or a key of either; as text the path of its page."""

    account_id: str
    sub_account_id: str | None = None
    key_id: str | None = None

    @classmethod
    def of(cls, owner: Owner, key_id: str | None = None) -> "Address":
        """Give where an account, or a key of it, is shown; what is about all sub accounts is shown at the parent."""
        return cls.at(owner.account_id, owner.sub_account_id, key_id)

    @classmethod
    def at(cls, account_id: str, sub_account_id: str | None, key_id: str | None = None) -> "Address":
        """Give the same by ids."""
        return cls(account_id, sub_account_id if sub_account_id != EVERY_SUB_ACCOUNT else None, key_id)

    @classmethod
    def read(cls, path: str) -> "Address | None":
        """Read a path, percent-decoded already; None where it is none of an account or a key."""
        match path.split("/"):
            case ["", "accounts", *steps] if all(steps):
                return cls._stepwise(steps)
            case _:
                return None

    @classmethod
    def _stepwise(cls, steps: list[str]) -> "Address | None":
        match steps:
            case [account]:
                return cls(account)
            case [account, "keys", key]:
                return cls(account, None, key)
            case [account, "sub-accounts", below]:
                return cls(account, below)
            case [account, "sub-accounts", below, "keys", key]:
                return cls(account, below, key)
            case _:
                return None

    @property
    def account(self) -> "Address":
        """The account that it is in."""
        return Address(self.account_id, self.sub_account_id)

    def __str__(self) -> str:
        below = f"/sub-accounts/{_step(self.sub_account_id)}" if self.sub_account_id is not None else ""
        key = f"/keys/{_step(self.key_id)}" if self.key_id is not None else ""
        return f"/accounts/{_step(self.account_id)}{below}{key}"


def _step(text: str) -> str:
    return quote(text, safe="", errors="replace")
