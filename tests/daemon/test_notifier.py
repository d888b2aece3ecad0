"""The notifier on a clock that jumps: who is told when, whatever addresses do, and that no pass is disturbed by it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.telling import GOOD, NOON, OTHER, account, change, concern, finding, owned, report, seen, unread
from daemon.chained import SHOP as A_CHANGE
from daemon.chained import opened
from daemon.house import Daemon, minutes, shop
from daemon.test_trail import events as stored_events
from reconciler.core.changes import Outcome
from reconciler.core.concerns import Kind
from reconciler.core.events import (
    ChangeStarted,
    ConfigRejected,
    DaemonFaulted,
    Event,
    NotificationFailed,
    NotificationSent,
    PassFailed,
    PassFinished,
    PassStarted,
    tell_all,
)
from reconciler.core.report import Mode, Report
from reconciler.core.telling import Ledger, Situation, Told
from reconciler.daemon.notifier import LAST_MOMENT, Notifier, Post, Recipient, Terms
from reconciler.daemon.told import Register, to_store
from reconciler.daemon.trail import Trail
from reconciler.errors import Problem, TrailError
from reconciler.notify.delivery import Receipt
from reconciler.render.notice import Message
from virtual_time import run_in_calendar

HELD = report(account(change("shop", Outcome.REFUSED, "hold: INC-1")))
BOTH = report(account(change("shop", Outcome.REFUSED, "hold: INC-1"), change("news", Outcome.REFUSED, "hold: INC-1")))
EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Somebody:
    """An address."""

    name: str = "json://a"
    tags: frozenset[str] = frozenset()
    password: str = ""
    identity: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", self.identity or f"of {self.name}")


@dataclass
class Office:
    """A notifier with addresses, what they were sent and when, and what each does with a message."""

    people: list[Recipient] = field(default_factory=lambda: [Somebody()])
    does: dict[str, Callable[[], Awaitable[str | Receipt | None]]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    sent: list[tuple[float, str, Message]] = field(default_factory=list)
    taken: list[tuple[str, ...]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    trail: Trail | None = None

    def opens(self) -> Notifier:
        self.notifier = Notifier(
            Post(lambda: self.people, self.send),
            Terms(EVERY, None, lambda: self.secrets),
            self.events.append,
            self.trail,
        )
        return self.notifier

    async def send(self, identity: str, message: Message, taken: tuple[str, ...]) -> Receipt:
        name = next(each.name for each in self.people if each.identity == identity)
        self.sent.append((asyncio.get_running_loop().time(), name, message))
        self.taken.append(taken)
        result = await self.does[name]() if name in self.does else None
        return result if isinstance(result, Receipt) else Receipt(result)

    def works(self, story: Callable[[], Awaitable[None]]) -> None:
        """Run a notifier while a story is told, and stop it then."""

        async def work(_calendar: object) -> None:
            notifier = self.opens()
            working = asyncio.create_task(notifier.run())
            await story()
            working.cancel()
            await notifier.stop()

        run_in_calendar(NOON, work)

    def passes(self, result: Report | PassFailed) -> None:
        self.notifier(PassStarted("run", Mode.APPLY, 1))
        self.notifier(PassFinished("run", result, 1.0) if isinstance(result, Report) else result)

    async def over(self, results: Sequence[Report | PassFailed], every: float = 60) -> None:
        """Passes one after another."""
        for each in results:
            self.passes(each)
            await asyncio.sleep(every)

    @property
    def titles(self) -> list[tuple[float, str]]:
        return [(at, message.title.partition(" in account")[0]) for at, _, message in self.sent]

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def fails() -> str | None:
    return "it answered 503"


async def hangs() -> str | None:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def after(seconds: float, result: str | None = None) -> Callable[[], Awaitable[str | None]]:
    async def waits() -> str | None:
        await asyncio.sleep(seconds)
        return result

    return waits


def test_people_are_told_at_once() -> None:
    """What a pass holds back is sent as soon as the pass is over, and told in the log."""
    office = Office()
    office.works(lambda: office.over([HELD, HELD, HELD]))
    assert office.titles == [(0.0, "1 key held back")]
    assert office.events == [NotificationSent("json://a", 1, 0, 0)]


def test_what_comes_soon_after_is_in_the_next_message() -> None:
    """An address gets one message in five minutes; what came and went meanwhile is in none."""
    office = Office()
    more = [HELD, BOTH, BOTH, *[replace(BOTH)] * 6]
    office.works(lambda: office.over(more))
    assert office.titles == [(0.0, "1 key held back"), (300.0, "1 key held back")]
    office = Office()
    office.works(lambda: office.over([HELD, BOTH, *[HELD] * 10]))
    assert len(office.sent) == 1


def test_recovery() -> None:
    """What was told is told to be over, once."""
    office = Office()
    office.works(lambda: office.over([HELD, *[GOOD] * 12]))
    assert office.titles == [(0.0, "1 key held back"), (300.0, "Over: 1 concern, nothing stands any more")]
    assert office.events[-1] == NotificationSent("json://a", 0, 1, 0)


def test_a_year_is_quiet() -> None:
    """What stands for ten days is told once, and of once a day."""
    office = Office()
    office.works(lambda: office.over([HELD] * 240, every=3600))
    assert [title for _, title in office.titles] == ["1 key held back", *["Still: 1 concern after a day"] * 9]


def test_an_address_that_fails_gets_it_again() -> None:
    """With growing pauses, and never a second time once it took it; the others got it once."""
    office = Office([Somebody("json://good"), Somebody("json://bad")], {"json://bad": fails})

    async def story() -> None:
        await office.over([HELD] * 20)
        del office.does["json://bad"]
        await office.over([HELD] * 60)

    office.works(story)
    assert [at for at, name, _ in office.sent if name == "json://good"] == [0.0]
    assert [at for at, name, _ in office.sent if name == "json://bad"] == [0.0, 60.0, 180.0, 420.0, 900.0, 1800.0]
    failed = office.told(NotificationFailed)
    assert [(each.attempt, each.wait) for each in failed] == [(1, 60), (2, 120), (3, 240), (4, 480), (5, 900)]
    assert {each.error for each in failed} == {"it answered 503"}


def test_an_address_that_is_mended_is_tried_at_once() -> None:
    """Its pause was for what it was before; one that took a message a moment ago still waits for its turn."""
    office = Office([Somebody("json://good"), Somebody("json://bad")], {"json://bad": fails})

    async def story() -> None:
        await office.over([HELD] * 4, every=600)
        del office.does["json://bad"]
        office.people[:] = [Somebody("json://good", password="new"), Somebody("json://bad", password="new")]
        await office.over([BOTH])
        office.people[:] = [Somebody("json://good", password="newer")]
        await office.over([report(account(change("other", Outcome.REFUSED)))] * 6)

    office.works(story)
    assert [at for at, name, _ in office.sent if name == "json://bad"][-1] == 2400.0
    assert [at for at, name, _ in office.sent if name == "json://good"] == [0.0, 2400.0, 2700.0]


def test_after_a_delivery_pauses_begin_anew() -> None:
    """A failure after a success is the first one again."""
    office = Office(does={"json://a": fails})

    async def story() -> None:
        await office.over([HELD] * 2)
        del office.does["json://a"]
        await office.over([HELD] * 10)
        office.does["json://a"] = fails
        await office.over([BOTH])

    office.works(story)
    assert [type(each).__name__ for each in office.events] == ["NotificationFailed"] * 2 + [
        "NotificationSent",
        "NotificationFailed",
    ]
    assert office.events[-1] == NotificationFailed("json://a", "it answered 503", 1, 60.0)


def test_one_that_was_dead_for_days_hears_that_it_is_over() -> None:
    """However long it could not be told: it was told that it stands."""
    office = Office()

    async def story() -> None:
        await office.over([HELD], every=3600)
        office.does["json://a"] = fails
        await office.over([GOOD] * 100, every=3600)
        office.does.clear()
        await office.over([GOOD], every=3600)

    office.works(story)
    assert office.told(NotificationSent)[1:] == [NotificationSent("json://a", 0, 1, 0)]


def test_pauses_are_bounded() -> None:
    """However long an address fails, it is tried every quarter of an hour; what it missed is in one message."""
    office = Office(does={"json://a": fails})

    async def story() -> None:
        await office.over([HELD] * 12, every=3600)
        assert max(each.wait for each in office.told(NotificationFailed)) == 900
        office.does.clear()
        await office.over([BOTH] * 2, every=3600)

    office.works(story)
    assert office.sent[-1][2].title.startswith("2 keys held back")


def test_what_is_over_before_it_was_delivered_is_not_told() -> None:
    """An address that comes back to life hears how things stand, and nothing of what was meanwhile."""
    office = Office(does={"json://a": fails})

    async def story() -> None:
        await office.over([HELD, GOOD, GOOD])
        office.does.clear()
        await office.over([GOOD] * 100)

    office.works(story)
    assert office.told(NotificationSent) == []


def test_one_that_hangs_delays_nobody() -> None:
    """While a message to it is under way it gets nothing more, and the others are told all along."""
    office = Office([Somebody("json://good"), Somebody("json://hangs")], {"json://hangs": hangs})
    office.works(lambda: office.over([HELD, *[BOTH] * 60]))
    assert [at for at, name, _ in office.sent if name == "json://good"] == [0.0, 300.0]
    assert [at for at, name, _ in office.sent if name == "json://hangs"] == [0.0]


def test_one_that_hangs_each_time_fails_each_time() -> None:
    """Each attempt that is given up is told, and the next one comes after the pause."""
    office = Office(does={"json://a": after(60, "it has not answered for 60 seconds")})
    office.works(lambda: office.over([HELD] * 60))
    assert [at for at, _, _ in office.sent] == [0.0, 120.0, 300.0, 600.0, 1140.0, 2100.0, 3060.0]
    assert len(office.told(NotificationFailed)) == 7


def test_what_some_recipients_took_is_not_sent_to_them_again() -> None:
    """Of the same message the next attempt leaves them out, and the one after that all who took it by then."""
    office = Office()
    some = iter([("a",), ("b",), ()])

    async def partly() -> Receipt:
        return Receipt("its mail server answered 550", next(some, ()))

    office.does["json://a"] = partly

    async def story() -> None:
        await office.over([HELD] * 6)
        await office.over([BOTH] * 6)

    office.works(story)
    assert office.taken == [(), ("a",), ("a", "b"), ()]
    assert [title for _, title in office.titles] == [*["1 key held back"] * 3, "2 keys held back"]


def test_the_end_waits_a_moment() -> None:
    """For what is under way, and not for what hangs."""
    for does, seconds, sent in ((after(1), 1.0, 1), (hangs, LAST_MOMENT, 0)):
        office = Office(does={"json://a": does})
        ends: list[float] = []

        async def work(_calendar: object, office: Office = office, ends: list[float] = ends) -> None:
            notifier = office.opens()
            working = asyncio.create_task(notifier.run())
            office.passes(HELD)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            working.cancel()
            await notifier.stop()
            ends.append(asyncio.get_running_loop().time())

        run_in_calendar(NOON, work)
        assert ends == [seconds]
        assert len(office.told(NotificationSent)) == sent


def test_owners_hear_of_their_keys() -> None:
    """An address with tags hears of those owners' keys alone."""
    office = Office([Somebody(), Somebody("json://b", frozenset({"team"}))])
    office.works(lambda: office.over([HELD]))
    assert [name for _, name, _ in office.sent] == ["json://a"]


