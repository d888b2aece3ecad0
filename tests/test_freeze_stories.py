"""Change windows, as stories: files + policy + account + time, then outcomes and account."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from looking import audit, plan_saved, saved
from reconciler.core.events import ChangeFailed, ChangeSkipped, ChangeStarted, FindingRaised
from reconciler.core.inventory import ReportedFreeze
from reconciler.core.report import Report, exit_code
from reconciler.render import html, markdown, sarif, terminal
from world import ACCOUNT, NOON, OTHER, World, admin, change_of, key, key_id, outcomes

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
TODAY = 'freeze: [{from: 2026-11-20, until: 2026-11-24, time_zone: Europe/Berlin, reason: "big sale"}]\n'
FROM_NOON = 'freeze: [{cron: "0 12 * * mon", for: 90m, reason: lunch}]\n'
FROZEN = "frozen until 2026-11-25 00:00 Europe/Berlin: big sale"
LUNCH = "frozen until 2026-11-23 13:30 UTC: lunch"
FILES = """
keys:
  - {name: leak, scopes: ["messages:send:{shop.example.com}"], state: quarantined}
  - {name: shop, scopes: ["messages:send:{shop.example.com}"]}
"""
OTHER_TOKEN = "aha-sk-" + "o" * 64


def a_world(tmp_path: Path, policy: str = TODAY, **fields: Any) -> World:
    return World(tmp_path, [key(1, "shop", NEWS), key(2, "leak", SHOP)], FILES, policy=policy, **fields)


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_nothing_is_changed_in_a_window(tmp_path: Path) -> None:
    """All that is due is paused with the window as reason, nothing is written, the exit is 0; afterwards it is done."""
    world = a_world(tmp_path)
    report = world.run()
    assert outcomes(report) == {"leak": "paused", "shop": "paused"}
    assert {change.reason for change in report.changes} == {FROZEN}
    assert (world.puts, report.summary.paused, exit_code(report)) == (0, 2, 0)
    assert (report.accounts[0].keys.actual, len(report.accounts[0].unmanaged)) == (3, 1)
    world.now = datetime(2026, 11, 24, 23, tzinfo=UTC)
    assert outcomes(world.run()) == {"leak": "applied", "shop": "applied"}


def test_a_window_is_told_in_plan_and_pass_alike(tmp_path: Path) -> None:
    """Plan and pass say the same; the note has the window's place and the way out; the report has the window itself."""
    world = a_world(tmp_path)
    planned, applied = world.plan(), world.apply()
    note, _ = planned.findings
    assert (note.rule, note.severity.value, note.message) == ("frozen", "note", f"changes are {FROZEN}")
    assert note.hint == "let them through with --allow freeze"
    assert (note.source and (note.source.line, note.source.column)) == (2, 10)
    assert planned.freezes == (ReportedFreeze("big sale", "2026-11-24T23:00:00Z", None, False, note.source),)
    assert (planned.findings, planned.freezes, planned.digest) == (applied.findings, applied.freezes, applied.digest)
    assert [type(event) for event in world.events].count(FindingRaised) == 4
    world.policy = ""
    assert (world.plan().digest, world.plan().freezes) == (planned.digest, ())


def test_a_leak_that_stays_open_is_told(tmp_path: Path) -> None:
    """A key that a window keeps from being switched off is a deny with the way out; one that may be is switched off."""
    world = a_world(tmp_path)
    report = world.run()
    (waits,) = (finding for finding in report.findings if finding.rule == "fence-waits")
    assert (waits.severity, waits.key_id) == ("deny", key_id(2))
    assert waits.message.endswith(f"is to be switched off, and a change window keeps it usable: {FROZEN}")
    assert waits.hint == "apply --allow freeze switches it off now, and so does a window with allow_quarantine: true"
    assert exit_code(report) == 0
    world.policy = TODAY.replace("reason:", "allow_quarantine: true, reason:")
    assert outcomes(world.run())["leak"] == "applied"
    assert "fence-waits" not in rules(world.run())
    assert "fence-waits" not in rules(a_world(tmp_path).run(allowed=frozenset({"freeze"})))


def as_text(report: Report) -> str:
    return terminal.render(report, style=terminal.Style(colour=False, width=100))


