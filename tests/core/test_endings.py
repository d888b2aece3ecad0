"""What is said of waivers and pauses that end, and of rules and waivers that are about nothing."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from builders import ACCOUNT, NOW, SHOP, SUB_ACCOUNT, desired, spec
from core.rulebook import MIDNIGHT, PLACE, UNTIL, built_in, policy, waiver
from reconciler.core.endings import Ending, endings, idle_requirements, idle_rules, idle_waivers
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import AccountRef, DesiredState, KeySpec, Pause, Selector, Source, SubAccountRule
from reconciler.core.plan import plan_account
from reconciler.core.policy import judge_plan
from reconciler.core.requirements import Requirement
from reconciler.core.rules import Match, WaiverRule
from reconciler.core.scopes import parse_scope

MOMENT = timedelta(microseconds=1)
NOTED = MIDNIGHT - timedelta(days=14)
EAST, WEST = timezone(timedelta(hours=2)), timezone(timedelta(hours=-4))
PAUSE = Pause("INC-7", UNTIL)
UUID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"


def state(*specs: KeySpec, below: tuple[KeySpec, ...] = (), **fields: Any) -> DesiredState:
    """One account with these keys, and a rule for its sub accounts with those."""
    rules = (SubAccountRule(Selector(name="Acme *"), below, Source("keys.yaml", 9, 3)),) if below else ()
    return DesiredState((replace(desired(*specs), sub_accounts=rules, **fields),))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (NOTED - MOMENT, None),
        (NOTED, "ends with 2026-11-30"),
        (NOTED.astimezone(EAST), "ends with 2026-11-30"),
        ((NOTED - MOMENT).astimezone(WEST), None),
        (NOW, "ends with 2026-11-30"),
        (MIDNIGHT - MOMENT, "ends with 2026-11-30"),
        (MIDNIGHT, "ended with 2026-11-30, 1 day ago"),
        (MIDNIGHT.astimezone(WEST), "ended with 2026-11-30, 1 day ago"),
        ((MIDNIGHT - MOMENT).astimezone(EAST), "ends with 2026-11-30"),
        (MIDNIGHT + timedelta(days=365), "ended with 2026-11-30, 366 days ago"),
    ],
)
def test_when_an_end_is_told(now: datetime, said: str | None) -> None:
    """A waiver and a pause are noted from exactly 14 days before their end on, then warned of, with an age."""
    ending = endings(policy(waivers=(waiver("r", key="shop"),)), state(spec("shop", SHOP, paused=PAUSE)), now)
    assert [(each.finding.message, each.ended) for each in ending] == (
        [
            (f"the waiver of r for shop {said}", said.startswith("ended")),
            (f"the pause of shop {said}", said.startswith("ended")),
        ]
        if said
        else []
    )


@pytest.mark.parametrize(("until", "said"), [(date.max, []), (date.min, ["ended", "ended"])])
def test_the_ends_of_the_calendar(until: date, said: list[str]) -> None:
    """The first and the last day that there is are days like any other; what is for ever is not said to end."""
    ending = endings(
        policy(waivers=(waiver("r", key="k", until=until),)), state(spec("k", SHOP, paused=Pause("x", until))), NOW
    )
    assert [each.finding.rule.partition("-")[2] for each in ending] == said


def test_what_is_said_of_a_waiver() -> None:
    """The finding has the waiver's place, its owner and its reason; it is a note before the end, a warning after."""
    soon = Finding(
        "waiver-ends-soon",
        Severity.NOTE,
        "the waiver of r for labels like 'tmp-*' ends with 2026-11-30",
        "mend what it was for, or agree on a new date with team-sec: INC-204",
        source=PLACE,
    )
    message = "the waiver of r for labels like 'tmp-*' ended with 2026-11-30, 1 day ago"
    over = replace(soon, rule="waiver-ended", severity=Severity.WARN, message=message)
    rules = policy(waivers=(waiver("r", label="tmp-*"),))
    assert endings(rules, DesiredState(()), NOW) == (Ending(soon, ended=False),)
    assert endings(rules, DesiredState(()), MIDNIGHT) == (Ending(over, ended=True),)


def test_what_is_said_of_a_pause() -> None:
    """The finding names the key and its place, and says what comes next: before the end, and after it."""
    paused = spec("shop", SHOP, id="7", label="Shop", paused=PAUSE)
    soon = Finding(
        "pause-ends-soon",
        Severity.NOTE,
        "the pause of shop ends with 2026-11-30",
        "then the key is reconciled again: INC-7",
        ACCOUNT,
        "shop",
        "7",
        "Shop",
        paused.source,
    )
    over = replace(
        soon,
        rule="pause-ended",
        severity=Severity.WARN,
        message="the pause of shop ended with 2026-11-30, 1 day ago",
        hint="remove it from the file, or set a new date",
    )
    assert endings(policy(), state(paused), NOW) == (Ending(soon, ended=False),)
    assert endings(policy(), state(paused), MIDNIGHT) == (Ending(over, ended=True),)


