"""Laws of the core, over made-up scopes, lists, accounts and files."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ACCOUNT, FENCE, LONG_AGO, NOW, desired, networks, whole
from reconciler.core.changes import (
    AccessChange,
    Action,
    Change,
    Delta,
    Dependencies,
    Direction,
    Outcome,
    access_change,
    skip_dependents,
    waves,
)
from reconciler.core.guardrails import Consent, Limits, Threshold, approve
from reconciler.core.keys import DesiredAccount, KeySpec, KeyState, RemoteKey, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.networks import AllowList
from reconciler.core.plan import plan_account
from reconciler.core.scopes import Scope, ScopeSet, parse_scope

law = settings(derandomize=True, deadline=None, max_examples=200, database=None)

PERMISSIONS = (
    "messages:send:{a.example}",
    "messages:send:{b.example}",
    "messages:read:{a.example}",
    "api-keys:write",
    "x:y",
)
TEXTS = (*PERMISSIONS, "*", "messages:send:all", "messages:read:all", "messages:send:A.example.", "api-keys:read")
ADDRESSES = tuple(IPv4Network("10.0.0.0/28"))
BLOCKS = tuple(
    str(block) for length in range(28, 33) for block in IPv4Network("10.0.0.0/28").subnets(new_prefix=length)
)

texts = st.sampled_from(TEXTS)
any_text = texts | st.text(max_size=12) | st.builds("messages:send:{}".format, st.text("aB.{}: *", max_size=8))
scope_sets = st.lists(texts, max_size=5).map(ScopeSet.parse)
lists = st.lists(st.sampled_from(BLOCKS), max_size=6).map(AllowList.parse)
states = st.sampled_from(KeyState)
labels = st.sampled_from(("a", "b", "c", "d"))


@st.composite
def specs(draw: st.DrawFn, name: str) -> KeySpec:
    state = draw(states)
    optional = state is not KeyState.PRESENT
    return KeySpec(
        name,
        draw(st.just(name) | labels),
        Source("keys.yaml", 1, 1),
        draw(st.none() | scope_sets) if optional else draw(scope_sets),
        draw(st.none() | lists),
        id=draw(st.none() | st.sampled_from(("1", "2", "9"))),
        was=tuple(draw(st.lists(labels, max_size=1))),
        state=state,
    )


@st.composite
def files(draw: st.DrawFn) -> DesiredAccount:
    names = draw(st.lists(st.sampled_from(("a", "b", "c", "d", "e")), unique=True))
    rule = UnmanagedRule(draw(st.sampled_from(UnmanagedAction)), include_senders=draw(st.booleans()))
    return desired(*(draw(specs(name)) for name in names), unmanaged=rule)


@st.composite
def accounts(draw: st.DrawFn) -> tuple[RemoteKey, ...]:
    ids = draw(st.lists(st.sampled_from("1234567"), unique=True))
    at = lists | st.just(networks(FENCE))
    return tuple(RemoteKey(one, draw(labels | st.just("e")), draw(scope_sets), draw(at), LONG_AGO) for one in ids)


@st.composite
def moves(draw: st.DrawFn) -> tuple[Change, ...]:
    """Changes that move scopes among keys, some of them held back."""
    pairs = draw(st.lists(st.tuples(scope_sets, scope_sets, st.sampled_from(Outcome)), max_size=7))
    return tuple(
        Change(
            ACCOUNT,
            Action.UPDATE,
            str(n),
            str(n),
            str(n),
            None,
            access=access_change((had, has), None),
            outcome=outcome,
        )
        for n, (had, has, outcome) in enumerate(pairs)
    )


def permissions(held: ScopeSet) -> set[str]:
    """What a set of scopes allows, spelled out; ``:all`` reaches one domain more than any other scope."""
    universe = {*PERMISSIONS, "messages:send:{other}", "messages:read:{other}", "api-keys:read", "beyond all"}
    found = set()
    for text in held.texts:
        if text == "*":
            return universe
        found |= {one for one in universe if one == text or (text.endswith(":all") and one.startswith(text[:-3] + "{"))}
    return found


def addresses(held: AllowList) -> set[str]:
    """What a list reaches, spelled out; anywhere is one address more than any list."""
    everything = {str(address) for address in ADDRESSES}
    if not held.networks:
        return everything | {"elsewhere"}
    if held.networks == (FENCE,):
        return set()
    return {
        address for address in everything for text in held.networks if IPv4Network(address).subnet_of(IPv4Network(text))
    }


def applied(keys: Iterable[RemoteKey], changes: Iterable[Change]) -> tuple[RemoteKey, ...]:
    """The account after its applicable changes: each field of a PUT replaces the key's own."""
    account = {key.id: key for key in keys}
    for change in changes:
        if change.applicable:
            assert change.key_id is not None
            key, fields = account[change.key_id], change.fields
            account[key.id] = replace(
                key,
                label=fields.label.after if fields.label else key.label,
                scopes=ScopeSet.parse(fields.scopes.after) if fields.scopes else key.scopes,
                ip_allow_list=AllowList.parse(fields.ip_allow_list.after)
                if fields.ip_allow_list
                else key.ip_allow_list,
            )
    return tuple(account.values())


