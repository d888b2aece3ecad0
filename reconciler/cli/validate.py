"""``reconciler validate``: checks files, offline."""

from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.output import write_stdout
from reconciler.cli.wiring import load_limits
from reconciler.core.findings import Finding
from reconciler.core.keys import DesiredState
from reconciler.errors import FilesError, Problem, mask, visible
from reconciler.files.desired import load_desired
from reconciler.render.words import number
from reconciler.settings import look_up


@click.command("validate", short_help="Check the files, offline.")
@options.apply_all(options.desired, options.policy)
def command(desired: tuple[Path, ...], policy: Path | None) -> int:
    """Check desired-state and policy files without asking anybody.

    Exit 0: they load. Exit 1: every problem of every file is printed as FILE:LINE:COL: message.

    Example: reconciler validate --desired config/keys
    """
    problems: list[Problem] = []
    try:
        load_limits(policy)
    except FilesError as error:
        problems += error.problems
    try:
        loaded = load_desired(desired, look_up, unset="note")
    except FilesError as error:
        problems += error.problems
    if problems:
        raise FilesError(tuple(problems))
    for finding in loaded.findings:
        write_stdout(mask(_line(finding)) + "\n")
    write_stdout(f"valid: {_counted(loaded.state)}, {number(len(loaded.sources), 'file')}\n")
    return 0


def _counted(state: DesiredState) -> str:
    keys = sum(len(account.keys) for account in state.accounts)
    told = f"{number(keys, 'key')} in {number(len(state.accounts), 'account')}"
    rules = [rule for account in state.accounts for rule in account.sub_accounts]
    if rules:
        below = sum(len(rule.keys) for rule in rules)
        told += f", {number(below, 'key')} in {number(len(rules), 'rule')} for sub accounts"
    return told


def _line(finding: Finding) -> str:
    place = f"{finding.source}: " if finding.source else ""
    hint = f" ({finding.hint})" if finding.hint else ""
    return visible(f"{place}{finding.severity}: {finding.message}{hint}")
