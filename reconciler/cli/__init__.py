"""The command line: one lazily imported module a command; the only place that builds objects."""

import os
import sys
from collections.abc import Sequence

import click

from reconciler.cli.group import reconciler
from reconciler.cli.last_line import LINE
from reconciler.errors import FilesError, OutputError, ReconcilerError, UsageError, mask
from reconciler.exits import ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; every error that is ours is one message on stderr, never a traceback."""
    if _is_completion(sys.argv[1:] if arguments is None else arguments):
        from reconciler.cli.completing import complete

        return complete(reconciler)
    try:
        # click's own completion, which the same variable would start, is none of ours
        code = reconciler.main(args=arguments, prog_name="reconciler", complete_var="", standalone_mode=False)
        sys.stdout.flush()
    except (click.ClickException, click.Abort, ReconcilerError, OSError) as error:
        message, code = _explained(error)
        LINE.wipe()
        click.echo(mask(message), err=True)
    finally:
        LINE.wipe()
    return code if isinstance(code, int) else 0


def _is_completion(arguments: Sequence[str]) -> bool:
    """Tell whether a shell's script asks: with a line, and no arguments.

    A variable that was left over must not turn a command into one that does nothing and exits 0.
    """
    return not arguments and "_RECONCILER_COMPLETE" in os.environ and "COMPLETE_LINE" in os.environ


def _explained(error: Exception) -> tuple[str, int]:
    """Say what went wrong, and give the exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return error.ctx.get_help(), UsageError.exit_code
        case click.ClickException():
            return _misunderstood(error), UsageError.exit_code
        case FilesError(problems=problems):
            counted = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the files"
            return f"{error}\nerror: {counted}, nothing was done", error.exit_code
        case ReconcilerError():
            return f"error: {error}", error.exit_code
        case OSError():  # of --help and --version; what else reads or writes has turned its own into ours
            from reconciler.cli.output import forget_stdout

            forget_stdout()
            return f"error: stdout cannot be written: {error.strerror}", OutputError.exit_code
        case _:
            return "interrupted", ExitCode.KILLED_BY_INTERRUPT


def _misunderstood(error: click.ClickException) -> str:
    """Say what is wrong with a command line, what was probably meant, and where to look."""
    from reconciler.cli.hints import hint, message

    context = getattr(error, "ctx", None)
    lines = (hint(error), f"see {context.command_path} --help" if context else "")
    return "\n  hint: ".join((f"error: {message(error)}", *filter(None, lines)))
