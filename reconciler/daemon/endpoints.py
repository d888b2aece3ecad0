"""What the daemon's web server answers: is it alive, is it ready, its metrics, a pass on request, what it did."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.core.status import Readiness
from reconciler.daemon.answers import LOOKS, Answer, Headers, document, error, not_allowed, send_answer, values
from reconciler.daemon.audience import PageFor
from reconciler.daemon.shown import Showcase, show_page, show_report, show_status
from reconciler.errors import Busy, Interrupted


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the endpoints show and set off.

    Attributes:
        readiness: Tells how the daemon is doing.
        metrics: Takes what a client accepts (its ``Accept`` header); gives the metrics and their content type.
        reconcile: Asks for a pass, soon; asked again before that begins, there is one pass all the same.
        token: Gives the token that a request for a pass must bear; None, or an empty one: there is none in force.
        showcase: What there is to look at, and for whom.
    """

    readiness: Callable[[], Readiness]
    metrics: Callable[[str], tuple[bytes, str]]
    reconcile: Callable[[], None]
    token: Callable[[], str | None]
    showcase: Showcase


@dataclass(frozen=True, slots=True)
class _Endpoint:
    methods: tuple[str, ...]
    answer: Callable[[Handlers, Scope], Awaitable[Answer]]


def application(handlers: Handlers) -> ASGIApp:
    """Give the ASGI application. An error of a handler is answered 500 and told to the event loop's handler."""

    async def respond(scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            answer = await _answer(handlers, scope)
        except Busy:
            answer = error(503, "more is asked for at once than can be made: ask again", (b"retry-after", b"5"))
        except Interrupted:
            answer = error(503, "the daemon ends")
        except Exception as fault:  # noqa: BLE001 # what it shows is nobody's business outside
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the web server could not answer a request", "exception": fault}
            )
            answer = error(500, "this went wrong on the server; its log says more")
        await send_answer(answer, send)

    return respond


async def _answer(handlers: Handlers, scope: Scope) -> Answer:
    # By the path as it was written: what is only another way to write one of ours is none, so that nobody who guards
    # a path in front of this server is got around.
    endpoint = _ENDPOINTS.get(scope["raw_path"])
    if endpoint is None:
        page = handlers.showcase.audience.page
        return await show_page(handlers.showcase, scope) or (_NOTHING if page is PageFor.NONE else _NO_PAGE)
    if scope["method"] not in endpoint.methods:
        return not_allowed(endpoint.methods)
    return await endpoint.answer(handlers, scope)


async def _livez(_handlers: Handlers, _scope: Scope) -> Answer:
    return document(200, {"status": "ok"})


async def _readyz(handlers: Handlers, _scope: Scope) -> Answer:
    readiness = handlers.readiness()
    return document(200 if readiness.ready else 503, asdict(readiness))


async def _metrics(handlers: Handlers, scope: Scope) -> Answer:
    body, content_type = handlers.metrics(b",".join(values(scope["headers"], b"accept")).decode("latin-1"))
    return Answer(200, body, content_type)


async def _reconcile(handlers: Handlers, scope: Scope) -> Answer:
    token = handlers.token()
    if not token:
        return error(403, "no pass can be asked for here: RECONCILER_TOKEN is not set")
    if not _bears(scope["headers"], token):
        return error(401, "the header Authorization must be 'Bearer' and the token", (b"www-authenticate", b"Bearer"))
    handlers.reconcile()
    return document(202, {"status": "accepted"})


async def _status(handlers: Handlers, scope: Scope) -> Answer:
    return await show_status(handlers.showcase, scope)


async def _report(handlers: Handlers, scope: Scope) -> Answer:
    return await show_report(handlers.showcase, scope)


def _bears(headers: Headers, token: str) -> bool:
    """Tell whether a request bears the token, in a time that does not depend on how much of it is right."""
    credentials = values(headers, b"authorization")
    if len(credentials) != 1:
        return False
    scheme, _, given = credentials[0].partition(b" ")
    # The environment may hold bytes that are no UTF-8: they stand in the text as surrogates.
    wanted = token.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given.strip(b" "), wanted) and scheme.lower() == b"bearer"


_ENDPOINTS = {
    b"/livez": _Endpoint(LOOKS, _livez),
    b"/readyz": _Endpoint(LOOKS, _readyz),
    b"/metrics": _Endpoint(LOOKS, _metrics),
    b"/reconcile": _Endpoint(("POST",), _reconcile),
    b"/status": _Endpoint(LOOKS, _status),
    b"/report": _Endpoint(LOOKS, _report),
}
_THERE = f"there is nothing here, only {', '.join(path.decode() for path in _ENDPOINTS)}"
_NOTHING = error(404, _THERE)
_NO_PAGE = error(404, f"{_THERE}, and pages: /, /keys and what they lead to")
