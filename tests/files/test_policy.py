"""What policy files mean: their rules, waivers, requirements and limits, and the starter policy."""

from dataclasses import fields, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from builders import remote
from core.rulebook import subject
from reconciler.core import builtins
from reconciler.core.builtins import AccountCheck, KeyCheck
from reconciler.core.expressions import Expression
from reconciler.core.findings import Severity, Waiver
from reconciler.core.guardrails import InUse, Limits, Threshold
from reconciler.core.keys import AccountRef, Source
from reconciler.core.requirements import Requirement
from reconciler.core.rules import Check, Match, Policy, Rule, WaiverRule
from reconciler.core.scopes import ScopePatterns, parse_scope
from reconciler.core.templates import Template
from reconciler.errors import FilesError
from reconciler.files import policy as policy_module
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.policy import load_policy, load_starter
from reconciler.files.policy_entries import GuardrailsEntry
from reconciler.files.rule_entries import BUILTINS

CONFIG = Path(__file__).parents[2] / "config"
UUID = "3c90c3cc-abcd-4b50-8888-8dd25736052a"
BELOW = "22222222-abcd-4222-8222-222222222222"
REST = "until: 2027-01-31, owner: o, reason: why"
RULE = "version: 1\nrules:\n- {id: r, severity: deny, uses: no-wildcard}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> LoadedPolicy:
    Path("policy.yaml").write_text(text)
    return load_policy([Path("policy.yaml")])


def rule(text: str) -> Rule:
    (only,) = load(f"version: 1\nrules:\n- {{id: r, severity: deny, {text}}}\n").policy.rules
    return only


# Limits


@pytest.mark.parametrize(
    ("guardrails", "limits"),
    [
        ("", Limits()),
        ("guardrails: {}", Limits()),
        ("guardrails: {max_changes: {}}", Limits()),
        ("guardrails: {max_changes: {percent: 0}}", Limits(max_changes=Threshold(0, 5))),
        ("guardrails: {max_changes: {at_least: 0}}", Limits(max_changes=Threshold(30, 0))),
        ("guardrails: {max_switched_off: {percent: 100, at_least: 9}}", Limits(max_switched_off=Threshold(100, 9))),
        ("guardrails: {max_switched_off: {percent: 0}}", Limits(max_switched_off=Threshold(0, 1))),
        ("guardrails: {max_switched_off: {at_least: 0}}", Limits(max_switched_off=Threshold(10, 0))),
        ("guardrails: {allow_restore: [b, a]}", Limits(allow_restore=("a", "b"))),
        ("guardrails: {allow_restore: []}", Limits()),
        ("guardrails: {max_widened: {}}", Limits()),
        ("guardrails: {max_widened: {percent: 20}}", Limits(max_widened=Threshold(20, 0))),
        ("guardrails: {max_widened: {at_least: 2}}", Limits(max_widened=Threshold(0, 2))),
        ("guardrails: {allow_widening: true}", Limits(allow_widening=None)),
        ("guardrails: {allow_widening: false}", Limits(allow_widening=())),
        ("guardrails: {allow_widening: [b, a]}", Limits(allow_widening=("a", "b"))),
        ("guardrails: {in_use: {within: 15m}}", Limits(in_use=InUse(timedelta(minutes=15)))),
        (
            "guardrails: {in_use: {within: 2d, narrowing: true, allow: [b, a]}}",
            Limits(in_use=InUse(timedelta(days=2), narrowing=True, allow=("a", "b"))),
        ),
    ],
)
def test_what_is_not_said_is_the_default(guardrails: str, limits: Limits) -> None:
    """Each part of the guardrails may be left out, and is then as without a policy."""
    assert load(f"version: 1\n{guardrails}\n").limits == limits


def test_nothing_said_is_an_empty_policy() -> None:
    """A policy that says nothing has no rules, waivers and requirements, and the default limits; only a digest."""
    for text in ("version: 1\n", "version: 1\nrules: []\nwaivers: []\nrequire: []\nguardrails: {}\n"):
        loaded = load(text)
        assert loaded.policy.digest is not None
        assert loaded == LoadedPolicy(Policy(digest=loaded.policy.digest), sources=("policy.yaml",))


# Rules


def patterns(*texts: str) -> ScopePatterns:
    return ScopePatterns(texts)


