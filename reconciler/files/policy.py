"""Policy files, or directories of them, to what all of them together ask for; the strictest wins, whatever the order.

Rules are compiled and checked here, so that a mistake in one is told with its place before anything is judged.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path as FilePath
from typing import Any, Final, Literal, get_args

from reconciler.core.guardrails import SHORTEST_USE, TOLD_LATE, InUse
from reconciler.core.keys import UUID_PATTERN
from reconciler.core.requirements import Requirement
from reconciler.core.rules import Policy, WaiverRule
from reconciler.core.scopes import STATIC, TARGETED, canonical_domain, parse_scope
from reconciler.errors import FilesError, Problem
from reconciler.files.document import Value, parse_all, read_text
from reconciler.files.entries import length
from reconciler.files.folders import find_files, shown_path
from reconciler.files.keyspecs import no_domain
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.policy_entries import (
    POLICY,
    InUseEntry,
    PolicyEntry,
    RequireEntry,
    WaiverEntry,
    policy_schema,
)
from reconciler.files.policy_rules import Rules, at
from reconciler.files.shape import Faults, Spot, did_you_mean, pasted_secrets, shown
from reconciler.files.strictest import Said, each_once, strictest, strictest_waivers
from reconciler.files.windows import WindowOfFile, placed, read_windows

__all__ = ["load_policy", "load_starter", "policy_schema"]

STARTER: Final = "starter policy"
_STARTER_FILE: Final = FilePath(__file__).with_name("starter.yaml")
_LINK_OUT: Final = "is a link that leads out of its folder, and so is not read: name what it leads to, or copy it"
_KIND: Final = ("policy", "write one, or name another path with --policy")


def load_policy(paths: Sequence[FilePath]) -> LoadedPolicy:
    """Read policies: each path is one, a file or a directory of them.

    Raises:
        FilesError: one is not there or cannot be read, or with everything that is wrong in any of them.
    """
    faults = Faults()
    policies: list[dict[str, FilePath]] = []
    known: dict[str, FilePath] = {}
    for path in sorted(set(paths)):
        found = find_files([path], _KIND)
        faults.problems += found.problems
        # What it leads to is not read: a rule that is not there would never be missed.
        faults.problems += (Problem(link, 0, 0, _LINK_OUT) for link in sorted(found.links_out))
        for name, file in found.files.items():
            first = known.setdefault(os.path.realpath(file), path)
            if first is not path:
                told = f"is read twice, for {shown_path(first)} and for {shown_path(path)}: name one of the two"
                faults.problems.append(Problem(name, 0, 0, told))
        policies.append(found.files)
    return _Loading(faults).load(policies)


def load_starter() -> LoadedPolicy:
    """Read the policy that comes with the reconciler, for audits without one."""
    return _Loading(Faults()).load([{STARTER: _STARTER_FILE}])


_Section = Literal["rules", "waivers", "require", "freeze"]
_SECTIONS: Final = get_args(_Section)


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the n-th policy as far as it fits; ``kept`` are the places in the file of what is left of each list."""

    policy: int
    name: str
    entry: PolicyEntry
    document: Any
    kept: Mapping[str, list[int]]

    def spots(self, section: _Section) -> Iterator[Spot]:
        """Give the spots of the entries of a list."""
        return (Spot(self.name, (section, index)) for index in self.kept[section])


