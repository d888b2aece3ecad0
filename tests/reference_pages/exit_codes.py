"""docs/reference/exit-codes.md: how commands end, and which errors lead to which code."""

from collections.abc import Iterator

from reconciler import errors
from reconciler.errors import ReconcilerError
from reconciler.exits import ExitCode
from reference_pages.markdown import code, plain, table

_INTRODUCTION = """\
Where several hold, the first of this order. A retry may help after 4, and does not after 3 and 64."""
_BY_COMMAND = """\
The output format changes none of them. A pass ends with 4 where some accounts could be read and others could not,
and with 1 where none could: that may be a wrong credential, or an API that nobody reaches at present. What else a
command means by a code stands in its text: [commands.md](commands.md)."""
_ERRORS = """\
An error that ends a command is one message on stderr, with what to do about it. What goes wrong with one account or
one key ends nothing: it is in the report, and the code follows from that. `RemoteError` and below it reach the end
of a command only where a command asks for one thing alone, such as `export`."""


def page() -> Iterator[str]:
    """Give the page, block by block."""
    yield "# Exit codes"
    yield _INTRODUCTION
    yield table(("code", "meaning"), ((code(str(int(each))), plain(each.meaning)) for each in ExitCode))
    yield _BY_COMMAND
    yield "## Errors"
    yield _ERRORS
    yield table(("error", "code", "when"), _errors(ReconcilerError, 0))


def _errors(error: type[ReconcilerError], depth: int) -> Iterator[tuple[str, str, str]]:
    """Give an error and those below it, as they stand in the code."""
    when = plain(" ".join((error.__doc__ or "").split("\n\n")[0].split()))
    yield f"{'&nbsp;&nbsp;' * depth}{code(error.__name__)}", code(str(int(error.exit_code))), when
    for below in error.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _errors(below, depth + 1)
