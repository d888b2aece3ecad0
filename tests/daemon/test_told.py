"""What people were told of, in a trail: lines that add to each other, wherever in the files they stand."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.telling import NOON, OTHER, SHOP, concern, seen
from daemon.chained import SHOP as A_CHANGE
from daemon.chained import body, opened, sealed
from daemon.test_segments import whole
from reconciler.core.concerns import Concern, Kind, Matter
from reconciler.core.events import ChangeApplied, ChangeStarted
from reconciler.core.telling import FORGOTTEN, Ledger, Situation, Standing, Told
from reconciler.daemon import told
from reconciler.daemon.segments import segments
from reconciler.daemon.told import LONGEST_LINE, Register, masked, recall, to_store

HELD = concern(Kind.HELD_BACK, "3c90", name="shop")
OTHERS = concern(Kind.FAILED, "4d01", name="news")
SITUATION = Situation().after(seen(HELD), NOON)
REGISTER = Register(Ledger({HELD.matter: Told(NOON, 2)}), "json://a")
STAMP = "2026-11-23T12:00:00.000Z"
GROUP: dict[str, Any] = {
    "kind": "held_back",
    "account_id": SHOP,
    "rule": None,
    "since": STAMP,
    "gone": None,
    "told": {"a": [STAMP, 2, None]},
    "keys": {"": {"3c90": "shop"}},
}
STORED: dict[str, Any] = {"whole": True, "addresses": {"a": {"name": "json://a", "left": None}}, "concerns": [GROUP]}


def ledger(*matters: Matter, **fields: Any) -> Ledger:
    one = Told(NOON, **fields)
    return Ledger(dict.fromkeys(matters, one))


def recalled(path: Path) -> dict[str, dict[Matter, Told]]:
    """What the trail says that each address was told."""
    return {address: dict(each.ledger.told) for address, each in recall(path, NOON)[1].items()}


def test_a_line_holds_ids_names_and_times() -> None:
    """No label, reason or place is in it: a decision's line has those."""
    told = replace(HELD, label="Shop", reason="because", owner="team")
    assert to_store(Situation().after(seen(told), NOON), {"a": REGISTER}) == STORED


def test_it_reads_back(tmp_path: Path) -> None:
    """Who was told of what, since when it stands, and who is not there any more; the chain stays whole."""
    path = tmp_path / "trail"
    left = Register(Ledger(), "json://b", NOON)
    with opened(path) as trail:
        trail.store_notified(to_store(SITUATION, {"a": REGISTER, "b": left}))
    standing = Standing(Concern(HELD.matter, name="shop"), NOON, 0, recalled=NOON + timedelta(hours=1))
    expected = Situation({HELD.matter: standing}), {"a": REGISTER, "b": left}
    assert recall(path, NOON + timedelta(hours=1)) == expected
    assert whole(path).lines == 2


def test_what_is_gone_is_recalled_as_gone(tmp_path: Path) -> None:
    """What two passes did not show is over after a restart, too; what one did not show stands."""
    path = tmp_path / "trail"
    once = SITUATION.after(seen(), NOON)
    twice = once.after(seen(), NOON + timedelta(minutes=1))
    with opened(path) as trail:
        for situation, gone in ((once, None), (twice, NOON)):
            trail.store_notified(to_store(situation, {"a": REGISTER}))
            (standing,) = recall(path, NOON)[0].standing.values()
            assert (standing.gone, standing.is_over) == (gone, gone is not None)


def test_lines_add_to_each_other(tmp_path: Path) -> None:
    """The later one of two about the same counts; what is before one that is whole does not."""
    path = tmp_path / "trail"
    both = Situation().after(seen(HELD, OTHERS), NOON)
    with opened(path) as trail:
        trail.store_notified(to_store(both, {"a": Register(ledger(OTHERS.matter, times=9))}))
        trail.store_notified(to_store(both, {"a": Register(ledger(HELD.matter, OTHERS.matter))}))
        trail.store_notified(to_store(both, {"a": Register(ledger(HELD.matter, times=2))}, {HELD.matter}))
        trail.store_notified(to_store(both, {"b": Register(ledger(HELD.matter, times=3))}, {HELD.matter}))
    assert recalled(path) == {
        "a": {HELD.matter: Told(NOON, 2), OTHERS.matter: Told(NOON, 1)},
        "b": {HELD.matter: Told(NOON, 3)},
    }
    with opened(path) as trail:
        trail.store_notified(to_store(both, {"b": Register(ledger(HELD.matter, times=3))}))
    assert recalled(path) == {"b": {HELD.matter: Told(NOON, 3)}}


