"""Builds what a pass needs from options, files and the environment, and runs it with the signals in hand."""

import asyncio
import gc
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.options import DEFAULT_POLICY, Options
from reconciler.core.events import Observer
from reconciler.core.guardrails import Consent, Limits
from reconciler.errors import FilesError, Problem
from reconciler.files.desired import load_desired
from reconciler.logs import LogFormat, LogLevel, log_observer
from reconciler.reconcile import DryRun, Live, PassInputs, Patience
from reconciler.settings import Settings, load_settings, look_up

Result = TypeVar("Result")


class Secrets:
    """Every secret that was read so far, so that logs can mask them even after a rotation."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._settings: Settings | None = None

    def __call__(self) -> Iterable[str]:
        """Give them all: those too that the settings in use read since they were loaded."""
        if self._settings:
            self._seen.update(self._settings.secrets)
        return tuple(self._seen)

    def remember(self, settings: Settings) -> Settings:
        """Add what ``settings`` hold and will hold, and give them back; they take the place of those before."""
        self()
        self._settings = settings
        return settings


@dataclass(frozen=True, slots=True)
class Wiring:
    """What lives as long as the process: the options, who is told, and the secrets that nobody may be told."""

    options: Options
    observe: Observer
    secrets: Secrets = field(default_factory=Secrets)

    def inputs(self, paces: Paces, stop: Stop) -> PassInputs:
        """Load files and settings anew, and give what one pass needs.

        Raises:
            FilesError: the files do not load.
            SettingsError: a credential or the endpoint is missing or wrong.
            UsageError: a variable of the reconciler's own holds a value that it cannot have.
        """
        limits, policy = load_limits(self.options.policy)
        loaded = load_desired(self.options.desired, look_up)
        if not loaded.state.accounts:
            raise FilesError((Problem(", ".join(loaded.sources), 0, 0, "no account is named: add 'account: <uuid>'"),))
        accounts = [desired.account for desired in loaded.state.accounts]
        settings = self.secrets.remember(load_settings(account.credential for account in accounts))
        config = self.client(settings, paces, stop)
        access = DryRun(lambda: open_reads(config)) if self.options.dry_run else Live(lambda: open_writes(config))
        consent = Consent(limits, self.options.allowed, settings.self_keys, self.options.digest, settings.hold)
        return PassInputs(
            run_id=uuid.uuid4().hex,
            desired=loaded.state,
            access=access,
            observe=self.observe,
            stop=stop,
            consent=consent,
            notes=loaded.findings,
            policy=policy,
            patience=Patience(self.options.pass_timeout.total_seconds(), self.options.account_timeout.total_seconds()),
            check_domains=self.options.check_domains,
        )

    def client(self, settings: Settings, paces: Paces, stop: Stop) -> ClientConfig:
        """Give the client's configuration."""
        return ClientConfig(Endpoint(settings.endpoint), paces, stop, self.observe, settings.token)


def load_limits(path: Path | None) -> tuple[Limits, str | None]:
    """Load the policy's limits and its digest; only the default path may be absent, and a link is not absent."""
    if path is None and not os.path.lexists(DEFAULT_POLICY):
        return Limits(), None
    from reconciler.files.policy import load_policy

    policy = load_policy(path or Path(DEFAULT_POLICY))
    return policy.limits, policy.digest


def make_observer(log_format: str | None, log_level: str | None, secrets: Secrets) -> Observer:
    """Give the observer that writes logs to stderr.

    On a terminal the report tells what happened, so that there, unless asked otherwise, only errors are logged.
    """
    on_terminal = sys.stderr.isatty()
    chosen = LogFormat(log_format or ("console" if on_terminal else "json"))
    level = LogLevel(log_level or ("error" if on_terminal else "info"))
    return log_observer(sys.stderr, format=chosen, level=level, secrets=secrets)


def run_with_signals(work: Callable[[Stop], Awaitable[Result]]) -> Result:
    """Run ``work`` in a loop of its own; SIGTERM and SIGINT ask it to stop, a second one not to wait.

    Once asked to stop, the loop is left as it is: closing it would wait for threads, which may take minutes to resolve
    a name.
    """
    stop = Stop()

    async def main() -> Result:
        gc.freeze()  # what is loaded by now stays; the collector need not look at it again
        gc.enable()
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, stop.request)
        return await work(stop)

    runner = asyncio.Runner()
    try:
        return runner.run(main())
    finally:
        if not stop.requested.is_set():
            runner.close()