def test_an_owner_of_nothing_is_told_of_once() -> None:
    """A tag that is no owner of any key is told in the log, once all keys were read: nobody hears anything by it."""
    owners = report(account(inventory=(owned("shop", "Team Growth"),)))
    office = Office([Somebody("json://b", frozenset({"team-growth", "typo"}))])
    office.works(lambda: office.over([report(unread()), owners, owners]))
    assert office.events == [NotificationFailed("json://b", "no key has the owner typo", 0, None)]
    office = Office([Somebody("json://b", frozenset({"typo"}))])
    office.works(lambda: office.over([report(unread(), account(account_id=OTHER))] * 3))
    assert office.events == []


def test_addresses_come_and_go() -> None:
    """A new one is told what stands; one that is gone gets nothing more."""
    office = Office()

    async def story() -> None:
        await office.over([HELD] * 2)
        office.people[:] = [Somebody("json://new")]
        await office.over([HELD, *[GOOD] * 12])

    office.works(story)
    assert [(name, message.urgency.value) for _, name, message in office.sent] == [
        ("json://a", "warning"),
        ("json://new", "warning"),
        ("json://new", "success"),
    ]


def test_an_address_is_the_same_wherever_it_stands() -> None:
    """Where one is taken out before it, and it is called otherwise by that, it is still told what it was not."""
    first, second = Somebody("json://a", identity="1"), Somebody("json://a #2", identity="2")
    office = Office([first, second], {"json://a #2": fails})

    async def story() -> None:
        await office.over([HELD])
        office.people[:] = [Somebody("json://a", identity="2")]
        await office.over([HELD] * 2)

    office.works(story)
    assert [name for _, name, _ in office.sent] == ["json://a", "json://a #2", "json://a"]


