"""Built-in rules: a table for each, on both sides of its edge, with the very words that a person reads."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest

from builders import ACCOUNT, FENCE, LONG_AGO, NEWS, NOW, OFFICE, SHOP, networks, remote, scopes, spec
from reconciler.core import builtins
from reconciler.core.builtins import AccountCheck, KeyCheck
from reconciler.core.scopes import ScopePatterns
from reconciler.core.subjects import Subject

SENDING = ScopePatterns(("messages:send:*",))
DUTIES = {"sending": SENDING, "managing": ScopePatterns(("api-keys:*", "accounts:write")), "money": ScopePatterns(())}
A_SECOND = timedelta(seconds=1)
MONTH = timedelta(days=30)
YEAR = NOW - LONG_AGO


def key(*texts: str, at: tuple[str, ...] = (OFFICE,), label: str = "ops", **fields: Any) -> Subject:
    """An actual key that no file names, a year old and never used."""
    made = remote("7", label, *texts, at=at, **fields)
    return Subject(NOW, ACCOUNT, label, made.scopes, made.ip_allow_list, managed=False, remote=made)


def aged(age: timedelta, unused: timedelta | None = None, at: tuple[str, ...] = (OFFICE,)) -> Subject:
    """A key that was made so long ago, and used so long ago or never."""
    return key(SHOP, at=at, created_at=NOW - age, last_used_at=None if unused is None else NOW - unused)


def named(**fields: Any) -> Subject:
    """A key of the files that does not exist yet."""
    asked = spec("ops", SHOP, **fields)
    return Subject(
        NOW, ACCOUNT, "ops", scopes(SHOP), networks(OFFICE), managed=True, spec=asked, remote=None, actual=False
    )


@pytest.mark.parametrize("check", [*get_args(KeyCheck), *get_args(AccountCheck)])
def test_every_rule_says_why_and_what_to_do(check: type[KeyCheck | AccountCheck]) -> None:
    """The first paragraph of a rule's docstring is its reason, and its hint fits into the parentheses of a finding."""
    reason, _, _ = (check.__doc__ or "").partition("\n\n")
    assert ": " in reason
    assert reason.rstrip()[-1] == "."
    assert check.hint
    assert (check.hint[0].islower(), check.hint[-1] == ".") == (True, False)


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (key("*"), "holds * and may do everything"),
        (key("*", SHOP, at=(FENCE,)), "holds * and may do everything"),
        (key("messages:send:all", "api-keys:write"), None),
        (key("*:*"), None),
        (key(), None),
    ],
)
def test_no_wildcard(subject: Subject, said: str | None) -> None:
    """Only ``*`` itself is everything; a key that is switched off would have it back when restored."""
    assert builtins.NoWildcard().verdict(subject) == said


@pytest.mark.parametrize(
    ("patterns", "subject", "said"),
    [
        (None, key("messages:send:all"), "holds messages:send:all, which reaches every domain"),
        (
            None,
            key("webhooks:read:all", SHOP, "messages:read:all"),
            "holds messages:read:all, webhooks:read:all, which reaches every domain",
        ),
        (None, key(SHOP, "domains:write", "future:do:all"), None),
        (None, key("*"), None),
        (SENDING, key("messages:send:all", "messages:read:all"), "holds messages:send:all, which reaches every domain"),
        (SENDING, key("messages:read:all", SHOP), None),
        (ScopePatterns((SHOP,)), key("messages:send:all"), "holds messages:send:all, which reaches every domain"),
    ],
)
def test_no_global_where_domain_would_do(patterns: ScopePatterns | None, subject: Subject, said: str | None) -> None:
    """What could name a domain and says ``all`` breaks the rule; what has no domain, or is ``*``, does not."""
    rule = builtins.NoGlobalWhereDomainWouldDo(patterns) if patterns else builtins.NoGlobalWhereDomainWouldDo()
    assert rule.verdict(subject) == said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (key("messages:send:all", SHOP), f"lists {SHOP}, which another of its scopes covers"),
        (key("messages:send:all", SHOP, NEWS), f"lists {NEWS}, {SHOP}, which another of its scopes covers"),
        (key("*", "routes:read:all"), "lists routes:read:all, which another of its scopes covers"),
        (key("messages:read:all", SHOP), None),
        (key(SHOP, "messages:read:all"), None),
        (key("*"), None),
        (key(), None),
    ],
)
def test_redundant_scopes(subject: Subject, said: str | None) -> None:
    """A scope beside a wider one of its family is named; one beside wider ones of other families is not."""
    assert builtins.RedundantScopes().verdict(subject) == said