@law
@given(any_text, any_text, any_text)
def test_covers_is_a_preorder(one: str, two: str, three: str) -> None:
    """Who covers whom is reflexive and transitive, and overlapping is symmetric."""
    a, b, c = map(parse_scope, (one, two, three))
    assert a.covers(a)
    assert c.covers(a) or not (c.covers(b) and b.covers(a))
    assert a.overlaps(b) is b.overlaps(a)


@law
@given(any_text)
def test_parse_is_idempotent(text: str) -> None:
    """A canonical spelling stays as it is."""
    assert parse_scope(parse_scope(text).text) == parse_scope(text)


@law
@given(scope_sets, scope_sets, scope_sets)
def test_equivalent_scopes(a: ScopeSet, b: ScopeSet, c: ScopeSet) -> None:
    """Sets are equivalent when they allow the same, and what is beyond is what the other does not allow."""
    assert a.equivalent(a)
    assert a.equivalent(b) is b.equivalent(a) is (permissions(a) == permissions(b))
    assert a.equivalent(c) or not (a.equivalent(b) and b.equivalent(c))
    assert bool(a.beyond(b)) is (not permissions(a) <= permissions(b))
    assert not a.beyond(ScopeSet((*a.beyond(b), *b.scopes)))


@law
@given(scope_sets)
def test_reduced_is_minimal(held: ScopeSet) -> None:
    """A reduced set allows the same, and no scope can be left out of it."""
    reduced = held.reduced()
    assert permissions(reduced) == permissions(held)

    def without(scope: Scope) -> ScopeSet:
        return ScopeSet(tuple(other for other in reduced if other != scope))

    assert all(permissions(without(scope)) != permissions(held) for scope in reduced)


@law
@given(lists, lists)
def test_lists_by_address(a: AllowList, b: AllowList) -> None:
    """Lists are compared as the addresses that they cover, and anywhere is more than any list."""
    assert bool(a.beyond(b)) is (not addresses(a) <= addresses(b))
    assert a.equivalent(b) is b.equivalent(a) is (addresses(a) == addresses(b))


@law
@given(st.tuples(scope_sets, scope_sets), st.tuples(lists, lists | st.just(networks(FENCE))))
def test_direction_by_permission_and_address(held: tuple[ScopeSet, ScopeSet], at: tuple[AllowList, AllowList]) -> None:
    """A change widens and narrows as the pairs of permission and address that it gives and takes."""
    before, after = (set(product(permissions(s), addresses(n))) for s, n in zip(held, at, strict=True))
    made = access_change(held, at)
    grants, revokes = (
        made.direction in (Direction.WIDEN, Direction.MIXED),
        made.direction in (Direction.NARROW, Direction.MIXED),
    )
    assert grants or after <= before
    assert revokes or before <= after
    if before and after:
        assert (grants, revokes) == (not after <= before, not before <= after)


@law
@given(files(), accounts())
def test_a_second_plan_is_done(wanted: DesiredAccount, keys: tuple[RemoteKey, ...]) -> None:
    """A plan made again right after all its changes were applied holds no applicable change."""
    first = plan_account(wanted, keys, NOW)
    again = plan_account(wanted, applied(keys, first.changes), NOW)
    assert [change for change in again.changes if change.applicable] == []


@law
@given(files(), accounts(), st.randoms(use_true_random=False))
def test_order_never_matters(wanted: DesiredAccount, keys: tuple[RemoteKey, ...], random: Random) -> None:
    """Whichever way desired and actual keys are listed, plan and digest are the same."""
    first = plan_account(wanted, keys, NOW)
    shuffled = replace(wanted, keys=tuple(random.sample(wanted.keys, len(wanted.keys))))
    again = plan_account(shuffled, random.sample(keys, len(keys)), NOW)
    assert again == first
    assert whole(again).digest == whole(first).digest


@law
@given(files(), accounts())
def test_nothing_is_granted_that_no_file_asks_for(wanted: DesiredAccount, keys: tuple[RemoteKey, ...]) -> None:
    """What an applicable change grants, in scopes and in networks, stands in the file; unmanaged keys gain nothing."""
    asked = {one.name: one for one in wanted.keys}
    for change in plan_account(wanted, keys, NOW).changes:
        if change.applicable and change.after and change.before:
            one = asked.get(change.name or "")
            scopes = one.scopes if one and one.scopes else ScopeSet(())
            listed = one.ip_allow_list if one else None
            assert permissions(change.after.scopes) <= permissions(change.before.scopes) | permissions(scopes)
            reached = addresses(listed) if listed is not None else set()
            assert addresses(change.after.ip_allow_list) <= addresses(change.before.ip_allow_list) | reached
            assert one or change.access.direction is Direction.NARROW or not addresses(change.before.ip_allow_list)


