"""The emulator as an ASGI application: it judges a request and carries it out.

Sources: AhaSend's OpenAPI document 2.0.0, "Authentication", "Rate Limiting", "Pagination", and the operations on keys.
A request is judged in the order of a real service: route (404, 405), bearer token and account (401), rate (429),
address (403), scope (403), identifiers (400), then the operation itself.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from reconciler.emulator.account import Account, Key, SubAccount, amended, is_uuid, start_cursor
from reconciler.emulator.faults import ConnectionDropped, Fault, FaultError, Faults, mangled
from reconciler.emulator.permissions import Bucket, Refused, may
from reconciler.emulator.seed import SeedError, parse_seed

LARGEST_PAGE = 100
USE_IS_NOTED_EVERY = timedelta(minutes=5)

_CONTROL = "/_emulator/"
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)


class Answer(NamedTuple):
    """What goes back: status, body, content type, further headers."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A PUT that took effect; the key before and after as a seed has it, without its secret."""

    account_id: str
    key_id: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whom a bearer token stands for, and whose rate limit its requests use."""

    account: Account
    key_id: str
    payer_id: str


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to an operation, authenticated and allowed."""

    account: Account
    ids: tuple[str, ...]
    caller: Key
    host: str
    query: bytes
    body: bytes
    repeats_cursor: bool


@dataclass(frozen=True, slots=True)
class _Operation:
    scope: str | None
    handle: Callable[[_Request], Answer]


class Emulator:
    """AhaSend's API for keys, as an ASGI application over accounts held in memory.

    ``latency`` (seconds) delays every API request; ``rate`` and ``burst`` limit each account's requests a second;
    ``clock`` (seconds) drives that limit and ``now`` dates what changes. ``state`` holds the accounts by identifier,
    ``history`` every PUT that took effect. Raises `SeedError` for a seed of another shape.
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
        self.history: list[Change] = []
        self.state: dict[str, Account] = {}
        self._latency = latency
        self._now = now
        self._new_bucket = partial(Bucket, rate, burst, clock)
        self._buckets: dict[str, Bucket] = {}
        self._callers: dict[str, _Caller] = {}
        self._methods: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._faults = Faults({})
        account, key = r"/v2/accounts/([^/]+)", r"/([^/]+)"
        self._routes = [
            (re.compile("/v2/ping"), {"GET": _Operation(None, _ping)}),
            (re.compile(f"{account}/api-keys"), {"GET": _Operation("api-keys:read", _list_keys)}),
            (
                re.compile(f"{account}/api-keys{key}"),
                {"GET": _Operation("api-keys:read", _get_key), "PUT": _Operation("api-keys:write", self._put_key)},
            ),
        ]
        self.load(seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `ConnectionDropped` where a fault says so."""
        if scope["type"] != "http":
            raise ValueError(f"the emulator serves HTTP only, not {scope['type']}")
        if scope["path"].startswith(_CONTROL):
            answer = self._control(scope["method"], scope["path"], await _body(receive))
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
        self.state = parse_seed(seed, self._now())
        self._callers = {
            key.secret_key: _Caller(account=holder, key_id=key.id, payer_id=account.id)
            for account in self.state.values()
            for holder in (account, *account.sub_accounts)
            for key in holder.keys.values()
            if key.secret_key
        }

    def dump(self) -> dict[str, Any]:
        """Return all accounts as a seed."""
        return {"accounts": [account.as_seed() for account in self.state.values()]}

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        match method, path.removeprefix(_CONTROL):
            case "GET", "requests":
                return _json(200, self.requests)
            case "DELETE", "requests":
                self.forget_requests()
            case "GET", "state":
                return _json(200, self.dump())
            case ("PUT", "state") | ("PUT", "faults"):
                return self._replace(path, body)
            case _, "requests" | "state" | "faults":
                return _message(405, "method not allowed")
            case _:
                return _message(404, "not found")
        return _message(200, "done")

    def _replace(self, path: str, body: bytes) -> Answer:
        try:
            document = _parsed(body)
            if path.endswith("state"):
                self.load(document)
            else:
                self.set_faults(document)
        except Refused as refusal:
            return _message(refusal.status, refusal.message)
        except (SeedError, FaultError) as error:
            return _message(400, str(error))
        return _message(200, "done")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        # Read first: a client that gives up while it waits has still sent what is to take effect.
        body = await _body(receive)
        self._methods[scope["method"]] += 1
        fault = self._faults.pick(scope["method"], scope["path"])
        if self._latency or fault.delay:
            await asyncio.sleep(self._latency + fault.delay)
        if fault.drop == "before":
            raise ConnectionDropped("before")
        if fault.status is not None:
            answer = _message(fault.status, _phrase(fault.status))
        else:
            answer = self._operate(scope, body, fault)
        if fault.drop == "after":
            raise ConnectionDropped("after")
        if fault.body is not None:
            body, content_type = mangled(answer.body, fault.body)
            answer = answer._replace(body=body, content_type=content_type)
        self._statuses[str(answer.status)] += 1
        return answer

    def _operate(self, scope: Scope, body: bytes, fault: Fault) -> Answer:
        try:
            operation, request = self._allowed(scope, body, fault)
            return operation.handle(request)
        except Refused as refusal:
            return _message(refusal.status, refusal.message, headers=refusal.headers)

    def _allowed(self, scope: Scope, body: bytes, fault: Fault) -> tuple[_Operation, _Request]:
        operation, ids = self._route(scope["method"], scope["path"])
        caller = self._authenticated(_bearer(scope), ids)
        host = scope["client"][0] if scope.get("client") else ""
        key = self._admitted(caller, host)
        if operation.scope is not None and not may(key.scopes, operation.scope):
            raise Refused(403, f"insufficient permissions: the scope {operation.scope} is required")
        if not all(is_uuid(identifier) for identifier in ids):
            raise Refused(400, "invalid identifier")
        return operation, _Request(
            account=caller.account,
            ids=ids,
            caller=key,
            host=host,
            query=scope["query_string"],
            body=body,
            repeats_cursor=fault.repeat_cursor,
        )

    def _route(self, method: str, path: str) -> tuple[_Operation, tuple[str, ...]]:
        for pattern, operations in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if method not in operations:
                allowed = ", ".join(operations).encode()
                raise Refused(405, "method not allowed", headers=((b"allow", allowed),))
            return operations[method], tuple(identifier.lower() for identifier in match.groups())
        raise Refused(404, "not found")

    def _authenticated(self, token: str, ids: tuple[str, ...]) -> _Caller:
        caller = self._callers.get(token)
        if caller is None:
            raise Refused(401, "invalid API key")
        if isinstance(caller.account, SubAccount) and caller.account.status != "active":
            raise Refused(401, "the account is suspended")
        # A sub account's keys are managed with its parent's credentials only, so its own may not ask either.
        if ids and is_uuid(ids[0]) and (ids[0] != caller.account.id or ids[0] not in self.state):
            raise Refused(401, "invalid API key for this account")
        if caller.payer_id not in self._buckets:
            self._buckets[caller.payer_id] = self._new_bucket()
        self._buckets[caller.payer_id].take()
        return caller

    def _admitted(self, caller: _Caller, host: str) -> Key:
        key = caller.account.keys[caller.key_id]
        if not key.admits(host):
            raise Refused(403, "this API key may not be used from this IP address")
        now = self._now()
        if key.last_used_at is None or now - key.last_used_at >= USE_IS_NOTED_EVERY:
            key = replace(key, last_used_at=now)
            caller.account.put(key)
        return key

    def _put_key(self, request: _Request) -> Answer:
        before = _key(request)
        own_host = request.host if before.id == request.caller.id else None
        after = amended(request.account, before, _parsed(request.body), own_host=own_host, now=self._now())
        request.account.put(after)
        change = Change(request.account.id, after.id, before=before.as_seed(), after=after.as_seed())
        self.history.append(change)
        return Answer(200, after.rendered)