@pytest.mark.parametrize(
    ("most", "subject", "said"),
    [
        (2, key(SHOP, NEWS), None),
        (2, key(SHOP, NEWS, "domains:read"), "has 3 scopes, and at most 2 are allowed"),
        (1, key(SHOP, NEWS, "messages:send:all"), None),
        (1, key("*", SHOP, NEWS), None),
        (1, key(SHOP, NEWS), "has 2 scopes, and at most 1 are allowed"),
        (0, key(), None),
    ],
)
def test_max_scopes(most: int, subject: Subject, said: str | None) -> None:
    """As many scopes as allowed pass, one more does not; what another one covers does not count."""
    assert builtins.MaxScopes(most).verdict(subject) == said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (
            key("suppressions:wipe", "suppressions:read"),
            "holds suppressions:wipe, which reaches what is forbidden: suppressions:wipe, domains:delete:*",
        ),
        (
            key("domains:delete:{shop.example.com}", "domains:delete:all"),
            (
                "holds domains:delete:all, domains:delete:{shop.example.com}, "
                "which reaches what is forbidden: suppressions:wipe, domains:delete:*"
            ),
        ),
        (key("*"), "holds *, which reaches what is forbidden: suppressions:wipe, domains:delete:*"),
        (
            key("suppressions:wipe", at=(FENCE,)),
            "holds suppressions:wipe, which reaches what is forbidden: suppressions:wipe, domains:delete:*",
        ),
        (key("suppressions:delete", "domains:write"), None),
        (key(), None),
    ],
)
def test_forbidden_scopes(subject: Subject, said: str | None) -> None:
    """Whatever reaches a forbidden scope is named, and ``*`` reaches them all."""
    rule = builtins.ForbiddenScopes(ScopePatterns(("suppressions:wipe", "domains:delete:*")))
    assert rule.verdict(subject) == said


