"""Laws of telling people: nothing twice while it stands, nothing over that was not told, and a restart is no event."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from core.telling import MINUTES, SHOP, Telling, seen
from daemon.chained import opened
from laws.universe import law
from reconciler.core.concerns import Concern, Kind, Matter, Observation
from reconciler.core.telling import CALM, OVER_PASSES, Notice, Situation
from reconciler.daemon.told import Register, recall, to_store

matters = st.builds(
    Matter,
    st.sampled_from(Kind),
    st.sampled_from([SHOP, "other"]),
    st.none() | st.just("sub"),
    st.sampled_from(["a", "b"]),
)


@dataclass
class Step:
    """One pass, how long after the one before, and whether messages are delivered after it."""

    seen: Observation
    wait: timedelta
    delivers: bool = True


def observations() -> st.SearchStrategy[Observation]:
    """What passes show; each matter stands about every other time."""
    unread = st.frozensets(st.sampled_from([(SHOP, None), ("other", "sub")]), max_size=1)
    concerns = st.lists(matters.map(Concern), max_size=4)
    return st.builds(lambda some, lost, blind: seen(*some, unread=lost, blind=blind), concerns, unread, st.booleans())


def steps(delivers: st.SearchStrategy[bool]) -> st.SearchStrategy[list[Step]]:
    waits = st.sampled_from([timedelta(seconds=1), 5 * MINUTES, 60 * MINUTES, timedelta(days=1)])
    return st.lists(st.builds(Step, observations(), waits, delivers), max_size=30)


@dataclass
class Story:
    """An address, and what it was told after each pass."""

    telling: Telling = field(default_factory=Telling)
    told: list[Notice] = field(default_factory=list)

    def goes(self, story: Sequence[Step]) -> "Story":
        for step in story:
            self.telling.now += step.wait
            awaited = self.telling.ledger.awaited
            self.telling.situation = self.telling.situation.after(step.seen, self.telling.now, awaited)
            notice = self.telling.due()
            self.told.append(notice if step.delivers else Notice())
            if notice and step.delivers:
                self.telling.ledger = self.telling.ledger.after(notice, self.telling.now)
        return self

    def restarts(self, folder: Path) -> None:
        """The daemon ends, and another one begins with what the trail says."""
        path = folder / "trail"
        with opened(path) as trail:
            trail.store_notified(to_store(self.telling.situation, {"a": Register(self.telling.ledger)}))
        situation, registers = recall(path, self.telling.now)
        self.telling.situation = situation
        self.telling.ledger = registers["a"].ledger


@settings(law)
@given(steps(st.booleans()))
def test_news_and_recovery_take_turns(story: list[Step]) -> None:
    """Of each matter an address hears that it stands, then perhaps reminders, then that it is over, and so on."""
    standing: set[Matter] = set()
    for notice in Story().goes(story).told:
        news, over, reminders = (
            {each.matter for each in some} for some in (notice.news, notice.over, notice.reminders)
        )
        assert not news & standing
        assert over | reminders <= standing
        assert not over & reminders
        standing = (standing | news) - over
        assert notice.standing in (0, len(standing))


@settings(law)
@given(steps(st.just(True)))
def test_only_what_stands_is_news(story: list[Step]) -> None:
    """What is told as new was shown by the very pass after which it is told, what is over by none of the last ones."""
    for number, (step, notice) in enumerate(zip(story, Story().goes(story).told, strict=True)):
        assert {each.matter for each in (*notice.news, *notice.reminders)} <= {
            *step.seen.concerns,
            *(matter for each in story[:number] for matter in each.seen.concerns if not step.seen.knows(matter)),
        }
        for each in notice.over:
            assert all(
                each.matter not in before.seen.concerns for before in story[number - OVER_PASSES + 1 : number + 1]
            )


@settings(law)
@given(steps(st.just(True)))
def test_what_is_over_for_good_is_told_to_be_over(story: list[Step]) -> None:
    """Whatever happened, after a day of good order nothing is left standing of which an address was told."""
    calm = [Step(seen(), wait) for wait in (*[5 * MINUTES] * OVER_PASSES, *[timedelta(hours=6)] * 4)]
    after = Story().goes([*story, *calm])
    assert all(told.over is not None for told in after.telling.ledger.told.values())


@settings(law)
@given(steps(st.just(True)), steps(st.just(True)))
def test_a_restart_is_no_event(before: list[Step], after: list[Step]) -> None:
    """What was told is not told again, and what of it is over is told to be, as if there had been no restart.

    But for what was about to be told, or over: the passes that show it are counted anew.
    """
    whole = Story().goes(before)
    again = Story().goes(before)
    with TemporaryDirectory() as folder:
        again.restarts(Path(folder))
    told = set(whole.telling.ledger.told)
    assert set(again.telling.ledger.told) == {matter for matter in told if matter in whole.telling.situation.standing}
    standing = {matter for matter, each in again.telling.ledger.told.items() if each.over is None}
    assert not again.telling.due().news
    shown: set[Matter] = set()
    for step, notice in zip(after, again.goes(after).told[len(before) :], strict=True):
        shown |= step.seen.concerns.keys()
        assert not {each.matter for each in notice.news} & standing
        assert {each.matter for each in notice.news} <= shown
        assert {each.matter for each in notice.over} <= standing
        standing = (standing | {each.matter for each in notice.news}) - {each.matter for each in notice.over}


@settings(law)
@given(steps(st.just(True)))
def test_what_is_stored_reads_back(story: list[Step]) -> None:
    """A line of the trail gives back who was told of what, when, and since when it stands; and holds no text."""
    told = Story().goes(story).telling
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trail"
        with opened(path) as trail:
            registers = {each: Register(told.ledger, each) for each in "ab"}
            trail.store_notified(to_store(told.situation, {"c": Register()}))
            trail.store_notified(to_store(told.situation, registers))
        situation, recalled = recall(path, told.now)
    kept = {matter: each for matter, each in told.ledger.told.items() if matter in told.situation.standing}
    assert {name: dict(each.ledger.told) for name, each in recalled.items()} == {"a": kept, "b": kept}
    assert {matter: (each.since, each.is_over) for matter, each in situation.standing.items()} == {
        matter: (told.situation.standing[matter].since, told.situation.standing[matter].is_over) for matter in kept
    }


@settings(law)
@given(st.lists(st.booleans(), max_size=300))
def test_flapping_tells_little(shown: list[bool]) -> None:
    """However a key comes and goes within some hours, it is told a handful of times."""
    one = Concern(Matter(Kind.HELD_BACK, SHOP, None, "shop"))
    story = [Step(seen(*([one] if each else [])), MINUTES) for each in shown]
    notices = [notice for notice in Story().goes(story).told if notice]
    assert len(notices) <= 2 + 2 * (300 * MINUTES / CALM).__ceil__().bit_length()


@settings(law)
@given(st.permutations([Concern(Matter(kind, SHOP, None, key)) for kind in Kind for key in "ab"]))
def test_order_does_not_matter(concerns: list[Concern]) -> None:
    """In whatever order a pass shows concerns, the most serious are told first."""
    told = Story(Telling(situation=Situation())).goes([Step(seen(*concerns), MINUTES)]).told
    order = [(each.matter.kind.rank, each.matter.key) for each in told[0].news]
    assert order == sorted(order)
    assert json.dumps([each.matter.kind for each in told[0].news]).count("held_back") == 2
