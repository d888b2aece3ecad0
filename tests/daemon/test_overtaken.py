"""Files that change under a pass, or are away for a moment: what was begun, and what they named, is not lost."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from daemon.house import SHOP, Daemon, minutes
from reconciler.core.events import (
    Trigger,
)
from reconciler.core.keys import AccountRef
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.service import _overtaken
from world import ACCOUNT, OTHER, World, key, outcomes

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


def busy(tmp_path: Path, policy: str) -> Daemon:
    """A daemon whose first pass has sixty slow writes to make."""
    folder = tmp_path / "keys"
    folder.mkdir()
    numbers = range(1, 61)
    files = "keys: [" + ", ".join(f'{{name: k{number:02}, scopes: ["{SHOP}"]}}' for number in numbers) + "]"
    keys = [key(number, f"k{number:02}", SHOP, "domains:read") for number in numbers]
    world = World(folder, keys, files)
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


def test_the_accounts_that_newer_files_overtake(daemon: Daemon) -> None:
    """An account is overtaken where files ask for something else of it, wherever that stands; all are by a policy."""
    rule = 'sub_accounts: [{select: {name: "Acme *"}, unmanaged: report, keys: [{name: k, scopes: ["domains:read"]}]}]'
    other = daemon.world.folder / "other.yaml"
    text = f"version: 1\naccount: {OTHER}\nkeys: [{{name: k, scopes: [domains:read], description: d}}]\n{rule}\n"

    def overtaken(text: str) -> set[str]:
        other.write_text(text)
        daemon.service._overtaken = _overtaken(going, daemon.load())
        superseded = daemon.service._due_inputs(going, Trigger.FILES).superseded
        return {account for account in (ACCOUNT, OTHER) if superseded(AccountRef(account))}

    other.write_text(text)
    going = daemon.load()
    assert overtaken(text) == set()
    assert overtaken(text.replace("keys:", "# moved\nkeys:", 1).replace("description: d", "description: e")) == set()
    assert overtaken(text.replace("Acme", "Acne")) == {OTHER}
    assert overtaken(text.replace("unmanaged: report", "unmanaged: ignore")) == {OTHER}
    assert overtaken(text.replace("domains:read]", "domains:write]")) == {OTHER}
    other.unlink()
    assert _overtaken(going, daemon.load()) == {OTHER}
    daemon.policy.write_text("version: 1\n")
    assert overtaken(text) == {ACCOUNT, OTHER}