@pytest.mark.parametrize(
    ("patterns", "subject", "said"),
    [
        (None, key(SHOP, "domains:read", at=()), f"is usable from anywhere, with domains:read, {SHOP}"),
        (None, key(SHOP, at=("0.0.0.0/1", "128.0.0.0/1")), f"is usable from anywhere, with {SHOP}"),
        (None, key(SHOP, at=("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2")), f"is usable from anywhere, with {SHOP}"),
        (None, key(SHOP, at=("0.0.0.0/1", "128.0.0.0/2")), None),
        (None, key(SHOP, at=("::/1", "8000::/1")), None),
        (None, key(SHOP, at=(FENCE,)), None),
        (None, key(at=()), None),
        (SENDING, key("messages:send:all", "domains:read", at=()), "is usable from anywhere, with messages:send:all"),
        (SENDING, key("*", at=()), "is usable from anywhere, with *"),
        (SENDING, key("domains:read", at=()), None),
        (SENDING, key(SHOP), None),
    ],
)
def test_require_ip_allow_list(patterns: ScopePatterns | None, subject: Subject, said: str | None) -> None:
    """A key that all of IPv4 may use breaks the rule where it reaches one of the scopes, in however many parts."""
    rule = builtins.RequireIpAllowList(patterns) if patterns else builtins.RequireIpAllowList()
    assert rule.verdict(subject) == said


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "at", "said"),
    [
        (24, 48, ("203.0.113.0/24",), None),
        (24, 48, ("203.0.112.0/23",), "lets in 203.0.112.0/23, wider than /24 (IPv4) and /48 (IPv6)"),
        (24, 48, ("2001:db8::/48",), None),
        (24, 48, ("2001:db8::/47",), "lets in 2001:db8::/47, wider than /24 (IPv4) and /48 (IPv6)"),
        (24, 0, ("8000::/1", "203.0.113.0/24"), None),
        (24, 0, ("8000::/1", "128.0.0.0/1"), "lets in 128.0.0.0/1, wider than /24 (IPv4)"),
        (0, 48, ("0.0.0.0/0", "2001:db8::/48"), None),
        (0, 48, ("0.0.0.0/0", "2001:db8::/32"), "lets in 2001:db8::/32, wider than /48 (IPv6)"),
        (8, 8, ("0.0.0.0/0", "::/0"), "lets in 0.0.0.0/0, ::/0, wider than /8 (IPv4) and /8 (IPv6)"),
        (32, 0, (FENCE,), None),
        (32, 128, (), None),
    ],
)
def test_widest_network(ipv4: int, ipv6: int, at: tuple[str, ...], said: str | None) -> None:
    """The shortest prefix that is allowed passes, one bit less does not; each version has its limit, or none."""
    limits = {version: length for version, length in (("ipv4", ipv4), ("ipv6", ipv6)) if length}
    assert builtins.WidestNetwork(**limits).verdict(key(SHOP, at=at)) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (("10.0.0.0/24", "10.0.1.0/24"), "lets in 10.0.0.0/23, wider than /24 (IPv4)"),
        (("10.0.0.0/25", "10.0.0.128/25"), None),
        (("10.0.0.0/24", "10.0.0.0/25"), None),
        (("10.0.1.0/24", "10.0.2.0/24"), None),
        (("10.0.0.128/25", "10.0.1.0/24", "10.0.2.0/25"), None),
        (("0.0.0.0/1", "128.0.0.0/1"), "lets in 0.0.0.0/1, 128.0.0.0/1, wider than /24 (IPv4)"),
        (
            tuple(f"10.0.{place}.0/24" for place in range(6)),
            "lets in 10.0.0.0/22, 10.0.4.0/23, wider than /24 (IPv4)",
        ),
        (("10.0.0.0/22", "11.0.0.0/24", "11.0.1.0/24"), "lets in 10.0.0.0/22, wider than /24 (IPv4)"),
    ],
)
def test_parts_of_a_wider_network_count_as_that_one(at: tuple[str, ...], said: str | None) -> None:
    """Two halves are the whole, neighbours that make up no block are not; what is listed wide is told first."""
    assert builtins.WidestNetwork(24).verdict(key(SHOP, at=at)) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (("10.0.0.0/8",), "cannot be used by anybody: 10.0.0.0/8 holds no public IPv4 network"),
        (
            ("10.0.0.0/8", "2001:db8::/32"),
            "cannot be used by anybody: 10.0.0.0/8, 2001:db8::/32 holds no public IPv4 network",
        ),
        ((FENCE, "10.0.0.1"), "cannot be used by anybody: 10.0.0.1/32, 192.0.2.1/32 holds no public IPv4 network"),
        (("10.0.0.0/7",), None),
        (("10.0.0.0/8", OFFICE), None),
        ((FENCE,), None),
        ((), None),
    ],
)
def test_unreachable_list(at: tuple[str, ...], said: str | None) -> None:
    """A list without any public IPv4 address lets nobody in, which is right only for the fence alone."""
    assert builtins.UnreachableList().verdict(key(SHOP, at=at)) == said


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("shop-sender", None),
        ("shop-", None),
        ("ci1", None),
        ("ci10", "has the label 'ci10', which is not like shop-* or ci?"),
        ("Shop-sender", "has the label 'Shop-sender', which is not like shop-* or ci?"),
        ("old shop-", "has the label 'old shop-', which is not like shop-* or ci?"),
    ],
)
def test_label_pattern(label: str, said: str | None) -> None:
    """A label must be like one of the patterns as a whole, case included."""
    assert builtins.LabelPattern(("shop-*", "ci?")).verdict(key(SHOP, label=label)) == said


