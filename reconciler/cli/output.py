"""Writes renderings of a report where they were asked for: files first, then stdout."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, assert_never

import click

from reconciler.cli.options import Output, OutputFormat
from reconciler.core.report import Report
from reconciler.errors import OutputError, mask
from reconciler.files.whole import write_whole

if TYPE_CHECKING:
    from reconciler.render.terminal import Style

_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z0-9_-]*")
"""What every rendering writes as it is."""


def check_outputs(outputs: Sequence[Output]) -> tuple[Output, ...]:
    """Check, before anything is done, that the outputs do not get in each other's way and can be written.

    Raises:
        click.UsageError: two outputs want stdout or the same file.
        OutputError: a file's folder is missing or closed.
    """
    if sum(output.path is None for output in outputs) > 1:
        raise click.UsageError("only one --output can go to stdout: give the others a file, such as json=report.json")
    paths = [output.path.absolute() for output in outputs if output.path is not None]
    if len(set(paths)) < len(paths):
        raise click.UsageError("two --output options name the same file")
    for path in paths:
        special = path.exists() and not path.is_file()
        if path.is_dir() or not os.access(path if special else path.parent, os.W_OK):
            why = "it is a directory" if path.is_dir() else "it, or its folder, is missing or closed"
            raise OutputError(f"{path} cannot be written: {why}", hint="give --output a file in a folder that exists")
    return tuple(outputs) or (Output(OutputFormat.TEXT),)


def write_report(report: Report, outputs: Sequence[Output], secrets: Sequence[str] = ()) -> None:
    """Render the report for each output; no secret passes, wherever it may have come from.

    Raises:
        OutputError: one of them could not be written; the others were.
    """
    failures = []
    report = _masked(report, [secret for secret in secrets if not _PLAIN.fullmatch(secret)])
    for output in sorted(outputs, key=lambda output: output.path is None):
        text = mask(_render(report, output), *secrets)
        try:
            if output.path is None:
                write_stdout(text)
            else:
                write_whole(output.path, text, overwrite=True)
        except OutputError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _masked(report: Report, secrets: Sequence[str]) -> Report:
    """Mask secrets in the texts of a report that a rendering may write in another way: escaped, or over two lines."""
    return _without(report, secrets) if secrets else report


def _without(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return mask(value, *secrets)
    if isinstance(value, tuple):
        return tuple(_without(each, secrets) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _without(getattr(value, each.name), secrets) for each in fields(value)})
    return value


def _render(report: Report, output: Output) -> str:
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


def write_stdout(text: str) -> None:
    """Write to stdout; whoever reads it may leave early.

    Raises:
        OutputError: it cannot be written, as on a full disk.
    """
    try:
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
