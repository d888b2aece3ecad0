"""Several policies are as strict as the strictest of them; a folder of files is one, whatever their names and order."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest

from builders import spec
from core.rulebook import subject
from reconciler.core import builtins
from reconciler.core.expressions import Expression
from reconciler.core.findings import Severity, Waiver
from reconciler.core.guardrails import InUse, Limits, Threshold
from reconciler.core.keys import AccountRef
from reconciler.errors import FilesError
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.policy import load_policy

V = "version: 1\n"
UUID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
RULE = "rules: [{id: r, severity: deny, uses: no-wildcard}]\n"
SEVERITIES = ("deny", "warn", "note")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(*texts: str) -> LoadedPolicy:
    """Load files a.yaml, b.yaml and so on."""
    for name, text in zip("abcdef", texts, strict=False):
        Path(f"{name}.yaml").write_text(V + text)
    return load_policy([Path(f"{name}.yaml") for name in "abcdef"[: len(texts)]])


def load_folder(*texts: str) -> LoadedPolicy:
    """Load files one/a.yaml, one/b.yaml and so on, as the one policy that their folder is."""
    shutil.rmtree("one", ignore_errors=True)
    Path("one").mkdir()
    for name, text in zip("abcdef", texts, strict=False):
        Path(f"one/{name}.yaml").write_text(V + text)
    return load_policy([Path("one")])


def refused(*texts: str, load: Callable[..., LoadedPolicy] = load) -> list[str]:
    with pytest.raises(FilesError) as caught:
        load(*texts)
    return str(caught.value).split("\n")


def meaning(loaded: LoadedPolicy) -> tuple[object, ...]:
    """Give all that policies mean, each known by its rules, without the places where it is said."""
    policy = loaded.policy
    told = {n: frozenset(rule.id for rule in policy.rules if n in rule.policies) for n in range(len("abcdef"))}
    rules = [
        (rule.id, rule.severity, _check(rule.check), rule.message, rule.hint, rule.match, rule.fences)
        for rule in policy.rules
    ]
    waivers = [(replace(waiver, source=None, policy=0), told[waiver.policy]) for waiver in policy.waivers]
    require = tuple(replace(each, source=None) for each in loaded.limits.require)
    return rules, waivers, replace(loaded.limits, require=require), policy.digest


def _check(check: object) -> object:
    return check.text if isinstance(check, Expression) else check


SECURITY = """\
rules:
  - {id: no-wildcard, uses: no-wildcard, severity: deny}
  - {id: expression, when: key.owner == "", message: "{key.name} has no owner", severity: note}
  - {id: old, uses: older-than, with: {age: 365d}, severity: warn}
waivers:
  - {rule: old, label: "legacy-*", until: 2027-06-30, owner: team-sec, reason: moving}
  - {rule: no-wildcard, key: break-glass, until: 2027-01-31, owner: team-sec, reason: INC-204}
require:
  - {can: messages:send, domain: shop.example.com}
guardrails:
  max_changes: {percent: 30, at_least: 3}
  max_switched_off: {percent: 5}
  allow_widening: [a, b, c]
  allow_restore: [a, b]
  in_use: {within: 1d, allow: [a, b]}
"""
PLATFORM = """\
guardrails:
  in_use: {within: 2h, narrowing: true, allow: [b, c]}
  allow_restore: [c, b]
  allow_widening: [b, c, d]
  max_changes: {percent: 10}
  max_widened: {percent: 50}
require:
  - {can: domains:read, account: x}
  - {can: messages:send, domain: SHOP.example.com.}
waivers:
  - {rule: no-wildcard, key: break-glass, until: 2026-12-31, owner: team-platform, reason: sooner}
rules:
  - {severity: deny, id: old, uses: older-than, with: {age: 8760h}}
  - {severity: deny, id: expression, when: key.owner == "", message: "{key.name} has no owner"}
  - {severity: warn, id: no-wildcard, uses: no-wildcard}
"""
COMPLIANCE = """\
rules:
  - {id: no-wildcard, uses: no-wildcard, severity: note}
  - {id: old, uses: older-than, with: {age: 365d}, severity: note}
  - {id: another, uses: redundant-scopes, severity: note}
