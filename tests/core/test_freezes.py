"""Change windows: which changes they pause, until when, and what is said of them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from builders import ACCOUNT, NEWS, NOW, SHOP, SUB_ACCOUNT, below, only, plan, remote, spec, whole
from reconciler.core.changes import Change, Outcome
from reconciler.core.findings import Finding, Severity
from reconciler.core.freezes import (
    Days,
    Freeze,
    Terms,
    ended_freezes,
    freeze_plan,
    frozen,
    idle_freezes,
    in_force,
    report_frozen,
    waiting_fences,
)
from reconciler.core.guardrails import Consent, Limits, approve
from reconciler.core.keys import DesiredAccount, DesiredState, KeyState, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import digest

BERLIN = ZoneInfo("Europe/Berlin")
PLACE = Source("policy.yaml", 3, 5)
MONDAY = datetime(2026, 11, 30, 7, tzinfo=UTC)
WEEKEND = Freeze(Terms("no changes on weekends", BERLIN, source=PLACE), MONDAY)
MOMENT = timedelta(microseconds=1)


def windows(first: date, last: date, terms: Terms = WEEKEND.terms) -> tuple[Days, ...]:
    return (Days(terms, first, last),)


def a_change(**fields: object) -> Change:
    return replace(only(plan((spec("a", SHOP, id="1"),), (remote("1", "a", NEWS),))), **fields)  # type: ignore[arg-type] # whatever a test changes


def a_fence() -> Change:
    return only(plan((spec("a", SHOP, id="1", state=KeyState.QUARANTINED),), (remote("1", "a", SHOP),)))


@pytest.mark.parametrize(
    ("zone", "begins", "hours"),
    [
        (UTC, "2026-03-29T00:00Z", 24),
        (BERLIN, "2026-03-28T23:00Z", 23),
        (ZoneInfo("America/New_York"), "2026-03-29T04:00Z", 24),
        (ZoneInfo("Pacific/Kiritimati"), "2026-03-28T10:00Z", 24),
    ],
)
def test_a_day_is_one_of_its_zone(zone: ZoneInfo, begins: str, hours: int) -> None:
    """A window of one day is in force from that day's first moment in its zone to its last, and tells its end."""
    begin = datetime.fromisoformat(begins)
    end = begin + timedelta(hours=hours)
    day = windows(date(2026, 3, 29), date(2026, 3, 29), Terms("r", zone))
    seen = [in_force(day, now) for now in (begin - MOMENT, begin, end - MOMENT, end)]
    assert [tuple(each.until for each in freezes) for freezes in seen] == [(), (end,), (end,), ()]
    assert {each.until.tzinfo for freezes in seen for each in freezes} == {UTC}


def test_a_day_of_25_hours() -> None:
    """The night in which clocks are put back lasts an hour longer, and the window with it, also where asked in it."""
    day = windows(date(2026, 10, 25), date(2026, 10, 25))
    begin, end = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert end - begin == timedelta(hours=25)
    times = [begin - MOMENT, *(begin + timedelta(hours=hour) for hour in range(25)), end - MOMENT, end]
    asked = [bool(in_force(day, now.astimezone(BERLIN))) for now in times]
    assert asked == [False, *[True] * 26, False]


