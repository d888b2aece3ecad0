"""What people were told of, as a line of the trail holds it, so that a restart neither repeats it nor forgets it."""

import mmap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.concerns import Concern, Kind, Matter
from reconciler.core.telling import Ledger, Situation, Standing, Told
from reconciler.daemon.chain import NOTIFIED, Broken, read_line
from reconciler.daemon.segments import segments, stamp

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MOST_STORED: Final = 5000
"""So many concerns are remembered over a restart, the most serious first, so that a line stays short of a mebibyte."""
_FILES_AT_MOST: Final = 4
"""In so many files of a trail, the newest ones, the last such line is looked for: a day makes one where any stands."""
_SIGN = f'"event":"{NOTIFIED}"'.encode()

Ledgers = Mapping[str, Ledger]
"""What each address was told, by its name."""


@dataclass(frozen=True, slots=True)
class _Address:
    """What one address was told of one concern."""

    at: datetime
    times: int
    over: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """One concern that somebody was told of; ``since`` is when it was first seen."""

    kind: Kind
    account_id: str | None
    sub_account_id: str | None
    key: str | None
    rule: str | None
    since: datetime
    addresses: dict[str, _Address]


def to_store(situation: Situation, ledgers: Ledgers) -> list[dict[str, Any]]:
    """Give what a line of the trail is to hold: ids, times and addresses, the most serious concerns first."""
    told: dict[Matter, dict[str, Told]] = {}
    for name, ledger in ledgers.items():
        for matter, each in ledger.told.items():
            told.setdefault(matter, {})[name] = each
    ranked = sorted((matter for matter in told if matter in situation.standing), key=lambda matter: matter.kind.rank)
    return [_body(situation.standing[matter], told[matter]) for matter in islice(ranked, MOST_STORED)]


def _body(standing: Standing, told: Mapping[str, Told]) -> dict[str, Any]:
    matter = standing.matter
    return {
        "kind": matter.kind,
        "account_id": matter.account_id,
        "sub_account_id": matter.sub_account_id,
        "key": matter.key,
        "rule": matter.rule,
        "since": stamp(standing.since),
        "addresses": {
            name: {"at": stamp(each.at), "times": each.times, "over": stamp(each.over) if each.over else None}
            for name, each in told.items()
        },
    }


def recall(path: Path) -> tuple[Situation, dict[str, Ledger]]:
    """Give what was told before, by the last line of a trail that says so; nothing where none does so clearly."""
    for file in reversed([*segments(path), path][-_FILES_AT_MOST:]):
        with suppress(OSError, ValueError, Broken):  # an empty file cannot be mapped; what is wrong there, verify says
            if line := _last_line(file):
                return _recalled(_adapter().validate_python(read_line(line).body.get("told")))
    return Situation(), {}


def _last_line(path: Path) -> bytes | None:
    """Give the last line of a file that tells what was told."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.rfind(_SIGN)
        if place < 0:
            return None
        return data[data.rfind(b"\n", 0, place) + 1 : data.find(b"\n", place) + 1]


@cache
def _adapter() -> "TypeAdapter[list[_Stored]]":
    from pydantic import TypeAdapter

    return TypeAdapter(list[_Stored])


def _recalled(stored: Iterable[_Stored]) -> tuple[Situation, dict[str, Ledger]]:
    standing: dict[Matter, Standing] = {}
    ledgers: dict[str, dict[Matter, Told]] = {}
    for each in stored:
        matter = Matter(each.kind, each.account_id, each.sub_account_id, each.key, each.rule)
        standing[matter] = Standing(Concern(matter), each.since)
        for name, told in each.addresses.items():
            ledgers.setdefault(name, {})[matter] = Told(told.at, told.times, told.over)
    return Situation(standing), {name: Ledger(told) for name, told in ledgers.items()}
