"""The report as one HTML file that can be filed: it needs no network, no other file, and no script to be read.

Every text goes through :func:`reconciler.errors.visible` and is escaped by Jinja2, wherever the template shows it.
Besides, the page allows no script and no style but its own, by hash, and no request: markup that came through would do
nothing.
"""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from reconciler.core.changes import TextDiff
from reconciler.core.report import Report
from reconciler.errors import visible
from reconciler.render.overview import Overview
from reconciler.render.words import Line, direction, in_words, kept, network_lines, number, scope_lines, unmentioned

if TYPE_CHECKING:
    from jinja2 import Environment


def render(report: Report) -> str:
    """Give the report as an HTML document."""
    return _environment().get_template("report.html.j2").render(told=Overview(report), report=report)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reconciler.render"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        finalize=_finalize,
    )
    environment.filters["number"] = number
    words = {
        "direction": direction,
        "label_lines": _label_lines,
        "in_words": in_words,
        "kept": kept,
        "network_lines": network_lines,
        "scope_lines": scope_lines,
        "unmentioned": unmentioned,
    }
    environment.globals |= {"style": _own("report.css"), "script": _own("report.js"), **words}
    return environment


def _label_lines(label: TextDiff) -> list[Line]:
    before = [Line("-", label.before)] if label.before is not None else []
    return [*before, Line("+", label.after)]


def _finalize(value: Any) -> Any:
    """Make visible whatever a template shows, so that no place can be forgotten; our own markup is no plain text."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@dataclass(frozen=True, slots=True)
class _Own:
    """A style sheet or a script of ours, and the hash by which the page allows it."""

    text: str
    digest: str


def _own(name: str) -> _Own:
    text = files("reconciler.render").joinpath("templates", name).read_text(encoding="utf-8").strip()
    return _Own(text, f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}")
