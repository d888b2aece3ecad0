"""Addresses of people, and messages to them, through Apprise: the only module that imports it.

Read in Apprise 2.3's sources: ``config/base.py`` for the format, ``url.py`` for time-outs (4 seconds to connect and
between two answers, 15 to connect to a mail server, or the address' own ``cto`` and ``rto``), ``plugins/base.py`` for
``notify``, which sends at once, in the caller's thread, and may sleep between several recipients. It logs why something
failed, and only there; what it logs may hold any part of an address, so that no text of it is ever given on.
"""

import contextvars
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from reconciler.errors import SHORTEST_SECRET, SettingsError

if TYPE_CHECKING:
    from apprise import NotifyBase

MOST_ADDRESSES: Final = 20
"""More would have more secrets than are masked at a time."""
_LINE = re.compile(
    r"(?:(?P<tags>[a-z0-9,_-]+(?:[ \t]+[a-z0-9,_-]+)*)[ \t]*=[ \t]*)?(?P<url>[a-z0-9]{1,32}://\S.*)", re.IGNORECASE
)
_BEGINS = re.compile(r"(?:^|(?<=[\s,]))(?:[a-z0-9_-][a-z0-9,_-]*[ \t]*=[ \t]*)?[a-z0-9]{1,32}://", re.IGNORECASE)
_QUIET = ("apprise", "urllib3", "requests", "charset_normalizer")
_STATUS = re.compile(r"\berror=(\d{3})\b")
_REASONS = (
    (re.compile(r"timed? ?out", re.IGNORECASE), "no answer in time"),
    (re.compile(r"refused", re.IGNORECASE), "the connection was refused"),
    (re.compile(r"name or service|name resolution|getaddrinfo|nodename", re.IGNORECASE), "its host is not known"),
    (re.compile(r"certificate|ssl", re.IGNORECASE), "its TLS certificate or protocol was not accepted"),
    (re.compile(r"\(53[0-9],|authentication", re.IGNORECASE), "the login was refused"),
    (re.compile(r"unreachable", re.IGNORECASE), "its network cannot be reached"),
    (re.compile(r"proxy", re.IGNORECASE), "the proxy did not let it through"),
    (re.compile(r"reset|aborted|closed", re.IGNORECASE), "the connection was lost"),
)
_UNKNOWN = "it was not taken"


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go; its repr, and all but two fields of it, show no secret.

    Attributes:
        line: Its line in the configuration, from 1.
        name: What it is called where people see it: the kind of service, the host where that is no secret, the tags.
        tags: The owners of keys that it hears of, in lower case; empty: it hears of everything.
        secrets: Every part of it that nobody may see.
        service: What sends.
    """

    line: int
    name: str
    tags: frozenset[str]
    secrets: tuple[str, ...] = field(repr=False)
    service: "NotifyBase" = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a configuration holds: addresses, and the numbers of lines that are none."""

    addresses: tuple[Address, ...] = ()
    wrong: tuple[int, ...] = ()


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
            hint="pip install 'ahasend-key-reconciler[notify]', or unset them",
        ) from None


