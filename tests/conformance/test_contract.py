"""The emulator keeps the essentials of AhaSend's document, with nothing but Python; a last test compares the two."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from conformance.contract import MESSAGE, OPERATIONS, SUB_ACCOUNT, Operation
from conformance.sharpened import ACCOUNT, ACTIVE, ADMIN, DOMAINS, KEYS, SECRET, SUB_ACCOUNT_KEYS, SUSPENDED, seed
from conformance.tools import document
from reconciler.emulator.server import Emulator

NOBODY = "99999999-9999-4999-8999-999999999999"
BODIES: dict[str, dict[str, Any]] = {
    "POST api-keys": {"label": "new", "scopes": ["messages:send:{shop.example.com}"], "ip_allow_list": ["203.0.113.9"]},
    "PUT {key_id}": {"label": "renamed"},
    "POST sub-accounts": {"name": "Newcomer", "website": "new.example.com"},
    "PUT {sub_account_id}": {"monthly_credit": 70},
    "POST suspend": {"reason": "asked for it"},
}
NO_OBJECTS = [b"", b"nul", b"null", b"[]", b'"text"', b"1e999", b"\xff", b"[" * 100_000, b'{"label": "\\ud800"']
WRONG_FIELDS: list[dict[str, Any]] = [
    *({name: 7.5} for name in ("label", "scopes", "ip_allow_list", "name", "website", "monthly_credit", "reason")),
    *({name: ""} for name in ("label", "name", "website", "reason")),
    *({name: "x" * 501} for name in ("label", "name", "website", "reason")),
    {"scopes": []},
    {"scopes": ["messages:send:{not-ours.example}"]},
    {"ip_allow_list": ["0.0.0.0/0"]},
    {"monthly_credit": -1},
    {"monthly_credit": 10**9 + 1},
]
each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
each_with_a_body = pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if f"{one.method} {one.path.rpartition('/')[2]}" in BODIES],
    ids=lambda operation: operation.name,
)  # fmt: skip


def path_of(operation: Operation, **ids: str) -> str:
    sub_account = SUSPENDED if operation.path.endswith("/unsuspend") else ACTIVE
    key = SUB_ACCOUNT_KEYS[0] if SUB_ACCOUNT in operation.path else KEYS[0]
    return operation.path.format(
        **{"account_id": ACCOUNT, "sub_account_id": sub_account, "key_id": key, "domain": DOMAINS[0]} | ids
    )


def body_of(operation: Operation) -> dict[str, Any] | None:
    return BODIES.get(f"{operation.method} {operation.path.rpartition('/')[2]}")


async def ask(
    operation: Operation, *, app: Emulator | None = None, token: str = SECRET, **request: Any
) -> httpx.Response:
    """Make the request, by default a right one in a fresh account, and hold its answer against the contract."""
    method, path = request.pop("method", operation.method), request.pop("path", path_of(operation))
    if "content" not in request:
        request.setdefault("json", body_of(operation))
    headers = {"Authorization": f"Bearer {token}"} | request.pop("headers", {})
    transport = httpx.ASGITransport(app or Emulator(seed()), client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://emulator", trust_env=False) as client:
        answer = await client.request(method, path, headers=headers, **request)
    assert answer.headers["content-type"] == "application/json"
    expected = operation.shape if answer.status_code == operation.success else MESSAGE
    Draft202012Validator(expected).validate(answer.json())
    assert answer.status_code in {*operation.statuses, 405} - {500}
    return answer


@each
async def test_success(operation: Operation) -> None:
    """A right request succeeds with the documented status, and with a body of exactly the documented shape."""
    answer = await ask(operation)
    assert answer.status_code == operation.success
    assert "idempotent-replayed" not in answer.headers


@each
async def test_credentials(operation: Operation) -> None:
    """Without a known key it is 401, with a key that lacks only the operation's scope 403."""
    assert (await ask(operation, token="aha-sk-unknown")).status_code == 401
    assert (await ask(operation, headers={"Authorization": "Basic x"})).status_code == 401
    account = seed()
    (admin,) = (key for key in account["accounts"][0]["keys"] if key["id"] == ADMIN)
    admin["scopes"] = [other.scope for other in OPERATIONS if other.scope not in (None, operation.scope)]
    expected = 403 if operation.scope else operation.success
    assert (await ask(operation, app=Emulator(account))).status_code == expected
    admin["scopes"] = [operation.scope] * bool(operation.scope)
    assert (await ask(operation, app=Emulator(account))).status_code == operation.success


@each
async def test_identifiers(operation: Operation) -> None:
    """A malformed identifier is 400, an unknown one 404; of another account than the key's, 401."""
    for name, unknown in (("account_id", 401), ("sub_account_id", 404), ("key_id", 404)):
        if f"{{{name}}}" in operation.path:
            assert (await ask(operation, path=path_of(operation, **{name: "%00nonsense"}))).status_code == 400
            assert (await ask(operation, path=path_of(operation, **{name: NOBODY}))).status_code == unknown


