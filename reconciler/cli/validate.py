"""``reconciler validate``: checks files, offline."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.values import SwitchType
from reconciler.core.findings import Finding
from reconciler.core.keys import DesiredState, Source
from reconciler.errors import FilesError, Problem, mask, visible


@click.command("validate", cls=Command, short_help="Check the files, offline.")
@options.apply_all(
    options.desired,
    options.policy,
    click.option(
        "--strict",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_STRICT",
        help="Also note rules that are about no key at all.",
    ),
)
def command(desired: tuple[Path, ...], policy: tuple[Path, ...], *, strict: bool) -> int:
    """Check desired-state and policy files without asking anybody.

    Exit 0: they load. Exit 1: every problem of every file is printed as FILE:LINE:COL: message. A waiver, a pause
    or a change window that has ended is a problem here, and only here: elsewhere it counts as absent.

    Example: reconciler validate
    Example: reconciler validate --desired config/keys --policy config/policy.yaml --strict
    """
    from reconciler.cli.output import write_stdout
    from reconciler.cli.wiring import load_both, load_policies
    from reconciler.core.endings import endings, idle_requirements, idle_rules, idle_waivers
    from reconciler.core.freezes import ended_freezes, idle_freezes
    from reconciler.files.desired import load_desired
    from reconciler.files.looks import load_whole
    from reconciler.render.words import number
    from reconciler.settings import look_up

    states = partial(load_desired, desired, look_up, unset="note")
    load = partial(load_both, partial(load_policies, policy), states)
    judged, loaded = load_whole((*desired, *(policy or (Path(options.DEFAULT_POLICY),))), load)
    now = datetime.now(UTC)
    ending = endings(judged.policy, loaded.state, now)
    idle = idle_rules(judged.policy, loaded.state, now) if strict else ()
    for finding in (*judged.findings, *loaded.findings, *(each.finding for each in ending if not each.ended), *idle):
        write_stdout(mask(_line(finding)) + "\n")
    required = idle_requirements(judged.limits.require, loaded.state)
    ended = (*(each.finding for each in ending if each.ended), *ended_freezes(judged.limits.windows, now))
    unmet = (*required, *idle_freezes(judged.limits.windows, loaded.state))
    wrong = (*ended, *idle_waivers(judged.policy, loaded.state), *unmet)
    if problems := [_problem(finding, finding.source) for finding in wrong if finding.source]:
        raise FilesError(tuple(problems))
    rules = f", {number(len(judged.policy.rules), 'rule')}" if judged.policy.rules else ""
    write_stdout(f"valid: {_counted(loaded.state)}, {number(len(loaded.sources), 'file')}{rules}\n")
    return 0


def _problem(finding: Finding, source: Source) -> Problem:
    return Problem(source.file, source.line, source.column, f"{finding.message}: {finding.hint}")


def _counted(state: DesiredState) -> str:
    from reconciler.render.words import number

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
