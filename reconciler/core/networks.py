"""IP allow lists as values: their one spelling, what they reach, when two lists are equal.

An empty list means *anywhere*. Spelling, limits and meaning come from AhaSend's OpenAPI document ("IP Allow Lists").
Networks are kept as checked text and turned into numbers only where two lists differ.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

ANYWHERE = "anywhere"
FENCE = "192.0.2.1/32"
"""The documentation address (RFC 5737) that, alone on a list, switches a key off."""
MOST_NETWORKS = 100

type_network = IPv4Network | IPv6Network
_MAPPED = IPv6Network("::ffff:0:0/96")
_NOT_PUBLIC = tuple(
    IPv4Network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",  # RFC 1918
        "100.64.0.0/10",  # RFC 6598
        "127.0.0.0/8",
        "169.254.0.0/16",
        FENCE,
    )
)


@lru_cache(maxsize=65536)
def parse_network(text: str) -> str:
    """Spell a CIDR block or a bare address as the API stores it: host bits masked, bare ones as /32 or /128.

    Raises:
        ValueError: the text is no network, in words for a person.
    """
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 address or CIDR block") from None
    if isinstance(network, IPv6Network) and "%" in text:
        raise ValueError(f"{text!r} has a zone, which means nothing to a server elsewhere: leave it out")
    return str(network)


def check_network(text: str) -> str:
    """Parse a network that a file asks for, refusing what the API refuses and what could never match.

    Raises:
        ValueError: with what to write instead.
    """
    network = parse_network(text)
    if not text.strip().partition("/")[2].isdecimal() and "/" in text:
        raise ValueError(f"{text!r} has no prefix length: write it as {network!r}")
    if network.endswith("/0"):
        raise ValueError(f"{text!r} allows every address and the API refuses it: write [] for 'usable from anywhere'")
    if ":" in network and _network(network).subnet_of(_MAPPED):  # type: ignore[arg-type] # a colon makes it IPv6
        inner = _network(network)
        bare = IPv4Network((int(inner.network_address) & 0xFFFFFFFF, inner.prefixlen - _MAPPED.prefixlen))
        instead = repr(str(bare)) if bare.prefixlen else "[] for 'usable from anywhere'"
        raise ValueError(f"{text!r} is an IPv4 address written as IPv6, which no caller has: write {instead}")
    return network


@lru_cache(maxsize=65536)
def _network(text: str) -> type_network:
    return ip_network(text)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Networks in canonical spelling, each once, sorted; empty means anywhere. Compare by :meth:`equivalent`."""

    networks: tuple[str, ...]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "AllowList":
        """Build a list from networks in any spelling (ValueError for what is no network)."""
        return _allow_list(tuple(texts))

    @property
    def anywhere(self) -> bool:
        """Whether the list places no restriction."""
        return not self.networks

    @property
    def fenced(self) -> bool:
        """Whether the list holds nothing but the fence: the key is switched off."""
        return self.networks == (FENCE,)

    @property
    def shown(self) -> tuple[str, ...]:
        """The networks, or ``anywhere``."""
        return self.networks or (ANYWHERE,)

    def beyond(self, other: "AllowList") -> tuple[str, ...]:
        """Give the networks of this list that reach addresses which ``other`` does not; ``anywhere`` beyond any list.

        A network counts as what it covers: two adjacent halves are the whole, a nested one adds nothing.
        """
        if other.anywhere or self == other:
            return ()
        if self.anywhere:
            return (ANYWHERE,)
        covering = _ranges(other)
        return tuple(text for text in self.networks if not _within(_range_of(text), covering))

    def equivalent(self, other: "AllowList") -> bool:
        """Tell whether both cover the same addresses; ``[]`` equals only ``[]``."""
        if self == other:
            return True
        return self.anywhere == other.anywhere and not (self.beyond(other) or other.beyond(self))

    @property
    def covered(self) -> tuple[str, ...]:
        """The fewest networks that cover the same addresses: adjacent halves are joined, nested ones left out."""
        return _covered(self)

    def reachable(self) -> bool:
        """Tell whether some caller on the public IPv4 internet, where alone the API answers, can be on the list."""
        if self.anywhere:
            return True
        return any(
            isinstance(network, IPv4Network) and not any(network.subnet_of(block) for block in _NOT_PUBLIC)
            for network in map(_network, self.networks)
        )


FENCED = AllowList((FENCE,))
OPEN = AllowList(())


@lru_cache(maxsize=65536)
def _allow_list(texts: tuple[str, ...]) -> AllowList:
    return AllowList(tuple(sorted({parse_network(text) for text in texts}, key=_order)))


def _order(text: str) -> tuple[int, int, int]:
    network = _network(text)
    return network.version, int(network.network_address), network.prefixlen


_Range = tuple[int, int, int]
_BEYOND = 1 << 128


def _range(network: type_network) -> _Range:
    return network.version, int(network.network_address), int(network.broadcast_address)


@lru_cache(maxsize=65536)
def _range_of(text: str) -> _Range:
    return _range(_network(text))


@lru_cache(maxsize=4096)
def _covered(allow_list: AllowList) -> tuple[str, ...]:
    return tuple(str(network) for network in _collapsed(allow_list))


def _collapsed(allow_list: AllowList) -> tuple[type_network, ...]:
    networks = [_network(text) for text in allow_list.networks]
    four = [network for network in networks if isinstance(network, IPv4Network)]
    six = [network for network in networks if isinstance(network, IPv6Network)]
    return (*collapse_addresses(four), *collapse_addresses(six))


@lru_cache(maxsize=4096)
def _ranges(allow_list: AllowList) -> tuple[_Range, ...]:
    """Give what a list covers as the first and last addresses of its ranges, sorted, without overlaps or seams."""
    return tuple(map(_range, _collapsed(allow_list)))


def _within(wanted: _Range, covering: tuple[_Range, ...]) -> bool:
    """Tell whether one range holds ``wanted`` whole (collapsed networks leave no seams for a network to straddle)."""
    version, first, last = wanted
    place = bisect_right(covering, (version, first, _BEYOND)) - 1
    return place >= 0 and covering[place][0] == version and covering[place][2] >= last
