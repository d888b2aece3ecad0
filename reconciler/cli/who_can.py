"""``reconciler who-can``: says which keys can do something, by the files and in the account."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.options import Options
from reconciler.cli.values import Offering, OutputFormat
from reconciler.core.scopes import STATIC, TARGETED, Reach, Scope, family_suggestion, parse_scope, suggestion

if TYPE_CHECKING:
    from reconciler.ahasend.pace import Stop
    from reconciler.cli.answering import Readings
    from reconciler.reconcile import PassInputs


class FamilyType(Offering[str]):
    """What a key may do: a family of scopes, or a whole scope."""

    name = "what"

    def offers(self, incomplete: str) -> Iterable[CompletionItem]:
        """Offer the families that there are."""
        return [CompletionItem(name) for name in sorted(STATIC | TARGETED) if name.startswith(incomplete)]


@click.command("who-can", cls=Command, short_help="Say which keys can do something.")
@click.argument("what", type=FamilyType())
@click.argument("domain", required=False)
@options.about_passes
@options.apply_all(
    options.actual,
    click.option(
        "-o",
        "--output",
        type=click.Choice([each.value for each in OutputFormat]),
        default=OutputFormat.TEXT.value,
        show_default=True,
        envvar="RECONCILER_ANSWER",
        help="How to answer, on stdout.",
    ),
    options.log_format,
    options.log_level("error"),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    what: str,
    domain: str | None,
    about: Options,
    actual: tuple[Path, ...],
    output: str,
    log_format: str | None,
    log_level: str,
) -> int:
    """Say which keys can do WHAT, for DOMAIN where it is for one: by the files and in the account, side by side.

    Example: reconciler who-can messages:send shop.example.com
    Example: reconciler who-can api-keys:write -o json
    """
    from reconciler.cli.answering import answer, beside, left_out
    from reconciler.cli.output import terminal_style
    from reconciler.cli.wiring import Secrets, Wiring, looking_at, make_observer
    from reconciler.core.answers import KeysIn, held, who_can
    from reconciler.listing import Listed
    from reconciler.reconcile import read_only
    from reconciler.render.answers import render_json, render_who_can

    wanted = _scope(what, domain)
    secrets = Secrets()
    wiring = Wiring(about.looking(actual), make_observer(log_format, log_level, secrets), secrets)

    async def ask(inputs: "PassInputs", stop: "Stop") -> "tuple[str, Readings]":
        (readings, told), _ = await read_only(inputs, looking_at(inputs), stop)
        listed = [KeysIn(reading.desired, reading.keys) for reading in readings if isinstance(reading, Listed)]
        if (better := _better(what, wanted)) and wanted not in held(inputs.desired, listed):
            raise click.UsageError(f"{what!r} is not a known scope, and no key has it: did you mean {better}?")
        holders = who_can(listed, wanted)
        unknown = (f"{wanted.text} is a scope that this version does not know: it is compared by its text",)
        notes = (*(unknown if wanted.reach is Reach.UNKNOWN else ()), *left_out(told))
        about = beside(inputs, readings, *notes)
        if output == OutputFormat.JSON:
            return render_json(wanted.text, holders, about), readings
        return render_who_can(wanted.text, holders, about, style=terminal_style()), readings

    return answer(wiring, ask)


def _scope(what: str, domain: str | None) -> Scope:
    """Read what somebody may be able to do."""
    if domain is None and what in TARGETED:
        raise click.UsageError(f"{what} is for a domain: name one, or ask for {what}:all, which is every domain")
    scope = parse_scope(what if domain is None else f"{what}:{{{domain}}}")
    if domain is not None and what in STATIC:
        raise click.UsageError(f"{what} is for no domain: leave {domain!r} out")
    if domain is not None and scope.reach is not Reach.DOMAIN:
        told = f"{what!r} for {domain!r} is nothing that a key can do"
        if better := family_suggestion(what):
            raise click.UsageError(f"{told}: did you mean {better}?")
        raise click.UsageError(f"{told}; for a domain there are {', '.join(sorted(TARGETED))}")
    return scope


def _better(what: str, scope: Scope) -> str | None:
    """Give what was probably meant by a scope that is not known, in words of this command."""
    if scope.reach is not Reach.UNKNOWN:
        return None
    family = family_suggestion(what)
    return f"{family} DOMAIN or {family}:all" if family in TARGETED else suggestion(what)
