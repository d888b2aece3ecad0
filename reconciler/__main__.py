"""The process: ``reconciler`` and ``python -m reconciler``."""

import gc
import os
import signal
import sys
from typing import NoReturn

from reconciler.exits import ExitCode


def run() -> NoReturn:
    """Run the command that the process was started for, and end with its exit code.

    The garbage collector rests until a pass begins: modules that are loaded hold nothing to collect, and looking takes
    a fifth of a short command's time. The process then ends at once, since a thread that still waits for a name to be
    resolved must not keep it past the time that a signal leaves.
    """
    gc.disable()
    _hold_standard_streams()
    signal.signal(signal.SIGTERM, _leave)
    if _runs():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to heed it
    try:
        from reconciler.cli import main

        code = main()
    except KeyboardInterrupt:  # before there was anything to interrupt, or for the second time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("interrupted\n")
        code = ExitCode.KILLED_BY_INTERRUPT
    sys.stderr.flush()
    os._exit(code)


def _hold_standard_streams() -> None:
    """Refuse to work without a place for results; without one for logs, lose them."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 # for as long as the process lives
    if sys.stdout is None:
        sys.stderr.write("error: stdout is closed, so no result could be shown\n  hint: point it at a file\n")
        raise SystemExit(ExitCode.ERROR)


def _leave(_number: int, _frame: object) -> NoReturn:
    """End before anything was begun: a pass has handlers of its own, which finish what is under way.

    That is how ``run`` is meant to end, and for any other command the work that was asked for is not done.
    """
    raise SystemExit(ExitCode.IN_ORDER if _runs() else ExitCode.UNFINISHED)


def _runs() -> bool:
    return sys.argv[1:2] == ["run"]


if __name__ == "__main__":
    run()
