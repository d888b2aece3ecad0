"""Answers about single keys, as values to show: who can do something, and why a key is as it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from reconciler.core.changes import Change
from reconciler.core.findings import Severity, Waiver
from reconciler.core.guardrails import Refusal
from reconciler.core.judging import Judgement, Verdict
from reconciler.core.keys import AccountRef, DesiredAccount, DesiredState, KeySpec, KeyState, RemoteKey, Role, Source
from reconciler.core.matching import Matched, Unclear, match_keys
from reconciler.core.networks import OPEN, AllowList
from reconciler.core.plan import AccountPlan, exemption
from reconciler.core.policy import ends, judgements_of, switched_off
from reconciler.core.rules import Policy
from reconciler.core.scopes import Reach, Scope, ScopeSet, parse_scope
from reconciler.core.subjects import Subject, actual_subjects, other_subjects, planned_subjects


@dataclass(frozen=True, slots=True)
class KeysIn:
    """An account that was read: what the files want of it, and what it has."""

    desired: DesiredAccount
    keys: tuple[RemoteKey, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """How one side lets a key do something: by which scopes, from where (None: the file does not say), if at all.

    It is of no use while it is ``switched_off``, or where no caller on the public IPv4 internet is on its list.
    """

    by: tuple[str, ...]
    networks: tuple[str, ...] | None
    switched_off: bool = False
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Holder:
    """A key that can do something by the files (``desired``), in the account (``actual``), or by both.

    ``unclear``: it has no name here, but may be a key of the files.
    """

    account_id: str
    sub_account_id: str | None
    sub_account_name: str | None
    name: str | None
    label: str
    key_id: str | None
    source: Source | None
    desired: Hold | None
    actual: Hold | None
    unclear: bool = False


def who_can(accounts: Iterable[KeysIn], wanted: Scope) -> tuple[Holder, ...]:
    """Give every key that covers a scope by the files or in its account, by account, named keys first."""
    return tuple(holder for one in accounts for holder in _holders(one, wanted))


def held(desired: DesiredState, accounts: Iterable[KeysIn]) -> frozenset[Scope]:
    """Give every scope that the files name for a key, or that a key of an account has, each as it is written there."""
    asked = (spec.scopes for account in desired.accounts for spec in account.named if spec.scopes is not None)
    given = (key.scopes for one in accounts for key in one.keys)
    return frozenset(scope for scopes in (*asked, *given) for scope in scopes)


def _holders(one: KeysIn, wanted: Scope) -> Iterator[Holder]:
    matching = match_keys(one.desired, one.keys)
    matched = {match.spec.name: match.remote for match in matching.matches if isinstance(match, Matched)}
    for spec in one.desired.keys:
        remote = matched.get(spec.name)
        desired, actual = _desired(spec, remote, wanted), _actual(remote, wanted)
        if desired or actual:
            yield _holder(one.desired, spec, remote, desired, actual)
    unclear = {key.id for key in matching.reserved}
    for key in sorted((*matching.unmanaged, *matching.reserved), key=lambda key: (key.label, key.id)):
        if actual := _actual(key, wanted):
            yield replace(_holder(one.desired, None, key, None, actual), unclear=key.id in unclear)


def _desired(spec: KeySpec, remote: RemoteKey | None, wanted: Scope) -> Hold | None:
    """Tell what the file wants; scopes that it leaves open are those of the account."""
    if spec.state is KeyState.ABSENT:
        return None
    scopes = spec.scopes if spec.scopes is not None else remote.scopes if remote else ScopeSet(())
    return _hold(scopes, spec.ip_allow_list, wanted, switched_off=spec.state is KeyState.QUARANTINED)


def _actual(key: RemoteKey | None, wanted: Scope) -> Hold | None:
    return _hold(key.scopes, key.ip_allow_list, wanted, switched_off=key.ip_allow_list.fenced) if key else None


def _hold(scopes: ScopeSet, listed: AllowList | None, wanted: Scope, *, switched_off: bool) -> Hold | None:
    by = tuple(scope.text for scope in scopes if scope.covers(wanted))
    networks = None if listed is None else listed.networks
    reachable = listed is None or listed.reachable() or switched_off
    return Hold(by, networks, switched_off, reachable) if by else None


def _holder(
    desired: DesiredAccount, spec: KeySpec | None, remote: RemoteKey | None, wanted: Hold | None, actual: Hold | None
) -> Holder:
    return Holder(
        desired.account.account_id,
        desired.account.sub_account_id,
        desired.name,
        spec.name if spec else None,
        spec.label if spec else remote.label if remote else "",
        remote.id if remote else spec.id if spec else None,
        spec.source if spec else None,
        wanted,
        actual,
    )


# Why a key is as it is


@dataclass(frozen=True, slots=True)
class ExplainedScope:
    """One scope of a key: which roles give it, whether the file lists it itself, whether the account has it.

    ``covered_by`` are the wider scopes of the key, so that it adds nothing, and ``covers`` what it reaches besides its
    own text.
    """

    text: str
    roles: tuple[str, ...]
    listed: bool
    held: bool
    covered_by: tuple[str, ...]
    covers: str


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """What one rule says of the key."""

    rule: str
    severity: Severity
    verdict: Verdict
    message: str
    hint: str
    source: Source | None
    waived: Waiver | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All there is to say of one key: what asks for it, what it may do and why, what rules say, what would be done.

    ``known`` is its id, or why it has none; ``left_alone`` is why a rule that switches keys off does not switch it off.
    """

    account: AccountRef
    account_name: str | None
    subject: Subject
    known: str
    scopes: tuple[ExplainedScope, ...]
    roles: tuple[Role, ...]
    rules: tuple[ExplainedRule, ...]
    change: Change | None
    refusals: tuple[Refusal, ...]
    left_alone: str | None = None


