"""Keys as they were listed, schema ``reconciler/listing/v1``: for reviews, audits and replays without a credential.

A listing holds no secret: AhaSend gives one only in the answer to the creation of a key.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from reconciler.collector import collector_paused
from reconciler.core.inventory import rfc3339
from reconciler.core.keys import RemoteKey, RemoteSubAccount
from reconciler.core.networks import AllowList
from reconciler.core.scopes import ScopeSet
from reconciler.errors import FilesError, Problem
from reconciler.files.export import SubAccountKeys
from reconciler.files.folders import why_unreadable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA: Final = "reconciler/listing/v1"
_MOST_TOLD: Final = 20
_MOST_APART: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SavedAccount:
    """An account and its keys; ``sub_accounts`` is None where they were not listed, which is not the same as none."""

    account_id: str
    keys: tuple[RemoteKey, ...]
    sub_accounts: tuple[SubAccountKeys, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What accounts had at a time (with a zone), each account once."""

    taken_at: datetime
    accounts: tuple[SavedAccount, ...]


def write_listing(listing: Listing) -> str:
    """Give the text of a file that holds a listing; the same keys give the same text."""
    record = {
        "schema": SCHEMA,
        "taken_at": rfc3339(listing.taken_at),
        "accounts": [
            {
                "account_id": account.account_id,
                "keys": _written(account.keys),
                "sub_accounts": None
                if account.sub_accounts is None
                else [
                    {
                        "id": each.sub_account.id,
                        "name": each.sub_account.name,
                        "status": each.sub_account.status,
                        "keys": _written(each.keys),
                    }
                    for each in sorted(account.sub_accounts, key=lambda each: each.sub_account.id)
                ],
            }
            for account in listing.accounts
        ],
    }
    return json.dumps(record, indent=1) + "\n"


def _written(keys: Iterable[RemoteKey]) -> list[dict[str, Any]]:
    return [
        {
            "id": key.id,
            "label": key.label,
            "scopes": list(key.scopes.texts),
            "ip_allow_list": list(key.ip_allow_list.networks),
            "created_at": rfc3339(key.created_at),
            "last_used_at": rfc3339(key.last_used_at) if key.last_used_at else None,
        }
        for key in sorted(keys, key=lambda key: key.id)
    ]


def load_listings(paths: Sequence[Path]) -> Listing:
    """Read saved listings as one, as of the last of them.

    Raises:
        FilesError: with every problem of every file: it cannot be read, is no listing, or two hold the same account.
    """
    problems: list[Problem] = []
    listings = {path: listing for path in dict.fromkeys(paths) if (listing := _load(path, problems))}
    accounts: dict[str, SavedAccount] = {}
    for path, listing in listings.items():
        for account in listing.accounts:
            if account.account_id in accounts:
                message = f"account {account.account_id} is there twice, or in another listing, too: keep one of them"
                problems.append(Problem(str(path), 0, 0, message))
            accounts[account.account_id] = account
    times = [listing.taken_at for listing in listings.values()]
    if times and max(times) - min(times) > _MOST_APART:
        problems.append(Problem(str(paths[0]), 0, 0, "the listings were saved more than an hour apart: save them anew"))
    if problems:
        raise FilesError(tuple(problems))
    return Listing(max(times), tuple(accounts[each] for each in sorted(accounts)))


def _load(path: Path, problems: list[Problem]) -> Listing | None:
    from pydantic import ValidationError

    try:
        with collector_paused():
            return _listing(_adapter().validate_json(path.read_bytes()))
    except OSError as error:
        problems.append(Problem(str(path), 0, 0, why_unreadable(path, error)))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(each["loc"] in ((), ("schema",)) for each in found):
            found = []
            problems.append(Problem(str(path), 0, 0, "is no listing: `reconciler export --actual FILE` writes one"))
        problems += [_problem(path, each["loc"], each["msg"]) for each in found[:_MOST_TOLD]]
    except (ValueError, OverflowError) as error:
        problems.append(Problem(str(path), 0, 0, str(error)))
    return None


def _problem(path: Path, location: tuple[int | str, ...], message: str) -> Problem:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
    return Problem(str(path), 0, 0, f"{where}: {message}")


# The file's own form


@dataclass(frozen=True, slots=True)
class _Key:
    """One key as it was listed.

    Attributes:
        id: Its id.
        label: What AhaSend calls it.
        scopes: Its scopes, as text.
        ip_allow_list: The networks that may use it; empty: it is usable from anywhere.
        created_at: When it was made.
        last_used_at: When it was used last; null: never.
    """

    id: str
    label: str
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _SubAccount:
    """One sub account and its keys.

    Attributes:
        id: Its id.
        name: What it is called.
        status: Its status, as AhaSend told it.
        keys: Its keys.
    """

    id: str
    name: str
    status: str
    keys: tuple[_Key, ...]


@dataclass(frozen=True, slots=True)
class _Account:
    """One account and its keys.

    Attributes:
        account_id: Its id.
        keys: Its own keys.
        sub_accounts: Its sub accounts; null: they were not listed, which is not the same as none.
    """

    account_id: str
    keys: tuple[_Key, ...]
    sub_accounts: tuple[_SubAccount, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """Keys as they were listed; it holds no secret.

    Attributes:
        schema: What this is.
        taken_at: When the keys were listed.
        accounts: The accounts, each once.
    """

    schema: Literal["reconciler/listing/v1"]
    taken_at: datetime
    accounts: tuple[_Account, ...]


def listing_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a saved listing."""
    from reconciler.files.described import published

    return published(_adapter().json_schema(mode="validation"))


@cache
def _adapter() -> "TypeAdapter[_Record]":
    from pydantic import TypeAdapter

    return TypeAdapter(_Record)


def _listing(record: _Record) -> Listing:
    accounts = (
        SavedAccount(
            account.account_id.lower(),
            _keys(account.keys),
            None if account.sub_accounts is None else _sub_accounts(account.sub_accounts),
        )
        for account in record.accounts
    )
    if not record.accounts:
        raise ValueError("holds no account: save it anew")
    return Listing(_zoned(record.taken_at), tuple(accounts))


def _sub_accounts(sub_accounts: tuple[_SubAccount, ...]) -> tuple[SubAccountKeys, ...]:
    if len({each.id.lower() for each in sub_accounts}) < len(sub_accounts):
        raise ValueError("a sub account is in the listing twice: save it anew")
    return tuple(
        SubAccountKeys(RemoteSubAccount(each.id.lower(), each.name, each.status), _keys(each.keys))
        for each in sub_accounts
    )


def _keys(keys: tuple[_Key, ...]) -> tuple[RemoteKey, ...]:
    ids = {key.id.lower() for key in keys}
    if len(ids) < len(keys):
        raise ValueError("a key is in the listing twice: save it anew")
    return tuple(map(_key, keys))


def _key(key: _Key) -> RemoteKey:
    try:
        return RemoteKey(
            key.id.lower(),
            key.label,
            ScopeSet.parse(key.scopes),
            AllowList.parse(key.ip_allow_list),
            _zoned(key.created_at),
            _zoned(key.last_used_at) if key.last_used_at else None,
        )
    except (ValueError, OverflowError) as error:
        raise ValueError(f"key {key.id}: {error}") from None


def _zoned(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
