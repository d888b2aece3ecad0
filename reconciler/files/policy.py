"""The policy file: so far the limits on what one pass may do."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, StrictInt

from reconciler.core.guardrails import Limits, Threshold
from reconciler.files.document import parse, read_text
from reconciler.files.folders import shown_path
from reconciler.files.shape import Faults, Shape, Spot

_FORBID: Final = ConfigDict(extra="forbid")
_DEFAULT: Final = Limits()
_NOT_YET: Final = (
    "is not supported yet: this version knows guardrails.max_changes, max_switched_off and allow_restore; remove it"
)
_REFUSED: Final = dict.fromkeys(
    ("rules", "waivers", "require", "freeze", "allow_widening", "max_widened", "in_use"), _NOT_YET
)


@dataclass(frozen=True, slots=True)
class ThresholdEntry:
    """A share of the listed keys, rounded down, but never less than a number of them."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID
    percent: (
        Annotated[StrictInt, Field(ge=0, le=100, description="how much of the listed keys, in percent, rounded down")]
        | None
    ) = None
    at_least: (
        Annotated[StrictInt, Field(ge=0, description="how many are let through however few keys there are")] | None
    ) = None


_NO_THRESHOLD: Final = ThresholdEntry()


@dataclass(frozen=True, slots=True)
class GuardrailsEntry:
    """Limits on what one pass may do."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID
    max_changes: Annotated[
        ThresholdEntry, Field(description="how many changes one pass may make in an account: 30 percent, at least 5")
    ] = _NO_THRESHOLD
    max_switched_off: Annotated[
        ThresholdEntry, Field(description="how many keys one pass may switch off in an account: 10 percent, at least 1")
    ] = _NO_THRESHOLD
    allow_restore: Annotated[
        tuple[str, ...], Field(description="names of fenced keys that may be switched on again")
    ] = ()


_NO_GUARDRAILS: Final = GuardrailsEntry()


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """What the security team allows; usually kept by other people than the keys."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(title="AhaSend API keys: policy", extra="forbid")
    version: Annotated[StrictInt, Field(ge=1, le=1, description="the version of this format: 1")]
    guardrails: Annotated[GuardrailsEntry, Field(description="limits on what one pass may do")] = _NO_GUARDRAILS


_POLICY: Final = Shape(PolicyEntry, {}, _REFUSED)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """The limits of a policy file, and ``sha256:…`` over what the file says, however it is written."""

    limits: Limits
    digest: str


def load_policy(path: Path) -> LoadedPolicy:
    """Read a policy file.

    Raises:
        FilesError: it is not there or cannot be read, or with everything that is wrong in it.
    """
    name = shown_path(path)
    document = parse(read_text(path, name), name)
    entry = _POLICY.read(document)
    if isinstance(entry, PolicyEntry):
        return LoadedPolicy(_limits(entry.guardrails), _digest(document))
    faults = Faults(opened={name: path})
    for misfit in entry:
        faults.wrong(Spot(name, misfit.path, misfit.at_key), misfit.message)
    raise faults.error()


def policy_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a policy file."""
    return _POLICY.schema


def _limits(entry: GuardrailsEntry) -> Limits:
    return Limits(
        _threshold(entry.max_changes, _DEFAULT.max_changes),
        _threshold(entry.max_switched_off, _DEFAULT.max_switched_off),
        entry.allow_restore,
    )


def _threshold(entry: ThresholdEntry, default: Threshold) -> Threshold:
    return Threshold(**{**asdict(default), **{name: each for name, each in asdict(entry).items() if each is not None}})


def _digest(document: object) -> str:
    canonical = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
