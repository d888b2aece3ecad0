"""What goes over the wire and what an answer means: keys, pages, errors.

Source: AhaSend's OpenAPI document 2.0.0, "APIKey", "PaginationInfo", "Errors". Fields that we do not use, and those we
do not know, are ignored; the ones we use must be as promised. The text of an error is for people: statuses decide.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, assert_never
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, StringConstraints, TypeAdapter, ValidationError

from reconciler.ahasend.transport import Answer, Ask, Endpoint, Passing, Resource, legible
from reconciler.core.changes import Fields
from reconciler.core.keys import UUID_PATTERN, AccountRef, RemoteKey, RemoteSubAccount, credential_variable
from reconciler.core.networks import AllowList
from reconciler.core.scopes import ScopeSet, canonical_domain
from reconciler.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    RemoteError,
    ServerFault,
    Unauthorized,
)

type_model = TypeVar("type_model")
Uuid = Annotated[str, StringConstraints(to_lower=True, pattern=UUID_PATTERN)]


def _in_utc(moment: datetime) -> datetime:
    """Give a time in UTC; one that the calendar does not hold there is none."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no time in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]

LONGEST_PAUSE = 60.0
"""Seconds that a server's ``Retry-After`` is followed at most."""
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY)
"""Refusals of the moment, not of what was asked."""
_ELSEWHERE = "an answer that is not the API's: something between here and the API gave it"
_ELSEWHERE_HINT = "look at the proxy, firewall or load balancer on the way, and at AHASEND_ENDPOINT"
_SHAPE_HINT = "is AHASEND_ENDPOINT the AhaSend API v2? If it is, the API has changed: look for a newer reconciler"


@dataclass(frozen=True, slots=True)
class WireScope:
    """A scope as the API lists it."""

    scope: str


@dataclass(frozen=True, slots=True)
class WireKey:
    """A key as the API lists it."""

    id: Uuid
    account_id: Uuid
    label: str
    scopes: tuple[WireScope, ...]
    ip_allow_list: tuple[str, ...]
    created_at: Moment
    last_used_at: Moment | None


@dataclass(frozen=True, slots=True)
class WirePagination:
    """Where a page stands in its list."""

    has_more: bool
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class WirePage:
    """One page of a list of keys."""

    data: tuple[WireKey, ...]
    pagination: WirePagination


@dataclass(frozen=True, slots=True)
class WireSubAccount:
    """A sub account as its parent lists it."""

    id: Uuid
    parent_account_id: Uuid
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class WireSubAccounts:
    """One page of a list of sub accounts."""

    data: tuple[WireSubAccount, ...]
    pagination: WirePagination


@dataclass(frozen=True, slots=True)
class WireDomain:
    """A domain as its account lists it."""

    account_id: Uuid
    domain: str


@dataclass(frozen=True, slots=True)
class WireDomains:
    """One page of a list of domains."""

    data: tuple[WireDomain, ...]
    pagination: WirePagination


@dataclass(frozen=True, slots=True)
class WireError:
    """The body of an answer that is an error."""

    message: str


def keys_url(endpoint: Endpoint, account: AccountRef, key_id: str | None = None) -> str:
    """Give the address of an account's keys, or of one of them; any identifier stays one segment of the path.

    Raises:
        Rejected: an identifier cannot be written in an address.
    """
    below = () if account.sub_account_id is None else ("sub-accounts", account.sub_account_id)
    last = () if key_id is None else (key_id,)
    return _url(endpoint, "v2", "accounts", account.account_id, *below, "api-keys", *last)


def list_url(endpoint: Endpoint, account: AccountRef, resource: Resource) -> str:
    """Give the address of a list; errors as for `keys_url`.

    Raises:
        ValueError: of a sub account there is no such list; its parent's would be taken for its own.
    """
    if resource is Resource.KEY:
        return keys_url(endpoint, account)
    if account.sub_account_id is not None:
        raise ValueError(f"{account} is a sub account: what it has beside keys cannot be listed")
    last = "domains" if resource is Resource.DOMAIN else "sub-accounts"
    return _url(endpoint, "v2", "accounts", account.account_id, last)


