r"""Lines of text for a terminal: wrapped, coloured, and with nothing in them that a terminal would obey.

What comes from files or from the server is shown with its control characters escaped (``\x1b``, ``\n``, ``\u202e``).
A name is shown in quotes that it cannot end, and never broken over two lines: its second half could pass for our text.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.errors import visible


@dataclass(frozen=True, slots=True)
class Style:
    """How the text is shown: with ANSI colours or without, and for how many columns."""

    colour: bool
    width: int


_LOOKS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
_NARROWEST = 40
_GLUE = "\xa0"  # no text that was made visible holds one
GUTTER = 10
"""How many columns the titles left of a text take."""


class Page:
    """Lines of text, as they come."""

    def __init__(self, style: Style) -> None:
        self.width = max(style.width, _NARROWEST)
        self._colour = style.colour
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        """All lines, the last one ended as well."""
        return "\n".join(self._lines) + "\n"

    def paint(self, text: str, looks: str) -> str:
        """Give ``text`` in some looks, named as in ``_LOOKS``; as it is where there is no colour, or nothing to see."""
        if not (self._colour and looks and text.strip()):
            return text
        return f"\x1b[{';'.join(_LOOKS[look] for look in looks.split())}m{text}\x1b[0m"

    def add(self, line: str) -> None:
        """Add one line as it is."""
        self._lines.append(line)

    def gap(self) -> None:
        """Leave one line free, but never the first."""
        if self._lines:
            self._lines.append("")

    def hang(self, gutter: str, text: str, looks: str = "", *, gutter_looks: str = "dim") -> None:
        """Add a text of one or more lines right of ``gutter``, wrapped; words that are too long are left whole."""
        for given in text.split("\n"):
            inset = " " * min(len(given) - len(given.lstrip(" ")), GUTTER)
            lines = self._wrapped(visible(given.strip(" ")), len(gutter) + len(inset))
            self._hang(gutter, [inset + line if line else "" for line in lines], looks, gutter_looks)
            gutter = " " * len(gutter)

    def words(self, gutter: str, words: Sequence[str], looks: str = "") -> None:
        """Add words right of ``gutter``, wrapped between them only; each is visible already and may hold spaces."""
        glued = " ".join(word.replace(" ", _GLUE) for word in words)
        self._hang(gutter, [line.replace(_GLUE, " ") for line in self._wrapped(glued, len(gutter))], looks, "dim")

    def _wrapped(self, text: str, margin: int) -> list[str]:
        room = max(self.width - margin, _NARROWEST // 2)
        return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]

    def _hang(self, gutter: str, lines: Sequence[str], looks: str, gutter_looks: str) -> None:
        for line in lines:
            self.add(self.paint(gutter if line else gutter.rstrip(), gutter_looks) + self.paint(line, looks))
            gutter = " " * len(gutter)


def quoted(text: str, room: int | None = None) -> str:
    """Give a text in quotes, cut to ``room`` columns; what it holds cannot end them."""
    shown = visible(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{shown}"' if room is None else f'"{cut(shown, room - 2)}"'


def cut(text: str, room: int) -> str:
    """Give as much of a text as ``room`` columns hold, with three dots where it goes on."""
    return text if len(text) <= room else text[: room - 3] + "..."


def listed(shown: Sequence[str], count: int) -> list[str]:
    """Give the words that list some visible texts with commas, and count those of ``count`` that are not shown."""
    more = count - len(shown)
    words = [*(f"{text}," for text in shown[:-1]), *shown[-1:]]
    return [*words, *f"and {more} more".split()] if more > 0 else words
