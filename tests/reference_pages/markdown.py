"""Markdown that is made of values: tables, code, links to headings."""

import re
from collections.abc import Iterable, Sequence

_NO_ANCHOR = re.compile(r"[^a-z0-9 _-]")
_MARKUP = re.compile(r"[*<>\\]|(?<!\w)_|_(?!\w)|\](?=\()")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table; what a cell holds is Markdown already."""
    head, *lines = ("| " + " | ".join(map(_cell, line)) + " |" for line in (header, *rows))
    return "\n".join((head, "|---" * len(header) + "|", *lines))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\|", "|").replace("|", "\\|")


def code(text: str) -> str:
    """Give text as it is typed; a backquote in it does not end it."""
    text = " ".join(text.split())
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def codes(texts: Iterable[str]) -> str:
    """Give several, with commas between."""
    return ", ".join(map(code, texts))


def plain(text: str) -> str:
    """Give a text of the code, in which something may stand in backquotes, so that nothing else of it is markup."""
    parts = text.replace("``", "`").split("`")
    if len(parts) % 2 == 0:
        raise ValueError(f"a backquote too many: {text}")
    return "".join(code(part) if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


def anchor(title: str) -> str:
    """Give the name by which GitHub links to a heading, where no other one of its page is like it."""
    return _NO_ANCHOR.sub("", title.lower()).replace(" ", "-")
