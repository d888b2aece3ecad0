"""The way to one account: its credential, its pace, its retries.

A GET is repeated where a retry may help. A PUT is sent once: whether it took effect is found out by reading, never by
sending it again, because a repeated PUT that changes nothing is answered with 400. Both are sent once more with another
credential where the one that they carried is refused and has been replaced meanwhile.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar

import stamina

from reconciler.ahasend.pace import Paces, Stop, unless
from reconciler.ahasend.transport import POOL, Answer, Ask, Connection, Endpoint, Limits, Passing, Resource, Transport
from reconciler.ahasend.wire import check_status, credential_name
from reconciler.core.events import ListingProgressed, Observer, RequestEnded, RequestRetried
from reconciler.core.keys import AccountRef
from reconciler.errors import RateLimited, RemoteError, SettingsError, Unauthorized

type_result = TypeVar("type_result")

First = Callable[[], Awaitable[None]]
Read = Callable[[Answer, Ask], type_result]

_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What sessions are made of.

    ``token`` gives the bearer token of an account, or raises `SettingsError`; it is asked before each request, so that
    a rotated one is used. Its second argument, if not None, is the token that the API has just refused: then its source
    is read anew. ``make_transport`` replaces the network. ``attempts`` are for one GET, the first included; after the
    first one waits up to ``backoff`` seconds, then up to twice that, and so on up to ``longest_backoff``.
    """

    endpoint: Endpoint
    paces: Paces
    stop: Stop
    observe: Observer
    token: Callable[[AccountRef, str | None], str]
    make_transport: Callable[[], Transport] | None = None
    limits: Limits = field(default_factory=Limits)
    attempts: int = 5
    backoff: float = 0.5
    longest_backoff: float = 10.0


class ReadLine:
    """A way on which something can be read; it lives for one session, and gives up when ``stop`` says so."""

    def __init__(
        self, config: ClientConfig, account: AccountRef, connection: Connection, lanes: "Lanes", stop: Stop
    ) -> None:
        self.config = config
        self.account = account
        self.stop = stop
        self.pace = config.paces.of(account)
        self._connection = connection
        self._lanes = lanes

    async def get(self, ask: Ask, read: Read[type_result], *, patient: bool = False) -> type_result:
        """Send a GET until an answer can be read; raise `Interrupted` as soon as asked to stop.

        ``patient``: only as soon as the grace is over.
        """
        until = self.stop.abandoned if patient else self.stop.requested
        return await unless(until, _Get(self, ask, read).answered(), self.why)

    def why(self) -> str:
        """Say why this way ends."""
        return self.stop.reason

    async def begin(self, ask: Ask, first: First | None = None, token: str | None = None) -> "Begun":
        """Begin a request in its turn, right after ``first``, with ``token`` or with the one that is in force then."""
        self.give_back()
        slot = self._connection.slots.slot()
        clock = asyncio.get_running_loop().time
        await self._lanes.all.acquire()
        try:
            asked = clock()
            # Work waits for each page of this list; behind that work at a slow pace it would run out of its own time.
            await self.pace.turn(ahead=ask.resource is Resource.SUB_ACCOUNT)
            waited = clock() - asked
            # After the turn, for which an account may wait long: meanwhile the others use the connections.
            await (slot.take_for(first) if first else slot.take())
            # From here on nothing is awaited: what `first` saw is what is written to.
            token = token or self.token()
            task = self._connection.start(ask, token, slot)
        except BaseException:
            slot.let_go()
            self._lanes.all.release()
            raise
        begun = Begun(ask, token, task, clock(), waited)
        task.add_done_callback(lambda _task: self._landed(begun))
        return begun

    def _landed(self, begun: "Begun") -> None:
        # Who waits for this lane wakes before anybody has looked at the answer: the turn he takes must not come from
        # a bucket that the server has just called empty.
        if begun.met_the_limit:
            self.pace.refused(begun.time)
        self._lanes.all.release()
        self._tell_of_end(begun)

    def wait_after(self, passing: Passing, attempt: int) -> float:
        """Give the seconds to wait after a fault; after a 429 nobody sends anything to the account for that long."""
        wait = passing.retry_after
        if wait is None:
            most = min(self.config.backoff * 2.0 ** (attempt - 1), self.config.longest_backoff)
            wait = most * random.uniform(0.5, 1.0)  # noqa: S311 # spreads load, hides nothing
        if isinstance(passing.error, RateLimited):
            self.pace.pause(wait)
        return wait

    def give_back(self) -> None:
        """Before a wait, let others use the connection of the write whose look this is."""
        self._connection.slots.give_back()

    def tell_of_retry(self, ask: Ask, error: RemoteError, attempt: int, wait: float) -> None:
        """Tell the observer that a request is sent again."""
        with suppress(Exception):  # an observer may forbid a write, but break no reading
            self.config.observe(RequestRetried(self.account.account_id, ask.method, error.message, attempt, wait))

    def tell_of_progress(self, keys: int) -> None:
        """Tell the observer how many keys were listed so far."""
        with suppress(Exception):  # as above
            self.config.observe(ListingProgressed(self.account, keys))

    def _tell_of_end(self, begun: "Begun") -> None:
        """Tell the observer that a request is over."""
        seconds = asyncio.get_running_loop().time() - begun.time
        account_id, method = self.account.account_id, begun.ask.method
        with suppress(Exception):  # as above: what was asked or written stands, whoever fails to take note of it
            self.config.observe(RequestEnded(account_id, method, begun.status, seconds, begun.waited))

    def token(self, refused: str | None = None) -> str:
        """Give the account's token, read anew where one was ``refused``; raise `SettingsError` where there is none."""
        token = self.config.token(self.account, refused)
        # Anything else would be shown by the error of whoever refuses the header.
        if not _TOKEN.fullmatch(token):
            raise SettingsError(
                f"{credential_name(self.account)} is empty or holds a blank, a line break or a special character",
                hint="it should be the secret key as AhaSend gave it, aha-sk- and 64 characters",
            )
        return token

    async def answer(self, begun: "Begun") -> Answer:
        """Wait for an answer, without passing a cancellation on to the request."""
        await asyncio.wait({begun.task})
        answer = begun.task.result()
        check_status(answer, begun.ask, begun.token)
        return answer

    def replacement(self, begun: "Begun", refusal: Unauthorized) -> str | None:
        """Give the token to send a refused request once more with, None where there is no other."""
        token = self.token(begun.token)
        if token == begun.token:
            return None
        self.tell_of_retry(begun.ask, refusal, attempt=1, wait=0.0)
        return token


