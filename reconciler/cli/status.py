"""``reconciler status``: asks a running daemon how everything stands."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.options import DEFAULT_LISTEN
from reconciler.cli.values import DurationType, SwitchType
from reconciler.daemon.address import Address
from reconciler.errors import mask, visible
from reconciler.exits import ExitCode

if TYPE_CHECKING:
    from reconciler.cli.asking import DaemonAt

_SHORTEST = timedelta(milliseconds=100)
_DEFAULT_TIMEOUT = timedelta(seconds=5)
_DEFAULT_EVERY = timedelta(seconds=2)


class AtType(click.ParamType[Address]):
    """Where a daemon listens, as its ``--listen`` says it, or its log: with ``http://`` before."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read one address."""
        text = str(value).removeprefix("http://").removesuffix("/")
        if text == "none":
            self.fail("'none' is nowhere to ask: a daemon that listens nowhere tells nobody how it stands", param, ctx)
        try:
            address = Address.read(text)
        except ValueError as error:
            self.fail(_to_ask_at(str(error)), param, ctx)
        if address.port == 0:
            self.fail(
                f"{value!r} has no port to ask at: 0 is any free one, and the daemon's log says which", param, ctx
            )
        return address


def _to_ask_at(message: str) -> str:
    """Say to who asks what is wrong with an address, in a message for who listens."""
    message = message.partition(" to be reached from this machine alone")[0]
    return message.replace("to listen on: write", "to ask at: write").removesuffix(", or none")


@click.command("status", cls=Command, short_help="Ask a running daemon how everything stands.")
@options.apply_all(
    click.option(
        "--at",
        "address",
        type=AtType(),
        default=DEFAULT_LISTEN,
        show_default=True,
        envvar=["RECONCILER_AT", "RECONCILER_LISTEN"],
        help="Where the daemon listens.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        envvar="RECONCILER_STATUS_OUTPUT",
        help="For people, or as JSON (schema reconciler/status/v1).",
    ),
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_STATUS_QUIET",
        help="Only ask whether it does its work, and say so in a line: for health checks.",
    ),
    click.option(
        "-w",
        "--watch",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_STATUS_WATCH",
        help="Go on until Ctrl-C: on a terminal in place, else anew whenever something changed.",
    ),
    click.option(
        "--every",
        type=DurationType(),
        default=None,
        envvar="RECONCILER_STATUS_EVERY",
        help="How often to ask with --watch.  [default: 2s]",
    ),
    click.option(
        "--timeout",
        type=DurationType(),
        default=None,
        envvar="RECONCILER_STATUS_TIMEOUT",
        help="The longest that the daemon may take in all.  [default: 5s]",
    ),
)
def command(  # one parameter an option
    *, address: Address, output: str, quiet: bool, watch: bool, every: timedelta | None, timeout: timedelta | None
) -> int:
    """Say how everything stands that `run` looks after: in sync or not, what differs, is held back, or changed lately.

    Exit 0 where the daemon does its work, as /readyz says it, also where changes are held back; 1 where it does not, or
    does not answer.

    Example: reconciler status --at 127.0.0.1:8080
    Example: reconciler status --watch
    Example: reconciler status --quiet
    """
    from reconciler.cli.asking import DaemonAt

    _check(output=output, quiet=quiet, watch=watch, every=every)
    daemon = DaemonAt(address, max(timeout or _DEFAULT_TIMEOUT, _SHORTEST).total_seconds())
    if watch:
        from reconciler.cli.watching import watch_daemon

        watch_daemon(daemon, max(every or _DEFAULT_EVERY, _SHORTEST).total_seconds())
    if quiet:
        return _quiet(daemon)
    return _json(daemon) if output == "json" else _text(daemon)


def _check(*, output: str, quiet: bool, watch: bool, every: timedelta | None) -> None:
    """Refuse options that exclude each other, or that would mean nothing.

    Raises:
        click.UsageError: saying which.
    """
    if quiet and output != "text":
        raise click.UsageError("--quiet and -o json exclude each other: one says whether it is well, the other how")
    if watch and (quiet or output != "text"):
        raise click.UsageError("--watch is for people: it takes neither --quiet nor -o json")
    given = click.get_current_context().get_parameter_source("every") is click.core.ParameterSource.COMMANDLINE
    if given and every is not None and not watch:
        raise click.UsageError("--every is for --watch")


def _quiet(daemon: "DaemonAt") -> int:
    from reconciler.cli.output import write_stdout

    readiness = daemon.readiness()
    told = "ready" if readiness.ready else f"not ready: {'; '.join(readiness.reasons)}"
    write_stdout(mask(visible(told)) + "\n")
    return ExitCode.IN_ORDER if readiness.ready else ExitCode.ERROR


def _json(daemon: "DaemonAt") -> int:
    from reconciler.cli.output import write_stdout
    from reconciler.render import json

    status = daemon.status()
    write_stdout(mask(json.render(status)), utf8=True)
    return ExitCode.IN_ORDER if status.readiness.ready else ExitCode.ERROR


def _text(daemon: "DaemonAt") -> int:
    from reconciler.cli.output import terminal_style, write_stdout
    from reconciler.render.status import render

    status, report = daemon.look()
    write_stdout(mask(render(status, report, terminal_style())))
    return ExitCode.IN_ORDER if status.readiness.ready else ExitCode.ERROR
