"""The formats of a report as commands write them: each, several at once, and none of them with a secret."""

import json
from pathlib import Path

import pytest

from reconciler.cli.options import OutputFormat
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