def test_what_an_address_was_told_is_kept_for_two_days() -> None:
    """One that is taken out and put back by then is told nothing twice; later it is a new one."""
    for hours, told in (([47], 0), ([49], 1), ([47, 47], 0)):
        office = Office()

        async def story(office: Office = office, hours: Sequence[int] = hours) -> None:
            await office.over([HELD], every=3600)
            people = office.people[:]
            for each in hours:
                office.people.clear()
                await office.over([HELD] * each, every=3600)
                office.people[:] = people
                await office.over([HELD], every=3600)

        office.works(story)
        assert sum(event.news for event in office.told(NotificationSent)[1:]) == told


def test_one_that_is_taken_out_keeps_nothing_in_memory_for_ever() -> None:
    """What it was told, and hears no more of, is forgotten with it."""
    office = Office()

    async def story() -> None:
        await office.over([HELD], every=3600)
        office.people.clear()
        await office.over([GOOD] * 100, every=3600)
        assert not office.notifier._boxes
        assert not office.notifier._situation.standing

    office.works(story)


def test_how_things_stand_is_looked_at_once_a_pass() -> None:
    """However often another address is tried meanwhile: of a hundred thousand keys that takes a while."""
    looks: list[float] = []

    class Watched:
        name = identity = "json://watched"

        @property
        def tags(self) -> frozenset[str]:
            looks.append(asyncio.get_running_loop().time())
            return frozenset({"nobody"})

    office = Office([Somebody("json://bad"), Watched()], {"json://bad": fails})
    office.works(lambda: office.over([HELD, HELD], every=3600))
    assert {*looks} == {0.0, 3600.0}


