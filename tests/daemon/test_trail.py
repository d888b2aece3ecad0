"""The trail as an observer: what it stores of a pass, and that no write is made of which it could not store a line."""

import json
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from dulwich import porcelain

from daemon.chained import KEY, NOON, SHOP, opened
from daemon.test_segments import no_room_beyond, whole
from reconciler.core.changes import Change, Fields, ListDiff, Outcome
from reconciler.core.events import (
    ChangeApplied,
    ChangeFailed,
    ChangeSkipped,
    ChangeStarted,
    DaemonStarted,
    Event,
    PassFinished,
    PassStarted,
    PlanComputed,
    Trigger,
    tell_all,
)
from reconciler.core.keys import AccountRef, Source
from reconciler.core.report import SCHEMA, Mode, Report, RequestCounts, Summary
from reconciler.daemon.segments import segments
from reconciler.daemon.trail import Trail
from reconciler.errors import TrailError
from world import FAMILY_MANAGER, OFFICE, World, below, change_of, key, key_id, outcomes, sub_account

SCOPE = "messages:send:{shop.example.com}"
ONE = 'keys: [{name: shop, scopes: ["messages:send:{shop.example.com}"]}]'
FENCED = ONE.replace('"]}]', '"], ip_allow_list: [203.0.113.0/24], state: quarantined}]')
UNSAID = {"prev", "hash"}


def stored(path: Path) -> list[dict[str, Any]]:
    """What a trail says after its first line."""
    return [json.loads(line) for line in path.read_bytes().splitlines()][1:]


def events(path: Path) -> list[str]:
    return [line["event"] for line in stored(path)]


def report(*accounts: Any, mode: Mode = Mode.APPLY) -> Report:
    return Report(SCHEMA, "0", mode, "run", "t", "t", None, None, accounts, (), (), Summary(), RequestCounts())


def a_world(folder: Path, trail: Trail, text: str = ONE) -> World:
    """One key that may do more than the file says, and a trail that is told of everything."""
    files = folder / "files"
    files.mkdir(exist_ok=True)
    return World(files, [key(1, "shop", SCOPE, "domains:read")], text, observe=trail)


def test_a_write_is_stored_before_it_is_made(tmp_path: Path) -> None:
    """When the PUT arrives its line is there: who asked, what was and is to be, why; after it how it ended."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        at_the_put: list[list[str]] = []

        def look(request: httpx.Request) -> None:
            if request.method == "PUT":
                at_the_put.append(events(path))

        world.before = look
        made = world.apply()
    assert at_the_put == [["write.started"]]
    started, ended = stored(path)
    assert (started["outcome"], ended["event"], ended["outcome"]) == ("planned", "write.ended", "applied")
    assert {name: started[name] for name in started if name not in UNSAID} == {
        "seq": 2,
        "time": "2026-11-23T12:00:00.000Z",
        "event": "write.started",
        "run_id": "run",
        "mode": "apply",
        "trigger": None,
        "plan": made.digest,
        "account_id": "11111111-1111-4111-8111-111111111111",
        "sub_account_id": None,
        "key_id": key_id(1),
        "name": "shop",
        "label": "shop",
        "action": "update",
        "fields": {"scopes": {"before": ["domains:read", SCOPE], "after": [SCOPE]}},
        "access": {
            "direction": "narrow",
            "scopes": {"granted": [], "revoked": ["domains:read"]},
            "networks": {"granted": [], "revoked": []},
        },
        "outcome": "planned",
        "reason": None,
        "asked_by": {
            "file": str(world.folder / "keys.yaml"),
            "line": 3,
            "column": 8,
            "commit": None,
            "modified": None,
        },
    }
    assert (ended["written"], ended["seen"]) == ([], None)
    assert whole(path).writes == 1


def test_the_page_tells_the_truth(tmp_path: Path) -> None:
    """docs/trail.md lists every field of a line, and every event."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        a_world(tmp_path, trail).apply(hold="x")
    with opened(path) as trail:
        a_world(tmp_path, trail).apply()
    with path.open("ab") as file:
        file.write(b"torn")
    with opened(path, size=1) as trail:
        trail(ChangeStarted("run", SHOP))
        trail.store_notified({"whole": True})
    page = (Path(__file__).parents[2] / "docs" / "trail.md").read_text()
    told = set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE))
    lines = [json.loads(line) for each in (*segments(path), path) for line in each.read_bytes().splitlines()]
    named = {each for each in told if "." in each}
    of_the_trail = {"format", "version", "file_number", "torn", "torn_bytes", "told"}
    plain = {"decision", "notified"}
    assert {name for line in lines for name in line} - of_the_trail == {
        each for each in told if "." not in each
    } - plain
    assert {line["event"] for line in lines} == named | plain
    assert all(f"`{name}`" in page for name in of_the_trail)


