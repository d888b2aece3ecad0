"""What makes a decision about a key the same as another one, so that what each pass decides again is told once.

It is the same wherever the files ask for it, and whichever pass it is.
"""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final, Generic, TypeVar

from reconciler.core.changes import Outcome
from reconciler.core.keys import EVERY_SUB_ACCOUNT, AccountRef
from reconciler.core.report import AccountStatus, Report, ReportedAccount, ReportedChange

Gist = TypeVar("Gist")
Account = tuple[str | None, str | None]
Key = tuple[Account, str | None, str | None]
"""A key as lines know it: its account and sub account, its id, its name."""

DECIDED: Final = (
    "mode",
    "account_id",
    "sub_account_id",
    "key_id",
    "name",
    "label",
    "action",
    "fields",
    "access",
    "outcome",
    "reason",
)
"""What must be equal in two decisions that are the same; the reason but for ages in it."""
REMEMBERED: Final = timedelta(days=1)
"""For how long a process that starts takes a decision for the same as that of the one before."""
_AGES = re.compile(r"\b\d+ (?:second|minute|hour|day)s? (?=ago|before)")


def ageless(reason: str) -> str:
    """Give a reason without how long ago something was: that is another time in each pass."""
    return _AGES.sub("", reason)


def key_of(account: AccountRef, change: ReportedChange) -> Key:
    """Give the key that a change is about."""
    return (account.account_id, account.sub_account_id), change.key_id, change.name


def planned(report: Report) -> Iterator[tuple[AccountRef, ReportedChange]]:
    """Give the changes that a dry run would make, with their accounts: no event tells of them one by one."""
    for account in report.accounts:
        for change in account.changes:
            if change.outcome is Outcome.PLANNED:
                yield AccountRef(account.account_id, account.sub_account_id), change


class Decisions(Generic[Gist]):
    """The last decision about each key, by what makes it the same as another one."""

    def __init__(self) -> None:
        self._last: dict[Key, Gist] = {}
        self._seen: set[Key] = set()

    def begin(self) -> None:
        """Begin a pass."""
        self._seen.clear()

    def repeats(self, key: Key, gist: Gist) -> bool:
        """Tell whether a decision of this pass is the last one about its key."""
        self._seen.add(key)
        return self._last.get(key) == gist

    def keep(self, key: Key, gist: Gist) -> None:
        """Note that this is now the last decision about a key."""
        self._last[key] = gist

    def drop(self, key: Key) -> None:
        """Note that something else became of a key, so that what is decided next is news."""
        self._last.pop(key, None)

    def forget(self, accounts: Iterable[ReportedAccount]) -> None:
        """End a pass: keep the decisions that it made again, and those about accounts that it could not read."""
        unread = {(one.account_id, one.sub_account_id) for one in accounts if one.status is AccountStatus.FAILED}
        self._last = {key: gist for key, gist in self._last.items() if key in self._seen or _is_of(unread, *key[0])}


def _is_of(unread: AbstractSet[Account], account_id: str | None, sub_account_id: str | None) -> bool:
    """Tell whether an account is among those that could not be read; with the list of all sub accounts each is."""
    return not unread.isdisjoint((account_id, each) for each in (sub_account_id, None, EVERY_SUB_ACCOUNT))
