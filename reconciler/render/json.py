"""The report as JSON, schema ``reconciler/report/v1``, for programs; :mod:`reconciler.files.report` reads it back.

Field names and their order are those of the dataclasses of :mod:`reconciler.core.report`. Nulls stay, but for the
fields of a change: there only what differs is written.
"""

import json
import re
from dataclasses import fields
from typing import Any

from reconciler.core.changes import Fields
from reconciler.core.report import Report

_OBEYED = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def render(report: Report) -> str:
    """Give the report as JSON: indented, non-ASCII kept, one newline at the end.

    What a terminal would obey instead of show is escaped, and so are halves of characters, which UTF-8 cannot write.
    """
    text = json.dumps(report, default=_members, ensure_ascii=False, indent=2)
    return _OBEYED.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text) + "\n"


def _members(record: Any) -> dict[str, Any]:
    """Give what a dataclass holds, in its order; of the fields of a change only those that differ."""
    members = {field.name: getattr(record, field.name) for field in fields(record)}
    if isinstance(record, Fields):
        return {name: diff for name, diff in members.items() if diff is not None}
    return members
