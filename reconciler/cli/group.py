"""The commands and what each is for; a command's module is imported only when it is called."""

import importlib

import click

from reconciler import __version__

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
}


class LazyGroup(click.Group):
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{error.format_message()}{hint}", ctx) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
