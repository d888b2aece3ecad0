"""Answers of the daemon's web server, before they are sent."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope, Send

from reconciler.core.inventory import rfc3339

_PIECE = 64 * 1024
"""Bytes of an answer that are written at once: so much, and no more, is kept twice for a client that reads slowly."""
_NOT_MODIFIED = 304
Headers = list[tuple[bytes, bytes]]
LOOKS: Final = ("GET", "HEAD")
"""The methods of what is only looked at."""
HAS_LEFT: Final = "reconciler.has_left"
"""What of the state in an ASGI scope tells whether a client waits no longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole; a large body is shared by all to whom it is sent."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def has_left(scope: Scope) -> Callable[[], bool]:
    """Give what tells whether a client waits no longer, as far as its server knows."""
    left: Callable[[], bool] = scope.get("state", {}).get(HAS_LEFT, lambda: False)
    return left


def document(status: int, told: dict[str, object], *headers: tuple[bytes, bytes]) -> Answer:
    """Answer with a small JSON object."""
    return Answer(status, json.dumps(told, default=rfc3339, separators=(",", ":")).encode(), headers=headers)


def error(status: int, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Answer with what went wrong and what to do."""
    return document(status, {"error": message}, *headers)


def not_allowed(allowed: Sequence[str], *, beginning: str = "") -> Answer:
    """Answer that what was asked for has other methods; ``beginning`` says why."""
    methods = ", ".join(allowed)
    return error(405, f"{beginning}the method must be {methods}", (b"allow", methods.encode()))


def not_modified(*headers: tuple[bytes, bytes]) -> Answer:
    """Answer that what the client has is as it was."""
    return Answer(_NOT_MODIFIED, b"", headers=headers)


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Give all values of a header; ``name`` in lower case."""
    return [value for each, value in headers if each == name]


async def send_answer(answer: Answer, send: Send) -> None:
    """Send an answer piece by piece."""
    headers = [*answer.headers]
    if answer.status != _NOT_MODIFIED:
        length = str(len(answer.body)).encode()
        headers = [(b"content-type", answer.content_type.encode()), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for start in range(0, len(answer.body), _PIECE):
        await send({"type": "http.response.body", "body": answer.body[start : start + _PIECE], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
