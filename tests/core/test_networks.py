"""Networks: their one spelling, what is refused, coverage, the fence, and what a caller can reach."""

import pytest

from builders import FENCE, networks
from reconciler.core.networks import FENCED, OPEN, AllowList, check_network, parse_network


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("203.0.113.7/255.255.255.0", "203.0.113.0/24"),
        (" 203.0.113.0/24 ", "203.0.113.0/24"),
        ("2001:DB8::1", "2001:db8::1/128"),
        ("2001:0db8:0000::/33", "2001:db8::/33"),
        ("2001:db8::ffff/64", "2001:db8::/64"),
        ("::ffff:198.51.100.7", "::ffff:c633:6407/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_spelling(text: str, canonical: str) -> None:
    """Host bits are masked and bare addresses get their length, as the API does it; parsing again changes nothing."""
    assert parse_network(text) == canonical
    assert parse_network(canonical) == canonical


@pytest.mark.parametrize(
    "text", ["", "office", "203.0.113.256", "203.0.113.0/33", "203.0.113", "1:2:3", "10.0.0.0/8/8"]
)
def test_no_network(text: str) -> None:
    """What is no network is refused in words."""
    with pytest.raises(ValueError, match="is not") as caught:
        parse_network(text)
    assert str(caught.value) == f"{text!r} is not an IPv4 or IPv6 address or CIDR block"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.0.0.0/0", "'0.0.0.0/0' allows every address and the API refuses it: write [] for 'usable from anywhere'"),
        ("7.7.7.7/0", "'7.7.7.7/0' allows every address and the API refuses it: write [] for 'usable from anywhere'"),
        ("::/0", "'::/0' allows every address and the API refuses it: write [] for 'usable from anywhere'"),
        (
            "::ffff:198.51.100.7",
            "'::ffff:198.51.100.7' is an IPv4 address written as IPv6, which no caller has: write '198.51.100.7/32'",
        ),
        (
            "::ffff:10.0.0.0/104",
            "'::ffff:10.0.0.0/104' is an IPv4 address written as IPv6, which no caller has: write '10.0.0.0/8'",
        ),
        (
            "::ffff:0:0/96",
            (
                "'::ffff:0:0/96' is an IPv4 address written as IPv6, which no caller has: "
                "write [] for 'usable from anywhere'"
            ),
        ),
        ("10.0.0.0/255.0.0.0", "'10.0.0.0/255.0.0.0' has no prefix length: write it as '10.0.0.0/8'"),
        ("fe80::1%eth0", "'fe80::1%eth0' has a zone, which means nothing to a server elsewhere: leave it out"),
        ("fe80::1%eth0/64", "'fe80::1%eth0/64' has a zone, which means nothing to a server elsewhere: leave it out"),
        ("here", "'here' is not an IPv4 or IPv6 address or CIDR block"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """What the API refuses or no caller could match is refused, with what to write instead."""
    with pytest.raises(ValueError, match=r"is|has|allows") as caught:
        check_network(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["0.0.0.0/1", "2001:db8::1", "::1", "192.0.2.1"])
def test_accepted(text: str) -> None:
    """Every other network is taken in its one spelling."""
    assert check_network(text) == parse_network(text)


def test_lists_hold_each_network_once() -> None:
    """A list is sorted by version and address, without repetitions, and never merged."""
    made = networks("2001:db8::/32", "10.0.0.9", "9.0.0.0/8", "10.0.0.0/31", "10.0.0.0/32", "10.0.0.9/32")
    assert made.networks == ("9.0.0.0/8", "10.0.0.0/31", "10.0.0.0/32", "10.0.0.9/32", "2001:db8::/32")
    assert made.shown == made.networks
    assert networks().shown == ("anywhere",)
    assert (OPEN.anywhere, FENCED.anywhere) == (True, False)
    with pytest.raises(ValueError, match="office"):
        networks("office")


@pytest.mark.parametrize(
    ("left", "right", "only_left", "only_right"),
    [
        ((), (), (), ()),
        ((), ("10.0.0.0/8",), ("anywhere",), ()),
        ((), ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"), ("anywhere",), ()),
        (("10.0.0.0/8",), ("10.0.0.0/8", "10.1.0.0/16"), (), ()),
        (("10.0.0.0/25", "10.0.0.128/25"), ("10.0.0.0/24",), (), ()),
        (("10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/25"), ("10.0.0.0/24",), (), ()),
        (("10.0.0.0/24",), ("10.0.0.0/25",), ("10.0.0.0/24",), ()),
        (("10.0.0.0/24",), ("10.0.0.128/25",), ("10.0.0.0/24",), ()),
        (("10.0.0.0/24",), ("10.0.1.0/24",), ("10.0.0.0/24",), ("10.0.1.0/24",)),
        (("10.0.0.0/24", "10.0.2.0/24"), ("10.0.2.0/25", "10.0.2.128/25"), ("10.0.0.0/24",), ()),
        (("10.0.0.1/32", "10.0.0.2/32"), ("10.0.0.0/30",), (), ("10.0.0.0/30",)),
        (("::a00:0/128",), ("10.0.0.0/32",), ("::a00:0/128",), ("10.0.0.0/32",)),
        (("2001:db8::/33", "2001:db8:8000::/33"), ("2001:db8::/32",), (), ()),
        (("0.0.0.0/1",), ("::/1",), ("0.0.0.0/1",), ("::/1",)),
        (("255.255.255.255/32", "::/128"), ("255.255.255.0/24", "::/127"), (), ("255.255.255.0/24", "::/127")),
    ],
)
def test_beyond_and_equivalent(
    left: tuple[str, ...], right: tuple[str, ...], only_left: tuple[str, ...], only_right: tuple[str, ...]
) -> None:
    """Two lists are equal when they cover the same addresses, but anywhere equals only anywhere."""
    one, other = networks(*left), networks(*right)
    assert (one.beyond(other), other.beyond(one)) == (only_left, only_right)
    assert one.equivalent(other) is other.equivalent(one) is (not only_left and not only_right)


@pytest.mark.parametrize(
    ("texts", "fenced"),
    [
        ((FENCE,), True),
        (("192.0.2.1", FENCE), True),
        ((), False),
        (("192.0.2.0/31",), False),
        ((FENCE, "10.0.0.0/8"), False),
    ],
)
def test_fence(texts: tuple[str, ...], fenced: bool) -> None:
    """A key is fenced when its list holds the fence and nothing else."""
    assert networks(*texts).fenced is fenced
    assert (networks(*texts) == FENCED) is fenced


@pytest.mark.parametrize(
    ("text", "reachable"),
    [
        ("9.255.255.255", True),
        ("10.0.0.0", False),
        ("10.255.255.255", False),
        ("11.0.0.0", True),
        ("10.0.0.0/7", True),
        ("172.15.255.255", True),
        ("172.16.0.0", False),
        ("172.31.255.255", False),
        ("172.32.0.0", True),
        ("192.167.255.255", True),
        ("192.168.0.0", False),
        ("192.168.255.255", False),
        ("192.169.0.0", True),
        ("100.63.255.255", True),
        ("100.64.0.0", False),
        ("100.127.255.255", False),
        ("100.128.0.0", True),
        ("126.255.255.255", True),
        ("127.0.0.0", False),
        ("127.255.255.255", False),
        ("128.0.0.0", True),
        ("169.253.255.255", True),
        ("169.254.0.0", False),
        ("169.254.255.255", False),
        ("169.255.0.0", True),
        ("2001:db8::/32", False),
    ],
)
def test_reachable(text: str, reachable: bool) -> None:
    """The API answers public IPv4 callers alone: what lies in a private block, to its very edges, reaches nobody."""
    assert networks(text).reachable() is reachable
    assert AllowList((*networks(text).networks, "198.51.100.0/24")).reachable()
    assert networks(text, "10.0.0.0/8", "::1").reachable() is reachable


def test_anywhere_is_reachable() -> None:
    """An empty list restricts nobody."""
    assert OPEN.reachable()
