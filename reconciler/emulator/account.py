"""What the emulator holds: accounts, their keys and pages of keys, and what a PUT makes of a key.

Sources: AhaSend's OpenAPI document 2.0.0 (`APIKey`, `PaginationInfo`, `UpdateAPIKeyRequest`).
"""

import base64
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

from reconciler.emulator.permissions import (
    Network,
    Refused,
    canonical_domain,
    canonical_networks,
    canonical_scopes,
    domain_of,
    is_within,
    parse_networks,
)

LONGEST_LABEL = 255

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_POSITION = re.compile(r"(?P<created>-?[0-9]{1,20}) (?P<id>[0-9a-f-]{36})", re.ASCII)

Position = tuple[int, str]


@dataclass(frozen=True)
class Key:
    """One key. It never changes: an edit puts another one in its place, so what is derived from it can be kept."""

    id: str
    account_id: str
    label: str
    secret_key: str | None = field(repr=False)
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None

    @cached_property
    def rendered(self) -> bytes:
        """The key as the API shows it, in JSON; never its secret."""
        created_at, updated_at = _timestamp(self.created_at), _timestamp(self.updated_at)
        scopes = [
            {
                "id": _made_up_id(self.id, scope),
                "created_at": created_at,
                "updated_at": updated_at,
                "api_key_id": self.id,
                "scope": scope,
                "domain_id": self._domain_id(scope),
            }
            for scope in self.scopes
        ]
        answer = {
            "object": "api_key",
            "id": self.id,
            "created_at": created_at,
            "updated_at": updated_at,
            "last_used_at": self.last_used_at and _timestamp(self.last_used_at),
            "account_id": self.account_id,
            "label": self.label,
            "public_key": f"aha-pk-{sha256(self.id.encode()).hexdigest()}",
            "scopes": scopes,
            "ip_allow_list": self.ip_allow_list,
        }
        return json.dumps(answer, separators=(",", ":")).encode()

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The networks of the allow list."""
        return parse_networks(self.ip_allow_list)

    @cached_property
    def position(self) -> Position:
        """Where the key stands in the account's list: by creation, then by identifier."""
        return (self.created_at - _EPOCH) // TICK, self.id

    def admits(self, host: str) -> bool:
        """Whether a client at this address may use the key."""
        return not self.ip_allow_list or is_within(host, self.networks)

    def as_seed(self) -> dict[str, Any]:
        """Return the key as a seed has it, but for its secret."""
        return {
            "id": self.id,
            "label": self.label,
            "scopes": list(self.scopes),
            "ip_allow_list": list(self.ip_allow_list),
            "created_at": _timestamp(self.created_at),
            "updated_at": _timestamp(self.updated_at),
            "last_used_at": self.last_used_at and _timestamp(self.last_used_at),
        }

    def _domain_id(self, scope: str) -> str | None:
        domain = domain_of(scope)
        return None if domain is None else _made_up_id(self.account_id, canonical_domain(domain))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an account's keys, and the cursors to its neighbours (None: there is none)."""

    keys: tuple[Key, ...]
    next_cursor: str | None
    previous_cursor: str | None


class Account:
    """An account with its keys, and with its sub accounts, which no endpoint shows yet."""

    def __init__(
        self,
        account_id: str,
        domains: tuple[str, ...],
        keys: Iterable[Key],
        sub_accounts: tuple["SubAccount", ...] = (),
    ) -> None:
        self.id = account_id
        self.domains = domains
        self.sub_accounts = sub_accounts
        self.keys = {key.id: key for key in keys}
        self._order = sorted(key.position for key in self.keys.values())

    def put(self, key: Key) -> None:
        """Put an edited key in the place of the one with its identifier."""
        self.keys[key.id] = key

    def page(self, after: str, before: str, limit: int) -> Page:
        """Return up to ``limit`` keys next to a cursor, or the first ones.

        A cursor holds the place of a key, not a number: a page stays right when keys come and go before it, and when
        that key is gone.
        """
        if before:
            end = bisect_left(self._order, _decoded(before))
            start = max(0, end - limit)
        else:
            start = bisect_right(self._order, _decoded(after)) if after else 0
            end = min(len(self._order), start + limit)
        shown = self._order[start:end]
        return Page(
            keys=tuple(self.keys[key_id] for _, key_id in shown),
            next_cursor=_encoded(shown[-1]) if shown and end < len(self._order) else None,
            previous_cursor=_encoded(shown[0]) if shown and start else None,
        )

    def as_seed(self) -> dict[str, Any]:
        """Return the account as a seed has it."""
        keys = [self.keys[key_id] for _, key_id in self._order]
        return {
            "id": self.id,
            "domains": list(self.domains),
            "keys": [
                key.as_seed() | ({} if key.secret_key is None else {"secret_key": key.secret_key}) for key in keys
            ],
            "sub_accounts": [sub_account.as_seed() for sub_account in self.sub_accounts],
        }


