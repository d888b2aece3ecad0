"""One story for each alert: the product is driven into the condition that the alert is for, while it is scraped.

Each story gives its timeline and what it claims: at these minutes these alerts fire, and no others.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from metrics.watched import FILES, NEWS, SHOP, Scrape, Watched, read, watched
from observability.timeline import Timeline
from reconciler.core.events import (
    ChangeStarted,
    ConfigRejected,
    DaemonFaulted,
    Event,
    NotificationFailed,
    PassFailed,
    PassFinished,
    PassStarted,
)
from reconciler.errors import FilesError
from reconciler.metrics import Metrics
from world import ACCOUNT, NOON, key

Claims = Mapping[int, tuple[str, ...]]
Story = Callable[[Path], tuple[Timeline, Claims]]
UNREADABLE = {"method": "GET", "path": f"*/{ACCOUNT}/api-keys", "do": {"status": 403}}
REFUSED = FILES.replace(str(["203.0.113.0/24"]), "[10.0.0.0/8]")


def _begun(folder: Path, *keys: dict[str, Any], **fields: Any) -> Timeline:
    """Half an hour of daemon in which all is well."""
    timeline = Timeline(watched(folder, *keys, **fields))
    timeline.minutes(30, timeline.watching.world.run)
    return timeline


def all_is_well(folder: Path) -> tuple[Timeline, Claims]:
    """A daemon heals drift and meets a passing fault; nothing of it is worth an alert, for hours."""
    timeline = _begun(folder)
    watching = timeline.watching
    watching.drift()
    timeline.minutes(60, watching.world.run)
    watching.world.faults({"method": "GET", "path": "*", "first": 2, "do": {"status": 503}})
    timeline.minutes(60, watching.world.run)
    watching.world.faults({"method": "GET", "path": "*", "first": 2, "do": {"status": 429}})
    timeline.minutes(60, watching.world.run)
    return timeline, dict.fromkeys(range(0, timeline.minute, 5), ())


def passes_are_rare(folder: Path) -> tuple[Timeline, Claims]:
    """A daemon makes a pass each two hours, as it was told to: that none came for one hour is no alert."""
    watching = watched(folder)
    timeline = Timeline(Watched(watching.world, interval=7200.0))
    timeline.minutes(180, watching.world.run, every=120)
    return timeline, dict.fromkeys(range(0, timeline.minute, 5), ())


def nothing_answers(folder: Path) -> tuple[Timeline, Claims]:
    """The process is gone: no series are left that any other alert could go by."""
    timeline = _begun(folder)
    good = timeline.minute
    bad = timeline.silence(17)
    return timeline, {good: (), bad: ("ReconcilerAbsent",)}


def no_pass_ends(folder: Path) -> tuple[Timeline, Claims]:
    """The process answers, and makes no more passes."""
    timeline = _begun(folder)
    last = timeline.minute
    timeline.minutes(15)
    return timeline, {last + 8: (), timeline.minute: ("ReconcilerNoPass",)}


def no_pass_ever(folder: Path) -> tuple[Timeline, Claims]:
    """Even the first pass never ends."""
    timeline = Timeline(watched(folder))
    timeline.minutes(20)
    return timeline, {10: (), timeline.minute: ("ReconcilerNoPass",)}


def an_account_is_unreadable(folder: Path) -> tuple[Timeline, Claims]:
    """The credential is refused in each pass."""
    timeline = _begun(folder)
    timeline.watching.world.faults(UNREADABLE)
    good = timeline.minutes(10, timeline.watching.world.run)
    bad = timeline.minutes(10, timeline.watching.world.run)
    timeline.watching.world.faults()
    healed = timeline.minutes(5, timeline.watching.world.run)
    return timeline, {good: (), bad: ("ReconcilerAccountNotRead",), healed: ()}


def an_account_was_never_readable(folder: Path) -> tuple[Timeline, Claims]:
    """It is wrong from the first pass on, so that nothing is known of its keys."""
    timeline = Timeline(watched(folder))
    timeline.watching.world.faults(UNREADABLE)
    timeline.minutes(20, timeline.watching.world.run)
    return timeline, {timeline.minute: ("ReconcilerAccountNotRead",)}


def files_are_rejected(folder: Path) -> tuple[Timeline, Claims]:
    """Somebody merges files that do not load; passes go on by the older ones."""
    timeline = _begun(folder)
    watching, world = timeline.watching, timeline.watching.world

    def older(event: Event) -> None:
        match event:
            case PassStarted():
                event = replace(event, config_age=300.0)
        watching.metrics.observe(event)

    def broken() -> None:
        world.write("keys: nonsense\n")
        try:
            world.run()
        except FilesError as error:
            watching.metrics.observe(ConfigRejected(error.problems, "the files do not load", 300.0))
        world.write(FILES)
        world.observe = older
        world.run()

    good = timeline.minutes(5, broken)
    bad = timeline.minutes(5, broken)
    world.observe = watching.metrics.observe
    mended = timeline.minutes(5, world.run)
    return timeline, {good - 1: (), bad: ("ReconcilerConfigRejected",), mended: ()}


def drift_lasts(folder: Path) -> tuple[Timeline, Claims]:
    """A daemon that only plans, as with --dry-run, sees drift and must leave it."""
    timeline = _begun(folder)
    timeline.watching.drift()
    good = timeline.minutes(59, timeline.watching.world.plan)
    bad = timeline.minutes(5, timeline.watching.world.plan)
    return timeline, {good: (), bad: ("ReconcilerDriftLasts",)}


def paused_drift_lasts(folder: Path) -> tuple[Timeline, Claims]:
    """A key that the files pause for longer differs on purpose: that is no alert."""
    paused = FILES.replace("ip_allow_list", "paused: {reason: moves, until: 2027-01-31}, ip_allow_list")
    timeline = Timeline(watched(folder, key(1, "shop", NEWS), files=paused))
    timeline.minutes(90, timeline.watching.world.run)
    return timeline, {timeline.minute: ()}


def changes_are_held_back(folder: Path) -> tuple[Timeline, Claims]:
    """A guardrail refuses what the files ask for now."""
    timeline = _begun(folder)
    timeline.watching.world.write("unmanaged: {then: ignore}\n" + REFUSED)
    good = timeline.minutes(14, timeline.watching.world.run)
    bad = timeline.minutes(6, timeline.watching.world.run)
    return timeline, {good: (), bad: ("ReconcilerChangesHeldBack",)}


def a_key_is_missing(folder: Path) -> tuple[Timeline, Claims]:
    """The files ask for a key that the account lacks, and that nobody creates."""
    timeline = _begun(folder)
    more = f'  - {{name: new, scopes: ["{SHOP}"]}}\n'
    shop = FILES.removeprefix("keys: [").rstrip("]\n")
    timeline.watching.world.write(f"unmanaged: {{then: ignore}}\nkeys:\n  - {shop}\n{more}")
    timeline.minutes(20, timeline.watching.world.run)
    return timeline, {timeline.minute: ("ReconcilerChangesHeldBack",)}


RULES = "rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]\n"
WILD = "keys: [{name: ops, scopes: ['*']}]\n"
WAIVER = "waivers: [{{rule: no-wildcard, key: ops, until: {}, owner: sec, reason: INC-1}}]\n"


def a_deny_is_found(folder: Path) -> tuple[Timeline, Claims]:
    """A key breaks a rule that denies: the files ask for it, the account has it, and nobody accepts it."""
    timeline = _begun(folder, key(1, "ops", "*"), files=WILD)
    timeline.watching.world.policy = RULES
    good = timeline.minutes(14, timeline.watching.world.run)
    bad = timeline.minutes(6, timeline.watching.world.run)
    timeline.watching.world.policy = RULES + WAIVER.format("2027-01-31")
    waived = timeline.minutes(5, timeline.watching.world.run)
    return timeline, {good: (), bad: ("ReconcilerDenyFindings",), waived: ()}


def a_key_is_contested(folder: Path) -> tuple[Timeline, Claims]:
    """Somebody undoes a change after each pass."""
    timeline = _begun(folder)

    def fight() -> None:
        timeline.watching.drift()
        timeline.watching.world.run()

    good = timeline.minutes(15, fight)
    bad = timeline.minutes(3, fight)
    return timeline, {good: (), bad: ("ReconcilerKeyContested",)}


def a_waiver_ends(folder: Path) -> tuple[Timeline, Claims]:
    """A waiver has two days left; one that has months is no alert."""
    timeline = _begun(folder, key(1, "ops", "*"), files=WILD, policy=RULES + WAIVER.format("2027-01-31"))
    timeline.watching.world.policy = RULES + WAIVER.format("2026-11-25")
    good = timeline.minutes(59, timeline.watching.world.run)
    bad = timeline.minutes(6, timeline.watching.world.run)
    return timeline, {good: (), bad: ("ReconcilerWaiverEnds",)}


def a_pause_ends(folder: Path) -> tuple[Timeline, Claims]:
    """The pause of a key, which is as the files say, is over."""
    timeline = _begun(folder)
    paused = FILES.replace("ip_allow_list", "paused: {reason: moves, until: 2026-11-20}, ip_allow_list")
    timeline.watching.world.write("unmanaged: {then: ignore}\n" + paused)
    good = timeline.minutes(59, timeline.watching.world.run)
    bad = timeline.minutes(6, timeline.watching.world.run)
    return timeline, {good: (), bad: ("ReconcilerPauseEnds",)}


def a_hold_lasts(folder: Path) -> tuple[Timeline, Claims]:
    """RECONCILER_HOLD was set in an incident and keeps a change from being made ever since."""
    timeline = _begun(folder)
    timeline.watching.drift()
    on_hold = partial(timeline.watching.world.run, hold="INC-7")
    good = timeline.minutes(235, on_hold)
    bad = timeline.minutes(10, on_hold)
    others = ("ReconcilerChangesHeldBack", "ReconcilerDriftLasts")
    return timeline, {good: others, bad: (*others, "ReconcilerHoldLasts")}


def the_limit_is_met(folder: Path) -> tuple[Timeline, Claims]:
    """Somebody else uses the account's rate limit up: half of the answers are 429."""
    timeline = _begun(folder)
    timeline.watching.world.faults({"method": "*", "path": "*", "rate": 0.5, "do": {"status": 429}})
    timeline.minutes(80, timeline.watching.world.run)
    return timeline, {29: (), timeline.minute: ("ReconcilerRateLimited",)}


