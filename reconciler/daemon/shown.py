"""What the daemon's web server shows of keys, to those who may look: its page, its status and its last report."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from reconciler.core.status import Status
from reconciler.daemon.answers import LOOKS, Answer, Headers, error, has_left, not_allowed, not_modified, values
from reconciler.daemon.audience import Audience, PageFor
from reconciler.daemon.maker import Maker, Turn, Wish

_GUARDS: Final = (
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""What keeps other sites from showing, embedding or reading what is shown here."""
_NO_MARKUP: Final = "default-src 'none'; frame-ancestors 'none'"
_HTML: Final = "text/html; charset=utf-8"
_READS_HTML: Final = re.compile(rb"(?:^|[\s,])text/html(?![^,;\s])(?!\s*;[^,]*\bq=0(?:\.0*)?(?![0-9.]))", re.IGNORECASE)
_BADLY_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NO_PART_OF_A_NAME = re.compile(rb"%(?:2[fF]|5[cC])")


@dataclass(frozen=True, slots=True)
class Shown:
    """A document: how to make it, and what to know it by.

    Attributes:
        tag: What it says, in letters that an entity tag may have: the same tag, the same content.
        moment: Another one where it is to be made anew although it says the same, since it tells the time.
        as_of: When this was so, in RFC 3339: a later one with each answer, whatever it says.
        make: Makes its text, in a thread.
    """

    tag: str
    moment: str
    as_of: str
    make: Callable[[], str]


class Draws(Protocol):
    """Draws the HTML of pages, of one report."""

    def page(self, status: Status, path: str, query: str) -> str | None:
        """Give that of the page at a path, None where there is none.

        The path is decoded; the query is as it was written, all ASCII, and can be decoded: what separates its parts
        must stay apart from what they say (``urllib.parse.parse_qsl``).
        """

    def missing(self, status: Status, path: str) -> str:
        """Give that of a page which says that there is none at a path; empty: it is one that cannot be shown."""


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages as they are at a moment.

    Attributes:
        tag: What they say, as in `Shown`.
        moment: As in `Shown`; it is when all this is so, in RFC 3339, as well.
        report: Which report they are about, in letters: the same, and what they were drawn with is drawn with again.
        board: Makes that, in a thread, which may take long.
        status: Gives the status that they show, in a thread.
    """

    tag: str
    moment: str
    report: str
    board: Callable[[], Draws]
    status: Callable[[], Status]


@dataclass(frozen=True, slots=True)
class Showcase:
    """What there is to look at, and for whom.

    Attributes:
        audience: Who may look.
        status: Gives the status.
        report: Gives the last report; None: there is none yet.
        pages: Gives the pages.
        page_policy: The Content-Security-Policy of pages.
        maker: Makes the documents.
    """

    audience: Audience
    status: Callable[[], Shown]
    report: Callable[[], Shown | None]
    pages: Callable[[], Pages]
    page_policy: str
    maker: Maker


async def show_status(case: Showcase, scope: Scope) -> Answer:
    """Answer ``GET /status``."""
    return case.audience.refusal(scope) or await _document(case, "status", case.status(), scope)


async def show_report(case: Showcase, scope: Scope) -> Answer:
    """Answer ``GET /report``."""
    if refusal := case.audience.refusal(scope):
        return refusal
    shown = case.report()
    if shown is None:
        return error(503, "no pass has ended yet, so that there is no report: ask again")
    return await _document(case, "report", shown, scope, Turn.LATER)


async def show_page(case: Showcase, scope: Scope) -> Answer | None:
    """Answer a path that is no endpoint's; None where no page is either, and the client does not read HTML."""
    if case.audience.page is PageFor.NONE:
        return None
    if refusal := case.audience.refusal(scope):
        return refusal
    if scope["method"] not in LOOKS:
        return not_allowed(LOOKS, beginning="pages are there to be looked at: ")
    path, query = _path(scope["raw_path"]), _query(scope["query_string"])
    if query is None:
        return error(400, "the query is badly encoded: it must be percent-encoded UTF-8")
    shown = None if path is None else await _shown_page(case, scope, path, query)
    return shown or await _missing_page(case, scope, path or "")


