"""What people were told of, in a trail: the last line that says it counts, wherever in the files it stands."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.telling import NOON, SHOP, concern, seen
from daemon.chained import SHOP as A_CHANGE
from daemon.chained import body, opened, sealed
from daemon.test_segments import whole
from reconciler.core.concerns import Concern, Kind, Matter
from reconciler.core.events import ChangeApplied, ChangeStarted
from reconciler.core.telling import Ledger, Situation, Standing, Told
from reconciler.daemon.segments import segments
from reconciler.daemon.told import MOST_STORED, recall, to_store

HELD = concern(Kind.HELD_BACK)
SITUATION = Situation().after(seen(HELD), NOON)
LEDGER = Ledger({HELD.matter: Told(NOON, 2)})
STORED: dict[str, Any] = {
    "kind": "held_back",
    "account_id": SHOP,
    "sub_account_id": None,
    "key": "shop",
    "rule": None,
    "since": "2026-11-23T12:00:00.000Z",
    "addresses": {"json://a": {"at": "2026-11-23T12:00:00.000Z", "times": 2, "over": None}},
}


def test_a_line_holds_ids_and_times() -> None:
    """No label, reason or place is in it: a decision's line has those."""
    told = replace(HELD, label="Shop", reason="because", owner="team")
    assert to_store(Situation().after(seen(told), NOON), {"json://a": LEDGER}) == [STORED]


def test_it_reads_back(tmp_path: Path) -> None:
    """Who was told of what, and since when it stands; the chain stays whole."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail.store_notified(to_store(SITUATION, {"json://a": LEDGER, "json://b": Ledger()}))
    assert recall(path) == (Situation({HELD.matter: Standing(Concern(HELD.matter), NOON)}), {"json://a": LEDGER})
    assert whole(path).lines == 2


def test_the_last_line_counts(tmp_path: Path) -> None:
    """Also behind lines of another kind, and where the file was put aside since; not in a file long before."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail.store_notified([])
        trail.store_notified([STORED])
        trail(ChangeStarted("run", A_CHANGE))
        trail(ChangeApplied("run", A_CHANGE))
    assert recall(path)[1] == {"json://a": LEDGER}
    seen_with: dict[int, bool] = {}
    while len(segments(path)) < 5:
        with opened(path, size=1) as trail:
            trail(ChangeStarted("run", A_CHANGE))
        seen_with[len(segments(path))] = bool(recall(path)[1])
    assert all(found == (put_aside < 4) for put_aside, found in seen_with.items())
    assert {*seen_with.values()} == {True, False}


def test_where_nothing_is_told(tmp_path: Path) -> None:
    """A trail without such a line, an empty file or none tell that nobody was told anything."""
    path = tmp_path / "trail"
    assert recall(path) == (Situation(), {})
    path.touch()
    assert recall(path) == (Situation(), {})
    path.unlink()
    with opened(path):
        pass
    assert recall(path) == (Situation(), {})


def test_a_line_that_is_spoilt_tells_nothing(tmp_path: Path) -> None:
    """Neither one that was changed, nor one of another shape, keeps the daemon from its work."""
    path = tmp_path / "trail"
    (good,) = sealed(body(event="notified", told=[STORED]))
    path.write_bytes(good)
    assert recall(path)[1]
    spoilt = (good.replace(b"shop", b"ship"), good[:-1], *sealed(body(event="notified", told=7)), b'"event":"notified"')
    for line in (*spoilt, *sealed(body(event="notified")), *sealed(body(event="notified", told=[{"kind": "x"}]))):
        path.write_bytes(line)
        assert recall(path) == (Situation(), {})


def test_the_most_serious_are_remembered() -> None:
    """Of more concerns than a line should hold, those of the most serious kinds."""
    many = [concern(Kind.HELD_BACK, str(n)) for n in range(MOST_STORED)]
    situation = Situation().after(seen(*many, concern(Kind.FINDING)), NOON)
    stored = to_store(situation, {"a": Ledger({matter: Told(NOON) for matter in situation.standing})})
    assert (len(stored), stored[0]["kind"]) == (MOST_STORED, "finding")


def test_what_is_forgotten_is_not_stored() -> None:
    """What stands no more, and was told to be over long ago, is in no further line; what is lately over is."""
    over = Told(NOON, 1, NOON + timedelta(hours=1))
    gone = Matter(Kind.FAILED, SHOP, None, "gone")
    (stored,) = to_store(SITUATION, {"a": Ledger({HELD.matter: over, gone: over})})
    assert stored["addresses"]["a"]["over"] == "2026-11-23T13:00:00.000Z"


def test_secrets_are_masked_there_too(tmp_path: Path) -> None:
    """A name in a file that is a credential is masked as everywhere."""
    path = tmp_path / "trail"
    with opened(path, secrets=("secret-credential",)) as trail:
        trail.store_notified([{**STORED, "key": "secret-credential"}])
    assert b"secret-credential" not in path.read_bytes()
