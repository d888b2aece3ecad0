"""What a shell is told when somebody presses the tabulator: nothing is asked, nothing is written, nothing fails aloud.

A shell's script hands over the line up to the cursor in ``COMPLETE_LINE``, and gets a line for each word that may
follow: ``plain``, the word, its meaning; or ``file``, where file names follow, and what stands before them. All three
are parted by tabulators. Source of the words: click's own completion.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

VARIABLE: Final = "_RECONCILER_COMPLETE"
_LONGEST_HELP: Final = 70


@dataclass(frozen=True, slots=True)
class Asked:
    """What a shell asks: the words before, the word that is to be completed, and where it takes a word to end."""

    before: tuple[str, ...]
    word: str
    breaks: str = ""

    @property
    def lead(self) -> str:
        """The part of the word that is an option and its ``=``."""
        name, equals, _ = self.word.partition("=")
        return name + equals if equals and name.startswith("--") and "--" not in self.before else ""

    @property
    def fixed(self) -> str:
        """The part of the value that a shell leaves as it is, since it takes it for words of their own."""
        value = self.word.removeprefix(self.lead)
        return value[: max((value.rfind(each) for each in self.breaks), default=-1) + 1]


def read_line(environment: Mapping[str, str]) -> Asked:
    """Read what a shell asks; the last word is empty where the line ends with a blank."""
    line = environment.get("COMPLETE_LINE", "")
    words = split_arg_string(line)[1:]
    if not words or (line[-1:].isspace() and not line.endswith("\\ ")):
        words.append("")
    return Asked(tuple(words[:-1]), words[-1], environment.get("COMPLETE_BREAKS", ""))


Item = CompletionItem[str]


def _for_bash(asked: Asked, items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        yield _line(item.type, item.value.removeprefix(asked.fixed), "")


def _for_zsh(asked: Asked, items: Iterable[Item]) -> Iterator[str]:
    if asked.lead:
        yield _line("lead", asked.lead, "")
    for item in items:
        yield _line(item.type, item.value, item.help or "")


def _for_fish(asked: Asked, items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        yield _line(item.type, asked.lead + item.value, item.help or "")


ANSWERS: Final[Mapping[str, Callable[[Asked, Iterable[Item]], Iterator[str]]]] = {
    "bash": _for_bash,
    "zsh": _for_zsh,
    "fish": _for_fish,
}
"""How each shell is answered."""


def _line(kind: str, value: str, meaning: str) -> str:
    """Give a line of an answer, without what a terminal would obey, and what is too long to be read at a glance."""
    short = meaning.partition("  [")[0].partition("; ")[0]
    told = short if len(short) <= _LONGEST_HELP else f"{short[: _LONGEST_HELP - 1]}…"
    return "\t".join("".join(letter for letter in part if letter.isprintable()) for part in (kind, value, told))


def answer(group: click.Group, environment: Mapping[str, str]) -> str:
    """Give the answer to a shell; nothing where anything went wrong: a line that is being typed has no room for it."""
    with suppress(Exception):
        asked = read_line(environment)
        items = ShellComplete(group, {}, "reconciler", VARIABLE).get_completions([*asked.before], asked.word)
        return "".join(f"{line}\n" for line in ANSWERS[environment[VARIABLE]](asked, items))
    return ""


def complete(group: click.Group) -> int:
    """Answer the shell that started this process, and give the exit code."""
    text = answer(group, os.environ)
    with suppress(OSError):
        os.write(1, text.encode("utf-8", "surrogateescape"))
    return 0
