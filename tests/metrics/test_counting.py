"""The observer itself: what it counts besides passes, that it never raises, that its series stay few."""

from dataclasses import replace
from pathlib import Path

import pytest

from metrics.watched import FILES, NEWS, OPEN_METRICS, SHOP, Watched, families, scraped, watched
from reconciler.core.changes import Action, Change
from reconciler.core.events import (
    ChangeStarted,
    ConfigRejected,
    ConfigReloaded,
    DaemonFaulted,
    DaemonStarted,
    NotificationFailed,
    NotificationSent,
    PassFailed,
    PassFinished,
    PassStarted,
    RequestEnded,
    RequestRetried,
)
from reconciler.core.keys import AccountRef
from reconciler.core.report import Mode, ReportedAccount, ReportedRefusal
from reconciler.metrics import Metrics
from world import NOON, key


def test_files_that_do_not_load(tmp_path: Path) -> None:
    """A rejection is counted and told until files load again; the age is that of the files in force."""
    watching = watched(tmp_path)
    watching.world.run()
    watching.later(minutes=5)
    watching.metrics.observe(ConfigRejected((), "the files do not load", 300.0))
    watching.metrics.observe(PassStarted("run", Mode.APPLY, 2, None, 300.0))
    seen = watching.scrape()
    assert seen("reconciler_config_rejected") == 1
    assert seen("reconciler_config_rejections_total") == 1
    assert seen("reconciler_config_loaded_timestamp_seconds") == NOON.timestamp()
    watching.later(minutes=5)
    watching.metrics.observe(ConfigReloaded(1, 1))
    seen = watching.scrape()
    assert seen("reconciler_config_rejected") == 0
    assert seen("reconciler_config_rejections_total") == 1
    assert seen("reconciler_config_loaded_timestamp_seconds") == NOON.timestamp() + 600


def test_messages_to_people(tmp_path: Path) -> None:
    """Each message is counted by whether it was delivered, and both counts are there before the first."""
    watching = watched(tmp_path)
    seen = watching.scrape()
    assert seen("reconciler_notifications_total", outcome="sent") == 0
    assert seen("reconciler_notifications_total", outcome="failed") == 0
    watching.metrics.observe(NotificationSent("json://", 1, 0, 0))
    for attempt in (1, 2):
        watching.metrics.observe(NotificationFailed("json://", "it answered 503", attempt, 60.0))
    seen = watching.scrape()
    assert seen("reconciler_notifications_total", outcome="sent") == 1
    assert seen("reconciler_notifications_total", outcome="failed") == 2


def test_a_pass_by_files_just_loaded_ends_a_rejection(tmp_path: Path) -> None:
    """Whoever makes a pass by new files has loaded them, whether or not that was told."""
    watching = watched(tmp_path)
    watching.metrics.observe(ConfigRejected((), "the files do not load"))
    watching.world.run()
    assert watching.scrape()("reconciler_config_rejected") == 0


def test_the_trail(tmp_path: Path) -> None:
    """Whoever writes the trail says when that fails."""
    watching = watched(tmp_path)
    watching.metrics.trail_failed()
    assert watching.scrape()("reconciler_trail_failures_total") == 1


def test_other_events_change_nothing(tmp_path: Path) -> None:
    """What the report of a pass tells in the end is not counted twice."""
    watching = watched(tmp_path)
    before = watching.metrics.exposition()[0].decode().split("# HELP process")[0]
    watching.metrics.observe(DaemonStarted("every 5m"))
    watching.metrics.observe(ChangeStarted("run", Change(AccountRef("a"), Action.UPDATE, "n", "k", "l", None)))
    assert watching.metrics.exposition()[0].decode().split("# HELP process")[0] == before


def test_what_cannot_be_counted_forbids_nothing(tmp_path: Path) -> None:
    """An observer that raises would forbid a write: this one counts what it could not count, and nothing by half."""
    watching = watched(tmp_path)
    watching.world.run()
    report = watching.world.plan()
    before = watching.scrape()
    broken = replace(report, accounts=(None,))  # type: ignore[arg-type] # as after a bug
    watching.metrics.observe(PassFinished("run", broken, 1.0))
    seen = watching.scrape()
    assert seen("reconciler_metrics_failures_total") == 1
    for name in ("reconciler_last_pass_timestamp_seconds", "reconciler_passes_total", "reconciler_keys"):
        labels = {"mode": ("mode",), "state": ("state",)}.get("mode" if "passes" in name else "", ())
        assert seen.told(name, *labels) == before.told(name, *labels)


def test_a_clock_that_fails(tmp_path: Path) -> None:
    """Whatever fails while an event is counted, it does not get out."""
    times = iter([0.0])
    metrics = Metrics(lambda: next(times))
    metrics.observe(PassStarted("run", Mode.APPLY, 1))
    with pytest.raises(StopIteration):
        metrics.exposition()
    metrics = Metrics(lambda: 0.0)
    metrics.observe(RequestEnded("a", "GET", 200, 0.1, float("nan")))
    assert b"NaN" in metrics.exposition()[0]


