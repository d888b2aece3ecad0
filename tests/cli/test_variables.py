"""Variables of the environment: ours, and those that were probably meant to be."""

import re
from pathlib import Path
from typing import Final

import click
import pytest

from cli_lines import ALL
from reconciler.cli.group import reconciler
from reconciler.cli.variables import BESIDE_OPTIONS, misspelt, strange, variables, warn
from shell import Shell

KNOWN = {*BESIDE_OPTIONS, "RECONCILER_TRAIL", "RECONCILER_TO", "RECONCILER_DRY_RUN", "RECONCILER_POLICY"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RECONCILER_TRIAL", "RECONCILER_TRAIL"),
        ("RECONCILER_DRYRUN", "RECONCILER_DRY_RUN"),
        ("RECONCILLER_DRY_RUN", "RECONCILER_DRY_RUN"),
        ("AHASEND_APIKEY", "AHASEND_API_KEY"),
        ("AHASEND_API_KEYS", "AHASEND_API_KEY"),
    ],
)
def test_misspelt_variables(name: str, meant: str) -> None:
    """A variable within two edits of one that there is was meant to be that one."""
    assert list(misspelt([name], KNOWN)) == [(name, meant)]


@pytest.mark.parametrize(
    "name",
    [
        "AHASEND_API_KEY_PROD",
        "AHASEND_ACCOUNT_ID2",
        "AHASEND_ACCOUNT_ID_2",
        "RECONCILER_SELF_KEY_ID_X",
        "RECONCILER_X",
    ],
)
def test_variables_that_are_no_mistake(name: str) -> None:
    """A variable of a credential, one that a file of ours may name, and one that is like no other are left alone."""
    assert list(misspelt([name], KNOWN)) == []


ROOT: Final = Path(__file__).parent.parent.parent
NAMED: Final = re.compile(r"\b(?:RECONCILER|AHASEND)_[A-Z_]*[A-Z]\b(?!_)")
EXAMPLES: Final = {"AHASEND_API_KEY_MY_PROD", "RECONCILER_SELF_KEY_ID_MY_PROD"}
OURS: Final = sorted({*BESIDE_OPTIONS, *variables(reconciler)})


@pytest.mark.parametrize("command", ALL)
def test_no_variable_of_ours_is_warned_of(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each variable of any option, also of one with two of them, and each beside the options is known to be ours."""
    context = click.Context(ALL[command], click.Context(reconciler, info_name="reconciler"), command)
    warn(context, dict.fromkeys(OURS, "x"))
    for name in OURS:
        warn(context, {name: "x"})
    assert capsys.readouterr() == ("", "")


def test_every_variable_that_is_read_or_told_of_is_known() -> None:
    """What the sources read and speak of, and what README tells of, is known, but for examples."""
    read = [*(ROOT / "reconciler").rglob("*.py"), ROOT / "README.md"]
    files = (file for file in read if file.name != "variables.py")
    named = {name for file in files for name in NAMED.findall(file.read_text(encoding="utf-8"))}
    assert named - {*OURS} == EXAMPLES
    assert {"RECONCILER_NOTIFY", "RECONCILER_TOKEN", "RECONCILER_HOLD"} <= named


def test_both_variables_of_an_option_are_known() -> None:
    """Of an option that two variables may set the command knows both."""
    assert {"RECONCILER_AT", "RECONCILER_LISTEN"} <= {*variables(ALL["status"])}


def test_a_warning_for_a_variable(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, as a line of the log where logs are JSON, and as a warning where a person reads them."""
    monkeypatch.setenv("RECONCILER_DRYRUN", "true")
    monkeypatch.setenv("RECONCILER_DETAILED_EXITCODE", "false")
    assert shell.run("apply", "--log-format", "console") == 0
    assert shell.err.count("warning: RECONCILER_DRYRUN is no variable of the reconciler") == 1
    assert "did you mean RECONCILER_DRY_RUN?" in shell.err
    assert shell.run("apply") == 0
    assert '"event": "variable.misspelt", "variable": "RECONCILER_DRYRUN", "meant": "RECONCILER_DRY_RUN"' in shell.err
    assert all(line.startswith("{") for line in shell.err.splitlines())
    assert shell.run("validate") == 0
    assert shell.err.startswith("warning: RECONCILER_DRYRUN")
    assert shell.run("schema", "policy") == 0
    assert shell.err == ""


@pytest.mark.parametrize(
    "name",
    [
        "RECONCILER_PORT",
        "RECONCILER_SERVICE_HOST",
        "RECONCILER_SERVICE_PORT",
        "RECONCILER_SERVICE_PORT_HTTP",
        "RECONCILER_PORT_8080_TCP",
        "RECONCILER_PORT_8080_TCP_ADDR",
        "RECONCILER_TRIAL_PORT",
        "REQUESTS_CA_BUNDLE",
        "RECONCILER",
        "REPO_X",
    ],
)
def test_what_kubernetes_sets_is_no_mistake(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What Kubernetes sets for a Service, or anybody for anything else, is not warned of."""
    assert strange([name], set()) == []
    monkeypatch.setenv(name, "tcp://10.0.0.1:8080")
    assert shell.run("plan") == 0
    assert shell.err == ""
