"""Notifications: the addresses as the secrets have them at the moment, and the worker that sends to them."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from reconciler.cli.wiring import Secrets
from reconciler.core.events import NotificationFailed, Observer
from reconciler.errors import SettingsError
from reconciler.notify import Address, Addresses, check_installed, read_addresses, send
from reconciler.settings import notify_addresses

if TYPE_CHECKING:
    from reconciler.daemon.notifier import Notifier
    from reconciler.daemon.trail import Trail
    from reconciler.render.notice import Message

MOST_THREADS: Final = 8
"""So many messages are under way at a time; an address that hangs keeps its thread until it gives up."""
_FORMAT = "an address of Apprise a line, such as mailto://user:password@example.com, or owner=address"


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
            SettingsError: a line is not understood, or what sends to addresses is not installed.
        """
        self._renew()
        if self._read.wrong:
            lines = ", ".join(map(str, self._read.wrong))
            plural = "s" if len(self._read.wrong) > 1 else ""
            hint = f"write {_FORMAT}; see docs/notifications.md"
            raise SettingsError(f"RECONCILER_NOTIFY: line{plural} {lines} not understood", hint=hint)
        return self._read.addresses

    def current(self, tell: Observer) -> tuple[Address, ...]:
        """Give the addresses as they are by now; lines that are not understood are told of, once, and left out."""
        with suppress(SettingsError):
            if self._renew():
                for line in self._read.wrong:
                    tell(NotificationFailed(f"line {line}", "the address is not understood, and left out", 0, None))
        return self._read.addresses

    def find(self, name: str) -> Address | None:
        """Give an address by its name; None where it is not there any more."""
        return next((each for each in self._read.addresses if each.name == name), None)

    def _renew(self) -> bool:
        """Read the text, if it is another one than before, and tell whether it is; remember its secrets anew."""
        text = notify_addresses()
        renewed = bool(text.strip()) and text != self._text
        if renewed:
            check_installed()
            self._text, self._read = text, read_addresses(text)
        for each in self._read.addresses:
            for secret in each.secrets:
                self._secrets.hide(secret)
        return renewed


class Sender:
    """Sends messages in threads of its own, which nobody waits for at the end of the process."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book
        self._threads = ThreadPoolExecutor(MOST_THREADS, "notify")

    async def __call__(self, name: str, message: "Message") -> str | None:
        """Send to the address of that name; give why it was not delivered, or None where it was."""
        address = self._book.find(name)
        if address is None:
            return "it is not set any more"
        loop, told = asyncio.get_running_loop(), (message.title, message.body, message.urgency)
        return await loop.run_in_executor(self._threads, send, address, *told)


def make_notifier(
    secrets: Secrets, tell: Observer, trail: "Trail | None", every: timedelta, page_url: str | None
) -> "Notifier | None":
    """Give what notifies people, None where no addresses are set.

    Raises:
        SettingsError: as `AddressBook.read`.
    """
    book = AddressBook(secrets)
    if not book.read():
        return None
    from reconciler.daemon.notifier import Notifier, Post, Terms

    post = Post(lambda: book.current(tell), Sender(book))
    return Notifier(post, Terms(every, page_url, lambda: tuple(secrets())), tell, trail)


@asynccontextmanager
async def notifying(notifier: "Notifier | None") -> AsyncIterator[None]:
    """Let people be notified while the block lasts, and a moment longer."""
    if notifier is None:
        yield
        return
    working = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        working.cancel()
        await notifier.stop()
