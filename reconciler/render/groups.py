"""What is the same in many sub accounts, put together: a person reads once what happens five hundred times.

The same means: all but the ids, which differ from one sub account to the next, also inside of messages. Texts come out
as they are: to escape them is the rendering's affair.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from reconciler.core.changes import Action, Direction, Outcome
from reconciler.core.findings import Severity
from reconciler.core.networks import ANYWHERE
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    Standing,
)
from reconciler.core.scopes import EVERYTHING

_Item = TypeVar("_Item")
_Identity = tuple[str | None, str | None]

BY_GAIN = (Direction.WIDEN, Direction.MIXED, Direction.NARROW, Direction.NONE)
"""In which order what becomes of access is told: what gives more comes first."""

# The id of a request, as errors of the API carry it: "(x-request-id: 4f1c)".
_MARK = re.compile(r" \([a-z-]{6,}: [^\s()]+\)")


@dataclass(frozen=True, slots=True)
class Owner:
    """The account, or the sub account with its name where that is known, that something is about."""

    account_id: str
    sub_account_id: str | None = None
    name: str | None = None

    @property
    def called(self) -> str:
        """What to call it in a list."""
        return self.name or self.sub_account_id or self.account_id


@dataclass(frozen=True, slots=True)
class Once(Generic[_Item]):
    """Something that is told once for all its owners.

    Attributes:
        item: The first of what is the same; its ids and its text are those of that one.
        text: Its error, reason or message; where it is shared, ``*`` stands for what is not the same in all.
        owners: Whom it is about, each once, by name; none where it is about the whole run.
        times: How often it is there; more often than it has owners where one has it twice.
    """

    item: _Item
    text: str | None
    owners: tuple[Owner, ...]
    times: int

    @property
    def shared(self) -> bool:
        """Whether it is about several sub accounts."""
        return len(self.owners) > 1


@dataclass(frozen=True, slots=True)
class Section:
    """One account, and those of its changes that are told by themselves; the others are told as shared ones."""

    account: ReportedAccount
    changes: tuple[Once[ReportedChange], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """An account, the changes that its sub accounts share, those that most share first, and what each has besides."""

    account_id: str
    accounts: tuple[Section, ...]
    shared: tuple[Once[ReportedChange], ...]
    sub_accounts: tuple[Section, ...]

    @property
    def changes(self) -> tuple[Once[ReportedChange], ...]:
        """Every change that is to be told."""
        sections = (*self.accounts, *self.sub_accounts)
        return (*self.shared, *(change for section in sections for change in section.changes))


@dataclass(frozen=True, slots=True)
class Told:
    """What a report comes to, each thing once."""

    failures: tuple[Once[ReportedAccount], ...]
    families: tuple[Family, ...]
    refusals: tuple[Once[ReportedRefusal], ...]
    findings: tuple[Once[ReportedFinding], ...]

    @classmethod
    def of(cls, report: Report) -> "Told":
        """Put together what is the same in ``report``."""
        return cls(tuple(failures(report)), families(report), tuple(refusals(report)), tuple(findings(report)))


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_Item]):
    """One thing before it is put together with its like: ``alike`` is what must be equal, but for ``text``."""

    item: _Item
    alike: Hashable
    text: str | None
    owner: Owner | None
    key_id: str | None = None

    @property
    def masked(self) -> str | None:
        """The text without what differs from one sub account to the next."""
        if self.text is None or self.owner is None:
            return self.text
        text = self.text
        for own in (self.owner.sub_account_id, self.key_id):
            text = text.replace(own, "*") if own else text
        return _MARK.sub(" (*)", text)


def owner_of(account: ReportedAccount) -> Owner:
    """Say whom a reported account is."""
    return Owner(account.account_id, account.sub_account_id, account.sub_account_name)


def by_name(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    """Give each owner once, in the order of their names."""
    return tuple(sorted(set(owners), key=lambda owner: (owner.called, owner.account_id, owner.sub_account_id or "")))


def families(report: Report, refusals: Literal["below", "above"] = "below") -> tuple[Family, ...]:
    """Give what is to be told about changes, by account, in the order of the report.

    Reasons that a whole plan shares are told with the refusals, which stand ``below`` the changes or ``above`` them.
    """
    shared_reasons = _SharedReasons(report.refusals, refusals)
    members: defaultdict[str, list[ReportedAccount]] = defaultdict(list)
    for account in report.accounts:
        members[account.account_id].append(account)
    return tuple(_family(account_id, accounts, shared_reasons) for account_id, accounts in members.items())


def failures(report: Report) -> list[Once[ReportedAccount]]:
    """Give the accounts that could not be read; those sub accounts of one together that share an error."""
    failed = (account for account in report.accounts if account.status is AccountStatus.FAILED)
    return _told_once(_Entry(account, "failed", account.error, owner_of(account)) for account in failed)


def refusals(report: Report) -> list[Once[ReportedRefusal]]:
    """Give each refusal that no change tells in full."""
    told: defaultdict[tuple[_Identity, str | None], list[str]] = defaultdict(list)
    for account in report.accounts:
        for change in account.changes:
            told[(account.account_id, account.sub_account_id), change.key_id].append(change.reason or "")
    left = (
        refusal
        for refusal in report.refusals
        if refusal.key_id is None
        or not any(refusal.message in reason for reason in told[_identity(refusal), refusal.key_id])
    )
    owners = _Owners(report)
    return _told_once(
        _Entry(refusal, refusal.guardrail, refusal.message, owners.of(refusal), refusal.key_id) for refusal in left
    )


class Group(StrEnum):
    """Changes that are shown together, in this order."""

    FAILED = "Failed"
    HELD_BACK = "Held back"
    WIDENING = "Gives more"
    REST = "Takes away, or leaves access as it is"
    PAUSED = "Paused"


def group_of(change: ReportedChange) -> Group:
    """Say with which others a change is shown."""
    if change.outcome.may_be_retried:
        return Group.FAILED
    if change.outcome.held_back:
        return Group.HELD_BACK
    if change.outcome is Outcome.PAUSED:
        return Group.PAUSED
    return Group.WIDENING if change.access.direction in (Direction.WIDEN, Direction.MIXED) else Group.REST


_OUTCOMES = (Outcome.FAILED, Outcome.STALE, Outcome.DENIED, Outcome.REFUSED, Outcome.SKIPPED)


def by_gravity(changes: Iterable[Once[ReportedChange]]) -> list[Once[ReportedChange]]:
    """Sort changes: what failed or is held back first, by how; then what gives everything, or to everybody."""
    return sorted(changes, key=lambda told: _gravity(told.item))


def _gravity(change: ReportedChange) -> tuple[int, int, int]:
    ended = _OUTCOMES.index(change.outcome) if change.outcome in _OUTCOMES else len(_OUTCOMES)
    scopes, networks = change.access.scopes.granted, change.access.networks.granted
    if EVERYTHING in scopes or ANYWHERE in networks:
        reach = 0
    else:
        reach = 1 if any(scope.endswith(":all") for scope in scopes) else 2
    loss = 0 if change.action in (Action.QUARANTINE, Action.DELETE) else 1
    return ended, reach, loss + (change.access.direction is Direction.NONE)


def findings(report: Report) -> list[Once[ReportedFinding]]:
    """Give each finding, those together that are the same in several sub accounts.

    Those that an earlier report did not have come first, then those about keys that are to be changed.
    """
    owners = _Owners(report)
    changed = {
        (account.account_id, account.sub_account_id, change.key_id or change.name)
        for account in report.accounts
        for change in account.changes
    }

    def place(finding: ReportedFinding) -> tuple[bool, bool]:
        about = (finding.account_id, finding.sub_account_id, finding.key_id or finding.key)
        return finding.since is not Standing.NEW, about not in changed

    return _told_once(
        _Entry(
            finding,
            replace(finding, sub_account_id=None, key_id=None, message=""),
            finding.message,
            owners.of(finding),
            finding.key_id,
        )
        for finding in sorted(report.findings, key=place)
    )


def by_rule(
    found: Iterable[Once[ReportedFinding]],
) -> dict[tuple[Severity, str], list[Once[ReportedFinding]]]:
    """Give the findings that no waiver accepts by severity and rule, the gravest first."""
    rules: defaultdict[tuple[Severity, str], list[Once[ReportedFinding]]] = defaultdict(list)
    for told in found:
        if told.item.waived is None:
            rules[told.item.severity, told.item.rule].append(told)
    return {rule: rules[rule] for rule in sorted(rules, key=lambda rule: rule[0].rank)}


def changed_keys(report: Report) -> list[Once[ChangedKey]]:
    """Give what became of each key since an earlier report, what gives more first."""
    owners = _Owners(report)
    told = _told_once(
        _Entry(key, replace(key, sub_account_id=None, key_id=""), None, owners.of(key))
        for key in (report.since.keys if report.since else ())
    )
    return sorted(told, key=lambda key: BY_GAIN.index(key.item.access.direction))


class _Owners:
    """Looks up whom a finding, a refusal or a key is about."""

    def __init__(self, report: Report) -> None:
        self._known: Mapping[_Identity, Owner] = {
            (one.account_id, one.sub_account_id): owner_of(one) for one in report.accounts
        }

    def of(self, about: ReportedFinding | ReportedRefusal | ChangedKey) -> Owner | None:
        if about.account_id is None:
            return None
        return self._known.get(_identity(about)) or Owner(about.account_id, about.sub_account_id)


class _SharedReasons:
    """The reasons that a whole plan shares, and the words that stand for them: they are told once, elsewhere."""

    def __init__(self, refused: Iterable[ReportedRefusal], told: str) -> None:
        self._told = told
        self._guardrails: defaultdict[_Identity, dict[str, str]] = defaultdict(dict)
        for refusal in refused:
            if refusal.key_id is None:
                self._guardrails[_identity(refusal)][f"{refusal.guardrail}: {refusal.message}"] = refusal.guardrail

    def shorten(self, reason: str | None, account: ReportedAccount) -> str | None:
        """Give a change's reason with what it shares in short."""
        if reason is None or not self._guardrails:
            return reason
        known: Mapping[_Identity, Mapping[str, str]] = self._guardrails
        own: Mapping[str, str] = known.get((account.account_id, account.sub_account_id), {})
        above = known.get((account.account_id, None), {}) if account.sub_account_id is not None else {}
        shorts = {
            text: f"{guardrail} (see {self._told})"
            for text, guardrail in {**known.get((None, None), {}), **own}.items()
        }
        shorts |= {text: f"{guardrail} over all sub accounts (see {self._told})" for text, guardrail in above.items()}
        for text in sorted(shorts, key=len, reverse=True):
            reason = reason.replace(text, shorts[text])
        return reason


