"""The daemon's one worker: what wakes it, what it goes by, and what does not end it."""

import asyncio
import gc
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from daemon.house import FILES, SHOP, Daemon, minutes, shop
from reconciler.ahasend.pace import Stop
from reconciler.core.events import (
    ConfigRejected,
    ConfigReloaded,
    DaemonFaulted,
    DaemonStarted,
    DaemonStopped,
    PassFailed,
    PassFinished,
    PassStarted,
    ReportDropped,
    Trigger,
)
from reconciler.core.report import Mode, Report
from reconciler.crontab import read_zone
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import Service
from reconciler.daemon.status import Rejection
from reconciler.daemon.watch import Watch
from reconciler.errors import FilesError, Problem, SettingsError
from reconciler.reconcile import Live, PassInputs
from world import ACCOUNT, FAMILY_MANAGER, OTHER, World, below, key, key_id, outcomes, sub_account


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    folder = tmp_path / "keys"
    folder.mkdir()
    return Daemon(shop(folder))


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


# Files


def test_a_file_that_changes_begins_a_pass(daemon: Daemon) -> None:
    """A changed file is heeded at once, and told as reloaded; the same content written anew says nothing new."""

    async def story() -> None:
        await asyncio.sleep(5)
        daemon.world.write('keys: [{name: shop, scopes: ["messages:send:all"]}]')
        await asyncio.sleep(15)
        daemon.world.write('keys: [{name: shop, scopes: ["messages:send:all"]}]')
        await asyncio.sleep(15)

    daemon.run(story)
    assert daemon.triggers == ["start", "files", "files"]
    assert [report.summary.applied for report in daemon.reports] == [1, 1, 0]
    assert daemon.told(ConfigReloaded) == [ConfigReloaded(1, 1)]


def test_a_burst_of_changes_makes_one_pass(daemon: Daemon) -> None:
    """A file that is written again and again is read when it rests, once."""

    async def story() -> None:
        await asyncio.sleep(11)
        for number in range(15):
            daemon.world.write(f'keys: [{{name: shop, scopes: ["messages:send:all"], description: "{number}"}}]')
            await asyncio.sleep(0.1)
        await asyncio.sleep(20)

    daemon.run(story)
    assert daemon.triggers == ["start", "files"]
    assert daemon.loads == 2


def test_a_broken_file_changes_nothing(daemon: Daemon) -> None:
    """Files that break are rejected as a whole, with all that is wrong; those of before stay in force, and say so."""

    async def story() -> None:
        await asyncio.sleep(30)
        daemon.world.write("keys: [{name: shop, scopes: [domains:reed], id: 7}]\nwhat: ever")
        await asyncio.sleep(10)
        with daemon.world.edited() as keys:
            keys[key_id(1)]["scopes"] = ["domains:write"]
        await asyncio.sleep(50)
        daemon.world.write(FILES)
        await asyncio.sleep(15)

    daemon.run(story)
    assert daemon.triggers == ["start", "files", "schedule", "files"]
    first, second = daemon.told(ConfigRejected)
    assert isinstance(first, ConfigRejected)
    assert isinstance(second, ConfigRejected)
    assert len(first.problems) == 3
    assert first.message == "the files do not load"
    assert first.in_force_age == pytest.approx(30, abs=1)
    assert second.in_force_age == pytest.approx(60, abs=1)
    by_old = daemon.reports[2]
    assert outcomes(by_old) == {"shop": "applied"}
    (finding,) = (each for each in by_old.findings if each.rule == "config-rejected")
    assert finding.message == "the files do not load: what was loaded 1 minute ago stays in force"
    assert [event.config_age for event in daemon.events if isinstance(event, PassStarted)] == [
        None,
        pytest.approx(30, abs=1),
        pytest.approx(60, abs=1),
        None,
    ]
    assert daemon.told(ConfigReloaded) == [ConfigReloaded(1, 1)]
    assert [each.rule for each in daemon.reports[3].findings] == []


