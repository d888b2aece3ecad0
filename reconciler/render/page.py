r"""Lines of text for a terminal: wrapped, coloured, and with nothing in them that a terminal would obey.

What comes from files or from the server is shown with its control characters escaped (``\x1b``, ``\n``, ``\u202e``).
A name is shown in quotes that it cannot end, and never broken over two lines: its second half could pass for our text.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.errors import visible


@dataclass(frozen=True, slots=True)
class Style:
    """How the text is shown: with ANSI colours or without, and for how many columns."""

    colour: bool
    width: int


# Of the 256 colours those that can be read on white and on black alike: of the basic ones yellow and cyan cannot.
_LOOKS = {
    "bold": "1",
    "dim": "2",
    "red": "38;5;196",
    "green": "38;5;28",
    "yellow": "38;5;130",
    "magenta": "38;5;164",
    "cyan": "38;5;31",
}
_WORD = re.compile("( *)([^ ]+)")
_NARROWEST = 40
_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*)::")
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

    @property
    def height(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def paint(self, text: str, looks: str) -> str:
        """Give ``text`` in some looks, named as in ``_LOOKS``; as it is where there is no colour, or nothing to see."""
        if not (self._colour and looks and text.strip()):
            return text
        return f"\x1b[{';'.join(_LOOKS[look] for look in looks.split())}m{text}\x1b[0m"

    def add(self, line: str) -> None:
        """Add one line as it is, but for what a CI runner would take for a command: two colons at its beginning."""
        self._lines.append(_COMMAND.sub(r"\1\\x3a:", line, count=1) if "::" in line else line)

    def gap(self) -> None:
        """Leave one line free, but never the first."""
        if self._lines:
            self._lines.append("")

    def hang(self, gutter: str, text: str, looks: str = "", *, gutter_looks: str = "dim", beside: str = "") -> None:
        """Add a text of one or more lines right of ``gutter``, wrapped; words that are too long are left whole.

        What is ``beside`` it, visible already, follows where both have room on one line, else on a line of its own.
        """
        start = self.height
        for given in text.split("\n"):
            inset = " " * min(len(given) - len(given.lstrip(" ")), GUTTER)
            lines = self._wrapped(visible(given.strip(" ")), len(gutter) + len(inset))
            self._hang(gutter, [inset + line if line else "" for line in lines], looks, gutter_looks)
            gutter = " " * len(gutter)
        if not beside:
            return
        if self.height == start + 1 and width_of(f"{gutter}{inset}{lines[0]}  {beside}") <= self.width:
            self._lines[-1] += "  " + self.paint(beside, "dim")
        else:
            self.add(f"{gutter}  {self.paint(beside, 'dim')}")

    def words(self, gutter: str, words: Sequence[str], looks: str = "", *, gutter_looks: str = "dim") -> None:
        """Add words right of ``gutter``, wrapped between them only; each is visible already and may hold spaces."""
        glued = " ".join(word.replace(" ", _GLUE) for word in words)
        self._hang(
            gutter, [line.replace(_GLUE, " ") for line in self._wrapped(glued, len(gutter))], looks, gutter_looks
        )

    def _wrapped(self, text: str, margin: int) -> list[str]:
        room = max(self.width - margin, _NARROWEST // 2)
        lines = [""]
        for gap, word in _WORD.findall(text):
            if lines[-1] and width_of(lines[-1] + gap + word) > room:
                lines.append(word)
            else:
                lines[-1] += gap + word
        return lines

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
    if width_of(text) <= room:
        return text
    end = room - len("...")
    while width_of(text[:end]) > room - len("..."):
        end -= 1
    return f"{text[:end]}..."


def width_of(text: str) -> int:
    """Tell how many columns a terminal gives to a visible text: two to wide letters, none to marks upon others."""
    if text.isascii():
        return len(text)
    return sum(_width_of(letter) for letter in unicodedata.normalize("NFC", text))


def _width_of(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def listed(shown: Sequence[str], count: int) -> list[str]:
    """Give the words that list some visible texts with commas, and count those of ``count`` that are not shown."""
    more = count - len(shown)
    words = [*(f"{text}," for text in shown[:-1]), *shown[-1:]]
    return [*words, *f"and {more} more".split()] if more > 0 else words
