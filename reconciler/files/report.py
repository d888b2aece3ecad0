"""Reports read back from JSON, schema ``reconciler/report/v1``; :mod:`reconciler.render.json` writes them."""

from functools import cache
from typing import TYPE_CHECKING, Any

from reconciler.core.report import Report
from reconciler.errors import FilesError, Problem

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator


def load_report(text: str, file: str = "report") -> Report:
    """Read a report back; fields that this version does not know are passed over.

    Raises:
        FilesError: the text is no JSON or no report; each problem names the field.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    raise FilesError(tuple(_problem(file, problem["loc"], problem["msg"]) for problem in problems))


def load_told_report(text: str) -> Report:
    """Read a report of whoever says that it is one, as `load_report` does, but name only the first problem of a list.

    Raises:
        FilesError: as there.
    """
    from pydantic import ValidationError

    try:
        report: Report = _validator().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise FilesError((_problem("report", first["loc"], first["msg"]),)) from None
    return report


def report_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a report as :mod:`reconciler.render.json` writes it."""
    from reconciler.files.described import published

    return published(_adapter().json_schema(mode="serialization"))


def _problem(file: str, location: tuple[int | str, ...], message: str) -> Problem:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
    return Problem(file, 0, 0, f"{where}: {message}" if where else message)


@cache
def _validator() -> "SchemaValidator":
    from reconciler.files.first_problem import first_problem

    return first_problem(_adapter())


@cache
def _adapter() -> "TypeAdapter[Report]":
    from pydantic import TypeAdapter

    return TypeAdapter(Report)
