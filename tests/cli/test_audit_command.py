"""``reconciler audit`` as its users meet it: what it prints, what it compares with, and its exit codes."""

import json
from pathlib import Path

import pytest

from shell import FILES, SHOP, Shell
from world import FAMILY_MANAGER, OTHER, TOKEN, key, key_id, sub_account

POLICY = """version: 1
rules:
  - {id: no-wildcard, uses: no-wildcard, severity: deny}
  - {id: owned, uses: require-owner, severity: warn}
  - {id: unused, uses: never-used, with: {after: 1d}, severity: note}
"""
OWNED = FILES.replace("{name: ", "{owner: team, name: ")


def write_policy(text: str = POLICY) -> None:
    Path("config/policy.yaml").write_text(text, encoding="utf-8")


def add(shell: Shell, *keys: dict[str, object]) -> None:
    """More keys in the account."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"] += keys
    shell.emulator.load(state)


def rules(shell: Shell) -> list[str]:
    """The rules of all findings of the report on stdout."""
    return [finding["rule"] for finding in shell.report()["findings"]]


def test_an_audit_reads_like_this(shell: Shell) -> None:
    """What is found stands by rule, the gravest first, then one line that sums up; nothing but GETs was sent."""
    write_policy(POLICY.replace("  - {id: unused, uses: never-used, with: {after: 1d}, severity: note}\n", ""))
    add(shell, key(2, "stray", "*"))
    assert shell.run("audit") == 3
    assert shell.out == (
        "Findings\n"
        "  deny  no-wildcard\n"
        "        unmanaged key 'stray' holds * and may do everything\n"
        f"          key {key_id(2)}\n"
        "        hint: list the scopes that it needs\n"
        "  warn  owned  (2)\n"
        "        config/keys/keys.yaml:5: reconciler has no owner\n"
        "        config/keys/keys.yaml:6: shop has no owner\n"
        "        hint: write 'owner: <team>'\n"
        "\n"
        '1 key is in no file: "stray".\n'
        "Audit: 1 deny, 2 warn in 3 keys; 1 unmanaged.\n"
    )
    assert shell.err == ""
    assert (shell.emulator.requests["GET"], shell.emulator.requests["PUT"]) == (1, 0)


@pytest.mark.parametrize(
    ("files", "label", "codes"),
    [
        (FILES, "*", {"deny": 3, "warn": 3, "note": 3, "never": 0}),
        (FILES, SHOP, {"deny": 0, "warn": 3, "note": 3, "never": 0}),
        (OWNED, SHOP, {"deny": 0, "warn": 0, "note": 3, "never": 0}),
    ],
)
def test_what_is_worth_a_3(shell: Shell, files: str, label: str, codes: dict[str, int]) -> None:
    """A finding at or above --fail-on exits 3; deny is the default."""
    write_policy()
    shell.write(files)
    shell.drift(label)
    assert {fail_on: shell.run("audit", "--fail-on", fail_on) for fail_on in codes} == codes
    assert shell.run("audit") == codes["deny"]


def test_fail_on_in_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """RECONCILER_FAIL_ON is heeded, and an option on the command line wins."""
    write_policy()
    monkeypatch.setenv("RECONCILER_FAIL_ON", "warn")
    assert shell.run("audit") == 3
    assert shell.run("audit", "--fail-on", "deny") == 0
    monkeypatch.setenv("RECONCILER_FAIL_ON", "everything")
    assert shell.run("audit") == 64


def test_waived_findings_fail_nothing(shell: Shell) -> None:
    """A waived finding is shown and not worth a 3; where the waiver has ended, it is."""
    waiver = "waivers: [{{rule: no-wildcard, key: shop, until: {}, owner: sec, reason: INC-204}}]\n"
    shell.write(OWNED)
    shell.drift("*")
    write_policy(POLICY + waiver.format("2999-01-31"))
    assert shell.run("audit") == 0
    assert "waived  no-wildcard: config/keys/keys.yaml:6: shop holds * and may do everything\n" in shell.out
    assert "until 2999-01-31, by sec: INC-204" in shell.out
    write_policy(POLICY + waiver.format("2020-01-31"))
    assert shell.run("audit") == 3
    assert "the waiver of no-wildcard for shop ended with 2020-01-31" in shell.out


def test_without_a_policy(shell: Shell) -> None:
    """The starter policy judges and says so, also in JSON; where there is a policy, or one is named, it does not."""
    assert shell.run("audit", "-o", "json") == 0
    report = shell.report()
    note = next(each for each in report["findings"] if each["rule"] == "starter-policy")
    assert note["message"] == (
        "there is no policy at config/policy.yaml: judged by the starter policy that comes with the reconciler"
    )
    assert note["hint"] == "write your own, see docs/policy.md"
    assert (report["mode"], report["digest"], report["policy"][:7]) == ("audit", None, "sha256:")
    assert "managers-are-fenced-in" in rules(shell)
    owned = next(each for each in report["findings"] if each["rule"] == "require-owner")
    assert owned["source"] == {"file": "config/keys/keys.yaml", "line": 5, "column": 5}
    write_policy("version: 1\n")
    assert shell.run("audit", "-o", "json") == 0
    assert rules(shell) == []
    assert shell.run("plan", "-o", "json") == 0
    assert shell.report()["policy"] is not None
    Path("config/policy.yaml").unlink()
    assert shell.run("plan", "-o", "json") == 0
    assert shell.report()["policy"] is None


@pytest.mark.parametrize("name", ["policy.yml", "policies.yaml", "policy"])
def test_a_policy_of_another_name(shell: Shell, name: str) -> None:
    """What is nearly called like the policy would judge nothing unseen: an error says how to name it."""
    write_policy()
    Path("config/policy.yaml").rename(f"config/{name}")
    for command in ("audit", "plan", "validate"):
        assert shell.run(command) == 1
        assert shell.err == (
            f"config/policy.yaml: there is config/{name}, but no config/policy.yaml: is that the policy? name it "
            "config/policy.yaml, or name it with --policy\nerror: 1 problem in the files, nothing was done\n"
        )
    assert shell.run("audit", "--policy", f"config/{name}") == 0
    assert "managers-are-fenced-in" not in shell.out
    assert "owned" in shell.out


def test_without_files(shell: Shell) -> None:
    """Without files every key of AHASEND_ACCOUNT_ID is judged, as one of no file, and that is said."""
    Path("config/keys/keys.yaml").unlink()
    write_policy("version: 1\nrules: [{id: stray, uses: unmanaged-key, severity: warn}]\n")
    assert shell.run("audit", "-o", "json") == 0
    assert rules(shell) == ["no-desired-state", "stray", "stray"]
    note = shell.report()["findings"][0]
    assert note["message"] == "there are no files in config/keys, so that every key counts as unmanaged"
    assert (note["hint"], note["account_id"]) == ("`reconciler export` writes them", None)
    Path("config/keys").rmdir()
    assert shell.run("audit", "--fail-on", "warn") == 3


def test_how_it_was_made_fails_no_audit(shell: Shell) -> None:
    """That there are no files and that the starter policy judged are notes that are worth no 3, whatever is asked."""
    Path("config/keys/keys.yaml").unlink()
    write_policy("version: 1\n")
    assert shell.run("audit", "--fail-on", "note", "-o", "json") == 0
    assert rules(shell) == ["no-desired-state"]
    write_policy("version: 1\nrules: [{id: stray, uses: unmanaged-key, severity: note}]\n")
    assert shell.run("audit", "--fail-on", "note") == 3


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("notes.txt", True),
        (".keys.yaml", True),
        ("..data/keys.yaml", True),
        ("shop/keys.yml", False),
        ("keys.yaml", False),
    ],
)
def test_what_counts_as_no_files(shell: Shell, name: str, without: bool) -> None:
    """What a pass would not read, as hidden files of a mount, is no file either."""
    Path("config/keys/keys.yaml").unlink()
    path = Path("config/keys") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(FILES, encoding="utf-8")
    write_policy("version: 1\n")
    assert shell.run("audit", "-o", "json") == 0
    assert rules(shell) == (["no-desired-state"] if without else [])


@pytest.mark.parametrize("target", ["../elsewhere.yaml", "nowhere.yaml"])
def test_files_that_cannot_be_looked_at(shell: Shell, target: str) -> None:
    """A link out of the folder, or to nothing, may be a file that was meant: an error, and nothing is judged."""
    Path("config/elsewhere.yaml").write_text(FILES, encoding="utf-8")
    Path("config/keys/keys.yaml").unlink()
    Path("config/keys/keys.yaml").symlink_to(target)
    assert shell.run("audit") == 1
    assert shell.err.startswith("config/keys")
    Path("config/keys/keys.yaml").unlink()
    Path("config/keys").rmdir()
    Path("config/keys").symlink_to("gone")
    assert shell.run("audit") == 1
    assert shell.err.startswith("config/keys: cannot be read: no such file or directory\n")
    assert shell.emulator.requests["GET"] == 0


@pytest.mark.parametrize(
    ("account", "told"), [(None, "AHASEND_ACCOUNT_ID is not set"), ("shop", "AHASEND_ACCOUNT_ID is not a UUID")]
)
def test_without_files_and_account(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, account: str | None, told: str
) -> None:
    """Without files and account there is nothing to judge; the message says what to do."""
    Path("config/keys/keys.yaml").unlink()
    monkeypatch.setenv("AHASEND_ACCOUNT_ID", account or "")
    assert shell.run("audit") == 1
    assert shell.err == (
        f"config/keys: holds no desired-state file, and {told}: write files, name them, or set it\n"
        "error: 1 problem in the files, nothing was done\n"
    )


def test_files_that_are_named_must_exist(shell: Shell) -> None:
    """Only the default folder may hold no file, and a pass needs files in any case."""
    Path("config/keys/keys.yaml").unlink()
    assert shell.run("audit", "--desired", "elsewhere") == 1
    assert shell.err.startswith("elsewhere: cannot be read: no such file or directory")
    assert shell.run("plan") == 1
    assert "no-desired-state" not in shell.out


def test_problems_of_policy_and_files_are_told_together(shell: Shell) -> None:
    """What is wrong with either is told at once, with places; nothing was asked."""
    write_policy("version: 1\nrules: [{id: a, uses: no-wildcards, severity: deny}]\n")
    shell.write("version: 2\n")
    assert shell.run("audit") == 1
    assert "config/keys/keys.yaml:1:10: " in shell.err
    assert "config/policy.yaml:2:23: " in shell.err
    assert shell.err.endswith("error: 2 problems in the files, nothing was done\n")
    assert shell.emulator.requests["GET"] == 0


def test_accounts_that_cannot_be_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one account unread it exits 4 whatever was found; with none read, 1. The secret is shown nowhere."""
    write_policy()
    shell.drift("*")
    other = f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n"
    Path("config/keys/other.yaml").write_text(other, encoding="utf-8")
    assert shell.run("audit") == 4
    assert "AHASEND_API_KEY_OTHER is not set" in shell.out
    assert "deny  no-wildcard" in shell.out
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-wrong")
    assert shell.run("audit", "-o", "json") == 1
    assert "aha-sk-wrong" not in shell.out + shell.err


