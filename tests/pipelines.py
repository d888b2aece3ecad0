"""Runs the jobs of deploy/ci as they stand: each step's own text, by bash, with what a runner gives it.

Actions are stood in for by what they do with files; expressions are looked up, and one that nobody foresaw is an error.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CI = Path(__file__).parents[1] / "deploy/ci"
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
INSTALL = "Install the reconciler"


def workflow(name: str) -> dict[str, Any]:
    """Read a workflow of GitHub."""
    return dict(yaml.safe_load((CI / f"github/ahasend-keys-{name}.yml").read_text(encoding="utf-8")))


def gitlab() -> dict[str, Any]:
    """Read the pipeline of GitLab."""
    return dict(yaml.safe_load((CI / "gitlab/ahasend-keys.gitlab-ci.yml").read_text(encoding="utf-8")))


def git(where: Path, *arguments: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=Dana", "-c", "user.email=dana@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(where), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def bash(script: str, where: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a script as runners do; give its exit code and all that it printed."""
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=where,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def plain_environment(**more: str) -> dict[str, str]:
    """Give what a runner's machine has before anything is set, with Python where a set-up action puts it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", **more}


class Expressions:
    """Looks up what stands between ``${{`` and ``}}``."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def fill(self, text: object) -> str:
        return EXPRESSION.sub(lambda found: self._value(found[1]), str(text))

    def _value(self, name: str) -> str:
        optional = name.startswith(("steps.", "secrets.", "vars.", "inputs."))
        return self.values.get(name, "") if optional else self.values[name]

    def holds(self, condition: str) -> bool:
        """Tell whether a condition holds: comparisons with ``&&`` between them, or ``||``."""
        found = EXPRESSION.fullmatch(condition.strip())
        text = " ".join((found[1] if found else condition).split())
        return any(all(map(self._atom, part.split(" && "))) for part in text.split(" || "))

    def _atom(self, text: str) -> bool:
        if text == "!cancelled()":
            return True
        if found := re.fullmatch(r"contains\(fromJSON\('(.*)'\), (\S+)\)", text):
            return self._value(found[2]) in json.loads(found[1])
        found = re.fullmatch(r"(\S+) (==|!=) (\S+)", text)
        assert found is not None, text
        same = self._operand(found[1]) == self._operand(found[3])
        return same if found[2] == "==" else not same

    def _operand(self, text: str) -> str:
        return text[1:-1] if text.startswith("'") else self._value(text)


@dataclass
class Job:
    """A job of GitHub that was run, or is being."""

    folder: Path
    values: dict[str, str]
    env: dict[str, str]
    store: Path
    """Where artifacts are kept between jobs."""
    origin: Path
    failing: frozenset[str] = frozenset()
    """Actions that fail."""
    red: bool = False
    ran: list[str] = field(default_factory=list)
    log: str = ""

    def __post_init__(self) -> None:
        for name in ("work", "temp"):
            (self.folder / name).mkdir(parents=True)
        self.values |= {"github.workspace": str(self.folder / "work"), "runner.temp": str(self.folder / "temp")}
        for name in ("output", "summary"):
            (self.folder / name).touch()
        self.env |= {"RUNNER_TEMP": str(self.folder / "temp"), "GITHUB_WORKSPACE": str(self.folder / "work")}
        self.env["GITHUB_STEP_SUMMARY"] = str(self.folder / "summary")

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text(encoding="utf-8")

    def run(self, job: dict[str, Any], installed: Path) -> "Job":
        """Run all steps; what the step that installs gives is there already, as ``installed``."""
        known = Expressions(self.values)
        assert known.holds(str(job["if"]))
        self.env |= {name: known.fill(value) for name, value in job.get("env", {}).items()}
        for step in job["steps"]:
            condition = str(step.get("if", ""))
            if (self.red and "!cancelled()" not in condition) or (condition and not known.holds(condition)):
                continue
            self.ran.append(step["name"])
            if step["name"] == INSTALL:
                (self.folder / "temp/reconciler").symlink_to(installed)
                continue
            succeeded = self._use(step, known) if "uses" in step else self._execute(step, known)
            self.red |= not (succeeded or step.get("continue-on-error", False))
        return self

    def _execute(self, step: dict[str, Any], known: Expressions) -> bool:
        assert EXPRESSION.search(step["run"]) is None
        output = self.folder / "output"
        output.write_text("", encoding="utf-8")
        env = self.env | {name: known.fill(value) for name, value in step.get("env", {}).items()}
        where = self.folder / "work" / step.get("working-directory", ".")
        code, printed = bash(step["run"], where, env | {"GITHUB_OUTPUT": str(output)})
        self.log += printed
        for line in output.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            known.values[f"steps.{step['id']}.outputs.{name}"] = value
        return code == 0

    def _use(self, step: dict[str, Any], known: Expressions) -> bool:
        given = {name: known.fill(value) for name, value in step.get("with", {}).items()}
        action = step["uses"].split("@")[0]
        if action in self.failing:
            return False
        match action:
            case "actions/checkout":
                checked_out(self.origin, given.get("ref", self.env["GITHUB_SHA"]), self.folder / "work", given)
            case "actions/upload-artifact":
                keep(Path(given["path"]), self.store / self.env["GITHUB_RUN_ID"] / given["name"])
            case "actions/download-artifact":
                shutil.copytree(self.store / given["run-id"] / given["name"], given["path"])
            case "github/codeql-action/upload-sarif":
                assert json.loads(Path(given["sarif_file"]).read_text(encoding="utf-8"))["version"] == "2.1.0"
            case _:
                assert action == "actions/setup-python"
        return True


def checked_out(origin: Path, ref: str, work: Path, given: dict[str, str]) -> None:
    """Put a commit's files, or one folder of them, where they are wanted; nothing of Git is left with them."""
    assert given["persist-credentials"] == "False"
    target = work / given.get("path", ".")
    target.mkdir(exist_ok=True)
    only = given.get("sparse-checkout", "").split()
    packed = subprocess.run(["git", "-C", str(origin), "archive", ref, *only], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(target)], input=packed.stdout, check=True)


def keep(path: Path, kept: Path) -> None:
    """Keep a file or a folder as an artifact."""
    kept.mkdir(parents=True)
    shutil.copytree(path, kept, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, kept)
