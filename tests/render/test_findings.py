"""Findings at a terminal: by rule, whom they are about, which key, and nothing twice."""

from collections.abc import Iterable
from dataclasses import replace
from textwrap import dedent

import pytest

from reconciler.core.findings import Severity, Waiver
from reconciler.core.report import Mode, ReportedAccount, ReportedFinding, Standing
from reconciler.errors import visible
from reconciler.render.terminal import Style, render
from render.reports import account, below, change, finding, report
from render.rich import HOSTILE

PLAIN = Style(colour=False, width=80)
TWO = (account(), account(name="a-2"))


def told(
    findings: Iterable[ReportedFinding], accounts: tuple[ReportedAccount, ...] = (account(),), width: int = 80
) -> str:
    """The section of findings."""
    made = report(*accounts, findings=findings, mode=Mode.AUDIT)
    text = render(made, style=Style(colour=False, width=width))
    return text.partition("\n\n")[0] + "\n"


def stray(label: str, message: str) -> ReportedFinding:
    """A finding about a key of no file."""
    return finding("r", Severity.WARN, key=None, key_id="k-9", label=label, source=None, message=message)


def test_findings_are_grouped_by_rule() -> None:
    """One hint for all, or one each; an unmanaged key by its label and id; notes end after ten."""
    found = [finding("b", Severity.NOTE, key=f"k{n}", message=f"k{n} is odd", hint="look") for n in range(12)]
    found += [
        finding("a", Severity.WARN, key=None, key_id="k-9", label="old", message="unused", source=None, hint="one"),
        finding("a", Severity.WARN, key=None, account_id=None, label=None, message="unknown", source=None, hint="two"),
    ]
    text = render(report(account(), account(name="a-2"), findings=found), style=PLAIN)
    assert text.startswith(
        dedent("""\
        Findings
          account a-1
          warn  a  (2)
                "old": unused  key k-9
                hint: one
                unknown
                hint: two
          note  b  (12)
                keys/ops.yaml:3: k0 is odd
        """)
    )
    assert "k9 is odd\n        hint: look\n        and 2 more, all of them in -o json\n" in text
    assert "k10" not in text


def test_whom_all_findings_are_about_is_told_once() -> None:
    """Where they all are about one account that stands below the heading; with one account only it is not said."""
    found = [
        finding("a", Severity.DENY),
        finding("b", Severity.DENY, key="shop", message="shop is odd"),
        finding("run", Severity.NOTE, key=None, label=None, source=None, account_id=None, message="as of Monday"),
    ]
    text = told(found, TWO)
    assert text.startswith("Findings\n  account a-1\n  deny  a\n        keys/ops.yaml:3: ops may do everything\n")
    assert text.count("account") == 1
    assert text.replace("  account a-1\n", "") == told(found)


def test_whom_findings_are_about_is_told_for_each_run_of_them() -> None:
    """Where they are about several, each account stands once above those of a rule that follow each other."""
    odd = [finding("odd", Severity.WARN, key=name, message=f"{name} is odd", hint="look") for name in ("a", "b", "c")]
    found = [
        odd[0],
        replace(odd[1], since=Standing.NEW),
        replace(odd[2], account_id="a-2"),
        finding("odd", Severity.WARN, key=None, label=None, source=None, account_id=None, message="who?", hint="look"),
        replace(odd[2], sub_account_id="s-1", message="c is low", hint="look"),
    ]
    assert told(found, (*TWO, below("s-1", "Acme"))) == dedent(
        """\
        Findings
          warn  odd  (5, 1 new)
                account a-1
          new     keys/ops.yaml:3: b is odd
                  keys/ops.yaml:3: a is odd
                account a-2
                  keys/ops.yaml:3: c is odd
                who?
                sub account "Acme" (s-1) of account a-1
                  keys/ops.yaml:3: c is low
                hint: look
        """
    )


def test_findings_about_keys_that_are_to_be_changed_come_first() -> None:
    """Among findings of a rule those come first that are new, then those about keys that the plan changes."""
    found = [finding("odd", Severity.WARN, key=name, message=f"{name} is odd") for name in ("a", "b", "c")]
    found[2] = replace(found[2], since=Standing.NEW)
    changed = account(replace(change("b", scopes=([], ["domains:read"])), key_id=None))
    text = render(report(changed, findings=found), style=Style(colour=False, width=80))
    assert [line.split(": ")[1] for line in text.split("\n") if " is odd" in line] == [
        "c is odd",
        "b is odd",
        "a is odd",
    ]


def test_a_hint_of_several_lines_stands_right_of_its_title() -> None:
    """Hints are wrapped below themselves, also where each finding has one of its own."""
    long = "list the networks that it is used from under ip_allow_list, in the file"
    assert told([finding("r", Severity.WARN, hint=long), finding("r", Severity.WARN, hint="", key="x")]) == dedent(
        """\
        Findings
          warn  r  (2)
                keys/ops.yaml:3: ops may do everything
                hint: list the networks that it is used from under ip_allow_list, in the
                      file
                keys/ops.yaml:3: x: ops may do everything
        """
    )


@pytest.mark.parametrize("label", [*HOSTILE, "plain", "it's", "\"x\" 'y'", "back\\slash", "Zoë", "a.b"])
@pytest.mark.parametrize("message", ["unmanaged key {!r} has no owner", "{} has no owner", "no owner has {}."])
def test_a_message_that_names_its_key_is_told_as_it_is(label: str, message: str) -> None:
    """A label is not told again before a message that holds it, in quotes or bare, however it had to be escaped."""
    text = message.format(label)
    (first, *_) = text.split("\n")
    assert f"  warn  r\n        {visible(first.strip())}" in told([stray(label, text)], width=400)


@pytest.mark.parametrize(
    "message",
    ["older is odd", "the old-one is odd", "very-old", "old.example.com is odd", "it is odd"],
)
def test_a_key_that_only_seems_to_be_named_is_named(message: str) -> None:
    """A label that is a part of another word is no name of the key."""
    assert f'        "old": {message}  key k-9\n' in told([stray("old", message)])


def test_a_waived_finding_tells_its_key() -> None:
    """A waived finding of a key of no file has the id of the key, too, and whose it is below several accounts."""
    waived = replace(stray("old", "old is odd"), waived=Waiver("2027-01-31", "team-sec", "INC-204"))
    lines = "  waived  r: old is odd  key k-9\n          until 2027-01-31, by team-sec: INC-204\n"
    assert told([waived]) == f"Findings\n{lines}"
