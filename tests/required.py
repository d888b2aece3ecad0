"""Tools that a test needs and this project does not hold.

Where one of them is missing a test is skipped with ``not run: NAME (why)``. The environment variable ``REQUIRE``
(names, comma-separated) turns that into a failure: continuous integration sets it, so that nothing goes unchecked
unseen.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

# Read before any test: the environment of a test says nothing of it.
REQUIRED = frozenset(os.environ.get("REQUIRE", "").split(","))
CHROMIUM = os.environ.get("CHROMIUM", "chromium")
PROMTOOL = os.environ.get("PROMTOOL", "promtool")
KUBECTL = os.environ.get("KUBECTL", "kubectl")


def not_run(name: str, why: str) -> NoReturn:
    """Skip the test, or fail it if ``name`` is required."""
    message = f"not run: {name} ({why})"
    if name in REQUIRED:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def chromium() -> str:
    """Where Chromium is; the test is not run where it is missing."""
    found = shutil.which(CHROMIUM)
    if found is None:
        not_run("chromium", "not installed: install Debian's package of that name, or set CHROMIUM to its path")
    return found


def promtool() -> str:
    """Where promtool is, Prometheus' own checker; the test is not run where it is missing."""
    found = shutil.which(PROMTOOL)
    if found is None:
        not_run("promtool", "not installed: Debian's package prometheus has it, or set PROMTOOL to its path")
    return found


def kubectl() -> str:
    """Where kubectl is, with a kustomize that knows all that is used here; the test is not run where there is none."""
    found = shutil.which(KUBECTL)
    if found is None:
        not_run("kubectl", "not installed: get version 1.27 or newer, or set KUBECTL to its path")
    told = subprocess.run([found, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
    version = json.loads(told.stdout or "{}").get("kustomizeVersion", "none")
    if not version.startswith("v5."):
        not_run("kubectl", f"its kustomize is {version}: version 5 is needed, which kubectl has since 1.27")
    return found


def tool(name: str) -> str:
    """Where a tool is whose Debian package has its name; the test is not run where it is missing."""
    found = shutil.which(name)
    if found is None:
        not_run(name, "not installed: install Debian's package of that name")
    return found


def systemd_analyze() -> str:
    """Where systemd's own checker of units is; the test is not run where it is missing."""
    found = shutil.which("systemd-analyze")
    if found is None:
        not_run("systemd-analyze", "not installed: Debian's package systemd has it")
    return found


def beside_python(name: str) -> str:
    """Where a tool is that pip installs for the checks, if there is one for this machine; a variable names another."""
    found = shutil.which(os.environ.get(name.upper(), str(Path(sys.executable).parent / name)))
    if found is None:
        not_run(name, f"not installed: set {name.upper()} to its path")
    return found
