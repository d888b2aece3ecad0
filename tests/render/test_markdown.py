"""The report as a comment on a pull request: what stands where, and in which words."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.core.changes import AccessChange, Action, Delta, Direction, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    KeyEvent,
    Mode,
    Report,
    ReportedAccount,
    ReportedFinding,
    ReportedRefusal,
    Since,
    Standing,
    UnmanagedKey,
)
from reconciler.render.markdown import render
from render.reports import KEY, account, below, broken, change, failed, finding, report

WIDER = change("shop", scopes=(["domains:read"], ["domains:read", "messages:read:all"]))
NARROWER = change("crm", scopes=(["domains:read", "messages:read:all"], ["domains:read"]))
CROWDED = "9 changes are more than 5"
REFUSED = ReportedRefusal("max-changes", "a-1", None, None, CROWDED, 5, 9)
WAIVED = finding("old", Severity.WARN, waived=Waiver("2027-01-31", "team-sec", "INC-204"))
SINCE = Since("r-0", "2026-11-23T10:00:01Z", ())


def headings(text: str) -> list[str]:
    """Give the titles of the sections, open or folded, in order."""
    return [line.split(" (")[0] for line in re.findall(r"(?:^### |<summary><b>)([^<\n]*)", text, re.MULTILINE)]


def section(made: Report, title: str) -> str:
    """Give what stands below a heading that is open."""
    return render(made).split(f"### {title}", 1)[1].split("\n### ")[0].split("<details>")[0]


def told(*accounts: ReportedAccount, mode: Mode = Mode.PLAN) -> str:
    return render(report(*accounts, mode=mode))


# As a whole


def test_of_what_it_is() -> None:
    """Below the verdict stand the accounts, three of them by name, and the policy that judged them."""
    made = report(*(account(WIDER, name=f"a-{number}") for number in range(5)))
    assert "\nAccounts `a-0`, `a-1`, `a-2` and 2 more; no policy" in render(made)
    assert "\nAccount `a-1`; policy `sha256:cd`\n" in render(replace(report(account(WIDER)), policy="sha256:cd"))
    assert "\nNo account; no policy" in render(report(mode=Mode.AUDIT))


def test_what_comes_is_shown_however_much_goes() -> None:
    """Of each field what comes stands first, however much goes; what is not shown is counted for each side."""
    many = [f"new-{number:02}:read" for number in range(50)]
    taken = change("shop", scopes=(many, ["messages:read:all", "domains:read"]), networks=(["203.0.113.0/24"], []))
    text = told(account(taken))
    for line in (
        "+ messages:read:all",
        "+ domains:read",
        "+ anywhere",
        "- new-09:read",
        "- and 40 more, all of them in -o json",
    ):
        assert f"\n{line}\n" in text
    assert "- new-10:read" not in text
    assert text.index("+ domains:read") < text.index("- new-00:read")
    wide = change("shop", scopes=([], [f"{'x' * 290}{number:02}:read" for number in range(9)]))
    assert text_of_side(told(account(wide)), "+ ") == 5


def text_of_side(text: str, sign: str) -> int:
    """Count the lines of a diff with a sign, but for the one that counts the others."""
    return sum(line.startswith(sign) and " more, all of them" not in line for line in text.split("\n"))


def test_a_plan_in_full() -> None:
    """What happens to which key is told with its line, direction, reason and difference; then the digest."""
    denied = replace(WIDER, outcome=Outcome.DENIED, reason="no-reading: shop would read\n  asked for at x")
    moved = change("mail", label="Mail", relabelled=("Post", "Mail"), networks=([], ["203.0.113.0/24"]))
    assert told(account(denied, moved)) == (
        "**Plan: 1 to update; 1 held back; 10 unchanged.** A person must act.\n"
        "\n"
        "Account `a-1`; no policy: no rule has judged this\n"
        "\n"
        "### Held back (1)\n"
        "\n"
        f"**denied update** `shop` · widens · `keys/shop.yaml:12` · key `{KEY}`\n"
        "\n"
        "why: `no-reading: shop would read; asked for at x`\n"
        "\n"
        "```diff\n"
        "@@ scopes, 1 unchanged @@\n"
        "+ messages:read:all\n"
        "```\n"
        "\n"
        "### Other changes (1)\n"
        "\n"
        f"**update** `mail` labelled `Mail` · narrows · `keys/shop.yaml:12` · key `{KEY}`\n"
        "\n"
        "```diff\n"
        "@@ label @@\n"
        '- "Post"\n'
        '+ "Mail"\n'
        "@@ networks @@\n"
        "+ 203.0.113.0/24\n"
        "- anywhere\n"
        "```\n"
        "\n"
        "To apply exactly this plan:\n"
        "\n"
        "```sh\n"
        "reconciler apply --digest sha256:ab\n"
        "```\n"
    )


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_nothing_to_tell(mode: Mode) -> None:
    """Where all is in sync a comment is one line, and a second one where there is something besides."""
    assert told(account(), mode=mode) == (
        "**Everything is in sync: 12 keys in 1 account, nothing to do.** No person has to act.\n"
    )
    notes = [finding("r", Severity.NOTE), WAIVED, WAIVED]
    assert render(report(account(), mode=mode, findings=notes)).split("\n")[1:] == [
        "Besides 1 note and 2 waived findings: `-o json` has them all.",
        "",
    ]


def test_the_order_of_sections() -> None:
    """What a person must act on comes first, then what gives access, then the rest, and the digest at the very end."""
    outcomes = [replace(WIDER, outcome=outcome, reason="why") for outcome in Outcome]
    made = replace(
        report(
            account(NARROWER, *outcomes, keys=KeyCounts(9, 9, 2, 0)),
            findings=[finding("r", severity) for severity in reversed(Severity)] + [WAIVED],
            refusals=[REFUSED],
        ),
        since=SINCE,
    )
    made = replace(made, accounts=(*made.accounts, failed("403")))
    text = render(made)
    assert headings(text) == [
        "Could not be read",
        "Refused by guardrails",
        "Failed or held back",
        "Changes that give access",
        "Other changes",
        "Paused",
        "Deny findings",
        "Warn findings",
        "Note findings",
        "Waived findings",
        "Since the earlier report",
        "Left alone",
    ]
    assert text.startswith("**Plan: ")
    assert text.endswith("\n```sh\nreconciler apply --digest sha256:ab\n```\n")


@pytest.mark.parametrize(
    ("made", "call"),
    [
        (report(account(WIDER)), "A person should review it before it is applied."),
        (report(account(replace(WIDER, outcome=Outcome.APPLIED)), mode=Mode.APPLY), "No person has to act."),
        (report(account(), mode=Mode.AUDIT), "No person has to act."),
        (report(account(), findings=[finding("r", Severity.WARN)]), "A person should look at what was found."),
        (report(account(), failed("403")), "A retry may help; if it does not, a person must act."),
        (
            report(account(replace(WIDER, outcome=Outcome.FAILED))),
            "A retry may help; if it does not, a person must act.",
        ),
        (
            report(account(replace(WIDER, outcome=Outcome.STALE))),
            "A retry may help; if it does not, a person must act.",
        ),
        (report(account(replace(WIDER, outcome=Outcome.DENIED))), "A person must act."),
        (report(account(replace(WIDER, outcome=Outcome.REFUSED))), "A person must act."),
        (report(account(replace(WIDER, outcome=Outcome.SKIPPED)), failed("403")), "A person must act."),
        (report(account(), refusals=[REFUSED]), "A person must act."),
        (report(account(), findings=[finding("r", Severity.DENY)], mode=Mode.AUDIT), "A person must act."),
    ],
)
def test_whether_a_person_must_act(made: Report, call: str) -> None:
    """The first line says it: a person for what is held back or denied, a retry for what failed, else nobody."""
    assert render(made).split("\n")[0].endswith(f".** {call}")


@pytest.mark.parametrize(
    "made",
    [
        report(account(WIDER), failed("403")),
        report(account(replace(WIDER, outcome=Outcome.DENIED))),
        report(account(WIDER), mode=Mode.APPLY),
        replace(report(account(WIDER), mode=Mode.AUDIT), digest="sha256:ab"),
    ],
)
def test_when_there_is_nothing_to_approve(made: Report) -> None:
    """The command to apply is there only for a plan that has a digest and something to apply."""
    assert "--digest" not in render(made)


def test_a_digest_can_be_pasted() -> None:
    """Whatever a digest holds, a shell takes it as one word."""
    text = render(replace(report(account(WIDER)), digest="x; rm -rf ~\n```"))
    assert text.endswith("\n````sh\nreconciler apply --digest 'x; rm -rf ~\\n```'\n````\n")


# Changes


@pytest.mark.parametrize(
    ("outcomes", "title"),
    [
        ([Outcome.FAILED], "Failed"),
        ([Outcome.STALE], "Failed"),
        ([Outcome.SKIPPED], "Held back"),
        ([Outcome.REFUSED, Outcome.STALE], "Failed or held back"),
    ],
)
def test_what_was_not_done_is_called_by_its_name(outcomes: list[Outcome], title: str) -> None:
    """A failed change, which a retry may mend, is not called held back."""
    text = told(account(*(replace(WIDER, outcome=outcome) for outcome in outcomes)), mode=Mode.APPLY)
    assert headings(text) == [title]
    assert all(f"**{outcome} update** `shop` · widens" in text for outcome in outcomes)


def test_what_takes_most_comes_first() -> None:
    """Other changes begin with those that switch keys off; then those that take access come, then those that do not."""
    named = change("name", relabelled=("a", "name"))
    gone = replace(change("gone", Action.DELETE), access=AccessChange(Direction.NARROW, Delta((), ("domains:read",))))
    fenced = change(None, Action.QUARANTINE, label="stray", networks=([], ["192.0.2.1"]))
    text = section(report(account(named, NARROWER, fenced, gone)), "Other changes (4)")
    assert re.findall(r"\*\*(.*) · .* · `keys", text) == [
        "quarantine** unmanaged key `stray`",
        "delete** `gone`",
        "update** `crm`",
        "update** `name`",
    ]


def test_what_no_line_shows_is_told_in_words() -> None:
    """What a deleted key takes with it, and what a fence means, is said."""
    gone = replace(
        change("gone", Action.DELETE),
        access=AccessChange(Direction.NARROW, Delta((), ("domains:read",)), Delta((), ("anywhere",))),
    )
    text = told(account(gone, change("old", Action.QUARANTINE, networks=(["203.0.113.0/24"], ["192.0.2.1"]))))
    assert "\n\nrevokes `domains:read; use from anywhere`\n" in text
    assert "\n+ 192.0.2.1/32  (fence: switched off)\n" in text


def test_a_change_of_which_nothing_is_known() -> None:
    """A change that could not be worked out has no direction, no key and no difference."""
    unclear = replace(
        change("twins"),
        key_id=None,
        source=None,
        fields=Fields(),
        outcome=Outcome.FAILED,
        reason="2 keys are called so",
    )
    assert (
        section(report(account(unclear)), "Failed (1)")
        == "\n\n**failed update** `twins`\n\nwhy: `2 keys are called so`\n"
    )


def test_a_new_key_is_named_once() -> None:
    """The label of a key that does not exist yet stands in its heading and not among what differs."""
    text = told(account(change("new", Action.CREATE, relabelled=(None, "new"), networks=([], []))))
    assert "**create** `new` · widens · `keys/shop.yaml:12`\n\n```diff\n@@ networks @@\n+ anywhere\n```" in text


def test_what_is_the_same_in_many_sub_accounts() -> None:
    """It is told once, with the number of sub accounts, the first ten by name, and of namesakes the ids."""
    shops = [below(f"s-{number:02}", f"Shop {number:02}", WIDER) for number in range(12)]
    text = told(*shops)
    assert text.count("```diff") == 1
    names = ", ".join(f"`Shop {number:02}`" for number in range(10))
    assert f"**update** `shop` · widens · `keys/shop.yaml:12` · in 12 sub accounts: {names} and 2 more\n" in text
    assert "### Changes that give access (12)" in text
    twice = told(below("s-1", "Twin", WIDER, WIDER), below("s-2", "Twin", WIDER), below("s-3", None, WIDER))
    assert "4 times in 3 sub accounts: `Twin` (`s-1`), `Twin` (`s-2`), `s-3`\n" in twice


def test_whose_a_change_is() -> None:
    """A sub account is named; an account only where there are several."""
    other = account(WIDER, name="a-2")
    alone = told(account(WIDER), below("s-1", "Acme", NARROWER), below("s-2", None, replace(NARROWER, name="x")))
    assert f"key `{KEY}`\n" in alone
    assert "key `s-1-k0` · sub account `Acme` (`s-1`)\n" in alone
    assert "key `s-2-k0` · sub account `s-2`\n" in alone
    both = told(account(WIDER), below("s-1", "Acme", NARROWER), other)
    assert f"key `{KEY}` · account `a-2`\n" in both
    assert "sub account `Acme` (`s-1`) of account `a-1`\n" in both


def test_reasons_that_a_plan_shares() -> None:
    """What refuses a whole plan is told once, above the changes, and they point to it; other texts stay as they are."""
    reason = f"max-changes: {CROWDED}; hold (see below)"
    changes = [replace(WIDER, outcome=Outcome.REFUSED, reason=reason)]
    text = render(report(account(*changes), below("s-1", "Acme", *changes), refusals=[REFUSED]))
    assert f"### Refused by guardrails (1)\n\n- **refused** by `max-changes`: `{CROWDED}`\n\n### Held back (2)" in text
    assert "why: `max-changes (see above); hold (see below)`" in text
    assert "why: `max-changes over all sub accounts (see above); hold (see below)`" in text


def test_refusals_that_one_change_tells() -> None:
    """A refusal that a change tells in full is not told again."""
    refused = replace(WIDER, outcome=Outcome.REFUSED, reason="restore: no")
    text = render(report(account(refused), refusals=[ReportedRefusal("restore", "a-1", None, KEY, "no", None, None)]))
    assert headings(text) == ["Held back"]
    assert "why: `restore: no`" in text


def test_whom_a_refusal_is_about() -> None:
    """One of the whole run names nobody, one of a sub account names it."""
    refused = [
        ReportedRefusal("hold", None, None, None, "incident", None, None),
        replace(REFUSED, sub_account_id="s-1"),
        replace(REFUSED, sub_account_id=EVERY_SUB_ACCOUNT, message="more"),
    ]
    text = section(report(account(WIDER), below("s-1", "Acme"), refusals=refused), "Refused by guardrails (3)")
    assert text.strip().split("\n") == [
        "- **refused** by `hold`: `incident`",
        f"- **refused** by `max-changes`: `{CROWDED}` · sub account `Acme` (`s-1`)",
        "- **refused** by `max-changes`: `more` · all sub accounts of account `a-1`",
    ]


def test_what_could_not_be_read() -> None:
    """Each error is told with whose it is, once for all sub accounts that have it."""
    made = report(failed("403: no\n  hint: give it"), broken("s-1", "One", "x"), broken("s-2", "Two", "x"))
    assert section(made, "Could not be read (3)").strip().split("\n") == [
        "- account `a-2`: `403: no; hint: give it`",
        "- 2 sub accounts of account `a-1`: `One`, `Two`: `x`",
    ]
    assert "- account `a-2`: `it could not be read`\n" in told(failed(None))


# Findings


def found(*findings: ReportedFinding, accounts: Iterable[ReportedAccount] = (account(),)) -> Report:
    return report(*accounts, findings=findings, mode=Mode.AUDIT)


def test_how_a_finding_reads() -> None:
    """Rule, key, message, hint and place; the key only where the message lacks it, a hint only where it is another."""
    made = found(
        finding("r", Severity.DENY, hint="do it", since=Standing.NEW),
        finding("q", Severity.DENY, key=None, label=None, account_id=None, source=None, hint="do it"),
        finding("r", Severity.DENY, message="too old", hint="do it", since=Standing.OPEN),
        finding("r", Severity.DENY, key=None, label="Stray", key_id="k-9", source=None, hint="or that"),
    )
    assert section(made, "Deny findings (4)").strip().split("\n") == [
        "- **new** `r`: `ops may do everything` · hint: `do it` · `keys/ops.yaml:3`",
        "- `r`: `ops`: `too old` · `keys/ops.yaml:3`",
        "- `r`: `Stray`: `ops may do everything` · hint: `or that` · key `k-9`",
        "- `q`: `ops may do everything` · hint: `do it`",
    ]


def test_a_finding_in_several_sub_accounts() -> None:
    """It is told once, and of no key in particular."""
    shops = [below(f"s-{number}", f"Shop {number}") for number in range(2)]
    same = [finding("r", Severity.WARN, sub_account_id=f"s-{n}", key_id=f"k-{n}", source=None) for n in range(2)]
    assert section(found(*same, accounts=shops), "Warn findings (2)").strip() == (
        "- `r`: `ops may do everything` · 2 sub accounts: `Shop 0`, `Shop 1`"
    )


@pytest.mark.parametrize(("severity", "most"), [(Severity.DENY, 100), (Severity.WARN, 100), (Severity.NOTE, 10)])
def test_not_every_finding_of_a_rule_is_told(severity: Severity, most: int) -> None:
    """After so many of one rule the others are counted, and another rule has its own."""
    many = [finding("r", severity, message=f"ops {number}") for number in range(most + 2)]
    text = render(found(*many, finding("q", severity)))
    assert text.count("`r`: ") == most
    assert text.count("`q`: ") == 1
    assert f"\n{severity.capitalize()} findings: 2 more not shown here; `-o json` has all of them.\n" in text


def test_waived_findings() -> None:
    """They are folded, however short, with their end, and after a hundred the others are counted."""
    text = render(found(WAIVED))
    assert (
        "\n\n<details><summary><b>Waived findings (1)</b></summary>\n\n"
        "- until `2027-01-31`, by `team-sec`: `INC-204` · `old`: `ops may do everything` · `keys/ops.yaml:3`\n\n"
        "</details>\n"
    ) in text
    assert "Waived findings: 3 more not shown here;" in render(found(*[WAIVED] * 103))


# Since an earlier report


def test_what_changed_since_an_earlier_report() -> None:
    """Keys are told as changes are, those that gained access first, then the findings that are gone."""
    key = ChangedKey(
        KeyEvent.GONE, "a-1", None, "k-1", None, "Old", Fields(), AccessChange(Direction.NARROW, Delta((), ("*",)))
    )
    wider = replace(
        key,
        what=KeyEvent.CHANGED,
        name="shop",
        label="shop",
        fields=Fields(TextDiff("Shop", "shop"), ListDiff(("domains:read",), ("*",))),
        access=AccessChange(Direction.WIDEN, Delta(("*",))),
    )
    gone = (finding("r", Severity.WARN), finding("q", Severity.NOTE, key_id="k-3", source=None, message="old"))
    since = replace(SINCE, gone=gone, keys=(key, wider), not_compared=2)
    made = replace(found(finding("r", Severity.NOTE, since=Standing.NEW)), since=since)
    assert section(made, "Since the earlier report (4)") == (
        "\n\n- report `r-0` of `2026-11-23T10:00:01Z`; findings: 1 new, 0 still open, 2 gone\n"
        "- not compared: 2 accounts of which only one of the two reports has the keys\n\n"
        "**changed** `shop` · widens · key `k-1`\n\n"
        '```diff\n@@ label @@\n- "Shop"\n+ "shop"\n@@ scopes @@\n+ *\n- domains:read  (still covered)\n```\n\n'
        "**gone** unmanaged key `Old` · narrows · key `k-1`\n\nrevokes `*`\n\n"
        "- **gone**, or waived: warn, `r`: `ops may do everything` · `keys/ops.yaml:3`\n"
        "- **gone**, or waived: note, `q`: `ops`: `old` · key `k-3`\n"
    )


def test_keys_that_changed_alike_in_sub_accounts() -> None:
    """What became of a key in several sub accounts is told once."""
    key = ChangedKey(KeyEvent.GONE, "a-1", "s-1", "k-1", None, "Old", Fields(), AccessChange())
    made = report(below("s-1", "One"), below("s-2", "Two"), mode=Mode.AUDIT)
    both = replace(SINCE, keys=(key, replace(key, sub_account_id="s-2", key_id="k-2")))
    assert "\n**gone** unmanaged key `Old` · 2 sub accounts: `One`, `Two`\n" in render(replace(made, since=both))


def test_not_all_that_is_gone_is_told() -> None:
    """After twenty findings that are gone the others are counted."""
    made = replace(found(), since=replace(SINCE, gone=(finding("r", Severity.WARN),) * 23))
    assert "Since the earlier report: 3 more not shown here;" in render(made)


@pytest.mark.parametrize("when", ["@everyone ", "2026-1-23", "\uff12026-11-23", ""])
def test_a_date_that_is_none(when: str) -> None:
    """The first line holds a date only where it is one; the text stands in code further down."""
    text = render(replace(found(), since=replace(SINCE, finished_at=when)))
    assert "; since the earlier audit: 0 new," in text.split("\n")[0]
    assert "; since 2026-11-23: 0 new," in render(replace(found(), since=SINCE)).split("\n")[0]


def test_a_plan_in_sync_that_was_compared() -> None:
    """What changed since is told where everything is in sync, too."""
    assert headings(render(replace(report(account()), since=SINCE))) == ["Since the earlier report"]


def test_what_is_left_alone() -> None:
    """Sub accounts and keys with which nothing is done are counted, and some are named."""
    stray = tuple(UnmanagedKey(f"k-{number}", f"stray {number}", (), (), None) for number in range(4))
    made = report(
        replace(account(WIDER, keys=KeyCounts(9, 9, 3, 1)), unmanaged=stray),
        replace(below("s-1", "Acme"), unmanaged=stray[:3]),
        below("s-2", "Asleep", status=AccountStatus.SUSPENDED),
    )
    assert section(made, "Left alone").split("To apply")[0].strip().split("\n") == [
        "- 1 sub account in sync",
        "- 1 suspended sub account: `Asleep`",
        "- 3 keys have no `ip_allow_list` in the files, 1 of them is usable from anywhere",
        "- 7 keys in no file: `stray 0`, `stray 1`, `stray 2`, `stray 3`, `stray 0` of `Acme` and 2 more",
    ]
    assert "in sync" not in render(replace(made, mode=Mode.AUDIT))
