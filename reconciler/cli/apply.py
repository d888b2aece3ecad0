"""``reconciler apply``: one pass."""

from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.metrics_file import metrics_written, to_metrics_file
from reconciler.cli.options import Options
from reconciler.cli.values import DigestType, Output
from reconciler.core.shards import Shard


@click.command("apply", cls=Command, short_help="Make one pass: plan, approve, write what differs.")
@options.about_passes
@options.apply_all(
    options.shard,
    options.dry_run,
    options.allow,
    click.option(
        "--digest",
        type=DigestType(),
        metavar="sha256:...",
        default=None,
        envvar="RECONCILER_DIGEST",
        help="Apply exactly the plan that was reviewed, or nothing.",
    ),
    options.trail,
    options.trail_size,
    options.output,
    to_metrics_file,
    options.log_format,
    options.log_level(None),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    about: Options,
    shard: Shard | None,
    dry_run: bool,
    allow: tuple[str, ...],
    digest: str | None,
    trail: Path | None,
    trail_size: int,
    output: tuple[Output, ...],
    metrics_file: Path | None,
    log_format: str | None,
    log_level: str | None,
) -> int:
    """Make one pass: plan, let the guardrails judge, write what differs, report.

    Exit 0: done. 3: something is held back and a person must act. 4: something failed and a retry may help.

    Example: reconciler apply --dry-run
    Example: reconciler apply --digest sha256:... -o text -o json=report.json
    Example: reconciler apply --allow restore --trail trail.jsonl
    """
    from reconciler.cli.one_pass import make_pass
    from reconciler.cli.wiring import Secrets, Wiring, keep_trail, make_observer

    secrets = Secrets()
    with keep_trail(trail, trail_size, secrets) as kept, metrics_written(metrics_file) as count:
        wiring = Wiring(
            replace(about, dry_run=dry_run, allowed=frozenset(allow), digest=digest, shard=shard),
            make_observer(log_format, log_level, secrets, kept, count),
            secrets,
            trail=kept,
        )
        return make_pass(wiring, output)
