"""What renderers of Markdown make of a text, as they are behind GitHub and elsewhere."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from cmarkgfm import github_flavored_markdown_to_html  # type: ignore[import-untyped] # it ships no types
from cmarkgfm.cmark import Options  # type: ignore[import-untyped] # as above
from markdown_it import MarkdownIt

_VOID = ("br", "hr", "img", "input")


@dataclass
class Seen(HTMLParser):
    """The tags of a page with their attributes, the texts in code, and all text that is in none."""

    tags: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    outside: str = ""
    opened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(f"{tag} {attrs}")
        if tag not in _VOID:
            self.opened.append(tag)
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if "code" in self.opened:
            self.code[-1] += data
        else:
            self.outside += data

    def handle_comment(self, data: str) -> None:
        self.tags.append("!")

    def handle_decl(self, decl: str) -> None:
        self.tags.append("!")

    def handle_pi(self, data: str) -> None:
        self.tags.append("!")


def _seen(html: str) -> Seen:
    page = Seen()
    page.feed(html)
    page.close()
    assert page.opened == []
    return page


def by_github(text: str) -> Seen:
    """Read a text with GitHub's own renderer and extensions; raw HTML is let through."""
    return _seen(github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE))


def by_commonmark(text: str) -> Seen:
    """Read a text with another renderer: CommonMark with tables; raw HTML is let through."""
    return _seen(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


READERS = (by_github, by_commonmark)
