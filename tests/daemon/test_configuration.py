"""What the daemon goes by: files that change, break, vanish and return, and settings that do."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from daemon.house import FILES, SHOP, Daemon, minutes
from reconciler.core.events import (
    ConfigRejected,
    ConfigReloaded,
    DaemonFaulted,
    PassFailed,
    PassStarted,
    Trigger,
)
from reconciler.core.report import Report
from reconciler.errors import FilesError, Problem, SettingsError
from reconciler.reconcile import Live, PassInputs
from world import key_id, outcomes


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
