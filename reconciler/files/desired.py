"""Desired state: YAML files, or directories of them, to what all of them together want of each account.

Everything wrong in any of the files is told at once: syntax (``document``), shape (``shape``, ``entries``,
``fitting``), meaning (here and in ``keyspecs``). What is wrong in one part of a file hides nothing in the others, and
looks wrong only once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Final, Literal

from reconciler.collector import collector_paused
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import (
    UUID_PATTERN,
    AccountRef,
    DesiredAccount,
    DesiredState,
    KeySpec,
    Selector,
    Source,
    SubAccountRule,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.errors import FilesError, Problem
from reconciler.files.document import MAX_RUN_BYTES, Path, parse_all, read_text
from reconciler.files.entries import (
    NEEDS_ACCOUNT,
    KeyEntry,
    SelectEntry,
    SubAccountEntry,
    UnmanagedEntry,
    desired_schema,
    length,
)
from reconciler.files.fitting import FittedFile, Holder, fit
from reconciler.files.folders import find_files
from reconciler.files.keyspecs import KeyReader, Notes, Roles
from reconciler.files.shape import Faults, Spot, link_not_followed, pasted_secrets, shown

__all__ = ["Loaded", "desired_schema", "load_desired"]

_OF_SECRETS: Final = re.compile(r"AHASEND_API_KEY(_\w*)?|RECONCILER_(TOKEN|NOTIFY)", re.IGNORECASE)
"""The variables of our own secrets: one that looks like a UUID would stand in every report as an account's id."""
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UUID: Final = re.compile(UUID_PATTERN)
_EVERYTHING: Final = Selector()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say, notes about them, and which files were read, as they are shown in messages."""

    state: DesiredState
    findings: tuple[Finding, ...]
    sources: tuple[str, ...]


def load_desired(
    paths: Sequence[FilePath], lookup: Callable[[str], str | None], *, unset: Literal["fail", "note"] = "fail"
) -> Loaded:
    """Read files, and directories of them, into one desired state; the order of either never matters.

    Args:
        paths: Files and directories; what is reached twice is read once.
        lookup: Gives the value of ``${NAME}`` in an account, None where there is none. No message shows it.
        unset: Whether an account whose ``${NAME}`` has no value is a problem, or gets a stand-in and a note.

    Raises:
        FilesError: with every problem of every file.
    """
    with collector_paused():
        return _Loading(lookup, unset).load(paths)


@dataclass(frozen=True, slots=True)
class _Unmanaged:
    """What ``unmanaged`` says, and where."""

    entry: UnmanagedEntry
    at: Source | Spot

    def rule(self, sources: dict[Spot, Source]) -> UnmanagedRule:
        entry, at = self.entry, self.at
        return UnmanagedRule(
            UnmanagedAction(entry.then),
            length(entry.min_age),
            entry.exceptions,
            entry.include_senders,
            sources[at] if isinstance(at, Spot) else at,
        )


@dataclass(slots=True)
class _Taken:
    """What may be said once only, in an account or of what one ``select`` means: who said it first."""

    names: dict[str, KeySpec] = field(default_factory=dict)
    ids: dict[str, KeySpec] = field(default_factory=dict)
    labels: dict[str, KeySpec] = field(default_factory=dict)
    unmanaged: _Unmanaged | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule for sub accounts, until the place of its ``unmanaged`` is known."""

    select: Selector
    keys: tuple[KeySpec, ...]
    source: Source
    unmanaged: _Unmanaged | None


@dataclass(slots=True)
class _Account:
    """What the files say about one account, while they are put together."""

    id: str
    files: list[FittedFile] = field(default_factory=list)
    credential: tuple[str, Spot] | None = None
    keys: list[KeySpec] = field(default_factory=list)
    taken: _Taken = field(default_factory=_Taken)
    rules: list[_Rule] = field(default_factory=list)
    selected: dict[Selector, _Taken] = field(default_factory=dict)

    @property
    def ref(self) -> AccountRef:
        return AccountRef(self.id, credential=self.credential[0] if self.credential else None)

    @property
    def unmanaged(self) -> Iterator[_Unmanaged]:
        """Everything that is said of unmanaged keys, in the account and below it."""
        return (said for said in (self.taken.unmanaged, *(rule.unmanaged for rule in self.rules)) if said)


