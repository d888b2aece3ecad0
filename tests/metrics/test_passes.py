"""What a scrape tells of passes and keys, as stories over an account in the emulator."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from metrics.watched import FILES, NEWS, SHOP, Watched, watched, with_another_account
from reconciler.core.events import PassFinished, PassStarted, Trigger
from reconciler.core.report import Mode
from world import ACCOUNT, FAMILY_MANAGER, NOON, OTHER, below, key, key_id, sub_account

AGE = "reconciler_drift_age_seconds"
UNREADABLE = {"method": "GET", "path": f"*/{ACCOUNT}/api-keys", "do": {"status": 403}}


def test_before_the_first_pass(tmp_path: Path) -> None:
    """Nothing is claimed of accounts that nobody has read; what alerts count is there with 0."""
    watching = watched(tmp_path)
    watching.later(minutes=1)
    seen = watching.scrape()
    assert seen("reconciler_start_timestamp_seconds") == NOON.timestamp()
    assert seen("reconciler_pass_interval_seconds") == 300
    absent = {
        "reconciler_keys",
        AGE,
        "reconciler_in_sync_since_timestamp_seconds",
        "reconciler_account_failed",
        "reconciler_last_pass_timestamp_seconds",
    }
    assert not absent & seen.names
    assert seen("reconciler_requests_total", method="PUT", status="429") == 0
    assert seen("reconciler_changes_total", action="update", direction="widen", outcome="applied") == 0
    assert seen("reconciler_refusals", guardrail="guardian") == 0
    assert seen("reconciler_trail_failures_total") == 0


def test_without_a_schedule(tmp_path: Path) -> None:
    """Where no daemon makes the passes no interval is told, and the passes are those of a command."""
    watching = Watched(watched(tmp_path).world, interval=None)
    watching.world.apply()
    seen = watching.scrape()
    assert "reconciler_pass_interval_seconds" not in seen.names
    assert seen.told("reconciler_passes_total", "mode", "result", "trigger") == {("apply", "ok", "command"): 1}


def test_in_sync(tmp_path: Path) -> None:
    """A pass that finds nothing to do is told with its time, its account and its keys."""
    watching = watched(tmp_path)
    watching.later(minutes=5)
    watching.world.run()
    seen = watching.scrape()
    assert watching.keys() == {"in_sync": 1}
    assert seen("reconciler_last_pass_timestamp_seconds") == NOON.timestamp() + 300
    assert seen("reconciler_account_last_success_timestamp_seconds", account_id=ACCOUNT) == NOON.timestamp() + 300
    assert seen("reconciler_account_failed", account_id=ACCOUNT) == 0
    assert seen.told(AGE, "paused", zeros=True) == {"false": 0, "true": 0}
    assert seen("reconciler_pass_duration_seconds_count") == 1


@pytest.mark.parametrize("trigger", Trigger)
def test_why_a_pass_began(tmp_path: Path, trigger: Trigger) -> None:
    """A pass of the daemon is counted by its trigger."""
    watching = watched(tmp_path)

    def observe(event: object) -> None:
        match event:
            case PassStarted(run_id, mode, number):
                watching.metrics.observe(PassStarted(run_id, mode, number, trigger))
            case _:
                watching.metrics.observe(event)  # type: ignore[arg-type] # it is told of events alone

    watching.world.observe = observe
    watching.world.run()
    assert watching.scrape()("reconciler_passes_total", mode="apply", result="ok", trigger=trigger) == 1


def test_how_a_pass_ends(tmp_path: Path) -> None:
    """Results are those of the exit codes: held back, failed, error, ok."""
    watching = watched(tmp_path, key(1, "shop", NEWS))
    watching.world.run(hold="incident")
    watching.world.faults({"method": "PUT", "path": "*", "do": {"status": 403}})
    watching.world.apply()
    watching.world.faults(UNREADABLE)
    watching.world.apply()
    watching.world.faults()
    watching.world.apply()
    told = watching.scrape().told("reconciler_passes_total", "mode", "result")
    assert told == {("apply", result): 1 for result in ("held_back", "failed", "error", "ok")}


def test_drift_that_is_healed(tmp_path: Path) -> None:
    """What one pass finds and mends is a change that was applied, and no drift afterwards."""
    watching = watched(tmp_path)
    watching.drift()
    watching.world.run()
    seen = watching.scrape()
    assert seen.told("reconciler_changes_total", "action", "direction", "outcome") == {
        ("update", "mixed", "applied"): 1
    }
    assert seen.told(AGE, "paused") == {}
    assert watching.keys() == {"in_sync": 1}


def test_drift_grows_older(tmp_path: Path) -> None:
    """Its age counts from the first pass that saw it, grows between passes, and ends with the pass that ends it."""
    watching = watched(tmp_path)
    watching.drift()
    watching.world.plan()
    for _ in range(3):
        watching.later(minutes=5)
        watching.world.plan()
    watching.later(minutes=2)
    assert watching.scrape().told(AGE, "paused") == {"false": 17 * 60}
    assert watching.keys() == {"planned": 1}
    watching.world.run()
    assert watching.scrape().told(AGE, "paused") == {}
    watching.drift()
    watching.world.plan()
    watching.later(minutes=1)
    assert watching.scrape().told(AGE, "paused") == {"false": 60}


def test_drift_counts_from_when_the_keys_were_listed(tmp_path: Path) -> None:
    """The time that the pass itself took is part of the age."""
    watching = watched(tmp_path, rate=0.1, burst=1)
    watching.drift()
    watching.world.faults({"method": "PUT", "path": "*", "do": {"status": 403}})
    watching.world.run()
    (age,) = watching.scrape().told(AGE, "paused").values()
    assert age == pytest.approx(watching.scrape()("reconciler_pass_duration_seconds_sum"))
    assert age > 5


def test_what_is_unread_says_nothing_of_drift(tmp_path: Path) -> None:
    """An account that cannot be read is failed; its keys, its drift and its last success stay as they were known."""
    watching = watched(tmp_path)
    watching.drift()
    watching.world.plan()
    watching.later(minutes=5)
    watching.world.faults(UNREADABLE)
    watching.world.run()
    seen = watching.scrape()
    assert seen("reconciler_account_failed", account_id=ACCOUNT) == 1
    assert seen("reconciler_account_last_success_timestamp_seconds", account_id=ACCOUNT) == NOON.timestamp()
    assert seen.told(AGE, "paused") == {"false": 300}
    assert watching.keys() == {"planned": 1}


def test_an_account_that_was_never_read(tmp_path: Path) -> None:
    """Nothing is said of its keys and its drift: 0 would read as in sync."""
    watching = watched(tmp_path)
    watching.world.faults(UNREADABLE)
    watching.world.run()
    seen = watching.scrape()
    assert seen("reconciler_account_failed", account_id=ACCOUNT) == 1
    assert not {"reconciler_keys", AGE, "reconciler_account_last_success_timestamp_seconds"} & seen.names


def test_accounts_come_and_go(tmp_path: Path) -> None:
    """Each account is told by itself, and forgotten when the files no longer name it."""
    watching = watched(tmp_path)
    with_another_account(watching)
    watching.drift()
    watching.world.plan()
    watching.later(minutes=5)
    seen = watching.scrape()
    assert seen.told(AGE, "account_id", "paused") == {(ACCOUNT, "false"): 300}
    assert watching.keys(OTHER) == {"in_sync": 1}
    watching.world.folder.joinpath("other.yaml").unlink()
    watching.world.plan()
    told = watching.scrape().series
    assert not [series for series in told if ("account_id", OTHER) in series[1]]


def test_every_state_of_a_key(tmp_path: Path) -> None:
    """Each key is counted in one state: those of the files and the unmanaged ones add up to all there are."""
    files = f"""
        unmanaged: {{then: quarantine}}
        keys:
          - {{name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}}
          - {{name: good, scopes: ["{SHOP}"]}}
          - {{name: drifted, scopes: ["{SHOP}"]}}
          - {{name: refused, scopes: ["{SHOP}"], ip_allow_list: [10.0.0.0/8]}}
          - {{name: broken, scopes: ["{SHOP}"]}}
          - {{name: left, scopes: ["{SHOP}"], paused: {{reason: moves, until: 2027-01-31}}}}
        """
    watching = watched(
        tmp_path,
        key(1, "good", SHOP),
        key(2, "drifted", NEWS),
        key(3, "refused", SHOP),
        key(4, "broken", NEWS),
        key(5, "left", NEWS),
        key(6, "leak", "domains:read"),
        key(7, "other leak", "domains:read"),
        files=files,
        policy="guardrails: {max_switched_off: {at_least: 9}, max_changes: {at_least: 20}}\n",
    )
    watching.world.faults(
        {"method": "PUT", "path": f"*{key_id(4)}", "do": {"status": 403}},
        {"method": "PUT", "path": f"*{key_id(7)}", "do": {"status": 403}},
    )
    watching.world.run()
    assert watching.keys() == {"in_sync": 3, "held_back": 1, "failed": 2, "paused": 1, "unmanaged": 1}
    assert sum(watching.keys().values()) == len(watching.world.account())
    watching.world.write(files.rstrip() + f'\n          - {{name: new, scopes: ["{SHOP}"]}}\n')
    watching.world.plan()
    assert watching.keys()["missing"] == 1
    told = watching.scrape().told("reconciler_changes_total", "action", "outcome")
    assert told["quarantine", "applied"] == told["quarantine", "failed"] == 1
    assert told["create", "skipped"] == 1


def test_paused_drift_is_told_apart(tmp_path: Path) -> None:
    """Keys that the files pause differ on purpose: their age is another series."""
    paused = FILES.replace("ip_allow_list", "paused: {reason: moves, until: 2026-12-02}, ip_allow_list")
    watching = watched(tmp_path, key(1, "shop", NEWS), files=paused)
    watching.world.run()
    watching.later(days=1)
    assert watching.scrape().told(AGE, "paused", zeros=True) == {"false": 0, "true": 86400}
    assert watching.keys() == {"paused": 1}


SENDER = "messages:send:all"
FAMILY = """
unmanaged: {then: ignore}
keys: [{name: own, scopes: ["domains:read"]}]
sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["messages:send:all"]}]
"""


def test_sub_accounts_add_up(tmp_path: Path) -> None:
    """Keys of sub accounts are counted under their parent, without those that are suspended."""
    watching = watched(
        tmp_path,
        key(1, "own", "domains:read"),
        files=FAMILY,
        manager=FAMILY_MANAGER,
        sub_accounts=(
            sub_account(1, "Acme East", key(11, "sender", SENDER)),
            sub_account(2, "Acme West", key(12, "sender", "domains:read")),
            sub_account(3, "Acme South", key(13, "sender", "domains:read"), status="suspended"),
        ),
    )
    watching.world.plan()
    assert watching.keys() == {"in_sync": 2, "planned": 1}
    assert watching.scrape()("reconciler_account_failed", account_id=ACCOUNT) == 0


@pytest.mark.parametrize("path", [f"*{below(2)}*", f"*/{ACCOUNT}/sub-accounts", f"*/{ACCOUNT}/api-keys"])
def test_sub_accounts_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    """One of them, or the list of them, that cannot be read fails the account, whose known keys stay as they were."""
    watching = watched(
        tmp_path,
        key(1, "own", "domains:read"),
        files=FAMILY,
        manager=FAMILY_MANAGER,
        sub_accounts=(
            sub_account(1, "Acme East", key(11, "sender", SENDER)),
            sub_account(2, "Acme West", key(12, "sender", "domains:read")),
        ),
    )
    watching.world.plan()
    watching.later(minutes=5)
    watching.world.faults({"method": "GET", "path": path, "do": {"status": 403}})
    watching.world.plan()
    seen = watching.scrape()
    assert seen("reconciler_account_failed", account_id=ACCOUNT) == 1
    assert seen("reconciler_account_last_success_timestamp_seconds", account_id=ACCOUNT) == NOON.timestamp()
    assert watching.keys() == {"in_sync": 2, "planned": 1}
    assert seen.told(AGE, "paused") == {"false": 300}


def test_findings_refusals_and_hold(tmp_path: Path) -> None:
    """Those of the last pass, by rule and guardrail; a rule that finds nothing any more is told with 0."""
    watching = watched(tmp_path, key(1, "shop", NEWS), key(2, "ops", "*"))
    watching.world.policy = """
        rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]
        waivers: [{rule: no-wildcard, label: ops, until: 2026-12-31, owner: sec, reason: INC-1}]
        """
    watching.world.write("keys:\n  - {name: shop, scopes: ['*']}\n  - {name: ops, scopes: ['*']}\n")
    watching.world.run(hold="incident")
    seen = watching.scrape()
    assert seen("reconciler_findings", rule="no-wildcard", severity="deny") == 1
    watching.drift(2, NEWS)
    watching.world.run(hold="incident")
    assert watching.scrape()("reconciler_hold") == 1
    watching.world.write(FILES)
    watching.world.run()
    seen = watching.scrape()
    assert seen("reconciler_findings", rule="no-wildcard", severity="deny") == 0
    assert (seen("reconciler_hold"), seen.told("reconciler_refusals", "guardrail")) == (0, {})


def test_refusals_by_guardrail(tmp_path: Path) -> None:
    """Each guardrail's refusals of the last pass are counted, so that which one keeps things back is seen."""
    files = FILES.replace(str(["203.0.113.0/24"]), "[10.0.0.0/8]")
    watching = watched(tmp_path, files=files)
    watching.world.run()
    assert watching.scrape().told("reconciler_refusals", "guardrail") == {"unreachable": 1}


