"""Messages of rules with placeholders: ``{key.name} was not used for {key.idle}``, in which ``{{`` is a brace."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from reconciler.core.vocabulary import VARIABLES

_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(Exception):
    """A message with a placeholder that stands for nothing, at an ``offset`` in characters; the loaders catch it."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


@dataclass(frozen=True, slots=True)
class Template:
    """A message; ``parts`` are its texts and, at every second place, the names of the variables between them."""

    parts: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables that it shows."""
        return frozenset(self.parts[1::2])

    def filled(self, words: Mapping[str, str]) -> str:
        """Put the values of the variables, in words, into the message."""
        return "".join(words[part] if place % 2 else part for place, part in enumerate(self.parts))


def read_template(text: str) -> Template:
    """Read a message.

    Raises:
        TemplateError: a placeholder names no variable, or a brace stands alone.
    """
    parts = [""]
    end = 0
    for match in _PART.finditer(text):
        parts[-1] += text[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            parts[-1] += match[0][0]
        elif match[1] in VARIABLES:
            parts += [match[1], ""]
        else:
            raise TemplateError(match.start(), _wrong(match[0], match[1]))
    parts[-1] += text[end:]
    return Template(tuple(parts))


def _wrong(found: str, name: str | None) -> str:
    if name is None:
        return f"{found!r} stands alone: write {found * 2!r} for a brace, or {{key.name}} for a value"
    near = get_close_matches(name, VARIABLES, n=1)
    advice = f"did you mean {{{near[0]}}}?" if near else f"write {{{{{name}}}}} if it is text"
    return f"there is no variable {name!r} to be filled in: {advice}"