def test_a_folder_that_vanishes_and_returns(daemon: Daemon) -> None:
    """Without its folder the daemon goes on by what it has loaded, and takes up the files when they are back."""
    folder = daemon.world.folder

    async def story() -> None:
        await asyncio.sleep(20)
        folder.rename(folder.with_name("away"))
        await asyncio.sleep(60)
        folder.with_name("away").rename(folder)
        daemon.world.write('keys: [{name: shop, scopes: ["messages:send:all"]}]')
        await asyncio.sleep(15)

    daemon.run(story)
    assert daemon.triggers == ["start", "files", "schedule", "files"]
    assert [report.summary.applied for report in daemon.reports] == [1, 0, 0, 1]
    assert len(daemon.told(ConfigRejected)) == 2


def test_a_policy_that_appears_is_heeded(daemon: Daemon) -> None:
    """A policy file that was not there before is taken up when it comes, and its words hold from then on."""

    async def story() -> None:
        await asyncio.sleep(20)
        rule = "{id: no-sending, severity: deny, when: '\"messages:send:all\" in key.scopes', message: never}"
        daemon.policy.write_text(f"version: 1\nrules: [{rule}]\n")
        await asyncio.sleep(15)
        daemon.world.write('keys: [{name: shop, scopes: ["messages:send:all"]}]')
        await asyncio.sleep(15)

    daemon.run(story)
    assert daemon.triggers == ["start", "files", "files"]
    assert outcomes(daemon.reports[-1]) == {"shop": "denied"}


WINDOW = '{cron: "0 18 * * fri", for: 62h, reason: weekend}'
DAYS = "{from: 2026-12-20, until: 2027-01-03, reason: year end}"
POLICY = "version: 1\nrules: [{id: wide, uses: no-wildcard, severity: deny}]\n"