@dataclass(frozen=True, slots=True)
class Explaining:
    """What explanations draw on: the policy, the roles of the files, what guardrails refused, and the time."""

    policy: Policy
    roles: Sequence[Role]
    refusals: Sequence[Refusal]
    now: datetime


def explain(desired: DesiredAccount, plan: AccountPlan, which: str, explaining: Explaining) -> tuple[Explanation, ...]:
    """Explain every key of an account whose name, id or label is ``which``; ``plan`` is the one that was approved."""
    now = explaining.now
    planned = tuple(planned_subjects(plan, now))
    named = {subject.id for subject in planned if subject.remote}
    actual = tuple(actual_subjects(plan, now))
    others = tuple(subject for subject in actual if subject.id not in named)
    everyone = (*planned, *others, *_to_go(plan, now))
    found = (subject for subject in everyone if which in (subject.name, subject.id, subject.label))
    other = tuple(other_subjects(plan, now))
    return tuple(
        _explained(desired, plan, subject, actual if subject.actual else (*planned, *other), explaining)
        for subject in found
    )


def _to_go(plan: AccountPlan, now: datetime) -> Iterator[Subject]:
    """Give the desired keys that the files want gone and that the account does not have, so that nothing is left."""
    for match in plan.matching.matches:
        if match.spec.state is KeyState.ABSENT and not isinstance(match, Matched):
            spec = match.spec
            yield Subject(now, plan.account, spec.label, ScopeSet(()), OPEN, managed=True, spec=spec, actual=False)


def _explained(
    desired: DesiredAccount,
    plan: AccountPlan,
    subject: Subject,
    beside: Sequence[Subject],
    explaining: Explaining,
) -> Explanation:
    change = next((c for c in plan.changes if _is_of(c, subject)), None)
    rules = _rules(desired, subject, change, beside, explaining)
    return Explanation(
        plan.account,
        desired.name,
        subject,
        _known(plan, subject),
        _scopes(subject, explaining.roles),
        tuple(role for role in explaining.roles if subject.spec and role.name in subject.spec.roles),
        rules,
        change,
        tuple(refusal for refusal in explaining.refusals if _concerns(refusal, subject)),
        None if change else _left_alone(desired, plan, subject, rules, explaining.policy),
    )


