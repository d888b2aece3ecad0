"""Rules that are built in: each looks at one key, or at all keys of an account, and says what is wrong in words.

Every rule has its parameters as fields and its reason in its docstring. A key that is switched off can do nothing, so
rules about use and reach leave it alone; what it may do is judged all the same, since a restore would give it back.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from reconciler.core.findings import counted
from reconciler.core.keys import is_meant
from reconciler.core.patterns import is_like
from reconciler.core.scopes import EVERYTHING, WRITES_KEYS, WRITES_KEYS_BELOW, Reach, ScopePatterns
from reconciler.core.subjects import Subject, span

_EVERY_SCOPE = ScopePatterns(("*",))
_MANAGING = (WRITES_KEYS, WRITES_KEYS_BELOW)
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class NoWildcard:
    """No key holds ``*``: whoever has it can do everything, also what AhaSend adds tomorrow."""

    hint: ClassVar = "list the scopes that it needs"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        return "holds * and may do everything" if EVERYTHING in subject.scopes.texts else None


@dataclass(frozen=True, slots=True)
class NoGlobalWhereDomainWouldDo:
    """No key holds ``…:all`` where a domain would do: one leaked key then speaks for every domain of the account.

    ``scopes`` are the ones to look at.
    """

    scopes: ScopePatterns = _EVERY_SCOPE
    hint: ClassVar = "name the domains instead, such as messages:send:{example.com}"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        found = [s.text for s in subject.scopes if s.reach is Reach.ALL and self.scopes.reached_by(s)]
        return f"holds {', '.join(found)}, which reaches every domain" if found else None


@dataclass(frozen=True, slots=True)
class RedundantScopes:
    """No scope is covered by another one of the key: it looks as if taking one away would narrow the key."""

    hint: ClassVar = "remove it, or the wider scope"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        kept = subject.scopes.reduced()
        if kept is subject.scopes:
            return None
        covered = [scope.text for scope in subject.scopes if scope not in kept.scopes]
        return f"lists {', '.join(covered)}, which another of its scopes covers"


@dataclass(frozen=True, slots=True)
class MaxScopes:
    """A key has at most so many scopes, covered ones not counted: more of them are several jobs in one key."""

    most: int
    hint: ClassVar = "give each job a key of its own"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        count = len(subject.scopes.reduced())
        return f"has {count} scopes, and at most {self.most} are allowed" if count > self.most else None


@dataclass(frozen=True, slots=True)
class ForbiddenScopes:
    """No key reaches one of ``scopes``: what no application needs should be in none."""

    scopes: ScopePatterns
    hint: ClassVar = "take it away from the key"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        found = self.scopes.reached(subject.scopes)
        return f"holds {', '.join(found)}, which reaches what is forbidden: {self.scopes}" if found else None


@dataclass(frozen=True, slots=True)
class RequireIpAllowList:
    """A key that reaches one of ``scopes`` is not usable from anywhere: a leaked one is then of no use elsewhere."""

    scopes: ScopePatterns = _EVERY_SCOPE
    hint: ClassVar = "list the networks that it is used from under ip_allow_list"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if not subject.ip_allow_list.lets_everybody_in:
            return None
        found = self.scopes.reached(subject.scopes)
        return f"is usable from anywhere, with {', '.join(found)}" if found else None


@dataclass(frozen=True, slots=True)
class WidestNetwork:
    """No network on a list is wider than a given prefix: a list that lets half the internet in protects from nothing.

    Parts that make up a wider network count as that one. A list that is empty is the affair of `RequireIpAllowList`.
    """

    ipv4: int = 0
    ipv6: int = 0
    hint: ClassVar = "list only the networks that the key is used from"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        networks = subject.ip_allow_list.networks
        if all(self._is_narrow(text) for text in networks):
            if len(subject.ip_allow_list.ranges) == len(networks):
                return None
            networks = subject.ip_allow_list.joined
        wide = [text for text in networks if not self._is_narrow(text)]
        return f"lets in {', '.join(wide)}, wider than {self._limits()}" if wide else None

    def _is_narrow(self, text: str) -> bool:
        return int(text.rpartition("/")[2]) >= (self.ipv6 if ":" in text else self.ipv4)

    def _limits(self) -> str:
        limits = (("IPv4", self.ipv4), ("IPv6", self.ipv6))
        return " and ".join(f"/{length} ({version})" for version, length in limits if length)


@dataclass(frozen=True, slots=True)
class UnreachableList:
    """A list holds a public IPv4 network: AhaSend answers on IPv4 only, so that without one nobody can use the key."""

    hint: ClassVar = "add the public IPv4 addresses that it is used from, or write 'state: quarantined'"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if subject.switched_off or subject.ip_allow_list.reachable():
            return None
        return f"cannot be used by anybody: {', '.join(subject.ip_allow_list.networks)} holds no public IPv4 network"


@dataclass(frozen=True, slots=True)
class LabelPattern:
    """A label is like one of ``patterns``: in an incident it must tell at a glance whose key it is."""

    patterns: tuple[str, ...]
    hint: ClassVar = "rename it"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if any(is_like(subject.label, pattern) for pattern in self.patterns):
            return None
        return f"has the label {subject.label!r}, which is not like {' or '.join(self.patterns)}"


@dataclass(frozen=True, slots=True)
class RequireOwner:
    """A key of the files has an owner, like one of ``owners``: somebody must be there to ask before it is changed.

    Keys of no file have none by nature: those are the affair of `UnmanagedKey`.
    """

    owners: tuple[str, ...] = ("*",)
    hint: ClassVar = "write 'owner: <team>'"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if subject.spec is None:
            return None
        if not subject.owner:
            return "has no owner"
        if any(is_like(subject.owner, pattern) for pattern in self.owners):
            return None
        return f"has the owner {subject.owner!r}, which is not like {' or '.join(self.owners)}"


@dataclass(frozen=True, slots=True)
class SeparateDuties:
    """No key reaches two of ``sets``: what one leaked key could do together two keys could not."""

    sets: Mapping[str, ScopePatterns]
    hint: ClassVar = "give each of the duties a key of its own"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        reached = {name: found for name in sorted(self.sets) if (found := self.sets[name].reached(subject.scopes))}
        if len(reached) < 2:  # noqa: PLR2004 # one duty is right
            return None
        told = " and ".join(f"{name} ({', '.join(found)})" for name, found in reached.items())
        return f"holds together {told}"


@dataclass(frozen=True, slots=True)
class UnusedFor:
    """A key was used, or made, within a given time: one that nobody uses can only be abused."""

    length: timedelta
    hint: ClassVar = "switch it off ('state: quarantined'), and delete it when nobody misses it"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if subject.remote is None or subject.idle < self.length or subject.switched_off:
            return None
        length = span(subject.idle)
        return f"was made {length} ago and never used" if subject.last_used_at is None else f"was not used for {length}"


@dataclass(frozen=True, slots=True)
class NeverUsed:
    """A key was used at least once in a given time after it was made: otherwise it was made by mistake."""

    after: timedelta
    hint: ClassVar = "ask whoever made it, and switch it off"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if subject.remote is None or subject.switched_off or subject.last_used_at is not None:
            return None
        return f"was made {span(subject.age)} ago and never used" if subject.age >= self.after else None


@dataclass(frozen=True, slots=True)
class OlderThan:
    """A key is not older than a given age: the longer a secret is in use, the more places hold it."""

    age: timedelta
    hint: ClassVar = "make a new key, move its users, and switch this one off"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        return f"is {span(subject.age)} old" if subject.age > self.age and not subject.switched_off else None


@dataclass(frozen=True, slots=True)
class UnmanagedKey:
    """Every key is in a file, but for exceptions: nobody reviewed the others."""

    exceptions: tuple[str, ...] = ()
    hint: ClassVar = "put it into a file, or delete it in the dashboard"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        return None if subject.managed or self._excepts(subject) else "is in no file"

    def _excepts(self, subject: Subject) -> bool:
        return any(is_meant(each, subject.label, subject.id) for each in self.exceptions)


@dataclass(frozen=True, slots=True)
class CanManageKeys:
    """No key can write keys, but for exceptions: whoever holds such a one can grant themselves anything.

    Exceptions are names or ids, never labels: whoever makes a key chooses its label. AhaSend leaves open whether a key
    may grant what it lacks.
    """

    exceptions: tuple[str, ...] = ()
    hint: ClassVar = "take it away, or list the key under 'except', by its name in the files or its id, if it must"

    def verdict(self, subject: Subject) -> str | None:
        """Say what is wrong with a key, as the rest of a sentence that its name begins, or None."""
        if subject.switched_off or any(is_meant(each, subject.name, subject.id) for each in self.exceptions):
            return None
        held = [scope.text for scope in subject.scopes if any(map(scope.covers, _MANAGING))]
        return f"can write keys, and so grant anything: it holds {' and '.join(held)}" if held else None


@dataclass(frozen=True, slots=True)
class DuplicateLabel:
    """No two keys of an account bear one label: neither people nor the files can tell them apart."""

    hint: ClassVar = "rename one of them; until then files tell them apart by id alone"

    def alike(self, subject: Subject) -> Hashable | None:
        """Give what makes two keys alike, None for a key that is like no other."""
        return subject.label

    def told(self, others: tuple[str, ...]) -> str:
        """Say what is wrong with a key that is like others, as the rest of a sentence."""
        return f"has the same label as {counted(others, _MOST_NAMED)}"


@dataclass(frozen=True, slots=True)
class IdenticalAccess:
    """No two keys of an account may do the same from the same networks: one of them is probably left over."""

    hint: ClassVar = "switch off the one that nobody uses"

    def alike(self, subject: Subject) -> Hashable | None:
        """Give what makes two keys alike, None for a key that is like no other."""
        if subject.switched_off or not subject.scopes.scopes:
            return None
        return subject.scopes.reduced(), subject.ip_allow_list.ranges

    def told(self, others: tuple[str, ...]) -> str:
        """Say what is wrong with a key that is like others, as the rest of a sentence."""
        return f"may do the same from the same networks as {counted(others, _MOST_NAMED)}"


KeyCheck = (
    NoWildcard
    | NoGlobalWhereDomainWouldDo
    | RedundantScopes
    | MaxScopes
    | ForbiddenScopes
    | RequireIpAllowList
    | WidestNetwork
    | UnreachableList
    | LabelPattern
    | RequireOwner
    | SeparateDuties
    | UnusedFor
    | NeverUsed
    | OlderThan
    | UnmanagedKey
    | CanManageKeys
)
"""The rules that look at one key."""
AccountCheck = DuplicateLabel | IdenticalAccess
"""The rules that look at all keys of an account."""
