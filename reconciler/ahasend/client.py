"""Sessions that read, or read and write, the keys of accounts.

A GET is repeated where a retry may help. A PUT is sent once: whether it took effect is found out by reading, never by
sending it again, because a repeated PUT that changes nothing is answered with 400.
"""

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

import stamina
import stamina.instrumentation

from reconciler.ahasend.pace import Paces, Stop, unless
from reconciler.ahasend.transport import (
    POOL,
    Answer,
    Ask,
    Connection,
    Endpoint,
    Limits,
    Passing,
    ReadOnlyTransport,
    Transport,
    real_transport,
)
from reconciler.ahasend.wire import check_status, credential_name, keys_url, read_key, read_page, update_body
from reconciler.core.changes import Fields
from reconciler.core.events import Observer, RequestRetried
from reconciler.core.keys import AccountRef, RemoteKey
from reconciler.core.report import RequestCounts
from reconciler.errors import BadAnswer, RateLimited, SettingsError, UnsoundListing

__all__ = [
    "ClientConfig",
    "Endpoint",
    "KeyReader",
    "KeyWriter",
    "Limits",
    "ReadSession",
    "WriteSession",
    "open_reads",
    "open_writes",
]

type_result = TypeVar("type_result")

PAGE = 100
MOST_PAGES = 10_000
_TOKEN = re.compile(r"[!-~]+")
_UNSOUND_HINT = "so nothing is planned for this account; a later pass may find the list sound, else ask AhaSend"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What sessions are made of.

    ``token`` gives the bearer token of an account, or raises `SettingsError`; it is asked before each request, so that
    a rotated one is used. ``make_transport`` replaces the network. ``attempts`` are for one GET, the first included;
    after the first one waits up to ``backoff`` seconds, then up to twice that, and so on up to ``longest_backoff``.
    """

    endpoint: Endpoint
    paces: Paces
    stop: Stop
    observe: Observer
    token: Callable[[AccountRef], str]
    make_transport: Callable[[], Transport] | None = None
    limits: Limits = field(default_factory=Limits)
    attempts: int = 5
    backoff: float = 0.5
    longest_backoff: float = 10.0


class KeyReader:
    """Reads the keys of one account. Errors: every `RemoteError`, `SettingsError`, `Interrupted`."""

    def __init__(self, line: "_ReadLine") -> None:
        self._line = line

    async def list_keys(self) -> tuple[RemoteKey, ...]:
        """Give all keys, or raise: never a part of them. A list that shows a key twice is read once more."""
        keys: tuple[RemoteKey, ...] = ()
        for _ in range(2):
            keys = await self._whole_list()
            if len({key.id for key in keys}) == len(keys):
                return keys
        ((twice, _),) = Counter(key.id for key in keys).most_common(1)
        raise self._unsound(f"key {twice} came twice, and again when the list was read once more")

    async def get_key(self, key_id: str, *, patient: bool = False) -> RemoteKey:
        """Give one key. ``patient``: to see what a write did; goes on after a request to stop, until the grace ends."""
        stop = self._line.config.stop
        ask = self._line.ask("GET", f"reading key {key_id}", key_id)
        key = await self._line.get(ask, read_key, until=stop.abandoned if patient else stop.requested)
        return _same(key, key_id, ask)

    async def _whole_list(self) -> tuple[RemoteKey, ...]:
        line = self._line
        keys: list[RemoteKey] = []
        used: set[str] = set()
        query = {"limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            ask = line.ask("GET", "listing the keys", query=query)
            page, pagination = await line.get(ask, read_page, until=line.config.stop.requested)
            keys += page
            if not pagination.has_more:
                return tuple(keys)
            cursor = pagination.next_cursor
            if not cursor:
                raise self._unsound("a page says that more follow, and not where")
            if cursor in used:
                raise self._unsound("a cursor that was used already came again")
            if not page:
                raise self._unsound("an empty page says that more follow")
            used.add(cursor)
            query["after"] = cursor
        raise self._unsound(f"it has more than {MOST_PAGES} pages")

    def _unsound(self, why: str) -> UnsoundListing:
        return UnsoundListing(f"the list of keys of account {self._line.account}: {why}", hint=_UNSOUND_HINT)


class KeyWriter:
    """Changes keys of one account. Errors: as `KeyReader`."""

    def __init__(self, line: "_WriteLine") -> None:
        self._line = line

    async def update_key(
        self, key_id: str, fields: Fields, *, first: Callable[[], Awaitable[None]] | None = None
    ) -> RemoteKey:
        """Send the fields that differ, once, and give the key as the API says it is now.

        ``first`` is awaited when the request has its turn, however long that took, right before it is sent; what it
        raises forbids it. After any error but those of ``first``, `Rejected`, `Unauthorized`, `Forbidden`, `NotFound`,
        `RateLimited` and `SettingsError` the change may have been made, or may still be made: read the key.
        `Interrupted` before anything was sent says "interrupted" and no more.
        """
        ask = self._line.ask("PUT", f"changing key {key_id}", key_id, content=update_body(fields))
        return _same(await self._line.put(ask, read_key, first), key_id, ask)


def _same(key: RemoteKey, key_id: str, ask: Ask) -> RemoteKey:
    if key.id != key_id.lower():
        raise BadAnswer(f"{ask.deed}: the answer holds key {key.id}", hint="please report this: it should not happen")
    return key


class _ReadLine:
    """The way to one account in one session: its credential, its pace, its retries."""

    def __init__(
        self, config: ClientConfig, account: AccountRef, connection: Connection, lane: asyncio.Semaphore
    ) -> None:
        self.config = config
        self.account = account
        self.pace = config.paces.of(account)
        self._connection = connection
        # As wide as the pool: else many would hold a turn that they cannot use yet, and use them all at once later,
        # past any pause.
        self._lane = lane

    def ask(
        self,
        method: str,
        doing: str,
        key_id: str | None = None,
        *,
        query: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> Ask:
        url = keys_url(self.config.endpoint, self.account, key_id)
        return Ask(
            method=method,
            url=f"{url}?{urlencode(query)}" if query else url,
            account=self.account,
            deed=f"{doing} of account {self.account}",
            content=content,
        )

    async def get(self, ask: Ask, read: Callable[[Answer, Ask], type_result], *, until: asyncio.Event) -> type_result:
        """Send a GET until an answer can be read; raise `Interrupted` as soon as ``until`` is set."""
        # Deadlines of stamina's own do not see a loop whose time jumps; it only spaces the attempts.
        caller = stamina.AsyncRetryingCaller(attempts=self.config.attempts, timeout=None)
        try:
            return await unless(until, caller(_Retries(self, ask), self._attempt, ask, read))
        except Passing as passing:
            raise passing.error from None

    async def _attempt(self, ask: Ask, read: Callable[[Answer, Ask], type_result]) -> type_result:
        return read(await self.answer(ask, *await self.begin(ask)), ask)

    async def begin(
        self, ask: Ask, first: Callable[[], Awaitable[None]] | None = None
    ) -> tuple[asyncio.Task[Answer], str]:
        """Begin a request in its turn, after ``first``; give its task and the token that it carries."""
        await self._lane.acquire()
        try:
            await self.pace.turn()
            if first:
                await first()
            token = self._token()
            task = await self._connection.start(ask, token)
        except BaseException:
            self._lane.release()
            raise
        task.add_done_callback(self._landed)
        return task, token

    def _landed(self, task: asyncio.Task[Answer]) -> None:
        # Who waits for this lane wakes before anybody has looked at the answer: the turn he takes must not come from
        # a bucket that the server has just called empty.
        if not task.cancelled() and not task.exception() and task.result().status == HTTPStatus.TOO_MANY_REQUESTS:
            self.pace.pause(0)
        self._lane.release()

    async def answer(self, ask: Ask, task: asyncio.Task[Answer], token: str) -> Answer:
        """Wait for an answer, without passing a cancellation on to the request."""
        await asyncio.wait({task})
        answer = task.result()
        check_status(answer, ask, token)
        return answer

    def wait_after(self, passing: Passing, attempt: int) -> float:
        """Give the seconds to wait after a fault; after a 429 nobody sends anything to the account for that long."""
        wait = passing.retry_after
        if wait is None:
            most = min(self.config.backoff * 2.0 ** (attempt - 1), self.config.longest_backoff)
            wait = most * random.uniform(0.5, 1.0)  # noqa: S311 # spreads load, hides nothing
        if isinstance(passing.error, RateLimited):
            self.pace.pause(wait)
        return wait

    def _token(self) -> str:
        token = self.config.token(self.account)
        # Anything else would be shown by the error of whoever refuses the header.
        if not _TOKEN.fullmatch(token):
            raise SettingsError(
                f"{credential_name(self.account)} is empty or holds a blank, a line break or a special character",
                hint="it should be the secret key as AhaSend gave it, aha-sk- and 64 characters",
            )
        return token


class _WriteLine(_ReadLine):
    """A way on which something can be written."""

    async def put(
        self,
        ask: Ask,
        read: Callable[[Answer, Ask], type_result],
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> type_result:
        """Send a PUT once. A request to stop prevents it; once it is sent, only the end of the grace gives it up."""
        stop = self.config.stop
        task, token = await unless(stop.requested, self.begin(ask, first))
        lost = f"interrupted: {ask.deed}: it was sent, and the answer did not come in time"
        try:
            return read(await unless(stop.abandoned, self.answer(ask, task, token), lost), ask)
        except Passing as passing:
            self.wait_after(passing, attempt=1)
            raise passing.error from None


class _Retries:
    """Decides for one GET, after each failed attempt, whether and when there is another: stamina's hook."""

    def __init__(self, line: _ReadLine, ask: Ask) -> None:
        self._line = line
        self._ask = ask
        self._attempt = 0

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, Passing):
            return False
        self._attempt += 1
        wait = self._line.wait_after(error, self._attempt)
        if self._attempt == self._line.config.attempts:
            return False
        account_id = self._line.account.account_id
        with suppress(Exception):  # an observer may forbid a write, but break no reading
            self._line.config.observe(
                RequestRetried(account_id, self._ask.method, error.error.message, self._attempt, wait)
            )
        return wait


