"""Accounts that cannot be read, in passes of ``run`` one after another: asked less and less, and never given up."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.ahasend.pace import Stop
from reconciler.core.departures import Named
from reconciler.core.events import AccountListed, Trigger
from reconciler.core.report import Report, exit_code
from reconciler.reconcile import Patience
from world import ACCOUNT, FAMILY_MANAGER, NOON, OTHER, World, admin, below, key, outcomes, sub_account

SHOP = "messages:send:{shop.example.com}"
SEND = "messages:send:all"
ONE = f'keys: [{{name: shop, scopes: ["{SHOP}"]}}]\n'
FAMILY = 'sub_accounts: [{select: {name: "Acme *"}, keys: [{name: sender, scopes: ["messages:send:all"]}]}]\n'
EVERY = timedelta(minutes=5)
OTHER_TOKEN = "aha-sk-" + "o" * 64


class Outage:
    """Everything that is sent between two times is lost; counts what was."""

    def __init__(self, begin: timedelta, end: timedelta) -> None:
        self.begin, self.end = NOON + begin, NOON + end
        self.world: World | None = None
        self.lost = 0

    def __call__(self, request: httpx.Request) -> None:
        if self.world is not None and self.begin <= self.world.now < self.end:
            self.lost += 1
            raise httpx.ConnectError("connection refused", request=request)


def error(report: Report, number: int = 0) -> str:
    return report.accounts[number].error or ""


def asked(world: World, passes: int, step: timedelta = EVERY) -> list[int]:
    """How many GETs each of some passes sent."""
    sent = []
    for _ in range(passes):
        sent.append(world.run().requests.GET)
        world.now += step
    return sent


def test_the_api_is_gone_for_an_hour(tmp_path: Path) -> None:
    """Few requests are sent meanwhile, each pass says why, and 15 minutes after its return all drift is mended."""
    outage = Outage(timedelta(minutes=10), timedelta(minutes=70))
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE, before=outage)
    outage.world = world
    seen = []
    for minute in range(0, 100, 5):
        world.now = NOON + timedelta(minutes=minute)
        if minute == 10:
            with world.edited() as keys:
                keys[key(1, "")["id"]]["scopes"] = ["domains:read"]
        report = world.run()
        seen.append((minute, report.accounts[0].status.value, report.requests.GET > 0, exit_code(report)))
    failed = [(minute, sent) for minute, status, sent, _ in seen if status == "failed"]
    assert failed == [
        (10, True),
        (15, True),
        (20, True),
        (25, True),
        (30, True),
        (35, False),
        (40, True),
        (45, False),
        (50, False),
        (55, True),
        (60, False),
        (65, False),
    ]
    assert outage.lost == 7 * 5
    assert {code for _, status, _, code in seen if status == "failed"} == {1}
    assert world.remote(1)["scopes"] == [SHOP]
    assert world.memory.rests == {}
    assert world.memory.passes == 20


def test_an_hour_of_passes_every_half_minute(tmp_path: Path) -> None:
    """However often passes come, an account that never answers is asked eight times in an hour."""
    outage = Outage(timedelta(), timedelta(hours=1))
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE, before=outage)
    outage.world = world
    sent = asked(world, 120, timedelta(seconds=30))
    assert [number for number, count in enumerate(sent) if count] == [0, 1, 3, 7, 15, 31, 61, 91]
    assert outage.lost == sum(sent)


def test_what_is_said_of_an_account_that_rests(tmp_path: Path) -> None:
    """It is failed with its last error, how often it failed and when it is asked again; the log has it, too."""
    outage = Outage(timedelta(), timedelta(hours=1))
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE, before=outage)
    outage.world = world
    first = error(world.run())
    world.now += timedelta(seconds=10)
    world.events.clear()
    report = world.run()
    cause, hint = first.split("\n", 1)
    told = f"{cause}; not asked in this pass, since it failed once; asked again from 2026-11-23 12:00:30 UTC on"
    assert error(report) == f"{told}\n{hint}"
    assert (report.requests.GET, report.digest, report.changes) == (0, None, ())
    (listed,) = (event for event in world.events if isinstance(event, AccountListed))
    assert listed.error == told
    world.now += timedelta(seconds=20)
    world.run()
    world.now += timedelta(seconds=59)
    assert "; not asked in this pass, since it failed 2 times in a row; asked again from " in error(world.run())


@pytest.mark.parametrize("trigger", [Trigger.FILES, Trigger.SIGNAL, Trigger.REQUEST])
def test_who_asks_for_a_pass_is_not_kept_waiting(tmp_path: Path, trigger: Trigger) -> None:
    """A pass that a person asked for asks the account anew, and counts: the rest after it is the longer one."""
    outage = Outage(timedelta(), timedelta(seconds=20))
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE, before=outage)
    outage.world = world
    world.run()
    world.trigger = trigger
    world.now += timedelta(seconds=5)
    assert world.run().requests.GET == 5
    (rest,) = world.memory.rests.values()
    assert (rest.failures, rest.since) == (2, world.now)
    world.trigger = Trigger.SCHEDULE
    world.now += timedelta(seconds=20)
    assert world.run().requests.GET == 0
    world.trigger = trigger
    assert exit_code(world.run()) == 0
    assert world.memory.rests == {}


@pytest.mark.parametrize("trigger", [Trigger.START, Trigger.SCHEDULE, None])
def test_a_pass_that_comes_by_itself_heeds_rests(tmp_path: Path, trigger: Trigger | None) -> None:
    """What nobody asked for waits."""
    outage = Outage(timedelta(), timedelta(hours=1))
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE, before=outage, trigger=trigger)
    outage.world = world
    assert asked(world, 2, timedelta(seconds=10)) == [5, 0]


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """When the clock is put back by a day, the account is asked at once, not a day later."""
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE)
    world.faults({"method": "GET", "path": "*", "do": {"status": 503}})
    world.run()
    world.faults()
    world.now -= timedelta(days=1)
    assert exit_code(world.run()) == 0


def test_one_account_rests_and_the_other_does_not(tmp_path: Path) -> None:
    """What fails keeps nobody else waiting: each account is asked at its own times."""
    other = {"id": OTHER, "domains": ["shop.example.com"], "keys": [admin(OTHER, OTHER_TOKEN), key(7, "far", SHOP)]}
    tokens = {None: admin()["secret_key"], "far": OTHER_TOKEN}
    world = World(tmp_path, [key(1, "shop", "domains:read")], ONE, more_accounts=(other,), tokens=tokens)
    far = f'version: 1\naccount: {{id: {OTHER}, credential: far}}\nkeys: [{{name: far, scopes: ["{SHOP}"]}}]\n'
    world.folder.joinpath("far.yaml").write_text(far, encoding="utf-8")
    world.faults({"method": "GET", "path": f"*{OTHER}*", "do": {"status": 403}})
    report = world.run()
    assert (outcomes(report), exit_code(report)) == ({"shop": "applied"}, 4)
    world.now += timedelta(seconds=10)
    report = world.run()
    assert [account.status.value for account in report.accounts] == ["ok", "failed"]
    assert report.requests.GET == 1
    assert [*world.memory.rests] == [(OTHER, "")]


def family(tmp_path: Path, **fields: Any) -> World:
    subs = tuple(sub_account(n, f"Acme {n}", key(n, "sender", SEND)) for n in (1, 2, 3))
    return World(tmp_path, [], FAMILY, manager=FAMILY_MANAGER, sub_accounts=subs, **fields)


def test_a_sub_account_rests_by_itself(tmp_path: Path) -> None:
    """One that fails is left alone while its parent and the others are read, and is asked again after its rest."""
    world = family(tmp_path)
    world.faults({"method": "GET", "path": f"*{below(2)}*", "do": {"status": 403}})
    assert world.run().requests.GET == 5
    world.now += timedelta(seconds=29)
    report = world.run()
    assert (report.requests.GET, exit_code(report)) == (4, 4)
    assert [account.sub_account_id for account in report.accounts if account.error] == [below(2)]
    assert "; not asked in this pass, since it failed once; " in error(report, 2)
    world.faults()
    world.now += timedelta(seconds=1)
    assert exit_code(world.run()) == 0
    assert world.memory.rests == {}


def test_sub_accounts_wait_with_their_parent(tmp_path: Path) -> None:
    """While an account rests nothing is sent for its sub accounts either."""
    world = family(tmp_path)
    world.faults({"method": "GET", "path": f"*{ACCOUNT}/api-keys*", "do": {"status": 403}})
    assert asked(world, 2, timedelta(seconds=10)) == [1, 0]
    assert [*world.memory.rests] == [(ACCOUNT, "")]


def test_a_list_of_sub_accounts_that_cannot_be_read_rests(tmp_path: Path) -> None:
    """The account's own keys are reconciled meanwhile; only its sub accounts are left alone."""
    world = family(tmp_path)
    world.faults({"method": "GET", "path": "*/sub-accounts*", "do": {"status": 403}})
    world.run()
    world.now += timedelta(seconds=10)
    report = world.run()
    assert report.requests.GET == 1
    assert [account.status.value for account in report.accounts] == ["ok", "failed"]
    assert "; not asked in this pass, since it failed once; " in error(report, 1)


