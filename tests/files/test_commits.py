"""The commit that a file comes from: found in every kind of worktree, never in the way where there is none."""

import os
import subprocess
import time
from pathlib import Path
from shutil import rmtree, which

import pytest
from dulwich import porcelain
from dulwich.objects import Commit as Stored
from dulwich.refs import HEADREF
from dulwich.repo import Repo

from reconciler.files.commits import Commit, Commits

AUTHOR = b"A <a@example.com>"


def a_repository(root: Path, text: str = "version: 1\n") -> str:
    """A repository with one file, keys/shop.yaml; its commit."""
    (root / "keys").mkdir(parents=True)
    with porcelain.init(str(root)):
        pass
    return commit(root, text)


def commit(root: Path, text: str) -> str:
    (root / "keys/shop.yaml").write_text(text)
    porcelain.add(str(root), [str(root / "keys/shop.yaml")])
    return porcelain.commit(str(root), message=b"x", author=AUTHOR, committer=AUTHOR).decode()


def of(file: Path | str) -> Commit | None:
    """What a pass that begins now finds."""
    commits = Commits(lambda: time.time_ns() + 10**9)
    commits.begin(current=True)
    found = commits.of(str(file))
    commits.end()
    return found


def test_a_file_as_it_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worktree's commit is given, also for a relative path, from inside the worktree, and in a folder below."""
    made = a_repository(tmp_path)
    assert of(tmp_path / "keys/shop.yaml") == Commit(made, modified=False)
    monkeypatch.chdir(tmp_path / "keys")
    assert of("shop.yaml") == Commit(made, modified=False)
    assert of("../keys/shop.yaml") == Commit(made, modified=False)


def test_a_file_that_differs(tmp_path: Path) -> None:
    """A file that was edited since, or was never committed, is said to be modified."""
    made = a_repository(tmp_path)
    (tmp_path / "keys/shop.yaml").write_text("version: 2\n")
    (tmp_path / "keys/new.yaml").write_text("version: 1\n")
    assert of(tmp_path / "keys/shop.yaml") == of(tmp_path / "keys/new.yaml") == Commit(made, modified=True)


def test_a_detached_head_and_packed_refs(tmp_path: Path) -> None:
    """A worktree that is at no branch, and branches that are packed into one file, are read as well."""
    first = a_repository(tmp_path)
    second = commit(tmp_path, "version: 2\n")
    with Repo(str(tmp_path)) as repository:
        branch = repository.refs.follow(HEADREF)[0][-1]
    (tmp_path / ".git/packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted\n{second} {branch.decode()}\n"
    )
    (tmp_path / ".git" / branch.decode()).unlink()
    assert of(tmp_path / "keys/shop.yaml") == Commit(second, modified=False)
    (tmp_path / ".git/HEAD").write_text(f"{first}\n")
    assert of(tmp_path / "keys/shop.yaml") == Commit(first, modified=True)


def test_a_worktree_as_git_sync_makes_it(tmp_path: Path) -> None:
    """A link to a worktree whose ``.git`` is a file leads to that worktree's own commit, and follows it."""
    first = a_repository(tmp_path / "repo")
    second = commit(tmp_path / "repo", "version: 2\n")
    link = tmp_path / "current"
    for made in (first, second):
        with Repo(str(tmp_path / "repo")) as repository:
            porcelain.worktree_add(repository, str(tmp_path / made), commit=made.encode(), detach=True)
        assert (tmp_path / made / ".git").is_file()
        link.unlink(missing_ok=True)
        link.symlink_to(made)
        assert of(link / "keys/shop.yaml") == Commit(made, modified=False)


@pytest.mark.skipif(which("git") is None, reason="not run: git is not installed")
def test_what_git_itself_has_packed(tmp_path: Path) -> None:
    """Objects and branches that git has packed are found."""
    made = a_repository(tmp_path)
    subprocess.run(["git", "-C", str(tmp_path), "gc", "-q"], check=True, env={**os.environ, "HOME": str(tmp_path)})
    assert list((tmp_path / ".git/objects/pack").glob("*.pack"))
    assert of(tmp_path / "keys/shop.yaml") == Commit(made, modified=False)


