"""What a report tells besides changes: the keys that a pass left, the rules that it judged by, and the waivers."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, OFFICE, SHOP, desired, plan, remote, spec
from core.rulebook import PLACE, built_in, policy, waiver, when
from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.inventory import (
    KeyStanding,
    ReportedKey,
    ReportedPause,
    ReportedPausedKey,
    ReportedRule,
    ReportedWaiver,
    checks_of,
    report_keys,
    report_pauses,
    report_rules,
    report_waiver,
    rfc3339,
)
from reconciler.core.keys import (
    DesiredState,
    KeyState,
    Pause,
    Selector,
    Source,
    SubAccountRule,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.core.plan import AccountPlan
from reconciler.core.requirements import Requirement
from reconciler.core.rules import Match
from reconciler.core.scopes import parse_scope
from reconciler.files.rule_entries import BUILTINS

MADE = "2025-11-23T12:00:00Z"


def ended(made: AccountPlan, outcome: Outcome, **fields: Any) -> AccountPlan:
    """The plan as it is when all its changes have come to an end."""
    return replace(made, changes=tuple(replace(change.ended(outcome), **fields) for change in made.changes))


def standings(made: AccountPlan) -> dict[str, str]:
    return {key.key_id: key.standing.value for key in report_keys(made)}


def access(made: AccountPlan) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """The label, the scopes and the list of each key."""
    return [(key.label, key.scopes, key.ip_allow_list) for key in report_keys(made)]


# Keys


def test_each_key_is_told_once_by_id() -> None:
    """Keys come sorted by id, however the account lists them; what is missing in the account is not among them."""
    keys = (remote("3", "c", SHOP), remote("1", "stray", NEWS), remote("2", "b", SHOP, last_used_at=NOW))
    told = report_keys(plan((spec("c", NEWS), spec("missing", SHOP)), keys))
    assert [key.key_id for key in told] == ["1", "2", "3"]
    assert told[1] == ReportedKey(
        "2", "b", KeyStanding.UNMANAGED, (SHOP,), (OFFICE,), MADE, "2026-11-23T12:00:00Z", None, "", None, None
    )
    assert report_keys(plan((spec("missing", SHOP),), ())) == ()


def test_what_the_files_say_of_a_key() -> None:
    """A key that a file names has its name, its owner, its place there, and why and until when it is paused."""
    place, pause = Source("shop.yaml", 12, 5), Pause("INC-77", date(2026, 12, 24))
    named = spec("shop", SHOP, label="Shop", owner="team-shop", source=place, paused=pause)
    (told,) = report_keys(plan((named,), (remote("1", "Shop", SHOP),)))
    assert told == ReportedKey(
        "1",
        "Shop",
        KeyStanding.MANAGED,
        (SHOP,),
        (OFFICE,),
        MADE,
        None,
        "shop",
        "team-shop",
        ReportedPause("2026-12-24", "INC-77"),
        place,
    )
    (told,) = report_keys(plan((replace(named, owner="", paused=None),), (remote("1", "Shop", SHOP),)))
    assert (told.owner, told.paused) == ("", None)


@pytest.mark.parametrize("then", UnmanagedAction)
def test_whether_a_file_names_a_key(then: UnmanagedAction) -> None:
    """Matched keys are managed; what may be meant or bears another's label is unclear; the rest is unmanaged."""
    keys = (
        remote("1", "pinned", SHOP),
        remote("2", "was", SHOP),
        remote("3", "twin", SHOP),
        remote("4", "twin", SHOP),
        remote("5", "renamed", SHOP),
        remote("6", "stray", SHOP),
    )
    specs = (
        spec("a", SHOP, id="1", label="renamed"),
        spec("b", SHOP, was=("was",)),
        spec("c", SHOP, label="twin"),
        spec("gone", SHOP, id="9"),
    )
    made = plan(specs, keys, unmanaged=UnmanagedRule(then, include_senders=True))
    assert standings(made) == {
        "1": "managed",
        "2": "managed",
        "3": "unclear",
        "4": "unclear",
        "5": "unclear",
        "6": "unmanaged",
    }


def test_two_claims_to_one_key() -> None:
    """A key that two entries claim is unclear, and has no name, whichever of them is right."""
    made = plan((spec("a", SHOP, id="1"), spec("b", NEWS, id="1")), (remote("1", "a", SHOP),))
    (told,) = report_keys(made)
    assert (told.standing, told.name, told.scopes) == (KeyStanding.UNCLEAR, None, (SHOP,))


@pytest.mark.parametrize("outcome", Outcome)
def test_keys_are_as_the_pass_leaves_them(outcome: Outcome) -> None:
    """An applied change shows in label, scopes and list; with any other outcome the key is as it was listed."""
    wanted = spec("shop", SHOP, label="New", was=("Old",), at=("198.51.100.0/24",))
    stray = remote("2", "stray", "domains:read", at=())
    acting = UnmanagedRule(UnmanagedAction.QUARANTINE)
    made = plan((wanted,), (remote("1", "Old", NEWS), stray), unmanaged=acting)
    assert len(made.changes) == 2
    before = [("Old", (NEWS,), (OFFICE,)), ("stray", ("domains:read",), ())]
    after = [("New", (SHOP,), ("198.51.100.0/24",)), ("stray", ("domains:read",), (FENCE,))]
    assert access(ended(made, outcome)) == (after if outcome is Outcome.APPLIED else before)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STALE])
