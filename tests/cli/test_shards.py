"""A fleet of accounts, divided over shards: each does its own share, says so, and says nothing false of the others."""

import json
from pathlib import Path

import pytest

from reconciler.core.shards import home
from shell import FILES, SHOP, Shell
from world import ACCOUNT, FAMILY_MANAGER, admin, key, sub_account

SHARDS = 3
FLEET = [f"{number}{number}000000-0000-4000-8000-000000000000" for number in range(6)]
HOMES = [home(account, SHARDS) for account in FLEET]
MINE, OTHERS = home(ACCOUNT, 2), 1 - home(ACCOUNT, 2)


@pytest.fixture
def fleet(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Six accounts, each with a credential and a file of its own, and one key that differs from it."""
    accounts = []
    for number, account in enumerate(FLEET):
        credential = f"aha-sk-{number}"
        monkeypatch.setenv(f"AHASEND_API_KEY_TEAM_{number}", credential)
        keys = [admin(account, credential, id=_id(number, 0)), key(1, "shop", "messages:send:all", id=_id(number, 1))]
        accounts.append({"id": account, "domains": ["shop.example.com"], "keys": keys})
        text = FILES.replace("${AHASEND_ACCOUNT_ID}", f"{{id: {account}, credential: team-{number}}}")
        Path(f"config/keys/team-{number}.yaml").write_text(text, encoding="utf-8")
    Path("config/keys/keys.yaml").unlink()
    monkeypatch.delenv("RECONCILER_SELF_KEY_ID")
    shell.emulator.load({"accounts": accounts})
    return shell


def _id(account: int, number: int) -> str:
    return f"{account}{account}000000-aaaa-4000-8000-{number:012}"


def test_each_account_is_mended_by_exactly_one_shard(fleet: Shell) -> None:
    """Each shard writes to its accounts alone; when all have been at work, everything is in sync."""
    assert set(HOMES) == set(range(SHARDS)), "the story needs an account for each shard"
    for index in range(SHARDS):
        before = fleet.emulator.requests["PUT"]
        assert fleet.run("apply", "--shard", f"{index}/{SHARDS}", "-o", "json") == 0
        report = fleet.report()
        mine = [account for account, where in zip(FLEET, HOMES, strict=True) if where == index]
        assert [account["account_id"] for account in report["accounts"]] == mine
        assert report["shard"] == f"{index}/{SHARDS}"
        assert fleet.emulator.requests["PUT"] - before == len(mine) == report["summary"]["applied"]
    assert fleet.run("plan", "--detailed-exitcode", "-o", "json") == 0
    assert (len(fleet.report()["accounts"]), fleet.report()["shard"]) == (len(FLEET), None)


def test_a_shard_needs_its_own_credentials_alone(fleet: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens the accounts of other shards need not be there."""
    for number, where in enumerate(HOMES):
        if where != HOMES[0]:
            monkeypatch.delenv(f"AHASEND_API_KEY_TEAM_{number}")
    assert fleet.run("plan") == 4
    assert fleet.run("plan", "--shard", f"{HOMES[0]}/{SHARDS}") == 0


def test_findings_of_files_are_told_by_the_shard_of_their_account(fleet: Shell) -> None:
    """What loading has to say of an account is said where that account is looked at, and nowhere else."""
    path = Path("config/keys/team-0.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace(SHOP, "novelties:open"), encoding="utf-8")
    told = []
    for index in range(SHARDS):
        assert fleet.run("plan", "--shard", f"{index}/{SHARDS}", "-o", "json") == 0
        told.append([finding["rule"] for finding in fleet.report()["findings"]])
    assert ["unknown-scope" in rules for rules in told] == [index == HOMES[0] for index in range(SHARDS)]
    assert all(rules.count("shard") == 1 for rules in told)


def test_the_shard_without_accounts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard to which no account belongs exits 0 and asks nothing; that it is in sync it says of that shard alone."""
    monkeypatch.delenv("AHASEND_API_KEY")
    for command in (["plan", "--detailed-exitcode"], ["apply"], ["audit"]):
        assert shell.run(*command, "--shard", f"{OTHERS}/2") == 0
        assert f"only the accounts of shard {OTHERS}/2 are looked at: 0 of 1" in " ".join(shell.out.split())
        assert f"only shard {OTHERS}/2 was looked at." in " ".join(shell.out.split())
    assert sum(shell.emulator.requests[method] for method in ("GET", "PUT")) == 0


def test_every_rendering_says_which_shard_it_is(shell: Shell) -> None:
    """Text, Markdown, HTML, JSON and SARIF all say that it is the report of one shard."""
    formats = {"markdown": "a.md", "html": "a.html", "json": "a.json", "sarif": "a.sarif"}
    outputs = [part for name, path in formats.items() for part in ("-o", f"{name}={path}")]
    assert shell.run("plan", "--shard", f"{MINE}/2", "-o", "text", *outputs) == 0
    written = {name: Path(path).read_text(encoding="utf-8") for name, path in formats.items()}
    for text in (shell.out, written["markdown"], written["html"]):
        assert f"only shard {MINE}/2 was looked at" in text
    assert json.loads(written["json"])["shard"] == f"{MINE}/2"
    assert json.loads(written["sarif"])["runs"][0]["properties"]["shard"] == f"{MINE}/2"


def test_what_applies_the_plan_of_a_shard(shell: Shell) -> None:
    """The command that a report offers is of the same shard: without it the digest is that of another plan."""
    shell.drift("domains:read")
    assert shell.run("plan", "--shard", f"{MINE}/2", "-o", "text", "-o", "markdown=a.md", "-o", "html=a.html") == 0
    assert f"(apply exactly this with --shard {MINE}/2 --digest)" in shell.out
    command = f"reconciler apply --shard {MINE}/2 --digest sha256:"
    assert all(command in Path(name).read_text(encoding="utf-8") for name in ("a.md", "a.html"))


def test_sub_accounts_stay_with_their_parent(shell: Shell) -> None:
    """Sub accounts are looked at where their parent is, whose pace they share."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = [*FAMILY_MANAGER]
    state["accounts"][0]["sub_accounts"] = [
        sub_account(number, f"Acme {number}", key(10 + number, "sender", "domains:read")) for number in range(1, 9)
    ]
    shell.emulator.load(state)
    rule = '  - {select: {name: "Acme *"}, keys: [{name: sender, scopes: ["messages:send:all"]}]}\n'
    managing = FILES.replace('"api-keys:write"]', f"{', '.join(map(json.dumps, FAMILY_MANAGER[1:]))}]")
    shell.write(f"{managing}sub_accounts:\n{rule}")
    assert shell.run("apply", "--shard", f"{OTHERS}/2", "-o", "json") == 0
    assert shell.report()["accounts"] == []
    assert shell.run("apply", "--shard", f"{MINE}/2", "--allow", "max-changes", "-o", "json") == 0
    assert (len(shell.report()["accounts"]), shell.report()["summary"]["applied"]) == (9, 8)


POLICY = """version: 1
rules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]
waivers: [{rule: no-wildcard, key: only-here, until: 2099-01-31, owner: sec, reason: known}]
require: [{account: 00000000-*, can: "domains:write"}, {account: 55000000-*, can: "api-keys:write"}]
freeze: [{from: 2099-01-01, until: 2099-01-02, account: 00000000-*, reason: sale}]
"""


def test_nothing_false_is_said_of_other_shards(fleet: Shell) -> None:
    """A waiver, a requirement or a change window for an account of another shard is not taken for one about nothing."""
    Path("config/policy.yaml").write_text(POLICY, encoding="utf-8")
    path = Path("config/keys/team-0.yaml")
    path.write_text(f"{path.read_text(encoding='utf-8')}  - {{name: only-here, state: absent}}\n", encoding="utf-8")
    assert fleet.run("plan", "-o", "json") == 0
    assert [finding["rule"] for finding in fleet.report()["findings"]] == []
    denied = []
    for index in range(SHARDS):
        assert fleet.run("plan", "--shard", f"{index}/{SHARDS}", "-o", "json") == 0
        assert [finding["rule"] for finding in fleet.report()["findings"]] == ["shard"]
        denied.append(fleet.run("audit", "--shard", f"{index}/{SHARDS}", "-o", "json"))
        rules = [finding["rule"] for finding in fleet.report()["findings"] if finding["rule"] != "shard"]
        assert rules == (["coverage"] if denied[-1] else [])
    assert denied == [3 if index == HOMES[0] else 0 for index in range(SHARDS)]


def test_a_shard_of_a_saved_listing(fleet: Shell) -> None:
    """A listing of all accounts serves each shard; those that files name for others are not taken for forgotten."""
    for number, account in enumerate(FLEET):
        path = f"listing-{number}.json"
        assert fleet.run("export", "--account", account, "--credential", f"team-{number}", "--actual", path) == 0
    listings = [part for number in range(len(FLEET)) for part in ("--actual", f"listing-{number}.json")]
    assert fleet.run("plan", "--shard", f"{HOMES[0]}/{SHARDS}", *listings, "-o", "json") == 0
    assert [finding["rule"] for finding in fleet.report()["findings"]] == ["saved-listing", "shard"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("3", "is no shard: write which of how many, counted from 0, such as 3/16"),
        ("$(JOB_COMPLETION_INDEX)/4", "is no shard: write which of how many, counted from 0, such as 3/16"),
        ("4/4", "is no shard: shards are counted from 0, so that the last of 4 is 3/4"),
        ("0/0", "is no shard: there can be 1 to 1000 shards, not 0"),
        ("-1/4", "is no shard: write which of how many, counted from 0, such as 3/16"),
        ("٣/16", "is no shard: write which of how many, counted from 0, such as 3/16"),
    ],
)
def test_what_is_no_shard(shell: Shell, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    """What is no shard is refused before anything is asked, as an option and as a variable."""
    assert shell.run("apply", f"--shard={text}") == 64
    assert told in " ".join(shell.err.split())
    monkeypatch.setenv("RECONCILER_SHARD", text)
    assert shell.run("plan") == 64
    assert told in " ".join(shell.err.split())
    assert shell.emulator.requests["GET"] == 0


def test_the_shard_in_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable says it as the option does, and the log of a pass tells it."""
    monkeypatch.setenv("RECONCILER_SHARD", f"{MINE}/2")
    assert shell.run("plan", "--log-format", "json", "--log-level", "info") == 0
    (started,) = [each for each in map(json.loads, shell.err.splitlines()) if each["event"] == "pass.started"]
    assert (started["shard"], started["desired"]) == (f"{MINE}/2", 2)
