"""``reconciler audit --since`` as its users meet it: what is new, still open and gone, and what is no report."""

import json
from pathlib import Path

import pytest
import time_machine

from reconciler.files.report import load_report
from shell import FILES, SHOP, Shell
from world import ACCOUNT, key, key_id

POLICY = """version: 1
rules:
  - {id: no-wildcard, uses: no-wildcard, severity: deny}
  - {id: owned, uses: require-owner, severity: warn}
"""
OWNED = FILES.replace("{name: ", "{owner: team, name: ")


def write_policy(text: str = POLICY) -> None:
    Path("config/policy.yaml").write_text(text, encoding="utf-8")


def test_since(shell: Shell) -> None:
    """With an earlier report each finding is new or open, and what is gone is listed; the file may be replaced."""
    write_policy()
    state = shell.emulator.dump()
    state["accounts"][0]["keys"].append(key(2, "stray", "*"))
    shell.emulator.load(state)
    assert shell.run("audit", "-o", "json=audit.json") == 3
    shell.write(OWNED.replace("{owner: team, name: reconciler", "{name: reconciler"))
    shell.drift("*")
    shell.drift("domains:read", number=2)
    assert shell.run("audit", "--since", "audit.json", "-o", "json=audit.json", "-o", "text") == 3
    compared = load_report(Path("audit.json").read_text(encoding="utf-8"))
    assert [(each.rule, each.key, each.since) for each in compared.findings] == [
        ("owned", "reconciler", "open"),
        ("no-wildcard", "shop", "new"),
    ]
    assert compared.since is not None
    assert [(each.rule, each.key or each.label) for each in compared.since.gone] == [
        ("no-wildcard", "stray"),
        ("owned", "shop"),
    ]
    assert "  deny  no-wildcard  (1 new)\n" in shell.out
    assert "Gone, or waived, since then\n" in shell.out
    assert ": 1 new, 1 still open, 2 gone; keys: 2 changed; 1 unmanaged." in shell.out.replace("\n", " ")


@time_machine.travel("2026-11-23T12:00:00Z")
def test_what_became_of_keys(shell: Shell) -> None:
    """Keys that appeared, are gone or are other ones are shown, what gives more first, and counted in the last line."""
    write_policy("version: 1\n")
    state = shell.emulator.dump()
    state["accounts"][0]["keys"] += [key(2, "old", "domains:read"), key(3, "moved", "domains:read")]
    shell.emulator.load(state)
    assert shell.run("audit", "-o", "json=audit.json") == 0
    state["accounts"][0]["keys"][2:] = [key(3, "moved on", "domains:read"), key(4, "new\x1b", "*")]
    shell.emulator.load(state)
    shell.drift(SHOP, "domains:read")
    assert shell.run("audit", "--since", "audit.json") == 0
    assert shell.out == (
        "Keys, since then\n"
        "\n"
        "  ~ changed   shop                       widens\n"
        f"      key {key_id(1)}\n"
        "      scopes    + domains:read\n"
        "                  1 unchanged\n"
        "\n"
        '  + appeared  unmanaged key  "new\\x1b"   widens\n'
        f"      key {key_id(4)}\n"
        "      scopes    + *\n"
        "      networks  + 203.0.113.0/24\n"
        "\n"
        '  - gone      unmanaged key  "old"       narrows\n'
        f"      key {key_id(2)}\n"
        "      revokes   domains:read; use from 203.0.113.0/24\n"
        "\n"
        '  ~ changed   unmanaged key  "moved on"  same access\n'
        f"      key {key_id(3)}\n"
        '      label     "moved" -> "moved on"\n'
        "\n"
        '2 keys are in no file: "moved on", "new\\x1b".\n'
        "Audit: nothing found in 4 keys; since 2026-11-23: 0 new, 0 still open, 0 gone; keys: 1 appeared, 1\n"
        "gone, 2 changed; 2 unmanaged.\n"
    )


