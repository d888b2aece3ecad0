"""Pages of the documentation as a test reads them: their blocks, in order, and what a comment says of a block.

A block of commands is either run or has, right before it, a comment ``<!-- not run: WHY -->``; a comment
``<!-- nothing here is run: WHY -->`` says so of all blocks of its page. What is run is a block
``console`` of a page with a comment ``<!-- account: NAME -->``: its commands find the account of ``accounts/NAME.yaml``
in an emulator, or with the name ``none`` nothing. No page without that is run: what it would do to this machine nobody
knows. Each line that begins with ``$ `` is a command (``> `` goes on with it), and the lines below it are what it
prints. A block of another kind whose first line is ``# PATH`` is a file that the reader is to write.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COMMANDS = ("console", "sh", "bash", "shell")
"""The kinds of blocks that hold commands."""

_NOT_RUN = re.compile(r"<!-- not run: (\S[^>]*) -->\s*\Z")
_NOTHING = re.compile(r"^<!-- nothing here is run: (\S[^>]*) -->$", re.MULTILINE)
_ACCOUNT = re.compile(r"^<!-- account: ([a-z-]+) -->$", re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Command:
    """One command, the lines that the page shows below it, and the number of its line in the page."""

    text: str
    shown: str
    line: int


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        kind: What stands after the fence, such as ``yaml``.
        text: What is in it.
        line: The number of its line in the page.
        not_run: Why it is not run, if the page says so.
        runnable: Whether it is a session's, in a page that is run.
    """

    kind: str
    text: str
    line: int
    not_run: str | None
    runnable: bool

    @property
    def holds_commands(self) -> bool:
        return self.kind in COMMANDS

    @property
    def is_run(self) -> bool:
        return self.runnable and self.not_run is None

    @property
    def file(self) -> str | None:
        """The path of the file that the reader is to write, relative to the folder of the page's session."""
        named = None if self.holds_commands else _FILE.match(self.text)
        return named[1] if named else None

    @property
    def commands(self) -> Iterator[Command]:
        lines = self.text.splitlines(keepends=True)
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        assert starts[:1] == [0], f"line {self.line}: a block begins with a command"
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            after = start + 1
            while after < end and lines[after].startswith("> "):
                after += 1
            text = "".join(line[2:] for line in lines[start:after])
            yield Command(text, "".join(lines[after:end]), self.line + start + 1)


@dataclass(frozen=True)
class Page:
    """A page: its blocks, and the name of the account that its commands find, None where it is not run."""

    blocks: tuple[Block, ...]
    account: str | None

    @property
    def is_run(self) -> bool:
        return any(block.is_run for block in self.blocks)


def read_page(text: str) -> Page:
    """Read a page of Markdown."""
    account = _ACCOUNT.search(text)
    nothing = _NOTHING.search(text)
    assert not (account and nothing), "a page is run, or it is not"
    blocks = []
    before = ""
    for token in MarkdownIt().parse(text):
        if token.type == "fence":
            assert token.map is not None
            why = _NOT_RUN.search(before) or nothing
            kind = (token.info.split() or [""])[0]
            runnable = kind == "console" and account is not None
            blocks.append(Block(kind, token.content, token.map[0] + 1, why[1] if why else None, runnable))
        before = token.content if token.type == "html_block" else ""
    return Page(tuple(blocks), account[1] if account else None)


def executed_pages() -> list[Path]:
    """Give the tutorial and the pages of ``docs/how-to``."""
    return [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
