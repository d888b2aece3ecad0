"""What AhaSend's Go SDK, its command-line client and the Terraform provider do, over a real socket.

Sources: the public sources of ahasend-go, ahasend-cli and terraform-provider-ahasend: their headers, bodies without
insignificant space, up to three retries of 429, 5xx and network errors with the same ``Idempotency-Key``, and
``Retry-After`` ignored.
"""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import pytest

from emulator.scene import ACCOUNT, ACME, ACME_KEYS, KEYS, SHOP_KEY, SUB_ACCOUNT, SUB_ACCOUNTS, emulator
from reconciler.emulator.server import Emulator
from served import served

RETRIES = 3


@dataclass
class GoClient:
    """Calls as the SDK makes them; ``attempts`` counts the requests, ``headers`` are the last answer's."""

    app: Emulator
    host: str
    port: int
    attempts: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: object = None, *, idempotency_key: str | None = None
    ) -> tuple[int, Any]:
        """One call of the SDK, with its retries; gives the last status and the decoded body."""
        headers = {
            "User-Agent": "ahasend-go/1.0.0",
            "Accept": "application/json",
            "Authorization": "Bearer aha-sk-admin",
            "Accept-Encoding": "gzip",
        }
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        for attempt in range(RETRIES + 1):
            self.attempts += 1
            connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (http.client.HTTPException, ConnectionError):
                assert attempt < RETRIES
                continue
            finally:
                connection.close()
            if attempt == RETRIES or not (answer.status == 429 or answer.status >= 500):
                break
        assert answer.version == 11
        assert answer.getheader("Content-Type") == "application/json"
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(text)


@pytest.fixture
def go() -> Iterator[GoClient]:
    app = emulator()
    with served(app) as address:
        parts = urlsplit(address)
        yield GoClient(app, str(parts.hostname), int(parts.port or 0))


def check_key(key: dict[str, Any], account: str = ACCOUNT) -> None:
    """What Go's types need: UUIDs, times with a zone, texts, lists that are not null."""
    assert (str(UUID(key["id"])), str(UUID(key["account_id"]))) == (key["id"], account)
    for name in ("created_at", "updated_at"):
        assert datetime.fromisoformat(key[name]).tzinfo is not None
    assert all(isinstance(key[name], str) for name in ("object", "label", "public_key"))
    for scope in key["scopes"]:
        assert (str(UUID(scope["id"])), scope["api_key_id"]) == (scope["id"], key["id"])
        assert (scope["domain_id"] is not None) is ("{" in scope["scope"])
        assert str(UUID(scope["domain_id"] or key["id"])) in (scope["domain_id"], key["id"])
    assert isinstance(key["ip_allow_list"], list)


LOST: list[dict[str, Any]] = [
    {"status": 500, "when": "after"},
    {"status": 503},
    {"status": 429},
    {"drop": "after"},
    {"drop": "before"},
    {"status": 502, "when": "after"},
]


@pytest.mark.parametrize("path", [KEYS, ACME_KEYS])
@pytest.mark.parametrize("do", LOST)
def test_create_with_retries(go: GoClient, path: str, do: dict[str, Any]) -> None:
    """A creation whose first two answers are lost is one key, with the secret of that key."""
    go.app.set_faults({"rules": [{"method": "POST", "first": 2, "do": do}]})
    body = {"label": "ci", "scopes": ["messages:read:all", "domains:read"], "ip_allow_list": ["203.0.113.0/24"]}
    status, key = go.ask("POST", path, body, idempotency_key="terraform-ahasend-api-key-1")
    assert (status, go.attempts) == (201, 3)
    check_key(key, ACCOUNT if path == KEYS else SUB_ACCOUNT)
    assert (key["label"], [one["scope"] for one in key["scopes"]]) == ("ci", body["scopes"])
    assert (key["ip_allow_list"], len(key["secret_key"])) == (["203.0.113.0/24"], len("aha-sk-") + 64)
    assert [change.key_id for change in go.app.history] == [key["id"]]
    assert ("idempotent-replayed" in go.headers) is (do in ({"drop": "after"}, LOST[0], LOST[-1]))


def test_empty_idempotency_key(go: GoClient) -> None:
    """An empty idempotency key is none: two calls are two keys."""
    ids = {go.ask("POST", KEYS, {"label": "x", "scopes": ["*"]}, idempotency_key="")[1]["id"] for _ in range(2)}
    assert len(ids) == 2


def test_retries_are_limited(go: GoClient) -> None:
    """A client that gives up after three retries sees the status, and a message it can show."""
    go.app.set_faults({"rules": [{"do": {"status": 503}}]})
    assert go.ask("GET", SHOP_KEY) == (503, {"message": "Service Unavailable"})
    assert go.attempts == 4


