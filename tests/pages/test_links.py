"""Every link of the documentation leads somewhere, and every page can be reached."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pages.page import DOCS, ROOT

INDEX = DOCS / "README.md"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]
PAGES += sorted((ROOT / "deploy").rglob("*.md"))
MARKDOWN = MarkdownIt().enable("table")


def links(text: str) -> Iterator[tuple[int, str]]:
    """Each link and picture of a page, with its line."""
    for token in MARKDOWN.parse(text):
        for child in token.children or ():
            for name in ("href", "src"):
                if name in child.attrs:
                    yield (token.map or [0])[0] + 1, str(child.attrs[name])


def anchors(text: str) -> set[str]:
    """The anchors that a code host gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    tokens = MARKDOWN.parse(text)
    for before, token in pairwise(tokens):
        if before.type == "heading_open":
            slug = re.sub(r"[^\w\- ]", "", plain(token).strip().lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def plain(heading: Token) -> str:
    return "".join(child.content for child in heading.children or ())


def broken(path: Path, text: str) -> Iterator[str]:
    """What is wrong with each link of a page that leads nowhere."""
    for line, link in links(text):
        parts = urlsplit(link)
        where = f"{path.relative_to(ROOT)}:{line}: {link}"
        if parts.scheme or parts.netloc:
            if parts.scheme != "https":
                yield f"{where}: not https"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if ROOT not in [target, *target.parents] or not target.exists():
            yield f"{where}: there is no such file"
        elif parts.fragment and parts.fragment not in anchors(text if target == path else target.read_text("utf-8")):
            yield f"{where}: there is no such heading"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    """Each relative link names a file of the repository, and its anchor a heading there; all others are https."""
    assert list(broken(path, path.read_text(encoding="utf-8"))) == []


def test_no_page_is_an_orphan() -> None:
    """Each page can be reached from README, or from the index, over links."""
    reached: set[Path] = set()
    ahead = [README, INDEX]
    while ahead:
        path = ahead.pop()
        if path not in reached and path.suffix == ".md" and path.is_file():
            reached.add(path)
            found = (urlsplit(link).path for _, link in links(path.read_text(encoding="utf-8")))
            ahead += [(path.parent / unquote(one)).resolve() for one in found if one]
    assert [str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if path not in reached] == []


def test_the_index_names_every_page() -> None:
    """docs/README.md itself links each page of docs/."""
    named = {(DOCS / urlsplit(link).path).resolve() for _, link in links(INDEX.read_text(encoding="utf-8"))}
    assert [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path not in {*named, INDEX}] == []


def test_what_is_broken_is_told() -> None:
    """A link to no file, out of the repository, to no heading, or over http is told with its line."""
    table = "| x |\n|---|\n| [d](http://e.example) ![f](../../f.png) |\n"
    text = f"# A `b`: c's\n\n[a](nowhere.md), [b](#a-b-cs), [c](#d)\n\n{table}"
    found = list(broken(INDEX, text))
    assert [told.rpartition(": ")[2] for told in found] == [
        "there is no such file",
        "there is no such heading",
        "not https",
        "there is no such file",
    ]
    assert found[0].startswith("docs/README.md:3: nowhere.md")
