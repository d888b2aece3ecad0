"""What a shell is told: the words that may follow, and never an error."""

import os
from pathlib import Path

import pytest

from reconciler.cli import main
from reconciler.cli.completing import VARIABLE, answer, read_line
from reconciler.cli.completion import SHELLS
from reconciler.cli.group import COMMANDS, reconciler
from reconciler.core.allowable import ALLOWABLE

BREAKS = "\"'><=;|&(:"


def offered(line: str, shell: str = "zsh", **more: str) -> list[list[str]]:
    """The lines of an answer, each with its parts."""
    environment = {VARIABLE: shell, "COMPLETE_LINE": f"reconciler {line}", **more}
    return [part.split("\t") for part in answer(reconciler, environment).splitlines()]


def words(line: str, shell: str = "zsh", **more: str) -> list[str]:
    return [value for kind, value, _ in offered(line, shell, **more) if kind == "plain"]


def test_commands_and_their_meaning() -> None:
    """All commands are offered, with what each is for."""
    assert words("") == list(COMMANDS)
    assert offered("val") == [["plain", "validate", "Check the files, offline."]]
    assert words("--ver") == ["--version"]


def test_options_and_their_meaning() -> None:
    """Options come with their help, cut so that it is read at a glance; one that was given is not offered again."""
    assert offered("plan --dry") == []
    assert offered("apply --dry") == [["plain", "--dry-run", "Only plan"]]
    assert all(len(told) <= 70 for _, _, told in offered("run --"))
    assert any(told.endswith("…") for _, _, told in offered("run --"))
    assert words("apply --digest x --dig") == []
    assert words("apply --allow restore --al") == ["--allow"]


def test_values() -> None:
    """Values are offered for what takes one of a few: formats, guardrails, choices, zones, families of scopes."""
    assert words("plan -o ") == [
        form + end for form in ("text", "json", "markdown", "html", "sarif") for end in ("", "=")
    ]
    assert words("apply --allow ") == list(ALLOWABLE)
    assert words("audit --fail-on ") == ["deny", "warn", "note", "never"]
    assert "Europe/Berlin" in words("run --time-zone ")
    assert words("who-can messages:s") == ["messages:send"]
    assert words("help tr") == ["trail"]
    assert words("help trail ") == ["show", "verify"]
    assert words("help plan ") == []


def test_files_are_left_to_the_shell() -> None:
    """Where a file is wanted the shell is told so, and what of the word is none."""
    assert offered("plan --policy ") == [["file", "", ""]]
    assert offered("apply --metrics-file ") == [["file", "", ""]]
    assert offered("plan -o json=a/b") == [["file", "json=", ""]]
    assert offered("plan -o xml=a/b") == []


def test_a_word_that_is_an_option_and_its_value() -> None:
    """Each shell gets what it would put in place: zsh the value, fish the whole word, bash what follows `=` and `:`."""
    line = "plan --output=js"
    assert offered(line) == [["lead", "--output=", ""], ["plain", "json", "to stdout"], ["plain", "json=", "to a file"]]
    assert words(line, "fish") == ["--output=json", "--output=json="]
    assert words(line, "bash", COMPLETE_BREAKS=BREAKS) == ["json", "json="]
    assert words("who-can messages:se", "bash", COMPLETE_BREAKS=BREAKS) == ["send"]
    assert words("who-can messages:se", "bash", COMPLETE_BREAKS="=") == ["messages:send"]
    assert offered("plan --output=json=x", "bash", COMPLETE_BREAKS=BREAKS) == [["file", "", ""]]


def test_names_of_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of keys are found in the files by their looks; what cannot be read has none."""
    monkeypatch.chdir(tmp_path)
    assert words("explain ") == []
    Path("config/keys").mkdir(parents=True)
    Path("config/keys/a.yaml").write_text(
        'keys:\n  - name: shop\n  - {scopes: [], name: "b-2"}\n  - {name: \'c\', x: 1}\n  - {name: "Not one"}\n'
        "sub_accounts: [{select: {name: acme west}}]\nusername: no\n"
    )
    Path("config/keys/b.yaml").write_bytes(b"\xff")
    os.mkfifo("config/keys/c.yaml")
    Path("d.yaml").write_text("keys: [{name: other}]")
    assert words("explain ") == ["b-2", "c", "shop"]
    assert words("trail show --key s") == ["shop"]
    assert words("explain --desired d.yaml ") == ["other"]


@pytest.mark.parametrize("line", ["nonsense --", "plan -o x -o ", "plan 'open ", "plan --rate x --burst y --", "\\"])
def test_whatever_is_typed(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    """No line that somebody may be typing makes an error."""
    offered(line)
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_fails_is_none() -> None:
    """Where anything goes wrong nothing is offered: an unknown shell, files that are gone."""
    assert answer(reconciler, {VARIABLE: "csh", "COMPLETE_LINE": "reconciler pl"}) == ""
    assert answer(reconciler, {}) == ""


def test_the_last_word() -> None:
    """The last word is empty after a blank, but not where the blank is a part of it."""
    assert read_line({"COMPLETE_LINE": "reconciler plan "}).word == ""
    assert read_line({"COMPLETE_LINE": "reconciler plan my\\ "}).word == "my "
    assert read_line({"COMPLETE_LINE": "reconciler"}).word == ""
    assert read_line({"COMPLETE_LINE": "reconciler plan --actual 'a b"}).word == "a b"


def test_a_process_answers(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The variable of the script makes the command answer, and nothing else."""
    monkeypatch.setenv(VARIABLE, "bash")
    monkeypatch.setenv("COMPLETE_LINE", "reconciler pl")
    assert main([]) == 0
    assert capfd.readouterr() == ("plain\tplan\t\n", "")


def test_a_variable_that_is_left_over(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The variable keeps no command from its work: only a script asks without arguments, and with a line."""
    monkeypatch.setenv(VARIABLE, "bash")
    monkeypatch.setenv("COMPLETE_LINE", "reconciler pl")
    assert main(["schema", "policy"]) == 0
    assert capfd.readouterr().out.startswith("{")
    monkeypatch.delenv("COMPLETE_LINE")
    assert main([]) == 64


@pytest.mark.parametrize("name", SHELLS)
def test_a_script_for_each_shell(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script of a shell is printed as it is, and tells how it is set up; another shell is wrong usage."""
    assert main(["completion", name]) == 0
    printed = capsys.readouterr()
    assert f"reconciler completion {name}" in printed.out
    assert printed.err == ""
    assert main(["completion", "csh"]) == 64
