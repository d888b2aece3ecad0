"""The status page on a local socket, as the daemon serves it: with its policy and its ETag, until it ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from reconciler.core.inventory import rfc3339
from reconciler.core.report import Report
from reconciler.core.status import Status
from reconciler.render.board import POLICY, Board


@dataclass
class Daemon:
    """What a daemon shows; what is set is shown from then on.

    ``ahead`` is how far its clock goes before that of the browser; ``frozen`` is what it says for ever, as where
    something repeats old answers. ``answers`` are the statuses of its answers.
    """

    status: Status
    report: Report | None
    ahead: timedelta = timedelta()
    answers: list[int] = field(default_factory=list)
    broken: bool = False
    frozen: str | None = None
    _board: Board | None = None
    _server: ThreadingHTTPServer | None = None
    _port: int = 0

    def show(self, status: Status, report: Report | None) -> None:
        self.status, self.report, self._board = status, report, None

    def page(self, path: str, query: str, tag: str | None) -> tuple[int, str, str]:
        """Give the status of an answer, its text and its tag."""
        if self.broken:
            return 500, "", ""
        self._board = self._board or Board(self.report)
        told = replace(self.status, as_of=self.now)
        text = self._board.page(told, unquote(path), query)
        if text is None:
            return 404, self._board.missing(told, unquote(path)), ""
        own = f'W/"{_said(self.status, self.report, path, query)}"'
        return (304, "", own) if tag == own else (200, text, own)

    @property
    def now(self) -> str:
        """What its clock says, also when something repeats its old answers."""
        return self.frozen or rfc3339(datetime.now(UTC) + self.ahead)

    def start(self) -> str:
        """Answer; gives the address, which stays the same."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()
        return f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _said(status: Status, report: Report | None, path: str, query: str) -> str:
    """Give what is the same for pages that say the same; the status here has no time of its own."""
    said = repr((status, report and report.run_id, path, query))
    return sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _handler(daemon: Daemon) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            status, text, tag = daemon.page(path, query, self.headers["If-None-Match"])
            daemon.answers.append(status)
            body = text.encode()
            self.send_response(status)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", POLICY),
                ("ETag", tag),
                ("Reconciler-As-Of", daemon.now),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Frame-Options", "DENY"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # its name where it comes from
            """Tell nobody."""

    return Handler


@contextmanager
def serving(status: Status, report: Report | None) -> Iterator[tuple[Daemon, str]]:
    """Serve until the block ends; gives the daemon and its address."""
    daemon = Daemon(status, report)
    try:
        yield daemon, daemon.start()
    finally:
        daemon.stop()
