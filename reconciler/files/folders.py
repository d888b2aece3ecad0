"""Which files are meant by paths: files named one by one, and all YAML files in folders, whatever is mounted there."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.errors import Problem

_SUFFIXES: Final = (".yaml", ".yml")
_ALIKE: Final = 0.85
"""From which likeness on a name was probably meant to be another: names of a few letters are all alike."""


@dataclass(slots=True)
class Found:
    """Files by the names that messages show, problems, links that lead out, and folders that hold none."""

    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    links_out: list[str] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)


_DESIRED: Final = "desired-state", "`reconciler export` writes them from the account"


def find_files(paths: Iterable[Path], kind: tuple[str, str] = _DESIRED) -> Found:
    """Find the files behind ``paths``, sorted, each once, whatever the order the paths come in.

    A folder is read whole, ``*.yaml`` and ``*.yml`` in whatever case; names that begin with a dot are skipped, since a
    mounted ConfigMap shows each file three times, and links out of the folder are not followed, since what they lead
    to was not reviewed with it. ``kind`` says which files there should be, and what to do where there are none.
    """
    found = Found()
    seen: set[str] = set()
    for path in sorted(set(paths)):
        for name, file in _behind(path, found, kind):
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                found.files[name] = file
    return found


def shown_path(path: Path) -> str:
    """Show a path on one line, whatever bytes are in its name."""
    text = os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def why_unreadable(path: Path, error: OSError) -> str:
    """Say why a file cannot be read, and which was probably meant where there is none of its name."""
    absent = isinstance(error, FileNotFoundError) and not path.is_symlink()
    meant = _nearby(path) if absent else None
    hint = f": did you mean {shown_path(meant)}?" if meant else ""
    return f"cannot be read: {(error.strerror or str(error)).lower()}{hint}"


def _nearby(path: Path) -> Path | None:
    """Give the file or folder that ``path`` was probably meant to name, None where nothing in its folder is near."""
    from difflib import get_close_matches

    with suppress(OSError):
        there = {entry.name: entry for entry in path.parent.iterdir() if not entry.name.startswith(".")}
        stems = [name for name in there if name == path.stem]
        for name in (*stems, *get_close_matches(path.name, there, n=1, cutoff=_ALIKE)):
            return there[name]
    return None


def _behind(path: Path, found: Found, kind: tuple[str, str]) -> list[tuple[str, Path]]:
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir may raise; whatever cannot be looked at is read, and fails
        return [(shown_path(path), path)]
    files = sorted((shown_path(file), file) for file in _walk(path, found))
    if not files and not found.problems:
        what, hint = kind
        message = f"holds no {what} file ({', '.join(f'*{suffix}' for suffix in _SUFFIXES)}): nothing to do"
        found.problems.append(Problem(shown_path(path), 0, 0, f"{message}; {hint}"))
        found.empty.append(path)
    return files


def _walk(top: Path, found: Found) -> Iterator[Path]:
    root = os.path.realpath(top)
    folders = [top]
    for folder in folders:  # it grows while it is walked
        try:
            with os.scandir(folder) as scanned:
                entries = [entry for entry in scanned if not entry.name.startswith(".")]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            found.problems.append(Problem(shown_path(folder), 0, 0, f"cannot be read: {reason}"))
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif _is_read(path, root, found, is_folder=entry.is_symlink() and os.path.isdir(path)):  # noqa: PTH112 - as above
                yield path


def _is_read(path: Path, root: str, found: Found, *, is_folder: bool) -> bool:
    # In whatever case: a rule must not count for nothing because its file's name is in capitals.
    if not is_folder and path.suffix.lower() not in _SUFFIXES:
        return False
    inside = Path(os.path.realpath(path)).is_relative_to(root)
    if not inside:
        found.links_out.append(shown_path(path))
    return inside and not is_folder
