"""``reconciler notify``: lists the addresses of notifications, and sends a test message to each."""

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.values import SwitchType
from reconciler.errors import UsageError, mask, visible

if TYPE_CHECKING:
    from concurrent.futures import Future

    from reconciler.cli.wiring import Secrets
    from reconciler.notify import Address


@click.command("notify", cls=Command, short_help="List the addresses of notifications, and test them.")
@options.apply_all(
    click.option(
        "--test",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_NOTIFY_TEST",
        help="Send a test message to each address.",
    ),
    options.page_url,
)
def command(*, test: bool, page_url: str | None) -> int:
    """List the addresses that `run` notifies: those of RECONCILER_NOTIFY, or of a file of that name among the secrets.

    With --test each gets a message. Exit 1: an address is not understood, or one of them did not take the message.

    Example: reconciler notify --test
    """
    from concurrent.futures import ThreadPoolExecutor

    from reconciler.cli.notifying import MOST_THREADS, AddressBook
    from reconciler.cli.wiring import Secrets
    from reconciler.notify import send
    from reconciler.render.notice import test_message

    secrets = Secrets()
    addresses = AddressBook(secrets).read()
    if not addresses:
        hint = "set RECONCILER_NOTIFY, or put a file reconciler_notify into RECONCILER_SECRETS_DIR"
        raise UsageError("no addresses for notifications are set", hint=hint)
    if not test:
        for each in addresses:
            _write(secrets, each, "hears of the keys of these owners alone" if each.tags else "hears of everything")
        return 0
    threads = ThreadPoolExecutor(MOST_THREADS, "notify")
    message = test_message(page_url)
    told = message.title, message.body, message.urgency
    sent = [(each, threads.submit(send, each, *told)) for each in addresses]
    errors = [_outcome(secrets, each, sending) for each, sending in sent]
    return 1 if any(errors) else 0


def _outcome(secrets: "Secrets", address: "Address", sending: "Future[str | None]") -> str | None:
    """Wait for a message, and say what became of it; give why it was not delivered."""
    from reconciler.daemon.notifier import LONGEST_SEND

    error: str | None = f"it has not answered for {LONGEST_SEND:.0f} seconds"
    with suppress(TimeoutError):
        error = sending.result(LONGEST_SEND)
    _write(secrets, address, f"failed: {error}" if error else "sent")
    return error


def _write(secrets: "Secrets", address: "Address", told: str) -> None:
    from reconciler.cli.output import write_stdout

    write_stdout(visible(mask(f"line {address.line}  {address.name}  {told}", *secrets())) + "\n")