def test_a_policy_that_vanishes(daemon: Daemon) -> None:
    """A policy that is gone would be missed by nobody: it stays in force, and its absence is told until it is back."""
    daemon.policy.write_text(POLICY)
    assert daemon.policy.exists()

    async def story() -> None:
        await asyncio.sleep(20)
        daemon.policy.unlink()
        await asyncio.sleep(60)
        daemon.world.write('keys: [{name: shop, scopes: ["*"]}]')
        await asyncio.sleep(15)
        daemon.policy.write_text(POLICY)
        await asyncio.sleep(15)

    daemon.run(story)
    first, *_ = daemon.told(ConfigRejected)
    assert isinstance(first, ConfigRejected)
    assert [problem.message.split(":")[0] for problem in first.problems] == ["was there before, and is gone"]
    assert daemon.world.remote(1)["scopes"] == [SHOP]
    assert outcomes(daemon.reports[-1]) == {"shop": "denied"}
    assert [event.config_age is None for event in daemon.events if isinstance(event, PassStarted)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_a_policy_that_is_renamed(daemon: Daemon) -> None:
    """Of policies one may be renamed, copied and removed while what it demands stays; with that gone it is missed."""
    daemon.policy.mkdir()
    (daemon.policy / "base.yaml").write_text(POLICY)

    async def story() -> None:
        await asyncio.sleep(20)
        (daemon.policy / "base.yaml").unlink()
        (daemon.policy / "main.yaml").write_text(more)
        await asyncio.sleep(15)
        (daemon.policy / "copy.yaml").write_text(more)
        await asyncio.sleep(15)
        (daemon.policy / "main.yaml").unlink()
        await asyncio.sleep(15)
        assert daemon.told(ConfigRejected) == []
        (daemon.policy / "copy.yaml").unlink()
        (daemon.policy / "notes.yaml").write_text(POLICY)
        await asyncio.sleep(15)

    more = f'{POLICY}require: [{{domain: shop.example.com, can: "messages:send"}}]\nfreeze: [{WINDOW}, {DAYS}]\n'
    daemon.run(story)
    (rejected,) = daemon.told(ConfigRejected)
    assert isinstance(rejected, ConfigRejected)
    assert [Path(problem.file).name for problem in rejected.problems] == ["copy.yaml"]


def test_guardrails_that_vanish(daemon: Daemon) -> None:
    """A file of guardrails that is gone, so that there are fewer, would be missed by nobody either."""
    daemon.policy.mkdir()
    (daemon.policy / "base.yaml").write_text(POLICY)
    (daemon.policy / "limits.yaml").write_text("version: 1\nguardrails: {max_changes: {percent: 1, at_least: 1}}\n")

    async def story() -> None:
        await asyncio.sleep(20)
        (daemon.policy / "limits.yaml").unlink()
        await asyncio.sleep(15)

    daemon.run(story)
    assert len(daemon.told(ConfigRejected)) == 1


def test_a_policy_that_was_never_in_force_is_not_missed(daemon: Daemon) -> None:
    """A file that was there only while files changed, as in the middle of a checkout, is no policy that is gone."""
    load: Callable[[], PassInputs] = daemon.load

    def checkout() -> PassInputs:
        if daemon.loads == 1:
            daemon.policy.write_text(POLICY)
        elif daemon.loads == 2:
            daemon.policy.unlink()
        return load()

    daemon.service._load = checkout
    daemon.run(minutes(1.5))
    assert daemon.loads == 4
    assert daemon.told(ConfigRejected) == []


def test_a_bug_that_a_file_brings_out(daemon: Daemon) -> None:
    """An error that nobody foresaw while files load is told, and is no reason to end: what was loaded stays so."""
    load: Callable[[], PassInputs] = daemon.load

    def buggy() -> PassInputs:
        if daemon.loads == 1:
            daemon.loads += 1
            raise ValueError("aha")
        return load()

    daemon.service._load = buggy
    daemon.run(minutes(2.5))
    (faulted,) = daemon.told(DaemonFaulted)
    assert isinstance(faulted, DaemonFaulted)
    assert faulted.error == "ValueError: aha"
    (rejected,) = daemon.told(ConfigRejected)
    assert isinstance(rejected, ConfigRejected)
    assert rejected.message == "files and settings could not be loaded: ValueError"
    assert len(daemon.reports) == 3


def test_the_same_files_are_no_reload(daemon: Daemon) -> None:
    """Files that say the same, change windows included, are not told as reloaded in each pass."""
    daemon.policy.write_text('version: 1\nfreeze: [{cron: "0 18 * * fri", for: 62h, reason: weekend}]\n')
    daemon.run(minutes(3.5))
    assert len(daemon.reports) == 4
    assert daemon.told(ConfigReloaded) == []


OWN = 'keys: [{name: reconciler, scopes: ["api-keys:read", "api-keys:write"]}]\n'


@pytest.mark.parametrize("jump", [timedelta(), timedelta(days=1), timedelta(days=-1)])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_that_is_missing_for_a_moment(tmp_path: Path, jump: timedelta, dry_run: bool) -> None:
    """A file that is removed and written anew leaves its keys as they are, whatever is to happen to keys of no file.

    Neither does a clock that is set meanwhile; a dry run says the same.
    """
    folder = tmp_path / "keys"
    folder.mkdir()
    daemon = Daemon(
        World(folder, [key(1, "shop", SHOP, "domains:read")], f"unmanaged: {{then: quarantine}}\n{OWN}"),
        dry_run=dry_run,
    )
    other = folder / "shop.yaml"
    text = f'version: 1\naccount: {ACCOUNT}\nkeys: [{{name: shop, scopes: ["{SHOP}", "domains:read"]}}]\n'
    other.write_text(text)

    async def story() -> None:
        await asyncio.sleep(20)
        other.unlink()
        await asyncio.sleep(15)
        daemon.calendar.shift(jump)
        await asyncio.sleep(15)
        assert outcomes(daemon.reports[-1]) == {"unmanaged shop": "paused"}
        other.write_text(text)
        await asyncio.sleep(360)
        assert daemon.world.remote(1)["ip_allow_list"] == ["203.0.113.0/24"]
        other.unlink()
        await asyncio.sleep(312)  # with the ten seconds in which it is noticed here

    daemon.service._schedule = Schedule.every(timedelta(hours=1))
    daemon.run(story)
    assert outcomes(daemon.reports[-1]) == {"unmanaged shop": "planned" if dry_run else "applied"}
    assert daemon.world.remote(1)["ip_allow_list"] == [["192.0.2.1/32"], ["203.0.113.0/24"]][dry_run]


BELOW = 'sub_accounts: [{select: {name: "None *"}, keys: [{name: k, scopes: ["messages:send:all"]}]}]\n'


def busy(tmp_path: Path, policy: str) -> Daemon:
    """A daemon whose first pass has sixty slow writes to make."""
    folder = tmp_path / "keys"
    folder.mkdir()
    numbers = range(1, 61)
    files = "keys: [" + ", ".join(f'{{name: k{number:02}, scopes: ["{SHOP}"]}}' for number in numbers) + "]"
    keys = [key(number, f"k{number:02}", SHOP, "domains:read") for number in numbers]
    world = World(folder, keys, files, manager=FAMILY_MANAGER)
    world.faults({"method": "PUT", "path": "*", "rate": 1, "do": {"delay": "5s"}})
    daemon = Daemon(world)
    daemon.policy.write_text(f"version: 1\nguardrails: {{max_changes: {{percent: 100}}}}\n{policy}")
    return daemon


def test_files_that_change_in_the_middle_of_a_pass(tmp_path: Path) -> None:
    """What files ask for no more is not begun once they changed; the next pass goes by what they say then."""
    daemon = busy(tmp_path, "")
    world = daemon.world

    def before(request: httpx.Request) -> None:
        if request.method == "PUT" and world.puts == 12:
            world.write(world.text.replace(SHOP, "domains:read"))
            daemon.service._files_changed(daemon.stop)  # as a notice of the system would

    world.before = before
    daemon.run(minutes(5))
    first, second, *_ = daemon.reports
    stale = [change for change in first.changes if change.outcome == "stale"]
    assert len(stale) > 30
    assert {change.reason for change in stale} == {"the files say something else by now; the next pass goes by that"}
    assert daemon.triggers[:2] == ["start", "files"]
    assert second.summary.applied > 30


async def test_what_is_found_out_too_late(daemon: Daemon) -> None:
    """What was loaded to compare it with a pass says nothing of the next one, which goes by newer files itself."""
    going = daemon.load()
    daemon.world.write('keys: [{name: shop, scopes: ["messages:send:all"]}]')
    await daemon.service._compare(going, 0, daemon.stop)
    assert daemon.service._overtaken == frozenset()
    daemon.service._going = going
    await daemon.service._compare(going, 1, daemon.stop)
    assert daemon.service._overtaken == frozenset()
    await daemon.service._compare(going, 0, daemon.stop)
    assert daemon.service._overtaken == {ACCOUNT}


@pytest.mark.parametrize("text", ["", "keys: nonsense", f"version: 1\naccount: {OTHER}\nkeys: []\n"])
def test_files_that_say_nothing_else_stop_no_pass(tmp_path: Path, text: str) -> None:
    """Files that are touched, that do not load, or are about another account, change nothing: the pass goes on."""
    daemon = busy(tmp_path, "")
    world = daemon.world

    def before(request: httpx.Request) -> None:
        if request.method == "PUT" and world.puts in (5, 25, 45):
            if OTHER in text:
                (world.folder / "other.yaml").write_text(f"{text}# {world.puts}\n")
            else:
                world.write(text or f"# {world.puts}\nunmanaged: {{then: report}}\n{world.text}")
            daemon.service._files_changed(daemon.stop)

    world.before = before
    daemon.run(minutes(0.6))
    assert daemon.reports[0].summary.applied == 60


def test_a_clock_that_is_set_into_a_change_window(tmp_path: Path) -> None:
    """A clock that is set in the middle of a pass, into a change window, stops its writes as the window's own begin."""
    daemon = busy(tmp_path, "freeze: [{from: 2026-12-20, until: 2027-01-03, reason: year end}]\n")
    world = daemon.world

    def before(request: httpx.Request) -> None:
        if request.method == "PUT" and world.puts == 12:
            daemon.calendar.shift(timedelta(days=30))

    world.before = before
    daemon.run(minutes(0.5))
    paused = [change for change in daemon.reports[0].changes if change.outcome == "paused"]
    assert len(paused) > 30
    assert {change.reason for change in paused} == {"frozen until 2027-01-04 00:00 UTC: year end"}


def test_files_that_change_while_they_are_read(daemon: Daemon) -> None:
    """What changes while it is read is read again: no pass goes by half of one state and half of another."""
    load: Callable[[], PassInputs] = daemon.load
    written = iter([f'keys: [{{name: shop, scopes: ["{SHOP}", "domains:read"]}}]'])
    seen: list[PassInputs] = []

    def slow() -> PassInputs:
        seen.append(load())
        if text := next(written, None):
            daemon.world.write(text)
        return seen[-1]

    daemon.service._load = slow
    daemon.run(minutes(0.5))
    assert daemon.loads == 2
    assert seen[0].desired != seen[1].desired
    assert [change.access.direction for change in daemon.reports[0].changes] == ["widen"]
    assert daemon.world.remote(1)["scopes"] == ["domains:read", SHOP]


def test_files_that_never_rest(daemon: Daemon) -> None:
    """Files that change whenever they are read, and mistakes that are gone a moment later, are nothing to go by."""
    load: Callable[[], PassInputs] = daemon.load

    def restless() -> PassInputs:
        daemon.world.write(FILES + f" # {daemon.loads}")
        if daemon.loads % 2:
            daemon.loads += 1
            raise FilesError((Problem("keys.yaml", 1, 1, "half written"),))
        return load()

    async def story() -> None:
        await asyncio.sleep(30)
        daemon.service._load = restless
        daemon.service.wake(Trigger.SIGNAL)
        await asyncio.sleep(5)

    daemon.run(story)
    rejected = [event for event in daemon.events if isinstance(event, ConfigRejected)]
    assert rejected
    assert all(event.problems == () and "keep changing" in event.message for event in rejected)


def test_settings_that_break_later(daemon: Daemon) -> None:
    """Settings that break later are told like broken files, and are fine again by themselves."""

    async def story() -> None:
        await asyncio.sleep(30)
        daemon.problems = [SettingsError("no directory", hint="mount it")]
        await asyncio.sleep(100)

    daemon.run(story)
    assert daemon.told(ConfigRejected) == [ConfigRejected((), "no directory; mount it", 60.0)]
    assert daemon.told(ConfigReloaded) == [ConfigReloaded(1, 1)]
    assert len(daemon.reports) == 3


def test_a_setting_that_shows_to_be_wrong_in_a_pass(daemon: Daemon) -> None:
    """A setting that shows to be wrong only when a session opens is told, and the daemon goes on."""
    load: Callable[[], PassInputs] = daemon.load

    def broken() -> NoReturn:
        raise SettingsError("the proxy is none")

    daemon.service._load = lambda: replace(load(), access=Live(broken)) if daemon.loads == 0 else load()
    daemon.run(minutes(1.5))
    assert daemon.told(ConfigRejected) == [ConfigRejected((), "the proxy is none", 0.0)]
    assert len(daemon.reports) == 1


def test_what_does_not_load_at_the_start_ends_it(daemon: Daemon) -> None:
    """At the start, files that do not load are an error and no daemon."""
    daemon.problems = [SettingsError("no directory")]
    with pytest.raises(SettingsError):
        daemon.run()
    assert daemon.events == []


def test_a_bug_is_told_and_ends_nothing(daemon: Daemon) -> None:
    """An error that nobody foresaw is told with its place, and the next pass begins as always."""

    def buggy(_report: Report) -> None:
        if len(daemon.reports) == 1:
            raise KeyError("shop")

    daemon.after = buggy
    daemon.run(minutes(1.5))
    (failed,) = daemon.told(PassFailed)
    assert isinstance(failed, PassFailed)
    assert failed.error == "KeyError: 'shop'"
    assert failed.where.startswith("buggy:")
    assert len(daemon.reports) == 2


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


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change(daemon: Daemon, day: str, hours: int) -> None:
    """A crontab line in a time zone makes its passes on the day that has 23 hours and on the one that has 25."""
    berlin = read_zone("Europe/Berlin")
    start = datetime.fromisoformat(f"{day}T00:15:00").replace(tzinfo=berlin)
    daemon = Daemon(daemon.world, Schedule.cron("*/30 * * * *", zone=berlin))

    daemon.run(minutes(hours * 60), start)
    assert len(daemon.reports) == 1 + hours * 2


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
    seen: list[tuple[int, int]] = []

    def look(_report: Report) -> None:
        done = len(seen) + 1
        del daemon.events[:], daemon.reports[:]
        with daemon.world.edited() as keys:
            keys[key_id(1)]["scopes"] = [("messages:send:all", "domains:read")[done % 2]]
        del daemon.world.emulator.history[:]
        gc.collect()
        seen.append((len(gc.get_objects()), len(list(Path("/proc/self/fd").iterdir()))))

    daemon.after = look
    daemon.run(minutes(149.5))
    assert len(seen) == 150
    objects, files = zip(*seen[50::25], strict=True)
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