def _family(account_id: str, members: Sequence[ReportedAccount], shared_reasons: _SharedReasons) -> Family:
    entries = [
        (place, _change_entry(change, shared_reasons.shorten(change.reason, account), owner))
        for place, (account, owner) in enumerate(zip(members, map(owner_of, members), strict=True))
        for change in account.changes
    ]
    alone: defaultdict[int, list[Once[ReportedChange]]] = defaultdict(list)
    shared = []
    for group in _groups([entry for _, entry in entries]):
        if len(group) > 1:
            shared.append(_once([entry for _, entry in (entries[place] for place in group)]))
        else:
            place, entry = entries[group[0]]
            alone[place].append(_once([entry]))
    sections = [Section(account, tuple(alone[place])) for place, account in enumerate(members)]
    return Family(
        account_id,
        tuple(section for section in sections if section.account.sub_account_id is None),
        tuple(sorted(shared, key=lambda change: -len(change.owners))),
        tuple(section for section in sections if section.account.sub_account_id is not None),
    )


def _change_entry(change: ReportedChange, reason: str | None, owner: Owner) -> _Entry[ReportedChange]:
    below = owner.sub_account_id is not None  # what is no sub account's is compared with nothing
    alike = replace(change, key_id=None, reason=None) if below else None
    return _Entry(change, alike, reason, owner, change.key_id)


