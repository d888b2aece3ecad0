"""Networks as ranges: the fast way to read them, what lists cover together, and the fewest blocks that say the same."""

from collections.abc import Iterator
from ipaddress import IPv4Network, collapse_addresses, ip_network
from itertools import combinations, product

import pytest

from builders import FENCE, OFFICE, networks
from reconciler.core.networks import FENCED, OPEN, AllowList, parse_network

FOUR_FIRST, FOUR_LAST = 0, (1 << 32) - 1
SIX_LAST = (1 << 128) - 1
OCTETS = (0, 1, 10, 128, 170, 255)
BLOCKS = [str(block) for length in range(28, 32) for block in IPv4Network("10.0.0.0/28").subnets(new_prefix=length)]


def four() -> Iterator[str]:
    """IPv4 blocks with every octet in every place, and of every length with host bits and without."""
    yield from (f"{octet}.{octet}.{octet}.{octet}/32" for octet in range(256))
    for first, last in product(OCTETS, repeat=2):
        yield from (f"{first}.{last}.{first}.{last}/{length}" for length in range(33))
        yield from (str(ip_network(f"{first}.{last}.0.{last}/{length}", strict=False)) for length in range(33))


def test_the_fast_way_agrees_with_python() -> None:
    """Blocks of every length read as Python's own module reads them: spelling, first address, last address."""
    for text in four():
        expected = ip_network(text, strict=False)
        assert parse_network(text) == str(expected), text
        ranges = ((4, int(expected.network_address), int(expected.broadcast_address)),)
        assert networks(text).ranges == ranges, text
        assert networks(text).networks == (str(expected),), text


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/08",
        "10.0.0.0/008",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "\t10.0.0.0/8\n",
        "10.1.2.3/8",
        "10.1.2.3",
        "0.0.0.0/0",
        "255.255.255.255/32",
        "255.255.255.255",
        "::/0",
        "::10.0.0.0/104",
        "2001:DB8::/32",
    ],
)
def test_other_spellings_agree_with_python(text: str) -> None:
    """What is not in the canonical spelling, or no IPv4 block, reads as Python's own module reads it."""
    expected = ip_network(text.strip(), strict=False)
    assert parse_network(text) == str(expected)
    assert AllowList.parse([text]).ranges == (
        (expected.version, int(expected.network_address), int(expected.broadcast_address)),
    )


@pytest.mark.parametrize(
    "text",
    [
        "010.0.0.0/8",
        "10.00.0.0/8",
        "10.0.0.0/33",
        "10.0.0.0/99",
        "10.0.0.0/-8",
        "10.0.0.0/+8",
        "10.0.0.0/",
        "10.0.0.0/8/8",
        "10.0.0.0/8x",
        "10.0.0.0 /8",
        "10.0.0/8",
        "10.0.0.0.0/8",
        "256.0.0.0/8",
        "260.0.0.0/8",
        "300.0.0.0/8",
        "1000.0.0.0/8",
        "10-0-0-0/8",
        "10a0b0c0/8",
        "\u0661\u0660.0.0.0/8",
        "10.0.0.0/\u0668",
    ],
)
def test_what_python_refuses_is_refused(text: str) -> None:
    """The fast way lets nothing through that Python's own module refuses."""
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 network"):
        ip_network(text, strict=False)
    with pytest.raises(ValueError, match="is not an IPv4 or IPv6 address or CIDR block"):
        parse_network(text)


def test_lists_join_as_python_joins_them() -> None:
    """Any three blocks out of a tree of them join to what Python's own module collapses them to."""
    for chosen in combinations(BLOCKS, 3):
        expected = tuple(map(str, collapse_addresses(map(IPv4Network, chosen))))
        assert networks(*chosen).joined == expected, chosen
        assert networks(*reversed(chosen)).equivalent(networks(*expected)), chosen


