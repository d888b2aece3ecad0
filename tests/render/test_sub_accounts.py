"""Sub accounts at a terminal: told by name, told once where they are the same, and only counted where all is well."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.core.changes import Action, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.report import (
    AccountStatus,
    Mode,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
)
from reconciler.render.terminal import Style, render
from render.reports import KEY, account, below, broken, change, finding, report

PLAIN = Style(colour=False, width=80)
PARENT = account(name="a-1")
ROLE = change("sender", scopes=(["domains:read", "messages:send:all"], ["messages:send:all"]))
CROWD = "max-changes: 503 changes in 1000 sub accounts, but the limit is 300"
SUSPENDED = AccountStatus.SUSPENDED


def told(
    *accounts: ReportedAccount,
    mode: Mode = Mode.PLAN,
    width: int = 80,
    findings: Iterable[ReportedFinding] = (),
    refusals: Iterable[ReportedRefusal] = (),
) -> str:
    made = report(*accounts, mode=mode, findings=findings, refusals=refusals)
    return render(made, style=Style(colour=False, width=width))


def refused(one: ReportedChange, reason: str) -> ReportedChange:
    return replace(one, outcome=Outcome.REFUSED, reason=reason)


def crowd(count: int, *changes: ReportedChange) -> list[ReportedAccount]:
    return [below(f"s-{number:04}", f"Shop {number:04}", *changes) for number in range(count)]


def thousand() -> tuple[ReportedAccount, ...]:
    """Give a thousand sub accounts: a role changes in five hundred, and some differ in other ways."""
    role = refused(ROLE, CROWD)
    fenced = refused(
        change("reports", label="Reports", networks=([], ["203.0.113.0/24"])),
        f"max-changes: 6 changes, but the limit is 5; {CROWD}",
    )
    errors = [
        broken(
            f"s-{n}",
            f"Closed {n}",
            f"listing the keys of account a-1/s-{n}: 403 Forbidden: no scope (x-request-id: 7f{n}00c)",
        )
        for n in range(2000, 2012)
    ]
    return (
        account(change("billing", networks=(["203.0.113.0/24"], []))),
        *(replace(one, changes=(*one.changes, fenced)) if n < 2 else one for n, one in enumerate(crowd(500, role))),
        below("s-0777", "Acme East", change("sender", scopes=(["messages:send:all"], ["messages:send:{a.example}"]))),
        *(below(f"s-{n}", f"Quiet {n}") for n in range(1000, 1481)),
        *errors,
        broken("s-3000", "Slow\x1b[2J", "out of time"),
        *(below(f"s-{n}", f"Asleep {n}", status=SUSPENDED) for n in range(4000, 4007)),
    )


GOLDEN = """\
12 sub accounts of account a-1  FAILED
  with the same error: "Closed 2000", "Closed 2001", "Closed 2002",
  "Closed 2003", "Closed 2004" and 7 more
  listing the keys of account a-1/*: 403 Forbidden: no scope (*)

Sub account "Slow\\x1b[2J" (s-3000)  of account a-1  FAILED
  out of time

Account a-1  1 change, 11 unchanged

  ~ update  billing             widens
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      networks  - 203.0.113.0/24
                + anywhere

500 sub accounts of account a-1  502 changes, told once where the same

  ~ update  sender              narrows  refused
      keys/shop.yaml:12  in 500 sub accounts
      scopes    - domains:read
                  1 unchanged
      why       max-changes over all sub accounts (see below)
      in        "Shop 0000", "Shop 0001", "Shop 0002", "Shop 0003", "Shop 0004",
                "Shop 0005", "Shop 0006", "Shop 0007", "Shop 0008", "Shop 0009"
                and 490 more

  ~ update  reports  "Reports"  narrows  refused
      keys/shop.yaml:12  in 2 sub accounts
      networks  - anywhere
                + 203.0.113.0/24
      why       max-changes (see below); max-changes over all sub accounts (see
                below)
      in        "Shop 0000", "Shop 0001"

Sub account "Acme East" (s-0777)  of account a-1  1 change, 2 unchanged

  ~ update  sender              narrows
      keys/shop.yaml:12  key s-0777-k0
      scopes    - messages:send:all
                + messages:send:{a.example}  (already covered)

Refused by guardrails
  max-changes  503 changes in 1000 sub accounts, but the limit is 300
               account a-1
  max-changes  6 changes, but the limit is 5
               2 sub accounts of account a-1: "Shop 0000", "Shop 0001"

Findings
  deny  unknown-domain
        account a-1
          keys/ops.yaml:3: ops: the account has no shop.exmaple
        hint: correct it
  warn  contested  (12)
        12 sub accounts of account a-1: "Shop 0000", "Shop 0001", "Shop 0002",
        "Shop 0003", "Shop 0004", "Shop 0005", "Shop 0006", "Shop 0007",
        "Shop 0008", "Shop 0009" and 2 more
          keys/ops.yaml:3: ops may do everything

In short
  unread      sub account "Closed 2000", sub account "Closed 2001",
              sub account "Closed 2002", sub account "Closed 2003",
              sub account "Closed 2004", sub account "Closed 2005",
              sub account "Closed 2006", sub account "Closed 2007",
              sub account "Closed 2008", sub account "Closed 2009" and 3 more
  refused     sender in 500 sub accounts, reports in 2 sub accounts
  widens      billing
  narrows     sender of sub account "Acme East"
  refused by  max-changes
  deny        unknown-domain
  warn        contested (12)

481 sub accounts in sync.
7 suspended sub accounts left alone: "Asleep 4000", "Asleep 4001",
"Asleep 4002", "Asleep 4003", "Asleep 4004" and 2 more.
Plan: 2 to update in 1 account and 1 sub account; 13 sub accounts FAILED; 502
held back; 2454 unchanged; 7 sub accounts suspended.
"""


def test_a_thousand_sub_accounts_read_like_this() -> None:
    """Errors, the account's own change, what sub accounts share, what one has by itself; the others are counted."""
    text = told(
        *thousand(),
        findings=[
            *(finding("contested", Severity.WARN, sub_account_id=f"s-{n:04}", key_id=f"k{n}") for n in range(12)),
            finding("unknown-domain", Severity.DENY, message="the account has no shop.exmaple", hint="correct it"),
        ],
        refusals=[
            ReportedRefusal("max-changes", "a-1", None, None, CROWD.removeprefix("max-changes: "), 300, 503),
            *(
                ReportedRefusal("max-changes", "a-1", f"s-{n:04}", None, "6 changes, but the limit is 5", 5, 6)
                for n in range(2)
            ),
        ],
    )
    assert text == GOLDEN


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_thousand_sub_accounts_are_read_on_one_page(width: int) -> None:
    """However wide the terminal, a thousand sub accounts come to less than a hundred and twenty lines."""
    assert len(told(*thousand(), width=width).splitlines()) < 120


@pytest.mark.parametrize(
    ("accounts", "mode", "line"),
    [
        (
            (PARENT, *crowd(2)),
            Mode.PLAN,
            "Everything is in sync: 18 keys in 1 account and 2 sub accounts, nothing to do.",
        ),
        (tuple(crowd(1)), Mode.APPLY, "Everything is in sync: 3 keys in 1 sub account, nothing to do."),
        (
            (PARENT, below("s-1", "A", status=SUSPENDED)),
            Mode.PLAN,
            "Everything is in sync: 12 keys in 1 account, nothing to do; 1 sub account suspended.",
        ),
        (
            (account(ROLE), *crowd(3, ROLE, refused(ROLE, "no"))),
            Mode.PLAN,
            "Plan: 4 to update in 1 account and 3 sub accounts; 3 held back; 14 unchanged.",
        ),
        ((PARENT, *crowd(2, refused(ROLE, "no"))), Mode.PLAN, "Plan: nothing to change; 2 held back; 16 unchanged."),
        (
            (PARENT, *crowd(2, replace(ROLE, outcome=Outcome.APPLIED)), broken("s-9", "Shut", "403")),
            Mode.APPLY,
            "Applied 2 of 2 changes in 2 sub accounts; 1 sub account FAILED; 16 unchanged.",
        ),
        (
            (replace(PARENT, status=AccountStatus.FAILED), broken("s-9", "Shut", "403")),
            Mode.APPLY,
            "Applied 0 of 0 changes; 1 account and 1 sub account FAILED.",
        ),
        (
            (PARENT, *crowd(2), broken("s-9", "Shut", "403")),
            Mode.AUDIT,
            "Audit: nothing found in 23 keys of 1 account and 2 sub accounts; 1 sub account FAILED; 18 unchanged.",
        ),
    ],
)
def test_one_line_sums_up(accounts: tuple[ReportedAccount, ...], mode: Mode, line: str) -> None:
    """The last line counts accounts and sub accounts: those compared, those touched, those that failed."""
    lines = told(*accounts, mode=mode, width=120).splitlines()
    assert next(text for text in reversed(lines) if not text.startswith("digest")) == line


@pytest.mark.parametrize("count", [1, 2, 10_000])
def test_those_in_sync_are_one_line(count: int) -> None:
    """Sub accounts in sync are counted beside what differs, and never named."""
    text = told(account(ROLE), *crowd(count))
    assert f"\n{count} sub account{'s' if count > 1 else ''} in sync.\n" in text
    assert "Shop" not in text
    assert len(text.splitlines()) == 10


def test_an_audit_calls_nothing_in_sync() -> None:
    """An audit compares nothing, so nothing it finds is in sync, and nothing it does not find either."""
    assert "in sync" not in told(PARENT, *crowd(3), broken("s-9", "Shut", "403"), mode=Mode.AUDIT)


SENDER = refused(ROLE, "why")


@pytest.mark.parametrize(
    "other",
    [
        replace(SENDER, name="reader", label="reader"),
        replace(SENDER, label="Sender"),
        replace(SENDER, action=Action.RESTORE),
        replace(SENDER, outcome=Outcome.DENIED),
        replace(SENDER, reason="another"),
        replace(SENDER, source=Source("keys/shop.yaml", 13, 5)),
        refused(change("sender", scopes=(["messages:send:all", "webhooks:read:all"], ["messages:send:all"])), "why"),
        replace(SENDER, access=change("sender", networks=(["10.0.0.0/8"], [])).access),
    ],
)
def test_what_differs_in_anything_is_told_by_itself(other: ReportedChange) -> None:
    """Only what has the same key, fields, access, outcome, reason and place in the files is told together."""
    text = told(below("s-1", "One", SENDER), below("s-2", "Two", other))
    assert "told once" not in text
    assert 'Sub account "One" (s-1)  of account a-1  1 change, 2 unchanged\n' in text
    assert 'Sub account "Two" (s-2)  of account a-1  1 change, 2 unchanged\n' in text


def test_sub_accounts_of_two_accounts_are_told_apart() -> None:
    """The same change below two accounts is told for each, and accounts themselves are never put together."""
    other = [replace(one, account_id="a-2") for one in crowd(2, ROLE)]
    text = told(account(ROLE), *crowd(2, ROLE), account(ROLE, name="a-2"), *other)
    headings = [line for line in text.splitlines() if " of account " in line]
    assert headings == [
        "2 sub accounts of account a-1  2 changes, told once where the same",
        "2 sub accounts of account a-2  2 changes, told once where the same",
    ]
    assert text.count("\nAccount a-") + text.startswith("Account a-1") == 2


def test_errors_and_refusals_of_two_accounts_are_told_apart() -> None:
    """What sub accounts of two accounts share, but for the account, is told for each of the two."""
    refusals = [ReportedRefusal("max-changes", name, "s-1", None, "too many", 5, 6) for name in ("a-1", "a-2")]
    failed = broken("s-1", "One", "403")
    text = told(failed, replace(failed, account_id="a-2"), refusals=refusals)
    for name in ("a-1", "a-2"):
        assert f'Sub account "One" (s-1)  of account {name}  FAILED\n  403\n' in text
        assert f'  max-changes  too many\n               sub account "One" (s-1) of account {name}\n' in text


def test_what_most_share_comes_first() -> None:
    """The change that touches most sub accounts is the first to read, wherever it stands in the report."""
    rare, common = change("rare", scopes=([], ["domains:read"])), change("common", scopes=([], ["domains:read"]))
    text = told(*crowd(2, rare, common), below("s-9", "Nine", common))
    assert text.index("common") < text.index("rare")
    assert "in 3 sub accounts" in text


def test_a_sub_account_tells_how_much_of_it_stands_above() -> None:
    """Where some of its changes are told with those of others, the heading says how many, and shows the rest only."""
    own = change("own", scopes=([], ["domains:read"]))
    text = told(*crowd(2, ROLE), below("s-9", "Nine", ROLE, own))
    assert (
        'Sub account "Nine" (s-9)\n  of account a-1  2 changes (1 of them above), 1 unchanged\n\n  ~ update  own'
        in text
    )
    assert text.count("sender") == 1


def test_a_key_that_is_there_twice_is_counted_twice() -> None:
    """Two keys alike in one sub account are told each; beside those of another they are counted as what they are."""
    fenced = change(None, Action.QUARANTINE, label="old", networks=([], ["192.0.2.1"]))
    alone = told(below("s-1", "One", fenced, fenced))
    assert "key s-1-k0\n" in alone
    assert "key s-1-k1\n" in alone
    assert "      keys/shop.yaml:12  3 times in 2 sub accounts\n" in told(
        below("s-1", "One", fenced, fenced), below("s-2", "Two", fenced)
    )


def test_a_reason_is_the_same_whatever_ids_are_in_it() -> None:
    """Ids of the sub account, of the key and of a request do not keep apart what is the same; they are left out."""
    failed = [
        replace(one, changes=(replace(ROLE, key_id=f"k-{n}", outcome=Outcome.FAILED, reason=reason),))
        for n, one in enumerate(crowd(3))
        for reason in (
            f"updating key k-{n} of account a-1/s-000{n}: 500: a fault (cf-ray: 0f3{n}aa77e9); try again (later)",
        )
    ]
    text = told(*failed, width=160)
    assert "      why       updating key * of account a-1/*: 500: a fault (*); try again (later)\n" in text
    assert "k-1 of account a-1/s-0001: 500: a fault (cf-ray: 0f31aa77e9)" in told(failed[1], width=160)


def test_errors_are_told_once_for_all_that_have_them() -> None:
    """Sub accounts that failed alike stand together, one that failed otherwise by itself, and an account always."""
    text = told(
        replace(PARENT, status=AccountStatus.FAILED, error="403"),
        broken("s-1", "One", "403"),
        broken("s-2", "Two", "out of time"),
        broken("s-3", "Three", "403"),
        broken("s-4", None, None),
    )
    assert text.startswith(
        "Account a-1  FAILED\n  403\n\n"
        '2 sub accounts of account a-1  FAILED\n  with the same error: "One", "Three"\n  403\n\n'
        'Sub account "Two" (s-2)  of account a-1  FAILED\n  out of time\n\n'
        "Sub account s-4  of account a-1  FAILED\n  it could not be read\n\n"
    )


def test_a_long_heading_takes_two_lines() -> None:
    """At 80 columns two UUIDs and a name have no room on one line; each part stands whole on a line of its own."""
    parent, sub = "d3b07384-d113-4ec6-a6f5-2f0f1a3c1a11", "0f1a3c1a-2f0f-4ec6-a6f5-d3b07384d113"
    one = replace(below(sub, "A shop with a name that goes on and on", ROLE), account_id=parent)
    gone = replace(broken(sub, "Acme", "403"), account_id=parent)
    assert told(one, gone).startswith(
        f'Sub account "Acme" ({sub})  FAILED\n  of account {parent}\n  403\n\n'
        f'Sub account "A shop with a na..." ({sub})\n  of account {parent}  1 change, 2 unchanged\n\n'
    )
    assert f'Sub account "A shop with a name that goes on and on" ({sub})  of account {parent}  1 ch' in told(
        one, gone, width=200
    )


def test_the_same_name_twice_is_told_with_its_ids() -> None:
    """Names are not unique: where two in a list are alike the ids tell them apart, as where there is no name."""
    alike = [below(f"s-{n}", "Twin", ROLE) for n in range(2)]
    text = told(*alike, below("s-7", "Other", ROLE), below("s-8", None, ROLE))
    assert '      in        "Other", "Twin" (s-0), "Twin" (s-1), s-8\n' in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('a", "b', '"a\\", \\"b"'),
        ("a\\", '"a\\\\"'),
        ("\x1b[2J\r\nPlan: done", '"\\x1b[2J\\r\\nPlan: done"'),
        ("\u202egnilaes", '"\\u202egnilaes"'),
        ("n" * 500, f'"{"n" * 27}..."'),
        ("Zoë's  shop", '"Zoë\'s  shop"'),
    ],
)
def test_a_name_cannot_pass_for_our_text(name: str, shown: str) -> None:
    """In a list each name is in quotes that it cannot end, with nothing that moves the cursor, and it is cut."""
    text = told(PARENT, below("s-1", name, status=SUSPENDED))
    assert text.startswith(f"1 suspended sub account left alone: {shown}.\n")


def test_a_name_is_never_broken_over_two_lines() -> None:
    """Nothing that a name holds ever stands at the beginning of a line, where it could pass for a sentence of ours."""
    name = "Acme Inc: Everything is in sync"
    asleep = [below(f"s-{n}", name, status=SUSPENDED) for n in range(5)]
    for width in range(40, 161):
        lines = told(PARENT, *asleep, *crowd(2, ROLE), below("s-9", name, ROLE), width=width).splitlines()
        assert [line for line in lines if line.strip().startswith(("Inc", "Everything", "is", "in sync"))] == []


def test_the_refusal_over_all_sub_accounts_is_told_once() -> None:
    """The account's own refusal and the one over its sub accounts look alike: each change has its own in short."""
    own = ReportedRefusal("max-changes", "a-1", None, None, "6 changes, but the limit is 5", 5, 6)
    family = ReportedRefusal("max-changes", "a-1", None, None, CROWD.removeprefix("max-changes: "), 300, 503)
    single = ReportedRefusal("restore", "a-1", "s-0000", "s-0000-k0", "somebody fenced it", None, None)
    text = told(
        account(refused(ROLE, "max-changes: 6 changes, but the limit is 5")),
        below("s-0000", "Zero", refused(ROLE, f"restore: somebody fenced it; {CROWD}")),
        refusals=[own, family, single],
    )
    assert "      why       max-changes (see below)\n" in text
    assert (
        "      why       restore: somebody fenced it; max-changes over all sub accounts\n                (see below)\n"
    ) in text
    assert text.count("6 changes, but") == text.count("503 changes in 1000") == text.count("somebody fenced it") == 1


def test_a_refusal_that_holds_another_is_put_in_short_as_a_whole() -> None:
    """Where the text of one refusal begins with that of another, neither leaves a rest behind."""
    short = ReportedRefusal("hold", None, None, None, "on hold: INC-1", None, None)
    long = ReportedRefusal("hold", "a-1", None, None, "on hold: INC-1 and INC-2", None, None)
    text = told(account(refused(ROLE, "hold: on hold: INC-1 and INC-2")), PARENT, refusals=[short, long])
    assert "      why       hold (see below)\n" in text


def test_findings_are_told_once_for_all_sub_accounts_they_are_in() -> None:
    """The same finding in many sub accounts is one sentence and a list; whatever it says of a key's id is left out."""
    found = [
        finding(
            "label-belongs-to-another",
            Severity.NOTE,
            sub_account_id=f"s-{n:04}",
            key=None,
            key_id=f"k-{n}",
            source=None,
            message=f"key k-{n} bears a label of a desired key",
        )
        for n in range(12)
    ]
    waiver = Waiver("2027-01-31", "team-sec", "INC-204")
    found += [finding("no-wildcard", Severity.DENY, sub_account_id=f"s-{n:04}", waived=waiver) for n in range(2)]
    found += [finding("unknown-to-us", Severity.WARN, sub_account_id="gone", account_id="a-9")]
    text = told(*crowd(12), findings=found)
    assert (
        "  note  label-belongs-to-another  (12)\n"
        '        12 sub accounts of account a-1: "Shop 0000", "Shop 0001", "Shop 0002",\n'
        '        "Shop 0003", "Shop 0004", "Shop 0005", "Shop 0006", "Shop 0007",\n'
        '        "Shop 0008", "Shop 0009" and 2 more\n'
        '          "ops": key * bears a label of a desired key\n'
    ) in text
    assert (
        "  waived  no-wildcard: keys/ops.yaml:3: ops may do everything\n"
        '          2 sub accounts of account a-1: "Shop 0000", "Shop 0001"\n'
        "          until 2027-01-31, by team-sec: INC-204\n"
    ) in text
    assert "        sub account gone of account a-9\n          keys/ops.yaml:3: ops may do everything\n" in text


@pytest.mark.parametrize(("severity", "most"), [(Severity.DENY, 100), (Severity.WARN, 100), (Severity.NOTE, 10)])
def test_thousands_of_findings_end_after_so_many(severity: Severity, most: int) -> None:
    """What no two sub accounts share is told for the first, and counted for the others."""
    found = [
        finding("unused", severity, sub_account_id=f"s-{n:04}", message=f"{n} is unused", key=None, label=None)
        for n in range(1000)
    ]
    text = told(*crowd(1000), findings=found)
    assert f"{severity:<4}  unused  (1000)\n" in text
    assert text.count("is unused") == most
    assert f"        and {1000 - most} more, all of them in -o json\n" in text


def test_a_shared_change_needs_no_place() -> None:
    """A long path has a line of its own; without a place there is still the number of sub accounts."""
    long = replace(ROLE, source=Source(f"keys/{'x' * 60}.yaml", 1, 1))
    assert f"      keys/{'x' * 60}.yaml:1\n      in 2 sub accounts\n" in told(*crowd(2, long))
    assert "      in 2 sub accounts\n" in told(*crowd(2, replace(ROLE, source=None)))


def test_the_key_of_a_change_that_nobody_shares_is_told() -> None:
    """One sub account with a change of its own has it with the id of the key."""
    assert f"      keys/shop.yaml:12  key {KEY}\n" in told(PARENT, replace(below("s-1", "One"), changes=(ROLE,)))


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_a_warning_is_no_good_order(mode: Mode) -> None:
    """Where nothing differs but a rule selects nothing, that is not called in sync: the rule may be what is wrong."""
    found = (finding("select-matches-nothing", Severity.WARN),)
    text = render(report(account(), mode=mode, findings=found), style=PLAIN)
    assert text.splitlines()[-1] == "Nothing to change: 12 keys in 1 account; 1 finding to look at."
    note = (finding("unknown-scope", Severity.NOTE),)
    assert "Everything is in sync" in render(report(account(), mode=mode, findings=note), style=PLAIN)


def test_a_list_that_failed_is_about_all_sub_accounts() -> None:
    """Where the list of sub accounts could not be read, that is told of all of them, not of one with a strange name."""
    failed = broken(EVERY_SUB_ACCOUNT, None, "403 Forbidden")
    found = (replace(finding("rule", Severity.WARN), account_id="a-1", sub_account_id=EVERY_SUB_ACCOUNT),)
    text = render(report(account(), failed, findings=found), style=Style(colour=False, width=100))
    assert "All sub accounts of account a-1  FAILED\n  403 Forbidden\n" in text
    assert "all sub accounts of account a-1" in " ".join(text.split())
    assert text.splitlines()[-1] == (
        "Plan: nothing to change in what could be read; all sub accounts of 1 account FAILED; 12 unchanged."
    )
