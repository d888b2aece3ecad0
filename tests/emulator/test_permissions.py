"""The server's rules for scopes, networks and rates."""

import pytest

from reconciler.emulator.permissions import (
    Bucket,
    Refused,
    canonical_networks,
    canonical_scopes,
    domain_of,
    is_within,
    may,
    parse_networks,
)

DOMAINS = {"shop.example.com", "news.example.org"}


def canonical(*scopes: str, held: tuple[str, ...] = ()) -> tuple[str, ...]:
    return canonical_scopes(scopes, held=held, domains=DOMAINS)


@pytest.mark.parametrize(
    "scope",
    [
        "*",
        "accounts:members:remove",
        "suppressions:wipe",
        "sub-account-api-keys:delete",
        "messages:send:all",
        "domains:delete:all",
        "statistics-transactional:read:{shop.example.com}",
    ],
)
def test_known_scopes(scope: str) -> None:
    """Every kind of scope that the API lists is stored as it was sent."""
    assert canonical(scope) == (scope,)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "messages:send",
        "messages:send:shop.example.com",
        "messages:send:{}",
        "messages:send:{shop.example.com}x",
        "messages:send:{gone.example.com}",
        "messages:send:{{shop.example.com}}",
        "messages:wipe:all",
        "domains:read:all",
        "suppressions:read:{shop.example.com}",
        " messages:send:all",
        "Messages:send:all",
        "all",
    ],
)
def test_scopes_refused(scope: str) -> None:
    """A misspelt, unknown or brace-less scope, and one for a domain of somebody else, is a 400."""
    with pytest.raises(Refused) as refusal:
        canonical(scope)
    assert refusal.value.status == 400


def test_no_scope() -> None:
    """A key keeps at least one scope."""
    with pytest.raises(Refused, match="at least one"):
        canonical()


def test_domain_forms() -> None:
    """Domain names are stored trimmed, in lower case and without their trailing dot."""
    assert canonical("messages:send:{ Shop.EXAMPLE.com. }") == ("messages:send:{shop.example.com}",)


def test_duplicate_scopes() -> None:
    """The same scope twice is refused, also when only the form of its domain differs."""
    for twice in (("*", "*"), ("messages:send:{shop.example.com}", "messages:send:{SHOP.example.com}")):
        with pytest.raises(Refused, match="duplicate"):
            canonical(*twice)


def test_covered_scopes() -> None:
    """A global scope drops the domain scopes of its own action alone, and `*` drops nothing."""
    shop, read = "messages:send:{shop.example.com}", "messages:read:{shop.example.com}"
    assert canonical(shop, read, "messages:send:all") == (read, "messages:send:all")
    assert canonical("*", shop, "messages:send:all") == ("*", "messages:send:all")
    assert canonical("*", shop) == ("*", shop)


def test_held_scopes() -> None:
    """A scope that is not known is taken when the key has it already, in the same words."""
    held = ("future:do:{x}", "messages:send:shop.example.com")
    assert canonical(*held, held=held) == held
    with pytest.raises(Refused):
        canonical("future:do:{y}", held=held)


def test_domain_of() -> None:
    """Only a scope of an action that takes targets, with braces, aims at a domain."""
    assert domain_of("routes:read:{a.example}") == "a.example"
    assert domain_of("routes:read:all") is None
    assert domain_of("future:read:{a.example}") is None


def test_may() -> None:
    """`*` and the scope itself allow an operation; writing does not include reading."""
    assert may({"*"}, "api-keys:read")
    assert may({"api-keys:read"}, "api-keys:read")
    assert not may({"api-keys:write"}, "api-keys:read")


def test_network_forms() -> None:
    """Host bits are masked, bare addresses get their prefix, and each network is stored once."""
    sent = ["203.0.113.9/24", "198.51.100.7", "203.0.113.0/24", "2001:DB8::1", "2001:db8:1::5/48"]
    stored = ("203.0.113.0/24", "198.51.100.7/32", "2001:db8::1/128", "2001:db8:1::/48")
    assert canonical_networks(sent) == stored


@pytest.mark.parametrize(
    "entry",
    ["", "0.0.0.0/0", "::/0", "203.0.113.9/0", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "10.0.0.0/08", "a"],
)
def test_networks_refused(entry: str) -> None:
    """Something that is no CIDR block, or allows every address, is a 400."""
    with pytest.raises(Refused) as refusal:
        canonical_networks([entry])
    assert refusal.value.status == 400


def test_network_count() -> None:
    """A hundred entries are allowed, counted after the same ones have been taken together."""
    hundred = [f"198.51.100.{number}" for number in range(100)]
    assert len(canonical_networks([*hundred, "198.51.100.0/32"])) == 100
    with pytest.raises(Refused, match="at most 100"):
        canonical_networks([*hundred, "198.51.100.200"])


def test_within() -> None:
    """An address is inside a network of its own family; what is no address, or no network, is inside nothing."""
    networks = parse_networks(["198.51.100.0/24", "nonsense", "2001:db8::/32"])
    assert is_within("198.51.100.8", networks)
    assert is_within("2001:db8::8", networks)
    assert is_within("::ffff:198.51.100.8", networks)
    assert not is_within("203.0.113.1", networks)
    assert not is_within("testclient", networks)


def test_bucket() -> None:
    """A bucket gives its burst at once, then its rate, never saves more than its burst, and says how long to wait."""
    clock = [0.0]
    bucket = Bucket(rate=0.5, burst=2, clock=lambda: clock[0])
    bucket.take()
    bucket.take()
    with pytest.raises(Refused) as refusal:
        bucket.take()
    assert (refusal.value.status, refusal.value.headers) == (429, ((b"retry-after", b"2"),))
    clock[0] = 2.0
    bucket.take()
    clock[0] = 1000.0
    bucket.take()
    bucket.take()
    with pytest.raises(Refused):
        bucket.take()
