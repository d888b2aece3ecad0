"""A comment in Markdown: texts of others in code, sections that fold after a screenful, cuts where it gets too long.

Nothing but code spans and fenced code keeps a text of others as it is: only there are no links, mentions
(``@everyone`` sends mail), references (``#1``), emoji or HTML. So all of them go through `code` or `fence`, and never
into a table, where even code has to be escaped, nor into HTML.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reconciler.errors import mask, visible

LIMIT = 60_000
"""How many bytes of UTF-8, and so characters, a comment is shorter than; GitHub takes 65,536 characters."""
LONG = 1_000
"""How many characters are shown of a sentence."""
_SHORT = 300
_SCREENFUL = 45
_LINE = 110
_MOST_LINES = 60
_MOST_BYTES = 12_000
_FRAME = 500
"""More bytes than what stands around the items of one section takes."""
_BACKTICKS = re.compile("`+")


@dataclass(frozen=True, slots=True)
class Item:
    """Something told in Markdown that is shown whole or not at all, and how many things it stands for."""

    text: str
    count: int = 1

    @property
    def size(self) -> int:
        """How many bytes it takes, with the lines between it and the next."""
        return len(self.text.encode()) + 2

    @property
    def height(self) -> int:
        """How many lines it takes on a screen, roughly."""
        return 1 + sum(1 + len(line) // _LINE for line in self.text.split("\n") if line)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a comment; its title is in our own words, as it may stand in HTML.

    Attributes:
        title: What it is about.
        items: What it tells, the most important first.
        left_out: How many things more there are.
        rank: When it is cut: the greatest first.
        open_lines: How many lines of it, and at least one item, stand open even where others have filled the screen.
        folded: Whether nothing of it stands open.
    """

    title: str
    items: Sequence[Item]
    left_out: int = 0
    rank: int = 1
    open_lines: int = 0
    folded: bool = False

    @property
    def heading(self) -> str:
        """Its title, and of how many things it tells."""
        count = _count(self.items) + self.left_out
        return f"{self.title} ({count})" if count else self.title


def code(text: str, room: int = _SHORT) -> str:
    """Give a text of others as a code span, cut to ``room`` characters.

    The backticks around it are the fewest that it does not hold: cmark knows no span in more than 80.
    """
    shown = _shown(text, room)
    if not shown:
        return "(empty)"
    held = set(_BACKTICKS.findall(shown))
    ticks = next(ticks for ticks in map("`".__mul__, range(1, len(shown) + 2)) if ticks not in held)
    spaced = shown.startswith(" ") and shown.endswith(" ") and shown.strip(" ")
    pad = " " if spaced or "`" in (shown[0], shown[-1]) else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def sentence(text: str) -> str:
    """Give a sentence of others as a code span; its lines are joined to one."""
    return code("; ".join(filter(None, (line.strip() for line in text.split("\n")))), LONG)


def fence(lines: Sequence[str], language: str) -> str:
    """Give lines as fenced code, or as many as have room; each begins with a sign or a word of ours.

    A line of nothing but backticks would end the code.
    """
    shown: list[str] = []
    size = 0
    for line in lines[:_MOST_LINES]:
        shown.append(_shown(line, _SHORT))
        size += len(shown[-1].encode())
        if size > _MOST_BYTES:
            break
    more = len(lines) - len(shown)
    shown += [f"  and {more} more, all of them in -o json"] if more else []
    ticks = "`" * max(3, 1 + max(len(run) for line in shown for run in ("", *_BACKTICKS.findall(line))))
    return "\n".join((f"{ticks}{language}", *shown, ticks))


def _shown(text: str, room: int) -> str:
    """Give what is shown of a text; a secret is masked first, as one that is cut in two would not be found."""
    shown = visible(mask(text)[: room + 1])
    return shown if len(shown) <= room else f"{shown[: room - 3]}..."


def compose(beginning: str, sections: Iterable[Section], end: str) -> str:
    """Give a comment that ends with a newline; only sections are folded and cut, and each cut says so."""
    kept = [section for section in sections if section.items]
    room = LIMIT - len(beginning.encode()) - len(end.encode()) - _FRAME
    screen = _SCREENFUL
    blocks = [beginning]
    for section, count in zip(kept, _fitting(kept, room), strict=True):
        screen = max(screen, section.open_lines)
        opened = _opened(section, count, screen - 2)
        screen -= sum(item.height for item in section.items[:opened]) + 2
        blocks += _told(section, opened, count)
    return "\n\n".join(filter(None, (*blocks, end))) + "\n"


def _fitting(sections: Sequence[Section], room: int) -> list[int]:
    """Count the items of each section that have room; after the first that has none, less important ones get none.

    Sections that never shut come first with one item each: the one must not be crowded out by the other.
    """
    order = sorted(range(len(sections)), key=lambda place: sections[place].rank)
    never_shut = [place for place in order if sections[place].open_lines]
    others = (place for place in order for _ in sections[place].items[1 if place in never_shut else 0 :])
    counts = [0] * len(sections)
    room -= _FRAME * len(sections)
    for place in (*never_shut, *others):
        room -= sections[place].items[counts[place]].size
        if room < 0:
            break
        counts[place] += 1
    return counts


def _opened(section: Section, shown: int, lines: int) -> int:
    """Count the first of the items that are shown which have room on so many lines; some sections never shut."""
    if section.folded:
        return 0
    for count, item in enumerate(section.items[:shown]):
        lines -= item.height
        if lines < 0 and not (section.open_lines and count == 0):
            return count
    return shown


def _told(section: Section, opened: int, shown: int) -> list[str]:
    """Give a section as blocks: some items open, the others that are shown folded, and how many are not shown."""
    items = section.items
    missing = _count(items[shown:]) + section.left_out
    blocks = []
    if opened or not shown:
        blocks.append(f"### {section.heading}")
    if opened:
        blocks.append(_joined(items[:opened]))
    if opened < shown:
        title = f"{section.title}: {_count(items[opened:shown])} more" if opened else f"<b>{section.heading}</b>"
        blocks += [f"<details><summary>{title}</summary>", _joined(items[opened:shown]), "</details>"]
    if missing or shown < len(items):
        number = f"{missing} {'more ' if shown else ''}" if missing else ""
        blocks.append(f"{section.title}: {number}not shown here; `-o json` has all of them.")
    return blocks


def _count(items: Iterable[Item]) -> int:
    return sum(item.count for item in items)


def _joined(items: Sequence[Item]) -> str:
    """Put items below each other: those of a list close together."""
    text = items[0].text
    for one, other in pairwise(items):
        listed = one.text.startswith("- ") and other.text.startswith("- ")
        text += ("\n" if listed else "\n\n") + other.text
    return text
