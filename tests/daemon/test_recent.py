"""What is kept of what became of keys: bounded in all, and a noisy key does not push out the others."""

from collections import Counter
from typing import Any

from reconciler.core.changes import AccessChange, Action, Delta, Direction, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.status import Occurrence
from reconciler.daemon.recent import MOST, OF_EACH_KEY, Recent


def occurrence(key: str, second: int = 0, **given: object) -> Occurrence:
    """Something that became of a key, in some second after ten."""
    time = f"2026-11-23T10:{second // 60:02}:{second % 60:02}.000Z"
    access = AccessChange(Direction.WIDEN, Delta(granted=("domains:read",)))
    told: dict[str, Any] = {"key_id": key, "name": key, "label": key, "fields": Fields(), "access": access, **given}
    return Occurrence(
        time=time,
        run_id="run",
        trigger=None,
        mode=None,
        account_id="a-1",
        sub_account_id=None,
        action=Action.UPDATE,
        outcome=Outcome.APPLIED,
        reason=None,
        asked_by=None,
        **told,
    )


def names(recent: Recent) -> list[str | None]:
    return [each.name for each in recent.newest_first]


def test_the_newest_come_first() -> None:
    """While there is room all is kept, the newest first, and nothing is lost."""
    recent = Recent()
    for number, key in enumerate(("one", "two", "one")):
        recent.add(occurrence(key, number))
    assert names(recent) == ["one", "two", "one"]
    assert recent.newest_first[0].time == "2026-11-23T10:00:02.000Z"
    assert recent.lost is None


def test_beyond_the_bound_the_oldest_go() -> None:
    """Where each key has but a few, the oldest go, and it is known since when what is left is whole."""
    recent = Recent(most=3)
    for number in range(5):
        recent.add(occurrence(f"k{number}", number))
    assert names(recent) == ["k4", "k3", "k2"]
    assert recent.lost == "2026-11-23T10:00:01.000Z"


def test_a_noisy_key_does_not_push_out_the_others() -> None:
    """A key that changes in every pass leaves the others what became of them long ago."""
    recent = Recent(most=20)
    for number in range(8):
        recent.add(occurrence(f"quiet{number}", number))
    for number in range(500):
        recent.add(occurrence("noisy", 10 + number))
    counts = Counter(names(recent))
    assert (len(recent.newest_first), counts["noisy"], len(counts)) == (20, 12, 9)
    assert recent.newest_first[0].time == "2026-11-23T10:08:29.000Z"
    assert recent.lost == "2026-11-23T10:08:17.000Z"


def test_keys_without_a_name_are_not_one() -> None:
    """Keys that no file names are told apart by their ids."""
    recent = Recent(most=20)
    for number in range(8):
        recent.add(occurrence(f"quiet{number}", number, name=None))
    for number in range(50):
        recent.add(occurrence("noisy", 10 + number, name=None))
    assert len({each.key_id for each in recent.newest_first}) == 9


def test_many_noisy_keys_keep_their_newest_ones() -> None:
    """Where many keys are noisy, each keeps its newest few; the oldest of what is beyond that goes first."""
    recent = Recent(most=12)
    for number in range(20):
        recent.add(occurrence("one", number))
        recent.add(occurrence("two", number))
    assert Counter(names(recent)) == {"one": 6, "two": 6}
    for number in range(30, 40):
        recent.add(occurrence(f"k{number}", number))
    assert OF_EACH_KEY == 5
    assert names(recent)[:10] == [f"k{number}" for number in range(39, 29, -1)]
    assert names(recent)[10:] == ["two", "one"]


def test_a_key_that_is_gone_and_comes_again() -> None:
    """A key of which all was let go is one like any other when it comes again."""
    recent = Recent(most=1)
    for number, key in enumerate(("one", "two", "one", "two")):
        recent.add(occurrence(key, number))
    assert names(recent) == ["two"]
    assert recent._newest.keys() == {("a-1", None, "two")}


def test_large_changes_count_for_more() -> None:
    """Changes of lists of thousands of networks do not fill the memory, but the newest is always there."""
    recent = Recent(most_texts=100)
    large = Fields(TextDiff(None, "x"), ip_allow_list=ListDiff(tuple(map(str, range(30))), tuple(map(str, range(15)))))
    for number in range(9):
        recent.add(occurrence(f"k{number}", number, fields=large))
    assert names(recent) == ["k8", "k7"]
    huge = Fields(scopes=ListDiff(None, tuple(map(str, range(1000)))))
    recent.add(occurrence("huge", 20, fields=huge))
    assert names(recent) == ["huge"]
    recent.add(occurrence("small", 21))
    assert names(recent) == ["small"]


def test_a_pass_over_many_keys_is_quick() -> None:
    """A hundred thousand decisions in one pass are bounded, and take moments."""
    recent = Recent()
    one = occurrence("k")
    for number in range(100_000):
        recent.add(occurrence(f"k{number}") if number % 50 == 0 else one)
    assert len(recent.newest_first) == MOST
