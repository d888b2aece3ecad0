"""Which actual key a desired one means: first every pinned ``id``, then labels, and never a guess."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
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
    """Every desired key with what it means, sorted by name, and the actual keys that none means.

    ``reserved`` are actual keys that no desired key means but whose label belongs to one, or that are candidates of an
    unclear one: they are never unmanaged.
    """

    matches: tuple[Match, ...]
    unmanaged: tuple[RemoteKey, ...]
    reserved: tuple[RemoteKey, ...]


def match_keys(desired: DesiredAccount, actual: Iterable[RemoteKey]) -> Matching:
    """Match desired with actual keys; the order of either never matters."""
    specs = sorted(desired.keys, key=lambda spec: spec.name)
    actual = sorted(actual, key=lambda key: key.id)
    by_id = {key.id: key for key in actual}
    pinned = {spec.id for spec in specs if spec.id is not None}
    by_label: defaultdict[str, list[RemoteKey]] = defaultdict(list)
    for key in actual:
        if key.id not in pinned:
            by_label[key.label].append(key)
    meant = [_candidates(spec, by_id, by_label) for spec in specs]
    claims = Counter(key.id for keys in meant for key in keys)
    rivals: defaultdict[str, list[KeySpec]] = defaultdict(list)
    for spec, keys in zip(specs, meant, strict=True):
        for key in keys:
            if claims[key.id] > 1:
                rivals[key.id].append(spec)
    matches = tuple(
        _match(spec, keys, rivals) if keys else _not_found(spec, by_label)
        for spec, keys in zip(specs, meant, strict=True)
    )
    taken = {match.remote.id for match in matches if isinstance(match, Matched)}
    labels = {label for spec in specs for label in spec.labels}
    unclear = {key.id for match in matches if isinstance(match, Unclear) for key in match.candidates}
    left = [key for key in actual if key.id not in taken]
    # Not one set of all labels: those that are reserved may be many, and are the same for thousands of sub accounts.
    spoken_for = {key.id for key in left if key.label in labels or key.label in desired.reserved or key.id in unclear}
    return Matching(
        matches,
        unmanaged=tuple(key for key in left if key.id not in spoken_for),
        reserved=tuple(key for key in left if key.id in spoken_for),
    )


def _candidates(
    spec: KeySpec, by_id: dict[str, RemoteKey], by_label: dict[str, list[RemoteKey]]
) -> tuple[RemoteKey, ...]:
    """Give the actual keys that the desired one may mean: the pinned one, else those that bear a label of it."""
    if spec.id is None:
        return _namesakes(spec, by_label)
    return (by_id[spec.id],) if spec.id in by_id else ()


def _namesakes(spec: KeySpec, by_label: dict[str, list[RemoteKey]]) -> tuple[RemoteKey, ...]:
    if not spec.was:
        return tuple(by_label.get(spec.label, ()))
    return tuple(key for label in dict.fromkeys(spec.labels) for key in by_label.get(label, ()))


def _match(spec: KeySpec, candidates: tuple[RemoteKey, ...], rivals: Mapping[str, list[KeySpec]]) -> Match:
    if len(candidates) > 1:
        return Unclear(spec, f"{len(candidates)} keys could be meant, {_listed(candidates)}: pin the id", candidates)
    if candidates[0].id in rivals:
        names = ", ".join(f"{rival.name} ({rival.source})" for rival in rivals[candidates[0].id] if rival is not spec)
        return Unclear(spec, f"key {candidates[0].id} is also claimed by {names}: pin the id", candidates)
    return Matched(spec, candidates[0])


def _not_found(spec: KeySpec, by_label: dict[str, list[RemoteKey]]) -> Match:
    if spec.id is None:
        return Missing(spec)
    namesakes = _namesakes(spec, by_label)
    if spec.state is not KeyState.PRESENT and not namesakes:
        return Missing(spec)
    reason = f"the account has no key with the pinned id {spec.id}"
    if namesakes:
        reason += f"; {_listed(namesakes)} has its label"
    return Unclear(spec, f"{reason}: correct the id, or remove it to match by label", namesakes)


def _listed(keys: tuple[RemoteKey, ...]) -> str:
    return ", ".join(key.id for key in keys)
