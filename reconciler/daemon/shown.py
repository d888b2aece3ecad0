"""What the daemon's web server shows of keys, to those who may look: its page, its status and its last report."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from reconciler.daemon.answers import Answer, Headers, error, not_modified, values
from reconciler.daemon.audience import Audience, PageFor
from reconciler.daemon.maker import Maker

Page = Callable[[str, str], Awaitable[str | None]]
_GUARDS: Final = (
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""What keeps other sites from showing, embedding or reading what is shown here."""
_NO_MARKUP: Final = "default-src 'none'; frame-ancestors 'none'"
_BADLY_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NO_PART_OF_A_NAME = re.compile(rb"%(?:2[fF]|5[cC])")


@dataclass(frozen=True, slots=True)
class Shown:
    """A document: how to make it, and what to know it by.

    Attributes:
        tag: What it says, in letters that an entity tag may have: the same tag, the same content.
        moment: Another one where it is to be made anew although it says the same, since it tells the time.
        make: Makes its text, in a thread.
    """

    tag: str
    moment: str
    make: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Showcase:
    """What there is to look at, and for whom.

    Attributes:
        audience: Who may look.
        status: Gives the status.
        report: Gives the last report; None: there is none yet.
        page: Takes a path and a query; gives the HTML of the page there, None where there is none. The path is decoded;
            the query is as it was written, all ASCII, and can be decoded: what separates its parts must stay apart
            from what they say (``urllib.parse.parse_qsl``).
        page_policy: The Content-Security-Policy of pages.
        maker: Makes the documents.
    """

    audience: Audience
    status: Callable[[], Shown]
    report: Callable[[], Shown | None]
    page: Page
    page_policy: str
    maker: Maker


async def show_status(case: Showcase, scope: Scope) -> Answer:
    """Answer ``GET /status``."""
    return case.audience.refusal(scope) or await _document(case, "status", case.status(), scope["headers"])


async def show_report(case: Showcase, scope: Scope) -> Answer:
    """Answer ``GET /report``."""
    if refusal := case.audience.refusal(scope):
        return refusal
    shown = case.report()
    if shown is None:
        return error(503, "no pass has ended yet, so that there is no report: ask again")
    return await _document(case, "report", shown, scope["headers"])


async def show_page(case: Showcase, scope: Scope) -> Answer | None:
    """Answer a path that is no endpoint's; None where no page is either."""
    if case.audience.page is PageFor.NONE or scope["method"] not in ("GET", "HEAD"):
        return None
    if refusal := case.audience.refusal(scope):
        return refusal
    path, query = _path(scope["raw_path"]), _query(scope["query_string"])
    if query is None:
        return error(400, "the query is badly encoded: it must be percent-encoded UTF-8")
    sent = None if path is None else await _page(case, path, query)
    if sent is None:
        return None
    body, tag = sent
    headers = _headers(tag, case.page_policy)
    if _has(scope["headers"], tag):
        return not_modified(*headers)
    return Answer(200, body, "text/html; charset=utf-8", headers)


async def _page(case: Showcase, path: str, query: str) -> tuple[bytes, bytes] | None:
    """Give the bytes of a page and its entity tag, once for all who ask for it meanwhile; None where there is none."""

    async def made() -> tuple[bytes, bytes] | None:
        text = await case.page(path, query)
        return None if text is None else await case.maker.made(("as sent", path, query), lambda: _as_sent(text))

    return await case.maker.shared(("page", path, query), made)


def _as_sent(text: str) -> tuple[bytes, bytes]:
    """Give the bytes of a page, and its entity tag."""
    body = text.encode("utf-8", "backslashreplace")
    return body, _entity_tag(sha256(body).hexdigest()[:32])


async def _document(case: Showcase, what: str, shown: Shown, headers: Headers) -> Answer:
    tag = _entity_tag(shown.tag)
    own = _headers(tag, _NO_MARKUP)
    if _has(headers, tag):
        return not_modified(*own)
    body = await case.maker.kept(what, (shown.tag, shown.moment), lambda: shown.make().encode())
    return Answer(200, body, headers=own)


def _headers(tag: bytes, policy: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"etag", tag), (b"content-security-policy", policy.encode()), *_GUARDS)


def _entity_tag(tag: str) -> bytes:
    return f'W/"{tag}"'.encode()


def _has(headers: Headers, tag: bytes) -> bool:
    """Tell whether a client has that already (RFC 9110, 13.1.2); no tag of ours holds a comma."""
    given = [each.strip() for value in values(headers, b"if-none-match") for each in value.split(b",")]
    return any(each == b"*" or each.removeprefix(b"W/") == tag.removeprefix(b"W/") for each in given)


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
