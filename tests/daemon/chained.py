"""Small trails to spoil: made by the format's own hand, and by the writer's."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from reconciler.core.changes import AccessChange, Action, Change, Delta, Direction, Fields, ListDiff
from reconciler.core.keys import AccountRef, Source
from reconciler.daemon.chain import BEGINNING, Body, Break, Link, Place, Survey, seal, survey
from reconciler.daemon.trail import Trail, open_trail
from reconciler.files.commits import Commits

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT = AccountRef("11111111-1111-4111-8111-111111111111")
KEY = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
SHOP = Change(
    account=ACCOUNT,
    action=Action.UPDATE,
    name="shop",
    key_id=KEY,
    label="Shop",
    source=Source("keys/shop.yaml", 12, 5),
    fields=Fields(scopes=ListDiff(("domains:read", "messages:read:all"), ("domains:read",))),
    access=AccessChange(Direction.NARROW, Delta(revoked=("messages:read:all",))),
)


def body(number: int = 1, event: str = "decision", **fields: object) -> Body:
    return {"event": event, "time": f"2026-11-23T12:00:{number:02}.000Z", "run_id": "run", **fields}


def sealed(*bodies: Body, after: Link = BEGINNING) -> list[bytes]:
    """The lines that say ``bodies``, one after the other."""
    lines = []
    for each in bodies:
        line, after = seal(each, after)
        lines.append(line)
    return lines


def chain(count: int) -> list[bytes]:
    """A whole chain of ``count`` lines, each of which says something else."""
    return sealed(*(body(number, name=f"k{number}") for number in range(1, count + 1)))


def judged(lines: Iterable[bytes], base: str | None = None, head: str | None = None) -> Survey | Break:
    """What verifying lines of one file comes to."""
    return survey(((Place("trail", number), line) for number, line in enumerate(lines, 1)), base, head)


def opened(
    path: Path,
    size: int = 0,
    secrets: tuple[str, ...] = (),
    now: datetime = NOON,
    commits: Commits | None = None,
) -> Trail:
    return open_trail(path, size=size, secrets=lambda: secrets, now=lambda: now, commits=commits)