@pytest.mark.parametrize(
    ("texts", "ranges", "joined"),
    [
        ((), (), ()),
        (("10.0.0.0/24",), ((4, 0x0A000000, 0x0A0000FF),), ("10.0.0.0/24",)),
        (("10.0.0.0/25", "10.0.0.128/25"), ((4, 0x0A000000, 0x0A0000FF),), ("10.0.0.0/24",)),
        (
            ("10.0.0.0/25", "10.0.0.129/32"),
            ((4, 0x0A000000, 0x0A00007F), (4, 0x0A000081, 0x0A000081)),
            ("10.0.0.0/25", "10.0.0.129/32"),
        ),
        (("10.0.0.0/8", "10.1.0.0/16", "10.255.255.255"), ((4, 0x0A000000, 0x0AFFFFFF),), ("10.0.0.0/8",)),
        (
            ("10.0.0.1", "10.0.0.2/31", "10.0.0.4"),
            ((4, 0x0A000001, 0x0A000004),),
            ("10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32"),
        ),
        (("0.0.0.0/1", "128.0.0.0/1"), ((4, FOUR_FIRST, FOUR_LAST),), ("0.0.0.0/0",)),
        (("::/1", "8000::/1"), ((6, 0, SIX_LAST),), ("::/0",)),
        (
            ("255.255.255.255", "::1:0:0:0/128", "::1:0:0:1/128"),
            ((4, FOUR_LAST, FOUR_LAST), (6, 1 << 48, (1 << 48) + 1)),
            ("255.255.255.255/32", "::1:0:0:0/127"),
        ),
        (
            ("255.255.255.255", "::1:0:0/128"),
            ((4, FOUR_LAST, FOUR_LAST), (6, 1 << 32, 1 << 32)),
            ("255.255.255.255/32", "::1:0:0/128"),
        ),
    ],
)
def test_ranges(texts: tuple[str, ...], ranges: tuple[tuple[int, int, int], ...], joined: tuple[str, ...]) -> None:
    """Halves are joined and nested blocks left out; a gap of one address parts, and so does the version."""
    made = networks(*texts)
    assert made.ranges == ranges
    assert made.joined == joined
    assert made.ranges is made.ranges


def test_what_a_list_covers_is_no_part_of_its_value() -> None:
    """A list that was asked for its ranges is equal to, hashes like and reads like one that was not."""
    asked, other = AllowList((OFFICE,)), AllowList((OFFICE,))
    assert len(asked.ranges) == 1
    assert (asked, hash(asked), repr(asked)) == (other, hash(other), f"AllowList(networks=('{OFFICE}',))")


@pytest.mark.parametrize(
    ("allow_list", "texts", "holds"),
    [
        (networks(OFFICE), ("203.0.113.0", "203.0.113.255"), True),
        (networks(OFFICE), ("203.0.112.255",), False),
        (networks(OFFICE), ("203.0.114.0",), False),
        (networks(OFFICE), (" 203.0.113.77/24 ",), True),
        (networks(OFFICE), ("203.0.113.0/23",), False),
        (networks(OFFICE), (OFFICE, "198.51.100.1"), False),
        (networks(OFFICE), (), False),
        (networks("10.0.0.0/25", "10.0.0.128/25"), ("10.0.0.0/24",), True),
        (networks("10.0.0.0/25", "10.0.0.129"), ("10.0.0.0/24",), False),
        (networks("0.0.0.0/0", "::/0"), (), False),
        (networks("0.0.0.0/0"), ("::/0",), False),
        (networks("::/0"), ("10.0.0.0/8",), False),
        (networks("::/0", "10.0.0.0/8"), ("2001:DB8::1", "10.1.2.3"), True),
        (networks("2001:db8::/32"), ("2001:db8:0:1::/64",), True),
        (FENCED, (FENCE,), True),
        (OPEN, (), True),
        (OPEN, ("10.0.0.0/8", "::1"), True),
    ],
)
def test_holds(allow_list: AllowList, texts: tuple[str, ...], holds: bool) -> None:
    """A list holds what its networks cover together, in any spelling; anywhere is held by anywhere alone."""
    assert allow_list.holds(texts) is holds


def test_holds_no_network() -> None:
    """A text that is no network is an error, not a no."""
    with pytest.raises(ValueError, match=r"^'office' is not an IPv4 or IPv6 address or CIDR block$"):
        networks(OFFICE).holds((OFFICE, "office"))


@pytest.mark.parametrize(
    ("texts", "sorted_texts"),
    [
        (("10.0.0.0/8", "10.0.0.0/24", "9.0.0.0/8"), ("9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/24")),
        (("100.0.0.0/8", "20.0.0.0/8", "::/127", "::/126"), ("20.0.0.0/8", "100.0.0.0/8", "::/126", "::/127")),
        (("10.0.0.9/24", "10.0.0.0/24", " 10.0.0.0/24"), ("10.0.0.0/24",)),
    ],
)
def test_a_wider_network_stands_before_those_in_it(texts: tuple[str, ...], sorted_texts: tuple[str, ...]) -> None:
    """A list is sorted by number and not by text, each network once, whichever way each of them was read."""
    assert networks(*texts).networks == networks(*reversed(texts)).networks == sorted_texts