@pytest.mark.parametrize(
    ("owners", "subject", "said"),
    [
        (None, named(owner="anybody"), None),
        (None, named(), "has no owner"),
        (("team-*", "ops"), named(owner="team-growth"), None),
        (("team-*", "ops"), named(owner="ops"), None),
        (
            ("team-*", "ops"),
            named(owner="me"),
            "has the owner 'me', which is not like team-* or ops",
        ),
        (("team-*",), named(), "has no owner"),
        (None, key(SHOP), None),
    ],
)
def test_require_owner(owners: tuple[str, ...] | None, subject: Subject, said: str | None) -> None:
    """A key of the files must have an owner that is like one of the patterns; a key of no file has none by nature."""
    rule = builtins.RequireOwner(owners) if owners else builtins.RequireOwner()
    assert rule.verdict(subject) == said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (key(SHOP, "domains:read"), None),
        (key("api-keys:read", "accounts:write"), None),
        (
            key(SHOP, "api-keys:read", "accounts:write", NEWS),
            f"holds together managing (accounts:write, api-keys:read) and sending ({NEWS}, {SHOP})",
        ),
        (key("*"), "holds together managing (*) and sending (*)"),
        (key(), None),
    ],
)
def test_separate_duties(subject: Subject, said: str | None) -> None:
    """One duty is right, two are not, whatever is held of each; they are told in the order of their names."""
    assert builtins.SeparateDuties(DUTIES).verdict(subject) == said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (aged(YEAR, MONTH - A_SECOND), None),
        (aged(YEAR, MONTH), "was not used for 30 days"),
        (aged(MONTH - A_SECOND), None),
        (aged(MONTH), "was made 30 days ago and never used"),
        (aged(YEAR, timedelta()), None),
        (aged(YEAR, MONTH, at=(FENCE,)), None),
        (aged(YEAR, at=(FENCE,)), None),
        (named(), None),
    ],
)
def test_unused_for(subject: Subject, said: str | None) -> None:
    """A key that lay unused for the whole length breaks the rule, but not one that is switched off or not yet made."""
    assert builtins.UnusedFor(MONTH).verdict(subject) == said


def test_a_length_of_nothing_spares_what_does_not_exist() -> None:
    """A key that is not yet made is neither unused nor never used, even where no time at all is allowed."""
    assert builtins.UnusedFor(timedelta()).verdict(named()) is None
    assert builtins.NeverUsed(timedelta()).verdict(named()) is None
    assert builtins.UnusedFor(timedelta()).verdict(aged(timedelta())) == (
        "was made less than a minute ago and never used"
    )


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (aged(MONTH - A_SECOND), None),
        (aged(MONTH), "was made 30 days ago and never used"),
        (aged(YEAR, MONTH), None),
        (aged(YEAR, at=(FENCE,)), None),
        (named(), None),
    ],
)
def test_never_used(subject: Subject, said: str | None) -> None:
    """A key may wait for its first use for less than the length; a single use long ago is enough."""
    assert builtins.NeverUsed(MONTH).verdict(subject) == said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (aged(YEAR, timedelta()), None),
        (aged(YEAR + A_SECOND, timedelta()), "is 365 days old"),
        (aged(2 * YEAR), "is 730 days old"),
        (named(), None),
    ],
)
def test_older_than(subject: Subject, said: str | None) -> None:
    """A key may be exactly as old as is allowed, and no second older, however it is used."""
    assert builtins.OlderThan(YEAR).verdict(subject) == said


@pytest.mark.parametrize(
    ("exceptions", "subject", "said"),
    [
        ((), key(SHOP), "is in no file"),
        ((), named(), None),
        (("legacy-*",), key(SHOP, label="legacy-1"), None),
        (("legacy-*",), key(SHOP, label="not-legacy-1"), "is in no file"),
        (("8", "7"), key(SHOP), None),
        (("77",), key(SHOP), "is in no file"),
    ],
)
def test_unmanaged_key(exceptions: tuple[str, ...], subject: Subject, said: str | None) -> None:
    """A key of no file breaks the rule, unless its id or its label is like one of the exceptions."""
    assert builtins.UnmanagedKey(exceptions).verdict(subject) == said


