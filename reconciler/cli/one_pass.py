"""One pass from the command line, and its report where it was asked for."""

from datetime import UTC, datetime

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.options import Output
from reconciler.cli.output import check_outputs, write_report
from reconciler.cli.wiring import Wiring, run_with_signals
from reconciler.core.report import Report
from reconciler.reconcile import Memory, run_pass


def make_pass(wiring: Wiring, outputs: tuple[Output, ...]) -> Report:
    """Make one pass without a memory, write its report, and give it."""
    outputs = check_outputs(outputs)

    async def work(stop: Stop) -> Report:
        paces = Paces(wiring.options.rate, wiring.options.burst)
        report, _ = await run_pass(wiring.inputs(paces, stop), datetime.now(UTC), Memory())
        return report

    report = run_with_signals(work)
    write_report(report, outputs, tuple(wiring.secrets()))
    return report
