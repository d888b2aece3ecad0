"""How a daemon stands, in a word: what is not known comes before what was found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.report import Mode, Report
from reconciler.core.status import Status, Sync
from reconciler.daemon.status import AccountRead, Progress, judge_readiness
from reconciler.render.standing import doubted, reasons, since, standing
from reconciler.render.verdict import Tone
from render.reports import account, change, failed, finding, report
from render.statuses import IN_SYNC, NOT_IN_SYNC, status, without_reasons

GOOD = report(account(), mode=Mode.APPLY)
HELD_BACK = report(account(change("shop", outcome=Outcome.REFUSED)), mode=Mode.APPLY)
PAUSED = report(account(change("shop", outcome=Outcome.PAUSED)), mode=Mode.APPLY)
APPLIED = report(account(change("shop", outcome=Outcome.APPLIED)), mode=Mode.APPLY)
FOUND = report(account(), mode=Mode.APPLY, findings=[finding("unused", Severity.WARN)])
NOBODY_KNOWS = Sync(in_sync=None, since="2026-11-23T09:30:00Z")
UNREAD = report(account(), failed("401"), mode=Mode.APPLY)


def unread(sync: Sync = IN_SYNC, rejected: str | None = None) -> Status:
    """How a daemon stands that could not read an account the last time, although it is not late yet."""
    told = status(sync, rejected=rejected)
    accounts = tuple(replace(each, error="503") for each in told.readiness.accounts)
    return replace(told, readiness=replace(told.readiness, accounts=accounts))


NO_PASS = status(Sync(), "account a-1 was not read yet", passes=0)


@pytest.mark.parametrize(
    ("told", "last", "tone", "words"),
    [
        (status(), GOOD, Tone.GOOD, "In sync"),
        (status(), APPLIED, Tone.GOOD, "In sync"),
        (status(), None, Tone.GOOD, "In sync"),
        (status(), FOUND, Tone.LOOK, "In sync, to look at"),
        (status(NOT_IN_SYNC), HELD_BACK, Tone.ACT, "A person must act"),
        (status(NOT_IN_SYNC), PAUSED, Tone.LOOK, "Paused"),
        (status(NOT_IN_SYNC), None, Tone.LOOK, "Differs"),
        (NO_PASS, None, Tone.BAD, "Not known yet"),
        (status(NOBODY_KNOWS), GOOD, Tone.BAD, "Not known"),
        (status(IN_SYNC, "account a-1 was not read since then"), GOOD, Tone.BAD, "Not ready"),
        (status(NOT_IN_SYNC, "account a-1 was not read since then"), HELD_BACK, Tone.BAD, "Not ready"),
        (without_reasons(status()), GOOD, Tone.BAD, "Not ready"),
        (status(rejected="the files do not load"), GOOD, Tone.ACT, "Newer files do not load"),
        (status(NOT_IN_SYNC, rejected="the files do not load"), PAUSED, Tone.ACT, "Newer files do not load"),
        (status(NOT_IN_SYNC, rejected="the files do not load"), HELD_BACK, Tone.ACT, "A person must act"),
        (unread(), GOOD, Tone.BAD, "Not known"),
        (unread(), FOUND, Tone.BAD, "Not known"),
        (unread(rejected="the files do not load"), GOOD, Tone.BAD, "Not known"),
        (unread(NOT_IN_SYNC), HELD_BACK, Tone.ACT, "A person must act"),
    ],
)
def test_what_counts_first(told: Status, last: Report | None, tone: Tone, words: str) -> None:
    """What is not known comes first, then what a person must do, then what differs; good is what all call so."""
    found = standing(told, last)
    assert (found.tone, found.words) == (tone, words)
    assert found.call.endswith(".")


def test_reports_of_another_pass() -> None:
    """Where status and report are of two passes, neither can make good what the other calls otherwise."""
    assert standing(status(NOT_IN_SYNC), GOOD).tone is Tone.LOOK
    assert standing(status(), HELD_BACK).tone is Tone.ACT
    assert standing(status(), PAUSED).words == "Paused"
    assert standing(status(NOT_IN_SYNC), FOUND).words == "To look at"


def test_why_it_is_not_ready() -> None:
    """The call of one that is not ready has the first reasons in it, and says what the rest is worth."""
    told = standing(status(IN_SYNC, "one", "two"), GOOD).call
    assert told == "one; two. What follows is as the last pass left it."
    many = standing(status(IN_SYNC, *map(str, range(1, 8))), GOOD).call
    assert many.startswith("1; 2; 3; 4; 5; and 2 more. ")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (status(), "In sync since 2026-11-23 08:00 UTC, the daemon's first pass, or longer."),
        (status(NOT_IN_SYNC), "Not in sync since 2026-11-23 09:30 UTC."),
        (status(NOBODY_KNOWS), ""),
        (status(Sync(in_sync=True)), ""),
        (status(IN_SYNC, passes=0), ""),
        (status(NOT_IN_SYNC, rejected="no"), "Not in sync since 2026-11-23 09:30 UTC."),
        (
            status(rejected="no"),
            "As the older files say since 2026-11-23 08:00 UTC, the daemon's first pass, or longer.",
        ),
        (unread(), ""),
        (unread(NOT_IN_SYNC), "Not in sync since 2026-11-23 09:30 UTC."),
        (status(NOT_IN_SYNC, "late"), "At the last pass: Not in sync since 2026-11-23 09:30 UTC."),
    ],
)
def test_since_when(told: Status, sentence: str) -> None:
    """Since when it stands so is told where that is known, and that it may be longer where nobody looked before."""
    assert since(told, GOOD) == sentence


def test_since_when_of_a_pass_that_is_not_whole() -> None:
    """Where the report calls the pass not complete, nothing is said of how long all is in sync."""
    assert since(status(), UNREAD) == ""
    assert since(status(), None).startswith("In sync since ")


def test_why_it_is_not_ready_is_told_without_causes_and_seconds() -> None:
    """Why an account could not be read stands with the account, and not in the reason, too; times to the minute."""
    told = unread()
    spoken = "account a-1 was not read since 2026-11-23T09:40:00.424648Z: 503"
    other = "account a-10 was not read yet: 503"
    not_ready = replace(told, readiness=replace(told.readiness, ready=False, reasons=(spoken, other)))
    assert standing(not_ready, GOOD).call == (
        "account a-1 was not read since 2026-11-23 09:40 UTC; account a-10 was not read yet: 503. "
        "What follows is as the last pass left it."
    )


def test_reasons_are_those_that_the_daemon_gives() -> None:
    """What the daemon says of an account that it could not read in time is told without the cause, as it words it."""
    read_at = datetime(2026, 11, 23, 9, 40, 5, 424648, tzinfo=UTC)
    reads = (AccountRead("a-1", None, read_at, "401: revoked"), AccountRead("a-2", error="503"))
    found = judge_readiness(Progress(read_at, 0.0, reads=reads), read_at + timedelta(hours=1), lambda moment: moment)
    assert reasons(replace(status(), readiness=found)) == [
        "account a-1 was not read since 2026-11-23 09:40 UTC",
        "account a-2 was not read yet",
    ]


@pytest.mark.parametrize(
    ("told", "last", "doubt"),
    [
        (status(), GOOD, False),
        (status(NOT_IN_SYNC), HELD_BACK, False),
        (status(NOT_IN_SYNC), UNREAD, False),
        (status(), UNREAD, True),
        (status(NOBODY_KNOWS), GOOD, True),
        (status(IN_SYNC, "late"), GOOD, True),
        (status(rejected="no"), GOOD, True),
        (unread(), GOOD, True),
        (NO_PASS, None, True),
    ],
)
def test_what_is_in_doubt(told: Status, last: Report | None, doubt: bool) -> None:
    """What the last pass found is in doubt where the daemon, its files, or what it read are not well."""
    assert doubted(told, last) is doubt