def test_terraform_life_of_a_key(go: GoClient) -> None:
    """What Terraform creates and updates field by field reads back as asked for, in that order, until deleted."""
    scopes = ["suppressions:read", "messages:send:{shop.example.com}", "domains:read"]
    _, key = go.ask("POST", KEYS, {"label": "app", "scopes": scopes}, idempotency_key="terraform-ahasend-api-key-2")
    path = f"{KEYS}/{key['id']}"
    wanted: dict[str, Any] = {"label": "app", "scopes": scopes, "ip_allow_list": []}
    changes: list[dict[str, Any]] = [
        {},
        {"label": "app 2"},
        {"scopes": ["domains:read", "accounts:read"]},
        {"ip_allow_list": ["198.51.100.7/32", "203.0.113.0/24"]},
        {"ip_allow_list": []},
        {"label": "app 3", "scopes": ["webhooks:read:{news.example.org}", "routes:read:all"]},
    ]
    for change in changes:
        wanted |= change
        status, answer = go.ask("PUT", path, change) if change else go.ask("GET", path)
        assert status == 200
        check_key(answer)
        for shown in (answer, go.ask("GET", path)[1]):
            assert "secret_key" not in shown
            assert [one["scope"] for one in shown["scopes"]] == wanted["scopes"]
            assert (shown["label"], shown["ip_allow_list"]) == (wanted["label"], wanted["ip_allow_list"])
            assert (shown["created_at"], shown["public_key"]) == (key["created_at"], key["public_key"])
    status, answer = go.ask("DELETE", path)
    assert (status, list(answer)) == (200, ["message"])
    assert go.ask("DELETE", path)[0] == go.ask("GET", path)[0] == 404


def test_retried_put(go: GoClient) -> None:
    """A PUT that took effect and was answered with 500 gets a 400 when the SDK sends it again."""
    go.app.set_faults({"rules": [{"method": "PUT", "first": 1, "do": {"status": 500, "when": "after"}}]})
    status, answer = go.ask("PUT", SHOP_KEY, {"label": "renamed"})
    assert (status, list(answer), go.attempts) == (400, ["message"], 2)
    assert go.ask("GET", SHOP_KEY)[1]["label"] == "renamed"


def test_retried_delete(go: GoClient) -> None:
    """A DELETE that took effect and whose connection was dropped gets a 404, which Terraform takes as success."""
    go.app.set_faults({"rules": [{"method": "DELETE", "first": 1, "do": {"drop": "after"}}]})
    assert go.ask("DELETE", SHOP_KEY)[0] == 404


def test_command_line_pages(go: GoClient) -> None:
    """The command-line client pages with `limit` and the old `cursor`, and sees each key once."""
    for number in range(7):
        go.ask("POST", KEYS, {"label": f"k{number}", "scopes": ["*"]})
    labels: list[str] = []
    query = {"limit": "3"}
    while True:
        status, page = go.ask("GET", f"{KEYS}?{urlencode(query)}")
        assert status == 200
        labels += [key["label"] for key in page["data"]]
        if not page["pagination"]["has_more"]:
            break
        query["cursor"] = page["pagination"]["next_cursor"]
    assert labels == ["admin", "reader", "shop", *(f"k{number}" for number in range(7))]
    _, page = go.ask("GET", f"{KEYS}?limit=100")
    assert [key["label"] for key in page["data"]] == labels


def test_terraform_life_of_a_sub_account(go: GoClient) -> None:
    """Terraform creates a sub account, suspends it, lifts that without a body, renames and deletes it."""
    body = {"name": "Newco", "website": "newco.example.com", "monthly_credit": 0}
    go.app.set_faults({"rules": [{"method": "POST", "first": 1, "do": {"drop": "after"}}]})
    status, created = go.ask("POST", SUB_ACCOUNTS, body, idempotency_key="terraform-ahasend-sub-account-1")
    assert (status, created["status"], created["monthly_credit"]) == (201, "active", 0)
    path = f"{SUB_ACCOUNTS}/{created['id']}"
    status, suspended = go.ask("POST", f"{path}/suspend", {"reason": "Suspended via Terraform"})
    assert (status, suspended["status"]) == (200, "suspended")
    status, active = go.ask("POST", f"{path}/unsuspend")
    assert (status, active) == (200, created)
    assert go.ask("PUT", path, {"name": "Newco Ltd"})[1]["name"] == "Newco Ltd"
    _, listed = go.ask("GET", f"{SUB_ACCOUNTS}?limit=100")
    assert [one["name"] for one in listed["data"]] == ["Acme", "Newco Ltd"]
    assert go.ask("GET", f"{SUB_ACCOUNTS}/usage")[0] == 200
    assert go.ask("DELETE", path)[0] == 200
    assert go.ask("GET", path)[0] == go.ask("GET", f"{path}/api-keys")[0] == 404


def test_bootstrap_of_a_sub_account(go: GoClient) -> None:
    """The secret of a sub account's first key works on the sub account's own paths, as in the document's example."""
    _, key = go.ask("POST", ACME_KEYS, {"label": "Bootstrap key", "scopes": ["messages:send:all", "domains:read"]})
    connection = http.client.HTTPConnection(go.host, go.port, timeout=10)
    headers = {"Authorization": f"Bearer {key['secret_key']}"}
    connection.request("GET", f"/v2/accounts/{SUB_ACCOUNT}/domains", headers=headers)
    assert connection.getresponse().status == 200
    connection.close()
    assert go.ask("GET", ACME)[1]["status"] == "active"
