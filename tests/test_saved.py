"""Passes that go by a saved listing: what an account had is judged without asking anybody."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from looking import audit, plan_saved, saved
from reconciler.core.events import AccountListed
from reconciler.core.report import AccountStatus, Mode, Report, exit_code
from reconciler.files.saved import Listing
from world import ACCOUNT, FAMILY_MANAGER, NOON, OTHER, World, below, key, key_id, outcomes, sub_account

SHOP = "messages:send:{shop.example.com}"
SEND = "messages:send:all"
FAMILY = """
keys: [{name: shop, scopes: ["messages:send:{shop.example.com}"]}]
sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["messages:send:all"]}]
"""


def family(tmp_path: Path, *sub_accounts: dict[str, Any], files: str = FAMILY) -> World:
    return World(tmp_path, [key(1, "shop", "*")], files, manager=FAMILY_MANAGER, sub_accounts=sub_accounts)


def listed(world: World) -> list[tuple[str | None, str | None, int, str | None, bool]]:
    """What the observer was told of each account: sub account, name, keys, error, whether suspended."""
    return [
        (event.account.sub_account_id, event.name, event.keys, event.error, event.suspended)
        for event in world.events
        if isinstance(event, AccountListed)
    ]


def errors(report: Report) -> dict[str | None, str | None]:
    return {account.sub_account_id: account.error for account in report.accounts}


def test_a_listing_gives_the_plan_that_the_account_would(tmp_path: Path) -> None:
    """The same accounts, changes, findings and digest as from the account, with no request at all."""
    world = family(
        tmp_path,
        sub_account(1, "Acme East", key(2, "sender", SHOP), key(3, "stray", SHOP)),
        sub_account(2, "Acme West", key(4, "sender", SHOP), status="suspended"),
        sub_account(3, "Beta"),
        files=FAMILY + '  - select: {name: "Gone"}\n    keys: [{name: sender, scopes: ["messages:send:all"]}]\n',
    )
    live, told = world.plan(), listed(world)
    listing = saved(world, sub_accounts=True)
    world.events.clear()
    report = plan_saved(world, listing)
    assert (report.accounts, report.digest) == (live.accounts, live.digest)
    assert report.findings == live.findings
    assert [finding.rule for finding in report.findings] == ["select-matches-nothing", "sub-accounts-not-selected"]
    assert listed(world) == [
        (None, None, 2, None, False),
        (below(1), "Acme East", 2, None, False),
        (below(2), "Acme West", 0, None, True),
    ]
    assert sorted(told, key=str) == sorted(listed(world), key=str)
    assert (report.mode, report.requests.GET, live.requests.GET) == (Mode.PLAN, 0, 3)
    assert world.puts == 0


def test_all_is_as_of_the_listing(tmp_path: Path) -> None:
    """Pauses hold and keys have the age that they had when the keys were listed."""
    files = """
        unmanaged: {then: quarantine}
        keys:
          - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"]}
          - {name: shop, scopes: ["*"], paused: {reason: move, until: 2026-11-23}}
        """
    keys = [key(1, "shop", SHOP), key(2, "young", "domains:read", created_at="2026-11-22T13:00:00Z")]
    world = World(tmp_path, keys, files)
    assert outcomes(plan_saved(world, saved(world))) == {"shop": "paused"}
    later = plan_saved(world, saved(world, taken_at=NOON + timedelta(hours=12)))
    assert outcomes(later) == {"shop": "planned", "unmanaged young": "planned"}
    assert later.started_at == "2026-11-24T00:00:00Z"


def test_an_account_that_is_not_in_the_listing(tmp_path: Path) -> None:
    """It is failed, and says how to save it; the others are planned."""
    world = family(tmp_path)
    world.folder.joinpath("other.yaml").write_text(f"version: 1\naccount: {OTHER}\n", encoding="utf-8")
    report = plan_saved(world, saved(world, sub_accounts=True))
    assert [(account.account_id, account.status) for account in report.accounts] == [
        (ACCOUNT, AccountStatus.OK),
        (OTHER, AccountStatus.FAILED),
    ]
    message = "the account is not in the listing; save it with `reconciler export --actual FILE`"
    assert report.accounts[1].error == message
    assert listed(world)[-1] == (None, None, 0, message, False)
    assert exit_code(report) == 4
    assert exit_code(plan_saved(world, replace(saved(world), accounts=()))) == 1


def test_what_is_listed_and_not_looked_at(tmp_path: Path) -> None:
    """An account that no file names, and sub accounts that no rule selects, are listed for nothing, which is said."""
    world = family(tmp_path, sub_account(1, "Acme East", key(2, "sender", SHOP)), files=FAMILY.partition("sub_")[0])
    (account,) = saved(world, sub_accounts=True).accounts
    listing = Listing(NOON, (account, replace(account, account_id=OTHER)))
    for report in (plan_saved(world, listing), audit(world, listing=listing)):
        assert [each.account_id for each in report.accounts] == [ACCOUNT]
        assert [(each.rule, each.severity.value, each.account_id) for each in report.findings] == [
            ("sub-accounts-not-selected", "note", ACCOUNT),
            ("account-not-named", "warn", OTHER),
        ]
        assert [(each.message, each.hint) for each in report.findings] == [
            (
                'no rule selects 1 of 1 sub accounts: "Acme East"',
                "nothing is looked at there; if one of them was renamed, let a rule select it again",
            ),
            (
                f"account {OTHER} is in the listing, but no file names it: none of its keys was looked at",
                "name it in a file",
            ),
        ]
    alone = Listing(NOON, (replace(account, sub_accounts=()),))
    assert plan_saved(world, alone).findings == ()


def test_sub_accounts_that_were_not_listed(tmp_path: Path) -> None:
    """Not listed is not none: all sub accounts are failed together; where no rule is about any, nothing is amiss."""
    world = family(tmp_path, sub_account(1, "Acme East", key(2, "sender", SHOP)))
    report = plan_saved(world, saved(world))
    assert errors(report) == {
        None: None,
        "*": "the sub accounts were not listed; save them with `reconciler export --sub-accounts --actual FILE`",
    }
    assert report.digest is None
    world.write(FAMILY.partition("sub_accounts")[0])
    assert errors(plan_saved(world, saved(world))) == {None: None}
    assert errors(plan_saved(world, saved(world, sub_accounts=True))) == {None: None}


def test_a_listing_of_no_sub_accounts(tmp_path: Path) -> None:
    """Where there are none, the rule selects nothing, and that is told."""
    report = plan_saved(world := family(tmp_path), saved(world, sub_accounts=True))
    assert errors(report) == {None: None}
    assert [finding.rule for finding in report.findings] == ["select-matches-nothing"]


def test_what_nothing_can_be_planned_for(tmp_path: Path) -> None:
    """A status that this version does not know, or two rules that want the same, is failed with what to do."""
    files = FAMILY + '  - select: {name: "* East"}\n    keys: [{name: sender, scopes: ["messages:send:all"]}]\n'
    world = family(
        tmp_path,
        sub_account(1, "Acme East", key(2, "sender", SHOP)),
        sub_account(2, "Acme West", key(3, "sender", SHOP)),
        files=files,
    )
    (account,) = saved(world, sub_accounts=True).accounts
    east, west = account.sub_accounts or ()
    frozen = replace(west, sub_account=replace(west.sub_account, status="frozen"))
    report = plan_saved(world, Listing(NOON, (replace(account, sub_accounts=(east, frozen)),)))
    clash, strange = errors(report)[below(1)] or "", errors(report)[below(2)]
    assert clash.startswith("two rules select it, and both have a key sender, at ")
    assert strange == (
        "its status is 'frozen', which this version does not know: nothing is planned for it\n"
        "  hint: look for a newer reconciler; until then let no rule select it"
    )
    assert outcomes(report) == {"shop": "planned"}


@pytest.mark.parametrize("sub_accounts", [False, True])
def test_an_audit_by_a_listing(tmp_path: Path, sub_accounts: bool) -> None:
    """An audit goes by a listing as a plan does: what was not listed is failed there, too."""
    world = family(tmp_path, sub_account(1, "Acme East", key(2, "sender", SEND)))
    world.policy = "rules: [{id: wide, uses: no-wildcard, severity: warn}]\n"
    report = audit(world, listing=saved(world, sub_accounts=sub_accounts))
    assert [(each.rule, each.key_id) for each in report.findings] == [("wide", key_id(1))]
    statuses = [account.status.value for account in report.accounts]
    assert statuses == (["ok", "ok"] if sub_accounts else ["ok", "failed"])
    assert world.emulator.requests["GET"] == 0
