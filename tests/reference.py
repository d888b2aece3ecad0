"""Writes the pages of docs/reference from the code; ``make reference``.

They are made of what the product itself goes by, the schemas that it validates with, the options that it takes and the
catalogues that it counts by, so that no page can tell what is not so. Prose stands in the other pages of docs/.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from reference_pages import commands, events, exit_codes, files, metrics, report, rules

FOLDER: Final = Path(__file__).parent.parent / "docs/reference"
PAGES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "commands.md": commands.page,
    "events.md": events.page,
    "exit-codes.md": exit_codes.page,
    "files.md": files.page,
    "metrics.md": metrics.page,
    "report.md": report.page,
    "rules.md": rules.page,
}
_MARK: Final = "<!-- Written by `make reference` from the code: change that. -->"


def written(name: str) -> str:
    """Give the text of a page."""
    return "\n\n".join((_MARK, *PAGES[name]())) + "\n"


if __name__ == "__main__":
    for name in PAGES:
        (FOLDER / name).write_text(written(name), encoding="utf-8")
