"""Scopes as rules name them: what reaches a pattern, its one spelling, and what a misspelt one was meant to be."""

import pytest

from builders import NEWS, SHOP, scopes
from reconciler.core.scopes import (
    STATIC,
    TARGETED,
    ScopePatterns,
    ScopeSet,
    canonical_pattern,
    parse_scope,
    pattern_suggestion,
)


@pytest.mark.parametrize(
    ("pattern", "scope", "reached"),
    [
        ("*", "api-keys:read", True),
        ("*", "future:do", True),
        ("api-keys:*", "api-keys:write", True),
        ("api-keys:*", "sub-account-api-keys:write", False),
        ("*api-keys:*", "sub-account-api-keys:write", True),
        ("accounts:*", "accounts:members:add", True),
        ("accounts:write", "accounts:write", True),
        ("accounts:write", "accounts:read", False),
        ("api-keys:?ead", "api-keys:read", True),
        ("api-keys:?ad", "api-keys:read", False),
        ("messages:send:*", "messages:send:all", True),
        ("messages:send:*", SHOP, True),
        ("messages:send:*", "messages:read:all", False),
        ("messages:*", SHOP, True),
        ("messages:send:all", "messages:send:all", True),
        ("messages:send:all", SHOP, False),
        (SHOP, SHOP, True),
        (SHOP, NEWS, False),
        ("messages:send:{*.example.com}", SHOP, True),
        ("messages:send:{*.example.com}", "messages:send:{example.com}", False),
        ("messages:send:{*.example.com}", "messages:send:{shop.example.org}", False),
        ("messages:send:{sho?.example.com}", SHOP, True),
        ("[am]*", "api-keys:read", False),
        ("[am]*", "[am]-future:do", True),
        ("api-keys:*", "API-keys:read", False),
    ],
)
def test_what_is_like_a_pattern(pattern: str, scope: str, reached: bool) -> None:
    """A scope reaches a pattern that it is like as a whole; brackets stand for themselves, and case counts."""
    assert ScopePatterns((pattern,)).reached_by(parse_scope(scope)) is reached


@pytest.mark.parametrize(
    ("pattern", "scope", "reached"),
    [
        ("api-keys:write", "*", True),
        ("future:do", "*", True),
        (SHOP, "messages:send:all", True),
        ("messages:send:{*.example.com}", "messages:send:all", True),
        (SHOP, "messages:read:all", False),
        ("messages:read:{shop.example.com}", "messages:send:all", False),
        ("future:do:{shop.example.com}", "future:do:all", False),
        ("domains:delete", "domains:delete:all", False),
    ],
)
def test_what_covers_something_like_a_pattern(pattern: str, scope: str, reached: bool) -> None:
    """Everything reaches every pattern, and all domains reach a pattern of domains of their family alone."""
    assert ScopePatterns((pattern,)).reached_by(parse_scope(scope)) is reached


def test_reached() -> None:
    """Of a set, those are given that reach one of several patterns, sorted, covered ones included."""
    patterns = ScopePatterns(("api-keys:*", SHOP))
    held = scopes("messages:send:all", SHOP, NEWS, "domains:read", "api-keys:write", "api-keys:read")
    assert patterns.reached(held) == ("api-keys:read", "api-keys:write", "messages:send:all", SHOP)
    assert patterns.reached(scopes("domains:read", NEWS)) == ()
    assert patterns.reached(scopes()) == ()
    assert ScopePatterns(()).reached(scopes("*")) == ()
    assert str(patterns) == f"api-keys:*, {SHOP}"
    assert str(ScopePatterns(())) == ""


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("*", "*"),
        ("messages:*", "messages:*"),
        ("messages:send:*", "messages:send:*"),
        ("messages:send:all", "messages:send:all"),
        (" messages:send:all ", "messages:send:all"),
        ("messages:send:shop.example.com", SHOP),
        (" messages:send:shop.example.com\n", SHOP),
        ("messages:send:{ Shop.EXAMPLE.com. }", SHOP),
        ("messages:send:*.Example.com.", "messages:send:{*.example.com}"),
        ("messages:send:{*.example.com}", "messages:send:{*.example.com}"),
        ("messages:send:{shop.example.com", SHOP),
        ("messages:send:{*}", "messages:send:{*}"),
        ("messages:send:localhost", "messages:send:{localhost}"),
        ("messages:send:all*", "messages:send:{all*}"),
        ("messages:send", "messages:send"),
        ("domains:read", "domains:read"),
        ("domains:delete:*", "domains:delete:*"),
        (" future:do:{Example.COM} ", "future:do:{example.com}"),
    ],
)
def test_spelling(text: str, canonical: str) -> None:
    """A domain is spelled as in a scope, braces included; what names none, or an unknown family, stays as it is."""
    assert canonical_pattern(text) == canonical
    assert canonical_pattern(canonical) == canonical


