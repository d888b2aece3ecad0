"""What accounts have: their sub accounts and domains, side by side, within bounds of time."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core.events import AccountListed, Event, ListingProgressed, SubAccountsListed
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import AccountStatus, Report, exit_code
from reconciler.reconcile import Patience
from world import ACCOUNT, FAMILY_MANAGER, World, admin, below, change_of, key, outcomes, sub_account

SEND = "messages:send:all"
SHOP = "messages:send:{shop.example.com}"
FAMILY = """
sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["messages:send:all"]}]
"""
DRIFTED = "domains:read"


def family(tmp_path: Path, *sub_accounts: dict[str, Any], files: str = FAMILY, **fields: Any) -> World:
    fields = {"manager": FAMILY_MANAGER} | fields
    return World(tmp_path, [], files, sub_accounts=sub_accounts, **fields)


def statuses(report: Report) -> dict[str | None, str]:
    return {account.sub_account_name: account.status.value for account in report.accounts}


def errors(report: Report) -> dict[str | None, str | None]:
    return {account.sub_account_name: account.error for account in report.accounts}


def test_sub_accounts_are_reconciled(tmp_path: Path) -> None:
    """One pass with the parent's credential heals the keys of every selected sub account, and of no other."""
    drifted = [key(number, "sender", SEND, DRIFTED) for number in (1, 2, 3)]
    names = ("Acme East", "Acme West", "Beta")
    world = family(tmp_path, *(sub_account(n, name, drifted[n]) for n, name in enumerate(names)))
    report = world.apply()
    assert [change.outcome.value for change in report.changes] == ["applied", "applied"]
    assert statuses(report) == {None: "ok", "Acme East": "ok", "Acme West": "ok"}
    assert [world.account(below(n))[drifted[n]["id"]]["scopes"] for n in range(3)] == [[SEND], [SEND], [SEND, DRIFTED]]
    assert {change.account_id for change in world.emulator.history} == {below(0), below(1)}
    # The parent's keys, its sub accounts, and two lists of keys; then each key before its PUT.
    assert (report.requests.GET, report.requests.PUT) == (6, 2)
    assert world.plan().changes == ()


def test_each_sub_account_is_told(tmp_path: Path) -> None:
    """The event of a listing names the sub account, and the report's account its id and its name."""
    world = family(tmp_path, sub_account(1, "Acme East", key(1, "sender", SEND)))
    report = world.plan()
    listed = [event for event in world.events if isinstance(event, AccountListed)]
    assert [(event.account.sub_account_id, event.name, event.keys) for event in listed] == [
        (None, None, 1),
        (below(1), "Acme East", 1),
    ]
    assert [(account.account_id, account.sub_account_id) for account in report.accounts] == [
        (ACCOUNT, None),
        (ACCOUNT, below(1)),
    ]


def test_how_far_a_long_list_has_come_is_told(tmp_path: Path) -> None:
    """After each page of keys that more follow, how many there are so far; of other lists nothing."""
    keys = [key(number, f"k{number}", SEND) for number in range(1, 220)]
    sub_accounts = [sub_account(number, f"Acme {number}") for number in range(150)]
    world = family(tmp_path, *sub_accounts)
    world.emulator.load(
        {"accounts": [world.emulator.dump()["accounts"][0] | {"keys": [admin(scopes=[*FAMILY_MANAGER]), *keys]}]}
    )
    world.plan()
    told = [event for event in world.events if isinstance(event, ListingProgressed)]
    assert [(event.account.sub_account_id, event.keys) for event in told] == [(None, 100), (None, 200)]


