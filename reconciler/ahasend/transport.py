"""How a request gets there: the address, TLS, proxies, the write barrier, and what can go wrong on the way.

The only module that imports httpx. Its connection pool dies for good when requests are cancelled or wait for a
connection until they time out (httpcore, issue 1093). So a request runs in a task of its own that nobody cancels, it
has a connection to itself from its beginning, and its time limits are httpx's own.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from reconciler import __version__
from reconciler.ahasend.pace import Signal, unless
from reconciler.ahasend.slots import Slot, Slots
from reconciler.core.keys import AccountRef
from reconciler.core.report import RequestCounts
from reconciler.errors import BadAnswer, Interrupted, RemoteError, SettingsError, Unreachable, mask, visible

POOL = 16
"""Connections of one session, and so requests at once."""
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer; a page of 100 keys with 100 scopes each is about 2.5 MB."""
LONGEST_ANSWER = 60.0
"""Seconds in which an answer must be whole: a limit between two pieces alone lets one dribble for ever."""
LAST_WAIT = 1.0
"""Seconds that closing waits for answers nobody waits for any more."""
USER_AGENT = f"ahasend-key-reconciler/{__version__}"

_REQUEST_IDS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")
_TLS_HINT = (
    "is AHASEND_ENDPOINT an https address? Behind a proxy that opens TLS, put its authority's certificate "
    "in a file and name it in SSL_CERT_FILE; an outdated image has outdated authorities; check the clock too"
)
_CONNECT_HINT = "is AHASEND_ENDPOINT right, does its name resolve here, and may this machine connect to it (IPv4)?"
_TIMEOUT_HINT = "is the API, or a proxy or firewall on the way, overloaded? A retry may help"
_LOST_HINT = "something on the way closed the connection; a retry may help"
_PROXY_HINT = "the proxy named by HTTPS_PROXY or ALL_PROXY refused or failed: is it right, and does it let us through?"
_BUG_HINT = "a retry will not help: is AHASEND_ENDPOINT right? Otherwise please report this as a bug"

Transport = httpx.AsyncBaseTransport


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of the API: https, or http on a loopback address; a path prefix is kept.

    Raises:
        SettingsError: it is not such an address.
    """

    url: str

    def __post_init__(self) -> None:
        problem = _wrong_with(self.url)
        if problem:
            raise SettingsError(
                f"AHASEND_ENDPOINT {problem}",
                hint="write an address such as https://api.ahasend.com, or http://127.0.0.1:4280 for an emulator",
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))


def _wrong_with(url: str) -> str | None:
    """Say what is wrong, without showing parts that may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return "is not an address"
    if "@" in parts.netloc:
        return "must not hold a user name or password"
    if "?" in url or "#" in url:
        return "must not hold a query or a fragment"
    if not host or parts.scheme not in {"http", "https"} or not (url.isascii() and url.isprintable()) or " " in url:
        return f"is {url!r}, which is not an https address"
    if parts.scheme == "http" and not _is_loopback(host):
        return f"is {url!r}: without TLS everybody on the way could read the key"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Resource(StrEnum):
    """What a request is about."""

    KEY = "key"
    SUB_ACCOUNT = "sub account"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: what is sent where, for which account, and what for (``listing the keys of account …``)."""

    method: str
    url: str
    account: AccountRef
    deed: str
    content: bytes | None = None
    resource: Resource = Resource.KEY


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the two headers and the request id are empty where none came."""

    status: int
    body: bytes
    retry_after: str = ""
    date: str = ""
    request_id: str = ""