DAYS = timedelta(days=1)
SEPARATE = "{sets: {b: [api-keys:write], a: ['messages:send:*']}}"
PARAMETERS: list[tuple[str, str, KeyCheck | AccountCheck]] = [
    ("no-wildcard", "", builtins.NoWildcard()),
    ("no-wildcard", "{}", builtins.NoWildcard()),
    ("no-global-where-domain-would-do", "", builtins.NoGlobalWhereDomainWouldDo(patterns("*"))),
    (
        "no-global-where-domain-would-do",
        "{scopes: ['messages:send:all']}",
        builtins.NoGlobalWhereDomainWouldDo(patterns("messages:send:all")),
    ),
    ("redundant-scopes", "", builtins.RedundantScopes()),
    ("max-scopes", "{most: 0}", builtins.MaxScopes(0)),
    ("max-scopes", "{most: 12}", builtins.MaxScopes(12)),
    (
        "forbidden-scopes",
        "{scopes: ['messages:send:Shop.Example.com.', 'api-keys:*']}",
        builtins.ForbiddenScopes(patterns("messages:send:{shop.example.com}", "api-keys:*")),
    ),
    (
        "forbidden-scopes",
        "{scopes: [' messages:send:all ', ' messages:send:Shop.Example.com. ', 'api-keys:* ']}",
        builtins.ForbiddenScopes(patterns("messages:send:all", "messages:send:{shop.example.com}", "api-keys:*")),
    ),
    ("require-ip-allow-list", "", builtins.RequireIpAllowList(patterns("*"))),
    ("require-ip-allow-list", "{scopes: [a, b]}", builtins.RequireIpAllowList(patterns("a", "b"))),
    ("widest-network", "{ipv4: 24}", builtins.WidestNetwork(24, 0)),
    ("widest-network", "{ipv6: 48}", builtins.WidestNetwork(0, 48)),
    ("widest-network", "{ipv4: 1, ipv6: 128}", builtins.WidestNetwork(1, 128)),
    ("unreachable-list", "", builtins.UnreachableList()),
    ("label-pattern", "{patterns: ['a-*', b]}", builtins.LabelPattern(("a-*", "b"))),
    ("require-owner", "", builtins.RequireOwner(("*",))),
    ("require-owner", "{owners: ['team-*']}", builtins.RequireOwner(("team-*",))),
    (
        "separate-duties",
        SEPARATE,
        builtins.SeparateDuties({"a": patterns("messages:send:*"), "b": patterns("api-keys:write")}),
    ),
    ("unused-for", "{for: 180d}", builtins.UnusedFor(180 * DAYS)),
    ("unused-for", "{for: 15m}", builtins.UnusedFor(timedelta(minutes=15))),
    ("never-used", "{after: 900s}", builtins.NeverUsed(timedelta(minutes=15))),
    ("never-used", "{after: 36h}", builtins.NeverUsed(1.5 * DAYS)),
    ("older-than", "{age: 90m}", builtins.OlderThan(timedelta(minutes=90))),
    ("older-than", "{age: 999999d}", builtins.OlderThan(999_999 * DAYS)),
    ("older-than", "{age: 7s}", builtins.OlderThan(timedelta(seconds=7))),
    ("unmanaged-key", "", builtins.UnmanagedKey()),
    ("unmanaged-key", "{except: ['legacy-*']}", builtins.UnmanagedKey(("legacy-*",))),
    ("duplicate-label", "", builtins.DuplicateLabel()),
    ("identical-access", "", builtins.IdenticalAccess()),
    ("can-manage-keys", "", builtins.CanManageKeys()),
    ("can-manage-keys", "{except: ['reconciler*', a]}", builtins.CanManageKeys(("reconciler*", "a"))),
]


@pytest.mark.parametrize(("name", "parameters", "check"), PARAMETERS)
def test_parameters_reach_their_rule(name: str, parameters: str, check: Check) -> None:
    """Each built-in rule is made of its parameters, in canonical spelling, with the hint that it brings."""
    made = rule(f"uses: {name}" + (f", with: {parameters}" if parameters else ""))
    assert made == Rule("r", Severity.DENY, check, hint=getattr(check, "hint", ""), source=Source("policy.yaml", 3, 3))


def test_every_built_in_rule_is_tested_and_has_a_reason() -> None:
    """No built-in rule is left out of the table above, and each says in a sentence why it is there."""
    assert {name for name, *_ in PARAMETERS} == BUILTINS.keys()
    assert BUILTINS["no-wildcard"].reason == (
        "No key holds ``*``: whoever has it can do everything, also what AhaSend adds tomorrow."
    )
    assert BUILTINS["unreachable-list"].reason == (
        "A list holds a public IPv4 network: AhaSend answers on IPv4 only, so that without one nobody can use the key."
    )
    assert all(each.reason.endswith(".") and ": " in each.reason for each in BUILTINS.values())


def test_an_expression_is_compiled() -> None:
    """An expression keeps its text and knows what it reads; without a hint of its own it has a general one."""
    made = rule("when: 'key.owner == \"\" && key.managed', message: '{key.name} {{sic}}'")
    assert isinstance(made.check, Expression)
    assert made.check.text == 'key.owner == "" && key.managed'
    assert made.check.names == {"key.owner", "key.managed"}
    assert not made.about_changes
    assert made.message == Template(("", "key.name", " {sic}"))
    assert made.hint == "see why the rule is there, and change the key or ask for a waiver"


