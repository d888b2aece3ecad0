"""What a policy file may hold, field by field. The descriptions are what an editor shows for each of them."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from reconciler.files.document import Value
from reconciler.files.entries import DAY
from reconciler.files.rule_entries import FORBID, PATTERNS, RULE_ID, Length, RuleEntry, Text
from reconciler.files.shape import Shape

_PATTERNS: Final = {
    **PATTERNS,
    DAY: "is not a day: write it as YYYY-MM-DD",
    RULE_ID: "is not a name: use a-z, 0-9 and -, a letter or digit first, at most 63 of them",
}
_REFUSED: Final = {"freeze": "is a part of the policy by itself: move it out of here, to the left margin"}


@dataclass(frozen=True, slots=True)
class ThresholdEntry:
    """A share of the listed keys, rounded down, but never less than a number of them."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    percent: (
        Annotated[StrictInt, Field(ge=0, le=100, description="how much of the listed keys, in percent, rounded down")]
        | None
    ) = None
    at_least: (
        Annotated[StrictInt, Field(ge=0, description="how many are let through however few keys there are")] | None
    ) = None


_NO_THRESHOLD: Final = ThresholdEntry()


@dataclass(frozen=True, slots=True)
class InUseEntry:
    """Keys that were used lately are not switched off."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    within: Annotated[
        Length, Field(description="how lately, such as 24h; at least 15m, since AhaSend tells of a use 5 to 10m late")
    ]
    narrowing: Annotated[StrictBool, Field(description="nor is anything taken away from them")] = False
    allow: Annotated[tuple[Text, ...], Field(description="names of keys, or ids, that this is not about")] = ()


def _names_of_truth(value: Value) -> Value | None:
    """Read ``true`` as no limit, and ``false`` as nobody."""
    return (None if value else []) if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class GuardrailsEntry:
    """Limits on what one pass may do."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    max_changes: Annotated[
        ThresholdEntry, Field(description="how many changes one pass may make in an account: 30 percent, at least 5")
    ] = _NO_THRESHOLD
    max_switched_off: Annotated[
        ThresholdEntry, Field(description="how many keys one pass may switch off in an account: 10 percent, at least 1")
    ] = _NO_THRESHOLD
    max_widened: Annotated[
        ThresholdEntry,
        Field(description="how many keys one pass may give more in an account; any unless said, a part left out is 0"),
    ] = _NO_THRESHOLD
    allow_widening: Annotated[
        tuple[Text, ...] | None,
        BeforeValidator(_names_of_truth, json_schema_input_type=bool | tuple[Text, ...]),
        Field(description="which keys may be given more: true (all of them, the default), false, or their names"),
    ] = None
    allow_restore: (
        Annotated[tuple[str, ...], Field(description="names of fenced keys that may be switched on again")] | None
    ) = None
    in_use: Annotated[InUseEntry, Field(description="protects keys that were used lately; off unless said")] | None = (
        None
    )


_NO_GUARDRAILS: Final = GuardrailsEntry()


def _whose(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": ["key"]}, {"required": ["label"]}]


@dataclass(frozen=True, slots=True)
class WaiverEntry:
    """Findings that are accepted for a while."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_whose)
    rule: Annotated[Text, Field(description="the id of the rule")]
    until: Annotated[str, Field(pattern=DAY, description="its last day (it ends at 24:00 UTC), as YYYY-MM-DD")]
    owner: Annotated[Text, Field(description="who answers for it: a team or a person")]
    reason: Annotated[Text, Field(description="why this is accepted")]
    key: Annotated[Text, Field(description="the name of the key in the files, or its id")] | None = None
    label: Annotated[Text, Field(description="a pattern of labels; * and ? stand for text")] | None = None
    account: Annotated[Text, Field(description="a pattern of ids of accounts")] | None = None


@dataclass(frozen=True, slots=True)
class RequireEntry:
    """What some key must be able to do, whatever else changes."""

    __pydantic_config__: ClassVar[ConfigDict] = FORBID
    can: Annotated[Text, Field(description="what must keep working, such as messages:send")]
    domain: Annotated[Text, Field(description="for which domain, where it is for one")] | None = None
    account: Annotated[Text, Field(description="the id of the account that has the domain")] | None = None
    sub_account: Annotated[Text, Field(description="the id of the sub account that has the domain")] | None = None


_Day = Annotated[str, Field(pattern=DAY)]


def _one_kind_of_time(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": ["cron"]}, {"required": ["from"]}]
    schema["dependentRequired"] = {"cron": ["for"], "for": ["cron"], "from": ["until"], "until": ["from"]}


@dataclass(frozen=True, slots=True)
class FreezeEntry:
    """A time during which nothing is changed."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", json_schema_extra=_one_kind_of_time)
    reason: Annotated[Text, Field(description="why nothing is to be changed")]
    cron: (
        Annotated[Text, Field(description='when it begins, again and again: a crontab line, such as "0 18 * * fri"')]
        | None
    ) = None
    length: Annotated[
        Length | None, Field(alias="for", description="how long it lasts each time, such as 62h; 1m to 31d")
    ] = None
    first: Annotated[_Day | None, Field(alias="from", description="instead: its first day, as YYYY-MM-DD")] = None
    last: Annotated[_Day | None, Field(alias="until", description="its last day, to its end, as YYYY-MM-DD")] = None
    time_zone: Annotated[Text, Field(description="the time zone of all this, such as Europe/Berlin")] = "UTC"
    account: Annotated[Text, Field(description="a pattern of ids of accounts; all of them unless said")] | None = None
    allow_quarantine: Annotated[StrictBool, Field(description="keys may be switched off all the same")] = False


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """What the security team allows; usually kept by other people than the keys."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(title="AhaSend API keys: policy", extra="forbid")
    version: Annotated[StrictInt, Field(ge=1, le=1, description="the version of this format: 1")]
    rules: Annotated[tuple[RuleEntry, ...], Field(description="what keys and changes must not be")] = ()
    waivers: Annotated[tuple[WaiverEntry, ...], Field(description="findings that are accepted for a while")] = ()
    require: Annotated[tuple[RequireEntry, ...], Field(description="what must keep working")] = ()
    guardrails: Annotated[GuardrailsEntry, Field(description="limits on what one pass may do")] = _NO_GUARDRAILS
    freeze: Annotated[tuple[FreezeEntry, ...], Field(description="times during which nothing is changed")] = ()


POLICY: Final = Shape(PolicyEntry, _PATTERNS, _REFUSED)


def policy_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a policy file."""
    return POLICY.schema