def test_what_was_told_otherwise_stands_apart(tmp_path: Path) -> None:
    """Of the same kind, since the same time, and as often, but told at another time, or to somebody else."""
    path = tmp_path / "trail"
    more = [concern(Kind.HELD_BACK, each) for each in ("one", "two", "three")]
    later = NOON + timedelta(minutes=5)
    tolds = {"a": {more[0].matter: Told(NOON), more[1].matter: Told(later)}, "b": {more[2].matter: Told(NOON)}}
    with opened(path) as trail:
        registers = {address: Register(Ledger(told)) for address, told in tolds.items()}
        trail.store_notified(to_store(Situation().after(seen(*more), NOON), registers))
    assert recalled(path) == tolds


def test_a_line_about_some_holds_nothing_else() -> None:
    """However much an address was told before."""
    both = Situation().after(seen(HELD, OTHERS), NOON)
    line = to_store(both, {"a": Register(ledger(HELD.matter, OTHERS.matter))}, frozenset({HELD.matter}))
    assert (line["whole"], [each["keys"] for each in line["concerns"]]) == (False, [{"": {"3c90": "shop"}}])


def test_it_is_found_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind lines of another kind, many files back; but not farther than so many bytes."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail.store_notified(STORED)
        trail(ChangeStarted("run", A_CHANGE))
        trail(ChangeApplied("run", A_CHANGE))
    while len(segments(path)) < 30:
        with opened(path, size=1) as trail:
            trail(ChangeStarted("run", A_CHANGE))
    assert recalled(path) == {"a": {HELD.matter: Told(NOON, 2)}}
    for farthest in (100, 5000):
        monkeypatch.setattr(told, "_FARTHEST", farthest)
        assert recalled(path) == {}


def test_of_a_long_file_the_end_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of which only the end is within reach gives what its end holds."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail.store_notified({**STORED, "whole": False})
        trail.store_notified({**STORED, "whole": False, "addresses": {"b": {"name": "b", "left": None}}})
    monkeypatch.setattr(told, "_FARTHEST", 600)
    assert recall(path, NOON)[1].keys() == {"b"}


def test_where_nothing_is_told(tmp_path: Path) -> None:
    """A trail without such a line, an empty file or none tell that nobody was told anything."""
    path = tmp_path / "trail"
    assert recall(path, NOON) == (Situation(), {})
    path.touch()
    assert recall(path, NOON) == (Situation(), {})
    path.unlink()
    with opened(path):
        pass
    assert recall(path, NOON) == (Situation(), {})


def test_a_line_that_is_spoilt_tells_nothing(tmp_path: Path) -> None:
    """Neither one that was changed, nor one of another shape, keeps the daemon from its work, or from the others."""
    path = tmp_path / "trail"
    (good,) = sealed(body(event="notified", told=STORED))
    odd = [{**STORED, "concerns": [{**GROUP, "kind": "x"}]}, 7, [GROUP], {**STORED, "addresses": {"a": 1}}]
    spoilt = [good.replace(b"shop", b"ship"), good[:-1], b'"event":"notified"', *sealed(body(event="notified"))]
    for line in (*spoilt, *(line for each in odd for line in sealed(body(event="notified", told=each)))):
        path.write_bytes(line)
        assert recall(path, NOON) == (Situation(), {})
        path.write_bytes(good + line)
        assert recalled(path) == {"a": {HELD.matter: Told(NOON, 2)}}


# How much of it