def test_a_pause_ends_when_it_no_longer_holds() -> None:
    """A pause is said to have ended from the very moment at which it stops holding, and a waiver likewise."""
    paused = spec("shop", SHOP, paused=PAUSE)
    rules = policy(built_in("r"), waivers=(waiver("r", key="star"),))
    for now in (MIDNIGHT - MOMENT, MIDNIGHT, MIDNIGHT.astimezone(EAST)):
        over = {each.ended for each in endings(rules, state(paused), now)}
        wanted = desired(spec("star", "*"))
        (finding,) = judge_plan(rules, wanted, plan_account(wanted, (), now), now).findings
        assert over == {not PAUSE.holds(now)} == {finding.waived is None}


def test_every_end_is_told() -> None:
    """Waivers come first, then pauses of every account and of the rules for sub accounts; what holds on is left out."""
    later = Pause("x", UNTIL + timedelta(days=99))
    rules = policy(
        waivers=(
            waiver("a", key="k", until=NOW.date()),
            waiver("b", key="k", until=NOW.date() - timedelta(days=1)),
            waiver("c", key="k", until=later.until),
        )
    )
    own = (spec("a", SHOP, paused=PAUSE), spec("b", SHOP), spec("c", SHOP, paused=later))
    first = state(*own, below=(spec("sender", SHOP, paused=PAUSE), spec("other", SHOP)))
    second = desired(spec("z", SHOP, paused=PAUSE), account=SUB_ACCOUNT)
    ending = endings(rules, DesiredState((*first.accounts, second)), NOW)
    assert [(each.finding.message.partition(" with ")[0], each.finding.account) for each in ending] == [
        ("the waiver of a for k ends", None),
        ("the waiver of b for k ended", None),
        ("the pause of a ends", ACCOUNT),
        ("the pause of z ends", SUB_ACCOUNT),
        ("the pause of sender ends", ACCOUNT),
    ]


# What is about nothing


CORRECT = "correct the name, or remove the waiver"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (waiver("r", key="shop"), None),
        (waiver("r", key="sender"), None),
        (waiver("r", key="pinned-id"), None),
        (waiver("r", key="Shop"), "that is a label: write 'label: Shop', or the key's name"),
        (waiver("r", key="shops"), "did you mean 'shop'?"),
        (waiver("r", key="sendre"), "did you mean 'sender'?"),
        (waiver("r", key="gone"), CORRECT),
        (waiver("r", key="pinned-if"), CORRECT),
        (waiver("r", key=UUID), None),
        (waiver("r", key=UUID[:-1]), CORRECT),
        (waiver("r", key=f"{UUID}0"), CORRECT),
        (waiver("r", label="gone-*"), None),
    ],
)
def test_waivers_for_no_key(given: WaiverRule, hint: str | None) -> None:
    """A waiver by a name that no file has is told, with the nearest; one by an id or a label may be for any key."""
    keys = state(spec("shop", SHOP, label="Shop"), spec("other", SHOP, id="pinned-id"), below=(spec("sender", SHOP),))
    finding = Finding(
        "waiver-matches-nothing",
        Severity.WARN,
        f"the waiver of r for {given.key}: the files have no key of that name",
        hint or "",
        source=PLACE,
    )
    assert idle_waivers(policy(waivers=(given,)), keys) == ((finding,) if hint else ())


def test_waivers_without_any_key() -> None:
    """Where no file has any key every waiver by name is for none, told in the order of the policy."""
    rules = policy(waivers=(waiver("r", key="b"), waiver("r", label="*"), waiver("s", key="a")))
    assert [finding.message for finding in idle_waivers(rules, DesiredState(()))] == [
        "the waiver of r for b: the files have no key of that name",
        "the waiver of s for a: the files have no key of that name",
    ]


@pytest.mark.parametrize(
    ("account", "sub_account", "idle"),
    [
        (None, None, False),
        (ACCOUNT.account_id, None, False),
        ("1111*", None, False),
        ("2222*", None, True),
        (None, "*", False),
        (None, "3333*", False),
        ("1111*", "3333*", False),
        ("2222*", "3333*", True),
    ],
)
def test_requirements_about_no_account(account: str | None, sub_account: str | None, idle: bool) -> None:
    """A requirement about none of the accounts of the files is told; which sub accounts there are no file knows."""
    wanted = Requirement(parse_scope(SHOP), account, sub_account, PLACE)
    finding = Finding(
        "requirement-matches-nothing",
        Severity.WARN,
        "the requirement of messages:send for shop.example.com is about none of the accounts in the files",
        "correct its account or sub_account, or remove it",
        source=PLACE,
    )
    assert idle_requirements((wanted,), state(below=(spec("sender", SHOP),))) == ((finding,) if idle else ())
    without_rules = idle or sub_account is not None
    assert idle_requirements((wanted,), state(spec("shop", SHOP))) == ((finding,) if without_rules else ())