waivers:
  - {rule: no-wildcard, key: break-glass, account: x, until: 2028-01-31, owner: o, reason: r}
guardrails:
  max_changes: {at_least: 4}
  max_widened: {at_least: 2}
  max_switched_off: {percent: 20, at_least: 0}
  allow_widening: true
"""


def test_the_strictest_of_three_policies_holds() -> None:
    """Rules are as serious as in the strictest policy, all waivers are kept, limits are the lowest of each."""
    loaded = load(SECURITY, PLATFORM, COMPLIANCE)
    assert [(rule.id, str(rule.severity), str(rule.source)) for rule in loaded.policy.rules] == [
        ("another", "note", "c.yaml:5:5"),
        ("expression", "deny", "b.yaml:15:5"),
        ("no-wildcard", "deny", "a.yaml:3:5"),
        ("old", "deny", "b.yaml:14:5"),
    ]
    assert [(rule.id, sorted(rule.policies)) for rule in loaded.policy.rules] == [
        ("another", [2]),
        ("expression", [0, 1]),
        ("no-wildcard", [0, 1, 2]),
        ("old", [0, 1, 2]),
    ]
    assert [(str(each), each.account, str(each.until), each.policy) for each in loaded.policy.waivers] == [
        ("the waiver of no-wildcard for break-glass", None, "2026-12-31", 1),
        ("the waiver of no-wildcard for break-glass", None, "2027-01-31", 0),
        ("the waiver of no-wildcard for break-glass", "x", "2028-01-31", 2),
        ("the waiver of old for labels like 'legacy-*'", None, "2027-06-30", 0),
    ]
    key = subject("b", spec=spec("break-glass"))
    wildcard, old = loaded.policy.rules[2:]
    of_x = replace(key, account=AccountRef("x"))
    assert [loaded.policy.waived(wildcard, one) for one in (key, of_x)] == [
        None,
        Waiver("2026-12-31", "team-platform", "sooner"),
    ]
    assert loaded.policy.waived(old, subject("legacy-1")) is None
    assert [(str(each), each.account, str(each.source)) for each in loaded.limits.require] == [
        ("domains:read", "x", "b.yaml:9:5"),
        ("messages:send for shop.example.com", None, "a.yaml:10:5"),
    ]
    assert replace(loaded.limits, require=()) == Limits(
        max_changes=Threshold(10, 3),
        max_switched_off=Threshold(5, 0),
        max_widened=Threshold(0, 0),
        allow_widening=("b", "c"),
        allow_restore=("b",),
        in_use=InUse(timedelta(days=1), narrowing=True, allow=("b",)),
    )


def test_order_and_names_of_files_do_not_matter() -> None:
    """Whichever of three policies, or of the files of one, comes first, they mean the same and have one digest."""
    expected = meaning(load(SECURITY, PLATFORM, COMPLIANCE))
    folder = meaning(load_folder(SECURITY, PLATFORM, COMPLIANCE))
    for texts in permutations((SECURITY, PLATFORM, COMPLIANCE)):
        assert meaning(load(*texts)) == expected
        assert meaning(load_folder(*texts)) == folder
    paths = [Path(f"{name}.yaml") for name in "abc"]
    once = load_policy(paths)
    for order in permutations(paths):
        assert meaning(load_policy(order)) == meaning(once)
        assert [rule.source for rule in load_policy(order).policy.rules] == [rule.source for rule in once.policy.rules]


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        (["", ""], Limits()),
        (["max_changes: {percent: 10}", ""], Limits(max_changes=Threshold(10, 5))),
        (["max_changes: {percent: 10}", "max_changes: {}"], Limits(max_changes=Threshold(10, 5))),
        (["max_changes: {percent: 10}", "max_changes: {percent: 9}"], Limits(max_changes=Threshold(9, 5))),
        (["max_changes: {percent: 0}", "max_changes: {at_least: 0}"], Limits(max_changes=Threshold(0, 0))),
        (["max_changes: {percent: 60}", "max_changes: {percent: 50}"], Limits(max_changes=Threshold(50, 5))),
        (
            ["max_switched_off: {at_least: 3}", "max_switched_off: {at_least: 2}"],
            Limits(max_switched_off=Threshold(10, 2)),
        ),
        (["max_changes: {percent: 50}", "max_changes: {at_least: 10}"], Limits()),
        (["max_changes: {percent: 29}", "max_changes: {at_least: 4}"], Limits(max_changes=Threshold(29, 4))),
        (["max_changes: {percent: 31}", "max_changes: {at_least: 6}"], Limits()),
        (
            ["max_changes: {percent: 50, at_least: 9}", "max_changes: {at_least: 10}"],
            Limits(max_changes=Threshold(30, 9)),
        ),
        (
            ["max_switched_off: {percent: 50}", "max_switched_off: {percent: 60, at_least: 0}"],
            Limits(max_switched_off=Threshold(50, 0)),
        ),
        (["max_switched_off: {percent: 50}", "max_switched_off: {at_least: 10}"], Limits()),
        (["max_widened: {percent: 3, at_least: 1}", "max_widened: {}"], Limits(max_widened=Threshold(3, 1))),
        (
            ["max_widened: {percent: 3, at_least: 1}", "max_widened: {percent: 2, at_least: 4}"],
            Limits(max_widened=Threshold(2, 1)),
        ),
        (["max_widened: {percent: 3}", ""], Limits(max_widened=Threshold(3, 0))),
        (["max_widened: {percent: 3}", "max_widened: {at_least: 1}"], Limits(max_widened=Threshold(0, 0))),
        (["allow_widening: true", "allow_widening: [a]"], Limits(allow_widening=("a",))),
        (["allow_widening: [a]", "allow_widening: false"], Limits(allow_widening=())),
        (["allow_widening: [a]", "allow_widening: [b]"], Limits(allow_widening=())),
        (["allow_widening: true", "allow_widening: true"], Limits()),
        (["allow_restore: [a, b]", ""], Limits(allow_restore=("a", "b"))),
        (["allow_restore: [a, b]", "allow_restore: []"], Limits()),
        (["allow_restore: [a, b]", "allow_restore: [b, c]"], Limits(allow_restore=("b",))),
        (["in_use: {within: 1h, allow: [a]}", ""], Limits(in_use=InUse(timedelta(hours=1), allow=("a",)))),
        (["in_use: {within: 1h, allow: [a]}", "in_use: {within: 15m}"], Limits(in_use=InUse(timedelta(hours=1)))),
        (
            ["in_use: {within: 1h, narrowing: true}", "in_use: {within: 2h, narrowing: false}"],
            Limits(in_use=InUse(timedelta(hours=2), narrowing=True)),
        ),
    ],
)
def test_the_strictest_limit_wins(said: list[str], limits: Limits) -> None:
    """Of each limit the strictest that any file says, or means by the default of what it leaves out, holds."""
    texts = [f"guardrails: {{{each}}}\n" for each in said]
    assert load(*texts).limits == load(*reversed(texts)).limits == limits


PLAIN = "id: r, severity: deny, uses: forbidden-scopes, with: {scopes: ['a:*']}"


@pytest.mark.parametrize(
    "other",
    [
        "id: r, severity: deny, uses: no-wildcard",
        "id: r, severity: deny, uses: forbidden-scopes, with: {scopes: ['b:*']}",
        "id: r, severity: deny, when: key.managed, message: m",
        f"{PLAIN}, message: m",
        f"{PLAIN}, hint: h",
        f"{PLAIN}, match: {{owner: o}}",
        f"{PLAIN}, then: quarantine",
        "id: r, severity: note, uses: forbidden-scopes, with: {scopes: ['b:*']}",
    ],
)
def test_contradictory_rules_are_an_error(other: str) -> None:
    """One id for two rules that differ in more than how serious they are is an error that names both places."""
    one, two = f"rules: [{{{PLAIN}}}]\n", f"rules:\n- {{{other}}}\n"
    assert refused(one, two) == [
        "b.yaml:3:8: id: there is another rule r at a.yaml:2:9: give one of them another id",
    ]
    assert refused(two, one) == [
        "b.yaml:2:14: id: there is another rule r at a.yaml:3:3: give one of them another id",
    ]


def test_expressions_are_compared_by_their_text() -> None:
    """Two expressions are the same rule when they are written alike; what else might mean the same is not guessed."""
    rule = "rules: [{id: r, severity: SEVERITY, message: m, when: 'key.owner == \"\"'}]\n"
    deny, warn = rule.replace("SEVERITY", "deny"), rule.replace("SEVERITY", "warn")
    assert [each.severity for each in load(warn, deny).policy.rules] == [Severity.DENY]
    assert [each.severity for each in load(deny, warn).policy.rules] == [Severity.DENY]
    assert refused(deny, warn.replace("==", "== ")) == [
        "b.yaml:2:14: id: there is another rule r at a.yaml:2:9: give one of them another id",
    ]


def test_each_contradiction_is_told() -> None:
    """Of three files that contradict each other, and one that does not, each later one is told."""
    rule = "rules: [{id: r, severity: deny, uses: USES}]\n"
    texts = [rule.replace("USES", uses) for uses in ("no-wildcard", "duplicate-label", "no-wildcard", "unmanaged-key")]
    assert refused(*texts) == [
        "b.yaml:2:14: id: there is another rule r at a.yaml:2:9: give one of them another id",
        "d.yaml:2:14: id: there is another rule r at a.yaml:2:9: give one of them another id",
    ]


@pytest.mark.parametrize("other", SEVERITIES)
@pytest.mark.parametrize("severities", list(permutations(SEVERITIES, 2)))
def test_a_rule_twice_in_one_file_is_told(severities: tuple[str, str], other: str) -> None:
    """A rule twice in one file is an error that shows both of its places, whatever stands in files before and after."""
    rule = "{id: r, severity: SEVERITY, uses: no-wildcard}"
    once = f"rules: [{rule.replace('SEVERITY', other)}]\n"
    twice = "rules:\n" + "".join(f"- {rule.replace('SEVERITY', each)}\n" for each in severities)
    told = "id: there is another rule r at FILE:3:3: give one of them another id"
    assert refused(once, twice) == [f"b.yaml:4:8: {told.replace('FILE', 'b.yaml')}"]
    assert refused(twice, once) == [f"a.yaml:4:8: {told.replace('FILE', 'a.yaml')}"]
    assert refused(once, twice, once) == [f"b.yaml:4:8: {told.replace('FILE', 'b.yaml')}"]


def test_a_rule_twice_and_in_another_file_is_told_by_the_nearest() -> None:
    """The first of a file is held against the other file, the second against the first of its own."""
    one = "rules: [{id: r, severity: deny, uses: no-wildcard}]\n"
    two = "rules:\n- {id: r, severity: deny, uses: duplicate-label}\n- {id: r, severity: deny, uses: no-wildcard}\n"
    assert refused(one, two) == [
        "b.yaml:3:8: id: there is another rule r at a.yaml:2:9: give one of them another id",
        "b.yaml:4:8: id: there is another rule r at b.yaml:3:3: give one of them another id",
    ]


BOTH = frozenset({0, 1})
WAIVER = "waivers: [{rule: r, key: a, until: 2027-01-31, owner: o, reason: r}]\n"


def test_a_waiver_may_be_for_a_rule_of_another_file() -> None:
    """Waivers, and the rules that they are for, may stand in different files of one policy, in any order."""
    for texts in ((WAIVER, RULE), (RULE, WAIVER)):
        policy = load_folder(*texts).policy
        (rule,) = policy.rules
        assert policy.waived(rule, subject("b", spec=spec("a"))) == Waiver("2027-01-31", "o", "r")
    assert refused(WAIVER, RULE.replace("id: r", "id: s"), load=load_folder) == [
        'one/a.yaml:2:18: rule: there is no rule "r": the rules are s'
    ]


def test_a_waiver_is_for_a_rule_of_its_own_policy() -> None:
    """A policy waives no rule of another one, and is told that it is the other one's; nor one that there is not."""
    theirs = 'rule: there is no rule "r" in this policy: another one has it, and it is waived there'
    other = RULE.replace("id: r", "id: q")
    assert refused(WAIVER, RULE) == refused(WAIVER + other, RULE) == [f"a.yaml:2:18: {theirs}"]
    assert refused(RULE, WAIVER) == [f"b.yaml:2:18: {theirs}"]
    assert refused(WAIVER + other, RULE.replace("id: r", "id: s")) == [
        'a.yaml:2:18: rule: there is no rule "r": the rules are q'
    ]


