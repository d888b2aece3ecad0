"""Scopes as values: their one spelling, who covers whom, when two sets are equal.

The families, their spelling and the relation come from AhaSend's OpenAPI document ("Scopes") and its guide. A scope
that is not listed here is kept as it is and compared by its exact text.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from reconciler.core.patterns import is_like

EVERYTHING = "*"
STATIC = frozenset(
    f"{resource}:{action}"
    for resource, actions in {
        "accounts": ("read", "write", "billing"),
        "accounts:members": ("read", "add", "update", "remove"),
        "domains": ("read", "write"),
        "suppressions": ("read", "write", "delete", "wipe"),
        "api-keys": ("read", "write", "delete"),
        "sub-accounts": ("read", "write", "delete", "suspend", "usage"),
        "sub-account-api-keys": ("read", "write", "delete"),
    }.items()
    for action in actions
)
TARGETED = frozenset(
    f"{resource}:{action}"
    for resource, actions in {
        "messages": ("send", "cancel", "read"),
        "domains": ("delete",),
        "webhooks": ("read", "write", "delete"),
        "routes": ("read", "write", "delete"),
        "smtp-credentials": ("read", "write", "delete"),
        "statistics-transactional": ("read",),
    }.items()
    for action in actions
)
# Not "*": nobody should be advised to grant everything for a slip of the finger.
_KNOWN = sorted(STATIC | {f"{family}:all" for family in TARGETED})
_DOMAIN = re.compile(r"[^\s{}:*]*[^\s{}:*.]")
_TYPO_DISTANCE = 2


class Reach(Enum):
    """How far one scope reaches inside its family."""

    EVERYTHING = "everything"
    STATIC = "static"
    ALL = "all"
    DOMAIN = "domain"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission: its canonical ``text``, the ``family`` it belongs to (``messages:send``) and its reach."""

    text: str
    family: str
    reach: Reach

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def wider(self) -> tuple[str, ...]:
        """The texts of the other scopes that cover this one."""
        match self.reach:
            case Reach.EVERYTHING:
                return ()
            case Reach.DOMAIN:
                return EVERYTHING, f"{self.family}:all"
            case _:
                return (EVERYTHING,)

    @property
    def domain(self) -> str | None:
        """The domain that the scope aims at, in canonical form, or None."""
        return self.text[len(self.family) + 2 : -1] if self.reach is Reach.DOMAIN else None

    def covers(self, other: "Scope") -> bool:
        """Tell whether whoever holds this scope may do all that ``other`` allows."""
        return self.text == other.text or self.text in other.wider

    def overlaps(self, other: "Scope") -> bool:
        """Tell whether one of the two covers the other, so that some permission belongs to both."""
        return self.covers(other) or other.covers(self)


@lru_cache(maxsize=65536)
def parse_scope(text: str) -> Scope:
    """Give the value of a scope in any spelling that the API or a file may use; never fails.

    The domain of a target is lower-cased, trimmed and loses its trailing dot, as the API does; a target with a dot in
    it may come without its braces.
    """
    if text == EVERYTHING:
        return Scope(text, text, Reach.EVERYTHING)
    if text in STATIC:
        return Scope(text, text, Reach.STATIC)
    family, _, target = text.rpartition(":")
    if family in TARGETED:
        if target == "all":
            return Scope(text, family, Reach.ALL)
        domain = _domain(target)
        if domain:
            return Scope(f"{family}:{{{domain}}}", family, Reach.DOMAIN)
    return Scope(text, text, Reach.UNKNOWN)


def _domain(target: str) -> str | None:
    """Give the canonical domain that ``target`` names, with or without braces, or None."""
    braced = target.startswith("{") and target.endswith("}")
    domain = canonical_domain(target[1:-1] if braced else target)
    if not _is_domain(domain) or not (braced or "." in domain):
        return None
    return domain


def _is_domain(text: str) -> bool:
    return text.isprintable() and _DOMAIN.fullmatch(text) is not None


