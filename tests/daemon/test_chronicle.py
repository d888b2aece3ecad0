"""What the daemon keeps of what it did, for those who look."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from dulwich import porcelain

from daemon.chained import ACCOUNT, KEY, NOON, SHOP, opened
from daemon.house import Daemon, minutes, shop
from daemon.test_segments import whole
from daemon.visitor import ready
from reconciler.core.changes import Change, Outcome
from reconciler.core.events import (
    ChangeApplied,
    ChangeFailed,
    ChangeSkipped,
    ChangeStarted,
    ConfigReloaded,
    DaemonFaulted,
    DaemonStarted,
    Event,
    PassFailed,
    PassFinished,
    PassStarted,
    Trigger,
    tell_all,
)
from reconciler.core.keys import Source
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    report_change,
    summarize,
)
from reconciler.core.status import AskedBy, LastPass, Status, Sync
from reconciler.daemon.chronicle import Chronicle, Plans
from reconciler.daemon.past import read_past
from reconciler.files.commits import Commits
from render.reports import report as bare
from world import key_id

REFUSED = SHOP.ended(Outcome.REFUSED, "hold: x, set 3 days ago")
APPLIED = SHOP.ended(Outcome.APPLIED)
PLANS = Plans(Mode.APPLY, "every 5m")
MINUTE = timedelta(minutes=1)


class Clock:
    """Noon, unless it is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def unheard(event: Event) -> None:
    """Expect that nothing goes wrong."""
    raise AssertionError(event)


def account(*changes: Change, status: AccountStatus = AccountStatus.OK) -> ReportedAccount:
    told = tuple(map(report_change, changes))
    return ReportedAccount(ACCOUNT.account_id, None, status, None, KeyCounts(1, 1), told)


def report(*changes: Change, finished: str = "t1", status: AccountStatus = AccountStatus.OK) -> Report:
    accounts = (account(*changes, status=status),)
    return replace(bare(*accounts, mode=Mode.APPLY), finished_at=finished, summary=summarize(accounts, ()))


def made(*events: Event, number: int = 1, found: Report | None = None) -> list[Event]:
    """The events of one pass."""
    run_id = f"run-{number}"
    found = replace(found or report(), run_id=run_id)
    begin = PassStarted(run_id, Mode.APPLY, number, Trigger.SCHEDULE)
    return [begin, *events, PassFinished(run_id, found, 1.23456)]


def chronicle(*events: Event, clock: Clock | None = None) -> Chronicle:
    kept = Chronicle(PLANS, Commits(), clock or Clock(), unheard)
    for event in events:
        kept(event)
    return kept


def status(*events: Event) -> Status:
    return chronicle(*events).status(ready(), None)


def outcomes(told: Status) -> list[str]:
    return [each.outcome.value for each in told.recent]


def test_before_any_pass() -> None:
    """Before any pass nothing is known but what the daemon is for and when it began."""
    told = chronicle().status(ready(), "2026-11-23T12:05:00Z")
    assert (told.schema, told.mode, told.schedule, told.next_at) == (
        "reconciler/status/v1",
        Mode.APPLY,
        "every 5m",
        "2026-11-23T12:05:00Z",
    )
    assert (told.started_at, told.recent_from, told.as_of) == ("2026-11-23T12:00:00.000Z",) * 3
    assert (told.last_pass, told.sync, told.recent) == (None, Sync(), ())
    assert chronicle().report is None


def test_what_the_daemon_is_for() -> None:
    """Mode and schedule are those that it tells when it begins."""
    told = status(DaemonStarted("every 7m", Mode.PLAN))
    assert (told.mode, told.schedule) == (Mode.PLAN, "every 7m")


def test_the_last_pass() -> None:
    """The last pass that ended is known, with its report; one under way changes neither."""
    kept = chronicle(*made(found=report(finished="t1")), PassStarted("run-2", Mode.APPLY, 2, Trigger.FILES))
    told = kept.status(ready(), None)
    assert told.last_pass == LastPass(1, "run-1", Trigger.SCHEDULE, "t1", 1.235)
    assert kept.report
    assert kept.report.run_id == "run-1"


def synced(*found: Report) -> list[Sync]:
    """How it stands after each pass."""
    kept = chronicle()
    stands = []
    for number, each in enumerate(found, 1):
        for event in made(number=number, found=replace(each, finished_at=f"t{number}")):
            kept(event)
        stands.append(kept.status(ready(), None).sync)
    return stands


def test_in_sync_since_when() -> None:
    """It stands so since the first pass that found it so, at the start perhaps longer; another finding counts anew."""
    unread = report(status=AccountStatus.FAILED)
    assert synced(report(), report(), report(REFUSED), report(REFUSED), report(), unread, report()) == [
        Sync(in_sync=True, since="t1", at_start=True),
        Sync(in_sync=True, since="t1", at_start=True),
        Sync(in_sync=False, since="t3"),
        Sync(in_sync=False, since="t3"),
        Sync(in_sync=True, since="t5"),
        Sync(in_sync=None, since="t6"),
        Sync(in_sync=True, since="t7"),
    ]


