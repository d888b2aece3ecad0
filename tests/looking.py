"""Audits of a world, and passes over a saved listing of it: what only looks."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads
from reconciler.ahasend.pace import Paces, Stop
from reconciler.audit import run_audit
from reconciler.core.guardrails import Consent
from reconciler.core.keys import RemoteKey, RemoteSubAccount
from reconciler.core.memory import Memory
from reconciler.core.networks import AllowList
from reconciler.core.report import Report
from reconciler.core.scopes import ScopeSet
from reconciler.files.desired import load_desired
from reconciler.files.export import SubAccountKeys
from reconciler.files.saved import Listing, SavedAccount
from reconciler.reconcile import DryRun, PassInputs, Saved, run_pass
from virtual_time import run_virtual
from world import NOON, InProcess, World, key_id


def audit(world: World, *, listing: Listing | None = None, now: datetime = NOON) -> Report:
    """Judge the keys of the world's account, or of a listing, by the world's policy."""

    async def work() -> Report:
        stop = world.stop or Stop()
        access = Saved(listing) if listing else DryRun(lambda: open_reads(_client(world, stop)))
        return await run_audit(_inputs(world, access, stop), access, now)

    return run_virtual(work())


def plan_saved(world: World, listing: Listing) -> Report:
    """Plan by a listing what the world's files want."""

    async def work() -> Report:
        report, _ = await run_pass(_inputs(world, Saved(listing), Stop()), listing.taken_at, Memory())
        return report

    return run_virtual(work())


def _client(world: World, stop: Stop) -> ClientConfig:
    return ClientConfig(
        Endpoint("http://127.0.0.1:1"),
        Paces(world.rate, world.burst),
        stop,
        world._told,
        lambda account, refused: world.tokens[account.credential],
        make_transport=lambda: InProcess(world.emulator, world.before, world.after),
    )


def _inputs(world: World, access: DryRun | Saved, stop: Stop) -> PassInputs:
    loaded, policy = load_desired([world.folder], lambda name: None), world._policy()
    return PassInputs(
        "look",
        loaded.state,
        access,
        world._told,
        stop,
        Consent(policy.limits, self_keys={None: key_id(0)}),
        (*policy.findings, *loaded.findings),
        policy.policy,
        world.patience,
    )


def saved(world: World, *, sub_accounts: bool = False, taken_at: datetime = NOON) -> Listing:
    """A listing of what the world has, as export would save it."""
    accounts = (
        SavedAccount(
            one["id"],
            _keys(one["keys"]),
            tuple(
                SubAccountKeys(RemoteSubAccount(each["id"], each["name"], each["status"]), _keys(each["keys"]))
                for each in one["sub_accounts"]
            )
            if sub_accounts
            else None,
        )
        for one in world.emulator.dump()["accounts"]
    )
    return Listing(taken_at, tuple(accounts))


def _keys(keys: Iterable[dict[str, Any]]) -> tuple[RemoteKey, ...]:
    return tuple(
        RemoteKey(
            each["id"],
            each["label"],
            ScopeSet.parse(each["scopes"]),
            AllowList.parse(each["ip_allow_list"]),
            datetime.fromisoformat(each["created_at"]),
            datetime.fromisoformat(each["last_used_at"]) if each["last_used_at"] else None,
        )
        for each in keys
    )
