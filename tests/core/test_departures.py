"""Keys that files name no more: what was named a moment ago is spared for a while."""

from datetime import timedelta

from builders import ACCOUNT, NEWS, SHOP, plan, remote, spec
from reconciler.core.changes import Outcome
from reconciler.core.departures import GRACE, Named, first_end, look, spare
from reconciler.core.keys import KeyState, UnmanagedAction, UnmanagedRule
from reconciler.core.plan import Plan

FENCE = UnmanagedRule(UnmanagedAction.QUARANTINE, min_age=timedelta())
MOMENT = 1000.0
KEYS = (remote("1", "a", SHOP, "domains:read"), remote("2", "b", NEWS, "domains:read"))
A, B = spec("a", SHOP, "domains:read", id="1"), spec("b", NEWS, "domains:read", id="2")


def planned(*names: str) -> Plan:
    """The plan where files name these keys, and want all others switched off."""
    specs = tuple(each for each in (A, B) if each.name in names)
    return Plan((plan(specs, KEYS, unmanaged=FENCE),))


def judged(before: Named, *names: str, after: float = 0.0) -> tuple[dict[str, tuple[Outcome, str | None]], Named]:
    """What becomes of changes, by label, after so long; and what is remembered then."""
    made = planned(*names)
    named = look(made, before, MOMENT + after)
    return {change.label: (change.outcome, change.reason) for change in spare(made, named).changes}, named


def test_a_key_that_was_named_a_moment_ago() -> None:
    """A key that files named in the pass before is not switched off for five minutes, and then it is."""
    _, named = judged(Named(), "a", "b")
    changes, named = judged(named, "a", after=1)
    told = "a file named it a moment ago: it is switched off if none has for 5 minutes"
    assert changes == {"b": (Outcome.PAUSED, told)}
    changes, named = judged(named, "a", after=GRACE)
    assert changes["b"][0] is Outcome.PAUSED
    changes, named = judged(named, "a", after=GRACE + 1)
    assert changes == {"b": (Outcome.PLANNED, None)}
    assert named.left == {}


def test_a_key_that_comes_back() -> None:
    """One that is named again is forgotten as one that left; if it leaves once more it has the whole time again."""
    _, named = judged(Named(), "a", "b")
    _, named = judged(named, "a", after=60)
    _, named = judged(named, "a", "b", after=240)
    assert named.left == {}
    changes, _ = judged(named, "a", after=480)
    assert changes["b"][0] is Outcome.PAUSED


def test_a_key_that_was_never_named() -> None:
    """One that no pass of this process saw named is switched off at once: nothing says that it is only missing."""
    changes, _ = judged(Named(), "a")
    assert changes == {"b": (Outcome.PLANNED, None)}


def test_namesakes_and_keys_of_which_it_cannot_be_told() -> None:
    """A key that bears the label of a desired one, and one that may be it, is as good as named: it is spared, too."""
    twins = tuple(remote(str(number), "aabb"[number], SHOP, "domains:read") for number in range(4))
    both = Plan((plan((spec("a", SHOP, id="1"), spec("b", NEWS)), twins, unmanaged=FENCE),))
    neither = Plan((plan((spec("c", SHOP, state=KeyState.QUARANTINED),), twins, unmanaged=FENCE),))
    named = look(neither, look(both, Named(), MOMENT), MOMENT + 1)
    fences = [change for change in spare(neither, named).changes if change.name is None]
    assert {change.outcome for change in fences} == {Outcome.PAUSED}
    assert len(fences) == 4
    assert first_end(named) == MOMENT + 1 + GRACE
    assert first_end(Named()) is None


def test_an_account_that_is_gone() -> None:
    """The keys of an account that no file means for a moment are spared when it is back; later they are forgotten."""
    _, named = judged(Named(), "a", "b")
    gone = look(Plan((), complete=True), named, MOMENT + 10)
    assert gone.named == {}
    assert judged(gone, "a", after=20)[0]["b"][0] is Outcome.PAUSED
    assert look(Plan((), complete=True), gone, MOMENT + 10 + GRACE) == Named()


def test_an_account_that_was_not_read() -> None:
    """Of an account that a pass could not read it stays known which keys were named, and which had left."""
    _, named = judged(Named(), "a", "b")
    _, named = judged(named, "a", after=60)
    unread = look(Plan((), complete=False), named, MOMENT + 120)
    assert (unread.named, unread.left) == (named.named, {(*ACCOUNT.identity, "2"): MOMENT + 60})
    assert judged(unread, "a", after=180)[0]["b"][0] is Outcome.PAUSED


def test_other_changes_go_on() -> None:
    """What files ask for by name is made at once, and a key that no file ever named is switched off at once, too."""
    _, named = judged(Named(), "a", "b")
    made = Plan((plan((spec("a", NEWS, id="1"),), (*KEYS, remote("3", "c", NEWS, "domains:read")), unmanaged=FENCE),))
    spared = spare(made, look(made, named, MOMENT))
    wanted = {"a": Outcome.PLANNED, "b": Outcome.PAUSED, "c": Outcome.PLANNED}
    assert {change.label: change.outcome for change in spared.changes} == wanted
