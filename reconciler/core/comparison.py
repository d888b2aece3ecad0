"""What changed since an earlier audit: which findings are new, still open or gone, and which keys are other ones."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from reconciler.core.allowable import COVERAGE
from reconciler.core.changes import AccessChange, Delta, Fields, ListDiff, TextDiff, access_change
from reconciler.core.findings import OF_THE_RUN
from reconciler.core.inventory import KeyStanding, ReportedKey
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
from reconciler.core.scopes import ScopeSet

_Identity = tuple[str | None, ...]


def compared(report: Report, earlier: Report) -> Report:
    """Give a report that tells of each unwaived finding whether ``earlier`` had it, and what of that is gone.

    A finding is known by its rule and its key, not by its message, in which days are counted. Of an account that could
    not be read now nothing is known to be gone, of one that was not read then nothing to be new, and keys are compared
    in accounts that both reports have read.

    Raises:
        ValueError: the earlier report has something on an allow list that is no network (`check_lists`).
    """
    before = {finding.identity: finding for finding in earlier.findings if _counts(finding)}
    now = {finding.identity for finding in report.findings if _counts(finding)}
    unread, unread_before = _Unread(report), _Unread(earlier)
    gone = [
        replace(finding, since=None)
        for identity, finding in before.items()
        if identity not in now and not unread.hides(finding)
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
        findings=tuple(
            finding
            if unread_before.hides(finding) or unread_before.foreign(finding)
            else _standing(finding, before.keys())
            for finding in report.findings
        ),
        since=Since(
            earlier.run_id,
            earlier.finished_at,
            tuple(gone),
            tuple(keys),
            not_compared=len(listed.keys() ^ listed_before.keys()),
            as_of=earlier.as_of,
        ),
    )


class _Unread:
    """What a report knows nothing of: accounts that it could not read, and with a shard those of all others."""

    def __init__(self, report: Report) -> None:
        failed = [one for one in report.accounts if one.status is AccountStatus.FAILED]
        self._accounts = {one.account_id for one in report.accounts}
        self._unread = {(one.account_id, one.sub_account_id) for one in failed}
        self._partial = report.shard is not None
        self._families = {one.account_id for one in failed if one.sub_account_id in (None, EVERY_SUB_ACCOUNT)}

    def hides(self, finding: ReportedFinding) -> bool:
        """Tell whether a finding may be there although the report does not have it."""
        account, below = finding.account_id, finding.sub_account_id
        if (self._unread or self._partial) and finding.rule == COVERAGE:  # what was not read may be the one
            return True
        if self._partial and self.foreign(finding):
            return True
        return (account, below) in self._unread or (below is not None and account in self._families)

    def foreign(self, finding: ReportedFinding) -> bool:
        """Tell whether a finding is of an account that the report is not about."""
        return finding.account_id is not None and finding.account_id not in self._accounts


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
_NO_KEY = ReportedKey("", "", KeyStanding.UNCLEAR, (), FENCED.networks, "", None)
"""Stands for a key that is not there: it may do nothing, from nowhere."""


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
        old, new = before.get(key_id, _NO_KEY), now.get(key_id, _NO_KEY)
        if old is _NO_KEY or new is _NO_KEY or _written(old) != _written(new):  # nearly all are written as they were
            yield from _became(whose, old, new)


def _written(key: ReportedKey) -> tuple[object, ...]:
    return key.label, key.scopes, key.ip_allow_list


def _became(whose: _Whose, old: ReportedKey, new: ReportedKey) -> Iterator[ChangedKey]:
    """Tell what became of one key; nothing where lists grant and revoke nothing, since only their spelling differs."""
    had, has = ScopeSet.parse(old.scopes), ScopeSet.parse(new.scopes)
    was_from, is_from = AllowList.parse(old.ip_allow_list), AllowList.parse(new.ip_allow_list)
    access = access_change((had, has), (was_from, is_from))
    if new is _NO_KEY:
        yield _told(KeyEvent.GONE, whose, old, Fields(), access)
    elif old is _NO_KEY:
        fields = Fields(TextDiff(None, new.label), ListDiff(None, has.texts), ListDiff(None, is_from.networks))
        yield _told(KeyEvent.APPEARED, whose, new, fields, access)
    elif fields := Fields(
        None if old.label == new.label else TextDiff(old.label, new.label),
        None if access.scopes == Delta() else ListDiff(had.texts, has.texts),
        None if access.networks == Delta() else ListDiff(was_from.networks, is_from.networks),
    ):
        yield _told(KeyEvent.CHANGED, whose, new, fields, access)


def _told(what: KeyEvent, whose: _Whose, key: ReportedKey, fields: Fields, access: AccessChange) -> ChangedKey:
    return ChangedKey(what, *whose, key.key_id, key.name, key.label, fields, access)


def _counts(finding: ReportedFinding) -> bool:
    return finding.waived is None and finding.rule not in OF_THE_RUN


def _standing(finding: ReportedFinding, before: Collection[_Identity]) -> ReportedFinding:
    if not _counts(finding):
        return finding
    known = finding.identity in before
    return replace(finding, since=Standing.OPEN if known else Standing.NEW)
