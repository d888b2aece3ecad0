"""``reconciler run``: passes on a schedule."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, timedelta, tzinfo
from functools import partial

import click

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli import options
from reconciler.cli.options import DurationType, Options, Output, TimeZoneType
from reconciler.cli.output import check_outputs, write_report
from reconciler.cli.wiring import Secrets, Wiring, make_observer, run_with_signals
from reconciler.core.events import Trigger
from reconciler.core.report import Report
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service
from reconciler.daemon.watch import Watch
from reconciler.errors import OutputError

DEFAULT_EVERY = timedelta(minutes=5)


@click.command("run", short_help="Make passes on a schedule until told to stop.")
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
    click.option("--cron", default=None, envvar="RECONCILER_CRON", help="Instead of --every: a crontab expression."),
    click.option(
        "--time-zone",
        type=TimeZoneType(),
        default=None,
        envvar="RECONCILER_TIME_ZONE",
        help="The time zone of --cron, such as Europe/Berlin.  [default: UTC]",
    ),
    options.dry_run,
    options.allow,
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
    dry_run: bool,
    allow: tuple[str, ...],
    output: tuple[Output, ...],
    log_format: str | None,
    log_level: str,
) -> int:
    """Make a pass at once and then on a schedule, never two at a time, until SIGTERM.

    A pass also begins when a file of --desired or --policy changes, and on SIGHUP. Files that do not load change
    nothing: those that loaded last stay in force. Without --output no report is written: the logs tell.

    Example: reconciler run --every 5m --log-format json
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to heed it
    schedule = _schedule(every, jitter, cron, time_zone)
    secrets = Secrets()
    wiring = Wiring(
        replace(about, dry_run=dry_run, allowed=frozenset(allow)),
        make_observer(log_format, log_level, secrets),
        secrets,
    )
    outputs = check_outputs(output, wiring.options.inputs) if output else ()
    return run_with_signals(lambda stop: _serve(wiring, schedule, outputs, stop))


def _schedule(
    every: timedelta | None, jitter: timedelta | None, cron: str | None, time_zone: tzinfo | None
) -> Schedule:
    if cron is not None and every is not None:
        every_source, cron_source = map(click.get_current_context().get_parameter_source, ("every", "cron"))
        if every_source == cron_source:
            raise click.UsageError("--every and --cron exclude each other")
        if cron_source is click.core.ParameterSource.COMMANDLINE:
            every = None
        else:
            cron = None
    if cron is None and time_zone is not None:
        raise click.UsageError("--time-zone is for --cron: an interval is as long everywhere")
    try:
        if cron is not None:
            return Schedule.cron(cron, jitter or timedelta(), time_zone or UTC)
        return Schedule.every(DEFAULT_EVERY if every is None else every, jitter)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def _serve(wiring: Wiring, schedule: Schedule, outputs: tuple[Output, ...], stop: Stop) -> int:
    paces = Paces(wiring.options.rate, wiring.options.burst)

    def deliver(report: Report) -> None:
        try:
            write_report(report, outputs, tuple(wiring.secrets()))
        except OutputError as error:
            with suppress(OSError):  # that of the report may be full, too, and neither is a reason to stop
                click.echo(f"error: {error}", err=True)

    service = Service(schedule, partial(wiring.inputs, paces, stop), deliver, Watch(wiring.options.inputs))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.wake, Trigger.SIGNAL)
    await service.run(stop, wiring.observe)
    return 0