def _identity(about: ReportedRefusal | ReportedFinding | ChangedKey) -> _Identity:
    return about.account_id, about.sub_account_id


def _told_once(entries: Iterable[_Entry[_Item]]) -> list[Once[_Item]]:
    entries = list(entries)
    return [_once([entries[place] for place in group]) for group in _groups(entries)]


def _groups(entries: Sequence[_Entry[_Item]]) -> list[list[int]]:
    """Give the places of what belongs together, in the order of the first; what is no sub account's is alone."""
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        owner = entry.owner
        if owner is None or owner.sub_account_id is None:
            places[place].append(place)
        else:
            places[owner.account_id, entry.alike, entry.masked].append(place)
    groups: list[list[int]] = []
    for group in places.values():
        several = len({entries[place].owner for place in group}) > 1
        groups += [group] if several else [[place] for place in group]
    return sorted(groups)


def _once(group: Sequence[_Entry[_Item]]) -> Once[_Item]:
    first = group[0]
    if len(group) == 1:  # nearly always, and thousands of them
        return Once(first.item, first.text, () if first.owner is None else (first.owner,), 1)
    same_text = len({entry.text for entry in group}) == 1
    owners = by_name(entry.owner for entry in group if entry.owner is not None)
    return Once(first.item, first.text if same_text else first.masked, owners, len(group))
