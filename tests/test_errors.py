"""Errors: what they say, what they hide, what they exit with."""

from time import process_time

import pytest

from reconciler.errors import (
    BadAnswer,
    FilesError,
    Forbidden,
    Interrupted,
    NoDaemon,
    NotFound,
    OutputError,
    Problem,
    RateLimited,
    ReconcilerError,
    Rejected,
    RemoteError,
    ServerFault,
    SettingsError,
    TrailError,
    Unauthorized,
    Unreachable,
    UnsoundListing,
    UsageError,
    mask,
    mask_all,
    may_hold,
    visible,
)

REMOTE = (
    BadAnswer,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
    Unreachable,
    UnsoundListing,
)


@pytest.mark.parametrize("error", REMOTE)
def test_remote_errors(error: type[RemoteError]) -> None:
    """Whatever goes wrong with the remote API is a RemoteError, and a retry may help: 4."""
    assert issubclass(error, RemoteError)
    assert error("no").exit_code == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReconcilerError("x"), 1),
        (SettingsError("x"), 1),
        (OutputError("x"), 1),
        (TrailError("x"), 1),
        (NoDaemon("x"), 1),
        (FilesError(()), 1),
        (UsageError("x"), 64),
        (Interrupted(), 4),
    ],
)
def test_exit_codes(error: ReconcilerError, code: int) -> None:
    """Each kind of error has the exit code that README promises."""
    assert error.exit_code == code


def test_hint_is_shown() -> None:
    """The hint follows the message on a line of its own, and only where there is one."""
    assert str(ReconcilerError("no such file", hint="create it")) == "no such file\n  hint: create it"
    assert str(ReconcilerError("no such file")) == "no such file"
    assert str(Interrupted()) == "interrupted"


def test_the_tree_is_whole() -> None:
    """The module's docstring shows every error."""
    import reconciler.errors

    below = [ReconcilerError]
    for error in below:
        below += error.__subclasses__()
        if error.__module__ == reconciler.errors.__name__:
            assert error.__name__ in (reconciler.errors.__doc__ or "")


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("Bearer aha-sk-Ab_9-z, then", (), "Bearer aha-sk-***, then"),
        ("aha-sk-one aha-sk-two", (), "aha-sk-*** aha-sk-***"),
        ("token hunter22", ("hunter22",), "token aha-sk-***"),
        ("nothing here", ("", "here", "hunter22"), "nothing here"),
        ("key abcdefghij", ("abcdefgh", "abcdefghij"), "key aha-sk-***"),
        ("aha-sk-abc+def", ("aha-sk-abc+def",), "aha-sk-***"),
    ],
)
def test_mask(text: str, secrets: tuple[str, ...], shown: str) -> None:
    """No part of a secret is left, whatever its form and whichever other secret it begins with."""
    assert mask(text, *secrets) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Zoë, 日本, ❤️", "plain, Zoë, 日本, ❤️"),
        ("a\x1b[31m\u202eb\u200b", "a\\x1b[31m\\u202eb\\u200b"),
        ("storefront\ufe0f", "storefront\\ufe0f"),
        ("\ufe0fx\u034fy\u3164z\u2800", "\\ufe0fx\\u034fy\\u3164z\\u2800"),
        ("a\U000e0101b\u115f", "a\\U000e0101b\\u115f"),
        ("##[set-output name=x;]true", "##\\x5bset-output name=x;]true"),
        ("a ##vso[task.setvariable]b", "a ##vso\\x5btask.setvariable]b"),
        ("# [x] ##", "# [x] ##"),
    ],
)
def test_what_is_obeyed_or_not_seen_is_escaped(text: str, shown: str) -> None:
    """Whatever a terminal or a CI runner would obey, or nobody would see, is shown as what it is; other text stays."""
    assert visible(text) == shown


def test_problems_name_their_place() -> None:
    """A problem shows file, line and column, or the file alone, and never a secret."""
    assert str(Problem("a.yaml", 3, 5, "no")) == "a.yaml:3:5: no"
    assert str(Problem("a.yaml", 0, 0, "no")) == "a.yaml: no"
    assert str(Problem("a.yaml", 1, 1, "aha-sk-abc is no label")) == "a.yaml:1:1: aha-sk-*** is no label"


def test_problems_are_sorted_and_told_once() -> None:
    """A FilesError lists each problem once, in the order of files and lines."""
    first, second = Problem("a.yaml", 9, 1, "no"), Problem("b.yaml", 2, 1, "no")
    error = FilesError((second, first, second))
    assert error.problems == (first, second)
    assert str(error) == "a.yaml:9:1: no\nb.yaml:2:1: no"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a token-12345 b", "a aha-sk-*** b"),
        ("a tok en-\n12345 b", "a aha-sk-*** b"),
        ("t\u200bo\u200bken-12345", "aha-sk-***"),
        ("token-1 2345token-12 345 token-12345", "aha-sk-***aha-sk-*** aha-sk-***"),
        ("token-1 234 and to ken-12 345", "token-1 234 and aha-sk-***"),
        ("nothing here", "nothing here"),
        ("with blank-6789", "with aha-sk-***"),
        ("with bl ank-67 89", "with aha-sk-***"),
        ("tok\u00aden\u061c-123\x0045", "aha-sk-***"),
        ("token-12345-sec\nret-tail", "aha-sk-***"),
    ],
)
def test_secrets_that_are_broken(text: str, shown: str) -> None:
    """A known secret is masked also where blanks break it, and where it holds blanks itself; the rest stays."""
    assert mask(text, "token-12345", "short", "bl ank-6789", "token-12345-secret-tail") == shown


@pytest.mark.parametrize("place", [0, 5, 65_530, 65_536, 131_070, 199_990])
@pytest.mark.parametrize("between", ["", " ", "\u200b\n"])
def test_a_secret_in_a_long_text(place: int, between: str) -> None:
    """Wherever in a long text a secret stands, whole or broken, it is masked, and nothing else is."""
    text = "Z\u00e9 b" * 50_000
    told = f"{text[:place]}token{between}-12345{text[place:]}"
    assert mask(told, "token-12345") == f"{text[:place]}aha-sk-***{text[place:]}"
    assert may_hold(told, "token-12345")
    assert not may_hold(text, "token-12345")


def test_blanks_cost_nothing() -> None:
    """Neither a secret with blanks in it nor a text full of them takes long."""
    secret = "a   b   c   d-e-f-g-h"
    assert mask(" " * 200_000 + secret, secret) == " " * 200_000 + "aha-sk-***"
    assert mask("a b" * 100_000, secret, *(f"{number:08}" for number in range(200))) == "a b" * 100_000


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("a secret-1 b", "secret-", "1", "", "sec", "ret-1", "se cret-1", "aha-sk-abc", "aha-sk-", "def"),
        ("\ue000secret-1", "\ue001", "x"),
        ("".join(map(chr, range(0xE000, 0xE010))), "secret-1"),
    ],
)
def test_many_texts_are_masked_as_each_of_them(texts: tuple[str, ...]) -> None:
    """A secret is found within one, and never across two."""
    for secrets in (("secret-1", "other-12"), ("secret-1", "sec\ue000ret-1"), ()):
        assert mask_all(texts, *secrets) == [mask(text, *secrets) for text in texts]


def test_many_texts_are_masked_quickly() -> None:
    """Thousands of them, with as many secrets as there may be, in a moment."""
    began = process_time()
    mask_all([f"3c90c3cc-0d44-4b50-{number:012}" for number in range(5000)], *(f"s3cret-{n:09}" for n in range(600)))
    assert process_time() - began < 1