def test_an_audit_plans_nothing(shell: Shell) -> None:
    """What is as the files want it is no affair of an audit: nothing is counted as unchanged."""
    write_policy("version: 1\n")
    assert shell.run("audit", "-o", "json=audit.json", "-o", "text") == 0
    assert json.loads(Path("audit.json").read_text(encoding="utf-8"))["summary"]["unchanged"] == 0
    assert shell.out == "Audit: nothing found in 2 keys.\n"
    Path("config/keys/other.yaml").write_text(f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n")
    assert shell.run("audit") == 4
    assert shell.out.endswith("\n\nAudit: nothing found in 2 keys; 1 account FAILED.\n")


# Usage and outputs


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fail-on", "error"],
        ["--since", ""],
        ["--actual", ""],
        ["--allow", "coverage"],
        ["--detailed-exitcode"],
        ["--dry-run"],
        ["extra"],
        ["-o", "json", "-o", "text"],
        ["--actual", "listing.json", "--check-domains"],
    ],
)
def test_wrong_usage(shell: Shell, arguments: list[str]) -> None:
    """What audit does not know is wrong usage, never ignored, and nothing is asked."""
    assert shell.run("audit", *arguments) == 64
    assert (shell.out, shell.err != "") == ("", True)
    assert shell.emulator.requests["GET"] == 0


