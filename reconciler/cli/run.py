"""``reconciler run``: passes on a schedule."""

from dataclasses import replace
from datetime import timedelta, tzinfo
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.options import Options
from reconciler.cli.values import DurationType, Output, TimeZoneType
from reconciler.core.shards import Shard
from reconciler.daemon.address import Address


@click.command("run", cls=Command, short_help="Make passes on a schedule until told to stop.")
@options.about_passes
@options.apply_all(
    click.option(
        "--every",
        type=DurationType(),
        default=None,
        envvar="RECONCILER_EVERY",
        help="Time between the beginnings of passes.  [default: 5m]",
    ),
    click.option(
        "--jitter",
        type=DurationType(),
        default=None,
        envvar="RECONCILER_JITTER",
        help="Shift each beginning at random by up to this.  [default: a tenth of --every, at most 30s]",
    ),
    click.option(
        "--cron",
        metavar="'* * * * *'",
        default=None,
        envvar="RECONCILER_CRON",
        help="Instead of --every: a crontab expression.",
    ),
    click.option(
        "--time-zone",
        type=TimeZoneType(),
        default=None,
        envvar="RECONCILER_TIME_ZONE",
        help="The time zone of --cron, such as Europe/Berlin.  [default: UTC]",
    ),
    options.listen,
    options.page,
    options.page_host,
    options.shard,
    options.dry_run,
    options.allow,
    options.trail,
    options.trail_size,
    options.notify_every,
    options.page_url,
    options.output,
    options.log_format,
    options.log_level("info"),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    about: Options,
    every: timedelta | None,
    jitter: timedelta | None,
    cron: str | None,
    time_zone: tzinfo | None,
    listen: Address | None,
    page: str,
    page_host: tuple[str, ...],
    shard: Shard | None,
    dry_run: bool,
    allow: tuple[str, ...],
    trail: Path | None,
    trail_size: int,
    notify_every: timedelta,
    page_url: str | None,
    output: tuple[Output, ...],
    log_format: str | None,
    log_level: str,
) -> int:
    """Make a pass at once and then on a schedule, never two at a time, until SIGTERM.

    A pass also begins when a file of --desired or --policy changes, on SIGHUP, and on POST /reconcile with the token of
    RECONCILER_TOKEN. Files that do not load change nothing: those that loaded last stay in force. Without --output no
    report is written: the logs tell.

    Example: reconciler run --every 5m --trail trail.jsonl
    Example: reconciler run --cron "*/10 8-18 * * 1-5" --time-zone Europe/Berlin
    Example: reconciler run --dry-run --log-format json
    """
    from reconciler.cli.serving import Asked, schedule, serve

    asked = Asked(
        listen=listen,
        page=page,
        page_host=page_host,
        trail=trail,
        trail_size=trail_size,
        notify_every=notify_every,
        page_url=page_url,
        output=output,
        log_format=log_format,
        log_level=log_level,
    )
    about = replace(about, dry_run=dry_run, allowed=frozenset(allow), unattended=True, shard=shard)
    return serve(about, schedule(every, jitter, cron, time_zone), asked)
