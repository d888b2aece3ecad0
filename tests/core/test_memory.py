"""What ``run`` remembers: fights over a key, and changes that the API does not take."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import FENCE, NEWS, NOW, OFFICE, SHOP, below, networks, plan, remote, spec, whole
from reconciler.core.changes import Change, Outcome
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, Source, UnmanagedAction, UnmanagedRule
from reconciler.core.memory import (
    FIRST_PAUSE,
    FIRST_REST,
    LONGEST_PAUSE,
    LONGEST_REST,
    MOST_REVERTS,
    STOOD,
    Memory,
    learn,
    recall,
)
from reconciler.core.plan import Plan
from reconciler.core.rests import FORGOTTEN_AFTER

WANTED = spec("a", SHOP, id="1")
OURS = remote("1", "a", SHOP)
THEIRS = remote("1", "a", NEWS)
EVERY = timedelta(minutes=5)


def of(wanted: KeySpec, key: RemoteKey) -> Plan:
    return whole(plan((wanted,), (key,)))


class Passes:
    """Passes of ``run`` over one key, five minutes apart, each of which applies what it may."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.now = NOW
        self.messages: list[str] = []
        self.severities: list[str] = []

    def make(
        self, wanted: KeySpec, key: RemoteKey, outcome: Outcome = Outcome.APPLIED, *, rejected: bool = False
    ) -> str:
        """Make a pass that finds the key like this; gives what became of its change, or "in sync"."""
        self.now += EVERY
        recalled, self.memory, findings = recall(of(wanted, key), self.memory, self.now)
        self.messages = [finding.message for finding in findings]
        self.severities = [finding.severity.value for finding in findings]
        ended = [self._ended(change, outcome, rejected=rejected) for change in recalled.changes]
        self.memory = learn(self.memory, ended, self.now)
        self.change = ended[0] if ended else None
        return self.change.outcome.value if self.change else "in sync"

    def _ended(self, change: Change, outcome: Outcome, *, rejected: bool) -> Change:
        if not change.applicable:
            return change
        return replace(change.ended(outcome), rejected="said the API" if rejected else None)


def test_a_fight_is_given_up() -> None:
    """What was undone three times is skipped, and said with both values; three writes were made until then."""
    passes = Passes()
    assert [passes.make(WANTED, THEIRS) for _ in range(6)] == ["applied"] * MOST_REVERTS + ["skipped"] * 3
    both = f"scopes is {SHOP} by the files, {NEWS} by the other side"
    assert passes.messages == [f"somebody undoes the change of a, 3 times by now: {both}"]
    assert passes.change is not None
    assert passes.change.reason == (
        "contested: it was undone 3 times, so it is left alone until 2026-11-23 13:20 UTC, or until the files ask for "
        f"something else; {both}"
    )


def test_a_fight_in_which_passes_find_peace() -> None:
    """A pass in between that finds the key in sync ends no fight: the other side may be slower than we are."""
    passes = Passes()
    seen = [passes.make(WANTED, key) for key in (THEIRS, OURS, OURS, THEIRS, OURS, THEIRS, OURS, THEIRS)]
    assert seen == ["applied", "in sync", "in sync", "applied", "in sync", "applied", "in sync", "skipped"]


def test_a_contested_change_is_taken_up_again() -> None:
    """After an hour of rest it is tried once more; if that was for nothing, after two, four, up to a day."""
    passes = Passes()
    rests = []
    for _ in range(MOST_REVERTS):
        passes.make(WANTED, THEIRS)
    for _ in range(8):
        began = passes.now + EVERY
        while passes.make(WANTED, THEIRS) == "skipped":
            assert passes.now - began < LONGEST_REST + EVERY
        rests.append(passes.now - began)
    assert rests == [min(FIRST_REST * 2**times, LONGEST_REST) for times in range(8)]


def test_the_rest_begins_when_the_other_side_stops() -> None:
    """Each move of the other side makes the rest begin anew."""
    passes = Passes()
    for _ in range(MOST_REVERTS):
        passes.make(WANTED, THEIRS)
    for number in range(30):
        assert passes.make(WANTED, remote("1", "a", NEWS if number % 2 else "domains:read")) == "skipped"
    last = remote("1", "a", NEWS)
    assert [passes.make(WANTED, last) for _ in range(12)] == ["skipped"] * 11 + ["applied"]


def test_other_files_end_a_fight() -> None:
    """When the files ask for something else, that is applied at once, and its reverts are counted from the first."""
    passes = Passes()
    for _ in range(MOST_REVERTS + 1):
        passes.make(WANTED, THEIRS)
    other = spec("a", "suppressions:read", id="1")
    assert [passes.make(other, THEIRS) for _ in range(4)] == ["applied"] * 3 + ["skipped"]


