"""What somebody is told who typed something else than what there is: what was probably meant, and exit 64."""

from pathlib import Path

import click
import pytest

from reconciler.cli.group import COMMANDS, reconciler
from reconciler.cli.hints import _COMMANDS, _OPTIONS, hint
from reconciler.cli.variables import BESIDE_OPTIONS, misspelt, strange, variables
from shell import Shell


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plna"], "did you mean 'plan'?"),
        (["diff"], "`reconciler plan` shows what differs"),
        (["Sync"], "`reconciler apply` writes what differs"),
        (["serve"], "`reconciler run` makes passes"),
        (["health"], "`reconciler status`"),
        (["dump"], "`reconciler export`"),
        (["trail", "shwo"], "did you mean 'show'?"),
        (["apply", "--dryrun"], "--dry-run only plans"),
        (["apply", "-n"], "--dry-run only plans"),
        (["plan", "-n"], "it never writes"),
        (["plan", "--json"], "-o json writes JSON"),
        (["apply", "--yes"], "no command ever asks"),
        (["apply", "--auto-approve"], "no command ever asks"),
        (["apply", "--force"], "--allow GUARDRAIL lets one through"),
        (["export", "--force"], "--overwrite"),
        (["plan", "--force"], "`reconciler apply --allow GUARDRAIL`"),
        (["plan", "--watch"], "`reconciler run --every 5m`"),
        (["plan", "--api-key", "aha-sk-1234567890"], "set AHASEND_API_KEY"),
        (["plan", "--every", "5m"], "--every is an option of run and status\n"),
        (["plan", "--allow", "restore"], "--allow is an option of apply, run and explain"),
        (["plan", "--polizy", "x"], "Did you mean '--policy'?"),
        (["apply", "--allow", "max-change"], "did you mean max-changes?"),
        (["audit", "--fail-on", "warning"], "did you mean 'warn'?"),
        (["schema", "policies"], "did you mean 'policy'?"),
        (["plan", "-o", "jsn"], "did you mean json?"),
    ],
)
def test_what_was_meant(shell: Shell, arguments: list[str], told: str) -> None:
    """Wrong habits and slips of the finger are answered with what to write here, and exit 64; nothing is done."""
    assert shell.run(*arguments) == 64
    assert told in shell.err
    assert shell.err.endswith("--help\n")
    assert shell.out == ""
    assert "1234567890" not in shell.err
    assert shell.emulator.requests["GET"] == 0


@pytest.mark.parametrize("arguments", [["zzz"], ["plan", "--zzz"], ["schema", "zzz"], ["demo", "--json"]])
def test_nothing_is_guessed(shell: Shell, arguments: list[str]) -> None:
    """What is near to nothing gets no guess, only where to look."""
    assert shell.run(*arguments) == 64
    assert shell.err.count("hint:") == 1
    assert "see reconciler" in shell.err


def test_habits_are_none_of_ours() -> None:
    """No habit is a command that there is: such a hint could never be seen."""
    assert not {habit for habits in _COMMANDS.values() for habit in habits} & set(COMMANDS)
    options = [habit for habits, _ in _OPTIONS for habit in habits]
    assert len(options) == len(set(options))


def test_errors_without_a_command() -> None:
    """An error that no command belongs to has no hint, and neither has one that is of another kind."""
    assert hint(click.exceptions.NoSuchCommand("zzz")) == ""
    assert hint(click.exceptions.NoSuchOption("--zzz", ctx=click.Context(click.Command("x")))) == ""
    assert hint(click.BadParameter("", param=click.Argument(["x"], type=click.Choice(["a"])))) == ""
    assert hint(click.UsageError("")) == ""


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


def test_every_variable_of_an_option_is_known() -> None:
    """Of an option that two variables may set both are known."""
    status = reconciler.get_command(click.Context(reconciler), "status")
    assert status
    assert {"RECONCILER_AT", "RECONCILER_LISTEN", "RECONCILER_STATUS_OUTPUT"} <= {*variables(status)}


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


def test_files_that_are_elsewhere(shell: Shell) -> None:
    """A file that is not there is answered with one that is, where the name is near."""
    assert shell.run("plan", "--desired", "config/keys.yaml") == 1
    assert "config/keys.yaml: cannot be read: no such file or directory: did you mean config/keys?" in shell.err
    Path("config/policy.yaml").write_text("version: 1\n")
    assert shell.run("validate", "--policy", "config/polcy.yaml") == 1
    assert "did you mean config/policy.yaml?" in shell.err
    assert shell.run("validate", "--policy", "/nowhere/policy.yaml") == 1
    assert "did you mean" not in shell.err
    Path("listing.json").touch()
    assert shell.run("plan", "--actual", "listings.json") == 1
    assert "did you mean listing.json?" in shell.err
    assert shell.run("audit", "--since", "listin.json") == 1
    assert "did you mean listing.json?" in shell.err
    assert shell.run("plan", "--actual", "zzz.json") == 1
    assert "did you mean" not in shell.err
