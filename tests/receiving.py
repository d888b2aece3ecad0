"""Servers on this machine that take messages: a webhook, a mail server, and one that never answers."""

import json
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from served import answering

LOGIN, PASSWORD = "reconciler", "correct-horse-9"


@dataclass
class Webhook:
    """A web server that takes JSON, what it took, and the status that it answers with."""

    address: str = ""
    status: int = 200
    location: str = ""
    delay: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [str(body["title"]) for body in self.bodies]


@contextmanager
def webhook(status: int = 200) -> Iterator[Webhook]:
    hook = Webhook(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.arrived.set()
            if hook.delay is not None:
                hook.delay.wait(20)
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if hook.status == 200:
                hook.bodies.append(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.address = f"127.0.0.1:{server.server_port}"
    with answering(server):
        yield hook


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def refused() -> str:
    """An address at which nobody listens: it stays taken until the tests end, so that nobody else comes to."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    host, port = taken.getsockname()
    taken.detach()
    return f"{host}:{port}"


@dataclass
class MailServer:
    """A mail server that wants a login, the mail that it took, and the recipients of whom it takes none."""

    address: str = ""
    refuses: tuple[str, ...] = ()
    mails: list[Message] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 s3cret-word is no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 # aiosmtpd's
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content))
        return "250 OK"


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    right = (data.login, data.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def mail_server(*refuses: str, takes_login: bool = True) -> Iterator[MailServer]:
    server = MailServer(refuses=refuses)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wanted: dict[str, Any] = {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": False}
    if not takes_login:
        wanted["auth_require_tls"] = True
    controller = Controller(server, hostname="127.0.0.1", port=port, **wanted)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that a login without TLS is unwise
        controller.start()
        server.address = f"127.0.0.1:{port}"
        try:
            yield server
        finally:
            controller.stop()


def mail_url(address: str, password: str = PASSWORD) -> str:
    """The address of somebody's mail, with a login and without TLS."""
    return f"mailto://{LOGIN}:{password}@{address}?from=keys@example.com&to=ops@example.org&mode=insecure"
