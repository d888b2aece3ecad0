"""One change to one key: what it does to access, how it stands, and in which order changes may be made."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from reconciler.core.keys import AccountRef, RemoteKey, Source
from reconciler.core.networks import AllowList
from reconciler.core.scopes import EVERYTHING, Reach, Scope, ScopeSet


class Action(StrEnum):
    """What a change does to a key."""

    UPDATE = "update"
    CREATE = "create"
    DELETE = "delete"
    QUARANTINE = "quarantine"
    RESTORE = "restore"


class Outcome(StrEnum):
    """How a change stands, or how it ended."""

    PLANNED = "planned"
    APPLIED = "applied"
    FAILED = "failed"
    STALE = "stale"
    DENIED = "denied"
    REFUSED = "refused"
    SKIPPED = "skipped"
    PAUSED = "paused"

    @property
    def held_back(self) -> bool:
        """Whether a person must act: a retry does not help."""
        return self in (Outcome.DENIED, Outcome.REFUSED, Outcome.SKIPPED)

    @property
    def may_be_retried(self) -> bool:
        """Whether the next pass may succeed by itself."""
        return self in (Outcome.FAILED, Outcome.STALE)


class Direction(StrEnum):
    """Whether a change gives access, takes access, both, or neither."""

    WIDEN = "widen"
    NARROW = "narrow"
    MIXED = "mixed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Delta:
    """What is granted and what is revoked, as canonical texts.

    Attributes:
        granted: What is there afterwards and was not reached before.
        revoked: What was there before and is not reached afterwards.
    """

    granted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessChange:
    """What a change grants and revokes, and so its direction.

    Attributes:
        direction: Whether it gives access, takes access, both, or neither.
        scopes: What a key may do more and less.
        networks: From where it may be used more and less; `anywhere` for an empty list.
    """

    direction: Direction = Direction.NONE
    scopes: Delta = Delta()
    networks: Delta = Delta()


FieldName = Literal["label", "scopes", "ip_allow_list"]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """One text before and after.

    Attributes:
        before: The text before; null where the key does not exist yet.
        after: The text after.
    """

    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class ListDiff:
    """One list before and after, in canonical form.

    Attributes:
        before: The list before; null where the key does not exist yet.
        after: The list after.
    """

    before: tuple[str, ...] | None
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that differ, and only those: exactly what a PUT carries. The others are None.

    Attributes:
        label: The label; left out where it stays as it is.
        scopes: The scopes; left out where they stay as they are.
        ip_allow_list: The networks; left out where they stay as they are.
    """

    label: TextDiff | None = None
    scopes: ListDiff | None = None
    ip_allow_list: ListDiff | None = None

    def __bool__(self) -> bool:
        return not (self.label is None and self.scopes is None and self.ip_allow_list is None)

    @property
    def diffs(self) -> "dict[FieldName, TextDiff | ListDiff]":
        """Those that differ, by the names that the API gives them, in its order."""
        named: dict[FieldName, TextDiff | ListDiff | None] = {
            "label": self.label,
            "scopes": self.scopes,
            "ip_allow_list": self.ip_allow_list,
        }
        return {name: diff for name, diff in named.items() if diff is not None}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the plan and how it stands.

    ``before`` is the key as it was listed, ``after`` the key as it would be; both are None where no key was matched.
    ``name`` is None for an unmanaged key. ``meant_to_grant`` holds what a change whose key could not be told would have
    granted: revocations elsewhere wait for that too. ``rejected`` is what the API said that does not take it as it is;
    ``written`` are the fields that it took although the change did not come to its end, ``seen`` is the key as it was
    read last where it is neither as it was listed nor as it was asked for.
    """

    account: AccountRef
    action: Action
    name: str | None
    key_id: str | None
    label: str
    source: Source | None
    fields: Fields = Fields()
    access: AccessChange = AccessChange()
    before: RemoteKey | None = None
    after: RemoteKey | None = None
    outcome: Outcome = Outcome.PLANNED
    reason: str | None = None
    meant_to_grant: tuple[str, ...] = ()
    rejected: str | None = None
    written: tuple[FieldName, ...] = ()
    seen: RemoteKey | None = None

    @property
    def applicable(self) -> bool:
        """Whether nothing speaks against making it."""
        return self.outcome is Outcome.PLANNED

    @property
    def switches_off(self) -> bool:
        """Whether the key is unusable afterwards."""
        return self.action in (Action.QUARANTINE, Action.DELETE)

    @property
    def widens(self) -> bool:
        """Whether it grants anything, whatever it takes away besides."""
        return self.access.direction in (Direction.WIDEN, Direction.MIXED)

    @property
    def revokes(self) -> bool:
        """Whether it takes anything away, whatever it grants besides."""
        return self.access.direction in (Direction.NARROW, Direction.MIXED)

    @property
    def title(self) -> str:
        """How to call it in a sentence."""
        return self.name if self.name is not None else f"unmanaged key {self.key_id}"

    def asked_for(self, said: str) -> str:
        """Give what was said about the change with the place in the files that asks for it."""
        return f"{said}\n  asked for at {self.source}" if self.source else said

    def ended(self, outcome: Outcome, reason: str | None = None) -> "Change":
        """Give the same change with another outcome."""
        return replace(self, outcome=outcome, reason=reason)


def access_change(
    scopes: tuple[ScopeSet, ScopeSet],
    lists: tuple[AllowList, AllowList] | None,
) -> AccessChange:
    """Tell what going from the first to the second of each pair grants and revokes.

    The fence counts as reaching nobody. ``lists`` is None where there is no list to speak of.
    """
    had, has = scopes
    delta = Delta(_texts(has.beyond(had)), _texts(had.beyond(has)))
    networks = _network_delta(*lists) if lists else Delta()
    grants = bool(delta.granted or networks.granted)
    revokes = bool(delta.revoked or networks.revoked)
    direction = {
        (True, False): Direction.WIDEN,
        (False, True): Direction.NARROW,
        (True, True): Direction.MIXED,
        (False, False): Direction.NONE,
    }[grants, revokes]
    return AccessChange(direction, delta, networks)


def _texts(scopes: Iterable[Scope]) -> tuple[str, ...]:
    return tuple(scope.text for scope in scopes)


def _network_delta(before: AllowList, after: AllowList) -> Delta:
    granted = () if after.fenced else after.beyond(before)
    revoked = () if before.fenced else before.beyond(after)
    return Delta(granted, revoked)


class Dependencies:
    """Which changes of one account were to grant what another one revokes.

    A right that moves from one key to another must arrive before it leaves. Granting something to a key that is being
    switched off gives it to nobody, so such a change provides nothing.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self._all: list[_Grant] = []
        self._by_family: defaultdict[str, list[_Grant]] = defaultdict(list)
        self._by_text: defaultdict[str, list[_Grant]] = defaultdict(list)
        for place, change in enumerate(changes):
            for scope in _provided(change):
                grant = (place, change)
                self._all.append(grant)
                self._by_family[scope.family].append(grant)
                self._by_text[scope.text].append(grant)

    def of(self, change: Change) -> tuple[Change, ...]:
        """Give the other changes that were to grant something which ``change`` revokes, in their order."""
        found = dict(self._providers(change))
        return tuple(found[place] for place in sorted(found))

    def any_of(self, change: Change) -> Change | None:
        """Give one of the other changes that were to grant something which ``change`` revokes, or None."""
        return next((provider for _, provider in self._providers(change)), None)

    def _providers(self, change: Change) -> Iterator["_Grant"]:
        for revoked in _taken(change):
            for grants in self._overlapping(revoked):
                yield from (grant for grant in grants if grant[1] is not change)

    def _overlapping(self, revoked: Scope) -> Iterator[list["_Grant"]]:
        """Give the grants that overlap with ``revoked`` (:meth:`Scope.overlaps`), looked up instead of compared."""
        if revoked.reach is Reach.EVERYTHING:
            yield self._all
            return
        yield self._by_text.get(EVERYTHING, [])
        if revoked.reach is Reach.ALL:
            yield self._by_family.get(revoked.family, [])
            return
        yield self._by_text.get(revoked.text, [])
        if revoked.reach is Reach.DOMAIN:
            yield self._by_text.get(f"{revoked.family}:all", [])


