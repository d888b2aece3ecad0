"""The seed: the state of the emulator as a document, taken as it is.

A seed is never refused for what the API would refuse, and never reduced to what the API would store: it is how odd
accounts are made. It is refused when it has another shape.
"""

import gc
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import yaml

from reconciler.emulator.account import Account, Key, Profile, SubAccount
from reconciler.emulator.listing import TICK
from reconciler.emulator.permissions import is_uuid

STATUSES = ("active", "suspended", "parent-suspended", "deleted")


@dataclass(frozen=True, slots=True)
class SeedField:
    """One field of a seed: what it must be, what it holds, and what counts where it is left out."""

    kind: str
    holds: str
    otherwise: str


_MADE_UP = "a new one"
_ID = SeedField("text, a UUID", "its id", _MADE_UP)
_DOMAINS = SeedField("list of text", "the domains that it owns", "none")
_KEYS = SeedField("list of keys", "its keys", "none")
_STATUS = SeedField(f"one of {', '.join(STATUSES)}", "its status; keys of one that is not active get 401", "active")
SEED_FIELDS: Final = {"accounts": SeedField("list of accounts", "the accounts", "none")}
ACCOUNT_FIELDS: Final = {
    "id": _ID,
    "status": _STATUS,
    "domains": _DOMAINS,
    "keys": _KEYS,
    "sub_accounts": SeedField("list of sub accounts", "the sub accounts below it", "none"),
}
SUB_ACCOUNT_FIELDS: Final = {
    "id": _ID,
    "name": SeedField("text", "what it is called", "empty"),
    "website": SeedField("text", "its web site", "example.com"),
    "status": _STATUS,
    "monthly_credit": SeedField("whole number", "how many messages it may send in a month", "0"),
    "created_at": SeedField("date and time", "when it was made", "now"),
    "last_activity_at": SeedField("date and time", "when something was last done with it", "never"),
    "domains": _DOMAINS,
    "keys": _KEYS,
}
KEY_FIELDS: Final = {
    "id": _ID,
    "label": SeedField("text", "what it is called", "there must be one"),
    "secret_key": SeedField("text", "what a request bears to use it, unique in the seed", "nobody can use it"),
    "scopes": SeedField("list of text", "what it may do", "none"),
    "ip_allow_list": SeedField(
        "list of text", "the networks that may use it; empty: it is usable from anywhere", "empty"
    ),
    "created_at": SeedField("date and time", "when it was made", "now"),
    "updated_at": SeedField("date and time", "when it was changed last", "when it was made"),
    "last_used_at": SeedField("date and time", "when it was used last", "never"),
}


class SeedError(ValueError):
    """A seed that cannot be read, or of another shape than the documented one: where, and what was expected."""


