"""What the commands share that answer questions about single keys: reading the accounts, and what that leaves out."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.output import write_stdout
from reconciler.cli.wiring import Wiring, run_with_signals
from reconciler.core.findings import Finding
from reconciler.errors import mask
from reconciler.exits import ExitCode
from reconciler.listing import Listed, Reading, Unread
from reconciler.reconcile import PassInputs
from reconciler.render.answers import Beside, Unanswered
from reconciler.render.groups import Owner

Readings = tuple[Reading, ...]


_SHOWN = ("no-desired-state", "saved-listing")
_LEFT_OUT = ("account-not-named", "sub-accounts-not-selected")


def left_out(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Give what findings say of accounts and sub accounts that no answer is about."""
    return tuple(finding.message for finding in findings if finding.rule in _LEFT_OUT)


def beside(inputs: PassInputs, readings: Readings, *notes: str) -> Beside:
    """Give what is to be known beside an answer: accounts that could not be read, and what it goes by."""
    unread = tuple(
        Unanswered(Owner(account.account_id, account.sub_account_id, reading.desired.name), reading.error)
        for reading in readings
        if isinstance(reading, Unread)
        for account in (reading.desired.account,)
    )
    return Beside(unread, (*notes, *(note.message for note in inputs.notes if note.rule in _SHOWN)))


def answer(wiring: Wiring, ask: Callable[[PassInputs, Stop], Awaitable[tuple[str, Readings]]]) -> int:
    """Answer a question; exit 1 where no account could be read, 4 where some could not, or it was interrupted."""

    async def work(stop: Stop) -> int:
        options = wiring.options
        inputs = await stop.unless_requested(partial(wiring.inputs, Paces(options.rate, options.burst), stop))
        text, readings = await ask(inputs, stop)
        write_stdout(mask(text, *wiring.secrets()))
        if not any(isinstance(reading, Unread) for reading in readings):
            return ExitCode.IN_ORDER
        some_were_read = any(isinstance(reading, Listed) for reading in readings)
        return ExitCode.UNFINISHED if stop.requested.is_set() or some_were_read else ExitCode.ERROR

    return run_with_signals(work)