@dataclass(frozen=True, slots=True)
class Lanes:
    """How many requests of an account and its sub accounts are under way at once, in one session.

    ``all`` is as wide as the pool: else many would hold a turn that they cannot use yet, and use them all at once
    later, past any pause. ``writes`` is narrower: what comes first of a write may be a request too, and must find room.
    """

    all: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POOL))
    writes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POOL // 2))


class WriteLine(ReadLine):
    """A way on which something can be written."""

    async def put(self, ask: Ask, read: Read[type_result], first: First | None = None) -> type_result:
        """Send a PUT once. A request to stop prevents it; once it is sent, only the end of the grace gives it up.

        One that was answered with 401 wrote nothing: where there is another token by now it is sent again, ``first``
        included.
        """
        begun = await self._begin_unless_stopped(ask, first)
        try:
            return await self._outcome(begun, read)
        except Unauthorized as refusal:
            token = self.replacement(begun, refusal)
            if token is None:
                raise
        return await self._outcome(await self._begin_unless_stopped(ask, first, token), read)

    async def _begin_unless_stopped(self, ask: Ask, first: First | None, token: str | None = None) -> "Begun":
        return await unless(self.stop.requested, self._begin_write(ask, first, token), self.why)

    async def _begin_write(self, ask: Ask, first: First | None, token: str | None) -> "Begun":
        async with self._lanes.writes:
            return await self.begin(ask, first, token)

    async def _outcome(self, begun: "Begun", read: Read[type_result]) -> type_result:
        def lost() -> str:
            return f"{self.stop.reason}: {begun.ask.deed}: it was sent, and the answer did not come in time"

        try:
            return read(await unless(self.stop.abandoned, self.answer(begun), lost), begun.ask)
        except Passing as passing:
            self.wait_after(passing, attempt=1)
            raise passing.error from None


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was begun: its task, the token that it carries, and the loop's time at which it began.

    Before that it had ``waited`` so many seconds for the pace.
    """

    ask: Ask
    token: str
    task: asyncio.Task[Answer]
    time: float
    waited: float

    @property
    def status(self) -> int | None:
        """The status of its answer, once it is over; None where none came."""
        task = self.task
        return None if task.cancelled() or task.exception() else task.result().status

    @property
    def met_the_limit(self) -> bool:
        """Whether it was answered with 429."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS


class _Get(Generic[type_result]):
    """One GET with its retries."""

    def __init__(self, line: ReadLine, ask: Ask, read: Read[type_result]) -> None:
        self._line = line
        self._ask = ask
        self._read = read
        self._faults = 0
        self._first: Passing | None = None
        self._renewed = False

    async def answered(self) -> type_result:
        """Send it until an answer can be read, or until there were too many attempts."""
        try:
            return await self._attempt()
        except Passing as passing:
            self._first = passing
        # Deadlines of stamina's own do not see a loop whose time jumps; it only spaces the attempts.
        caller = stamina.AsyncRetryingCaller(attempts=self._line.config.attempts, timeout=None)
        try:
            return await caller(self._rest, self._again)
        except Passing as passing:
            raise passing.error from None

    async def _again(self) -> type_result:
        # Most requests need no second attempt, and stamina is worth its time only to those that do.
        if self._first:
            first, self._first = self._first, None
            raise first
        return await self._attempt()

    async def _attempt(self, token: str | None = None) -> type_result:
        begun = await self._line.begin(self._ask, token=token)
        try:
            return self._read(await self._line.answer(begun), self._ask)
        except Unauthorized as refusal:
            token = None if self._renewed else self._line.replacement(begun, refusal)
            if token is None:
                raise
            self._renewed = True
        return await self._attempt(token)

    def _rest(self, error: Exception) -> bool | float:
        """Decide, after a failed attempt, whether and when there is another: stamina's hook."""
        if not isinstance(error, Passing):
            return False
        self._faults += 1
        wait = self._line.wait_after(error, self._faults)
        if self._faults == self._line.config.attempts:
            return False
        self._line.give_back()
        self._line.tell_of_retry(self._ask, error.error, self._faults, wait)
        return wait
