"""The policy as values: its rules, which keys each is about, and which findings are waived until when."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from reconciler.core.builtins import AccountCheck, KeyCheck
from reconciler.core.expressions import Expression
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import AccountRef, Source, is_named
from reconciler.core.patterns import is_like, is_like_id
from reconciler.core.subjects import Subject
from reconciler.core.templates import Template


def end_of(until: date) -> datetime:
    """Give when something ends that holds until a day: at 24:00 UTC of it."""
    last = datetime(until.year, until.month, until.day, tzinfo=UTC)
    return last + timedelta(days=1) if until < date.max else datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Match:
    """Which keys a rule is about: those for which all holds that is said; ``*`` and ``?`` stand for any text."""

    owner: str | None = None
    label: str | None = None
    account: str | None = None
    sub_account: str | None = None
    managed: bool | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    def takes_account(self, account: AccountRef, name: str | None) -> bool:
        """Tell whether keys of this account are meant; a sub account by its id or its name, none is for an account."""
        if self.account is not None and not is_like_id(account.account_id, self.account):
            return False
        if self.sub_account is None:
            return True
        below = account.sub_account_id
        return below is not None and (is_like_id(below, self.sub_account) or is_like(name or "", self.sub_account))

    def takes(self, subject: Subject) -> bool:
        """Tell whether a key is meant, in an account that is."""
        return (
            self.managed in (None, subject.managed)
            and (self.owner is None or (subject.owner != "" and is_like(subject.owner, self.owner)))
            and (self.label is None or is_like(subject.label, self.label))
            and all(
                name in subject.annotations and is_like(subject.annotations[name], pattern)
                for name, pattern in self.annotations
            )
        )


Check = Expression | KeyCheck | AccountCheck


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy.

    Attributes:
        id: Its name, unique in the policy.
        severity: How serious it is to break it.
        check: What it looks at; an expression is true where the rule is broken.
        message: What to say, None: what the check itself says.
        hint: What to do.
        match: Which keys it is about.
        fences: Whether an unmanaged key that breaks it is switched off.
        source: Where it stands.
        policies: Which of several policies have it: only those may waive it.
    """

    id: str
    severity: Severity
    check: Check
    message: Template | None = None
    hint: str = ""
    match: Match = Match()
    fences: bool = False
    source: Source | None = None
    policies: frozenset[int] = frozenset({0})

    @property
    def about_changes(self) -> bool:
        """Whether it is about what a change does, and not about what a key is."""
        return isinstance(self.check, Expression) and self.check.about_changes


@dataclass(frozen=True, slots=True)
class WaiverRule:
    """Which findings a policy accepts: those of a rule about keys of this name or id, or with a label like this."""

    rule: str
    until: date
    owner: str
    reason: str
    key: str | None = None
    label: str | None = None
    account: str | None = None
    source: Source | None = None
    policy: int = 0

    @property
    def end(self) -> datetime:
        """When it ends: at 24:00 UTC of its last day."""
        return end_of(self.until)

    @property
    def order(self) -> tuple[date, str, str]:
        """What sorts waivers for the same: the one that ends first comes first."""
        return self.until, self.owner, self.reason

    def takes(self, subject: Subject) -> bool:
        """Tell whether a key is meant."""
        return (
            (self.key is None or is_named(self.key, subject.name, subject.id))
            and (self.label is None or all(is_like(label, self.label) for label in subject.labels))
            and (self.account is None or is_like_id(subject.account.account_id, self.account))
        )

    def __str__(self) -> str:
        return f"the waiver of {self.rule} for {self.key if self.key is not None else f'labels like {self.label!r}'}"


@dataclass(frozen=True)
class Policy:
    """All rules, sorted by id, and all waivers of all policy files; ``digest`` tells what they say, None for none."""

    rules: tuple[Rule, ...] = ()
    waivers: tuple[WaiverRule, ...] = ()
    digest: str | None = None

    @cached_property
    def _waivers_of(self) -> Mapping[tuple[str, str | None], list[WaiverRule]]:
        """Waivers by rule and key, those for labels under None: a thousand of them must not be tried for each key."""
        found: defaultdict[tuple[str, str | None], list[WaiverRule]] = defaultdict(list)
        for waiver in self.waivers:
            found[waiver.rule, waiver.key].append(waiver)
        return dict(found)

    def waived(self, rule: Rule, subject: Subject) -> Waiver | None:
        """Give the waiver that is in force for a finding, None unless every policy that has the rule waives it.

        Of several in one policy the one counts that ends last, of those of several policies the one that ends first.
        """
        places = {(rule.id, key) for key in (subject.name, subject.id, None)}
        listed = (waiver for place in places for waiver in self._waivers_of.get(place, ()))
        last: dict[int, WaiverRule] = {}
        for waiver in sorted(listed, key=lambda waiver: waiver.order):
            if subject.now < waiver.end and waiver.takes(subject):
                last[waiver.policy] = waiver
        if not last or not rule.policies <= last.keys():
            return None
        first = min(last.values(), key=lambda waiver: waiver.order)
        return Waiver(first.until.isoformat(), first.owner, first.reason)

    def rules_for(self, account: AccountRef, name: str | None) -> tuple[Rule, ...]:
        """Give the rules that are about keys of an account."""
        return tuple(rule for rule in self.rules if rule.match.takes_account(account, name))
