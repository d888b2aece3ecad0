"""What a change grants counts only once it was seen: until then nothing else may rely on it."""

from pathlib import Path

import httpx
import pytest

from builders import FENCE, only, plan, remote, spec
from reconciler.apply import WRITE_ATTEMPTS, _certain
from world import World, change_of, key, key_id, outcomes

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
PUT = {"method": "PUT", "path": "*"}
MOVED = """
    keys:
      - {name: new, scopes: ["messages:send:{shop.example.com}"], ip_allow_list: [198.51.100.0/24]}
      - {name: old, scopes: ["domains:read"]}
    """
MUST_SEND = 'require: [{domain: shop.example.com, can: "messages:send"}]'
LOST = "no key in use could do what must keep working: messages:send for shop.example.com"


def moving(folder: Path) -> World:
    """A key that may send, but that nobody can reach, is to be let in; another one is to lose that right."""
    keys = [key(1, "new", SHOP, ip_allow_list=["10.0.0.0/8"]), key(2, "old", SHOP, "domains:read")]
    return World(folder, keys, MOVED, policy=MUST_SEND)


def test_a_move_that_failed_lets_nobody_in(tmp_path: Path) -> None:
    """Where every PUT that was to let a key in gets 500, the only key that can send keeps its right."""
    world = moving(tmp_path)
    assert set(outcomes(world.plan()).values()) == {"planned"}
    world.faults({**PUT, "path": f"*{key_id(1)}", "rate": 1, "do": {"status": 500}})
    report = world.apply()
    assert outcomes(report) == {"new": "failed", "old": "refused"}
    assert change_of(report, "old").reason == f"coverage: {LOST} (now 'old' ({key_id(2)}) can)"
    assert (report.requests.PUT, world.remote(2)["scopes"]) == (WRITE_ATTEMPTS, [SHOP, "domains:read"])
    world.faults()
    assert outcomes(world.apply()) == {"new": "applied", "old": "applied"}
    assert world.plan().changes == ()


def test_a_move_of_which_nobody_knows_lets_nobody_in(tmp_path: Path) -> None:
    """Where it is not known whether a key was let in, it does not count, although it was; the next pass knows."""
    world = moving(tmp_path)

    def break_reads(request: httpx.Request) -> None:
        if request.method == "PUT":
            world.faults(
                {**PUT, "rate": 1, "do": {"drop": "after"}},
                {"method": "GET", "path": f"*{key_id(1)}", "rate": 1, "do": {"status": 503}},
            )

    world.before = break_reads
    report = world.apply()
    assert outcomes(report) == {"new": "failed", "old": "refused"}
    assert "is not known" in (change_of(report, "new").reason or "")
    assert world.remote(1)["ip_allow_list"] == ["198.51.100.0/24"]
    world.before = lambda request: None
    world.faults()
    assert outcomes(world.apply()) == {"old": "applied"}


@pytest.mark.parametrize(
    "do", [{"status": 503}, {"status": 500}, {"drop": "before"}, {"status": 400}, {"status": 422}, {"status": 403}]
)
def test_a_restore_that_failed_makes_no_manager(tmp_path: Path, do: dict[str, object]) -> None:
    """A fenced manager that is to be let in, and to lose something else, takes nothing over where that failed."""
    files = """
        keys:
          - {name: reconciler, scopes: ["api-keys:read"]}
          - {name: successor, scopes: ["api-keys:write"], ip_allow_list: [203.0.113.0/24]}
        """
    successor = key(1, "successor", "api-keys:write", "domains:read", ip_allow_list=[FENCE])
    world = World(tmp_path, [successor], files)
    world.faults({**PUT, "path": f"*{key_id(1)}", "rate": 1, "do": do})
    consent = {"self_keys": {None: key_id(1)}, "allowed": frozenset({"restore"})}
    assert change_of(world.plan(**consent), "successor").access.direction.value == "mixed"
    report = world.apply(**consent)
    assert outcomes(report) == {"reconciler": "refused", "successor": "failed"}
    assert change_of(report, "reconciler").reason == (
        "guardian: no unfenced key of the account could write keys any more"
    )
    world.faults()
    assert set(outcomes(world.apply(**consent)).values()) == {"applied"}


@pytest.mark.parametrize(
    ("had", "has", "certain"),
    [
        (("10.0.0.0/8",), ("198.51.100.0/24",), (FENCE,)),
        ((FENCE,), ("198.51.100.0/24",), (FENCE,)),
        ((FENCE,), (), (FENCE,)),
        (("10.0.0.0/8",), (), ("10.0.0.0/8",)),
        ((), ("198.51.100.0/24",), ("198.51.100.0/24",)),
        ((), (), ()),
        (("198.51.100.0/24",), (FENCE,), (FENCE,)),
        (("198.51.100.0/24",), ("198.51.100.0/25",), ("198.51.100.0/25",)),
        (("10.0.0.0/8", "198.51.100.0/24"), ("198.51.100.0/24", "203.0.113.0/24"), ("198.51.100.0/24",)),
    ],
)
def test_from_where_a_key_may_be_used_for_certain(
    had: tuple[str, ...], has: tuple[str, ...], certain: tuple[str, ...]
) -> None:
    """While a list is being written only networks count that were there before and will be there afterwards."""
    before = remote("1", "shop", SHOP, "domains:read", at=had)
    change = only(plan((spec("shop", SHOP, at=has),), (before,)))
    assert change.after is not None
    kept = _certain(change, before, change.after)
    assert (kept.ip_allow_list.networks, kept.scopes.texts) == (certain, (SHOP,))


@pytest.mark.parametrize(
    ("had", "has", "certain"),
    [
        ((SHOP, "domains:read"), (SHOP, NEWS), (SHOP,)),
        (("*",), (SHOP,), (SHOP,)),
        (("messages:send:all",), (SHOP, "domains:read"), (SHOP,)),
        ((SHOP, "domains:read"), ("messages:send:all",), ()),
        ((NEWS,), (SHOP,), ()),
    ],
)
def test_what_a_key_may_do_for_certain(had: tuple[str, ...], has: tuple[str, ...], certain: tuple[str, ...]) -> None:
    """While scopes are being written only those count that the key had before, and will have afterwards."""
    before = remote("1", "shop", *had)
    change = only(plan((spec("shop", *has),), (before,)))
    assert change.after is not None
    assert _certain(change, before, change.after).scopes.texts == certain
