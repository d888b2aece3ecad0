"""Audits compared with earlier ones, and what an audit exits with."""

from dataclasses import replace
from typing import Any

import pytest

from builders import ACCOUNT, SUB_ACCOUNT, below
from core.comparing import FAILED, OK, OTHER, SUSPENDED, read, report
from reconciler.core.comparison import compared
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT, AccountRef
from reconciler.core.report import (
    AccountStatus,
    Report,
    ReportedAccount,
    ReportedFinding,
    Since,
    Standing,
    audit_exit_code,
)

WAIVED = Waiver("2026-11-30", "team-sec", "INC-204")
EVERY = AccountRef(ACCOUNT.account_id, EVERY_SUB_ACCOUNT)


def found(rule: str, key_id: str | None, account: AccountRef | None = ACCOUNT, **fields: Any) -> ReportedFinding:
    above, sub_account = (account.account_id, account.sub_account_id) if account else (None, None)
    told = "not used for 180 days"
    plain = ReportedFinding(rule, Severity.DENY, above, sub_account, None, key_id, None, told, "", None, None)
    return replace(plain, **fields)


def earlier(*findings: ReportedFinding) -> Report:
    return replace(report(*findings), run_id="run-1", finished_at="2026-11-22T12:00:00Z")


def standings(one: Report) -> list[Standing | None]:
    return [finding.since for finding in one.findings]


def gone(now: Report, before: Report) -> list[tuple[str, str | None]]:
    since = compared(now, before).since
    assert since is not None
    return [(finding.rule, finding.key_id) for finding in since.gone]


def test_what_is_new_open_and_gone() -> None:
    """Each finding is new or still open; those of the earlier audit that are not there any more are gone."""
    before = earlier(found("a", "1", since=Standing.NEW), found("b", "1"), found("a", "2", since=Standing.OPEN))
    now = report(found("b", "1"), found("b", "2"))
    assert compared(now, before) == replace(
        now,
        findings=(found("b", "1", since=Standing.OPEN), found("b", "2", since=Standing.NEW)),
        since=Since("run-1", "2026-11-22T12:00:00Z", (found("a", "1"), found("a", "2"))),
    )


def test_what_is_gone_is_told_by_how_serious_it_was() -> None:
    """Denials that are gone come first and notes last, those of one kind in the order in which they were found."""
    severities = (Severity.NOTE, Severity.DENY, Severity.WARN, Severity.DENY, Severity.NOTE)
    before = earlier(*(found(severity, str(n), severity=severity) for n, severity in enumerate(severities)))
    assert gone(report(), before) == [("deny", "1"), ("deny", "3"), ("warn", "2"), ("note", "0"), ("note", "4")]


@pytest.mark.parametrize(
    ("rule", "counts"),
    [("no-desired-state", False), ("saved-listing", False), ("starter-policy", False), ("unset-variable", True)],
)
def test_how_an_audit_was_made_is_no_finding_of_it(rule: str, counts: bool) -> None:
    """What tells from what an audit was made is neither new nor open, and is never gone."""
    note = found(rule, None, None, severity=Severity.NOTE)
    assert standings(compared(report(note), earlier())) == [Standing.NEW if counts else None]
    assert standings(compared(report(note), earlier(note))) == [Standing.OPEN if counts else None]
    assert gone(report(), earlier(note)) == ([(rule, None)] if counts else [])


def test_an_audit_compared_with_itself() -> None:
    """Nothing is new and nothing is gone where nothing changed."""
    now = report(found("a", "1"), found("b", None, None))
    assert standings(compared(now, now)) == [Standing.OPEN, Standing.OPEN]
    assert gone(now, now) == []


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (found("a", "1"), found("a", "1", message="not used for 181 days", severity=Severity.WARN, hint="x"), True),
        (found("a", "1"), found("a", "1", key="shop", label="Shop"), True),
        (found("a", "1", key="shop"), found("a", "1", key="store"), True),
        (found("a", None, key="shop"), found("a", None, key="shop", message="another"), True),
        (found("a", "1"), found("b", "1"), False),
        (found("a", "1"), found("a", "2"), False),
        (found("a", "1", key="shop"), found("a", "2", key="shop"), False),
        (found("a", None, key="shop"), found("a", None, key="store"), False),
        (found("a", "1"), found("a", "1", OTHER), False),
        (found("a", "1"), found("a", "1", SUB_ACCOUNT), False),
        (found("a", "1", SUB_ACCOUNT), found("a", "1", below(1)), False),
        (found("a", None), found("a", None), True),
        (found("a", None), found("a", None, message="another"), False),
        (found("a", None, None), found("a", None, None, message="another"), False),
        (found("a", None, None), found("a", None, ACCOUNT), False),
        (found("a", "not used for 180 days"), found("a", None), False),
    ],
)
def test_what_makes_two_findings_the_same(then: ReportedFinding, now: ReportedFinding, same: bool) -> None:
    """A finding is known by its rule and its key, whatever it says of it; one about no key by its message."""
    both = (read(ACCOUNT), read(OTHER))
    after = compared(report(now, accounts=both), replace(earlier(then), accounts=both))
    assert standings(after) == [Standing.OPEN if same else Standing.NEW]
    assert after.since is not None
    assert after.since.gone == (() if same else (then,))


