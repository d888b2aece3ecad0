"""What each operation of the API does with a request that was authenticated and allowed.

Source: the operations on API keys, sub accounts and domains of AhaSend's OpenAPI document 2.0.0.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from reconciler.emulator.account import Account, Domain, Key, SubAccount, timestamp
from reconciler.emulator.answers import Answer, json_answer, message
from reconciler.emulator.bodies import (
    Fields,
    amended_key,
    amended_profile,
    check_reason,
    created_key,
    created_profile,
    parsed_fields,
)
from reconciler.emulator.idempotency import ORDINARY, SECRETS, Replays
from reconciler.emulator.listing import Listed, Listing, Page, first_parameters, page_query, start_cursor
from reconciler.emulator.permissions import Refused, canonical_domain, is_uuid
from reconciler.emulator.store import Store

RawHeaders = Iterable[tuple[bytes, bytes]]

type_item = TypeVar("type_item", bound=Listed)


def first_header(headers: RawHeaders, wanted: bytes) -> str:
    """Return the first header of a name, as text of Latin-1, or an empty text."""
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names; empty where it names none."""

    account: str = ""
    sub_account: str = ""
    key: str = ""
    domain: str = ""

    @property
    def is_well_formed(self) -> bool:
        """Whether all identifiers are UUIDs."""
        return all(is_uuid(text) for text in (self.account, self.sub_account, self.key) if text)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: the scope that it needs, whether only parents may call it, and what it does."""

    scope: str | None
    handle: Callable[["Call"], Answer]
    replays: Replays | None = None
    parents_only: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """A request to an operation, authenticated and allowed; ``account`` and ``caller`` are whose key it came with."""

    operation: Operation
    target: Target
    account: Account
    caller: Key
    host: str
    query: bytes
    headers: RawHeaders
    body: bytes
    repeats_cursor: bool

    def answer(self) -> Answer:
        """Carry it out; raises `Refused` for what the operation refuses."""
        if not self.target.is_well_formed:
            raise Refused(400, "invalid identifier")
        return self.operation.handle(self)

    @property
    def fields(self) -> Fields:
        """The fields of the body; raises `Refused` if it is not JSON, or says that it is something else."""
        media_type = first_header(self.headers, b"content-type").partition(";")[0].strip().lower()
        if media_type not in {"", "application/json"}:
            raise Refused(400, "the request body must be application/json")
        return parsed_fields(self.body)

    @property
    def sub_account(self) -> SubAccount:
        """The sub account that the path names; raises `Refused` if the account has it not."""
        found = self.account.sub_accounts.find(self.target.sub_account)
        if found is None:
            raise Refused(404, "sub account not found")
        return found

    @property
    def holder(self) -> Account:
        """Whose keys the path is about: the sub account's that it names, or else the account's."""
        return self.sub_account if self.target.sub_account else self.account

    @property
    def key(self) -> Key:
        """The key that the path names; raises `Refused` if there is none."""
        found = self.holder.keys.find(self.target.key)
        if found is None:
            raise Refused(404, "API key not found")
        return found


class Operations:
    """The operations, over the accounts of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        account = "/v2/accounts/(?P<account>[^/]+)"
        sub_accounts, keys, domains = f"{account}/sub-accounts", f"{account}/api-keys", f"{account}/domains"
        sub_account, key, domain = (f"/(?P<{name}>[^/]+)" for name in ("sub_account", "key", "domain"))
        self._routes = [
            *self._key_routes(keys, key, "api-keys"),
            *self._key_routes(f"{sub_accounts}{sub_account}/api-keys", key, "sub-account-api-keys"),
            *self._sub_account_routes(sub_accounts, sub_account),
            _route("/v2/ping", {"GET": Operation(None, _ping)}),
            _route(domains, {"GET": Operation("domains:read", _list_domains, parents_only=False)}),
            _route(f"{domains}{domain}", {"GET": Operation("domains:read", _get_domain, parents_only=False)}),
        ]

    def find(self, method: str, path: str) -> tuple[Operation, Target]:
        """Return what a request is for; raises `Refused`: 404 for an unknown path, 405 for another method."""
        for pattern, operations in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if method not in operations:
                allowed = ", ".join(operations).encode()
                raise Refused(405, "method not allowed", headers=((b"allow", allowed),))
            return operations[method], Target(**{name: text.lower() for name, text in match.groupdict().items()})
        raise Refused(404, "not found")

    def _key_routes(self, keys: str, key: str, family: str) -> list["Route"]:
        read, write, delete = (f"{family}:{action}" for action in ("read", "write", "delete"))
        return [
            _route(keys, {"GET": Operation(read, _list_keys), "POST": Operation(write, self._create_key, SECRETS)}),
            _route(
                f"{keys}{key}",
                {
                    "GET": Operation(read, _get_key),
                    "PUT": Operation(write, self._update_key),
                    "DELETE": Operation(delete, self._delete_key),
                },
            ),
        ]

    def _sub_account_routes(self, sub_accounts: str, sub_account: str) -> list["Route"]:
        read, write, delete, suspend, usage = (
            f"sub-accounts:{action}" for action in ("read", "write", "delete", "suspend", "usage")
        )
        suspended, active = (partial(self._set_status, status=status) for status in ("suspended", "active"))
        return [
            _route(
                sub_accounts,
                {
                    "GET": Operation(read, _list_sub_accounts),
                    "POST": Operation(write, self._create_sub_account, ORDINARY),
                },
            ),
            _route(f"{sub_accounts}/usage", {"GET": Operation(usage, self._usage)}),
            _route(
                f"{sub_accounts}{sub_account}",
                {
                    "GET": Operation(read, _get_sub_account),
                    "PUT": Operation(write, _update_sub_account),
                    "DELETE": Operation(delete, _delete_sub_account),
                },
            ),
            _route(f"{sub_accounts}{sub_account}/suspend", {"POST": Operation(suspend, suspended)}),
            _route(f"{sub_accounts}{sub_account}/unsuspend", {"POST": Operation(suspend, active)}),
        ]

    def _create_key(self, call: Call) -> Answer:
        created = created_key(call.holder, call.fields, self._store.now())
        self._store.create_key(call.account, call.holder, created)
        return Answer(201, b'%b,"secret_key":"%b"}' % (created.rendered[:-1], str(created.secret_key).encode()))

    def _update_key(self, call: Call) -> Answer:
        before = call.key
        # A parent that writes a sub account's key has no guard: it cannot be the calling key.
        own_host = call.host if before.id == call.caller.id else None
        after = amended_key(call.holder, before, call.fields, own_host=own_host, now=self._store.now())
        self._store.change_key(call.holder, before, after)
        return Answer(200, after.rendered)

    def _delete_key(self, call: Call) -> Answer:
        key = call.key
        self._store.delete_key(call.holder, key)
        return message(200, f"api key {key.id} ({key.label}) deleted successfully")

    def _create_sub_account(self, call: Call) -> Answer:
        created_at = call.account.sub_accounts.next_moment(self._store.now())
        profile = created_profile(call.fields, created_at)
        created = SubAccount(call.account.id, str(uuid4()), (), (), status="active", profile=profile)
        call.account.sub_accounts.add(created)
        return Answer(201, created.rendered)

    def _set_status(self, call: Call, *, status: str) -> Answer:
        # Open: whether a second suspension, or an end of none, is refused; here it is as wanted.
        sub_account = call.sub_account
        if status == "suspended":
            check_reason(call.fields)
        sub_account.status = status
        return Answer(200, sub_account.rendered)

    def _usage(self, call: Call) -> Answer:
        start = self._store.now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        nothing: dict[str, Any] = {"reception_count": 0, "allocated_cost": 0.0}
        usage = {
            "billing_period": {"start": timestamp(start), "end": timestamp(end)},
            "currency": "usd",
            "allocation_method": "proportional",
            "allocation_note": "The emulator sends no mail: nothing is used, and nothing costs.",
            "parent": {"account_id": call.account.id} | nothing,
            "sub_accounts": [
                {"account_id": one.id, "name": one.profile.name} | nothing
                for one in call.account.sub_accounts.values()
                if one.status == "active"
            ],
            "removed_sub_accounts": nothing,
            "total": nothing,
        }
        return json_answer(200, usage)


