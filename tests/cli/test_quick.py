"""Help, completion and usage errors are quick: a command is declared with nothing that only its work needs."""

import json
import subprocess
import sys
from typing import Final

import pytest

from reconciler.cli.group import COMMANDS

HEAVY: Final = {
    "apprise",
    "apscheduler",
    "asyncio",
    "cel_expr_python",
    "dulwich",
    "httpx",
    "jinja2",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "reconciler.core.report",
    "requests",
    "stamina",
    "starlette",
    "structlog",
    "tqdm",
    "uvicorn",
    "watchdog",
    "yaml",
}
PROGRAM: Final = """
import json, sys
from reconciler.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, *sys.modules]))
"""
DECLARED: Final = """
import importlib, json, sys
found = {}
for name in sys.argv[2:]:
    importlib.import_module(f"reconciler.cli.{name.replace('-', '_')}")
    found[name] = sorted(set(sys.modules) & {*sys.argv[1].split()})
print(json.dumps(found))
"""


def heavy(*arguments: str) -> tuple[int, set[str]]:
    """What a command line ends with, and what of the heavy modules it has loaded by then."""
    process = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    code, *modules = json.loads(process.stdout.splitlines()[-1])
    return code, HEAVY & {*modules}


def test_declaring_a_command_loads_nothing_heavy() -> None:
    """The module of each command imports none of the libraries, and none of ours that takes long."""
    process = subprocess.run(
        [sys.executable, "-c", DECLARED, " ".join(HEAVY), *COMMANDS], capture_output=True, text=True, check=True
    )
    assert json.loads(process.stdout) == {name: [] for name in COMMANDS}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--help", 0),
        ("notify --help", 0),
        ("status --help", 0),
        ("demo --help", 0),
        ("help trail show", 0),
        ("apply --nope", 64),
        ("apply --force", 64),
        ("plna", 64),
        ("completion", 64),
        ("completion zsh", 0),
    ],
)
def test_a_line_that_does_nothing_loads_nothing_heavy(line: str, code: int) -> None:
    """Help is as quick as a usage error, also where a hint looks through the options of all commands."""
    assert heavy(*line.split()) == (code, set())
