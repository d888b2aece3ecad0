"""What a report says of each account and each key, found at once; made once a report, and only when somebody looks.

Texts come out as they are: to escape them is the template's affair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import AccountStatus, Report, ReportedAccount, ReportedChange, ReportedFinding
from reconciler.render.addresses import Address
from reconciler.render.advice import Advice
from reconciler.render.groups import Once, Owner, owner_of
from reconciler.render.overview import Overview
from reconciler.render.tables import KeyRow

DIFFERS = "differs"
HELD = "held"
_MOST_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Broken:
    """One rule that something breaks: how often, and what is said of the first times."""

    rule: str
    severity: Severity
    count: int
    shown: tuple[ReportedFinding, ...]

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.count - len(self.shown)


@dataclass(frozen=True, slots=True)
class Counted:
    """An account, and how many of its keys differ and are held back."""

    account: ReportedAccount
    address: Address
    differs: int
    held: int

    @property
    def owner(self) -> Owner:
        """Whom it is."""
        return owner_of(self.account)

    @property
    def gravity(self) -> tuple[bool, int, int, bool]:
        """Sorts those first that need somebody."""
        status = self.account.status
        return status is not AccountStatus.FAILED, -self.held, -self.differs, status is AccountStatus.SUSPENDED


class Lookup:
    """What a report says; asked without one, it knows nothing."""

    def __init__(self, report: Report | None) -> None:
        self.report = report
        self.overview = Overview(report) if report else None
        self.advice = Advice(report)

    @cached_property
    def accounts(self) -> dict[Address, ReportedAccount]:
        """The accounts and sub accounts."""
        return {Address.of(owner_of(account)): account for account in self._reported if not _of_all(account)}

    @cached_property
    def unlisted(self) -> dict[Address, str]:
        """The accounts of which nobody could find out what sub accounts they have, and why."""
        return {
            Address.of(owner_of(account)): account.error or "the list of sub accounts could not be read"
            for account in self._reported
            if _of_all(account)
        }

    @property
    def _reported(self) -> tuple[ReportedAccount, ...]:
        return self.report.accounts if self.report else ()

    @cached_property
    def rows(self) -> dict[Address, KeyRow]:
        """The keys that were read, those first that can do most."""
        rows = self.overview.rows if self.overview else ()
        return {Address.of(row.holder.owner, row.holder.key.key_id): row for row in rows}

    @cached_property
    def changes(self) -> dict[Address, list[Once[ReportedChange]]]:
        """What is to be changed, or was, of each key; of each account what is about keys that do not exist yet."""
        found: defaultdict[Address, list[Once[ReportedChange]]] = defaultdict(list)
        for account in self.accounts.values():
            owner = owner_of(account)
            for change in account.changes:
                found[Address.of(owner, change.key_id)].append(Once(change, change.reason, (owner,), 1))
        return dict(found)

    @cached_property
    def counted(self) -> list[Counted]:
        """The accounts, those first that need somebody."""
        counts = [
            Counted(account, address, *(sum(map(judge, account.changes)) for judge in (differs, held)))
            for address, account in self.accounts.items()
        ]
        return sorted(counts, key=lambda each: each.gravity)

    @cached_property
    def findings(self) -> dict[Address | None, list[ReportedFinding]]:
        """The findings about an account as a whole, or about a key that is not there; None: about the whole run."""
        found: defaultdict[Address | None, list[ReportedFinding]] = defaultdict(list)
        for finding in self.report.findings if self.report else ():
            if finding.key_id is None:
                whole = finding.account_id is None
                about = None if whole else Address.of(Owner(finding.account_id or "", finding.sub_account_id))
                found[about].append(finding)
        return dict(found)

    @cached_property
    def broken(self) -> list[Broken]:
        """The rules that are broken and not waived, but for mere notes; the most serious, the most broken first."""
        found: defaultdict[tuple[Severity, str], list[ReportedFinding]] = defaultdict(list)
        for finding in self.report.findings if self.report else ():
            if finding.waived is None and finding.severity is not Severity.NOTE:
                found[finding.severity, finding.rule].append(finding)
        rules = sorted(found.items(), key=lambda each: (each[0][0].rank, -len(each[1]), each[0][1]))
        return [
            Broken(rule, severity, len(findings), tuple(findings[:_MOST_FINDINGS]))
            for (severity, rule), findings in rules
        ]

    def owner(self, finding: ReportedFinding) -> Owner | None:
        """Give whose key a finding is about, or which account; None: it is about the whole run."""
        if finding.account_id is None:
            return None
        unnamed = Owner(finding.account_id, finding.sub_account_id)
        account = None if finding.sub_account_id == EVERY_SUB_ACCOUNT else self.accounts.get(Address.of(unnamed))
        return owner_of(account) if account else unnamed

    def place(self, finding: ReportedFinding) -> Address | None:
        """Give where the key that a finding is about is shown, or the account; None: it is about the whole run."""
        owner = self.owner(finding)
        return Address.of(owner, finding.key_id) if owner else None

    @cached_property
    def marks(self) -> dict[Address, frozenset[str]]:
        """The words by which each key is found."""
        changes = self.changes
        return {
            address: _words(row.marks, *[once.item.outcome for once in changes.get(address, ())])
            for address, row in self.rows.items()
        }

    @cached_property
    def mark_counts(self) -> Counter[str]:
        """How many keys bear each of them."""
        return Counter(mark for marks in self.marks.values() for mark in marks)

    @cached_property
    def texts(self) -> dict[Address, str]:
        """All that is said of each key, in lower case: what words are looked for in."""
        return {address: "\n".join(_texts(row)).casefold() for address, row in self.rows.items()}


@lru_cache(maxsize=4096)  # thousands of keys bear the same few
def _words(marks: str, *outcomes: Outcome) -> frozenset[str]:
    standings = [HELD if outcome.held_back else DIFFERS for outcome in outcomes if outcome is not Outcome.APPLIED]
    return frozenset((*marks.split(), *standings))


def _of_all(account: ReportedAccount) -> bool:
    return account.sub_account_id == EVERY_SUB_ACCOUNT


def differs(change: ReportedChange) -> bool:
    """Tell whether something is not as the files say, and is not held back: it may come to be so by itself."""
    return change.outcome is not Outcome.APPLIED and not change.outcome.held_back


def held(change: ReportedChange) -> bool:
    """Tell whether a person must act before it is as the files say."""
    return change.outcome.held_back


def _texts(row: KeyRow) -> Iterator[str]:
    key, owner = row.holder.key, row.holder.owner
    yield from (key.name or "", key.label, key.key_id, key.owner, key.standing)
    yield from (owner.account_id, owner.sub_account_id or "", owner.name or "")
    yield f"{key.source.file}:{key.source.line}" if key.source else ""
    yield from key.scopes
    yield from key.ip_allow_list
    yield from (finding.rule for finding in row.findings)