def test_a_fight_over_one_field_holds_no_other_back() -> None:
    """What is not fought over goes on, and what is fought over with it; each field has a count of its own."""
    passes = Passes()
    for _ in range(MOST_REVERTS):
        passes.make(WANTED, THEIRS)
    assert passes.make(WANTED, THEIRS) == "skipped"
    assert passes.make(WANTED, replace(THEIRS, label="other")) == "applied"
    assert passes.make(WANTED, remote("1", "other", SHOP)) == "applied"
    assert passes.make(WANTED, THEIRS) == "skipped"


def test_a_new_fence_waits_for_no_fight() -> None:
    """Where the files switch off a key whose label is fought over, that is done at once."""
    passes = Passes()
    named = spec("a", SHOP, id="1", label="ours")
    for _ in range(MOST_REVERTS + 1):
        passes.make(named, OURS)
    assert passes.make(named, OURS) == "skipped"
    assert passes.make(replace(named, state=KeyState.QUARANTINED), OURS) == "applied"


def test_a_fence_is_taken_up_again_every_hour() -> None:
    """A key that is to be off and that somebody switches on again and again stays open for an hour at most."""
    passes = Passes()
    off = spec("a", SHOP, id="1", state=KeyState.QUARANTINED)
    for _ in range(MOST_REVERTS):
        passes.make(off, OURS)
    for _ in range(5):
        assert [passes.make(off, OURS) for _ in range(13)] == ["skipped"] * 12 + ["applied"]
        assert passes.severities == []
    passes.make(off, OURS)
    assert passes.severities == ["deny"]


def test_drift_now_and_then_is_no_fight() -> None:
    """What stood for hours before it was undone is counted from one again."""
    passes = Passes()
    for _ in range(10):
        assert passes.make(WANTED, THEIRS) == "applied"
        passes.now += STOOD
        assert passes.make(WANTED, OURS) == "in sync"
    assert passes.make(WANTED, THEIRS) == "applied"


def test_a_slow_schedule_notices_a_fight() -> None:
    """Where passes are far apart, what each finds undone was never seen to stand."""
    passes = Passes()
    seen = []
    for _ in range(4):
        seen.append(passes.make(WANTED, THEIRS))
        passes.now += timedelta(hours=7)
    assert seen == ["applied"] * 3 + ["skipped"]


def test_whoever_keeps_moving_keeps_no_leak_open() -> None:
    """Another list before each pass makes no rest of a fence begin anew: it is there again every hour."""
    passes = Passes()
    off = spec("a", SHOP, id="1", state=KeyState.QUARANTINED)
    outcomes = [passes.make(off, replace(OURS, ip_allow_list=networks(f"203.0.113.{n}"))) for n in range(60)]
    assert outcomes[:3] == ["applied"] * 3
    assert outcomes[3:] == (["skipped"] * 12 + ["applied"]) * 4 + ["skipped"] * 5


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        (spec("a", SHOP, label="new"), remote("1", "a", SHOP), "label is 'new' by the files, 'a' by the other side"),
        (
            spec("a", SHOP, at=()),
            remote("1", "a", SHOP),
            f"ip_allow_list is anywhere by the files, {OFFICE} by the other side",
        ),
        (
            spec("a", SHOP, state=KeyState.QUARANTINED),
            remote("1", "a", SHOP, at=()),
            f"ip_allow_list is {FENCE} by the files, anywhere by the other side",
        ),
        (spec("a", SHOP), remote("1", "a"), f"scopes is {SHOP} by the files, none by the other side"),
    ],
)
def test_both_values_are_named(wanted: KeySpec, found: RemoteKey, said: str) -> None:
    """Whatever the field, the finding names what the files say and what stood there instead."""
    passes = Passes()
    pinned = replace(wanted, id="1")
    for _ in range(MOST_REVERTS + 1):
        passes.make(pinned, found)
    assert [message.partition(": ")[2] for message in passes.messages] == [said]


def test_unmanaged_keys_are_fought_over_too() -> None:
    """A fence around a key that no file names is given up like any other change."""
    rule = UnmanagedRule(UnmanagedAction.QUARANTINE)
    stray = remote("2", "stray", "domains:read")
    memory, outcomes = Memory(), []
    for number in range(1, 5):
        fresh = whole(plan((), (stray,), unmanaged=rule))
        recalled, memory, _ = recall(fresh, memory, NOW + number * EVERY)
        outcomes += [change.outcome.value for change in recalled.changes]
        applied = (change.ended(Outcome.APPLIED) for change in recalled.changes if change.applicable)
        memory = learn(memory, applied, NOW + number * EVERY)
    assert outcomes == ["planned"] * 3 + ["skipped"]


def test_old_fights_are_forgotten() -> None:
    """What was not seen for two days begins anew; so a tool that undoes something once a night is no flood."""
    passes = Passes()
    for _ in range(MOST_REVERTS):
        passes.make(WANTED, THEIRS)
    passes.now += FORGOTTEN_AFTER
    assert [passes.make(WANTED, THEIRS) for _ in range(4)] == ["applied"] * 3 + ["skipped"]
    passes.now += FORGOTTEN_AFTER
    passes.make(WANTED, OURS)
    assert not passes.memory.contests


