"""Writes renderings of a report where they were asked for: files first, then stdout."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import click

from reconciler.cli.last_line import LINE
from reconciler.cli.masking import Mask
from reconciler.cli.values import Output, OutputFormat
from reconciler.errors import OutputError, mask
from reconciler.files.whole import write_whole

if TYPE_CHECKING:
    from reconciler.core.report import Report
    from reconciler.render.terminal import Style

_WIDTH = 100


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path] = ()) -> tuple[Output, ...]:
    """Check, before anything is done, that the outputs do not get in each other's way and can be written.

    Args:
        outputs: Where to write which format.
        inputs: Files, and directories of files, that are read.

    Raises:
        click.UsageError: two outputs want stdout or the same file, or one would replace what is read.
        OutputError: a file's folder is missing or closed.
    """
    if sum(output.path is None for output in outputs) > 1:
        raise click.UsageError("only one --output can go to stdout: give the others a file, such as json=report.json")
    paths = [output.path for output in outputs if output.path is not None]
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise click.UsageError("two --output options name the same file")
    read = [Path(os.path.realpath(path)) for path in inputs]
    for path in paths:
        if any(_is_read(Path(os.path.realpath(path)), each) for each in read):
            raise click.UsageError(f"--output {path} would replace a file that is read: choose another one")
        if why := why_not(path):
            raise OutputError(
                f"{path.absolute()} cannot be written: {why}", hint="give --output a file in a folder that exists"
            )
    return tuple(outputs) or (Output(OutputFormat.TEXT),)


def _is_read(path: Path, given: Path) -> bool:
    """Tell whether a file is what was given to be read, or would be taken for a part of it."""
    return path == given or (path.is_relative_to(given) and path.suffix in (".yaml", ".yml"))


def why_not(path: Path) -> str:
    """Say why a file cannot be written, nothing where it probably can."""
    try:
        special = path.exists() and not path.is_file()
        if path.is_dir():
            return "it is a directory"
        writable = os.access(path if special else path.parent, os.W_OK)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "" if writable else "it, or its folder, is missing or closed"


def write_report(report: "Report", outputs: Sequence[Output], secrets: Sequence[str] = ()) -> None:
    """Render the report for each output; no secret passes, wherever it may have come from.

    Raises:
        OutputError: one of them could not be written; the others were.
    """
    failures = []
    report = _masked(report, outputs, secrets)
    for output in sorted(outputs, key=lambda output: output.path is None):
        text = mask(_render(report, output), *secrets)
        try:
            if output.path is None:
                write_stdout(text, utf8=output.format is not OutputFormat.TEXT)
            else:
                write_whole(output.path, text, overwrite=True)
        except OutputError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _masked(report: "Report", outputs: Sequence[Output], secrets: Sequence[str]) -> "Report":
    """Mask secrets in the report: renderings cut texts in the middle of one, escape it, or break it.

    What no output shows is left out instead: that of a hundred thousand keys takes a while.
    """
    if all(output.format in (OutputFormat.TEXT, OutputFormat.MARKDOWN) for output in outputs):
        report = replace(report, accounts=tuple(replace(account, inventory=None) for account in report.accounts))
    masked: Report = Mask(secrets)(report)
    return masked


def _render(report: "Report", output: Output) -> str:
    match output.format:
        case OutputFormat.TEXT:
            from reconciler.render import terminal

            return terminal.render(report, style=terminal_style(to_stdout=output.path is None))
        case OutputFormat.JSON:
            from reconciler.render import json

            return json.render(report)
        case OutputFormat.MARKDOWN:
            from reconciler.render import markdown

            return markdown.render(report)
        case OutputFormat.HTML:
            from reconciler.render import html

            return html.render(report)
        case OutputFormat.SARIF:
            from reconciler.render import sarif

            return sarif.render(report)
        case _:
            assert_never(output.format)


def terminal_style(*, to_stdout: bool = True) -> "Style":
    """Give the style of a text for people: coloured, and as wide as the terminal, where it goes to one."""
    from reconciler.render.terminal import Style

    on_terminal = to_stdout and sys.stdout.isatty()
    colour = on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(colour=colour, width=shutil.get_terminal_size((_WIDTH, 24)).columns if on_terminal else _WIDTH)


def write_stdout(text: str, *, utf8: bool = False) -> None:
    """Write to stdout; whoever reads it may leave early.

    Text for people is written as its reader wants it, with escapes for what that cannot show; ``utf8``: as UTF-8,
    which is what the text says of itself.

    Raises:
        OutputError: it cannot be written, as on a full disk.
    """
    LINE.wipe()
    try:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8" if utf8 else None, errors="backslashreplace")
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        forget_stdout()
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"stdout cannot be written: {error.strerror}") from None


def forget_stdout() -> None:
    """Point stdout nowhere, so that nothing more can fail for want of a reader."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