def _url(endpoint: Endpoint, *path: str) -> str:
    try:
        # A dot is quoted as well: `..` would climb.
        return "/".join((endpoint.url, *(quote(part, safe="").replace(".", "%2E") for part in path)))
    except UnicodeError:
        raise Rejected(
            "an identifier cannot be written in an address", hint="account and key identifiers are UUIDs"
        ) from None


def update_body(fields: Fields) -> bytes:
    """Give the body of a PUT: only the fields that differ."""
    return json.dumps({name: diff.after for name, diff in fields.diffs.items()}).encode()


def read_key(answer: Answer, ask: Ask) -> RemoteKey:
    """Give the key of an answer that holds one; raise `BadAnswer` where it is not that."""
    return _remote_key(_parsed(WireKey, answer, ask), ask)


def read_page(answer: Answer, ask: Ask) -> tuple[tuple[RemoteKey, ...], WirePagination]:
    """Give the keys of a page and where it stands; raise `BadAnswer` where it is not a page."""
    page = _parsed(WirePage, answer, ask)
    return tuple(_remote_key(key, ask) for key in page.data), page.pagination


def read_sub_accounts(answer: Answer, ask: Ask) -> tuple[tuple[RemoteSubAccount, ...], WirePagination]:
    """Give the sub accounts of a page, deleted ones included; errors as for `read_page`."""
    page = _parsed(WireSubAccounts, answer, ask)
    for one in page.data:
        _must_be_of_the_account(one.parent_account_id, f"sub account {one.id}", ask)
    return tuple(RemoteSubAccount(one.id, one.name, one.status) for one in page.data), page.pagination


def read_domains(answer: Answer, ask: Ask) -> tuple[tuple[str, ...], WirePagination]:
    """Give the canonical names of the domains of a page; errors as for `read_page`."""
    page = _parsed(WireDomains, answer, ask)
    for one in page.data:
        _must_be_of_the_account(one.account_id, "a domain", ask)
    return tuple(canonical_domain(one.domain) for one in page.data), page.pagination


def _must_be_of_the_account(account_id: str, what: str, ask: Ask) -> None:
    if account_id != ask.account.account_id.lower():
        raise _strange(what, ask)


def _strange(what: str, ask: Ask) -> BadAnswer:
    return BadAnswer(f"{ask.deed}: the answer holds {what} of another account", hint=_SHAPE_HINT)


def _remote_key(key: WireKey, ask: Ask) -> RemoteKey:
    account = ask.account
    # AhaSend leaves open whether a sub account's key names the sub account or its parent.
    owners = {account.account_id.lower(), (account.sub_account_id or account.account_id).lower()}
    if key.account_id not in owners:
        raise _strange(f"key {key.id}", ask)
    try:
        networks = AllowList.parse(key.ip_allow_list)
    except ValueError:
        raise BadAnswer(
            f"{ask.deed}: the ip_allow_list of key {key.id} holds something that is no network", hint=_SHAPE_HINT
        ) from None
    scopes = ScopeSet.parse(scope.scope for scope in key.scopes)
    return RemoteKey(key.id, key.label, scopes, networks, key.created_at, key.last_used_at)


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    """Make a validator when it is used first: each takes 5 ms, and a plan in sync needs only that of a page."""
    return TypeAdapter(model)


def _parsed(model: type[type_model], answer: Answer, ask: Ask) -> type_model:
    adapter: TypeAdapter[type_model] = _adapter(model)  # type: ignore[arg-type] # a class is hashable
    try:
        return adapter.validate_json(answer.body, strict=True)
    except ValidationError as error:
        # Neither the values nor the cause of the error may be shown: they are the body.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        what = "an HTML page" if answer.body.lstrip()[:1] == b"<" else "malformed or truncated JSON"
        raise Passing(BadAnswer(f"{ask.deed}: {what} came: {_ELSEWHERE}{_tag(answer)}", hint=_ELSEWHERE_HINT))
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    raise BadAnswer(f"{ask.deed}: {place or 'the answer'}: {first['msg']}{_tag(answer)}", hint=_SHAPE_HINT)


