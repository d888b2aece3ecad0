"""How long an account that cannot be read is left alone."""

from datetime import timedelta, timezone

import pytest

from builders import NOW
from reconciler.core.rests import Failure, Rest, after_pass, holding

HERE, THERE = ("a", ""), ("a", "b")
FAILED = Failure("no answer", "look at the network")
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 900), (7, 900), (10**9, 900)],
)
def test_rests_double_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    """Each failure in a row doubles the rest, up to 15 minutes, however many there were; at its end it is over."""
    rest = Rest(FAILED, failures, NOW)
    end = NOW + timedelta(seconds=seconds)
    assert rest.again_at == end
    assert [rest.holds(now) for now in (NOW, end - MOMENT, end, end + timedelta(days=1))] == [True, True, False, False]


def test_a_clock_that_was_set_back_ends_a_rest() -> None:
    """Before the pass that began it there is no rest: it must not last for as long as the clock was put back."""
    rest = Rest(FAILED, 6, NOW)
    assert [rest.holds(NOW - each) for each in (MOMENT, timedelta(minutes=5), timedelta(days=9))] == [False] * 3
    assert holding({HERE: rest}, NOW) == {HERE: rest}
    assert holding({HERE: rest}, NOW - MOMENT) == {}


def test_failures_in_a_row_are_counted_for_each_account() -> None:
    """A failure adds to the account's own count and begins its rest anew; a success forgets; others keep theirs."""
    rests = after_pass({}, {HERE: FAILED, THERE: None}, NOW)
    assert rests == {HERE: Rest(FAILED, 1, NOW)}
    later = NOW + timedelta(minutes=5)
    other = Failure("refused")
    rests = after_pass(rests, {HERE: other, THERE: FAILED}, later)
    assert rests == {HERE: Rest(other, 2, later), THERE: Rest(FAILED, 1, later)}
    assert after_pass(rests, {THERE: FAILED}, later)[HERE] == rests[HERE]
    assert after_pass(rests, {HERE: None}, later) == {THERE: Rest(FAILED, 1, later)}


def test_what_nobody_asks_any_more_is_forgotten() -> None:
    """After two days without being asked an account has no rest, so that none of an old file is kept for ever."""
    rests = {HERE: Rest(FAILED, 3, NOW)}
    assert after_pass(rests, {}, NOW + timedelta(hours=48) - MOMENT) == rests
    assert after_pass(rests, {}, NOW + timedelta(hours=48)) == {}
    assert after_pass(rests, {}, NOW - timedelta(days=365)) == rests


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        (1, "no; not asked in this pass, since it failed once; asked again from 2026-11-23 12:00:30 UTC on"),
        (
            3,
            "no; not asked in this pass, since it failed 3 times in a row; asked again from 2026-11-23 12:02:00 UTC on",
        ),
    ],
)
def test_what_is_said_of_a_rest(failures: int, told: str) -> None:
    """It says how often the account failed, when it is asked again, in UTC, and what was said last."""
    assert str(Rest(Failure("no"), failures, NOW.astimezone(timezone(timedelta(hours=5))))) == told
