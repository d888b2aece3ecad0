"""What became of what an earlier report had found: at a terminal, in its last line, and as JSON."""

import json
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from reconciler.core.changes import Action, Fields, Outcome, TextDiff
from reconciler.core.findings import Severity, Waiver
from reconciler.core.plan import KeyCounts
from reconciler.core.report import Mode, Report, ReportedFinding, ReportedRefusal, Since, Standing, UnmanagedKey
from reconciler.files.report import load_report, report_schema
from reconciler.render.json import render as render_json
from reconciler.render.terminal import Style, render
from reconciler.render.words import summary
from render.reports import account, below, change, failed, finding, report

WAIVED = Waiver("2027-01-31", "team-sec", "INC-204")
WIDE = finding("no-wildcard", Severity.DENY, hint="list the scopes it needs")
OLD = finding("old", Severity.NOTE, key="shop", message="shop is 3 years old", source=None)
STRAY = finding(
    "stray", Severity.WARN, key=None, key_id="k-7", label="st\x1bray", message="it is in no file", source=None
)


def audited(*findings: ReportedFinding, gone: tuple[ReportedFinding, ...] = (), since: bool = True) -> Report:
    """An audit of one account, compared with one of Monday unless it was not."""
    made = report(account(keys=KeyCounts(2, 3)), mode=Mode.AUDIT, findings=findings)
    return replace(made, digest=None, since=Since("r-1", "2026-11-23T10:00:01Z", gone) if since else None)


def standing(each: ReportedFinding, since: Standing | None = Standing.NEW) -> ReportedFinding:
    return replace(each, since=since)


def told(made: Report, width: int = 80) -> str:
    return render(made, style=Style(colour=False, width=width))


GOLDEN = """\
Findings
  deny  no-wildcard  (3, 2 new)
  new   keys/ops.yaml:3: shop may do everything
  new   keys/ops.yaml:3: news may do everything
        keys/ops.yaml:3: ops may do everything
        hint: list the scopes it needs
  warn  stray  (1 new)
  new   "st\\x1bray": it is in no file  key k-7
  note  old
        shop is 3 years old
  waived  no-wildcard: keys/ops.yaml:3: glass may do everything
          until 2027-01-31, by team-sec: INC-204

Gone, or waived, since then
  warn  fenced: ops: it was
        open
  deny  no-wildcard: old may do everything

Audit: 3 deny, 1 warn, 1 note in 3 keys; since 2026-11-23: 3 new, 2 still open,
2 gone.
"""


def test_what_became_of_it_reads_like_this() -> None:
    """New findings come first and are marked, what is gone comes after all others, the last line sums up."""
    open_ = standing(WIDE, Standing.OPEN)
    new = [
        standing(replace(WIDE, key=name, label=name, message=f"{name} may do everything")) for name in ("shop", "news")
    ]
    waived = replace(WIDE, key="glass", message="glass may do everything", waived=WAIVED)
    gone = (
        finding("fenced", Severity.WARN, message="it was\nopen"),
        replace(WIDE, key="old", message="old may do everything"),
    )
    made = audited(open_, *new, standing(STRAY), standing(OLD, Standing.OPEN), waived, gone=gone)
    assert told(made) == GOLDEN


def test_nothing_became_of_it() -> None:
    """Where nothing is new or gone, only the last line says that two reports were compared."""
    text = told(audited(standing(OLD, Standing.OPEN)))
    assert "new)" not in text
    assert "Gone" not in text
    assert text.endswith("Audit: 1 note in 3 keys; since 2026-11-23: 0 new, 1 still open, 0 gone.\n")


def test_a_report_that_was_not_compared() -> None:
    """Without an earlier report nothing is called new, open or gone."""
    text = told(audited(WIDE, OLD, since=False))
    assert "new" not in text
    assert text.endswith("Audit: 1 deny, 1 note in 3 keys.\n")
    assert told(audited(since=False)) == "Audit: nothing found in 3 keys.\n"


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, "and 1 more"), (150, "and 130 more")])
def test_not_all_that_is_gone_is_listed(count: int, more: str) -> None:
    """After twenty the rest is counted, and the last line counts them all."""
    text = told(audited(gone=tuple(replace(WIDE, message=f"number {number}") for number in range(count))))
    assert text.count("number ") == min(count, 20)
    assert (f"        {more}, all of them in -o json\n" in text) is bool(more)
    assert f"{count} gone." in text


