"""Who may look at keys: the page, the status and the report tell names, scopes and networks."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.types import Scope

from reconciler.daemon.answers import Answer, error, values

_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?")
_LAST_PORT: Final = 65535
_PASSED_ON: Final = re.compile(
    rb"forwarded|via|x-forwarded.*|x-original-forwarded-for|x-original-host|(?:x-)?real-ip|(?:(?:x-)?(?:cluster-)?|true-)"
    rb"client-ip|cf-connecting-ip(?:v6)?|fastly-client-ip|x-envoy-external-address|x-appengine-user-ip|x-azure-clientip"
)
"""Headers by which proxies say for whom they ask."""
_ELSEWHERE: Final = (
    "keys are shown to clients on this machine alone: ask from there, as with `kubectl port-forward` or `ssh -L`, "
    "or start `run` with --page all (RECONCILER_PAGE)"
)
_MISDIRECTED: Final = (
    "the header Host must be an IP address, localhost, or a name that --page-host (RECONCILER_PAGE_HOST) allows, "
    "so that no other site's name leads a browser here"
)


class PageFor(StrEnum):
    """For whom there is a page."""

    LOCAL = "local"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may look at keys, and by which names of this server.

    Attributes:
        page: For whom there is a page; status and report are for the same clients, and without a page for local ones.
        hosts: Names, in lower case, besides ``localhost`` and IP addresses.
    """

    page: PageFor = PageFor.LOCAL
    hosts: frozenset[str] = field(default_factory=frozenset)

    def refusal(self, scope: Scope) -> Answer | None:
        """Say why a client may not look; None: it may."""
        if not self._is_called(scope):
            return error(421, _MISDIRECTED)
        if self.page is not PageFor.ALL and not _is_local(scope):
            return error(403, _ELSEWHERE)
        return None

    def _is_called(self, scope: Scope) -> bool:
        """Tell whether a client calls this server by one of its names.

        A browser that was led here by the name of another site, to which it gives this server's answers, does not.
        """
        hosts = values(scope["headers"], b"host")
        match = _HOST.fullmatch(hosts[0].decode("latin-1").lower()) if len(hosts) == 1 else None
        if match is None:
            return False
        bracketed, plain, port = match.groups()
        if port is not None and int(port) > _LAST_PORT:
            return False
        named = plain is not None and (plain == "localhost" or plain.removesuffix(".") in self.hosts)
        return named or _is_ip(bracketed, plain)


def _is_ip(bracketed: str | None, plain: str) -> bool:
    try:
        _ = IPv4Address(plain) if bracketed is None else IPv6Address(bracketed)
    except AddressValueError:
        return False
    return True


def _is_local(scope: Scope) -> bool:
    """Tell whether a client is on this machine: it comes from a loopback address, or from the one that it asks.

    What a proxy on this machine passes on comes from wherever the proxy lets in.
    """
    if scope["client"] is None or any(map(_is_passed_on, scope["headers"])):
        return False
    client, server = _ip(scope["client"][0]), _ip(scope["server"][0])
    return client.is_loopback or client == server


def _is_passed_on(header: tuple[bytes, bytes]) -> bool:
    """Tell whether a header is a proxy's, also where that, or something before it, writes it with underscores."""
    return _PASSED_ON.fullmatch(header[0].lower().replace(b"_", b"-")) is not None


def _ip(text: str) -> IPv4Address | IPv6Address:
    """Read an address of a connection; an IPv4 one may come mapped into IPv6."""
    address = ip_address(text)
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
