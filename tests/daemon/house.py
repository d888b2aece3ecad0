"""A daemon over a story's world, on a clock and a calendar that jump: years of passes in seconds."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine

from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.core.events import Event, Observer, PassStarted
from reconciler.core.guardrails import Consent
from reconciler.core.report import Report
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service
from reconciler.daemon.watch import Watch
from reconciler.errors import ReconcilerError
from reconciler.files.desired import load_desired
from reconciler.files.policy import load_policy
from reconciler.reconcile import DryRun, Live, PassInputs
from virtual_time import run_in_calendar
from world import NOON, InProcess, World, key, key_id

SHOP = "messages:send:{shop.example.com}"
FILES = f'keys: [{{name: shop, scopes: ["{SHOP}"]}}]'
MINUTE = timedelta(minutes=1)
Story = Callable[[], Coroutine[Any, Any, None]]


def shop(folder: Path) -> World:
    """One key that has another scope than the files say."""
    return World(folder, [key(1, "shop", "domains:read")], FILES)


def minutes(count: float) -> Story:
    """The story in which nothing happens for so long."""

    async def story() -> None:
        await asyncio.sleep(60 * count)

    return story


class Daemon:
    """A service with a pass a minute, unless told otherwise, and what it told and delivered."""

    def __init__(self, world: World, schedule: Schedule | None = None, *, dry_run: bool = False) -> None:
        self.world = world
        self.stop = Stop()
        self.events: list[Event] = []
        self.reports: list[Report] = []
        self.observe: Observer = self.events.append
        self.problems: list[Exception] = []
        self.loads = 0
        self.dry_run = dry_run
        self.policy = world.folder.parent / f"{world.folder.name}-policy.yaml"
        self.watch = Watch((world.folder, self.policy))
        self.after: Callable[[Report], None] = lambda report: None
        self.service = Service(schedule or Schedule.every(MINUTE, timedelta()), self.load, self.deliver, self.watch)

    def load(self) -> PassInputs:
        self.loads += 1
        if self.problems:
            raise self.problems.pop(0)
        config = ClientConfig(
            Endpoint("http://127.0.0.1:1"),
            Paces(1e6, 10**6),
            self.stop,
            self.observe,
            lambda account, refused: self.world.tokens[account.credential],
            make_transport=lambda: InProcess(self.world.emulator, self.world.before, self.world.after),
        )
        loaded = load_desired([self.world.folder], lambda name: None)
        more: dict[str, Any] = {}
        consent = Consent(self_keys={None: key_id(0)})
        if self.policy.exists():
            policy = load_policy([self.policy])
            more = {"policy": policy.policy, "policy_files": frozenset(policy.sources)}
            consent = Consent(policy.limits, self_keys={None: key_id(0)})
        access = DryRun(lambda: open_reads(config)) if self.dry_run else Live(lambda: open_writes(config))
        more["clock"] = lambda: datetime.now(UTC)
        return PassInputs("run", loaded.state, access, self.observe, self.stop, consent, **more)

    def deliver(self, report: Report) -> None:
        self.reports.append(report)
        self.after(report)

    def run(self, story: Story | None = None, start: datetime = NOON) -> None:
        """Run until the story has ended, and then stop; without one, until something else stops it."""

        async def work(calendar: time_machine.Traveller) -> None:
            self.calendar = calendar
            running = asyncio.create_task(self.service.run(self.stop, self.observe))
            if story:
                telling = asyncio.create_task(story())
                await asyncio.wait([running, telling], return_when=asyncio.FIRST_COMPLETED)
                self.stop.request()
                with suppress(ReconcilerError):
                    await running
                if telling.done():
                    telling.result()
                telling.cancel()
            await running

        run_in_calendar(start, work)

    def told(self, *kinds: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def triggers(self) -> list[str]:
        """Why each pass began."""
        return [str(event.trigger) for event in self.events if isinstance(event, PassStarted)]
