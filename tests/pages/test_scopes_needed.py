"""The scopes that docs/how-to/least-privilege-credentials.md names for each command are enough, and none too many."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from pages.page import DOCS
from shell import FILES, SHOP, Shell
from world import ACCOUNT, admin, key, sub_account

PAGE = (DOCS / "how-to/least-privilege-credentials.md").read_text(encoding="utf-8")
READ, WRITE = ("api-keys:read",), ("api-keys:write",)
READ_BELOW, WRITE_BELOW = ("sub-accounts:read", "sub-account-api-keys:read"), ("sub-account-api-keys:write",)
DOMAINS = ("domains:read",)
RULE = f"""sub_accounts:
  - select: {{name: Acme}}
    keys: [{{name: sender, scopes: ["{SHOP}"]}}]
"""
READERS = ("plan", "audit", "export --overwrite", "explain shop", f"who-can {SHOP}")
DRY = ("apply --dry-run",)  # and run --dry-run, which makes the same passes
CASES = [
    *((command, "", READ) for command in (*READERS, *DRY)),
    ("apply", "", READ + WRITE),
    *((command, RULE, READ + READ_BELOW) for command in ("plan", "audit", "explain shop", f"who-can {SHOP}", *DRY)),
    ("export --overwrite --sub-accounts", "", READ + READ_BELOW),
    ("apply", RULE, READ + WRITE + READ_BELOW + WRITE_BELOW),
    ("plan --check-domains", "", READ + DOMAINS),
    ("apply --check-domains", "", READ + WRITE + DOMAINS),
]


def drifted(shell: Shell, rule: str, scopes: tuple[str, ...]) -> None:
    """A credential with these scopes, a key that differs, and below the account, if there is a rule, another one."""
    shutil.rmtree(shell.folder / "config")
    (shell.folder / "config/keys").mkdir(parents=True)
    shell.write(FILES.replace('"api-keys:read", "api-keys:write"', ", ".join(f'"{scope}"' for scope in scopes)) + rule)
    keys = [admin(scopes=list(scopes)), key(1, "shop", SHOP, "suppressions:read")]
    below = sub_account(1, "Acme", key(2, "sender", SHOP, "suppressions:read"))
    account: dict[str, Any] = {"id": ACCOUNT, "domains": ["shop.example.com"], "keys": keys, "sub_accounts": [below]}
    shell.emulator.load({"accounts": [account]})


@pytest.mark.parametrize(("command", "rule", "scopes"), CASES)
def test_just_these_scopes(shell: Shell, command: str, rule: str, scopes: tuple[str, ...]) -> None:
    """With the scopes of the page a command does its work; with any one less it fails, and says so."""
    drifted(shell, rule, scopes)
    assert shell.run(*shlex.split(command)) == 0, shell.out + shell.err
    wrote = command.startswith("apply") and "--dry-run" not in command
    assert len(shell.emulator.history) == (0 if not wrote else 2 if rule else 1)
    for left_out in scopes:
        drifted(shell, rule, tuple(scope for scope in scopes if scope != left_out))
        assert shell.run(*shlex.split(command)) in (1, 4), left_out
        assert "403" in shell.out + shell.err, left_out


def test_run_with_just_these_scopes(shell: Shell) -> None:
    """``run`` heals an account and a sub account with the scopes that the page names."""
    drifted(shell, RULE, READ + WRITE + READ_BELOW + WRITE_BELOW)
    process = subprocess.Popen([sys.executable, "-m", "reconciler", "run", "--listen", "none", "--log-level", "error"])
    deadline = time.monotonic() + 30
    while len(shell.emulator.history) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def test_the_page_says_the_same() -> None:
    """Each command of the page's table was tried with the scopes that it names."""
    table = re.search(r"^\| command \| scopes \|\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert table is not None
    rows = [[re.findall(r"`(.*?)`", cell) for cell in row.split("|")[1:3]] for row in table[1].splitlines()[1:]]
    assert rows == [
        [["plan", "audit", "export", "explain", "who-can"], [*READ]],
        [["apply --dry-run", "run --dry-run"], [*READ]],
        [["apply", "run"], [*READ, *WRITE]],
        [["sub_accounts", "export --sub-accounts"], [*READ_BELOW]],
        [["apply", "run"], [*WRITE_BELOW]],
        [["--check-domains"], [*DOMAINS]],
        [["validate", "schema", *(f"{each} --actual" for each in ("plan", "audit", "explain", "who-can"))], []],
    ]


def test_no_credential_at_all(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page says to need no credential needs none."""
    drifted(shell, "", READ)
    assert shell.run("export", "--actual", "listing.json") == 0
    for name in ("AHASEND_API_KEY", "AHASEND_ENDPOINT"):
        monkeypatch.delenv(name)
    for command in ("validate", "schema desired"):
        assert shell.run(*command.split()) == 0, shell.err
    for command in ("plan", "audit", "explain shop", f"who-can {SHOP}"):
        assert shell.run(*shlex.split(command), "--actual", "listing.json") == 0, shell.err
