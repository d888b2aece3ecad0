"""The page that says how to verify a release: its commands are run, on a release."""

import re
import shutil
import subprocess
from pathlib import Path

from releasing.made import PROJECT, Release
from required import tool
from sbom import read_pins

PAGE = PROJECT / "docs/how-to/verify-a-release.md"


def commands(program: str) -> list[str]:
    """Give the page's command lines that begin with a program."""
    return re.findall(rf"^\$ ({program} .*)$", PAGE.read_text(), re.MULTILINE)


def run(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [tool("bash"), "-c", line]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_sums_are_checked(release: Release, tmp_path: Path) -> None:
    """The page's command is content with the files that were made, and not with one that has another byte."""
    downloads = shutil.copytree(release.dist, tmp_path / "downloads")
    (line,) = commands("sha256sum")
    assert run(line, downloads).returncode == 0
    with next(downloads.glob("*.whl")).open("ab") as wheel:
        wheel.write(b"\0")
    assert run(line, downloads).returncode == 1


def test_what_it_is_made_of(release: Release) -> None:
    """The page's command prints each package with its version and its licence."""
    tool("jq")
    (line,) = commands("jq")
    rows = [row.split("\t") for row in run(line, release.dist).stdout.splitlines()]
    pins = read_pins(PROJECT / "requirements/runtime.txt").values()
    assert [row[:2] for row in rows] == sorted([pin.name, pin.version] for pin in pins)
    assert all(row[2] for row in rows)


def test_the_pins_come_along(release: Release, tmp_path: Path) -> None:
    """The page's command takes the pins out of the sdist, where the commands that follow look for them."""
    sdist = shutil.copy(release.sdist, tmp_path)
    (line,) = commands("tar")
    assert run(line, tmp_path).returncode == 0
    Path(sdist).unlink()
    named = set(re.findall(r"requirements/\w+\.txt", PAGE.read_text()))
    assert named == {"requirements/runtime.txt", "requirements/image.txt"}
    assert [name for name in named if not (tmp_path / name).is_file()] == []


def test_contents_can_be_compared(release: Release) -> None:
    """The list of hashes that the page compares is in the wheel."""
    (line,) = (each for each in commands("diff") if "RECORD" in each)
    tool("unzip")
    same = run(line.replace("~/Downloads", "dist"), release.tree)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "")
    (listed,) = re.findall(r"unzip -p dist/\S+ \S+(?=\))", line)
    assert "reconciler/__init__.py,sha256=" in run(listed, release.tree).stdout
