"""IP allow lists as values: their one spelling, what they reach, when two lists are equal.

An empty list means *anywhere*. Spelling, limits and meaning come from AhaSend's OpenAPI document ("IP Allow Lists").
Networks are kept as checked text and turned into numbers only where two lists differ.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network, summarize_address_range
from typing import Any

ANYWHERE = "anywhere"
FENCE = "192.0.2.1/32"
"""The documentation address (RFC 5737) that, alone on a list, switches a key off."""
MOST_NETWORKS = 100

type_network = IPv4Network | IPv6Network
_MAPPED = IPv6Network("::ffff:0:0/96")
_OCTET = "(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
_FOUR = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}/([0-9]|[12][0-9]|3[0-2])")


def _four(text: str) -> tuple[int, int] | None:
    """Give the first and the last address of an IPv4 block in canonical spelling, None for anything else.

    What Python's own module does with it takes twenty times as long, and most networks are written so already.
    """
    match = _FOUR.fullmatch(text)
    if match is None:
        return None
    one, two, three, four, length = map(int, match.groups())
    first = one << 24 | two << 16 | three << 8 | four
    hosts = 0xFFFFFFFF >> length
    return None if first & hosts else (first, first | hosts)


@lru_cache(maxsize=65536)
def parse_network(text: str) -> str:
    """Spell a CIDR block or a bare address as the API stores it: host bits masked, bare ones as /32 or /128.

    Raises:
        ValueError: the text is no network, in words for a person.
    """
    if _four(text):
        return text
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


def _address(version: int, number: int) -> Any:
    return IPv4Address(number) if version == 4 else IPv6Address(number)  # noqa: PLR2004 # of the internet protocol


@dataclass(frozen=True, slots=True)
class AllowList:
    """Networks in canonical spelling, each once, sorted; empty means anywhere. Compare by :meth:`equivalent`."""

    networks: tuple[str, ...]
    _known: "tuple[_Range, ...] | None" = field(init=False, compare=False, repr=False, default=None)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "AllowList":
        """Build a list from networks in any spelling (ValueError for what is no network)."""
        return _allow_list(tuple(texts))

    @property
    def anywhere(self) -> bool:
        """Whether the list places no restriction."""
        return not self.networks

    @property
    def lets_everybody_in(self) -> bool:
        """Whether all of IPv4, on which alone the API answers, may use the key, in however many parts."""
        return self.anywhere or (4, 0, 0xFFFFFFFF) in self.ranges

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
        covering = other.ranges
        return tuple(text for text in self.networks if not _within(_range_of(text), covering))

    def holds(self, texts: Sequence[str]) -> bool:
        """Tell whether all that a list of networks in any spelling covers is covered; an empty one is anywhere.

        Raises:
            ValueError: one that had to be looked at is no network.
        """
        if self.anywhere:
            return True
        covering = self.ranges
        for text in texts:
            if not _within(_any_range(text), covering):
                return False
        return bool(texts)

    def equivalent(self, other: "AllowList") -> bool:
        """Tell whether both cover the same addresses; ``[]`` equals only ``[]``."""
        if self == other:
            return True
        return self.anywhere == other.anywhere and not (self.beyond(other) or other.beyond(self))

    @property
    def ranges(self) -> tuple[tuple[int, int, int], ...]:
        """What it covers: version, first and last address of each range, sorted, without overlaps or seams."""
        if self._known is None:
            object.__setattr__(self, "_known", _merged(self.networks))  # nearly every list is asked for it, or none
        return self._known or ()

    @property
    def joined(self) -> tuple[str, ...]:
        """The fewest networks that cover the same addresses: adjacent halves are joined, nested ones left out."""
        return tuple(
            str(network)
            for version, first, last in self.ranges
            for network in summarize_address_range(_address(version, first), _address(version, last))
        )

    def reachable(self) -> bool:
        """Tell whether some caller on the public IPv4 internet, where alone the API answers, can be on the list."""
        return self.anywhere or any(
            version == 4 and not _within((version, first, last), _NOT_PUBLIC)  # noqa: PLR2004 # of the protocol
            for version, first, last in map(_range_of, self.networks)
        )


FENCED = AllowList((FENCE,))
OPEN = AllowList(())


_Range = tuple[int, int, int]
_BEYOND = 1 << 128


@lru_cache(maxsize=65536)
def _allow_list(texts: tuple[str, ...]) -> AllowList:
    placed = {_placed(text) for text in texts}
    return AllowList(tuple(text for *_, text in sorted(placed)))


def _placed(text: str) -> tuple[int, int, int, str]:
    """Give where a network stands in a sorted list, a wider one before those in it, and its canonical spelling."""
    if four := _four(text):
        return 4, four[0], -four[1], text
    network = parse_network(text)
    version, first, last = _range_of(network)
    return version, first, -last, network


@lru_cache(maxsize=65536)
def _any_range(text: str) -> _Range:
    return _range_of(parse_network(text))


@lru_cache(maxsize=65536)
def _range_of(text: str) -> _Range:
    """Give the version of a network in canonical spelling, and its first and last address."""
    if four := _four(text):
        return 4, *four
    network = _network(text)
    return network.version, int(network.network_address), int(network.broadcast_address)


def _merged(networks: tuple[str, ...]) -> tuple[_Range, ...]:
    """Give what networks cover as the first and last addresses of ranges, sorted, without overlaps or seams."""
    ranges: list[_Range] = []
    for version, first, last in sorted(map(_range_of, networks)):
        if ranges and ranges[-1][0] == version and first <= ranges[-1][2] + 1:
            before = ranges.pop()
            ranges.append((version, before[1], max(last, before[2])))
        else:
            ranges.append((version, first, last))
    return tuple(ranges)


def _within(wanted: _Range, covering: tuple[_Range, ...]) -> bool:
    """Tell whether one range holds ``wanted`` whole (collapsed networks leave no seams for a network to straddle)."""
    version, first, last = wanted
    place = bisect_right(covering, (version, first, _BEYOND)) - 1
    return place >= 0 and covering[place][0] == version and covering[place][2] >= last


_NOT_PUBLIC = tuple(
    sorted(
        _range_of(text)
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
)