class ReadSession:
    """Connections of their own, for one pass, that can only read."""

    def __init__(self, config: ClientConfig, connection: Connection) -> None:
        self._config = config
        self._connection = connection
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(POOL))

    def reader(self, account: AccountRef) -> KeyReader:
        """Give what reads one account's keys."""
        return KeyReader(_ReadLine(self._config, account, self._connection, self._lane(account)))

    @property
    def requests(self) -> RequestCounts:
        """The requests sent so far, retries included."""
        return self._connection.requests

    def _lane(self, account: AccountRef) -> asyncio.Semaphore:
        return self._lanes[account.account_id.lower()]


class WriteSession(ReadSession):
    """Connections of their own, for one pass, that can read and write."""

    def writer(self, account: AccountRef) -> KeyWriter:
        """Give what changes one account's keys."""
        return KeyWriter(_WriteLine(self._config, account, self._connection, self._lane(account)))


@asynccontextmanager
async def open_reads(config: ClientConfig) -> AsyncIterator[ReadSession]:
    """Open a session below which nothing but GET gets through."""
    async with _connection(config, ReadOnlyTransport(_transport(config))) as connection:
        yield ReadSession(config, connection)


@asynccontextmanager
async def open_writes(config: ClientConfig) -> AsyncIterator[WriteSession]:
    """Open a session that can write."""
    async with _connection(config, _transport(config)) as connection:
        yield WriteSession(config, connection)


def _transport(config: ClientConfig) -> Transport:
    return config.make_transport() if config.make_transport else real_transport(config.endpoint)


@asynccontextmanager
async def _connection(config: ClientConfig, transport: Transport) -> AsyncIterator[Connection]:
    # For the whole process, stamina knows no other way: its own lines would come between a command's results, and
    # an observer is told of every retry.
    stamina.instrumentation.set_on_retry_hooks(())
    connection = Connection(transport, config.limits)
    try:
        yield connection
    finally:
        await connection.close(config.stop.abandoned)