def many(count: int, below: bool = False) -> list[Matter]:
    """Keys with ids as long as they are, of one account or one of each of many sub accounts."""
    ids = [f"3c90c3cc-0d44-4b50-8888-{n:012}" for n in range(count)]
    return [Matter(Kind.HELD_BACK, SHOP, each if below else None, "sender" if below else each) for each in ids]


def stands(matters: list[Matter]) -> Situation:
    return Situation().after(seen(*(Concern(each, name="a-name-of-twenty-one") for each in matters)), NOON)


@pytest.mark.parametrize("below", [False, True])
def test_thousands_of_concerns_have_room_in_a_line(tmp_path: Path, below: bool) -> None:
    """Where the same holds for them they stand together; the line is never longer than it may be."""
    path = tmp_path / "trail"
    matters = many(10_000, below)
    registers = {f"{n:016x}": Register(ledger(*matters), "json://hooks.example.com") for n in range(5)}
    with opened(path) as trail:
        size = trail.store_notified(to_store(stands(matters), registers))
    assert LONGEST_LINE // 2 < size < LONGEST_LINE
    assert all(len(each) > 2500 for each in recalled(path).values())


def test_a_line_is_bounded_also_where_nothing_is_alike(tmp_path: Path) -> None:
    """Each with times, rules and names of its own, in whatever letters; and where much of it is masked."""
    path = tmp_path / "trail"
    matters = [Matter(Kind.FINDING, OTHER, f"\u20ac{n}", "s3cret-1" * 20, f"\u20ac{n}" * 9) for n in range(9000)]
    register = Register(Ledger({each: Told(NOON + timedelta(seconds=n)) for n, each in enumerate(matters)}))
    with opened(path, secrets=("s3cret-1",)) as trail:
        assert trail.store_notified(to_store(stands(matters), {"a": register})) < LONGEST_LINE
    assert b"s3cret-1" not in path.read_bytes()


def test_the_most_serious_are_remembered() -> None:
    """Of more concerns than a line has room for, those of the most serious kinds; before all that is over."""
    broken, over = concern(Kind.FINDING), concern(Kind.FINDING, "over")
    matters = [*many(10_000), over.matter, broken.matter]
    told = {**ledger(*matters).told, over.matter: Told(NOON, 1, NOON)}
    line = to_store(stands(matters), {"a": Register(Ledger(told))})
    assert [(each["kind"], next(iter(each["keys"][""]))) for each in line["concerns"]] == [
        ("finding", "shop"),
        ("held_back", matters[0].key),
    ]


def test_what_is_forgotten_is_not_stored() -> None:
    """What stands no more, and was told to be over long ago, is in no further line; what is lately over is."""
    over = Told(NOON, 1, NOON + timedelta(hours=1))
    gone = Matter(Kind.FAILED, SHOP, None, "gone")
    (stored,) = to_store(SITUATION, {"a": Register(Ledger({HELD.matter: over, gone: over}))})["concerns"]
    assert stored["told"]["a"][2] == "2026-11-23T13:00:00.000Z"
    assert FORGOTTEN == timedelta(days=2)


# Secrets


def test_secrets_are_masked_there_too(tmp_path: Path) -> None:
    """A name in a file that is a credential is masked as everywhere, wherever in the line it stands."""
    path = tmp_path / "trail"
    group = {**GROUP, "rule": "of secret-credential", "keys": {"": {"secret-credential": "a secret-credential"}}}
    with opened(path, secrets=("secret-credential",)) as trail:
        trail.store_notified({**STORED, "addresses": {"secret-credential": {"name": "x"}}, "concerns": [group]})
    assert b"secret-credential" not in path.read_bytes()
    assert path.read_bytes().count(b"aha-sk-***") == 4


def test_ids_are_no_secrets() -> None:
    """A part of an address that is the id of an account hides nothing: what was told would not be known again."""
    assert masked(STORED, (SHOP,)) == STORED
    assert masked({"told": [SHOP, f"of {SHOP}", 7, None]}, (SHOP,)) == {"told": [SHOP, "of aha-sk-***", 7, None]}
