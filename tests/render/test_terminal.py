"""The report of accounts at a terminal: exact words and columns, what is never said, and what never gets through."""

import re
from dataclasses import replace

import pytest

from reconciler.core.changes import AccessChange, Action, Delta, Direction, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.plan import NO_CREATION, NO_DELETION, KeyCounts
from reconciler.core.report import Mode, ReportedAccount, ReportedRefusal, UnmanagedKey
from reconciler.render.terminal import Style, render
from render.reports import KEY, account, change, failed, finding, report

PLAIN = Style(colour=False, width=80)
CROWDED = (
    "9 changes are more than 5; raise guardrails.max_changes in the policy or let it through with --allow max-changes"
)
FENCED_KEY = "warehouse: the key is fenced, somebody switched it off for a reason; let it through with --allow restore"


def told(*accounts: ReportedAccount, mode: Mode = Mode.PLAN, width: int = 80) -> str:
    return render(report(*accounts, mode=mode), style=Style(colour=False, width=width))


def last(*accounts: ReportedAccount, mode: Mode = Mode.PLAN) -> str:
    lines = told(*accounts, mode=mode).splitlines()
    return next(line for line in reversed(lines) if not line.startswith("digest"))


RICH = report(
    replace(
        account(
            change(
                "analytics",
                label="Analytics (read only)",
                relabelled=("Analytics", "Analytics (read only)"),
            ),
            change(
                "billing",
                networks=(["10.0.0.0/8", "203.0.113.0/24"], ["203.0.113.0/25", "203.0.113.128/25", "198.51.100.7"]),
            ),
            change(
                "new-shop",
                Action.CREATE,
                relabelled=(None, "new-shop"),
                scopes=([], ["messages:send:{new.example.com}"]),
                networks=([], []),
                outcome=Outcome.SKIPPED,
                reason=NO_CREATION,
            ),
            replace(
                change("old-one", Action.DELETE, outcome=Outcome.SKIPPED, reason=NO_DELETION),
                access=AccessChange(
                    Direction.NARROW, Delta((), ("domains:read", "messages:send:all")), Delta((), ("anywhere",))
                ),
            ),
            change(
                "storefront",
                scopes=(
                    ["messages:read:all", "messages:send:{old.example.com}", "suppressions:read"],
                    ["messages:send:all", "suppressions:read"],
                ),
                networks=([], ["203.0.113.0/24"]),
            ),
            change(
                "twins", outcome=Outcome.FAILED, reason="2 keys are called twins: pin the id of the one that is meant"
            ),
            change(
                "warehouse",
                Action.RESTORE,
                networks=(["192.0.2.1"], ["203.0.113.0/24"]),
                outcome=Outcome.REFUSED,
                reason=f"restore: {FENCED_KEY}; max-changes: {CROWDED}",
            ),
            change(
                None,
                Action.QUARANTINE,
                label="bad\x1b[31m\n\u202eX",
                networks=([], ["192.0.2.1"]),
                outcome=Outcome.PAUSED,
                reason="paused until 2027-01-31: moving house",
            ),
            keys=KeyCounts(238, 246, 3, 1),
        ),
        unmanaged=tuple(UnmanagedKey(str(n), f"legacy {n}", (), (), None) for n in range(7)),
    ),
    failed("403: the calling key lacks api-keys:read\n  hint: give the reconciler's key api-keys:read, or remove it"),
    findings=(
        finding("no-wildcard", Severity.DENY, hint="list the scopes it needs"),
        finding(
            "fenced-senders", Severity.WARN, key="billing", message="it may send from anywhere", hint="say from where"
        ),
        finding("no-wildcard", Severity.DENY, waived=Waiver("2027-01-31", "team-sec", "INC-204")),
    ),
    refusals=(
        ReportedRefusal("restore", "a-1", None, KEY, FENCED_KEY, None, None),
        ReportedRefusal("max-changes", "a-1", None, None, CROWDED, 5, 9),
    ),
)
GOLDEN = """\
Account a-2  FAILED
  403: the calling key lacks api-keys:read
    hint: give the reconciler's key api-keys:read, or remove it

Account a-1  8 changes, 231 unchanged

  ~ update      analytics  "Analytics (read only)"     same access
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      label     "Analytics" -> "Analytics (read only)"

  ~ update      billing                                mixed
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      networks  - 10.0.0.0/8
                - 203.0.113.0/24  (still covered)
                + 198.51.100.7/32
                + 203.0.113.0/25  (already covered)
                + 203.0.113.128/25  (already covered)

  + create      new-shop                               widens       skipped
      keys/shop.yaml:12
      label     + "new-shop"
      scopes    + messages:send:{new.example.com}
      networks  + anywhere
      why       this version does not create keys: create it in the dashboard,
                the next pass takes it over by its label

  - delete      old-one                                narrows      skipped
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      revokes   domains:read, messages:send:all; use from anywhere
      why       this version does not delete keys: delete it in the dashboard,
                or write 'state: quarantined'

  ~ update      storefront                             mixed
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      scopes    - messages:read:all
                - messages:send:{old.example.com}  (still covered)
                + messages:send:all
                  1 unchanged
      networks  - anywhere
                + 203.0.113.0/24

  ~ update      twins                                               FAILED
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      why       2 keys are called twins: pin the id of the one that is meant

  ^ restore     warehouse                              widens       refused
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      networks  - 192.0.2.1/32  (fence: switched off so far)
                + 203.0.113.0/24
      why       restore: warehouse: the key is fenced, somebody switched it off
                for a reason; let it through with --allow restore; max-changes
                (see below)

  # quarantine  unmanaged key  "bad\\x1b[31m\\n\\u202eX"  narrows      paused
      keys/shop.yaml:12  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
      networks  - anywhere
                + 192.0.2.1/32  (fence: switched off)
      why       paused until 2027-01-31: moving house

Refused by guardrails
  max-changes  9 changes are more than 5; raise guardrails.max_changes in the
               policy or let it through with --allow max-changes
               account a-1

Findings
  account a-1
  deny  no-wildcard
        keys/ops.yaml:3: ops may do everything
        hint: list the scopes it needs
  warn  fenced-senders
        keys/ops.yaml:3: billing: it may send from anywhere
        hint: say from where
  waived  no-wildcard: keys/ops.yaml:3: ops may do everything
          until 2027-01-31, by team-sec: INC-204

In short
  unread       account a-2
  FAILED       twins
  refused      warehouse
  skipped      new-shop, old-one
  paused       "bad\\x1b[31m\\n\\u202eX"
  mixed        billing, storefront
  same access  analytics
  refused by   max-changes
  deny         no-wildcard
  warn         fenced-senders

3 keys have no ip_allow_list in the files, 1 of them is usable from anywhere.
7 keys are in no file: "legacy 0", "legacy 1", "legacy 2", "legacy 3",
"legacy 4" and 2 more.
Plan: 3 to update; 1 account FAILED; 1 failed; 3 held back; 1 paused; 231
unchanged; 7 unmanaged.
"""


