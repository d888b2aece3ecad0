"""Laws of the built-in rules and of who can do what: they say what counting it out says."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ACCOUNT, NOW, desired
from laws.universe import (
    AROUND,
    BLOCKS,
    DAY,
    GLOBAL,
    SCOPES,
    allowed,
    in_use,
    labels,
    law,
    let_in,
    like,
    lists,
    public,
    remotes,
    scope_sets,
    scope_texts,
    specs,
)
from reconciler.core.answers import Holder, KeysIn, who_can
from reconciler.core.builtins import (
    AccountCheck,
    CanManageKeys,
    DuplicateLabel,
    ForbiddenScopes,
    IdenticalAccess,
    KeyCheck,
    LabelPattern,
    MaxScopes,
    NeverUsed,
    NoGlobalWhereDomainWouldDo,
    NoWildcard,
    OlderThan,
    RedundantScopes,
    RequireIpAllowList,
    RequireOwner,
    SeparateDuties,
    UnmanagedKey,
    UnreachableList,
    UnusedFor,
    WidestNetwork,
)
from reconciler.core.findings import Severity
from reconciler.core.judging import Bench
from reconciler.core.keys import KeySpec, KeyState, RemoteKey
from reconciler.core.networks import AllowList
from reconciler.core.rules import Rule
from reconciler.core.scopes import ScopePatterns, canonical_pattern, parse_scope
from reconciler.core.subjects import Subject

scope_patterns = st.lists(
    st.sampled_from(
        (
            *SCOPES,
            "messages:*",
            "messages:send:*",
            "messages:send:*.example",
            "messages:read:{?.example}",
            "messages:?ead:all",
            "*:all",
            "api-keys:*",
            "*-keys:write",
            "x:*",
            "?:y",
            "[x]:y",
            "domains:*",
            "messages:*:a.example",
            "*a.example*",
            "*:{?.example}",
            "m*d:{b*}",
        )
    ).map(canonical_pattern),
    min_size=1,
    max_size=2,
).map(lambda texts: ScopePatterns(tuple(texts)))
globs = st.sampled_from(("*", "a", "a*", "?", "legacy *", "[a]", "k0", "k*", "0", "team-a", "team-?"))
some_globs = st.lists(globs, max_size=2).map(tuple)
lengths = st.sampled_from((timedelta(), DAY, 30 * DAY, 60 * DAY))


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """One key that exists, or that a file names, or both."""
    (spec,) = draw(specs(1, 1)) if draw(st.booleans()) else (None,)
    (remote,) = draw(remotes(1, 1)) if spec is None or draw(st.booleans()) else (None,)
    managed = spec is not None or draw(st.booleans())
    return Subject(NOW, ACCOUNT, draw(labels), draw(scope_sets), draw(lists), managed, spec, remote)


def reaches(text: str, pattern: str) -> bool:
    """Tell whether what a scope allows holds something that is like a pattern; what ``*`` allows holds anything."""
    return text == "*" or any(like(one, pattern) for one in allowed((text,)))


def reached(subject: Subject, patterns: ScopePatterns) -> list[str]:
    return [text for text in subject.scopes.texts if any(reaches(text, pattern) for pattern in patterns.texts)]


def off(subject: Subject) -> bool:
    return not let_in(subject.ip_allow_list.networks)


def excepted(patterns: Iterable[str], text: str | None, key_id: str | None) -> bool:
    return any(pattern == key_id or (text is not None and like(text, pattern)) for pattern in patterns)


def id_of(subject: Subject) -> str | None:
    return subject.remote.id if subject.remote else subject.spec.id if subject.spec else None


def smallest(texts: tuple[str, ...]) -> int:
    """Count the fewest scopes of a set that allow all that it does."""
    sizes = range(len(texts) + 1)
    return next(n for n in sizes for some in combinations(texts, n) if allowed(some) == allowed(texts))


def widest(networks: tuple[str, ...]) -> int:
    """Give the length of the prefix of the widest block all of whose addresses a list lets in; 33 where none is."""
    held = let_in(networks)
    wide = {int(block.rpartition("/")[2]) for block in BLOCKS if networks and let_in((block,)) <= held}
    return min({8} if AROUND in networks else wide, default=33)


def old(subject: Subject) -> timedelta:
    return max(NOW - subject.remote.created_at, timedelta()) if subject.remote else timedelta()


def idle(subject: Subject) -> timedelta:
    used = subject.remote.last_used_at if subject.remote else None
    return max(NOW - used, timedelta()) if used else old(subject)


def breaks(check: KeyCheck, subject: Subject) -> bool:  # noqa: C901, PLR0911, PLR0912 # one case a rule
    """Tell by counting out whether a key breaks a rule."""
    held, networks = subject.scopes.texts, subject.ip_allow_list.networks
    used = subject.remote is not None and subject.remote.last_used_at is not None
    match check:
        case NoWildcard():
            return "beyond" in allowed(held)
        case NoGlobalWhereDomainWouldDo(patterns):
            return any(text in GLOBAL for text in reached(subject, patterns))
        case RedundantScopes():
            return smallest(held) < len(held)
        case MaxScopes(most):
            return smallest(held) > most
        case ForbiddenScopes(patterns):
            return bool(reached(subject, patterns))
        case RequireIpAllowList(patterns):
            return "8.8.8.8" in let_in(networks) and bool(reached(subject, patterns))
        case WidestNetwork(ipv4, ipv6):
            return widest(networks) < ipv4 or ("2001:db8::/64" in networks and ipv6 > 64)
        case UnreachableList():
            return not off(subject) and not any(map(public, let_in(networks)))
        case LabelPattern(patterns):
            return not any(like(subject.label, pattern) for pattern in patterns)
        case RequireOwner(owners):
            return subject.spec is not None and not (
                subject.spec.owner and any(like(subject.spec.owner, each) for each in owners)
            )
        case SeparateDuties(sets):
            return sum(bool(reached(subject, patterns)) for patterns in sets.values()) > 1
        case UnusedFor(length):
            return subject.remote is not None and not off(subject) and idle(subject) >= length
        case NeverUsed(length):
            return subject.remote is not None and not off(subject) and not used and old(subject) >= length
        case OlderThan(length):
            return old(subject) > length and not off(subject)
        case UnmanagedKey(exceptions):
            return not subject.managed and not excepted(exceptions, subject.label, id_of(subject))
        case CanManageKeys(exceptions):
            writes = {"api-keys:write", "sub-account-api-keys:write"} & allowed(held)
            name = subject.spec.name if subject.spec else None
            return bool(writes) and not off(subject) and not excepted(exceptions, name, id_of(subject))


checks: st.SearchStrategy[KeyCheck] = st.one_of(
    st.sampled_from((NoWildcard(), RedundantScopes(), UnreachableList())),
    st.builds(NoGlobalWhereDomainWouldDo, scope_patterns),
    st.builds(MaxScopes, st.integers(0, 3)),
    st.builds(ForbiddenScopes, scope_patterns),
    st.builds(RequireIpAllowList, scope_patterns),
    st.builds(WidestNetwork, st.sampled_from((0, 8, 9, 29, 30, 31, 32)), st.sampled_from((0, 64, 65))),
    st.builds(LabelPattern, some_globs),
    st.builds(RequireOwner, some_globs),
    st.builds(SeparateDuties, st.dictionaries(st.sampled_from("abc"), scope_patterns, min_size=2)),
    st.builds(UnusedFor, lengths),
    st.builds(NeverUsed, lengths),
    st.builds(OlderThan, lengths),
    st.builds(UnmanagedKey, some_globs),
    st.builds(CanManageKeys, some_globs),
)


@settings(law, max_examples=600)
@given(checks, subjects())
def test_a_rule_says_what_counting_out_says(check: KeyCheck, subject: Subject) -> None:
    """A key breaks a built-in rule exactly where spelling out what it may do, from where, since when, shows that."""
    assert (check.verdict(subject) is not None) is breaks(check, subject)


@law
@given(lists, st.integers(29, 32), subjects())
def test_parts_of_a_network_count_as_the_whole(listed: AllowList, ipv4: int, subject: Subject) -> None:
    """A list is too wide where it lets in a whole block of that size, in however many parts."""
    check = WidestNetwork(ipv4)
    assert (check.verdict(replace(subject, ip_allow_list=listed)) is not None) is (widest(listed.networks) < ipv4)


@law
@given(scope_patterns, subjects())
def test_forbidden_scopes_are_named(patterns: ScopePatterns, subject: Subject) -> None:
    """The finding names the scopes that reach what is forbidden, each of them and no others."""
    told = ForbiddenScopes(patterns).verdict(subject)
    listed = told.removeprefix("holds ").partition(", which reaches")[0].split(", ") if told else []
    assert listed == reached(subject, patterns)


@law
@given(st.sampled_from((DuplicateLabel(), IdenticalAccess())), st.lists(subjects(), max_size=5), st.integers(0, 5))
def test_keys_are_alike_in_pairs(check: AccountCheck, keys: list[Subject], judged: int) -> None:
    """A key breaks a rule about all keys where it is like some other one, also one that is not judged itself."""
    bench = Bench([Rule("rule", Severity.WARN, check)], keys[:judged], keys[judged:])
    found = [id(judgement.subject) for judgement in bench.broken()]
    assert found == [
        id(one) for one in keys[:judged] if any(alike(check, one, other) for other in keys if other is not one)
    ]


def alike(check: AccountCheck, one: Subject, other: Subject) -> bool:
    match check:
        case DuplicateLabel():
            return one.label == other.label
        case IdenticalAccess():
            networks, others = (let_in(each.ip_allow_list.networks) for each in (one, other))
            scopes, theirs = (allowed(each.scopes.texts) for each in (one, other))
            return bool(networks) and networks == others and bool(scopes) and scopes == theirs


# Who can do something


@law
@given(specs(0, 4), remotes(0, 5), scope_texts)
def test_who_can_names_everybody_once(wanted: tuple[KeySpec, ...], keys: tuple[RemoteKey, ...], what: str) -> None:
    """Every key that can do it by the files or in the account is named once, with what lets it, and nobody else is."""
    found = who_can([KeysIn(desired(*wanted), keys)], parse_scope(what))
    actual = {one.key_id: one.actual for one in found if one.actual}
    assert len(actual) == sum(one.actual is not None for one in found)
    assert {key_id: hold.by for key_id, hold in actual.items()} == {
        key.id: by for key in keys if (by := letting(key.scopes.texts, what))
    }
    for key in keys:
        if hold := actual.get(key.id):
            networks = key.ip_allow_list.networks
            assert (hold.networks, hold.switched_off) == (networks, not let_in(networks))
            assert (hold.reachable and not hold.switched_off) is in_use(key)
    by_name = {one.name: one for one in found if one.name}
    assert len(by_name) + sum(one.name is None for one in found) == len(found)
    for spec in wanted:
        _check_desired(spec, by_name.get(spec.name), {key.id: key for key in keys}, what)


def letting(held: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Give the scopes of which each lets a key do something."""
    return tuple(text for text in held if what in allowed((text,)))


def _check_desired(spec: KeySpec, told: Holder | None, keys: dict[str, RemoteKey], what: str) -> None:
    """Hold what is said of a desired key against its file, and against the key that it means where that is open."""
    assert told is None or (told.label, told.source) == (spec.label, spec.source)
    hold = told.desired if told else None
    if spec.state is KeyState.ABSENT:
        assert hold is None
    elif spec.scopes is not None:
        assert (hold.by if hold else ()) == letting(spec.scopes.texts, what)
    elif hold and told and told.key_id:
        assert hold.by == letting(keys[told.key_id].scopes.texts, what)
    if hold:
        assert hold.switched_off is (spec.state is KeyState.QUARANTINED)
        networks = None if spec.ip_allow_list is None else spec.ip_allow_list.networks
        assert hold.networks == networks
        assert hold.switched_off or hold.reachable is (networks is None or any(map(public, let_in(networks))))