def test_the_commit_of_the_files_is_named(tmp_path: Path) -> None:
    """Where the files lie in a worktree, a line says which commit asked, and whether the file differs from it."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        with porcelain.init(str(world.folder)):
            pass
        porcelain.add(str(world.folder), [str(world.folder / "keys.yaml")])
        commit = porcelain.commit(str(world.folder), message=b"x", author=b"A <a@b.c>", committer=b"A <a@b.c>")
        os.utime(world.folder / "keys.yaml", (0, 0))
        world.apply()
    asked = stored(path)[0]["asked_by"]
    assert (asked["commit"], asked["modified"]) == (commit.decode(), False)


def test_no_commit_is_named_for_files_that_are_not_in_force(tmp_path: Path) -> None:
    """While newer files do not load, those that lie there are not the ones that asked."""
    path = tmp_path / "trail"
    files = tmp_path / "keys"
    files.mkdir()
    (files / "shop.yaml").write_text("version: 1\n")
    with porcelain.init(str(files)):
        pass
    porcelain.add(str(files), [str(files / "shop.yaml")])
    commit = porcelain.commit(str(files), message=b"x", author=b"A <a@b.c>", committer=b"A <a@b.c>").decode()
    change = replace(SHOP, source=Source(str(files / "shop.yaml"), 1, 1))
    with opened(path) as trail:
        for age in (10.0, None):
            trail(PassStarted("run", Mode.APPLY, 1, config_age=age))
            trail(ChangeStarted("run", change))
    assert [line["asked_by"]["commit"] for line in stored(path)] == [None, commit]


def test_a_decision_after_a_write_is_another_one(tmp_path: Path) -> None:
    """What is decided after a write is stored, also where the pass of that write never came to its end."""
    path = tmp_path / "trail"
    refused = SHOP.ended(Outcome.REFUSED, "hold: x")
    with opened(path) as trail:
        trail(PassStarted("one", Mode.APPLY, 1))
        trail(ChangeSkipped("one", refused))
        trail(PassStarted("two", Mode.APPLY, 2))
        trail(ChangeStarted("two", SHOP))
        trail(ChangeApplied("two", SHOP.ended(Outcome.APPLIED)))
        trail(PassStarted("three", Mode.APPLY, 3))
        trail(ChangeSkipped("three", refused))
    assert events(path) == ["decision", "write.started", "write.ended", "decision"]


def test_a_list_before_its_fence_is_kept(tmp_path: Path) -> None:
    """The line of a quarantine holds the list that the key had, whole."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail, FENCED)
        with world.edited() as keys:
            keys[key_id(1)].update(scopes=[SCOPE], ip_allow_list=["198.51.100.0/24", "203.0.113.7/32"])
        assert outcomes(world.apply()) == {"shop": "applied"}
    started = stored(path)[0]
    assert started["action"] == "quarantine"
    assert started["fields"]["ip_allow_list"]["before"] == ["198.51.100.0/24", "203.0.113.7/32"]


def test_what_was_written_in_part_is_told(tmp_path: Path) -> None:
    """Where a change did not come to its end the line says which fields were taken, and how the key was seen."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)

        def other(request: httpx.Request, response: httpx.Response) -> httpx.Response:
            if request.method != "PUT":
                return response
            answer = response.json()
            answer["scopes"] = [{"scope": "domains:read"}]
            return httpx.Response(200, json=answer)

        world.after = other
        assert outcomes(world.apply()) == {"shop": "failed"}
    ended = stored(path)[1]
    assert ended["written"] == ["scopes"]
    assert ended["seen"] == {"label": "shop", "scopes": ["domains:read"], "ip_allow_list": OFFICE}
    assert "not what was asked" in ended["reason"]


def test_what_is_held_back_is_a_decision(tmp_path: Path) -> None:
    """A change that a guardrail refuses is stored with its reason, once, however many passes refuse it."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        for _ in range(3):
            world.run(hold="incident 7")
        (decision,) = stored(path)
        assert (decision["event"], decision["outcome"]) == ("decision", "refused")
        assert decision["reason"].startswith("hold: ")
        world.run(hold="incident 8")
        assert [line["event"] for line in stored(path)] == ["decision", "decision"]
        assert outcomes(world.run()) == {"shop": "applied"}
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [SCOPE, "domains:read"]
        world.run(hold="incident 8")
    assert events(path) == ["decision", "decision", "write.started", "write.ended", "decision"]