def test_a_rich_report_reads_like_this() -> None:
    """Each change is a block with its key, place, lines and way out; then come refusals, findings and the sum."""
    assert render(RICH, style=PLAIN) == GOLDEN


def test_colour_only_repeats_what_is_said() -> None:
    """With colours the text is the same."""
    coloured = render(RICH, style=Style(colour=True, width=80))
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == GOLDEN
    assert "\x1b" not in GOLDEN


def contrast(number: int, background: float) -> float:
    """How well a colour of the 216 among the 256 stands out from black (0) or white (1), as WCAG reckons."""
    steps = [(number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6]
    red, green, blue = (((0.055 + (55 + 40 * step) / 255) / 1.055) ** 2.4 if step else 0 for step in steps)
    dark, bright = sorted([0.2126 * red + 0.7152 * green + 0.0722 * blue, background])
    return (bright + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_on_black_and_on_white() -> None:
    """Besides bold and dim there are only colours that stand out from white and from black, nearly four to one."""
    coloured = render(RICH, style=Style(colour=True, width=80))
    numbers = {int(number) for number in re.findall("38;5;([0-9]+)", coloured)}
    assert len(numbers) == 5
    assert {number for number in numbers if min(contrast(number, 0), contrast(number, 1)) < 3.9} == set()
    others = set(re.findall("\x1b\\[([0-9;]*)m", re.sub("38;5;[0-9]+", "", coloured)))
    assert others <= {"", "0", "1", "2", "1;"}


@pytest.mark.parametrize("width", [0, 40, 60, 100, 160, 200])
def test_every_width_says_the_same(width: int) -> None:
    """Narrow or wide, the words are those of the golden text, but for labels that are cut in headings."""
    words = re.sub(r"\S*\.\.\.", "", render(RICH, style=Style(colour=False, width=width)))
    assert set(words.split()) >= {word for word in GOLDEN.split() if not word.endswith(('"', "->"))}


def test_prose_stays_inside_the_width() -> None:
    """At 40 columns reasons and errors are wrapped with a hanging indent."""
    lines = render(RICH, style=Style(colour=False, width=40)).splitlines()
    why = lines.index("      why       this version does not")
    assert lines[why + 1] == "                create keys: create it"


def test_ten_thousand_unchanged_keys_are_one_line() -> None:
    """Where nothing differs there is one line, with the words people look for."""
    assert told(account(keys=KeyCounts(10000, 10000))) == (
        "Everything is in sync: 10000 keys in 1 account, nothing to do.\n"
    )


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
@pytest.mark.parametrize(
    "accounts",
    [
        (failed("no"), account()),
        *((account(change("a", scopes=([], ["domains:read"]), outcome=outcome)),) for outcome in Outcome),
    ],
)
def test_in_sync_is_not_said_lightly(accounts: tuple[ReportedAccount, ...], mode: Mode) -> None:
    """While an account failed, or anything is planned, made, failed, held back or paused, nothing is called in sync."""
    assert "in sync" not in told(*accounts, mode=mode).lower()


def test_a_refusal_alone_is_not_in_sync() -> None:
    """An empty plan that is not the reviewed one is refused, and so not in sync."""
    refused = report(account(), refusals=(ReportedRefusal("digest", None, None, None, "not this plan", None, None),))
    assert render(refused, style=PLAIN) == (
        "Refused by guardrails\n  digest  not this plan\n\nPlan: nothing to change; 12 unchanged.\n"
    )


@pytest.mark.parametrize(
    ("accounts", "mode", "line"),
    [
        ((account(), account(name="a-2")), Mode.APPLY, "Everything is in sync: 24 keys in 2 accounts, nothing to do."),
        ((failed("no"),), Mode.APPLY, "Applied 0 of 0 changes; 1 account FAILED."),
        (
            (account(*(change("a", outcome=outcome) for outcome in Outcome)),),
            Mode.APPLY,
            "Applied 1 of 8 changes; 1 failed; 1 stale; 3 held back; 1 paused; 4 unchanged.",
        ),
        (
            (account(change("a"), change("b"), change("c", Action.QUARANTINE)),),
            Mode.PLAN,
            "Plan: 2 to update, 1 to quarantine; 9 unchanged.",
        ),
        ((account(keys=KeyCounts(0, 1)),), Mode.AUDIT, "Audit: nothing found in 1 key."),
    ],
)
def test_one_line_sums_up(accounts: tuple[ReportedAccount, ...], mode: Mode, line: str) -> None:
    """The last line says what is to be done or was done, and what was not."""
    assert last(*accounts, mode=mode) == line


def test_an_audit_counts_its_findings() -> None:
    """An audit compares nothing and so is never in sync: it counts what it found."""
    found = (finding("a", Severity.DENY), finding("b", Severity.NOTE), finding("b", Severity.NOTE))
    text = render(report(account(), mode=Mode.AUDIT, findings=found), style=PLAIN)
    assert text.splitlines()[-1] == "Audit: 1 deny, 2 note in 14 keys."


def test_the_digest_is_shown_where_it_is_of_use() -> None:
    """A plan with something to apply ends with its digest; an empty one, an incomplete one and an apply do not."""
    one = change("a", scopes=([], ["domains:read"]))
    assert told(account(one)).endswith("\ndigest sha256:ab (apply exactly this with --digest)\n")
    assert told(account(one), width=40).endswith("\ndigest sha256:ab\n(apply exactly this with --digest)\n")
    assert "digest" not in told(account())
    assert "digest" not in told(account(one), failed("no"))
    assert "digest" not in told(account(one), mode=Mode.APPLY)
    assert "digest" not in told(account(replace(one, outcome=Outcome.PAUSED)))


def test_keys_left_alone_are_counted() -> None:
    """Lists that no file manages and unmanaged keys are told in a line each."""
    busy = replace(account(keys=KeyCounts(3, 3, 1, 0)), unmanaged=(UnmanagedKey("k", "x" * 255, (), (), None),))
    other = account(name="a-4", keys=KeyCounts(2, 2, 2, 2))
    assert told(busy, other).splitlines() == [
        "3 keys have no ip_allow_list in the files, 2 of them are usable from anywhere.",
        f'1 key is in no file: "{"x" * 27}...".',
        "Everything is in sync: 5 keys in 2 accounts, nothing to do; 1 unmanaged.",
    ]
    assert "1 key has no ip_allow_list in the files.\n" in told(busy)


def test_a_label_cannot_take_over_the_terminal() -> None:
    """Control, escape, bidi and zero-width characters are shown escaped, a long label is cut in the heading only."""
    hostile = "\x1b]0;pwned\x07\r\n\t\u200b\u2066\x9b"
    text = told(account(change("a", label=hostile, relabelled=('say "hi"', "y" * 255))))
    assert '"\\x1b]0;pwned\\x07\\r\\n\\t\\u200b\\u2066\\x9b"' in text
    assert all(character == "\n" or character.isprintable() for character in text)
    assert f'- "say \\"hi\\""\n                + "{"y" * 255}"\n' in text


def test_a_failed_account_says_something() -> None:
    """An account that failed without a word is still shown as failed, and its neighbour gets a heading."""
    assert told(account(change("a", scopes=([], ["domains:read"]))), failed(None)).startswith(
        "Account a-2  FAILED\n  it could not be read\n\nAccount a-1  1 change, 11 unchanged\n\n"
    )


def test_a_scope_that_comes_without_granting_is_marked() -> None:
    """A line that changes no access says so: the scope was covered before."""
    text = told(account(change("a", scopes=(["messages:send:all"], ["messages:send:{a.example}"]))))
    assert "                + messages:send:{a.example}  (already covered)\n" in text


def test_a_key_that_becomes_usable_from_anywhere_is_told_so() -> None:
    """An empty list is called anywhere, without remarks on what it holds already."""
    text = told(account(change("a", networks=(["203.0.113.0/24"], []))))
    assert "networks  - 203.0.113.0/24\n                + anywhere\n" in text


def test_what_is_granted_without_a_line_is_told_in_words() -> None:
    """Access that no shown field explains is not lost."""
    granting = replace(change("a"), access=AccessChange(Direction.WIDEN, Delta(("domains:read",))), source=None)
    assert "      grants    domains:read\n" in told(account(granting))
    assert f"  ~ update  a  widens\n      key {KEY}\n" in told(account(granting))


def test_a_change_without_key_or_place_has_no_line_for_them() -> None:
    """A block holds no empty lines."""
    bare = replace(change("a", outcome=Outcome.FAILED, reason="why\n\nnot"), source=None, key_id=None)
    assert told(account(bare)).startswith("  ~ update  a    FAILED\n      why       why\n\n                not\n\n")
    assert told(account(replace(bare, outcome=Outcome.PLANNED, reason=None))).startswith("  ~ update  a\n\n")


def test_a_refusal_is_told_once() -> None:
    """What a change tells in full is not repeated; what concerns the whole run is told below, for all accounts."""
    hold = ReportedRefusal("hold", None, None, None, "on hold: INC-1", None, None)
    alone = ReportedRefusal("guardian", "a-1", None, "gone", "the last one", None, None)
    one = change("a", scopes=([], ["domains:read"]), outcome=Outcome.REFUSED, reason="hold: on hold: INC-1")
    text = render(report(account(one), account(name="a-2"), refusals=(hold, alone)), style=PLAIN)
    assert "      why       hold (see below)\n" in text
    assert text.count("on hold: INC-1") == 1
    assert "  hold      on hold: INC-1\n  guardian  the last one\n            account a-1\n" in text