def test_the_list_of_sub_accounts_is_told_at_once(tmp_path: Path) -> None:
    """How many sub accounts there are, and how many the rules select, is told before those are read, not after."""
    many = [sub_account(number, f"{'Beta' if number < 5 else 'Acme'} {number}") for number in range(60)]
    world = family(tmp_path, *many)
    world.plan()
    kinds = [event for event in world.events if isinstance(event, AccountListed | SubAccountsListed)]
    (place,) = (place for place, event in enumerate(kinds) if isinstance(event, SubAccountsListed))
    told = kinds[place]
    assert isinstance(told, SubAccountsListed)
    assert (told.account.account_id, told.sub_accounts, told.selected) == (ACCOUNT, 60, 55)
    assert place < 40


def test_who_is_told_breaks_no_reading(tmp_path: Path) -> None:
    """An observer that fails when it is told how far reading has come changes nothing of what is read."""
    keys = [key(number, f"k{number}", SEND) for number in range(1, 120)]
    world = family(tmp_path, *(sub_account(number, f"Acme {number}", *keys) for number in range(3)))
    whole = world.plan()

    def observe(event: Event) -> None:
        if isinstance(event, SubAccountsListed | ListingProgressed):
            told.append(event)
            raise OSError("nobody listens")

    told: list[Event] = []
    world.observe = observe
    assert replace(world.plan(), requests=whole.requests) == whole
    assert {type(event) for event in told} == {SubAccountsListed, ListingProgressed}


def test_suspended_sub_accounts_are_left_alone(tmp_path: Path) -> None:
    """A suspended one is a condition, not an error: nothing is asked of it, nothing planned, and the exit code is 0."""
    world = family(
        tmp_path,
        sub_account(1, "Acme East", key(1, "sender", SEND)),
        sub_account(2, "Acme West", key(2, "sender", DRIFTED), status="suspended"),
        sub_account(3, "Acme South", key(3, "sender", DRIFTED), status="parent-suspended"),
    )
    report = world.apply()
    assert statuses(report) == {None: "ok", "Acme East": "ok", "Acme West": "suspended", "Acme South": "suspended"}
    told = [event for event in world.events if isinstance(event, AccountListed) and event.suspended]
    assert sorted(str(event.name) for event in told) == ["Acme South", "Acme West"]
    assert (report.changes, report.requests.GET, exit_code(report)) == ((), 3, 0)
    assert report.digest is not None


def test_a_selector_that_matches_nothing_is_a_finding(tmp_path: Path) -> None:
    """It is told with its place in the file, and the rest goes on."""
    report = family(tmp_path, sub_account(1, "Beta", key(1, "sender", SEND))).plan()
    finding, note = report.findings
    assert (finding.rule, finding.severity.value, finding.account_id) == ("select-matches-nothing", "warn", ACCOUNT)
    assert (note.rule, note.message) == ("sub-accounts-not-selected", 'no rule selects 1 of 1 sub accounts: "Beta"')
    assert finding.source is not None
    assert finding.source.line == 5
    assert report.summary.findings.warn == 1


def test_a_clash_fails_its_sub_account_alone(tmp_path: Path) -> None:
    """Where rules want one name twice, that sub account is failed with both places, and the others go on."""
    files = (
        FAMILY
        + """\
  - select: {name: "* East"}
    keys: [{name: sender, scopes: ["messages:send:all"]}]
"""
    )
    drifted = (
        sub_account(1, "Acme East", key(1, "sender", DRIFTED)),
        sub_account(2, "Acme West", key(2, "sender", SEND)),
    )
    report = family(tmp_path, *drifted, files=files).apply()
    assert statuses(report) == {None: "ok", "Acme East": "failed", "Acme West": "ok"}
    assert "two rules select it, and both have a key sender, at " in str(errors(report)["Acme East"])
    assert (report.changes, report.digest, exit_code(report)) == ((), None, 4)


