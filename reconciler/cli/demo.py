"""``reconciler demo``: emulator, plan, apply, drift, heal, in one go, no account needed."""

import click

from reconciler.cli.command import Command


@click.command("demo", cls=Command, short_help="Show it all on the emulator, no account needed.")
def command() -> int:
    """Start an emulator with 250 keys, 40 of which drifted, and bring them back under the eyes of the guardrails.

    Example: reconciler demo
    """
    from reconciler.cli.demo_story import tell_it

    return tell_it()
