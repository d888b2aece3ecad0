"""Requests that are sent again with the same ``Idempotency-Key``: carried out once, answered alike.

Source: AhaSend's OpenAPI document 2.0.0, "Idempotency", `IdempotencyKey`, `IdempotencyConflict` and
`IdempotencyPayloadMismatch`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from reconciler.emulator.answers import Answer
from reconciler.emulator.permissions import Refused

LONGEST_KEY = 255
LEASE = timedelta(minutes=5)

_SWEEP_ABOVE = 1000

Settle = Callable[[Answer], Answer]


@dataclass(frozen=True, slots=True)
class Replays:
    """What an operation keeps to replay: for how long, and whether its 4xx too or its successes alone."""

    window: timedelta
    refusals: bool


SECRETS = Replays(timedelta(minutes=5), refusals=False)
ORDINARY = Replays(timedelta(hours=24), refusals=True)


class Replayed(Exception):
    """The request was carried out before; ``answer`` is what it was answered then."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer._replace(headers=((b"idempotent-replayed", b"true"), *answer.headers))


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may be sent again. Open: whose the key is; here it is the account's, whichever key calls."""

    account_id: str
    key: str
    method: str
    path: str
    body: bytes

    def asks_the_same(self, other: "Repeatable") -> bool:
        """Whether both ask the same thing."""
        return (self.method, self.path, self.body) == (other.method, other.path, other.body)


@dataclass(slots=True)
class _Record:
    request: Repeatable
    expires_at: datetime
    answer: Answer | None = None


class Idempotency:
    """What was asked under which key, and what came of it; ``now`` ends leases and windows."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._records: dict[tuple[str, str], _Record] = {}
        self._sweep_above = _SWEEP_ABOVE

    @contextmanager
    def once(self, request: Repeatable, replays: Replays) -> Iterator[Settle]:
        """Hold the key while the block carries the request out; the block tells the answer to what it is given.

        An error, or an end without an answer, releases the key. Raises `Replayed` if it was carried out before, and
        `Refused`: 400 for a key that is too long, 409 while the first one is in progress, 422 for another request.
        """
        record = self._claimed(request)
        settled: list[Answer] = []

        def settle(answer: Answer) -> Answer:
            # What is not kept stays in progress until its lease ends, as the document says of refused creations.
            if replays.refusals or answer.status < 400:  # noqa: PLR2004 - HTTP's own bound
                record.answer, record.expires_at = answer, self._now() + replays.window
            settled.append(answer)
            return answer

        try:
            yield settle
        finally:
            # After its lease another request may have taken the key.
            if not settled and self._records.get((request.account_id, request.key)) is record:
                del self._records[request.account_id, request.key]

    def _claimed(self, request: Repeatable) -> _Record:
        if len(request.key) > LONGEST_KEY:
            raise Refused(400, f"Idempotency-Key must have at most {LONGEST_KEY} characters")
        now = self._now()
        held = self._records.get((request.account_id, request.key))
        if held is not None and now < held.expires_at:
            if not request.asks_the_same(held.request):
                raise Refused(422, "idempotency key was already used with a different request payload")
            if held.answer is not None:
                raise Replayed(held.answer)
            seconds = ceil((held.expires_at - now) / timedelta(seconds=1))
            headers = ((b"idempotent-replayed", b"false"), (b"retry-after", str(seconds).encode()))
            raise Refused(409, "A request with this idempotency key is already in progress", headers=headers)
        self._sweep(now)
        record = _Record(request, now + LEASE)
        self._records[request.account_id, request.key] = record
        return record

    def _sweep(self, now: datetime) -> None:
        if len(self._records) >= self._sweep_above:
            self._records = {name: record for name, record in self._records.items() if now < record.expires_at}
            self._sweep_above = max(_SWEEP_ABOVE, 2 * len(self._records))