def test_whole_days_are_both_included() -> None:
    """The first and the last day belong to the window, and all that lies between."""
    days = windows(date(2026, 12, 20), date(2027, 1, 3))
    noons = [datetime(2026, 12, 19, 12, tzinfo=UTC) + timedelta(days=day) for day in range(17)]
    assert [bool(in_force(days, noon)) for noon in noons] == [False, *[True] * 15, False]


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        (MONDAY, "frozen until 2026-11-30 08:00 Europe/Berlin: no changes on weekends"),
        (MONDAY + timedelta(seconds=1), "frozen until 2026-11-30 08:00:01 Europe/Berlin: no changes on weekends"),
    ],
)
def test_what_can_be_made_is_paused(until: datetime, shown: str) -> None:
    """A change that could be made is paused, with the end of the window in its own zone and its reason."""
    paused = frozen(a_change(), [replace(WEEKEND, until=until)])
    assert paused is not None
    assert (paused.outcome, paused.reason) == (Outcome.PAUSED, shown)
    assert digest([paused]) == digest([a_change()])


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.PLANNED])
def test_what_cannot_be_made_stays_as_it_is(outcome: Outcome) -> None:
    """A change that is denied, failed or skipped keeps its outcome and its reason, also in a plan."""
    change = a_change(outcome=outcome, reason="said before")
    assert frozen(change, [WEEKEND]) is None
    made = whole(replace(plan((), ()), changes=(change,)))
    assert freeze_plan(made, [WEEKEND]) == made


def test_every_reason_is_told_once() -> None:
    """All windows that forbid a change are told, one that two policies have but once."""
    other = Freeze(Terms("year end"), NOW)
    paused = frozen(a_change(), [WEEKEND, other, replace(WEEKEND, terms=replace(WEEKEND.terms, source=None))])
    assert paused is not None
    assert paused.reason == f"{WEEKEND}; frozen until 2026-11-23 12:00 UTC: year end"


@pytest.mark.parametrize(
    ("pattern", "concerned"),
    [(None, True), ("1111*", True), (ACCOUNT.account_id.upper(), True), ("2222*", False), ("111", False)],
)
def test_a_window_is_about_accounts_like_its_pattern(pattern: str | None, concerned: bool) -> None:
    """A window with a pattern is about the accounts whose id is like it and about their sub accounts."""
    freeze = replace(WEEKEND, terms=replace(WEEKEND.terms, account=pattern))
    for account in (ACCOUNT, SUB_ACCOUNT, below(3)):
        assert freeze.holds(a_change(account=account)) is concerned


def test_a_fence_goes_on_only_where_every_window_lets_it() -> None:
    """A key may be switched off where each window about its account allows it; the reason names those that do not."""
    lenient = replace(WEEKEND, terms=replace(WEEKEND.terms, allow_quarantine=True))
    strict = Freeze(Terms("year end"), NOW)
    elsewhere = Freeze(Terms("elsewhere", account="2222*"), NOW)
    assert frozen(a_fence(), [lenient, elsewhere]) is None
    assert frozen(a_change(), [lenient]) is not None
    paused = frozen(a_fence(), [lenient, strict])
    assert paused is not None
    assert paused.reason == "frozen until 2026-11-23 12:00 UTC: year end"


def test_a_plan_without_windows_is_left_alone() -> None:
    """Where no window is in force the very same plan is given back; where one is, every account's changes wait."""
    specs, keys = (spec("a", SHOP, id="1"),), (remote("1", "a", NEWS),)
    made = whole(plan(specs, keys), plan(specs, keys, account=below(1)))
    assert freeze_plan(made, ()) is made
    paused = freeze_plan(made, [WEEKEND])
    assert [change.outcome for change in paused.changes] == [Outcome.PAUSED] * 2
    assert paused.digest == made.digest


def test_a_fence_that_would_take_what_a_frozen_change_was_to_grant() -> None:
    """Where keys may be switched off, one that no file names still waits for the grant that is paused (law 7)."""
    lenient = replace(WEEKEND, terms=replace(WEEKEND.terms, allow_quarantine=True))
    rule = UnmanagedRule(UnmanagedAction.QUARANTINE, include_senders=True)
    made = whole(
        plan(
            (spec("a", SHOP, id="1"),),
            (remote("1", "a", NEWS), remote("2", "old", SHOP), remote("3", "other", "domains:read")),
            unmanaged=rule,
        )
    )
    judged = approve(freeze_plan(made, [lenient]), Consent(allowed=frozenset({"max-switched-off"})), NOW).plan
    assert {change.title: change.outcome.value for change in judged.changes} == {
        "a": "paused",
        "unmanaged key 2": "skipped",
        "unmanaged key 3": "planned",
    }


