"""What a person should be told of after a pass: which concerns stand, and of what nothing is known.

A concern is known by its `Matter`, which holds ids and no texts, so that it is the same one in the next pass and after
a restart. What could not be read is neither standing nor over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from reconciler.core.changes import Action, Outcome
from reconciler.core.findings import Severity, without_age
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.report import AccountStatus, Report, ReportedAccount, ReportedChange, ReportedFinding

CONTESTED: Final = "contested"
"""The rule of the finding that a key goes back and forth."""


class Kind(StrEnum):
    """What kind of a concern it is, the most serious first."""

    FINDING = "finding"
    CONTESTED = "contested"
    PASS = "pass"  # noqa: S105 # no password
    TRAIL = "trail"
    ACCOUNT = "account"
    FILES = "files"
    FAILED = "failed"
    HELD_BACK = "held_back"
    PLANNED = "planned"
    UNSUPPORTED = "unsupported"

    @property
    def rank(self) -> int:
        """Its place in the order of seriousness, 0 for the most serious."""
        return _RANKS[self]

    @property
    def serious(self) -> bool:
        """Whether access may be wrong, or nobody looks after it."""
        return self.rank < Kind.FILES.rank

    @property
    def of_a_change(self) -> bool:
        """Whether it says that a key is not yet as the files want it; of each key one of these stands at most."""
        return self in _OF_A_CHANGE


_RANKS: Final = {kind: rank for rank, kind in enumerate(Kind)}
_OF_A_CHANGE: Final = frozenset({Kind.CONTESTED, Kind.FAILED, Kind.HELD_BACK, Kind.PLANNED, Kind.UNSUPPORTED})
Account = tuple[str | None, str | None]
Place = tuple[str | None, str | None, str | None]
"""A key: its account, its sub account, its id or else its name in the files."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What a concern is about, and no texts; ``key`` is the id of a key, or its name in the files where it has none.

    So it is the same one when files call the key by another name. ``rule`` is that of a finding; one about no key has a
    hash of its message after it.
    """

    kind: Kind
    account_id: str | None = None
    sub_account_id: str | None = None
    key: str | None = None
    rule: str | None = None

    def __hash__(self) -> int:  # of the kind, an enum, it would take longer than of all this
        return hash((self.sub_account_id, self.key, self.rule))

    @property
    def place(self) -> Place:
        """The key that it is about."""
        return self.account_id, self.sub_account_id, self.key


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that a person should know of; texts are as files and the server have them, not escaped.

    Attributes:
        matter: What it is about.
        label: What the key is labelled, where it is about one.
        what: What stands, in a word or two: an outcome or a rule.
        reason: Why; of a change also what to do.
        source: The place in the files.
        key_id: The id of the key, where it has one.
        owner: Who owns the key, by the files; empty: nobody is named.
        name: What the files call the key; empty: nothing.
        hint: What to do, where that is told apart.
    """

    matter: Matter
    label: str | None = None
    what: str = ""
    reason: str = ""
    source: Source | None = None
    key_id: str | None = None
    owner: str = ""
    name: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the daemon itself: why files or settings do not load, the trail or the pass failed, if so."""

    files: str | None = None
    trail: str | None = None
    failed_pass: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a pass showed.

    Attributes:
        concerns: What stands.
        unread: The accounts, and sub accounts, that it did not read: it could not, or they are suspended.
        paused: The keys whose changes files or a window pause: what stood of them is not over by that.
        blind: Whether it came to no report, so that nothing is known but how the daemon itself is doing.
        digest: The digest of its plan.
        owners: Everybody who owns a key, where that is known: every account was read.
    """

    concerns: Mapping[Matter, Concern]
    unread: frozenset[Account] = frozenset()
    paused: frozenset[Place] = frozenset()
    blind: bool = False
    digest: str | None = None
    owners: frozenset[str] | None = None

    def knows(self, matter: Matter) -> bool:
        """Tell whether a matter that does not stand is over, rather than unknown."""
        if matter.kind in (Kind.FILES, Kind.TRAIL, Kind.PASS):
            return True
        if self.blind or (matter.kind.of_a_change and matter.place in self.paused):
            return False
        if matter.account_id is None:
            return not self.unread
        within = (None,) if matter.sub_account_id is None else (matter.sub_account_id, None, EVERY_SUB_ACCOUNT)
        return self.unread.isdisjoint((matter.account_id, each) for each in within)


