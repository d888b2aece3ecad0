"""A world for stories: an account in the emulator, files in a folder, and passes between them on a virtual clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx

from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.core.events import Event, RequestEnded, Trigger
from reconciler.core.guardrails import Consent
from reconciler.core.memory import Memory
from reconciler.core.report import Report, ReportedChange
from reconciler.emulator.faults import ConnectionDropped
from reconciler.emulator.server import Emulator
from reconciler.files.desired import load_desired
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.policy import load_policy
from reconciler.reconcile import DryRun, Live, PassInputs, Patience, run_pass
from virtual_time import run_virtual

ACCOUNT = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
TOKEN = "aha-sk-" + "w" * 64
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OFFICE = ["203.0.113.0/24"]


def key_id(number: int) -> str:
    """The id of the story's n-th key; 0 is the one that the reconciler uses."""
    return f"aaaaaaaa-0000-4000-8000-{number:012}"


def key(number: int, label: str, *scopes: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": key_id(number),
        "label": label,
        "scopes": list(scopes),
        "ip_allow_list": OFFICE,
        "created_at": "2026-01-01T00:00:00Z",
    } | fields


def admin(account: str = ACCOUNT, token: str = TOKEN, **fields: Any) -> dict[str, Any]:
    number = 0 if account == ACCOUNT else 900
    made = key(number, "reconciler", "api-keys:read", "api-keys:write", secret_key=token, ip_allow_list=[])
    return made | fields


FAMILY_MANAGER = (
    "api-keys:read",
    "api-keys:write",
    "sub-accounts:read",
    "sub-account-api-keys:read",
    "sub-account-api-keys:write",
)


def below(number: int) -> str:
    """The id of the story's n-th sub account."""
    return f"bbbbbbbb-0000-4000-8000-{number:012}"


def sub_account(number: int, name: str, *keys: dict[str, Any], status: str = "active") -> dict[str, Any]:
    """A sub account of the seed, which owns the domains that the story's account owns as well."""
    domains = ["shop.example.com", "news.example.com"]
    return {"id": below(number), "name": name, "status": status, "domains": domains, "keys": [*keys]}


Tamper = Callable[[httpx.Request, httpx.Response], httpx.Response]


class InProcess(httpx.AsyncBaseTransport):
    """The emulator without a socket: where it drops a connection, the client meets its own kind of error.

    ``before`` is told of each request before it arrives, so that a story can change the account behind one's back;
    ``after`` may replace the answer.
    """

    def __init__(self, emulator: Emulator, before: Callable[[httpx.Request], None], after: Tamper) -> None:
        self._inner = httpx.ASGITransport(emulator)
        self._before = before
        self._after = after

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._before(request)
        try:
            response = await self._inner.handle_async_request(request)
            await response.aread()
            return self._after(request, response)
        except ConnectionDropped:
            raise httpx.ReadError("", request=request) from None