def test_requirements_of_sub_accounts_that_a_file_names() -> None:
    """A sub account with a file of its own is one of the accounts of the files, and no other one is below it."""
    files = DesiredState((desired(account=SUB_ACCOUNT),))
    required = [
        Requirement(parse_scope(text), sub_account=whose)
        for text, whose in (("domains:read", "2222*"), ("routes:read:all", "3333*"))
    ]
    assert [each.message for each in idle_requirements(required, files)] == [
        "the requirement of routes:read is about none of the accounts in the files"
    ]


def test_one_account_is_enough_for_a_requirement() -> None:
    """A requirement is about something as soon as it is about one account; without any account all are about none."""
    required = (Requirement(parse_scope("domains:read"), "1111*"), Requirement(parse_scope("domains:write")))
    other = desired(account=AccountRef("99999999-9999-4999-8999-999999999999"))
    assert idle_requirements(required, DesiredState((other, desired()))) == ()
    assert [each.message.split()[3] for each in idle_requirements(required, DesiredState((other,)))] == ["domains:read"]
    assert len(idle_requirements(required, DesiredState(()))) == len(required)


@pytest.mark.parametrize(
    ("match", "idle"),
    [
        (Match(), False),
        (Match(label="shop"), False),
        (Match(label="send*"), False),
        (Match(label="gone"), True),
        (Match(owner="team-*"), False),
        (Match(owner="dept-*"), True),
        (Match(annotations=(("tier", "gold"),)), False),
        (Match(annotations=(("tier", "silver"),)), True),
        (Match(managed=True), False),
        (Match(managed=True, label="gone"), True),
        (Match(managed=False), False),
        (Match(managed=False, label="gone"), False),
        (Match(account=ACCOUNT.account_id), False),
        (Match(account="2222*"), True),
        (Match(sub_account="Acme"), False),
        (Match(sub_account="nobody"), False),
        (Match(sub_account="*", label="shop"), True),
        (Match(sub_account="*", label="sender"), False),
        (Match(account="2222*", sub_account="*"), True),
    ],
)
def test_rules_about_no_key(match: Match, idle: bool) -> None:
    """A rule that is about no key of the files is noted; which sub accounts there are no file knows."""
    keys = state(
        spec("shop", SHOP, owner="team-growth", annotations=(("tier", "gold"),)), below=(spec("sender", SHOP),)
    )
    finding = Finding(
        "rule-matches-nothing",
        Severity.NOTE,
        "the rule r is about none of the keys in the files",
        "correct its match, or keep it for keys to come",
        source=PLACE,
    )
    assert idle_rules(policy(built_in("r", match=match, source=PLACE)), keys, NOW) == ((finding,) if idle else ())


def test_rules_are_about_keys_that_leave_their_scopes_alone() -> None:
    """A key whose scopes and list the file leaves alone is a key like any other."""
    assert idle_rules(policy(built_in("r")), state(spec("shop", scopes=None, at=None)), NOW) == ()


def test_rules_without_any_key() -> None:
    """Where the files have no key every rule is about none of them, but those about keys of no file."""
    rules = policy(
        built_in("a"), built_in("b", match=Match(managed=False)), built_in("c", match=Match(sub_account="*"))
    )
    for files in (DesiredState(()), DesiredState((desired(),))):
        assert [finding.message for finding in idle_rules(rules, files, NOW)] == [
            "the rule a is about none of the keys in the files",
            "the rule c is about none of the keys in the files",
        ]


def test_one_account_with_such_a_key_is_enough() -> None:
    """A rule is about something as soon as one account has a key that it is about."""
    files = DesiredState((desired(spec("a", SHOP)), desired(spec("b", SHOP), account=SUB_ACCOUNT)))
    assert idle_rules(policy(built_in("r", match=Match(label="b"))), files, NOW) == ()


# The ends of the calendar


@pytest.mark.parametrize(
    ("until", "end", "ended"),
    [
        (UNTIL.min, "0001-01-02T00:00:00+00:00", True),
        (UNTIL.max - timedelta(days=1), "9999-12-31T00:00:00+00:00", False),
        (UNTIL.max, "9999-12-31T23:59:59.999999+00:00", False),
    ],
)
def test_an_end_may_be_any_day(until: Any, end: str, ended: bool) -> None:
    """What is until the first day that there is has ended, what is until the last holds, and nothing is said of it."""
    rules = policy(built_in("r"), waivers=(waiver("r", key="star", until=until),))
    pause = Pause("INC-7", until)
    age = "ended with 0001-01-01, 739942 days ago"
    told = [f"the waiver of r for star {age}", f"the pause of shop {age}"]
    found = endings(rules, state(spec("shop", SHOP, paused=pause)), NOW)
    assert [(each.finding.message, each.ended) for each in found] == ([(each, True) for each in told] if ended else [])
    wanted = desired(spec("star", "*"))
    (finding,) = judge_plan(rules, wanted, plan_account(wanted, (), NOW), NOW).findings
    assert (finding.waived is None, pause.holds(NOW)) == (ended, not ended)
    assert rules.waivers[0].end.isoformat() == end