class Passing(Exception):
    """Carries an error that may be gone at the next try, and how long the server asks to wait; never leaves us."""

    def __init__(self, error: RemoteError, retry_after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after


class WriteRefused(RuntimeError):
    """A request that could write reached a read-only transport: a bug, stopped before anything was sent."""


class ReadOnlyTransport(Transport):
    """Lets nothing but GET through."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a GET on; raise `WriteRefused` for any other method."""
        if request.method != "GET":
            raise WriteRefused(f"{request.method} in a session that only reads")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what is below."""
        await self._inner.aclose()


def real_transport(endpoint: Endpoint) -> Transport:
    """Make the transport that goes over the network; raise `SettingsError` where TLS or the proxy is set up wrongly.

    Proxies come from the environment (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``), as people behind one expect: it
    sees only ciphertext. A loopback address is never reached through one. Authorities: ``SSL_CERT_FILE``,
    ``SSL_CERT_DIR``, else certifi's.
    """
    parts = urlsplit(endpoint.url)
    # Without TLS the context is never used; this one would trust nobody.
    context = _tls_context() if parts.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    proxy = _proxy(parts.hostname or "")
    return Transports(lambda: httpx.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy))


class Transports(Transport):
    """Gives each request a transport of its own, with one connection; they are used again, the latest first.

    A pool of httpx's own looks at each of its connections, twice for each request: a third of all the time that a
    request takes here.
    """

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make
        self._all: list[Transport] = []
        self._free: list[Transport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on; its transport is free again when the answer was read, or when there is none."""
        if not self._free:
            self._all.append(self._make())
            self._free.append(self._all[-1])
        transport = self._free.pop()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            self._free.append(transport)
            raise
        release = partial(self._free.append, transport)
        response.stream = _Body(response.stream, release)  # type: ignore[arg-type] # an AsyncBaseTransport's is async
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._all:
            with suppress(httpx.HTTPError, OSError):
                await transport.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, which tells when it is closed."""

    def __init__(self, inner: httpx.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._inner = inner
        self._closed = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            yield piece

    async def aclose(self) -> None:
        """Close it."""
        try:
            await self._inner.aclose()
        finally:
            self._closed()


@cache
def _tls_context() -> ssl.SSLContext:
    """Make the TLS context, once a process: it takes 30 ms."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise SettingsError(
            f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}",
            hint="name a readable file of PEM certificates, or unset it to use the usual authorities",
        ) from None