def test_a_rule_of_two_policies_is_waived_by_both() -> None:
    """A team cannot waive what the organisation forbids, although it says the same rule again, milder."""
    key = subject("b", spec=spec("a"))
    mine = RULE.replace("deny", "note") + WAIVER
    for texts, waived in (
        ((RULE, mine), None),
        ((mine, RULE), None),
        ((RULE + WAIVER, mine), Waiver("2027-01-31", "o", "r")),
        ((RULE + WAIVER.replace("2027-01", "2027-03"), mine), Waiver("2027-01-31", "o", "r")),
        ((RULE + WAIVER.replace("2027-01", "2026-12"), mine), Waiver("2026-12-31", "o", "r")),
    ):
        policy = load(*texts).policy
        (rule,) = policy.rules
        assert (rule.severity, rule.policies, policy.waived(rule, key)) == (Severity.DENY, BOTH, waived)


def test_which_files_are_one_policy_is_part_of_the_digest() -> None:
    """Two files of a folder and the same two as policies of their own do not mean the same."""
    other = RULE.replace("id: r", "id: s")
    assert load_folder(RULE, other).policy.digest != load(RULE, other).policy.digest
    assert load_folder(RULE).policy.digest == load(RULE).policy.digest


def test_waivers_of_different_things_are_all_kept() -> None:
    """Only of waivers for the same rule, key, label and account the one that ends first is kept."""
    rules = "rules: [{id: r, severity: deny, uses: no-wildcard}, {id: s, severity: deny, uses: duplicate-label}]\n"

    def waivers(*said: tuple[str, int]) -> str:
        lines = (f"- {{{whose}, until: 2027-03-0{day}, owner: o, reason: x}}\n" for whose, day in said)
        return f"waivers:\n{''.join(lines)}"

    first = rules + waivers(
        ("rule: r, key: a", 1),
        ("rule: r, key: b", 2),
        ("rule: r, label: a", 3),
        ("rule: r, label: b", 6),
        ("rule: s, key: a", 4),
        ("rule: r, key: a, account: x", 5),
    )
    second = waivers(("rule: r, key: b", 1), ("rule: r, key: a", 2))
    for loaded in (load_folder(first, second), load_folder(second, first)):
        kept = [(each.rule, each.key, each.label, each.account, each.until.day) for each in loaded.policy.waivers]
        assert kept == [
            ("r", None, "a", None, 3),
            ("r", None, "b", None, 6),
            ("r", "a", None, None, 1),
            ("r", "a", None, "x", 5),
            ("r", "b", None, None, 1),
            ("s", "a", None, None, 4),
        ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("key: break-glass", "key: break-glass"),
        ("label: 'x-*'", "label: 'x-*'"),
        ("key: break-glass, account: x", "key: break-glass, account: x"),
        (f"key: {UUID}", f"key: {UUID.upper()}"),
        (f"key: a, account: {UUID.upper()}", f"key: a, account: {UUID}"),
    ],
)
def test_of_two_waivers_the_earlier_end_wins(one: str, two: str) -> None:
    """Of waivers for the same in two files of a policy the first to end holds, with its owner, reason and place."""
    early = f"waivers:\n- {{rule: r, {one}, until: 2027-01-31, owner: z, reason: first}}\n"
    late = f"waivers: [{{rule: r, {two}, until: 2027-02-01, owner: a, reason: second}}]\n"
    for texts, place in (((early, late, RULE), "one/a.yaml:3:3"), ((late, early, RULE), "one/b.yaml:3:3")):
        (kept,) = load_folder(*texts).policy.waivers
        assert (str(kept.until), kept.owner, kept.reason, str(kept.source)) == ("2027-01-31", "z", "first", place)