@pytest.mark.parametrize(
    ("exceptions", "subject", "said"),
    [
        ((), key("api-keys:write"), "can write keys, and so grant anything: it holds api-keys:write"),
        (
            (),
            key("sub-account-api-keys:write"),
            "can write keys, and so grant anything: it holds sub-account-api-keys:write",
        ),
        ((), key("*"), "can write keys, and so grant anything: it holds *"),
        ((), key("api-keys:read", "api-keys:delete", "accounts:write"), None),
        ((), key("*", at=(FENCE,)), None),
        (
            ("ops",),
            key("*"),
            "can write keys, and so grant anything: it holds *",
        ),  # its label: whoever made it chose it
        (("7",), key("*"), None),
        (("o?s",), replace(key("*"), label="none", spec=spec("ops")), None),
        (("op",), key("*"), "can write keys, and so grant anything: it holds *"),
    ],
)
def test_can_manage_keys(exceptions: tuple[str, ...], subject: Subject, said: str | None) -> None:
    """A key that can write keys breaks the rule, unless it is switched off or excepted by name or id, not by label."""
    assert builtins.CanManageKeys(exceptions).verdict(subject) == said


def test_duplicate_label() -> None:
    """Keys are alike by the very label, those that are switched off included."""
    rule = builtins.DuplicateLabel()
    assert rule.alike(key(SHOP)) == rule.alike(key("*", at=(FENCE,))) == "ops"
    assert rule.alike(key(label="Ops")) == "Ops"
    assert rule.told(("shop",)) == "has the same label as shop"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (key(SHOP), key(SHOP, label="else"), True),
        (key("messages:send:all", SHOP), key("messages:send:all"), True),
        (key(SHOP, NEWS), key(NEWS, SHOP), True),
        (key(SHOP), key(NEWS), False),
        (key(SHOP, at=("203.0.113.0/25", "203.0.113.128/25")), key(SHOP), True),
        (key(SHOP, at=(OFFICE, "203.0.113.7")), key(SHOP), True),
        (key(SHOP, at=("203.0.113.0/25",)), key(SHOP), False),
        (key(SHOP, at=()), key(SHOP, at=()), True),
        (key(SHOP, at=()), key(SHOP, at=("0.0.0.0/0", "::/0")), False),
        (key(SHOP, at=("::7f00:1",)), key(SHOP, at=("127.0.0.1",)), False),
    ],
)
def test_identical_access(one: Subject, other: Subject, alike: bool) -> None:
    """Keys are alike when they may do the same from the same addresses, however either is written."""
    rule = builtins.IdenticalAccess()
    assert (rule.alike(one) == rule.alike(other)) is alike
    assert (len({rule.alike(one), rule.alike(other)}) == 1) is alike


def test_keys_that_are_switched_off_have_no_access() -> None:
    """A key that nobody can use is like no other."""
    assert builtins.IdenticalAccess().alike(key(SHOP, at=(FENCE,))) is None


@pytest.mark.parametrize(
    ("others", "listed"),
    [
        (("a",), "a"),
        (("a", "b", "c"), "a, b, c"),
        (("a", "b", "c", "d"), "a, b, c and 1 more"),
        (("a", "b", "c", "d", "e"), "a, b, c and 2 more"),
    ],
)
def test_the_others_are_named(others: tuple[str, ...], listed: str) -> None:
    """Three of the others are named, the rest are counted."""
    assert builtins.DuplicateLabel().told(others) == f"has the same label as {listed}"
    assert builtins.IdenticalAccess().told(others) == f"may do the same from the same networks as {listed}"


def test_what_is_switched_off_is_not_too_old() -> None:
    """The rule about age lets go of a key once it is switched off, as its hint says."""
    check = builtins.OlderThan(timedelta(days=30))
    assert check.verdict(key(SHOP)) is not None
    assert check.verdict(key(SHOP, at=(FENCE,))) is None


def test_a_key_that_may_be_one_of_the_files_has_no_owner_to_ask_for() -> None:
    """A key whose label belongs to a desired one, but which is not matched with it, is not asked for an owner."""
    assert builtins.RequireOwner().verdict(replace(key(SHOP), managed=True, spec=None)) is None


def test_keys_without_scopes_are_not_alike() -> None:
    """Two keys that may do nothing are not two that may do the same."""
    assert builtins.IdenticalAccess().alike(key()) is None
