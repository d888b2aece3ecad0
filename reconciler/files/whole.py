"""Files written whole or not at all."""

import os
import secrets
from pathlib import Path

from reconciler.errors import OutputError

_LONGEST = 100


def write_whole(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a file so that no reader ever sees half of it; folders on the way are made, pipes and devices written to.

    Raises:
        OutputError: the file is there and ``overwrite`` was not asked for, or it cannot be written; the old one, if
            any, is unharmed.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        if overwrite and path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8", newline="")
        else:
            _put(path, text, overwrite=overwrite)
    except FileExistsError:
        raise OutputError(f"{path} is already there", hint="pass --overwrite to replace it") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{path} cannot be written: {reason}", hint="choose another file or folder") from None


def _put(path: Path, text: str, *, overwrite: bool) -> None:
    # A loader skips what begins with a dot.
    temporary = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # unlike a rename, it never replaces what is there
    finally:
        temporary.unlink(missing_ok=True)
