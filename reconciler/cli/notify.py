"""``reconciler notify``: lists the addresses of notifications, and sends a test message to each."""

from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.values import SwitchType
from reconciler.errors import UsageError, mask, visible
from reconciler.exits import ExitCode

if TYPE_CHECKING:
    from reconciler.cli.wiring import Secrets
    from reconciler.notify.addresses import Address
    from reconciler.notify.delivery import Letter


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
    import asyncio

    from reconciler.cli.notifying import AddressBook
    from reconciler.cli.wiring import Secrets
    from reconciler.notify.delivery import Letter
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
    message = test_message(page_url)
    letter = Letter(message.title, message.body, message.urgency)
    return asyncio.run(_send_all(secrets, addresses, letter))


async def _send_all(secrets: "Secrets", addresses: "tuple[Address, ...]", letter: "Letter") -> int:
    """Send a message to each address, say in their order what became of it, and give the exit code."""
    import asyncio

    from reconciler.notify.sending import Sender

    sender = Sender()
    sending = [asyncio.create_task(sender.send(each, letter)) for each in addresses]
    code = ExitCode.IN_ORDER
    for address, under_way in zip(addresses, sending, strict=True):
        error = (await under_way).error
        _write(secrets, address, f"failed: {error}" if error else "sent")
        code = ExitCode.ERROR if error else code
    return code


def _write(secrets: "Secrets", address: "Address", told: str) -> None:
    from reconciler.cli.output import write_stdout

    write_stdout(visible(mask(f"{address.place}  {address.name}  {told}", *secrets())) + "\n")
