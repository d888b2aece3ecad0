"""Reads addresses: which lines are some, what they are called, and what identifies them."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from reconciler.errors import SettingsError
from reconciler.notify.confidential import secrets_of
from reconciler.notify.hearing import quieten

if TYPE_CHECKING:
    from apprise import NotifyBase

MOST_ADDRESSES: Final = 20
"""More would have more secrets than can be looked for in every text."""
_LINE: Final = re.compile(r"(?:(?P<tags>[a-z0-9,_ \t-]+)=[ \t]*)?(?P<url>[a-z0-9]{1,32}://\S.*)", re.IGNORECASE)
_BEGINS: Final = re.compile(
    r"(?:^|(?<=[\s,]))(?:[a-z0-9_-][a-z0-9,_-]{0,200}[ \t]*=[ \t]*)?[a-z0-9]{1,32}://", re.IGNORECASE
)
_ANOTHER: Final = re.compile(r"([?&][^=&?\s,]+=)?[a-z0-9]{1,32}://", re.IGNORECASE)
_ROUNDS: Final = 10_000
"""So much work it is to try whether an address is the one that an identity is of."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go; its repr, and all but four fields of it, show no secret.

    Attributes:
        place: Its line in the configuration, or its number in the only line.
        name: What it is called where people see it: the kind of service, the host where that is no secret, the tags.
        identity: What it is known by, whatever its password, and in whichever line it is; nobody can read it back.
        tags: The owners of keys that it hears of, in lower case; empty: it hears of everything.
        url: The address itself.
        secrets: Every part of it that nobody may see.
    """

    place: str
    name: str
    identity: str
    tags: frozenset[str]
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is no address: where it stands, and why it is none, in words of ours."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a configuration holds."""

    addresses: tuple[Address, ...] = ()
    wrong: tuple[Wrong, ...] = ()


class _NotOne(Exception):
    """A text is no address; the message says why."""


def check_installed() -> None:
    """Make sure that messages can be sent.

    Raises:
        SettingsError: Apprise is not installed.
    """
    try:
        import apprise  # noqa: F401 # whether it can be imported is the question
    except ImportError:
        raise SettingsError(
            "addresses for notifications are set, but what sends them is not installed",
            hint="pip install 'ahasend-key-reconciler[notify]' (in a clone: pip install '.[notify]'), or unset them",
        ) from None


def read_addresses(text: str) -> Addresses:
    """Read addresses as Apprise's text configuration has them: one a line, or several between commas or blanks.

    ``tags=`` may stand before each, and ``#`` or ``;`` begins a comment. What includes other configurations is not
    followed, but wrong; so is whatever could be taken for two addresses in one: no part of one may be sent to another.
    """
    quieten()
    found: list[Address] = []
    wrong: list[Wrong] = []
    for place, piece in _pieces(text.removeprefix("\ufeff")):
        if len(found) == MOST_ADDRESSES:
            wrong.append(Wrong(place, f"is one too many: there may be {MOST_ADDRESSES} addresses at most"))
            continue
        try:
            found.append(_address(place, piece))
        except _NotOne as error:
            wrong.append(Wrong(place, str(error)))
    return Addresses(tuple(_told_apart(found)), tuple(wrong))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Give what may be an address, and where it stands: its line, or its number where there is but one line."""
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        pieces = _several(stripped)
        for order, piece in enumerate(pieces, 1):
            only = len(lines) == 1 and len(pieces) > 1
            yield f"address {order}" if only else f"line {number}", piece


def _several(line: str) -> list[str]:
    """Give the addresses of a line between commas or blanks; the first begins where the line does."""
    begins = [0, *[match.start() for match in _BEGINS.finditer(line)][1:]]
    return [line[begin:end].rstrip(", \t") for begin, end in zip(begins, [*begins[1:], len(line)], strict=True)]


def _told_apart(addresses: Sequence[Address]) -> Iterator[Address]:
    """Number those of the same name, and those that are the same but for the password."""
    names: Counter[str] = Counter()
    identities: Counter[str] = Counter()
    for each in addresses:
        names[each.name] += 1
        identities[each.identity] += 1
        name, identity = names[each.name], identities[each.identity]
        yield replace(
            each,
            name=each.name if name == 1 else f"{each.name} #{name}",
            identity=each.identity if identity == 1 else f"{each.identity}-{identity}",
        )


def _address(place: str, piece: str) -> Address:
    """Read one address.

    Raises:
        _NotOne: it is none.
    """
    match = _LINE.fullmatch(piece)
    if match is None or not piece.isprintable():
        raise _NotOne("is not understood")
    url, tags = match["url"], _tags(match["tags"])
    if len(url.split()) > 1:  # what is behind a blank may be meant for somebody else
        raise _NotOne("holds a blank: write %20 for it")
    others = [each for each in _ANOTHER.finditer(url) if each.start() and each[1] is None]
    if others:
        raise _NotOne("holds two addresses that cannot be told apart: write one a line")
    service, split = instantiate(url), _split(url)
    if service is None or split is None:
        raise _NotOne("is not understood")
    shown = unquote(str(service.url(privacy=True)))  # type: ignore[no-untyped-call] # Apprise's is not
    kind = split.scheme
    if kind in ("http", "https"):  # as a service itself gives it to its users
        kind = str(service.schema)
    told = ",".join(sorted(tags))
    name = " for ".join(filter(None, (f"{kind}://{_host(service, split, shown)}", told)))
    return Address(place, name, _identity(told, split), tags, url, secrets_of(url, split, service, name))


def _tags(text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset()
    tags = [each.strip().lower() for each in text.split(",")]
    if not all(tags):
        raise _NotOne("names no owner before the =")
    if any(len(each.split()) > 1 for each in tags):
        raise _NotOne("has a blank in the name of an owner: write - for it, and a comma between two")
    return frozenset(tags)


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that are no IPv6 address
        return None


def instantiate(url: str) -> "NotifyBase | None":
    """Give what sends to an address, None where Apprise does not understand it."""
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset()
    asset.app_id, asset.app_desc, asset.app_url = "AhaSend key reconciler", "AhaSend key reconciler", ""
    asset.image_url_mask = asset.image_url_logo = ""  # pictures of Apprise's own, on a host that nobody asked for
    asset.async_mode = False
    asset.http_redirects = False  # an answer must not send what we tell, and a login, to somebody else
    try:
        with warnings.catch_warnings(action="ignore"):  # plugins are imported by it, and tell of old modules
            return Apprise.instantiate(url, asset=asset)
    except Exception:  # noqa: BLE001 # whatever a plugin meets in an address, its text may hold the address
        return None


def _host(service: "NotifyBase", split: SplitResult, shown: str) -> str:
    """Give the host of an address, with a port that it names; nothing where a service has a token in its place."""
    host = str(service.host or "")
    if "host" not in service.template_tokens or f"/{host}" not in shown.replace("@", "/"):
        return ""
    port = re.search(r":[0-9]{1,5}$", split.netloc.rpartition("@")[2])
    return f"{host}{port[0]}" if port else host


def _identity(tags: str, split: SplitResult) -> str:
    login, _, host = split.netloc.rpartition("@")
    user = login.partition(":")[0]
    text = f"{tags}={split._replace(scheme=split.scheme.lower(), netloc=f'{user}@{host.lower()}').geturl()}"
    return pbkdf2_hmac("sha256", text.encode(), b"ahasend-key-reconciler", _ROUNDS).hex()[:16]
