"""What a policy does to a pass, told as stories: files + policy + account, then outcomes and account."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.core.events import ChangeStarted, FindingRaised
from reconciler.core.report import Report, exit_code
from world import (
    ACCOUNT,
    FAMILY_MANAGER,
    OFFICE,
    OTHER,
    World,
    admin,
    below,
    change_of,
    key,
    outcomes,
    sub_account,
)

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
FENCED = ["192.0.2.1/32"]
OTHER_TOKEN = "aha-sk-" + "o" * 64
NO_WILDCARD = "rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]\n"
WAIVED = NO_WILDCARD + "waivers: [{rule: no-wildcard, key: ops, until: 2026-12-24, owner: team-sec, reason: INC-204}]\n"
STRAYS = "rules: [{id: stray, uses: unmanaged-key, severity: warn, then: quarantine}]\n"


def reason(report: Report, name: str) -> str:
    return change_of(report, name).reason or ""


def found(report: Report) -> list[tuple[str, str | None]]:
    """Each finding's rule, and the name or the label of the key."""
    return [(finding.rule, finding.key or finding.label) for finding in report.findings]


# Rules


def test_a_deny_holds_back_what_grants_and_nothing_else(tmp_path: Path) -> None:
    """A key that breaks a deny is given nothing, mixed changes wait whole; it may lose, and be switched off."""
    files = """
        defaults: {ip_allow_list: [203.0.113.0/24]}
        keys:
          - {name: fenced, scopes: ["*"], state: quarantined}
          - {name: mixed, scopes: ["*"], ip_allow_list: [203.0.113.0/25]}
          - {name: narrowed, scopes: ["*"]}
          - {name: renamed, label: New, was: [Old], scopes: ["*"]}
          - {name: right, scopes: ["messages:send:{shop.example.com}", "messages:send:{news.example.com}"]}
          - {name: widened, scopes: ["*"]}
        """
    keys = [
        key(1, "fenced", "*"),
        key(2, "mixed", SHOP),
        key(3, "narrowed", "*", ip_allow_list=[]),
        key(4, "Old", "*"),
        key(5, "right", SHOP),
        key(6, "widened", SHOP),
    ]
    world = World(tmp_path, keys, files, policy=NO_WILDCARD)
    report = world.apply(allowed=frozenset({"max-changes", "guardian"}))
    assert outcomes(report) == {
        "fenced": "applied",
        "mixed": "denied",
        "narrowed": "applied",
        "renamed": "applied",
        "right": "applied",
        "widened": "denied",
    }
    assert reason(report, "widened") == "no-wildcard: widened holds * and may do everything"
    assert (world.remote(1)["ip_allow_list"], world.remote(3)["ip_allow_list"]) == (FENCED, OFFICE)
    assert (world.remote(2)["scopes"], world.remote(6)["scopes"]) == ([SHOP], [SHOP])
    assert [about for _, about in found(report)] == ["fenced", "mixed", "narrowed", "renamed", "widened"]
    assert report.summary.findings.deny == 5
    assert exit_code(report) == 3


@pytest.mark.parametrize("severity", ["warn", "note"])
def test_less_than_a_deny_holds_nothing_back(tmp_path: Path, severity: str) -> None:
    """What is only a warning or a note is told, and the change is made."""
    policy = NO_WILDCARD.replace("deny", severity)
    world = World(tmp_path, [key(1, "ops", SHOP)], 'keys: [{name: ops, scopes: ["*"]}]\n', policy=policy)
    report = world.apply()
    assert outcomes(report) == {"ops": "applied"}
    assert found(report) == [("no-wildcard", "ops")]
    assert exit_code(report) == 0


@pytest.mark.parametrize(
    ("now", "outcome", "told"),
    [
        (datetime(2026, 12, 9, 23, 59, 59, tzinfo=UTC), "applied", ["no-wildcard"]),
        (datetime(2026, 12, 24, 23, 59, 59, tzinfo=UTC), "applied", ["waiver-ends-soon", "no-wildcard"]),
        (datetime(2026, 12, 25, tzinfo=UTC), "denied", ["waiver-ended", "no-wildcard"]),
    ],
)
def test_a_waiver_lets_it_through_until_its_end(tmp_path: Path, now: datetime, outcome: str, told: list[str]) -> None:
    """A waived finding holds nothing back and does not count; at 24:00 UTC of its day the waiver counts as absent."""
    files = 'keys: [{name: ops, scopes: ["*"]}]\n'
    report = World(tmp_path, [key(1, "ops", SHOP)], files, policy=WAIVED, now=now).apply()
    assert outcomes(report) == {"ops": outcome}
    assert [finding.rule for finding in report.findings] == told
    waiver = report.findings[-1].waived
    assert (waiver is not None and waiver.reason == "INC-204") is (outcome == "applied")
    assert report.summary.findings.deny == (outcome == "denied")


