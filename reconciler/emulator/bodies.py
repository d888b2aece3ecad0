"""What request bodies ask for: new and changed keys and sub accounts, judged as the API judges them.

Sources: AhaSend's OpenAPI document 2.0.0 (`CreateAPIKeyRequest`, `UpdateAPIKeyRequest`, `CreateSubAccountRequest`,
`UpdateSubAccountRequest`, `SuspendSubAccountRequest`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from secrets import token_hex
from typing import Any, NoReturn
from uuid import uuid4

from reconciler.emulator.account import Account, Key, Profile
from reconciler.emulator.listing import TICK
from reconciler.emulator.permissions import Refused, canonical_networks, canonical_scopes

Fields = Mapping[str, Any]

LONGEST_TEXT = 255
LONGEST_REASON = 500
MOST_CREDIT = 1_000_000_000

# A label, then at least one more, the last of which begins with a letter; a trailing dot is allowed.
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FQDN = re.compile(rf"({_LABEL}\.)+(?=[A-Za-z]){_LABEL}\.?", re.ASCII)


def parsed(body: bytes) -> object:
    """Return what a JSON body holds; raises `Refused` (400) for what is not JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the request body is not valid JSON") from None


def parsed_fields(body: bytes) -> Fields:
    """Return the fields of a JSON object; raises `Refused` (400) for anything else."""
    document = parsed(body)
    if not isinstance(document, dict):
        raise Refused(400, "the request body must be a JSON object")
    return document


def created_key(account: Account, fields: Fields, now: datetime) -> Key:
    """Return the new key that a POST asks for, with its secret; raises `Refused` for what the API refuses."""
    created_at = account.keys.next_moment(now)
    return Key(
        id=str(uuid4()),
        # Open for the keys of sub accounts: the document's example shows the sub account's own identifier.
        account_id=account.id,
        label=_text(fields.get("label"), "label"),
        secret_key=f"aha-sk-{token_hex(32)}",
        scopes=_scopes(fields.get("scopes"), account, held=()),
        ip_allow_list=canonical_networks(_texts(fields.get("ip_allow_list", []), "ip_allow_list")),
        created_at=created_at,
        updated_at=created_at,
        last_used_at=None,
    )


def amended_key(account: Account, key: Key, fields: Fields, *, own_host: str | None, now: datetime) -> Key:
    """Return ``key`` as a PUT makes it.

    ``own_host`` is the caller's address if the key is the calling key, which must not lock itself out. Raises
    `Refused` for what the API refuses; nothing is changed then.
    """
    label, scopes, networks = (fields.get(name) for name in ("label", "scopes", "ip_allow_list"))
    if label is None and scopes is None and networks is None:
        raise Refused(400, "at least one field must be provided")
    changed = replace(
        key,
        label=key.label if label is None else _text(label, "label"),
        scopes=key.scopes if scopes is None else _scopes(scopes, account, held=key.scopes),
        ip_allow_list=key.ip_allow_list if networks is None else canonical_networks(_texts(networks, "ip_allow_list")),
        updated_at=max(now, key.updated_at + TICK),
    )
    if own_host is not None and not changed.admits(own_host):
        raise Refused(409, "the new ip_allow_list would lock this API key out")
    if _content(changed) == _content(key):
        raise _no_changes()
    return changed


def created_profile(fields: Fields, created_at: datetime) -> Profile:
    """Return what a POST asks of a new sub account; raises `Refused` for what the API refuses."""
    return Profile(
        name=_name(fields.get("name")),
        website=_website(fields.get("website")),
        monthly_credit=_credit(fields.get("monthly_credit", 0)),
        created_at=created_at,
    )


def amended_profile(profile: Profile, fields: Fields) -> Profile:
    """Return what a PUT makes of a sub account; raises `Refused` for what the API refuses."""
    name, website, credit = (fields.get(given) for given in ("name", "website", "monthly_credit"))
    if name is None and website is None and credit is None:
        raise Refused(400, "at least one field must be provided")
    changed = replace(
        profile,
        name=profile.name if name is None else _name(name),
        website=profile.website if website is None else _website(website),
        monthly_credit=profile.monthly_credit if credit is None else _credit(credit),
    )
    if changed == profile:
        raise _no_changes()
    return changed


def check_reason(fields: Fields) -> None:
    """Check the reason for a suspension, which no answer shows; raises `Refused` if there is none."""
    _text(fields.get("reason"), "reason", longest=LONGEST_REASON)


def _no_changes() -> Refused:
    return Refused(400, "no changes: every value is the current one")


def _content(key: Key) -> tuple[str, frozenset[str], frozenset[str]]:
    return key.label, frozenset(key.scopes), frozenset(key.ip_allow_list)


def _text(value: object, name: str, *, longest: int = LONGEST_TEXT) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise Refused(400, f"{name} must be a text of 1 to {longest} characters")
    # JSON can name half of a surrogate pair, which no UTF-8 answer can hold.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _name(value: object) -> str:
    name = _text(value, "name").strip()
    if not name:
        raise Refused(400, "name must not be blank")
    return name


def _website(value: object) -> str:
    website = _text(value, "website")
    if not _FQDN.fullmatch(website):
        raise Refused(400, "website must be a domain name")
    return website


def _credit(value: object) -> int:
    # JSON Schema counts 5.0 among the integers.
    whole = int(value) if type(value) is float and value.is_integer() else value
    if type(whole) is not int or not 0 <= whole <= MOST_CREDIT:
        raise Refused(400, f"monthly_credit must be a whole number from 0 to {MOST_CREDIT}")
    return whole


def _scopes(value: object, account: Account, *, held: tuple[str, ...]) -> tuple[str, ...]:
    return canonical_scopes(_texts(value, "scopes"), held=held, domains=account.domain_names)


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(400, f"{name} must be a list of texts")
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