def test_each_key_has_a_memory_of_its_own() -> None:
    """The same key id in two sub accounts is two keys."""
    one, two = (plan((WANTED,), (THEIRS,), account=below(number)) for number in (1, 2))
    memory = learn(Memory(), (change.ended(Outcome.APPLIED) for change in one.changes), NOW)
    assert len(memory.contests) == 1
    recalled, _, _ = recall(whole(one, two), replace(memory, contests=dict(memory.contests)), NOW + EVERY)
    assert [change.outcome.value for change in recalled.changes] == ["planned", "planned"]


def test_rejections_are_retried_with_growing_pauses() -> None:
    """Between tries the change stays failed with what the API said; the pauses double up to an hour."""
    passes = Passes()
    assert passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True) == "failed"
    pauses = []
    for _ in range(5):
        tried = passes.now
        rejections = passes.memory.rejections
        while True:
            passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True)
            if passes.memory.rejections != rejections:
                break
            assert passes.change is not None
            assert (passes.change.outcome, passes.change.rejected) == (Outcome.FAILED, None)
        pauses.append(passes.now - tried)
    assert pauses == [min(FIRST_PAUSE * 2**times, LONGEST_PAUSE) for times in range(5)]
    passes.make(WANTED, THEIRS)
    assert passes.change is not None
    assert passes.change.reason == (
        "said the API\n  asked for at keys.yaml:1:5; tried 6 times, again from 2026-11-23 16:15 UTC on, "
        "or when the files ask for something else"
    )


def test_a_rejection_ends() -> None:
    """It ends when the files ask for something else, when the change is applied after all, and when it is old."""
    passes = Passes()
    passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True)
    assert passes.make(spec("a", "domains:read"), THEIRS) == "applied"
    passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True)
    assert passes.make(WANTED, THEIRS) == "failed"
    assert passes.change is not None
    assert "tried once, again from" in str(passes.change.reason)
    assert passes.make(spec("a", "domains:read"), THEIRS) == "applied"
    assert not passes.memory.rejections
    passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True)
    passes.now += FIRST_PAUSE
    assert passes.make(WANTED, THEIRS) == "applied"
    assert not passes.memory.rejections
    passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True)
    passes.now += FORGOTTEN_AFTER
    passes.make(WANTED, OURS)
    assert not passes.memory.rejections


def test_a_rejection_holds_whatever_else_changes_meanwhile() -> None:
    """The label goes back and forth out of band while the scopes are rejected: it is the same wish, tried as seldom."""
    passes = Passes()
    labels = ("a", "other")
    outcomes = []
    for number in range(8):
        passes.make(WANTED, replace(THEIRS, label=labels[number % 2]), Outcome.FAILED, rejected=True)
        (rejection,) = passes.memory.rejections.values()
        outcomes.append(rejection.tries)
    assert outcomes == [1, 1, 2, 2, 2, 2, 3, 3]


def test_a_fence_waits_for_no_rejection() -> None:
    """To switch a key off is tried in each pass, whatever the API said before."""
    passes = Passes()
    off = spec("a", SHOP, id="1", state=KeyState.QUARANTINED)
    for tries in range(1, 4):
        passes.make(off, OURS, Outcome.FAILED, rejected=True)
        (rejection,) = passes.memory.rejections.values()
        assert rejection.tries == tries


def test_a_held_rejection_names_the_place_of_today() -> None:
    """Lines above the key may come and go between tries."""
    passes = Passes()
    passes.make(WANTED, THEIRS, Outcome.FAILED, rejected=True)
    passes.make(replace(WANTED, source=Source("keys.yaml", 7, 5)), THEIRS)
    assert passes.change is not None
    assert "asked for at keys.yaml:7:5" in str(passes.change.reason)


def test_what_failed_otherwise_is_tried_in_the_next_pass() -> None:
    """Only what the API rejected is remembered; a fault is over sooner than that."""
    passes = Passes()
    assert [passes.make(WANTED, THEIRS, Outcome.FAILED) for _ in range(3)] == ["failed"] * 3
    assert (passes.memory.contests, passes.memory.rejections) == ({}, {})


def test_what_is_held_back_anyway_is_left_as_it_is() -> None:
    """A change that is not to be made is no revert, and keeps its own reason; one without a key has no history."""
    memory = learn(Memory(), (change.ended(Outcome.APPLIED) for change in of(WANTED, THEIRS).changes), NOW)
    fenced = of(
        replace(WANTED, ip_allow_list=None), replace(THEIRS, ip_allow_list=remote("1", "", at=(FENCE,)).ip_allow_list)
    )
    creation = whole(plan((replace(WANTED, id=None),), ()))
    for held in (fenced, creation):
        recalled, later, _ = recall(held, memory, NOW + STOOD)
        assert recalled == held
        assert later.contests == memory.contests
        assert learn(memory, held.changes, NOW) == memory
