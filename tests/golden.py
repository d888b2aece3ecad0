"""Renders the rich reports of the tests in every format into ``tests/render/golden``; ``make golden`` calls it.

What changed there is what users will see changed: look at it before it is committed.
"""

import re
from collections.abc import Callable
from pathlib import Path

from reconciler.core.report import Report
from reconciler.render import html, json, markdown, sarif, terminal
from render.rich import BOTH

FOLDER = Path(__file__).parent / "render/golden"


def _text(report: Report) -> str:
    return terminal.render(report, style=terminal.Style(colour=False, width=100))


def _html(report: Report) -> str:
    """Give the page without its style sheet and its script, which stand in files of their own."""
    page = re.sub(r"(?s)<(style|script)>.*?</\1>", r"<\1></\1>", html.render(report))
    return re.sub(r"'sha256-[^']*'", "'sha256-...'", page)


FORMATS: dict[str, Callable[[Report], str]] = {
    "txt": _text,
    "json": json.render,
    "md": markdown.render,
    "html": _html,
    "sarif": sarif.render,
}


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, report in BOTH.items():
        for ending, render in FORMATS.items():
            (FOLDER / f"{name}.{ending}").write_text(render(report), encoding="utf-8")


if __name__ == "__main__":
    main()
