"""When people are told of what: news, what lasts, what is over, reminders, and no more than that."""

from datetime import timedelta

import pytest

from core.telling import (
    DIGEST,
    GOOD,
    MINUTES,
    NOON,
    OTHER,
    Telling,
    account,
    change,
    concern,
    finding,
    owned,
    report,
    seen,
    unread,
)
from reconciler.core.changes import Action, Outcome
from reconciler.core.concerns import Facts, Kind
from reconciler.core.report import AccountStatus
from reconciler.core.telling import FORGOTTEN, Ledger, Situation, Standing, owner_tag

HELD = report(account(change("shop", Outcome.REFUSED)))
FAILS = report(account(change("shop", Outcome.FAILED)))
PLANNED = report(account(change("shop", Outcome.PLANNED)))


def test_what_is_held_back_is_told_at_once_and_once() -> None:
    """A person must act, so the first pass tells it; the next ones do not."""
    telling = Telling()
    assert [telling.tells(HELD) for _ in range(4)] == [["+held_back shop"], [], [], []]


def test_a_deny_is_told_at_once() -> None:
    """So are findings and contested keys."""
    found = report(account(), findings=(finding("ops"), finding("fought", rule="contested")))
    assert Telling().tells(found) == ["+finding ops", "+contested fought"]


def test_a_plan_is_told_when_the_next_pass_left_it() -> None:
    """What a dry run would change is told by the second pass that shows it."""
    telling = Telling()
    assert [telling.tells(PLANNED) for _ in range(3)] == [[], ["+planned shop"], []]


def test_a_drift_that_the_next_pass_heals_is_not_told() -> None:
    """Neither that it came nor that it went."""
    telling = Telling()
    assert [telling.tells(each) for each in (PLANNED, GOOD, GOOD, FAILS, GOOD, GOOD)] == [[]] * 6


@pytest.mark.parametrize(
    ("every", "silent"),
    [(5 * MINUTES, 2), (MINUTES, 10), (60 * MINUTES, 2), (timedelta(seconds=1), 600)],
)
def test_a_failure_is_told_when_it_lasts(every: timedelta, silent: int) -> None:
    """Three passes must show it and ten minutes be gone, however fast passes come."""
    telling = Telling(every=every)
    assert [telling.tells(FAILS) for _ in range(silent)] == [[]] * silent
    assert telling.tells(FAILS) == ["+failed shop"]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [(Facts(files="no"), "files"), (Facts(trail="full"), "trail"), (Facts(failed_pass="KeyError"), "pass")],
)
def test_the_daemons_own_troubles_are_told_when_they_last(facts: Facts, kind: str) -> None:
    """Files that do not load, a trail, passes that fail: not at the first hiccup, and not for ever."""
    telling = Telling()
    assert [telling.tells(GOOD, facts) for _ in range(4)] == [[], [], [f"+{kind}"], []]
    assert [telling.tells(GOOD) for _ in range(3)] == [[], [f"-{kind}"], []]


def test_an_account_that_is_not_read_is_told_when_it_lasts() -> None:
    """And that it is read again."""
    telling = Telling()
    assert [telling.tells(report(unread())) for _ in range(3)] == [[], [], ["+account"]]
    assert [telling.tells(GOOD) for _ in range(3)] == [[], ["-account"], []]


def test_what_is_over_is_told_once_with_how_long_it_lasted() -> None:
    """Two passes must show it to be gone; it lasted until the first of them."""
    telling = Telling()
    telling.passed(HELD)
    telling.passed(HELD)
    assert telling.tells(GOOD) == []
    (over,) = telling.passed(GOOD).over
    assert over.gone is not None
    assert over.gone - over.since == 10 * MINUTES
    assert [telling.tells(GOOD) for _ in range(3)] == [[]] * 3


def test_what_is_gone_for_one_pass_is_not_over() -> None:
    """It stands on, and began when it began."""
    telling = Telling()
    assert [telling.tells(each) for each in (HELD, GOOD, HELD, GOOD, HELD)] == [["+held_back shop"], [], [], [], []]
    (standing,) = telling.situation.standing.values()
    assert standing.since == NOON


