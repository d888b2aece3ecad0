"""One pass, told as stories: files + account, then account and report."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.ahasend.pace import Stop
from reconciler.core.events import (
    AccountListed,
    ChangeFailed,
    ChangeSkipped,
    FindingRaised,
    PassFinished,
    PassStarted,
    PlanComputed,
    PlanRefused,
)
from reconciler.core.report import AccountStatus, Mode, exit_code
from world import ACCOUNT, OFFICE, OTHER, World, admin, as_api, change_of, key, key_id, outcomes

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
IN_SYNC = """
defaults: {ip_allow_list: [203.0.113.0/24]}
keys:
  - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}
  - {name: shop, scopes: ["messages:send:{shop.example.com}"]}
"""
EVERY_KIND = """
unmanaged: {then: quarantine, include_senders: true}
defaults: {ip_allow_list: [203.0.113.0/24]}
keys:
  - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}
  - {name: widened, scopes: ["messages:send:{shop.example.com}"]}
  - {name: narrowed, scopes: ["messages:send:{shop.example.com}", "domains:read"]}
  - {name: mixed, scopes: ["suppressions:read"]}
  - {name: renamed, label: New name, was: [Old name], scopes: ["suppressions:read"]}
  - {name: elsewhere, scopes: ["suppressions:read"], ip_allow_list: [198.51.100.0/24]}
  - {name: leaked, scopes: ["suppressions:read"], state: quarantined}
  - {name: fenced, scopes: ["suppressions:read"]}
