"""Patterns of names, labels and owners: what is like one."""

import pytest

from reconciler.core.patterns import is_like


@pytest.mark.parametrize(
    ("text", "pattern", "like"),
    [
        ("shop", "shop", True),
        ("shop", "sho", False),
        ("shop", "hop", False),
        ("shop", "Shop", False),
        ("", "", True),
        ("shop", "", False),
        ("", "*", True),
        ("shop", "*", True),
        ("line\nbreak", "*", True),
        ("line\n", "line", False),
        ("shop-sender", "shop-*", True),
        ("shop-", "shop-*", True),
        ("my-shop-", "shop-*", False),
        ("shop", "s*p", True),
        ("shop", "*o*", True),
        ("shop", "s?op", True),
        ("shop", "shop?", False),
        ("shop", "????", True),
        ("", "?", False),
        ("ci[1]", "ci[1]", True),
        ("ci1", "ci[1]", False),
        ("ci[1]", "ci[?]", True),
        ("ci[!1]", "ci[!1]", True),
        ("ci2", "ci[!1]", False),
        ("[", "[", True),
        ("[[]", "[[]", True),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("a/b", "a*", True),
        ("a" * 60, "*a" * 12 + "*b", False),
        ("a" * 255, "*a" * 30 + "*b", False),
    ],
)
def test_is_like(text: str, pattern: str, like: bool) -> None:
    """A text is like a pattern as a whole; ``*`` and ``?`` are all that stands for others, and no pattern is slow."""
    assert is_like(text, pattern) is like
