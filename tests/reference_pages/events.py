"""docs/reference/events.md: the events of the log, their levels and fields."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from event_samples import LEVELS, STORY, logged
from reconciler.core.events import Event
from reconciler.logs import LogLevel
from reference_pages.markdown import anchor, code, codes, plain, table

_INTRODUCTION = """\
Events are what happens in a pass and in the daemon: the log writes a line for each, metrics count them, and the trail
keeps those about changes. Here is which there are and what fields their lines have; what each field means, when a line
has which level, and an example of each: [logs.md](../logs.md). `timestamp`, `level` and `event` come first in every
line, and `run_id` is in every line of a pass."""
_COMMON = ("timestamp", "level", "event", "run_id")


def page() -> Iterator[str]:
    """Give the page, block by block."""
    told: dict[str, tuple[Event, list[str]]] = {}
    levels: dict[str, set[str]] = {}
    for event in (*STORY, *(event for event, _ in LEVELS)):
        (line,) = logged(event)
        told.setdefault(line["event"], (event, _own(line)))
        levels.setdefault(line["event"], set()).add(line["level"])
    yield "# Events"
    yield _INTRODUCTION
    rows = ((_link(name), _ordered(levels[name]), _when(told[name][0]), codes(told[name][1])) for name in sorted(told))
    yield table(("event", "levels", "when", "fields"), rows)
    yield "## Fields"
    yield "Which events have a field:"
    fields: dict[str, list[str]] = {}
    for name in sorted(told):
        for field in told[name][1]:
            fields.setdefault(field, []).append(name)
    yield table(("field", "events"), ((code(field), codes(fields[field])) for field in sorted(fields)))


def _link(name: str) -> str:
    return f"[{code(name)}](../logs.md#{anchor(name)})"


def _ordered(levels: set[str]) -> str:
    return codes(level.value for level in LogLevel if level in levels)


def _when(event: Event) -> str:
    """Give what is said of an event first; what follows is about its values in the code."""
    said = re.split(r"[;:.(]", " ".join((inspect.getdoc(event) or "").split()))[0]
    return plain(f"{said.strip()}.")


def _own(line: dict[str, Any]) -> list[str]:
    return [name for name in line if name not in _COMMON]
