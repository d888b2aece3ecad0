"""What a rule of a policy file may hold: the built-in rules with their parameters, and what narrows a rule.

The descriptions are what an editor shows; each built-in rule's is its reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field, StrictBool, StrictInt, TypeAdapter

from reconciler.core import builtins
from reconciler.core.builtins import AccountCheck, KeyCheck
from reconciler.core.scopes import ScopePatterns, canonical_pattern
from reconciler.files.entries import AGE, length
from reconciler.files.shape import Shape

RULE_ID: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
FORBID: Final = ConfigDict(extra="forbid")
PATTERNS: Final = {AGE: "is not a length of time: write a number and s, m, h or d, such as 180d"}

Text = Annotated[str, Field(min_length=1)]
Scopes = Annotated[
    tuple[Text, ...],
    Field(min_length=1, description="scopes; * stands for any characters, ? for one, as in messages:send:*"),
]
Length = Annotated[str, Field(pattern=AGE)]


def _patterns(texts: tuple[str, ...]) -> ScopePatterns:
    return ScopePatterns(tuple(map(canonical_pattern, texts)))


@dataclass(frozen=True, slots=True)
class NothingEntry:
    """A rule without parameters."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True, slots=True)
class ScopesEntry:
    """Which scopes a rule looks at; all of them unless said here."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    scopes: Scopes = ("*",)


@dataclass(frozen=True, slots=True)
class SomeScopesEntry:
    """Which scopes a rule looks at."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    scopes: Scopes


@dataclass(frozen=True, slots=True)
class MostEntry:
    """How many are allowed."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    most: Annotated[StrictInt, Field(ge=0, description="how many scopes a key may have that no other one covers")]


def _one_of_both(schema: dict[str, Any]) -> None:
    schema["minProperties"] = 1


@dataclass(frozen=True, slots=True)
class WidestEntry:
    """How wide a network may be."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_one_of_both)
    ipv4: (
        Annotated[StrictInt, Field(ge=1, le=32, description="the shortest prefix of an IPv4 network, such as 24")]
        | None
    ) = None
    ipv6: (
        Annotated[StrictInt, Field(ge=1, le=128, description="the shortest prefix of an IPv6 network, such as 48")]
        | None
    ) = None


@dataclass(frozen=True, slots=True)
class LabelsEntry:
    """What labels look like."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    patterns: Annotated[
        tuple[Text, ...], Field(min_length=1, description="a label is like one of these; * and ? stand for text")
    ]


@dataclass(frozen=True, slots=True)
class OwnersEntry:
    """What owners look like."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    owners: Annotated[
        tuple[Text, ...], Field(min_length=1, description="an owner is like one of these; * and ? stand for text")
    ] = ("*",)


@dataclass(frozen=True, slots=True)
class SetsEntry:
    """What one key must not hold together."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    sets: Annotated[
        dict[str, Scopes],
        Field(min_length=2, description="duties by name, each with its scopes: a key may reach only one of them"),
    ]


@dataclass(frozen=True, slots=True)
class UnusedEntry:
    """How long a key may lie unused."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    length: Annotated[Length, Field(alias="for", description="how long nobody used it, such as 180d")]


@dataclass(frozen=True, slots=True)
class NeverUsedEntry:
    """How long a key may wait for its first use."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    after: Annotated[Length, Field(description="how long after it was made, such as 30d")]


@dataclass(frozen=True, slots=True)
class AgeEntry:
    """How old a key may be."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    age: Annotated[Length, Field(description="how old it may be, such as 365d")]


@dataclass(frozen=True, slots=True)
class ExceptEntry:
    """Which keys a rule leaves alone, by name."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    exceptions: Annotated[
        tuple[Text, ...],
        Field(alias="except", description="names of keys in the files, or ids; * and ? stand for text"),
    ] = ()


@dataclass(frozen=True, slots=True)
class ExceptLabelsEntry:
    """Which keys a rule leaves alone, by label."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    exceptions: Annotated[
        tuple[Text, ...], Field(alias="except", description="labels of keys, or ids; * and ? stand for text")
    ] = ()


Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Builtin(Generic[Entry]):
    """A built-in rule: what its parameters look like, and how to make it of them."""

    entry: type[Entry]
    make: Callable[[Entry], KeyCheck | AccountCheck]
    check: type[KeyCheck | AccountCheck]

    @cached_property
    def shape(self) -> Shape[Entry]:
        """The shape of the parameters."""
        return Shape(self.entry, PATTERNS, {})

    @property
    def reason(self) -> str:
        """Why there is such a rule: the first sentence of what its code says of it."""
        return " ".join((self.check.__doc__ or "").split("\n\n")[0].split())