def test_what_had_to_be_healed_was_not_in_sync() -> None:
    """A pass that had to apply something begins it anew, where all is in sync by that; what still differs goes on."""
    some = replace(report(REFUSED), summary=replace(report().summary, applied=1))
    assert synced(report(), report(APPLIED), report(), report(APPLIED), some, some) == [
        Sync(in_sync=True, since="t1", at_start=True),
        Sync(in_sync=True, since="t2"),
        Sync(in_sync=True, since="t2"),
        Sync(in_sync=True, since="t4"),
        Sync(in_sync=False, since="t5"),
        Sync(in_sync=False, since="t5"),
    ]


def test_what_the_first_pass_finds() -> None:
    """Who had to write was not in sync before; who could not read does not know."""
    assert synced(report(APPLIED)) == [Sync(in_sync=True, since="t1")]
    assert synced(report(REFUSED)) == [Sync(in_sync=False, since="t1", at_start=True)]
    assert synced(report(status=AccountStatus.FAILED)) == [Sync(in_sync=None, since="t1")]


def test_a_pass_that_ends_in_a_bug() -> None:
    """After a pass that ended in an error nobody knows whether it is in sync: what was before counts no longer."""
    began = PassStarted("run-2", Mode.APPLY, 2, Trigger.SCHEDULE)
    told = status(*made(), began, PassFailed("run-2", "KeyError", "here"))
    assert told.sync == Sync(in_sync=None, since="2026-11-23T12:00:00.000Z")
    assert told.last_pass
    assert told.last_pass.number == 1
    again = status(*made(), began, PassFailed("run-2", "KeyError", "here"), *made(number=3))
    assert again.sync.in_sync


def test_what_became_of_a_key() -> None:
    """A write is one occurrence, at its end, with why the pass began and who asked."""
    told = status(*made(ChangeStarted("run-1", SHOP), ChangeApplied("run-1", APPLIED)))
    (each,) = told.recent
    assert (each.time, each.run_id, each.trigger, each.mode) == (
        "2026-11-23T12:00:00.000Z",
        "run-1",
        Trigger.SCHEDULE,
        Mode.APPLY,
    )
    assert (each.account_id, each.sub_account_id, each.key_id, each.name, each.label) == (
        ACCOUNT.account_id,
        None,
        KEY,
        "shop",
        "Shop",
    )
    assert (each.action, each.fields, each.access, each.outcome) == (
        SHOP.action,
        SHOP.fields,
        SHOP.access,
        Outcome.APPLIED,
    )
    assert each.asked_by == AskedBy("keys/shop.yaml", 12, 5, None, None)


def test_decisions_that_repeat_are_one() -> None:
    """What each pass decides again is told once, whatever age its reason tells; something else is told anew."""
    older = SHOP.ended(Outcome.REFUSED, "hold: x, set 4 days ago")
    denied = replace(SHOP.ended(Outcome.DENIED), source=None)
    told = status(
        *made(ChangeSkipped("run-1", REFUSED), found=report(REFUSED)),
        *made(ChangeSkipped("run-2", older), number=2, found=report(older)),
        *made(ChangeSkipped("run-3", denied), number=3, found=report(denied)),
        *made(number=4),
        *made(ChangeSkipped("run-5", denied), number=5, found=report(denied)),
    )
    assert [(each.run_id, each.outcome.value) for each in told.recent] == [
        ("run-5", "denied"),
        ("run-3", "denied"),
        ("run-1", "refused"),
    ]
    assert told.recent[0].asked_by is None


def test_a_decision_after_a_write_is_another_one() -> None:
    """What was decided before a write, and is decided again after it, is told again, also where its pass broke off."""
    told = status(
        *made(ChangeSkipped("run-1", REFUSED), found=report(REFUSED)),
        PassStarted("run-2", Mode.APPLY, 2),
        ChangeStarted("run-2", SHOP),
        ChangeFailed("run-2", SHOP.ended(Outcome.FAILED, "503")),
        *made(ChangeSkipped("run-3", REFUSED), number=3),
    )
    assert outcomes(told) == ["refused", "failed", "refused"]


def test_a_write_that_was_forbidden_is_a_decision() -> None:
    """What was begun in a pass that never came to its end is not taken for the beginning of a later one's."""
    failed = SHOP.ended(Outcome.FAILED, "could not be recorded")
    told = status(
        PassStarted("run-1", Mode.APPLY, 1),
        ChangeStarted("run-1", SHOP),
        *made(ChangeFailed("run-2", failed), number=2, found=report(failed)),
        *made(ChangeFailed("run-3", failed), number=3, found=report(failed)),
    )
    assert outcomes(told) == ["failed"]


