"""``reconciler help``: shows what ``--help`` does, for those who look for it here."""

from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from reconciler.cli.command import Command


class NameType(click.ParamType[str]):
    """The name of a command, or of one below the command that was named before."""

    name = "command"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the commands that there are at this place."""
        group = _find(ctx.find_root(), ctx.params.get(param.name or "") or ())
        return group.command.shell_complete(group, incomplete) if isinstance(group.command, click.Group) else []


@click.command("help", cls=Command, short_help="Show what a command does, and its options.")
@click.argument("names", metavar="[COMMAND]...", nargs=-1, type=NameType())
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Show the help of a command, or that of them all.

    Example: reconciler help
    Example: reconciler help apply
    Example: reconciler help trail show
    """
    from reconciler.cli.output import write_stdout

    write_stdout(_find(ctx.find_root(), names).get_help() + "\n")
    return 0


def _find(ctx: click.Context, names: Sequence[str]) -> click.Context:
    """Give a context of the command with these names.

    Raises:
        click.UsageError: there is none.
    """
    for name in names:
        if not isinstance(ctx.command, click.Group):
            raise click.UsageError(f"there is nothing below {ctx.command_path!r}, no {name!r} either", ctx)
        _, found, _ = ctx.command.resolve_command(ctx, [name])
        ctx = click.Context(found or ctx.command, ctx, name)
    return ctx
