"""The commit that a file comes from, where it lies in a git worktree: who asked can be found by it.

Nothing of that may keep a pass from its work: whatever goes wrong, the commit is not known.
"""

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dulwich.repo import Repo


@dataclass(frozen=True, slots=True)
class Commit:
    """A worktree's commit; ``modified`` where the file is not as that commit has it."""

    id: str
    modified: bool


class Commits:
    """Looks up commits, once a pass for each file.

    A file that changed after the pass began is not the one that was loaded, and where the files in force are older
    ones, those that lie there now are not: of them no commit is known but what was looked up before.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._found: dict[str, Commit | None] = {}
        self._since = clock()
        self._current = True

    def begin(self, *, current: bool) -> None:
        """Begin a pass; ``current``: it goes by the files as they lie there, else by those of an earlier pass."""
        self._current = current
        if current:
            self._found.clear()
            self._since = self._clock()

    def of(self, file: str) -> Commit | None:
        """Give the commit of a file by the name that messages show; None where there is none, or it is not known."""
        if file not in self._found:
            if not self._current:
                return None
            self._found[file] = _look_up(Path(file), self._since)
        return self._found[file]


def _look_up(file: Path, since: int) -> Commit | None:
    try:
        real = Path(os.path.realpath(file))  # git-sync leads to a worktree by a link that it replaces
        about = real.stat()
        if max(about.st_mtime_ns, about.st_ctime_ns) > since or not _has_repository(real):
            return None
        from dulwich.repo import Repo

        with closing(Repo.discover(real.parent)) as repository:
            return _commit(repository, real)
    except Exception:  # noqa: BLE001 # broken, unreadable, of a later format, or nothing that anybody thought of
        return None


def _has_repository(file: Path) -> bool:
    """Tell whether any folder above has one: most have not, as a mounted ConfigMap, and the library loads slowly."""
    return any((folder / ".git").exists() for folder in file.parents)


def _commit(repository: "Repo", file: Path) -> Commit:
    from dulwich.object_store import tree_lookup_path
    from dulwich.objects import Blob, Commit as StoredCommit

    head = repository.head()
    stored = repository[head]
    if not isinstance(stored, StoredCommit):
        raise TypeError(head)
    name = file.relative_to(os.path.realpath(repository.path)).as_posix().encode()
    try:
        _, committed = tree_lookup_path(repository.__getitem__, stored.tree, name)
    except KeyError:
        return Commit(head.decode("ascii"), modified=True)
    return Commit(head.decode("ascii"), modified=Blob.from_string(file.read_bytes()).id != committed)