@pytest.mark.parametrize(
    ("then", "now", "standing", "is_gone"),
    [
        (None, None, Standing.OPEN, False),
        (None, WAIVED, None, True),
        (WAIVED, None, Standing.NEW, False),
        (WAIVED, WAIVED, None, False),
    ],
)
def test_waived_findings(then: Waiver | None, now: Waiver | None, standing: Standing | None, is_gone: bool) -> None:
    """A finding that is waived by now is gone, one whose waiver ended is new, and what is waived has no standing."""
    before, after = earlier(found("a", "1", waived=then)), report(found("a", "1", waived=now))
    assert standings(compared(after, before)) == [standing]
    assert bool(gone(after, before)) is is_gone


def test_a_finding_that_was_waived_and_is_gone() -> None:
    """What was waived then was no open finding: that it is not there any more says nothing."""
    assert gone(report(), earlier(found("a", "1", waived=WAIVED))) == []


@pytest.mark.parametrize(
    ("accounts", "left"),
    [
        ((), ["own", "first", "second", "other"]),
        ((read(ACCOUNT), read(SUB_ACCOUNT)), ["own", "first", "second", "other"]),
        ((read(ACCOUNT), read(SUB_ACCOUNT, SUSPENDED)), ["own", "first", "second", "other"]),
        ((read(ACCOUNT), read(SUB_ACCOUNT, FAILED)), ["own", "second", "other"]),
        ((read(ACCOUNT), read(EVERY, FAILED)), ["own", "other"]),
        ((read(ACCOUNT, FAILED), read(SUB_ACCOUNT)), ["other"]),
        ((read(OTHER, FAILED),), ["own", "first", "second"]),
        ((read(OTHER, FAILED), read(ACCOUNT, FAILED)), []),
    ],
)
def test_what_could_not_be_read_is_not_gone(accounts: tuple[ReportedAccount, ...], left: list[str]) -> None:
    """Of an account that could not be read nothing is gone, nor of sub accounts that could not be listed."""
    before = earlier(
        found("own", "1"), found("first", "1", SUB_ACCOUNT), found("second", "1", below(1)), found("other", "1", OTHER)
    )
    assert [rule for rule, _ in gone(report(accounts=accounts), before)] == left


@pytest.mark.parametrize(
    ("accounts", "standing"),
    [
        ((read(ACCOUNT),), Standing.NEW),
        ((read(ACCOUNT), read(SUB_ACCOUNT)), Standing.NEW),
        ((read(ACCOUNT), read(SUB_ACCOUNT, FAILED)), None),
        ((read(ACCOUNT), read(EVERY, FAILED)), None),
        ((read(ACCOUNT, FAILED),), None),
        ((read(OTHER),), None),
        ((), None),
    ],
)
def test_what_had_not_been_read_is_not_known_to_be_new(
    accounts: tuple[ReportedAccount, ...], standing: Standing | None
) -> None:
    """A finding is new where its account was read before; one of a new sub account of such an account is, too."""
    after = compared(report(found("a", "1", SUB_ACCOUNT)), replace(earlier(), accounts=accounts))
    assert standings(after) == [standing]


def test_as_of_when_the_earlier_one_is_is_kept() -> None:
    """The earlier report is told as of when its keys were listed, else as of when it was made."""
    since = compared(report(), replace(earlier(), as_of="2026-06-01T00:00:00Z")).since
    assert since is not None
    assert since.moment == "2026-06-01T00:00:00Z"
    assert replace(since, as_of=None).moment == since.finished_at


def test_findings_of_no_account_are_gone_all_the_same() -> None:
    """What is about the policy itself does not hang on accounts that could be read."""
    assert gone(report(accounts=(read(ACCOUNT, FAILED),)), earlier(found("waiver-ended", None, None))) == [
        ("waiver-ended", None)
    ]


