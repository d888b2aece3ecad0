"""Answers at a terminal and as JSON: exact words, both sides side by side, and nothing that a terminal would obey."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, below, desired, remote, spec
from core.rulebook import built_in, policy, waiver, when
from reconciler.core.answers import Explaining, Explanation, Hold, Holder, explain
from reconciler.core.findings import Severity
from reconciler.core.guardrails import Consent, Limits, Refusal, Threshold, approve
from reconciler.core.judging import Verdict
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
from reconciler.render.answers import Unanswered, render_explanations, render_json, render_who_can
from reconciler.render.groups import Owner
from reconciler.render.page import Style

PLAIN = Style(colour=False, width=80)
COLOURED = Style(colour=True, width=80)
KEY = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
HOLD = Hold((SHOP,), (OFFICE,))
HOLDER = Holder("a-1", None, None, "shop", "shop", KEY, Source("keys/shop.yaml", 12, 5), HOLD, HOLD)
BELOW = replace(HOLDER, sub_account_id="s-1", sub_account_name="Acme East")
UNREAD = Unanswered(Owner("a-2"), "403: no scope\n  hint: give it one")


def plain(coloured: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", coloured)


# Who can

HOLDERS = (
    HOLDER,
    replace(HOLDER, name="billing", label="Billing", desired=None, actual=Hold(("*", "messages:send:all"), ())),
    replace(HOLDER, name="new", label="new", key_id=None, actual=None, desired=Hold((SHOP,), None)),
    replace(HOLDER, name=None, label='bad\x1b[2J"', source=None, desired=None, actual=replace(HOLD, switched_off=True)),
    BELOW,
)
WHO_CAN = """\
Who can messages:send:{shop.example.com}

Account a-1
  shop  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    by messages:send:{shop.example.com}, from 203.0.113.0/24
    account  by messages:send:{shop.example.com}, from 203.0.113.0/24
    keys/shop.yaml:12
  billing  "Billing"  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    no
    account  by *, messages:send:all, from anywhere
    keys/shop.yaml:12
  new
    files    by messages:send:{shop.example.com}, from wherever the account says
    account  no
    keys/shop.yaml:12
  unmanaged key  "bad\\x1b[2J\\""  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    no file names it
    account  switched off, so not now; by messages:send:{shop.example.com}, from
             203.0.113.0/24

Sub account "Acme East" (s-1)  of account a-1
  shop  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    by messages:send:{shop.example.com}, from 203.0.113.0/24
    account  by messages:send:{shop.example.com}, from 203.0.113.0/24
    keys/shop.yaml:12

Account a-2  FAILED
  403: no scope
    hint: give it one
