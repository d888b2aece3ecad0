"""What the campaign itself knows of access: small on purpose, and it shares nothing with the product."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

FENCE = frozenset({"192.0.2.1/32"})
FIELDS = ("label", "scopes", "networks")


@lru_cache(maxsize=4096)
def scope(text: str) -> str:
    """Spell a scope as the server does; the scenes also write targets without braces and in capitals."""
    action, _, target = text.rpartition(":")
    if "." not in target:
        return text
    return f"{action}:{{{target.strip('{}').strip().lower().removesuffix('.')}}}"


def allowed_by(held: Iterable[str], wanted: str) -> bool:
    """Tell whether canonical scopes allow a canonical one."""
    held = frozenset(held)
    return bool(held & {"*", wanted}) or (wanted.endswith("}") and f"{wanted.partition(':{')[0]}:all" in held)


def overlap(one: str, other: str) -> bool:
    """Tell whether some permission belongs to both scopes."""
    return allowed_by((one,), other) or allowed_by((other,), one)


@lru_cache(maxsize=4096)
def _scopes(texts: tuple[str, ...]) -> frozenset[str]:
    every = {scope(text) for text in texts}
    return frozenset(one for one in every if not allowed_by(every - {one}, one))


def scope_set(texts: Iterable[str]) -> frozenset[str]:
    """Give scopes without those that another one covers, so that equal sets allow the same."""
    return _scopes(tuple(texts))


@lru_cache(maxsize=4096)
def _network_set(texts: tuple[str, ...]) -> frozenset[str]:
    every = [ip_network(text, strict=False) for text in texts]
    four = collapse_addresses(network for network in every if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network in every if isinstance(network, IPv6Network))
    return frozenset(map(str, (*four, *six)))


def network_set(texts: Iterable[str]) -> frozenset[str]:
    """Give networks joined where they can be, so that equal sets reach the same; empty means anywhere."""
    return _network_set(tuple(texts))


@dataclass(frozen=True, slots=True)
class Access:
    """What a key is called, may do, and from where."""

    label: str
    scopes: frozenset[str]
    networks: frozenset[str]

    @classmethod
    def of_seed(cls, key: Mapping[str, Any]) -> "Access":
        """Take a key of the emulator's seed."""
        return cls(key["label"], scope_set(key["scopes"]), network_set(key["ip_allow_list"]))

    @classmethod
    def of_answer(cls, key: Mapping[str, Any]) -> "Access":
        """Take a key as the API shows it."""
        return cls(key["label"], scope_set(one["scope"] for one in key["scopes"]), network_set(key["ip_allow_list"]))

    @property
    def fenced(self) -> bool:
        """Whether the key is switched off."""
        return self.networks == FENCE

    def lacks(self, wanted: str) -> bool:
        """Tell whether the key may not do what a scope allows."""
        return not allowed_by(self.scopes, wanted)


def asked(body: Mapping[str, Any]) -> dict[str, object]:
    """Give what the body of a PUT asks for, field by field."""
    wanted: dict[str, object] = {}
    if "label" in body:
        wanted["label"] = body["label"]
    if "scopes" in body:
        wanted["scopes"] = scope_set(body["scopes"])
    if "ip_allow_list" in body:
        wanted["networks"] = network_set(body["ip_allow_list"])
    return wanted


@dataclass(frozen=True, slots=True)
class Wish:
    """What the files want of one key, as whoever made them up knows it.

    ``key_id`` is None where no single key is meant. What is None of the rest is to stay as it is. ``why_not`` says why
    the wish cannot be fulfilled, or may not be; it is empty where nothing speaks against it.
    """

    holder: str
    name: str | None
    key_id: str | None
    label: str | None = None
    scopes: frozenset[str] | None = None
    networks: frozenset[str] | None = None
    why_not: str = ""

    @property
    def hands_off(self) -> bool:
        """Whether the key must not be written at all."""
        return self.why_not in HANDS_OFF

    def fulfilled(self, now: Access) -> Access:
        """Give a key as it is to be, from what it is."""
        wanted = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return replace(now, **wanted)


HANDS_OFF = frozenset({"paused", "absent", "unclear", "missing", "refused", "no networks", "suspended"})
