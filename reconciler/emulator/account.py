"""What the emulator holds: accounts and sub accounts with their keys and domains, and how the API shows them.

Sources: AhaSend's OpenAPI document 2.0.0 (`APIKey`, `SubAccount`, `Domain`).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

from reconciler.emulator.listing import TICK, Listing, Position, position
from reconciler.emulator.permissions import Network, canonical_domain, domain_of, is_within, parse_networks

# A seed gives its domains no dates; all are of one day, in the seed's order.
_DOMAINS_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


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
        created_at, updated_at = timestamp(self.created_at), timestamp(self.updated_at)
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
            "last_used_at": self.last_used_at and timestamp(self.last_used_at),
            "account_id": self.account_id,
            "label": self.label,
            "public_key": f"aha-pk-{sha256(self.id.encode()).hexdigest()}",
            "scopes": scopes,
            "ip_allow_list": self.ip_allow_list,
        }
        return _compact(answer)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The networks of the allow list."""
        return parse_networks(self.ip_allow_list)

    @cached_property
    def position(self) -> Position:
        """Where the key stands in the account's list."""
        return position(self.created_at, self.id)

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
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "last_used_at": self.last_used_at and timestamp(self.last_used_at),
        }

    def _domain_id(self, scope: str) -> str | None:
        domain = domain_of(scope)
        return None if domain is None else _made_up_id(self.account_id, canonical_domain(domain))


@dataclass(frozen=True)
class Domain:
    """A domain of an account; a seed says nothing of it but its name, and it counts as verified."""

    id: str
    account_id: str
    name: str
    created_at: datetime

    @cached_property
    def position(self) -> Position:
        """Where the domain stands in the account's list."""
        return position(self.created_at, self.id)

    @cached_property
    def rendered(self) -> bytes:
        """The domain as the API shows it, in JSON."""
        created_at = timestamp(self.created_at)
        record = {
            "type": "TXT",
            "label": "DKIM",
            "host": f"ahasend._domainkey.{self.name}",
            "content": f"v=DKIM1; k=rsa; p={self.id}",
            "required": True,
            "propagated": True,
        }
        unset = (
            "tracking_subdomain",
            "return_path_subdomain",
            "subscription_subdomain",
            "media_subdomain",
            "dkim_rotation_interval_days",
            "dkim_selector",
            "dsn_recipient",
        )
        return _compact(
            {
                "object": "domain",
                "id": self.id,
                "created_at": created_at,
                "updated_at": created_at,
                "domain": self.name,
                "account_id": self.account_id,
                "dns_records": [record],
                "last_dns_check_at": created_at,
                "dns_valid": True,
                "rotation_ready": False,
                **dict.fromkeys(unset),
            }
        )


class Account:
    """An account with its domains, its keys, and the sub accounts below it.

    A ``status`` other than active keeps its keys, and those of its sub accounts, from authenticating.
    ``sub_accounts`` holds those that are not deleted.
    """

    def __init__(self, account_id: str, domains: Iterable[str], keys: Iterable[Key], *, status: str = "active") -> None:
        self.id = account_id
        self.status = status
        self.keys = Listing(keys)
        self.sub_accounts: Listing[SubAccount] = Listing(())
        self.deleted_sub_accounts: list[SubAccount] = []
        self._domains_as_seeded = list(domains)
        names = dict.fromkeys(map(canonical_domain, self._domains_as_seeded))
        self.domain_names = frozenset(names)
        self.domains = Listing(
            Domain(_made_up_id(account_id, name), account_id, name, _DOMAINS_CREATED_AT + number * TICK)
            for number, name in enumerate(names)
        )

    def adopt(self, sub_accounts: Iterable["SubAccount"]) -> None:
        """Take these as the account's sub accounts, in place of those that it has."""
        listed = list(sub_accounts)
        self.sub_accounts = Listing(one for one in listed if one.status != "deleted")
        self.deleted_sub_accounts = [one for one in listed if one.status == "deleted"]

    def delete_sub_account(self, sub_account_id: str) -> None:
        """Delete softly: it is kept, but neither listed nor found."""
        removed = self.sub_accounts.remove(sub_account_id)
        removed.status = "deleted"
        self.deleted_sub_accounts.append(removed)

    def disown(self, name: str) -> None:
        """Forget a domain of this canonical name."""
        self._domains_as_seeded = [text for text in self._domains_as_seeded if canonical_domain(text) != name]
        self.domains.remove(_made_up_id(self.id, name))
        self.domain_names -= {name}

    def domain(self, name: str) -> Domain | None:
        """Return the account's domain of this name, if it has it."""
        return self.domains.find(_made_up_id(self.id, canonical_domain(name)))

    def as_seed(self) -> dict[str, Any]:
        """Return the account as a seed has it."""
        sub_accounts = [*self.sub_accounts.values(), *self.deleted_sub_accounts]
        return self._common_seed() | {"sub_accounts": [sub_account.as_seed() for sub_account in sub_accounts]}

    def _common_seed(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": self.status,
            "domains": list(self._domains_as_seeded),
            "keys": [
                key.as_seed() | ({} if key.secret_key is None else {"secret_key": key.secret_key})
                for key in self.keys.values()
            ],
        }


@dataclass(frozen=True, slots=True)
class Profile:
    """What a sub account has besides its domains and keys; a ``monthly_credit`` of 0 means no cap."""

    name: str
    website: str
    monthly_credit: int
    created_at: datetime
    last_activity_at: datetime | None = None


class SubAccount(Account):
    """An account below another one."""

    def __init__(
        self,
        parent_id: str,
        account_id: str,
        domains: Iterable[str],
        keys: Iterable[Key],
        *,
        status: str,
        profile: Profile,
    ) -> None:
        super().__init__(account_id, domains, keys, status=status)
        self.parent_id = parent_id
        self.profile = profile

    @property
    def position(self) -> Position:
        """Where the sub account stands in its parent's list."""
        return position(self.profile.created_at, self.id)

    @property
    def rendered(self) -> bytes:
        """The sub account as the API shows it to the parent, in JSON."""
        shown = {"object": "sub_account", "id": self.id, "parent_account_id": self.parent_id, "status": self.status}
        counts = {"domain_count": len(self.domains), "member_count": 0}
        return _compact(shown | self._profile_seed() | counts)

    def as_seed(self) -> dict[str, Any]:
        """Return the sub account as a seed has it."""
        return self._common_seed() | self._profile_seed()

    def _profile_seed(self) -> dict[str, Any]:
        profile = self.profile
        return {
            "name": profile.name,
            "website": profile.website,
            "monthly_credit": profile.monthly_credit,
            "created_at": timestamp(profile.created_at),
            "last_activity_at": profile.last_activity_at and timestamp(profile.last_activity_at),
        }


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _made_up_id(owner: str, name: str) -> str:
    """Return the same UUID for the same names, at a third of the cost of ``uuid.uuid5``."""
    digest = sha256(f"{owner} {name}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


def timestamp(moment: datetime) -> str:
    """Return a moment as the API writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
