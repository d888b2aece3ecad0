"""What of a report is shown at a line of a file, where, in which words, and that each thing is told once."""

from dataclasses import replace

import pytest

from reconciler.core.changes import Action, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import KeyStanding, ReportedKey, ReportedRule, ReportedWaiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.report import (
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    Since,
    Standing,
)
from reconciler.render.alerts import Alert, Level, collect
from render.reports import KEY, account, below, broken, change, failed, finding, report

POLICY = "config/policy.yaml"
RULE = ReportedRule("no-wildcard", Severity.DENY, "no-wildcard", "list the scopes", Source(POLICY, 9, 5))
WAIVED = Waiver("2026-12-05", "team-sec", "INC-204")
STRAY = finding("no-wildcard", Severity.DENY, key=None, key_id="k-7", label="stray", source=None, message="holds *")
CROWDED = "9 changes are more than 5"
KEY_OF_FILES = ReportedKey(
    "k-1", "ops", KeyStanding.MANAGED, (), (), "t0", None, "ops", source=Source("keys/ops.yaml", 3, 5)
)


def shown(made: Report) -> tuple[Alert, ...]:
    return collect(made).shown


def one(made: Report) -> Alert:
    (alert,) = shown(made)
    return alert


def held(outcome: Outcome, reason: str | None, name: str | None = "ops", **given: object) -> ReportedChange:
    """Give a change to a key of its own line that ended so."""
    made = replace(change(name, label="ops"), outcome=outcome, reason=reason, source=Source("keys/ops.yaml", 3, 5))
    return replace(made, **given)  # type: ignore[arg-type] # of a story


def refused(guardrail: str, key_id: str | None = None, *, of: str | None = "a-1", below: str | None = None) -> Report:
    return report(refusals=[ReportedRefusal(guardrail, of, below, key_id, CROWDED, None, None)])


# Findings


@pytest.mark.parametrize(
    ("severity", "level"), [(Severity.DENY, "error"), (Severity.WARN, "warning"), (Severity.NOTE, "note")]
)
def test_a_finding_is_as_serious_as_its_rule(severity: Severity, level: str) -> None:
    """What denies is an error, what warns a warning, and what notes a note."""
    alert = one(report(findings=[finding("r", severity)]))
    assert (alert.level, alert.severity, alert.rule) == (level, severity, "r")


def test_a_finding_is_shown_where_its_key_stands() -> None:
    """A finding about a key of the files is shown at that key, wherever its rule stands."""
    made = replace(report(findings=[finding("no-wildcard", Severity.DENY)]), rules=(RULE,))
    assert one(made).place == Source("keys/ops.yaml", 3, 5)


def test_a_key_of_no_file_is_shown_at_the_rule_that_it_breaks() -> None:
    """A finding about an unmanaged key is shown at its rule in the policy, at the first of several of that name."""
    second = replace(RULE, source=Source(POLICY, 20, 5))
    made = replace(report(findings=[STRAY]), rules=(replace(RULE, source=None), RULE, second))
    assert one(made).place == RULE.source


def placed_by(**given: object) -> Source | None:
    """Tell where a finding that has neither a place nor a rule in the policy is shown."""
    homeless = replace(STRAY, rule="account-not-named")
    account_ = given.pop("account", None)
    findings = (homeless, *given.pop("findings", ()))  # type: ignore[misc] # of a story
    accounts = (account_,) if isinstance(account_, ReportedAccount) else ()
    made = report(*accounts, findings=findings)
    return shown(replace(made, **given))[0].place  # type: ignore[arg-type] # of a story


def test_what_has_no_place_at_all_is_shown_at_the_top_of_a_file() -> None:
    """It is at the top of the policy, or else of the first other file that the report names; else it has no place."""
    top, waiver = Source(POLICY, 0, 0), ReportedWaiver("r", None, "l", None, "t", "o", "r", Source(POLICY, 21, 5))
    keys = Source("keys/ops.yaml", 0, 0)
    elsewhere = finding("r", Severity.DENY)
    assert placed_by(rules=(RULE,), findings=(elsewhere,)) == top
    assert placed_by(waivers=(waiver,), findings=(elsewhere,)) == top
    assert placed_by(findings=(elsewhere,)) == keys
    assert placed_by(account=account(held(Outcome.PLANNED, None))) == keys
    assert placed_by(account=replace(account(), inventory=(KEY_OF_FILES,))) == keys
    assert placed_by() is None