HOSTILE = 'a"}\n# TYPE x counter\nx 1\n\u202e\x1b[31m\\'


def test_series_do_not_grow_with_keys_or_labels(tmp_path: Path) -> None:
    """Ten thousand keys, hostile labels and unknown methods and guardrails make no more series than one key does."""
    watching = watched(tmp_path, key(1, "shop", NEWS))
    report = watching.world.plan()
    few = len(watching.scrape().series)
    (account,) = report.accounts
    (change,) = account.changes
    changes = tuple(replace(change, name=f"{HOSTILE}{n}", label=HOSTILE, key_id=HOSTILE) for n in range(10_000))
    large: ReportedAccount = replace(account, changes=changes, sub_account_name=HOSTILE)
    odd = ReportedRefusal(HOSTILE, None, None, None, HOSTILE, None, None)
    for refusals in ((odd,), (odd, odd)):
        watching.metrics.observe(PassFinished("run", replace(report, accounts=(large,), refusals=refusals), 1.0))
    watching.metrics.observe(RequestRetried(HOSTILE, "BREW", HOSTILE, 1, 1.0))
    watching.metrics.observe(RequestEnded(HOSTILE, "BREW", 418, 1.0, 1.0))
    seen = watching.scrape()
    assert seen("reconciler_metrics_failures_total") == 0
    assert seen("reconciler_keys", account_id=account.account_id, state="planned") == 10_000
    assert seen("reconciler_refusals", guardrail="other") == 2
    assert seen("reconciler_requests_total", method="other", status="418") == 1
    assert len(seen.series) - few == len({"refusals other", "retries other", "requests other"})
    assert not [labels for _, labels in seen.series if "x" in dict(labels) or "key_id" in dict(labels)]


def test_labels_from_outside_break_no_line(tmp_path: Path) -> None:
    """The name of a rule comes from a file: whatever it holds, it reads back the same in both formats."""
    watching = watched(tmp_path, key(1, "shop", NEWS), policy="rules: [{id: r, uses: require-owner, severity: deny}]")
    report = watching.world.plan()
    findings = tuple(replace(finding, rule=HOSTILE) for finding in report.findings)
    watching.metrics.observe(PassFinished("run", replace(report, findings=findings, rules=()), 1.0))
    for accept in ("", OPEN_METRICS):
        told = scraped(families(watching.metrics, accept)).told("reconciler_findings", "rule")
        assert told == {HOSTILE: 1}


def many(folder: Path) -> Watched:
    files = FILES + "".join(f'  - {{name: k{n}, scopes: ["{SHOP}"]}}\n' for n in range(50))
    return watched(folder, *(key(n + 10, f"k{n}", NEWS) for n in range(50)), files="keys:\n" + files.partition("\n")[2])


def test_all_changes_are_counted(tmp_path: Path) -> None:
    """Each change of a pass is counted by how it ended, in each pass anew."""
    watching = many(tmp_path)
    for _ in range(2):
        watching.world.plan()
    told = watching.scrape().told("reconciler_changes_total", "action", "direction", "outcome")
    assert sum(told.values()) == 100
    assert {outcome for *_, outcome in told} == {"refused"}


def test_freezes_in_force(tmp_path: Path) -> None:
    """Each freeze that a finding tells of is counted once."""
    watching = watched(tmp_path, key(1, "shop", NEWS), policy="rules: [{id: r, uses: require-owner, severity: deny}]")
    report = watching.world.plan()
    (finding,) = report.findings
    about_all = replace(finding, rule="frozen", key=None, key_id=None)
    findings = (replace(about_all, message="black friday"), replace(about_all, message="audit"), finding)
    watching.metrics.observe(PassFinished("run", replace(report, findings=findings), 1.0))
    assert watching.scrape()("reconciler_frozen_windows") == 2


def test_faults_are_counted() -> None:
    """An error that nobody foresaw is counted, of a pass as of what stands beside it."""
    metrics = Metrics(lambda: 0.0)
    told = "reconciler_faults_total "
    assert f"{told}0.0" in metrics.exposition()[0].decode()
    metrics.observe(PassFailed("r", "KeyError: 'shop'", "plan_account:120"))
    metrics.observe(DaemonFaulted("KeyError: 'inode'", "run:7"))
    assert f"{told}2.0" in metrics.exposition()[0].decode()


def test_how_long_the_last_pass_took(tmp_path: Path) -> None:
    """The seconds of the last pass are told: alerts allow for them."""
    watching = watched(tmp_path)
    watching.world.run()
    (finished,) = (event for event in watching.world.events if isinstance(event, PassFinished))
    watching.metrics.observe(replace(finished, seconds=12.5))
    assert watching.scrape()("reconciler_last_pass_duration_seconds") == 12.5
