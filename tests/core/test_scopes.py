"""Scopes: spelling, who covers whom, sets, and what a misspelt one was meant to be."""

import pytest

from builders import scopes
from reconciler.core.scopes import STATIC, TARGETED, Reach, Scope, canonical_domain, parse_scope, suggestion


def test_families() -> None:
    """The families are those of AhaSend's OpenAPI document, and no others."""
    assert {
        "accounts:read",
        "accounts:write",
        "accounts:billing",
        "accounts:members:read",
        "accounts:members:add",
        "accounts:members:update",
        "accounts:members:remove",
        "domains:read",
        "domains:write",
        "suppressions:read",
        "suppressions:write",
        "suppressions:delete",
        "suppressions:wipe",
        "api-keys:read",
        "api-keys:write",
        "api-keys:delete",
        "sub-accounts:read",
        "sub-accounts:write",
        "sub-accounts:delete",
        "sub-accounts:suspend",
        "sub-accounts:usage",
        "sub-account-api-keys:read",
        "sub-account-api-keys:write",
        "sub-account-api-keys:delete",
    } == STATIC
    assert {
        "messages:send",
        "messages:cancel",
        "messages:read",
        "domains:delete",
        "webhooks:read",
        "webhooks:write",
        "webhooks:delete",
        "routes:read",
        "routes:write",
        "routes:delete",
        "smtp-credentials:read",
        "smtp-credentials:write",
        "smtp-credentials:delete",
        "statistics-transactional:read",
    } == TARGETED


@pytest.mark.parametrize("text", sorted(STATIC))
def test_static_families(text: str) -> None:
    """A static scope is known as it stands, covers itself, and takes no target."""
    assert parse_scope(text) == Scope(text, text, Reach.STATIC)
    assert parse_scope(text).covers(parse_scope(text))
    assert parse_scope(f"{text}:all").reach is Reach.UNKNOWN
    assert suggestion(text) is None


@pytest.mark.parametrize("family", sorted(TARGETED))
def test_targeted_families(family: str) -> None:
    """A family with targets reaches all domains or one, and all covers one, not the other way round."""
    everywhere, one = parse_scope(f"{family}:all"), parse_scope(f"{family}:{{example.com}}")
    assert everywhere == Scope(f"{family}:all", family, Reach.ALL)
    assert one == Scope(f"{family}:{{example.com}}", family, Reach.DOMAIN)
    assert everywhere.covers(one)
    assert not one.covers(everywhere)
    assert parse_scope(family).reach is Reach.UNKNOWN


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("messages:send:{example.com}", "messages:send:{example.com}"),
        ("messages:send:example.com", "messages:send:{example.com}"),
        ("messages:send:Shop.EXAMPLE.com.", "messages:send:{shop.example.com}"),
        ("messages:send:{ Example.COM. }", "messages:send:{example.com}"),
        ("messages:send:{localhost}", "messages:send:{localhost}"),
        ("messages:send:{all}", "messages:send:{all}"),
        ("messages:send:{bücher.example}", "messages:send:{bücher.example}"),
    ],
)
def test_domains_have_one_spelling(text: str, canonical: str) -> None:
    """A domain is lower-cased, trimmed, loses its trailing dot and gains its braces, as the API does it."""
    assert parse_scope(text) == Scope(canonical, text.rpartition(":")[0], Reach.DOMAIN)
    assert parse_scope(canonical) == parse_scope(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*:*",
        "messages:send",
        "messages:send:",
        "messages:send:{}",
        "messages:send:{.}",
        "messages:send:{a b}",
        "messages:send:{example.com..}",
        "messages:send:{*.example.com}",
        "messages:send:example",
        "messages:send:{example.com",
        "messages:send:All",
        "Messages:send:all",
        " messages:send:all",
        "future:do:all",
        "future:do:{Example.COM}",
    ],
)
def test_unknown_scopes_are_kept(text: str) -> None:
    """What we do not know stays exactly as it is and covers nothing but itself."""
    scope = parse_scope(text)
    assert scope == Scope(text, text, Reach.UNKNOWN)
    assert scope.covers(parse_scope(text))
    assert not scope.covers(parse_scope(text + "x"))


@pytest.mark.parametrize(
    ("holder", "wanted", "forth", "back"),
    [
        ("*", "*", True, True),
        ("*", "api-keys:write", True, False),
        ("*", "messages:send:all", True, False),
        ("*", "messages:send:{a.example}", True, False),
        ("*", "future:do:all", True, False),
        ("api-keys:write", "api-keys:read", False, False),
        ("messages:send:all", "messages:read:{a.example}", False, False),
        ("messages:send:all", "messages:send:{all}", True, False),
        ("messages:send:{a.example}", "messages:send:{b.example}", False, False),
        ("messages:send:{a.example}", "messages:send:{x.a.example}", False, False),
        ("future:do:all", "future:do:{a.example}", False, False),
        ("accounts:members:read", "accounts:read", False, False),
    ],
)
def test_who_covers_whom(holder: str, wanted: str, forth: bool, back: bool) -> None:
    """``*`` covers all, all domains cover one, everything else only itself; overlapping is covering either way."""
    one, other = parse_scope(holder), parse_scope(wanted)
    assert (one.covers(other), other.covers(one)) == (forth, back)
    assert one.overlaps(other) is other.overlaps(one) is (forth or back)