@pytest.mark.parametrize("render", [as_text, markdown.render, html.render])
def test_every_rendering_tells_the_window(tmp_path: Path, render: Callable[[Report], str]) -> None:
    """Whoever looks at a report sees until when nothing is changed, why, and how to let changes through."""
    shown = " ".join(render(a_world(tmp_path).plan()).split())
    for said in ("big sale", "2026-11-25 00:00", "--allow freeze"):
        assert said in shown


def test_code_hosts_see_the_window(tmp_path: Path) -> None:
    """SARIF has it at its line of the policy."""
    assert f"changes are {FROZEN}" in sarif.render(a_world(tmp_path).plan())


def test_a_plan_that_was_reviewed_is_the_same_in_a_window(tmp_path: Path) -> None:
    """The digest says what is to be done, not when: in the window it matches, and after it as well."""
    world = a_world(tmp_path)
    digest = world.plan().digest
    assert outcomes(world.apply(digest=digest)) == {"leak": "paused", "shop": "paused"}
    world.now += timedelta(days=2)
    assert outcomes(world.apply(digest=digest)) == {"leak": "applied", "shop": "applied"}


def test_a_window_is_let_through(tmp_path: Path) -> None:
    """With --allow freeze all is done; the note still says that there is a window."""
    report = a_world(tmp_path).apply(allowed=frozenset({"freeze"}))
    assert outcomes(report) == {"leak": "applied", "shop": "applied"}
    assert [finding.message for finding in report.findings] == [f"changes would be {FROZEN}"]
    assert report.findings[0].hint == "--allow freeze lets them through"


def test_leaks_may_be_answered_in_a_window(tmp_path: Path) -> None:
    """Where each window allows it, a key is switched off, and all else waits; one that does not holds that up, too."""
    lenient = TODAY.replace("reason", "allow_quarantine: true, reason")
    world = a_world(tmp_path, lenient.rstrip("]\n") + ", {from: 2026-11-23, until: 2026-11-23, reason: strict}]\n")
    report = world.apply()
    assert change_of(report, "leak").reason == "frozen until 2026-11-24 00:00 UTC: strict"
    assert change_of(report, "shop").reason == f"{FROZEN}; frozen until 2026-11-24 00:00 UTC: strict"
    world.policy = lenient
    report = world.apply()
    assert outcomes(report) == {"leak": "applied", "shop": "paused"}
    assert world.remote(2)["ip_allow_list"] == ["192.0.2.1/32"]
    assert exit_code(report) == 0


def test_only_some_accounts_are_frozen(tmp_path: Path) -> None:
    """A window for accounts like a pattern leaves the others to themselves."""
    other = {"id": OTHER, "domains": ["shop.example.com"], "keys": [admin(OTHER, OTHER_TOKEN), key(7, "far", SHOP)]}
    world = World(
        tmp_path,
        [key(1, "shop", NEWS)],
        f'keys: [{{name: shop, scopes: ["{SHOP}"]}}]\n',
        policy=TODAY.replace("reason", 'account: "2222*", reason'),
        more_accounts=(other,),
        tokens={None: admin()["secret_key"], "far": OTHER_TOKEN},
    )
    far = f'version: 1\naccount: {{id: {OTHER}, credential: far}}\nkeys: [{{name: far, scopes: ["domains:read"]}}]\n'
    world.folder.joinpath("far.yaml").write_text(far, encoding="utf-8")
    report = world.apply()
    assert outcomes(report) == {"shop": "applied", "far": "paused"}
    assert report.findings[0].message == f"changes in accounts like 2222* are {FROZEN}"


def test_guardrails_judge_what_results_without_the_frozen_changes(tmp_path: Path) -> None:
    """Limits do not count what is paused, and what must keep working is not to come from a change that is."""
    names = [f"k{number}" for number in range(1, 20)]
    files = "keys: [" + ", ".join(f'{{name: {name}, scopes: ["domains:read"]}}' for name in names) + "]\n"
    world = World(tmp_path, [key(n, name, NEWS) for n, name in enumerate(names, 1)], files, policy=TODAY)
    report = world.apply()
    assert (report.refusals, set(outcomes(report).values())) == ((), {"paused"})
    assert outcomes(world.apply(allowed=frozenset({"freeze"})))["k1"] == "refused"


