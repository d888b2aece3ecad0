"""Command lines as texts show them, read as the commands would read them."""

import re
import shlex
from collections.abc import Iterator
from typing import Final

import click

from reconciler.cli.completion import SHELLS
from reconciler.cli.group import COMMANDS, reconciler

DIGEST: Final = "sha256:" + "0" * 64
PLACEHOLDERS: Final = re.compile(r"(?<![A-Z_=])\b(COMMAND|NAME|KEY|WHAT|FILE|PATH|ID|HOST:PORT|GUARDRAIL|SHELL)\b")


MEANT: Final = {
    "COMMAND": "plan",
    "NAME": "restore",
    "GUARDRAIL": "restore",
    "SHELL": SHELLS[0],
    "HOST:PORT": "127.0.0.1:8080",
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command, and every one below it, by its whole name."""
    root = click.Context(reconciler, info_name="reconciler")
    for name in COMMANDS:
        command = reconciler.get_command(root, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command, root, name)
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None
                yield f"{name} {below}", found


ALL: Final = dict(commands())


def parse(line: str) -> None:
    """Read a command line as the command would; nothing is done."""
    line = line.replace("sha256:...", DIGEST).replace("\\|", "|").partition(" | ")[0].partition(" && ")[0]
    line = re.sub(r"\s(\d?>+|<)\s?\S+", "", line).removesuffix(" &")
    _, *arguments = shlex.split(line, comments=True)
    _parse(reconciler.make_context("reconciler", arguments))


def _parse(context: click.Context) -> None:
    left = [*context._protected_args, *context.args]
    if left and isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, left)
        assert command is not None
        _parse(command.make_context(name, rest, parent=context))


def meant(placeholder: re.Match[str]) -> str:
    """What may stand for a word in capitals."""
    return MEANT.get(placeholder[1], "x")
