"""``reconciler trail``: verifies the trail, and shows what it tells of a key."""

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import click

from reconciler.cli import options
from reconciler.cli.command import Command, Group
from reconciler.cli.key_names import KeyType
from reconciler.cli.values import PathType
from reconciler.errors import TrailError, mask, visible

if TYPE_CHECKING:
    from reconciler.daemon.chain import Survey


class HeadType(click.ParamType[str]):
    """A hash as logs show it, with or without ``sha256:``."""

    name = "hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read one hash."""
        text = str(value).strip().removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            self.fail(f"{value!r} is no hash: it is 64 hexadecimal digits, as pass.finished logs it", param, ctx)
        return text


def _of_a_trail(function: Callable[..., int]) -> Callable[..., int]:
    """Add what names a trail: files in their order, or ``--trail``."""
    return options.apply_all(
        click.argument("files", nargs=-1, type=PathType()),
        click.option(
            "--trail",
            type=PathType(),
            default=None,
            envvar="RECONCILER_TRAIL",
            help="The trail, where no FILES are named.",
        ),
    )(function)


@click.group("trail", cls=Group, short_help="Verify and show what was decided and written.")
def command() -> None:
    """Look at the trail that `apply --trail` and `run --trail` keep.

    One FILE stands for the whole trail, FILE.000001 and so on included; several are read in the order given.

    Example: reconciler trail show trail.jsonl --key storefront
    """


@command.command("verify", cls=Command, short_help="Find what was changed, removed, inserted or moved.")
@_of_a_trail
@click.option(
    "--head",
    type=HeadType(),
    default=None,
    envvar="RECONCILER_TRAIL_HEAD",
    help="The trail must hold the line with this hash: finds a tail that was cut.",
)
@click.option(
    "--base",
    type=HeadType(),
    default=None,
    envvar="RECONCILER_TRAIL_BASE",
    help="The hash of the line before the first one, where earlier files are elsewhere.",
)
def verify(files: tuple[Path, ...], trail: Path | None, head: str | None, base: str | None) -> int:
    """Check that each line follows the one before, and is as it was written. Exit 1 where one is not.

    Example: reconciler trail verify /var/lib/reconciler/trail.jsonl --head sha256:...
    """
    from reconciler.cli.output import write_stdout
    from reconciler.daemon.chain import Break, Survey, survey
    from reconciler.daemon.segments import read_files

    paths = _files(files, trail)
    match survey(read_files(paths), base, head):
        case Break() as broken:
            hint = "what stands before it is as it was written; of what follows nothing is proven"
            raise TrailError(visible(mask(str(broken))), hint=hint)
        case Survey(lines=0):
            raise TrailError(f"{paths[-1]} holds no line", hint="was it emptied? the logs tell its last head")
        case Survey() as found:
            _check_head(found, head)
            write_stdout(visible(mask(_summary(found, head))) + "\n")
            return 0
        case never:
            assert_never(never)


def _check_head(found: "Survey", head: str | None) -> None:
    if head is not None and found.after_head is None:
        ends = f"it ends with line {found.head.seq}, {found.head.head}"
        raise TrailError(
            f"the tail was cut: sha256:{head} is not in it; {ends}", hint="or the line is in earlier files: name them"
        )


def _summary(found: "Survey", head: str | None) -> str:
    from reconciler.render.words import number

    counted = f"{number(found.lines, 'line')}, {number(found.writes, 'write')}"
    follow = f"; {number(found.after_head, 'line')} after sha256:{head}" if found.after_head else ""
    torn = f"; {number(found.recovered, 'line')} torn by a crash, see trail.recovered" if found.recovered else ""
    return f"{counted}, from {found.begins} to {found.ends}, head {found.head.head}, intact{follow}{torn}"


@command.command("show", cls=Command, short_help="Tell the history of a key.")
@_of_a_trail
@click.option(
    "--key", type=KeyType(), required=True, envvar="RECONCILER_TRAIL_KEY", help="Its name, its label or its id."
)
@click.option(
    "--account",
    metavar="ID",
    default=None,
    envvar="RECONCILER_TRAIL_ACCOUNT",
    help="Only in this account or sub account.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="RECONCILER_TRAIL_OUTPUT",
    help="For people, or the lines themselves.",
)
def show(files: tuple[Path, ...], trail: Path | None, key: str, account: str | None, output: str) -> int:
    """Tell what happened to a key, oldest first: who asked, what was decided and written, and its list before a fence.

    Example: reconciler trail show /var/lib/reconciler/trail.jsonl --key storefront
    """
    from reconciler.cli.output import write_stdout
    from reconciler.daemon.history import Question, look_up, tell
    from reconciler.daemon.segments import read_files

    paths = _files(files, trail)
    history = look_up(Question(key, account), read_files(paths), read_files(paths))
    _warn(paths, history.unclear)
    if not history.told:
        near = get_close_matches(key, sorted(history.others), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`reconciler explain` knows keys of today"
        where = f" in account {account}" if account else ""
        raise TrailError(visible(mask(f"no line is about a key {key!r}{where}")), hint=visible(mask(hint)))
    write_stdout(tell(history) if output == "text" else mask(b"".join(history.lines).decode("ascii")))
    return 0


def _warn(paths: list[Path], unclear: int) -> None:
    """Say where the chain is broken, and what is left out; earlier files that are elsewhere are no break of it."""
    from reconciler.daemon.chain import Break, base_of, survey
    from reconciler.daemon.segments import read_files
    from reconciler.render.words import number

    told = []
    match survey(read_files(paths), base_of(read_files(paths))):
        case Break() as broken:
            told.append(f"{broken}; what is shown is not proven: see `reconciler trail verify`")
        case _:
            pass
    if unclear:
        told.append(f"{number(unclear, 'line')} could not be understood, and may be about the key")
    for warning in told:
        click.echo(visible(mask(f"warning: {warning}")), err=True)


def _files(files: tuple[Path, ...], trail: Path | None) -> list[Path]:
    """Give the files of a trail in their order.

    Raises:
        click.UsageError: none is named.
    """
    from reconciler.daemon.segments import segments

    if len(files) > 1:
        return [*files]
    named = files[0] if files else trail
    if named is None:
        raise click.UsageError("no trail is named: give its FILE, or --trail, or set RECONCILER_TRAIL")
    path = Path(os.path.realpath(named)) if named.is_symlink() else named
    return [*segments(path), path]
