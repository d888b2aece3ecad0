"""What a file of desired state may hold, field by field. The descriptions are what an editor shows for each of them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from reconciler.core.keys import UUID_PATTERN
from reconciler.files.document import Value
from reconciler.files.shape import Shape

NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
CREDENTIAL: Final = r"^[a-z0-9][a-z0-9-]*$"
DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
AGE: Final = r"^[0-9]{1,6}[smhd]$"
LONGEST_LABEL: Final = 255
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PATTERNS: Final = {
    NAME: "is not a name: use a-z, 0-9 and . _ -, a letter or digit first, at most 63 of them",
    CREDENTIAL: "is not the name of a credential: use a-z, 0-9 and -, a letter or digit first",
    UUID_PATTERN: "is not a UUID: write one such as 3c90c3cc-0d44-4b50-8888-8dd25736052a",
    DAY: "is not a day: write it as YYYY-MM-DD",
    AGE: "is not a length of time: write a number and s, m, h or d, such as 24h",
}
_REFUSED: Final = {
    "then: delete": "is not supported yet: this version does not delete keys; write 'quarantine', 'report' or 'ignore'",
    "status: deleted": "selects nothing: deleted ones are not listed; write active, suspended or parent-suspended",
}
_FORBID: Final = ConfigDict(extra="forbid")


def length(text: str) -> timedelta:
    """Read a length of time such as ``180d``, which fits `AGE`."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]
Scope = Annotated[str, Field(min_length=1)]
Networks = Annotated[
    tuple[str, ...],
    Field(description="IPv4 and IPv6 addresses and CIDR blocks that may use the key; []: usable from anywhere"),
]
Owner = Annotated[str, Field(description="who answers for the key: a team or a person")]


@dataclass(frozen=True, slots=True)
class PauseEntry:
    """A key that is left as it is for a while."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID
    reason: Annotated[str, Field(min_length=1, description="why the key is left as it is")]
    until: Annotated[
        str,
        Field(pattern=DAY, description="the last day of the pause (it ends at 24:00 UTC), as YYYY-MM-DD"),
    ]


def _needs_scopes(schema: dict[str, Any]) -> None:
    off = {"properties": {"state": {"enum": ["quarantined", "absent"]}}, "required": ["state"]}
    schema["anyOf"] = [{"required": ["scopes"]}, {"required": ["roles"]}, off]


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One desired key."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_needs_scopes)
    name: Annotated[
        str, Field(pattern=NAME, description="the key's identity in these files; unique in its account, stable")
    ]
    label: (
        Annotated[Label, Field(description="what AhaSend shows, 1 to 255 characters; the name by default")] | None
    ) = None
    id: (
        Annotated[
            str,
            Field(
                pattern=UUID_PATTERN, description="the id of the key at AhaSend: pins it, so that its label may change"
            ),
        ]
        | None
    ) = None
    was: Annotated[
        tuple[Label, ...], Field(description="earlier labels: a key that still bears one of them is this key")
    ] = ()
    scopes: (
        Annotated[tuple[Scope, ...], Field(description="what the key may do, such as messages:send:{example.com}")]
        | None
    ) = None
    roles: (
        Annotated[tuple[str, ...], Field(description="named bundles of scopes, which the key has as well")] | None
    ) = None
    domains: Annotated[tuple[str, ...], Field(description="domains that fill {domain} in the scopes of its roles")] = ()
    ip_allow_list: Networks | None = None
    state: Annotated[
        Literal["present", "quarantined", "absent"],
        Field(description="present; quarantined (switched off by its allow list, not deleted); absent"),
    ] = "present"
    owner: Owner | None = None
    description: Annotated[str, Field(description="what the key is for")] = ""
    paused: Annotated[PauseEntry, Field(description="leave the key as it is for a while, and say why")] | None = None
    annotations: (
        Annotated[dict[str, str], Field(description="anything else, text to text; rules may look at it")] | None
    ) = None


@dataclass(frozen=True, slots=True)
class DefaultsEntry:
    """What the keys of this file have unless they say otherwise."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID
    ip_allow_list: Networks | None = None
    owner: Owner = ""


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account, and which credential manages its keys."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID
    id: Annotated[str, Field(description="the account's id, a UUID; ${NAME} is filled in")]
    credential: (
        Annotated[
            str,
            Field(pattern=CREDENTIAL, description="its API key is AHASEND_API_KEY_<CREDENTIAL>; else AHASEND_API_KEY"),
        ]
        | None
    ) = None