def test_what_cannot_be_read_is_not_over() -> None:
    """While its account is not read a key that was held back is neither over nor news."""
    telling = Telling()
    telling.passed(HELD)
    lost = report(unread())
    assert [telling.tells(each) for each in (lost, lost, lost)] == [[], [], ["+account"]]
    assert [telling.tells(HELD) for _ in range(3)] == [[], ["-account"], []]
    assert [telling.tells(GOOD) for _ in range(2)] == [[], ["-held_back shop"]]


def test_a_pass_that_fails_says_nothing_of_keys() -> None:
    """Where a pass comes to no report nothing is over by that."""
    telling = Telling()
    telling.passed(HELD)
    assert [telling.tells(None, Facts(failed_pass="x")) for _ in range(3)] == [[], [], ["+pass"]]


def test_what_is_paused_is_not_over() -> None:
    """A change that was held back and is paused now is not told to be over before it is made."""
    telling = Telling()
    telling.passed(HELD)
    paused = report(account(change("shop", Outcome.PAUSED)))
    assert [telling.tells(paused) for _ in range(4)] == [[]] * 4
    assert [telling.tells(GOOD) for _ in range(2)] == [[], ["-held_back shop"]]


def test_one_trouble_of_a_key_after_another_is_no_recovery() -> None:
    """A key that was held back and then fails is not told to be in order; when it is, all that was told is over."""
    telling = Telling()
    telling.passed(HELD)
    assert [telling.tells(FAILS) for _ in range(4)] == [[], [], ["+failed shop"], []]
    assert [telling.tells(GOOD) for _ in range(2)] == [[], ["-failed shop", "-held_back shop"]]


def test_what_was_never_told_is_never_over() -> None:
    """A failure that went before it lasted leaves no word."""
    telling = Telling()
    assert [telling.tells(each) for each in (FAILS, FAILS, GOOD, GOOD, GOOD)] == [[]] * 5


def test_what_comes_back_is_news() -> None:
    """After it was told to be over; it begins anew then."""
    telling = Telling()
    told = [telling.tells(each) for each in (HELD, GOOD, GOOD, HELD)]
    assert told == [["+held_back shop"], [], ["-held_back shop"], ["+held_back shop"]]
    (standing,) = telling.situation.standing.values()
    assert (standing.since, standing.passes) == (NOON + 15 * MINUTES, 1)


