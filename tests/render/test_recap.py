"""The recap at the end of a long text, and what is not told again and again on the way there."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.core.changes import Action, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import Mode, ReportedAccount, ReportedChange, ReportedFinding, ReportedRefusal, Standing
from reconciler.render.terminal import Style, render
from render.reports import account, below, broken, change, failed, finding, report

WAIVED = Waiver("2027-01-31", "team-sec", "INC-204")
LONG = "it revokes what the change of {} was to grant, and that one is denied: somebody may be left without it"


def told(
    *accounts: ReportedAccount,
    mode: Mode = Mode.PLAN,
    width: int = 80,
    findings: Iterable[ReportedFinding] = (),
    refusals: Iterable[ReportedRefusal] = (),
) -> str:
    made = report(*accounts, mode=mode, findings=findings, refusals=refusals)
    return render(made, style=Style(colour=False, width=width))


def recap(text: str) -> list[str]:
    """The lines of the recap; none where there is none."""
    _, _, after = text.partition("\nIn short\n")
    return after.partition("\n\n")[0].splitlines()


def narrow(name: str | None, *, label: str | None = None) -> ReportedChange:
    return change(name, label=label, scopes=(["domains:read"], []))


def wide(name: str) -> ReportedChange:
    return change(name, scopes=([], ["domains:read"]))


def held(one: ReportedChange, outcome: Outcome = Outcome.SKIPPED, reason: str | None = None) -> ReportedChange:
    return replace(one, outcome=outcome, reason=reason)


GOLDEN = """\
  unread       all sub accounts of account a-1, sub account "Shut\\x1b",
               account a-2, sub account s-8
  FAILED       f
  stale        s
  denied       d
  refused      r
  skipped      p
  paused       "old\\n\\"key\\""
  widens       k00, k01, k02, k03, k04, k05, k06, k07, k08, k09 and 2 more
  mixed        m
  narrows      "stray", sender in 2 sub accounts, own of sub account "Shop 1"
  same access  l
  refused by   max-changes, hold
  deny         no-wildcard (2, 1 new), un\\x1bread
  warn         stale (1 new)"""


def test_a_recap_reads_like_this() -> None:
    """It names what was not read, what is not done by outcome, what is by access, who refuses, and what is broken."""
    changes = [
        *(wide(f"k{number:02}") for number in range(12)),
        change("l", relabelled=("m", "l")),
        change("m", scopes=(["domains:read"], ["webhooks:read:all"])),
        held(wide("r"), Outcome.REFUSED),
        held(wide("d"), Outcome.DENIED),
        held(narrow("p")),
        held(narrow(None, label='old\n"key"'), Outcome.PAUSED),
        held(narrow("f"), Outcome.FAILED),
        held(narrow("s"), Outcome.STALE),
        change(None, Action.QUARANTINE, label="stray", networks=([], ["192.0.2.1"]), outcome=Outcome.APPLIED),
    ]
    found = [
        finding("stale", Severity.WARN, since=Standing.NEW),
        finding("no-wildcard", Severity.DENY),
        finding("no-wildcard", Severity.DENY, since=Standing.NEW),
        finding("un\x1bread", Severity.DENY),
        finding("waived", Severity.DENY, waived=WAIVED),
        finding("noted", Severity.NOTE),
    ]
    refusals = [
        ReportedRefusal("max-changes", name, None, None, f"{number} are too many", 5, number)
        for name, number in (("a-1", 9), ("a-2", 8))
    ]
    text = told(
        account(*changes),
        below("s-1", "Shop 1", narrow("sender"), narrow("own")),
        below("s-2", "Shop 2", narrow("sender")),
        failed("403"),
        broken("s-9", "Shut\x1b", "403"),
        broken("s-8", None, "403"),
        broken(EVERY_SUB_ACCOUNT, None, "403"),
        findings=found,
        refusals=[*refusals, ReportedRefusal("hold", None, None, None, "INC-1", None, None)],
    )
    assert recap(text) == GOLDEN.splitlines()
    assert text.index("In short") > text.index("Findings")


@pytest.mark.parametrize("lines", [50, 51])
def test_what_fits_on_a_screen_has_no_recap(lines: int) -> None:
    """Fifty lines can be seen at a time; what is longer ends with its recap."""
    changes = [wide(f"k{number:02}") for number in range(12)]
    told_why = lines - 4 * len(changes) + 1
    text = told(account(*(held(each, reason="no") for each in changes[:told_why]), *changes[told_why:]))
    before = text.partition("\n\nIn short\n" if lines > 50 else "\n\nPlan: ")[0]
    assert before.count("\n") == lines - 1
    assert bool(recap(text)) is (lines > 50)


def test_notes_alone_are_no_recap() -> None:
    """However many notes and waived findings there are, nothing of them is told again."""
    found = [finding(f"n{number}", Severity.NOTE) for number in range(40)]
    text = told(account(), findings=[*found, finding("w", Severity.DENY, waived=WAIVED)], mode=Mode.AUDIT)
    assert len(text.splitlines()) > 80
    assert "In short" not in text


# A reason that was told


def reasons(text: str) -> list[str]:
    """Each line that says why."""
    return [line.removeprefix("      why       ") for line in text.splitlines() if line.startswith("      why")]


def test_a_reason_of_several_lines_is_told_once() -> None:
    """The same reason further down refers to the key that has it above; the key's own name makes no difference."""
    shared = LONG.format("other")
    own = "restore: {}: the key is fenced, somebody switched it off for a reason; let it through with --allow restore"
    changes = [
        held(narrow("a"), reason=shared),
        held(narrow("b"), Outcome.REFUSED, own.format("b")),
        held(narrow("c"), reason=shared),
        held(narrow("d-1"), Outcome.REFUSED, own.format("d-1")),
        held(narrow("e"), reason=LONG.format("another")),
        held(narrow(None, label="x\x1b"), reason=shared),
    ]
    assert reasons(told(account(*changes))) == [
        "it revokes what the change of other was to grant, and that one",
        "restore: b: the key is fenced, somebody switched it off for a",
        "as for a, above",
        "as for b, above",
        "it revokes what the change of another was to grant, and that one",
        "as for a, above",
    ]


def test_reasons_that_only_look_alike_are_told_each() -> None:
    """A name inside of other words is none, and what was said of keys without a name is compared as it is."""
    inside = LONG.format("shop-old")
    changes = [
        held(narrow("shop"), reason=inside),
        held(narrow("news"), reason=inside.replace("shop", "news")),
        held(narrow(None, label="x"), reason=LONG.format("x")),
        held(narrow(None, label="y"), reason=LONG.format("y")),
        held(narrow(None, label="y"), reason=LONG.format("y")),
    ]
    assert "above" not in told(account(*changes))


def test_a_reason_of_one_line_is_told_each_time() -> None:
    """What has room on its line is not worth a look further up; in another account nothing is above."""
    short = held(narrow("a"), reason="hold (see below)")
    assert reasons(told(account(short, replace(short, name="b")))) == ["hold (see below)"] * 2
    far = held(narrow("a"), reason=LONG.format("other"))
    assert "above" not in told(account(far), replace(account(replace(far, name="b")), account_id="a-2"))
    assert "as for a, above" not in told(account(far, replace(far, name="b")), width=160)
