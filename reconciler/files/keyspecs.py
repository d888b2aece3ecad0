"""Entries to desired keys: what their roles, scopes and networks come to, and what is wrong with them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import FROM_DOMAINS, AccountRef, KeySpec, KeyState, Pause, Role, Source
from reconciler.core.networks import MOST_NETWORKS, AllowList, check_network
from reconciler.core.scopes import Reach, Scope, ScopeSet, canonical_domain, parse_scope, suggestion
from reconciler.files.document import Path
from reconciler.files.entries import DefaultsEntry, FileEntry, KeyEntry, PauseEntry
from reconciler.files.shape import Faults, Spot, did_you_mean, shown

_STATES: Final = {state.value: state for state in KeyState}
_LONGEST_DOMAIN: Final = 253
_LABEL_OF_DOMAIN: Final = r"\w(?:[\w-]{0,61}\w)?"
_DOMAIN: Final = re.compile(rf"{_LABEL_OF_DOMAIN}(?:\.{_LABEL_OF_DOMAIN})+")
_UNKNOWN_HINT: Final = "check its spelling against AhaSend's list of scopes"


@dataclass(slots=True)
class Notes:
    """What is worth saying about files that load; of some only the spot is known until the end."""

    found: list[tuple[Finding, Spot | None]] = field(default_factory=list)

    def add(self, finding: Finding, spot: Spot | None = None) -> None:
        """Keep a note that has its source, or whose source is at ``spot``."""
        self.found.append((finding, spot))


def misspelt(text: str, known: Iterable[str]) -> str | None:
    """Say why a scope is probably misspelt, in its name or in the domain that it aims at, or None."""
    if text in known:
        return None
    scope = parse_scope(text)
    if scope.reach is not Reach.UNKNOWN:
        return no_domain(scope, text)
    better = suggestion(text)
    if better is None:
        return None
    return f"scopes: {shown(text)} is not a known scope: write {better}, or list it under known_scopes if it is right"


def no_domain(scope: Scope, text: str) -> str | None:
    """Say what is wrong with the domain that a scope aims at, or None."""
    if scope.domain is None or _DOMAIN.fullmatch(scope.domain):
        return None
    return f"scopes: {shown(text)} aims at {shown(scope.domain)}, which is not a domain name: write example.com"


def _note_unknown(text: str) -> str:
    return f"{shown(text)} is a scope that this version does not know: it is kept and compared by its exact text"


@dataclass(slots=True)
class Roles:
    """The roles of all files; not ``complete`` where a file that may define more could not be read."""

    faults: Faults
    notes: Notes
    complete: bool = True
    named: dict[str, Role] = field(default_factory=dict)
    _spots: dict[str, Spot] = field(default_factory=dict)

    def add(self, file: str, entry: FileEntry) -> None:
        """Take the roles of one file."""
        known = frozenset(entry.known_scopes)
        for name, texts in entry.roles.items():
            spot = Spot(file, ("roles", name), at_key=True)
            if name in self.named:
                self.faults.wrong(
                    spot, f"the role {shown(name)} is already defined at ", self._spots[name], ": keep one"
                )
                continue
            for index, text in enumerate(texts):
                self._judge(Spot(file, ("roles", name, index)), text, known)
            self.named[name] = Role(name, tuple(parse_scope(text).text for text in texts), file)
            self._spots[name] = spot

    def _judge(self, spot: Spot, text: str, known: frozenset[str]) -> None:
        scope = parse_scope(text)
        if FROM_DOMAINS in scope.text and scope.reach is not Reach.UNKNOWN:
            return
        if problem := misspelt(text, known):
            self.faults.wrong(spot, problem)
        elif scope.reach is Reach.UNKNOWN:
            self.notes.add(Finding("unknown-scope", Severity.NOTE, _note_unknown(text), _UNKNOWN_HINT), spot)


class KeyReader:
    """Reads the keys of one file."""

    def __init__(self, file: str, entry: FileEntry, account: AccountRef, roles: Roles) -> None:
        self._file = file
        self._account = account
        self._roles = roles
        self._faults = roles.faults
        self._known = frozenset(entry.known_scopes)
        self._fine: set[str] = set()
        self._unknown: set[str] = set()
        self._lists: dict[tuple[str, ...], AllowList] = {}
        defaults = entry.defaults or DefaultsEntry()
        self._owner = defaults.owner
        self._default_list = self._allow_list(defaults.ip_allow_list, ("defaults",))
        self._fence_told = False

    def read(self, at: Path, entry: KeyEntry, source: Source, *, whole: bool) -> KeySpec:
        """Give the desired key of the entry ``at`` a path; not ``whole``: parts were left out, so none is missing."""
        domains = self._domains(at, entry) if entry.domains else ()
        spec = KeySpec(
            name=entry.name,
            label=entry.name if entry.label is None else entry.label,
            source=source,
            scopes=self._scopes(at, entry, domains, whole=whole),
            ip_allow_list=(
                self._default_list if entry.ip_allow_list is None else self._allow_list(entry.ip_allow_list, at)
            ),
            id=entry.id and entry.id.lower(),
            was=entry.was,
            state=_STATES[entry.state],
            roles=entry.roles or (),
            domains=domains,
            owner=self._owner if entry.owner is None else entry.owner,
            description=entry.description,
            paused=self._pause(entry.paused, at) if entry.paused else None,
            annotations=tuple(sorted(entry.annotations.items())) if entry.annotations else (),
        )
        if spec.ip_allow_list and spec.ip_allow_list.fenced and spec.state is KeyState.PRESENT and whole:
            self._fenced(at, entry)
        if spec.scopes:
            self._remark(entry, spec, spec.scopes)
        return spec

    def _wrong(self, path: Path, message: str) -> None:
        self._faults.wrong(Spot(self._file, path), message)

    def _note(self, rule: str, spec: KeySpec, message: str, hint: str) -> None:
        finding = Finding(
            rule, Severity.NOTE, message, hint, self._account, spec.name, spec.id, spec.label, spec.source
        )
        self._roles.notes.add(finding)

    def _domains(self, at: Path, entry: KeyEntry) -> tuple[str, ...]:
        domains = {canonical_domain(text): index for index, text in reversed([*enumerate(entry.domains)])}
        for domain, index in domains.items():
            if len(domain) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(domain):
                said = shown(entry.domains[index])
                self._wrong((*at, "domains", index), f"domains: {said} is not a domain name: write example.com")
        return tuple(sorted(domains, key=domains.__getitem__))

    def _scopes(self, at: Path, entry: KeyEntry, domains: tuple[str, ...], *, whole: bool) -> ScopeSet | None:
        if entry.scopes is None and entry.roles is None:
            if whole and entry.state == "present":
                self._wrong(at, "'scopes' is missing: list scopes or roles; 'scopes: []' is none at all")
            return None
        own = entry.scopes or ()
        for index, text in enumerate(own):
            if text not in self._fine:
                self._judge(text, (*at, "scopes", index))
        if not entry.roles:
            return ScopeSet.parse(own)
        texts = list(own)
        for index, name in enumerate(entry.roles):
            texts += self._of_role(name, domains, (*at, "roles", index), whole=whole)
        return ScopeSet.parse(texts)

    def _judge(self, text: str, path: Path) -> None:
        scope = parse_scope(text)
        if FROM_DOMAINS in scope.text and text not in self._known:
            self._wrong(path, f"scopes: {shown(text)}: only a role has its {FROM_DOMAINS} filled in: name the domain")
        elif problem := misspelt(text, self._known):
            self._wrong(path, problem)
        else:
            self._fine.add(text)
            if scope.reach is Reach.UNKNOWN:
                self._unknown.add(text)

    def _of_role(self, name: str, domains: tuple[str, ...], path: Path, *, whole: bool) -> list[str]:
        role = self._roles.named.get(name)
        if role is None:
            if self._roles.complete:
                advice = did_you_mean(name, self._roles.named, "the roles are") if self._roles.named else "define it"
                self._wrong(path, f"roles: there is no role {shown(name)}: {advice}")
            return []
        if role.needs_domains and not domains and whole:
            message = (
                f"roles: the role {shown(name)} needs domains for its {FROM_DOMAINS}: add 'domains: [example.com]'"
            )
            self._wrong(path, message)
        return role.filled(domains)

    def _allow_list(self, texts: tuple[str, ...] | None, owner: Path) -> AllowList | None:
        """Check and keep a list; None where there is none, or none that could be meant."""
        if texts is None:
            return None
        if texts in self._lists:
            return self._lists[texts]
        path = (*owner, "ip_allow_list")
        networks = [network for at, text in enumerate(texts) if (network := self._network(text, (*path, at)))]
        if len(networks) < len(texts):
            return None
        allow_list = AllowList.parse(networks) if networks[1:] else AllowList(tuple(networks))
        if len(allow_list.networks) > MOST_NETWORKS:
            count = len(allow_list.networks)
            self._wrong(path, f"ip_allow_list: has {count} networks: AhaSend takes {MOST_NETWORKS} at most; join some")
            return None
        self._lists[texts] = allow_list
        return allow_list

    def _network(self, text: str, path: Path) -> str | None:
        try:
            return check_network(text)
        except ValueError as error:
            self._wrong(path, f"ip_allow_list: {error}")
            return None

    def _fenced(self, at: Path, entry: KeyEntry) -> None:
        if entry.ip_allow_list is None and self._fence_told:
            return
        path: Path = (*at, "ip_allow_list")
        if entry.ip_allow_list is None:
            path = ("defaults", "ip_allow_list")
            self._fence_told = True
        message = "this list switches the key off: write 'state: quarantined', or say which networks may use it"
        self._wrong(path, f"ip_allow_list: {message}")

    def _pause(self, entry: PauseEntry, owner: Path) -> Pause | None:
        try:
            return Pause(entry.reason, date.fromisoformat(entry.until))
        except ValueError:
            self._wrong((*owner, "paused", "until"), f"until: there is no day {entry.until} in the calendar")
            return None

    def _remark(self, entry: KeyEntry, spec: KeySpec, scopes: ScopeSet) -> None:
        own = entry.scopes or ()
        if self._unknown:
            for text in dict.fromkeys(text for text in own if text in self._unknown):
                self._note("unknown-scope", spec, _note_unknown(text), _UNKNOWN_HINT)
        if len(own) > 1 and len(ScopeSet.parse(own)) < len(own):
            self._note("repeated-scope", spec, "scopes: one of them is listed twice", "list each once")
        reduced = scopes.reduced()
        if reduced is not scopes:
            left_out = ", ".join(scope.text for scope in scopes if scope not in reduced.scopes)
            message = f"{left_out}: another scope of the key covers this, so it is left out of what is sent"
            self._note("covered-scope", spec, message, "remove it, or the wider scope")
