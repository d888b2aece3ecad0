"""One file's document to its entry: what does not fit is told and left out, so that the rest of it can be judged."""

import re
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reconciler.core.keys import Source
from reconciler.files.document import Mapping, Path, Value
from reconciler.files.entries import DESIRED, FileEntry
from reconciler.files.places import place_after
from reconciler.files.shape import Faults, Misfit, Spot

_UNMANAGED: Final = re.compile(r"""^(?:unmanaged|"unmanaged"|'unmanaged') *:(?P<beside> +(?=\w))?""", re.MULTILINE)
# What stands for a key, a rule or its `select` that does not fit, so that nothing looks wrong for want of it.
_NO_KEY: Final = {"state": "absent"}
_NO_RULE: Final = {"unmanaged": "report"}
_ANY: Final = {"name": "*"}


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that holds keys (a file, or a rule in it): its path and place, and those of its keys and ``unmanaged``.

    What is no mapping has no place, but then it does not fit either.
    """

    path: Path
    source: Source
    keys: list[Source]
    unmanaged: Source | Spot


@dataclass(slots=True)
class FittedFile:
    """One file that fits, and the places in it.

    ``partial`` are the paths of keys and rules of which a field was left out, ``gone`` those of keys whose name was and
    of rules whose ``select`` was.
    """

    name: str
    entry: FileEntry
    own: Holder
    rules: list[Holder]
    partial: set[Path] = field(default_factory=set)
    gone: set[Path] = field(default_factory=set)
    roles_fit: bool = True

    def is_whole(self, path: Path) -> bool:
        """Tell whether nothing of the key or the rule at ``path`` was left out."""
        return path not in self.partial and path not in self.gone


def fit(name: str, document: Value, text: str, faults: Faults) -> FittedFile | None:
    """Fit a document to its shape, what does not fit going to ``faults``; None if it is no mapping of this version."""
    file = FittedFile(name, FileEntry(1), _whole_file(name, document, text), _rules(name, document))
    left: Any = document
    fitted = DESIRED.read(left)
    while isinstance(fitted, list):
        for misfit in fitted:
            faults.wrong(Spot(name, misfit.path, misfit.at_key), misfit.message)
        touched = {misfit.path[0] for misfit in fitted if misfit.path}
        if not isinstance(left, dict) or "version" in touched:
            return None
        file.roles_fit &= "roles" not in touched
        left = _without(left, fitted, file)
        fitted = DESIRED.read(left)
    file.entry = fitted
    return file


def _whole_file(name: str, document: Value, text: str) -> Holder:
    holder = _holder(name, document, ())
    if isinstance(document, Mapping) and isinstance(document.get("unmanaged"), str) and text[0] != "{":
        # Only the field itself can begin a line like this, once. A second pass over a large file is not worth it.
        lines = [*_UNMANAGED.finditer(text)]
        if len(lines) == 1 and lines[0]["beside"]:
            place = place_after(text[: lines[0].end()])
            return replace(holder, unmanaged=Source(name, place.line, place.column))
    return holder


def _rules(name: str, document: Value) -> list[Holder]:
    rules = document.get("sub_accounts") if isinstance(document, Mapping) else None
    return [_holder(name, rule, ("sub_accounts", index)) for index, rule in enumerate(_items(rules))]


def _holder(name: str, value: Value, path: Path) -> Holder:
    """Take the places that mappings know, before the document's shape is known."""
    spot = Spot(name, (*path, "unmanaged"))
    if not isinstance(value, Mapping):
        return Holder(path, Source(name, 0, 0), [], spot)
    keys, unmanaged = value.get("keys"), value.get("unmanaged")
    places = ((key.line, key.column) if isinstance(key, Mapping) else (0, 0) for key in _items(keys))
    return Holder(
        path,
        Source(name, value.line, value.column),
        [Source(name, line, column) for line, column in places],
        Source(name, unmanaged.line, unmanaged.column) if isinstance(unmanaged, Mapping) else spot,
    )


def _items(value: Value | None) -> list[Value]:
    return value if isinstance(value, list) else []


def _without(document: dict[str, Any], misfits: Sequence[Misfit], file: FittedFile) -> dict[str, Any]:
    """Leave out what does not fit: a field of a key or of a rule, a role, or else a whole field of the file."""
    rest = {"version": 1, **document}
    for name in ("keys", "roles"):
        if name in rest:
            rest[name] = copy(rest[name])
    if isinstance(rest.get("sub_accounts"), list):
        rest["sub_accounts"] = [_copied(rule) for rule in rest["sub_accounts"]]
    for misfit in misfits:
        match misfit.path:
            case ("sub_accounts", int() as index, *within):
                _leave_out_of_rule(rest["sub_accounts"], index, tuple(within), file)
            case ("roles", str() as name, *_):
                rest["roles"].pop(name, None)
            case path:
                _leave_out(rest, (), path, file)
    return rest


def _copied(rule: Any) -> Any:
    """Copy what may be changed of a rule. Aliases may share it, or its keys, with other rules."""
    if not isinstance(rule, dict):
        return rule
    return {**rule, "keys": copy(rule["keys"])} if "keys" in rule else copy(rule)


def _leave_out_of_rule(rules: list[Any], index: int, path: Path, file: FittedFile) -> None:
    at: Path = ("sub_accounts", index)
    match path:
        case () | ("select", *_):
            file.gone.add(at)
            rules[index] = {**(rules[index] if isinstance(rules[index], dict) else _NO_RULE), "select": _ANY}
        case _:
            file.partial.add(at)
            _leave_out(rules[index], at, path, file)


def _leave_out(holder: dict[str, Any], at: Path, path: Path, file: FittedFile) -> None:
    """Leave out of a file or of the rule ``at`` a path what does not fit: a field of a key, or a whole field."""
    match path:
        case ("keys", int() as index, str() as name, *_) if name != "name":
            file.partial.add((*at, "keys", index))
            holder["keys"][index] = {field: value for field, value in holder["keys"][index].items() if field != name}
        case ("keys", int() as index, *_):
            file.gone.add((*at, "keys", index))
            key = holder["keys"][index]
            holder["keys"][index] = {**(key if isinstance(key, dict) else _NO_KEY), "name": "left-out"}
        case (str() as name, *_):
            holder.pop(name, None)