def test_what_was_seen_of_a_change_that_failed(outcome: Outcome) -> None:
    """Where the key was read after it had become something else than was asked for, that shows."""
    leaked = spec("leak", SHOP, label="New", was=("Old",), state=KeyState.QUARANTINED)
    made = plan((leaked,), (remote("1", "Old", NEWS),))
    seen = remote("1", "Old", SHOP, at=())
    assert access(ended(made, outcome, written=("ip_allow_list",), seen=seen)) == [("Old", (SHOP,), ())]
    assert access(ended(made, outcome)) == [("Old", (NEWS,), (OFFICE,))]


def test_a_key_that_is_to_go_is_still_there() -> None:
    """A key of which the files say that it shall be absent is told as it is: this version deletes none."""
    made = plan((spec("old", SHOP, state=KeyState.ABSENT),), (remote("1", "old", SHOP),))
    (told,) = report_keys(made)
    assert (told.standing, told.name, told.scopes) == (KeyStanding.MANAGED, "old", (SHOP,))


def test_times_are_utc() -> None:
    """Times are written in RFC 3339, in UTC, whatever zone they came in, with the part of a second that they have."""
    east = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 11, 23, 1, 30, tzinfo=east)) == "2026-11-22T23:30:00Z"
    assert rfc3339(datetime(2026, 11, 23, 1, 30, 0, 5, tzinfo=UTC)) == "2026-11-23T01:30:00.000005Z"
    used = remote("1", "a", SHOP, created_at=NOW.astimezone(east), last_used_at=NOW.astimezone(east))
    (told,) = report_keys(plan((), (used,)))
    assert (told.created_at, told.last_used_at) == ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z")


# Rules


def test_rules_in_the_policys_order() -> None:
    """Each rule is told with how serious it is, what it looks at, what to do, and its place; what must work follows."""
    rules = policy(
        when("tmp", 'key.label == "tmp"', "gone", severity=Severity.WARN, hint="delete it"),
        built_in("no-wildcard", hint="list the scopes", source=PLACE),
    )
    wanted = Requirement(parse_scope(SHOP), source=Source("policy.yaml", 9, 3))
    assert report_rules(rules, (wanted,), about_changes=False) == (
        ReportedRule(
            "no-wildcard",
            Severity.DENY,
            "no-wildcard",
            "list the scopes",
            PLACE,
            "No key holds *: whoever has it can do everything, also what AhaSend adds tomorrow.",
        ),
        ReportedRule("tmp", Severity.WARN, 'key.label == "tmp"', "delete it", None),
        ReportedRule(
            "coverage",
            Severity.DENY,
            "some key can messages:send for shop.example.com",
            "",
            Source("policy.yaml", 9, 3),
        ),
    )
    assert report_rules(policy(), (), about_changes=True) == ()


def test_rules_about_changes() -> None:
    """A rule about what a change does is told only of a pass that plans changes: an audit does not ask it."""
    rules = policy(
        built_in("no-wildcard"),
        when("widens", 'change.direction == "widen"', "{key.name} widens"),
        when("widens-wild", '"*" in change.granted && "*" in key.scopes', "no"),
    )
    for about_changes, told in ((True, ["no-wildcard", "widens", "widens-wild"]), (False, ["no-wildcard"])):
        assert [each.rule for each in report_rules(rules, (), about_changes=about_changes)] == told


@pytest.mark.parametrize(
    ("match", "told"),
    [
        (Match(), "no-wildcard"),
        (Match(managed=True), "no-wildcard; only keys with managed: true"),
        (Match(managed=False), "no-wildcard; only keys with managed: false"),
        (
            Match(owner="team-*", annotations=(("a", "b"), ("c", "*"))),
            "no-wildcard; only keys with owner: team-*, annotations.a: b, annotations.c: *",
        ),
        (
            Match(None, "a*", "1*", "Acme *", None, (("a", "b"),)),
            "no-wildcard; only keys with label: a*, account: 1*, sub_account: Acme *, annotations.a: b",
        ),
    ],
)
def test_a_rule_that_is_not_about_all_keys(match: Match, told: str) -> None:
    """Which keys a rule is about is told with what it looks at: whom it spares it has not judged."""
    (rule,) = report_rules(policy(built_in("r", match=match)), (), about_changes=False)
    assert rule.checks == told


