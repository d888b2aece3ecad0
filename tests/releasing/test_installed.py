"""The wheel, installed into an empty environment, away from the tree that it was made of."""

import json
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler import __version__
from reconciler.emulator.server import Emulator
from releasing.made import PROJECT, Release, environment
from served import served
from world import ACCOUNT, TOKEN, admin

NEEDED = sysconfig.get_path("purelib")
"""Where the packages are that the product needs: only their folder is put on the path, none of its ``.pth`` files, so
that this tree cannot be found by it."""

WORK = """
import contextlib, importlib, io, json, pkgutil, sys

class NoApprise:  # as where the extra was not installed
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "apprise":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoApprise())
import reconciler
from reconciler.cli import main

for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
    importlib.import_module(module.name)
told = {"from": reconciler.__file__}
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line.split())
    told[line] = code, out.getvalue(), err.getvalue()
print(json.dumps(told))
"""

LINES = (
    "validate --desired keys.yaml",
    "schema desired",
    "schema policy",
    "schema report",
    "completion zsh",
    "export --to exported",
    "plan --desired keys.yaml --detailed-exitcode",
    "audit -o html=audit.html -o json --fail-on never",
    "notify",
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder to work in."""

    home: Path
    folder: Path

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a program of the environment, with nothing but these variables of ours."""
        clean = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8", **variables}
        command = [str(self.home / "bin" / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=False)
    command = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "--disable-pip-version-check"]
    options = ["install", "-q", "--no-deps", "--no-index", "--no-compile", str(release.wheel)]
    subprocess.run([*command, *options], env=environment(), check=True)
    (packages,) = home.glob("lib/python3*/site-packages")
    (packages / "needed.pth").write_text(f"{NEEDED}\n")
    return Installed(home, folder)


@pytest.fixture(scope="module")
def told(installed: Installed) -> Iterator[dict[str, Any]]:
    """What commands said, one after another, in one process that has only what the wheel brought."""
    (installed.folder / "keys.yaml").write_text(
        f'version: 1\naccount: {ACCOUNT}\nkeys: [{{name: reconciler, scopes: ["api-keys:read", "api-keys:write"]}}]\n'
    )
    with served(Emulator({"accounts": [{"id": ACCOUNT, "keys": [admin()]}]})) as address:
        credentials = {"AHASEND_API_KEY": TOKEN, "AHASEND_ACCOUNT_ID": ACCOUNT, "AHASEND_ENDPOINT": address}
        credentials["RECONCILER_NOTIFY"] = "json://localhost"
        yield json.loads(installed.run("python", "-I", "-W", "error", "-c", WORK, json.dumps(LINES), **credentials))


def test_the_command(installed: Installed) -> None:
    """The command is there by its name, and tells the version of the package; so does its manual page."""
    assert __version__ in installed.run("reconciler", "--version")
    page = (installed.home / "share/man/man1/reconciler.1").read_text()
    assert page == (PROJECT / "docs/man/reconciler.1").read_text()


def test_it_runs_without_its_tree(installed: Installed, told: dict[str, Any]) -> None:
    """Every module can be imported, and all of them come from the wheel; no import needs the extra."""
    assert Path(told["from"]).is_relative_to(installed.home)


@pytest.mark.parametrize("line", LINES[:-1])
def test_commands(told: dict[str, Any], line: str) -> None:
    """Each command does its work with what the wheel brought, without the extra ``notify``."""
    code, _, err = told[line]
    assert (code, "Traceback" in err) == (0, False), err


def test_what_commands_said(installed: Installed, told: dict[str, Any]) -> None:
    """Schemas are those of the tree, the audit goes by the starter policy, and its page has its style in it."""
    for name in ("desired", "policy"):
        assert told[f"schema {name}"][1] == (PROJECT / f"config/schema/{name}.schema.json").read_text()
    report = json.loads(told["audit -o html=audit.html -o json --fail-on never"][1])
    assert (report["version"], "starter-policy" in {each["rule"] for each in report["findings"]}) == (__version__, True)
    page = (installed.folder / "audit.html").read_text()
    assert ("<style>" in page, "<script" in page) == (True, True)


def test_without_the_extra(told: dict[str, Any]) -> None:
    """The one command that needs the extra says how to install it."""
    code, out, err = told["notify"]
    assert (code, out) == (1, "")
    assert "ahasend-key-reconciler[notify]" in err