@dataclass
class World:
    """``keys`` in the account (the reconciler's own comes with it), ``files`` in a folder.

    ``events`` are those of passes; that a request ended is told to ``observe`` alone.
    """

    folder: Path
    keys: list[dict[str, Any]]
    text: str
    domains: tuple[str, ...] = ("shop.example.com", "news.example.com")
    events: list[Event] = field(default_factory=list)
    before: Callable[[httpx.Request], None] = lambda request: None
    after: Tamper = lambda request, response: response
    observe: Callable[[Event], None] = lambda event: None
    tokens: dict[str | None, str] = field(default_factory=lambda: {None: TOKEN})
    stop: Stop | None = None
    rate: float = 1e6
    burst: int = 10**6
    more_accounts: tuple[dict[str, Any], ...] = ()
    manager: tuple[str, ...] = ("api-keys:read", "api-keys:write")
    sub_accounts: tuple[dict[str, Any], ...] = ()
    patience: Patience = field(default_factory=Patience)
    check_domains: bool = False
    policy: str = ""
    memory: Memory = field(default_factory=Memory)
    now: datetime = NOON
    trigger: Trigger | None = None

    def __post_init__(self) -> None:
        keys = [admin(scopes=list(self.manager)), *self.keys]
        account = {"id": ACCOUNT, "domains": list(self.domains), "keys": keys, "sub_accounts": [*self.sub_accounts]}
        self.emulator = Emulator({"accounts": [account, *self.more_accounts]}, rate=1e6, burst=10**6, now=lambda: NOON)
        self.write(self.text)

    def write(self, text: str) -> None:
        """Say something else in the files; the account's line comes by itself."""
        body = dedent(text)
        head = "" if body.startswith("version:") else f"version: 1\naccount: {ACCOUNT}\n"
        self.folder.joinpath("keys.yaml").write_text(head + body, encoding="utf-8")

    def faults(self, *rules: dict[str, Any]) -> None:
        self.emulator.set_faults({"random_seed": 1, "rules": list(rules)})

    def plan(self, **consent: Any) -> Report:
        return self._pass(DryRun(lambda: open_reads(self._config)), consent)

    def apply(self, **consent: Any) -> Report:
        """One pass as of ``apply``: without a memory."""
        self.memory = Memory()
        return self.run(**consent)

    def run(self, **consent: Any) -> Report:
        """One more pass as of ``run``: it remembers the one before."""
        return self._pass(Live(lambda: open_writes(self._config)), consent)

    def account(self, account: str = ACCOUNT) -> dict[str, dict[str, Any]]:
        """The keys of an account or sub account as a seed shows them, by id."""
        accounts = self.emulator.dump()["accounts"]
        every = [*accounts, *(below for one in accounts for below in one["sub_accounts"])]
        return {one["id"]: one for found in every if found["id"] == account for one in found["keys"]}

    def remote(self, number: int) -> dict[str, Any]:
        return self.account()[key_id(number)]

    @contextmanager
    def edited(self) -> Iterator[dict[str, dict[str, Any]]]:
        """Change keys out of band: what is done to the mapping is what the account has afterwards."""
        dumped = self.emulator.dump()
        by_id = {one["id"]: one for one in dumped["accounts"][0]["keys"]}
        yield by_id
        dumped["accounts"][0]["keys"] = list(by_id.values())
        self.emulator.load(dumped)

    @property
    def puts(self) -> int:
        return int(self.emulator.requests["PUT"])

    def _pass(self, access: DryRun | Live, consent: dict[str, Any]) -> Report:
        async def work() -> Report:
            stop = self.stop or Stop()
            self._config = ClientConfig(
                Endpoint("http://127.0.0.1:1"),
                Paces(self.rate, self.burst),
                stop,
                self._told,
                lambda account, refused: self.tokens[account.credential],
                make_transport=lambda: InProcess(self.emulator, self.before, self.after),
            )
            loaded = load_desired([self.folder], lambda name: None)
            consent.setdefault("self_keys", {None: key_id(0)})
            policy = self._policy()
            consent.setdefault("limits", policy.limits)
            inputs = PassInputs(
                "run",
                loaded.state,
                access,
                self._told,
                stop,
                Consent(**consent),
                loaded.findings,
                policy=policy.policy,
                patience=self.patience,
                check_domains=self.check_domains,
                trigger=self.trigger,
            )
            report, self.memory = await run_pass(inputs, self.now, self.memory)
            return report

        return run_virtual(work())

    def _policy(self) -> LoadedPolicy:
        """What the story's policy says; the line of the version comes by itself."""
        if not self.policy:
            return LoadedPolicy()
        path = self.folder.parent / f"{self.folder.name}-policy.yaml"
        path.write_text("version: 1\n" + dedent(self.policy), encoding="utf-8")
        return load_policy([path])

    def _told(self, event: Event) -> None:
        self.observe(event)
        if not isinstance(event, RequestEnded):
            self.events.append(event)


def as_api(one: dict[str, Any], account: str = ACCOUNT) -> dict[str, Any]:
    """A key of the seed as the API shows it."""
    scopes = [{"scope": scope} for scope in one["scopes"]]
    times = {"created_at": NOON.isoformat(), "updated_at": NOON.isoformat(), "last_used_at": None}
    shown = {name: one[name] for name in ("id", "label", "ip_allow_list")}
    return {"object": "api_key", "account_id": account, "public_key": "", "scopes": scopes, **shown, **times}


def outcomes(report: Report) -> dict[str, str]:
    """Each change's outcome, by its title."""
    return {change.name or f"unmanaged {change.label}": change.outcome.value for change in report.changes}


def change_of(report: Report, name: str) -> ReportedChange:
    return next(change for change in report.changes if change.name == name)