BUILTINS: Final[Mapping[str, Builtin[Any]]] = {
    "no-wildcard": Builtin(NothingEntry, lambda _: builtins.NoWildcard(), builtins.NoWildcard),
    "no-global-where-domain-would-do": Builtin(
        ScopesEntry,
        lambda entry: builtins.NoGlobalWhereDomainWouldDo(_patterns(entry.scopes)),
        builtins.NoGlobalWhereDomainWouldDo,
    ),
    "redundant-scopes": Builtin(NothingEntry, lambda _: builtins.RedundantScopes(), builtins.RedundantScopes),
    "max-scopes": Builtin(MostEntry, lambda entry: builtins.MaxScopes(entry.most), builtins.MaxScopes),
    "forbidden-scopes": Builtin(
        SomeScopesEntry, lambda entry: builtins.ForbiddenScopes(_patterns(entry.scopes)), builtins.ForbiddenScopes
    ),
    "require-ip-allow-list": Builtin(
        ScopesEntry, lambda entry: builtins.RequireIpAllowList(_patterns(entry.scopes)), builtins.RequireIpAllowList
    ),
    "widest-network": Builtin(
        WidestEntry, lambda entry: builtins.WidestNetwork(entry.ipv4 or 0, entry.ipv6 or 0), builtins.WidestNetwork
    ),
    "unreachable-list": Builtin(NothingEntry, lambda _: builtins.UnreachableList(), builtins.UnreachableList),
    "label-pattern": Builtin(LabelsEntry, lambda entry: builtins.LabelPattern(entry.patterns), builtins.LabelPattern),
    "require-owner": Builtin(OwnersEntry, lambda entry: builtins.RequireOwner(entry.owners), builtins.RequireOwner),
    "separate-duties": Builtin(
        SetsEntry,
        lambda entry: builtins.SeparateDuties({name: _patterns(texts) for name, texts in entry.sets.items()}),
        builtins.SeparateDuties,
    ),
    "unused-for": Builtin(UnusedEntry, lambda entry: builtins.UnusedFor(length(entry.length)), builtins.UnusedFor),
    "never-used": Builtin(NeverUsedEntry, lambda entry: builtins.NeverUsed(length(entry.after)), builtins.NeverUsed),
    "older-than": Builtin(AgeEntry, lambda entry: builtins.OlderThan(length(entry.age)), builtins.OlderThan),
    "unmanaged-key": Builtin(
        ExceptLabelsEntry, lambda entry: builtins.UnmanagedKey(entry.exceptions), builtins.UnmanagedKey
    ),
    "duplicate-label": Builtin(NothingEntry, lambda _: builtins.DuplicateLabel(), builtins.DuplicateLabel),
    "identical-access": Builtin(NothingEntry, lambda _: builtins.IdenticalAccess(), builtins.IdenticalAccess),
    "can-manage-keys": Builtin(
        ExceptEntry, lambda entry: builtins.CanManageKeys(entry.exceptions), builtins.CanManageKeys
    ),
}


@dataclass(frozen=True, slots=True)
class MatchEntry:
    """Which keys a rule is about; in patterns ``*`` stands for any characters, ``?`` for one."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    owner: Annotated[Text, Field(description="a pattern of owners; keys of no file have none")] | None = None
    label: Annotated[Text, Field(description="a pattern of labels")] | None = None
    account: Annotated[Text, Field(description="a pattern of ids of accounts")] | None = None
    sub_account: (
        Annotated[
            Text, Field(description="a pattern of ids or names of sub accounts; then it is about their keys alone")
        ]
        | None
    ) = None
    managed: Annotated[StrictBool, Field(description="whether a file names the key")] | None = None
    annotations: Annotated[dict[str, Text], Field(description="patterns of annotations, by name")] = field(
        default_factory=dict
    )


_Uses = Literal[
    "no-wildcard",
    "no-global-where-domain-would-do",
    "redundant-scopes",
    "max-scopes",
    "forbidden-scopes",
    "require-ip-allow-list",
    "widest-network",
    "unreachable-list",
    "label-pattern",
    "require-owner",
    "separate-duties",
    "unused-for",
    "never-used",
    "older-than",
    "unmanaged-key",
    "duplicate-label",
    "identical-access",
    "can-manage-keys",
]


def _one_check(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that a rule has one check, and which parameters each built-in one takes."""
    schema["oneOf"] = [{"required": ["when", "message"], "properties": {"with": False}}, {"required": ["uses"]}]
    schema["not"] = {"required": ["when", "uses"]}
    schema["allOf"] = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": {
                "properties": {"with": _schema(each) | {"description": each.reason}},
                **({"required": ["with"]} if {"required", "minProperties"} & _schema(each).keys() else {}),
            },
        }
        for name, each in BUILTINS.items()
    ]


def _schema(builtin: Builtin[Any]) -> dict[str, Any]:
    return {name: each for name, each in TypeAdapter(builtin.entry).json_schema().items() if name != "title"}


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A rule: an expression, or a built-in one."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_one_check)
    id: Annotated[
        str,
        Field(pattern=RULE_ID, description="the rule's name, in findings and waivers"),
    ]
    severity: Annotated[
        Literal["deny", "warn", "note"],
        Field(description="deny, warn or note; deny holds back changes that grant anything to a key that breaks it"),
    ]
    when: Annotated[Text, Field(description="an expression (CEL) that is true when the rule is broken")] | None = None
    uses: Annotated[_Uses, Field(description="a built-in rule")] | None = None
    parameters: Annotated[
        dict[str, Any] | None, Field(alias="with", description="the parameters of the built-in rule")
    ] = None
    message: Annotated[Text, Field(description="what to say; {key.name} is filled in, and {{ is a brace")] | None = None
    hint: Annotated[Text, Field(description="what to do about it")] | None = None
    match: Annotated[MatchEntry, Field(description="which keys it is about; all of them unless said here")] = (
        MatchEntry()
    )
    then: (
        Annotated[
            Literal["quarantine"],
            Field(description="switch off a key of no file that breaks it, within the limits of 'unmanaged'"),
        ]
        | None
    ) = None