def test_of_waivers_with_one_end_the_same_is_kept() -> None:
    """Of waivers that end on one day the one is kept whose owner and then whose reason come first, in any order."""
    said = (("a", "z"), ("b", "u"), ("b", "v"))
    texts = [f"waivers: [{{rule: r, key: k, until: 2027-01-31, owner: {o}, reason: {why}}}]\n" for o, why in said]
    for order in permutations(texts):
        assert [(each.owner, each.reason) for each in load_folder(RULE, *order).policy.waivers] == [("a", "z")]
    for order in permutations(texts[1:]):
        assert [(each.owner, each.reason) for each in load_folder(RULE, *order).policy.waivers] == [("b", "u")]


def test_requirements_of_different_accounts_are_all_kept() -> None:
    """What must keep working in one account, or below it, must in each of them."""
    whose = ("", ", account: a", ", account: b", ", account: a, sub_account: s", ", account: a, sub_account: t")
    texts = [f"require: [{{can: domains:read{each}}}, {{can: domains:read}}]\n" for each in whose]
    assert {(each.account, each.sub_account) for each in load(*texts).limits.require} == {
        (None, None),
        ("a", None),
        ("b", None),
        ("a", "s"),
        ("a", "t"),
    }
    assert len(load(*texts).limits.require) == len(whose)


