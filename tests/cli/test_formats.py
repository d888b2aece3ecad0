"""The formats of a report as commands write them: each, several at once, and none of them with a secret."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.values import OutputFormat
from shell import Shell
from world import TOKEN

BEGINNINGS = {
    "text": "",
    "json": '{\n  "schema": "reconciler/report/v1"',
    "markdown": "**",
    "html": "<!DOCTYPE html>",
    "sarif": "{",
}


def looks_like(name: str, text: str) -> bool:
    return text.startswith(BEGINNINGS[name]) and text.endswith("\n")


@pytest.mark.parametrize("name", OutputFormat)
@pytest.mark.parametrize("command", ["plan", "apply", "audit"])
def test_each_command_writes_each_format(shell: Shell, command: str, name: str) -> None:
    """``plan``, ``apply`` and ``audit`` write every format to stdout, of one report."""
    shell.drift("domains:read", number=1)
    shell.run(command, "-o", name)
    assert looks_like(name, shell.out)


def test_several_formats_at_once(shell: Shell) -> None:
    """All formats are written in one run, one of them to stdout, and all tell the one report."""
    shell.drift("domains:read", number=1)
    files = [f"{name}=report.{name}" for name in OutputFormat if name != "text"]
    assert shell.run("plan", *(part for each in files for part in ("-o", each)), "-o", "text") == 0
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    digest = report["digest"]
    assert digest in shell.out
    assert digest in Path("report.markdown").read_text(encoding="utf-8")
    assert digest in Path("report.html").read_text(encoding="utf-8")
    sarif = Path("report.sarif").read_text(encoding="utf-8")
    assert report["run_id"] in sarif
    written = {name: Path(f"report.{name}").read_text(encoding="utf-8") for name in OutputFormat if name != "text"}
    assert all(looks_like(name, text) for name, text in written.items())


def test_all_to_files_leaves_stdout_empty(shell: Shell) -> None:
    """If every format has a file, stdout stays empty; a file that is there is replaced."""
    Path("report.md").write_text("old", encoding="utf-8")
    assert shell.run("plan", "-o", "markdown=report.md", "-o", "sarif=report.sarif") == 0
    assert shell.out == ""
    assert looks_like("markdown", Path("report.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("htm", "'htm' is not one of text, json, markdown, html, sarif: did you mean html?"),
        ("md=x.md", "'md' is not one of text, json, markdown, html, sarif: did you mean markdown=x.md?"),
        ("audit.html", "did you mean html=audit.html?"),
        ("jsno", "did you mean json?"),
        ("pdf", "'pdf' is not one of text, json, markdown, html, sarif\n"),
        ("html=", "'html=' names no file"),
        ("html=-", "'html=-' names no file: write html for stdout or html=FILE"),
        ("html=x.html,json=x.json", "is two outputs in one: give each its own, -o json=x.json"),
    ],
)
def test_a_format_that_is_none(shell: Shell, value: str, told: str) -> None:
    """A format that there is not, or a file without a name, is wrong usage, and the message says what there is."""
    assert shell.run("plan", "-o", value) == 64
    assert told in shell.err


def test_two_to_stdout(shell: Shell) -> None:
    """Two formats on stdout would be none: that is wrong usage, and nothing is asked of the account."""
    assert shell.run("plan", "-o", "html", "-o", "sarif") == 64
    assert shell.out == ""
    assert shell.emulator.requests["GET"] == 0


ODD = 'pa"ss <word> & more\\ of | `it`, long enough to go over the end of a line at a terminal, wherever that is'


PLAIN = "0123456789abcdef" * 2


@pytest.mark.parametrize("before", ["see ", "x" * 40, "x" * 200])
@pytest.mark.parametrize("name", OutputFormat)
def test_no_format_shows_a_part_of_a_secret(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, before: str
) -> None:
    """A secret in a label that a format cuts is masked before that, so that not even its beginning is shown."""
    monkeypatch.setenv("AHASEND_API_KEY_OTHER", PLAIN)
    other = "version: 1\naccount: {id: 99999999-9999-4999-8999-999999999999, credential: other}\nkeys: []\n"
    Path("config/keys/other.yaml").write_text(other, encoding="utf-8")
    shell.drift("*", label=f"{before}{PLAIN}"[:255])
    for command in ("plan", "audit"):
        assert shell.run(command, "-o", name) == 4
        assert PLAIN[:9] not in shell.out.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("secret", [TOKEN, ODD], ids=["token", "odd"])
@pytest.mark.parametrize("name", OutputFormat)
def test_no_format_shows_a_secret(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, secret: str) -> None:
    """A secret that somebody pasted into a label is masked in every format, however that would write it."""
    monkeypatch.setenv("AHASEND_API_KEY_OTHER", ODD)
    other = "version: 1\naccount: {id: 99999999-9999-4999-8999-999999999999, credential: other}\nkeys: []\n"
    Path("config/keys/other.yaml").write_text(other, encoding="utf-8")
    shell.drift("*", label=f"see {secret}")
    assert shell.run("plan", "-o", name) == 4
    assert name == "sarif" or "aha-sk-***" in shell.out  # which has no word of a key that no rule is about
    for word in ("<word>", "&lt;word", "long enough", TOKEN):
        assert word not in shell.out


def test_a_secret_that_is_broken_is_masked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential with a line end, a blank or something invisible in it is masked as a whole."""
    monkeypatch.setenv("AHASEND_API_KEY_OTHER", PLAIN)
    other = "version: 1\naccount: {id: 99999999-9999-4999-8999-999999999999, credential: other}\nkeys: []\n"
    Path("config/keys/other.yaml").write_text(other, encoding="utf-8")
    for between in ("\n", " ", "\u200b", "\r\n\t"):
        shell.drift("*", label=f"x {PLAIN[:20]}{between}{PLAIN[20:]} y")
        for name in OutputFormat:
            shell.run("plan", "-o", name)
            assert PLAIN[:12] not in shell.out
            assert PLAIN[-12:] not in shell.out


