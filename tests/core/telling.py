"""Passes as people are told of them: reports in few words, and an address that is told what is due after each."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core.changes import AccessChange, Action, Fields, ListDiff, Outcome
from reconciler.core.concerns import Concern, Facts, Kind, Matter, Observation, observe
from reconciler.core.findings import Severity
from reconciler.core.inventory import KeyStanding, ReportedKey
from reconciler.core.keys import Source
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    RequestCounts,
    Summary,
)
from reconciler.core.telling import Ledger, Notice, Situation

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
SHOP = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
DIGEST = "sha256:" + "ab" * 32


def change(name: str | None, outcome: Outcome, reason: str | None = None, **fields: Any) -> ReportedChange:
    told = ReportedChange(
        Action.UPDATE,
        name,
        f"id-{name}",
        str(name),
        Source("keys/shop.yaml", 12, 5) if name else None,
        Fields(scopes=ListDiff(("a:b",), ("c:d",))),
        AccessChange(),
        outcome,
        reason,
    )
    return replace(told, **fields)


def account(*changes: ReportedChange, account_id: str = SHOP, **fields: Any) -> ReportedAccount:
    counts = KeyCounts(len(changes), len(changes), 0, 0)
    return replace(ReportedAccount(account_id, None, AccountStatus.OK, None, counts, changes), **fields)


def unread(account_id: str = SHOP, error: str = "503", **fields: Any) -> ReportedAccount:
    return account(account_id=account_id, status=AccountStatus.FAILED, error=error, **fields)


def finding(key: str | None, rule: str = "no-wildcard", **fields: Any) -> ReportedFinding:
    told = ReportedFinding(rule, Severity.DENY, SHOP, None, key, None, key, "it may do all", "list it", None, None)
    return replace(told, **fields)


def owned(name: str, owner: str) -> ReportedKey:
    return ReportedKey(f"id-{name}", name, KeyStanding.MANAGED, (), (), "2026", None, name, owner)


def report(*accounts: ReportedAccount, findings: tuple[ReportedFinding, ...] = (), **fields: Any) -> Report:
    told = Report(
        SCHEMA, "0", Mode.APPLY, "run", "t", "t", DIGEST, None, accounts, findings, (), Summary(), RequestCounts()
    )
    return replace(told, **fields)


def seen(*concerns: Concern, **fields: Any) -> Observation:
    return Observation({each.matter: each for each in concerns}, **fields)


def concern(kind: Kind, key: str | None = "shop", **fields: Any) -> Concern:
    return Concern(Matter(kind, SHOP, None, key), **fields)


GOOD = report(account())


@dataclass
class Telling:
    """An address, and passes one after another; each pass gives what the address is told after it."""

    owners: frozenset[str] = frozenset()
    every: timedelta = 5 * MINUTES
    now: datetime = NOON
    situation: Situation = field(default_factory=Situation)
    ledger: Ledger = field(default_factory=Ledger)

    def due(self) -> Notice:
        return self.ledger.due(self.situation, self.now, self.owners)

    def passed(self, result: Report | Observation | None, facts: Facts | None = None) -> Notice:
        """One more pass, ``every`` after the one before, and what was due was delivered."""
        observed = result if isinstance(result, Observation) else observe(result, facts or Facts())
        self.situation = self.situation.after(observed, self.now, self.ledger.awaited)
        notice = self.due()
        if notice:
            self.ledger = self.ledger.after(notice, self.now)
        self.now += self.every
        return notice

    def tells(self, result: Report | Observation | None, facts: Facts | None = None) -> list[str]:
        """The same in words: ``+`` what is new, ``-`` what is over, ``=`` what still stands."""
        notice = self.passed(result, facts)
        signs = (("+", notice.news), ("-", notice.over), ("=", notice.reminders))
        named = (
            (sign, each.matter.kind, each.concern.name or each.matter.key or "")
            for sign, some in signs
            for each in some
        )
        return [f"{sign}{kind} {name}".strip() for sign, kind, name in named]
