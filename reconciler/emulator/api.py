"""The emulator as an ASGI application: it judges a request and has it carried out.

Sources: AhaSend's OpenAPI document 2.0.0, "Authentication", "Rate Limiting", "Idempotency".
A request is judged as it arrives, in the order of a real service: route (404, 405), bearer token and account (401),
rate (429), address (403), scope (403), idempotency key (400, 409, 422). After the latency it is carried out.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from reconciler.emulator.account import Account, Key
from reconciler.emulator.answers import Answer, message, refusal
from reconciler.emulator.control import PREFIX, control
from reconciler.emulator.faults import ConnectionDropped, Fault, Faults, mangled
from reconciler.emulator.idempotency import Idempotency, Repeatable, Replayed, Settle
from reconciler.emulator.operations import Call, Operation, Operations, Target, first_header
from reconciler.emulator.permissions import Bucket, Refused, is_uuid, may
from reconciler.emulator.store import Caller, Change, Store

USE_IS_NOTED_EVERY = timedelta(minutes=5)


class Emulator:
    """AhaSend's API for keys, as an ASGI application over accounts held in memory.

    ``latency`` (seconds) delays every API request; ``rate`` and ``burst`` limit each account's requests a second;
    ``clock`` (seconds) drives that limit; ``now`` dates what changes and ends the windows of idempotency keys. Raises
    `SeedError` for a seed of another shape.
    """

    def __init__(
        self,
        seed: object,
        *,
        latency: float = 0.0,
        rate: float = 100.0,
        burst: int = 200,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"rate and burst must be positive, not {rate} and {burst}")
        self._latency = latency
        self._now = now
        self._new_bucket = partial(Bucket, rate, burst, clock)
        self._buckets: dict[str, Bucket] = {}
        self._methods: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._faults = Faults({})
        self._store = Store(now)
        self._operations = Operations(self._store)
        self._idempotency = Idempotency(now)
        self.load(seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `ConnectionDropped` where a fault says so."""
        if scope["type"] != "http":
            raise ValueError(f"the emulator serves HTTP only, not {scope['type']}")
        if scope["path"].startswith(PREFIX):
            answer = control(self, scope["method"], scope["path"], await _body(receive))
        else:
            answer = await self._answer(scope, receive)
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    @property
    def state(self) -> dict[str, Account]:
        """The accounts by identifier."""
        return self._store.accounts

    @property
    def history(self) -> list[Change]:
        """Every creation, change and deletion of a key that took effect."""
        return self._store.history

    @property
    def requests(self) -> dict[str, Any]:
        """How many API requests came, by method and by the status of their answer."""
        methods = dict.fromkeys(("GET", "PUT", "POST", "DELETE"), 0) | self._methods
        return methods | {"statuses": dict(self._statuses)}

    def forget_requests(self) -> None:
        """Count from zero again."""
        self._methods.clear()
        self._statuses.clear()

    def set_faults(self, document: object) -> None:
        """Replace all rules and their counters; raises `FaultError` and keeps the old ones if they are wrong."""
        self._faults = Faults(document)

    def load(self, seed: object) -> None:
        """Replace all accounts; raises `SeedError` and keeps the old ones if the seed has another shape."""
        self._store.load(seed)

    def dump(self) -> dict[str, Any]:
        """Return all accounts as a seed."""
        return self._store.dump()

    def delete_domain(self, account_id: str, domain: str) -> bool:
        """Delete a domain of an account or sub account, and its scopes from every key; tells whether it was there."""
        return self._store.delete_domain(account_id, domain)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        # Read first: a client that gives up while it waits has still sent what is to take effect.
        body = await _body(receive)
        self._methods[scope["method"]] += 1
        fault = self._faults.pick(scope["method"], scope["path"])
        answer = _NOTHING
        if fault.prevents_effect:
            await self._wait(fault)
        else:
            answer = await self._carried_out(scope, body, fault)
        if fault.drop is not None:
            raise ConnectionDropped(fault.drop)
        if fault.status is not None:
            answer = message(fault.status, _phrase(fault.status))
        if fault.body is not None:
            body, content_type = mangled(answer.body, fault.body)
            answer = answer._replace(body=body, content_type=content_type)
        self._statuses[str(answer.status)] += 1
        return answer

    async def _carried_out(self, scope: Scope, body: bytes, fault: Fault) -> Answer:
        try:
            call = self._allowed(scope, body, fault)
            with self._once(scope, call) as settle:
                await self._wait(fault)
                return settle(_answer_of(call))
        except Replayed as replayed:
            answer = replayed.answer
        except Refused as refused:
            answer = refusal(refused)
        await self._wait(fault)
        return answer

    async def _wait(self, fault: Fault) -> None:
        if self._latency or fault.delay:
            await asyncio.sleep(self._latency + fault.delay)

    def _allowed(self, scope: Scope, body: bytes, fault: Fault) -> Call:
        operation, target = self._operations.find(scope["method"], scope["path"])
        caller = self._authenticated(_bearer(scope), operation, target)
        host = scope["client"][0] if scope.get("client") else ""
        key = self._admitted(caller, host)
        if operation.scope is not None and not may(key.scopes, operation.scope):
            raise Refused(403, f"insufficient permissions: the scope {operation.scope} is required")
        return Call(
            operation=operation,
            target=target,
            account=caller.account,
            caller=key,
            host=host,
            query=scope["query_string"],
            headers=scope["headers"],
            body=body,
            repeats_cursor=fault.repeat_cursor,
        )

    def _authenticated(self, token: str, operation: Operation, target: Target) -> Caller:
        caller = self._store.caller(token)
        if caller is None:
            raise Refused(401, "invalid API key")
        if caller.account.status != "active" or caller.payer.status != "active":
            raise Refused(401, "the account is suspended")
        # A sub account's keys are managed with its parent's credentials only, so its own may not ask either.
        is_allowed = caller.account is caller.payer or not operation.parents_only
        if is_uuid(target.account) and not (is_allowed and target.account == caller.account.id):
            raise Refused(401, "invalid API key for this account")
        if caller.payer.id not in self._buckets:
            self._buckets[caller.payer.id] = self._new_bucket()
        self._buckets[caller.payer.id].take()
        return caller

    def _admitted(self, caller: Caller, host: str) -> Key:
        key = caller.account.keys[caller.key_id]
        if not key.admits(host):
            raise Refused(403, "this API key may not be used from this IP address")
        now = self._now()
        if key.last_used_at is None or now - key.last_used_at >= USE_IS_NOTED_EVERY:
            key = replace(key, last_used_at=now)
            caller.account.keys.replace(key)
        return key

    def _once(self, scope: Scope, call: Call) -> AbstractContextManager[Settle]:
        if call.operation.replays is None:
            return _ALWAYS
        key = first_header(scope["headers"], b"idempotency-key").strip()
        if not key:
            return _ALWAYS
        request = Repeatable(call.account.id, key, scope["method"], scope["path"], call.body)
        return self._idempotency.once(request, call.operation.replays)


_NOTHING = Answer(200, b"")


def _unsettled(answer: Answer) -> Answer:
    return answer


_ALWAYS: AbstractContextManager[Settle] = nullcontext(_unsettled)


def _answer_of(call: Call) -> Answer:
    try:
        return call.answer()
    except Refused as refused:
        return refusal(refused)


def _bearer(scope: Scope) -> str:
    scheme, _, token = first_header(scope["headers"], b"authorization").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    raise Refused(401, "missing or malformed bearer token")


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        received: Message = await receive()
        if received["type"] == "http.disconnect":
            # The rest will not come, and nobody is there to be answered.
            raise ConnectionDropped("before")
        chunks.append(received.get("body", b""))
        if not received.get("more_body"):
            return b"".join(chunks)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "fault"
