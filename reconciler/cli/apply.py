"""``reconciler apply``: one pass."""

from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.one_pass import make_pass
from reconciler.cli.options import DigestType, Output
from reconciler.cli.wiring import Options, Secrets, Wiring, make_observer


@click.command("apply", short_help="Make one pass: plan, approve, write what differs.")
@options.apply_all(
    options.desired,
    options.policy,
    options.dry_run,
    options.allow,
    click.option(
        "--digest",
        type=DigestType(),
        default=None,
        envvar="RECONCILER_DIGEST",
        help="Apply exactly the plan that was reviewed, or nothing.",
    ),
    options.output,
    options.rate,
    options.burst,
    options.log_format,
    options.log_level(None),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    desired: tuple[Path, ...],
    policy: Path | None,
    dry_run: bool,
    allow: tuple[str, ...],
    digest: str | None,
    output: tuple[Output, ...],
    rate: float,
    burst: int,
    log_format: str | None,
    log_level: str | None,
) -> int:
    """Make one pass: plan, let the guardrails judge, write what differs, report.

    Exit 0: done. 3: something is held back and a person must act. 4: something failed and a retry may help.

    Example: reconciler apply --digest sha256:... -o json=report.json
    """
    secrets = Secrets()
    wiring = Wiring(
        Options(desired, policy, rate, burst, dry_run, frozenset(allow), digest),
        make_observer(log_format, log_level, secrets),
        secrets,
    )
    return make_pass(wiring, output)