def test_how_long_ago_something_was_is_no_new_decision(tmp_path: Path) -> None:
    """A reason that tells an age is the same in the next pass; one that tells another limit is not."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        for reason in ("used 3 minutes ago", "used 8 minutes ago", "within 5 days", "within 50 days"):
            trail(PassStarted("run", Mode.APPLY, 1))
            trail(ChangeSkipped("run", SHOP.ended(Outcome.REFUSED, reason)))
    assert [line["reason"] for line in stored(path)] == ["used 3 minutes ago", "within 5 days", "within 50 days"]


def test_a_dry_run_stores_what_would_be_done(tmp_path: Path) -> None:
    """What a dry run plans is a decision of it; in a pass that applies the write says it."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        world.plan()
        world.plan()
    (decision,) = stored(path)
    assert (decision["event"], decision["mode"], decision["outcome"]) == ("decision", "plan", "planned")
    assert decision["fields"]["scopes"]["after"] == [SCOPE]


def test_a_decision_that_comes_back_is_stored_again(tmp_path: Path) -> None:
    """What a pass that read the account no longer decided is forgotten; where it could not be read it is not."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        world.trigger = Trigger.REQUEST  # such passes ask at once what failed before
        world.run(hold="x")
        world.faults({"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}})
        world.run(hold="x")
        world.faults()
        world.run(hold="x")
        assert events(path) == ["decision"]
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [SCOPE]
        world.run(hold="x")
        with world.edited() as keys:
            keys[key_id(1)]["scopes"] = [SCOPE, "domains:read"]
        world.run(hold="x")
    assert events(path) == ["decision", "decision"]


def test_sub_accounts_that_could_not_be_listed_keep_their_decisions(tmp_path: Path) -> None:
    """Where the list of sub accounts failed, what was decided about their keys is not stored again."""
    path = tmp_path / "trail"
    family = 'sub_accounts: [{select: {name: "*"}, keys: [{name: sender, scopes: ["messages:send:all"]}]}]'
    with opened(path) as trail:
        files = tmp_path / "files"
        files.mkdir()
        under = (sub_account(1, "Acme", key(11, "sender", "domains:read")),)
        world = World(files, [], family, observe=trail, manager=FAMILY_MANAGER, sub_accounts=under)
        world.trigger = Trigger.REQUEST  # such passes ask at once what failed before
        world.run(hold="x")
        world.faults({"method": "GET", "path": "*/sub-accounts", "rate": 1, "do": {"status": 403}})
        world.run(hold="x")
        world.faults()
        world.run(hold="x")
    (decision,) = stored(path)
    assert decision["sub_account_id"] == below(1)


@pytest.mark.parametrize(("hours", "lines"), [(23, 1), (25, 2)])
def test_a_new_process_knows_the_last_decisions(tmp_path: Path, hours: int, lines: int) -> None:
    """A CronJob whose passes hold the same change back stores it once a day, not with each pass."""
    path = tmp_path / "trail"
    for now in (NOON, NOON + timedelta(hours=hours)):
        with opened(path, now=now) as trail:
            a_world(tmp_path, trail).apply(hold="x")
    assert events(path) == ["decision"] * lines


def test_a_new_process_knows_of_writes(tmp_path: Path) -> None:
    """A decision of before a write is not the last one any more."""
    path = tmp_path / "trail"
    for hold in ("x", None, "x"):
        with opened(path) as trail:
            a_world(tmp_path, trail).apply(hold=hold)
    assert events(path) == ["decision", "write.started", "write.ended", "decision"]


def test_no_write_without_its_line(tmp_path: Path) -> None:
    """With a full disk nothing is sent; the change has failed and says why; when there is room it is made."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        size = path.stat().st_size
        world.before = lambda request: None
        for room in (0, 10, 500):
            with no_room_beyond(size + room):
                told = world.run()
            assert outcomes(told) == {"shop": "failed"}
            assert "not written, since the write could not be recorded" in (change_of(told, "shop").reason or "")
            assert "file too large" in (trail.problem or "")
            assert world.puts == 0
            assert path.stat().st_size == size
        assert outcomes(world.run()) == {"shop": "applied"}
        assert trail.problem is None
    assert events(path) == ["write.started", "write.ended"]
    whole(path)


