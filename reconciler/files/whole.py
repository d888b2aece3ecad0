"""Files written whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

from reconciler.errors import OutputError

_LONGEST = 100


def write_whole(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a file so that no reader ever sees half of it; folders on the way are made, pipes and devices written to.

    What replaces a file has its mode, and a link goes on leading to what it led to.

    Raises:
        OutputError: the file is there and ``overwrite`` was not asked for, or it cannot be written; the old one, if
            any, is unharmed.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        if overwrite and _is_special(path):
            _pour(path, text)
        else:
            _put(Path(os.path.realpath(path)) if overwrite and path.is_symlink() else path, text, overwrite=overwrite)
    except FileExistsError:
        raise OutputError(f"{path} is already there", hint="pass --overwrite to replace it") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{path} cannot be written: {reason}", hint="choose another file or folder") from None


def _is_special(path: Path) -> bool:
    """Tell whether a path is no file of its own: a pipe, a device, or a link to a descriptor such as /dev/stdout."""
    if not path.exists():
        return False
    while path.is_symlink():
        if path.is_relative_to("/proc"):
            return True
        path = path.parent / path.readlink()
    return not path.is_file()


def _pour(path: Path, text: str) -> None:
    """Write to what is there as it is; a pipe that nobody reads is an error, and not waited for."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    with open(descriptor, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 # it is open already
        file.write(text)


def _put(path: Path, text: str, *, overwrite: bool) -> None:
    # A loader skips what begins with a dot.
    temporary = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # unlike a rename, it never replaces what is there
    finally:
        temporary.unlink(missing_ok=True)
