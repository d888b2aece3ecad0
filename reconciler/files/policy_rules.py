"""The rules of policy files, compiled and checked; the same rule in several files is as serious as in the strictest."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from reconciler.core.builtins import AccountCheck, RequireOwner
from reconciler.core.expressions import ExpressionError, compile_expression
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import SHORTEST_USE, TOLD_LATE
from reconciler.core.rules import Check, Match, Rule
from reconciler.core.scopes import canonical_pattern, pattern_suggestion, reaches_something
from reconciler.core.templates import Template, TemplateError, read_template
from reconciler.core.vocabulary import ABOUT_CHANGES, VARIABLES
from reconciler.files.document import Path
from reconciler.files.entries import length
from reconciler.files.places import place_after
from reconciler.files.rule_entries import BUILTINS, RuleEntry
from reconciler.files.shape import Faults, Inside, Spot, shown

RESERVED: Final = frozenset(
    {
        "account-not-named",
        "config-rejected",
        "contested",
        "coverage",
        "covered-scope",
        "domains-not-checked",
        "fence-waits",
        "freeze-ended",
        "freeze-matches-nothing",
        "frozen",
        "label-belongs-to-another",
        "link-not-followed",
        "match-unclear",
        "no-desired-state",
        "no-policy",
        "pause-ended",
        "pause-ends-soon",
        "quarantined-missing",
        "requirement-matches-nothing",
        "rule-matches-nothing",
        "repeated-scope",
        "saved-listing",
        "shard",
        "select-matches-nothing",
        "starter-policy",
        "sub-accounts-not-selected",
        "unknown-domain",
        "unknown-scope",
        "unmanaged-waits",
        "unset-variable",
        "waiver-ended",
        "waiver-ends-soon",
        "waiver-matches-nothing",
    }
)
"""What the reconciler itself calls its findings: a rule of that name would be taken for one of them."""
_USE: Final = {"unused-for": ("for", "length"), "never-used": ("after", "after")}
"""The parameters that say how long nobody used a key: what the file calls each, and what the entry does."""
_UNKNOWN: Final = "check its spelling against AhaSend's list of scopes"
_HINT: Final = "see why the rule is there, and change the key or ask for a waiver"


def at(spot: Spot, *path: str | int) -> Spot:
    """Give the spot of something that lies in what is at ``spot``."""
    return replace(spot, path=(*spot.path, *path))


class Rules:
    """The rules of all files, compiled, by id; ``policies`` says which have one, also one that is wrong."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.named: dict[str, tuple[Rule, Spot]] = {}
        self.notes: list[tuple[Finding, Spot]] = []
        self.policies: defaultdict[str, set[int]] = defaultdict(set)
        self._spots: dict[tuple[str, str], Spot] = {}

    def add(self, policy: int, entries: Iterable[tuple[RuleEntry, Spot]]) -> None:
        """Take the rules of one file; one that another file has must be the same, but for how serious it is."""
        for entry, spot in entries:
            rule = self._rule(entry, spot)
            self.policies[entry.id].add(policy)
            if rule is None:
                continue
            known = self.named.get(rule.id)
            twin = self._spots.setdefault((spot.file, rule.id), spot)
            if known is None:
                self.named[rule.id] = rule, spot
            elif _but_for_severity(known[0]) != _but_for_severity(rule) or twin is not spot:
                other = known[1] if twin is spot else twin
                then = ": give one of them another id"
                self._faults.wrong(at(spot, "id"), f"id: there is another rule {rule.id} at ", other, then)
            elif rule.severity.rank < known[0].severity.rank:
                self.named[rule.id] = rule, spot

    def _rule(self, entry: RuleEntry, spot: Spot) -> Rule | None:
        check = self._check(entry, spot)
        if entry.hint is not None and any(f"{{{name}}}" in entry.hint for name in VARIABLES):
            self._faults.wrong(at(spot, "hint"), "hint: nothing is filled in here: name the key in 'message'")
        message = self._message(entry, spot)
        if check is None:
            return None
        match = entry.match
        rule = Rule(
            entry.id,
            Severity(entry.severity),
            check,
            message,
            entry.hint if entry.hint is not None else getattr(check, "hint", _HINT),
            Match(
                match.owner,
                match.label,
                match.account,
                match.sub_account,
                match.managed,
                tuple(sorted(match.annotations.items())),
            ),
            fences=entry.then == "quarantine",
        )
        self._check_use(rule, spot)
        return rule

    def _check(self, entry: RuleEntry, spot: Spot) -> Check | None:
        if (entry.when is None) == (entry.uses is None):
            self._faults.wrong(spot, "a rule has one check: write 'when' and an expression, or 'uses' and a name")
            return None
        if entry.uses is not None:
            return self._builtin(entry.uses, entry.parameters, spot)
        if entry.parameters is not None:
            self._faults.wrong(_at_key(spot, "with"), "'with' is for built-in rules: write the values into 'when'")
        if entry.message is None:
            self._faults.wrong(spot, "'message' is missing: say what is wrong with a key for which 'when' is true")
        return self._expression(entry.when or "", at(spot, "when"))

    def _expression(self, text: str, spot: Spot) -> Check | None:
        try:
            return compile_expression(text)
        except ExpressionError as error:
            for fault in error.faults:
                inside = Inside(text, fault.line, fault.column)
                self._faults.wrong(replace(spot, inside=inside), f"when: {fault.message}")
        return None

    def _builtin(self, name: str, parameters: dict[str, Any] | None, spot: Spot) -> Check | None:
        builtin = BUILTINS[name]
        entry = builtin.shape.read(parameters or {})
        if isinstance(entry, list):
            for misfit in entry:
                if parameters is None:
                    self._faults.wrong(at(spot, "uses"), f"'with' is missing, and in it: {misfit.message}")
                else:
                    self._faults.wrong(replace(at(spot, "with", *misfit.path), at_key=misfit.at_key), misfit.message)
            return None
        self._check_parameters(name, entry, at(spot, "with"))
        for path, text in _scope_patterns(parameters or {}):
            self._check_pattern(path[0], text, at(spot, "with", *path))
        return builtin.make(entry)

    def _check_parameters(self, name: str, entry: Any, spot: Spot) -> None:
        """Refuse what fits the shape of a built-in rule's parameters and makes no sense."""
        if name == "widest-network" and entry.ipv4 is None and entry.ipv6 is None:
            self._faults.wrong(spot, "nothing is limited: write 'ipv4: 24', 'ipv6: 48' or both")
        if name in _USE and length(getattr(entry, _USE[name][1])) < SHORTEST_USE:
            told = f"{_USE[name][0]}: is too short, since {TOLD_LATE}: write 15m or more"
            self._faults.wrong(at(spot, _USE[name][0]), told)

    def _check_pattern(self, name: str | int, text: str, spot: Spot) -> None:
        pattern = canonical_pattern(text)
        if better := pattern_suggestion(pattern):
            self._faults.wrong(spot, f"{name}: {shown(text)} is not a known scope: write {better}")
        elif not reaches_something(pattern):
            told = f"{shown(text)} is like no scope that this version knows: only a key with * reaches it"
            self.notes.append((Finding("unknown-scope", Severity.NOTE, told, _UNKNOWN), spot))

    def _message(self, entry: RuleEntry, spot: Spot) -> Template | None:
        if entry.message is None:
            return None
        try:
            return read_template(entry.message)
        except TemplateError as error:
            place = place_after(entry.message[: error.offset])
            inside = Inside(entry.message, place.line, place.column)
            self._faults.wrong(replace(at(spot, "message"), inside=inside), f"message: {error.message}")
        return None

    def _check_use(self, rule: Rule, spot: Spot) -> None:
        if rule.id in RESERVED:
            self._faults.wrong(at(spot, "id"), f"id: {rule.id} is what the reconciler calls a finding of its own")
        shown_names = rule.message.names if rule.message else frozenset()
        if not rule.about_changes and any(name.startswith(ABOUT_CHANGES) for name in shown_names):
            told = "message: it shows a change, but the rule is about what a key is: name change in 'when', too"
            self._faults.wrong(at(spot, "message"), told)
        if not rule.fences:
            return
        if rule.about_changes or isinstance(rule.check, AccountCheck | RequireOwner):
            self._faults.wrong(at(spot, "then"), "then: this rule cannot say which key to switch off: remove it")
        if rule.match.managed or rule.match.owner is not None or rule.match.annotations:
            told = "then: only keys of no file are switched off, and the rule is about all others: remove it"
            self._faults.wrong(at(spot, "then"), told)


def _at_key(spot: Spot, name: str) -> Spot:
    return replace(at(spot, name), at_key=True)


def _scope_patterns(parameters: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Give the scopes that the parameters of a built-in rule name, with where they stand."""
    for index, text in enumerate(parameters.get("scopes", ())):
        yield ("scopes", index), text
    for name, texts in parameters.get("sets", {}).items():
        for index, text in enumerate(texts):
            yield ("sets", name, index), text


def _but_for_severity(rule: Rule) -> tuple[object, ...]:
    check = rule.check
    what = getattr(check, "text", check)
    return what, rule.message, rule.hint, rule.match, rule.fences