def canonical_domain(text: str) -> str:
    """Spell a domain name as the API stores it: lower case, trimmed, without the trailing dot."""
    return text.strip().lower().removesuffix(".")


def suggestion(text: str) -> str | None:
    """Give the known scope that an unknown ``text`` was probably meant to be, or None.

    That is one within two edits, ignoring case, or the whole form where a target is missing or malformed.
    """
    if parse_scope(text).reach is not Reach.UNKNOWN:
        return None
    lowered = text.strip().lower()
    return _nearest(lowered, _KNOWN) or _with_target(lowered)


def family_suggestion(text: str) -> str | None:
    """Give the family that an unknown ``text`` was probably meant to be, or None; its scopes name what is aimed at."""
    lowered = text.strip().lower()
    return None if lowered in STATIC | TARGETED else _nearest(lowered, sorted(STATIC | TARGETED))


def _nearest(text: str, known: Iterable[str]) -> str | None:
    """Give the first of those that are nearest to a text, None where none is within two edits."""
    near = ((edits(text, one), one) for one in known if abs(len(one) - len(text)) <= _TYPO_DISTANCE)
    distance, nearest = min(near, default=(_TYPO_DISTANCE + 1, ""))
    return nearest if distance <= _TYPO_DISTANCE else None


def _with_target(text: str) -> str | None:
    if text in TARGETED:
        return f"{text}:all or {text}:{{example.com}}"
    family, colon, target = text.rpartition(":")
    if not colon:
        return None
    bare = target.strip("{} .")
    domain = bare if _is_domain(bare) else "example.com"
    if family in TARGETED:
        return f"{family}:all" if "*" in bare else f"{family}:{{{domain}}}"
    if not target.startswith("{") and "." not in target:
        known = _nearest(text, TARGETED)
        return f"{known}:all or {known}:{{example.com}}" if known else None
    known = _nearest(family, TARGETED)
    return f"{known}:{{{domain}}}" if known else None


def edits(left: str, right: str) -> int:
    """Count the insertions, deletions and substitutions that turn one text into the other (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        diagonal_and_up = pairwise(row)
        row = [i]
        for (diagonal, up), other in zip(diagonal_and_up, right, strict=True):
            row.append(min(up + 1, row[-1] + 1, diagonal + (letter != other)))
    return row[-1]


WRITES_KEYS = parse_scope("api-keys:write")
"""Whoever holds it can grant themselves anything in an account."""
WRITES_KEYS_BELOW = parse_scope("sub-account-api-keys:write")
"""The same for the sub accounts of one."""


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """Scopes in canonical spelling, each once, sorted by text. Compare sets by :meth:`equivalent`, not by ``==``."""

    scopes: tuple[Scope, ...]
    texts: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """The canonical texts, sorted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", tuple(scope.text for scope in self.scopes))

    def __hash__(self) -> int:
        return hash(self.texts)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "ScopeSet":
        """Build a set from scopes in any spelling."""
        return _scope_set(tuple(texts))

    def __iter__(self) -> Iterator[Scope]:
        return iter(self.scopes)

    def __len__(self) -> int:
        return len(self.scopes)

    def covers(self, wanted: Scope) -> bool:
        """Tell whether some scope of the set covers ``wanted``."""
        return any(scope.covers(wanted) for scope in self.scopes)

    def beyond(self, other: "ScopeSet") -> tuple[Scope, ...]:
        """Give the scopes of this set that ``other`` does not cover, without those another one of them covers."""
        if self == other:
            return ()
        held = {scope.text for scope in other.scopes}
        left = self.reduced().scopes
        return tuple(scope for scope in left if scope.text not in held and held.isdisjoint(scope.wider))

    def equivalent(self, other: "ScopeSet") -> bool:
        """Tell whether each set covers the other: the same permissions, however they are written."""
        return self == other or not (self.beyond(other) or other.beyond(self))

    def reduced(self) -> "ScopeSet":
        """Give the shortest set with the same permissions: what another scope of the set covers is left out."""
        kept = _reduced(self) if len(self.scopes) > 1 else self
        return self if len(kept) == len(self.scopes) else kept  # callers ask whether it is the same set


