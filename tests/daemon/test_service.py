"""The daemon's schedule and its one worker."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from apscheduler.triggers.date import DateTrigger

from reconciler.ahasend.client import ClientConfig, Endpoint, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.core.events import ConfigRejected, ConfigReloaded, DaemonStarted, DaemonStopped, Event
from reconciler.core.report import Report
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service
from reconciler.errors import FilesError, Problem, SettingsError
from reconciler.files.desired import load_desired
from reconciler.reconcile import Live, PassInputs
from world import InProcess, World, key, key_id

SHOP = "messages:send:{shop.example.com}"
FILES = f'keys: [{{name: shop, scopes: ["{SHOP}"]}}]'


class Daemon:
    """A service over a story's world, with a schedule of a fraction of a second."""

    def __init__(self, world: World, seconds: float = 0.05) -> None:
        self.world = world
        self.stop = Stop()
        self.events: list[Event] = []
        self.reports: list[Report] = []
        self.problems: list[Exception] = []
        self.loads = 0
        # Shorter than `every` would take, so that the story is.
        self.schedule = Schedule.every(timedelta(seconds=1))
        self.schedule.trigger.interval = timedelta(seconds=seconds)
        self.schedule.trigger.interval_length = seconds
        self.schedule.trigger.jitter = None
        self.service = Service(self.schedule, self.load, self.deliver)

    def load(self) -> PassInputs:
        self.loads += 1
        if self.problems:
            raise self.problems.pop(0)
        config = ClientConfig(
            Endpoint("http://127.0.0.1:1"),
            Paces(1e6, 10**6),
            self.stop,
            self.events.append,
            lambda account, refused: self.world.tokens[account.credential],
            make_transport=lambda: InProcess(self.world.emulator, self.world.before, self.world.after),
        )
        desired = load_desired([self.world.folder], lambda name: None).state
        return PassInputs("run", desired, Live(lambda: open_writes(config)), self.events.append, self.stop)

    def deliver(self, report: Report) -> None:
        self.reports.append(report)

    async def run_until(self, count: int) -> None:
        async def enough() -> None:
            while len(self.reports) < count:
                await asyncio.sleep(0.01)
            self.stop.request()

        await asyncio.gather(self.service.run(self.stop, self.events.append), enough())

    def told(self, *kinds: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(World(tmp_path, [key(1, "shop", "domains:read")], FILES))


async def test_a_pass_at_once_and_then_on_schedule(daemon: Daemon) -> None:
    """The first pass comes at once, the next ones on schedule; memory counts them; start and end are told."""
    await daemon.run_until(3)
    assert [report.summary.applied for report in daemon.reports][:3] == [1, 0, 0]
    assert isinstance(daemon.events[0], DaemonStarted)
    assert daemon.told(DaemonStopped) == [DaemonStopped("asked to stop", len(daemon.reports))]


async def test_passes_remember_those_before(daemon: Daemon) -> None:
    """A change that somebody undoes after each pass is left alone after three times."""

    def undone(report: Report) -> None:
        daemon.reports.append(report)
        with daemon.world.edited() as keys:
            keys[key_id(1)]["scopes"] = ["domains:read"]

    daemon.service = Service(daemon.schedule, daemon.load, undone)
    await daemon.run_until(5)
    assert [report.changes[0].outcome.value for report in daemon.reports][:5] == ["applied"] * 3 + ["skipped"] * 2


async def test_what_came_during_a_pass_is_made_up_for_once(daemon: Daemon) -> None:
    """A beginning that came while a pass was under way is not dropped, and several make one pass."""
    started: list[float] = []

    async def slow() -> None:
        while len(started) < 2:
            await asyncio.sleep(0)

    def deliver(report: Report) -> None:
        started.append(asyncio.get_running_loop().time())
        for _ in range(5):
            daemon.service._due.set()
        if len(started) == 2:
            daemon.stop.request()

    daemon.service._deliver = deliver
    await asyncio.gather(daemon.service.run(daemon.stop, daemon.events.append), slow())
    assert len(started) == 2
    assert started[1] - started[0] < 1


async def test_a_beginning_that_was_missed_is_made_up_for(daemon: Daemon) -> None:
    """A beginning that came while the whole process was held up is not dropped, however late it is noticed."""
    held_up = 1.2  # APScheduler drops what is more than a second late unless told otherwise
    once = Schedule(DateTrigger(datetime.now(UTC) + timedelta(seconds=0.5)), "once")

    def deliver(report: Report) -> None:
        daemon.reports.append(report)
        if len(daemon.reports) == 1:
            time.sleep(0.5 + held_up)

    daemon.service = Service(once, daemon.load, deliver)
    async with asyncio.timeout(10):
        await daemon.run_until(2)


async def test_files_that_break_later(daemon: Daemon) -> None:
    """Files or settings that break later are told, the daemon goes on, and says when they load again."""
    problem = Problem("keys.yaml", 1, 1, "broken")
    first = daemon.load()

    def load() -> PassInputs:
        daemon.loads += 1
        if daemon.loads == 3:
            raise FilesError((problem,))
        if daemon.loads == 4:
            raise SettingsError("no directory", hint="mount it")
        return first

    daemon.service._load = load
    await daemon.run_until(2)
    rejected = daemon.told(ConfigRejected)
    assert rejected == [
        ConfigRejected((problem,), "the files do not load"),
        ConfigRejected((), "no directory\n  hint: mount it"),
    ]
    assert daemon.told(ConfigReloaded) == [ConfigReloaded(1, 1)]


async def test_a_setting_that_shows_to_be_wrong_in_a_pass(daemon: Daemon) -> None:
    """A setting that shows to be wrong only when a session opens is told, and the daemon goes on."""
    first = daemon.load()

    def broken() -> NoReturn:
        raise SettingsError("the proxy is none")

    passes = iter([replace(first, access=Live(broken)), first])
    daemon.service._load = lambda: next(passes, first)
    await daemon.run_until(1)
    assert daemon.told(ConfigRejected) == [ConfigRejected((), "the proxy is none")]


async def test_asked_to_stop_while_files_load(daemon: Daemon) -> None:
    """Asked to stop while files load, it ends without waiting for them, and without another pass."""
    first, loop = daemon.load(), asyncio.get_running_loop()
    loads: list[PassInputs] = []

    def load() -> PassInputs:
        loads.append(first)
        if len(loads) > 1:
            loop.call_soon_threadsafe(daemon.stop.request)
            time.sleep(0.1)
        return first

    daemon.service._load = load
    await daemon.service.run(daemon.stop, daemon.events.append)
    assert len(daemon.reports) == 1
    assert daemon.told(ConfigRejected) == []


async def test_what_does_not_load_at_the_start_ends_it(daemon: Daemon) -> None:
    """At the start, files that do not load are an error and no daemon."""
    daemon.problems = [SettingsError("no directory")]
    with pytest.raises(SettingsError):
        await daemon.service.run(daemon.stop, daemon.events.append)
    assert daemon.events == []


async def test_asked_to_stop_while_waiting(daemon: Daemon) -> None:
    """Asked to stop between passes it ends at once, without loading anything again."""
    schedule = Schedule.every(timedelta(hours=1))
    daemon.service = Service(schedule, daemon.load, daemon.deliver)
    await daemon.run_until(1)
    assert daemon.loads == 1