"""


def test_who_can_reads_like_this() -> None:
    """By account, each key has the files' word and the account's below each other; what was not read comes last."""
    assert render_who_can(SHOP, HOLDERS, [UNREAD], style=PLAIN) == WHO_CAN


def test_colour_only_repeats_what_is_said() -> None:
    """With colours the text is the same; the side that lacks what the other has is the one in yellow."""
    coloured = render_who_can(SHOP, HOLDERS, [UNREAD], style=COLOURED)
    assert plain(coloured) == WHO_CAN
    assert re.findall("\x1b\\[33m(.*?)\x1b\\[0m", coloured) == ["no", "no", "no file names it"]


def test_nobody_can() -> None:
    """That nobody can is said; where an account could not be read, only of those that could."""
    first = "Who can domains:\\x1bread\n\n"
    assert render_who_can("domains:\x1bread", (), (), style=PLAIN) == (
        f"{first}Nobody can, by the files or in the accounts.\n"
    )
    assert render_who_can("domains:\x1bread", (), [UNREAD], style=PLAIN) == (
        f"{first}Nobody can, in what could be read.\n\nAccount a-2  FAILED\n  403: no scope\n    hint: give it one\n"
    )


def test_accounts_are_told_once() -> None:
    """The keys of one account stand together below its heading, whatever their order."""
    text = render_who_can(SHOP, (HOLDER, BELOW, HOLDER), (), style=PLAIN)
    assert text.count("Account a-1\n") == 1
    assert text.count("Sub account") == 1


def test_who_can_as_json() -> None:
    """The fields have the names of the code, nothing is left out, and other alphabets are escaped."""
    text = render_json({"scope": SHOP, "keys": (replace(HOLDER, label="Ladentür"),), "unread": (UNREAD,)})
    assert json.loads(text) == {
        "scope": SHOP,
        "keys": [
            {
                "account_id": "a-1",
                "sub_account_id": None,
                "sub_account_name": None,
                "name": "shop",
                "label": "Ladentür",
                "key_id": KEY,
                "source": {"file": "keys/shop.yaml", "line": 12, "column": 5},
                "desired": {"by": [SHOP], "networks": [OFFICE], "switched_off": False},
                "actual": {"by": [SHOP], "networks": [OFFICE], "switched_off": False},
            }
        ],
        "unread": [
            {
                "owner": {"account_id": "a-2", "sub_account_id": None, "name": None},
                "error": "403: no scope\n  hint: give it one",
            }
        ],
    }
    assert text.isascii()
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 11, 23, 13, tzinfo=UTC), '"2026-11-23T13:00:00Z"'),
        (Severity.DENY, '"deny"'),
        (Verdict.FAILED, '"could not be evaluated"'),
        (date(2027, 1, 31), '"2027-01-31"'),
    ],
)
def test_values_in_json(value: object, text: str) -> None:
    """Times are RFC 3339 in UTC, words are what they stand for, days are written as in a file."""
    assert render_json(value) == f"{text}\n"


# Why a key is as it is

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
    return render_explanations(explained(desired(*specs), keys, which, rules, **consent), (), style=PLAIN)


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
    coloured = render_explanations(explained(desired(FULL), keys, "shop"), (), style=COLOURED)
    assert plain(coloured) == EXPLANATION
    assert [line.strip() for line in re.findall("\x1b\\[3[12]m(.*?)\x1b\\[0m", coloured)][:3] == [
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
    """An unmanaged key that is to be switched off has that change."""
    account = desired(spec("shop", SHOP), unmanaged=UnmanagedRule(UnmanagedAction.QUARANTINE))
    keys = (remote("1", "shop", SHOP), remote("7", "stray", "domains:read"))
    text = render_explanations(explained(account, keys, "stray"), (), style=PLAIN)
    assert (
        part(text, "What would be done")
        == """\
  # quarantine  unmanaged key  "stray"  narrows
      key 7
      networks  - 203.0.113.0/24
                + 192.0.2.1/32  (fence: switched off)"""
    )


def test_a_key_that_may_be_another() -> None:
    """An actual key that bears the label of a desired one is not called unmanaged."""
    specs = (spec("shop", SHOP, label="Shop"),)
    text = told(*specs, keys=(remote("1", "Shop", SHOP), remote("2", "Shop", SHOP)), which="2", rules=policy())
    assert text.startswith('key that may be a desired one  "Shop"\n')


def test_a_key_that_is_to_be_made() -> None:
    """A key that does not exist yet has no id, no use and no networks in the account."""
    text = told(spec("new", SHOP, at=None), keys=(), which="new", rules=policy())
    assert "\n  key       does not exist yet\n" in text
    assert "\n  used      never, it does not exist yet\n" in text
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
    assert "\n      besides   max-changes: 1 changes, but the limit is 0" in held


def test_a_refusal_besides_what_has_no_reason() -> None:
    """A refusal is told where the change itself gives no reason at all."""
    (told_of,) = explained(desired(spec("a", SHOP)), (remote("1", "a", NEWS),), "a", policy())
    told_of = replace(told_of, refusals=(Refusal("hold", "on hold"),))
    assert told_of.change is not None
    assert told_of.change.reason is None
    assert render_explanations((told_of,), (), style=PLAIN).endswith("\n      besides   hold: on hold\n")


def test_several_keys_and_what_was_not_read() -> None:
    """Keys of one name stand below each other, each with its account; what could not be read comes last."""
    sub_account = replace(desired(spec("a", SHOP), account=below(1)), name="Acme East")
    keys = (remote("1", "a", SHOP),)
    found = (*explained(desired(spec("a", SHOP)), keys, "a"), *explained(sub_account, keys, "a"))
    text = render_explanations(found, [UNREAD], style=PLAIN)
    assert text.count('\na  "a"\n') + text.startswith('a  "a"\n') == 2
    assert f"  of        Account {ACCOUNT.account_id}\n" in text
    assert f'Sub account "Acme East" ({below(1).sub_account_id}) of account' in " ".join(text.split())
    assert text.endswith("\n\nAccount a-2  FAILED\n  403: no scope\n    hint: give it one\n")
    assert render_explanations((), [UNREAD], style=PLAIN).startswith("Account a-2  FAILED\n")
