"""``reconciler plan``: shows what ``apply`` would do."""

from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.options import Options
from reconciler.cli.values import Output, SwitchType
from reconciler.core.shards import Shard


@click.command("plan", cls=Command, short_help="Show what apply would do; writes nothing.")
@options.about_passes
@options.apply_all(
    click.option(
        "--detailed-exitcode",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_DETAILED_EXITCODE",
        help="Exit 2 when actual and desired differ, 3 when something is held back.",
    ),
    options.shard,
    options.actual,
    options.output,
    options.log_format,
    options.log_level("error"),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    about: Options,
    detailed_exitcode: bool,
    shard: Shard | None,
    actual: tuple[Path, ...],
    output: tuple[Output, ...],
    log_format: str | None,
    log_level: str,
) -> int:
    """Show what apply would do. Nothing in this process can write: a read-only credential is enough.

    With --actual nothing is asked at all: what differs from a saved listing is shown, as of when it was saved.

    Example: reconciler plan
    Example: reconciler plan --detailed-exitcode -o text -o json=plan.json
    Example: reconciler plan --actual listing.json
    """
    from reconciler.cli.one_pass import make_pass
    from reconciler.cli.wiring import Secrets, Wiring, make_observer

    secrets = Secrets()
    wiring = Wiring(
        replace(about.by_listing(actual), shard=shard), make_observer(log_format, log_level, secrets), secrets
    )
    return make_pass(wiring, output, tell_differences=detailed_exitcode, judge_held_back=detailed_exitcode)