def check_status(answer: Answer, ask: Ask, token: str) -> None:
    """Raise what an answer's status means, unless it is 200: a `RemoteError`, in `Passing` where a retry may help."""
    if answer.status == HTTPStatus.OK:
        return
    said = _said(answer, token)
    kind, hint = _meaning(answer.status, ask, foreign=said is None)
    status = f"{answer.status} {_phrase(answer.status)}".rstrip()
    error = kind(f"{ask.deed}: {status}: {_ELSEWHERE if said is None else said}{_tag(answer, token)}", hint=hint)
    if kind is RateLimited:
        raise Passing(error, _retry_after(answer))
    raise Passing(error) if kind is ServerFault else error


def _said(answer: Answer, token: str) -> str | None:
    """Give the API's own message, fit to show, or None where the body is not the API's."""
    try:
        return legible(_adapter(WireError).validate_json(answer.body, strict=True).message, token)
    except ValidationError:
        return None


def _tag(answer: Answer, token: str = "") -> str:
    return f" ({legible(answer.request_id, token, 100)})" if answer.request_id else ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _meaning(status: int, ask: Ask, *, foreign: bool) -> tuple[type[RemoteError], str]:
    """Tell which error a status is, and what a person can do about it."""
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthorized, _credential_hint(ask.account)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited, "the account's limit is shared with its own mail sending: lower --rate, or wait"
    if status in _PASSING:
        return ServerFault, "the request came too slowly or too early: a retry may help"
    match status // 100:
        case 4:
            # What stands in front of the API has no say about scopes or keys: a refusal of its own is none of ours.
            return (BadAnswer, _ELSEWHERE_HINT) if foreign else _refusal(status, ask)
        case 5:
            return ServerFault, "the service has a fault: a retry may help; see AhaSend's status page"
        case _:
            return BadAnswer, "nothing but 200 is expected, and redirects are not followed: is AHASEND_ENDPOINT right?"


def _refusal(status: int, ask: Ask) -> tuple[type[RemoteError], str]:
    match status:
        case HTTPStatus.FORBIDDEN:
            return Forbidden, _permission_hint(ask)
        case HTTPStatus.NOT_FOUND:
            return NotFound, "was it deleted meanwhile? Otherwise check the account id"
        case _:
            return Rejected, "a retry will not help: change what the files ask for as the message says"


def _credential_hint(account: AccountRef) -> str:
    name = credential_name(account)
    return (
        f"was the key in {name} (environment), or in the file {name.lower()} of RECONCILER_SECRETS_DIR, revoked, or is "
        f"it not of account {account.account_id}? A suspended account gets this answer too"
    )


def credential_name(account: AccountRef) -> str:
    """Give the name of the environment variable that holds the key used for an account."""
    return credential_variable("AHASEND_API_KEY", account.credential)


def _permission_hint(ask: Ask) -> str:
    needed = f"the scope {_needed_scope(ask)}"
    if ask.resource is Resource.DOMAIN:
        needed += ", which --check-domains needs"
    return (
        f"the key in {credential_name(ask.account)} lacks {needed}, or the address that this machine calls from is not "
        "on that key's own IP allow list; the dashboard works from anywhere"
    )


def _needed_scope(ask: Ask) -> str:
    action = "read" if ask.method == "GET" else "write"
    match ask.resource:
        case Resource.KEY:
            return f"{'api-keys' if ask.account.sub_account_id is None else 'sub-account-api-keys'}:{action}"
        case Resource.SUB_ACCOUNT:
            return f"sub-accounts:{action}"
        case Resource.DOMAIN:
            return f"domains:{action}"
        case _:
            assert_never(ask.resource)


def _retry_after(answer: Answer) -> float | None:
    """Give the seconds that the server asks to wait, within bounds, or None where it does not say."""
    text = answer.retry_after.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_PAUSE)
    until = _moment(text)
    if until is None:
        return None
    # By the server's own clock where it shows it.
    now = _moment(answer.date) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_PAUSE)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