def load_seed(path: Path) -> object:
    """Return what a YAML or JSON file holds, unchecked; raises `SeedError` if it cannot be read as either."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SeedError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeedError(f"{path}: {error}") from None
    # A large seed is nothing but small objects, none of which is garbage: collecting would take most of the time.
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return _from_json_or_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SeedError(f"{path}: {error}") from None
    finally:
        if was_collecting:
            gc.enable()


def _from_json_or_yaml(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return yaml.load(text, Loader=yaml.CSafeLoader)


def parse_seed(document: object, now: datetime) -> dict[str, Account]:
    """Return the accounts of a seed by identifier, exactly as it has them; ``now`` dates what has no date.

    Raises `SeedError` for another shape, never for values that the API itself would refuse.
    """
    reader = _SeedReader(now)
    listed = _list(_fields(document, "seed", SEED_FIELDS), "accounts", "seed")
    accounts = [reader.account(item, f"accounts[{index}]") for index, item in enumerate(listed)]
    return {account.id: account for account in accounts}


class _SeedReader:
    """Reads one seed; identifiers and secrets must be unique in all of it, or a request could mean two keys."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._undated = count()
        self._account_ids: set[str] = set()
        self._secrets: set[str] = set()

    def account(self, document: object, where: str) -> Account:
        fields = _fields(document, where, ACCOUNT_FIELDS)
        account_id, domains, keys = self._common(fields, where)
        account = Account(account_id, domains, keys, status=_status(fields, where))
        account.adopt(
            self._sub_account(item, f"{where}.sub_accounts[{index}]", account_id)
            for index, item in enumerate(_list(fields, "sub_accounts", where))
        )
        return account

    def _sub_account(self, document: object, where: str, parent_id: str) -> SubAccount:
        fields = _fields(document, where, SUB_ACCOUNT_FIELDS)
        account_id, domains, keys = self._common(fields, where)
        profile = Profile(
            name=_text(fields.get("name", ""), f"{where}.name"),
            website=_text(fields.get("website", "example.com"), f"{where}.website"),
            monthly_credit=_credit(fields, where),
            created_at=_moment(fields, "created_at", where) or self._undated_moment(),
            last_activity_at=_moment(fields, "last_activity_at", where),
        )
        return SubAccount(parent_id, account_id, domains, keys, status=_status(fields, where), profile=profile)

    def _undated_moment(self) -> datetime:
        """Each a little later than the one before, so that a list has the seed's order."""
        return self._now + next(self._undated) * TICK

    def _common(self, fields: dict[str, Any], where: str) -> tuple[str, tuple[str, ...], list[Key]]:
        account_id = _identifier(fields, where)
        _note(self._account_ids, account_id, f"{where}.id")
        key_ids: set[str] = set()
        keys = []
        for index, item in enumerate(_list(fields, "keys", where)):
            key = self._key(item, f"{where}.keys[{index}]", account_id)
            _note(key_ids, key.id, f"{where}.keys[{index}].id")
            keys.append(key)
        return account_id, _text_tuple(fields, "domains", where), keys

    def _key(self, document: object, where: str, account_id: str) -> Key:
        fields = _fields(document, where, KEY_FIELDS)
        secret = fields.get("secret_key")
        if secret is not None:
            _note(self._secrets, _text(secret, f"{where}.secret_key"), f"{where}.secret_key")
        created_at = _moment(fields, "created_at", where) or self._undated_moment()
        return Key(
            id=_identifier(fields, where),
            account_id=account_id,
            label=_text(fields.get("label"), f"{where}.label"),
            secret_key=secret,
            scopes=_text_tuple(fields, "scopes", where),
            ip_allow_list=_text_tuple(fields, "ip_allow_list", where),
            created_at=created_at,
            updated_at=_moment(fields, "updated_at", where) or created_at,
            last_used_at=_moment(fields, "last_used_at", where),
        )


def _note(seen: set[str], value: str, where: str) -> None:
    if value in seen:
        raise SeedError(f"{where}: it is given twice")
    seen.add(value)


def _fields(document: object, where: str, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SeedError(f"{where}: a mapping is expected, not {type(document).__name__}")
    for name in document:
        if name not in known:
            raise SeedError(f"{where}: unknown field {name!r}; known are {', '.join(known)}")
    return {name: value for name, value in document.items() if value is not None}


def _list(fields: dict[str, Any], name: str, where: str) -> list[Any]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise SeedError(f"{where}.{name}: a list is expected, not {type(value).__name__}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SeedError(f"{where}: a text is expected, not {type(value).__name__}")
    return value


def _text_tuple(fields: dict[str, Any], name: str, where: str) -> tuple[str, ...]:
    items = _list(fields, name, where)
    return tuple(_text(item, f"{where}.{name}[{index}]") for index, item in enumerate(items))


def _status(fields: dict[str, Any], where: str) -> str:
    status = _text(fields.get("status", "active"), f"{where}.status")
    if status not in STATUSES:
        raise SeedError(f"{where}.status: one of {', '.join(STATUSES)} is expected, not {status!r}")
    return status


def _credit(fields: dict[str, Any], where: str) -> int:
    value = fields.get("monthly_credit", 0)
    if type(value) is not int:
        raise SeedError(f"{where}.monthly_credit: a whole number is expected, not {value!r}")
    return value


def _identifier(fields: dict[str, Any], where: str) -> str:
    value = _text(fields.get("id", str(uuid4())), f"{where}.id")
    if not is_uuid(value):
        raise SeedError(f"{where}.id: a UUID is expected, not {value!r}")
    return value.lower()


def _moment(fields: dict[str, Any], name: str, where: str) -> datetime | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        # A day's room at both ends of the calendar: no arithmetic with it leaves the calendar.
        return (aware + timedelta(days=1) - timedelta(days=2) + timedelta(days=1)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise SeedError(f"{where}.{name}: a date and time is expected, not {value!r}") from None