class _Loading:
    """One run of :func:`load_desired`."""

    def __init__(self, lookup: Callable[[str], str | None], unset: Literal["fail", "note"]) -> None:
        self._lookup = lookup
        self._unset = unset
        self._faults = Faults()
        self._notes = Notes()
        self._roles = Roles(self._faults, self._notes)
        self._accounts: dict[str, _Account] = {}

    def load(self, paths: Sequence[FilePath]) -> Loaded:
        found = find_files(paths)
        self._faults.problems += found.problems
        self._roles.complete = not found.problems
        for link in sorted(found.links_out):
            self._notes.add(link_not_followed(link))
        for file in self._files(found.files):
            self._roles.add(file.name, file.entry)
            self._assign(file)
        accounts = [self._accounts[each] for each in sorted(self._accounts)]
        for account in accounts:
            self._read_keys(account)
        self._faults.raise_any()
        at_unmanaged = (said.at for account in accounts for said in account.unmanaged)
        spots = (*(spot for _, spot in self._notes.found), *at_unmanaged)
        sources = self._faults.sources(spot for spot in spots if isinstance(spot, Spot))
        roles = tuple(self._roles.named[name] for name in sorted(self._roles.named))
        state = DesiredState(tuple(_desired(account, sources) for account in accounts), roles)
        findings = (replace(note, source=sources[spot]) if spot else note for note, spot in self._notes.found)
        return Loaded(state, tuple(findings), tuple(found.files))

    def _files(self, files: dict[str, FilePath]) -> Iterator[FittedFile]:
        """Read the files that can be read, each text and tree dropped before the next is read."""
        size = 0
        for name, path in files.items():
            try:
                text = read_text(path, name)
                size += len(text.encode())
                if size > MAX_RUN_BYTES:
                    limit = MAX_RUN_BYTES // (1024 * 1024)
                    message = f"the files hold more than {limit} MiB together: read fewer in one run"
                    self._unread(Problem(name, 0, 0, message))
                    return
            except FilesError as error:
                self._unread(*error.problems)
                continue
            document, problems = parse_all(text, name)
            if problems:
                self._unread(*problems)
            if document is None:
                continue
            self._faults.problems += pasted_secrets(text, name)
            self._faults.opened[name] = path
            file = fit(name, document, text, self._faults)
            self._roles.complete &= file is not None and file.roles_fit
            if file is not None:
                self._check_account(name, document)
                yield file

    def _unread(self, *problems: Problem) -> None:
        self._faults.problems += problems
        self._roles.complete = False

    def _check_account(self, name: str, document: Any) -> None:
        if "account" in document:
            return
        idle = [each for each in NEEDS_ACCOUNT if each in document]
        for each in idle:
            spot = Spot(name, (each,), at_key=True)
            self._faults.wrong(spot, f"'{each}' without an account: add 'account: <uuid>' to this file")
        if not idle and "roles" not in document:
            self._faults.wrong(Spot(name, ()), "'account' is missing: add 'account: <uuid>'")

    def _assign(self, file: FittedFile) -> None:
        """Give a file to its account; one whose account is wrong gets its own, so that its keys are judged too."""
        entry = file.entry
        if entry.account is None and not (entry.keys or entry.unmanaged or entry.sub_accounts):
            return
        spot = Spot(file.name, ("account", "id"))
        account_id = entry.account and self._account_id(entry.account.id, spot)
        account = self._accounts.setdefault(account_id or f"in {file.name}", _Account(account_id or ""))
        account.files.append(file)
        if entry.account and entry.account.credential:
            self._take_credential(account, entry.account.credential, Spot(file.name, ("account", "credential")))
        self._take_unmanaged(file, file.own, entry.unmanaged, account.taken, "this account")

    def _take_credential(self, account: _Account, credential: str, spot: Spot) -> None:
        if account.credential is None:
            account.credential = credential, spot
        elif account.credential[0] != credential:
            first, at = account.credential
            message = f"credential: {credential} for an account that has the credential {first} at "
            self._faults.wrong(spot, message, at, ": write one of them in both places")

    def _account_id(self, text: str, spot: Spot) -> str | None:
        """Fill in and check an account's id. What was filled in may be a secret by mistake: it is never shown."""
        names = _VARIABLE.findall(text)
        if secret := next(filter(_OF_SECRETS.fullmatch, names), None):
            told = f"account: ${{{secret}}} holds a secret, which would be shown as an account's id: name another one"
            self._faults.wrong(spot, told)
            return None
        values = {name: (self._lookup(name) or "").strip() for name in names}
        if lacking := [f"${{{name}}}" for name in names if not values[name]]:
            return self._unset_variable(text, ", ".join(dict.fromkeys(lacking)), spot)
        filled = _VARIABLE.sub(lambda match: values[match[1]], text)
        if _UUID.fullmatch(filled):
            return filled.lower()
        if names:
            self._faults.wrong(spot, f"account: {shown(text)} does not come to a UUID: correct the value")
        else:
            self._faults.wrong(spot, f"account: {shown(text)} is not a UUID: write one, or ${{NAME}} to be filled in")
        return None

    def _unset_variable(self, text: str, lacking: str, spot: Spot) -> str | None:
        message, hint = f"account: {lacking} has no value", "set it in the environment or the secrets directory"
        if self._unset == "fail":
            self._faults.wrong(spot, f"{message}: {hint}")
            return None
        finding = Finding("unset-variable", Severity.NOTE, message, hint, AccountRef(text))
        self._notes.add(finding, spot)
        return text

    def _read_keys(self, account: _Account) -> None:
        """Read the keys of an account and of its rules, dropping each file's entries once they are read."""
        while account.files:
            file = account.files.pop(0)
            reader = KeyReader(file.name, file.entry, account.ref, self._roles)
            account.keys += self._specs(file, file.own, file.entry.keys, reader, account.taken)
            for holder, entry in zip(file.rules, file.entry.sub_accounts, strict=True):
                account.rules.append(self._rule(file, holder, entry, reader, account))

    def _rule(
        self, file: FittedFile, holder: Holder, entry: SubAccountEntry, reader: KeyReader, account: _Account
    ) -> _Rule:
        select = _selector(entry.select)
        taken = _Taken()
        if holder.path not in file.gone:
            taken = account.selected.setdefault(select, taken)
            self._check_select(file, holder, entry, select)
        specs = self._specs(file, holder, entry.keys, reader, taken)
        said = self._take_unmanaged(file, holder, entry.unmanaged, taken, "these sub accounts")
        if not (entry.keys or said) and holder.path not in file.partial:
            advice = "list the keys of these sub accounts, or say with 'unmanaged' what happens to those there are"
            self._faults.wrong(Spot(file.name, (*holder.path, "keys")), f"keys: there are none: {advice}")
        return _Rule(select, tuple(sorted(specs, key=_name)), holder.source, said)

    def _check_select(self, file: FittedFile, holder: Holder, entry: SubAccountEntry, select: Selector) -> None:
        if select == _EVERYTHING:
            spot = Spot(file.name, (*holder.path, "select"))
            self._faults.wrong(spot, """select: is empty: write 'name: "*"' for all sub accounts""")
        elif select.id is None:
            for index, key in enumerate(entry.keys):
                if key.id is not None:
                    spot = Spot(file.name, (*holder.path, "keys", index, "id"))
                    advice = "write 'select: {id: <uuid>}' for the sub account that the key is in"
                    self._faults.wrong(spot, f"id: pins one key, and this rule may select several: {advice}")

    def _take_unmanaged(
        self, file: FittedFile, holder: Holder, entry: UnmanagedEntry | None, taken: _Taken, whose: str
    ) -> _Unmanaged | None:
        if entry is None:
            return None
        said = _Unmanaged(entry, holder.unmanaged)
        if taken.unmanaged is not None:
            spot = Spot(file.name, (*holder.path, "unmanaged"), at_key=True)
            self._faults.wrong(spot, f"'unmanaged' of {whose} is already set at ", taken.unmanaged.at)
        else:
            taken.unmanaged = said
        return said

    def _specs(
        self, file: FittedFile, holder: Holder, entries: Sequence[KeyEntry], reader: KeyReader, taken: _Taken
    ) -> list[KeySpec]:
        """Read the keys of an account, or of a rule."""
        specs = []
        for index, (entry, place) in enumerate(zip(entries, holder.keys, strict=True)):
            path = (*holder.path, "keys", index)
            whole = file.is_whole(path)
            spec = reader.read(path, entry, place, whole=whole)
            if path in file.gone:
                continue
            specs.append(spec)
            spot = Spot(file.name, path)
            if self._is_new(spot, spec, taken) and whole and spec.id is None:
                self._check_labels(spot, spec, taken.labels)
        return specs

    def _is_new(self, spot: Spot, spec: KeySpec, taken: _Taken) -> bool:
        same_name = taken.names.setdefault(spec.name, spec)
        if same_name is not spec:
            message = f"name: {spec.name} is already used at "
            self._faults.wrong(replace(spot, path=(*spot.path, "name")), message, same_name.source, ": rename one")
        same_id = taken.ids.setdefault(spec.id, spec) if spec.id else spec
        if same_id is not spec:
            self._faults.wrong(
                replace(spot, path=(*spot.path, "id")), f"id: {spec.id} is already pinned at ", same_id.source
            )
        return same_name is spec

    def _check_labels(self, spot: Spot, spec: KeySpec, taken: dict[str, KeySpec]) -> None:
        for at, label in enumerate(spec.labels):
            other = taken.setdefault(label, spec)
            if other is not spec:
                path: Path = ("was", at - 1) if at else ("label",)
                message = f"{path[0]}: {shown(label)} is already used at "
                then = ", and neither key has an id: pin their ids, or use another label"
                self._faults.wrong(replace(spot, path=(*spot.path, *path)), message, other.source, then)


def _selector(entry: SelectEntry) -> Selector:
    return Selector(entry.id and entry.id.lower(), entry.name, entry.status)


def _name(spec: KeySpec) -> str:
    return spec.name


def _desired(account: _Account, sources: dict[Spot, Source]) -> DesiredAccount:
    own = account.taken.unmanaged
    rules = (
        SubAccountRule(rule.select, rule.keys, rule.source, rule.unmanaged.rule(sources) if rule.unmanaged else None)
        for rule in account.rules
    )
    return DesiredAccount(
        account.ref,
        tuple(sorted(account.keys, key=_name)),
        own.rule(sources) if own else UnmanagedRule(),
        tuple(sorted(rules, key=lambda rule: rule.source)),
    )