@pytest.mark.parametrize(
    ("requirement", "told"),
    [
        (Requirement(parse_scope("domains:read")), "some key can domains:read"),
        (Requirement(parse_scope(SHOP), "1*"), "some key of account 1* can messages:send for shop.example.com"),
        (
            Requirement(parse_scope("messages:read:all"), "1*", "2*"),
            "some key of sub account 2* of account 1* can messages:read",
        ),
        (Requirement(parse_scope("domains:read"), None, "2*"), "some key of sub account 2* can domains:read"),
    ],
)
def test_whose_key_must_work(requirement: Requirement, told: str) -> None:
    """Of what must keep working it is told which accounts may have the key that can do it."""
    (rule,) = report_rules(policy(), (requirement,), about_changes=False)
    assert (rule.rule, rule.severity, rule.checks) == ("coverage", Severity.DENY, told)


BUILT_IN: list[tuple[str, dict[str, Any], str]] = [
    ("no-wildcard", {}, ""),
    ("no-global-where-domain-would-do", {}, " (scopes: *)"),
    ("no-global-where-domain-would-do", {"scopes": ["messages:send:all"]}, " (scopes: messages:send:all)"),
    ("redundant-scopes", {}, ""),
    ("max-scopes", {"most": 0}, " (most: 0)"),
    ("max-scopes", {"most": 12}, " (most: 12)"),
    (
        "forbidden-scopes",
        {"scopes": ["messages:send:Shop.Example.com", "api-keys:*"]},
        " (scopes: messages:send:{shop.example.com}, api-keys:*)",
    ),
    ("require-ip-allow-list", {}, " (scopes: *)"),
    ("widest-network", {"ipv4": 24}, " (ipv4: 24)"),
    ("widest-network", {"ipv6": 48}, " (ipv6: 48)"),
    ("widest-network", {"ipv4": 24, "ipv6": 48}, " (ipv4: 24, ipv6: 48)"),
    ("unreachable-list", {}, ""),
    ("label-pattern", {"patterns": ["a-*", "b"]}, " (patterns: a-*, b)"),
    ("require-owner", {}, " (owners: *)"),
    (
        "separate-duties",
        {"sets": {"keys": ["api-keys:*"], "mail": ["messages:send:*", "messages:read:*"]}},
        " (sets: keys = api-keys:*; mail = messages:send:*, messages:read:*)",
    ),
    ("unused-for", {"for": "180d"}, " (for: 180 days)"),
    ("unused-for", {"for": "49h"}, " (for: 49 hours)"),
    ("never-used", {"after": "1d"}, " (after: 1 day)"),
    ("never-used", {"after": "90m"}, " (after: 90 minutes)"),
    ("older-than", {"age": "7200s"}, " (age: 2 hours)"),
    ("older-than", {"age": "61s"}, " (age: 61 seconds)"),
    ("older-than", {"age": "0s"}, " (age: 0 days)"),
    ("unmanaged-key", {}, ""),
    ("unmanaged-key", {"except": ["legacy-*"]}, " (except: legacy-*)"),
    ("duplicate-label", {}, ""),
    ("identical-access", {}, ""),
    ("can-manage-keys", {}, ""),
    ("can-manage-keys", {"except": ["reconciler*", "a"]}, " (except: reconciler*, a)"),
]


@pytest.mark.parametrize(("name", "parameters", "told"), BUILT_IN)
def test_built_in_rules_are_told_as_policies_write_them(name: str, parameters: dict[str, Any], told: str) -> None:
    """A built-in rule is told by the name that policies use, its parameters by theirs; what limits nothing is not."""
    entry = BUILTINS[name].shape.read(parameters)
    assert checks_of(BUILTINS[name].make(entry)) == name + told


def test_every_built_in_rule_is_told() -> None:
    """No built-in rule is left out of the table above."""
    assert {name for name, *_ in BUILT_IN} == BUILTINS.keys()


# Waivers


def test_waivers_are_told_as_they_stand() -> None:
    """A waiver is told with what it is for, how long, who answers for it and why, in force or not."""
    told = report_waiver(waiver("no-wildcard", key="ops", account="1*"))
    assert told == ReportedWaiver("no-wildcard", "ops", None, "1*", "2026-11-30", "team-sec", "INC-204", PLACE)
    ended_long_ago = waiver("owned", label="legacy-*", until=date(1970, 1, 1), source=None)
    told = report_waiver(ended_long_ago)
    assert told == ReportedWaiver("owned", None, "legacy-*", None, "1970-01-01", "team-sec", "INC-204", None)


# Pauses


def test_pauses_are_those_of_the_files() -> None:
    """Every pause of the files is told, whether or not its key is there, and whether it is one of sub accounts."""
    paused = Pause("moving", date(2026, 12, 24))
    own = spec("gone", SHOP, paused=paused, owner="team")
    rule = SubAccountRule(Selector(name="*"), (spec("sender", SHOP, paused=paused),), Source("keys.yaml", 9, 5))
    state = DesiredState((replace(desired(own, spec("shop", SHOP)), sub_accounts=(rule,)),))
    place = Source("keys.yaml", 1, 5)
    assert report_pauses(state) == (
        ReportedPausedKey(ACCOUNT.account_id, "gone", "2026-12-24", "moving", "team", place, of_sub_accounts=False),
        ReportedPausedKey(ACCOUNT.account_id, "sender", "2026-12-24", "moving", "", place, of_sub_accounts=True),
    )
