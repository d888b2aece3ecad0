"""What changed since an earlier audit: which findings are new, still open or gone, and which keys are other ones."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.core.changes import Fields, ListDiff, TextDiff, access_change
from reconciler.core.findings import OF_THE_RUN
from reconciler.core.inventory import ReportedKey
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.networks import FENCED, AllowList
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    KeyEvent,
    Report,
    ReportedFinding,
    Since,
    Standing,
)
from reconciler.core.requirements import COVERAGE
from reconciler.core.scopes import ScopeSet

_Identity = tuple[str | None, ...]


def compared(report: Report, earlier: Report) -> Report:
    """Give a report that tells of each unwaived finding whether ``earlier`` had it, and what of that is gone.

    A finding is known by its rule and its key, not by its message, in which days are counted. Of an account that could
    not be read now nothing is known to be gone, and keys are compared in accounts that both reports have read.

    Raises:
        ValueError: the earlier report has something on an allow list that is no network (`check_lists`).
    """
    before = {_identity(finding): finding for finding in earlier.findings if _counts(finding)}
    now = {_identity(finding) for finding in report.findings if _counts(finding)}
    unread = {(one.account_id, one.sub_account_id) for one in report.accounts if one.status is AccountStatus.FAILED}
    whole_families = {account for account, below in unread if below in (None, EVERY_SUB_ACCOUNT)}
    gone = [
        replace(finding, since=None)
        for identity, finding in before.items()
        if identity not in now
        and (finding.account_id, finding.sub_account_id) not in unread
        and not (unread and finding.rule == COVERAGE)  # the account that could not be read may be the one
        and not (finding.sub_account_id is not None and finding.account_id in whole_families)
    ]
    gone.sort(key=lambda finding: finding.severity.rank)
    listed, listed_before = _listed(report), _listed(earlier)
    keys = (
        changed
        for whose in sorted(listed.keys() & listed_before.keys(), key=lambda each: (each[0], each[1] or ""))
        for changed in _changed(whose, listed_before[whose], listed[whose])
    )
    return replace(
        report,
        findings=tuple(_standing(finding, before.keys()) for finding in report.findings),
        since=Since(
            earlier.run_id,
            earlier.finished_at,
            tuple(gone),
            tuple(keys),
            not_compared=len(listed.keys() ^ listed_before.keys()),
        ),
    )


def check_lists(report: Report) -> None:
    """Make sure that keys of a report from elsewhere can be compared.

    Raises:
        ValueError: something on an allow list is no network, in words for a person.
    """
    for account in report.accounts:
        for key in account.inventory or ():
            AllowList.parse(key.ip_allow_list)


_Whose = tuple[str, str | None]
_Keys = Mapping[str, ReportedKey]


def _listed(report: Report) -> Mapping[_Whose, _Keys]:
    """Give the keys of the accounts that were read, by account and id."""
    return {
        (one.account_id, one.sub_account_id): {key.key_id: key for key in one.inventory}
        for one in report.accounts
        if one.inventory is not None
    }


def _changed(whose: _Whose, before: _Keys, now: _Keys) -> Iterator[ChangedKey]:
    """Give the keys of one account that are other ones than before, by id."""
    for key_id in sorted({*before, *now}):
        old, new = before.get(key_id), now.get(key_id)
        if old is None and new is not None:
            yield _told(KeyEvent.APPEARED, whose, new, _Access.of(None), _Access.of(new))
        elif new is None and old is not None:
            yield _told(KeyEvent.GONE, whose, old, _Access.of(old), _Access.of(None))
        elif old is not None and new is not None and _differ(old, new):
            one, other = _Access.of(old), _Access.of(new)
            if old.label != new.label or not one.equivalent(other):
                yield _told(KeyEvent.CHANGED, whose, new, one, other)


def _differ(old: ReportedKey, new: ReportedKey) -> bool:
    """Tell quickly of nearly all keys that nothing has become of them."""
    return (old.label, old.scopes, old.ip_allow_list) != (new.label, new.scopes, new.ip_allow_list)


@dataclass(frozen=True, slots=True)
class _Access:
    """What a key is called and may do; a key that is not there, ``label`` None, may do nothing from nowhere."""

    label: str | None
    scopes: ScopeSet
    networks: AllowList

    @classmethod
    def of(cls, key: ReportedKey | None) -> "_Access":
        if key is None:
            return cls(None, ScopeSet(()), FENCED)
        return cls(key.label, ScopeSet.parse(key.scopes), AllowList.parse(key.ip_allow_list))

    def equivalent(self, other: "_Access") -> bool:
        return self.scopes.equivalent(other.scopes) and self.networks.equivalent(other.networks)


def _told(what: KeyEvent, whose: _Whose, key: ReportedKey, old: _Access, new: _Access) -> ChangedKey:
    access = access_change((old.scopes, new.scopes), (old.networks, new.networks))
    return ChangedKey(what, *whose, key.key_id, key.name, key.label, _fields(old, new), access)


def _fields(old: _Access, new: _Access) -> Fields:
    """Give the fields that differ; none where the key is gone."""
    scopes, networks = new.scopes.texts, new.networks.networks
    if new.label is None:
        return Fields()
    if old.label is None:
        return Fields(TextDiff(None, new.label), ListDiff(None, scopes), ListDiff(None, networks))
    return Fields(
        None if old.label == new.label else TextDiff(old.label, new.label),
        None if old.scopes.equivalent(new.scopes) else ListDiff(old.scopes.texts, scopes),
        None if old.networks.equivalent(new.networks) else ListDiff(old.networks.networks, networks),
    )


def _counts(finding: ReportedFinding) -> bool:
    return finding.waived is None and finding.rule not in OF_THE_RUN


def _standing(finding: ReportedFinding, before: Collection[_Identity]) -> ReportedFinding:
    if not _counts(finding):
        return finding
    known = _identity(finding) in before
    return replace(finding, since=Standing.OPEN if known else Standing.NEW)


def _identity(finding: ReportedFinding) -> _Identity:
    """Give what makes a finding the same in two reports; one about no key is known by its message."""
    key = finding.key_id or finding.key
    about = (finding.account_id, finding.sub_account_id, key)
    return (finding.rule, *about, finding.message if key is None else None)
