"""What Apprise logs: kept from stderr, where each line is one of our log, and listened to for why something failed."""

import contextvars
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

_LOGGERS: Final = ("apprise", "urllib3", "requests", "charset_normalizer")
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_MAIL_STATUS: Final = re.compile(r"\((\d{3}), b?['\"]|recipient \S+ was refused: (\d{3})\b")
_BEGINNINGS: Final = ("Connecting to remote", "Securing connection", "Applying user")
"""How lines begin that tell what is about to be done, in the words of what may go wrong."""
_REASONS: Final = (
    (re.compile(r"STARTTLS extension not supported"), "it offers no TLS (STARTTLS)"),
    (re.compile(r"AUTH extension not supported|No suitable authentication"), "it takes no login, or none without TLS"),
    (re.compile(r"\(53[0-9],|authentication", re.IGNORECASE), "the login was refused"),
    (re.compile(r"timed? ?out", re.IGNORECASE), "no answer in time"),
    (re.compile(r"connection refused|errno 111", re.IGNORECASE), "the connection was refused"),
    (re.compile(r"name or service|name resolution|getaddrinfo|nodename", re.IGNORECASE), "its host is not known"),
    (
        re.compile(r"certificate|\[ssl|sslerror|wrong_version", re.IGNORECASE),
        "its TLS certificate or protocol was not accepted",
    ),
    (re.compile(r"unreachable", re.IGNORECASE), "its network cannot be reached"),
    (re.compile(r"proxy", re.IGNORECASE), "the proxy did not let it through"),
    (re.compile(r"reset|aborted|closed", re.IGNORECASE), "the connection was lost"),
    (re.compile(r"MemoryError"), "its answer is too large"),
)
_UNKNOWN: Final = "it was not taken"
_MOST_HEARD: Final = 200
_HEARD: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("heard", default=None)


def reason(heard: Sequence[str]) -> str:
    """Say why something failed by what was logged meanwhile, in words of ours."""
    for text in heard:
        if status := _STATUS.search(text):
            return f"it answered {status[1]}"
    told = [text for text in heard if not text.startswith(_BEGINNINGS)]
    for pattern, why in _REASONS:
        if any(pattern.search(text) for text in told):
            return why
    for text in told:
        if status := _MAIL_STATUS.search(text):
            return f"its mail server answered {status[1] or status[2]}"
    return _UNKNOWN


@contextmanager
def listening() -> Iterator[list[str]]:
    """Give what is logged in this thread while the block lasts."""
    heard: list[str] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


class _Listener(logging.Handler):
    """Keeps what is logged while something is sent, to find the reason in it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, if anybody listens in this thread."""
        heard = _HEARD.get()
        if heard is not None and len(heard) < _MOST_HEARD:
            with suppress(Exception):  # a line that cannot be written must not end what writes it
                heard.append(record.getMessage())


_LISTENER = _Listener()


def quieten() -> None:
    """Keep Apprise, and what it sends with, from writing to stderr."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [_LISTENER if name == "apprise" else logging.NullHandler()]
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # of an address that says verify=no
