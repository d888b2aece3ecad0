"""Desired state: YAML files, or directories of them, to what all of them together want of each account.

Everything wrong in any of the files is told at once: syntax (``document``), shape (``shape``, ``entries``), meaning
(here and in ``keyspecs``). What is wrong in one part of a file hides nothing in the others, and looks wrong only once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any, Final, Literal

from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import (
    AccountRef,
    DesiredAccount,
    DesiredState,
    KeySpec,
    Source,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.errors import FilesError, Problem
from reconciler.files.document import MAX_RUN_BYTES, Mapping, Path, Value, collector_paused, parse_all, read_text
from reconciler.files.entries import DESIRED, NEEDS_ACCOUNT, UUID, FileEntry, UnmanagedEntry, desired_schema
from reconciler.files.folders import find_files
from reconciler.files.keyspecs import KeyReader, Notes, Roles
from reconciler.files.places import place_after
from reconciler.files.shape import Faults, Misfit, Spot, shown

__all__ = ["Loaded", "desired_schema", "load_desired"]

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNMANAGED: Final = re.compile(r"""^(?:unmanaged|"unmanaged"|'unmanaged') *: +(?=\w)""", re.MULTILINE)
_UUID: Final = re.compile(UUID)
_SECRET_KEY: Final = re.compile(r"aha-sk-[A-Za-z0-9_-]{32}")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEFT_OUT: Final = {"state": "absent"}


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


@dataclass(slots=True)
class _File:
    """One file that fits. ``places`` are its keys'; of ``partial`` ones a field was left out, of ``gone`` the name."""

    name: str
    entry: FileEntry
    places: list[Source]
    unmanaged: Source | Spot
    partial: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)

    def take_places(self, document: Mapping, text: str) -> None:
        """Take the places that mappings know, before the document's shape is known."""
        keys, unmanaged = document.get("keys"), document.get("unmanaged")
        if isinstance(keys, list):
            places = ((key.line, key.column) if isinstance(key, Mapping) else (0, 0) for key in keys)
            self.places = [Source(self.name, line, column) for line, column in places]
        if isinstance(unmanaged, Mapping):
            self.unmanaged = Source(self.name, unmanaged.line, unmanaged.column)
        elif unmanaged and text[0] != "{" and len(lines := [*_UNMANAGED.finditer(text)]) == 1:
            # Only the field itself can begin a line like this, once. A second pass over a large file is not worth it.
            place = place_after(text[: lines[0].end()])
            self.unmanaged = Source(self.name, place.line, place.column)


