"""The process: ``reconciler`` and ``python -m reconciler``."""

import gc
import sys


def run() -> int:
    """Run the command that the process was started for, and give its exit code.

    The garbage collector finds nothing while modules are loaded and nothing worth freeing when the process ends, but
    takes a fifth of a short command's time for it: it rests until the first pass begins, and at the end.
    """
    gc.disable()
    from reconciler.cli import main

    code = main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(run())