def test_a_sub_account_that_cannot_be_read(tmp_path: Path) -> None:
    """Its failure stops no other; it is failed with the reason, the digest is gone, and the exit code says 4."""
    world = family(
        tmp_path, *(sub_account(n, f"Acme {n}", key(n, "sender", SEND, DRIFTED)) for n in (1, 2, 3)), rate=10.0
    )
    world.faults({"method": "GET", "path": f"*{below(1)}*", "do": {"status": 503}})
    report = world.apply()
    assert statuses(report) == {None: "ok", "Acme 1": "failed", "Acme 2": "ok", "Acme 3": "ok"}
    assert "503" in str(errors(report)["Acme 1"])
    assert [change.outcome.value for change in report.changes] == ["applied", "applied"]
    assert exit_code(report) == 4


def test_an_account_that_cannot_be_read(tmp_path: Path) -> None:
    """Where an account's own keys cannot be read, its sub accounts are not asked for either."""
    world = family(tmp_path, sub_account(1, "Acme East", key(1, "sender", DRIFTED)))
    world.faults({"method": "GET", "path": f"*/{ACCOUNT}/api-keys", "do": {"status": 403}})
    report = world.apply()
    assert statuses(report) == {None: "failed"}
    assert (report.changes, report.requests.GET, exit_code(report)) == ((), 1, 1)


def test_a_list_of_sub_accounts_that_cannot_be_read(tmp_path: Path) -> None:
    """Nothing is planned for any of them, which is one failure; the account's own keys are mended all the same."""
    files = FAMILY + 'keys: [{name: shop, scopes: ["messages:send:all"]}]'
    world = family(tmp_path, sub_account(1, "Acme East", key(1, "sender", DRIFTED)), files=files)
    with world.edited() as keys:
        keys[key(2, "shop")["id"]] = key(2, "shop", DRIFTED)
    world.faults({"method": "GET", "path": "*/sub-accounts", "do": {"status": 403}})
    report = world.apply()
    told = [(one.sub_account_id, one.status.value) for one in report.accounts]
    assert told == [(None, "ok"), (EVERY_SUB_ACCOUNT, "failed")]
    assert "sub-accounts:read" in str(report.accounts[1].error)
    assert (outcomes(report), world.puts, exit_code(report)) == ({"shop": "applied"}, 1, 4)
    assert report.digest is None


def test_a_credential_that_may_not_read_below_is_told_so_a_few_times_only(tmp_path: Path) -> None:
    """Ten thousand sub accounts would all answer with 403: after some that did, the others are not asked."""
    subs = [sub_account(n, f"Acme {n:03}", key(n, "sender", SEND)) for n in range(1, 101)]
    world = family(tmp_path, *subs, manager=("api-keys:read", "sub-accounts:read"))
    report = world.plan()
    assert sum(account.status is AccountStatus.FAILED for account in report.accounts) == 100
    assert report.requests.GET <= 2 + 2 * 15
    assert all("sub-account-api-keys:read" in str(account.error) for account in report.accounts[1:])


def test_one_forbidden_sub_account_is_its_own_affair(tmp_path: Path) -> None:
    """Where others can be read a 403 is that one's, however many there are, and all others go on."""
    subs = [sub_account(n, f"Acme {n}", key(n, "sender", SEND)) for n in range(1, 101)]
    world = family(tmp_path, *subs)
    odd = range(5, 101, 5)
    world.faults(*({"method": "*", "path": f"*{below(n)}*", "do": {"status": 403}} for n in odd))
    failed = [account for account in world.plan().accounts if account.status is AccountStatus.FAILED]
    assert [account.sub_account_name for account in failed] == [f"Acme {n}" for n in odd]
    assert all(str(account.error).startswith("listing the keys") for account in failed)


def test_a_credential_that_is_refused_ends_the_reading(tmp_path: Path) -> None:
    """After many a 401, one after the other, nobody else is asked: the credential was revoked meanwhile."""
    subs = [sub_account(n, f"Acme {n:03}", key(n, "sender", SEND)) for n in range(1, 101)]
    world = family(tmp_path, *subs)
    world.faults({"method": "*", "path": "*/sub-accounts/*", "do": {"status": 401}})
    report = world.plan()
    assert sum(account.status is AccountStatus.FAILED for account in report.accounts) == 100
    assert report.requests.GET <= 2 + 2 * 15