def test_a_decision_without_its_line_forbids_writes(tmp_path: Path) -> None:
    """Where a decision could not be stored the pass goes on but writes nothing, even if there is room again."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(PassStarted("run", Mode.APPLY, 1))
        refused = replace(SHOP, key_id="other", name="other").ended(Outcome.REFUSED, "max-changes")
        with no_room_beyond(path.stat().st_size):
            trail(ChangeSkipped("run", refused))
        with pytest.raises(TrailError, match="a decision of this pass is not in the trail"):
            trail(ChangeStarted("run", SHOP))
        assert events(path) == []
        assert "file too large" in (trail.problem or "")
        trail(PassStarted("next", Mode.APPLY, 2))
        trail(ChangeSkipped("next", refused))
        trail(ChangeStarted("next", SHOP))
        assert trail.problem is None
    assert events(path) == ["decision", "write.started"]


def test_an_outcome_that_could_not_be_stored_comes_first(tmp_path: Path) -> None:
    """Outcomes wait until there is room; no write begins before they are stored; all are there in the end."""
    path = tmp_path / "trail"
    second = replace(SHOP, key_id="other", name="other")
    with opened(path) as trail:
        trail(PassStarted("run", Mode.APPLY, 1))
        trail(ChangeStarted("run", SHOP))
        trail(ChangeStarted("run", second))
        with no_room_beyond(path.stat().st_size + 100):
            for change in (SHOP, second):
                with pytest.raises(TrailError):
                    trail(ChangeApplied("run", change.ended(Outcome.APPLIED)))
            assert trail.problem == "2 outcomes of writes are not stored yet"
            trail(PassFinished("run", report(), 1.0))
            trail(PassStarted("next", Mode.APPLY, 2))
            with pytest.raises(TrailError):
                trail(ChangeStarted("next", SHOP))
        trail(ChangeStarted("next", SHOP))
        trail(ChangeFailed("next", SHOP.ended(Outcome.FAILED, "503")))
    assert [(line["event"], line["key_id"], line["run_id"]) for line in stored(path)] == [
        ("write.started", KEY, "run"),
        ("write.started", "other", "run"),
        ("write.ended", KEY, "run"),
        ("write.ended", "other", "run"),
        ("write.started", KEY, "next"),
        ("write.ended", KEY, "next"),
    ]
    whole(path)


def test_an_outcome_is_stored_when_the_trail_is_closed(tmp_path: Path) -> None:
    """What waits is tried once more at the end; where there is still no room it is lost, and closing goes on."""
    for room, told in ((0, ["write.started"]), (10_000, ["write.started", "write.ended"])):
        path = tmp_path / f"trail-{room}"
        with opened(path) as trail:
            trail(ChangeStarted("run", SHOP))
            size = path.stat().st_size
            with no_room_beyond(size), pytest.raises(TrailError):
                trail(ChangeApplied("run", SHOP.ended(Outcome.APPLIED)))
            with no_room_beyond(size + room):
                trail.close()
        assert events(path) == told


def test_a_full_disk_in_the_middle_of_a_pass(tmp_path: Path) -> None:
    """Of many changes those are made whose lines could be stored, and no PUT is without its line."""
    path = tmp_path / "trail"
    files = tmp_path / "files"
    files.mkdir()
    text = "keys:\n" + "".join(f'  - {{name: k{n:02}, scopes: ["{SCOPE}"]}}\n' for n in range(1, 21))
    keys = [key(n, f"k{n:02}", SCOPE, "domains:read") for n in range(1, 21)]
    with opened(path) as trail:
        world = World(files, keys, text, observe=trail)
        allowed = frozenset({"max-changes"})
        with no_room_beyond(path.stat().st_size + 9000):
            told = world.run(allowed=allowed)
        started = [line["key_id"] for line in stored(path) if line["event"] == "write.started"]
        assert {change.key_id for change in world.emulator.history} <= {*started}
        assert 0 < len(world.emulator.history) < 20
        assert "failed" in outcomes(told).values()
        assert set(outcomes(world.run(allowed=allowed)).values()) == {"applied"}
    lines = stored(path)
    assert len([line for line in lines if line["event"] == "write.ended" and line["outcome"] == "applied"]) == 20
    whole(path)


def test_tampering_while_it_runs_forbids_writes(tmp_path: Path) -> None:
    """Once the file was changed by another hand nothing is written to the account until a restart."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        with path.open("ab") as file:
            file.write(b"x")
        told = world.run()
        assert outcomes(told) == {"shop": "failed"}
        assert "was changed by somebody else" in (change_of(told, "shop").reason or "")
        assert "was changed by somebody else" in (trail.problem or "")
        world.run()
        assert world.puts == 0
    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        assert outcomes(world.run()) == {"shop": "applied"}
    assert events(path) == ["trail.recovered", "write.started", "write.ended"]


