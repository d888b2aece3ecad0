"""Keys that files name no more: what was named a moment ago is spared for a while."""

from datetime import timedelta

import pytest

from builders import ACCOUNT, NEWS, NOW, SHOP, plan, remote, spec
from reconciler.core.changes import Outcome
from reconciler.core.departures import GRACE, Named, look, spare
from reconciler.core.keys import UnmanagedAction, UnmanagedRule
from reconciler.core.plan import Plan

FENCE = UnmanagedRule(UnmanagedAction.QUARANTINE, min_age=timedelta())
KEYS = (remote("1", "a", SHOP, "domains:read"), remote("2", "b", NEWS, "domains:read"))
A, B = spec("a", SHOP, "domains:read", id="1"), spec("b", NEWS, "domains:read", id="2")


def planned(*names: str) -> Plan:
    """The plan where files name these keys, and want all others switched off."""
    specs = tuple(each for each in (A, B) if each.name in names)
    return Plan((plan(specs, KEYS, unmanaged=FENCE),))


def judged(
    before: Named, *names: str, after: timedelta = timedelta()
) -> tuple[dict[str, tuple[Outcome, str | None]], Named]:
    """What becomes of changes, by label, after so long; and what is remembered then."""
    made = planned(*names)
    named = look(made, before, NOW + after)
    return {change.label: (change.outcome, change.reason) for change in spare(made, named).changes}, named


def test_a_key_that_was_named_a_moment_ago() -> None:
    """A key that files named in the pass before is not switched off for five minutes, and then it is."""
    _, named = judged(Named(), "a", "b")
    changes, named = judged(named, "a", after=timedelta(seconds=1))
    told = "a file named it until 12:00:01 UTC: it is switched off if none does by 12:05:01 UTC"
    assert changes == {"b": (Outcome.PAUSED, told)}
    changes, named = judged(named, "a", after=GRACE)
    assert changes["b"][0] is Outcome.PAUSED
    changes, named = judged(named, "a", after=GRACE + timedelta(seconds=1))
    assert changes == {"b": (Outcome.PLANNED, None)}
    assert named.left == {}


def test_a_key_that_comes_back() -> None:
    """One that is named again is forgotten as one that left; if it leaves once more it has the whole time again."""
    _, named = judged(Named(), "a", "b")
    _, named = judged(named, "a", after=timedelta(minutes=1))
    _, named = judged(named, "a", "b", after=timedelta(minutes=4))
    assert named.left == {}
    changes, _ = judged(named, "a", after=timedelta(minutes=8))
    assert changes["b"][0] is Outcome.PAUSED


def test_a_key_that_was_never_named() -> None:
    """One that no pass of this process saw named is switched off at once: nothing says that it is only missing."""
    changes, _ = judged(Named(), "a")
    assert changes == {"b": (Outcome.PLANNED, None)}


def test_an_account_that_was_not_read() -> None:
    """Of an account that a pass could not read it stays known which keys were named, and which had left."""
    _, named = judged(Named(), "a", "b")
    _, named = judged(named, "a", after=timedelta(minutes=1))
    unread = look(Plan(()), named, NOW + timedelta(minutes=2))
    assert (unread.named, unread.left) == (named.named, {(*ACCOUNT.identity, "2"): NOW + timedelta(minutes=1)})
    assert judged(unread, "a", after=timedelta(minutes=3))[0]["b"][0] is Outcome.PAUSED


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=-400)])
def test_a_clock_that_is_set_back(jump: timedelta) -> None:
    """Where the clock is set back a key is spared for five minutes from then on, and not for ever."""
    _, named = judged(Named(), "a", "b")
    _, named = judged(named, "a", after=timedelta(minutes=1))
    changes, named = judged(named, "a", after=jump)
    assert changes["b"][0] is Outcome.PAUSED
    changes, _ = judged(named, "a", after=jump + GRACE)
    assert changes["b"][0] is Outcome.PLANNED


def test_other_changes_go_on() -> None:
    """What files ask for by name is made at once, and a key that no file ever named is switched off at once, too."""
    _, named = judged(Named(), "a", "b")
    made = Plan((plan((spec("a", NEWS, id="1"),), (*KEYS, remote("3", "c", NEWS, "domains:read")), unmanaged=FENCE),))
    spared = spare(made, look(made, named, NOW))
    wanted = {"a": Outcome.PLANNED, "b": Outcome.PAUSED, "c": Outcome.PLANNED}
    assert {change.label: change.outcome for change in spared.changes} == wanted