def observe(report: Report | None, facts: Facts) -> Observation:
    """Give what a pass showed; None: it came to no report."""
    own = tuple(_of_the_daemon(facts))
    if report is None:
        return Observation(_by_matter(own), blind=True)
    owners = _owners(report)
    found = tuple(_findings(report, owners))
    told = {place for concern in found for place in _places(concern)}
    changed = [concern for account in report.accounts for concern in _changes(account, told, owners)]
    unread = [account for account in report.accounts if account.status is not AccountStatus.OK]
    failed = [account for account in unread if account.status is AccountStatus.FAILED]
    return Observation(
        _by_matter((*own, *found, *map(_unread, failed), *changed)),
        unread=frozenset((account.account_id, account.sub_account_id) for account in unread),
        paused=frozenset(
            (account.account_id, account.sub_account_id, _key(change))
            for account in report.accounts
            for change in account.changes
            if change.outcome is Outcome.PAUSED
        ),
        digest=report.digest,
        owners=None if unread else frozenset(owners.values()),
    )


def _by_matter(concerns: Iterable[Concern]) -> dict[Matter, Concern]:
    """Give concerns by what they are about; of two about the same the first."""
    found: dict[Matter, Concern] = {}
    for concern in concerns:
        found.setdefault(concern.matter, concern)
    return found


def _of_the_daemon(facts: Facts) -> Iterator[Concern]:
    told = ((Kind.FILES, facts.files), (Kind.TRAIL, facts.trail), (Kind.PASS, facts.failed_pass))
    yield from (Concern(Matter(kind), reason=reason) for kind, reason in told if reason is not None)


def _unread(account: ReportedAccount) -> Concern:
    matter = Matter(Kind.ACCOUNT, account.account_id, account.sub_account_id)
    return Concern(matter, label=account.sub_account_name, reason=account.error or "")


def _findings(report: Report, owners: Mapping[Place, str]) -> Iterator[Concern]:
    """Give the unwaived findings that somebody must hear of, with the owners of their keys."""
    for finding in report.findings:
        contested = finding.rule == CONTESTED
        if finding.waived is None and (contested or finding.severity is Severity.DENY):
            matter = _matter(finding, Kind.CONTESTED if contested else Kind.FINDING)
            yield Concern(
                matter,
                finding.label,
                finding.rule,
                finding.message,
                finding.source,
                finding.key_id,
                owners.get(matter.place, ""),
                finding.key or "",
                finding.hint,
            )


def _matter(finding: ReportedFinding, kind: Kind) -> Matter:
    key, rule = finding.key_id or finding.key, finding.rule
    if key is None:
        rule += "#" + sha256(without_age(finding.message).encode()).hexdigest()[:12]
    return Matter(kind, finding.account_id, finding.sub_account_id, key, rule)


def _places(concern: Concern) -> Iterator[Place]:
    """Give a key by its id and by its name: not all that tell of it know both."""
    account_id, sub_account_id, key = concern.matter.place
    yield account_id, sub_account_id, key
    yield account_id, sub_account_id, concern.name or key


def _owners(report: Report) -> dict[Place, str]:
    """Give who owns which key, where the files say it."""
    return {
        (account.account_id, account.sub_account_id, key.key_id): key.owner
        for account in report.accounts
        for key in account.inventory or ()
        if key.owner
    }


def _changes(account: ReportedAccount, told: set[Place], owners: Mapping[Place, str]) -> Iterator[Concern]:
    """Give the changes that were not made; what a finding about the same key tells is not told twice."""
    for change in account.changes:
        kind = _kind(change)
        if kind is None:
            continue
        place = account.account_id, account.sub_account_id, _key(change)
        concern = Concern(
            Matter(kind, *place),
            change.label,
            f"{change.action}, {change.outcome}",
            change.reason or "",
            change.source,
            change.key_id,
            owners.get(place, ""),
            change.name or "",
        )
        if not (change.outcome.held_back and told.intersection(_places(concern))):
            yield concern


def _key(change: ReportedChange) -> str:
    """Give what identifies the key of a change; one without an id and a name is known by its label."""
    return change.key_id or change.name or change.label


def _kind(change: ReportedChange) -> Kind | None:
    match change.outcome:
        case Outcome.APPLIED | Outcome.PAUSED:
            return None
        case Outcome.PLANNED:
            return Kind.PLANNED
        case Outcome.FAILED | Outcome.STALE:
            return Kind.FAILED
        case Outcome.SKIPPED if change.action in (Action.CREATE, Action.DELETE):
            return Kind.UNSUPPORTED
        case _:
            return Kind.HELD_BACK
