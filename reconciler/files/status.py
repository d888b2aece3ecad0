"""What a daemon says of itself, read back from JSON; :mod:`reconciler.render.json` and its endpoints write it."""

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.core.status import Readiness, Status
from reconciler.errors import FilesError, Problem

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Told = TypeVar("Told")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def load_status(text: bytes, file: str = "status") -> Status:
    """Read a status back, schema ``reconciler/status/v1``; fields that this version does not know are passed over.

    Raises:
        FilesError: the text is no JSON or no status; the problem names the first field that is wrong.
    """
    return _load(_status(), text, file)


def load_readiness(text: bytes, file: str = "readiness") -> Readiness:
    """Read back what ``/readyz`` answers.

    Raises:
        FilesError: the text is no JSON, or says something else.
    """
    return _load(_readiness(), text, file)


def status_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a status."""
    return {"$schema": _DIALECT, **_status().json_schema(mode="serialization")}


def _load(adapter: "TypeAdapter[Told]", text: bytes, file: str) -> Told:
    from pydantic import ValidationError

    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    raise FilesError((Problem(file, 0, 0, f"{where}: {first['msg']}" if where else first["msg"]),))


@cache
def _status() -> "TypeAdapter[Status]":
    from pydantic import TypeAdapter

    return TypeAdapter(Status)


@cache
def _readiness() -> "TypeAdapter[Readiness]":
    from pydantic import TypeAdapter

    return TypeAdapter(Readiness)
