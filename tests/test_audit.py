"""Audits, told as stories: policy + account, then what is found. Nothing is ever written."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from looking import audit, saved
from reconciler.ahasend.pace import Stop
from reconciler.core.events import AccountListed, Event, FindingRaised, PassFinished, PassStarted
from reconciler.core.findings import Finding, Severity, Waiver
from reconciler.core.keys import AccountRef
from reconciler.core.report import AccountStatus, Mode, Report, ReportedFinding, audit_exit_code
from reconciler.logs import LogFormat, LogLevel, log_observer
from reconciler.reconcile import Patience
from world import ACCOUNT, FAMILY_MANAGER, NOON, OTHER, World, below, key, key_id, sub_account

SHOP = "messages:send:{shop.example.com}"
NO_WILDCARD = "rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]\n"
MUST_SEND = 'require: [{domain: shop.example.com, can: "messages:send"}]\n'
FILES = """
defaults: {ip_allow_list: [203.0.113.0/24]}
keys:
  - {name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}
  - {name: shop, scopes: ["messages:send:{shop.example.com}"], owner: team-shop}
"""


def found(report: Report) -> list[tuple[str, str, str | None]]:
    """Each finding's rule, severity, and the name or the label of the key."""
    return [(each.rule, each.severity.value, each.key or each.label) for each in report.findings]


def place(finding: ReportedFinding) -> tuple[str, int] | None:
    """The file's name and the line that a finding is about."""
    return (Path(finding.source.file).name, finding.source.line) if finding.source else None


def test_every_actual_key_is_judged(tmp_path: Path) -> None:
    """Keys of files and of none are judged as they are; a finding has what the files say of the key."""
    world = World(tmp_path, [key(1, "shop", "*"), key(2, "stray", "*")], FILES, policy=NO_WILDCARD)
    report = audit(world)
    named, stray = report.findings
    assert (named.key, named.key_id, named.label, named.message) == (
        "shop",
        key_id(1),
        "shop",
        "shop holds * and may do everything",
    )
    assert place(named) == ("keys.yaml", 7)
    assert (stray.key, stray.key_id, stray.source) == (None, key_id(2), None)
    assert stray.message == "unmanaged key 'stray' holds * and may do everything"
    assert {(each.account_id, each.severity, each.hint) for each in report.findings} == {
        (ACCOUNT, Severity.DENY, "list the scopes that it needs")
    }
    assert (report.mode, report.changes, report.digest, report.refusals) == (Mode.AUDIT, (), None, ())
    assert [each.label for each in report.accounts[0].unmanaged] == ["stray"]
    assert (report.summary.unchanged, report.summary.unmanaged) == (0, 1)
    assert (report.requests.GET, report.requests.PUT, world.puts) == (1, 0, 0)
    assert report.started_at == "2026-11-23T12:00:00Z"
    assert (report.policy or "").startswith("sha256:")


def test_what_the_files_want_is_not_judged(tmp_path: Path) -> None:
    """What a file asks for and the account does not have is no affair of an audit, nor is a rule about changes."""
    policy = NO_WILDCARD.replace(
        "]\n", ", {id: change, severity: deny, when: 'change.action == \"update\"', message: no!}]\n"
    )
    files = 'keys: [{name: shop, scopes: ["*"]}, {name: missing, scopes: ["*"]}]\n'
    report = audit(World(tmp_path, [key(1, "shop", SHOP)], files, policy=policy))
    assert report.findings == ()
    assert report.accounts[0].keys.desired == 2


def test_what_the_files_say_of_a_key_counts(tmp_path: Path) -> None:
    """A rule sees owner and whether a file names the key; the networks and the state are those of the account."""
    policy = """
        rules:
          - {id: owned, severity: warn, uses: require-owner}
          - {id: fenced, severity: note, when: 'key.state == "quarantined"', message: "{key.name} {key.ip_allow_list}"}
          - {id: stray, severity: warn, uses: unmanaged-key, match: {managed: false}}
        """
    keys = [key(1, "shop", SHOP, ip_allow_list=["192.0.2.1/32"]), key(2, "stray", SHOP)]
    report = audit(World(tmp_path, keys, FILES, policy=policy))
    assert found(report) == [
        ("owned", "warn", "reconciler"),
        ("fenced", "note", "shop"),
        ("stray", "warn", "stray"),
    ]
    assert report.findings[1].message == "shop 192.0.2.1/32"


