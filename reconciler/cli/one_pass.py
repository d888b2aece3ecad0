"""One pass from the command line, its report where it was asked for, and its exit code."""

from functools import partial

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.options import Output
from reconciler.cli.output import check_outputs, write_report
from reconciler.cli.wiring import Wiring, as_of, run_with_signals
from reconciler.core.memory import Memory
from reconciler.core.report import exit_code
from reconciler.reconcile import run_pass


def make_pass(
    wiring: Wiring, outputs: tuple[Output, ...], *, tell_differences: bool = False, judge_held_back: bool = True
) -> int:
    """Make one pass without a memory, write its report, and give its exit code."""
    outputs = check_outputs(outputs, wiring.options.inputs)

    async def work(stop: Stop) -> int:
        paces = Paces(wiring.options.rate, wiring.options.burst)
        inputs = await stop.unless_requested(partial(wiring.inputs, paces, stop))
        report, _ = await run_pass(inputs, as_of(inputs), Memory())
        write_report(report, outputs, tuple(wiring.secrets()))
        return exit_code(
            report,
            tell_differences=tell_differences,
            judge_held_back=judge_held_back,
            interrupted=stop.requested.is_set(),
        )

    return run_with_signals(work)
