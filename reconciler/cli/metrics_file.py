"""``--metrics-file``: what a pass did, in numbers, for who makes passes by a CronJob."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.values import Offering
from reconciler.errors import OutputError

if TYPE_CHECKING:
    from reconciler.metrics import Metrics

_ENDING = ".prom"


class MetricsFileType(Offering[Path]):
    """A file that a node exporter reads."""

    name = f"file{_ENDING}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Check the name of one file."""
        path = Path(str(value))
        if path.suffix != _ENDING or "\0" in str(value):
            self.fail(f"{str(value)!r} does not end in {_ENDING}: a node exporter reads no other files", param, ctx)
        return path


to_metrics_file = click.option(
    "--metrics-file",
    type=MetricsFileType(),
    metavar=f"FILE{_ENDING}",
    default=None,
    envvar="RECONCILER_METRICS_FILE",
    help="Write metrics when the pass ends, for the textfile collector of a Prometheus node exporter.",
)


@contextmanager
def metrics_written(path: Path | None) -> "Iterator[Metrics | None]":
    """Give what counts during a pass and is written in the end, whatever became of the pass; None where not asked for.

    Where there was none, since the files do not load, the file of the pass before stays as it is: its age is what
    tells, and with it all that is known of the accounts.

    Raises:
        OutputError: the file's folder is missing or closed; or, in the end, it could not be written.
    """
    if path is None:
        yield None
        return
    from reconciler.cli.output import why_not

    if why := why_not(path):
        hint = "give --metrics-file a file in a folder that exists"
        raise OutputError(f"{path.absolute()} cannot be written: {why}", hint=hint)
    from reconciler.metrics import Metrics

    metrics = Metrics(time.time)
    try:
        yield metrics
    finally:
        if metrics.any_pass:
            metrics.write_textfile(path)