@pytest.mark.parametrize(
    ("now", "rules"),
    [
        (NOON, ["no-wildcard"]),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), ["waiver-ends-soon", "no-wildcard"]),
        (datetime(2027, 1, 1, tzinfo=UTC), ["waiver-ended", "no-wildcard"]),
    ],
)
def test_waivers_hold_until_their_end(tmp_path: Path, now: datetime, rules: list[str]) -> None:
    """A waived finding is shown as waived and fails nothing; an ended waiver counts as absent."""
    policy = NO_WILDCARD + "waivers: [{rule: no-wildcard, label: 'st*', until: 2026-12-31, owner: sec, reason: why}]\n"
    report = audit(World(tmp_path, [key(1, "stray", "*")], FILES, policy=policy), now=now)
    assert [each.rule for each in report.findings] == rules
    ended = "waiver-ended" in rules
    assert report.findings[-1].waived == (None if ended else Waiver("2026-12-31", "sec", "why"))
    assert report.summary.findings.deny == ended
    assert audit_exit_code(report, Severity.DENY) == (3 if ended else 0)


def test_unmanaged_keys_are_told_even_where_a_pass_ignores_them(tmp_path: Path) -> None:
    """What a file says about unmanaged keys is for passes: an audit shows them, and wants nothing of them."""
    for then in ("ignore", "quarantine"):
        world = World(tmp_path, [key(1, "shop", SHOP), key(2, "stray", "domains:read")], f"unmanaged: {then}\n{FILES}")
        report = audit(world)
        assert [each.label for each in report.accounts[0].unmanaged] == ["stray"]
        assert (report.changes, report.findings) == ((), ())


def test_a_key_that_cannot_be_told_from_others(tmp_path: Path) -> None:
    """Which key a desired one is cannot be told: a warning says what that costs; neither counts as unmanaged."""
    files = 'keys: [{name: twin, scopes: ["domains:read"]}]\n'
    world = World(tmp_path, [key(1, "twin", SHOP), key(2, "twin", SHOP)], files)
    report = audit(world)
    (finding,) = report.findings
    assert (finding.rule, finding.severity, finding.key, finding.label) == ("match-unclear", "warn", "twin", "twin")
    assert finding.message == (
        "which key twin is cannot be told, so its owner and annotations count for none: 2 keys could be meant, "
        f"{key_id(1)}, {key_id(2)}: pin the id"
    )
    assert finding.hint == "settle in the files which key it is"
    assert place(finding) == ("keys.yaml", 3)
    assert [each.label for each in report.accounts[0].unmanaged] == ["reconciler"]


# What must keep working


@pytest.mark.parametrize(
    ("sender", "severity"),
    [
        (key(1, "shop", SHOP), None),
        (key(1, "shop", "messages:send:all"), None),
        (key(1, "shop", "messages:send:{news.example.com}"), "deny"),
        (key(1, "shop", SHOP, ip_allow_list=["192.0.2.1/32"]), "deny"),
    ],
)
def test_what_must_work_and_does_not(tmp_path: Path, sender: dict[str, Any], severity: str | None) -> None:
    """A requirement that no key in use meets now is a finding at its place in the policy."""
    report = audit(World(tmp_path, [sender], FILES, policy=MUST_SEND))
    assert found(report) == ([("coverage", severity, None)] if severity else [])
    for finding in report.findings:
        assert (
            finding.message
            == "no key that is in use can do messages:send for shop.example.com, which must keep working"
        )
        assert (place(finding), finding.account_id) == ((f"{tmp_path.name}-policy.yaml", 2), None)


FAMILY = """
sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["messages:send:all"]}]
"""


def test_a_suspended_sub_account_does_nothing(tmp_path: Path) -> None:
    """What only a key of a suspended sub account could do does not work."""
    asleep = sub_account(1, "Acme East", key(1, "sender", SHOP), status="suspended")
    world = World(tmp_path, [], FAMILY, policy=MUST_SEND, manager=FAMILY_MANAGER, sub_accounts=(asleep,))
    report = audit(world)
    assert [account.status for account in report.accounts] == [AccountStatus.OK, AccountStatus.SUSPENDED]
    assert found(report) == [("coverage", "deny", None)]
    state = world.emulator.dump()
    state["accounts"][0]["sub_accounts"][0]["status"] = "active"
    world.emulator.load(state)
    assert audit(world).findings == ()


def may_send(where: str) -> str:
    return MUST_SEND.replace("}]", f", {where}}}]")