class SubAccount(Account):
    """An account below another one, with a name and a status."""

    def __init__(
        self, account_id: str, domains: tuple[str, ...], keys: Iterable[Key], *, name: str, status: str
    ) -> None:
        super().__init__(account_id, domains, keys)
        self.name = name
        self.status = status

    def as_seed(self) -> dict[str, Any]:
        """Return the sub account as a seed has it."""
        seed = super().as_seed()
        del seed["sub_accounts"]
        return seed | {"name": self.name, "status": self.status}


def start_cursor() -> str:
    """Return a cursor before every key."""
    return _encoded((-(10**18), "0" * 36))


def is_uuid(text: str) -> bool:
    """Whether ``text`` has the form of an identifier."""
    return _UUID.fullmatch(text) is not None


def amended(account: Account, key: Key, document: object, *, own_host: str | None, now: datetime) -> Key:
    """Return ``key`` as a PUT of ``document`` makes it.

    ``own_host`` is the caller's address if the key is the calling key, which must not lock itself out. Raises
    `Refused` for what the API refuses; nothing is changed then.
    """
    if not isinstance(document, dict):
        raise Refused(400, "the request body must be a JSON object")
    label, scopes, networks = (document.get(name) for name in ("label", "scopes", "ip_allow_list"))
    if label is None and scopes is None and networks is None:
        raise Refused(400, "at least one field must be provided")
    changed = replace(
        key,
        label=key.label if label is None else _label(label),
        scopes=key.scopes if scopes is None else _scopes(scopes, account, key),
        ip_allow_list=key.ip_allow_list if networks is None else canonical_networks(_texts(networks, "ip_allow_list")),
        updated_at=max(now, key.updated_at + TICK),
    )
    if own_host is not None and not changed.admits(own_host):
        raise Refused(409, "the new ip_allow_list would lock this API key out")
    if _content(changed) == _content(key):
        raise Refused(400, "no changes: every value is the current one")
    return changed


def _content(key: Key) -> tuple[str, frozenset[str], frozenset[str]]:
    return key.label, frozenset(key.scopes), frozenset(key.ip_allow_list)


def _label(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_LABEL:
        raise Refused(400, f"label must be a text of 1 to {LONGEST_LABEL} characters")
    # JSON can name half of a surrogate pair, which no UTF-8 answer can hold.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _scopes(value: object, account: Account, key: Key) -> tuple[str, ...]:
    domains = frozenset(canonical_domain(domain) for domain in account.domains)
    return canonical_scopes(_texts(value, "scopes"), held=key.scopes, domains=domains)


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(400, f"{name} must be a list of texts")
    return value


def _made_up_id(owner: str, name: str) -> str:
    """Return the same UUID for the same names, at a third of the cost of ``uuid.uuid5``."""
    digest = sha256(f"{owner} {name}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _encoded(position: Position) -> str:
    created, key_id = position
    return base64.urlsafe_b64encode(f"{created} {key_id}".encode()).decode()


def _decoded(cursor: str) -> Position:
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise Refused(400, "invalid cursor") from None
    match = _POSITION.fullmatch(text)
    if match is None:
        raise Refused(400, "invalid cursor")
    return int(match["created"]), match["id"]