@pytest.mark.parametrize("status", [401, 403])
def test_odd_sub_accounts_do_not_keep_the_others_from_being_read(tmp_path: Path, status: int) -> None:
    """A few that refuse in every pass, as a suspended one may, cost none of the others its turn in any pass."""
    subs = [sub_account(n, f"Acme {n:02}", key(n, "sender", SEND, DRIFTED)) for n in range(1, 61)]
    world = family(tmp_path, *subs)
    odd = (1, 2, 3, 20, 30, 40)
    world.faults(*({"method": "*", "path": f"*{below(n)}*", "do": {"status": status}} for n in odd))
    for _ in range(4):
        report = world.run(allowed=frozenset({"max-changes"}))
        assert sum(account.status is AccountStatus.FAILED for account in report.accounts) == len(odd)
    assert {change.account_id for change in world.emulator.history} == {below(n) for n in range(1, 61) if n not in odd}


@pytest.mark.parametrize("status", [401, 403])
def test_odd_sub_accounts_do_not_keep_the_others_from_being_written(tmp_path: Path, status: int) -> None:
    """As for reading: what a few sub accounts answer says nothing about their siblings."""
    subs = [sub_account(n, f"Acme {n:02}", key(n, "sender", SEND, DRIFTED)) for n in range(1, 61)]
    world = family(tmp_path, *subs, rate=5.0, burst=1, patience=Patience(36000, 36000))
    world.faults(*({"method": "PUT", "path": f"*{below(n)}*", "do": {"status": status}} for n in range(1, 9)))
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert (report.summary.applied, report.summary.failed) == (52, 8)


def test_a_leak_below_is_closed_whatever_other_keys_were_answered(tmp_path: Path) -> None:
    """Forty keys that may not be written do not keep one that is to be switched off from being tried."""
    subs = [sub_account(n, f"Acme {n:02}", key(n, "reader", "domains:read", "domains:write")) for n in range(1, 41)]
    subs.append(sub_account(99, "Leaky", key(99, "leak", "domains:read", ip_allow_list=[])))
    files = """
    sub_accounts:
      - {select: {name: "Acme *"}, keys: [{name: reader, scopes: ["domains:read"]}]}
      - {select: {name: Leaky}, keys: [{name: leak, scopes: ["domains:read"], state: quarantined}]}
    """
    world = family(tmp_path, *subs, files=files, rate=1.0, burst=1, patience=Patience(36000, 36000))
    world.faults(
        {"method": "PUT", "path": "*/sub-accounts/bbbbbbbb-0000-4000-8000-0000000000[0-4]*", "do": {"status": 403}}
    )
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert outcomes(report)["leak"] == "applied"
    assert world.puts <= 1 + 2 * 15


def test_a_credential_that_may_not_write_below_is_told_so_a_few_times_only(tmp_path: Path) -> None:
    """As for reading: after some keys were refused and none written, no other key of a sub account is tried."""
    subs = [sub_account(n, f"Acme {n:03}", key(n, "sender", SEND, DRIFTED)) for n in range(1, 101)]
    reads = ("api-keys:read", "api-keys:write", "sub-accounts:read", "sub-account-api-keys:read")
    files = FAMILY + 'keys: [{name: shop, scopes: ["messages:send:all"]}]'
    world = family(tmp_path, *subs, manager=reads, files=files)
    with world.edited() as keys:
        keys[key(900, "shop")["id"]] = key(900, "shop", DRIFTED)
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert (report.summary.applied, report.summary.failed) == (1, 100)
    assert world.puts <= 1 + 2 * 15
    assert all("sub-account-api-keys:write" in str(one.reason) for one in report.changes if one.name == "sender")


