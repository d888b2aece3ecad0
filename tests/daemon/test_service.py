"""The daemon's one worker: what wakes it, what it goes by, and what does not end it."""

import asyncio
import gc
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from daemon.house import FILES, Daemon, minutes
from reconciler.ahasend.pace import Stop
from reconciler.core.events import (
    ConfigRejected,
    DaemonFaulted,
    DaemonStarted,
    DaemonStopped,
    PassFinished,
    ReportDropped,
    Trigger,
)
from reconciler.core.report import Mode, Report
from reconciler.crontab import read_zone
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service
from reconciler.daemon.status import Rejection
from reconciler.daemon.watch import Watch
from reconciler.reconcile import PassInputs
from world import ACCOUNT, FAMILY_MANAGER, OTHER, World, below, key_id, outcomes, sub_account


def test_a_pass_at_once_and_then_on_schedule(daemon: Daemon) -> None:
    """The first pass comes at once, the next ones on schedule; memory counts them; start and end are told."""
    daemon.run(minutes(2.5))
    assert [report.summary.applied for report in daemon.reports] == [1, 0, 0]
    assert daemon.events[0] == DaemonStarted("every 1m", Mode.APPLY)
    assert daemon.triggers == ["start", "schedule", "schedule"]
    assert daemon.told(DaemonStopped) == [DaemonStopped("asked to stop", 3)]
    assert len({report.run_id for report in daemon.reports}) == 3
    assert daemon.reports[2].started_at[:19] == "2026-11-23T12:02:00"


def test_passes_remember_those_before(daemon: Daemon) -> None:
    """A change that somebody undoes after each pass is left alone after three times."""

    def undo(_report: Report) -> None:
        with daemon.world.edited() as keys:
            keys[key_id(1)]["scopes"] = ["domains:read"]

    daemon.after = undo
    daemon.run(minutes(4.5))
    assert [outcomes(report)["shop"] for report in daemon.reports] == ["applied"] * 3 + ["skipped"] * 2


def test_however_often_it_is_woken_that_makes_one_pass(daemon: Daemon) -> None:
    """What wakes it while a pass is under way is not dropped, and makes one pass, for the weightiest reason."""

    def wake(report: Report) -> None:
        if len(daemon.reports) == 1:
            for trigger in (Trigger.SCHEDULE, Trigger.REQUEST, Trigger.FILES, Trigger.SIGNAL) * 5:
                daemon.service.wake(trigger)

    daemon.after = wake
    daemon.run(minutes(0.5))
    assert daemon.triggers == ["start", "request"]


@pytest.mark.parametrize("trigger", [Trigger.SIGNAL, Trigger.REQUEST])
def test_woken_between_passes(daemon: Daemon, trigger: Trigger) -> None:
    """A signal or a request begins a pass at once."""

    async def story() -> None:
        await asyncio.sleep(10)
        daemon.service.wake(trigger)
        await asyncio.sleep(1)

    daemon.run(story)
    assert daemon.triggers == ["start", trigger]


# How it is doing


def places(daemon: Daemon) -> dict[str, tuple[datetime | None, str | None]]:
    return {
        read.sub_account_id or read.account_id: (read.read_at, read.error) for read in daemon.service.progress.reads
    }