def the_api_fails(folder: Path) -> tuple[Timeline, Claims]:
    """Half of the requests fail, or are never answered."""
    timeline = _begun(folder)
    timeline.watching.world.faults(
        {"method": "*", "path": "*", "rate": 0.3, "do": {"status": 503}},
        {"method": "*", "path": "*", "rate": 0.3, "do": {"drop": "before"}},
    )
    timeline.minutes(80, timeline.watching.world.run)
    return timeline, {29: (), timeline.minute: ("ReconcilerApiFails",)}


def somebody_is_not_notified(folder: Path) -> tuple[Timeline, Claims]:
    """An address takes nothing for an hour, each time that it is tried; before that it failed once and was well."""
    timeline = _begun(folder)
    watching = timeline.watching
    failed = NotificationFailed("mailto://example.com", "the login was refused", 1, 60.0)
    watching.metrics.observe(failed)
    timeline.minutes(90, watching.world.run)
    quiet = timeline.minute
    for _ in range(6):
        watching.metrics.observe(failed)
        timeline.minutes(10, watching.world.run)
    return timeline, {quiet: (), timeline.minute: ("ReconcilerNotificationsFail",)}


def the_trail_is_full(folder: Path) -> tuple[Timeline, Claims]:
    """The trail's disk is full: the write is forbidden, and said."""
    timeline = _begun(folder)
    watching = timeline.watching

    def observe(event: Event) -> None:
        watching.metrics.observe(event)
        match event:
            case ChangeStarted():
                watching.metrics.trail_failed()
                raise OSError("no space left on device")

    watching.world.observe = observe
    watching.drift()
    timeline.minutes(10, watching.world.run)
    return timeline, {29: (), timeline.minute: ("ReconcilerTrailFails",)}


