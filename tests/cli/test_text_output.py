"""``--output text=FILE`` beside a terminal: what lies in a file has no colours, and a width of its own."""

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path

import pytest

from reconciler.cli.output import write_stdout
from shell import SHOP, Shell
from world import key

COLOURS = re.compile("\x1b\\[[0-9;]*m")


def on_a_terminal(columns: int, *arguments: str) -> str:
    """Run a command whose stdout is a terminal of so many columns, and give what it shows there."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    unset = ("NO_COLOR", "COLUMNS", "LINES")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "reconciler", *arguments]
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """Read what is left; Linux calls the end of a terminal whose other side is closed an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


@pytest.mark.parametrize("columns", [60, 100])
def test_a_file_has_no_colours_though_the_command_runs_on_a_terminal(shell: Shell, columns: int) -> None:
    """The terminal gets colours and its own width; the file gets the words alone, as a pipe does, for 100 columns."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"] += [key(number, f"a key of nobody {number}", SHOP) for number in range(2, 5)]
    shell.emulator.load(state)
    shell.drift("domains:read")
    shown = on_a_terminal(columns, "plan", "-o", "text", "-o", "text=plan.txt")
    written = Path("plan.txt").read_text(encoding="utf-8")
    assert COLOURS.search(shown)
    assert "\x1b" not in written
    assert shell.run("plan") == 0
    assert written == shell.out
    plain = COLOURS.sub("", shown)
    assert plain.split() == written.split()
    assert max(map(len, re.findall("(?m)^[^d].*", plain))) <= columns
    assert (plain == written) is (columns == 100)


def test_a_file_alone_leaves_the_terminal_empty(shell: Shell) -> None:
    """Where all output has a file the terminal stays empty, and the file still has no colours."""
    shell.drift("domains:read")
    assert on_a_terminal(80, "plan", "-o", "text=plan.txt", "-o", "json=plan.json") == ""
    written = Path("plan.txt").read_text(encoding="utf-8")
    assert "Plan: 1 to update" in written
    assert "\x1b" not in written
    assert "\x1b" not in Path("plan.json").read_text(encoding="utf-8")


def test_a_stdout_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something else stands for stdout, as in a program that calls the commands, it is written to as it is."""
    taken = StringIO()
    monkeypatch.setattr("sys.stdout", taken)
    write_stdout("Zo\u00eb\n", utf8=True)
    assert taken.getvalue() == "Zo\u00eb\n"
