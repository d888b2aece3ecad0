"""What an account must not lose, asked when a plan is approved and again before each write that takes away.

The guardian watches over the ability to manage keys, the coverage over what the policy says must keep working.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from reconciler.core.allowable import COVERAGE, GUARDIAN
from reconciler.core.changes import Change
from reconciler.core.keys import AccountRef, RemoteKey
from reconciler.core.requirements import Requirement, named
from reconciler.core.scopes import WRITES_KEYS, WRITES_KEYS_BELOW, parse_scope

_NEEDED = (
    WRITES_KEYS,
    parse_scope("api-keys:read"),
    parse_scope("sub-accounts:read"),
    parse_scope("sub-account-api-keys:read"),
    WRITES_KEYS_BELOW,
)


class Guardian:
    """Watches over the ability to manage keys in one account, never a sub account: its keys the parent manages.

    The key that the reconciler uses must not lose key management, be fenced or have its list narrowed; where it is not
    known, or not among the account's keys, that holds for every key that can write keys. And an account that had an
    unfenced key which can write keys must still have one.
    """

    def __init__(self, actual: Iterable[RemoteKey], self_key: str | None) -> None:
        actual = tuple(actual)
        known = self_key in {key.id for key in actual}
        self._self_key = self_key if known else None
        self._unknown = None if known else self_key
        self._protected = frozenset(
            {self_key} if known else {key.id for key in actual if _manages_keys(key) or _manages_below(key)}
        )
        self._must_keep_a_manager = any(map(_manages_keys, actual))

    def protects(self, change: Change) -> str | None:
        """Say why ``change`` must not be made to this very key, whatever else happens, or None."""
        if change.key_id in self._protected and (loss := _loss(change)):
            return f"{self._whose()} would {loss}"
        return None

    def objection(self, change: Change, others: Iterable[RemoteKey]) -> str | None:
        """Say why ``change`` must not be made, or None.

        Args:
            change: The change; one that only grants is never objected to.
            others: The account's other keys as they are, or as they will be.
        """
        if self._must_keep_a_manager and _stops_managing(change) and not any(map(_manages_keys, others)):
            return "no unfenced key of the account could write keys any more"
        return self.protects(change)

    def _whose(self) -> str:
        if self._self_key:
            return "the key that the reconciler uses"
        wrong = f", {self._unknown} is not one of this account's keys" if self._unknown else ""
        return (
            "a key that can write keys, and so may be the one that the reconciler uses (set RECONCILER_SELF_KEY_ID, or "
            f"RECONCILER_SELF_KEY_ID_<CREDENTIAL>, to the id of that one to protect it alone{wrong}),"
        )


def _stops_managing(change: Change) -> bool:
    if change.before is None or not _manages_keys(change.before):
        return False
    return change.after is None or not _manages_keys(change.after)


def _manages_keys(key: RemoteKey) -> bool:
    return key.scopes.covers(WRITES_KEYS) and not key.ip_allow_list.fenced


def _manages_below(key: RemoteKey) -> bool:
    return key.scopes.covers(WRITES_KEYS_BELOW) and not key.ip_allow_list.fenced


def _loss(change: Change) -> str | None:
    """Say in words what a protected key would lose, or None."""
    if change.switches_off:
        return "be switched off"
    if change.before is None or change.after is None:
        return None
    for needed in _NEEDED:
        if change.before.scopes.covers(needed) and not change.after.scopes.covers(needed):
            return f"lose {needed.text}"
    if change.access.networks.revoked:
        return "have its ip_allow_list narrowed"
    return None


class Coverage:
    """Watches over what must keep working in one account: what some key could do at first some key must still do."""

    def __init__(self, account: AccountRef, actual: Iterable[RemoteKey], required: Iterable[Requirement]) -> None:
        self._actual = tuple(actual)
        concerned = (each for each in required if each.concerns(account))
        self._held = tuple(each for each in concerned if any(map(each.met_by, self._actual)))

    def objection(self, change: Change, others: Iterable[RemoteKey]) -> str | None:
        """Say why ``change`` must not be made, or None; ``others`` as for the guardian."""
        before, after = change.before, change.after
        lost = [each for each in self._held if before and each.met_by(before) and not (after and each.met_by(after))]
        for key in others if lost else ():
            lost = [each for each in lost if not each.met_by(key)]
            if not lost:
                return None
        told = "; ".join(f"{each} (now {named(filter(each.met_by, self._actual))} can)" for each in lost)
        return f"no key in use could do what must keep working: {told}" if lost else None

    def needs(self, key: RemoteKey) -> bool:
        """Tell whether a key can do something that must keep working."""
        return any(each.met_by(key) for each in self._held)


@dataclass(frozen=True, slots=True)
class Objection:
    """Which guardrail speaks against a change, and why."""

    guardrail: str
    message: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Everything that watches over one account; what a person let through is None."""

    guardian: Guardian | None
    coverage: Coverage | None

    def objection(self, change: Change, others: Callable[[], Iterable[RemoteKey]]) -> Objection | None:
        """Give the first objection to a change, or None; ``others`` gives what the guardian is to be told."""
        return next(self.objections(change, others), None)

    def needs(self, key: RemoteKey) -> bool:
        """Tell whether any objection could depend on a key: a hundred thousand others need not be looked at."""
        return _manages_keys(key) or bool(self.coverage and self.coverage.needs(key))

    def objections(self, change: Change, others: Callable[[], Iterable[RemoteKey]]) -> Iterator[Objection]:
        """Give every objection to a change."""
        for guardrail, watcher in ((GUARDIAN, self.guardian), (COVERAGE, self.coverage)):
            if watcher and (message := watcher.objection(change, others())):
                yield Objection(guardrail, message)
