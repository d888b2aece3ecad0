"""Help as a newcomer meets it: short, by section, with examples that work, and readable on 80 columns."""

import re
from pathlib import Path

import click
import pytest

from cli_lines import ALL, PLACEHOLDERS, meant, parse
from reconciler.cli.command import Command, Group, option_sections, split_help
from shell import Shell

ROOT = Path(__file__).parent.parent.parent


def examples() -> list[str]:
    """Every command line that is shown to be copied: in helps, in README, in docs."""
    shown = [example for command in ALL.values() for example in split_help(command)[1]]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
        shown += [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?reconciler ", line)]
        shown += re.findall(r"`(reconciler [^` ]+ [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return shown


@pytest.mark.parametrize("line", sorted(set(examples())))
def test_every_example_works(line: str) -> None:
    """What help, README and docs show can be typed as it is: each command, option and value is one that there is."""
    try:
        parse(re.sub(PLACEHOLDERS, meant, line))
    except click.exceptions.Exit as ended:
        assert ended.exit_code == 0  # noqa: PT017 # of --help


def test_a_wrong_example_is_noticed() -> None:
    """A wrong option, a wrong value or a wrong command in an example is not taken."""
    for line in ("reconciler plan --dryrun", "reconciler run --every 5", "reconciler check", "reconciler plan x"):
        with pytest.raises(click.UsageError):
            parse(line)


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_laid_out(name: str) -> None:
    """Each command is one of ours, says in a line what it is for, has an example, and takes -h."""
    command = ALL[name]
    assert isinstance(command, Command | Group)
    prose, shown = split_help(command)
    assert prose.split("\n\n")[0]
    assert shown
    assert all(example.startswith("reconciler ") for example in shown)


@pytest.mark.parametrize("name", ["", *ALL])
def test_help_fits_a_terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No line of any help is wider than 80 columns, no word is broken at a hyphen, and no example is wrapped."""
    monkeypatch.setenv("COLUMNS", "80")
    assert shell.run(*name.split(), "--help") == 0
    assert max(map(len, shell.out.splitlines())) <= 80
    assert not re.search(r"[a-z]-$", shell.out, re.MULTILINE)
    assert all(f"  {example}\n" in shell.out for example in (split_help(ALL[name])[1] if name else ()))
    assert shell.out.isascii()


def test_long_helps_have_sections(shell: Shell) -> None:
    """Options of a long help stand in sections, each option in one; a short help has one section."""
    shell.run("run", "--help")
    titles = re.findall(r"^([A-Z].*):$", shell.out, re.MULTILINE)
    passes = ["Files", "Account", "Safety", "Schedule"]
    around = ["Web server", "Notifications", "Limits", "Trail", "Output", "Other options"]
    assert titles == [*passes, *around, "Examples"]
    command = ALL["run"]
    context = click.Context(command)
    shown = [each for _, options in option_sections(command, context) for each in options]
    assert len(shown) == len({each.name for each in shown}) == len(command.get_params(context))
    for name in ALL:
        assert shell.run(*name.split(), "--help") == 0
        others = re.findall(r"^Other options:\n(.*(?:\n  .*)*)", shell.out, re.MULTILINE)
        assert others in ([], ["  -h, --help  Show this message and exit."])
    shell.run("schema", "--help")
    assert re.findall(r"^([A-Z].*):$", shell.out, re.MULTILINE) == ["Options", "Example"]


def test_help_is_a_command(shell: Shell) -> None:
    """`reconciler help` shows what --help does, of commands below others too; what there is not is wrong usage."""
    for names in ([], ["apply"], ["trail"], ["trail", "show"]):
        assert shell.run("help", *names) == 0
        shown = shell.out
        assert shell.run(*names, "--help") == 0
        assert shown == shell.out
    assert shell.run("help", "aply") == 64
    assert "did you mean 'apply'?" in shell.err
    assert shell.run("help", "plan", "x") == 64
    assert "there is nothing below 'reconciler plan'" in shell.err


def test_where_to_read_on(shell: Shell) -> None:
    """Without a command, and in the help of them all, it is said where the manual and the pages are."""
    assert shell.run() == 64
    for text in (shell.err, shell.run("--help") == 0 and shell.out):
        assert "man reconciler" in str(text)
        assert "docs/command-line.md" in str(text)