def test_a_sub_account_of_a_status_that_nobody_knows(tmp_path: Path) -> None:
    """It is neither active nor suspended as far as we know: nothing is planned for it, and that is a failure."""

    def trial(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if not request.url.path.endswith("/sub-accounts"):
            return response
        return httpx.Response(200, content=response.content.replace(b'"active"', b'"trial"'))

    world = family(tmp_path, sub_account(1, "Acme East", key(1, "sender", DRIFTED)), after=trial)
    report = world.apply()
    assert statuses(report) == {None: "ok", "Acme East": "failed"}
    assert "its status is 'trial', which this version does not know" in str(errors(report)["Acme East"])
    assert (report.requests.GET, world.puts, exit_code(report)) == (2, 0, 4)


def test_the_second_reading_of_a_list_counts(tmp_path: Path) -> None:
    """A list that shows one twice is read once more, and what it says then decides: names and statuses may differ."""
    names = ("Acme 1", "Acme 2", "Beta", "Acme 3")
    subs = [sub_account(n, name, key(n, "sender", DRIFTED)) for n, name in enumerate(names, 1)]
    world = family(tmp_path, *subs)
    lists = 0

    def renamed(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        nonlocal lists
        if not request.url.path.endswith("/sub-accounts"):
            return response
        lists += 1
        page = json.loads(response.content)
        if lists == 1:
            page["data"].append(page["data"][0])
        else:
            now = {"Acme 2": ("Zeta", "active"), "Beta": ("Acme 9", "active"), "Acme 3": ("Acme 3", "suspended")}
            for one in page["data"]:
                one["name"], one["status"] = now.get(one["name"], (one["name"], one["status"]))
        return httpx.Response(200, json=page)

    world.after = renamed
    report = world.apply()
    assert statuses(report) == {None: "ok", "Acme 1": "ok", "Acme 9": "ok", "Acme 3": "suspended"}
    assert {change.account_id for change in world.emulator.history} == {below(1), below(3)}


def test_what_keeps_many_from_being_read_is_told_once(tmp_path: Path) -> None:
    """The report has it for each sub account; the log would drown in ten thousand lines that say the same."""
    subs = [sub_account(n, f"Acme {n:03}", key(n, "sender", SEND)) for n in range(1, 101)]
    world = family(tmp_path, *subs, rate=10.0, burst=1, patience=Patience(per_pass=3.0))
    report = world.plan()
    failed = sum(account.status is AccountStatus.FAILED for account in report.accounts)
    told = [event for event in world.events if isinstance(event, AccountListed) and event.error]
    assert failed > 60
    assert len(told) <= 16
    last = told[-1]
    assert last.account.sub_account_id == EVERY_SUB_ACCOUNT
    assert str(last.error).endswith(" sub accounts: out of time: the pass had none left for it")
    assert len(told) - 1 + int(str(last.error).split()[0]) == failed


def test_domains_of_sub_accounts_are_not_checked(tmp_path: Path) -> None:
    """Asked to check domains, a note says that those of sub accounts cannot be."""
    manager = (*FAMILY_MANAGER, "domains:read")
    world = family(tmp_path, sub_account(1, "Acme", key(1, "sender", SEND)), manager=manager, check_domains=True)
    assert "domains-not-checked" in {finding.rule for finding in world.plan().findings}
    world.check_domains = False
    assert world.plan().findings[0].rule == "select-matches-nothing"


def test_what_a_pass_could_not_read_goes_first_in_the_next(tmp_path: Path) -> None:
    """Time that never suffices for all sub accounts still comes to each of them, in one pass after the other."""
    subs = [sub_account(n, f"Acme {n:03}", key(n, "sender", SEND, DRIFTED)) for n in range(1, 61)]
    world = family(tmp_path, *subs, rate=10.0, burst=1, patience=Patience(per_pass=6.0))
    for _ in range(8):
        world.run(allowed=frozenset({"max-changes"}))
    assert all(one["scopes"] == [SEND] for n in range(1, 61) for one in world.account(below(n)).values())


def test_a_large_account_leaves_time_for_the_others(tmp_path: Path) -> None:
    """Reading keeps a third of the pass back: what is wrong elsewhere is mended although one is not read whole."""
    subs = [sub_account(n, f"Acme {n:03}", key(n, "sender", SEND)) for n in range(1, 301)]
    files = FAMILY + 'keys: [{name: leak, scopes: ["domains:read"], state: quarantined}]'
    world = family(tmp_path, *subs, files=files, rate=10.0, burst=1, patience=Patience(per_pass=10.0))
    with world.edited() as keys:
        keys[key(900, "leak")["id"]] = key(900, "leak", DRIFTED)
    report = world.apply()
    assert outcomes(report) == {"leak": "applied"}
    assert sum(account.status is AccountStatus.FAILED for account in report.accounts) > 200


def test_reading_and_writing_share_an_accounts_time(tmp_path: Path) -> None:
    """What reading took is not there for writing any more."""
    keys = [key(number, f"k{number:03}", SEND, DRIFTED) for number in range(1, 31)]
    entries = ", ".join(f'{{name: k{number:03}, scopes: ["{SEND}"]}}' for number in range(1, 31))
    world = World(tmp_path, keys, f"keys: [{entries}]", rate=10.0, burst=1, patience=Patience(per_account=4.0))
    world.faults({"method": "GET", "path": "*/api-keys", "do": {"delay": "3s"}})
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert 1 <= report.summary.applied <= 6


def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    """A credential that may not list sub accounts is told which scope it lacks."""
    report = family(tmp_path, manager=("api-keys:read", "api-keys:write")).plan()
    assert "sub-accounts:read" in str(errors(report)[None])


def test_unknown_domains_are_denied(tmp_path: Path) -> None:
    """With --check-domains a scope for a domain that is not the account's holds its change back before any PUT."""
    files = f"""
    defaults: {{ip_allow_list: [203.0.113.0/24]}}
    keys:
      - {{name: shop, scopes: ["{SHOP}"]}}
      - {{name: gone, scopes: ["messages:send:{{gone.example.com}}"]}}
    """
    keys = [key(1, "shop", SHOP, DRIFTED), key(2, "gone", DRIFTED)]
    world = World(tmp_path, keys, files, manager=(*FAMILY_MANAGER, "domains:read"), check_domains=True)
    report = world.apply()
    assert outcomes(report) == {"shop": "applied", "gone": "denied"}
    assert str(change_of(report, "gone").reason).startswith(
        "unknown-domain: gone is to have scopes for gone.example.com"
    )
    assert (report.summary.findings.deny, exit_code(report), world.puts) == (1, 3, 1)
    assert world.plan().summary.denied == 1


def test_domains_that_cannot_be_read(tmp_path: Path) -> None:
    """Asked to check domains, a credential that may not list them plans nothing: what is asked for cannot be judged."""
    report = World(tmp_path, [key(1, "shop", DRIFTED)], "keys: []", check_domains=True).apply()
    assert "domains:read" in str(errors(report)[None])
    assert (report.accounts[0].status, exit_code(report)) == (AccountStatus.FAILED, 1)


def test_domains_are_not_asked_for_otherwise(tmp_path: Path) -> None:
    """Without the option the scope goes to the API, which refuses it; the key is failed with its place in the file."""
    files = 'keys: [{name: gone, scopes: ["messages:send:{gone.example.com}"]}]'
    report = World(tmp_path, [key(2, "gone", DRIFTED)], files).apply()
    assert outcomes(report) == {"gone": "failed"}
    reason = str(change_of(report, "gone").reason)
    assert "400" in reason
    assert "keys.yaml:3:8" in reason


def slow(world: World, part: str, seconds: float) -> None:
    """Let each request to a path with ``part`` in it take so many seconds."""
    world.faults({"method": "*", "path": f"*{part}*", "do": {"delay": f"{seconds:g}s"}})


def test_an_account_out_of_time(tmp_path: Path) -> None:
    """A sub account that takes longer than it may is failed as out of time, and the others are not held up."""
    subs = (sub_account(n, f"Acme {n}", key(n, "sender", SEND, DRIFTED)) for n in (1, 2, 3))
    world = family(tmp_path, *subs, patience=Patience(per_account=5.0))
    slow(world, below(1), 60)
    report = world.apply()
    assert statuses(report) == {None: "ok", "Acme 1": "failed", "Acme 2": "ok", "Acme 3": "ok"}
    assert errors(report)["Acme 1"] == (
        "out of time: it was not read whole within 5 s\n"
        "  hint: is the API slow, or --rate too low for so many keys? --account-timeout sets the limit"
    )
    assert [change.outcome.value for change in report.changes] == ["applied", "applied"]


def test_changes_out_of_time(tmp_path: Path) -> None:
    """What an account's time does not suffice for is failed as out of time, and done by the next pass."""
    keys = [key(number, f"k{number:02}", SEND, DRIFTED) for number in range(1, 31)]
    entries = "\n".join(f'  - {{name: k{number:02}, scopes: ["{SEND}"]}}' for number in range(1, 31))
    world = World(tmp_path, keys, f"keys:\n{entries}", rate=10.0, burst=1, patience=Patience(per_account=4.0))
    allowed = frozenset({"max-changes"})
    report = world.apply(allowed=allowed)
    done = report.summary.applied
    assert 15 <= done <= 20
    assert {change.reason for change in report.changes} == {None, "out of time"}
    assert (report.summary.failed, exit_code(report)) == (30 - done, 4)
    assert world.puts == done
    second = world.apply(allowed=allowed)
    assert second.summary.applied + done == 30


def test_a_pass_out_of_time(tmp_path: Path) -> None:
    """The whole pass has a limit as well: what was not read by then is failed, whichever account it belongs to."""
    subs = (sub_account(n, f"Acme {n:03}", key(n, "sender", SEND)) for n in range(100))
    world = family(tmp_path, *subs, rate=10.0, burst=1, patience=Patience(per_pass=5.0))
    report = world.apply()
    read = [account for account in report.accounts if account.status is AccountStatus.OK]
    assert 25 <= len(read) <= 36
    in_a_dry_run = [account for account in world.plan().accounts if account.status is AccountStatus.OK]
    assert 40 <= len(in_a_dry_run) <= 52
    assert len(report.accounts) == 101
    assert exit_code(report) == 4


def test_few_sub_accounts_are_under_way_at_a_time(tmp_path: Path) -> None:
    """However many there are, no more requests are in flight than there are connections."""
    under_way = most = 0

    def before(_request: httpx.Request) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)

    def after(_request: httpx.Request, response: httpx.Response) -> httpx.Response:
        nonlocal under_way
        under_way -= 1
        return response

    subs = (sub_account(n, f"Acme {n:03}", key(n, "sender", SEND)) for n in range(200))
    world = family(tmp_path, *subs, before=before, after=after)
    slow(world, "", 0.05)
    assert world.plan().summary.unchanged == 200
    assert 8 < most <= 16


def test_many_changes_in_many_sub_accounts(tmp_path: Path) -> None:
    """Writes that each read first leave room for those reads, however many are under way in however many accounts."""
    entries = ", ".join(f'{{name: k{n}, scopes: ["{SEND}"]}}' for n in range(8))
    files = f'sub_accounts: [{{select: {{name: "Acme *"}}, keys: [{entries}]}}]'
    subs = [
        sub_account(n, f"Acme {n:02}", *(key(100 * n + at, f"k{at}", DRIFTED) for at in range(8))) for n in range(1, 41)
    ]
    world = family(tmp_path, *subs, files=files)
    slow(world, "", 0.05)
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert (report.summary.applied, report.summary.failed) == (320, 0)
    assert world.puts == 320
