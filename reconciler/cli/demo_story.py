"""What the demo shows, step by step: the same code as the commands, against an emulator in this process."""

import asyncio
import gc
import os
import tempfile
from contextlib import AbstractAsyncContextManager, chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.ahasend.client import ClientConfig, Endpoint, ReadSession, WriteSession, open_reads, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.demo_account import DEMO_KEY, DRIFTING_NAME, FENCED_NAME, SELF_KEY_ID, DemoAccount
from reconciler.cli.options import DEFAULT_DESIRED
from reconciler.cli.output import write_report, write_stdout
from reconciler.cli.values import Output, OutputFormat
from reconciler.core.events import ChangeApplied, Event, Observer
from reconciler.core.guardrails import Consent
from reconciler.core.memory import Memory
from reconciler.core.report import Report, exit_code
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service
from reconciler.daemon.watch import Watch
from reconciler.exits import ExitCode
from reconciler.files.desired import load_desired
from reconciler.reconcile import DryRun, Live, PassInputs, run_pass

if TYPE_CHECKING:
    from reconciler.emulator.server import Emulator

RATE, BURST = 90.0, 150
_HEALED_WITHIN = 10.0


def tell_it() -> int:
    """Tell the whole story in a folder that is gone afterwards, and give the exit code."""
    gc.enable()
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder, chdir(folder):
        return asyncio.run(_Story().tell())


def _ignore(_event: Event) -> None:
    """Tell nobody."""


class _Story:
    """The demo, chapter by chapter."""

    def __init__(self) -> None:
        self._account = DemoAccount()
        self._keys = Path(DEFAULT_DESIRED)
        self._paces = Paces(RATE, BURST)
        self._endpoint = ""

    async def tell(self) -> int:
        """Tell it, and give 0 when it ended as it should."""
        from reconciler.emulator.server import Emulator, Server

        emulator = Emulator(self._account.seed(), latency=0.002)
        server = Server(emulator, port=0)
        self._endpoint = f"http://127.0.0.1:{await server.start()}"
        self._keys.mkdir(parents=True)
        self._write_file(quarantined=False)
        try:
            return await self._chapters(emulator)
        finally:
            await server.stop()

    async def _chapters(self, emulator: "Emulator") -> int:
        _say(
            "1. The files name 246 keys; the account has 250, and by hand 40 of those were changed",
            "A dry run first: nothing in it can write.",
            "reconciler plan",
        )
        self._show(await self._plan())
        _say(
            "2. Apply: what only grants goes first, what takes access away last",
            "One key was fenced by hand. The files say that it is present, but somebody switched it off for a reason:",
            "the guardrail 'restore' leaves it alone until a person decides.",
            "reconciler apply",
        )
        applied, _ = await run_pass(self._inputs(Live(self._open_writes)), _now(), Memory())
        self._show(applied)
        _say("3. Plan again: only the fenced key is left", "reconciler plan")
        self._show(await self._plan())
        healed = await self._drift_and_heal(emulator)
        _say(
            "5. The fenced key: the team decides that it stays switched off",
            f"Write 'state: quarantined' for {FENCED_NAME} into the file, and plan again.",
            "reconciler plan",
        )
        self._write_file(quarantined=True)
        last = await self._plan()
        self._show(last)
        in_sync = healed and exit_code(last) is ExitCode.IN_ORDER and not last.changes
        write_stdout("The account is in sync\n" if in_sync else "The demo did not end as it should\n")
        return ExitCode.IN_ORDER if in_sync else ExitCode.ERROR

    async def _drift_and_heal(self, emulator: "Emulator") -> bool:
        """Widen a key behind the reconciler's back, and let the daemon's schedule notice and mend it."""
        _say(
            "4. The daemon runs, and somebody gives a key full access in the dashboard",
            f"After the daemon's first pass {DRIFTING_NAME} is given '*'. The next scheduled pass notices.",
            "reconciler run --every 1s",
        )
        stop, clock = Stop(), asyncio.get_running_loop().time
        drifted_at = 0.0
        healed: list[str] = []

        def deliver(_report: Report) -> None:
            nonlocal drifted_at
            if not drifted_at:
                self._account.drift(emulator)
                drifted_at = clock()

        def observe(event: Event) -> None:
            if isinstance(event, ChangeApplied):
                healed.append(event.change.title)
                stop.request()

        service = Service(
            Schedule.every(timedelta(seconds=1), timedelta()),
            lambda: self._inputs(Live(self._open_writes), stop, observe),
            deliver,
            Watch((self._keys,)),
        )
        asyncio.get_running_loop().call_later(_HEALED_WITHIN, stop.request)
        await service.run(stop, observe)
        write_stdout(f"{', '.join(healed) or 'nothing'} was brought back {clock() - drifted_at:.1f} s later.\n\n")
        return healed == [DRIFTING_NAME]

    def _write_file(self, *, quarantined: bool) -> None:
        (self._keys / "demo.yaml").write_text(self._account.desired(quarantined=quarantined), encoding="utf-8")

    async def _plan(self) -> Report:
        report, _ = await run_pass(self._inputs(DryRun(self._open_reads)), _now(), Memory())
        return report

    def _inputs(self, access: DryRun | Live, stop: Stop | None = None, observe: Observer = _ignore) -> PassInputs:
        loaded = load_desired([self._keys], os.environ.get)
        consent = Consent(self_keys={None: SELF_KEY_ID})
        return PassInputs("demo", loaded.state, access, observe, stop or Stop(), consent, loaded.findings)

    def _config(self) -> ClientConfig:
        return ClientConfig(Endpoint(self._endpoint), self._paces, Stop(), _ignore, lambda _account, _refused: DEMO_KEY)

    def _open_reads(self) -> AbstractAsyncContextManager[ReadSession]:
        return open_reads(self._config())

    def _open_writes(self) -> AbstractAsyncContextManager[WriteSession]:
        return open_writes(self._config())

    @staticmethod
    def _show(report: Report) -> None:
        write_report(report, [Output(OutputFormat.TEXT)])
        write_stdout("\n")


def _now() -> datetime:
    return datetime.now(UTC)


def _say(title: str, *lines: str) -> None:
    *words, shown_command = lines
    body = "".join(f"{line}\n" for line in words)
    write_stdout(f"{title}\n{'=' * len(title)}\n{body}$ {shown_command}\n\n")