@pytest.mark.parametrize(
    ("first", "second"),
    [("r", "./r"), ("d/r", "e/r"), ("d/r", "f"), ("r", "d/../r")],
)
def test_one_file_by_two_names(shell: Shell, first: str, second: str) -> None:
    """Two outputs into one file, however it is spelt or linked, are wrong usage: one of them would be lost."""
    Path("d").mkdir()
    Path("e").symlink_to("d")
    Path("f").symlink_to("d/r")
    assert shell.run("plan", "-o", f"html={first}", "-o", f"json={second}") == 64
    assert "two --output options name the same file" in shell.err


@pytest.mark.parametrize(
    "output", ["json=config/keys/keys.yaml", "text=config/keys/new.yml", "json=config/policy.yaml"]
)
@pytest.mark.parametrize("command", ["plan", "apply", "audit", "run"])
def test_an_output_over_what_is_read(shell: Shell, command: str, output: str) -> None:
    """A report does not replace a file that is read, nor become one that the next run would read."""
    assert shell.run(command, "-o", output) == 64
    assert "would replace a file that is read" in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_a_report_beside_what_is_read(shell: Shell) -> None:
    """What no run would take for desired state may lie in its folder."""
    assert shell.run("plan", "-o", "json=config/keys/plan.json") == 0
    assert shell.run("plan") == 0


def test_a_name_that_is_too_long(shell: Shell) -> None:
    """The message names the file, and what is wrong with it."""
    assert shell.run("plan", "-o", f"html={'x' * 300}") == 1
    assert "cannot be written: file name too long" in shell.err


@pytest.mark.parametrize("name", OutputFormat)
def test_stdout_in_another_encoding(shell: Shell, name: str) -> None:
    """Where stdout cannot show every letter, people get escapes, and programs UTF-8."""
    shell.drift("*", label="Caf\u00e9")
    command = [sys.executable, "-m", "reconciler", "plan", "-o", name]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    if name == "text":
        assert b"Caf\\xe9" in done.stdout
    else:
        assert name == "sarif" or "Caf\u00e9" in done.stdout.decode("utf-8")