def read_addresses(text: str) -> Addresses:
    """Read addresses as Apprise's text configuration has them: one a line, or several between commas or blanks.

    ``tags=`` may stand before each, and ``#`` or ``;`` begins a comment. What includes other configurations is not
    followed, but wrong.
    """
    _quiet()
    found: list[Address] = []
    wrong: list[int] = []
    for number, line in _lines(text):
        address = _address(number, line) if len(found) < MOST_ADDRESSES else None
        if address is None:
            wrong.append(number)
        else:
            found.append(address)
    return Addresses(tuple(_told_apart(found)), tuple(wrong))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Give what may be an address, with the number of its line, or of its place in the only line."""
    lines = text.rstrip().split("\n")
    several = _several(lines[0]) if len(lines) == 1 else []
    for number, line in enumerate(several or lines, 1):
        if line.strip() and line.strip()[0] not in "#;":
            yield number, line.strip()


def _several(line: str) -> list[str]:
    """Give the addresses of a line between commas or blanks; nothing where it is not made of such."""
    begins = [match.start() for match in _BEGINS.finditer(line)]
    if len(begins) <= 1 or line[: begins[0]].strip():
        return []
    return [line[begin:end].rstrip(", \t") for begin, end in zip(begins, [*begins[1:], len(line)], strict=True)]


def _told_apart(addresses: Sequence[Address]) -> Iterator[Address]:
    """Number those of the same name; the others keep theirs when a line is put before them."""
    seen: Counter[str] = Counter()
    for each in addresses:
        seen[each.name] += 1
        yield each if seen[each.name] == 1 else replace(each, name=f"{each.name} #{seen[each.name]}")


def _address(number: int, line: str) -> Address | None:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    url = match["url"]
    service = _service(url)
    if service is None:
        return None
    tags = frozenset(tag for tag in re.split(r"[,\s]+", (match["tags"] or "").lower()) if tag)
    shown = unquote(str(service.url(privacy=True)))  # type: ignore[no-untyped-call] # Apprise's is not
    host = _host(service, shown)
    kind = url.partition("://")[0].lower()
    if kind in ("http", "https"):  # as a service itself gives it to its users
        kind = str(service.schema)
    name = " for ".join(filter(None, (f"{kind}://{host}", ",".join(sorted(tags)))))
    return Address(number, name, tags, tuple(_secrets(url, shown, name)), service)


def _service(url: str) -> "NotifyBase | None":
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


def _host(service: "NotifyBase", shown: str) -> str:
    """Give the host of an address; nothing where a service has a token in its place."""
    host = str(service.host or "")
    known = "host" in service.template_tokens and f"/{host}" in shown.replace("@", "/")
    return host if known else ""


def _secrets(url: str, shown: str, name: str) -> Iterable[str]:
    """Give the address, and each part of it that is, or may be, a secret; as it is written and decoded."""
    split = urlsplit(url)
    authority = split.netloc.rpartition("@")
    user, _, password = authority[0].partition(":")
    queried = [value for _, value in parse_qsl(split.query, keep_blank_values=True)]
    segments = [each for each in split.path.split("/") if each]
    certain = [url, authority[0], password, split.path]
    perhaps = [
        user,
        *authority[2].split(":"),
        *segments,
        *(part for each in segments for part in each.split(":")),
        *queried,
    ]
    secret = [*certain, *(each for each in perhaps if _may_be_secret(unquote(each), shown))]
    forms = dict.fromkeys(form for each in secret for form in (each, unquote(each)))
    return [form for form in forms if len(form) >= SHORTEST_SECRET and form not in name]


def _may_be_secret(part: str, shown: str) -> bool:
    """Tell whether a part is hidden by Apprise, or looks as if somebody made it up."""
    mixed = part.lower() != part != part.upper()
    return part not in shown or any(letter.isdigit() for letter in part) or mixed


# Sending


def send(address: Address, title: str, body: str, urgency: str) -> str | None:
    """Send a message and wait for it; give why it was not delivered, in words of ours, or None where it was.

    Args:
        address: Where to.
        title: One line.
        body: Plain text.
        urgency: ``info``, ``success``, ``warning`` or ``failure``.
    """
    from apprise import NotifyFormat, NotifyType, OverflowMode

    _quiet()
    service = address.service
    # Left alone, a service refuses the whole of what is too long for it.
    overflow = OverflowMode.TRUNCATE if service.overflow_mode == OverflowMode.UPSTREAM else None
    heard: list[str] = []
    token = _HEARD.set(heard)
    try:
        delivered = service.notify(
            body=body,
            title=title,
            notify_type=NotifyType(urgency),
            overflow=overflow,
            body_format=NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001 # whatever it is, it ends here, and its text may hold anything
        heard.append(type(error).__name__)
        delivered = False
    finally:
        _HEARD.reset(token)
    return None if delivered else _reason(heard)


def _reason(heard: Sequence[str]) -> str:
    """Say why something failed by what was logged meanwhile, in words of ours."""
    for text in heard:
        if status := _STATUS.search(text):
            return f"it answered {status[1]}"
    for pattern, reason in _REASONS:
        if any(pattern.search(text) for text in heard):
            return reason
    return _UNKNOWN


_HEARD: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("heard", default=None)
_MOST_HEARD = 200


class _Listener(logging.Handler):
    """Keeps what is logged while something is sent, to find the reason in it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, if anybody listens in this thread."""
        heard = _HEARD.get()
        if heard is not None and len(heard) < _MOST_HEARD:
            with suppress(Exception):  # a line that cannot be written must not end what writes it
                heard.append(record.getMessage())


_LISTENER = _Listener()


def _quiet() -> None:
    """Keep Apprise, and what it sends with, from writing to stderr, where each line is one of our log."""
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [_LISTENER if name == "apprise" else logging.NullHandler()]
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # of an address that says verify=no
