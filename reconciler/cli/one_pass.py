"""One pass from the command line, its report where it was asked for, and its exit code."""

from functools import partial

import click

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.output import check_outputs, write_report
from reconciler.cli.values import Output
from reconciler.cli.wiring import Wiring, as_of, run_with_signals
from reconciler.core.memory import Memory
from reconciler.core.report import exit_code
from reconciler.errors import TrailError, mask
from reconciler.exits import ExitCode
from reconciler.reconcile import run_pass


def make_pass(
    wiring: Wiring, outputs: tuple[Output, ...], *, tell_differences: bool = False, judge_held_back: bool = True
) -> int:
    """Make one pass without a memory, write its report, and give its exit code.

    What could not be stored in the trail is told, and worth a 4, also where nothing was written because of it.
    """
    kept = (wiring.trail.path,) if wiring.trail else ()
    outputs = check_outputs(outputs, (*wiring.options.inputs, *kept))

    async def work(stop: Stop) -> int:
        paces = Paces(wiring.options.rate, wiring.options.burst)
        inputs = await stop.unless_requested(partial(wiring.inputs, paces, stop))
        report, _ = await run_pass(inputs, as_of(inputs), Memory())
        write_report(report, outputs, tuple(wiring.secrets()))
        code = exit_code(
            report,
            tell_differences=tell_differences,
            judge_held_back=judge_held_back,
            interrupted=stop.requested.is_set(),
        )
        if wiring.trail and (problem := wiring.trail.problem):
            told = TrailError(f"the trail lacks something of this pass: {problem}", hint="make room, and try again")
            click.echo(mask(f"error: {told}", *wiring.secrets()), err=True)
            return code if code is ExitCode.ERROR else ExitCode.UNFINISHED
        return code

    return run_with_signals(work)
