"""What a daemon says of itself, read back from JSON; :mod:`reconciler.render.json` and its endpoints write it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import FilesError, Problem

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

    from reconciler.core.status import Readiness, Status

_YEARS: Final = range(1970, 9000)


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether a daemon does its work; ``reasons`` say why not."""

    ready: bool
    reasons: tuple[str, ...]


def load_status(text: bytes, file: str = "status") -> "Status":
    """Read a status back, schema ``reconciler/status/v1``; fields that this version does not know are passed over.

    Raises:
        FilesError: the text is no JSON or no status; the problem names the first field that is wrong.
    """
    from pydantic import ValidationError

    try:
        status: Status = _validator().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _wrong(file, f"{where}: {first['msg']}" if where else first["msg"]) from None
    if not all(when.tzinfo is not None and when.year in _YEARS for when in _times(status.readiness)):
        raise _wrong(file, "readiness: a time that nobody can have meant")
    return status


def load_readiness(text: bytes, file: str = "readiness") -> Ready:
    """Read back the essence of what ``/readyz`` answers: health checks ask for it often, and pay for what is loaded.

    Raises:
        FilesError: the text is no JSON, or says something else.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong(file, "Invalid JSON") from None
    match told:
        case {"ready": bool(ready), "reasons": [*reasons], "configuration": dict(), "accounts": list()} if all(
            isinstance(reason, str) for reason in reasons
        ):
            return Ready(ready, tuple(reasons))
        case _:
            raise _wrong(file, "it does not say whether it is ready, and why not")


def status_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a status."""
    from reconciler.files.described import published

    return published(_adapter().json_schema(mode="serialization"))


def _wrong(file: str, message: str) -> FilesError:
    return FilesError((Problem(file, 0, 0, message),))


def _times(readiness: "Readiness") -> Iterator[datetime]:
    """Give the times that are more than text."""
    configuration = readiness.configuration
    yield from filter(None, (configuration.loaded_at, configuration.rejected_at))
    for account in readiness.accounts:
        yield from filter(None, (account.read_at, *(each.read_at for each in account.sub_accounts.failed)))


@cache
def _validator() -> "SchemaValidator":
    from reconciler.files.first_problem import first_problem

    return first_problem(_adapter())


@cache
def _adapter() -> "TypeAdapter[Status]":
    from pydantic import TypeAdapter

    from reconciler.core.status import Status

    return TypeAdapter(Status)
