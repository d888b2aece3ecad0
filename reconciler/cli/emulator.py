"""``reconciler emulator``: serves a local AhaSend-compatible API."""

import gc
from datetime import timedelta
from pathlib import Path

import click

from reconciler.cli.command import Command
from reconciler.cli.values import DurationType, PathType, RateType
from reconciler.errors import FilesError, Problem, SettingsError


@click.command("emulator", cls=Command, short_help="Serve a local AhaSend-compatible API.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="NUMBER",
    default=4280,
    show_default=True,
    help="0 takes any free port.",
)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--seed", type=PathType(), required=True, help="YAML or JSON file with accounts and keys.")
@click.option("--latency", type=DurationType(), default="0ms", show_default=True, help="Added to each API request.")
@click.option(
    "--rate-limit",
    type=RateType(min=0.1),
    metavar="NUMBER",
    default=100.0,
    show_default=True,
    help="Requests a second per account.",
)
@click.option(
    "--burst",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    default=200,
    show_default=True,
    help="Requests that may come at once.",
)
def command(*, port: int, host: str, seed: Path, latency: timedelta, rate_limit: float, burst: int) -> int:
    """Serve a local API that behaves as AhaSend's, for trying things out and for tests.

    Example: reconciler emulator --port 4280 --seed seed.yaml
    """
    import asyncio

    from reconciler.cli.output import write_stdout
    from reconciler.emulator.server import Emulator, load_seed, serve
    from reconciler.files.folders import why_unreadable

    gc.enable()  # it may run for days

    def started(real_port: int) -> None:
        write_stdout(f"emulator listens on http://{host}:{real_port}\n")

    try:
        emulator = Emulator(load_seed(seed), latency=latency.total_seconds(), rate=rate_limit, burst=burst)
        asyncio.run(serve(emulator, host=host, port=port, started=started))
    except ValueError as error:
        if isinstance(error.__cause__, OSError):
            raise FilesError((Problem(str(seed), 0, 0, why_unreadable(seed, error.__cause__)),)) from None
        hint = "docs/emulator.md tells what a seed holds, config/examples/emulator-seed.yaml is one"
        raise SettingsError(f"the emulator does not start: {error}", hint=hint) from None
    except OSError as error:
        hint = "is another one running? Pass another --port, or 0 for any free one"
        raise SettingsError(f"the emulator does not start on {host}:{port}: {error.strerror}", hint=hint) from None
    return 0
