"""The units of ``deploy/systemd``, read and started as systemd would, as far as that goes without it."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from required import not_run, systemd_analyze

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "deploy/systemd"
SERVICES = ("reconciler.service", "reconciler-apply.service", "reconciler-audit.service")
TIMERS = ("reconciler-apply.timer", "reconciler-audit.timer")
PROGRAM = "/opt/ahasend-key-reconciler/bin/reconciler"
CONFINED = Path(__file__).with_name("confined.py")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's settings in their order: section, name, value."""

    name: str
    settings: tuple[tuple[str, str, str], ...]

    def all(self, setting: str) -> list[str]:
        """Give every value of a setting."""
        return [value for _, name, value in self.settings if name == setting]

    def one(self, setting: str) -> str:
        (value,) = self.all(setting)
        return value


def read_unit(name: str) -> Unit:
    """Read a unit; none of ours continues a line."""
    section, settings = "", []
    for line in (UNITS / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            setting, _, value = line.partition("=")
            settings.append((section, setting, value))
    return Unit(name, tuple(settings))


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder in which /etc, /var/lib and /run of a machine are."""

    root: Path

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def write(self, absolute: str, text: str) -> None:
        self.path(absolute).parent.mkdir(parents=True, exist_ok=True)
        self.path(absolute).write_text(text)

    @contextmanager
    def started(self, unit: Unit, program: Path, **variables: str) -> Iterator["subprocess.Popen[str]"]:
        """Start the unit's command with its environment, its credentials, and what it may not do."""
        environment = {**self._environment(unit), **self._environment_files(unit), **variables}
        command = [*confined(unit), *shlex.split(self._expanded(unit, unit.one("ExecStart")))]
        command[command.index(PROGRAM)] = str(program)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd="/", env=environment, **pipes) as process:  # type: ignore[call-overload] # the pipes are told by a dictionary
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def _environment(self, unit: Unit) -> dict[str, str]:
        credentials = self.path(f"/run/credentials/{unit.name}")
        credentials.mkdir(parents=True, exist_ok=True)
        credentials.chmod(0o700)  # it may be that of a start before
        for each in unit.all("LoadCredential"):
            name, _, source = each.partition(":")
            (credentials / name).unlink(missing_ok=True)
            (credentials / name).write_bytes(self.path(source).read_bytes())
            (credentials / name).chmod(0o400)
        credentials.chmod(0o500)
        self.path(f"/var/lib/{unit.one('StateDirectory')}").mkdir(parents=True, mode=0o700, exist_ok=True)
        stated = dict(each.split("=", 1) for each in unit.all("Environment"))
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        return {"PATH": "/usr/bin:/bin", **measured, **{k: self._expanded(unit, v) for k, v in stated.items()}}

    def _environment_files(self, unit: Unit) -> dict[str, str]:
        lines = self.path(unit.one("EnvironmentFile").removeprefix("-")).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _expanded(self, unit: Unit, text: str) -> str:
        means = {
            "%d": str(self.path(f"/run/credentials/{unit.name}")),
            "%S": str(self.path("/var/lib")),
            "%E": str(self.path("/etc")),
        }
        return re.sub("%.", lambda found: means[found[0]], text)


def confined(unit: Unit) -> list[str]:
    """Give the command that starts another one with the system calls, sockets and memory that the unit allows."""
    allowed: set[str] = set()
    for each in unit.all("SystemCallFilter"):
        names = {name for group in each.lstrip("~").split() for name in system_calls(group)}
        allowed = allowed - names if each.startswith("~") else allowed | names
    families = unit.one("RestrictAddressFamilies").replace(" ", ",")
    return [sys.executable, "-I", str(CONFINED), ",".join(sorted(allowed)), families, "--"]


@cache
def system_calls(group: str) -> set[str]:
    """Give the system calls of one of systemd's groups."""
    done = subprocess.run([systemd_analyze(), "syscall-filter", group], stdout=subprocess.PIPE, text=True, check=True)
    named = {line.strip() for line in done.stdout.splitlines()[1:]}
    below = {each for name in named if name.startswith("@") for each in system_calls(name)}
    return below | {name for name in named if name and name[0] not in "@#"}


def can_confine() -> None:
    """Do not run the test where a process cannot give up rights as systemd would make it."""
    done = subprocess.run(
        [sys.executable, "-I", str(CONFINED), "", "", "--check"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        not_run("seccomp", done.stderr.strip())
