"""Whether the daemon is ready, worked out from what it has done."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from daemon.visitor import NOW
from reconciler.core.status import Readiness
from reconciler.daemon.status import AccountRead, Progress, Rejection, judge_readiness
from reconciler.errors import Problem

ONE, OTHER = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
MINUTE = timedelta(minutes=1)
STARTED = NOW - 60 * MINUTE


def due(read_at: datetime) -> datetime:
    """Three intervals of five minutes, and one minute of grace."""
    return read_at + 16 * MINUTE


def judged(*reads: AccountRead, now: datetime = NOW, loaded_at: datetime | None = NOW - MINUTE) -> Readiness:
    return judge_readiness(Progress(loaded_at, None if loaded_at is None else 60.0, None, reads), now, due)


def test_ready() -> None:
    """It is ready when a configuration is loaded and each account was read in time."""
    readiness = judged(AccountRead(ONE, read_at=NOW - MINUTE), AccountRead(OTHER, read_at=NOW - 16 * MINUTE))
    assert readiness.ready
    assert readiness.reasons == ()
    assert [(one.account_id, one.ready, one.error) for one in readiness.accounts] == [
        (ONE, True, None),
        (OTHER, True, None),
    ]


def test_without_configuration() -> None:
    """It is not ready while no configuration is loaded, and says so."""
    readiness = judged(loaded_at=None)
    assert not readiness.ready
    assert readiness.reasons == ("no configuration is loaded",)
    assert readiness.configuration.age_seconds is None


def test_an_account_that_was_read_too_long_ago() -> None:
    """One account that was not read in time makes it not ready; the reason says since when, and what went wrong."""
    late = NOW - 16 * MINUTE - timedelta(microseconds=1)
    readiness = judged(AccountRead(ONE, read_at=NOW), AccountRead(OTHER, read_at=late, error="401"))
    assert not readiness.ready
    assert readiness.reasons == (f"account {OTHER} was not read since 2026-11-23T09:43:59.999999Z: 401",)
    assert [one.ready for one in readiness.accounts] == [True, False]


def test_every_account_late() -> None:
    """Where no account was read in time, none is ready."""
    readiness = judged(AccountRead(ONE, read_at=STARTED), AccountRead(OTHER, read_at=STARTED - MINUTE))
    assert [one.ready for one in readiness.accounts] == [False, False]


def test_an_error_in_time() -> None:
    """An account that could not be read the last time, but in time before, is told and changes nothing."""
    readiness = judged(AccountRead(ONE, read_at=NOW - MINUTE, error="503"))
    assert readiness.ready
    assert readiness.accounts[0].error == "503"


def test_an_account_that_was_never_read() -> None:
    """An account that was never read is not ready; one that files named later has time from then."""
    never = AccountRead(ONE, error="401")
    assert judged(never).reasons == (f"account {ONE} was not read yet: 401",)
    assert judged(replace(never, known_since=NOW - 16 * MINUTE)).ready
    assert not judged(replace(never, known_since=NOW - 17 * MINUTE)).ready
    assert [one.ready for one in judged(never, AccountRead(OTHER, read_at=NOW)).accounts] == [False, True]


def test_a_trail_that_cannot_be_written() -> None:
    """Where the trail cannot be written nothing else is, so that it is not ready, and says why."""
    readiness = judge_readiness(Progress(NOW, 0.0, None, (AccountRead(ONE, read_at=NOW),), "no space left"), NOW, due)
    assert readiness.reasons == ("nothing is written without its line in the trail: no space left",)


def test_a_clock_that_was_set_back() -> None:
    """What was read, by the clock, in time to come counts as read in time; an age is that of no clock."""
    readiness = judged(AccountRead(ONE, read_at=NOW + MINUTE), loaded_at=NOW + MINUTE)
    assert readiness.ready
    assert readiness.configuration.age_seconds == 60


def test_sub_accounts_are_told_in_short() -> None:
    """Thousands of sub accounts are told as counts and ten that failed, the late ones first; a late one counts."""
    subs = [AccountRead(ONE, f"sub-{number}", NOW, "503" if number < 40 else None) for number in range(5000)]
    subs += [AccountRead(ONE, "too-late", STARTED), AccountRead(ONE, "too-later", STARTED, "429")]
    readiness = judged(AccountRead(ONE, read_at=NOW), *subs)
    account = readiness.accounts[0]
    assert account.ready
    assert (account.sub_accounts.count, account.sub_accounts.failed_count) == (5002, 42)
    named = [(one.sub_account_id, one.ready, one.error) for one in account.sub_accounts.failed]
    assert named[:3] == [("too-late", False, None), ("too-later", False, "429"), ("sub-0", True, "503")]
    assert len(named) == 10
    assert readiness.reasons == (f"account {ONE}: 2 of 5002 sub accounts were not read in time",)


def test_sub_accounts_that_fail_in_time() -> None:
    """Sub accounts that could not be read the last time, but in time before, leave it ready."""
    readiness = judged(AccountRead(ONE, read_at=NOW), AccountRead(ONE, "sub", NOW, "503"))
    assert readiness.ready
    assert readiness.accounts[0].sub_accounts.failed_count == 1


def test_sub_accounts_without_their_parent() -> None:
    """A parent of which nothing is told was never read."""
    readiness = judged(AccountRead(ONE, "sub", NOW))
    assert readiness.reasons == (f"account {ONE} was not read yet",)


def test_the_schedule_is_asked_seldom() -> None:
    """What is due is asked for a few times only, however many accounts there are: a crontab line takes long."""
    asked: list[datetime] = []

    def counted(read_at: datetime) -> datetime:
        asked.append(read_at)
        return due(read_at)

    reads = [AccountRead(ONE, str(number), NOW - number * timedelta(seconds=1)) for number in range(2000)]
    readiness = judge_readiness(Progress(NOW, 0.0, None, (AccountRead(ONE, read_at=NOW), *reads)), NOW, counted)
    assert readiness.accounts[0].sub_accounts.late_count == 2000 - 16 * 60 - 1
    assert len(asked) < 15


def test_a_rejected_configuration() -> None:
    """With a rejected configuration it stays ready, and tells the age of the one in force, and what is wrong."""
    problems = tuple(Problem("keys.yaml", line, 1, "wrong\x1b") for line in range(1, 31))
    rejection = Rejection(NOW - MINUTE, "the files do not load", problems)
    progress = Progress(NOW - 10 * MINUTE, 600.0, rejection, (AccountRead(ONE, read_at=NOW),))
    readiness = judge_readiness(progress, NOW, due)
    assert readiness.ready
    told = readiness.configuration
    assert (told.age_seconds, told.rejected, told.rejected_at) == (600.0, "the files do not load", NOW - MINUTE)
    assert told.problems[0] == r"keys.yaml:1:1: wrong\x1b"
    assert (len(told.problems), told.problem_count) == (20, 30)


@pytest.mark.parametrize("text", ["aha-sk-0123456789abcdef", "\x1b[2J", "x" * 501])
def test_texts_from_outside(text: str) -> None:
    """No secret, nothing that a terminal would obey, and no text without end stands in any answer."""
    rejection = Rejection(NOW, text, (Problem("keys.yaml", 1, 1, text),))
    reads = (AccountRead(ONE, read_at=STARTED, error=text), AccountRead(ONE, "sub", NOW, text))
    readiness = judge_readiness(Progress(NOW, 0.0, rejection, reads), NOW, due)
    account = readiness.accounts[0]
    texts = (account.error, account.sub_accounts.failed[0].error, readiness.configuration.rejected)
    for shown in (*texts, *readiness.configuration.problems, *readiness.reasons):
        assert text not in (shown or text)
    assert all(shown and len(shown) <= 500 for shown in (*texts, *readiness.configuration.problems))


def test_known_secrets_are_masked_before_a_text_is_cut() -> None:
    """Of a known secret that stands where a long text is cut not even the beginning is told, wherever the text is."""
    secret = "the-password-of-something"
    text = "x" * 490 + secret
    rejection = Rejection(NOW, text, (Problem("k", 1, 1, text),))
    reads = (AccountRead(ONE, read_at=STARTED, error=text), AccountRead(ONE, "sub", NOW, text))
    readiness = judge_readiness(Progress(NOW, 0.0, rejection, reads, text), NOW, due, (secret,))
    assert "the-p" in str(judge_readiness(Progress(NOW, 0.0, rejection, reads, text), NOW, due))
    assert "the-p" not in str(readiness)
    assert "aha-sk-***" in readiness.reasons[1]