def _ping(_request: _Request) -> Answer:
    return _message(200, "pong")


def _list_keys(request: _Request) -> Answer:
    query = dict(reversed(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True)))
    after, before = query.get("after") or query.get("cursor", ""), query.get("before", "")
    if after and before:
        raise Refused(400, "after and before are mutually exclusive")
    limit = query.get("limit", str(LARGEST_PAGE))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Refused(400, f"limit must be a whole number from 1 to {LARGEST_PAGE}")
    page = request.account.page(after, before, int(limit))
    next_cursor = page.next_cursor
    if request.repeats_cursor:
        next_cursor = after or next_cursor or start_cursor()
    pagination: dict[str, Any] = {"has_more": next_cursor is not None}
    if next_cursor is not None:
        pagination["next_cursor"] = next_cursor
    if page.previous_cursor is not None:
        pagination["previous_cursor"] = page.previous_cursor
    data = b",".join([key.rendered for key in page.keys])
    body = b'{"object":"list","data":[%b],"pagination":%b}' % (data, _json(200, pagination).body)
    return Answer(200, body)


def _get_key(request: _Request) -> Answer:
    return Answer(200, _key(request).rendered)


def _key(request: _Request) -> Key:
    key = request.account.keys.get(request.ids[1])
    if key is None:
        raise Refused(404, "API key not found")
    return key


def _bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                return str(token.strip())
    raise Refused(401, "missing or malformed bearer token")


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            # The rest will not come, and nobody is there to be answered.
            raise ConnectionDropped("before")
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused(400, "the request body is not valid JSON") from None


def _json(status: int, document: object) -> Answer:
    return Answer(status, json.dumps(document, separators=(",", ":")).encode())


def _message(status: int, text: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return _json(status, {"message": text})._replace(headers=headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "fault"
