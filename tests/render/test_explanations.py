"""Why a key is as it is, at a terminal: exact words, and nothing that a terminal would obey."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, below, desired, remote, spec
from core.rulebook import MEND, built_in, policy, waiver, when
from reconciler.core.answers import Explaining, Explanation, explain
from reconciler.core.builtins import UnmanagedKey
from reconciler.core.findings import Severity
from reconciler.core.guardrails import Consent, Limits, Refusal, Threshold, approve
from reconciler.core.keys import (
    DesiredAccount,
    KeySpec,
    KeyState,
    Pause,
    RemoteKey,
    Role,
    Source,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.core.plan import Plan, plan_account
from reconciler.core.policy import deny, judge_plan
from reconciler.core.rules import Match, Policy
from reconciler.render.answers import Beside, Unanswered, render_explanations
from reconciler.render.groups import Owner
from reconciler.render.page import Style

PLAIN = Style(colour=False, width=80)
COLOURED = Style(colour=True, width=80)
WHOLE = Beside()
PART = Beside((Unanswered(Owner("a-2"), "403: no scope\n  hint: give it one"),), ("all is as of then",))


def plain(coloured: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", coloured)


RULES = policy(
    built_in("no-wildcard", hint="list the scopes that it needs"),
    when("elsewhere", 'key.label == "x"', "never", match=Match(account="9*")),
    when("change", 'change.direction == "widen"', "{key.name} would be given {change.granted}", hint="ask"),
    when("tickets", 'key.annotations.ticket == "T-9"', "closed", severity=Severity.NOTE),
    when("owned", 'key.owner == ""', "{key.label} has no owner", severity=Severity.WARN, hint="write one"),
    waivers=(waiver("owned", key="ops"),),
)
ROLE = Role("sender", ("messages:send:{domain}", "suppressions:read"), "roles.yaml")
FULL = spec(
    "shop",
    SHOP,
    "messages:send:all",
    "suppressions:read",
    label="Shop",
    roles=("sender",),
    domains=("shop.example.com",),
    owner="team-shop",
    description="sells things",
    annotations=(("tier", "1"), ("ticket", "T-1")),
    paused=Pause("moving", date(2027, 1, 1)),
    source=Source("keys/shop.yaml", 12, 5),
)


def explained(
    account: DesiredAccount, keys: tuple[RemoteKey, ...], which: str, rules: Policy = RULES, **consent: Any
) -> tuple[Explanation, ...]:
    """Explain a key of an account as a pass would find it."""
    judged = judge_plan(rules, account, plan_account(account, keys, NOW), NOW)
    approval = approve(Plan((deny(judged.plan, judged.findings),)), Consent(**consent), NOW)
    (plan,) = approval.plan.accounts
    return explain(account, plan, which, Explaining(rules, (ROLE,), approval.refusals, NOW))


def told(*specs: KeySpec, keys: tuple[RemoteKey, ...], which: str, rules: Policy = RULES, **consent: Any) -> str:
    return render_explanations(explained(desired(*specs), keys, which, rules, **consent), WHOLE, style=PLAIN)


def part(text: str, title: str) -> str:
    """One section of an explanation."""
    return text.partition(f"\n{title}\n")[2].partition("\n\n")[0].removesuffix("\n")


USED = datetime(2026, 11, 23, 11, 45, tzinfo=UTC)
EXPLANATION = """\
shop  "Shop"
  of        Account 11111111-1111-4111-8111-111111111111
  key       1
  file      keys/shop.yaml:12
  state     present
  owner     team-shop
  for       sells things
  roles     sender (roles.yaml)
  domains   shop.example.com
  notes     tier: 1, ticket: T-1
  paused    until 2027-01-01: moving
  used      2026-11-23 11:45 UTC, 15 minutes ago; made 2025-11-23, 365 days ago

Scopes
  - domains:read
      the account has it, the file does not; reaches just this
  + messages:send:all
      listed in the file; the account does not have it; reaches messages:send
      for every domain of the account
    messages:send:{shop.example.com}
      by role sender; covered by messages:send:all
  + suppressions:read
      by role sender; the account does not have it; reaches just this

Networks
  file      203.0.113.0/24
  account   anywhere