def test_a_finding_says_what_is_wrong_what_to_do_and_where() -> None:
    """Its text begins with the message, each sentence ends once, and the last names key and sub account."""
    found = replace(STRAY, sub_account_id="s-1", message="stray holds *.", hint="list the scopes")
    made = report(below("s-1", "Acme"), findings=[found])
    assert one(made).text == (
        'stray holds *. Hint: list the scopes. This is about key k-7 of sub account "Acme" (s-1) of account a-1.'
    )


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (finding("r", Severity.DENY, account_id=None, message="ops may"), "ops may."),
        (finding("r", Severity.DENY, account_id=None, message="may"), "ops: may."),
        (finding("r", Severity.DENY, account_id=None, message="may", key=None), '"ops": may.'),
        (finding("r", Severity.DENY, account_id=None, message="may", key=None, label=None), "may."),
        (finding("r", Severity.DENY, message="ops may"), "ops may. This is about account a-1."),
    ],
)
def test_a_finding_names_its_key_once(found: ReportedFinding, text: str) -> None:
    """The key is put before a message that does not name it, its label in quotes where it has no name."""
    assert one(report(findings=[found])).text == text


def test_a_text_is_visible_and_not_too_long() -> None:
    """What a viewer would obey is escaped, and what would fill pages is cut."""
    assert one(report(findings=[finding("r", Severity.DENY, message="ops \x1b[2J\u202e\n")])).text.startswith(
        r"ops \x1b[2J\u202e\n."
    )
    text = one(report(findings=[finding("r", Severity.DENY, message="ops " + "x\u0301" * 9000)])).text
    assert len(text) == 2000
    assert text.endswith("x...")


def test_what_is_waived_is_only_noted() -> None:
    """A waived finding is a note that says until when, by whom and why, and keeps its severity."""
    alert = one(report(findings=[finding("r", Severity.DENY, waived=WAIVED)]))
    assert (alert.level, alert.severity, alert.waived) == (Level.NOTE, Severity.DENY, WAIVED)
    assert "ops may do everything. Waived until 2026-12-05, by team-sec: INC-204. " in alert.text


def test_only_what_an_earlier_report_had_not_is_new() -> None:
    """A finding is new by its standing; what no earlier report speaks of, a refusal, say, is new as well."""
    findings = [finding("r", Severity.DENY, since=standing) for standing in (Standing.NEW, Standing.OPEN, None)]
    made = report(findings=findings, refusals=refused("hold").refusals)
    assert [alert.new for alert in shown(made)] == [True, False, False, True]


def test_what_only_tells_how_the_run_was_made_is_kept_apart() -> None:
    """A note that the starter policy was used, say, is not shown at a line."""
    alerts = collect(report(findings=[finding("starter-policy", Severity.NOTE), finding("r", Severity.NOTE)]))
    assert [alert.rule for alert in alerts.shown] == ["r"]
    assert [alert.rule for alert in alerts.of_the_run] == ["starter-policy"]


def test_what_is_gone_is_kept_apart_with_its_old_place() -> None:
    """A finding that only the earlier report had is not shown, and keeps the place that it had."""
    made = replace(report(), since=Since("r-0", "t", (finding("r", Severity.WARN),)))
    alerts = collect(made)
    assert alerts.shown == ()
    assert [(alert.rule, alert.place) for alert in alerts.gone] == [("r", Source("keys/ops.yaml", 3, 5))]


def test_a_finding_is_known_by_its_rule_and_its_key() -> None:
    """Its words, its place and its severity make no other finding of it; account, sub account, rule and key do."""
    first = finding("r", Severity.DENY, key_id="k-1")
    same = [
        replace(first, message="other days", hint="h", severity=Severity.WARN, waived=WAIVED, source=None),
        replace(first, key="renamed", label="relabelled"),
    ]
    others = [
        replace(first, rule="s"),
        replace(first, account_id="a-2"),
        replace(first, sub_account_id="s-1"),
        replace(first, key_id="k-2"),
        replace(first, key_id=None),
    ]
    known, *others_known = [each.identity for each in shown(report(findings=[first, *others]))]
    assert {each.identity for each in shown(report(findings=same))} == {known}
    assert len({known, *others_known}) == 1 + len(others)


def test_a_finding_about_no_key_is_known_by_its_message() -> None:
    """Two findings of one rule about no key are the same only if they say the same."""
    found = [finding("r", Severity.DENY, key=None, message=message) for message in ("a", "b", "a")]
    first, second, third = [each.identity for each in shown(report(findings=found))]
    assert first == third != second


# Refusals and changes