def test_waivers_and_pauses_by_days_left(tmp_path: Path) -> None:
    """Each waiver and each pause is in one bucket, and moves on as time passes."""
    dates = ("2026-11-22", "2026-11-23", "2026-11-29", "2026-12-05", "2027-06-01")
    waivers = "".join(
        f"  - {{rule: no-wildcard, label: {date}*, until: {date}, owner: sec, reason: INC-1}}\n" for date in dates
    )
    rules = "rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]\n"
    pauses = "".join(
        f'  - {{name: k{number}, scopes: ["{SHOP}"], paused: {{reason: moves, until: {date}}}}}\n'
        for number, date in enumerate(dates)
    )
    watching = watched(tmp_path, files=f"keys:\n{pauses}", policy=f"{rules}waivers:\n{waivers}")
    watching.world.plan()
    expected = {"ended": 1, "within_a_week": 2, "within_two_weeks": 1, "later": 1}
    for name in ("reconciler_waivers", "reconciler_pauses"):
        assert watching.scrape().told(name, "days_left") == expected
    watching.later(days=14)
    watching.world.plan()
    for name in ("reconciler_waivers", "reconciler_pauses"):
        assert watching.scrape().told(name, "days_left") == {"ended": 4, "later": 1}


def test_contested_keys(tmp_path: Path) -> None:
    """A key that somebody changes back after each pass is counted once it is left alone."""
    watching = watched(tmp_path)
    counts = []
    for _ in range(5):
        watching.drift()
        watching.world.run()
        counts.append(watching.scrape()("reconciler_contested_keys"))
        watching.later(minutes=5)
    assert counts == [0, 0, 0, 1, 1]
    assert watching.keys() == {"held_back": 1}


