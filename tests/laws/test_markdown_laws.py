"""Laws of the comment on a pull request: whatever a report holds, it is told, and nothing of it is obeyed."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.universe import law
from reconciler.core.changes import Action, Fields, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import Source
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    FindingCounts,
    KeyEvent,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    Since,
    Standing,
    Summary,
    UnmanagedKey,
)
from reconciler.errors import visible
from reconciler.render.comment import LIMIT, code, fence
from reconciler.render.markdown import render
from render.parsed import READERS, Seen
from render.reports import account, below, broken, change, finding, report

Reader = Callable[[str], Seen]
NAME = "NAME"
MARKS = st.text("`|<>&[]()*_~#@:\\\n\r\t\0 -!+=\"'$/.;w{}1aé🔑\x1b\u202e\u2028\ud800", min_size=1, max_size=12)
PIECES = st.sampled_from(
    (
        "@everyone",
        "#1",
        "GH-1",
        "<b>",
        "</details>",
        "<!--",
        "```",
        "~~~",
        "www.a.example",
        "https://a.example",
        "&lt;",
        "![](x)",
        "- [ ] ",
        ":tada:",
    )
)
HOSTILE = MARKS | st.text(min_size=1, max_size=12) | st.lists(PIECES, min_size=1, max_size=3).map("".join)


def spoken(value: Any, text: str) -> Any:
    """Give a report with another text wherever one of others stands in it."""
    if type(value) is str:
        return value.replace(NAME, text)
    if isinstance(value, tuple):
        return tuple(spoken(each, text) for each in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(value, **{each.name: spoken(getattr(value, each.name), text) for each in fields(value)})


def holding(*changes: ReportedChange) -> Report:
    """Give a short report with a text of others everywhere: what is short is neither folded nor cut."""
    own = replace(account(*changes, name=f"{NAME}2"), unmanaged=(UnmanagedKey(NAME, NAME, (), (), None),) * 2)
    named = replace(below(f"{NAME}5", f"{NAME}6"), account_id=f"{NAME}2", unmanaged=own.unmanaged)
    asleep = replace(below(f"{NAME}3", f"{NAME}4", status=AccountStatus.SUSPENDED), account_id=f"{NAME}2")
    return replace(report(own, named, asleep), digest=NAME)


def plain() -> tuple[Report, ...]:
    place = Source(f"{NAME}.yaml", 1, 1)
    made = replace(
        change(NAME, label=f"{NAME}1", relabelled=(NAME, f"{NAME}1"), scopes=([f"{NAME}x", f"{NAME}y"], [f"{NAME}x"])),
        source=place,
        key_id=NAME,
        reason=f"why {NAME} why",
    )
    below_it = replace(broken(NAME, NAME, f"no {NAME} no"), account_id=NAME)
    found = finding(
        f"r{NAME}", Severity.NOTE, key=None, label=NAME, message=f"m {NAME}", hint=f"h {NAME}", source=place
    )
    other = replace(found, key=f"{NAME}1", message="m", source=None, key_id=NAME, account_id=NAME)
    waived = replace(found, waived=Waiver(f"{NAME}1", NAME, f"for {NAME}"))
    key = ChangedKey(KeyEvent.CHANGED, NAME, None, NAME, None, NAME, made.fields, made.access)
    gone = replace(key, what=KeyEvent.GONE, fields=Fields())
    since = Since(NAME, NAME, (found, other), (key, gone), 1)
    refused = ReportedRefusal(NAME, NAME, NAME, None, f"no {NAME} no", 1, 1)
    shared = [replace(below(f"{n}{NAME}", f"{n}{NAME}", made), account_id=f"{NAME}2") for n in range(3)]
    return (
        holding(made),
        holding(replace(made, outcome=Outcome.DENIED)),
        holding(replace(made, name=None, action=Action.QUARANTINE, outcome=Outcome.APPLIED)),
        report(*shared),
        report(below_it, replace(below_it, account_id=f"{NAME}2", sub_account_id=None)),
        report(account(), findings=[found, replace(other, since=Standing.NEW), waived], refusals=[refused]),
        replace(report(account(), mode=Mode.AUDIT), since=since),
    )


PLAIN = plain()


@pytest.mark.parametrize("read", READERS)
@settings(law, max_examples=300)
@given(made=st.sampled_from(PLAIN), text=HOSTILE)
def test_no_element_comes_from_a_text_of_others(read: Reader, made: Report, text: str) -> None:
    """All but what stands in code is what it is for a plain name: elements, attributes, links, mentions and words."""
    seen, expected = read(render(spoken(made, text))), read(render(spoken(made, "x")))
    assert seen.tags == expected.tags
    assert seen.outside == expected.outside


@pytest.mark.parametrize("read", READERS)
@settings(law, max_examples=300)
@given(text=HOSTILE, other=HOSTILE)
def test_code_is_read_as_what_is_visible(read: Reader, text: str, other: str) -> None:
    """Two texts in one line, and two in one fence, are read as exactly their visible forms."""
    seen = read(f"- **a** {code(text)} · {code(other)}, b\n\n{fence([f'+ {text}', f'- {other}'], 'diff')}\n")
    assert seen.code == [visible(text), visible(other), f"+ {visible(text)}\n- {visible(other)}\n"]
    assert seen.tags.count("/code") == 3


TEXTS = st.text(max_size=3) | st.builds(
    "{}{}".format, st.text(max_size=2), st.sampled_from(["", "x" * 2_000, "🔑" * 500, "`\n" * 900])
)
CHANGES = st.builds(ReportedChange, name=st.none() | TEXTS, label=TEXTS, reason=st.none() | TEXTS)
FINDINGS = st.lists(st.builds(ReportedFinding, message=TEXTS, hint=TEXTS, label=st.none() | TEXTS), max_size=3)
REPORTS = st.builds(
    Report,
    accounts=st.lists(
        st.builds(
            ReportedAccount,
            account_id=st.sampled_from(["a-1", "a-2"]),
            sub_account_id=st.none() | TEXTS,
            error=st.none() | TEXTS,
            changes=st.lists(CHANGES, max_size=3).map(tuple),
            sub_account_name=st.none() | TEXTS,
            inventory=st.none(),
        ),
        max_size=3,
    ).map(tuple),
    findings=FINDINGS.map(tuple),
    refusals=st.lists(st.builds(ReportedRefusal, message=TEXTS), max_size=2).map(tuple),
    summary=st.builds(Summary, findings=st.builds(FindingCounts)),
    since=st.none()
    | st.builds(
        Since, gone=FINDINGS.map(tuple), keys=st.lists(st.builds(ChangedKey, label=TEXTS), max_size=2).map(tuple)
    ),
    rules=st.just(()),
    waivers=st.just(()),
)


@settings(law, max_examples=40)
@given(made=REPORTS, times=st.sampled_from([1, 1, 1, 40, 400]), read=st.sampled_from(READERS))
def test_any_report_is_told_and_has_room(made: Report, times: int, read: Reader) -> None:
    """No report is refused; what is told is printable, balanced, and short enough for a comment."""
    accounts = tuple(replace(one, changes=one.changes * times) for one in made.accounts)
    text = render(replace(made, accounts=accounts, findings=made.findings * times, refusals=made.refusals * times))
    assert len(text.encode()) < LIMIT
    assert text.replace("\n", "").isprintable()
    assert text.startswith("**")
    seen = read(text)
    assert seen.tags.count("details []") == seen.tags.count("/details") == text.count("<details>")
