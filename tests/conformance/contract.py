"""The essentials of AhaSend's document, as this project's own tests hold them: operations, statuses, shapes.

Read from version 2.0.0 of the document; where that file is there, a test compares. Statuses are those that an operation
may answer with besides 429 (too many requests) and 405 (no such method), which the document does not list.
"""

from dataclasses import dataclass
from typing import Any

ACCOUNT_PATH = "/v2/accounts/{account_id}"
SUB_ACCOUNTS = f"{ACCOUNT_PATH}/sub-accounts"
SUB_ACCOUNT = f"{SUB_ACCOUNTS}/{{sub_account_id}}"

TEXT = {"type": "string"}
UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
COUNT = {"type": "integer", "minimum": 0}
AMOUNT = {"type": "number", "minimum": 0}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def array(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def shape(optional: dict[str, Any] | None = None, /, **fields: Any) -> dict[str, Any]:
    """An object of exactly these fields, where a text stands for itself."""
    properties = {name: {"const": value} if isinstance(value, str) else value for name, value in fields.items()}
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


MESSAGE = shape(message=TEXT)
PAGINATION = shape({"next_cursor": TEXT, "previous_cursor": TEXT}, has_more={"type": "boolean"})


def page(item: dict[str, Any]) -> dict[str, Any]:
    return shape(object="list", data=array(item), pagination=PAGINATION)


KEY_FIELDS: dict[str, Any] = {
    "object": "api_key",
    "id": UUID,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "last_used_at": nullable(MOMENT),
    "account_id": UUID,
    "label": TEXT,
    "public_key": TEXT,
    "scopes": array(
        shape(id=UUID, created_at=MOMENT, updated_at=MOMENT, api_key_id=UUID, scope=TEXT, domain_id=nullable(UUID))
    ),
    "ip_allow_list": array(TEXT),
}
KEY = shape(**KEY_FIELDS)
CREATED_KEY = shape(**KEY_FIELDS, secret_key={"type": "string", "pattern": "^aha-sk-.{64}$"})
SUB_ACCOUNT_SHAPE = shape(
    object="sub_account",
    id=UUID,
    parent_account_id=UUID,
    created_at=MOMENT,
    name=TEXT,
    website=TEXT,
    status={"enum": ["active", "suspended", "parent-suspended", "deleted"]},
    monthly_credit=COUNT,
    domain_count=COUNT,
    member_count=COUNT,
    last_activity_at=nullable(MOMENT),
)
DOMAIN = shape(
    object="domain",
    id=UUID,
    created_at=MOMENT,
    updated_at=MOMENT,
    domain=TEXT,
    account_id=UUID,
    dns_records={"type": "array"},
    last_dns_check_at=nullable(MOMENT),
    dns_valid={"type": "boolean"},
    tracking_subdomain=nullable(TEXT),
    return_path_subdomain=nullable(TEXT),
    subscription_subdomain=nullable(TEXT),
    media_subdomain=nullable(TEXT),
    dkim_rotation_interval_days=nullable(COUNT),
    dkim_selector=nullable(TEXT),
    rotation_ready={"type": "boolean"},
    dsn_recipient=nullable(TEXT),
)
BUCKET: dict[str, Any] = {"reception_count": COUNT, "allocated_cost": AMOUNT}
USAGE = shape(
    billing_period={"type": "object", "required": ["start", "end"]},
    currency=TEXT,
    allocation_method="proportional",
    allocation_note=TEXT,
    parent=shape({"name": TEXT}, account_id=UUID, **BUCKET),
    sub_accounts=array(shape(account_id=UUID, name=TEXT, **BUCKET)),
    removed_sub_accounts=shape({"account_id": UUID, "name": TEXT}, **BUCKET),
    total=shape({"account_id": UUID, "name": TEXT}, **BUCKET),
)


@dataclass(frozen=True)
class Operation:
    """An operation, the scope that it needs, the shape of its success, and whether its failures may be 404 or 409."""

    method: str
    path: str
    scope: str | None
    shape: dict[str, Any]
    more: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def success(self) -> int:
        return 201 if self.creates else 200

    @property
    def creates(self) -> bool:
        return self.method == "POST" and self.path.rpartition("/")[2] in ("api-keys", "sub-accounts")

    @property
    def statuses(self) -> set[int]:
        return {self.success, 400, 401, 403, 500, *self.more, *((409, 422) if self.creates else ())}


def _keys(path: str, scope: str, *, nested: bool) -> tuple[Operation, ...]:
    # A list of one's own account is never missing; nobody is locked out by an edit of somebody else's key.
    missing = (404,) if nested else ()
    one = f"{path}/{{key_id}}"
    return (
        Operation("GET", path, f"{scope}:read", page(KEY), missing),
        Operation("POST", path, f"{scope}:write", CREATED_KEY, missing),
        Operation("GET", one, f"{scope}:read", KEY, (404,)),
        Operation("PUT", one, f"{scope}:write", KEY, (404,) if nested else (404, 409)),
        Operation("DELETE", one, f"{scope}:delete", MESSAGE, (404,)),
    )


OPERATIONS = (
    Operation("GET", "/v2/ping", None, MESSAGE),
    *_keys(f"{ACCOUNT_PATH}/api-keys", "api-keys", nested=False),
    Operation("GET", f"{ACCOUNT_PATH}/domains", "domains:read", page(DOMAIN)),
    Operation("GET", f"{ACCOUNT_PATH}/domains/{{domain}}", "domains:read", DOMAIN, (404,)),
    Operation("GET", SUB_ACCOUNTS, "sub-accounts:read", page(SUB_ACCOUNT_SHAPE), (404,)),
    Operation("POST", SUB_ACCOUNTS, "sub-accounts:write", SUB_ACCOUNT_SHAPE, (404,)),
    Operation("GET", f"{SUB_ACCOUNTS}/usage", "sub-accounts:usage", USAGE, (404,)),
    Operation("GET", SUB_ACCOUNT, "sub-accounts:read", SUB_ACCOUNT_SHAPE, (404,)),
    Operation("PUT", SUB_ACCOUNT, "sub-accounts:write", SUB_ACCOUNT_SHAPE, (404,)),
    Operation("DELETE", SUB_ACCOUNT, "sub-accounts:delete", MESSAGE, (404,)),
    Operation("POST", f"{SUB_ACCOUNT}/suspend", "sub-accounts:suspend", SUB_ACCOUNT_SHAPE, (404,)),
    Operation("POST", f"{SUB_ACCOUNT}/unsuspend", "sub-accounts:suspend", SUB_ACCOUNT_SHAPE, (404,)),
    *_keys(f"{SUB_ACCOUNT}/api-keys", "sub-account-api-keys", nested=True),
)
