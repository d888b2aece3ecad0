"""The commit that a file comes from, where it lies in a git worktree: who asked can be found by it.

Nothing of that may keep a pass from its work: whatever goes wrong, the commit is not known.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.repo import Repo


@dataclass(frozen=True, slots=True)
class Commit:
    """A worktree's commit; ``modified`` where the file is not as that commit has it."""

    id: str
    modified: bool


class Commits:
    """Looks up commits: in each pass once for each file, and once for each folder where a repository is.

    A file that changed after the pass began is not the one that was loaded, and where the files in force are older
    ones, those that lie there now are not: of them no commit is known but what was looked up before.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._found: dict[str, Commit | None] = {}
        self._worktrees: dict[Path, _Worktree | None] = {}
        self._since = clock()
        self._current = True

    def begin(self, *, current: bool) -> None:
        """Begin a pass; ``current``: it goes by the files as they lie there, else by those of an earlier pass."""
        self._current = current
        self.end()  # a pass that failed did not
        if current:
            self._found.clear()
            self._since = self._clock()

    def end(self) -> None:
        """Let go of the repositories; the next pass looks at them anew."""
        for worktree in self._worktrees.values():
            if worktree:
                worktree.repository.close()
        self._worktrees.clear()

    def of(self, file: str) -> Commit | None:
        """Give the commit of a file by the name that messages show; None where there is none, or it is not known."""
        if file not in self._found:
            if not self._current:
                return None
            self._found[file] = self._look_up(file)
        return self._found[file]

    def _look_up(self, name: str) -> Commit | None:
        try:
            file = Path(os.path.realpath(name))  # git-sync leads to a worktree by a link that it replaces
            about = file.stat()
            if max(about.st_mtime_ns, about.st_ctime_ns) > self._since:
                return None
            worktree = self._worktree(file.parent)
            return worktree.commit(file) if worktree else None
        except Exception:  # noqa: BLE001 # broken, unreadable, of a later format, or nothing that anybody thought of
            return None

    def _worktree(self, folder: Path) -> "_Worktree | None":
        # Most files lie in none, as in a mounted ConfigMap, and the library loads slowly.
        root = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
        if root is None:
            return None
        if root not in self._worktrees:
            self._worktrees[root] = None  # where it cannot be opened, it is not tried again for each file
            self._worktrees[root] = _open(root)
        return self._worktrees[root]


@dataclass(frozen=True, slots=True)
class _Worktree:
    """A worktree's folder, its repository, and its commit when it was opened."""

    root: Path
    repository: "Repo"
    head: "ObjectID"
    tree: "ObjectID"

    def commit(self, file: Path) -> Commit:
        """Compare a file with what the commit has."""
        from dulwich.object_store import tree_lookup_path
        from dulwich.objects import Blob

        name = file.relative_to(self.root).as_posix().encode()
        try:
            _, committed = tree_lookup_path(self.repository.__getitem__, self.tree, name)
        except KeyError:
            return Commit(self.head.decode("ascii"), modified=True)
        return Commit(self.head.decode("ascii"), modified=Blob.from_string(file.read_bytes()).id != committed)


def _open(root: Path) -> _Worktree:
    from dulwich.repo import Repo

    repository = Repo(root)
    try:
        return _opened(root, repository)
    except BaseException:
        repository.close()
        raise


def _opened(root: Path, repository: "Repo") -> _Worktree:
    from dulwich.objects import Commit as Stored

    stored = repository[repository.head()]
    if not isinstance(stored, Stored):
        raise TypeError(stored)
    return _Worktree(root, repository, stored.id, stored.tree)
