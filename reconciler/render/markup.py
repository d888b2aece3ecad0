"""What every page of ours is made with: templates that escape whatever they show, styles and scripts with hashes."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from reconciler.core.changes import TextDiff
from reconciler.errors import visible
from reconciler.render.words import Line, direction, in_words, kept, network_lines, number, scope_lines, unmentioned

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> "Environment":
    """Give what makes pages of the templates: every text is made visible and escaped, wherever it is shown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("reconciler.render"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        finalize=_finalize,
    )
    made.filters["number"] = number
    made.globals |= {
        "direction": direction,
        "label_lines": _label_lines,
        "in_words": in_words,
        "kept": kept,
        "network_lines": network_lines,
        "scope_lines": scope_lines,
        "unmentioned": unmentioned,
    }
    return made


def _label_lines(label: TextDiff) -> list[Line]:
    before = [Line("-", label.before)] if label.before is not None else []
    return [*before, Line("+", label.after)]


def _finalize(value: Any) -> Any:
    """Make visible whatever a template shows, so that no place can be forgotten; our own markup is no plain text."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@dataclass(frozen=True, slots=True)
class Own:
    """A style sheet or a script of ours, and the hash by which a page allows it."""

    text: str
    digest: str


@cache
def own(*names: str) -> Own:
    """Give a style sheet or a script that is made of some files, in their order."""
    folder = files("reconciler.render").joinpath("templates")
    text = "\n".join(folder.joinpath(name).read_text(encoding="utf-8").strip() for name in names)
    return Own(text, f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}")
