"""What AhaSend's document says in prose, as schemas, for one account: so that a valid request is one that must succeed.

As published, any text is a valid scope, network, cursor or website, so most requests that schemathesis makes up are
refused before they mean anything, and a refusal proves nothing.
"""

import re
from typing import Any

import httpx

ACCOUNT = "11111111-1111-4111-8111-111111111111"
ADMIN = "aaaaaaaa-0000-4000-8000-000000000000"
SECRET = "aha-sk-" + "c" * 64
ACTIVE = "33333333-3333-4333-8333-333333333331"
SUSPENDED = "33333333-3333-4333-8333-333333333332"
KEYS = [f"aaaaaaaa-0000-4000-8000-00000000000{number}" for number in (1, 2, 3)]
SUB_ACCOUNT_KEYS = [f"bbbbbbbb-0000-4000-8000-00000000000{number}" for number in (1, 2, 3)]
DOMAINS = ["news.example.com", "shop.example.com"]
SCOPES = ["*", "api-keys:read", "suppressions:wipe", "messages:send:all", "messages:send:{shop.example.com}"]
NETWORKS = ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32"]
WEBSITES = ["acme.example.com", "example.org"]


def seed() -> dict[str, Any]:
    """The account that the sharpened document is about; no valid request finds a value there already."""
    admin = _key(ADMIN, secret_key=SECRET, scopes=["*"], ip_allow_list=[])
    sub_accounts = [
        _sub_account(ACTIVE, "Acme", "active", [_key(key) for key in SUB_ACCOUNT_KEYS]),
        _sub_account(SUSPENDED, "Umbra", "suspended", []),
    ]
    keys = [*map(_key, KEYS), admin]
    return {"accounts": [{"id": ACCOUNT, "domains": DOMAINS, "keys": keys, "sub_accounts": sub_accounts}]}


def sharpen(document: dict[str, Any], address: str) -> None:
    """Add to ``document`` what holds for the account of `seed`, served at ``address``."""
    schemas = document["components"]["schemas"]
    for name in ("CreateAPIKeyRequest", "UpdateAPIKeyRequest"):
        fields = schemas[name]["properties"]
        fields["scopes"] |= {"items": {"enum": SCOPES}, "uniqueItems": True}
        fields["ip_allow_list"]["items"] = {"enum": NETWORKS}
    for name in ("CreateSubAccountRequest", "UpdateSubAccountRequest"):
        fields = schemas[name]["properties"]
        fields["name"]["pattern"] = r"\S"  # "the result must not be blank"
        fields["website"]["enum"] = [*WEBSITES, *([None] if name.startswith("Update") else [])]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _drop_foreign_examples(operation)
            for parameter in operation.get("parameters", []):
                values = _values_of(parameter.get("name"), path, address)
                if values:
                    parameter["schema"] = {"type": "string", "enum": values}


def _values_of(name: str | None, path: str, address: str) -> list[str]:
    match name:
        case "account_id":
            return [ACCOUNT]
        case "sub_account_id":
            return [SUSPENDED if path.endswith("/unsuspend") else ACTIVE]
        case "key_id":
            return SUB_ACCOUNT_KEYS if "sub-accounts" in path else KEYS
        case "domain":
            return DOMAINS
        case "after" | "before":
            # No schema says that they exclude each other: here only the empty text is a right `before`.
            return ["", _cursor(path, address)] if name == "after" else [""]
    return []


def _cursor(path: str, address: str) -> str:
    """The cursor after the first item of a list."""
    listed = path.format(account_id=ACCOUNT, sub_account_id=ACTIVE)
    answer = httpx.get(
        f"{address}{listed}?limit=1", headers={"Authorization": f"Bearer {SECRET}"}, trust_env=False
    ).raise_for_status()
    return str(answer.json()["pagination"]["next_cursor"])


def _drop_foreign_examples(operation: dict[str, Any]) -> None:
    """Examples name a domain of AhaSend's own account."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        media.pop("example", None)


def _key(key_id: str, **fields: Any) -> dict[str, Any]:
    usual = {"scopes": ["routes:read:all"], "ip_allow_list": ["192.0.2.7/32"]}
    return {"id": key_id, "label": f"as it was: {key_id}"} | usual | fields


def _sub_account(sub_account_id: str, name: str, status: str, keys: list[dict[str, Any]]) -> dict[str, Any]:
    usual = {"website": "www.example.net", "monthly_credit": 123_457, "domains": DOMAINS}
    return {"id": sub_account_id, "name": name, "status": status, "keys": keys} | usual


def link(document: dict[str, Any], made_at: str) -> None:
    """Leave the operations on what is made at one path, and say what follows on what: each on what came before.

    A resource that was made, changed or deleted is asked for again by its identifier.
    """
    document["paths"] = {
        path: {method: one for method, one in methods.items() if path != made_at or method == "post"}
        for path, methods in document["paths"].items()
        if path == made_at or (path.startswith(f"{made_at}/{{") and "}/api-keys" not in path.removeprefix(made_at))
    }
    operations = [(path, one) for path, methods in document["paths"].items() for one in methods.values()]
    for path, operation in operations:
        is_create = "201" in operation["responses"]
        if is_create:
            # A replayed create names a resource that an earlier chain may have deleted.
            operation["parameters"] = [one for one in operation["parameters"] if "$ref" not in one]
        if is_create or path.endswith("}"):
            below = f"{path}/{{" if is_create else path
            operation["responses"]["201" if is_create else "200"]["links"] = {
                one["operationId"]: {
                    "operationId": one["operationId"],
                    "parameters": _followed(_names(path), _names(other), is_create=is_create),
                }
                for other, one in operations
                if other.startswith(below)
            }


def _followed(given: list[str], wanted: list[str], *, is_create: bool) -> dict[str, str]:
    """Where a request that follows finds its identifiers; one that neither request nor answer has is left to chance."""
    known = {f"path.{name}": f"$request.path.{name}" for name in given}
    made = {f"path.{name}": "$response.body#/id" for name in wanted[len(given) : len(given) + is_create]}
    return known | made


def _names(path: str) -> list[str]:
    """The names of a path's parameters, in order."""
    return re.findall(r"{(\w+)}", path)