@dataclass(slots=True)
class _Account:
    """What the files say about one account, while they are put together."""

    id: str
    files: list[_File] = field(default_factory=list)
    credential: tuple[str, Spot] | None = None
    unmanaged: tuple[UnmanagedEntry, Source | Spot] | None = None
    keys: list[KeySpec] = field(default_factory=list)

    @property
    def ref(self) -> AccountRef:
        return AccountRef(self.id, credential=self.credential[0] if self.credential else None)


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
            self._notes.add(_link_not_followed(link))
        for file in self._files(found.files):
            self._roles.add(file.name, file.entry)
            self._assign(file)
        accounts = [self._accounts[each] for each in sorted(self._accounts)]
        for account in accounts:
            self._read_keys(account)
        self._faults.raise_any()
        at_unmanaged = (account.unmanaged[1] for account in accounts if account.unmanaged)
        spots = (*(spot for _, spot in self._notes.found), *at_unmanaged)
        sources = self._faults.sources(spot for spot in spots if isinstance(spot, Spot))
        state = DesiredState(tuple(_desired(account, sources) for account in accounts))
        findings = (replace(note, source=sources[spot]) if spot else note for note, spot in self._notes.found)
        return Loaded(state, tuple(findings), tuple(found.files))

    def _files(self, files: dict[str, FilePath]) -> Iterator[_File]:
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
            self._faults.problems += _pasted_secrets(text, name)
            self._faults.opened[name] = path
            if file := self._fitted(name, document, text):
                yield file

    def _unread(self, *problems: Problem) -> None:
        self._faults.problems += problems
        self._roles.complete = False

    def _fitted(self, name: str, document: Value, text: str) -> _File | None:
        """Fit a document to its shape; what does not fit is reported and left out, so that the rest can be judged."""
        file = _File(name, FileEntry(1), [], Spot(name, ("unmanaged",)))
        if isinstance(document, Mapping):
            file.take_places(document, text)
        left: Any = document
        fitted = DESIRED.read(left)
        while isinstance(fitted, list):
            for misfit in fitted:
                self._faults.wrong(Spot(name, misfit.path, misfit.at_key), misfit.message)
            touched = {misfit.path[0] for misfit in fitted if misfit.path}
            self._roles.complete &= isinstance(left, dict) and touched.isdisjoint({"version", "roles"})
            if not isinstance(left, dict) or "version" in touched:
                return None
            left = _without(left, fitted, file)
            fitted = DESIRED.read(left)
        file.entry = fitted
        self._check_account(name, document)
        return file

    def _check_account(self, name: str, document: Any) -> None:
        if "account" in document:
            return
        idle = [each for each in NEEDS_ACCOUNT if each in document]
        for each in idle:
            spot = Spot(name, (each,), at_key=True)
            self._faults.wrong(spot, f"'{each}' without an account: add 'account: <uuid>' to this file")
        if not idle and "roles" not in document:
            self._faults.wrong(Spot(name, ()), "'account' is missing: add 'account: <uuid>'")

    def _assign(self, file: _File) -> None:
        """Give a file to its account; one whose account is wrong gets its own, so that its keys are judged too."""
        entry = file.entry
        if entry.account is None and not (entry.keys or entry.unmanaged):
            return
        spot = Spot(file.name, ("account", "id"))
        account_id = entry.account and self._account_id(entry.account.id, spot)
        account = self._accounts.setdefault(account_id or f"in {file.name}", _Account(account_id or ""))
        account.files.append(file)
        if entry.account and entry.account.credential:
            self._take_credential(account, entry.account.credential, Spot(file.name, ("account", "credential")))
        if entry.unmanaged:
            if account.unmanaged:
                spot = Spot(file.name, ("unmanaged",), at_key=True)
                self._faults.wrong(spot, "'unmanaged' of this account is already set at ", account.unmanaged[1])
            else:
                account.unmanaged = entry.unmanaged, file.unmanaged

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
        """Read the keys of an account, dropping each file's entries once they are read."""
        taken: dict[str, dict[str, KeySpec]] = {"name": {}, "id": {}, "label": {}}
        while account.files:
            file = account.files.pop(0)
            reader = KeyReader(file.name, file.entry, account.ref, self._roles)
            for index, (entry, place) in enumerate(zip(file.entry.keys, file.places, strict=True)):
                whole = index not in file.partial and index not in file.gone
                spec = reader.read(index, entry, place, whole=whole)
                if index in file.gone:
                    continue
                account.keys.append(spec)
                spot = Spot(file.name, ("keys", index))
                if self._is_new(spot, spec, taken) and whole and spec.id is None:
                    self._check_labels(spot, spec, taken["label"])

    def _is_new(self, spot: Spot, spec: KeySpec, taken: dict[str, dict[str, KeySpec]]) -> bool:
        same_name = taken["name"].setdefault(spec.name, spec)
        if same_name is not spec:
            message = f"name: {spec.name} is already used at "
            self._faults.wrong(replace(spot, path=(*spot.path, "name")), message, same_name.source, ": rename one")
        same_id = taken["id"].setdefault(spec.id, spec) if spec.id else spec
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


def _pasted_secrets(text: str, name: str) -> tuple[Problem, ...]:
    """Find secret keys that somebody pasted: as a label or a scope one would be sent, and shown in the dashboard."""
    message = "this looks like a secret key: take it out, and revoke that key, since it has been in a file"
    return tuple(
        Problem(name, before.count("\n") + 1, len(before) - before.rfind("\n"), message)
        for found in _SECRET_KEY.finditer(text)
        for before in (text[: found.start()],)
    )


def _link_not_followed(link: str) -> Finding:
    message = f"{link} is a link that leads out of its folder: it was not followed"
    return Finding("link-not-followed", Severity.NOTE, message, "name what it leads to with --desired, or copy it")


def _without(document: dict[str, Any], misfits: Sequence[Misfit], file: _File) -> dict[str, Any]:
    """Leave out what does not fit: a field of a key, a role, or else a whole field of the file."""
    rest = {"version": 1, **document}
    for name in ("keys", "roles"):
        if name in rest:
            rest[name] = copy(rest[name])
    for misfit in misfits:
        match misfit.path:
            case ("keys", int() as index, str() as name, *_) if name != "name":
                file.partial.add(index)
                rest["keys"][index] = {key: value for key, value in rest["keys"][index].items() if key != name}
            case ("keys", int() as index, *_):
                file.gone.add(index)
                key = rest["keys"][index]
                rest["keys"][index] = {**(key if isinstance(key, dict) else _LEFT_OUT), "name": "left-out"}
            case ("roles", str() as name, *_):
                rest["roles"].pop(name, None)
            case (str() as name, *_):
                rest.pop(name, None)
    return rest


def _desired(account: _Account, sources: dict[Spot, Source]) -> DesiredAccount:
    rule = UnmanagedRule()
    if account.unmanaged:
        entry, at = account.unmanaged
        rule = UnmanagedRule(
            UnmanagedAction(entry.then),
            timedelta(**{_UNITS[entry.min_age[-1]]: int(entry.min_age[:-1])}),
            entry.exceptions,
            entry.include_senders,
            sources[at] if isinstance(at, Spot) else at,
        )
    return DesiredAccount(account.ref, tuple(sorted(account.keys, key=lambda spec: spec.name)), rule)
