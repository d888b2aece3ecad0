"""What reports tell of keys, rules and waivers, told as stories: a pass, then what the account really has."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from looking import audit, plan_saved, saved
from reconciler.ahasend.pace import Stop
from reconciler.core.comparison import compared
from reconciler.core.inventory import KeyStanding, ReportedKey, ReportedPause
from reconciler.core.keys import DesiredState
from reconciler.core.plan import Plan
from reconciler.core.report import AccountStatus, Mode, Report
from reconciler.files.saved import Listing
from reconciler.reconcile import PassInputs, Saved, Times, Told, make_report
from world import ACCOUNT, FAMILY_MANAGER, NOON, OFFICE, OTHER, World, as_api, below, key, key_id, outcomes, sub_account

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
FENCE = "192.0.2.1/32"
PUT = {"method": "PUT", "path": "*"}
FILES = """
unmanaged: {then: quarantine, include_senders: true}
defaults: {ip_allow_list: [203.0.113.0/24]}
keys:
  - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}
  - {name: narrowed, scopes: ["messages:send:{shop.example.com}"], owner: team-shop}
  - {name: renamed, label: New name, was: [Old name], scopes: ["suppressions:read"]}
  - {name: elsewhere, scopes: ["suppressions:read"], ip_allow_list: [198.51.100.0/24, 203.0.113.7]}
  - {name: leaked, scopes: ["suppressions:read"], state: quarantined}
  - {name: fenced, scopes: ["suppressions:read"]}
  - {name: resting, scopes: ["suppressions:read"], paused: {reason: INC-77, until: 2026-12-24}}
  - {name: gone, state: absent}
"""
KEYS = [
    key(1, "narrowed", SHOP, NEWS, last_used_at="2026-11-20T08:00:00Z"),
    key(2, "Old name", "suppressions:read"),
    key(3, "elsewhere", "suppressions:read"),
    key(4, "leaked", "suppressions:read", "domains:read"),
    key(5, "fenced", "suppressions:read", ip_allow_list=[FENCE]),
    key(6, "resting", "domains:read"),
    key(7, "gone", "domains:read"),
    key(8, "nobody's", "webhooks:read:all", ip_allow_list=[]),
]
ALLOW_ALL = {"allowed": frozenset({"max-changes", "max-switched-off", "restore"})}
FAMILY = """
keys: [{name: shop, scopes: ["messages:send:{shop.example.com}"]}]
sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["messages:send:all"], owner: team-acme}]
"""


def inventories(report: Report) -> list[tuple[ReportedKey, ...] | None]:
    """The keys of each account, but for when they were used last: the reconciler's own is used by looking."""
    return [
        account.inventory and tuple(replace(one, last_used_at=None) for one in account.inventory)
        for account in report.accounts
    ]


def told(report: Report, number: int) -> ReportedKey:
    """The n-th key of the account."""
    (account,) = report.accounts
    return next(one for one in account.inventory or () if one.key_id == key_id(number))


def test_an_apply_tells_what_an_audit_finds_after_it(tmp_path: Path) -> None:
    """What a pass that applied every kind of change leaves is key by key what an audit then finds."""
    world = World(tmp_path, KEYS, FILES)
    applied = world.apply(**ALLOW_ALL)
    assert outcomes(applied) == {
        "elsewhere": "applied",
        "fenced": "applied",
        "gone": "skipped",
        "leaked": "applied",
        "narrowed": "applied",
        "renamed": "applied",
        "resting": "paused",
        "unmanaged nobody's": "applied",
    }
    found = audit(world)
    assert inventories(applied) == inventories(found)
    since = compared(found, applied).since
    assert since is not None
    assert since.keys == ()
    assert told(applied, 1) == ReportedKey(
        key_id(1),
        "narrowed",
        KeyStanding.MANAGED,
        (SHOP,),
        tuple(OFFICE),
        "2026-01-01T00:00:00Z",
        "2026-11-20T08:00:00Z",
        "narrowed",
        "team-shop",
        source=told(found, 1).source,
    )
    assert (told(applied, 2).label, told(applied, 3).ip_allow_list) == (
        "New name",
        ("198.51.100.0/24", "203.0.113.7/32"),
    )
    assert (told(applied, 4).ip_allow_list, told(applied, 5).ip_allow_list) == ((FENCE,), tuple(OFFICE))
    assert (told(applied, 6).scopes, told(applied, 6).paused) == (
        ("domains:read",),
        ReportedPause("2026-12-24", "INC-77"),
    )
    assert (told(applied, 8).ip_allow_list, told(applied, 8).standing) == ((FENCE,), KeyStanding.UNMANAGED)


