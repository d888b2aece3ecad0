"""Where the daemon's web server listens, as ``--listen`` says it."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_PARTS = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([0-9]{1,5})")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label of a name begins with a letter: what does not may be an old way to write an address, as 0 for 0.0.0.0.
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?=[a-z]){_LABEL}\.?", re.IGNORECASE)
_MOST_LETTERS = 253
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by name or by IP address (an IPv6 one without brackets), and a TCP port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def read(cls, text: str) -> "Address":
        """Read ``HOST:PORT``, where an IPv6 address stands in brackets.

        Raises:
            ValueError: the text is none, or names no host: who wants to be reached from everywhere has to say so.
        """
        if re.fullmatch(r":?[0-9]+|\*:[0-9]+", text):
            port = text.lstrip("*:")
            raise ValueError(
                f"{text!r} names no host: write 127.0.0.1:{port} to be reached from this machine alone, "
                f"or 0.0.0.0:{port} to be reached from everywhere"
            )
        match = _PARTS.fullmatch(text)
        if match is None or not _is_host(match[1], match[2]):
            raise ValueError(
                f"{text!r} is no address to listen on: write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or none"
            )
        if int(match[3]) > _LAST_PORT:
            raise ValueError(f"{text!r} has no port that there is: the last one is {_LAST_PORT}")
        return cls(match[1] or match[2], int(match[3]))


def _is_host(bracketed: str | None, plain: str) -> bool:
    try:
        _ = IPv4Address(plain) if bracketed is None else IPv6Address(bracketed)
    except AddressValueError:
        return bracketed is None and len(plain) <= _MOST_LETTERS and _NAME.fullmatch(plain) is not None
    return True