@lru_cache(maxsize=65536)
def _reduced(scope_set: ScopeSet) -> ScopeSet:
    held = set(scope_set.texts)
    kept = tuple(scope for scope in scope_set.scopes if held.isdisjoint(scope.wider))
    return ScopeSet(kept)


@lru_cache(maxsize=65536)
def _scope_set(texts: tuple[str, ...]) -> ScopeSet:
    return ScopeSet(tuple(sorted({parse_scope(text) for text in texts}, key=lambda scope: scope.text)))


@dataclass(frozen=True, slots=True)
class ScopePatterns:
    """Scopes as a rule names them: in each pattern ``*`` stands for any characters, ``?`` for one.

    A scope reaches a pattern when it is like it, or when it covers some scope that is: whoever holds ``*`` reaches
    every pattern, and ``messages:send:all`` reaches ``messages:send:{*.example.com}``.
    """

    texts: tuple[str, ...]

    def reached(self, scopes: ScopeSet) -> tuple[str, ...]:
        """Give the texts of the scopes of a set that reach one of the patterns."""
        return _reached(self, scopes)

    def reached_by(self, scope: Scope) -> bool:
        """Tell whether one scope reaches one of the patterns."""
        return any(_reaches(scope, pattern) for pattern in self.texts)

    def __str__(self) -> str:
        return ", ".join(self.texts)


@lru_cache(maxsize=65536)
def _reached(patterns: ScopePatterns, scopes: ScopeSet) -> tuple[str, ...]:
    return tuple(scope.text for scope in scopes if patterns.reached_by(scope))


@lru_cache(maxsize=65536)
def _reaches(scope: Scope, pattern: str) -> bool:
    if scope.reach is Reach.EVERYTHING:
        return True
    if is_like(scope.text, pattern):
        return True
    return scope.reach is Reach.ALL and _may_name_a_domain(scope.family, pattern)


_TAIL = re.compile(r"[^\s{}:]+\}|[^\s{}:]*[*?]")


def _may_name_a_domain(family: str, pattern: str) -> bool:
    """Tell whether a pattern is like a scope of the family for some domain."""
    return any(
        is_like(f"{family}:{{", pattern[:cut])
        and _TAIL.fullmatch(pattern, cut - pattern[:cut].endswith("*")) is not None
        for cut in range(len(pattern) + 1)
    )


def canonical_pattern(text: str) -> str:
    """Spell a pattern as scopes are spelled, in lower case; a target other than ``all`` and ``*`` is a domain."""
    pattern = text.strip().lower()
    family, _, target = pattern.rpartition(":")
    bare = target.strip("{}")
    any_family = "." in bare and ("*" in family or "?" in family)
    if (family in TARGETED and target not in ("all", "*") and bare) or any_family:
        return f"{family}:{{{canonical_domain(bare)}}}"
    return pattern


def reaches_something(pattern: str) -> bool:
    """Tell whether some scope that this version knows, other than ``*``, reaches a pattern."""
    families = ScopeSet.parse([*STATIC, *(f"{family}:all" for family in TARGETED)])
    return bool(ScopePatterns((pattern,)).reached(families))


def pattern_suggestion(pattern: str) -> str | None:
    """Give what a pattern was probably meant to be where it looks like a misspelt scope, or None."""
    family, _, target = pattern.rpartition(":")
    if any(is_like(known, pattern) for known in _KNOWN):
        return None
    if family in TARGETED and (target == "*" or "." in target or "*" in target or "?" in target):
        return None
    if "*" not in target and "?" not in target:
        return suggestion(pattern)
    distance, near = min((edits(family.lower(), known), known) for known in _RESOURCES)
    return f"{near}:{target}" if distance <= _TYPO_DISTANCE else None


_RESOURCES = sorted({text.rpartition(":")[0] for text in STATIC | TARGETED} | TARGETED)