Rules
  ok      change (deny)
  -       elsewhere (deny): about other keys
  ok      no-wildcard (deny)
  ok      owned (warn)
  ok      tickets (note)

What would be done
  ~ update  shop  "Shop"  mixed  paused
      keys/shop.yaml:12  key 1
      scopes    - domains:read
                - messages:send:{shop.example.com}  (still covered)
                + messages:send:all
                + suppressions:read
      networks  - anywhere
                + 203.0.113.0/24
      why       paused until 2027-01-01: moving
"""


def test_an_explanation_reads_like_this() -> None:
    """What asks for a key, what it may do and why, what every rule says, what would be done and why not."""
    keys = (remote("1", "Shop", SHOP, "domains:read", at=(), last_used_at=USED),)
    assert told(FULL, keys=keys, which="shop") == EXPLANATION
    coloured = render_explanations(explained(desired(FULL), keys, "shop"), WHOLE, style=COLOURED)
    assert plain(coloured) == EXPLANATION
    assert "\x1b[2m  -       \x1b[0m\x1b[2melsewhere (deny): about other keys\x1b[0m\n" in coloured
    assert "\x1b[38;5;28m  ok      \x1b[0mowned (warn)\n" in coloured
    assert [line.strip() for line in re.findall("\x1b\\[38;5;(?:28|196)m(.*?)\x1b\\[0m", coloured)][:3] == [
        "- domains:read",
        "+ messages:send:all",
        "+ suppressions:read",
    ]


def test_what_rules_say() -> None:
    """A broken rule has its message and hint, a waived one until when, by whom and why; one that failed is a deny."""
    text = told(spec("ops", "*"), keys=(remote("1", "ops", SHOP),), which="ops")
    assert part(text, "Rules").startswith("""\
  BROKEN  change (deny)
          ops would be given *
          hint: ask
  -       elsewhere (deny): about other keys
  BROKEN  no-wildcard (deny)
          ops holds * and may do everything
          hint: list the scopes that it needs
  waived  owned (warn)
          ops has no owner
          waived until 2026-11-30, by team-sec: INC-204
  FAILED  tickets (deny)
          ops could not be judged, which counts as broken: """)
    assert part(text, "Rules").endswith(f"\n          hint: {MEND}")
    unchanged = told(spec("ops", SHOP), keys=(remote("1", "ops", SHOP),), which="ops")
    assert "\n  -       change (deny): about changes, and there is none\n" in unchanged


def test_no_rules() -> None:
    """A policy without rules says so."""
    text = told(spec("shop", SHOP), keys=(), which="shop", rules=policy())
    assert part(text, "Rules") == "  the policy has none"


def test_a_key_of_no_file() -> None:
    """What no file names has no wishes: its scopes are told without signs, and nothing would be done."""
    keys = (remote("7", "st\x1bray", SHOP, "domains:read", at=("10.0.0.0/8", OFFICE)),)
    text = told(keys=keys, which="7", rules=policy())
    assert (
        text
        == """\
unmanaged key  "st\\x1bray"
  of        Account 11111111-1111-4111-8111-111111111111
  key       7
  file      no file names it
  used      never; made 2025-11-23, 365 days ago

Scopes
    domains:read
      reaches just this
    messages:send:{shop.example.com}
      reaches messages:send for shop.example.com alone

Networks
  account   10.0.0.0/8, 203.0.113.0/24

Rules
  the policy has none

What would be done
  nothing: no file names it