"""
EVERY_KEY = [
    key(1, "widened", SHOP, NEWS),
    key(2, "narrowed", SHOP),
    key(3, "mixed", "suppressions:write"),
    key(4, "Old name", "suppressions:read"),
    key(5, "elsewhere", "suppressions:read"),
    key(6, "leaked", "suppressions:read"),
    key(7, "fenced", "suppressions:read", ip_allow_list=["192.0.2.1/32"]),
    key(8, "nobody's", "suppressions:read"),
]
ALLOW_ALL = {"allowed": frozenset({"max-changes", "max-switched-off", "restore"})}


def test_in_sync(tmp_path: Path) -> None:
    """An account that is as the files say costs one GET and nothing else, and every key counts as unchanged."""
    world = World(tmp_path, [key(1, "shop", SHOP)], IN_SYNC)
    report = world.apply()
    assert report.changes == ()
    assert report.summary.unchanged == 2
    assert (report.requests.GET, report.requests.PUT) == (1, 0)
    assert exit_code(report) == 0
    assert report.mode is Mode.APPLY


def test_drift_is_healed(tmp_path: Path) -> None:
    """What was widened by hand is narrowed again with one GET and one PUT; after that there is nothing to do."""
    world = World(tmp_path, [key(1, "shop", SHOP, "suppressions:wipe")], IN_SYNC)
    report = world.apply()
    assert outcomes(report) == {"shop": "applied"}
    assert world.remote(1)["scopes"] == [SHOP]
    assert (report.requests.GET, report.requests.PUT) == (2, 1)
    assert world.apply().changes == ()
    assert world.puts == 1


def test_a_put_carries_only_what_differs(tmp_path: Path) -> None:
    """A renamed key is sent its label and nothing else."""
    sent: list[bytes] = []
    world = World(tmp_path, [key(1, "Shop", SHOP)], IN_SYNC.replace("name: shop,", "name: shop, was: [Shop],"))
    world.before = lambda request: sent.append(request.content) if request.method == "PUT" else None
    world.apply()
    assert [json.loads(content) for content in sent] == [{"label": "shop"}]


def test_equivalent_forms_are_in_sync(tmp_path: Path) -> None:
    """Covered scopes, split networks and other spellings do not count as a difference."""
    shop = key(1, "shop", "messages:send:all", SHOP, ip_allow_list=["203.0.113.0/25", "203.0.113.128/25"])
    files = IN_SYNC.replace(
        '"messages:send:{shop.example.com}"', '"messages:send:all", "messages:send:News.Example.com."'
    )
    world = World(tmp_path, [shop], files)
    assert world.plan().changes == ()


def test_every_kind_of_change(tmp_path: Path) -> None:
    """Each kind of change that is a PUT is made, and afterwards the account is as the files say."""
    world = World(tmp_path, EVERY_KEY, EVERY_KIND)
    report = world.apply(**ALLOW_ALL)
    assert set(outcomes(report).values()) == {"applied"}
    assert len(report.changes) == 8
    assert world.plan(**ALLOW_ALL).changes == ()
    assert world.remote(8)["ip_allow_list"] == ["192.0.2.1/32"]
    assert world.remote(7)["ip_allow_list"] == OFFICE
    assert world.remote(4)["label"] == "New name"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """Over every kind of change a plan sends GETs only, whatever is allowed, and says what an apply would do."""
    world = World(tmp_path, EVERY_KEY, EVERY_KIND)
    report = world.plan(**ALLOW_ALL)
    assert set(outcomes(report).values()) == {"planned"}
    assert world.emulator.requests == {"GET": 1, "PUT": 0, "POST": 0, "DELETE": 0, "statuses": {"200": 1}}
    assert world.emulator.history == []
    assert report.mode is Mode.PLAN


def test_plan_and_apply_agree(tmp_path: Path) -> None:
    """The plan shown before is the plan that is applied: the same digest, and it can be asked for."""
    world = World(tmp_path, EVERY_KEY, EVERY_KIND)
    digest = world.plan(**ALLOW_ALL).digest
    report = world.apply(digest=digest, **ALLOW_ALL)
    assert report.digest == digest
    assert set(outcomes(report).values()) == {"applied"}


def test_another_plan_than_reviewed(tmp_path: Path) -> None:
    """With the digest of another plan nothing is written, and the new plan is shown."""
    world = World(tmp_path, [key(1, "shop", NEWS)], IN_SYNC)
    report = world.apply(digest="sha256:" + "0" * 64)
    assert outcomes(report) == {"shop": "refused"}
    assert [refusal.guardrail for refusal in report.refusals] == ["digest"]
    assert world.puts == 0
    assert exit_code(report) == 3


def test_on_hold(tmp_path: Path) -> None:
    """While on hold every pass only plans, and says why."""
    world = World(tmp_path, [key(1, "shop", NEWS)], IN_SYNC)
    report = world.apply(hold="INC-7")
    assert outcomes(report) == {"shop": "refused"}
    assert "INC-7" in (change_of(report, "shop").reason or "")
    assert world.puts == 0


def test_what_this_version_does_not_do_is_said(tmp_path: Path) -> None:
    """A key to create or to delete is shown and skipped: exit 3, since a person must act."""
    files = IN_SYNC + '  - {name: missing, scopes: ["domains:read"]}\n  - {name: gone, state: absent}\n'
    report = World(tmp_path, [key(1, "shop", SHOP), key(2, "gone", "domains:read")], files).apply()
    assert outcomes(report) == {"missing": "skipped", "gone": "skipped"}
    assert (report.summary.create, report.summary.delete) == (1, 1)
    assert exit_code(report) == 3


def test_a_move_whose_grant_fails(tmp_path: Path) -> None:
    """A right that moves from one key to another stays where it is while the other cannot get it."""
    files = """
        keys:
          - {name: old, scopes: ["domains:read"]}
          - {name: new, scopes: ["domains:read", "messages:send:{shop.example.com}"]}
        """
    world = World(tmp_path, [key(1, "old", SHOP, "domains:read"), key(2, "new", "domains:read")], files, domains=())
    report = world.apply()
    assert outcomes(report) == {"new": "failed", "old": "skipped"}
    assert "new" in (change_of(report, "old").reason or "")
    assert world.remote(1)["scopes"] == [SHOP, "domains:read"]
    assert exit_code(report) == 4


def test_a_move_that_succeeds(tmp_path: Path) -> None:
    """A right that moves arrives before it leaves, also where both changes are mixed."""
    files = """
        keys:
          - {name: from, scopes: ["domains:read", "suppressions:read"]}
          - {name: to, scopes: ["messages:send:{shop.example.com}", "domains:read"]}
        """
    world = World(
        tmp_path, [key(1, "from", SHOP, "domains:read"), key(2, "to", "routes:read:all", "domains:read")], files
    )
    assert set(outcomes(world.apply()).values()) == {"applied"}
    assert [change.key_id for change in world.emulator.history] == [key_id(2), key_id(1)]


def test_a_swap_is_held_back(tmp_path: Path) -> None:
    """Two keys that are to swap a right would lose one of the two on the way: both wait, and are told how to do it."""
    files = """
        keys:
          - {name: one, scopes: ["messages:send:{news.example.com}"]}
          - {name: two, scopes: ["messages:send:{shop.example.com}"]}
        """
    world = World(tmp_path, [key(1, "one", SHOP), key(2, "two", NEWS)], files)
    report = world.plan()
    assert outcomes(report) == {"one": "skipped", "two": "skipped"}
    assert "let the files grant first" in (change_of(report, "one").reason or "")
    world.write(files.replace("scopes: [", f'scopes: ["{SHOP}", "{NEWS}", '))
    assert set(outcomes(world.apply()).values()) == {"applied"}
    world.write(files)
    assert set(outcomes(world.apply()).values()) == {"applied"}


def test_an_unmanaged_key_is_not_fenced_before_its_right_arrived(tmp_path: Path) -> None:
    """A key that no file names keeps working while the named key that is to have its right does not get it."""
    files = """
        unmanaged: {then: quarantine, include_senders: true}
        keys: [{name: new, scopes: ["domains:read", "messages:send:{shop.example.com}"]}]
        """
    keys = [key(1, "new", "domains:read"), key(2, "old", SHOP)]
    world = World(tmp_path, keys, files, domains=())
    report = world.apply(allowed=frozenset({"max-switched-off"}))
    assert outcomes(report)["unmanaged old"] == "skipped"
    assert world.remote(2)["ip_allow_list"] == OFFICE


def test_a_leak_is_closed_at_once(tmp_path: Path) -> None:
    """A key that a file says to quarantine is fenced, whether or not another key has its right yet."""
    files = """
        keys:
          - {name: old, state: quarantined}
          - {name: new, scopes: ["messages:send:{shop.example.com}"]}
        """
    report = World(tmp_path, [key(1, "old", SHOP)], files).apply()
    assert outcomes(report) == {"new": "skipped", "old": "applied"}


def test_an_account_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """With one credential revoked the other account is healed; the exit code says that something failed."""
    files = f"""version: 1