def test_a_rule_about_changes_may_show_them() -> None:
    """A rule whose expression names a change is about changes, and its message may show one."""
    made = rule("when: change.direction == 'widen', message: 'it is a {change.direction}'")
    assert made.about_changes
    assert made.message == Template(("it is a ", "change.direction", ""))


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("severity: warn", {"severity": Severity.WARN}),
        ("severity: note", {"severity": Severity.NOTE}),
        ("severity: deny, hint: do it", {"hint": "do it"}),
        ("severity: deny, message: '{key.name}!'", {"message": Template(("", "key.name", "!"))}),
        ("severity: deny, then: quarantine", {"fences": True}),
        ("severity: deny, then: quarantine, match: {managed: false}", {"fences": True, "match": Match(managed=False)}),
        (
            "severity: deny, then: quarantine, match: {label: l*, account: a, sub_account: s}",
            {"fences": True, "match": Match(label="l*", account="a", sub_account="s")},
        ),
        ("severity: deny, then: quarantine, match: {annotations: {}}", {"fences": True}),
        ("severity: deny, match: {}", {}),
        ("severity: deny, match: {managed: true}", {"match": Match(managed=True)}),
        (
            "severity: deny, match: {owner: o*, label: l?, account: a, sub_account: s, annotations: {b: 2*, a: x}}",
            {"match": Match("o*", "l?", "a", "s", None, (("a", "x"), ("b", "2*")))},
        ),
    ],
)
def test_every_field_reaches_its_rule(text: str, changes: dict[str, object]) -> None:
    """A rule is what its entry says, and no more than that."""
    (made,) = load(f"version: 1\nrules:\n- {{id: r, uses: no-wildcard, {text}}}\n").policy.rules
    plain = Rule("r", Severity.DENY, builtins.NoWildcard(), source=Source("policy.yaml", 3, 3))
    assert made == replace(plain, **{"hint": "list the scopes that it needs", **changes})  # type: ignore[arg-type] # fields of Rule


def test_rules_are_sorted_by_id_and_know_their_places() -> None:
    """Rules come in the order of their ids, whatever theirs in the file, each with the place of its entry."""
    rules = load(
        "version: 1\nrules:\n"
        "  - id: b\n    severity: deny\n    uses: no-wildcard\n"
        "  - {id: c, severity: deny, uses: no-wildcard}\n"
        "  -\n    severity: deny\n    uses: no-wildcard\n    id: a\n"
    ).policy.rules
    assert [(each.id, str(each.source)) for each in rules] == [
        ("a", "policy.yaml:8:5"),
        ("b", "policy.yaml:3:5"),
        ("c", "policy.yaml:6:5"),
    ]


# Waivers and requirements


def test_every_field_reaches_its_waiver() -> None:
    """A waiver is what its entry says; it may be for a key or for labels, and for some accounts only."""
    waivers = load(
        f"{RULE}waivers:\n"
        "- {rule: r, key: a, until: 2027-01-31, owner: o, reason: why}\n"
        "- {rule: r, label: 'l-*', account: 'x*', until: 2028-02-29, owner: p, reason: because}\n"
    ).policy.waivers
    assert set(waivers) == {
        WaiverRule("r", date(2027, 1, 31), "o", "why", key="a", source=Source("policy.yaml", 5, 3)),
        WaiverRule(
            "r", date(2028, 2, 29), "p", "because", label="l-*", account="x*", source=Source("policy.yaml", 6, 3)
        ),
    }


def test_ids_in_capitals_are_the_same_ids() -> None:
    """An id of a key, or of an account, is one in capitals, too; a name and a pattern stay as they are written."""
    loaded = load(
        f"{RULE}waivers:\n"
        f"- {{rule: r, key: {UUID.upper()}, account: {BELOW.upper()}, {REST}}}\n"
        f"- {{rule: r, key: Break-Glass, account: 'AB*', {REST}}}\n"
        f"- {{rule: r, label: {UUID.upper()}, {REST}}}\n"
        "require:\n"
        f"- {{can: domains:read, account: {UUID.upper()}, sub_account: {BELOW.upper()}}}\n"
        "- {can: domains:read, account: ACME}\n"
    )
    assert [(each.key, each.label, each.account) for each in loaded.policy.waivers] == [
        (None, UUID.upper(), None),
        (UUID, None, BELOW),
        ("Break-Glass", None, "AB*"),
    ]
    assert {(each.account, each.sub_account) for each in loaded.limits.require} == {(UUID, BELOW), ("ACME", None)}
    meant = subject("x", account=AccountRef(BELOW), remote=remote(UUID, "x"))
    (wildcard,) = loaded.policy.rules
    assert loaded.policy.waived(wildcard, meant) == Waiver("2027-01-31", "o", "why")
    assert loaded.policy.waived(wildcard, replace(meant, account=AccountRef(UUID))) is None
    assert loaded.policy.waived(wildcard, replace(meant, remote=remote(BELOW, "x"))) is None


