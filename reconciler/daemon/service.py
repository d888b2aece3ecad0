"""One worker that makes passes, woken by a schedule."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from reconciler.ahasend.pace import Stop
from reconciler.core.events import ConfigRejected, ConfigReloaded, DaemonStarted, DaemonStopped, Observer
from reconciler.core.memory import Memory
from reconciler.core.report import Report
from reconciler.daemon.schedule import Schedule
from reconciler.errors import FilesError, Interrupted, ReconcilerError
from reconciler.reconcile import PassInputs, run_pass


class Service:
    """Makes passes, one after another: one at once, then one each time that the schedule says.

    The schedule only sets an event, so that nothing is ever dropped or cancelled: a beginning that was missed, or that
    came while a pass was under way, is made up for by one pass.
    """

    def __init__(self, schedule: Schedule, load: Callable[[], PassInputs], deliver: Callable[[Report], None]) -> None:
        self._schedule = schedule
        self._load = load
        self._deliver = deliver
        self._due = asyncio.Event()
        self._rejected = False

    async def run(self, stop: Stop, observe: Observer) -> None:
        """Make passes until asked to stop.

        Raises:
            ReconcilerError: what the first pass needs does not load. Later, that is reported, and tried again.
        """
        inputs: PassInputs | None = await stop.unless_requested(self._load)
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_job(self._wake, self._schedule.trigger, misfire_grace_time=None, coalesce=True, max_instances=1)
        scheduler.start()
        observe(DaemonStarted(self._schedule.words))
        memory = Memory()
        try:
            while not stop.requested.is_set():
                memory = await self._pass(inputs, memory, observe) if inputs else memory
                await self._wait(stop)
                inputs = None if stop.requested.is_set() else await self._reload(stop, observe)
        finally:
            scheduler.shutdown(wait=False)
            observe(DaemonStopped("asked to stop", memory.passes))

    async def _pass(self, inputs: PassInputs, memory: Memory, observe: Observer) -> Memory:
        """Make one pass; a setting that shows to be wrong only then, as that of a proxy, is told like a broken file."""
        try:
            report, memory = await run_pass(inputs, datetime.now(UTC), memory)
        except ReconcilerError as error:
            self._reject(error, observe)
        else:
            self._deliver(report)
        return memory

    async def _wake(self) -> None:
        self._due.set()

    async def _wait(self, stop: Stop) -> None:
        """Wait until a pass is due, or until asked to stop."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._due, stop.requested)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        self._due.clear()

    async def _reload(self, stop: Stop, observe: Observer) -> PassInputs | None:
        """Load files and settings anew; None where they do not load, which the next time may mend."""
        try:
            inputs = await stop.unless_requested(self._load)
        except Interrupted:
            return None
        except ReconcilerError as error:
            self._reject(error, observe)
            return None
        if self._rejected:
            self._rejected = False
            desired = inputs.desired
            observe(ConfigReloaded(len(desired.accounts), desired.named))
        return inputs

    def _reject(self, error: ReconcilerError, observe: Observer) -> None:
        self._rejected = True
        if isinstance(error, FilesError):
            observe(ConfigRejected(error.problems, "the files do not load"))
        else:
            observe(ConfigRejected((), str(error)))
