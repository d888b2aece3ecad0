"""Masking of whole reports: the same in each text as masking it alone, where few texts hold a secret, or all do."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any

import pytest

from reconciler.cli.masking import Mask
from render.boards import RECENT
from render.rich import AUDITED, PLANNED
from render.statuses import status

TOKEN = "the-token-of-a-web-server"
BROKEN = f"{TOKEN[:9]}\u200b {TOKEN[9:]}"


class Word(StrEnum):
    TOKEN = "the-token-of-a-web-server"


@dataclass(frozen=True, slots=True)
class Leaf:
    text: str
    count: int = 0
    word: Word | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    leaves: tuple[Leaf, ...] = ()
    mixed: tuple[str | int | Leaf | tuple[str, ...] | None, ...] = ()
    nothing: None = None


def many(*texts: str) -> Branch:
    """Several times more texts than are looked through at once, and these among them."""
    others = [f"{number:04} {'nothing to see here ' * 10}" for number in range(1000)]
    return Branch(tuple(map(Leaf, [*others[:500], *texts, *others[500:]])))


def test_what_holds_no_secret_stays_what_it_is() -> None:
    """A value in which nothing is to be masked is given as it is, not as a copy; a word of ours is no secret."""
    branch = replace(many(), mixed=("a", 1, Leaf("b", word=Word.TOKEN), None, ("c", "d"), ()))
    assert Mask([TOKEN])(branch) is branch
    assert Mask([])(branch) is branch


def test_secrets_are_masked_wherever_they_are() -> None:
    """In a text, a tuple, a record and what these hold a secret is masked; the rest is what it was."""
    mask = Mask([TOKEN, "another-one"])
    assert mask(f"see {TOKEN}") == "see aha-sk-***"
    assert mask(("a", TOKEN)) == ("a", "aha-sk-***")
    branch = Branch((Leaf("a"), Leaf(BROKEN, 7)), ("b", 1, Leaf("another-one"), None, ("c", TOKEN)))
    masked = mask(branch)
    assert masked == Branch((Leaf("a"), Leaf("aha-sk-***", 7)), ("b", 1, Leaf("aha-sk-***"), None, ("c", "aha-sk-***")))
    assert masked.leaves[0] is branch.leaves[0]


def test_one_among_many() -> None:
    """One text of many that holds a secret, whole, broken or of AhaSend's form, is found."""
    for text in (TOKEN, BROKEN, f"aha-sk-{'x' * 20}"):
        masked = Mask([TOKEN])(many(f"see {text}"))
        assert masked == many("see aha-sk-***")


def test_a_secret_that_runs_through_two_texts_is_none() -> None:
    """Texts are masked each by itself, wherever they stand."""
    branch = many(TOKEN[:9], TOKEN[9:])
    assert Mask([TOKEN, f"{TOKEN[:9]}|{TOKEN[9:]}"])(branch) is branch


def test_a_secret_that_is_nearly_all_blanks() -> None:
    """A secret that has few letters is masked as it is written; where its letters stand alone nothing is."""
    secret = "a   b   c"
    assert Mask([secret])(("a b c", f"{secret}!", "abc")) == ("a b c", "aha-sk-***!", "abc")


def with_each(value: Any, told: Callable[[str], str]) -> Any:
    """Give a value with each text in it changed."""
    if type(value) is str:
        return told(value)
    if isinstance(value, tuple):
        return tuple(with_each(item, told) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: with_each(getattr(value, each.name), told) for each in fields(value)})
    return value


@pytest.mark.parametrize("value", [PLANNED, AUDITED, status(recent=RECENT)])
def test_every_text_of_a_report(value: Any) -> None:
    """Of a report or a status that has everything in it, each text is masked as it is alone, whichever field it is."""
    mask = Mask([TOKEN])
    assert mask(value) is value
    shown = with_each(value, lambda text: f"{text} aha-sk-***!")
    assert mask(with_each(value, lambda text: f"{text} {TOKEN}!")) == shown
    assert mask(with_each(value, lambda text: f"{text} {BROKEN}!")) == shown
