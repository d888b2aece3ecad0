"""The commands as a tree, for the pages that are made of them."""

from collections.abc import Iterator

import click

from reconciler.cli.group import COMMANDS, reconciler


def walk() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Give each command, and each below one, by its whole name."""
    # With the settings of a real call: a command keeps the help option that it is first asked for.
    root = click.Context(reconciler, info_name="reconciler", **reconciler.context_settings)
    left = [(name, reconciler.get_command(root, name), root) for name in COMMANDS]
    while left:
        name, command, parent = left.pop(0)
        if command is None:
            continue
        context = click.Context(command, parent, name.split()[-1])
        yield name, command, context
        if isinstance(command, click.Group):
            below = command.list_commands(context)
            left[:0] = [(f"{name} {each}", command.get_command(context, each), context) for each in below]