account: {ACCOUNT}
keys: [{{name: shop, scopes: ["{SHOP}"]}}]
"""
    world = World(tmp_path, [key(1, "shop", NEWS)], files)
    world.more_accounts = ({"id": OTHER, "keys": [admin(OTHER, "aha-sk-revoked")]},)
    world.folder.joinpath("other.yaml").write_text(f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n")
    world.tokens["other"] = "aha-sk-unknown"
    report = world.apply()
    assert [account.status for account in report.accounts] == [AccountStatus.OK, AccountStatus.FAILED]
    assert outcomes(report) == {"shop": "applied"}
    assert "AHASEND_API_KEY_OTHER" in (report.accounts[1].error or "")
    assert report.digest is None
    assert exit_code(report) == 4
    assert "aha-sk-unknown" not in repr(report)


def test_no_account_could_be_read(tmp_path: Path) -> None:
    """With no account read the pass is an error, and nothing is planned: unread is not empty."""
    world = World(tmp_path, [key(1, "shop", NEWS)], IN_SYNC)
    world.faults({"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}})
    report = world.apply()
    assert report.accounts[0].changes == ()
    assert report.accounts[0].keys.desired == 2
    assert report.summary.unchanged == 0
    assert exit_code(report) == 1


def test_a_list_that_repeats_its_cursor(tmp_path: Path) -> None:
    """A list that never ends makes its account failed; nothing is planned from a part of it."""
    world = World(tmp_path, [key(number, f"key {number}", SHOP) for number in range(1, 150)], IN_SYNC)
    world.faults({"method": "GET", "path": "*/api-keys", "rate": 1, "do": {"cursor": "repeat"}})
    report = world.apply()
    assert report.accounts[0].status is AccountStatus.FAILED
    assert report.accounts[0].changes == ()
    assert world.emulator.requests["GET"] == 2


def test_events_tell_the_pass(tmp_path: Path) -> None:
    """The observer is told of the pass, the list, the plan, findings, refusals, what is held back and the end."""
    files = """
        keys:
          - {name: fenced, scopes: ["suppressions:read"], ip_allow_list: []}
          - {name: twice, scopes: ["suppressions:read", "x:unknown"]}
        """
    fenced = key(1, "fenced", "suppressions:read", ip_allow_list=["192.0.2.1/32"])
    world = World(tmp_path, [fenced, key(2, "twice", SHOP), key(3, "twice", SHOP)], files)
    report = world.apply()
    kinds = [type(event) for event in world.events]
    assert kinds == [
        PassStarted,
        AccountListed,
        PlanComputed,
        FindingRaised,
        FindingRaised,
        FindingRaised,
        PlanRefused,
        ChangeSkipped,
        ChangeFailed,
        PassFinished,
    ]
    assert report.summary.findings.note == 3
    assert report.started_at == "2026-11-23T12:00:00Z"
    assert exit_code(report) == 4


def test_a_failed_account_is_told(tmp_path: Path) -> None:
    """The event of an account that could not be read carries the error."""
    world = World(tmp_path, [], IN_SYNC)
    world.faults({"method": "GET", "path": "*", "rate": 1, "do": {"status": 401}})
    world.plan()
    listed = [event for event in world.events if isinstance(event, AccountListed)]
    assert len(listed) == 1
    assert "401" in (listed[0].error or "")


def test_unmanaged_keys_wait_for_unmatched_ones(tmp_path: Path) -> None:
    """While a desired key is not matched, no unmanaged key is fenced, and a note says so."""
    files = """
        unmanaged: quarantine
        keys: [{name: missing, scopes: ["domains:read"]}]
        """
    report = World(tmp_path, [key(1, "stranger", "domains:read")], files).apply()
    assert outcomes(report) == {"missing": "skipped"}
    assert "unmanaged-waits" in {finding.rule for finding in report.findings}


def test_stop_before_the_list(tmp_path: Path) -> None:
    """Asked to stop while listing, the pass ends with its account failed as interrupted, and writes nothing."""
    world = World(tmp_path, [key(1, "shop", NEWS)], IN_SYNC)
    world.stop = Stop()
    world.stop.requested.set()
    report = world.apply()
    assert "interrupted" in (report.accounts[0].error or "")
    assert world.emulator.requests["GET"] == 0


@pytest.mark.parametrize("number", [0, 5, 7])
def test_order_never_matters(tmp_path: Path, number: int) -> None:
    """Whatever the order of the account's list, the report's changes are the same."""
    turned = EVERY_KEY[number:] + EVERY_KEY[:number]
    world, same = World(tmp_path, EVERY_KEY, EVERY_KIND), World(tmp_path, turned, EVERY_KIND)
    assert world.plan().accounts == same.plan().accounts


def test_a_key_seen_twice(tmp_path: Path) -> None:
    """A list that shows a key twice is read once more; the second reading counts."""
    pages: list[str] = []

    def twice_once(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        pages.append(request.url.path)
        if len(pages) > 1 or request.method != "GET":
            return response
        return httpx.Response(200, content=_doubled(world.emulator.dump()))

    world = World(tmp_path, [key(1, "shop", SHOP)], IN_SYNC, after=twice_once)
    assert world.plan().changes == ()
    assert len(pages) == 2


def _doubled(state: dict[str, Any]) -> bytes:
    keys = [as_api(one) for one in state["accounts"][0]["keys"]]
    return json.dumps({"object": "list", "data": keys * 2, "pagination": {"has_more": False}}).encode()
