"""How approved changes are carried out: what is read again, what is sent, what is believed."""

import json
from pathlib import Path

import httpx
import pytest

from reconciler.ahasend.pace import Stop
from reconciler.apply import WRITE_ATTEMPTS, Run, _AccountRun
from reconciler.core.changes import Action, Change
from reconciler.core.events import ChangeApplied, ChangeFailed, ChangeStarted, Event
from reconciler.core.keys import AccountRef
from reconciler.core.report import exit_code
from world import FAMILY_MANAGER, OFFICE, World, as_api, below, change_of, key, key_id, outcomes, sub_account

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
ONE = 'keys: [{name: shop, scopes: ["messages:send:{shop.example.com}"]}]'
TWO = """
keys:
  - {name: news, scopes: ["messages:send:{news.example.com}"]}
  - {name: shop, scopes: ["messages:send:{shop.example.com}"]}
"""
PUT = {"method": "PUT", "path": "*"}


def a_world(folder: Path) -> World:
    """One key that holds another scope than the file says."""
    return World(folder, [key(1, "shop", NEWS)], ONE)


@pytest.mark.parametrize(
    ("do", "puts"),
    [
        ({"drop": "after"}, 1),
        ({"drop": "before"}, 2),
        ({"status": 500}, 2),
        ({"status": 429}, 2),
        ({"body": "html"}, 1),
        ({"body": "truncated"}, 1),
        ({"body": "malformed"}, 1),
    ],
)
def test_a_lost_answer_is_looked_up(tmp_path: Path, do: dict[str, object], puts: int) -> None:
    """After a lost answer the key is read; the PUT is sent again only where it had done nothing."""
    world = a_world(tmp_path)
    world.faults({**PUT, "first": 1, "do": do})
    report = world.apply()
    assert outcomes(report) == {"shop": "applied"}
    assert report.requests.PUT == puts
    assert world.remote(1)["scopes"] == [SHOP]
    assert len(world.emulator.history) == 1


def test_a_write_that_never_gets_through(tmp_path: Path) -> None:
    """After three tries that did nothing the change has failed, and the reason says that the key is unchanged."""
    world = a_world(tmp_path)
    world.faults({**PUT, "rate": 1, "do": {"status": 503}})
    report = world.apply()
    assert outcomes(report) == {"shop": "failed"}
    assert report.requests.PUT == WRITE_ATTEMPTS
    assert "tried 3 times, the key was unchanged when it was read last" in (change_of(report, "shop").reason or "")
    assert exit_code(report) == 4


def test_not_to_know_is_a_failure(tmp_path: Path) -> None:
    """Where the key cannot be read after a lost answer, the change has failed and says that nobody knows."""
    world = a_world(tmp_path)
    sent: list[str] = []

    def break_reads(request: httpx.Request) -> None:
        sent.append(request.method)
        if request.method == "PUT":
            world.faults(
                {**PUT, "rate": 1, "do": {"drop": "after"}},
                {"method": "GET", "path": "*", "rate": 1, "do": {"status": 503}},
            )

    world.before = break_reads
    report = world.apply()
    assert outcomes(report) == {"shop": "failed"}
    assert "is not known" in (change_of(report, "shop").reason or "")
    world.before = lambda request: None
    world.faults()
    assert world.apply().changes == ()


def test_changed_after_it_was_listed(tmp_path: Path) -> None:
    """A key that changed between the list and its PUT is stale and not written; the others go on."""
    world = World(tmp_path, [key(1, "shop", "domains:read"), key(2, "news", "domains:read")], TWO)

    def meddle(request: httpx.Request) -> None:
        if request.method == "GET" and request.url.path.endswith(key_id(1)):
            with world.edited() as keys:
                keys[key_id(1)]["scopes"] = ["*"]

    world.before = meddle
    report = world.apply()
    assert outcomes(report) == {"news": "applied", "shop": "stale"}
    assert exit_code(report) == 4


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_deleted_after_it_was_listed(tmp_path: Path, method: str) -> None:
    """A key that is gone before its reading, or before its PUT, is stale."""
    world = a_world(tmp_path)

    def delete(request: httpx.Request) -> None:
        if request.method == method and request.url.path.endswith(key_id(1)):
            with world.edited() as keys:
                keys.pop(key_id(1), None)

    world.before = delete
    report = world.apply()
    assert outcomes(report) == {"shop": "stale"}
    assert "deleted" in (change_of(report, "shop").reason or "")