@each
async def test_other_methods(operation: Operation) -> None:
    """Methods that the document does not have are 405, and ``Allow`` lists exactly those that it has."""
    documented = {one.method for one in OPERATIONS if one.path == operation.path}
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"} - documented:
        answer = await ask(operation, method=method)
        assert answer.status_code == 405
        assert {allowed.strip() for allowed in answer.headers["allow"].split(",")} - {"HEAD"} == documented


@each_with_a_body
async def test_bad_bodies(operation: Operation) -> None:
    """What is no object, or an object with a wrong field, is 400, whatever the bytes."""
    right = body_of(operation)
    assert right is not None
    for content in NO_OBJECTS:
        answer = await ask(operation, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, content[:20]
    fields = known_fields(operation)
    for wrong in [{}, dict.fromkeys(fields), *(right | one for one in WRONG_FIELDS if set(one) <= fields)]:
        assert (await ask(operation, json=wrong)).status_code == 400, wrong


def known_fields(operation: Operation) -> set[str]:
    match operation.path.rpartition("/")[2]:
        case "api-keys" | "{key_id}":
            return {"label", "scopes", "ip_allow_list"}
        case "suspend":
            return {"reason"}
    return {"name", "website", "monthly_credit"}


@each
async def test_bad_queries(operation: Operation) -> None:
    """A list refuses a limit outside 1 to 100, a cursor that is none and two cursors at once; others ignore them."""
    expected = 400 if "data" in operation.shape["properties"] else operation.success
    for query in ("limit=0", "limit=101", "limit=x", "after=%00", "before=x", "after=x&before=x"):
        assert (await ask(operation, path=f"{path_of(operation)}?{query}")).status_code == expected, query
    assert (await ask(operation, path=f"{path_of(operation)}?unknown=%ff")).status_code == operation.success


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.creates], ids=lambda operation: operation.name)
async def test_replay(operation: Operation) -> None:
    """A create is replayed and says so; its key with another body is 422, without the headers of a replay."""
    app = Emulator(seed())
    headers = {"Idempotency-Key": "once"}
    first = await ask(operation, app=app, headers=headers)
    again = await ask(operation, app=app, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = await ask(operation, app=app, headers=headers, json={"other": True})
    assert other.status_code == 422
    assert not {"idempotent-replayed", "retry-after"} & set(other.headers)
    assert (await ask(operation, app=app, headers={"Idempotency-Key": "x" * 256})).status_code == 400


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.creates], ids=lambda operation: operation.name)
async def test_refused_before(operation: Operation) -> None:
    """A refusal is replayed, but where a success holds a secret: there it is held, and 409 says so in its headers."""
    app = Emulator(seed())
    headers = {"Idempotency-Key": "refused"}
    assert (await ask(operation, app=app, headers=headers, json={})).status_code == 400
    answer = await ask(operation, app=app, headers=headers, json={})
    if "secret_key" in operation.shape["properties"]:
        assert answer.status_code == 409
        assert answer.headers["idempotent-replayed"] == "false"
        assert 1 <= int(answer.headers["retry-after"]) <= 300
    else:
        assert answer.status_code == 400
        assert answer.headers["idempotent-replayed"] == "true"


@pytest.mark.conformance
def test_the_contract_is_the_document() -> None:
    """Operations, scopes, statuses and fields are those of AhaSend's document."""
    api = document("openapi")
    published = {
        f"{method.upper()} {path}": operation
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    }
    assert set(published) == {operation.name for operation in OPERATIONS}
    for operation in OPERATIONS:
        found = published[operation.name]
        assert found["security"] == [{"BearerAuth": [operation.scope] if operation.scope else []}]
        assert {int(status) for status in found["responses"]} == operation.statuses
        answer = found["responses"][str(operation.success)]["content"]["application/json"]["schema"]
        compare(api, operation.shape, answer)


def compare(api: dict[str, Any], shape: dict[str, Any], published: dict[str, Any]) -> None:
    """Fail unless both have the same fields, and require the same, down to the items of their lists."""
    required, properties = fields_of(api, published)
    assert required == set(shape["required"])
    assert set(properties) == set(shape["properties"])
    for name, field in properties.items():
        ours = shape["properties"][name]
        if "properties" in ours.get("items", ours) and "additionalProperties" in ours.get("items", ours):
            compare(api, ours.get("items", ours), field.get("items", field))


def fields_of(api: dict[str, Any], schema: dict[str, Any]) -> tuple[set[str], dict[str, Any]]:
    """The required fields of a published schema, and all of them."""
    required: set[str] = set()
    properties: dict[str, Any] = {}
    for part in resolved(api, schema).get("allOf", [schema]):
        found = resolved(api, part)
        required |= set(found.get("required", ()))
        properties |= found.get("properties", {})
    return required, properties


def resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    found: dict[str, Any] = api["components"]["schemas"][name] if name else schema
    return found
