"""Tells people what passes showed: an observer that takes notice at once, and a worker beside that sends in its time.

Nothing that an address does delays a pass, or the end of the daemon by more than a moment. There is no queue: each
address is told by how things stand when its turn comes, at most one message at a time and one in `Terms.every`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from reconciler.core.concerns import Facts, observe
from reconciler.core.events import (
    ConfigRejected,
    DaemonFaulted,
    Event,
    NotificationFailed,
    NotificationSent,
    Observer,
    PassFailed,
    PassFinished,
    PassStarted,
)
from reconciler.core.report import Report
from reconciler.core.rests import doubled
from reconciler.core.telling import FORGOTTEN, Ledger, Notice, Situation, owner_tag
from reconciler.daemon.service import told
from reconciler.daemon.told import WHOLE_AFTER, Register, recall, to_store
from reconciler.daemon.trail import Trail
from reconciler.errors import TrailError, mask
from reconciler.notify.delivery import Receipt
from reconciler.render.notice import Message, render

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=15)
"""How long an address is left alone after it failed: longer each time."""
LAST_MOMENT: Final = 2.0
"""Seconds that the end of the daemon waits for messages that are under way."""
_SOON: Final = 10.0
"""Seconds after which the worker goes on where an error that nobody foresaw stopped it."""


class Recipient(Protocol):
    """An address as far as it matters here: how it is called, and the owners of keys that it hears of."""

    @property
    def identity(self) -> str:
        """What it is known by, whatever it is called, and whatever its password; no secret."""
        ...

    @property
    def name(self) -> str:
        """What it is called where people see it; no secret."""
        ...

    @property
    def tags(self) -> frozenset[str]:
        """The owners; empty: it hears of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Post:
    """Where messages go, and how: the addresses as they are at the moment, and what sends to one of them.

    ``send`` takes what identifies an address, a message, and the recipients who have it already. It comes to an end
    within a time of its own, and does not raise.
    """

    addresses: Callable[[], Sequence[Recipient]]
    send: Callable[[str, Message, tuple[str, ...]], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class Terms:
    """How often an address may get a message, where the status page is, and what masks secrets."""

    every: timedelta
    page_url: str | None
    secrets: Callable[[], Sequence[str]]


@dataclass(slots=True)
class _Box:
    """How it stands with one address.

    ``free_at`` is when it may get the next message, on the loop's clock; of ``told_all_of`` nothing was due any more;
    ``left`` is when it was first not there any more. ``tried`` is the message that was not delivered, and ``taken`` who
    took it anyway.
    """

    ledger: Ledger = field(default_factory=Ledger)
    name: str = ""
    left: datetime | None = None
    tried: Message | None = None
    taken: tuple[str, ...] = ()
    address: Recipient | None = None
    told_all_of: Situation | None = None
    free_at: float = 0.0
    failures: int = 0
    sending: asyncio.Task[None] | None = None

    def is_of(self, address: Recipient) -> None:
        """Take an address as it is by now; one that failed is tried at once where it is another one, as mended."""
        if address != self.address and self.failures:
            self.failures, self.free_at = 0, 0.0
        self.address, self.name, self.left = address, address.name, None

    def is_forgotten(self, now: datetime) -> bool:
        """Tell whether it is not there any more, and has not been for long; a moment is none, as when texts change."""
        self.left = self.left or now
        return self.sending is None and now - self.left >= FORGOTTEN

    @property
    def register(self) -> Register:
        """What it was told, to be stored."""
        return Register(self.ledger, self.name, self.left)


class Notifier:
    """An observer that never raises, and the worker that `run` is."""

    def __init__(self, post: Post, terms: Terms, tell: Observer, trail: Trail | None = None) -> None:
        """Begin with what the trail says was told before.

        Args:
            post: Where messages go.
            terms: How often.
            tell: Is told of deliveries and failures.
            trail: Where what was told is remembered over a restart.
        """
        self._post = post
        self._terms = terms
        self._tell = tell
        self._trail = trail
        self._situation, registers = recall(trail.path, datetime.now(UTC)) if trail else (Situation(), {})
        self._boxes = {identity: _Box(each.ledger, each.name, each.left) for identity, each in registers.items()}
        self._stored_since_whole: int | None = None
        self._rejected: str | None = None
        self._in_pass = False
        self._has_looked = False
        self._owners: frozenset[str] | None = None
        self._ownerless: set[tuple[str, str]] = set()
        self._woken = asyncio.Event()

    # The observer

    def __call__(self, event: Event) -> None:
        """Take notice of an event; what goes wrong in that is told, and disturbs nothing."""
        try:
            self._note(event)
        except Exception as error:  # noqa: BLE001 # at a write that begins, raising would forbid it
            self._faulted(error)

    def _note(self, event: Event) -> None:
        match event:
            case PassStarted(config_age=age):
                self._in_pass = True
                self._rejected = None if age is None else self._rejected
            case ConfigRejected(problems, message):
                self._rejected = f"{message}: {problems[0]}" if problems else message
                if self._in_pass:  # a pass that ends by it
                    self._learn(None)
            case PassFinished(report=report):
                self._learn(report)
            case PassFailed(error=error):
                self._learn(None, error)
            case _:
                pass

    def _learn(self, report: Report | None, failed: str | None = None) -> None:
        self._in_pass = False
        facts = Facts(self._rejected, self._trail.problem if self._trail else None, failed)
        awaited = frozenset(matter for box in self._boxes.values() for matter in box.ledger.awaited)
        seen = observe(report, facts)
        if seen.owners is not None:
            self._owners = frozenset(map(owner_tag, seen.owners))
        self._situation = self._situation.after(seen, datetime.now(UTC), awaited)
        self._has_looked = True
        self._woken.set()

    def _faulted(self, error: Exception) -> None:
        with suppress(Exception):
            self._tell(DaemonFaulted(*told(error)))

    # The worker

    async def run(self) -> None:
        """Send what is due, whenever something may be, until cancelled."""
        while True:
            self._woken.clear()
            try:
                wait = self._send_what_is_due()
            except Exception as error:  # noqa: BLE001 # people must hear of the next pass, whatever this was
                self._faulted(error)
                wait = _SOON
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait)

    async def stop(self) -> None:
        """Wait a moment for messages that are under way."""
        if sending := [box.sending for box in self._boxes.values() if box.sending is not None]:
            await asyncio.wait(sending, timeout=LAST_MOMENT)

    def _send_what_is_due(self) -> float | None:
        """Begin to send to each address that is free and is to be told something; give the seconds to the next look.

        Before the first pass nothing is: what stood before a restart may be over.
        """
        if not self._has_looked:
            return None
        clock, waits = asyncio.get_running_loop().time(), []
        addresses = self._post.addresses()
        self._forget({each.identity for each in addresses})
        for address in addresses:
            box = self._boxes.setdefault(address.identity, _Box())
            box.is_of(address)
            if box.sending is not None or box.told_all_of is self._situation:
                continue
            self._doubt_tags(address)
            if box.free_at > clock:
                waits.append(box.free_at - clock)
            elif notice := box.ledger.due(self._situation, datetime.now(UTC), address.tags):
                box.sending = asyncio.create_task(self._serve(address.identity, box, notice))
            else:
                box.told_all_of = self._situation
        return min(waits, default=None)

    def _forget(self, present: AbstractSet[str]) -> None:
        """Forget what addresses were told that have not been there for long."""
        now = datetime.now(UTC)
        for identity in [each for each, box in self._boxes.items() if each not in present and box.is_forgotten(now)]:
            del self._boxes[identity]

    def _doubt_tags(self, address: Recipient) -> None:
        """Tell once of a tag that is nobody: what is told to the owner of no key is told to nobody."""
        if self._owners is None:
            return
        for tag in sorted(address.tags - self._owners):
            if (address.identity, tag) not in self._ownerless:
                self._ownerless.add((address.identity, tag))
                self._tell(NotificationFailed(address.name, f"no key has the owner {tag}", 0, None))

    async def _serve(self, identity: str, box: _Box, notice: Notice) -> None:
        """Send one notice, and note what became of it."""
        try:
            await self._deliver(identity, box, notice)
        except Exception as error:  # noqa: BLE001 # a text that cannot be written, say; the other addresses go on
            self._failed(box, type(error).__name__)
            self._faulted(error)
        finally:
            box.sending = None
            self._woken.set()

    async def _deliver(self, identity: str, box: _Box, notice: Notice) -> None:
        secrets = tuple(self._terms.secrets())
        message = render(notice, self._terms.page_url, lambda text: mask(text, *secrets))
        taken = box.taken if message == box.tried else ()
        receipt = await self._post.send(identity, message, taken)
        if receipt.error is not None:
            box.tried, box.taken = message, (*taken, *receipt.taken)
            self._failed(box, receipt.error)
            return
        box.tried, box.taken, box.failures = None, (), 0
        box.free_at = asyncio.get_running_loop().time() + self._terms.every.total_seconds()
        box.ledger = box.ledger.after(notice, datetime.now(UTC))
        self._remember(identity, box, notice)
        self._tell(NotificationSent(box.name, len(notice.news), len(notice.over), len(notice.reminders)))

    def _failed(self, box: _Box, error: str) -> None:
        pause = doubled(FIRST_PAUSE, box.failures, LONGEST_PAUSE).total_seconds()
        box.failures += 1
        box.free_at = asyncio.get_running_loop().time() + pause
        self._tell(NotificationFailed(box.name, error, box.failures, pause))

    def _remember(self, identity: str, box: _Box, notice: Notice) -> None:
        """Store what an address was told just now, and now and then all that anybody was told.

        Where that is not possible, a restart tells it once more, and the trail its problem.
        """
        if self._trail is None:
            return
        stored = self._stored_since_whole
        with suppress(TrailError):
            if stored is None or stored > WHOLE_AFTER:
                registers = {each: other.register for each, other in self._boxes.items()}
                self._trail.store_notified(to_store(self._situation, registers))
                self._stored_since_whole = 0
            else:
                told = to_store(self._situation, {identity: box.register}, notice.matters)
                self._stored_since_whole = stored + self._trail.store_notified(told)
