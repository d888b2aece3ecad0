"""What files look like, by which a change of them is noticed, and how they are loaded while somebody changes them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from reconciler.errors import ReconcilerError
from reconciler.files.folders import find_files

Value = TypeVar("Value")
LOADS_AT_MOST: Final = 3
"""So often files are loaded that change meanwhile; then they do not load."""

Looks = tuple[tuple[str | int, ...], ...]
"""What files look like: for each its name, what it leads to, and what the system says of it, or why it is not seen."""


def looks_of(paths: tuple[Path, ...]) -> Looks:
    """Give what the files behind paths look like; a change of any of them changes it."""
    looks: list[tuple[str | int, ...]] = []
    for path in paths:
        found = find_files([path])
        looks += ((problem.file, problem.message) for problem in found.problems)
        looks += ((link, "leads out") for link in found.links_out)
        looks += (look_of(name, file) for name, file in found.files.items())
    return tuple(sorted(looks, key=str))


def look_of(name: str, file: Path) -> tuple[str | int, ...]:
    """Give what one file looks like, under a name."""
    try:
        about = file.stat()
    except (OSError, RuntimeError, ValueError) as error:
        return name, str(error)
    return name, os.path.realpath(file), about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def keep_changing() -> ReconcilerError:
    """Give the error of files that change whenever they are read."""
    return ReconcilerError(
        "the files keep changing while they are read", hint="is something writing them over and over?"
    )


def load_whole(paths: tuple[Path, ...], load: Callable[[], Value]) -> Value:
    """Load what is in the files behind paths, once more where they look otherwise afterwards.

    Half of one state and half of the next is neither: a key that moves from one file to another would be in none.

    Raises:
        ReconcilerError: they changed each time, or what ``load`` raises of files that did not change meanwhile.
    """
    for _ in range(LOADS_AT_MOST):
        looks = looks_of(paths)
        try:
            value = load()
        except ReconcilerError:
            if looks_of(paths) == looks:
                raise
            continue
        if looks_of(paths) == looks:
            return value
    raise keep_changing()