def _left_alone(
    desired: DesiredAccount, plan: AccountPlan, subject: Subject, rules: Sequence[ExplainedRule], policy: Policy
) -> str | None:
    """Say why nothing is done about a key of no file that breaks a rule with ``then: quarantine``, or None."""
    fencing = {rule.id for rule in policy.rules if rule.fences}
    broken = [rule for rule in rules if rule.rule in fencing and rule.verdict is Verdict.BROKEN and not rule.waived]
    if subject.managed or not broken or subject.remote is None:
        return None
    why = exemption(subject.remote, desired.unmanaged, subject.now) or (plan.waits.message if plan.waits else None)
    return f"{broken[0].rule} would switch it off, but {why}" if why else None


def _rules(
    desired: DesiredAccount,
    subject: Subject,
    change: Change | None,
    beside: Sequence[Subject],
    explaining: Explaining,
) -> tuple[ExplainedRule, ...]:
    """Give what each rule says, as a plan would judge it: one about changes looks at a key as it will be."""
    if subject.state is KeyState.ABSENT:
        return ()
    policy = explaining.policy
    judged = {each.rule.id: (each, waiver) for each, waiver in judgements_of(policy, desired, subject, beside)}
    if change is not None and ends(change):
        off = judgements_of(policy, desired, switched_off(change, explaining.now, subject.spec), ())
        judged |= {each.rule.id: (each, waiver) for each, waiver in off if each.rule.about_changes}
    return tuple(_rule(*judged[name]) for name in sorted(judged))


def _known(plan: AccountPlan, subject: Subject) -> str:
    """Give the id of a key, or say why it has none."""
    if subject.remote:
        return subject.remote.id
    match = next(each for each in plan.matching.matches if each.spec is subject.spec)
    match match:
        case Unclear(reason=reason):
            return f"cannot be told: {reason}"
        case _:
            return "does not exist yet" if match.spec.state is KeyState.PRESENT else "there is none"


def _is_of(change: Change, subject: Subject) -> bool:
    if subject.name is not None:
        return change.name == subject.name
    return change.name is None and change.key_id == subject.id


def _concerns(refusal: Refusal, subject: Subject) -> bool:
    """Tell whether a refusal is about this key, its account, all sub accounts beside its own, or the whole run."""
    if refusal.account is None:
        return True
    if refusal.of_family:
        return refusal.account == subject.account.parent
    return refusal.account == subject.account and refusal.key_id in (None, subject.id)


def _rule(judged: Judgement, waiver: Waiver | None) -> ExplainedRule:
    rule = judged.rule
    return ExplainedRule(rule.id, rule.severity, judged.verdict, judged.message, judged.hint, rule.source, waiver)


def _scopes(subject: Subject, roles: Sequence[Role]) -> tuple[ExplainedScope, ...]:
    spec = subject.spec
    mine = [role for role in roles if spec and role.name in spec.roles]
    given = {role.name: ScopeSet.parse(role.filled(spec.domains if spec else ())).texts for role in mine}
    of_roles = {text for texts in given.values() for text in texts}
    wanted = set(spec.scopes.texts) if spec and spec.scopes is not None else set()
    held = set(subject.remote.scopes.texts) if subject.remote else set()
    texts = sorted(wanted | held)
    return tuple(
        ExplainedScope(
            text,
            tuple(name for name, scopes in sorted(given.items()) if text in scopes),
            text in wanted and text not in of_roles,
            text in held,
            tuple(other for other in texts if other != text and parse_scope(other).covers(parse_scope(text))),
            _reach(parse_scope(text)),
        )
        for text in texts
    )


def _reach(scope: Scope) -> str:
    match scope.reach:
        case Reach.EVERYTHING:
            return "everything, also what is added later"
        case Reach.ALL:
            return f"{scope.family} for every domain of the account"
        case Reach.DOMAIN:
            return f"{scope.family} for {scope.domain} alone"
        case Reach.STATIC:
            return "just this"
        case Reach.UNKNOWN:
            return "what this version does not know"
        case _:
            assert_never(scope.reach)
