"""``reconciler audit``: judges the keys that there are."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.options import Options
from reconciler.cli.values import Output, PathType
from reconciler.core.findings import Severity
from reconciler.core.shards import Shard
from reconciler.errors import FilesError, Problem

if TYPE_CHECKING:
    from reconciler.ahasend.pace import Stop
    from reconciler.core.report import Report

NEVER = "never"


@click.command("audit", cls=Command, short_help="Judge the keys that there are; writes nothing.")
@options.about_passes
@options.apply_all(
    click.option(
        "--fail-on",
        type=click.Choice([*(each.value for each in Severity), NEVER]),
        default=Severity.DENY.value,
        show_default=True,
        envvar="RECONCILER_FAIL_ON",
        help="Exit 3 for a finding that is at least so serious, unless it is waived.",
    ),
    click.option(
        "--since",
        type=PathType(),
        default=None,
        envvar="RECONCILER_SINCE",
        help="Compare with an earlier audit, saved with -o json=FILE: what is new, still open, gone.",
    ),
    options.shard,
    options.actual,
    options.output,
    options.log_format,
    options.log_level("error"),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    about: Options,
    fail_on: str,
    since: Path | None,
    shard: Shard | None,
    actual: tuple[Path, ...],
    output: tuple[Output, ...],
    log_format: str | None,
    log_level: str,
) -> int:
    """Judge every key of the accounts by the policy, whether a file names it or not. Nothing is written.

    Without a policy the starter policy judges; without files, every key of AHASEND_ACCOUNT_ID counts as unmanaged.

    Example: reconciler audit
    Example: reconciler audit --fail-on warn -o text -o html=audit.html
    Example: reconciler audit --since monday.json
    """
    from reconciler.ahasend.pace import Paces
    from reconciler.audit import run_audit
    from reconciler.cli.output import check_outputs, write_report
    from reconciler.cli.wiring import Secrets, Wiring, as_of, looking_at, make_observer, run_with_signals
    from reconciler.core.comparison import compared
    from reconciler.core.report import audit_exit_code

    secrets = Secrets()
    about = replace(about.looking(actual, starter=True), shard=shard)
    wiring = Wiring(about, make_observer(log_format, log_level, secrets), secrets)
    outputs = check_outputs(output, wiring.options.inputs)
    earlier = _earlier(since) if since else None

    async def work(stop: "Stop") -> int:
        inputs = await stop.unless_requested(partial(wiring.inputs, Paces(about.rate, about.burst), stop))
        report = await run_audit(inputs, looking_at(inputs), as_of(inputs))
        report = compared(report, earlier) if earlier else report
        write_report(report, outputs, tuple(secrets()))
        worst = None if fail_on == NEVER else Severity(fail_on)
        return audit_exit_code(report, worst, interrupted=stop.requested.is_set())

    return run_with_signals(work)


def _earlier(path: Path) -> "Report":
    """Read the report of an earlier audit."""
    from reconciler.core.comparison import check_lists
    from reconciler.core.report import Mode
    from reconciler.files.folders import why_unreadable
    from reconciler.files.report import load_report

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FilesError((Problem(str(path), 0, 0, why_unreadable(path, error)),)) from None
    except UnicodeError:
        raise FilesError((Problem(str(path), 0, 0, "cannot be read: it is not text"),)) from None
    try:
        report = load_report(text, str(path))
    except FilesError:
        told = "is no report of an audit: `reconciler audit -o json=FILE` writes one"
        raise FilesError((Problem(str(path), 0, 0, told),)) from None
    if report.mode is not Mode.AUDIT:
        told = f"is the report of another command ({report.mode}): make one with `reconciler audit -o json=FILE`"
        raise FilesError((Problem(str(path), 0, 0, told),))
    try:
        check_lists(report)
    except ValueError as error:
        raise FilesError((Problem(str(path), 0, 0, f"has an ip_allow_list that cannot be read: {error}"),)) from None
    return report