def test_an_audit_says_nothing_of_sync(tmp_path: Path) -> None:
    """It plans nothing, so that its report leaves keys and drift as they were."""
    watching = watched(tmp_path)
    watching.drift()
    report = watching.world.plan()
    audited = replace(report, mode=Mode.AUDIT, accounts=(replace(report.accounts[0], changes=()),))
    watching.metrics.observe(PassFinished("audit", audited, 1.0))
    assert watching.keys() == {"planned": 1}
    assert watching.scrape().told("reconciler_passes_total", "mode") == {"plan": 1, "audit": 1}


def test_requests(tmp_path: Path) -> None:
    """Requests are counted by method and status, retries and what had no answer included."""
    watching = watched(tmp_path)
    watching.drift()
    watching.world.faults(
        {"method": "GET", "path": "*", "first": 2, "do": {"status": 503}},
        {"method": "GET", "path": "*", "first": 1, "do": {"drop": "before"}},
    )
    watching.world.run()
    seen = watching.scrape()
    assert seen.told("reconciler_requests_total", "method", "status") == {
        ("GET", "503"): 2,
        ("GET", "none"): 1,
        ("GET", "200"): 2,
        ("PUT", "200"): 1,
    }
    assert seen.told("reconciler_request_retries_total", "method") == {"GET": 3}
    assert seen("reconciler_pace_wait_seconds_total") == 0


