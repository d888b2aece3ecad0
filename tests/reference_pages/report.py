"""docs/reference/report.md: the JSON that programs read, field by field."""

from collections.abc import Iterator

from reconciler.core import report, status
from reconciler.files.report import report_schema
from reconciler.files.status import status_schema
from reference_pages.markdown import code
from reference_pages.schemas import Document

REPORT = Document("Report", report_schema(), judged=False)
STATUS = Document("Status", status_schema(), judged=False)
_INTRODUCTION = """\
Every field is always there, but for those of `fields`; what is not known, or is not so, is null, and an empty list is
`[]`. Fields are only ever added. In a section's title `[]` stands for each element of a list."""
_REPORT = """\
`-o json` of `plan`, `apply` and `audit`, and `GET /report` of `run`. `reconciler schema report` prints the JSON
Schema; [reports.md](../reports.md) tells what the words mean and what the other formats make of it."""
_STATUS = """\
`GET /status` of `run`, and `reconciler status -o json`. `reconciler schema status` prints the JSON Schema;
[http.md](../http.md#status) shows one. `GET /readyz` answers what is below `readiness`."""


def page() -> Iterator[str]:
    """Give the page, block by block."""
    yield "# Report and status"
    yield _INTRODUCTION
    yield f"## Report\n\n{_REPORT} Its schema is {code(report.SCHEMA)}."
    yield from REPORT.sections()
    yield f"## Status\n\n{_STATUS} Its schema is {code(status.SCHEMA)}."
    yield from STATUS.sections()