@pytest.mark.parametrize(
    ("texts", "reduced"),
    [
        ((), ()),
        (("messages:send:a.example", "messages:send:{A.example}"), ("messages:send:{a.example}",)),
        (
            ("messages:send:all", "messages:send:{a.example}", "messages:read:{a.example}"),
            ("messages:read:{a.example}", "messages:send:all"),
        ),
        (("*", "api-keys:read", "future:do"), ("*",)),
        (("future:do:{a.example}", "future:do:all"), ("future:do:all", "future:do:{a.example}")),
        (("api-keys:write", "api-keys:read"), ("api-keys:read", "api-keys:write")),
    ],
)
def test_reduced(texts: tuple[str, ...], reduced: tuple[str, ...]) -> None:
    """What another scope of the set covers is left out; each is named once, sorted."""
    assert scopes(*texts).reduced().texts == reduced
    assert scopes(*texts).equivalent(scopes(*reduced))


@pytest.mark.parametrize(
    ("left", "right", "only_left", "only_right"),
    [
        ((), (), (), ()),
        (("api-keys:read",), (), ("api-keys:read",), ()),
        (("*", "future:do"), ("*",), (), ()),
        (("*",), ("future:do", "api-keys:read"), ("*",), ()),
        (("messages:send:all",), ("messages:send:{a.example}",), ("messages:send:all",), ()),
        (("messages:send:all", "messages:send:{a.example}"), ("messages:send:all",), (), ()),
        (
            ("messages:send:all", "messages:send:{a.example}"),
            ("messages:send:{b.example}",),
            ("messages:send:all",),
            (),
        ),
        (("future:do:all",), ("future:do:{a.example}",), ("future:do:all",), ("future:do:{a.example}",)),
        (("messages:send:A.example.",), ("messages:send:{a.example}",), (), ()),
    ],
)
def test_beyond_and_equivalent(
    left: tuple[str, ...], right: tuple[str, ...], only_left: tuple[str, ...], only_right: tuple[str, ...]
) -> None:
    """Beyond names what the other set does not cover, the widest form alone; equal sets have nothing beyond."""
    one, other = scopes(*left), scopes(*right)
    assert tuple(scope.text for scope in one.beyond(other)) == only_left
    assert tuple(scope.text for scope in other.beyond(one)) == only_right
    assert one.equivalent(other) is other.equivalent(one) is (not only_left and not only_right)


def test_sets_are_sorted_and_iterable() -> None:
    """A set holds each scope once, sorted by text, and says whether it covers one."""
    both = scopes("messages:send:b.example", "api-keys:read", "api-keys:read")
    assert both.texts == tuple(scope.text for scope in both) == ("api-keys:read", "messages:send:{b.example}")
    assert len(both) == 2
    assert both.covers(parse_scope("api-keys:read"))
    assert not both.covers(parse_scope("api-keys:write"))


def test_canonical_domain() -> None:
    """A domain has one spelling."""
    assert canonical_domain(" Example.COM. ") == "example.com"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("api-keys:raed", "api-keys:read"),
        ("api-key:read", "api-keys:read"),
        ("API-Keys:Read", "api-keys:read"),
        (" api-keys:read ", "api-keys:read"),
        ("messages:sned:all", "messages:send:all"),
        ("messages:send:al", "messages:send:all"),
        ("messages:send", "messages:send:all or messages:send:{example.com}"),
        ("messages:send:", "messages:send:{example.com}"),
        ("messages:send:{}", "messages:send:{example.com}"),
        ("messages:send:{a b}", "messages:send:{example.com}"),
        ("messages:send:*", "messages:send:all"),
        ("messages:send:{*}", "messages:send:all"),
        ("messages:send:{shop.example.com", "messages:send:{shop.example.com}"),
        ("messages:send:{shop.example.com..}", "messages:send:{shop.example.com}"),
        ("messages:send:example", "messages:send:{example}"),
        ("mesages:send:shop.example.com", "messages:send:{shop.example.com}"),
        ("mesages:send:{shop.example.com}", "messages:send:{shop.example.com}"),
        ("mesages:sent:{localhost}", "messages:send:{localhost}"),
        ("message:send", "messages:send:all or messages:send:{example.com}"),
        ("messages:sned", "messages:send:all or messages:send:{example.com}"),
    ],
)
def test_suggestions(text: str, meant: str) -> None:
    """A scope within two edits of a known one, or with a missing or malformed target, has a known one to suggest."""
    assert suggestion(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "api-keys:read",
        "messages:send:all",
        "messages:send:Example.com",
        "invoices:read",
        "invoices:read:all",
        "invoices:read:{example.com}",
        "invoices",
        "templates:publish:example.com",
    ],
)
def test_no_suggestion(text: str) -> None:
    """A scope that is right, or that resembles none we know, is left alone."""
    assert suggestion(text) is None
