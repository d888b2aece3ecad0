"""Which actual key a desired one means: first every pinned ``id``, then labels, and never a guess."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.keys import DesiredAccount, KeySpec, KeyState, RemoteKey


@dataclass(frozen=True, slots=True)
class Matched:
    """The desired key means this actual one."""

    spec: KeySpec
    remote: RemoteKey


@dataclass(frozen=True, slots=True)
class Missing:
    """No actual key is meant."""

    spec: KeySpec


@dataclass(frozen=True, slots=True)
class Unclear:
    """Which actual key is meant cannot be told, or the pinned one is not there: a person must pin the right ``id``."""

    spec: KeySpec
    reason: str
    candidates: tuple[RemoteKey, ...] = ()


Match = Matched | Missing | Unclear


@dataclass(frozen=True, slots=True)
class Matching:
    """Every desired key with what it means, in the order of the files' keys, and the actual keys that none means.

    ``reserved`` are actual keys that no desired key means but whose label belongs to one, or that are candidates of an
    unclear one: they are never unmanaged.
    """

    matches: tuple[Match, ...]
    unmanaged: tuple[RemoteKey, ...]
    reserved: tuple[RemoteKey, ...]


def match_keys(desired: DesiredAccount, actual: Iterable[RemoteKey]) -> Matching:
    """Match desired with actual keys; the order of either never matters."""
    actual = sorted(actual, key=lambda key: key.id)
    by_id = {key.id: key for key in actual}
    pinned = {spec.id for spec in desired.keys if spec.id is not None}
    by_label: defaultdict[str, list[RemoteKey]] = defaultdict(list)
    for key in actual:
        if key.id not in pinned:
            by_label[key.label].append(key)
    claims = _claims(desired.keys, by_label)
    matches = tuple(
        _match_pinned(spec, spec.id, by_id, by_label) if spec.id is not None else _match_label(spec, by_label, claims)
        for spec in desired.keys
    )
    taken = {match.remote.id for match in matches if isinstance(match, Matched)}
    labels = {label for spec in desired.keys for label in spec.labels}
    candidates = {key.id for match in matches if isinstance(match, Unclear) for key in match.candidates}
    left = [key for key in actual if key.id not in taken]
    return Matching(
        matches,
        unmanaged=tuple(key for key in left if key.label not in labels and key.id not in candidates),
        reserved=tuple(key for key in left if key.label in labels or key.id in candidates),
    )


def _claims(specs: Iterable[KeySpec], by_label: dict[str, list[RemoteKey]]) -> dict[str, list[KeySpec]]:
    """Tell which unpinned desired keys claim each actual key, by its id."""
    claims: defaultdict[str, list[KeySpec]] = defaultdict(list)
    for spec in specs:
        if spec.id is None:
            for key in _candidates(spec, by_label):
                claims[key.id].append(spec)
    return claims


def _candidates(spec: KeySpec, by_label: dict[str, list[RemoteKey]]) -> tuple[RemoteKey, ...]:
    return tuple(key for label in dict.fromkeys(spec.labels) for key in by_label.get(label, ()))


def _match_pinned(
    spec: KeySpec, key_id: str, by_id: dict[str, RemoteKey], by_label: dict[str, list[RemoteKey]]
) -> Match:
    if key_id in by_id:
        return Matched(spec, by_id[key_id])
    namesakes = _candidates(spec, by_label)
    if spec.state is not KeyState.PRESENT and not namesakes:
        return Missing(spec)
    reason = f"the account has no key with the pinned id {key_id}"
    if namesakes:
        reason += f"; {_listed(namesakes)} has its label"
    return Unclear(spec, f"{reason}: correct the id, or remove it to match by label", namesakes)


def _match_label(spec: KeySpec, by_label: dict[str, list[RemoteKey]], claims: dict[str, list[KeySpec]]) -> Match:
    candidates = _candidates(spec, by_label)
    if not candidates:
        return Missing(spec)
    if len(candidates) > 1:
        return Unclear(spec, f"{len(candidates)} keys could be meant, {_listed(candidates)}: pin the id", candidates)
    rivals = [rival for rival in claims[candidates[0].id] if rival is not spec]
    if rivals:
        names = ", ".join(f"{rival.name} ({rival.source})" for rival in rivals)
        return Unclear(spec, f"key {candidates[0].id} is also claimed by {names}: pin the id", candidates)
    return Matched(spec, candidates[0])


def _listed(keys: tuple[RemoteKey, ...]) -> str:
    return ", ".join(key.id for key in keys)
