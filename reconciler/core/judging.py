"""Asks rules about keys, a hundred thousand of them in seconds.

A rule that cannot be evaluated for a key counts as broken, with ``deny``: nobody should rely on one that says nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import chain, compress
from typing import Final

from reconciler.core.builtins import AccountCheck, DuplicateLabel, IdenticalAccess
from reconciler.core.expressions import Bound, EvaluationError, Expression, batch, bind
from reconciler.core.rules import Match, Rule
from reconciler.core.subjects import Subject, shown, values


class Verdict(Enum):
    """How a key stands with a rule."""

    KEPT = "kept"
    BROKEN = "broken"
    FAILED = "could not be evaluated"
    OTHER_KEYS = "about other keys"
    NO_CHANGE = "about changes, and there is none"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule says of one key; ``message`` where it is broken or failed."""

    rule: Rule
    subject: Subject
    verdict: Verdict
    message: str = ""

    @property
    def hint(self) -> str:
        """What to do."""
        return "mend the rule, or what it reads of the key" if self.verdict is Verdict.FAILED else self.rule.hint


_BROKEN: Final = "breaks this rule"
_Told = Callable[[Subject], str | None]


class Bench:
    """Rules over the keys of one account; ``others`` are keys that only stand beside those under judgement.

    It is made for a hundred thousand keys: what a rule is about is looked up once, and expressions are evaluated
    together, which nearly always tells that none of them holds.
    """

    def __init__(self, rules: Iterable[Rule], subjects: Iterable[Subject], others: Iterable[Subject] = ()) -> None:
        self._rules = tuple(rules)
        self._subjects = tuple(subjects)
        everyone: tuple[Subject, ...] = ()
        if any(isinstance(rule.check, AccountCheck) for rule in self._rules):
            everyone = (*self._subjects, *others)
        self._checks: list[tuple[Rule, Match | None, _Told]] = []
        self._alone: list[tuple[Rule, Expression]] = []
        together: list[tuple[Rule, Expression]] = []
        for rule in self._rules:
            match rule.check:
                case Expression(about_changes=False) as expression:
                    together.append((rule, expression))
                case Expression() as expression:  # what is asked about changes is asked less often
                    self._alone.append((rule, expression))
                case DuplicateLabel() | IdenticalAccess() as check:
                    told = partial(_among, check, _groups(check, everyone))
                    self._checks.append((rule, _unless_all(rule.match), told))
                case check:
                    self._checks.append((rule, _unless_all(rule.match), check.verdict))
        self._together = together
        expressions = [expression for _, expression in (*together, *self._alone)]
        self._names = frozenset(name for expression in expressions for name in expression.names)
        self._facts = tuple(dict.fromkeys(fact for expression in expressions for fact in expression.facts))
        self._batch = batch([expression for _, expression in together])

    def judgements(self) -> Iterator[Judgement]:
        """Give what every rule says of every key, in the order of the keys."""
        for subject in self._subjects:
            broken = {judged.rule.id: judged for judged in self._broken(subject)}
            for rule in self._rules:
                yield broken.get(rule.id) or Judgement(rule, subject, _otherwise(rule, subject))

    def broken(self) -> Iterator[Judgement]:
        """Give what there is to be said, in the order of the keys."""
        for subject in self._subjects:
            yield from self._broken(subject)

    def _broken(self, subject: Subject) -> Iterator[Judgement]:
        for rule, match, told in self._checks:
            said = told(subject) if match is None or match.takes(subject) else None
            if said is not None:
                yield Judgement(rule, subject, Verdict.BROKEN, _message(rule, subject, said))
        alone = self._alone if subject.change else ()
        if not (self._together or alone):
            return
        read = values(subject, self._names)
        bound = bind(read, self._facts)
        held = self._batch.holds(bound, read) if self._batch else None
        likely = self._together if held is None else compress(self._together, held)
        for rule, expression in chain(likely, alone):
            if rule.match.takes(subject) and (judged := _evaluated(rule, expression, subject, (bound, read))):
                yield judged


def _evaluated(
    rule: Rule, expression: Expression, subject: Subject, bound: tuple[Bound, Mapping[str, object]]
) -> Judgement | None:
    try:
        if not expression.holds(*bound):
            return None
    except EvaluationError as error:
        told = f"{subject.title} could not be judged, which counts as broken: {error}"
        return Judgement(rule, subject, Verdict.FAILED, told)
    return Judgement(rule, subject, Verdict.BROKEN, _message(rule, subject, _BROKEN))


def _message(rule: Rule, subject: Subject, said: str) -> str:
    if rule.message is None:
        return f"{subject.title} {said}"
    return rule.message.filled(shown(subject, rule.message.names))


def _otherwise(rule: Rule, subject: Subject) -> Verdict:
    """Tell how a key stands with a rule that it does not break."""
    if not rule.match.takes(subject):
        return Verdict.OTHER_KEYS
    return Verdict.NO_CHANGE if rule.about_changes and subject.change is None else Verdict.KEPT


def _unless_all(match: Match) -> Match | None:
    """Give what narrows a rule, None where nothing does."""
    return None if match == Match() else match


def _among(check: AccountCheck, groups: Mapping[int, list[Subject]], subject: Subject) -> str | None:
    others = tuple(_named(other) for other in groups.get(id(subject), ()) if other is not subject)
    return check.told(others) if others else None


def _groups(check: AccountCheck, subjects: Iterable[Subject]) -> dict[int, list[Subject]]:
    """Give the keys that are alike, by the identity of each of them."""
    groups: defaultdict[Hashable, list[Subject]] = defaultdict(list)
    for subject in subjects:
        alike = check.alike(subject)
        if alike is not None:
            groups[alike].append(subject)
    return {id(subject): group for group in groups.values() if len(group) > 1 for subject in group}


def _named(subject: Subject) -> str:
    return subject.name or (f"key {subject.id}" if subject.id else subject.title)