def test_an_output_that_cannot_be_written(shell: Shell) -> None:
    """A file that cannot be written is an error before the first request."""
    assert shell.run("audit", "-o", "json=missing/audit.json") == 1
    assert "missing/audit.json cannot be written" in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_logs_of_an_audit(shell: Shell) -> None:
    """It logs errors only unless asked; then a deny is a warning, since to find it is what an audit is for."""
    write_policy(POLICY.partition("  - {id: owned")[0])
    shell.drift("*")
    assert shell.run("audit", "--log-level", "info", "--log-format", "json") == 3
    lines = [json.loads(line) for line in shell.err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("pass.started", "info"),
        ("account.listed", "info"),
        ("finding.raised", "warning"),
        ("pass.finished", "info"),
    ]
    assert lines[0]["mode"] == "audit"


def test_sub_accounts_are_audited(shell: Shell) -> None:
    """The sub accounts that the files select are judged, and told by name."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = [*FAMILY_MANAGER]
    state["accounts"][0]["sub_accounts"] = [sub_account(1, "Acme East", key(11, "sender", "*"))]
    shell.emulator.load(state)
    shell.write(
        OWNED + 'sub_accounts: [{select: {name: "Acme *"}, keys: [{name: sender, scopes: ["domains:read"]}]}]\n'
    )
    write_policy(POLICY.partition("  - {id: owned")[0])
    assert shell.run("audit") == 3
    assert "config/keys/keys.yaml:7: sender holds * and may do everything" in shell.out
    assert 'sub account "Acme East"' in shell.out
    assert "Audit: 1 deny in 3 keys of 1 account and 1 sub account.\n" in shell.out


def test_no_secret_in_any_output(shell: Shell) -> None:
    """A secret that somebody made a label is masked in text and JSON."""
    shell.drift(label=TOKEN)
    for form in ("text", "json"):
        assert shell.run("audit", "-o", form, "--log-level", "info") == 0
        assert TOKEN not in shell.out + shell.err