"""
    )


def test_a_key_of_no_file_that_is_to_go() -> None:
    """An unmanaged key that is to be switched off has that change, and what rules say of it."""
    account = desired(spec("shop", SHOP), unmanaged=UnmanagedRule(UnmanagedAction.QUARANTINE))
    keys = (remote("1", "shop", SHOP), remote("7", "stray", "domains:read"))
    rules = policy(
        when("fencing", 'change.action == "quarantine"', "{key.label} goes", severity=Severity.WARN, hint="ask")
    )
    text = render_explanations(explained(account, keys, "stray", rules), WHOLE, style=PLAIN)
    assert part(text, "Rules") == "  BROKEN  fencing (warn)\n          stray goes\n          hint: ask"
    assert (
        part(text, "What would be done")
        == """\
  # quarantine  unmanaged key  "stray"  narrows
      key 7
      networks  - 203.0.113.0/24
                + 192.0.2.1/32  (fence: switched off)"""
    )


def test_a_key_of_no_file_that_is_left_alone() -> None:
    """Why a rule that switches keys off leaves this one alone stands below what would be done."""
    rules = policy(built_in("strays", UnmanagedKey(), fences=True))
    text = told(keys=(remote("7", "stray", SHOP),), which="7", rules=rules)
    assert part(text, "What would be done") == (
        "  nothing: no file names it\n"
        "  strays would switch it off, but it may only send, and 'unmanaged' does not say\n"
        "  include_senders"
    )


def test_a_key_that_may_be_another() -> None:
    """An actual key that bears the label of a desired one is not called unmanaged."""
    specs = (spec("shop", SHOP, label="Shop"),)
    text = told(*specs, keys=(remote("1", "Shop", SHOP), remote("2", "Shop", SHOP)), which="2", rules=policy())
    assert text.startswith('key that may be a desired one  "Shop"\n')
    assert "\n  file      cannot be told\n" in text
    assert part(text, "What would be done") == "  nothing: which key it is cannot be told"


def test_a_key_that_cannot_be_told() -> None:
    """Where it cannot be told which key is meant, that is said instead of the id, and nobody knows of its use."""
    keys = (remote("1", "Shop", SHOP), remote("2", "Shop", SHOP))
    text = told(spec("shop", SHOP, label="Shop"), keys=keys, which="shop", rules=policy())
    assert text.startswith("""\
shop  "Shop"
  of        Account 11111111-1111-4111-8111-111111111111
  key       cannot be told: 2 keys could be meant, 1, 2: pin the id
  file      keys.yaml:1
  state     present
  used      cannot be told