def test_keys_that_an_earlier_report_does_not_have(shell: Shell) -> None:
    """A report of a version that did not list keys is compared by its findings, and says that its keys are not."""
    write_policy()
    assert shell.run("audit", "-o", "json=audit.json") == 0
    earlier = json.loads(Path("audit.json").read_text(encoding="utf-8"))
    del earlier["accounts"][0]["inventory"]
    Path("audit.json").write_text(json.dumps(earlier), encoding="utf-8")
    assert shell.run("audit", "--since", "audit.json") == 0
    assert "\n\nKeys, since then\n  1 account not compared: only one of the two reports has its keys\n\n" in shell.out
    assert ": 0 new, 2 still open, 0 gone.\n" in shell.out


def test_since_says_nothing_of_how_an_audit_was_made(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the starter policy judged, without files or by a listing, is neither new nor gone."""
    write_policy("version: 1\nrules: [{id: wide, uses: no-wildcard, severity: note}]\n")
    shell.drift("*")
    assert shell.run("audit", "-o", "json=with.json") == 0
    assert shell.run("export", "--actual", "listing.json") == 0
    Path("config/policy.yaml").unlink()
    Path("config/keys/keys.yaml").unlink()
    monkeypatch.delenv("AHASEND_ACCOUNT_ID")
    assert shell.run("audit", "--actual", "listing.json", "--since", "with.json", "-o", "json=without.json") == 3
    made = load_report(Path("without.json").read_text(encoding="utf-8"))
    standings = {each.rule: each.since for each in made.findings}
    assert [standings[rule] for rule in ("saved-listing", "starter-policy", "no-desired-state")] == [None] * 3
    assert standings["no-wildcard"] == "new"
    assert made.since is not None
    assert [each.rule for each in made.since.gone] == ["wide"]
    write_policy("version: 1\n")
    shell.write(FILES.replace("${AHASEND_ACCOUNT_ID}", ACCOUNT))
    assert shell.run("audit", "--since", "without.json", "-o", "json") == 0
    gone = shell.report()["since"]["gone"]
    assert {"saved-listing", "starter-policy", "no-desired-state"}.isdisjoint(each["rule"] for each in gone)
    seriousness = [["deny", "warn", "note"].index(each["severity"]) for each in gone]
    assert seriousness == sorted(seriousness)
    assert set(seriousness) == {0, 1, 2}


def test_since_in_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """RECONCILER_SINCE names the earlier report; without one nothing is compared."""
    write_policy()
    assert shell.run("audit", "-o", "json=audit.json") == 0
    assert json.loads(Path("audit.json").read_text(encoding="utf-8"))["since"] is None
    monkeypatch.setenv("RECONCILER_SINCE", "audit.json")
    assert shell.run("audit") == 0
    assert ": 0 new, 2 still open, 0 gone" in shell.out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "earlier.json: cannot be read: no such file or directory"),
        (b"\xff\xfe", "earlier.json: cannot be read: it is not text"),
        (b"{", "earlier.json: is no report of an audit: `reconciler audit -o json=FILE` writes one"),
        (b"{}", "earlier.json: is no report of an audit: `reconciler audit -o json=FILE` writes one"),
    ],
)
def test_an_earlier_report_that_is_none(shell: Shell, content: bytes | None, told: str) -> None:
    """A file that is not there, is no text or is no report is an error before anything is asked."""
    if content is not None:
        Path("earlier.json").write_bytes(content)
    assert shell.run("audit", "--since", "earlier.json") == 1
    assert shell.err == f"{told}\nerror: 1 problem in the files, nothing was done\n"
    assert shell.emulator.requests["GET"] == 0


def test_an_earlier_report_of_another_command(shell: Shell) -> None:
    """Only an audit is compared with an audit; a folder is no report."""
    assert shell.run("plan", "-o", "json=plan.json") == 0
    assert shell.run("audit", "--since", "plan.json") == 1
    assert shell.err.startswith(
        "plan.json: is the report of another command (plan): make one with `reconciler audit -o json=FILE`\n"
    )
    assert shell.run("audit", "--since", "config") == 1
    assert shell.err.startswith("config: cannot be read: is a directory\n")