def something_cannot_be_counted(folder: Path) -> tuple[Timeline, Claims]:
    """A report comes that the metrics do not understand."""
    timeline = _begun(folder)
    world = timeline.watching.world

    def observe(event: Event) -> None:
        match event:
            case PassFinished(report=report):
                event = replace(event, report=replace(report, accounts=(None,)))  # type: ignore[arg-type] # as after a bug
        timeline.watching.metrics.observe(event)

    world.observe = observe
    timeline.minutes(5, world.run)
    return timeline, {29: (), timeline.minute: ("ReconcilerMetricsIncomplete",)}


def a_bug_is_met(folder: Path) -> tuple[Timeline, Claims]:
    """A pass ends in an error that nobody foresaw, and so does something beside the passes; all others are well."""
    timeline = _begun(folder)
    metrics = timeline.watching.metrics
    metrics.observe(PassFailed("r", "KeyError: 'shop'", "plan_account:120"))
    good = timeline.minutes(3, timeline.watching.world.run)
    metrics.observe(DaemonFaulted("KeyError: 'inode'", "run:7"))
    timeline.minutes(3, timeline.watching.world.run)
    return timeline, {29: (), good: ("ReconcilerFaulted",), timeline.minute: ("ReconcilerFaulted",)}


def passes_take_long(folder: Path) -> tuple[Timeline, Claims]:
    """Each pass takes four times its interval, as with many sub accounts: that the next ends late is no alert."""
    timeline = Timeline(watched(folder))
    watching = timeline.watching

    def observe(event: Event) -> None:
        match event:
            case PassFinished():
                event = replace(event, seconds=1200.0)
        watching.metrics.observe(event)

    watching.world.observe = observe
    timeline.minutes(120, watching.world.run, every=20)
    return timeline, dict.fromkeys(range(0, timeline.minute, 5), ())


