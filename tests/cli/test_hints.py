"""What somebody is told who typed something else than what there is: what was probably meant, and exit 64."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from cli_lines import ALL, PLACEHOLDERS, meant, parse
from reconciler.cli.group import COMMANDS, reconciler
from reconciler.cli.habits import ARGUMENTS, OPTIONS
from reconciler.cli.habits import COMMANDS as HABITS
from reconciler.cli.hints import hint, message, near
from shell import Shell


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("plna", "did you mean 'plan'?"),
        ("diff", "`reconciler plan` shows what differs"),
        ("Sync", "`reconciler apply` writes what differs"),
        ("serve", "`reconciler run` makes passes"),
        ("health", "`reconciler status --quiet`"),
        ("dump", "`reconciler export`"),
        ("log", "`reconciler trail show --key NAME FILE` tells what happened"),
        ("create", "keys are not made yet"),
        ("delete", "`state: quarantined` in the files switches one off"),
        ("dashboard", "`reconciler run` serves a status page"),
        ("man", "`man reconciler`"),
        ("-v", "`reconciler --version`"),
        ("--dry-run plan", "options stand after the command: --dry-run is an option of apply and run"),
        ("trail shwo", "did you mean 'show'?"),
        ("trail verfiy x", "did you mean 'verify'?"),
        ("help aply", "did you mean 'apply'?"),
        ("apply --dryrun", "`--dry-run` only plans"),
        ("apply -n", "`--dry-run` only plans"),
        ("plan -n", "it never writes"),
        ("plan --json", "`-o json` writes JSON, `-o html=FILE`"),
        ("plan --format json", "`-o json` writes JSON, `-o html=FILE`"),
        ("status --json", "`-o json` writes JSON\n"),
        ("trail show --html", "`-o text` and `-o json` are all there is"),
        ("apply --yes", "leave it out: no command ever asks"),
        ("apply --auto-approve", "leave it out: no command ever asks"),
        ("apply --force", "`--allow GUARDRAIL` lets one through"),
        ("export --force", "`--overwrite` replaces"),
        ("plan --force", "`reconciler apply --allow GUARDRAIL`"),
        ("plan --watch", "`reconciler run --every 5m`"),
        ("run --watch", "leave it out: it goes on, and sees when a file changes"),
        ("run --interval 5m", "`--every 5m` says how often"),
        ("run --daemon", "leave it out: it makes passes until told to stop"),
        ("run --once", "`reconciler apply` makes one pass"),
        ("apply --once", "leave it out: a single pass is all that it makes"),
        ("run --port 9000", "`--listen 127.0.0.1:8080`"),
        ("run --notify json://x", "set RECONCILER_NOTIFY"),
        ("run --token x", "RECONCILER_TOKEN is for requests to it"),
        ("status --once", "leave it out: without `--watch` it asks once"),
        ("status --port 8080", "`--at HOST:PORT` says where the daemon listens"),
        ("status --url http://x", "`--at HOST:PORT` says where the daemon listens"),
        ("status --interval 5s", "`--watch --every 5s`"),
        ("status --watchh", "did you mean '--watch'?"),
        ("status 127.0.0.1:9", "`--at HOST:PORT` says which daemon to ask"),
        ("notify --send", "`--test` sends a test message"),
        ("notify test", "`--test` sends a test message"),
        ("plan config/keys", "`--desired PATH` names the files"),
        ("export keys", "`--to PATH` names the folder"),
        ("plan --api-key aha-sk-1234567890", "set AHASEND_API_KEY"),
        ("plan --every 5m", "--every is an option of run and status\n"),
        ("plan --allow restore", "--allow is an option of apply, run and explain"),
        ("plan --polizy x", "did you mean '--policy'?"),
        ("plan --log json", "did you mean '--log-format' or '--log-level'?"),
        ("apply --tral x", "did you mean '--trail'?"),
        ("apply --rat 5", "did you mean '--rate'?"),
        ("apply --allow max-change", "did you mean max-changes?"),
        ("audit --fail-on warning", "did you mean 'warn'?"),
        ("schema policies", "did you mean 'policy'?"),
        ("plan -o jsn", "did you mean json?"),
    ],
)
def test_what_was_meant(shell: Shell, line: str, told: str) -> None:
    """Wrong habits and slips of the finger are answered with what to write here, once, and exit 64; nothing is done."""
    assert shell.run(*line.split()) == 64
    assert told in shell.err
    assert shell.err.lower().count("did you mean") <= 1
    assert shell.err.endswith("--help\n")
    assert shell.out == ""
    assert "1234567890" not in shell.err
    assert shell.emulator.requests["GET"] == 0


@pytest.mark.parametrize(
    "line",
    ["zzz", "plan --zzz", "schema zzz", "demo --json", "status --ta x", "apply --al x", "demo x"],
)
def test_nothing_is_guessed(shell: Shell, line: str) -> None:
    """What is near to nothing gets no guess, only where to look."""
    assert shell.run(*line.split()) == 64
    assert shell.err.count("hint:") == 1
    assert "see reconciler" in shell.err
    assert "did you mean" not in shell.err.lower()


def test_the_best_guess_is_first() -> None:
    """Of names within two edits the nearest comes first, and no more than three are told."""
    assert near("--abcx", ["--abay", "--abcy", "--zzzz"]) == "did you mean '--abcy' or '--abay'?"
    assert near("--abcdef", ["--abcxyz"]) == ""
    assert near("aaaa", ["aaab", "aaac", "aaad", "aaae"]) == "did you mean 'aaab' or 'aaac' or 'aaad'?"
    assert near("--ab", ["--abcde"]) == ""


@pytest.mark.parametrize("line", ["completion", "schema"])
def test_what_is_missing_is_said_on_a_line(shell: Shell, line: str) -> None:
    """An argument of a few words names them on the line that says that it is missing."""
    assert shell.run(line) == 64
    assert shell.err.startswith("error: Missing argument: one of ")
    assert shell.err.count("\n") == 2
    assert "\t" not in shell.err


def test_an_address_to_ask_at(shell: Shell) -> None:
    """Who asks a daemon is not told how to be reached from everywhere."""
    assert shell.run("status", "--at", "8080") == 64
    assert "'8080' names no host: write 127.0.0.1:8080\n" in shell.err
    assert shell.run("status", "--at", "x") == 64
    assert "'x' is no address to ask at: write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080\n" in shell.err


def test_habits_are_none_of_ours() -> None:
    """No habit is a command that there is, or stands in two places: such a hint could never be seen."""
    names = [habit for habits, _ in HABITS for habit in habits]
    assert not {*names} & {*COMMANDS}
    assert len(names) == len({*names})
    options = [habit for habits, _ in OPTIONS for habit in habits]
    assert len(options) == len({*options})


NEEDED: Final = {
    "explain": "KEY",
    "who-can": "WHAT",
    "trail show": "FILE --key NAME",
    "trail verify": "FILE",
    "emulator": "--seed FILE",
    "schema": "desired",
    "completion": "bash",
}
"""What a command does not do without."""


def typed(told: str, command: str) -> Iterator[str]:
    """Each command line in a hint of a command, whole or as options of it."""
    for shown in re.findall("`(.*?)`", told):
        if shown.startswith("reconciler "):
            yield shown
        elif shown.startswith("-"):
            alone = shown.replace("`", "")
            rest = "" if command == "emulator" and "--seed" in alone else NEEDED.get(command, "")
            yield f"reconciler {command} {rest} {alone}"


def hints() -> Iterator[tuple[str, str]]:
    """Every hint that there may be, with the command that it is for."""
    for told in (told for _, told in HABITS):
        yield "", told
    for name, command in ALL.items():
        context = click.Context(reconciler, info_name="reconciler")
        above, _, own_name = name.rpartition(" ")
        if above:
            context = click.Context(ALL[above], context, above)
        context = click.Context(command, context, own_name)
        habits = [habit for words, _ in OPTIONS for habit in words]
        own = {option for each in command.params for option in each.opts}
        for habit in (each for each in habits if each not in own):
            yield name, hint(click.exceptions.NoSuchOption(habit, ctx=context))
        yield name, hint(click.UsageError("Got unexpected extra argument (x)", ctx=context))


def test_every_hint_can_be_typed() -> None:
    """Each command line, and each option, that any hint shows is one that the command takes."""
    shown = {line for name, told in hints() for line in typed(told, name)}
    assert len(shown) > 50
    for line in sorted(shown):
        try:
            parse(re.sub(PLACEHOLDERS, meant, line))
        except click.exceptions.Exit as ended:
            assert ended.exit_code == 0  # noqa: PT017 # of --version
        except click.UsageError as error:
            pytest.fail(f"{line}: {error.format_message()}")


def test_every_answer_is_given_to_somebody() -> None:
    """No answer stands behind one that always comes first."""
    given = {told for _, told in hints()}
    answers = [answer for _, answers in OPTIONS for answer in answers]
    assert {answer.told for answer in (*answers, *ARGUMENTS) if answer.commands != ("",)} <= given


def test_errors_without_a_command() -> None:
    """An error that no command belongs to has no hint, and neither has one that is of another kind."""
    assert hint(click.exceptions.NoSuchCommand("zzz")) == ""
    assert hint(click.exceptions.NoSuchOption("--zzz", ctx=click.Context(click.Command("x")))) == ""
    assert hint(click.BadParameter("", param=click.Argument(["x"], type=click.Choice(["a"])))) == ""
    assert hint(click.UsageError("")) == ""
    assert message(click.exceptions.NoSuchOption("--zzz", possibilities=["--zzy"])) == "No such option '--zzz'."


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
