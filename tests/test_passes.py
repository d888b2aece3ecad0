"""Passes of ``run``, one after another: what it remembers of those before."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx

from reconciler.core.report import exit_code
from world import World, as_api, change_of, key, key_id, outcomes

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
FOUGHT_OVER = """
defaults: {ip_allow_list: [203.0.113.0/24]}
keys:
  - {name: shop, scopes: ["messages:send:{shop.example.com}"]}
"""


def test_a_fight_does_not_become_a_flood(tmp_path: Path) -> None:
    """Somebody undoes a change after every pass: after three writes it is left alone, reported with both values."""
    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER)
    reports = []
    for _ in range(20):
        reports.append(world.run())
        world.now += timedelta(minutes=5)
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [NEWS]
    assert [outcomes(report)["shop"] for report in reports] == ["applied"] * 3 + ["skipped"] * 12 + ["applied"] + [
        "skipped"
    ] * 4
    assert world.puts == 4
    contested = reports[3]
    (finding,) = contested.findings
    assert (finding.rule, finding.key, finding.key_id) == ("contested", "shop", key_id(1))
    assert f"scopes is {SHOP} by the files, {NEWS} by the other side" in finding.message
    assert exit_code(contested) == 3


def test_a_fight_that_the_other_side_gives_up(tmp_path: Path) -> None:
    """After an hour of rest the change is taken up again, and if nobody undoes it, it stays."""
    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER)
    for _ in range(3):
        world.run()
        world.now += timedelta(minutes=5)
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [NEWS]
    assert outcomes(world.run()) == {"shop": "skipped"}
    world.now += timedelta(hours=1)
    assert outcomes(world.run()) == {"shop": "applied"}
    assert world.run().changes == ()


def test_passes_without_a_memory_do_not_notice_a_fight(tmp_path: Path) -> None:
    """A CronJob's passes begin anew each time: each writes."""
    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER)
    for _ in range(5):
        assert outcomes(world.apply()) == {"shop": "applied"}
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [NEWS]


def test_a_dry_run_neither_heeds_nor_changes_the_memory(tmp_path: Path) -> None:
    """A plan says what an apply would do, whatever passes of run remember."""
    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER)
    for _ in range(4):
        world.run()
        world.now += timedelta(minutes=5)
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [NEWS]
    memory = world.memory
    assert outcomes(world.plan()) == {"shop": "planned"}
    assert world.memory == replace(memory, passes=memory.passes + 1)


def test_a_rejected_change_is_not_sent_in_each_pass(tmp_path: Path) -> None:
    """What the API answers with 400 is tried again after ten minutes, then twenty, and stays failed in between."""
    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER, domains=("news.example.com",))
    sent = []
    for _ in range(13):
        before = world.puts
        report = world.run()
        assert (outcomes(report), exit_code(report)) == ({"shop": "failed"}, 4)
        assert f"{tmp_path}/keys.yaml:6:5" in str(change_of(report, "shop").reason)
        sent.append(world.puts - before)
        world.now += timedelta(minutes=5)
    assert sent == [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert "tried 3 times, again from 2026-11-23 13:10 UTC on" in str(change_of(report, "shop").reason)
    world.write(FOUGHT_OVER.replace("shop.example.com", "news.example.com"))
    assert world.run().changes == ()


def test_a_refusal_that_is_not_the_apis_is_no_rejection(tmp_path: Path) -> None:
    """A proxy's 400 says nothing about the change: the next pass tries again."""

    def in_between(_request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(400, html="<h1>Bad Request</h1>") if response.status_code == 400 else response

    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER, after=in_between)
    world.faults({"method": "PUT", "path": "*", "do": {"status": 400}})
    report = world.run()
    assert "something between here and the API" in str(change_of(report, "shop").reason)
    assert outcomes(report) == {"shop": "failed"}
    world.faults()
    assert outcomes(world.run()) == {"shop": "applied"}


def test_a_fight_over_a_fence_that_went_through_alone(tmp_path: Path) -> None:
    """The rest of a quarantine is rejected each time and somebody opens the key again: that is a fight, too."""
    files = 'keys: [{name: leak, scopes: ["messages:send:{gone.example.com}"], state: quarantined}]'
    world = World(tmp_path, [key(1, "leak", "domains:read", ip_allow_list=[])], files)
    fences = []
    for _ in range(24):
        before = len(world.emulator.history)
        report = world.run()
        fences.append(len(world.emulator.history) - before)
        with world.edited() as keys:
            keys[key_id(1)]["ip_allow_list"] = []
        world.now += timedelta(minutes=5)
    assert fences == [1, 1, 1, *[0] * 12, 1, *[0] * 8]
    assert "contested: it was undone" in str(change_of(report, "leak").reason)


def test_a_fight_with_an_account_that_does_not_do_as_it_says(tmp_path: Path) -> None:
    """Where each PUT is taken and each answer shows the old value, the fourth pass leaves the key alone."""

    def ignored(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method != "PUT":
            return response
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [NEWS]
        return httpx.Response(200, json=as_api(key(1, "shop", NEWS)))

    world = World(tmp_path, [key(1, "shop", NEWS)], FOUGHT_OVER, after=ignored)
    seen = []
    for _ in range(6):
        seen.append(outcomes(world.run())["shop"])
        world.now += timedelta(minutes=5)
    assert seen == ["failed"] * 3 + ["skipped"] * 3
    assert world.puts == 3
