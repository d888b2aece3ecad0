"""``reconciler explain``: says why a key is as it is, and what would be done."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.key_names import KeyType
from reconciler.cli.options import Options
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.ahasend.pace import Stop
    from reconciler.cli.answering import Readings
    from reconciler.core.answers import Explaining, Explanation
    from reconciler.core.events import Event
    from reconciler.listing import Listed
    from reconciler.reconcile import Decision, PassInputs


@click.command("explain", cls=Command, short_help="Say why a key is as it is, and what would be done.")
@click.argument("key", type=KeyType())
@options.about_passes
@options.apply_all(options.allow, options.actual, options.log_format, options.log_level("error"))
def command(  # one parameter an option
    *,
    key: str,
    about: Options,
    allow: tuple[str, ...],
    actual: tuple[Path, ...],
    log_format: str | None,
    log_level: str,
) -> int:
    """Say all there is about KEY (its name, its id or its label). Nothing is written.

    That is: what asks for it, what it may do and through what, what every rule says, what would be done, and what holds
    that back.

    Example: reconciler explain storefront
    Example: reconciler explain "Analytics (read only)" --actual listing.json
    """
    from reconciler.cli.answering import answer, beside, left_out
    from reconciler.cli.output import terminal_style
    from reconciler.cli.wiring import Secrets, Wiring, as_of, looking_at, make_observer
    from reconciler.core.answers import Explaining
    from reconciler.reconcile import look
    from reconciler.render.answers import render_explanations

    secrets = Secrets()
    chosen = about.looking(actual).allowing(allow)
    wiring = Wiring(chosen, make_observer(log_format, log_level, secrets), secrets)

    async def ask(inputs: "PassInputs", stop: "Stop") -> "tuple[str, Readings]":
        now = as_of(inputs)
        inputs = replace(inputs, observe=_tell_nobody)  # the answer tells it all
        decision, _ = await look(inputs, looking_at(inputs), stop, now)
        explaining = Explaining(inputs.policy, inputs.desired.roles, decision.approval.refusals, now)
        found = _found(decision, key, explaining)
        nobody = f"no key has the name, the id or the label {key!r}"
        others = left_out(decision.findings)
        about = beside(inputs, decision.readings, *(() if found else (f"{nobody} in what could be read",)), *others)
        if not found and not about.unanswered:
            raise ReconcilerError("; ".join((nobody, *others)), hint=_nearest(decision, key))
        return render_explanations(found, about, style=terminal_style()), decision.readings

    return answer(wiring, ask)


def _tell_nobody(_event: "Event") -> None:
    """Log nothing of what is looked at."""


def _listed(decision: "Decision") -> "list[Listed]":
    from reconciler.listing import Listed

    return [reading for reading in decision.readings if isinstance(reading, Listed)]


def _found(decision: "Decision", key: str, explaining: "Explaining") -> "list[Explanation]":
    from reconciler.core.answers import explain

    plans = zip(_listed(decision), decision.approval.plan.accounts, strict=True)
    return [found for listed, plan in plans for found in explain(listed.desired, plan, key, explaining)]


def _nearest(decision: "Decision", key: str) -> str:
    names = {spec.name for listed in _listed(decision) for spec in listed.desired.keys}
    labels = {remote.label for listed in _listed(decision) for remote in listed.keys}
    near = get_close_matches(key, sorted(names | labels), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "`reconciler audit -o json` lists them all"