def test_what_was_read_when(daemon: Daemon) -> None:
    """Nothing is read before the first pass; then each account is, and stays so when it fails, with the error."""
    seen: list[tuple[datetime | None, str | None]] = []

    async def story() -> None:
        await asyncio.sleep(0.1)
        assert daemon.service.progress.loaded_at is None
        await asyncio.sleep(30)
        seen.append(places(daemon)[ACCOUNT])
        daemon.world.faults({"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}})
        await asyncio.sleep(60)
        seen.append(places(daemon)[ACCOUNT])
        daemon.world.faults()
        daemon.service.wake(Trigger.SIGNAL)
        await asyncio.sleep(5)
        seen.append(places(daemon)[ACCOUNT])

    assert places(daemon) == {}
    daemon.run(story)
    first, second, third = seen
    assert first[0]
    assert first[1] is None
    assert second[0] == first[0]
    assert second[1]
    assert third[0]
    assert third[0] > first[0]
    assert third[1] is None


def test_accounts_that_come_and_go(daemon: Daemon) -> None:
    """An account that files name later has time from then; one that they name no more is forgotten."""
    known: list[dict[str, tuple[datetime | None, str | None]]] = []

    async def story() -> None:
        await asyncio.sleep(10)
        (daemon.world.folder / "other.yaml").write_text(f"version: 1\naccount: {OTHER}\nkeys: []\n")
        await asyncio.sleep(15)
        known.append(places(daemon))
        (since,) = (read.known_since for read in daemon.service.progress.reads if read.account_id == OTHER)
        assert since
        (daemon.world.folder / "other.yaml").unlink()
        await asyncio.sleep(15)
        known.append(places(daemon))

    daemon.run(story)
    assert [set(each) for each in known] == [{ACCOUNT, OTHER}, {ACCOUNT}]
    assert known[0][OTHER][0] is None
    assert known[0][OTHER][1]


def test_sub_accounts_are_known_by_what_was_read(tmp_path: Path) -> None:
    """A sub account is known once it was read, also while their list cannot be read, and forgotten when it is gone."""
    folder = tmp_path / "keys"
    folder.mkdir()
    files = 'sub_accounts: [{select: {name: "Acme *"}, keys: [{name: k, scopes: ["messages:send:all"]}]}]'
    family = (sub_account(1, "Acme East"), sub_account(2, "Acme West"))
    daemon = Daemon(World(folder, [], files, manager=FAMILY_MANAGER, sub_accounts=family))
    known: list[set[str]] = []

    async def story() -> None:
        await asyncio.sleep(5)
        known.append(set(places(daemon)))
        daemon.world.faults({"method": "GET", "path": "*/sub-accounts", "rate": 1, "do": {"status": 403}})
        await asyncio.sleep(60)
        known.append(set(places(daemon)))
        daemon.world.faults()
        state = daemon.world.emulator.dump()
        del state["accounts"][0]["sub_accounts"][1]
        daemon.world.emulator.load(state)
        daemon.service.wake(Trigger.SIGNAL)
        await asyncio.sleep(5)
        known.append(set(places(daemon)))

    daemon.run(story)
    both = {ACCOUNT, below(1), below(2)}
    assert known == [both, both | {"*"}, {ACCOUNT, below(1)}]


def test_a_rejection_is_known_since_it_began(daemon: Daemon) -> None:
    """What was rejected is known with its problems since it was first, until files load again."""
    seen: list[Rejection | None] = []

    async def story() -> None:
        await asyncio.sleep(10)
        daemon.world.write("keys: 7")
        await asyncio.sleep(15)
        seen.append(daemon.service.progress.rejection)
        await asyncio.sleep(60)
        seen.append(daemon.service.progress.rejection)
        daemon.world.write(FILES)
        await asyncio.sleep(15)
        seen.append(daemon.service.progress.rejection)

    daemon.run(story)
    first, second, third = seen
    assert first
    assert (first.message, len(first.problems)) == ("the files do not load", 1)
    assert second == first
    assert third is None


def test_what_stands_beside_the_passes_begins_anew(daemon: Daemon) -> None:
    """A watch over files that ends in a bug is told, and begins again: a change after that is noticed."""
    run = daemon.watch.run
    calls: list[int] = []

    async def buggy(changed: Callable[[], None]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("inode")
        await run(changed)

    async def story() -> None:
        await asyncio.sleep(15)
        daemon.world.write('keys: [{name: shop, scopes: ["messages:send:all"]}]')
        await asyncio.sleep(15)

    daemon.watch.run = buggy  # type: ignore[method-assign]
    daemon.run(story)
    (faulted,) = daemon.told(DaemonFaulted)
    assert isinstance(faulted, DaemonFaulted)
    assert faulted.error == "KeyError: 'inode'"
    assert faulted.where.startswith("buggy:")
    assert daemon.triggers == ["start", "files"]


# The clock


@pytest.mark.parametrize("jump", [timedelta(days=-2), timedelta(hours=-1), timedelta(hours=1), timedelta(days=400)])
def test_a_clock_that_is_set(daemon: Daemon, jump: timedelta) -> None:
    """However far a clock jumps, forward or back, a pass comes within seconds, and then one a minute as before."""

    async def story() -> None:
        await asyncio.sleep(90)
        daemon.calendar.shift(jump)
        await asyncio.sleep(6)
        assert len(daemon.reports) == 3
        await asyncio.sleep(180)

    daemon.run(story)
    assert len(daemon.reports) == 6


def test_a_clock_that_is_corrected(daemon: Daemon) -> None:
    """A clock that is corrected by a second, as they are every day, makes no pass more or less."""

    async def story() -> None:
        for _ in range(10):
            await asyncio.sleep(57)
            daemon.calendar.shift(timedelta(seconds=1))

    daemon.run(story)
    assert len(daemon.reports) in (10, 11)


@pytest.fixture
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file changes in the story of a whole day: to look for that every ten seconds would take most of its time."""
    monkeypatch.setattr("reconciler.daemon.watch._FALLBACK", 3600.0)


@pytest.mark.usefixtures("rare_looks")
@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change(daemon: Daemon, day: str, hours: int) -> None:
    """A crontab line in a time zone makes its passes on the day that has 23 hours and on the one that has 25."""
    berlin = read_zone("Europe/Berlin")
    start = datetime.fromisoformat(f"{day}T00:15:00").replace(tzinfo=berlin)
    daemon = Daemon(daemon.world, Schedule.cron("*/30 * * * *", zone=berlin))

    daemon.run(minutes(hours * 60), start)
    assert len(daemon.reports) == 1 + hours * 2


@pytest.mark.usefixtures("rare_looks")
def test_a_nightly_pass_in_the_hour_that_comes_twice(daemon: Daemon) -> None:
    """A daily time in the hour that clocks show twice comes twice that night, and once a night after that."""
    berlin = read_zone("Europe/Berlin")
    daemon = Daemon(daemon.world, Schedule.cron("30 2 * * *", zone=berlin))
    daemon.run(minutes(60 * 29), datetime(2026, 10, 24, 23, tzinfo=berlin))
    assert [report.started_at[5:16] for report in daemon.reports[1:]] == [
        "10-25T00:30",
        "10-25T01:30",
        "10-26T01:30",
    ]


def test_it_stays_level(daemon: Daemon) -> None:
    """Passes that each change something leave nothing behind: no object and no open file (`make bench`: 5,000)."""
    passes = count(1)
    seen: dict[int, tuple[int, int]] = {}

    def look(_report: Report) -> None:
        done = next(passes)
        del daemon.events[:], daemon.reports[:]
        with daemon.world.edited() as keys:
            keys[key_id(1)]["scopes"] = [("messages:send:all", "domains:read")[done % 2]]
        del daemon.world.emulator.history[:]
        if done > 50 and done % 25 == 1:  # to collect takes long
            gc.collect()
            seen[done] = len(gc.get_objects()), len(list(Path("/proc/self/fd").iterdir()))

    daemon.after = look
    daemon.run(minutes(149.5))
    assert list(seen) == [51, 76, 101, 126]
    objects, files = zip(*seen.values(), strict=True)
    assert max(objects) - min(objects) < 100
    assert len(set(files)) == 1


# The end


def test_asked_to_stop_while_files_load(daemon: Daemon) -> None:
    """Asked to stop while files load, it ends without another pass."""
    load: Callable[[], PassInputs] = daemon.load

    def stopping() -> PassInputs:
        if daemon.loads == 1:
            daemon.stop.request()
        return load()

    daemon.service._load = stopping
    daemon.run()
    assert len(daemon.reports) == 1
    assert daemon.told(ConfigRejected) == []
    assert daemon.told(DaemonStopped) == [DaemonStopped("asked to stop", 1)]


def test_asked_to_stop_while_files_settle(daemon: Daemon) -> None:
    """Asked to stop while changed files are waited for, it does not wait for them."""

    async def story() -> None:
        await asyncio.sleep(10)
        daemon.world.write("keys: 7")
        daemon.service.wake(Trigger.SIGNAL)
        await asyncio.sleep(0.1)

    daemon.run(story)
    assert daemon.loads == 1
    assert daemon.told(ConfigRejected) == []
    assert daemon.told(DaemonStopped) == [DaemonStopped("asked to stop", 1)]


async def test_asked_to_stop_while_a_disk_is_slow(daemon: Daemon) -> None:
    """Asked to stop while files load in their thread, it does not wait for the end of that, at the start nor later."""
    loop = asyncio.get_running_loop()
    load: Callable[[], PassInputs] = daemon.load
    released = threading.Event()

    def slow() -> PassInputs:
        if daemon.loads == slow_from:
            loop.call_soon_threadsafe(daemon.stop.request)
            released.wait(10)
        return load()

    daemon.service._load = slow
    for slow_from in (0, 1):
        daemon.loads, daemon.stop = 0, Stop()
        service = Service(Schedule.every(timedelta(hours=1)), slow, daemon.deliver, Watch(()))
        loop.call_later(1, service.wake, Trigger.SIGNAL)
        async with asyncio.timeout(5):
            await service.run(daemon.stop, daemon.events.append)
        assert len(daemon.reports) == slow_from
        assert daemon.events[-1] == DaemonStopped("asked to stop", slow_from)
    released.set()


def test_asked_to_stop_while_waiting(daemon: Daemon) -> None:
    """Asked to stop between passes it ends at once, without loading anything again."""
    daemon.run(minutes(0.2))
    assert daemon.loads == 1


def test_asked_twice_it_does_not_wait_for_a_report(daemon: Daemon) -> None:
    """The last report is delivered after it was asked to stop; asked twice, it waits no longer for that."""

    def deliver(report: Report) -> None:
        daemon.stop.request()
        daemon.stop.request()

    daemon.after = deliver
    daemon.run()
    assert len(daemon.reports) == 1


async def test_a_report_that_nobody_takes(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be written to its end, as into a pipe that nobody reads, holds up no further pass."""
    monkeypatch.setattr("reconciler.daemon.service.LONGEST_DELIVERY", 0.05)
    released = threading.Event()

    def stuck(_report: Report) -> None:
        released.wait(10)

    daemon.after = stuck
    service = Service(Schedule.every(timedelta(hours=1)), daemon.load, daemon.deliver, Watch(()))
    running = asyncio.create_task(service.run(daemon.stop, daemon.events.append))
    async with asyncio.timeout(5):
        for passes in (1, 2):
            while len(daemon.told(PassFinished)) < passes:
                await asyncio.sleep(0.01)
            service.wake(Trigger.SIGNAL)
        while not daemon.told(ReportDropped):
            await asyncio.sleep(0.01)
        daemon.stop.request()
        await running
    assert len(daemon.reports) == 1
    released.set()


def test_a_dry_run_writes_nothing(daemon: Daemon) -> None:
    """As a watchman it makes the same passes, and no request that could write anything."""
    daemon = Daemon(daemon.world, dry_run=True)
    daemon.run(minutes(2.5))
    assert [report.mode for report in daemon.reports] == [Mode.PLAN] * 3
    assert [outcomes(report) for report in daemon.reports] == [{"shop": "planned"}] * 3
    assert daemon.world.puts == 0
    assert daemon.events[0] == DaemonStarted("every 1m", Mode.PLAN)
