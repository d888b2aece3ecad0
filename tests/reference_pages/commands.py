"""docs/reference/commands.md: every command with its options, variables, defaults and examples."""

import inspect
import re
from collections.abc import Iterator

import click

from command_tree import walk
from reconciler.cli.command import option_sections, split_help
from reconciler.cli.group import COMMANDS
from reconciler.cli.variables import BESIDE_OPTIONS, variables_of
from reference_pages.markdown import anchor, code, plain, table

_INTRODUCTION = """\
Every command takes `-h` and `--help`. What an option says on the command line wins over its variable. An option
that may be given several times takes values parted by commas in its variable. [command-line.md](../command-line.md)
tells about completion and progress, [exit-codes.md](exit-codes.md) how each ends."""


def page() -> Iterator[str]:
    """Give the page, block by block."""
    yield "# Commands"
    yield _INTRODUCTION
    rows = ((f"[{code(name)}](#{anchor(f'reconciler {name}')})", does) for name, does in COMMANDS.items())
    yield table(("command", "does"), rows)
    for name, command, context in walk():
        yield from _command(name, command, context)
    yield "## Variables beside the options"
    yield table(("variable", "holds"), ((code(name), plain(text)) for name, text in BESIDE_OPTIONS.items()))


def _command(name: str, command: click.Command, context: click.Context) -> Iterator[str]:
    prose, examples = split_help(command)
    yield f"## reconciler {name}"
    yield from map(_paragraph, prose.split("\n\n"))
    if isinstance(command, click.Group):
        below = (f"{name} {each}" for each in command.list_commands(context))
        yield (
            "Commands below it: "
            + ", ".join(f"[{code(each)}](#{anchor(f'reconciler {each}')})" for each in below)
            + "."
        )
        return
    yield _block(f"reconciler {name} {' '.join(command.collect_usage_pieces(context))}")
    rows = [
        _row(each, context)
        for _, options in option_sections(command, context)
        for each in options
        if isinstance(each, click.Option) and "--help" not in each.opts
    ]
    if rows:
        yield table(("option", "variable", "default", "meaning"), rows)
    yield _block("\n".join(f"$ {each}" for each in examples), "console")


def _row(option: click.Option, context: click.Context) -> tuple[str, ...]:
    flags, meaning = option.get_help_record(context) or ("", "")
    told, _, notes = meaning.removesuffix("]").partition("  [")
    default, limits = notes.removeprefix("default: "), ""
    if isinstance(option.type, click.IntRange | click.FloatRange):
        default, _, limits = default.rpartition("; ")
        limits = f" ({_range(option.type)})"
    default = code(default) if default and " " not in default else default
    return code(flags), " else ".join(map(code, variables_of(option))), default, f"{_typed(told)}{limits}"


def _range(kind: click.IntRange | click.FloatRange) -> str:
    return f"{kind.min} at least" if kind.max is None else f"{kind.min} to {kind.max}"


def _paragraph(text: str) -> str:
    if text.startswith("\b"):
        return _block(inspect.cleandoc(text.removeprefix("\b\n")))
    return _typed(" ".join(text.split()))


def _typed(text: str) -> str:
    """Give prose with options in it marked as what is typed."""
    parts = plain(text).split("`")
    return "`".join(
        part if at % 2 else re.sub(r"(?<![\w-])(--[a-z][a-z-]*[a-z])", r"`\1`", part) for at, part in enumerate(parts)
    )


def _block(text: str, language: str = "text") -> str:
    return f"```{language}\n{text}\n```"
