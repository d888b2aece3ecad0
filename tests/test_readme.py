"""What README shows is what the product does."""

import json
import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from reconciler.cli import main
from reconciler.core.allowable import ALLOWABLE, NEVER_ALLOWED
from reconciler.emulator.faults import FaultError
from reconciler.emulator.server import Emulator, load_seed
from served import served
from shell import Shell

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SEED = ROOT / "config/examples/emulator-seed.yaml"


def sessions() -> list[tuple[str, str]]:
    """Each command that README shows with its output."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    shown = [part.partition("\n") for block in blocks[3:] for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, output) for command, _, output in shown]


def test_the_commands_are_those_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    """README's list of commands is that of ``--help``, to the letter."""
    main(["--help"])
    shown = re.search(r"```text\n(Commands:.*?)```", README, re.DOTALL)
    assert shown is not None
    assert shown[1] in capsys.readouterr().out


def test_the_sessions_are_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command whose output README shows prints exactly that, one after the other, on the example account."""
    monkeypatch.chdir(tmp_path)
    for name, value in re.findall(r"export (AHASEND_\w+)=(\S+)", SEED.read_text()):
        monkeypatch.setenv(name, value)
    ran = 0
    with served(Emulator(load_seed(SEED))) as address:
        monkeypatch.setenv("AHASEND_ENDPOINT", address)
        for command, output in sessions():
            arguments = shlex.split(command)
            if arguments[0] == "reconciler":
                assert main(arguments[1:]) == 0
                assert capsys.readouterr().out == output
                ran += 1
            else:
                assert os.system(command) == 0  # noqa: S605 # README's own sed
    assert ran == 4


def test_the_policy_of_the_clone_judges_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the starter policy where the sessions run there is something to look at, as README says of the clone."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/policy.yaml").write_bytes((ROOT / "config/policy.yaml").read_bytes())
    for name, value in re.findall(r"export (AHASEND_\w+)=(\S+)", SEED.read_text()):
        monkeypatch.setenv(name, value)
    with served(Emulator(load_seed(SEED))) as address:
        monkeypatch.setenv("AHASEND_ENDPOINT", address)
        assert main(["export"]) == 0
        capsys.readouterr()
        assert main(["plan"]) == 0
    assert "finding" in (shown := capsys.readouterr().out)
    assert "to look at" in shown
    assert "in sync" not in shown


def test_notifications_are_an_extra() -> None:
    """README says how a clone is installed so that people can be notified, with the extra that the package has."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert re.findall(r"'\.\[(\w+)\]'", README) == [*extras]


def test_the_example_loads(shell: Shell) -> None:
    """The desired state, the rules for sub accounts and the policy that README shows load."""
    desired, policy, family = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    shell.write(desired)
    Path("config/policy.yaml").write_text(policy)
    assert shell.run("validate") == 0
    shell.write(family)
    assert shell.run("validate") == 0
    assert yaml.safe_load(policy)["guardrails"]["max_changes"] == {"percent": 30, "at_least": 5}


def test_the_emulators_page_is_true() -> None:
    """The rules that docs/emulator.md shows can be set, and it lists every kind of fault that there is."""
    page = (ROOT / "docs/emulator.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    emulator = Emulator({"accounts": []})
    emulator.set_faults(json.loads(rules))
    _head, *kinds = re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE)
    with pytest.raises(FaultError) as told:
        emulator.set_faults({"rules": [{"do": {}}]})
    assert all(kind in str(told.value) for kind in kinds)
    assert kinds == ["status", "delay", "drop", "body", "cursor"]


def test_every_guardrail_is_listed() -> None:
    """README's table of guardrails has a row for each."""
    rows = re.findall(r"^\| `([a-z-]+)` \|", README, re.MULTILINE)
    assert rows == [*ALLOWABLE, *NEVER_ALLOWED]
