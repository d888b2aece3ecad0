"""A release of this tree, made once, and what is in it."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from required import tool

PROJECT = Path(__file__).resolve().parents[2]
EPOCH = 1_767_225_600
"""When the commit was made that is released: the beginning of 2026."""


@dataclass(frozen=True, slots=True)
class Release:
    """What was made: ``first`` is an sdist of this tree, ``tree`` a repository of it, ``dist`` the release."""

    first: Path
    tree: Path
    dist: Path

    def file(self, pattern: str) -> Path:
        (found,) = self.dist.glob(pattern)
        return found

    @property
    def wheel(self) -> Path:
        return self.file("*.whl")

    @property
    def sdist(self) -> Path:
        return self.file("*.tar.gz")


def make_release(folder: Path) -> Release:
    """Unpack an sdist of this tree, commit what is in it, and make the release of that commit."""
    sdist = build("sdist", PROJECT, folder / "first")
    shutil.unpack_archive(sdist, folder)
    tree = folder / sdist.name.removesuffix(".tar.gz")
    (tree / "PKG-INFO").unlink()  # the one file that the build adds
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Released"]):
        git(tree, *arguments)
    done = make_dist(tree)
    assert done.returncode == 0, done.stderr
    return Release(sdist, tree, tree / "dist")


def make_dist(tree: Path) -> "subprocess.CompletedProcess[str]":
    """Do what ``make dist`` does, as somebody whose files nobody else may read."""
    command = [sys.executable, "release/dist.py"]
    return subprocess.run(
        command, cwd=tree, env=environment(), capture_output=True, text=True, umask=0o077, check=False
    )


def build(target: str, tree: Path, into: Path) -> Path:
    """Let hatchling make an sdist or a wheel of a tree, with nothing of ours between."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(
        command, cwd=tree, env=environment(SOURCE_DATE_EPOCH=str(EPOCH)), stdout=subprocess.DEVNULL, check=True
    )
    (made,) = into.iterdir()
    return made


def git(tree: Path, *arguments: str) -> str:
    """Run git in a tree, as nobody in particular."""
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"@{EPOCH} +0000")
    command = [tool("git"), "-c", "core.hooksPath=", *arguments]
    done = subprocess.run(
        command, cwd=tree, env=environment(**who, **dates), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def environment(**variables: str) -> dict[str, str]:
    """Give this environment without what would measure another tree's code, or name another time."""
    kept: Mapping[str, str] = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "GIT_", "SOURCE_DATE_EPOCH", "PYTHONPATH"))
    }
    return {**kept, **variables}


def contents(archive: Path) -> dict[str, bytes]:
    """Give the files of a wheel, or of an sdist without its first folder, by name."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as sdist:
        files = [member for member in sdist if member.isfile()]
        return {member.name.partition("/")[2]: extracted(sdist, member) for member in files}


def extracted(sdist: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = sdist.extractfile(member)
    assert file
    return file.read()