_Grant = tuple[int, Change]


def _provided(change: Change) -> ScopeSet:
    """Give the scopes that a change was to grant; to a key that is being switched off they are granted to nobody."""
    if change.switches_off:
        return ScopeSet(())
    return ScopeSet.parse(change.access.scopes.granted + change.meant_to_grant)


def _taken(change: Change) -> ScopeSet:
    """Give the scopes that a change takes away: to fence a key that no file names takes all that it may do.

    To fence one that a file names, by its name, takes none: whoever writes ``quarantined`` there answers a leak, and
    that must not stay open until another key works.
    """
    if change.switches_off and change.name is None and change.before is not None:
        return change.before.scopes
    return ScopeSet.parse(change.access.scopes.revoked)


def skip_reason(provider: Change, change: Change) -> str:
    """Say why ``change``, which revokes something, waits for ``provider``, which was to grant it."""
    told = f"it revokes what the change of {provider.title} was to grant, and that one is {provider.outcome}: "
    if change.name is None:
        return f"{told}this key may be in use for it; settle that one first"
    return f"{told}somebody may be left without it; settle that one first, or take this revocation out of the files"


def skip_dependents(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Mark as skipped every planned change that revokes what a change that will not be made was to grant.

    A change that is skipped grants nothing either, so this is repeated until nothing more follows.
    """
    result = [*_without_circles(changes)]
    changes = tuple(result)
    revoking = {place for place, change in enumerate(changes) if change.applicable and _taken(change).scopes}
    lost = [change for change in changes if not change.applicable]
    while lost and revoking:
        dependencies = Dependencies(lost)
        skipped = {place: found for place in sorted(revoking) if (found := dependencies.any_of(result[place]))}
        for place, provider in skipped.items():
            result[place] = result[place].ended(Outcome.SKIPPED, skip_reason(provider, result[place]))
        revoking -= skipped.keys()
        lost = [result[place] for place in skipped]
    return tuple(result)


def _without_circles(changes: tuple[Change, ...]) -> Iterator[Change]:
    """Skip planned changes that wait for each other: whichever went first, a right would leave before it arrives."""
    mixed = [change for change in changes if change.applicable and _rank(change) == _MIXED_RANK]
    dependencies = Dependencies(mixed)
    awaited = {id(change): [id(provider) for provider in dependencies.of(change)] for change in mixed}
    circles = _in_circles(awaited)
    for change in changes:
        if id(change) in circles:
            other = next(provider for provider in dependencies.of(change) if id(provider) in circles)
            reason = (
                f"it takes away what the change of {other.title} is to grant, and that one waits for it in turn: "
                "let the files grant first, and take away when that is applied"
            )
            yield change.ended(Outcome.SKIPPED, reason)
        else:
            yield change


def _in_circles(awaited: Mapping[int, list[int]]) -> frozenset[int]:
    """Give what waits, over whatever others, for itself or for something that does."""
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    left = {}
    for change, providers in awaited.items():
        left[change] = len(providers)
        for provider in providers:
            waiting[provider].append(change)
    free = [change for change, count in left.items() if not count]
    while free:
        done = free.pop()
        del left[done]
        for change in waiting[done]:
            left[change] -= 1
            if not left[change]:
                free.append(change)
    return frozenset(left)


def waves(changes: Iterable[Change]) -> tuple[tuple[Change, ...], ...]:
    """Divide changes into groups to be made one after the other; inside a group the order does not matter.

    Grants go first, then neutral, mixed, narrowing and switching-off changes. Among mixed ones, what grants a scope
    goes before what revokes it; where that runs in a circle, which no approved plan does, one of the circle goes first.
    """
    ranked: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        ranked[_rank(change)].append(change)
    mixed = _MIXED_RANK
    return tuple(
        wave
        for rank in sorted(ranked)
        for wave in (_mixed_waves(ranked[rank]) if rank == mixed else (tuple(ranked[rank]),))
    )


_RANKS = {Direction.WIDEN: 0, Direction.NONE: 1, Direction.MIXED: 3, Direction.NARROW: 4}
_MOVING_RANK = 2
_MIXED_RANK = _RANKS[Direction.MIXED]
_SWITCHING_OFF_RANK = 5


def _rank(change: Change) -> int:
    """Give the place of a change; a mixed one that takes no scope waits for none, and others may need what it gives."""
    if change.switches_off:
        return _SWITCHING_OFF_RANK
    if change.access.direction is Direction.MIXED and not change.access.scopes.revoked:
        return _MOVING_RANK
    return _RANKS[change.access.direction]


def _mixed_waves(changes: list[Change]) -> Iterator[tuple[Change, ...]]:
    dependencies = Dependencies(changes)
    places = {id(change): place for place, change in enumerate(changes)}
    awaited = {
        place: {places[id(provider)] for provider in dependencies.of(change)} for place, change in enumerate(changes)
    }
    waiting: defaultdict[int, set[int]] = defaultdict(set)
    for place, providers in awaited.items():
        for provider in providers:
            waiting[provider].add(place)
    ready = [place for place, providers in awaited.items() if not providers]
    while awaited:
        wave = sorted(ready) or [min(_circle(next(iter(awaited)), awaited, waiting))]
        yield tuple(changes[place] for place in wave)
        for place in wave:
            del awaited[place]
        followers = {follower for place in wave for follower in waiting.pop(place, ()) if follower in awaited}
        for follower in followers:
            awaited[follower].difference_update(wave)
        ready = [follower for follower in followers if not awaited[follower]]


def _circle(start: int, awaited: Mapping[int, set[int]], waiting: Mapping[int, set[int]]) -> set[int]:
    """Follow the providers from ``start`` to a circle that awaits nothing outside itself."""
    while True:
        upstream = _reached(start, awaited)
        downstream = _reached(start, waiting)
        if upstream <= downstream:
            return upstream
        start = min(upstream - downstream)


def _reached(start: int, steps: Mapping[int, set[int]]) -> set[int]:
    reached = {start}
    ahead = [start]
    while ahead:
        found = steps.get(ahead.pop(), set()) - reached
        reached |= found
        ahead += found
    return reached
