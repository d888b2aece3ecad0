"""A small universe in which what scopes allow and whom lists let in can be counted out, and keys that live in it."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from hypothesis import settings
from hypothesis import strategies as st

from builders import FENCE, LONG_AGO, NOW
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, Source
from reconciler.core.networks import AllowList
from reconciler.core.scopes import ScopeSet

law = settings(derandomize=True, deadline=None, max_examples=200, database=None)

SPELLED_OUT = (
    "messages:send:{a.example}",
    "messages:send:{b.example}",
    "messages:read:{a.example}",
    "api-keys:write",
    "api-keys:read",
    "sub-account-api-keys:write",
    "x:y",
)
"""What a key may be allowed one by one."""
GLOBAL = ("messages:send:all", "messages:read:all")
SCOPES = (*SPELLED_OUT, *GLOBAL, "*")
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)

# Eight addresses on each side of an end of the private networks, so that lists may be private, public or both.
BORDER = IPv4Address("172.31.255.248")
ADDRESSES = tuple(map(str, (BORDER + n for n in range(16))))
AROUND = "172.0.0.0/8"
BLOCKS = tuple(
    str(block)
    for start in (BORDER, BORDER + 8)
    for length in range(29, 33)
    for block in IPv4Network((start, 29)).subnets(new_prefix=length)
)
CALLERS = (*ADDRESSES, "172.1.2.3", "192.0.2.1")
"""Who calls the API over IPv4 from an address that some list here may hold."""

scope_texts = st.sampled_from(SCOPES)
# Drawn whole: to draw each part of each key takes longer than to judge the keys.
scope_sets = st.one_of(
    *(st.sampled_from([ScopeSet.parse(some) for some in combinations(SCOPES, most)]) for most in (1, 2, 3, 0))
)
_NETWORKS = (*BLOCKS, AROUND, "2001:db8::/64", FENCE)
_PARTS = [[block for block in side if block.endswith(f"/{n}")] for side in (BLOCKS[:15], BLOCKS[15:]) for n in (30, 31)]
lists = st.one_of(
    st.sampled_from([AllowList.parse(some) for some in ((), (FENCE,))]),
    st.sampled_from([AllowList.parse([one]) for one in _NETWORKS]),
    st.sampled_from([AllowList.parse(pair) for pair in combinations(_NETWORKS, 2)]),
    st.sampled_from([AllowList.parse(parts[left:]) for parts in _PARTS for left in (0, 1)]),
    st.sampled_from([AllowList.parse(BLOCKS[place::step]) for step in range(1, 9) for place in range(step)]),
)
labels = st.sampled_from(("a", "b", "ab", "legacy 1", "Legacy 2"))
moments = st.sampled_from([NOW - days * DAY - tick * TICK for days in (0, 1, 30, 60) for tick in (-1, 0, 1)])


@cache
def allowed(texts: tuple[str, ...]) -> frozenset[str]:
    """Spell out what scopes allow; ``:all`` reaches one domain more than any other scope, ``*`` one thing more."""
    universe = {*SCOPES, "messages:send:{beyond}", "messages:read:{beyond}", "beyond"}
    found: set[str] = set()
    for text in texts:
        if text == "*":
            return frozenset(universe)
        reached = text[:-3] + "{"
        found |= {one for one in universe if one == text or (text.endswith(":all") and one.startswith(reached))}
    return frozenset(found)


@cache
def let_in(networks: tuple[str, ...]) -> frozenset[str]:
    """Spell out whom a list lets in; anywhere is one caller more than any list, and the fence alone is nobody."""
    if not networks:
        return frozenset({*CALLERS, "2001:db8::1", "8.8.8.8"})
    if networks == (FENCE,):
        return frozenset()
    blocks = [IPv4Network(text) for text in networks if ":" not in text]
    found = {one for one in CALLERS if any(IPv4Address(one) in block for block in blocks)}
    return frozenset(found | {"2001:db8::1" for text in networks if ":" in text})


def public(caller: str) -> bool:
    """Tell whether a caller is on the public IPv4 internet."""
    return caller in {"8.8.8.8", "172.1.2.3", *ADDRESSES[8:]}


def in_use(key: RemoteKey) -> bool:
    """Tell whether somebody may call the API with a key."""
    return any(map(public, let_in(key.ip_allow_list.networks)))


def like(text: str, pattern: str) -> bool:
    """Tell whether a text is like a pattern in which ``*`` stands for any characters and ``?`` for one."""
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


@dataclass(frozen=True)
class Kinds:
    """What keys are drawn from: the scopes that they hold and the lists that they have."""

    held: st.SearchStrategy[ScopeSet] = scope_sets
    listed: st.SearchStrategy[AllowList] = lists


ANY = Kinds()


@st.composite
def remotes(draw: st.DrawFn, least: int, most: int, kinds: Kinds = ANY) -> tuple[RemoteKey, ...]:
    """The actual keys of an account, whose ids are ``0``, ``1`` and so on."""
    return tuple(
        RemoteKey(
            str(n),
            draw(labels),
            draw(kinds.held),
            draw(kinds.listed),
            draw(moments | st.just(LONG_AGO)),
            draw(st.none() | moments),
        )
        for n in range(draw(st.integers(least, most)))
    )


@st.composite
def specs(draw: st.DrawFn, least: int, most: int, kinds: Kinds = ANY) -> tuple[KeySpec, ...]:
    """The desired keys of an account, ``k0``, ``k1`` and so on; most mean an actual one by its id or label."""
    return tuple([draw(_spec(n, kinds)) for n in range(draw(st.integers(least, most)))])


@st.composite
def _spec(draw: st.DrawFn, place: int, kinds: Kinds) -> KeySpec:
    state = draw(st.sampled_from((KeyState.PRESENT, KeyState.PRESENT, *KeyState)))
    return KeySpec(
        f"k{place}",
        draw(labels),
        Source("keys.yaml", place + 1, 1),
        draw(kinds.held if state is KeyState.PRESENT else st.none() | kinds.held),
        draw(st.none() | kinds.listed.filter(lambda one: not one.fenced)),
        id=draw(st.sampled_from((str(place), str(place), str(place + 1), None))),
        state=state,
        owner=draw(st.sampled_from(("", "team-a", "team-b"))),
        annotations=draw(st.sampled_from(((), (("tier", "1"),), (("tier", "2"), ("x", "y"))))),
    )