def test_a_dry_run_tells_what_there_is(tmp_path: Path) -> None:
    """Whatever a plan would change, it tells the keys as they are, as an audit does."""
    world = World(tmp_path, KEYS, FILES)
    planned = world.plan(**ALLOW_ALL)
    assert set(outcomes(planned).values()) == {"planned", "paused", "skipped"}
    assert inventories(planned) == inventories(audit(world))
    assert told(planned, 1).scopes == (NEWS, SHOP)


@pytest.mark.parametrize(
    "consent", [{}, {"hold": "INC-7"}, {"digest": "sha256:" + "0" * 64}, {**ALLOW_ALL, "self_keys": {None: key_id(1)}}]
)
def test_what_is_held_back_is_as_it_was(tmp_path: Path, consent: dict[str, Any]) -> None:
    """Keys whose changes the guardrails hold back are told as they still are."""
    world = World(tmp_path, KEYS, FILES)
    applied = world.apply(**consent)
    assert {"refused", "skipped"} & {*outcomes(applied).values()}
    assert inventories(applied) == inventories(audit(world))


@pytest.mark.parametrize(
    "faults",
    [
        [{**PUT, "rate": 1, "do": {"status": 503}}],
        [{**PUT, "every": 2, "do": {"status": 400}}],
        [{**PUT, "first": 3, "do": {"status": 403}}],
        [{**PUT, "first": 1, "do": {"status": 401}}],
        [{**PUT, "rate": 0.5, "do": {"drop": "after"}}, {**PUT, "rate": 0.5, "do": {"drop": "before"}}],
    ],
)
def test_what_failed_is_as_it_was(tmp_path: Path, faults: list[dict[str, Any]]) -> None:
    """However writes go wrong, what was applied is told as it is then, and what failed as it was."""
    world = World(tmp_path, KEYS, FILES)
    world.faults(*faults)
    applied = world.apply(**ALLOW_ALL)
    world.faults()
    assert inventories(applied) == inventories(audit(world))


def test_a_leak_of_which_the_rest_was_refused(tmp_path: Path) -> None:
    """Where only the fence of a quarantine was taken, the key is told as switched off, with its old label."""
    files = 'keys: [{name: leak, was: [Leak], scopes: ["messages:send:gone.example.com"], state: quarantined}]'
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files)
    applied = world.apply()
    assert outcomes(applied) == {"leak": "failed"}
    leak = told(applied, 1)
    assert (leak.label, leak.scopes, leak.ip_allow_list) == ("Leak", ("domains:read",), (FENCE,))
    assert inventories(applied) == inventories(audit(world))


