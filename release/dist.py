"""Makes a release of the commit that is checked out, into ``dist/``: the same files from the same commit, anywhere.

An sdist, a wheel that is built from it, what both are made of, and the SHA-256 of each file. Nothing is uploaded.
"""

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sbom import NotPinned, image_bom, product_bom

PROJECT = Path(__file__).resolve().parent.parent


class NotReleasable(Exception):
    """The tree is not one that a release could be made of, and why."""


def main() -> int:
    """Make it, and tell what was made."""
    into = PROJECT / "dist"
    shutil.rmtree(into, ignore_errors=True)
    try:
        sums = release(into)
    except (NotReleasable, NotPinned) as error:
        shutil.rmtree(into, ignore_errors=True)  # half a release is none
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(sums)
    return 0


def release(into: Path) -> str:
    """Make all files of a release in a new folder; gives their sums, a line a file.

    Raises:
        NotReleasable: something is not committed, or the commit bears the tag of another version.
        NotPinned: the pins are not what the project needs.
    """
    if changed := _git("status", "--porcelain"):
        raise NotReleasable(f"only what is committed can be released; commit it, or put it away:\n{changed}")
    epoch = int(_git("log", "-1", "--format=%ct"))
    into.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        committed = Path(temporary, "commit")
        unpack(committed)
        version = str(runpy.run_path(str(committed / "reconciler/__init__.py"))["__version__"])
        _check(version)
        wheel = build(committed, into, epoch)
        hashed = wheel.name, _sha256(wheel)
        stem = wheel.name.removesuffix("-py3-none-any.whl")
        for name, make in ((f"{stem}.cdx.json", product_bom), (f"{stem}-image.cdx.json", image_bom)):
            content = json.dumps(make(committed, version, epoch, hashed), indent=2, ensure_ascii=False)
            (into / name).write_text(f"{content}\n", encoding="utf-8")
    sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in sorted(into.iterdir()))
    (into / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return sums


def unpack(into: Path) -> None:
    """Write the files of the commit, byte for byte as it holds them.

    Nothing else would do: a working tree holds what git is told not to see, and an archive what the settings of this
    clone make of the commit.
    """
    for entry in filter(None, _git("ls-tree", "-r", "-z", "HEAD").split("\0")):
        about, name = entry.split("\t", 1)
        mode, kind, blob = about.split()
        if kind != "blob" or mode not in ("100644", "100755"):
            raise NotReleasable(f"{name} is no file (mode {mode})")
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            subprocess.run(["git", "cat-file", "blob", blob], cwd=PROJECT, stdout=file, check=True)
        path.chmod(int(mode[-3:], 8))


def build(project: Path, into: Path, epoch: int) -> Path:
    """Build the sdist of a tree, and from it, unpacked, the wheel; gives the wheel.

    ``epoch`` is the time of every file in them, in seconds since 1970.
    """
    with tempfile.TemporaryDirectory() as temporary:
        _hatchling("sdist", project, into, epoch)
        (sdist,) = into.glob("*.tar.gz")
        shutil.unpack_archive(sdist, temporary)
        _hatchling("wheel", Path(temporary, sdist.name.removesuffix(".tar.gz")), into, epoch)
    (wheel,) = into.glob("*.whl")
    return wheel


def _hatchling(target: str, project: Path, into: Path, epoch: int) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into.resolve())]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReleasable(f"the {target} could not be built:\n{done.stdout}{done.stderr}")


def _check(version: str) -> None:
    tags = re.findall(r"^v(\d.*)$", _git("tag", "--points-at", "HEAD"), re.MULTILINE)
    if tags and version not in tags:
        raise NotReleasable(f"the commit is tagged v{tags[0]}, but reconciler/__init__.py says {version}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReleasable(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