Route = tuple[re.Pattern[str], Mapping[str, Operation]]


def _route(pattern: str, operations: Mapping[str, Operation]) -> Route:
    return re.compile(pattern), operations


def _ping(_call: Call) -> Answer:
    return message(200, "pong")


def _list_keys(call: Call) -> Answer:
    page = call.holder.keys.page(page_query(call.query))
    return _page_answer(call, page, [key.rendered for key in page.items])


def _get_key(call: Call) -> Answer:
    return Answer(200, call.key.rendered)


def _list_sub_accounts(call: Call) -> Answer:
    page = call.account.sub_accounts.page(page_query(call.query))
    return _page_answer(call, page, [sub_account.rendered for sub_account in page.items])


def _get_sub_account(call: Call) -> Answer:
    return Answer(200, call.sub_account.rendered)


def _update_sub_account(call: Call) -> Answer:
    sub_account = call.sub_account
    sub_account.profile = amended_profile(sub_account.profile, call.fields)
    return Answer(200, sub_account.rendered)


def _delete_sub_account(call: Call) -> Answer:
    call.account.delete_sub_account(call.sub_account.id)
    return message(200, "sub account deleted")


def _list_domains(call: Call) -> Answer:
    wanted = first_parameters(call.query).get("dns_valid", "null")
    if wanted not in {"null", "true", "false"}:
        raise Refused(400, "dns_valid must be true or false")
    listed: Listing[Domain] = Listing(()) if wanted == "false" else call.account.domains
    page = listed.page(page_query(call.query))
    return _page_answer(call, page, [domain.rendered for domain in page.items])


def _get_domain(call: Call) -> Answer:
    domain = call.account.domain(canonical_domain(call.target.domain))
    if domain is None:
        raise Refused(404, "domain not found")
    return Answer(200, domain.rendered)


def _page_answer(call: Call, page: Page[type_item], rendered: list[bytes]) -> Answer:
    next_cursor = page.next_cursor
    if call.repeats_cursor:
        next_cursor = page_query(call.query).after or next_cursor or start_cursor()
    pagination: dict[str, Any] = {"has_more": next_cursor is not None}
    if next_cursor is not None:
        pagination["next_cursor"] = next_cursor
    if page.previous_cursor is not None:
        pagination["previous_cursor"] = page.previous_cursor
    body = b'{"object":"list","data":[%b],"pagination":%b}'
    return Answer(200, body % (b",".join(rendered), json_answer(200, pagination).body))