@law
@given(files(), accounts())
def test_other_keys_are_never_touched(wanted: DesiredAccount, keys: tuple[RemoteKey, ...]) -> None:
    """A change touches a key that a desired one means, or fences one that no file names, and each key once."""
    made = plan_account(wanted, keys, NOW)
    touched = [change for change in made.changes if change.applicable]
    assert len({change.key_id for change in touched}) == len(touched)
    asked = {one.name: one for one in wanted.keys}
    known = {label for one in wanted.keys for label in one.labels}
    for change in touched:
        key = next(key for key in keys if key.id == change.key_id)
        if change.name is None:
            assert wanted.unmanaged.then is UnmanagedAction.QUARANTINE
            assert change.action is Action.QUARANTINE
            assert key.label not in known
        else:
            one = asked[change.name]
            assert one.id == key.id or (one.id is None and key.label in one.labels)


@law
@given(files(), accounts(), st.integers(0, 100), st.integers(0, 5), st.booleans())
def test_approved_is_planned(
    wanted: DesiredAccount, keys: tuple[RemoteKey, ...], percent: int, at_least: int, hold: bool
) -> None:
    """Guardrails only ever take away: what is approved was planned, and is the same change."""
    planned = whole(plan_account(wanted, keys, NOW))
    limits = Limits(Threshold(percent, at_least), Threshold(percent, at_least), allow_restore=("a",))
    approval = approve(planned, Consent(limits, hold="INC-7" if hold else None), NOW)
    assert approval.plan == approval.approved.plan
    assert approval.plan.digest == planned.digest
    for before, after in zip(planned.changes, approval.plan.changes, strict=True):
        assert after == before or (before.applicable and after == before.ended(after.outcome, after.reason))
        assert not (hold and after.applicable)
        assert after.applicable or after.reason
    left = [change for change in approval.plan.changes if change.applicable]
    assert len(left) <= max(at_least, percent * len(keys) // 100)


@law
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 100), st.integers(0, 9))
def test_one_more_change_is_never_better(changed: int, same: int, percent: int, at_least: int) -> None:
    """Adding a change never turns a refusal of max-changes into an approval."""

    def refused(changed: int, same: int) -> bool:
        scopes = ScopeSet.parse(("messages:read:all",))
        keys = tuple(
            RemoteKey(str(n), f"old {n}" if n < changed else f"k{n}", scopes, networks(), LONG_AGO)
            for n in range(changed + same)
        )
        wanted = (
            KeySpec(f"k{n}", f"k{n}", Source("f", 1, 1), scopes, None, was=(f"old {n}",)) for n in range(len(keys))
        )
        consent = Consent(Limits(max_changes=Threshold(percent, at_least)))
        return bool(approve(whole(plan_account(desired(*wanted), keys, NOW)), consent, NOW).refusals)

    assert not refused(changed, same) or refused(changed + 1, same)
    assert not same or not refused(changed, same) or refused(changed + 1, same - 1)


@law
@given(moves())
def test_no_right_leaves_before_it_arrives(changes: tuple[Change, ...]) -> None:
    """No planned change revokes what a change that will not be made was to grant; nothing else is skipped."""
    after = skip_dependents(changes)
    for place, (before, change) in enumerate(zip(changes, after, strict=True)):
        lost = any(
            granted.overlaps(revoked)
            for other in (*after[:place], *after[place + 1 :])
            if not other.applicable
            for granted in ScopeSet.parse(other.access.scopes.granted)
            for revoked in ScopeSet.parse(change.access.scopes.revoked)
        )
        assert not (change.applicable and lost)
        assert change == before or (before.applicable and lost and change.outcome is Outcome.SKIPPED)


@law
@given(moves())
def test_dependencies_by_comparison(changes: tuple[Change, ...]) -> None:
    """Who waits for whom is what comparing every granted with every revoked scope finds."""
    dependencies = Dependencies(changes)
    for change in changes:
        revoked = ScopeSet.parse(change.access.scopes.revoked)
        found = tuple(
            other
            for other in changes
            if other is not change
            and any(g.overlaps(r) for g in ScopeSet.parse(other.access.scopes.granted) for r in revoked)
        )
        assert dependencies.of(change) == found
        assert (dependencies.any_of(change) in found) is bool(found)


edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16)


@law
@given(edges)
def test_waves_put_providers_first(pairs: list[tuple[int, int]]) -> None:
    """Every mixed change comes after those it waits for, unless they wait for it in turn; none is lost."""
    pairs = [(provider, taker) for provider, taker in pairs if provider != taker]
    changes = [
        Change(
            ACCOUNT,
            Action.UPDATE,
            str(n),
            str(n),
            str(n),
            None,
            access=AccessChange(
                Direction.MIXED,
                Delta(
                    tuple(f"e:{p}:{t}" for p, t in pairs if p == n),
                    tuple(f"e:{p}:{t}" for p, t in pairs if t == n),
                ),
            ),
        )
        for n in range(8)
    ]
    made = waves(changes)
    assert sorted(change.title for wave in made for change in wave) == [str(n) for n in range(8)]
    at = {int(change.title): place for place, wave in enumerate(made) for change in wave}
    reached = {n: {n} for n in range(8)}
    for _ in range(8):
        for provider, taker in pairs:
            reached[provider] |= reached[taker]
    for provider, taker in pairs:
        assert at[provider] < at[taker] or provider in reached[taker]