def test_a_later_observer_that_forbids_the_write(tmp_path: Path) -> None:
    """A write that was stored and then forbidden by another observer is stored as failed."""
    path = tmp_path / "trail"

    def strict(event: Event) -> None:
        if isinstance(event, ChangeStarted):
            raise OSError("no")

    with opened(path) as trail:
        world = a_world(tmp_path, trail)
        world.observe = tell_all(trail, strict)
        world.run()
    assert [(line["event"], line["outcome"]) for line in stored(path)] == [
        ("write.started", "planned"),
        ("write.ended", "failed"),
    ]


def test_the_head_is_that_of_the_last_line(tmp_path: Path) -> None:
    """The head moves with each line, and is that which verifying tells; what is no decision leaves no line."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        first = trail.head
        trail(DaemonStarted("every 5m"))
        assert trail.head == first
        trail(PassStarted("run", Mode.APPLY, 1, Trigger.SCHEDULE))
        trail(PlanComputed("run", "sha256:ab", 1, 1))
        trail(ChangeStarted("run", SHOP))
        assert trail.head == whole(path).head.head != first
        assert trail.path == path
    (line,) = stored(path)
    assert (line["trigger"], line["plan"]) == ("schedule", "sha256:ab")


def test_what_nobody_asked_for_has_no_place(tmp_path: Path) -> None:
    """A change that no line of a file asks for, outside of any pass, is stored all the same."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(ChangeStarted("run", replace(SHOP, source=None, name=None)))
    (line,) = stored(path)
    assert (line["asked_by"], line["name"], line["mode"]) == (None, None, None)


def test_no_secret_is_stored(tmp_path: Path) -> None:
    """Credentials in use, and whatever looks like one, stand in no line."""
    secret = 'tok"en\n-12345'
    leaky = Change(
        AccountRef(f"a {secret}"),
        SHOP.action,
        f"n {secret}",
        "aha-sk-live_1",
        f"{secret}{secret}",
        Source(f"{secret}.yaml", 1, 1),
        Fields(scopes=ListDiff((secret,), ("aha-sk-def",))),
        reason=f"401 for Bearer {secret}",
    )
    path = tmp_path / "trail"
    with opened(path, secrets=(secret,)) as trail:
        trail(ChangeStarted(f"r {secret}", leaky))
        trail(ChangeFailed("run", replace(leaky, seen=None).ended(Outcome.FAILED, secret)))
        trail(ChangeSkipped("run", replace(leaky, key_id="k").ended(Outcome.REFUSED, secret)))
    text = path.read_text()
    assert "12345" not in text
    assert "aha-sk-live" not in text
    assert "aha-sk-def" not in text
    assert len(events(path)) == 3


def test_accounts_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """No more decisions are remembered than the last pass made, however many accounts come and go."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        for number in range(50):
            account = AccountRef(f"account-{number}")
            trail(PassStarted("run", Mode.APPLY, number))
            trail(ChangeSkipped("run", replace(SHOP, account=account).ended(Outcome.REFUSED, "x")))
            trail(PassFinished("run", report(), 1.0))
        assert len(trail._decisions._last) == 1
    assert len(events(path)) == 50
