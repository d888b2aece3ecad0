"""Writes renderings of a report where they were asked for: files first, then stdout."""

import os
import re
import shutil
import sys
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from functools import cache
from operator import is_not
from typing import TYPE_CHECKING, Any, assert_never, cast

import click

from reconciler.cli.options import Output, OutputFormat
from reconciler.core.report import Report
from reconciler.errors import SECRET_BEGINS, SHORTEST_SECRET, OutputError, mask
from reconciler.files.whole import write_whole

if TYPE_CHECKING:
    from reconciler.render.terminal import Style

_WIDTH = 100
_WHOLE = (OutputFormat.JSON, OutputFormat.HTML)
"""The formats that cut no text of others."""
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
    shown, whole = _masked(report, outputs, secrets)
    for output in sorted(outputs, key=lambda output: output.path is None):
        text = mask(_render(whole if output.format in _WHOLE else shown, output), *secrets)
        try:
            if output.path is None:
                write_stdout(text)
            else:
                write_whole(output.path, text, overwrite=True)
        except OutputError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _masked(report: Report, outputs: Sequence[Output], secrets: Sequence[str]) -> tuple[Report, Report]:
    """Give what formats show that cut texts, perhaps in the middle of a secret, and the whole for those that do not.

    To mask what is rendered is enough for the latter, unless they would write a secret in another way, escaped.
    """
    masked = _Mask(secrets)
    if not all(_PLAIN.fullmatch(secret) for secret in secrets):
        report = masked(report)
        return report, report
    if all(output.format in _WHOLE for output in outputs):
        return report, report
    if not any(output.format is OutputFormat.SARIF for output in outputs):  # the others show no inventory
        accounts = tuple(replace(account, inventory=None) for account in report.accounts)
        return masked(replace(report, accounts=accounts)), report
    return masked(report), report


class _Mask:
    """Masks secrets in all texts of a value; what holds none is given as it is."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        marks = (*(secret for secret in secrets if len(secret) >= SHORTEST_SECRET), SECRET_BEGINS)
        self._found = re.compile("|".join(map(re.escape, marks))).search

    def __call__(self, value: Any) -> Any:
        if type(value) is str:
            return mask(value, *self._secrets) if self._found(value) else value
        if isinstance(value, tuple):
            items = tuple([self(item) for item in value])
            return items if any(map(is_not, items, value)) else value
        changed = {}
        for name in _names(cast("Hashable", type(value))):
            old = getattr(value, name)
            if old is not None and (new := self(old)) is not old:
                changed[name] = new
        return replace(value, **changed) if changed else value


@cache
def _names(kind: Any) -> tuple[str, ...]:
    """Name the fields of a record; numbers and words of ours have none."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


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
