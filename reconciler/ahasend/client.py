"""Sessions that read, or read and write, what accounts have."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar
from urllib.parse import urlencode

import stamina.instrumentation

from reconciler.ahasend.line import ClientConfig, Lanes, ReadLine, WriteLine
from reconciler.ahasend.pace import Stop
from reconciler.ahasend.transport import (
    Answer,
    Ask,
    Connection,
    Endpoint,
    Limits,
    ReadOnlyTransport,
    Resource,
    Transport,
    real_transport,
)
from reconciler.ahasend.wire import (
    WirePagination,
    keys_url,
    list_url,
    read_domains,
    read_key,
    read_page,
    read_sub_accounts,
    update_body,
)
from reconciler.core.changes import Fields
from reconciler.core.keys import AccountRef, RemoteKey, RemoteSubAccount
from reconciler.core.report import RequestCounts
from reconciler.errors import BadAnswer, UnsoundListing

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

type_entry = TypeVar("type_entry")

PAGE = 100
MOST_PAGES = 10_000
_DELETED = "deleted"
_UNSOUND_HINT = "so nothing is planned for this account; a later pass may find the list sound, else ask AhaSend"


@dataclass(frozen=True, slots=True)
class _Listing(Generic[type_entry]):
    """A list that comes in pages: of what, how a page is read, and what must not come twice in it."""

    resource: Resource
    read: Callable[[Answer, Ask], tuple[tuple[type_entry, ...], WirePagination]]
    identity: Callable[[type_entry], str]


_KEYS: _Listing[RemoteKey] = _Listing(Resource.KEY, read_page, attrgetter("id"))
_DOMAINS: _Listing[str] = _Listing(Resource.DOMAIN, read_domains, str)


class KeyReader:
    """Reads what one account has. Errors: every `RemoteError`, `SettingsError`, `Interrupted`.

    Of a list all is given or an error, never a part. A list that shows something twice is read once more.
    """

    def __init__(self, line: ReadLine) -> None:
        self._line = line

    async def list_keys(self) -> tuple[RemoteKey, ...]:
        """Give all keys."""
        return await self._sound(_KEYS)

    async def list_sub_accounts(
        self, seen: Callable[[tuple[RemoteSubAccount, ...]], None] | None = None
    ) -> tuple[RemoteSubAccount, ...]:
        """Give all sub accounts of an account but the deleted ones.

        ``seen`` is told of each page when it comes, so that work on it need not wait for the last one; what it is told
        counts for nothing until the whole list was given, and where that is read once more it is told again. Each page
        is asked for ahead of the account's other requests, so that this work does not hold up the list.
        """

        def read(answer: Answer, ask: Ask) -> tuple[tuple[RemoteSubAccount, ...], WirePagination]:
            page, pagination = read_sub_accounts(answer, ask)
            if seen:
                seen(_not_deleted(page))
            return page, pagination

        return _not_deleted(await self._sound(_Listing(Resource.SUB_ACCOUNT, read, attrgetter("id"))))

    async def list_domains(self) -> frozenset[str]:
        """Give the canonical names of all domains of an account."""
        return frozenset(await self._sound(_DOMAINS))

    async def get_key(self, key_id: str, *, patient: bool = False) -> RemoteKey:
        """Give one key. ``patient``: to see what a write did; goes on after a request to stop, until the grace ends."""
        ask = _about_key(self._line, "GET", f"reading key {key_id}", key_id)
        return _same(await self._line.get(ask, read_key, patient=patient), key_id, ask)

    async def _sound(self, listing: _Listing[type_entry]) -> tuple[type_entry, ...]:
        entries: tuple[type_entry, ...] = ()
        for _ in range(2):
            entries = await self._whole(listing)
            if len(set(map(listing.identity, entries))) == len(entries):
                return entries
        ((twice, _),) = Counter(map(listing.identity, entries)).most_common(1)
        why = f"{listing.resource} {twice} came twice, and again when the list was read once more"
        raise self._unsound(listing.resource, why)

    async def _whole(self, listing: _Listing[type_entry]) -> tuple[type_entry, ...]:
        line, resource = self._line, listing.resource
        url = list_url(line.config.endpoint, line.account, resource)
        deed = f"listing the {resource}s of account {line.account}"
        entries: list[type_entry] = []
        used: set[str] = set()
        query = {"limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            ask = Ask("GET", f"{url}?{urlencode(query)}", line.account, deed, resource=resource)
            page, pagination = await line.get(ask, listing.read)
            entries += page
            if not pagination.has_more:
                return tuple(entries)
            cursor = pagination.next_cursor
            if not cursor:
                raise self._unsound(resource, "a page says that more follow, and not where")
            if cursor in used:
                raise self._unsound(resource, "a cursor that was used already came again")
            if not page:
                raise self._unsound(resource, "an empty page says that more follow")
            if resource is Resource.KEY:
                line.tell_of_progress(len(entries))
            used.add(cursor)
            query["after"] = cursor
        raise self._unsound(resource, f"it has more than {MOST_PAGES} pages")

    def _unsound(self, resource: Resource, why: str) -> UnsoundListing:
        return UnsoundListing(f"the list of {resource}s of account {self._line.account}: {why}", hint=_UNSOUND_HINT)


class KeyWriter:
    """Changes keys of one account. Errors: as `KeyReader`."""

    def __init__(self, line: WriteLine) -> None:
        self._line = line

    async def update_key(
        self, key_id: str, fields: Fields, *, first: Callable[[], Awaitable[None]] | None = None
    ) -> RemoteKey:
        """Send the fields that differ, once, and give the key as the API says it is now.

        ``first`` is awaited when the request has its turn and a connection, however long that took, and the request is
        sent when it ends, without any wait; what it raises forbids it. It may read through this session, in whose pace
        and connections that has its own part. It is awaited again where a 401 makes the request go once more, with
        another credential.
        After any error but those of ``first``, `Rejected`, `Unauthorized`, `Forbidden`, `NotFound`, `RateLimited` and
        `SettingsError` the change may have been made, or may still be made: read the key. `Interrupted` before anything
        was sent says the stop's reason and no more.
        """
        ask = _about_key(self._line, "PUT", f"changing key {key_id}", key_id, update_body(fields))
        return _same(await self._line.put(ask, read_key, first), key_id, ask)


def _not_deleted(sub_accounts: Iterable[RemoteSubAccount]) -> tuple[RemoteSubAccount, ...]:
    return tuple(one for one in sub_accounts if one.status != _DELETED)


def _about_key(line: ReadLine, method: str, doing: str, key_id: str, content: bytes | None = None) -> Ask:
    url = keys_url(line.config.endpoint, line.account, key_id)
    return Ask(method, url, line.account, f"{doing} of account {line.account}", content)


def _same(key: RemoteKey, key_id: str, ask: Ask) -> RemoteKey:
    if key.id != key_id.lower():
        raise BadAnswer(f"{ask.deed}: the answer holds key {key.id}", hint="please report this: it should not happen")
    return key


class ReadSession:
    """Connections of their own, for one pass, that can only read."""

    def __init__(self, config: ClientConfig, connection: Connection) -> None:
        self._config = config
        self._connection = connection
        self._lanes: defaultdict[str, Lanes] = defaultdict(Lanes)

    def reader(self, account: AccountRef, stop: Stop | None = None) -> KeyReader:
        """Give what reads one account, until ``stop`` (the configuration's) says otherwise."""
        line = ReadLine(self._config, account, self._connection, self._lanes_of(account), stop or self._config.stop)
        return KeyReader(line)

    @property
    def requests(self) -> RequestCounts:
        """The requests sent so far, retries included."""
        return self._connection.requests

    def _lanes_of(self, account: AccountRef) -> Lanes:
        return self._lanes[account.account_id.lower()]


class WriteSession(ReadSession):
    """Connections of their own, for one pass, that can read and write."""

    def writer(self, account: AccountRef, stop: Stop | None = None) -> KeyWriter:
        """Give what changes one account's keys, until ``stop`` (the configuration's) says otherwise."""
        line = WriteLine(self._config, account, self._connection, self._lanes_of(account), stop or self._config.stop)
        return KeyWriter(line)


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
