"""The way between a pass and the emulator: what is lost on it, what arrives late, and when everything is cut off.

The server's side of a request is a task of its own, which nobody cancels: a client that does not wait for the answer
any more has still sent what may take effect much later.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import httpx

from campaigning.watch import Watch
from reconciler.emulator.faults import ConnectionDropped
from reconciler.emulator.server import Emulator


@dataclass
class Far:
    """The server's side: the emulator and what is before it, and what is under way.

    ``page`` is how many entries a page has; ``echo`` the share of errors that show the bearer token; ``ignored`` the
    share of PUTs that do nothing and are answered like a GET.
    """

    emulator: Emulator
    dice: Random
    page: int
    echo: float
    ignored: float
    under_way: set[asyncio.Task[httpx.Response | None]] = field(default_factory=set)

    def begin(self, request: httpx.Request) -> asyncio.Task[httpx.Response | None]:
        """Take a request; the task ends with its answer, or with None where the connection is lost."""
        task = asyncio.create_task(self._answered(request))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return task

    async def _answered(self, request: httpx.Request) -> httpx.Response | None:
        try:
            response = await httpx.ASGITransport(self.emulator).handle_async_request(self._forwarded(request))
        except ConnectionDropped:
            return None
        await response.aread()
        if response.status_code >= 400 and self.dice.random() < self.echo:
            return _echo(request, response)
        return response

    def _forwarded(self, request: httpx.Request) -> httpx.Request:
        """Give what reaches the emulator; the client's own request stays as it is."""
        url = request.url.copy_merge_params({"limit": str(self.page)}) if request.url.query else request.url
        if request.method == "PUT" and self.dice.random() < self.ignored:
            return httpx.Request("GET", url, headers=request.headers)
        return httpx.Request(request.method, url, headers=request.headers, content=request.content)


def _echo(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    """Answer as a careless proxy does, which shows what it was sent."""
    told = request.headers["authorization"]
    kept = {name: value for name, value in response.headers.items() if name == "retry-after"}
    shown = {"message": f"not forwarded ({told}): {told.partition(' ')[2]} is not known here"}
    return httpx.Response(response.status_code, headers={**kept, "x-request-id": told}, json=shown)


@dataclass(frozen=True, slots=True)
class Cut:
    """An end that comes early: at which request, whether before that one arrives, and what then ``happens``."""

    at: int
    happens: Callable[[], None]
    before: bool
    kills: bool


class Near(httpx.AsyncBaseTransport):
    """One pass's side, which may be cut off; ``edits`` are done by somebody else when the n-th request is sent."""

    def __init__(self, far: Far, watch: Watch, cut: Cut | None, edits: Mapping[int, Callable[[], None]]) -> None:
        self._far = far
        self._watch = watch
        self._cut = cut
        self._edits = dict(edits)
        self._sent = 0
        self._dead = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and wait for its answer as long as the client says."""
        self._sent += 1
        if edit := self._edits.pop(self._sent, None):
            edit()
        cut = self._cut if self._cut and self._cut.at == self._sent else None
        if cut and cut.before:
            self._end(cut)
        if self._dead:
            raise httpx.ConnectError("nobody is there any more", request=request)
        self._watch.sent(request)
        try:
            served = self._far.begin(request)
            if cut and not cut.before:
                await asyncio.sleep(0)  # it arrives
                self._end(cut)
            return await self._received(request, served)
        finally:
            self._watch.ended(request)

    def _end(self, cut: Cut) -> None:
        self._dead = cut.kills
        cut.happens()

    async def _received(self, request: httpx.Request, served: asyncio.Task[httpx.Response | None]) -> httpx.Response:
        done, _ = await asyncio.wait({served}, timeout=request.extensions["timeout"]["read"])
        if not done:
            raise httpx.ReadTimeout("", request=request)
        response = served.result()
        if response is None or self._dead:
            raise httpx.ReadError("", request=request)
        self._watch.answered(request, response)
        return response
