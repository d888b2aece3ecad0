"""Keys as the files want them and as the account has them."""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from reconciler.core.networks import AllowList
from reconciler.core.patterns import is_like
from reconciler.core.scopes import ScopeSet
from reconciler.core.shards import Shard


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """The place in a file that asks for something.

    Attributes:
        file: The file, as it was named.
        line: The line, from 1; 0: the file as a whole.
        column: The column, from 1, in characters; 0: the file as a whole.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


EVERY_SUB_ACCOUNT: Final = "*"
"""Stands for the id of a sub account where something is about all of one account, as when their list failed."""


UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
"""What the id of an account, a sub account or a key looks like; in our own texts it is in lower case."""


def is_named(said: str, name: str | None, key_id: str | None) -> bool:
    """Tell whether a key is the one that somebody names, by its name in the files or by its id; as `is_meant`."""
    return (key_id is not None and said.lower() == key_id) or (name == said and not re.fullmatch(UUID_PATTERN, said))


def is_meant(pattern: str, text: str | None, key_id: str | None) -> bool:
    """Tell whether a key is meant by a pattern of its name or label (``text``), or by its very id.

    What looks like an id is one: a key that somebody names like the id of another must not pass for that one.
    """
    if key_id is not None and pattern.lower() == key_id:
        return True
    return text is not None and is_like(text, pattern) and not re.fullmatch(UUID_PATTERN, pattern)


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account, or a sub account of one, and the name of the credential that reads and writes its keys."""

    account_id: str
    sub_account_id: str | None = None
    credential: str | None = None

    @property
    def parent(self) -> "AccountRef | None":
        """The account that a sub account is below, None for an account."""
        return AccountRef(self.account_id, None, self.credential) if self.sub_account_id is not None else None

    @property
    def every_sub_account(self) -> "AccountRef":
        """What stands for all sub accounts of an account together."""
        return AccountRef(self.account_id, EVERY_SUB_ACCOUNT, self.credential)

    @property
    def identity(self) -> tuple[str, str]:
        """The account without its credential, to sort and look up by."""
        return self.account_id, self.sub_account_id or ""

    def __str__(self) -> str:
        return f"{self.account_id}/{self.sub_account_id}" if self.sub_account_id else self.account_id


FROM_DOMAINS: Final = "{domain}"
"""What stands in a role for each of a key's domains."""


@dataclass(frozen=True, slots=True)
class Role:
    """A named bundle of scopes; of some the domain is still to be filled in. ``file`` is where it is defined."""

    name: str
    scopes: tuple[str, ...]
    file: str

    @property
    def needs_domains(self) -> bool:
        """Whether a key with this role must name domains."""
        return any(FROM_DOMAINS in scope for scope in self.scopes)

    def filled(self, domains: tuple[str, ...]) -> list[str]:
        """Give its scopes for ``domains``."""
        return [
            filled
            for scope in self.scopes
            for filled in (
                [scope.replace(FROM_DOMAINS, f"{{{domain}}}") for domain in domains]
                if FROM_DOMAINS in scope
                else [scope]
            )
        ]


class KeyState(StrEnum):
    """Whether a desired key should be usable, switched off, or gone."""

    PRESENT = "present"
    QUARANTINED = "quarantined"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Pause:
    """Why and until when (24:00 UTC of ``until``) a key is left as it is."""

    reason: str
    until: date

    def holds(self, now: datetime) -> bool:
        """Tell whether the pause is in force at ``now`` (a time with a zone)."""
        return now.astimezone(UTC).date() <= self.until


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One desired key. ``scopes`` and ``ip_allow_list`` are None where the file leaves them as they are."""

    name: str
    label: str
    source: Source
    scopes: ScopeSet | None
    ip_allow_list: AllowList | None
    id: str | None = None
    was: tuple[str, ...] = ()
    state: KeyState = KeyState.PRESENT
    roles: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    owner: str = ""
    description: str = ""
    paused: Pause | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The label and every earlier one: what a remote key may be called."""
        return (self.label, *self.was)


class UnmanagedAction(StrEnum):
    """What happens to actual keys that no file names."""

    REPORT = "report"
    IGNORE = "ignore"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class UnmanagedRule:
    """What to do with unmanaged keys, and which to leave alone; ``source`` is None for the default."""

    then: UnmanagedAction = UnmanagedAction.REPORT
    min_age: timedelta = timedelta(hours=24)
    exceptions: tuple[str, ...] = ()
    include_senders: bool = False
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class RemoteSubAccount:
    """One actual sub account, as its parent lists it; ``status`` is AhaSend's word."""

    id: str
    name: str
    status: str

    @property
    def active(self) -> bool:
        """Whether its keys can be used."""
        return self.status == "active"

    @property
    def suspended(self) -> bool:
        """Whether its keys are of no use at present, so that they are left alone."""
        return self.status in ("suspended", "parent-suspended")

    @property
    def strange(self) -> bool:
        """Whether its status is a word that this version does not know, so that nothing may be taken for granted."""
        return not (self.active or self.suspended)