def test_no_secret_is_in_a_message() -> None:
    """Every secret that is known by then is masked."""
    office = Office(secrets=("secret-credential",))
    leaks = report(account(change("shop", Outcome.REFUSED, "401 for Bearer secret-credential")))
    office.works(lambda: office.over([leaks]))
    assert "secret" not in str(office.sent)


# What the daemon tells of itself


def test_files_that_do_not_load() -> None:
    """Told when they have not for a while, with the first mistake; and when they do again."""
    office = Office()
    problem = Problem("keys.yaml", 3, 1, "unknown field")

    async def story() -> None:
        for _ in range(4):
            office.notifier(ConfigRejected((problem,), "the files do not load", 300.0))
            office.notifier(PassStarted("run", Mode.APPLY, 1, config_age=300.0))
            office.notifier(PassFinished("run", GOOD, 1.0))
            await asyncio.sleep(300)
        await office.over([GOOD] * 2)

    office.works(story)
    assert office.titles == [
        (600.0, "Newer files or settings do not load"),
        (1260.0, "Over: 1 concern, nothing stands any more"),
    ]
    assert "the files do not load: keys.yaml:3:1: unknown field" in office.sent[0][2].body


def test_settings_that_end_a_pass() -> None:
    """A setting that shows to be wrong in the middle of a pass is told when it lasts, though no report comes of it."""
    office = Office()

    async def story() -> None:
        for _ in range(4):
            office.notifier(PassStarted("run", Mode.APPLY, 1))
            office.notifier(ConfigRejected((), "the proxy is wrong"))
            await asyncio.sleep(300)

    office.works(story)
    assert office.titles == [(600.0, "Newer files or settings do not load")]


def test_passes_that_fail() -> None:
    """Told when it lasts; what stood in accounts is not over by that."""
    office = Office()
    office.works(lambda: office.over([HELD, *[PassFailed("run", "KeyError: 'x'", "f:1")] * 5, *[HELD] * 5], every=300))
    assert [title for _, title in office.titles] == [
        "1 key held back",
        "Passes fail",
        "Over: 1 concern, 1 still stands",
    ]


def test_a_trail_that_cannot_be_written(tmp_path: Path) -> None:
    """Told when it lasts; that what was told cannot be stored there either changes nothing."""
    with opened(tmp_path / "trail") as trail:
        office = Office(trail=trail)
        with (tmp_path / "trail").open("ab") as file:
            file.write(b"by another hand")
        with pytest.raises(TrailError):
            trail(ChangeStarted("run", A_CHANGE))
        office.works(lambda: office.over([HELD, *[HELD] * 4], every=300))
    assert [title for _, title in office.titles] == ["1 key held back", "The trail cannot be written"]
    assert {type(event) for event in office.events} == {NotificationSent}


