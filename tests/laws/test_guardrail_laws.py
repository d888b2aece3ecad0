"""Laws of the guardrails, over made-up accounts, files, requirements and limits."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from builders import ACCOUNT, FENCE, NOW, SUB_ACCOUNT, desired, whole
from laws.universe import BLOCKS, Kinds, allowed, in_use, law, let_in, like, remotes, specs
from reconciler.core.allowable import ALLOWABLE
from reconciler.core.changes import Change, Outcome, skip_dependents
from reconciler.core.guardrails import Consent, InUse, Limits, Threshold, approve
from reconciler.core.keys import AccountRef, KeySpec, KeyState, RemoteKey, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.networks import AllowList
from reconciler.core.plan import AccountPlan, plan_account
from reconciler.core.requirements import Requirement
from reconciler.core.scopes import ScopeSet, parse_scope

WIDE = ("messages:send:all", "api-keys:write", "x:y")
COUNTING = frozenset({"max-changes", "max-switched-off", "max-widened"})
WATCHING = frozenset({"guardian", "coverage"})
OTHERS = frozenset(ALLOWABLE) - COUNTING - WATCHING
# Few kinds of keys, so that several hold what must be kept and few limits are far from what is asked.
SEND = "messages:send:{a.example}"
FEW = Kinds(
    st.sampled_from(
        [ScopeSet.parse(some) for some in ((SEND,), (SEND,), ("x:y",), ("x:y", SEND), *combinations((SEND, *WIDE), 2))]
    ),
    st.sampled_from([AllowList.parse(some) for some in ((), (), BLOCKS[15:16], BLOCKS[16:18], BLOCKS[:1], (FENCE,))]),
)
ANY_NUMBER = Threshold(100, 9)
OFF = Limits(ANY_NUMBER, ANY_NUMBER)
names = st.lists(st.sampled_from(("k0", "k1", "k2")), max_size=2, unique=True).map(tuple)
thresholds = st.builds(Threshold, st.sampled_from((0, 25, 50, 100)), st.integers(0, 2))
patterns = st.sampled_from((None, None, None, "*", ACCOUNT.account_id, "1111*", "2222*"))
required = st.builds(Requirement, st.sampled_from((SEND, SEND, "x:y")).map(parse_scope), patterns, patterns)
requirements = st.lists(required, min_size=1, max_size=3).map(tuple)
lengths = st.sampled_from((timedelta(minutes=15), timedelta(days=1), timedelta(days=30)))
limits = st.builds(
    Limits,
    st.sampled_from((ANY_NUMBER, ANY_NUMBER)) | thresholds,
    st.sampled_from((ANY_NUMBER, ANY_NUMBER)) | thresholds,
    st.none() | thresholds,
    st.none() | names,
    names,
    st.none() | st.builds(InUse, lengths, st.booleans(), names),
    requirements,
)
consents = st.builds(
    Consent,
    limits,
    st.sets(st.sampled_from(ALLOWABLE), max_size=3).map(frozenset),
    st.sampled_from(({}, {None: "0"}, {None: "elsewhere"})),
)
unmanaged = st.builds(UnmanagedRule, st.sampled_from(UnmanagedAction), include_senders=st.booleans())
refs = st.sampled_from((ACCOUNT, ACCOUNT, SUB_ACCOUNT))


@st.composite
def plans(draw: st.DrawFn) -> AccountPlan:
    """A plan for keys of which the files name most, each by its id."""
    keys = draw(remotes(2, 4, FEW))
    wanted = draw(specs(0, len(keys), FEW)) if draw(st.booleans()) else draw(specs(len(keys), len(keys), FEW))
    pinned = (replace(one, id=key.id) for one, key in zip(wanted, keys, strict=False))
    return plan_account(desired(*pinned, account=draw(refs), unmanaged=draw(unmanaged)), keys, NOW)


def after(account: AccountPlan, changes: Iterable[Change]) -> list[RemoteKey]:
    """The keys of an account once its applicable changes are made."""
    made = {change.key_id: change.after for change in changes if change.applicable}
    return [made.get(key.id) or key for key in account.actual]


def concerned(wanted: Requirement, ref: AccountRef) -> bool:
    """Tell whether a key of an account may be the one: with an account alone, none of its sub accounts is meant."""
    if wanted.account is not None and not like(ref.account_id, wanted.account):
        return False
    if wanted.sub_account is None:
        return wanted.account is None or ref.sub_account_id is None
    return ref.sub_account_id is not None and like(ref.sub_account_id, wanted.sub_account)


@law
@given(required, patterns, refs)
def test_whose_requirement_it_is(wanted: Requirement, below: str | None, ref: AccountRef) -> None:
    """A requirement is about the accounts that it names, and about the sub accounts that it names as well."""
    for each in (wanted, replace(wanted, sub_account=below), replace(wanted, account=None)):
        assert each.concerns(ref) is concerned(each, ref)


def can(key: RemoteKey, wanted: Requirement) -> bool:
    return wanted.scope.text in allowed(key.scopes.texts) and in_use(key)


@law
@given(plans(), consents, requirements)
def test_what_must_keep_working_works_afterwards(
    account: AccountPlan, consent: Consent, require: tuple[Requirement, ...]
) -> None:
    """What some key could do that the policy requires some key can do after all approved changes, unless allowed."""
    for each in (consent, Consent(replace(OFF, require=require), OTHERS)):
        changes = approve(whole(account), each, NOW).plan.changes
        assert kept(account, changes, each.limits) or "coverage" in each.allowed


@law
@given(plans(), consents)
def test_somebody_can_still_write_keys(account: AccountPlan, consent: Consent) -> None:
    """An account that had a key which can write keys has one after all approved changes, unless allowed."""

    def writes(keys: Iterable[RemoteKey]) -> bool:
        return any("api-keys:write" in allowed(k.scopes.texts) and let_in(k.ip_allow_list.networks) for k in keys)

    for each in (consent, Consent(OFF, OTHERS, self_keys={None: account.actual[0].id})):
        changes = approve(whole(account), each, NOW).plan.changes
        assert (
            not writes(account.actual)
            or writes(after(account, changes))
            or ("guardian" in each.allowed or account.account is SUB_ACCOUNT)
        )


def broken(changes: Sequence[Change], account: AccountPlan, limits: Limits) -> set[str]:
    return {guardrail for guardrail, breaks in SPOKEN_AGAINST.items() if breaks(changes, account, limits)}


def kept(account: AccountPlan, changes: Iterable[Change], limits: Limits) -> bool:
    """Tell whether all that is required and could be done before can be done after the applicable changes."""
    left = after(account, changes)
    return all(
        any(can(key, wanted) for key in left)
        for wanted in limits.require
        if concerned(wanted, account.account) and any(can(key, wanted) for key in account.actual)
    )


@law
@given(plans(), consents)
def test_what_is_approved_is_within_every_limit(account: AccountPlan, consent: Consent) -> None:
    """No approved change, and no number of them, is one that a setting speaks against, unless allowed by name."""
    approved = [change for change in approve(whole(account), consent, NOW).plan.changes if change.applicable]
    assert broken(approved, account, consent.limits) <= consent.allowed


@law
@given(plans(), consents, requirements)
def test_what_nothing_speaks_against_is_approved(
    account: AccountPlan, consent: Consent, require: tuple[Requirement, ...]
) -> None:
    """Changes that keep within every limit, and all that is required, are refused by none of them."""
    planned = [change for change in account.changes if change.applicable]
    for each in (consent, Consent(replace(OFF, require=require))):
        bold = replace(each, allowed=each.allowed | {"guardian", "unreachable"})
        held = "coverage" in bold.allowed or kept(account, account.changes, bold.limits)
        if held and skip_dependents(account.changes) == account.changes:
            refused = approve(whole(account), bold, NOW).refusals
            assert bool(refused) is bool(broken(planned, account, bold.limits) - bold.allowed)


def more_than(limit: Threshold | None, counted: Iterable[bool], account: AccountPlan) -> bool:
    return limit is not None and sum(counted) > max(limit.at_least, limit.percent * len(account.actual) // 100)


def gives_more(change: Change) -> bool:
    """Tell by what it spells out whether a change gives a key scopes or callers, even if it cannot be used then."""
    if change.before is None or change.after is None:
        return False
    scopes = allowed(change.after.scopes.texts) - allowed(change.before.scopes.texts)
    callers = let_in(change.after.ip_allow_list.networks) - let_in(change.before.ip_allow_list.networks)
    return bool(scopes or callers)


def takes_away(change: Change) -> bool:
    return gives_more(replace(change, before=change.after, after=change.before))


def is_off(change: Change) -> bool:
    return change.after is None or not let_in(change.after.ip_allow_list.networks)


def switches_off(change: Change) -> bool:
    return change.before is not None and bool(let_in(change.before.ip_allow_list.networks)) and is_off(change)


def breaks_in_use(change: Change, in_use: InUse | None) -> bool:
    used = change.before.last_used_at if change.before else None
    if in_use is None or change.before is None or used is None or change.name in in_use.allow:
        return False
    if not let_in(change.before.ip_allow_list.networks):
        return False
    return used >= NOW - in_use.within and (switches_off(change) or (in_use.narrowing and takes_away(change)))


Spoken = Callable[[Sequence[Change], AccountPlan, Limits], bool]
SPOKEN_AGAINST: dict[str, Spoken] = {
    "max-changes": lambda approved, account, limits: more_than(limits.max_changes, (True for _ in approved), account),
    "max-switched-off": lambda approved, account, limits: more_than(
        limits.max_switched_off, map(switches_off, approved), account
    ),
    "max-widened": lambda approved, account, limits: more_than(
        limits.max_widened, (gives_more(change) and not switches_off(change) for change in approved), account
    ),
    "widening": lambda approved, account, limits: (
        limits.allow_widening is not None
        and any(
            gives_more(change) and not switches_off(change) and change.name not in limits.allow_widening
            for change in approved
        )
    ),
    "restore": lambda approved, account, limits: any(
        change.before is not None
        and not let_in(change.before.ip_allow_list.networks)
        and not is_off(change)
        and change.name not in limits.allow_restore
        for change in approved
    ),
    "in-use": lambda approved, account, limits: any(breaks_in_use(change, limits.in_use) for change in approved),
    "empty-desired": lambda approved, account, limits: bool(approved) and account.without_desired,
}


# Monotony. A refusal is of a whole change, so whatever a refused change was to grant or to take stays as it is, and the
# others are judged without it: one may then be let through that was refused before. So the law is about a revocation
# that is a change of its own, and about changes that only give or only take.


Outcomes = dict[str, Outcome]
Story = tuple[tuple[RemoteKey, ...], tuple[KeySpec, ...], tuple[KeySpec, ...]]


@st.composite
def stories(draw: st.DrawFn, *, own_change: bool, pure: bool) -> Story:
    """Keys, the specs of some of them, and the same specs with one more revocation.

    That is a change of its own, or more of what some change takes; where they are ``pure`` each gives or takes only.
    """
    keys = draw(remotes(2, 4, FEW))
    order = draw(st.permutations(range(len(keys))))
    taken = draw(st.sampled_from(order))
    wanted = {n: draw(_wanted(keys[n], f"k{order[n]}", pure=pure)) for n in order if n != taken and draw(st.booleans())}
    before = dict(wanted)
    if not own_change:
        before[taken] = draw(_narrower(keys[taken], _named(keys[taken], f"k{order[taken]}")))
    wanted[taken] = draw(_narrower(keys[taken], before.get(taken) or _named(keys[taken], f"k{order[taken]}")))
    return keys, tuple(before.values()), tuple(wanted.values())


def _named(key: RemoteKey, name: str) -> KeySpec:
    """Give the desired key that leaves a key as it is."""
    state = KeyState.PRESENT if let_in(key.ip_allow_list.networks) else KeyState.QUARANTINED
    return KeySpec(name, key.label, Source("keys.yaml", 1, 1), key.scopes, None, id=key.id, state=state)


@st.composite
def _wanted(draw: st.DrawFn, key: RemoteKey, name: str, *, pure: bool) -> KeySpec:
    one = _named(key, name)
    if not pure:
        return replace(
            one,
            scopes=draw(FEW.held),
            ip_allow_list=draw(st.none() | FEW.listed.filter(lambda one: not one.fenced)),
            state=KeyState.PRESENT,
        )
    if draw(st.booleans()):
        return draw(_narrower(key, one))
    return replace(one, scopes=ScopeSet.parse([*key.scopes.texts, *draw(FEW.held).texts]))


@st.composite
def _narrower(draw: st.DrawFn, key: RemoteKey, one: KeySpec) -> KeySpec:
    """The same desired key with less: fewer scopes, fewer networks, or switched off."""
    held, listed = one.scopes or key.scopes, one.ip_allow_list or key.ip_allow_list
    kept = [text for text in held.texts if draw(st.booleans())] or held.texts
    match draw(st.sampled_from(("scopes", "networks", "both", "off"))):
        case "off":
            return replace(one, state=KeyState.QUARANTINED)
        case "scopes":
            return replace(one, scopes=ScopeSet.parse(kept))
        case what:
            fewer = [text for text in listed.networks or BLOCKS if text != FENCE and draw(st.booleans())]
            scopes = held if what == "networks" else ScopeSet.parse(kept)
            return replace(one, scopes=scopes, ip_allow_list=AllowList.parse(fewer or listed.networks))


def outcomes(keys: Iterable[RemoteKey], wanted: tuple[KeySpec, ...], consent: Consent, ref: AccountRef) -> Outcomes:
    approval = approve(whole(plan_account(desired(*wanted, account=ref), keys, NOW)), consent, NOW)
    return {change.title: change.outcome for change in approval.plan.changes}


def freed(story: Story, consent: Consent, ref: AccountRef = ACCOUNT) -> set[str]:
    """Give the changes that are refused, and are let through when there is one more revocation."""
    keys, before, after = story
    refused = {title for title, how in outcomes(keys, before, consent, ref).items() if how is Outcome.REFUSED}
    return {title for title, how in outcomes(keys, after, consent, ref).items() if how is Outcome.PLANNED} & refused


@law
@given(stories(own_change=True, pure=True), consents, refs)
def test_a_further_revocation_frees_no_change(story: Story, consent: Consent, ref: AccountRef) -> None:
    """Where changes only give or only take, one more that takes never makes way for one that a guardrail refused."""
    limits = replace(consent.limits, max_changes=ANY_NUMBER, max_switched_off=ANY_NUMBER, max_widened=None)
    assert not freed(story, replace(consent, limits=limits), ref)


@law
@given(stories(own_change=False, pure=True), consents, refs)
def test_a_change_that_takes_more_is_not_freed(story: Story, consent: Consent, ref: AccountRef) -> None:
    """A change that a guardrail refuses is refused or skipped as well where it takes still more."""
    limits = replace(consent.limits, max_changes=ANY_NUMBER, max_switched_off=ANY_NUMBER, max_widened=None)
    _, before, after = story
    more = {one.name for one, other in zip(before, after, strict=True) if one != other}
    assert not more & freed(story, replace(consent, limits=limits), ref)


@law
@given(stories(own_change=True, pure=False), limits, refs)
def test_a_further_revocation_counts(story: Story, limits: Limits, ref: AccountRef) -> None:
    """One more change that takes never makes room for others within the limits that count."""
    counted = Limits(limits.max_changes, limits.max_switched_off, limits.max_widened)
    assert not freed(story, Consent(counted, OTHERS | WATCHING), ref)
