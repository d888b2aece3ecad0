"""Lines of text at a terminal: how wide letters are there, how text is wrapped and cut, what stands beside it."""

import re
from dataclasses import replace

import pytest

from reconciler.core.report import UnmanagedKey
from reconciler.render.page import Page, Style, cut, quoted, width_of
from reconciler.render.terminal import render
from render.reports import account, change, report

LABELS = (
    ("plain", 5),
    ("日本語のラベル", 14),
    ("ストア (本番)", 13),
    ("한국어 키", 9),
    ("\u1112\u1161\u11ab", 2),  # the same syllable 한 in parts
    ("\uff26\uff35\uff2c\uff2c", 8),
    ("ｱｲｳ", 3),
    ("\U0001f511 master", 9),
    ("\U0001f1e9\U0001f1ea Laden", 8),
    ("\u2764\ufe0f x", 3),
    ("Café", 4),
    ("Cafe\u0301", 4),
    ("x\u0301\u0302\u0303y", 2),
    ("ไทย ปุ่ม", 6),
    ("7\u20dd", 1),
    ("①…—“”½", 6),
)
"""Labels, and how many columns xterm gives them, as it tells itself where its cursor stands after each."""


@pytest.mark.parametrize(("label", "columns"), LABELS)
def test_letters_are_as_wide_as_a_terminal_shows_them(label: str, columns: int) -> None:
    """Wide letters take two columns, marks upon others none, a letter in parts as much as in one."""
    assert width_of(label) == columns


def test_headings_stand_in_line_whatever_the_labels() -> None:
    """The words behind the labels begin in the same column of the terminal."""
    changes = [change("k", label=label, scopes=(["domains:read"], [])) for label, _ in LABELS]
    lines = render(report(account(*changes)), style=Style(colour=False, width=80)).splitlines()
    headings = [line for line in lines if line.startswith("  ~ ")]
    assert len(headings) == len(LABELS)
    assert {width_of(line.partition("narrows")[0]) for line in headings} == {
        len('  ~ update  k  "日本語のラベル"  ') + 7
    }


def test_nothing_that_can_be_wrapped_or_cut_is_wider_than_the_page() -> None:
    """Reasons, names and labels of wide letters stay inside of 60 columns."""
    wide = "鍵鍵鍵鍵鍵鍵 " * 20
    one = change("k", label="標" * 90, scopes=(["domains:read"], []), reason=wide)
    unmanaged = tuple(UnmanagedKey(str(number), "鍵" * 40, (), (), None) for number in range(3))
    text = render(report(replace(account(one), unmanaged=unmanaged)), style=Style(colour=False, width=60))
    assert [line for line in text.splitlines() if width_of(line) > 60] == []
    assert text.count("鍵鍵鍵鍵鍵鍵") >= 20


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("日本語", 6, "日本語"),
        ("日本語の", 6, "日..."),
        ("日本語の", 7, "日本..."),
        ("e\u0301" * 6, 6, "e\u0301" * 6),
    ],
)
def test_a_text_is_cut_by_columns(text: str, room: int, shown: str) -> None:
    """No more than ``room`` columns are left of a text, the three dots included; what has room is whole."""
    assert cut(text, room) == shown
    assert width_of(cut(text, room)) <= room
    assert quoted(text, room + 2) == f'"{shown}"'


def hung(text: str, beside: str = "", width: int = 40) -> list[str]:
    """The lines of a text right of a gutter."""
    page = Page(Style(colour=False, width=width))
    page.hang("  why  ", text, beside=beside)
    return page.text.splitlines()


def test_words_that_are_too_long_are_left_whole() -> None:
    """What is to be copied is not broken, gaps between words stay, but not where a line ends."""
    url = f"https://{'x' * 60}"
    assert hung(f"see {url} for  more") == ["  why  see", f"       {url}", "       for  more"]
    assert hung("a" * 30 + "   " + "b" * 10) == ["  why  " + "a" * 30, "       " + "b" * 10]
    assert hung("") == ["  why"]


def test_lines_of_a_text_stay_lines() -> None:
    """Each line of a text begins a line, with its own indent, also where it is empty."""
    assert hung("one\n  two three four five six seven eight\n\nnine") == [
        "  why  one",
        "         two three four five six seven",
        "         eight",
        "",
        "       nine",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["  why  short  key 3c90c3cc"]),
        ("it has room with 19", ["  why  it has room with 19  key 3c90c3cc"]),
        ("it has no room with 20", ["  why  it has no room with 20", "         key 3c90c3cc"]),
        (
            "two lines of which the last has room",
            ["  why  two lines of which the last has", "       room", "         key 3c90c3cc"],
        ),
        ("two\nlines", ["  why  two", "       lines", "         key 3c90c3cc"]),
        ("日本語のラベル 日本", ["  why  日本語のラベル 日本  key 3c90c3cc"]),
        ("日本語のラベル 日本語", ["  why  日本語のラベル 日本語", "         key 3c90c3cc"]),
    ],
)
def test_what_stands_beside_a_text(text: str, lines: list[str]) -> None:
    """It stands on the same line where both have room, else on one of its own: never where a wrapped text ends."""
    assert hung(text, "key 3c90c3cc") == lines


@pytest.mark.parametrize("colour", [False, True])
def test_no_line_begins_as_a_command_of_a_ci_runner(colour: bool) -> None:
    """Two colons at the beginning of a line, after blanks and colours, are no command: the first is escaped."""
    page = Page(Style(colour=colour, width=80))
    page.hang("    ", "::error file=a::all fine", "red")
    page.add("::set-output::x")
    page.hang("", "fine a::b ::c")
    plain = re.sub("\x1b\\[[0-9;]*m", "", page.text)
    assert plain == "    \\x3a:error file=a::all fine\n\\x3a:set-output::x\nfine a::b ::c\n"