def test_a_refusal_is_shown_at_the_change_that_it_refuses() -> None:
    """What a guardrail says of one key is an error at that key's line."""
    other = held(Outcome.PLANNED, None, "first", source=Source("keys/a.yaml", 1, 1), key_id="k-0")
    unplaced = held(Outcome.PLANNED, None, source=None, key_id="k-9")
    made = replace(refused("restore", KEY), accounts=(account(other, unplaced, held(Outcome.REFUSED, None)),))
    alert = one(replace(made, accounts=(account(other, unplaced, held(Outcome.REFUSED, "restore: ops")),)))
    assert (alert.rule, alert.level, alert.place) == (
        "guardrail/restore",
        Level.ERROR,
        Source("keys/ops.yaml", 3, 5),
    )
    assert alert.text == f"restore: {CROWDED}. This is about key {KEY} of account a-1."


@pytest.mark.parametrize(
    ("of", "sub", "line"),
    [("a-1", None, 3), ("a-1", "s-1", 7), (None, None, 1), ("a-2", None, None), ("a-1", "s-9", None)],
)
def test_a_refusal_of_many_changes_is_shown_at_the_first_of_them(
    of: str | None, sub: str | None, line: int | None
) -> None:
    """It is at the first change of the account, below it, or of all, whose reason it is; else at the policy's top."""
    reason = f"max-changes: {CROWDED}"

    def at(number: int, why: str | None) -> ReportedChange:
        return held(Outcome.REFUSED, why, source=Source("keys/ops.yaml", number, 5))

    made = replace(
        refused("max-changes", of=of, below=sub),
        accounts=(
            account(at(1, f"restore: r; {reason}"), name="a-0"),
            account(at(2, None), replace(at(2, reason), source=None), at(2, "max-changes: 8"), at(3, reason)),
            below("s-1", None, at(7, reason)),
        ),
        rules=(RULE,),
    )
    expected = Source(POLICY, 0, 0) if line is None else Source("keys/ops.yaml", line, 5)
    assert [each.place for each in shown(made) if each.rule == "guardrail/max-changes"] == [expected]


def test_a_refusal_is_known_by_its_guardrail() -> None:
    """The numbers in its message make no other refusal of it."""
    first = refused("max-changes").refusals[0]
    second = replace(first, message="8 changes are more than 5")
    assert len({each.identity for each in shown(report(refusals=[first, second]))}) == 1


@pytest.mark.parametrize(
    ("outcome", "level", "words"),
    [
        (Outcome.DENIED, "error", "is denied"),
        (Outcome.REFUSED, "error", "is refused"),
        (Outcome.SKIPPED, "warning", "is skipped"),
        (Outcome.FAILED, "error", "failed"),
        (Outcome.STALE, "warning", "is stale"),
    ],
)
def test_a_change_that_is_not_made_is_shown_with_its_reason(outcome: Outcome, level: str, words: str) -> None:
    """What was held back, failed or went stale is shown at its line with what became of it and why."""
    alert = one(report(account(held(outcome, "because"))))
    assert (alert.rule, alert.level, alert.place) == (f"change/{outcome}", level, Source("keys/ops.yaml", 3, 5))
    assert alert.text == f"The change of ops (update) {words}: because. This is about key {KEY} of account a-1."
    without = one(report(account(held(outcome, None, None))))
    assert without.text.startswith(f'The change of "ops" (update) {words}. ')


@pytest.mark.parametrize("outcome", [Outcome.PLANNED, Outcome.APPLIED, Outcome.PAUSED])
def test_a_change_that_nothing_speaks_against_is_not_shown(outcome: Outcome) -> None:
    """What is planned, applied or paused is nothing that a person must look at."""
    assert shown(report(account(held(outcome, "because")))) == ()


def test_a_change_is_known_by_its_key() -> None:
    """It is known by the id of its key, or else by its name, or else by its label, but not by its reason."""
    changes = [
        held(Outcome.FAILED, "one", key_id="k-1"),
        held(Outcome.FAILED, "two", "renamed", key_id="k-1"),
        held(Outcome.FAILED, "one", "new", key_id=None, action=Action.CREATE),
        held(Outcome.FAILED, "one", "newer", key_id=None, action=Action.CREATE),
        held(Outcome.FAILED, "one", None, key_id=None, label="l"),
        held(Outcome.STALE, "one", key_id="k-1"),
    ]
    first, second, *others = [each.identity for each in shown(report(account(*changes)))]
    assert first == second
    assert len({first, *others}) == 5


DENIES = finding("no-wildcard", Severity.DENY)
CONTESTED = finding("contested", Severity.WARN, key=None, key_id=KEY)


