"""What the daemon's web server answers: is it alive, is it ready, its metrics, and a pass on request."""

import asyncio
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.core.inventory import rfc3339
from reconciler.core.status import Readiness

_PIECE = 64 * 1024
"""Bytes of an answer that are written at once: so much, and no more, is kept twice for a client that reads slowly."""
_Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the endpoints show and set off.

    Attributes:
        readiness: Tells how the daemon is doing.
        metrics: Takes what a client accepts (its ``Accept`` header); gives the metrics and their content type.
        reconcile: Asks for a pass, soon; asked again before that begins, there is one pass all the same.
        token: Gives the token that a request for a pass must bear; None, or an empty one: there is none in force.
    """

    readiness: Callable[[], Readiness]
    metrics: Callable[[str], tuple[bytes, str]]
    reconcile: Callable[[], None]
    token: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class _Endpoint:
    methods: tuple[str, ...]
    answer: Callable[[Handlers, _Headers], _Answer]


def application(handlers: Handlers) -> ASGIApp:
    """Give the ASGI application. An error of a handler is answered 500 and told to the event loop's handler."""

    async def respond(scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            answer = _answer(handlers, scope)
        except Exception as error:  # noqa: BLE001 # what it shows is nobody's business outside
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the web server could not answer a request", "exception": error}
            )
            answer = _error(500, "this went wrong on the server; its log says more")
        await _send(answer, send)

    return respond


def _answer(handlers: Handlers, scope: Scope) -> _Answer:
    # By the path as it was written: what is only another way to write one of ours is none, so that nobody who guards
    # a path in front of this server is got around.
    endpoint = _ENDPOINTS.get(scope["raw_path"])
    if endpoint is None:
        return _error(404, f"there is nothing here, only {', '.join(path.decode() for path in _ENDPOINTS)}")
    if scope["method"] not in endpoint.methods:
        allowed = ", ".join(endpoint.methods)
        return _error(405, f"the method must be {allowed}", (b"allow", allowed.encode()))
    return endpoint.answer(handlers, scope["headers"])


def _livez(_handlers: Handlers, _headers: _Headers) -> _Answer:
    return _document(200, {"status": "ok"})


def _readyz(handlers: Handlers, _headers: _Headers) -> _Answer:
    readiness = handlers.readiness()
    return _document(200 if readiness.ready else 503, asdict(readiness))


def _metrics(handlers: Handlers, headers: _Headers) -> _Answer:
    body, content_type = handlers.metrics(b",".join(_values(headers, b"accept")).decode("latin-1"))
    return _Answer(200, body, content_type)


def _reconcile(handlers: Handlers, headers: _Headers) -> _Answer:
    token = handlers.token()
    if not token:
        return _error(403, "no pass can be asked for here: RECONCILER_TOKEN is not set")
    if not _bears(headers, token):
        return _error(401, "the header Authorization must be 'Bearer' and the token", (b"www-authenticate", b"Bearer"))
    handlers.reconcile()
    return _document(202, {"status": "accepted"})


def _bears(headers: _Headers, token: str) -> bool:
    """Tell whether a request bears the token, in a time that does not depend on how much of it is right."""
    values = _values(headers, b"authorization")
    if len(values) != 1:
        return False
    scheme, _, given = values[0].partition(b" ")
    # The environment may hold bytes that are no UTF-8: they stand in the text as surrogates.
    wanted = token.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given.strip(b" "), wanted) and scheme.lower() == b"bearer"


_ENDPOINTS = {
    b"/livez": _Endpoint(("GET", "HEAD"), _livez),
    b"/readyz": _Endpoint(("GET", "HEAD"), _readyz),
    b"/metrics": _Endpoint(("GET", "HEAD"), _metrics),
    b"/reconcile": _Endpoint(("POST",), _reconcile),
}


def _values(headers: _Headers, name: bytes) -> list[bytes]:
    return [value for each, value in headers if each == name]


def _document(status: int, document: dict[str, object], *headers: tuple[bytes, bytes]) -> _Answer:
    text = json.dumps(document, default=rfc3339, separators=(",", ":"))
    return _Answer(status, text.encode(), headers=headers)


def _error(status: int, message: str, *headers: tuple[bytes, bytes]) -> _Answer:
    return _document(status, {"error": message}, *headers)


async def _send(answer: _Answer, send: Send) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for start in range(0, len(answer.body), _PIECE):
        await send({"type": "http.response.body", "body": answer.body[start : start + _PIECE], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
