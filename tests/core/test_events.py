"""Events: frozen values, one type for all of them."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest

from reconciler.core import events
from reconciler.core.changes import Action, Change
from reconciler.core.keys import AccountRef


def test_events_are_frozen() -> None:
    """Whoever is told of an event cannot change it for the next."""
    started = events.DaemonStarted("every 5m")
    with pytest.raises(FrozenInstanceError):
        started.schedule = "never"  # type: ignore[misc]


def test_events_are_complete() -> None:
    """Every event of the module is part of the union that observers match on."""
    defined = {
        value
        for value in vars(events).values()
        if is_dataclass(value) and getattr(value, "__module__", "") == events.__name__
    }
    assert defined == set(get_args(events.Event))
    assert all(fields(event) for event in get_args(events.Event))


def test_several_observers() -> None:
    """Each is told in its order; a veto ends the telling of a write, and what has happened is told to all."""
    told: list[str] = []

    def strict(event: events.Event) -> None:
        told.append("strict")
        raise OSError("full")

    observe = events.tell_all(lambda event: told.append("first"), strict, lambda event: told.append("last"))
    change = Change(AccountRef("a"), Action.UPDATE, "shop", "k", "shop", None)
    with pytest.raises(OSError, match="full"):
        observe(events.ChangeStarted("run", change))
    assert told == ["first", "strict"]
    with pytest.raises(OSError, match="full"):
        observe(events.ChangeApplied("run", change))
    assert told[2:] == ["first", "strict", "last"]