@dataclass(frozen=True, slots=True)
class Selector:
    """Which sub accounts are meant: those for which all holds that it says; None says nothing."""

    id: str | None = None
    name: str | None = None
    status: str | None = None

    def matches(self, sub_account: RemoteSubAccount) -> bool:
        """Tell whether a sub account is meant; in a name ``*`` stands for any characters, ``?`` for one."""
        return self.status in (None, sub_account.status) and self.names(sub_account)

    def names(self, sub_account: RemoteSubAccount) -> bool:
        """Tell whether a sub account would be meant, were it not for its status."""
        return self.id in (None, sub_account.id) and (self.name is None or is_like(sub_account.name, self.name))

    def __str__(self) -> str:
        said = {"id": self.id, "name": self.name, "status": self.status}
        return ", ".join(f"{field}: {text}" for field, text in said.items() if text is not None)


@dataclass(frozen=True, slots=True)
class SubAccountRule:
    """The keys of every sub account that ``select`` means, sorted by name; ``unmanaged`` is None where not said."""

    select: Selector
    keys: tuple[KeySpec, ...]
    source: Source
    unmanaged: UnmanagedRule | None = None


@dataclass(frozen=True, slots=True)
class DesiredAccount:
    """Everything that the files say about one account, keys sorted by name.

    ``sub_accounts`` are rules for the accounts below it, in the order of their sources; a sub account has none, and a
    ``name``. ``reserved`` are labels of keys of rules that may mean this account again: a key that bears one of them is
    not unmanaged.
    """

    account: AccountRef
    keys: tuple[KeySpec, ...]
    unmanaged: UnmanagedRule = field(default_factory=UnmanagedRule)
    sub_accounts: tuple[SubAccountRule, ...] = ()
    name: str | None = None
    reserved: frozenset[str] = frozenset()

    @property
    def family(self) -> tuple[AccountRef, ...]:
        """Itself and, where there are rules for them, what stands for all of its sub accounts."""
        return (self.account, self.account.every_sub_account) if self.sub_accounts else (self.account,)

    @property
    def named(self) -> tuple[KeySpec, ...]:
        """Its own keys, and those of the rules for accounts below it, each once."""
        return (*self.keys, *(spec for rule in self.sub_accounts for spec in rule.keys))


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What all files together say, accounts sorted by identity, each once; ``roles`` are those that keys name.

    ``elsewhere`` are accounts that belong to other shards: nothing is done there, but a policy may be about them.
    """

    accounts: tuple[DesiredAccount, ...]
    roles: tuple[Role, ...] = ()
    elsewhere: tuple[DesiredAccount, ...] = ()

    @property
    def everywhere(self) -> tuple[DesiredAccount, ...]:
        """All accounts of the files, whosever they are."""
        return (*self.accounts, *self.elsewhere)

    def of(self, shard: Shard) -> "DesiredState":
        """Give the same with the accounts of one shard alone, the others elsewhere."""
        taken = [(shard.takes(each.account.account_id), each) for each in self.accounts]
        accounts, elsewhere = (tuple(each for took, each in taken if took is wanted) for wanted in (True, False))
        return replace(self, accounts=accounts, elsewhere=(*self.elsewhere, *elsewhere))

    @property
    def named(self) -> int:
        """How many keys the files name; one in a rule counts once, however many sub accounts it is for."""
        return sum(len(account.named) for account in self.accounts)


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """One actual key, as the account lists it; times have a zone."""

    id: str
    label: str
    scopes: ScopeSet
    ip_allow_list: AllowList
    created_at: datetime
    last_used_at: datetime | None = None

    def same_access(self, other: "RemoteKey") -> bool:
        """Tell whether label, scopes and list mean the same (``updated_at`` and the last use decide nothing)."""
        return (
            self.label == other.label
            and self.scopes.equivalent(other.scopes)
            and self.ip_allow_list.equivalent(other.ip_allow_list)
        )

    @property
    def send_only(self) -> bool:
        """Whether the key may do nothing but send: the kind the dashboard makes for applications."""
        return bool(self.scopes.scopes) and all(scope.family == "messages:send" for scope in self.scopes)


def credential_variable(prefix: str, credential: str | None) -> str:
    """Name the environment variable that belongs to a credential: ``production`` gives ``<prefix>_PRODUCTION``."""
    return prefix if credential is None else f"{prefix}_{credential.upper().replace('-', '_')}"