def test_what_is_new_in_some_sub_accounts() -> None:
    """What is new in one sub account and open in another is told apart; what is new in both is told once."""
    shops = [below(f"s-{number}", f"Shop {number}") for number in range(3)]
    found = [replace(WIDE, sub_account_id=f"s-{number}", since=Standing.NEW) for number in range(2)]
    found.append(replace(WIDE, sub_account_id="s-2", since=Standing.OPEN))
    made = replace(report(*shops, mode=Mode.AUDIT, findings=found), since=Since("r", "2026-11-23T10:00:01Z", ()))
    assert told(made).split("\n\n")[0] == (
        "Findings\n"
        "  deny  no-wildcard  (3, 2 new)\n"
        '        2 sub accounts of account a-1: "Shop 0", "Shop 1"\n'
        "  new     keys/ops.yaml:3: ops may do everything\n"
        '        sub account "Shop 2" (s-2) of account a-1\n'
        "          keys/ops.yaml:3: ops may do everything\n"
        "        hint: list the scopes it needs"
    )
    assert summary(made) == (
        "Audit: 3 deny in 9 keys of 3 sub accounts; since 2026-11-23: 2 new, 1 still open, 0 gone."
    )


@pytest.mark.parametrize("width", [0, 40, 200])
def test_colour_only_repeats_what_is_said(width: int) -> None:
    """With colours the same words stand there, and a terminal is given nothing that it would obey."""
    made = audited(standing(STRAY), standing(OLD, Standing.OPEN), gone=(replace(OLD, message="\x1b[2J gone"),))
    plain, coloured = told(made, width), render(made, style=Style(colour=True, width=width))
    assert [letter for letter in plain if not letter.isprintable() and letter != "\n"] == []
    assert "\\x1b[2J gone" in plain
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain


# As JSON

COMPARED = audited(standing(WIDE), standing(OLD, Standing.OPEN), replace(STRAY, waived=WAIVED), gone=(WIDE,))


def test_it_is_written_and_loads_back() -> None:
    """The report has which finding is new and all that is gone; it follows its schema and loads as the same value."""
    text = render_json(COMPARED)
    dumped = json.loads(text)
    assert [each["since"] for each in dumped["findings"]] == ["new", "open", None]
    assert (dumped["since"]["run_id"], dumped["since"]["finished_at"]) == ("r-1", "2026-11-23T10:00:01Z")
    assert dumped["since"]["gone"] == [{**dumped["findings"][0], "since": None}]
    assert load_report(text) == COMPARED
    Draft202012Validator(report_schema()).validate(dumped)


def test_a_report_from_before_there_was_a_comparison_loads() -> None:
    """Where a report does not say since when, it was not compared."""
    dumped = json.loads(render_json(audited(WIDE, since=False)))
    del dumped["since"], dumped["findings"][0]["since"]
    assert load_report(json.dumps(dumped)) == audited(WIDE, since=False)


def as_dictionaries(value: Any) -> Any:
    """A report as Python's own writer takes it."""
    if isinstance(value, tuple):
        return [as_dictionaries(item) for item in value]
    if not is_dataclass(value):
        return value
    members = {each.name: as_dictionaries(getattr(value, each.name)) for each in fields(value)}
    return {name: member for name, member in members.items() if member is not None or not isinstance(value, Fields)}


RICH = replace(
    report(
        account(
            change("shop", scopes=(["domains:read"], []), relabelled=("Läden\t", 'x" \\')),
            change("new", Action.CREATE, relabelled=(None, "new"), networks=([], [])),
            replace(change("none", outcome=Outcome.FAILED, reason="a\nb"), fields=Fields(), source=None),
            replace(change("label"), fields=Fields(TextDiff("", ""))),
        ),
        replace(below("s-1", "日本 \U0001f511"), unmanaged=(UnmanagedKey("k", "", (), ("203.0.113.0/24",), None),)),
        failed("403"),
        findings=(WIDE, standing(OLD), replace(OLD, waived=WAIVED)),
        refusals=(ReportedRefusal("max-changes", "a-1", None, None, "9 are more than 5", 5, 0),),
    ),
    since=Since("r", "t", ()),
)


@pytest.mark.parametrize("made", [RICH, COMPARED, audited(since=False), report()])
def test_json_is_written_as_python_would(made: Report) -> None:
    """The writer gives, to the letter, what Python's own gives with two spaces."""
    assert render_json(made) == json.dumps(as_dictionaries(made), indent=2, ensure_ascii=False) + "\n"


def test_what_a_terminal_obeys_is_escaped() -> None:
    """Control characters, bidi marks and halves of characters are escaped, and mean the same."""
    text = "\x1b\x7f\x9b\u202e\u200b\ufeff\ud800 é"
    made = replace(audited(since=False), run_id=text)
    written = render_json(made)
    assert '"run_id": "\\u001b\\u007f\\u009b\\u202e\\u200b\\ufeff\\ud800 é"' in written
    assert json.loads(written)["run_id"] == text


def test_an_earlier_report_that_is_later_is_told() -> None:
    """Where the reports were given the other way round, the last line says so; what is no day is not told as one."""
    made = audited(WIDE)
    assert made.since is not None
    turned = replace(made, as_of="2026-11-22T10:00:00Z")
    assert "; since 2026-11-23, which is the later one: 0 new," in " ".join(told(turned).split())
    odd = replace(made, since=replace(made.since, finished_at="\nIn sync\n"))
    assert "; since the earlier audit: 0 new," in " ".join(told(odd).split())
    assert "In sync" not in told(odd)