@pytest.mark.parametrize(
    ("made", "rules"),
    [
        (report(account(held(Outcome.DENIED, "no-wildcard: m; r: n")), findings=[DENIES]), ["no-wildcard"]),
        (report(account(held(Outcome.SKIPPED, "contested: twice")), findings=[CONTESTED]), ["contested"]),
        (
            replace(refused("restore", KEY), accounts=(account(held(Outcome.REFUSED, "restore: r")),)),
            ["guardrail/restore"],
        ),
        (
            replace(refused("max-changes"), accounts=(account(held(Outcome.REFUSED, "max-changes: m")),)),
            ["guardrail/max-changes"],
        ),
        (
            replace(refused("max-changes"), accounts=(below("s-1", None, held(Outcome.REFUSED, "max-changes: m")),)),
            ["guardrail/max-changes"],
        ),
        (
            replace(refused("hold", of=None), accounts=(account(held(Outcome.REFUSED, "hold: h")),)),
            ["guardrail/hold"],
        ),
    ],
)
def test_what_a_finding_or_a_refusal_tells_is_not_told_again(made: Report, rules: list[str]) -> None:
    """A change is not shown where what holds it back is, be that about its key, its account, or all."""
    assert [alert.rule for alert in shown(made)] == rules


@pytest.mark.parametrize(
    "made",
    [
        report(account(held(Outcome.DENIED, "no-wildcard: m")), findings=[replace(DENIES, waived=WAIVED)]),
        report(account(held(Outcome.DENIED, "no-wildcard: m")), findings=[replace(DENIES, key="other")]),
        report(account(held(Outcome.DENIED, "no-wildcard: m")), findings=[replace(DENIES, account_id="a-2")]),
        report(account(held(Outcome.DENIED, "no-wildcard: m")), findings=[replace(DENIES, sub_account_id="s-1")]),
        report(account(held(Outcome.DENIED, "other: m")), findings=[DENIES]),
        report(account(held(Outcome.DENIED, None)), findings=[DENIES]),
        report(account(held(Outcome.FAILED, "no-wildcard: m")), findings=[DENIES]),
        replace(refused("restore", "k-9"), accounts=(account(held(Outcome.REFUSED, "restore: r")),)),
        replace(refused("max-changes", of="a-2"), accounts=(account(held(Outcome.REFUSED, "max-changes: m")),)),
        replace(refused("max-changes", below="s-1"), accounts=(account(held(Outcome.REFUSED, "max-changes: m")),)),
        replace(refused("other"), accounts=(account(held(Outcome.REFUSED, "max-changes: m")),)),
    ],
)
def test_what_nothing_else_tells_is_told(made: Report) -> None:
    """A change is shown beside what is waived, what is about another key or account, or says something else."""
    assert len(shown(made)) == 2
    assert sum(alert.rule.startswith("change/") for alert in shown(made)) == 1


# Accounts


def test_an_account_that_could_not_be_read_is_shown() -> None:
    """It is an error at the top of the policy that does not let what was found there pass for mended."""
    made = replace(report(failed("401: no such key\n  hint: was it revoked?"), failed(None)), rules=(RULE,))
    first, second = shown(made)
    assert (first.rule, first.level, first.place) == ("account/unread", Level.ERROR, Source(POLICY, 0, 0))
    assert first.text == (
        "Could not read account a-2: 401: no such key. Hint: was it revoked? "
        "What was found there before is not known to be mended."
    )
    assert "Could not read account a-2: nobody knows why. " in second.text


def test_sub_accounts_that_share_an_error_are_shown_once() -> None:
    """Five hundred that fail alike are one alert, those that fail otherwise have their own."""
    made = report(
        broken("s-1", "One", "time-out"),
        broken("s-2", "Two", "time-out"),
        broken("s-3", "Three", "403"),
        broken(EVERY_SUB_ACCOUNT, None, "500"),
    )
    first, second, third = shown(made)
    assert first.text.startswith("Could not read 2 sub accounts of account a-1: time-out. ")
    assert second.text.startswith('Could not read sub account "Three" (s-3) of account a-1: 403. ')
    assert third.text.startswith("Could not read all sub accounts of account a-1: 500. ")
    assert [each.about.path for each in (first, second, third)] == [("a-1",), ("a-1", "s-3"), ("a-1", "*")]
    assert len({each.identity for each in (first, second, third)}) == 3


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (finding("r", Severity.DENY), ("a-1", "ops")),
        (finding("r", Severity.DENY, key=None, label="", key_id="k-1", sub_account_id="s-1"), ("a-1", "s-1", "")),
        (finding("r", Severity.DENY, key=None, label=None, key_id="k-1"), ("a-1", "k-1")),
        (finding("r", Severity.DENY, key=None, label=None, account_id=None), ()),
        (finding("r", Severity.DENY, key="o\x1bps"), ("a-1", r"o\x1bps")),
    ],
)
def test_an_alert_knows_the_way_from_the_account_to_the_key(found: ReportedFinding, path: tuple[str, ...]) -> None:
    """A key is called by its name, or else by its label, or else by its id, made visible."""
    assert one(report(findings=[found])).about.path == path