@dataclass
class CronJob(Timeline):
    """Each pass is a process of its own, which writes its metrics to a file that a node exporter reads."""

    path: Path = Path()

    def scrape(self) -> Scrape:
        return read(self.path.read_text(encoding="utf-8"))

    def process(self, work: Callable[[], object]) -> None:
        watching = self.watching
        watching.metrics = Metrics(lambda: NOON.timestamp() + watching.elapsed)
        watching.world.observe = watching.metrics.observe
        with suppress(FilesError):
            work()
        if watching.metrics.any_pass:
            watching.metrics.write_textfile(self.path)


def _cron_job(folder: Path) -> CronJob:
    return CronJob(watched(folder), path=folder / "reconciler.prom")


def a_cron_job_is_well(folder: Path) -> tuple[Timeline, Claims]:
    """A pass each quarter of an hour, some of which heal drift: no alert, although each counts from nothing."""
    job = _cron_job(folder)
    job.minutes(60, partial(job.process, job.watching.world.apply), every=15)
    job.watching.drift()
    job.minutes(120, partial(job.process, job.watching.world.apply), every=15)
    return job, dict.fromkeys(range(0, job.minute, 5), ())


def a_cron_job_stops(folder: Path) -> tuple[Timeline, Claims]:
    """The files do not load any more: nothing is written, and what was written grows old."""
    job = _cron_job(folder)
    good = job.minutes(50, partial(job.process, job.watching.world.apply), every=15)
    job.watching.world.write("keys: nonsense\n")
    bad = job.minutes(65, partial(job.process, job.watching.world.apply), every=15)
    return job, {good: (), bad: ("ReconcilerTextfileOld",)}


def a_cron_job_mends_nothing(folder: Path) -> tuple[Timeline, Claims]:
    """Every pass finds the same drift and may only tell of it."""
    job = _cron_job(folder)
    job.watching.drift()
    good = job.minutes(59, partial(job.process, job.watching.world.plan), every=15)
    bad = job.minutes(6, partial(job.process, job.watching.world.plan), every=15)
    return job, {good: (), bad: ("ReconcilerCronJobDrift",)}


def a_cron_job_has_no_trail(folder: Path) -> tuple[Timeline, Claims]:
    """The disk of the trail is full: each process forbids its write, and counts from nothing."""
    job = _cron_job(folder)
    job.minutes(30, partial(job.process, job.watching.world.apply), every=15)
    job.watching.drift()

    def full() -> None:
        job.watching.metrics.trail_failed()
        job.watching.world.plan()

    job.minutes(30, partial(job.process, full), every=15)
    return job, {29: (), job.minute: ("ReconcilerCronJobTrailFails",)}


def a_cron_job_cannot_count(folder: Path) -> tuple[Timeline, Claims]:
    """Each process meets an event that its metrics do not understand."""
    job = _cron_job(folder)
    job.minutes(30, partial(job.process, job.watching.world.apply), every=15)

    def garbled() -> None:
        job.watching.world.apply()
        job.watching.metrics.observe(PassFinished("r", None, 1.0))  # type: ignore[arg-type] # as after a bug

    job.minutes(30, partial(job.process, garbled), every=15)
    return job, {29: (), job.minute: ("ReconcilerCronJobMetricsIncomplete",)}


STORIES: tuple[Story, ...] = (
    all_is_well,
    passes_are_rare,
    nothing_answers,
    no_pass_ends,
    no_pass_ever,
    an_account_is_unreadable,
    an_account_was_never_readable,
    files_are_rejected,
    drift_lasts,
    paused_drift_lasts,
    changes_are_held_back,
    a_key_is_missing,
    a_deny_is_found,
    a_key_is_contested,
    a_waiver_ends,
    a_pause_ends,
    a_hold_lasts,
    the_limit_is_met,
    the_api_fails,
    the_trail_is_full,
    somebody_is_not_notified,
    something_cannot_be_counted,
    a_bug_is_met,
    passes_take_long,
    a_cron_job_is_well,
    a_cron_job_stops,
    a_cron_job_mends_nothing,
    a_cron_job_has_no_trail,
    a_cron_job_cannot_count,
)
