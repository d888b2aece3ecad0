"""Matching: pinned ids first, then labels and earlier labels, and never a guess."""

from itertools import permutations

import pytest

from builders import desired, remote, spec
from reconciler.core.keys import KeySpec, KeyState, RemoteKey
from reconciler.core.matching import Matched, Matching, Missing, Unclear, match_keys


def match(specs: tuple[KeySpec, ...], *keys: RemoteKey) -> Matching:
    return match_keys(desired(*specs), keys)


def ids(keys: tuple[RemoteKey, ...]) -> list[str]:
    return [key.id for key in keys]


def test_ids_first() -> None:
    """A pinned key is found by its id alone, and its label is free for another."""
    pinned, named = spec("a", id="2", label="Shop"), spec("b", label="shop")
    one, two = remote("1", "Shop"), remote("2", "shop")
    found = match((pinned, spec("b", label="Shop")), one, two)
    assert found.matches == (Matched(pinned, two), Matched(spec("b", label="Shop"), one))
    assert match((pinned, named), two).matches == (Matched(pinned, two), Missing(named))


@pytest.mark.parametrize("label", ["shop", "Shop 2024", "Shop 2025"])
def test_label_or_any_earlier_one(label: str) -> None:
    """An unpinned key is found by its label or by any that it had."""
    wanted = spec("shop", was=("Shop 2024", "Shop 2025", "shop"))
    assert match((wanted,), remote("1", label)).matches == (Matched(wanted, remote("1", label)),)


def test_labels_are_exact() -> None:
    """A label that differs in case or space is another label."""
    assert match((spec("shop"),), remote("1", "Shop"), remote("2", "shop ")).matches == (Missing(spec("shop")),)


@pytest.mark.parametrize("keys", [("shop", "shop"), ("shop", "old"), ("old", "old")])
def test_several_candidates(keys: tuple[str, str]) -> None:
    """More than one candidate is nobody's to choose between; none of them is unmanaged."""
    wanted = spec("shop", was=("old",))
    one, two = remote("1", keys[0]), remote("2", keys[1])
    found = match((wanted,), two, one, remote("3", "other"))
    assert found.matches == (Unclear(wanted, "2 keys could be meant, 1, 2: pin the id", (one, two)),)
    assert (ids(found.reserved), ids(found.unmanaged)) == (["1", "2"], ["3"])


def test_two_claims() -> None:
    """One key claimed twice is unclear for both, each naming the other and its place."""
    new, old = spec("new", was=("old",)), spec("old")
    found = match((old, new), remote("1", "old"))
    assert found.matches == (
        Unclear(new, "key 1 is also claimed by old (keys.yaml:1:5): pin the id", (remote("1", "old"),)),
        Unclear(old, "key 1 is also claimed by new (keys.yaml:1:5): pin the id", (remote("1", "old"),)),
    )
    assert ids(found.reserved) == ["1"]


def test_a_claim_by_one_that_is_unclear_itself() -> None:
    """A key that an unclear one may mean is not given to another one that claims it."""
    both, old = spec("new", was=("old",)), spec("old")
    found = match((both, old), remote("1", "old"), remote("2", "new"))
    assert all(isinstance(match, Unclear) for match in found.matches)


def test_two_pins_of_one_id() -> None:
    """One id pinned twice is a key claimed twice."""
    found = match((spec("a", id="1"), spec("b", id="1")), remote("1", "x"))
    assert [type(match) for match in found.matches] == [Unclear, Unclear]
    assert ids(found.reserved) == ["1"]


def test_a_pin_that_is_not_found() -> None:
    """A pinned id that the account lacks is never replaced by a guess, and names the key that bears its label."""
    wanted = spec("shop", id="9")
    assert match((wanted,), remote("1", "other")).matches == (
        Unclear(wanted, "the account has no key with the pinned id 9: correct the id, or remove it to match by label"),
    )
    found = match((wanted,), remote("1", "shop"))
    assert found.matches == (
        Unclear(
            wanted,
            "the account has no key with the pinned id 9; 1 has its label: "
            "correct the id, or remove it to match by label",
            (remote("1", "shop"),),
        ),
    )
    assert (ids(found.reserved), found.unmanaged) == (["1"], ())


@pytest.mark.parametrize("state", [KeyState.ABSENT, KeyState.QUARANTINED])
def test_a_pin_that_is_rightly_not_found(state: KeyState) -> None:
    """What is to be gone or switched off and is not there is as wanted, unless another key bears its label."""
    wanted = spec("shop", id="9", state=state)
    assert match((wanted,), remote("1", "other")).matches == (Missing(wanted),)
    assert isinstance(match((wanted,), remote("1", "shop")).matches[0], Unclear)


def test_reserved_and_unmanaged() -> None:
    """A key is unmanaged when no desired key means it and none ever bore its label."""
    found = match(
        (spec("a", id="1", label="A", was=("old A",)), spec("b", label="B", state=KeyState.ABSENT)),
        remote("1", "anything"),
        remote("2", "A"),
        remote("3", "old A"),
        remote("4", "stranger"),
    )
    assert (ids(found.reserved), ids(found.unmanaged)) == (["2", "3"], ["4"])


def test_order_never_matters() -> None:
    """Whichever way desired and actual keys are listed, the matching is the same."""
    specs = (spec("a"), spec("b", was=("c",)), spec("c"), spec("d", id="3"))
    keys = (remote("1", "a"), remote("2", "c"), remote("3", "a"), remote("4", "z"))
    first = match(specs, *keys)
    assert all(match(order, *back) == first for order in permutations(specs) for back in permutations(keys))
