"""The daemon's status page: an HTML document for each address, made of its status and of the report of its last pass.

Every text goes through :func:`reconciler.errors.visible` and is escaped by Jinja2, wherever a template shows it.
Besides, ``POLICY`` allows no script and no style but the page's own, by hash, and no request but to the daemon: markup
that came through would do nothing.
"""

import hashlib
from typing import Final

from reconciler.collector import collector_paused
from reconciler.core.report import Report
from reconciler.core.status import Status
from reconciler.errors import mask
from reconciler.render.addresses import Address
from reconciler.render.front import Front
from reconciler.render.headline import Headline
from reconciler.render.keyfilter import Found, Question
from reconciler.render.keypage import AccountPage, KeyPage
from reconciler.render.lately import Lately
from reconciler.render.lookup import Lookup
from reconciler.render.markup import environment, own

_STYLE = own("common.css", "board.css")
_SCRIPT = own("board.js")
_BUILD = hashlib.sha256(f"{_STYLE.digest} {_SCRIPT.digest}".encode()).hexdigest()[:16]

POLICY: Final = (
    f"default-src 'none'; style-src '{_STYLE.digest}'; script-src '{_SCRIPT.digest}'; img-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page."""


class Board:
    """What the pages show of one report; what takes long is made when somebody first looks, and kept."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._lookup = Lookup(report)

    def page(self, status: Status, path: str, query: str) -> str | None:
        """Give the HTML document of an address, None where there is no such page.

        It says when it was asked for (``Status.as_of``), and nothing else in it follows from that, or from the age of
        the configuration: an ETag that leaves both out tells no lies.

        Args:
            status: How the daemon stands now.
            path: Percent-decoded.
            query: As it stands behind the question mark.
        """
        with collector_paused():
            return self._page(status, path, query)

    def missing(self, status: Status, path: str) -> str:
        """Give the HTML document that says that no page is at a path, percent-decoded, and where there are some."""
        return self._document("board_missing", Headline(status, self._report), path=mask(path))

    def _page(self, status: Status, path: str, query: str) -> str | None:
        headline, lately = Headline(status, self._report), Lately(status)
        match path:
            case "/":
                return self._document("board_front", headline, front=Front(headline, self._lookup, lately))
            case "/keys":
                return self._document("board_keys", headline, found=Found(self._lookup, Question.read(query)))
            case _:
                address = Address.read(path)
                return self._single(address, headline, lately, query) if address else None

    def _single(self, address: Address, headline: Headline, lately: Lately, query: str) -> str | None:
        if address.key_id is None:
            account = AccountPage(address, headline, self._lookup, lately, Question.read(query).page)
            return self._document("board_account", headline, shown=account) if account.known else None
        key = KeyPage(address, headline, self._lookup, lately)
        return self._document("board_key", headline, shown=key) if key.known else None

    def _document(self, name: str, headline: Headline, **told: object) -> str:
        common = {"headline": headline, "status": headline.status, "lookup": self._lookup, "report": self._report}
        allowed = {"style": _STYLE, "script": _SCRIPT, "build": _BUILD}
        return environment().get_template(f"{name}.html.j2").render(**common, **allowed, **told)