# What may go wrong here


def test_it_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in it is told as a fault: raising would forbid a write."""
    office = Office()
    notifier = office.opens()
    nothing: Any = 7
    wrong = replace(HELD, accounts=nothing)
    notifier(PassFinished("run", wrong, 1.0))
    (fault,) = office.told(DaemonFaulted)
    assert fault.error.startswith("TypeError")
    notifier(ChangeStarted("run", A_CHANGE))

    def cannot(event: Event) -> None:
        raise OSError("no room")

    monkeypatch.setattr(notifier, "_tell", cannot)
    notifier(PassFinished("run", wrong, 1.0))


def test_an_error_in_the_worker_is_told_and_it_goes_on() -> None:
    """Addresses that cannot be read for once, and a message that cannot be written, keep nobody from the next one."""
    office = Office()
    problems: list[Exception] = [ValueError("addresses")]
    people = office.people

    class Once(list[Recipient]):
        def __iter__(self) -> Any:
            if problems:
                raise problems.pop()
            return iter(people)

    office.people = Once()

    async def explodes() -> str | None:
        del office.does["json://a"]
        raise RuntimeError("sender")

    office.does["json://a"] = explodes
    office.works(lambda: office.over([HELD] * 5))
    assert [each.error for each in office.told(DaemonFaulted)] == ["ValueError: addresses", "RuntimeError: sender"]
    assert office.told(NotificationFailed) == [NotificationFailed("json://a", "RuntimeError", 1, 60.0)]
    assert len(office.told(NotificationSent)) == 1


# Over a restart


def test_a_restart_repeats_nothing(tmp_path: Path) -> None:
    """With a trail the next process knows what was told to whom, and tells what is over of it."""
    path = tmp_path / "trail"
    people: list[Recipient] = [Somebody("json://good"), Somebody("json://bad")]
    with opened(path) as trail:
        office = Office(people, {"json://bad": fails}, trail=trail)
        office.works(lambda: office.over([HELD]))
    assert stored_events(path) == ["notified"]
    with opened(path) as trail:
        office = Office(people, trail=trail)
        office.works(lambda: office.over([HELD] * 3))
        assert [name for _, name, _ in office.sent] == ["json://bad"]
    with opened(path) as trail:
        office = Office(people, trail=trail)
        office.works(lambda: office.over([GOOD] * 3))
    assert [(name, message.urgency.value) for _, name, message in office.sent] == [
        ("json://good", "success"),
        ("json://bad", "success"),
    ]
    assert "nothing is held back any more" in office.sent[0][2].body


def restarted(path: Path, results: Sequence[Report | PassFailed], every: float = 60) -> Office:
    """Another process with the trail of the one before."""
    with opened(path) as trail:
        office = Office(trail=trail)
        office.works(lambda: office.over(results, every))
    return office


def test_what_was_over_is_not_news_after_a_restart(tmp_path: Path) -> None:
    """What was told to be over is neither told as new, nor once more to be over, whatever the passes show."""
    path = tmp_path / "trail"
    assert len(restarted(path, [HELD, *[GOOD] * 7]).sent) == 2
    for results in ([GOOD] * 3, [PassFailed("run", "KeyError: 'x'", "f:1")], [report(unread())]):
        assert restarted(path, results).sent == []
    assert restarted(path, [HELD]).titles == [(0.0, "1 key held back")]


def test_nothing_is_told_before_the_first_pass(tmp_path: Path) -> None:
    """Not what somebody missed, nor a reminder: it may be over."""
    path = tmp_path / "trail"
    restarted(path, [HELD])

    async def nothing() -> None:
        await asyncio.sleep(3 * 86400)

    with opened(path) as trail:
        office = Office([Somebody(), Somebody("json://b")], trail=trail)
        office.works(nothing)
        assert office.sent == []
        office = Office([Somebody(), Somebody("json://b")], trail=trail)
        office.works(lambda: office.over([PassFailed("run", "KeyError: 'x'", "f:1"), HELD]))
    assert [(at, name) for at, name, _ in office.sent] == [(60.0, "json://b")]


def test_no_reminder_and_no_recovery_comes_before_the_first_pass(tmp_path: Path) -> None:
    """Not even of what was due for long when the process began."""
    path, ago = tmp_path / "trail", NOON - timedelta(days=2)
    stood, ended = concern(Kind.HELD_BACK, "id-shop"), concern(Kind.HELD_BACK, "id-news")
    situation = Situation().after(seen(stood, ended), ago)
    for _ in range(2):
        situation = situation.after(seen(stood), ago)
    told = Register(Ledger({each.matter: Told(ago) for each in (stood, ended)}))
    with opened(path) as trail:
        trail.store_notified(to_store(situation, {Somebody().identity: told}))
    with opened(path) as trail:
        office = Office(trail=trail)
        office.works(lambda: asyncio.sleep(60))
    assert office.sent == []
    (sent,) = restarted(path, [HELD]).told(NotificationSent)
    assert (sent.news, sent.over, sent.reminders) == (0, 1, 1)


def test_a_contested_key_is_not_over_because_of_a_restart(tmp_path: Path) -> None:
    """A new process must see a key undone several times before it calls it contested: until then that is not over."""
    path = tmp_path / "trail"
    fought = report(account(), findings=(finding("shop", rule="contested"),))
    assert len(restarted(path, [fought]).sent) == 1
    assert restarted(path, [*[GOOD] * 10, fought, fought]).sent == []
    assert restarted(path, [*[GOOD] * 5, fought], every=3600).sent == []
    at, title = restarted(path, [GOOD] * 90).titles[0]
    assert (at > 3600, title) == (True, "Over: 1 concern, nothing stands any more")


def test_lines_stay_short(tmp_path: Path) -> None:
    """A delivery stores what it told; all that was told is stored by the first one, and when there was a lot of it."""
    path = tmp_path / "trail"
    keys = [change(f"key-{n:04}", Outcome.REFUSED, f"reason {n}") for n in range(4000)]
    rounds = [report(account(*keys[:n])) for n in (2000, 2001, 2002, *range(2500, 4000, 250), 4000)]
    restarted(path, rounds, every=600)
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    wholes = [line["told"]["whole"] for line in lines]
    assert wholes[:4] == [True, False, False, False]
    sizes = [len(json.dumps(line)) for line in lines]
    assert max(sizes[1:3]) < 1000
    assert restarted(path, [rounds[-1]]).sent == []


def test_the_register_is_whole_again_when_much_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a restart need not look far back."""
    monkeypatch.setattr("reconciler.daemon.notifier.WHOLE_AFTER", 1000)
    path = tmp_path / "trail"
    rounds = [report(account(*(change(f"k{n}", Outcome.REFUSED) for n in range(count)))) for count in range(1, 9)]
    restarted(path, rounds, every=600)
    wholes = [json.loads(line)["told"]["whole"] for line in path.read_text().splitlines()[1:]]
    assert wholes.count(True) > 1
    assert wholes.count(False) > 1
    assert restarted(path, [rounds[-1]]).sent == []