def test_what_comes_and_goes_is_told_ever_less() -> None:
    """Each time that it comes back it must stay away for longer before that is told, so that an hour tells little."""
    telling = Telling(every=MINUTES)
    told = [telling.tells(HELD if n // 3 % 2 else GOOD) for n in range(24 * 60)]
    assert 2 <= sum(map(bool, told)) <= 5


def test_a_day_of_silence_ends_the_suspicion() -> None:
    """What was over for two days is told as if it had never been."""
    telling = Telling(every=60 * MINUTES)
    for each in (HELD, GOOD, GOOD, HELD, GOOD, GOOD, GOOD):
        telling.passed(each)
    telling.now += FORGOTTEN
    telling.passed(report(account(change("other", Outcome.REFUSED))))
    assert [matter.key for matter in telling.ledger.told] == ["id-other"]
    assert [matter.key for matter in telling.situation.standing] == ["id-other"]


def test_a_day_later_it_is_told_once_more() -> None:
    """What still stands is told of once a day, all of it together."""
    telling = Telling(every=60 * MINUTES)
    both = report(account(change("shop", Outcome.REFUSED), change("news", Outcome.REFUSED)))
    told = [telling.tells(HELD if hour < 3 else both) for hour in range(60)]
    assert {hour: words for hour, words in enumerate(told) if words} == {
        0: ["+held_back shop"],
        3: ["+held_back news"],
        24: ["=held_back news", "=held_back shop"],
        48: ["=held_back news", "=held_back shop"],
    }


def test_what_is_to_be_made_by_hand_is_told_once() -> None:
    """Nobody is reminded of a key that cannot be made."""
    telling = Telling(every=60 * MINUTES)
    by_hand = report(account(change("shop", Outcome.SKIPPED, action=Action.CREATE)))
    assert [telling.tells(by_hand) for _ in range(50)] == [["+unsupported shop"], *[[]] * 49]


def test_a_sub_account_that_is_suspended_is_not_in_order() -> None:
    """What stood in it before is not over: nobody looked."""
    telling = Telling()
    below = change("shop", Outcome.REFUSED)
    telling.passed(report(account(below, sub_account_id="sub")))
    suspended = report(account(sub_account_id="sub", status=AccountStatus.SUSPENDED))
    assert [telling.tells(suspended) for _ in range(4)] == [[]] * 4
    assert [telling.tells(report(account(sub_account_id="sub"))) for _ in range(2)] == [[], ["-held_back shop"]]


def test_another_name_in_the_files_is_no_recovery() -> None:
    """A key that is renamed there is the same key: neither over nor news; it is told by its new name."""
    telling = Telling(every=60 * MINUTES)
    renamed = report(account(change("shop-eu", Outcome.REFUSED, key_id="id-shop")))
    assert [telling.tells(each) for each in (HELD, renamed, renamed)] == [["+held_back shop"], [], []]
    for _ in range(21):
        telling.passed(renamed)
    assert telling.tells(renamed) == ["=held_back shop-eu"]


def test_what_was_recalled_is_news_once_a_pass_shows_it() -> None:
    """What was told to others before a restart is due to an address when it was seen again, and not before."""
    held, fails = concern(Kind.HELD_BACK), concern(Kind.FAILED)
    standing = {each.matter: Standing.recall(each, NOON, None, NOON) for each in (held, fails)}
    telling = Telling(situation=Situation(standing), now=NOON + 60 * MINUTES)
    assert not telling.due()
    assert telling.tells(report(unread())) == []
    assert [telling.tells(seen(held, fails)) for _ in range(3)] == [["+held_back shop"], [], ["+failed shop"]]


def test_what_was_over_before_a_restart_begins_anew() -> None:
    """Of whatever kind: it was seen to be over then."""
    for kind in Kind:
        before = Standing.recall(concern(kind), NOON, NOON + MINUTES, NOON + 5 * MINUTES)
        assert before.is_over
        assert before.again(concern(kind), NOON + 6 * MINUTES).since == NOON + 6 * MINUTES


def test_what_is_not_delivered_stays_due() -> None:
    """Until a message is delivered it is due, with what came meanwhile; what went meanwhile is not told at all."""
    telling = Telling()
    telling.situation = telling.situation.after(seen(concern(Kind.HELD_BACK, "a")), NOON)
    assert [each.matter.key for each in telling.due().news] == ["a"]
    for _ in range(2):
        telling.situation = telling.situation.after(seen(concern(Kind.HELD_BACK, "b")), NOON)
    assert [each.matter.key for each in telling.due().news] == ["b"]


def test_an_owner_hears_of_their_keys_alone() -> None:
    """An address of an owner is told of that owner's keys, and of nothing else; not even of accounts."""
    changes = (change("shop", Outcome.REFUSED), change("news", Outcome.REFUSED))
    both = report(account(*changes, inventory=(owned("shop", "Team Growth"), owned("news", "team-news"))))
    lost = report(unread(), account(account_id=OTHER))
    telling = Telling(frozenset({"team-growth", "nobody"}))
    assert telling.tells(both) == ["+held_back shop"]
    assert [telling.tells(lost) for _ in range(4)] == [[]] * 4
    assert Telling(frozenset({"nobody"})).tells(both) == []


@pytest.mark.parametrize(
    ("owner", "tag"), [("team-growth", "team-growth"), ("Team Growth", "team-growth"), ("a@b.c", "a-b-c"), ("", "")]
)
def test_owners_as_tags(owner: str, tag: str) -> None:
    """A tag is an owner in lower case, with a dash for what no tag may hold."""
    assert owner_tag(owner) == tag


def test_the_count_of_what_stands() -> None:
    """A notice says how many concerns the address knows of that still stand."""
    telling = Telling()
    both = report(account(change("shop", Outcome.REFUSED), change("news", Outcome.REFUSED)))
    assert telling.passed(both).standing == 2
    telling.passed(HELD)
    assert telling.passed(HELD).standing == 1
    telling.passed(GOOD)
    assert telling.passed(GOOD).standing == 0


def test_the_plan_is_that_of_the_last_report() -> None:
    """A pass that comes to no report takes nothing from it."""
    telling = Telling()
    assert telling.passed(HELD).digest == DIGEST
    assert telling.passed(None).digest == DIGEST
    assert telling.passed(report(unread(), digest=None)).digest is None


def test_nothing_is_due_where_nothing_is() -> None:
    """An empty notice is false."""
    assert not Ledger().due(Situation(), NOON, frozenset())
