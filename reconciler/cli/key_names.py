"""The names of keys in files, for completion: found by their looks, since loading the files would take too long."""

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from reconciler.cli.options import DEFAULT_DESIRED

_NAME: Final = re.compile(
    r"""(?:^|[\s{,-])name:[ ]*(["']?)([a-z0-9][a-z0-9._-]{0,62})\1(?=\s*(?:[,}\n]|$))""", re.MULTILINE
)
_MOST_FILES: Final = 100
_MOST_CHARACTERS: Final = 2**20
"""What is read of a file: a tenth of a second's work is all that somebody who types waits for."""


class KeyType(click.ParamType[str]):
    """A key by its name, its label or its id."""

    name = "key"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 # click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the names of the files."""
        paths = ctx.params.get("desired") or (Path(DEFAULT_DESIRED),)
        return [CompletionItem(name) for name in key_names(paths) if name.startswith(incomplete)]


def key_names(paths: Iterable[Path]) -> list[str]:
    """Give what looks like a key's name in the files behind ``paths``, sorted; what cannot be read has none."""
    from reconciler.files.folders import find_files

    names: set[str] = set()
    for path in islice(find_files(paths).files.values(), _MOST_FILES):
        with suppress(OSError, UnicodeError):
            if path.is_file():  # a pipe would be waited for
                with path.open(encoding="utf-8") as file:
                    names.update(match[2] for match in _NAME.finditer(file.read(_MOST_CHARACTERS)))
    return sorted(names)
