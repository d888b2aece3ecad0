"""Notifications: the addresses as the secrets have them at the moment, and the worker that sends to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from reconciler.cli.wiring import Secrets
from reconciler.core.events import NotificationFailed, Observer
from reconciler.errors import SettingsError
from reconciler.notify.addresses import Address, Addresses, check_installed, read_addresses
from reconciler.notify.delivery import Letter, Receipt
from reconciler.notify.sending import Sender
from reconciler.settings import notify_addresses

if TYPE_CHECKING:
    from reconciler.daemon.notifier import Notifier
    from reconciler.daemon.trail import Trail
    from reconciler.render.notice import Message

_FORMAT: Final = "an address of Apprise a line, such as mailto://user:password@example.com, or owner=address"


class AddressBook:
    """The addresses of notifications, as they are now; every secret that ever was in one is masked.

    Text that is gone, empty or cannot be read changes nothing: perhaps it is just being replaced.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._text = ""
        self._read = Addresses()

    def read(self) -> tuple[Address, ...]:
        """Give the addresses, none where none are set.

        Raises:
            SettingsError: they cannot be read, one is not understood, or what sends to addresses is not installed.
        """
        self._renew()
        if self._read.wrong:
            told = "; ".join(f"{each.place} {each.reason}" for each in self._read.wrong)
            raise SettingsError(f"RECONCILER_NOTIFY: {told}", hint=f"write {_FORMAT}; see docs/notifications.md")
        return self._read.addresses

    def current(self, tell: Observer) -> tuple[Address, ...]:
        """Give the addresses as they are by now; what is none is told of, once, and left out."""
        with suppress(SettingsError):
            if self._renew():
                for each in self._read.wrong:
                    tell(NotificationFailed(each.place, f"the address {each.reason}; it is left out", 0, None))
        return self._read.addresses

    def find(self, identity: str) -> Address | None:
        """Give an address by what it is known by; None where it is not there any more."""
        return next((each for each in self._read.addresses if each.identity == identity), None)

    def _renew(self) -> bool:
        """Read the text, if it is another one than before, and tell whether it is; remember its secrets anew."""
        text = notify_addresses()
        renewed = bool(text.strip()) and text != self._text
        if renewed:
            check_installed()
            self._text, self._read = text, read_addresses(text)
        for each in self._read.addresses:
            self._secrets.hide_address(each.secrets)
        return renewed


class Office:
    """Sends the messages of a notifier to the addresses of a book."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book
        self.sender = Sender()

    async def __call__(self, identity: str, message: "Message", taken: tuple[str, ...]) -> Receipt:
        """Send to the address that is known by ``identity``, but not to recipients who took it already."""
        address = self._book.find(identity)
        if address is None:
            return Receipt("it is not set any more")
        return await self.sender.send(address, Letter(message.title, message.body, message.urgency, taken))


@dataclass(frozen=True, slots=True)
class Notifying:
    """What notifies people, and what sends for it."""

    notifier: "Notifier"
    office: Office


def make_notifier(
    secrets: Secrets, tell: Observer, trail: "Trail | None", every: timedelta, page_url: str | None
) -> Notifying | None:
    """Give what notifies people, None where no addresses are set.

    Raises:
        SettingsError: as `AddressBook.read`.
    """
    book = AddressBook(secrets)
    if not book.read():
        return None
    from reconciler.daemon.notifier import Notifier, Post, Terms

    office = Office(book)
    post = Post(lambda: book.current(tell), office)
    return Notifying(Notifier(post, Terms(every, page_url, lambda: tuple(secrets())), tell, trail), office)


@asynccontextmanager
async def notifying(what: Notifying | None) -> AsyncIterator[None]:
    """Let people be notified while the block lasts, and a moment longer."""
    if what is None:
        yield
        return
    working = asyncio.create_task(what.notifier.run())
    try:
        yield
    finally:
        working.cancel()
        await what.notifier.stop()
        what.office.sender.end()