def test_no_commit_is_known(tmp_path: Path) -> None:
    """No worktree, a file that is gone, no commit yet, a broken repository: never an error."""
    (tmp_path / "bare.yaml").write_text("version: 1\n")
    assert of(tmp_path / "bare.yaml") is None
    assert of(tmp_path / "none.yaml") is None
    assert of("\0") is None
    root = tmp_path / "repo"
    a_repository(root)
    (root / ".git/HEAD").write_text("ref: refs/heads/none\n")
    assert of(root / "keys/shop.yaml") is None
    (root / ".git/HEAD").write_text("\x00\xff")
    assert of(root / "keys/shop.yaml") is None
    rmtree(root / ".git")
    (root / ".git").write_text("gitdir: /nowhere\n")
    assert of(root / "keys/shop.yaml") is None
    (root / ".git").unlink()
    (root / ".git").mkdir()
    assert of(root / "keys/shop.yaml") is None


def test_a_head_that_is_no_commit(tmp_path: Path) -> None:
    """Where HEAD names a tree no commit is known."""
    a_repository(tmp_path)
    with Repo(str(tmp_path)) as repository:
        stored = repository[repository.head()]
        assert isinstance(stored, Stored)
        tree = stored.tree
    (tmp_path / ".git/HEAD").write_text(f"{tree.decode()}\n")
    assert of(tmp_path / "keys/shop.yaml") is None


def test_it_is_looked_up_once_a_pass(tmp_path: Path) -> None:
    """In one pass the answer stays, for a file as for its repository; the next pass looks anew."""
    root = tmp_path / "repo"
    first = a_repository(root)
    (root / "keys/other.yaml").write_text("version: 1\n")
    commits = Commits(lambda: time.time_ns() + 10**9)
    commits.begin(current=True)
    shop, other = str(root / "keys/shop.yaml"), str(root / "keys/other.yaml")
    assert commits.of(shop) == Commit(first, modified=False)
    second = commit(root, "version: 2\n")
    assert commits.of(shop) == Commit(first, modified=False)
    assert commits.of(other) == Commit(first, modified=True)
    commits.begin(current=True)
    assert commits.of(shop) == Commit(second, modified=False)
    commits.end()


def test_a_broken_repository_is_tried_once_a_pass(tmp_path: Path) -> None:
    """What cannot be opened is not tried for each file, and is tried again in the next pass."""
    root = tmp_path / "repo"
    made = a_repository(root)
    head = (root / ".git/HEAD").read_text()
    (root / ".git/HEAD").write_text("?")
    commits = Commits(lambda: time.time_ns() + 10**9)
    commits.begin(current=True)
    assert commits.of(str(root / "keys/none.yaml")) is None
    assert commits.of(str(root / "keys/shop.yaml")) is None
    (root / ".git/HEAD").write_text(head)
    assert commits.of(f"{root}/keys/../keys/shop.yaml") is None
    commits.end()
    commits.begin(current=True)
    assert commits.of(f"{root}/keys/../keys/shop.yaml") == Commit(made, modified=False)
    commits.end()


def test_a_file_that_changed_after_it_was_loaded(tmp_path: Path) -> None:
    """What lies there now is not what the pass goes by: no commit is better than a wrong one."""
    root = tmp_path / "repo"
    a_repository(root)
    commits = Commits(lambda: time.time_ns() - 10**10)
    commits.begin(current=True)
    assert commits.of(str(root / "keys/shop.yaml")) is None
    commits.end()


def test_files_that_do_not_load_ask_for_nothing(tmp_path: Path) -> None:
    """While older files are in force their commits stay, and none is looked up where others lie by now."""
    root = tmp_path / "repo"
    first = a_repository(root)
    (root / "keys/other.yaml").write_text("version: 1\n")
    commits = Commits(lambda: time.time_ns() + 10**9)
    commits.begin(current=True)
    assert commits.of(str(root / "keys/shop.yaml")) == Commit(first, modified=False)
    commits.end()
    commit(root, "broken")
    commits.begin(current=False)
    assert commits.of(str(root / "keys/shop.yaml")) == Commit(first, modified=False)
    assert commits.of(str(root / "keys/other.yaml")) is None
    commits.begin(current=True)
    assert commits.of(str(root / "keys/other.yaml")) is not None
    commits.end()
