"""Options about passes: sub accounts, domains, limits of time, credentials that rotate."""

from pathlib import Path
from typing import Any

import pytest

from shell import FILES, SHOP, Shell
from world import FAMILY_MANAGER, TOKEN, key, sub_account

FAMILY = """version: 1
account: ${AHASEND_ACCOUNT_ID}
sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["messages:send:all"]}]
"""


def with_sub_accounts(shell: Shell, *sub_accounts: dict[str, Any]) -> None:
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = [*FAMILY_MANAGER]
    state["accounts"][0]["sub_accounts"] = [*sub_accounts]
    shell.emulator.load(state)
    shell.write(FAMILY)


def test_sub_accounts(shell: Shell) -> None:
    """A plan shows what differs in a sub account under its name; apply mends it; after that all is in sync."""
    with_sub_accounts(
        shell,
        sub_account(1, "Acme East", key(11, "sender", "domains:read")),
        sub_account(2, "Acme West", key(12, "sender", "messages:send:all"), status="suspended"),
    )
    assert shell.run("validate") == 0
    assert shell.out == "valid: 0 keys in 1 account, 1 key in 1 rule for sub accounts, 1 file\n"
    assert shell.run("plan") == 0
    assert "Acme East" in shell.out
    assert "Acme West" in shell.out
    assert shell.run("apply") == 0
    assert shell.emulator.dump()["accounts"][0]["sub_accounts"][0]["keys"][0]["scopes"] == ["messages:send:all"]
    assert shell.run("plan", "--detailed-exitcode", "-o", "json") == 0
    statuses = {account["sub_account_name"]: account["status"] for account in shell.report()["accounts"]}
    assert statuses == {None: "ok", "Acme East": "ok", "Acme West": "suspended"}


def test_check_domains(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope for a domain that the account does not have is denied, by the option as by its variable."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = ["api-keys:read", "api-keys:write", "domains:read"]
    shell.emulator.load(state)
    files = FILES.replace('"api-keys:write"', '"api-keys:write", "domains:read"')
    shell.write(files.replace("shop.example.com", "gone.example.com"))
    assert shell.run("plan") == 0
    assert "denied" not in shell.out
    assert shell.run("apply", "--check-domains") == 3
    assert "unknown-domain" in shell.out
    assert "gone.example.com, which the account does not have" in " ".join(shell.out.split())
    monkeypatch.setenv("RECONCILER_CHECK_DOMAINS", "true")
    assert shell.run("plan", "--detailed-exitcode") == 3
    assert shell.emulator.requests["PUT"] == 0


@pytest.mark.parametrize(
    ("option", "told"),
    [("--account-timeout", "it was not read whole within 0.1 s"), ("--pass-timeout", "the pass had none left for it")],
)
def test_limits_of_time(shell: Shell, option: str, told: str) -> None:
    """What they do not suffice for fails as out of time, and the command ends soon after."""
    shell.emulator.set_faults({"rules": [{"method": "*", "path": "*", "do": {"delay": "5s"}}]})
    assert shell.run("plan", option, "100ms") == 1
    assert f"out of time: {told}" in shell.out
    assert option in shell.out
    assert shell.run("plan", option, "soon") == 64


def test_a_credential_that_rotates(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is replaced while a pass is under way is picked up by the request that met the old one's 401."""
    fresh = "aha-sk-" + "n" * 64
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "ahasend_api_key").write_text(TOKEN)
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
    shell.drift("domains:read")
    rotated = False

    def rotate(text: str) -> None:
        nonlocal rotated
        if "plan.computed" in text and not rotated:
            rotated = True
            state = shell.emulator.dump()
            state["accounts"][0]["keys"][0]["secret_key"] = fresh
            shell.emulator.load(state)
            (secrets / "ahasend_api_key").write_text(fresh)

    monkeypatch.setattr("sys.stderr", _Watched(rotate))
    assert shell.run("apply") == 0
    assert rotated
    assert shell.emulator.dump()["accounts"][0]["keys"][1]["scopes"] == [SHOP]


class _Watched:
    """A stream that tells of each text."""

    def __init__(self, watch: Any) -> None:
        self._watch = watch

    def write(self, text: str) -> int:
        self._watch(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""

    def isatty(self) -> bool:
        return False


def test_help_names_the_limits(shell: Shell) -> None:
    """The help of every command with passes names the limits of time and their defaults."""
    for command in ("plan", "apply", "run"):
        assert shell.run(command, "--help") == 0
        told = " ".join(shell.out.split())
        assert "--account-timeout DURATION" in told
        assert "[default: 5m]" in told
        assert "[default: 30m]" in told
        assert "--check-domains" in told