@dataclass(frozen=True, slots=True)
class UnmanagedEntry:
    """What happens to keys of the account that no file names."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID
    then: Annotated[Literal["report", "ignore", "quarantine"], Field(description="what happens to such keys")]
    min_age: Annotated[
        str, Field(pattern=AGE, description="younger keys are left alone: a number and s, m, h or d, such as 24h")
    ] = "24h"
    exceptions: Annotated[
        tuple[str, ...],
        Field(alias="except", description="labels to leave alone; * stands for any characters, ? for one"),
    ] = ()
    include_senders: Annotated[
        StrictBool, Field(description="also act on keys that may only send (messages:send:*)")
    ] = False


def _account_of_text(value: Value) -> Value | dict[str, str]:
    return {"id": value} if isinstance(value, str) else value


def _unmanaged_of_text(value: Value) -> Value | dict[str, str]:
    return {"then": value} if isinstance(value, str) else value


_UnmanagedText = Literal["report", "ignore", "quarantine"]
Unmanaged = Annotated[
    UnmanagedEntry, BeforeValidator(_unmanaged_of_text, json_schema_input_type=_UnmanagedText | UnmanagedEntry)
]


def _selects_something(schema: dict[str, Any]) -> None:
    schema["minProperties"] = 1


@dataclass(frozen=True, slots=True)
class SelectEntry:
    """Which sub accounts are meant: those for which all holds that is said here."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_selects_something)
    id: Annotated[str, Field(pattern=UUID_PATTERN, description="the sub account's id, a UUID")] | None = None
    name: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=LONGEST_LABEL,
                description='its name, in which * stands for any characters and ? for one; "*" is every sub account',
            ),
        ]
        | None
    ) = None
    status: (
        Annotated[
            Literal["active", "suspended", "parent-suspended"],
            Field(description="its status; the keys of those that are not active are left alone"),
        ]
        | None
    ) = None


def _says_something(schema: dict[str, Any]) -> None:
    some_keys = {"properties": {"keys": {"minItems": 1}}, "required": ["keys"]}
    schema["anyOf"] = [some_keys, {"required": ["unmanaged"]}]


@dataclass(frozen=True, slots=True)
class SubAccountEntry:
    """The keys of every sub account that matches."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_says_something)
    select: Annotated[
        SelectEntry, Field(description="which sub accounts are meant: an id, or a name, a status or both")
    ]
    keys: Annotated[
        tuple[KeyEntry, ...], Field(description="the keys that should exist, or should not, in each of them")
    ] = ()
    unmanaged: (
        Annotated[
            Unmanaged,
            Field(description="what happens to keys in them that no file names; report unless said here"),
        ]
        | None
    ) = None


def _belongs_to_an_account(schema: dict[str, Any]) -> None:
    schema["dependentRequired"] = {name: ["account"] for name in NEEDS_ACCOUNT}
    schema["anyOf"] = [{"required": ["account"]}, {"required": ["roles"]}]


NEEDS_ACCOUNT: Final = ("keys", "unmanaged", "defaults", "sub_accounts")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Desired state of the API keys of one AhaSend account, or roles that all files share."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        title="AhaSend API keys: desired state", extra="forbid", json_schema_extra=_belongs_to_an_account
    )
    version: Annotated[StrictInt, Field(ge=1, le=1, description="the version of this format: 1")]
    account: (
        Annotated[
            AccountEntry,
            BeforeValidator(_account_of_text, json_schema_input_type=str | AccountEntry),
            Field(description="the account's id, a UUID, or ${NAME} to be filled in; or {id: ..., credential: ...}"),
        ]
        | None
    ) = None
    defaults: (
        Annotated[DefaultsEntry, Field(description="what the keys of this file have unless they say otherwise")] | None
    ) = None
    roles: Annotated[
        dict[str, Annotated[tuple[Scope, ...], Field(min_length=1, description="its scopes")]],
        Field(description="named bundles of scopes, for all files; {domain} is filled from a key's domains"),
    ] = field(default_factory=dict)
    keys: Annotated[tuple[KeyEntry, ...], Field(description="the keys that should exist, or should not")] = ()
    unmanaged: (
        Annotated[
            Unmanaged,
            Field(description="what happens to keys of the account that no file names; report by default"),
        ]
        | None
    ) = None
    known_scopes: Annotated[
        tuple[Scope, ...], Field(description="scopes that are right although they look like a misspelt known one")
    ] = ()
    sub_accounts: Annotated[
        tuple[SubAccountEntry, ...],
        Field(description="keys for the sub accounts of the account: each rule holds for every one that it selects"),
    ] = ()


DESIRED: Final = Shape(FileEntry, _PATTERNS, _REFUSED)


def desired_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a file of desired state."""
    return DESIRED.schema