def test_deleted_while_its_answer_was_lost(tmp_path: Path) -> None:
    """A key that is gone when a lost answer is looked up is stale, too."""
    world = a_world(tmp_path)
    world.faults({**PUT, "first": 1, "do": {"drop": "before"}})

    def delete(request: httpx.Request) -> None:
        if world.puts and request.method == "GET":
            with world.edited() as keys:
                keys.pop(key_id(1), None)

    world.before = delete
    assert outcomes(world.apply()) == {"shop": "stale"}


def test_an_answer_that_is_not_what_was_asked(tmp_path: Path) -> None:
    """A change is applied only when it was seen: an answer with other values is a failure that shows them."""
    files = """
        keys: [{name: shop, was: [Shop], scopes: ["messages:send:{shop.example.com}"], ip_allow_list: [203.0.113.0/24]}]
        """
    world = World(tmp_path, [key(1, "Shop", NEWS, ip_allow_list=[])], files)

    def overwrite(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method != "PUT":
            return response
        return httpx.Response(200, content=before[-1])

    before: list[bytes] = []

    def remember(request: httpx.Request) -> None:
        if request.method == "PUT":
            before.append(json.dumps(as_api(world.remote(1))).encode())

    world.before, world.after = remember, overwrite
    report = world.apply()
    reason = change_of(report, "shop").reason or ""
    assert outcomes(report) == {"shop": "failed"}
    assert f"label 'Shop'; scopes {NEWS}; ip_allow_list anywhere" in reason


def test_a_write_that_lands_late(tmp_path: Path) -> None:
    """A first try that took effect after all makes the second look refused (400); reading tells that it was applied."""
    world = a_world(tmp_path)
    world.faults({**PUT, "first": 1, "do": {"drop": "before"}})

    def land(request: httpx.Request) -> None:
        if request.method == "PUT" and world.puts == 1:
            with world.edited() as keys:
                keys[key_id(1)]["scopes"] = [SHOP]

    world.before = land
    report = world.apply()
    assert report.requests.PUT == 2
    assert outcomes(report) == {"shop": "applied"}


def test_a_write_that_landed_before_it_was_sent_again(tmp_path: Path) -> None:
    """A first try that is seen to have landed when the key is read for the second is applied, and not sent again."""
    world = a_world(tmp_path)
    world.faults({**PUT, "first": 1, "do": {"drop": "before"}})
    reads: list[str] = []

    def land(request: httpx.Request) -> None:
        if request.method == "GET" and world.puts:
            reads.append(request.url.path)
            if len(reads) == 2:
                with world.edited() as keys:
                    keys[key_id(1)]["scopes"] = [SHOP]

    world.before = land
    report = world.apply()
    assert report.requests.PUT == 1
    assert outcomes(report) == {"shop": "applied"}


def test_a_write_that_is_refused_when_sent_again(tmp_path: Path) -> None:
    """A second try that is refused while the key is unchanged has failed, with what was said."""
    world = a_world(tmp_path)
    world.faults({**PUT, "first": 1, "do": {"status": 503}}, {**PUT, "rate": 1, "do": {"status": 400}})
    report = world.apply()
    assert outcomes(report) == {"shop": "failed"}
    assert "400" in (change_of(report, "shop").reason or "")


def test_what_waits_for_its_turn_is_read_after_it(tmp_path: Path) -> None:
    """However long a PUT waits for its turn, the key is read after that: a fence set meanwhile is not overwritten."""
    keys = [key(1, "shop", "domains:read"), key(2, "news", "domains:read")]
    world = World(tmp_path, keys, TWO, rate=1, burst=1)
    world.faults({"method": "PUT", "path": f"*{key_id(2)}", "first": 1, "do": {"status": 429}})

    def fence(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if response.status_code == 429:
            with world.edited() as keys:
                keys[key_id(1)]["ip_allow_list"] = ["192.0.2.1/32"]
            return httpx.Response(429, headers={"Retry-After": "30"}, content=response.content)
        return response

    world.after = fence
    report = world.apply()
    assert outcomes(report) == {"news": "applied", "shop": "stale"}
    assert world.remote(1)["ip_allow_list"] == ["192.0.2.1/32"]


def test_one_key_that_may_not_be_written_stops_no_other(tmp_path: Path) -> None:
    """A 403 for one key alone fails that key alone: every kind of key may not be writable."""
    keys = [key(number, f"k{number:02}", "domains:read") for number in range(1, 9)]
    entries = [f'  - {{name: k{number:02}, scopes: ["domains:read", "routes:read:all"]}}\n' for number in range(1, 9)]
    world = World(tmp_path, keys, f"keys:\n{''.join(entries)}")
    world.faults({"method": "PUT", "path": f"*{key_id(1)}", "rate": 1, "do": {"status": 403}})
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert outcomes(report).pop("k01") == "failed"
    assert list(outcomes(report).values()).count("applied") == 7


def test_a_credential_revoked_before_the_last_look(tmp_path: Path) -> None:
    """A 401 when a key is read again ends the account: nothing more is sent."""
    world = World(tmp_path, [key(1, "shop", "domains:read"), key(2, "news", "domains:read")], TWO)
    world.faults({"method": "GET", "path": f"*{key_id(1)}", "rate": 1, "do": {"status": 401}})
    report = world.apply()
    assert outcomes(report)["shop"] == "failed"
    assert "401" in (change_of(report, "shop").reason or "")


def test_an_observer_that_fails_afterwards(tmp_path: Path) -> None:
    """What was done stays done and says that it was not recorded; nothing more is written to that account."""
    keys = [key(number, f"k{number:02}", "domains:read") for number in range(1, 31)]
    entries = [f'  - {{name: k{number:02}, scopes: ["domains:read", "routes:read:all"]}}\n' for number in range(1, 31)]
    world = World(tmp_path, keys, f"keys:\n{''.join(entries)}")

    def full(event: Event) -> None:
        if isinstance(event, ChangeApplied):
            raise OSError("no space left on device")

    world.observe = full
    report = world.apply(allowed=frozenset({"max-changes"}))
    applied = [change for change in report.changes if change.outcome.value == "applied"]
    assert len(world.emulator.history) == len(applied) < 30
    assert all("not recorded: no space left" in (change.reason or "") for change in applied)


def test_a_refused_write_stops_no_other(tmp_path: Path) -> None:
    """A 400 (a domain that the account does not own) fails that key alone, and names the server's reason."""
    keys = [key(1, "shop", "domains:read"), key(2, "news", "domains:read")]
    report = World(tmp_path, keys, TWO, domains=("news.example.com",)).apply()
    assert outcomes(report) == {"news": "applied", "shop": "failed"}
    assert "shop.example.com" in (change_of(report, "shop").reason or "")


@pytest.mark.parametrize(("status", "most"), [(401, 10), (403, 25)])
def test_a_credential_that_may_not_write(tmp_path: Path, status: int, most: int) -> None:
    """After a 401, or many a 403, nothing more is written to that account: every further change says so."""
    keys = [key(number, f"k{number:02}", "domains:read") for number in range(1, 41)]
    entries = "".join(
        f'  - {{name: k{number:02}, scopes: ["domains:read", "routes:read:all"]}}\n' for number in range(1, 41)
    )
    world = World(tmp_path, keys, f"keys:\n{entries}")
    world.faults({**PUT, "rate": 1, "do": {"status": status}})
    report = world.apply(allowed=frozenset({"max-changes"}))
    reasons = [change.reason or "" for change in report.changes]
    assert {change.outcome.value for change in report.changes} == {"failed"}
    assert report.requests.PUT <= most
    assert sum("not sent" in reason for reason in reasons) >= 15


def test_send_only_keys_that_may_not_be_written_stop_no_others(tmp_path: Path) -> None:
    """AhaSend leaves open whether those that its dashboard makes can be written: however many cannot, others can."""
    senders = [key(number, f"s{number:02}", "messages:send:all") for number in range(1, 31)]
    entries = ", ".join(f'{{name: s{n:02}, scopes: ["messages:send:all", "domains:read"]}}' for n in range(1, 31))
    files = f'keys: [{entries}, {{name: zz, scopes: ["suppressions:read"]}}]'
    world = World(tmp_path, [*senders, key(99, "zz", "routes:read:all")], files)
    world.faults({**PUT, "path": "*0000000000[0-3]?", "do": {"status": 403}})
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert (outcomes(report)["zz"], report.summary.failed) == ("applied", 30)


def test_a_leak_is_closed_whatever_else_is_refused(tmp_path: Path) -> None:
    """Where the label or scopes of a quarantine are refused, the fence is still set, and the refusal is told."""
    files = f"""
        keys: [{{name: leak, id: {key_id(1)}, scopes: ["messages:send:gone.example.com"], state: quarantined}}]
        """
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files)
    report = world.apply()
    assert outcomes(report) == {"leak": "failed"}
    assert "was switched off" in (change_of(report, "leak").reason or "")
    assert "gone.example.com" in (change_of(report, "leak").reason or "")
    assert world.remote(1)["ip_allow_list"] == ["192.0.2.1/32"]


def test_a_leak_that_was_closed_late(tmp_path: Path) -> None:
    """A fence that took effect only after the first look does not make the change that was refused an applied one."""
    files = "keys: [{name: leak, was: [Leak], state: quarantined}]"
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files)
    world.faults({**PUT, "first": 1, "do": {"status": 400}}, {**PUT, "first": 1, "do": {"status": 503}})
    looks = 0

    def late(request: httpx.Request) -> None:
        nonlocal looks
        looks += request.method == "GET" and request.url.path.endswith(key_id(1))
        if looks == 4:  # two last looks, and one at what the lost PUT did
            with world.edited() as keys:
                keys[key_id(1)]["ip_allow_list"] = ["192.0.2.1/32"]

    world.before = late
    report = world.apply()
    change = change_of(report, "leak")
    assert (change.outcome.value, sorted(change.fields.diffs)) == ("failed", ["ip_allow_list", "label"])
    assert "was switched off; the rest of the change was refused" in (change.reason or "")