def test_what_is_about_nothing_is_told_in_each_pass(tmp_path: Path) -> None:
    """A waiver for a key that no file has, and a pause that is over, are told; neither holds anything back."""
    files = """
        keys: [{name: shop, scopes: ["messages:send:{shop.example.com}"], paused: {reason: move, until: 2026-11-01}}]
        """
    world = World(tmp_path, [key(1, "shop", NEWS)], files, policy=WAIVED)
    report = world.apply()
    assert outcomes(report) == {"shop": "applied"}
    assert [finding.rule for finding in report.findings] == ["pause-ended", "waiver-matches-nothing"]
    assert report.findings[1].message == "the waiver of no-wildcard for ops: the files have no key of that name"


def test_a_rule_that_cannot_be_evaluated_holds_back(tmp_path: Path) -> None:
    """A rule that has no value for a key counts as broken, with deny, however mild it is, and says so."""
    policy = """
        rules: [{id: tier, severity: note, when: 'key.annotations["tier"] == "low"', message: low}]
        """
    files = """
        keys:
          - {name: told, scopes: ["messages:send:all"], annotations: {tier: high}}
          - {name: untold, scopes: ["messages:send:all"]}
        """
    report = World(tmp_path, [key(1, "told", SHOP), key(2, "untold", SHOP)], files, policy=policy).apply()
    assert outcomes(report) == {"told": "applied", "untold": "denied"}
    assert reason(report, "untold").startswith("tier: untold could not be judged, which counts as broken: ")
    assert [finding.severity.value for finding in report.findings] == ["deny"]


def test_a_right_does_not_leave_while_its_arrival_is_denied(tmp_path: Path) -> None:
    """What a denied change was to grant is not taken from the key that has it."""
    files = """
        keys:
          - {name: new, scopes: ["messages:send:{shop.example.com}"], owner: nobody}
          - {name: old, scopes: ["domains:read"]}
        """
    policy = "rules: [{id: owned, uses: require-owner, severity: deny, with: {owners: ['team-*']}}]\n"
    world = World(tmp_path, [key(1, "new", NEWS), key(2, "old", SHOP, "domains:read")], files, policy=policy)
    report = world.apply()
    assert outcomes(report) == {"new": "denied", "old": "skipped"}
    assert "what the change of new was to grant, and that one is denied" in reason(report, "old")
    assert world.puts == 0


def test_a_rule_about_changes(tmp_path: Path) -> None:
    """It is asked of changes only, those too that switch off what no file names, and sees what they grant."""
    policy = """
        rules:
          - id: opened
            severity: deny
            when: '"anywhere" in change.granted && change.action != "create"'
            message: "{key.name} would be open, {change.direction}: {change.granted}"
          - {id: fencing, severity: deny, when: 'change.action == "quarantine"', message: "{key.label} is to go"}
        """
    files = """
        unmanaged: {then: quarantine}
        keys:
          - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}
          - {name: opened, scopes: ["domains:read", "suppressions:read"], ip_allow_list: []}
          - {name: still-open, scopes: ["domains:read"], ip_allow_list: []}
        """
    keys = [
        key(1, "opened", "domains:read"),
        key(2, "still-open", "domains:read", ip_allow_list=[]),
        key(3, "stranger", "domains:read"),
    ]
    report = World(tmp_path, keys, files, policy=policy).apply()
    assert outcomes(report) == {"opened": "denied", "unmanaged stranger": "applied"}
    assert reason(report, "opened") == "opened: opened would be open, widen: suppressions:read, anywhere"
    assert [finding.message for finding in report.findings][1:] == ["stranger is to go"]


def test_findings_are_told_before_anything_is_written(tmp_path: Path) -> None:
    """The observer knows what the policy found before the first write, and the report names the policy."""
    files = 'keys: [{name: ops, scopes: ["*"]}, {name: shop, scopes: ["messages:send:all"]}]\n'
    world = World(tmp_path, [key(1, "ops", SHOP), key(2, "shop", SHOP)], files, policy=NO_WILDCARD)
    report = world.apply()
    kinds = [type(event) for event in world.events]
    assert kinds.index(FindingRaised) < kinds.index(ChangeStarted)
    assert (report.policy or "").startswith("sha256:")
    world.policy = ""
    assert world.plan().policy is None


def test_a_dry_run_judges_as_a_pass_does(tmp_path: Path) -> None:
    """A plan has the outcomes and findings of the pass, the same digest, and writes nothing."""
    files = 'keys: [{name: ops, scopes: ["*"]}]\n'
    world = World(tmp_path, [key(1, "ops", SHOP)], files, policy=NO_WILDCARD)
    planned, applied = world.plan(), world.apply()
    assert (planned.accounts, planned.findings, planned.digest) == (applied.accounts, applied.findings, applied.digest)
    assert world.puts == 0


# What unmanaged keys break