@pytest.mark.parametrize("until", ["0001-01-01", "2024-02-29", "9999-12-31"])
def test_a_waiver_may_end_on_any_day(until: str) -> None:
    """Also the first and the last day of the calendar are days; whether a waiver is over is not its file's affair."""
    (waiver,) = load(f"{RULE}waivers: [{{rule: r, key: a, until: {until}, owner: o, reason: why}}]\n").policy.waivers
    assert waiver.until.isoformat() == until


def test_every_field_reaches_its_requirement() -> None:
    """What must keep working is a scope in canonical spelling, of any account or of one."""
    required = load(
        "version: 1\nrequire:\n"
        "- {can: messages:send, domain: ' Shop.Example.com. '}\n"
        "- {can: domains:read, account: a, sub_account: s}\n"
    ).limits.require
    assert set(required) == {
        Requirement(parse_scope("messages:send:{shop.example.com}"), source=Source("policy.yaml", 3, 3)),
        Requirement(parse_scope("domains:read"), "a", "s", Source("policy.yaml", 4, 3)),
    }


# The file


def test_a_missing_file_is_an_error() -> None:
    """A policy that is not there is an error here; whether it must be there is its caller's affair."""
    with pytest.raises(FilesError, match=r"^gone\.yaml: cannot be read: no such file or directory$"):
        load_policy([Path("gone.yaml")])


def test_the_digest_is_of_what_the_file_says() -> None:
    """Comments, order of fields, quotes and layout do not change the digest; any value does."""
    first = load("version: 1\nguardrails: {max_changes: {percent: 1, at_least: 2}}\n").policy.digest
    assert first == load("# why\nguardrails:\n  max_changes: {at_least: 2, percent: 1}\nversion: 1\n").policy.digest
    assert first != load("version: 1\nguardrails: {max_changes: {percent: 1, at_least: 3}}\n").policy.digest
    assert load(RULE).policy.digest == load(RULE.replace(": deny", ': "deny"')).policy.digest
    assert load(RULE).policy.digest != load(RULE.replace("deny", "warn")).policy.digest
    digest = "sha256:2430f1a2ad2982d0067885488a4c89e21ad1d7c83b115ba8f1b20acc88dfaea8"
    assert load("version: 1\n").policy.digest == digest


# The starter policy


def test_the_starter_policy_is_the_one_in_the_repository() -> None:
    """`config/policy.yaml` is the starter policy inside the package, byte for byte."""
    inside = Path(policy_module.__file__).with_name("starter.yaml")
    assert (CONFIG / "policy.yaml").read_bytes() == inside.read_bytes()


def test_the_starter_policy_loads() -> None:
    """The starter policy loads, with its own name for a place; its limits are the defaults, and nothing is waived."""
    starter = load_starter()
    assert starter.limits == Limits()
    assert not starter.findings
    assert not starter.policy.waivers
    assert {each.source.file for each in starter.policy.rules if each.source} == {"starter policy"}
    written = load_policy([CONFIG / "policy.yaml"])
    assert written.policy.digest == starter.policy.digest
    assert [(each.id, each.severity, each.match, each.fences) for each in starter.policy.rules] == [
        (each.id, each.severity, each.match, each.fences) for each in written.policy.rules
    ]


def test_the_starter_policy_is_careful() -> None:
    """It holds back only what no key needs, switches nothing off, and uses nearly every built-in rule."""
    rules = load_starter().policy.rules
    assert {each.id for each in rules if each.severity is Severity.DENY} == {"no-wildcard", "unreachable-list"}
    assert not any(each.fences for each in rules)
    kinds = {type(each.check) for each in rules}
    assert {name for name, each in BUILTINS.items() if each.check not in kinds} == {"label-pattern"}
    assert [each.id for each in rules if isinstance(each.check, Expression)] == ["opened-to-everybody"]


def test_every_rule_of_the_starter_policy_is_explained() -> None:
    """A comment stands before each rule and each section, and at the end of each limit."""
    lines = (CONFIG / "policy.yaml").read_text().split("\n")
    sections = ("rules:", "waivers:", "require:", "guardrails:")
    explained = [before for before, line in pairwise(lines) if line.startswith(("  - ", *sections))]
    assert len(explained) == len(load_starter().policy.rules) + len(sections)
    assert all(before.strip().startswith("# ") for before in explained)
    limits = lines[lines.index("guardrails:") + 1 : -1]
    assert {line.strip(" #").partition(":")[0] for line in limits} == {each.name for each in fields(GuardrailsEntry)}
    assert all(" # " in line.removeprefix("#") for line in limits)