def test_whoever_lets_changes_through_sees_no_window() -> None:
    """With ``--allow freeze`` no window pauses anything; with any other name all do."""
    limits = Limits(windows=windows(date(2026, 11, 23), date(2026, 11, 23)))
    assert [each.terms for each in Consent(limits, frozenset({"restore"})).freezes(NOW)] == [WEEKEND.terms]
    assert Consent(limits, frozenset({"freeze"})).freezes(NOW) == ()


@pytest.mark.parametrize(
    ("terms", "let_through", "message", "hint"),
    [
        ({}, False, f"changes are {WEEKEND}", "let them through with --allow freeze"),
        (
            {"account": "1111*", "allow_quarantine": True},
            False,
            f"changes in accounts like 1111* are {WEEKEND}",
            "keys may still be switched off; let all other through with --allow freeze",
        ),
        ({}, True, f"changes would be {WEEKEND}", "--allow freeze lets them through"),
    ],
)
def test_what_is_said_of_a_window(terms: dict[str, object], let_through: bool, message: str, hint: str) -> None:
    """Each window in force is a note at its place, with its end, its reason and the way out."""
    freeze = replace(WEEKEND, terms=replace(WEEKEND.terms, **terms))  # type: ignore[arg-type] # of several types
    (note,) = report_frozen([freeze], let_through=let_through)
    assert note == Finding("frozen", Severity.NOTE, message, hint, source=PLACE)


@pytest.mark.parametrize(
    ("now", "age"),
    [
        ("2026-11-24T22:59:59Z", None),
        ("2026-11-24T23:00:00Z", None),
        ("2026-11-24T23:00:00.000001Z", "2 days"),
        ("2026-11-25T22:59:59Z", "2 days"),
        ("2026-11-25T23:00:00Z", "3 days"),
        ("2027-11-25T12:00:00Z", "367 days"),
    ],
)
def test_a_forgotten_window_is_told(now: str, age: str | None) -> None:
    """From a day after its end on, a window that still stands in the policy is warned of, with its age in its zone."""
    found = ended_freezes(windows(date(2026, 11, 1), date(2026, 11, 23)), datetime.fromisoformat(now))
    message = f"the change window 'no changes on weekends' ended with 2026-11-23, {age} ago"
    hint = "remove it, or give it new days"
    told = Finding("freeze-ended", Severity.WARN, message, hint, source=PLACE)
    assert found == ((told,) if age else ())


def test_windows_that_are_about_nothing() -> None:
    """A window for an account that no file names freezes nothing, and is told; one for all accounts never is."""
    day = date(2026, 11, 23)
    named = [
        replace(WEEKEND.terms, account=pattern)
        for pattern in (None, ACCOUNT.account_id, f"{ACCOUNT.account_id[:4]}*", "zzzz*")
    ]
    found = idle_freezes([Days(terms, day, day) for terms in named], DesiredState((DesiredAccount(ACCOUNT, ()),)))
    message = "the change window 'no changes on weekends' is about none of the accounts in the files"
    hint = "correct its account, or remove it"
    assert found == (Finding("freeze-matches-nothing", Severity.WARN, message, hint, source=PLACE),)


def test_a_fence_that_waits_for_something_else() -> None:
    """A key that the file itself pauses waits for that, and not for the window: nobody is told to let it through."""
    fence = a_fence()
    held = frozen(fence, (WEEKEND,))
    assert held
    assert [finding.rule for finding in waiting_fences((held,), (WEEKEND,))] == ["fence-waits"]
    assert waiting_fences((fence.ended(Outcome.PAUSED, "paused until 2026-12-01: moves"),), (WEEKEND,)) == ()
    assert waiting_fences((held,), ()) == ()