def test_sub_accounts_that_could_not_be_listed_may_work(tmp_path: Path) -> None:
    """What a key of a sub account must do is not known where their list failed; of another account it is."""
    sender = sub_account(1, "Acme East", key(1, "sender", SHOP))
    policy = may_send(f'sub_account: "{below(1)}"')
    world = World(tmp_path, [], FAMILY, policy=policy, manager=FAMILY_MANAGER, sub_accounts=(sender,))
    assert audit(world).findings == ()
    world.faults({"method": "GET", "path": "*/sub-accounts*", "rate": 1, "do": {"status": 403}})
    report = audit(world)
    assert [account.status for account in report.accounts] == [AccountStatus.OK, AccountStatus.FAILED]
    assert [(each.severity, each.message, each.hint) for each in report.findings] == [
        (
            Severity.WARN,
            "whether any key can do messages:send for shop.example.com is not known: not every account could be read",
            "see which account failed, and why",
        )
    ]
    world.faults({"method": "GET", "path": "*/api-keys*", "rate": 1, "do": {"status": 403}})
    report = audit(world)
    assert report.accounts[0].status is AccountStatus.FAILED
    assert [each.hint for each in report.findings if each.rule == "coverage"] == ["see which account failed, and why"]
    world.faults()
    world.policy = may_send(f'account: {OTHER}, sub_account: "{below(1)}"')
    assert [each.message for each in audit(world).findings if each.rule == "coverage"] == [
        "no account that was looked at is the one for messages:send for shop.example.com"
    ]


def test_an_account_alone_means_no_sub_account(tmp_path: Path) -> None:
    """Where only an account is named, keys of its sub accounts do not count, read or not; else those of any do."""
    sender = sub_account(1, "Acme East", key(1, "sender", SHOP))
    world = World(tmp_path, [], FAMILY, policy=MUST_SEND, manager=FAMILY_MANAGER, sub_accounts=(sender,))
    assert audit(world).findings == ()
    world.policy = may_send(f"account: {ACCOUNT}")
    assert found(audit(world)) == [("coverage", "deny", None)]
    world.faults({"method": "GET", "path": "*/sub-accounts*", "rate": 1, "do": {"status": 403}})
    assert found(audit(world)) == [("coverage", "deny", None)]
    world.policy = MUST_SEND
    assert found(audit(world)) == [("coverage", "warn", None)]


def test_domains_of_any_account(tmp_path: Path) -> None:
    """A key that reaches every domain of its account proves nothing while another account may have that domain."""
    sender = sub_account(1, "Acme East", key(1, "sender", "messages:send:all"))
    world = World(tmp_path, [], FAMILY, policy=MUST_SEND, manager=FAMILY_MANAGER, sub_accounts=(sender,))
    (finding,) = audit(world).findings
    assert (finding.rule, finding.severity) == ("coverage", Severity.WARN)
    assert finding.message == (
        "only keys that reach every domain can do messages:send for shop.example.com, and 2 accounts may have that "
        "domain"
    )
    assert finding.hint == "say with 'account' or 'sub_account' in the requirement which of them has the domain"
    world.policy = may_send(f'sub_account: "{below(1)}"')
    assert audit(world).findings == ()


