"""What goes wrong in a story: faults of the server, its limit, what is before it, and how long that goes on."""

from dataclasses import dataclass
from random import Random
from typing import Any

LEAST_TROUBLED = 3
MOST_TROUBLED = 25
"""Passes with faults: in half of the stories at least so many, in the others until the files are obeyed, or at most."""


EFFECTS: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (200, 302, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504)),
    *({"status": status, "when": "after"} for status in (200, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504)),
    *({"delay": delay} for delay in ("300ms", "3s", "12s", "45s", "400s", "1500s")),
    *({"drop": when} for when in ("before", "after")),
    *({"body": body} for body in ("truncated", "malformed", "html")),
    {"cursor": "repeat"},
)


@dataclass(frozen=True, slots=True)
class Hazards:
    """What goes wrong in a story.

    Attributes:
        rules: The emulator's faults, together up to 30 % of requests, and storms.
        bucket: The server's rate and burst.
        pace: Our own rate and burst.
        latency: Seconds that each request takes.
        page: How many entries the server puts on a page, whatever is asked for.
        echo: The share of errors that show the bearer token.
        ignored: The share of PUTs that do nothing although their answer is 200.
        passes: How many passes have to live with it.
        restarts: The share of passes that are made by a new process.
    """

    rules: tuple[dict[str, Any], ...] = ()
    bucket: tuple[float, int] = (1e6, 10**6)
    pace: tuple[float, int] = (1e4, 10**4)
    latency: float = 0.0
    page: int = 100
    echo: float = 0.0
    ignored: float = 0.0
    passes: int = 0
    restarts: float = 0.0


def make_hazards(dice: Random) -> Hazards:
    """Make up what goes wrong."""
    rate = dice.choice((0.1, 0.2, 0.3, 0.3))
    effects = dice.sample(EFFECTS, dice.randint(1, 6))
    rules: list[dict[str, Any]] = [
        {
            "method": dice.choice(("*", "GET", "PUT", "PUT")),
            "path": "*",
            "rate": round(rate / len(effects), 4),
            "do": effect,
        }
        for effect in effects
    ]
    if dice.random() < 0.2:
        storm = {"method": dice.choice(("*", "GET", "PUT")), "path": "*", "first": dice.randint(2, 40)}
        rules.insert(0, storm | {"do": {"status": 429}})
    tight = dice.random() < 0.15
    return Hazards(
        rules=tuple(rules),
        bucket=(dice.choice((8.0, 15.0, 30.0)), dice.choice((6, 12))) if tight else (1e6, 10**6),
        pace=(dice.choice((20.0, 50.0, 100.0)), dice.choice((10, 50)))
        if tight or dice.random() < 0.3
        else (1e4, 10**4),
        latency=dice.choice((0.0, 0.01, 0.2)),
        page=dice.choice((100, 100, 3, 2)),
        echo=dice.choice((0.0, 0.5, 1.0)),
        ignored=dice.choice((0.0, 0.0, 0.1)),
        passes=dice.choice((LEAST_TROUBLED, MOST_TROUBLED)),
        restarts=dice.choice((0.0, 0.2, 0.6)),
    )
