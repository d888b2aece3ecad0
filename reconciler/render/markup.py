"""What every page of ours is made with: templates that escape whatever they show, styles and scripts with hashes."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler.core.changes import TextDiff
from reconciler.errors import visible
from reconciler.render.ages import minute
from reconciler.render.verdict import Tone
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
        "minute": minute,
        "icon": icon,
    }
    return made


def _label_lines(label: TextDiff) -> list[Line]:
    before = [Line("-", label.before)] if label.before is not None else []
    return [*before, Line("+", label.after)]


def _finalize(value: Any) -> Any:
    """Make visible whatever a template shows, so that no place can be forgotten; our own markup is no plain text."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


_SIGNS = {
    Tone.GOOD: ("#1c6b3a", "M9 17l5 5 10-12"),
    Tone.LOOK: ("#f2c037", "M8 13h16M8 19h16M20 8l-8 16"),
    Tone.ACT: ("#b5470c", "M16 8v10M16 22.5v.5"),
    Tone.BAD: ("#a3201a", "M12 12.5a4 4 0 1 1 5.5 3.7c-1 .5-1.5 1.2-1.5 2.8M16 23.5v.5"),
    None: ("#59636e", "M10 10l12 12M22 10l-12 12"),
}


def icon(tone: Tone | None) -> str:
    """Give the address of a picture for the tab: round and in the colour of a tone; None: nobody answers."""
    fill, path = _SIGNS[tone]
    ink = "#221a00" if tone is Tone.LOOK else "#fff"
    line = f"<path d='{path}' fill='none' stroke='{ink}' stroke-width='3.5' stroke-linecap='round'/>"
    circle = f"<circle cx='16' cy='16' r='16' fill='{fill}'/>"
    picture = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>{circle}{line}</svg>"
    return f"data:image/svg+xml,{quote(picture)}"


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
