"""The pages of docs/explanation: their tables are carried out, and what they name is there."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.core.allowable import ALLOWABLE, NEVER_ALLOWED
from reconciler.core.changes import access_change
from reconciler.core.networks import OPEN, AllowList
from reconciler.core.scopes import ScopeSet, parse_scope, suggestion

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs/explanation"
PAGES = sorted(FOLDER.glob("*.md"))
SCOPES = (FOLDER / "scopes.md").read_text(encoding="utf-8")

Cells = tuple[str, ...]


def texts(cell: str) -> Cells:
    """What stands in the backquotes of a cell."""
    return tuple(re.findall(r"`([^`]+)`", cell))


def covered(holds: str, asks: str) -> str:
    (wanted,) = texts(asks)
    return "yes" if ScopeSet.parse(texts(holds)).covers(parse_scope(wanted)) else "no"


def same_scopes(file: str, account: str) -> str:
    return "yes" if ScopeSet.parse(texts(file)).equivalent(ScopeSet.parse(texts(account))) else "no"


def same_networks(file: str, account: str) -> str:
    return "yes" if AllowList.parse(texts(file)).equivalent(AllowList.parse(texts(account))) else "no"


def spelt(written: str) -> str:
    (text,) = texts(written)
    return f"`{parse_scope(text).text}`"


def suggested(written: str) -> str:
    (text,) = texts(written)
    found = suggestion(text)
    return f"`{found}`" if found else "nothing that is known"


def sent(file: str) -> str:
    return listed(ScopeSet.parse(texts(file)).reduced().texts)


def listed(found: Cells) -> str:
    return ", ".join(f"`{text}`" for text in found) or "nothing"


def direction(before: str, after: str) -> Cells:
    change = access_change((ScopeSet.parse(texts(before)), ScopeSet.parse(texts(after))), (OPEN, OPEN))
    return listed(change.scopes.granted), listed(change.scopes.revoked), f"`{change.direction}`"


ANSWERS: dict[str, Callable[..., str | Cells]] = {
    "The one relation": covered,
    "One spelling": spelt,
    "Scopes that nobody knows": suggested,
    "When two lists are equal": same_scopes,
    "sent": sent,
    "Networks likewise": same_networks,
    "What a change grants and takes": direction,
}


def rows() -> list[tuple[str, Cells]]:
    """Every row of a table of the page about scopes, with what the table is about."""
    found: list[tuple[str, Cells]] = []
    for section in re.split(r"^## ", SCOPES, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for block in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
            header, _, *lines = (
                tuple(each.strip() for each in line.strip("|\n").split("|")) for line in block.split("\n")[:-1]
            )
            found += (("sent" if "sent" in header else title, cells) for cells in lines)
    return found


@pytest.mark.parametrize(("about", "cells"), rows(), ids=lambda value: value if isinstance(value, str) else value[0])
def test_what_scopes_and_networks_mean(about: str, cells: Cells) -> None:
    """Each row of each table of scopes.md says what the core says."""
    answer = ANSWERS[about]
    told = answer(*cells[: answer.__code__.co_argcount])
    assert (told if isinstance(told, tuple) else (told,)) == cells[answer.__code__.co_argcount :]


def test_every_table_is_carried_out() -> None:
    """There is a table for each question, so that none is passed over."""
    assert {about for about, _ in rows()} == {*ANSWERS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    """Files are in the repository, tests in the file that is named, options in a command."""
    text = page.read_text(encoding="utf-8")
    for path, function in re.findall(r"`((?:tests|reconciler|config|deploy|docs)/[\w./-]+)(?:::(\w+))?`", text):
        assert (ROOT / path).exists(), path
        assert not function or f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), function
    tests = "".join(each.read_text(encoding="utf-8") for each in (ROOT / "tests").rglob("test_*.py"))
    for function in re.findall(r"`(test_\w+)`", text):
        assert f"def {function}(" in tests, function
    if page.name == "compared.md":  # options of other tools stand there, too
        return
    commands = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    for option in re.findall(r"`[^`]*?(--[a-z][a-z-]+)[^`]*`", text):
        assert option in commands, option


def test_every_guardrail_is_explained() -> None:
    """why-not.md has a line for each guardrail, and for no other."""
    page = (FOLDER / "why-not.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == sorted((*ALLOWABLE, *NEVER_ALLOWED))