def test_a_folder_is_its_files() -> None:
    """A folder is one policy, read whole; a file that is named alone is one, too, and counts once if named twice."""
    for path in ("policy/a.yaml", "policy/deep/b.yml", "policy/.hidden.yaml", "policy/notes.txt", "elsewhere/c.yaml"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"{V}rules: [{{id: {Path(path).stem.strip('.')}, severity: deny, uses: no-wildcard}}]\n")

    def rules(*paths: str) -> list[tuple[str, str, list[int]]]:
        loaded = load_policy([Path(path) for path in paths])
        return [(each.id, str(each.source), sorted(each.policies)) for each in loaded.policy.rules]

    assert rules("policy") == [("a", "policy/a.yaml:2:9", [0]), ("b", "policy/deep/b.yml:2:9", [0])]
    assert rules("policy/deep/b.yml", "policy/a.yaml", "policy/a.yaml") == [
        ("a", "policy/a.yaml:2:9", [0]),
        ("b", "policy/deep/b.yml:2:9", [1]),
    ]
    assert rules("policy", "elsewhere/c.yaml") == [
        ("a", "policy/a.yaml:2:9", [1]),
        ("b", "policy/deep/b.yml:2:9", [1]),
        ("c", "elsewhere/c.yaml:2:9", [0]),
    ]
    with pytest.raises(FilesError) as caught:
        rules("policy", "policy/a.yaml")
    told = "is read twice, for policy and for policy/a.yaml: name one of the two"
    assert str(caught.value).startswith(f"policy/a.yaml: {told}")
    Path("policy/d.yaml").symlink_to("a.yaml")
    assert rules("policy") == [("a", "policy/a.yaml:2:9", [0]), ("b", "policy/deep/b.yml:2:9", [0])]


def test_a_rule_may_be_said_again() -> None:
    """The same rule in two files is one rule, at its first place, as serious as the stricter of them says."""
    rule = "rules: [{id: r, severity: warn, uses: older-than, with: {age: 1d}}]\n"
    (one,) = load(rule, rule.replace("1d", "24h")).policy.rules
    assert one.check == builtins.OlderThan(timedelta(days=1))
    assert str(one.source) == "a.yaml:2:9"
    (one,) = load(rule, rule.replace("warn", "note")).policy.rules
    assert (one.severity, str(one.source)) == (Severity.WARN, "a.yaml:2:9")
    (one,) = load(rule, rule.replace("warn", "deny")).policy.rules
    assert (one.severity, str(one.source)) == (Severity.DENY, "b.yaml:2:9")