def test_waiting_for_the_pace(tmp_path: Path) -> None:
    """The seconds that requests waited for the account's pace are added up."""
    watching = watched(tmp_path, *(key(n, f"key {n}", SHOP) for n in range(1, 250)), rate=0.5, burst=1)
    watching.world.plan()
    assert watching.scrape()("reconciler_pace_wait_seconds_total") == pytest.approx(4.0)
    assert watching.scrape()("reconciler_pass_duration_seconds_bucket", le="5.0") == 1
    assert watching.scrape()("reconciler_pass_duration_seconds_bucket", le="2.5") == 0


def test_answers_of_a_strange_server_make_few_series(tmp_path: Path) -> None:
    """Statuses that HTTP does not know are counted as one."""
    statuses = iter(range(600, 610))

    def strange(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(next(statuses, 599), json={"message": "?"})

    watching = watched(tmp_path, after=strange)
    watching.world.plan()
    told = watching.scrape().told("reconciler_requests_total", "method", "status")
    assert set(told) == {("GET", "other")}


def test_in_sync_since(tmp_path: Path) -> None:
    """It begins with the pass that found or made it so, and nothing is claimed while something differs or is unread."""
    watching = watched(tmp_path)

    def since() -> float | None:
        told = watching.scrape()("reconciler_in_sync_since_timestamp_seconds", account_id=ACCOUNT)
        return None if told is None else told - NOON.timestamp()

    watching.world.run()
    watching.later(minutes=5)
    watching.world.run()
    assert since() == 0
    watching.drift()
    watching.later(minutes=5)
    watching.world.plan()
    assert since() is None
    watching.later(minutes=5)
    watching.world.run()
    assert since() == 900
    watching.drift()
    watching.later(minutes=5)
    watching.world.run()
    assert since() == 1200
    watching.world.faults(UNREADABLE)
    watching.world.run()
    assert since() is None
    watching.world.faults()
    watching.later(minutes=5)
    watching.world.run()
    assert since() == 1500