def test_what_grows_older_is_still_the_same() -> None:
    """A finding about no key that tells its age is not new the day after; one that tells another day is."""
    told = [f"the waiver of r ended with {end}" for end in ("2026-11-01, 1 day ago", "2026-11-01, 25 days ago")]
    before, after = (found("waiver-ended", None, None, message=message) for message in told)
    other = replace(after, message="the waiver of r ended with 2026-11-02, 25 days ago")
    assert standings(compared(report(after, other), earlier(before))) == [Standing.OPEN, Standing.NEW]


@pytest.mark.parametrize("unread", [read(ACCOUNT, FAILED), read(below(1), FAILED), read(EVERY, FAILED)])
def test_what_must_keep_working_is_not_known_to_work_again(unread: ReportedAccount) -> None:
    """While any account could not be read a requirement that did not hold is not gone: that account may be the one."""
    before = earlier(found("coverage", None, None))
    assert gone(report(accounts=(read(OTHER), unread)), before) == []
    assert gone(report(accounts=(read(OTHER), read(SUB_ACCOUNT, SUSPENDED))), before) == [("coverage", None)]


# Exit codes


@pytest.mark.parametrize(
    ("severities", "codes"),
    [
        ((), (0, 0, 0, 0)),
        ((Severity.NOTE,), (0, 0, 0, 3)),
        ((Severity.WARN,), (0, 0, 3, 3)),
        ((Severity.DENY,), (0, 3, 3, 3)),
        ((Severity.NOTE, Severity.WARN), (0, 0, 3, 3)),
        ((Severity.NOTE, Severity.DENY), (0, 3, 3, 3)),
    ],
)
@pytest.mark.parametrize("interrupted", [True, False])
def test_an_audit_fails_on_findings(
    severities: tuple[Severity, ...], codes: tuple[int, ...], interrupted: bool
) -> None:
    """A finding at least as serious as ``--fail-on`` is worth a 3, with ``never`` none is; a waived one never is."""
    made = report(*(found("a", "1", severity=severity) for severity in severities))
    levels = (None, Severity.DENY, Severity.WARN, Severity.NOTE)
    assert tuple(audit_exit_code(made, level, interrupted=interrupted) for level in levels) == codes
    waived = replace(made, findings=tuple(replace(finding, waived=WAIVED) for finding in made.findings))
    assert {audit_exit_code(waived, level, interrupted=interrupted) for level in levels} == {0}


@pytest.mark.parametrize("rule", ["no-desired-state", "saved-listing", "starter-policy"])
def test_how_an_audit_was_made_fails_none(rule: str) -> None:
    """What tells from what an audit was made is worth no 3, however little is let pass; any other note is."""
    made = report(found(rule, None, None, severity=Severity.NOTE))
    assert audit_exit_code(made, Severity.NOTE) == 0
    assert audit_exit_code(replace(made, findings=(*made.findings, found("a", "1"))), Severity.NOTE) == 3


@pytest.mark.parametrize(
    ("statuses", "code", "code_if_interrupted"),
    [
        ((OK,), 3, 3),
        ((OK, SUSPENDED), 3, 3),
        ((SUSPENDED,), 3, 3),
        ((), 3, 3),
        ((OK, FAILED), 4, 4),
        ((FAILED,), 1, 4),
        ((FAILED, SUSPENDED), 1, 4),
    ],
)
def test_what_could_not_be_read_comes_first(
    statuses: tuple[AccountStatus, ...], code: int, code_if_interrupted: int
) -> None:
    """No account read is a 1, or a 4 where a signal ended the audit; some of them read is a 4, whatever was found."""
    made = report(found("a", "1"), accounts=tuple(read(below(n), status) for n, status in enumerate(statuses)))
    assert audit_exit_code(made, Severity.DENY) == code
    assert audit_exit_code(made, Severity.DENY, interrupted=True) == code_if_interrupted


def test_shards_are_compared_where_both_looked() -> None:
    """What was found in accounts of another shard is neither gone nor new: nobody looked there."""
    coverage, theirs = found("coverage", None, None), found("a", "2", OTHER)
    one = replace(earlier(found("a", "1"), coverage), shard="0/2")
    other = replace(report(theirs, accounts=(read(OTHER),)), shard="1/2")
    whole = report(theirs, accounts=(read(ACCOUNT), read(OTHER)))
    assert (gone(other, one), standings(compared(other, one))) == ([], [None])
    assert (gone(whole, one), standings(compared(whole, one))) == ([("a", "1"), ("coverage", None)], [None])
    both = replace(earlier(found("a", "1"), found("a", "3", OTHER), coverage), accounts=whole.accounts)
    assert (gone(other, both), standings(compared(other, both))) == ([("a", "3")], [Standing.NEW])