def test_a_leak_that_changed_before_it_was_closed(tmp_path: Path) -> None:
    """Where the key changed before its fence alone is sent, the whole change is stale, with its digest as planned."""
    files = "keys: [{name: leak, was: [Leak], state: quarantined}]"
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files)
    planned = world.plan()
    world.faults({**PUT, "first": 1, "do": {"status": 400}})

    def widen(_request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if response.status_code == 400:
            with world.edited() as keys:
                keys[key_id(1)]["scopes"] = ["domains:read", "domains:write"]
        return response

    world.after = widen
    report = world.apply()
    assert (outcomes(report), report.digest) == ({"leak": "stale"}, planned.digest)
    assert "before that it was refused: " in (change_of(report, "leak").reason or "")


def test_a_leak_that_stays_open_is_told(tmp_path: Path) -> None:
    """Where neither the whole quarantine nor its fence alone takes effect, the reason shows the list as it is."""
    files = "keys: [{name: leak, was: [Leak], state: quarantined}]"
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files)
    world.faults({**PUT, "first": 1, "do": {"status": 400}})
    tampered = as_api(world.remote(1))

    def unchanged(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        done = request.method == "PUT" and response.status_code == 200
        return httpx.Response(200, content=json.dumps(tampered).encode()) if done else response

    world.after = unchanged
    report = world.apply()
    assert "now has ip_allow_list 203.0.113.0/24" in (change_of(report, "leak").reason or "")


def test_a_refused_leak_without_more_to_it(tmp_path: Path) -> None:
    """A quarantine that is the fence alone is not tried again when it is refused."""
    world = World(tmp_path, [key(1, "leak", "domains:read")], "keys: [{name: leak, state: quarantined}]")
    world.faults({**PUT, "rate": 1, "do": {"status": 400}})
    report = world.apply()
    assert outcomes(report) == {"leak": "failed"}
    assert report.requests.PUT == 1


def test_the_guardian_is_asked_again(tmp_path: Path) -> None:
    """A key loses key management only once the one that was to take over really has it."""
    files = """
        keys:
          - {name: reconciler, scopes: ["api-keys:read"]}
          - {name: successor, scopes: ["api-keys:write"], ip_allow_list: [203.0.113.0/24]}
        """
    successor = key(1, "successor", "api-keys:write", ip_allow_list=["192.0.2.1/32"])
    world = World(tmp_path, [successor], files)
    world.faults({"method": "PUT", "path": f"*{key_id(1)}", "rate": 1, "do": {"status": 503}})
    consent = {"self_keys": {None: key_id(1)}, "allowed": frozenset({"restore"})}
    report = world.apply(**consent)
    assert outcomes(report) == {"reconciler": "refused", "successor": "failed"}
    assert [refusal.guardrail for refusal in report.refusals] == ["guardian"]
    assert "guardian" in (change_of(report, "reconciler").reason or "")
    world.faults()
    assert set(outcomes(world.apply(**consent)).values()) == {"applied"}


def test_two_revocations_under_way_do_not_rely_on_each_other(tmp_path: Path) -> None:
    """While one manager's revocation is under way, another manager's counts on it as made."""
    files = """
        keys:
          - {name: reconciler, scopes: ["api-keys:read"]}
          - {name: second, scopes: ["domains:read"]}
          - {name: third, scopes: ["api-keys:write"], ip_allow_list: [203.0.113.0/24]}
        """
    third = key(2, "third", "api-keys:write", ip_allow_list=["192.0.2.1/32"])
    world = World(tmp_path, [key(1, "second", "api-keys:write", "domains:read"), third], files)
    world.faults({"method": "PUT", "path": f"*{key_id(2)}", "rate": 1, "do": {"status": 503}})
    report = world.apply(self_keys={None: key_id(2)}, allowed=frozenset({"restore"}))
    assert sorted(outcomes(report).values()) == ["applied", "failed", "refused"]


def test_an_observer_that_raises_forbids_the_write(tmp_path: Path) -> None:
    """A write that cannot be recorded is not made."""
    world = a_world(tmp_path)

    def full(event: Event) -> None:
        if isinstance(event, ChangeStarted):
            raise OSError("no space left on device")

    world.observe = full
    report = world.apply()
    assert world.puts == 0
    assert outcomes(report) == {"shop": "failed"}
    assert "no space left on device" in (change_of(report, "shop").reason or "")


def test_told_before_each_write(tmp_path: Path) -> None:
    """``change.started`` comes before each PUT, also before one that is sent again, and the end comes once."""
    world = a_world(tmp_path)
    world.faults({**PUT, "first": 1, "do": {"drop": "before"}})
    world.apply()
    kinds = [type(event) for event in world.events if isinstance(event, (ChangeStarted, ChangeApplied, ChangeFailed))]
    assert kinds == [ChangeStarted, ChangeStarted, ChangeApplied]


def test_a_stop_in_the_middle(tmp_path: Path) -> None:
    """Asked to stop, the write in flight is finished and checked, and the rest is failed as interrupted."""
    keys = [key(number, f"k{number:02}", "domains:read") for number in range(1, 41)]
    entries = "".join(
        f'  - {{name: k{number:02}, scopes: ["domains:read", "routes:read:all"]}}\n' for number in range(1, 41)
    )
    world = World(tmp_path, keys, f"keys:\n{entries}")
    world.stop = stop = Stop()

    def ask(event: Event) -> None:
        if isinstance(event, ChangeApplied):
            stop.request()

    world.observe = ask
    report = world.apply(allowed=frozenset({"max-changes"}))
    applied = [change for change in report.changes if change.outcome.value == "applied"]
    assert 1 <= len(applied) < 40
    assert len(world.emulator.history) == len(applied)
    assert {change.reason for change in report.changes if change.outcome.value == "failed"} == {"interrupted"}
    assert exit_code(report) == 4


def test_a_stop_while_a_write_is_repeated(tmp_path: Path) -> None:
    """Asked to stop between two tries, the change ends as failed and says that the key is unchanged."""
    world = a_world(tmp_path)
    world.stop = stop = Stop()
    world.faults({**PUT, "rate": 1, "do": {"status": 503}})
    world.before = lambda request: stop.request() if request.method == "PUT" else None
    report = world.apply()
    assert report.requests.PUT == 1
    assert "interrupted; the key was unchanged" in (change_of(report, "shop").reason or "")


def test_a_key_that_cannot_be_read_again_is_not_written(tmp_path: Path) -> None:
    """Where the last look before a PUT fails, the PUT is not sent, and the others go on."""
    world = World(tmp_path, [key(1, "shop", "domains:read"), key(2, "news", "domains:read")], TWO)
    world.faults({"method": "GET", "path": f"*{key_id(1)}", "rate": 1, "do": {"status": 503}})
    report = world.apply()
    assert outcomes(report) == {"news": "applied", "shop": "failed"}
    assert report.requests.PUT == 1


async def test_a_planned_change_without_a_key_is_a_bug(tmp_path: Path) -> None:
    """A change that is planned but names no key is never turned into a request."""
    change = Change(AccountRef("a"), Action.UPDATE, "shop", None, "shop", None)
    run = _AccountRun.__new__(_AccountRun)
    run._run = Run("run", Stop(), lambda event: None)
    with pytest.raises(RuntimeError, match="names no key"):
        await run._attempt(change)


def test_a_list_keeps_its_networks(tmp_path: Path) -> None:
    """A key whose list is not managed keeps it, whatever else is written."""
    world = a_world(tmp_path)
    world.apply()
    assert world.remote(1)["ip_allow_list"] == OFFICE


def test_keys_that_may_not_be_written_stop_no_others(tmp_path: Path) -> None:
    """Where others were written a 403 is that key's: AhaSend leaves open whether every kind of key can be written."""
    names = [f"k{number:02}" for number in range(1, 81)]
    entries = ", ".join(f'{{name: {name}, scopes: ["suppressions:read"]}}' for name in names)
    keys = [key(number, name, "domains:read") for number, name in enumerate(names, 1)]
    world = World(tmp_path, keys, f"keys: [{entries}]")
    odd = range(4, 81, 4)
    world.faults(*({**PUT, "path": f"*{key_id(number)}", "do": {"status": 403}} for number in odd))
    report = world.apply(allowed=frozenset({"max-changes"}))
    failed = [change.name for change in report.changes if change.outcome.value == "failed"]
    assert (failed, report.summary.applied) == ([f"k{number:02}" for number in odd], 60)


def test_a_leak_that_is_gone_when_its_fence_alone_is_sent(tmp_path: Path) -> None:
    """Where the key was deleted meanwhile, the change is stale: there is nothing left to switch off."""
    files = "keys: [{name: leak, was: [Leak], state: quarantined}]"
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files)
    world.faults({**PUT, "first": 1, "do": {"status": 400}}, {**PUT, "first": 1, "do": {"status": 404}})
    report = world.apply()
    assert outcomes(report) == {"leak": "stale"}


def test_a_success_between_them_tells_that_401s_are_not_the_credentials(tmp_path: Path) -> None:
    """Twenty sub accounts that answer 401 among forty that can be written end nothing: only fifteen in a row would."""
    subs = [sub_account(n, f"Acme {n:02}", key(n, "sender", "domains:read")) for n in range(1, 61)]
    files = 'sub_accounts: [{select: {name: "Acme *"}, keys: [{name: sender, scopes: ["suppressions:read"]}]}]'
    world = World(tmp_path, [], files, manager=FAMILY_MANAGER, sub_accounts=tuple(subs))
    world.faults(*({**PUT, "path": f"*{below(n)}*", "do": {"status": 401}} for n in range(3, 61, 3)))
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert (report.summary.applied, report.summary.failed) == (40, 20)