def _proxy(host: str) -> httpx.Proxy | None:
    if _is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return None
    with suppress(ValueError, httpx.InvalidURL):
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
        if proxy.url.scheme in {"http", "https"}:
            return proxy
    # The address may hold a password, so it is not shown.
    raise SettingsError(
        "HTTPS_PROXY or ALL_PROXY does not hold the address of an HTTP proxy",
        hint="write http://host:port, or name the API's host in NO_PROXY to reach it directly",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one request in seconds: to connect, between two pieces of the answer, and to send."""

    connect: float = 5.0
    read: float = 10.0
    write: float = 5.0


class Connection:
    """The connections of one session."""

    def __init__(self, transport: Transport, limits: Limits) -> None:
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(connect=limits.connect, read=limits.read, write=limits.write, pool=None),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            follow_redirects=False,
            trust_env=False,  # the transport has taken from the environment what it should
        )
        self.slots = Slots(POOL)
        self._tasks: set[asyncio.Task[Answer]] = set()
        self._sent = {"GET": 0, "PUT": 0}

    @property
    def requests(self) -> RequestCounts:
        """How many requests were begun."""
        return RequestCounts(**self._sent)

    def start(self, ask: Ask, token: str, slot: Slot) -> asyncio.Task[Answer]:
        """Begin a request on a ``slot`` that is held, and give its task: wait for it, never cancel it.

        It ends with an answer of any status, with a `RemoteError`, or with `Passing` where a retry may help.
        """
        task = asyncio.create_task(self._exchange(ask, token))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, slot))
        self._sent[ask.method] += 1
        return task

    async def close(self, abandoned: Signal) -> None:
        """Wait for answers that nobody waits for any more, until ``abandoned`` or a second is over, and close."""
        tasks = tuple(self._tasks)
        try:
            if tasks:
                with suppress(Interrupted):
                    await unless(abandoned, _all_ended(tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(httpx.HTTPError, OSError):
                await self._client.aclose()

    def _ended(self, slot: Slot, task: asyncio.Task[Answer]) -> None:
        slot.let_go()
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain where nobody waited for it

    async def _exchange(self, ask: Ask, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        if ask.content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._client.stream(ask.method, ask.url, content=ask.content, headers=headers) as response:
                return await _received(response, ask)
        except FAULTS as error:
            raise fault(error, ask, token) from None


async def _all_ended(tasks: tuple[asyncio.Task[Answer], ...]) -> None:
    await asyncio.wait(tasks, timeout=LAST_WAIT)


async def _received(response: httpx.Response, ask: Ask) -> Answer:
    body = bytearray()
    clock = asyncio.get_running_loop().time
    latest = clock() + LONGEST_ANSWER
    async for piece in response.aiter_bytes():
        body += piece
        if clock() > latest:
            raise Passing(Unreachable(f"{ask.deed}: the answer did not end in time", hint=_TIMEOUT_HINT))
        if len(body) > LARGEST_ANSWER:
            raise BadAnswer(f"{ask.deed}: the answer is longer than {LARGEST_ANSWER} bytes", hint=_BUG_HINT)
    headers = response.headers
    identity = next((f"{name}: {headers[name]}" for name in _REQUEST_IDS if name in headers), "")
    return Answer(response.status_code, bytes(body), headers.get("retry-after", ""), headers.get("date", ""), identity)


FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError, OSError, UnicodeError)
"""Everything that httpx and what lies below it raise for a request."""

# The first that fits; what it means, what to do, whether a retry may help.
_MEANINGS: tuple[tuple[type[Exception], str, str, bool], ...] = (
    (ssl.SSLCertVerificationError, "the certificate of the server was not accepted", _TLS_HINT, False),
    (ssl.SSLError, "TLS failed", _TLS_HINT, True),
    (httpx.ConnectTimeout, "no connection came about in time", _CONNECT_HINT, True),
    (httpx.WriteTimeout, "the request could not be sent in time", _TIMEOUT_HINT, True),
    (httpx.TimeoutException, "no answer came in time", _TIMEOUT_HINT, True),
    (httpx.ConnectError, "no connection came about", _CONNECT_HINT, True),
    (httpx.ProxyError, "the proxy did not connect us", _PROXY_HINT, True),
    (httpx.NetworkError, "the connection was lost", _LOST_HINT, True),
    (httpx.RemoteProtocolError, "the connection was lost, or what came is not HTTP", _LOST_HINT, True),
    (OSError, "the connection failed", _LOST_HINT, True),
    (Exception, "the request could not be made", _BUG_HINT, False),
)


def fault(error: Exception, ask: Ask, token: str) -> RemoteError | Passing:
    """Give the error to raise for one of `FAULTS`."""
    detail = legible(str(error), token) or type(error).__name__
    if isinstance(error, httpx.DecodingError):
        garbled = BadAnswer(f"{ask.deed}: the answer is garbled: {detail}", hint=_LOST_HINT)
        return Passing(garbled)
    root = _root(error)
    meaning, hint, passing = next(
        (meaning, hint, passing) for kind, meaning, hint, passing in _MEANINGS if isinstance(root, kind)
    )
    unreachable = Unreachable(f"{ask.deed}: {meaning}: {detail}", hint=hint)
    return Passing(unreachable) if passing else unreachable


def _root(error: Exception) -> BaseException:
    """Give the TLS error that httpx has wrapped, or ``error`` itself."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLError):
            return inner
        inner = inner.__cause__ or inner.__context__
    return error


def legible(text: str, token: str, most: int = 300) -> str:
    """Make somebody else's text fit to show: without secrets, control characters escaped, not endless."""
    shown = visible(mask(text, token)[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}…"
