"""Builds the daemon of ``run``, with everything around it, and lets it run."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import click

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.options import Options, Output
from reconciler.cli.output import check_outputs, write_report
from reconciler.cli.unhurried import Unhurried
from reconciler.cli.wiring import Secrets, Wiring, keep_trail, make_observer, run_with_signals
from reconciler.core.events import DaemonFaulted, Trigger
from reconciler.core.report import Report
from reconciler.core.status import Readiness
from reconciler.daemon.address import Address
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service, told
from reconciler.daemon.status import judge_readiness
from reconciler.daemon.watch import Watch
from reconciler.errors import OutputError, UsageError
from reconciler.metrics import Metrics
from reconciler.settings import secrets_directory, web_token

DEFAULT_EVERY = timedelta(minutes=5)
INTERVALS = 3
"""An account that was not read for so many intervals is not looked after."""
GRACE = timedelta(seconds=5)
"""What a pass may take longer than the last one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says about the daemon beside its passes."""

    listen: Address | None
    trail: Path | None
    trail_size: int
    output: tuple[Output, ...]
    log_format: str | None
    log_level: str


def serve(about: Options, at: Schedule, asked: Asked) -> int:
    """Run until told to stop, and give the exit code."""
    secrets = Secrets()
    token = Token(secrets)
    token.read()
    metrics = Metrics(time.time, at.longest.total_seconds())
    with keep_trail(asked.trail, asked.trail_size, secrets) as kept:
        wiring = Wiring(
            about,
            make_observer(asked.log_format, asked.log_level, secrets, kept, metrics, Unhurried(sys.stderr)),
            secrets,
            trail=kept,
        )
        read = (*wiring.options.inputs, *((kept.path,) if kept else ()))
        outputs = check_outputs(asked.output, read) if asked.output else ()
        daemon = Daemon(wiring, at, outputs, asked.listen, metrics, token)
        return run_with_signals(daemon.run)


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


class Token:
    """The token that requests for a pass must bear, as it is now; every one that ever was is masked."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def __call__(self) -> str | None:
        """Give it, None where nobody may ask: also where it could be guessed."""
        with suppress(UsageError):
            return self.read()
        return None

    def read(self) -> str | None:
        """Give it, None where there is none.

        Raises:
            UsageError: it could be guessed.
        """
        token = web_token()
        if token:
            self._secrets.hide(token)
        return token


def _let_signals_be_many() -> None:
    """Say nothing where more signals come than the loop has room to be told of: a thousand of them are one wish."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon with everything around it: where its reports go, and who may look in."""

    wiring: Wiring
    schedule: Schedule
    outputs: tuple[Output, ...]
    listen: Address | None
    metrics: Metrics
    token: Token

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
        async with self._open(service) as address:
            await service.run(stop, self.wiring.observe, f"http://{address}" if address else None)
        return 0

    @asynccontextmanager
    async def _open(self, service: Service) -> AsyncIterator[Address | None]:
        """Answer over HTTP while the block lasts, if asked to; give the address."""
        if self.listen is None:
            yield None
            return
        from reconciler.daemon.endpoints import Handlers, application
        from reconciler.daemon.web import Web

        def readiness() -> Readiness:
            progress = replace(service.progress, trail=self.wiring.trail.problem if self.wiring.trail else None)
            return judge_readiness(progress, datetime.now(UTC), partial(self.due, service.seconds))

        handlers = Handlers(readiness, self.metrics.exposition, partial(service.wake, Trigger.REQUEST), self.token)
        web = Web(application(handlers), self.listen.host, self.listen.port)
        address = await web.start()
        try:
            yield address
        finally:
            await web.stop()

    def due(self, seconds: float, read_at: datetime) -> datetime:
        """Give until when an account must be read again: three beginnings later, and as long as a pass takes."""
        return self.schedule.after(read_at, INTERVALS) + self.schedule.jitter + timedelta(seconds=seconds) + GRACE

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