""")
    assert part(text, "Networks") == f"  file      {OFFICE}"
    assert (
        part(text, "What would be done")
        == """\
  ~ update  shop  "Shop"    FAILED
      keys.yaml:1
      why       2 keys could be meant, 1, 2: pin the id"""
    )


def test_a_key_that_there_is_none_of() -> None:
    """What is to be switched off or gone, and is not there, is called that."""
    for state in (KeyState.QUARANTINED, KeyState.ABSENT):
        text = told(spec("old", SHOP, state=state), keys=(), which="old")
        assert ("  none is asked: it is to be gone" in text) is (state is KeyState.ABSENT)
        assert f"\n  key       there is none\n  file      keys.yaml:1\n  state     {state}\n" in text


def test_a_key_that_is_to_be_made() -> None:
    """A key that does not exist yet has no id and no networks in the account."""
    text = told(spec("new", SHOP, at=None), keys=(), which="new", rules=policy())
    assert "\n  key       does not exist yet\n" in text
    assert part(text, "Networks") == "  file      not managed, left as it is"
    assert part(text, "Scopes") == (
        f"  + {SHOP}\n      listed in the file; the account does not have it; reaches messages:send\n"
        "      for shop.example.com alone"
    )
    assert part(text, "What would be done").startswith("  + create  new  widens  skipped\n")


@pytest.mark.parametrize(
    ("wanted", "networks"),
    [
        (spec("a", SHOP, state=KeyState.QUARANTINED), ["file      switched off", f"account   {OFFICE}"]),
        (spec("a", SHOP, at=()), ["file      anywhere", f"account   {OFFICE}"]),
    ],
)
def test_networks(wanted: KeySpec, networks: list[str]) -> None:
    """An empty list is anywhere; what is to be switched off is called that."""
    text = told(wanted, keys=(remote("1", "a", SHOP),), which="a")
    assert [line.strip() for line in part(text, "Networks").splitlines()] == networks


def test_scopes_that_the_file_leaves_open() -> None:
    """Scopes that the file does not manage are told without a sign: nothing would be done about them."""
    wanted = replace(spec("a", state=KeyState.QUARANTINED), scopes=None)
    text = told(wanted, keys=(remote("1", "a", "domains:read"),), which="a")
    assert part(text, "Scopes") == "    domains:read\n      reaches just this"


def test_a_long_label_is_cut() -> None:
    """A label that is longer than its place is cut to it."""
    keys = (remote("1", "x" * 38, SHOP), remote("2", "x" * 39, SHOP))
    assert told(keys=keys, which="1").startswith(f'unmanaged key  "{"x" * 38}"\n')
    assert told(keys=keys, which="2").startswith(f'unmanaged key  "{"x" * 35}..."\n')


def test_a_fenced_key_without_scopes() -> None:
    """A key that can do nothing has no scopes to tell, and one that is fenced is called switched off."""
    text = told(keys=(remote("1", "a", at=(FENCE,)),), which="a")
    assert part(text, "Scopes") == "  none"
    assert part(text, "Networks") == "  account   switched off (the fence), 192.0.2.1/32"


def test_nothing_would_be_done() -> None:
    """A key that is as the files want it says so; so does one that is to be gone and is."""
    in_sync = told(spec("a", SHOP), keys=(remote("1", "a", SHOP),), which="a")
    gone = told(spec("a", state=KeyState.ABSENT), keys=(), which="a")
    for text in (in_sync, gone):
        assert part(text, "What would be done") == "  nothing: it is as the files want it"


def test_why_not() -> None:
    """What holds a change back is told once; a limit that would hold it back, too, is told besides."""
    none = Limits(max_changes=Threshold(0, 0))
    specs, keys = (spec("a", SHOP, NEWS), spec("ops", "*")), (remote("1", "a", NEWS), remote("2", "ops", SHOP))
    refused = " ".join(told(*specs, keys=keys, which="a", rules=policy(), limits=none, hold="INC-7").split())
    assert refused.count("on hold: INC-7") == 1
    assert refused.count("2 changes, but the limit is 0") == 1
    held = told(*specs, keys=keys, which="ops", rules=policy(built_in("no-wildcard")), limits=none)
    assert "\n      why       no-wildcard: ops holds * and may do everything\n" in held
    assert "\n      besides   max-changes: 1 change, but the limit is 0" in held


def test_a_refusal_besides_what_has_no_reason() -> None:
    """A refusal is told where the change itself gives no reason at all."""
    (told_of,) = explained(desired(spec("a", SHOP)), (remote("1", "a", NEWS),), "a", policy())
    told_of = replace(told_of, refusals=(Refusal("hold", "on hold"),))
    assert told_of.change is not None
    assert told_of.change.reason is None
    assert render_explanations((told_of,), WHOLE, style=PLAIN).endswith("\n      besides   hold: on hold\n")


def test_what_files_say_does_no_harm_on_a_terminal() -> None:
    """Owners, descriptions, annotations and reasons may hold what a terminal would obey: it is escaped."""
    evil = "\x1b[2J\nkey"
    wanted = spec(
        "a",
        SHOP,
        owner=evil,
        description=evil,
        annotations=((evil, evil),),
        paused=Pause(evil, date(2027, 1, 1)),
    )
    text = told(wanted, keys=(remote("1", "a", SHOP),), which="a", rules=policy())
    escaped = "\\x1b[2J\\nkey"
    assert [line for line in text.splitlines() if escaped in line] == [
        f"  owner     {escaped}",
        f"  for       {escaped}",
        f"  notes     {escaped}: {escaped}",
        f"  paused    until 2027-01-01: {escaped}",
    ]
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []


def test_several_keys_and_what_was_not_read() -> None:
    """Keys of one name stand below each other, each with its account; what could not be read comes last."""
    sub_account = replace(desired(spec("a", SHOP), account=below(1)), name="Acme East")
    keys = (remote("1", "a", SHOP),)
    found = (*explained(desired(spec("a", SHOP)), keys, "a"), *explained(sub_account, keys, "a"))
    text = render_explanations(found, PART, style=PLAIN)
    assert text.count('\na  "a"\n') + text.startswith('a  "a"\n') == 2
    assert f"  of        Account {ACCOUNT.account_id}\n" in text
    assert f'Sub account "Acme East" ({below(1).sub_account_id}) of account' in " ".join(text.split())
    assert text.endswith("\n\nAccount a-2  FAILED\n  403: no scope\n    hint: give it one\n\nnote  all is as of then\n")
    assert render_explanations((), PART, style=PLAIN).startswith("Account a-2  FAILED\n")
