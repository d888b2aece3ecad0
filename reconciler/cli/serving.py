"""Builds the daemon of ``run``, with everything around it, and lets it run."""

import asyncio
import os
import signal
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import click

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.notifying import Notifying, make_notifier, notifying
from reconciler.cli.options import Options
from reconciler.cli.output import check_outputs, write_report
from reconciler.cli.site import Look, Site, Token, make_chronicle
from reconciler.cli.unhurried import Unhurried
from reconciler.cli.values import Output
from reconciler.cli.wiring import Secrets, Wiring, keep_trail, make_observer, run_with_signals
from reconciler.core.events import DaemonFaulted, Observer, Trigger, tell_all
from reconciler.core.report import Report
from reconciler.daemon.address import Address
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service, told
from reconciler.daemon.supervisor import Supervisor
from reconciler.daemon.watch import Watch
from reconciler.errors import OutputError
from reconciler.files.commits import Commits
from reconciler.metrics import Metrics
from reconciler.settings import secrets_directory

DEFAULT_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says about the daemon beside its passes."""

    listen: Address | None
    page: str
    page_host: tuple[str, ...]
    trail: Path | None
    trail_size: int
    notify_every: timedelta
    page_url: str | None
    output: tuple[Output, ...]
    log_format: str | None
    log_level: str


def serve(about: Options, at: Schedule, asked: Asked) -> int:
    """Run until told to stop, and give the exit code."""
    secrets = Secrets()
    token = Token(secrets)
    token.read()
    metrics = Metrics(time.time, at.longest.total_seconds())
    commits = Commits()
    with keep_trail(asked.trail, asked.trail_size, secrets, commits) as kept:
        observe = make_observer(asked.log_format, asked.log_level, secrets, kept, metrics, Unhurried(sys.stderr))
        chronicle = make_chronicle(at, commits, kept, observe, dry_run=about.dry_run) if asked.listen else None
        notifier = make_notifier(secrets, observe, kept, asked.notify_every, asked.page_url)
        supervisor = Supervisor(os.environ, os.getpid())
        beside: list[Observer] = [each for each in (chronicle, notifier.notifier if notifier else None) if each]
        beside.append(supervisor.observe)
        wiring = Wiring(about, tell_all(observe, *beside), secrets, trail=kept)
        look = Look(asked.listen, asked.page, asked.page_host) if asked.listen else None
        site = Site(look, at, wiring, metrics, token, chronicle) if look and chronicle else None
        read = (*wiring.options.inputs, *((kept.path,) if kept else ()))
        outputs = check_outputs(asked.output, read) if asked.output else ()
        return run_with_signals(Daemon(wiring, at, outputs, site, notifier, supervisor).run)


def schedule(every: timedelta | None, jitter: timedelta | None, cron: str | None, time_zone: tzinfo | None) -> Schedule:
    """Give the schedule that the options ask for.

    Raises:
        click.UsageError: they exclude each other, or make none.
    """
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


def _let_signals_be_many() -> None:
    """Say nothing where more signals come than the loop has room to be told of: a thousand of them are one wish."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon with everything around it: where its reports go, and what it answers over HTTP, if it does."""

    wiring: Wiring
    schedule: Schedule
    outputs: tuple[Output, ...]
    site: Site | None
    notifier: Notifying | None = None
    supervisor: Supervisor = field(default_factory=lambda: Supervisor({}, 0))

    async def run(self, stop: Stop) -> int:
        """Make passes until asked to stop, and give the exit code."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.faulted)
        options = self.wiring.options
        paces = Paces(options.rate, options.burst)
        load = partial(self.wiring.inputs, paces, stop)
        service = Service(self.schedule, load, self._deliver, Watch(options.inputs, secrets_directory))
        loop.add_signal_handler(signal.SIGHUP, service.wake, Trigger.SIGNAL)
        _let_signals_be_many()
        site = self.site.open(service) if self.site else nullcontext()
        async with self.supervisor.watching(stop), site as address, notifying(self.notifier):
            await service.run(stop, self.wiring.observe, f"http://{address}" if address else None)
        return 0

    def _deliver(self, report: Report) -> None:
        try:
            write_report(report, self.outputs, tuple(self.wiring.secrets()))
        except OutputError as error:
            with suppress(OSError):  # that of the report may be full, too, and neither is a reason to stop
                click.echo(f"error: {error}", err=True)

    def faulted(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell of what went wrong in the loop where nobody waited for it."""
        error = context.get("exception")
        what, where = told(error) if isinstance(error, Exception) else (str(context.get("message")), "")
        self.wiring.observe(DaemonFaulted(what, where))
