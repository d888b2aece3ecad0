"""A comment in Markdown: what is code stays what it is, and what has no room is folded, or cut and counted."""

from collections.abc import Callable

import pytest

from reconciler.errors import visible
from reconciler.render.comment import LIMIT, Item, Section, code, compose, fence, sentence
from render.parsed import READERS, Seen
from render.rich import HOSTILE

Reader = Callable[[str], Seen]
TEXTS = (
    *HOSTILE,
    "plain",
    "`",
    "``a`",
    "a`",
    "`" * 100,
    "a" + "`" * 90 + "b``c`",
    " one space each ",
    " `ticks` ",
    " before",
    "after ",
    "   ",
    "back\\slash\\",
    "\\`",
    "@everyone @org/team #1 GH-1 org/repo#1 :tada: a@b.example",
    "https://example.com www.example.com <https://example.com>",
    "![i](x) [a]: b ~~s~~ **b** - [ ] task",
    "&lt;&#96;&copy;",
    "$`x`$ \\| || |",
    "\ud800\x00\x85\u2028 \U000e0041",
    "日本語 🔑",
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("around", ["{}", "a {} b", "- {}: {}", "**b** {} · {}"])
def test_a_text_in_code_is_what_it_was(read: Reader, text: str, around: str) -> None:
    """A text of others is read as exactly its visible form, wherever it stands, and makes no other element."""
    seen, plain = read(around.replace("{}", code(text))), read(around.replace("{}", code("x")))
    assert set(seen.code) == {visible(text)}
    assert (seen.tags, seen.outside) == (plain.tags, plain.outside)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", TEXTS)
def test_lines_in_a_fence_are_what_they_were(read: Reader, text: str) -> None:
    """No line ends the code that it stands in, however many backticks it holds."""
    seen = read(f"{fence([f'- {text}', f'+ {text}', '  end'], 'diff')}\n\nafter")
    assert seen.code == [f"- {visible(text)}\n+ {visible(text)}\n  end\n"]
    assert seen.outside.strip() == "after"


def test_what_is_shown_of_nothing() -> None:
    """An empty text is called so; in code there would be nothing to see."""
    assert code("") == "(empty)"
    assert sentence(" \n ") == "(empty)"


def test_a_sentence_of_several_lines() -> None:
    """Lines become parts of one sentence, and no line of a comment."""
    assert sentence("403: no\n  hint: give it\n\nor not") == "`403: no; hint: give it; or not`"


@pytest.mark.parametrize(("show", "room"), [(code, 300), (sentence, 1000)])
def test_a_long_text_is_cut(show: Callable[[str], str], room: int) -> None:
    """So many characters are shown of a text, with dots where it goes on, also where they take no room on a screen."""
    assert show("x" * room) == f"`{'x' * room}`"
    assert show("x" * (room + 1)) == f"`{'x' * (room - 3)}...`"
    assert show("\u0301" * 20_000) == f"`{chr(0x301) * (room - 3)}...`"


def test_no_secret_is_shown() -> None:
    """A secret is masked before a text is cut, so that no half of it is left."""
    assert code("aha-sk-abc") == "`aha-sk-***`"
    assert code("x" * 290 + "aha-sk-abcdef") == f"`{'x' * 290}aha-sk-***`"
    assert "aha-sk-abc" not in fence(["+ aha-sk-abc"], "diff")


def test_a_fence_holds_so_many_lines() -> None:
    """After sixty lines, or twelve thousand bytes, the others are counted."""
    assert fence(["+ a"] * 60, "diff").count("+ a") == 60
    many = fence(["+ a"] * 63, "diff")
    assert many.count("+ a") == 60
    assert many.endswith("\n  and 3 more, all of them in -o json\n```")
    wide = fence([f"+ {'🔑' * 290}"] * 40, "diff")
    assert wide.count("+ ") == 11
    assert "and 29 more" in wide


# Sections


def bullets(count: int, text: str = "x") -> list[Item]:
    return [Item(f"- {text} {place}") for place in range(count)]


def test_what_has_room_on_a_screen_stands_open() -> None:
    """Short sections are not folded, their lists are close together, and empty ones leave no trace."""
    sections = [Section("First", bullets(2)), Section("None", []), Section("Last", [*bullets(1), Item("y", 0)])]
    assert compose("Begin", sections, "End") == (
        "Begin\n\n### First (2)\n\n- x 0\n- x 1\n\n### Last (1)\n\n- x 0\n\ny\n\nEnd\n"
    )
    assert compose("Begin", [], "") == "Begin\n"


def test_what_has_no_room_on_a_screen_is_folded() -> None:
    """What fills the screen stands open, the rest of that section and all of the next are folded."""
    text = compose("Begin", [Section("First", bullets(30)), Section("Next", bullets(1))], "")
    assert "- x 20\n\n<details><summary>First: 9 more</summary>\n\n- x 21\n" in text
    assert text.endswith("- x 29\n\n</details>\n\n<details><summary><b>Next (1)</b></summary>\n\n- x 0\n\n</details>\n")
    assert "### Next" not in text


def test_long_lines_take_room_too() -> None:
    """A line that is wrapped on a screen counts as many."""
    text = compose("Begin", [Section("First", bullets(5, "x" * 1500))], "")
    assert "<details><summary>First: 3 more</summary>" in text


def test_some_sections_always_stand_open() -> None:
    """A section may have lines of its own, however full the screen is; another one is folded in any case."""
    sections = [Section("First", bullets(60)), Section("Own", bullets(20), open_lines=12), Section("Never", bullets(1))]
    text = compose("Begin", sections, "")
    assert "### Own (20)\n\n- x 0\n- x 1\n- x 2\n- x 3\n- x 4\n\n<details><summary>Own: 15 more</summary>" in text
    assert "<details><summary><b>Shut (1)</b></summary>" in compose("", [Section("Shut", bullets(1), folded=True)], "")


def test_less_important_sections_are_cut_first() -> None:
    """Of sections that are too long the last are cut, but the one of the least rank after all others."""
    sections = [
        Section("First", bullets(60, "f" * 990)),
        Section("Kept", bullets(30, "k" * 990), rank=0),
        Section("Last", [*bullets(1), Item("- of no number", 0)]),
        Section("Uncounted", [Item("- u", 0)]),
    ]
    text = compose("Begin", sections, "End")
    assert text.count("- kkk") == 30
    assert text.count("- fff") == 27
    assert "\n\nFirst: 33 more not shown here; `-o json` has all of them.\n" in text
    assert "\n\n### Last (1)\n\nLast: 1 not shown here; `-o json` has all of them.\n" in text
    assert "\n\n### Uncounted\n\nUncounted: not shown here; `-o json` has all of them.\n" in text
    assert text.endswith("\n\nEnd\n")
    assert LIMIT - 5_000 < len(text.encode()) < LIMIT


def test_the_most_important_is_cut_last() -> None:
    """Where even the most important section has no room it is cut too, and says so."""
    text = compose("Begin", [Section("Other", bullets(1)), Section("Kept", bullets(90, "k" * 990), rank=0)], "End")
    assert "### Other (1)\n\nOther: 1 not shown here;" in text
    shown = text.count("- kkk")
    assert shown > 50
    assert f"Kept: {90 - shown} more not shown here;" in text


def test_bytes_count_not_letters() -> None:
    """Letters that take four bytes are counted as four."""
    text = compose("Begin", [Section("First", bullets(60, "🔑" * 990))], "End")
    assert LIMIT - 8_000 < len(text.encode()) < LIMIT


def test_what_was_left_out_before_is_counted_too() -> None:
    """What never was an item is in the number of a section, and in that of what is not shown."""
    text = compose("", [Section("First", bullets(2), left_out=3)], "")
    assert text == ("### First (5)\n\n- x 0\n- x 1\n\nFirst: 3 more not shown here; `-o json` has all of them.\n")