def test_what_was_not_asked_does_not_fail(tmp_path: Path) -> None:
    """Running out of time, being asked to stop, and files that clash begin no rest: nobody answered badly."""
    world = family(tmp_path, patience=Patience(per_account=3.0))
    world.faults({"method": "GET", "path": f"*{below(1)}*", "do": {"delay": "9s"}})
    report = world.run()
    assert "out of time" in error(report, 1)
    assert world.memory.rests == {}
    world.faults()
    world.stop = Stop()
    world.before = lambda request: world.stop.requested.set() if world.stop else None
    assert "interrupted" in error(world.run())
    assert world.memory.rests == {}
    world.before, world.stop = lambda request: None, None
    rule = """{select: {name: "* 1"}, keys: [{name: sender, scopes: ["messages:send:all"]}]}"""
    world.write(FAMILY.removesuffix("]\n") + f", {rule}]\n")
    assert "two rules select it" in error(world.run(), 1)
    assert world.memory.rests == {}


def test_a_dry_run_of_the_daemon_heeds_and_keeps_rests(tmp_path: Path) -> None:
    """Of what passes remember, a dry run has which accounts rest, what files named, and how many passes there were."""
    world = World(tmp_path, [key(1, "shop", "domains:read")], ONE)
    world.faults({"method": "GET", "path": "*", "do": {"status": 403}})
    assert world.plan().requests.GET == 1
    world.now += timedelta(seconds=10)
    report = world.plan()
    assert (report.requests.GET, world.memory.passes) == (0, 2)
    assert "; not asked in this pass, since it failed once; " in error(report)
    world.faults()
    world.now += timedelta(seconds=20)
    assert outcomes(world.plan()) == {"shop": "planned"}
    assert replace(world.memory, named=Named()) == replace(type(world.memory)(), passes=3)


def test_passes_without_a_memory_ask_each_time(tmp_path: Path) -> None:
    """`apply` and a CronJob ask anew in each pass."""
    world = World(tmp_path, [key(1, "shop", SHOP)], ONE)
    world.faults({"method": "GET", "path": "*", "do": {"status": 403}})
    assert [world.apply().requests.GET for _ in range(3)] == [1, 1, 1]