def test_a_rule_may_switch_off_keys_of_no_file(tmp_path: Path) -> None:
    """It fences those that break it, but what unmanaged exempts or a waiver accepts; then there is nothing to do."""
    policy = STRAYS + "waivers: [{rule: stray, label: 'pardoned*', until: 2027-12-31, owner: o, reason: r}]\n"
    files = """
        unmanaged: {then: report, except: ["legacy*"]}
        keys: [{name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}]
        """
    keys = [
        key(1, "stray", "domains:read"),
        key(2, "legacy", "domains:read"),
        key(3, "pardoned", "domains:read"),
        key(4, "sender", SHOP),
        key(5, "young", "domains:read", created_at="2026-11-22T12:00:01Z"),
    ]
    world = World(tmp_path, keys, files, policy=policy)
    report = world.apply()
    assert outcomes(report) == {"unmanaged stray": "applied"}
    (change,) = report.changes
    assert (change.source and (Path(change.source.file).name, change.source.line)) == (
        f"{tmp_path.name}-policy.yaml",
        2,
    )
    assert [number for number in range(1, 6) if world.remote(number)["ip_allow_list"] == FENCED] == [1]
    assert [(finding.label, finding.waived is None) for finding in report.findings] == [
        ("stray", True),
        ("pardoned", False),
    ]
    assert world.apply().changes == ()


def test_what_a_rule_switches_off_counts(tmp_path: Path) -> None:
    """As many as max-switched-off allows are fenced; one more, and none is."""
    keys = [key(number, f"stray {number}", "domains:read") for number in (1, 2)]
    files = 'keys: [{name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}]\n'
    world = World(tmp_path, keys, files, policy=STRAYS)
    report = world.apply()
    assert set(outcomes(report).values()) == {"refused"}
    assert [(each.guardrail, each.limit, each.actual) for each in report.refusals] == [("max-switched-off", 1, 2)]
    assert world.puts == 0
    world.policy = STRAYS + "guardrails: {max_switched_off: {percent: 0, at_least: 2}}\n"
    assert set(outcomes(world.apply()).values()) == {"applied"}


def test_a_rule_waits_for_unmatched_keys(tmp_path: Path) -> None:
    """While a desired key is not matched, a rule tells of a stray key but leaves it alone: it may be that one."""
    files = """
        keys:
          - {name: missing, scopes: ["suppressions:read"]}
          - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"]}
        """
    report = World(tmp_path, [key(1, "stray", "domains:read")], files, policy=STRAYS).apply()
    assert outcomes(report) == {"missing": "skipped"}
    assert found(report) == [("stray", "stray"), ("unmanaged-waits", "missing")]


# Several accounts


def test_each_account_is_judged_by_what_is_about_it(tmp_path: Path) -> None:
    """A rule and a waiver may be for some accounts only; what one account breaks holds back nothing in the other."""
    files = f"""version: 1
account: {ACCOUNT}
keys: [{{name: ops, scopes: ["*"]}}, {{name: shop, scopes: ["domains:read", "suppressions:read"]}}]
"""
    policy = f"""
        rules:
          - {{id: no-wildcard, uses: no-wildcard, severity: deny}}
          - {{id: kept, severity: deny, when: 'key.name == "shop"', message: no!, match: {{account: "{OTHER[:8]}*"}}}}
        waivers:
          - {{rule: no-wildcard, key: ops, account: "{OTHER}", until: 2027-12-31, owner: o, reason: r}}
        """
    other = {
        "id": OTHER,
        "keys": [admin(OTHER, OTHER_TOKEN), key(11, "ops", "domains:read"), key(12, "shop", "domains:read")],
    }
    keys = [key(1, "ops", "domains:read"), key(2, "shop", "domains:read")]
    world = World(tmp_path, keys, files, policy=policy, more_accounts=(other,))
    theirs = files.replace(ACCOUNT, f"{{id: {OTHER}, credential: other}}")
    world.folder.joinpath("other.yaml").write_text(theirs, encoding="utf-8")
    world.tokens["other"] = OTHER_TOKEN
    report = world.apply()
    told = [[(change.name, change.outcome.value) for change in account.changes] for account in report.accounts]
    assert told == [[("ops", "denied"), ("shop", "applied")], [("ops", "applied"), ("shop", "denied")]]
    assert exit_code(report) == 3


def test_sub_accounts_are_judged_by_name(tmp_path: Path) -> None:
    """A rule may be about the keys of some sub accounts alone, by their names."""
    files = """
        sub_accounts:
          - select: {name: "*"}
            keys: [{name: sender, scopes: ["messages:send:all"]}]
        """
    policy = """
        rules:
          - {id: one-domain, uses: no-global-where-domain-would-do, severity: deny, match: {sub_account: "Acme *"}}
        """
    names = ("Acme East", "Beta")
    world = World(
        tmp_path,
        [],
        files,
        policy=policy,
        manager=FAMILY_MANAGER,
        sub_accounts=tuple(sub_account(n, name, key(n + 1, "sender", SHOP)) for n, name in enumerate(names)),
    )
    report = world.apply()
    assert [
        (account.sub_account_name, *(change.outcome.value for change in account.changes)) for account in report.accounts
    ] == [
        (None,),
        ("Acme East", "denied"),
        ("Beta", "applied"),
    ]
    assert [(finding.rule, finding.sub_account_id) for finding in report.findings] == [("one-domain", below(0))]
