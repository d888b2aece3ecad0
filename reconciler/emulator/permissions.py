"""What a key may do, from where and how often: the server's own rules for scopes, networks and rates.

Source: AhaSend's OpenAPI document 2.0.0, "Scopes", "IP Allow Lists", "Rate Limiting" and `UpdateAPIKeyRequest`. Where
it leaves a point open, the stricter reading is taken.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

STATIC_SCOPES = frozenset(
    f"{family}:{action}"
    for family, actions in {
        "accounts": ("read", "write", "billing", "members:read", "members:add", "members:update", "members:remove"),
        "domains": ("read", "write"),
        "suppressions": ("read", "write", "delete", "wipe"),
        "api-keys": ("read", "write", "delete"),
        "sub-accounts": ("read", "write", "delete", "suspend", "usage"),
        "sub-account-api-keys": ("read", "write", "delete"),
    }.items()
    for action in actions
)
TARGETED_SCOPES = frozenset(
    f"{family}:{action}"
    for family, actions in {
        "messages": ("send", "cancel", "read"),
        "domains": ("delete",),
        "webhooks": ("read", "write", "delete"),
        "routes": ("read", "write", "delete"),
        "smtp-credentials": ("read", "write", "delete"),
        "statistics-transactional": ("read",),
    }.items()
    for action in actions
)
MOST_NETWORKS = 100

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DOMAIN_SCOPE = re.compile(r"(?P<action>[a-z-]+:[a-z-]+):\{(?P<domain>[^{}]*)\}")
# ipaddress also takes netmasks, zone identifiers and prefixes with leading zeros, which a CIDR block does not have.
_CIDR = re.compile(r"[0-9A-Fa-f.:]+(/(0|[1-9][0-9]{0,2}))?")


class Refused(Exception):
    """A request that is answered with an error: a status, a message for people, perhaps seconds to wait."""

    def __init__(self, status: int, message: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def is_uuid(text: str) -> bool:
    """Whether ``text`` has the form of an identifier."""
    return _UUID.fullmatch(text) is not None


def canonical_domain(text: str) -> str:
    """Return a domain name as the server stores it: trimmed, in lower case, without the trailing dot."""
    return text.strip().lower().removesuffix(".")


def domain_of(scope: str) -> str | None:
    """Return the domain that a scope aims at, or None for a scope without one."""
    match = _DOMAIN_SCOPE.fullmatch(scope)
    return match["domain"] if match and match["action"] in TARGETED_SCOPES else None


def canonical_scopes(sent: Sequence[str], *, held: Collection[str], domains: Collection[str]) -> tuple[str, ...]:
    """Return the scopes that are stored when ``sent`` is asked for.

    ``held`` are the key's present scopes: one of them is taken back even if it is not known. ``domains`` are the
    account's, in canonical form. Raises `Refused` for anything that the API answers with 400.
    """
    if not sent:
        raise Refused(400, "at least one scope is required")
    canonical: dict[str, None] = {}
    for scope in sent:
        stored = _canonical_scope(scope, held, domains)
        if stored in canonical:
            raise Refused(400, f"duplicate scope: {scope}")
        canonical[stored] = None
    return tuple(scope for scope in canonical if domain_of(scope) is None or f"{_action(scope)}:all" not in canonical)


def may(scopes: Collection[str], needed: str) -> bool:
    """Whether ``scopes`` let a key call an operation that needs ``needed``."""
    return needed in scopes or "*" in scopes


def canonical_networks(sent: Iterable[str]) -> tuple[str, ...]:
    """Return an allow list as it is stored: host bits masked, bare addresses with a prefix, each entry once.

    Raises `Refused` for anything that the API answers with 400.
    """
    canonical = tuple(dict.fromkeys(_canonical_network(entry) for entry in sent))
    if len(canonical) > MOST_NETWORKS:
        raise Refused(400, f"ip_allow_list has {len(canonical)} entries; at most {MOST_NETWORKS} are allowed")
    return canonical


def parse_networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks of a stored list; a seed may hold an entry that is none, and it lets nobody in."""
    return tuple(network for entry in entries if (network := _parse_network(entry)) is not None)


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Whether a client's address lies in one of ``networks``; one that cannot be read lies in none."""
    address = _parse_address(host)
    return address is not None and any(address in network for network in networks)


class Bucket:
    """A token bucket: ``burst`` requests at once, then ``rate`` a second; ``clock`` gives seconds."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> None:
        """Take one token; raises `Refused` (429 with ``Retry-After``) when there is none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            wait = max(1, ceil((1 - self._tokens) / self._rate))
            raise Refused(429, "rate limit exceeded", headers=((b"retry-after", str(wait).encode()),))
        self._tokens -= 1


def _action(scope: str) -> str:
    return scope.rpartition(":")[0]


def _canonical_scope(scope: str, held: Collection[str], domains: Collection[str]) -> str:
    named = domain_of(scope)
    if named is not None:
        domain = canonical_domain(named)
        if domain not in domains:
            raise Refused(400, f"domain does not belong to the account: {scope}")
        return f"{_action(scope)}:{{{domain}}}"
    is_known = scope == "*" or scope in STATIC_SCOPES or (scope.endswith(":all") and _action(scope) in TARGETED_SCOPES)
    if not is_known and scope not in held:
        raise Refused(400, f"invalid scope: {scope}")
    return scope


def _canonical_network(entry: str) -> str:
    network = _parse_network(entry)
    if network is None:
        raise Refused(400, f"invalid entry in ip_allow_list: {entry}")
    if network.prefixlen == 0:
        raise Refused(400, f"ip_allow_list must not allow every address: {entry}")
    return str(network)


def _parse_network(entry: str) -> Network | None:
    if _CIDR.fullmatch(entry) is None:
        return None
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _parse_address(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # A socket for both families shows an IPv4 client as ::ffff:192.0.2.1.
    return getattr(address, "ipv4_mapped", None) or address