def test_what_a_dry_run_would_do() -> None:
    """What a dry run would do is an occurrence, once, although no event tells of it."""
    told = status(*made(found=report(SHOP)), *made(number=2, found=report(SHOP)))
    assert outcomes(told) == ["planned"]


def test_decisions_about_an_account_that_could_not_be_read() -> None:
    """Where an account could not be read, what was decided about it is not forgotten."""
    told = status(
        *made(ChangeSkipped("run-1", REFUSED), found=report(REFUSED)),
        *made(number=2, found=report(status=AccountStatus.FAILED)),
        *made(ChangeSkipped("run-3", REFUSED), number=3, found=report(REFUSED)),
    )
    assert outcomes(told) == ["refused"]


def test_its_revision() -> None:
    """Whatever changes what is kept gives another revision; what does not is none."""
    kept = chronicle()
    revisions = [kept.revision]
    for event in made(ChangeStarted("run-1", SHOP), ChangeApplied("run-1", APPLIED)):
        kept(event)
        revisions.append(kept.revision)
    assert len(set(revisions)) == len(revisions)
    kept(ConfigReloaded(1, 1))
    assert kept.revision == revisions[-1]


def test_who_asked(tmp_path: Path) -> None:
    """With and without a trail the commit is known that asked, of files in force, and looked up once for both."""
    files = tmp_path / "keys"
    files.mkdir()
    (files / "shop.yaml").write_text("version: 1\n")
    with porcelain.init(str(files)):
        pass
    porcelain.add(str(files), [str(files / "shop.yaml")])
    commit = porcelain.commit(str(files), message=b"x", author=b"A <a@b.c>", committer=b"A <a@b.c>").decode()
    os.utime(files / "shop.yaml", (0, 0))
    change = replace(APPLIED, source=Source(str(files / "shop.yaml"), 1, 1))
    own = Commits()
    kept = Chronicle(PLANS, own, Clock(), unheard)
    for event in made(ChangeApplied("run-1", change)):
        kept(event)
    (alone,) = kept.status(ready(), None).recent
    assert alone.asked_by == AskedBy(str(files / "shop.yaml"), 1, 1, commit, modified=False)
    assert not own._worktrees  # what a pass opened is closed at its end
    older = PassStarted("run-1", Mode.APPLY, 1, config_age=10.0)
    (unknown,) = status(older, ChangeApplied("run-1", change)).recent
    assert unknown.asked_by == AskedBy(str(files / "shop.yaml"), 1, 1, None, None)

    class Counted(Commits):
        looked_up = 0

        def _look_up(self, name: str) -> None:
            self.looked_up += 1

    commits = Counted()
    kept = Chronicle(PLANS, commits, Clock(), unheard)
    with opened(tmp_path / "trail", commits=commits) as trail:
        for event in made(ChangeStarted("run-1", change), ChangeApplied("run-1", change)):
            tell_all(trail, kept)(event)
    assert commits.looked_up == 1


def test_it_goes_on_where_the_trail_ends(tmp_path: Path) -> None:
    """A daemon that begins anew tells what its trail does, and does not tell again what was decided within a day."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        for event in made(ChangeStarted("run-1", SHOP), ChangeApplied("run-1", APPLIED)):
            trail(event)
        for event in made(ChangeSkipped("run-2", REFUSED), number=2, found=report(REFUSED)):
            trail(event)
    clock = Clock()
    clock.now = NOON + 60 * MINUTE
    kept = Chronicle(PLANS, Commits(), clock, unheard, read_past(path))
    for event in made(ChangeSkipped("run-3", REFUSED), found=report(REFUSED)):
        kept(event)
    told = kept.status(ready(), None)
    assert outcomes(told) == ["refused", "applied"]
    assert (told.started_at, told.recent_from) == ("2026-11-23T13:00:00.000Z", "2026-11-23T12:00:00.000Z")
    clock.now = NOON + timedelta(days=2)
    later = Chronicle(PLANS, Commits(), clock, unheard, read_past(path))
    for event in made(ChangeSkipped("run-3", REFUSED), found=report(REFUSED)):
        later(event)
    assert outcomes(later.status(ready(), None)) == ["refused", "refused", "applied"]


def test_a_decision_after_a_write_before_the_restart(tmp_path: Path) -> None:
    """What the trail says was decided before a write is told again when it is decided after the restart."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        for event in made(ChangeSkipped("run-1", REFUSED), found=report(REFUSED)):
            trail(event)
        for event in made(ChangeStarted("run-2", SHOP), ChangeApplied("run-2", APPLIED), number=2):
            trail(event)
    kept = Chronicle(PLANS, Commits(), Clock(), unheard, read_past(path))
    for event in made(ChangeSkipped("run-3", REFUSED), found=report(REFUSED)):
        kept(event)
    assert outcomes(kept.status(ready(), None)) == ["refused", "applied", "refused"]