def test_without_a_trail_a_restart_tells_once_more() -> None:
    """What stands is told again, and nothing to be over of which it knows nothing."""
    for results, count in (([HELD] * 3, 1), ([GOOD] * 3, 0)):
        office = Office()
        office.works(lambda office=office, results=results: office.over(results))  # type: ignore[misc]
        assert len(office.sent) == count


# With a daemon


def test_a_daemon_that_only_looks_tells_of_drift(tmp_path: Path) -> None:
    """A dry run tells what the files want and nobody writes; passes go on as if nobody was told anything."""
    daemon = Daemon(shop(tmp_path), dry_run=True)
    office = Office(does={"json://a": hangs})
    daemon.observe = tell_all(daemon.events.append, office.opens())

    async def story() -> None:
        working = asyncio.create_task(office.notifier.run())
        await minutes(30)()
        working.cancel()
        await office.notifier.stop()

    daemon.run(story)
    assert [title for _, title in office.titles] == ["1 key differs from the files"]
    assert len(daemon.reports) in (30, 31)


def test_a_daemon_that_heals_tells_nothing(tmp_path: Path) -> None:
    """Drift that a pass mends is its work, and no news."""
    daemon = Daemon(shop(tmp_path))
    office = Office()
    daemon.observe = tell_all(daemon.events.append, office.opens())

    async def story() -> None:
        working = asyncio.create_task(office.notifier.run())
        await minutes(10)()
        working.cancel()

    daemon.run(story)
    assert office.sent == []
