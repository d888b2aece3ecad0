"""A client of the daemon's web server that sends whatever bytes a story needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.core.status import Readiness, Status
from reconciler.daemon.address import Address
from reconciler.daemon.audience import Audience
from reconciler.daemon.connections import Limits
from reconciler.daemon.endpoints import Handlers, application
from reconciler.daemon.maker import Maker
from reconciler.daemon.shown import Draws, Pages, Showcase, Shown
from reconciler.daemon.status import Progress, judge_readiness
from reconciler.daemon.web import Web
from render.statuses import status

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"
STATUS = Shown("one", "10:00", "10:00:00", lambda: '{"status": 1}')
REPORT = Shown("run-1", "", "10:00:00", lambda: '{"report": "\N{SNOWMAN}"}')


def ready() -> Readiness:
    return judge_readiness(Progress(NOW, 0.0), NOW, lambda moment: moment)


@dataclass
class Behind:
    """What stands behind the handlers of a story; ``asked`` counts the passes that were asked for."""

    readiness: Callable[[], Readiness] = ready
    metrics: bytes = b"up 1\n"
    token: str | None = TOKEN
    shown: dict[str, Shown] = field(default_factory=dict)
    audience: Audience = field(default_factory=Audience)
    pages: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: int = 0
    told: str = "one"
    moment: str = "10:00"
    report: str = "run-1"
    boards: int = 0
    looked: list[tuple[str, str]] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    def judge(self) -> Readiness:
        return self.readiness()

    def render(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        return self.metrics, "text/plain; version=0.0.4; charset=utf-8"

    def reconcile(self) -> None:
        self.asked += 1

    def draw(self, told: Status, path: str, query: str) -> str | None:
        self.looked.append((path, query))
        return self.pages.get((path, query))

    def page(self, told: Status, path: str, query: str) -> str | None:
        return self.draw(told, path, query)

    def missing(self, told: Status, path: str) -> str:
        return f"<p>nothing at {path or '?'}</p>"

    def board(self) -> Draws:
        self.boards += 1
        return self

    def all_pages(self) -> Pages:
        return Pages(self.told, self.moment, self.report, self.board, status)

    def handlers(self, maker: Maker) -> Handlers:
        case = Showcase(
            self.audience,
            lambda: self.shown["status"],
            lambda: self.shown.get("report"),
            self.all_pages,
            "default-src 'none'; style-src 'sha256-x'",
            maker,
        )
        return Handlers(self.judge, self.render, self.reconcile, lambda: self.token, case)


@asynccontextmanager
async def serving(behind: Behind, limits: Limits | None = None, host: str = "127.0.0.1") -> AsyncIterator["Served"]:
    maker = Maker()
    web = Web(application(behind.handlers(maker)), host, 0, limits)
    served = Served(web, await web.start())
    try:
        yield served
    finally:
        await web.stop()
        maker.end()


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes


class Visit:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, sent: bytes) -> None:
        if not self.writer.is_closing():  # who was hung up on need not be warned of it
            self.writer.write(sent)

    async def answer(self, *, head_only: bool = False) -> Answered:
        """Read one answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = b"" if head_only else await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answered(int(first.split(" ")[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the server closes the connection; a reset is an end like another."""
        received = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                while piece := await self.reader.read(1 << 16):
                    received += piece
        return received

    async def leave(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Served:
    web: Web
    address: Address

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[Visit]:
        visit = Visit(*await asyncio.open_connection(self.address.host, self.address.port))
        try:
            yield visit
        finally:
            await visit.leave()

    async def ask(self, sent: bytes, *, head_only: bool = False) -> Answered:
        """Send some bytes and read one answer."""
        async with self.visit() as visit:
            visit.send(sent)
            return await visit.answer(head_only=head_only)

    async def get(self, target: str, *headers: str) -> Answered:
        return await self.ask(request("GET", target, *headers))

    @property
    def open(self) -> int:
        """How many connections the server has."""
        return len(self.web._state.connections)

    async def until_open(self, count: int) -> None:
        await until(lambda: self.open == count)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what must become true soon."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


def request(method: str, target: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def behind(**given: Any) -> Behind:
    """Give what a story begins with: a status, a report and some pages."""
    pages = {("/", ""): "<p>page</p>", ("/keys", "q=a%26b&c=d+e"): "<p>keys</p>", ("/keys/\N{SNOWMAN}", ""): "<p>"}
    return Behind(shown={"status": STATUS, "report": REPORT}, pages=pages, **given)


def error(answer: Answered) -> str:
    """Give what an answer says went wrong."""
    return str(json.loads(answer.body)["error"])