class _Loading:
    """One run of :func:`load_policy`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._complete = not faults.problems

    def load(self, policies: Sequence[dict[str, FilePath]]) -> LoadedPolicy:
        read = [
            file
            for number, files in enumerate(policies)
            for name, path in files.items()
            if (file := self._read(number, name, path))
        ]
        rules = Rules(self._faults)
        waivers: list[tuple[WaiverRule, Spot]] = []
        required: list[tuple[Requirement, Spot]] = []
        windows: list[tuple[WindowOfFile, Spot]] = []
        said = [self._limits(file) for file in read]
        for file in read:
            rules.add(file.policy, zip(file.entry.rules, file.spots("rules"), strict=True))
            waivers += self._waivers(file)
            required += self._requirements(file)
            windows += read_windows(zip(file.entry.freeze, file.spots("freeze"), strict=True), self._faults)
        if self._complete:
            self._check_waivers(waivers, rules.policies)
        self._faults.raise_any()
        spots = [
            *(spot for _, spot in rules.named.values()),
            *(spot for _, spot in (*waivers, *required, *windows, *rules.notes)),
        ]
        sources = self._faults.sources(spots)
        policy = Policy(
            tuple(
                replace(rule, source=sources[spot], policies=frozenset(rules.policies[name]))
                for name, (rule, spot) in sorted(rules.named.items())
            ),
            strictest_waivers(replace(waiver, source=sources[spot]) for waiver, spot in waivers),
            _digest([[file.document for file in read if file.policy == number] for number in range(len(policies))]),
        )
        wanted = (replace(each, source=sources[spot]) for each, spot in required)
        frozen = tuple(placed(window, sources[spot]) for window, spot in windows)
        limits = replace(strictest(said), require=each_once(wanted), windows=frozen)
        notes = tuple(replace(note, source=sources[spot]) for note, spot in rules.notes)
        return LoadedPolicy(policy, limits, notes, tuple(file.name for file in read))

    def _read(self, number: int, name: str, path: FilePath) -> _File | None:
        try:
            text = read_text(path, name)
            document, problems = parse_all(text, name)
            if secrets := pasted_secrets(text, name):  # what is told of a rule may show a part of one
                document, problems = None, secrets
        except FilesError as error:
            document, problems = None, error.problems
        self._faults.problems += problems
        self._faults.opened[name] = path
        self._complete &= document is not None and not problems
        return self._fitted(number, name, document) if document is not None else None

    def _fitted(self, number: int, name: str, document: Value) -> _File | None:
        """Fit a document into its shape, without the parts that do not: the rest is looked at all the same."""
        kept = {each: list(range(_count(document, each))) for each in _SECTIONS}
        entry = POLICY.read(document)
        if isinstance(entry, PolicyEntry):
            return _File(number, name, entry, document, kept)
        for misfit in entry:
            of_rules = misfit.path[:1] in ((), ("rules",)) or (misfit.at_key and len(misfit.path) == 1)
            self._complete &= not of_rules
            self._faults.wrong(Spot(name, misfit.path, misfit.at_key), misfit.message)
        if not isinstance(document, dict):
            return None
        gone = {misfit.path[:2] for misfit in entry}
        rest: dict[str, Any] = {"version": 1}
        if "guardrails" in document and not any(misfit.path[:1] == ("guardrails",) for misfit in entry):
            rest["guardrails"] = document["guardrails"]
        for section in _SECTIONS:
            kept[section] = [index for index in kept[section] if gone.isdisjoint({(section,), (section, index)})]
            rest[section] = [_item(document, section, index) for index in kept[section]]
        fitted = POLICY.read(rest)
        return _File(number, name, fitted, document, kept) if isinstance(fitted, PolicyEntry) else None

    # Waivers and requirements

    def _waivers(self, file: _File) -> Iterator[tuple[WaiverRule, Spot]]:
        taken: dict[tuple[str | None, ...], Spot] = {}
        for entry, spot in zip(file.entry.waivers, file.spots("waivers"), strict=True):
            until = self._day(entry, spot)
            if (entry.key is None) == (entry.label is None):
                self._faults.wrong(spot, "a waiver is for one key or for labels: write either 'key' or 'label'")
            whose = (entry.rule, _lowered(entry.key), entry.label, _lowered(entry.account))
            if (first := taken.setdefault(whose, spot)) is not spot:
                self._faults.wrong(spot, "there is another waiver for the same at ", first, ": keep one")
            if until:
                rule, key, label, account = whose
                yield WaiverRule(rule, until, entry.owner, entry.reason, key, label, account, policy=file.policy), spot

    def _day(self, entry: WaiverEntry, spot: Spot) -> date | None:
        try:
            return date.fromisoformat(entry.until)
        except ValueError:
            message = f"until: there is no day {entry.until} in the calendar"
            self._faults.wrong(at(spot, "until"), message)
            return None

    def _check_waivers(
        self, waivers: Iterable[tuple[WaiverRule, Spot]], policies: Mapping[str, AbstractSet[int]]
    ) -> None:
        """Refuse waivers of rules that there are not, or that another policy has: that one alone may waive them."""
        for waiver, spot in waivers:
            own = [name for name, numbers in policies.items() if waiver.policy in numbers]
            if waiver.rule in own:
                continue
            told = f"rule: there is no rule {shown(waiver.rule)}"
            advice = did_you_mean(waiver.rule, own, "the rules are") if own else "this policy has no rules"
            if waiver.rule in policies:
                told, advice = f"{told} in this policy", "another one has it, and it is waived there"
            self._faults.wrong(at(spot, "rule"), f"{told}: {advice}")

    def _requirements(self, file: _File) -> Iterator[tuple[Requirement, Spot]]:
        for entry, spot in zip(file.entry.require, file.spots("require"), strict=True):
            text = self._required_scope(entry, spot)
            if text:
                yield Requirement(parse_scope(text), _lowered(entry.account), _lowered(entry.sub_account)), spot

    def _required_scope(self, entry: RequireEntry, spot: Spot) -> str | None:
        """Give the scope that must be held; None where there is something wrong with it."""
        can, domain = entry.can, entry.domain
        if can in STATIC:
            if domain is not None:
                self._faults.wrong(at(spot, "domain"), f"domain: {can} is for no domain: remove it")
            return can
        if can not in TARGETED:
            advice = did_you_mean(can, TARGETED | STATIC, "write one of")
            self._faults.wrong(at(spot, "can"), f"can: {shown(can)} is nothing that a key can do: {advice}")
            return None
        scope = f"{can}:{{{canonical_domain(domain or '')}}}"
        if domain is None:
            self._faults.wrong(spot, f"'domain' is missing: {can} is for one, write 'domain: example.com'")
        elif parse_scope(scope).domain is None or no_domain(parse_scope(scope), scope):
            self._faults.wrong(at(spot, "domain"), f"domain: {shown(domain)} is not a domain name: write example.com")
        else:
            return scope
        return None

    # Guardrails

    def _limits(self, file: _File) -> Said:
        entry = file.entry.guardrails
        return Said(
            entry.max_changes,
            entry.max_switched_off,
            entry.max_widened,
            entry.allow_widening,
            entry.allow_restore,
            self._in_use(file, entry.in_use) if entry.in_use else None,
        )

    def _in_use(self, file: _File, entry: InUseEntry) -> InUse:
        within = length(entry.within)
        if within < SHORTEST_USE:
            spot = Spot(file.name, ("guardrails", "in_use", "within"))
            self._faults.wrong(spot, f"within: {entry.within} is too short, since {TOLD_LATE}: write 15m or more")
        return InUse(within, entry.narrowing, entry.allow)


def _lowered(text: str | None) -> str | None:
    """Spell an id as the rest of the product does; a name or a pattern stays as it is."""
    return text.lower() if text is not None and re.fullmatch(UUID_PATTERN, text) else text


def _count(document: Value, section: str) -> int:
    listed = document.get(section) if isinstance(document, dict) else None
    return len(listed) if isinstance(listed, list) else 0


def _item(document: dict[str, Value], section: str, index: int) -> Value:
    listed = document[section]
    return listed[index] if isinstance(listed, list) else ""


def _digest(policies: Sequence[Sequence[Any]]) -> str:
    """Give the digest of policies, each of files: neither order matters."""
    texts = sorted("\n".join(sorted(map(_canonical, documents))) for documents in policies)
    return f"sha256:{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()}"


def _canonical(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