def test_the_last_sender_is_not_fenced_for_one_that_waits(tmp_path: Path) -> None:
    """In a window for answers to leaks, the last key that sends is kept while the grant to its successor is frozen."""
    policy = TODAY.replace("reason", "allow_quarantine: true, reason")
    policy += 'require: [{domain: shop.example.com, can: "messages:send"}]\n'
    world = a_world(tmp_path, policy)
    report = world.apply()
    assert outcomes(report) == {"leak": "refused", "shop": "paused"}
    assert [refusal.guardrail for refusal in report.refusals] == ["coverage"]
    world.now += timedelta(days=2)
    assert outcomes(world.apply()) == {"leak": "applied", "shop": "applied"}


def test_what_cannot_be_done_is_told_as_before(tmp_path: Path) -> None:
    """A change that a rule denies, and one that is not possible, keep their outcomes and their exit code."""
    policy = TODAY + "rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]\n"
    files = 'keys: [{name: new, scopes: ["domains:read"]}, {name: shop, scopes: ["*"]}]\n'
    report = World(tmp_path, [key(1, "shop", NEWS)], files, policy=policy).apply()
    assert outcomes(report) == {"new": "skipped", "shop": "denied"}
    assert exit_code(report) == 3


@pytest.mark.parametrize("policy", [FROM_NOON, FROM_NOON.replace("reason", "allow_quarantine: true, reason")])
def test_a_pass_that_began_before_the_window_does_not_write_in_it(tmp_path: Path, policy: str) -> None:
    """Right before each write the window is asked for again: what was not sent by then is paused, and told so."""
    names = [f"k{number:02}" for number in range(30)]
    entries = ", ".join(f'{{name: {name}, scopes: ["domains:read"]}}' for name in names)
    keys = [key(number, name, NEWS) for number, name in enumerate(names, 1)]
    world = World(tmp_path, keys, f"keys: [{entries}]", policy=policy, rate=1.0, burst=6)
    world.now = NOON - timedelta(seconds=30)
    starts: list[Any] = []
    world.observe = lambda event: starts.append(event) if isinstance(event, ChangeStarted) else None
    report = world.apply(allowed=frozenset({"max-changes"}))
    ended = outcomes(report)
    assert set(ended.values()) == {"applied", "paused"}
    assert len(starts) == report.summary.applied == world.puts
    assert {change.reason for change in report.changes if change.outcome.value == "paused"} == {LUNCH}
    assert exit_code(report) == 0
    assert (rules(report), [freeze.reason for freeze in report.freezes]) == (["frozen"], ["lunch"])
    told = [event.change.name for event in world.events if isinstance(event, ChangeSkipped)]
    assert sorted(map(str, told)) == sorted(name for name, outcome in ended.items() if outcome == "paused")
    assert not [event for event in world.events if isinstance(event, ChangeFailed)]
    world.now = NOON + timedelta(minutes=90)
    assert set(outcomes(world.apply(allowed=frozenset({"max-changes"}))).values()) == {"applied"}


def test_a_write_that_was_lost_is_not_sent_again_in_the_window(tmp_path: Path) -> None:
    """Where the window begins between a lost PUT and its repetition, the repetition is not sent."""
    world = World(tmp_path, [key(1, "shop", NEWS)], f'keys: [{{name: shop, scopes: ["{SHOP}"]}}]\n', policy=FROM_NOON)
    world.faults({"method": "PUT", "path": "*", "first": 1, "do": {"drop": "before"}})
    world.now = NOON - timedelta(seconds=0.1)
    report = world.apply()
    assert outcomes(report) == {"shop": "paused"}
    assert change_of(report, "shop").reason == LUNCH
    assert (world.puts, world.remote(1)["scopes"]) == (1, [NEWS])


def test_a_right_that_arrived_before_the_window_does_not_leave_in_it(tmp_path: Path) -> None:
    """What was granted before the window began stays granted; the revocation that waited for it is paused."""
    files = f'keys: [{{name: new, scopes: ["{SHOP}"]}}, {{name: old, scopes: ["domains:read"]}}]\n'
    world = World(tmp_path, [key(1, "new"), key(2, "old", SHOP, "domains:read")], files, policy=FROM_NOON)
    world.faults({"method": "PUT", "path": f"*{key_id(1)}", "do": {"delay": "2s"}, "first": 1})
    world.now = NOON - timedelta(seconds=1)
    assert outcomes(world.apply()) == {"new": "applied", "old": "paused"}
    assert (world.remote(1)["scopes"], world.remote(2)["scopes"]) == ([SHOP], [SHOP, "domains:read"])