def test_an_account_that_does_not_do_what_is_asked(tmp_path: Path) -> None:
    """Where an account takes a PUT and does something else, the key is told as the account showed it, not as asked."""

    def undo(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method == "PUT" and response.status_code == 200:
            with world.edited() as keys:
                keys[key_id(1)]["ip_allow_list"] = ["198.51.100.0/24"]
            return httpx.Response(200, content=json.dumps(as_api(world.remote(1))).encode())
        return response

    for files, faults in (
        ("", []),
        ("scopes: [domains:read], was: [Leak], ", [{**PUT, "first": 1, "do": {"status": 400}}]),
    ):
        world = World(
            tmp_path,
            [key(1, "Leak", "domains:read")],
            f"keys: [{{name: leak, {files}id: {key_id(1)}, state: quarantined}}]",
            after=undo,
        )
        world.faults(*faults)
        applied = world.apply()
        assert outcomes(applied) == {"leak": "failed"}
        assert told(applied, 1).ip_allow_list == ("198.51.100.0/24",)
        since = compared(audit(world), applied).since
        assert since is not None
        assert since.keys == ()


@pytest.mark.parametrize("refused", [False, True])
def test_a_key_that_changed_under_way(tmp_path: Path, refused: bool) -> None:
    """A key that somebody changed after it was listed is told as it was read then."""

    def meddle(request: httpx.Request) -> None:
        if request.url.path.endswith(key_id(1)) and (not refused or world.puts):
            with world.edited() as keys:
                keys[key_id(1)]["scopes"] = ["domains:read", "domains:write"]

    files = "keys: [{name: leak, was: [Leak], state: quarantined}]"
    world = World(tmp_path, [key(1, "Leak", "domains:read")], files, before=meddle)
    world.faults({**PUT, "first": 1, "do": {"status": 400}})
    applied = world.apply()
    assert outcomes(applied) == {"leak": "stale"}
    assert told(applied, 1).scopes == ("domains:read", "domains:write")
    assert inventories(applied) == inventories(audit(world))


def test_a_saved_listing_is_told_as_it_was_saved(tmp_path: Path) -> None:
    """A plan and an audit by a listing tell the keys of then, as of then, whatever became of them."""
    world = World(tmp_path, KEYS, FILES)
    found, listing = audit(world), saved(world, taken_at=NOON - timedelta(days=1))
    world.apply(**ALLOW_ALL)
    for report in (plan_saved(world, listing), audit(world, listing=listing, now=listing.taken_at)):
        assert inventories(report) == inventories(found)
        assert report.as_of == "2026-11-22T12:00:00Z"
    assert audit(world).as_of == "2026-11-23T12:00:00Z"


def test_when_a_pass_began_and_what_it_goes_by() -> None:
    """A pass by what was listed a day ago began today, and judges as of yesterday."""
    yesterday = NOON - timedelta(days=1)
    saved_then = Saved(Listing(yesterday, ()))
    inputs = PassInputs("run", DesiredState(()), saved_then, lambda event: None, Stop(), began=NOON)
    report = make_report(inputs, Told((), Plan(()), ()), Times(Mode.AUDIT, yesterday, 2.0))
    assert (report.started_at, report.finished_at) == ("2026-11-23T12:00:00Z", "2026-11-23T12:00:02Z")
    assert report.as_of == "2026-11-22T12:00:00Z"


def test_sub_accounts_have_keys_of_their_own(tmp_path: Path) -> None:
    """Each account and sub account tells its own keys; one that is suspended, or was not read, tells none at all."""
    shops = (
        sub_account(1, "Acme East", key(11, "sender", "messages:send:all"), key(12, "stray", SHOP)),
        sub_account(2, "Acme West", key(21, "sender", "messages:send:all"), status="suspended"),
        sub_account(3, "Acme North", key(31, "sender", "messages:send:all")),
        sub_account(4, "Acme South"),
    )
    world = World(tmp_path, [key(1, "shop", SHOP)], FAMILY, manager=FAMILY_MANAGER, sub_accounts=shops)
    world.folder.joinpath("other.yaml").write_text(f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n")
    world.tokens["other"] = "aha-sk-unknown"
    world.faults({"method": "GET", "path": f"*{below(3)}*", "rate": 1, "do": {"status": 403}})
    for report in (world.plan(), world.apply(), audit(world)):
        listed = {
            account.sub_account_id or account.account_id: account.inventory
            and [(one.key_id, one.standing.value, one.owner) for one in account.inventory]
            for account in report.accounts
        }
        assert listed == {
            ACCOUNT: [(key_id(0), "unmanaged", ""), (key_id(1), "managed", "")],
            below(1): [(key_id(11), "managed", "team-acme"), (key_id(12), "unmanaged", "")],
            below(2): None,
            below(3): None,
            below(4): (),
            OTHER: None,
        }
        statuses = {account.status for account in report.accounts if account.inventory is None}
        assert statuses == {AccountStatus.FAILED, AccountStatus.SUSPENDED}


@pytest.mark.parametrize("then", ["report", "ignore"])
def test_unmanaged_keys_are_told_even_where_they_are_ignored(tmp_path: Path, then: str) -> None:
    """The inventory is whole, whatever the files say about keys that they do not name."""
    world = World(tmp_path, KEYS, FILES.replace("{then: quarantine, include_senders: true}", then))
    for report in (world.plan(), audit(world)):
        assert len(report.accounts[0].inventory or ()) == 9
        assert told(report, 8).standing is KeyStanding.UNMANAGED


def test_what_a_pass_judged_by(tmp_path: Path) -> None:
    """Rules and waivers are told with their places; an audit looks at what must work, a plan at changes."""
    policy = """
        rules:
          - {id: change, severity: deny, when: 'change.action == "restore"', message: "no!"}
          - {id: stale, severity: warn, uses: unused-for, with: {for: 180d}, match: {managed: true}}
        waivers:
          - {rule: stale, key: shop, until: 2020-01-31, owner: sec, reason: over long ago}
          - {rule: stale, label: "legacy-*", until: 2027-01-31, owner: sec, reason: INC-204}
        require: [{domain: shop.example.com, can: "messages:send"}]
        """
    world = World(tmp_path, KEYS, FILES, policy=policy)
    stale = ("stale", "warn", "unused-for (for: 180 days); only keys with managed: true", 5)
    coverage = ("coverage", "deny", "some key can messages:send for shop.example.com", 9)
    about_changes = ("change", "deny", 'change.action == "restore"', 4)
    file = str(tmp_path.parent / f"{tmp_path.name}-policy.yaml")
    for report, wanted in ((world.plan(), [about_changes, stale]), (audit(world), [stale, coverage])):
        assert [(one.rule, one.severity, one.checks, one.source and one.source.line) for one in report.rules] == wanted
        assert [(one.key, one.label, one.until, one.owner, one.reason) for one in report.waivers] == [
            (None, "legacy-*", "2027-01-31", "sec", "INC-204"),
            ("shop", None, "2020-01-31", "sec", "over long ago"),
        ]
        places = [*(one.source for one in report.rules), *(one.source for one in report.waivers)]
        assert {place and place.file for place in places} == {file}
    world.policy = ""
    assert (audit(world).rules, audit(world).waivers) == ((), ())


def test_what_became_of_keys_between_two_audits(tmp_path: Path) -> None:
    """An audit after some edits in the dashboard tells of each key that is another one, and of no other."""
    world = World(tmp_path, KEYS, FILES)
    before = audit(world)
    with world.edited() as keys:
        del keys[key_id(7)]
        keys[key_id(1)]["scopes"] = [SHOP, NEWS, "suppressions:wipe"]
        keys[key_id(2)]["label"] = "Older name"
        keys[key_id(3)]["ip_allow_list"] = ["203.0.113.0/25", "203.0.113.128/25"]
        keys[key_id(4)]["ip_allow_list"] = [FENCE]
        keys[key_id(5)]["last_used_at"] = "2026-11-23T11:00:00Z"
        keys[key_id(9)] = key(9, "new", "*", ip_allow_list=[])
    since = compared(audit(world), before).since
    assert since is not None
    assert [(one.key_id, one.what.value, one.access.direction.value) for one in since.keys] == [
        (key_id(1), "changed", "widen"),
        (key_id(2), "changed", "none"),
        (key_id(4), "changed", "narrow"),
        (key_id(7), "gone", "narrow"),
        (key_id(9), "appeared", "widen"),
    ]
    assert since.not_compared == 0


def test_no_secret_is_in_an_inventory(tmp_path: Path) -> None:
    """What the account says of keys besides is not taken over: no secret, nor any part of one."""

    def with_secret(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        body = json.loads(response.content)
        for one in body.get("data", ()):
            one |= {"secret_key": "aha-sk-told-by-mistake", "public_key": "aha-pk-public"}
        return httpx.Response(response.status_code, content=json.dumps(body).encode())

    world = World(tmp_path, KEYS, FILES, after=with_secret)
    report = audit(world)
    assert len(report.accounts[0].inventory or ()) == 9
    assert "aha-sk" not in repr(report)
    assert "aha-pk" not in repr(report)