@pytest.mark.parametrize("text", [*sorted(STATIC), *(f"{family}:all" for family in sorted(TARGETED)), SHOP, "*"])
def test_a_scope_is_a_pattern_of_itself(text: str) -> None:
    """Every known scope, written as a pattern, is spelled the same, is no mistake, and is reached by itself."""
    assert canonical_pattern(text) == text
    assert pattern_suggestion(text) is None
    assert ScopePatterns((text,)).reached(scopes(text)) == (text,)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("api-keys:raed", "api-keys:read"),
        ("api-keys:[r]ead", "api-keys:read"),
        ("api-kees:*", "api-keys:*"),
        ("api-keees:*", "api-keys:*"),
        ("message:*", "messages:*"),
        ("messages:snd:*", "messages:send:*"),
        ("Messages:Send:*", "messages:send:*"),
        ("accounts:membrs:*", "accounts:members:*"),
        ("sub-acount-api-keys:*", "sub-account-api-keys:*"),
        ("messages:sned:all", "messages:send:all"),
        ("messages:snd:{shop.example.com}", SHOP),
        ("messages:snd:shop.example.com", SHOP),
        ("messages:send", "messages:send:all or messages:send:{example.com}"),
    ],
)
def test_suggestions(pattern: str, meant: str) -> None:
    """A pattern that no known scope is like, within two edits of a known one, has that one to suggest."""
    assert pattern_suggestion(pattern) == meant


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "*:write",
        "messages*",
        "messages:*",
        "messages:send:*",
        "messages:send*",
        "messages:send:{*.example.com}",
        "messages:send:*.example.com",
        "api-keys:?ead",
        "accounts:*",
        "api-keeees:*",
        "invoices:*",
        "invoices:read",
        "invoices:read:{example.com}",
        "[am]*",
    ],
)
def test_no_suggestion(pattern: str) -> None:
    """A pattern that some known scope is like, or that resembles none we know, is left alone."""
    assert pattern_suggestion(pattern) is None


@pytest.mark.parametrize(
    ("text", "domain"),
    [(SHOP, "shop.example.com"), ("messages:send:all", None), ("domains:read", None), ("*", None), ("a:{b.c}", None)],
)
def test_the_domain_of_a_scope(text: str, domain: str | None) -> None:
    """A scope has a domain when it aims at one in a family that we know."""
    assert parse_scope(text).domain == domain


def test_sets_are_equal_however_they_are_listed() -> None:
    """Order, repetition and spelling of a list make no other set, nor another hash; the texts decide nothing else."""
    one, other = scopes(SHOP, "api-keys:read"), scopes("api-keys:read", "messages:send:Shop.example.com.", SHOP)
    assert one == other
    assert (hash(one), len({one, other})) == (hash(other), 1)
    assert one != scopes(SHOP)
    assert repr(scopes("*")) == repr(ScopeSet((parse_scope("*"),)))
    assert "texts" not in repr(one)
    assert hash(parse_scope(SHOP)) == hash(parse_scope("messages:send:Shop.example.com"))


def test_reduced_sets_are_equal_however_they_are_listed() -> None:
    """Sets in any order reduce to equal ones, again and again, and a reduced set reduces to itself."""
    texts = ("webhooks:read:all", "webhooks:read:{b.example}", "routes:read:{b.example}")
    first, second = scopes(*texts).reduced(), scopes(*reversed(texts)).reduced()
    assert first == second == scopes(*texts).reduced() == first.reduced()
    assert first.texts == ("routes:read:{b.example}", "webhooks:read:all")


@pytest.mark.parametrize("texts", [("routes:write:all", SHOP), (SHOP, "routes:write:all"), ("*",), ()])
def test_a_set_that_cannot_be_reduced_is_given_back(texts: tuple[str, ...]) -> None:
    """Callers ask whether it is the very set, even where an equal one in another order was asked about before."""
    asked = scopes(*texts)
    assert asked.reduced() is asked