def test_a_trail_that_tells_nothing(tmp_path: Path) -> None:
    """Of a trail of which nothing can be understood, it is whole since the daemon began."""
    (tmp_path / "trail").write_bytes(b"garbage\n")
    kept = Chronicle(PLANS, Commits(), Clock(), unheard, read_past(tmp_path / "trail"))
    assert kept.status(ready(), None).recent_from == "2026-11-23T12:00:00.000Z"


def test_what_is_lost_is_told() -> None:
    """Where not all could be kept, it is told since when what is told is whole."""
    clock = Clock()
    kept = chronicle(clock=clock)
    kept(PassStarted("run-1", Mode.APPLY, 1))
    for number in range(2_001):
        clock.now = NOON + timedelta(seconds=number)
        kept(ChangeSkipped("run-1", replace(REFUSED, key_id=str(number))))
    assert kept.status(ready(), None).recent_from == "2026-11-23T12:00:00.000Z"
    clock.now += MINUTE
    kept(ChangeSkipped("run-1", replace(REFUSED, key_id="x")))
    told = kept.status(ready(), None)
    assert (len(told.recent), told.recent_from) == (2_000, "2026-11-23T12:00:01.000Z")


def test_it_tells_what_the_trail_tells(tmp_path: Path) -> None:
    """Over many passes of a real daemon, where somebody sets a key back until that is contested, both tell the same."""
    (tmp_path / "files").mkdir()
    world = shop(tmp_path / "files")
    daemon = Daemon(world)
    kept = Chronicle(PLANS, Commits(), lambda: datetime.now(NOON.tzinfo), unheard)
    path = tmp_path / "trail"
    with opened(path) as trail:
        daemon.observe = tell_all(trail, kept)

        def drift(_report: Report) -> None:
            if len(daemon.reports) < 6:
                with world.edited() as keys:
                    keys[key_id(1)].update(scopes=["domains:read"])

        daemon.after = drift
        daemon.run(minutes(12))
    past = read_past(path)
    told = kept.status(ready(), None).recent
    assert whole(path).writes >= 3
    assert [(each.name, each.outcome, each.reason) for each in reversed(told)] == [
        (each.occurrence.name, each.occurrence.outcome, each.occurrence.reason) for each in past.remembered
    ]
    assert {Outcome.APPLIED, Outcome.SKIPPED} <= {each.outcome for each in told}


def test_what_goes_wrong_disturbs_no_pass() -> None:
    """An error in keeping what happens forbids no write and ends no pass; it is told, once of each place."""
    told: list[Event] = []
    clock = Clock()
    kept = Chronicle(PLANS, Commits(), clock, told.append)
    for event in made(ChangeStarted("run-1", SHOP), ChangeApplied("run-1", APPLIED)):
        kept(event)
    before, revision = kept.status(ready(), None), kept.revision
    assert (before.sync.in_sync, len(before.recent), told) == (True, 1, [])
    clock.now += MINUTE
    broken = cast("Change", None)
    for _ in range(3):
        kept(ChangeStarted("run-2", broken))
    (fault,) = told
    assert isinstance(fault, DaemonFaulted)
    assert fault.error.startswith("AttributeError: ")
    kept(ChangeApplied("run-2", broken))
    assert len(told) == 2
    assert kept.revision > revision


def test_what_was_not_kept_is_not_known() -> None:
    """After such an error nothing is said to be in sync until a pass ends, and what was before it is not whole."""
    clock = Clock()
    kept = Chronicle(PLANS, Commits(), clock, lambda event: None)
    for event in made():
        kept(event)
    clock.now += MINUTE
    later = "2026-11-23T12:01:00.000Z"
    kept(PassFinished("run-2", cast("Report", None), 1.0))
    after = kept.status(ready(), None)
    assert (after.sync, after.recent_from) == (Sync(None, later), later)
    for event in made(number=3):
        kept(event)
    assert kept.status(ready(), None).sync.in_sync is True


def test_where_not_even_that_can_be_told() -> None:
    """Where neither the time nor who is to be told can be had, nothing is raised either, and nothing is vouched for."""

    def gone(*_: object) -> datetime:
        if watch.now > NOON:
            raise OSError("no clock")
        return watch.now

    watch = Clock()
    kept = Chronicle(PLANS, Commits(), gone, unheard)
    for event in made():
        kept(event)
    watch.now += MINUTE
    kept(PassFailed("run-2", "x", "y"))
    watch.now = NOON
    assert kept.status(ready(), None).sync == Sync(None, "2026-11-23T12:00:00.000Z")
