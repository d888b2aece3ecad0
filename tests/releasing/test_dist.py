"""What ``make dist`` makes: the same bytes from the same commit, with everything in it and nothing else."""

import hashlib
import re
import shutil
import tarfile
import tomllib
from email.parser import Parser
from pathlib import Path

from reconciler import __version__
from releasing.made import EPOCH, PROJECT, Release, build, contents, git, make_dist
from required import not_run


def test_what_is_made(release: Release) -> None:
    """A release is a wheel, an sdist, two bills of materials, and the sums of all of them."""
    stem = f"ahasend_key_reconciler-{__version__}"
    made = {f"{stem}-py3-none-any.whl", f"{stem}.tar.gz", f"{stem}.cdx.json", f"{stem}-image.cdx.json"}
    assert {path.name for path in release.dist.iterdir()} == {*made, "SHA256SUMS"}
    lines = (release.dist / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert sums == {name: hashlib.sha256((release.dist / name).read_bytes()).hexdigest() for name in made}


def test_it_is_the_same_everywhere(release: Release, tmp_path: Path) -> None:
    """Another folder, another umask, other file times, the sdist or the tree itself: every file has the same bytes.

    The time in them is that of the commit.
    """
    assert release.first.read_bytes() == release.sdist.read_bytes()
    assert build("wheel", PROJECT, tmp_path / "wheel").read_bytes() == release.wheel.read_bytes()
    with tarfile.open(release.sdist) as archive:
        assert {member.mtime for member in archive} == {EPOCH}


def test_the_sdist_is_what_git_holds(release: Release) -> None:
    """The sdist has every file that is committed, so that whoever packages it can run every check, and no other."""
    if not (PROJECT / ".git").exists():
        not_run("git", "this tree is no checkout")
    listed = git(PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    held = {name for name in listed if name and (PROJECT / name).exists()}
    assert set(contents(release.sdist)) == {*held, "PKG-INFO"}


def test_what_git_is_told_not_to_see_is_not_released(release: Release, tmp_path: Path) -> None:
    """What a clone's own lists, settings and attributes hide or change is in no release: the commit alone is."""
    tree = tmp_path / "tree"
    shutil.copytree(release.tree, tree, symlinks=True)
    (tree / ".git/info/exclude").write_text("hidden.py\n")
    (tree / "reconciler/hidden.py").write_text("SECRET = 1\n")
    (tree / ".git/info/attributes").write_text("*.md export-ignore export-subst\n")
    git(tree, "config", "core.autocrlf", "true")
    for name, text in (("README.md", "another one\n"), ("reconciler/__init__.py", '__version__ = "9.9.9"\n')):
        git(tree, "update-index", "--assume-unchanged", name)
        (tree / name).write_text(text)
    done = make_dist(tree)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (release.dist / "SHA256SUMS").read_text()


def test_a_link_is_not_released(release: Release, tmp_path: Path) -> None:
    """A commit that holds a link is refused: what it leads to would be another thing on another machine."""
    tree = tmp_path / "tree"
    shutil.copytree(release.tree, tree, symlinks=True)
    (tree / "docs/hosts").symlink_to("/etc/hosts")
    git(tree, "add", "docs/hosts")
    git(tree, "commit", "-q", "-m", "A link")
    done = make_dist(tree)
    assert (done.returncode, done.stdout) == (1, "")
    assert "docs/hosts is no file (mode 120000)" in done.stderr
    assert not (tree / "dist").exists()


def test_the_wheel_is_the_package(release: Release) -> None:
    """The wheel has every file of the package, templates, shell scripts, policy and marker of types included."""
    wheel = contents(release.wheel)
    package = {
        path.relative_to(PROJECT).as_posix(): path.read_bytes()
        for path in (PROJECT / "reconciler").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name: text for name, text in wheel.items() if name.startswith("reconciler/")} == package
    assert {Path(name).suffix for name in package} >= {
        ".typed",
        ".j2",
        ".css",
        ".js",
        ".bash",
        ".zsh",
        ".fish",
        ".yaml",
    }
    about = f"ahasend_key_reconciler-{__version__}"
    rest = {name.removeprefix(about) for name in wheel.keys() - package.keys()}
    described = {
        f".dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    assert rest == {*described, ".data/data/share/man/man1/reconciler.1"}


def test_nothing_of_its_makers_is_in_it(release: Release) -> None:
    """No file of the wheel names a folder of the machine that it was made on, nor holds a credential."""
    hidden = [re.escape(str(place).encode()) for place in (PROJECT, release.tree)]
    forbidden = re.compile(b"|".join([*hidden, rb"aha-sk-[0-9A-Za-z]{32}", rb"BEGIN [A-Z ]*PRIVATE KEY"]))
    assert [name for name, text in contents(release.wheel).items() if forbidden.search(text)] == []


def test_its_description(release: Release) -> None:
    """Its metadata name the version, the licence, and the extra by which people are notified."""
    about = Parser().parsestr(
        contents(release.wheel)[f"ahasend_key_reconciler-{__version__}.dist-info/METADATA"].decode()
    )
    assert (about["Name"], about["Version"]) == ("ahasend-key-reconciler", __version__)
    assert (about["License-Expression"], about.get_all("Provides-Extra")) == ("Apache-2.0", ["notify"])


def test_only_what_is_committed(release: Release, tmp_path: Path) -> None:
    """With a file that is not committed, or the tag of another version, no release is made, not even half of one."""
    kept = shutil.copytree(release.dist, tmp_path / "kept")
    stray = release.tree / "config/keys/stray.yaml"
    stray.write_text("version: 1\n")
    try:
        refused = make_dist(release.tree)
        assert (refused.returncode, "config/keys/stray.yaml" in refused.stderr) == (1, True)
        stray.unlink()
        git(release.tree, "tag", "v9.9.9")
        assert "tagged v9.9.9" in make_dist(release.tree).stderr
        assert not release.dist.exists()
    finally:
        shutil.copytree(kept, release.dist, dirs_exist_ok=True)
        git(release.tree, "tag", "--delete", "v9.9.9")


def test_the_version_stands_in_one_place() -> None:
    """The project's own file states no version: it is the package's."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert "version" not in project["project"]


def test_the_changes_of_the_version() -> None:
    """The changes that are listed first are those of this version, or of the next one."""
    (first, *_) = re.findall(r"^## \[(.+?)\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first in ("Unreleased", __version__)


NAMED = re.compile(
    r"""ahasend[-_]key[-_]reconciler(?:(?:\[\w+\])?==|:|@v?|-)["']?v?(\d+\.\d+\.\w+)|newTag:\s*["']?v?([^\s"']+)"""
)
"""A requirement, an image, a file of a release, or kustomize's tag of an image."""


def test_no_other_version_is_named() -> None:
    """Where a page or a manifest names this package or its image with a version, it is the one of the package."""
    places = [*(PROJECT / "deploy").rglob("*"), *(PROJECT / "docs").rglob("*"), *PROJECT.glob("*.md")]
    texts = [path for path in places if path.is_file() and path.suffix not in (".png", ".svg", ".1", ".pyc")]
    named = {(path.name, "".join(found)) for path in texts for found in NAMED.findall(path.read_text("utf-8"))}
    assert {each for each in named if each[1] != __version__} == set()