def test_what_could_not_be_read_may_work(tmp_path: Path) -> None:
    """Where an account could not be read, nobody knows: a warning, and the others are judged."""
    world = World(tmp_path, [key(1, "ops", "*", ip_allow_list=["10.0.0.0/8"])], FILES, policy=NO_WILDCARD + MUST_SEND)
    world.folder.joinpath("other.yaml").write_text(f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n")
    world.tokens["other"] = "aha-sk-unknown"
    report = audit(world)
    assert [account.status for account in report.accounts] == [AccountStatus.OK, AccountStatus.FAILED]
    assert found(report) == [("coverage", "warn", None), ("no-wildcard", "deny", "ops")]
    assert "not every account could be read" in report.findings[0].message
    assert audit_exit_code(report, Severity.DENY) == 4
    assert "aha-sk-unknown" not in repr(report)


# Accounts, events and logs


def test_unread_is_not_in_good_order(tmp_path: Path) -> None:
    """An account that cannot be read is failed with the error, and nothing is said of its keys."""
    world = World(tmp_path, [key(1, "stray", "*")], FILES, policy=NO_WILDCARD)
    world.faults({"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}})
    report = audit(world)
    assert (report.accounts[0].status, report.findings) == (AccountStatus.FAILED, ())
    assert "403" in (report.accounts[0].error or "")
    assert audit_exit_code(report, None) == 1


def test_an_audit_that_takes_too_long(tmp_path: Path) -> None:
    """What the time of the pass does not suffice for is failed as out of time."""
    world = World(tmp_path, [key(1, "stray", "*")], FILES, policy=NO_WILDCARD, patience=Patience(1.0, 300.0))
    world.faults({"method": "GET", "path": "*", "rate": 1, "do": {"status": 503}})
    report = audit(world)
    assert (report.accounts[0].error or "").startswith("out of time: the pass had none left for it")


def test_an_audit_that_is_interrupted(tmp_path: Path) -> None:
    """Asked to stop, it reads nothing more and says so; that is worth a retry, not an error."""
    world = World(tmp_path, [key(1, "stray", "*")], FILES, stop=Stop())
    assert world.stop is not None
    world.stop.requested.set()
    report = audit(world)
    assert "interrupted" in (report.accounts[0].error or "")
    assert world.emulator.requests["GET"] == 0
    assert audit_exit_code(report, None, interrupted=True) == 4


def test_sub_accounts_are_judged_by_themselves(tmp_path: Path) -> None:
    """Each sub account that a rule of the files selects is audited, and its findings name it."""
    shops = (
        sub_account(1, "Acme East", key(1, "sender", "*")),
        sub_account(2, "Acme West", key(2, "sender", SHOP), key(3, "sender", SHOP)),
        sub_account(3, "Beta", key(4, "sender", "*")),
    )
    policy = NO_WILDCARD.replace("]\n", ", {id: twins, uses: duplicate-label, severity: warn}]\n")
    report = audit(World(tmp_path, [], FAMILY, policy=policy, manager=FAMILY_MANAGER, sub_accounts=shops))
    assert [(each.rule, each.sub_account_id) for each in report.findings] == [
        ("sub-accounts-not-selected", None),
        ("no-wildcard", below(1)),
        ("match-unclear", below(2)),
        ("twins", below(2)),
        ("twins", below(2)),
    ]
    assert [(each.sub_account_name, each.keys.actual) for each in report.accounts] == [
        (None, 1),
        ("Acme East", 1),
        ("Acme West", 2),
    ]


def test_events_tell_the_audit(tmp_path: Path) -> None:
    """The observer is told of the audit, each list, each finding and the end; one that fails then stops nothing."""
    world = World(tmp_path, [key(1, "stray", "*")], FILES, policy=NO_WILDCARD)

    def fail_at_the_end(event: Event) -> None:
        if isinstance(event, PassFinished):
            raise OSError("full")

    report = audit(world)
    assert [type(event) for event in world.events] == [PassStarted, AccountListed, FindingRaised, PassFinished]
    assert world.events[0] == PassStarted("look", Mode.AUDIT, 1, desired=2)
    assert world.events[3] == PassFinished("look", report, 0.0)
    world.observe = fail_at_the_end
    assert audit(world) == report


def test_a_saved_listing_is_judged_as_the_account_was(tmp_path: Path) -> None:
    """By a listing the same is found as in the account, without a request; by one of later, keys are older."""
    policy = "rules: [{id: old, uses: older-than, with: {age: 327d}, severity: warn}]\n" + MUST_SEND
    shops = (sub_account(1, "Acme East", key(2, "sender", "domains:read")),)
    files, manager = FILES + FAMILY, FAMILY_MANAGER
    world = World(tmp_path, [key(1, "shop", "*", SHOP)], files, policy=policy, manager=manager, sub_accounts=shops)
    live = audit(world)
    by_listing = audit(world, listing=saved(world, sub_accounts=True))
    assert (by_listing.findings, by_listing.accounts) == (live.findings, live.accounts)
    assert (by_listing.requests.GET, live.requests.GET) == (0, 3)
    assert live.findings == ()
    later = audit(world, listing=saved(world, sub_accounts=True), now=NOON + timedelta(days=2))
    assert [each.label for each in later.findings] == ["reconciler", "shop", "sender"]


@pytest.mark.parametrize(
    ("mode", "severity", "waived", "level"),
    [
        (Mode.AUDIT, Severity.DENY, False, "warning"),
        (Mode.PLAN, Severity.DENY, False, "warning"),
        (Mode.APPLY, Severity.DENY, False, "error"),
        (Mode.APPLY, Severity.DENY, True, "info"),
        (Mode.AUDIT, Severity.DENY, True, "info"),
        (Mode.AUDIT, Severity.WARN, False, "warning"),
        (Mode.PLAN, Severity.NOTE, False, "info"),
    ],
)
def test_what_a_dry_run_finds_is_no_failure_of_it(mode: Mode, severity: Severity, waived: bool, level: str) -> None:
    """A deny is logged as an error only by a pass that may write; an audit's and a plan's are warnings."""
    stream = StringIO()
    observe = log_observer(stream, format=LogFormat.JSON, level=LogLevel.DEBUG, secrets=lambda: ())
    observe(PassStarted("r", mode, 1))
    observe(FindingRaised("r", Finding("rule", severity, "m", waived=Waiver("d", "o", "r") if waived else None)))
    observe(AccountListed("r", AccountRef(ACCOUNT), 0, "403"))
    levels = [line.split('"level": "')[1].split('"')[0] for line in stream.getvalue().splitlines()]
    assert levels == ["info", level, "error"]
