"""The commands and what each is for; a command's module is imported only when it is called."""

import importlib
from typing import TYPE_CHECKING

import click

from reconciler import __version__
from reconciler.cli.command import SETTINGS, Group

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "validate": "Check the files, offline.",
    "plan": "Show what apply would do; writes nothing.",
    "apply": "Make one pass: plan, approve, write what differs.",
    "run": "Make passes on a schedule until told to stop.",
    "status": "Ask a running daemon how everything stands.",
    "audit": "Judge the keys that there are; writes nothing.",
    "who-can": "Say which keys can do something.",
    "explain": "Say why a key is as it is, and what would be done.",
    "notify": "List the addresses of notifications, and test them.",
    "trail": "Verify and show what was decided and written.",
    "export": "Write desired state from an account.",
    "schema": "Print the JSON Schema of a file format.",
    "emulator": "Serve a local AhaSend-compatible API.",
    "demo": "Show it all on the emulator, no account needed.",
    "completion": "Print what makes a shell complete these commands.",
    "help": "Show what a command does, and its options.",
}


class LazyGroup(Group):
    """A group that knows its commands by name and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        """Give the names in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 # click's
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"reconciler.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 # click's
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Offer the commands without importing them."""
        from click.shell_completion import CompletionItem

        items = [CompletionItem(name, help=does) for name, does in COMMANDS.items() if name.startswith(incomplete)]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=LazyGroup,
    context_settings=SETTINGS,
    epilog="`reconciler help COMMAND` and `man reconciler` tell all options; docs/command-line.md tells how to set up "
    "completion, and which variables and exit codes there are.",
)
@click.version_option(__version__, prog_name="reconciler")
def reconciler() -> None:
    """Keep AhaSend API keys exactly as your files say.

    \b
    A first real use:
      export AHASEND_API_KEY=aha-sk-...  AHASEND_ACCOUNT_ID=...
      reconciler export
      reconciler plan
      reconciler apply
    """  # noqa: D301 # click wants the control character itself
