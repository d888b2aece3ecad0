"""``reconciler completion``: prints what teaches a shell to complete the command."""

from pathlib import Path
from typing import Final

import click

from reconciler.cli.command import Command

SHELLS: Final = ("bash", "zsh", "fish")


@click.command("completion", cls=Command, short_help="Print what makes a shell complete these commands.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print a script that lets a shell complete commands, options, values and files.

    \b
    One line sets it up:
      ~/.bashrc                   eval "$(reconciler completion bash)"
      ~/.zshrc                    eval "$(reconciler completion zsh)"
      ~/.config/fish/config.fish  reconciler completion fish | source

    Example: reconciler completion bash
    Example: reconciler completion zsh > ~/.zfunc/_reconciler
    Example: reconciler completion fish | source
    """  # noqa: D301 # click wants the control character itself
    from reconciler.cli.output import write_stdout

    write_stdout(script(shell))
    return 0


def script(shell: str) -> str:
    """Give the script for a shell."""
    return (Path(__file__).parent / "shells" / f"completion.{shell}").read_text(encoding="utf-8")