async def _shown_page(case: Showcase, scope: Scope, path: str, query: str) -> Answer | None:
    """Answer with a page, or that the client has it as it is; None where there is none."""
    pages, given = case.pages(), scope["headers"]
    # Of each address another one, so that no page passes for one that was never there.
    tag = _entity_tag(f"{pages.tag}-{sha256(f'{path}?{query}'.encode()).hexdigest()[:16]}")
    headers = _headers(tag, pages.moment, case.page_policy)
    if _names(given, tag):
        return not_modified(*headers)
    body = await _drawn(case.maker, pages, (path, query), lambda draws, now: draws.page(now, path, query), scope)
    if body is None:
        return None
    if _has(given, tag):
        return not_modified(*headers)
    return Answer(200, body, _HTML, headers)


async def _missing_page(case: Showcase, scope: Scope, path: str) -> Answer | None:
    """Answer a browser that there is no such page; None for clients that do not say that they read HTML."""
    if not any(_READS_HTML.search(each) for each in values(scope["headers"], b"accept")):
        return None
    pages = case.pages()
    body = await _drawn(case.maker, pages, (path, None), lambda draws, now: draws.missing(now, path), scope)
    return Answer(404, body or b"", _HTML, (*_guarded(pages.moment, case.page_policy), (b"vary", b"Accept")))


async def _drawn(
    maker: Maker,
    pages: Pages,
    address: tuple[str, str | None],
    draw: Callable[[Draws, Status], str | None],
    scope: Scope,
) -> bytes | None:
    """Give the bytes of a page, drawn once for all who ask for it meanwhile; None where there is none."""
    gone = has_left(scope)
    first = Wish(Turn.FIRST, gone)
    draws = await maker.kept("board", pages.report, pages.board, first)
    status = await maker.kept("status of pages", (pages.tag, pages.moment), pages.status, first)

    def drawn() -> bytes | None:
        text = draw(draws, status)
        return None if text is None else text.encode("utf-8", "backslashreplace")

    # The page that is on a wall does not wait for all that somebody looks for.
    wish = first if address[0] == "/" else Wish(Turn.LATER, gone)
    return await maker.made((pages.tag, pages.moment, *address), drawn, wish)


async def _document(case: Showcase, what: str, shown: Shown, scope: Scope, turn: Turn = Turn.FIRST) -> Answer:
    tag = _entity_tag(shown.tag)
    own = _headers(tag, shown.as_of, _NO_MARKUP)
    if _has(scope["headers"], tag):
        return not_modified(*own)
    wish = Wish(turn, has_left(scope))
    body = await case.maker.kept(what, (shown.tag, shown.moment), lambda: shown.make().encode(), wish)
    return Answer(200, body, headers=own)


def _headers(tag: bytes, as_of: str, policy: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"etag", tag), *_guarded(as_of, policy))


def _guarded(as_of: str, policy: str) -> tuple[tuple[bytes, bytes], ...]:
    # By the time a client tells an answer of ours from one that something in between keeps giving in our place.
    return ((b"reconciler-as-of", as_of.encode()), (b"content-security-policy", policy.encode()), *_GUARDS)


def _entity_tag(tag: str) -> bytes:
    return f'W/"{tag}"'.encode()


def _has(headers: Headers, tag: bytes) -> bool:
    """Tell whether a client has that already (RFC 9110, 13.1.2); no tag of ours holds a comma."""
    return b"*" in _given(headers) or _names(headers, tag)


def _names(headers: Headers, tag: bytes) -> bool:
    return any(each.removeprefix(b"W/") == tag.removeprefix(b"W/") for each in _given(headers))


def _given(headers: Headers) -> list[bytes]:
    return [each.strip() for value in values(headers, b"if-none-match") for each in value.split(b",")]


def _path(raw: bytes) -> str | None:
    """Decode a path; None for one that no page can have."""
    text = None if _NO_PART_OF_A_NAME.search(raw) else _decoded(raw)
    return text if text is not None and text.isprintable() else None


def _query(raw: bytes) -> str | None:
    """Give a query as it was written, None for one that cannot be decoded."""
    return None if _decoded(raw) is None or not raw.isascii() else raw.decode("ascii")


def _decoded(raw: bytes) -> str | None:
    try:
        return None if _BADLY_ENCODED.search(raw) else unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
