"""Small builders of the core's values, named for what they give."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core.changes import Change
from reconciler.core.keys import AccountRef, DesiredAccount, KeySpec, RemoteKey, Source, UnmanagedRule
from reconciler.core.networks import AllowList
from reconciler.core.plan import AccountPlan, Plan, plan_account
from reconciler.core.scopes import ScopeSet

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=365)
ACCOUNT = AccountRef("11111111-1111-4111-8111-111111111111")
SUB_ACCOUNT = AccountRef(ACCOUNT.account_id, "22222222-2222-4222-8222-222222222222")
OFFICE = "203.0.113.0/24"
FENCE = "192.0.2.1/32"
SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
MANAGER = ("api-keys:read", "api-keys:write")


def scopes(*texts: str) -> ScopeSet:
    return ScopeSet.parse(texts)


def networks(*texts: str) -> AllowList:
    return AllowList.parse(texts)


def remote(key_id: str, label: str, *texts: str, at: tuple[str, ...] = (OFFICE,), **fields: Any) -> RemoteKey:
    """An actual key; ``at`` is its allow list."""
    return replace(RemoteKey(key_id, label, scopes(*texts), networks(*at), LONG_AGO), **fields)


def spec(name: str, *texts: str, at: tuple[str, ...] | None = (OFFICE,), **fields: Any) -> KeySpec:
    """A desired key labelled as it is named; ``at`` is its allow list, None where the file does not manage it."""
    listed = None if at is None else networks(*at)
    return replace(KeySpec(name, name, Source("keys.yaml", 1, 5), scopes(*texts), listed), **fields)


def desired(*specs: KeySpec, account: AccountRef = ACCOUNT, unmanaged: UnmanagedRule | None = None) -> DesiredAccount:
    return DesiredAccount(account, specs, unmanaged or UnmanagedRule())


def plan(specs: tuple[KeySpec, ...], keys: tuple[RemoteKey, ...], **fields: Any) -> AccountPlan:
    return plan_account(desired(*specs, **fields), keys, NOW)


def only(plan: AccountPlan) -> Change:
    """The one change of a plan."""
    (change,) = plan.changes
    return change


def below(number: int) -> AccountRef:
    """The story's n-th sub account."""
    return AccountRef(ACCOUNT.account_id, f"33333333-3333-4333-8333-{number:012}")


def whole(*accounts: AccountPlan, complete: bool = True) -> Plan:
    return Plan(accounts, complete)