def test_a_fence_that_waits_for_a_grant_which_the_window_stopped(tmp_path: Path) -> None:
    """A grant that the window stopped keeps the fence of a key of no file, which the window would let through, away."""
    files = f'unmanaged: {{then: quarantine, include_senders: true}}\nkeys: [{{name: new, scopes: ["{SHOP}"]}}, OWN]\n'
    own = '{name: reconciler, scopes: ["api-keys:read", "api-keys:write"]}'
    policy = FROM_NOON.replace("reason", "allow_quarantine: true, reason")
    world = World(
        tmp_path, [key(1, "new", "domains:read"), key(2, "old", SHOP)], files.replace("OWN", own), policy=policy
    )
    world.faults({"method": "GET", "path": "*", "do": {"delay": "2s"}, "first": 1})
    world.now = NOON - timedelta(seconds=1)
    report = world.apply(allowed=frozenset({"max-switched-off"}))
    assert outcomes(report) == {"new": "paused", "unmanaged old": "skipped"}
    (waits,) = (change.reason for change in report.changes if change.name is None)
    assert waits is not None
    assert waits.startswith("it revokes what the change of new was to grant, and that one is paused")
    assert world.remote(2)["ip_allow_list"] != ["192.0.2.1/32"]


def test_a_pass_with_a_window_let_through_writes_in_it(tmp_path: Path) -> None:
    """--allow freeze also holds for a window that begins during the pass."""
    world = World(tmp_path, [key(1, "shop", NEWS)], f'keys: [{{name: shop, scopes: ["{SHOP}"]}}]\n', policy=FROM_NOON)
    world.faults({"method": "GET", "path": "*", "do": {"delay": "2s"}, "first": 1})
    world.now = NOON - timedelta(seconds=1)
    report = world.apply(allowed=frozenset({"freeze"}))
    assert outcomes(report) == {"shop": "applied"}
    assert [finding.message for finding in report.findings] == [f"changes would be {LUNCH}"]


def test_a_forgotten_window_is_told_in_each_pass(tmp_path: Path) -> None:
    """Days that are over hold nothing back, and are warned of from the second day after on."""
    world = a_world(tmp_path)
    world.now = datetime(2026, 11, 25, 22, 59, tzinfo=UTC)
    assert rules(world.plan()) == []
    world.now += timedelta(minutes=2)
    report = world.apply()
    assert outcomes(report) == {"leak": "applied", "shop": "applied"}
    assert [(one.rule, one.message) for one in report.findings] == [
        ("freeze-ended", "the change window 'big sale' ended with 2026-11-24, 2 days ago")
    ]


def test_an_audit_tells_only_of_windows_that_are_over(tmp_path: Path) -> None:
    """An audit changes nothing, so that a window in force is no affair of it; a forgotten one is."""
    world = a_world(tmp_path)
    report = audit(world)
    assert (report.findings, report.freezes) == ((), ())
    assert rules(audit(world, now=NOON + timedelta(days=9))) == ["freeze-ended"]


def test_a_plan_over_a_listing_is_as_of_it(tmp_path: Path) -> None:
    """The time is that at which the keys were listed: in the window then, or after it."""
    world = a_world(tmp_path)
    assert outcomes(plan_saved(world, saved(world))) == {"leak": "paused", "shop": "paused"}
    later = plan_saved(world, saved(world, taken_at=NOON + timedelta(days=2)))
    assert (outcomes(later), later.freezes) == ({"leak": "planned", "shop": "planned"}, ())


def test_a_window_of_the_account_itself_holds_for_its_own_id_alone(tmp_path: Path) -> None:
    """A pattern that is the whole id of the account freezes it, in whatever case it is written."""
    world = a_world(tmp_path, TODAY.replace("reason", f'account: "{ACCOUNT.upper()}", reason'))
    assert outcomes(world.plan()) == {"leak": "paused", "shop": "paused"}


def test_a_window_for_no_account_is_told_in_each_pass(tmp_path: Path) -> None:
    """A window that is about none of the files' accounts freezes nothing, and passes say so."""
    world = a_world(tmp_path, TODAY.replace("reason:", "account: 9*, reason:"))
    report = world.run()
    assert outcomes(report) == {"leak": "applied", "shop": "applied"}
    assert "freeze-matches-nothing" in rules(report)
