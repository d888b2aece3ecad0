"""A comment on a pull request whatever a report holds: nothing gets through, nothing gets too long, nothing is lost."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.report import (
    ChangedKey,
    KeyEvent,
    Report,
    ReportedChange,
    ReportedRefusal,
    Since,
    UnmanagedKey,
)
from reconciler.errors import visible
from reconciler.render.comment import LIMIT
from reconciler.render.markdown import render
from render.parsed import READERS, Seen
from render.reports import account, below, broken, change, finding, report
from render.rich import BOTH, HOSTILE

OURS = {"p", "h3", "ul", "li", "code", "strong", "details", "summary", "b", "pre"}
WIDE = "\U0001f511" * 255
OUTCOMES = list(Outcome)


def names(seen: Seen) -> set[str]:
    """Give the names of the elements; of attributes there is but the language of a fence."""
    tags = [tag for tag in seen.tags if not tag.startswith("/")]
    assert {re.sub("lang(uage-)?", "", tag) for tag in tags if "[]" not in tag} <= {
        "pre [('', 'diff')]",
        "pre [('', 'sh')]",
        "code [('class', 'diff')]",
        "code [('class', 'sh')]",
    }
    return {tag.split(" ")[0] for tag in tags}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", BOTH)
def test_hostile_labels_are_only_seen(read: Callable[[str], Seen], name: str) -> None:
    """Each label is in code as exactly its visible form, and makes no element, no attribute and no mention."""
    seen = read(render(BOTH[name]))
    assert names(seen) <= OURS
    assert not set(seen.outside) & set("@#<>&`*_[]|~\\$:") - {":"}
    shown = {visible(label) for label in HOSTILE}
    assert shown <= {*seen.code} if name == "plan" else visible(HOSTILE[0]) in seen.code
    assert render(BOTH[name]).replace("\n", "").isprintable()


def many(count: int, **given: object) -> tuple[ReportedChange, ...]:
    """Give changes of as many keys, each another."""
    made = change("x", scopes=(["messages:send:all"], ["messages:read:all"]))
    return tuple(replace(made, name=f"k-{number}", label=f"k-{number}", **given) for number in range(count))  # type: ignore[arg-type] # of a story


def refused(count: int) -> Iterable[ReportedRefusal]:
    return (ReportedRefusal("hold", "a-1", f"s-{number}", None, f"{number} are", 1, 2) for number in range(count))


def wide() -> Report:
    """Give a report with one label everywhere, as long and as heavy as labels get."""
    heavy = change(
        WIDE,
        label=f"{WIDE}x",
        relabelled=(WIDE, f"{WIDE}x"),
        scopes=([WIDE, f"{WIDE}-"], [f"{n}{WIDE}" for n in range(90)]),
    )
    every = [replace(heavy, outcome=outcome, reason=WIDE * 80, key_id=WIDE) for outcome in OUTCOMES]
    key = ChangedKey(KeyEvent.CHANGED, WIDE, WIDE, WIDE, WIDE, WIDE, heavy.fields, heavy.access)
    found = [finding(WIDE, severity, key=None, label=WIDE, message=f"{WIDE}!", hint=WIDE) for severity in Severity]
    waived = replace(found[0], waived=Waiver(WIDE, WIDE, WIDE))
    unmanaged = (UnmanagedKey(WIDE, WIDE, (), (), None),) * 9
    made = report(
        *(replace(below(f"{n}{WIDE}", WIDE, *every), account_id=WIDE, unmanaged=unmanaged) for n in range(3)),
        broken(WIDE, WIDE, WIDE * 80),
        findings=[*found, waived],
        refusals=[ReportedRefusal(WIDE, WIDE, WIDE, None, WIDE * 80, 1, 1)] * 9,
    )
    return replace(made, digest=WIDE, since=Since(WIDE, WIDE, tuple(found), (key,)))


LONG = {
    "changes": report(account(*many(5_000))),
    "held back": report(account(*many(5_000, outcome=Outcome.DENIED, reason="no")), account(*many(9), name="a-2")),
    "refusals": report(account(*many(9)), refusals=refused(3_000)),
    "findings": report(
        account(*many(9)), findings=[finding(f"r{n % 70}", Severity.DENY, message=f"{n}") for n in range(5_000)]
    ),
    "reasons": report(
        account(*many(90, outcome=Outcome.DENIED, reason="long " * 4_000)), account(*many(9), name="a-2")
    ),
    "hidden": report(
        account(*many(90, outcome=Outcome.DENIED, reason="\U000e0041" * 20_000)), account(*many(9), name="a-2")
    ),
    "errors": report(account(*many(9)), *(broken(f"s-{n}", None, f"{n} {'x' * 20_000}") for n in range(900))),
    "accounts": report(*(account(*many(2), name=f"a-{n}") for n in range(900))),
    "wide": wide(),
}


@cache
def told_long(name: str) -> str:
    return render(LONG[name])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", LONG)
def test_a_comment_is_never_too_long(read: Callable[[str], Seen], name: str) -> None:
    """However much there is, the comment has room, its tags are balanced, the verdict begins and the digest ends it."""
    made = LONG[name]
    text = told_long(name)
    assert len(text.encode()) < LIMIT
    assert text.startswith("**Plan: ")
    assert names(read(text)) <= OURS
    assert text.endswith("\n```\n") is (made.digest is not None)


@pytest.mark.parametrize("name", ["held back", "reasons", "hidden", "wide"])
def test_what_is_held_back_is_never_cut_away(name: str) -> None:
    """Something of it is shown, however long it is, and the number of what is not."""
    text = told_long(name)
    assert re.search(r"\n### (Failed or h|H)eld back \(\d+\)\n\n\*\*", text)
    assert re.search(r"\n(Failed or h|H)eld back: \d+ more not shown here; `-o json` has all of them\.\n", text)


def told_of(text: str, title: str) -> tuple[int, int]:
    """Give how many there are of something by its heading, and how many are not shown."""
    total = re.search(rf"(?:### |<b>){title} \((\d+)\)", text)
    missing = re.search(rf"\n{title}: (\d+) (?:more )?not shown here", text)
    return int(total[1]) if total else 0, int(missing[1]) if missing else 0


@pytest.mark.parametrize("name", ["changes", "held back", "accounts"])
def test_what_is_cut_is_counted(name: str) -> None:
    """What is shown and what is not come to all there is, and the headings count both."""
    text = told_long(name)
    counts = [told_of(text, title) for title in ("Held back", "Changes that give access")]
    assert sum(total for total, _ in counts) == len(LONG[name].changes)
    assert sum(missing for _, missing in counts) + text.count("```diff") == len(LONG[name].changes)
    assert "not shown here" in text


def test_what_is_held_back_outlasts_all_else() -> None:
    """Where not all has room, what is held back is shown whole before anything of the rest is."""
    denied = account(*many(90, outcome=Outcome.DENIED, reason="no"), *many(900))
    made = report(denied, *(broken(f"s-{n}", None, f"{n} {'x' * 990}") for n in range(49)), refusals=refused(9))
    text = render(made)
    assert told_of(text, "Held back") == (90, 0)
    assert told_of(text, "Refused by guardrails") == (9, 0)
    assert told_of(text, "Could not be read")[1] > 0
    assert told_of(text, "Changes that give access") == (900, 899)


@pytest.mark.parametrize("title", ["Could not be read", "Refused by guardrails"])
def test_long_lists_leave_room(title: str) -> None:
    """After fifty errors or refusals the others are counted, so that changes are still told."""
    broken_ones = [broken(f"s-{number}", None, f"{number}") for number in range(60)]
    text = render(report(account(*many(3)), *broken_ones, refusals=refused(60)))
    assert told_of(text, title) == (60, 10)
    assert told_of(text, "Changes that give access") == (3, 0)
