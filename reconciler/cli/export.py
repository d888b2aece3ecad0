"""``reconciler export``: writes desired state from an account."""

from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.command import Command
from reconciler.cli.values import PathType, SwitchType


@click.command("export", cls=Command, short_help="Write desired state from an account.")
@options.apply_all(
    click.option(
        "--to",
        type=PathType(),
        default=options.DEFAULT_DESIRED,
        show_default=True,
        envvar="RECONCILER_TO",
        help="Directory to write into.",
    ),
    click.option(
        "--overwrite",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_OVERWRITE",
        help="Replace a file that is there already.",
    ),
    click.option(
        "--account",
        metavar="ID",
        default=None,
        envvar="RECONCILER_ACCOUNT",
        help="Account id.  [default: AHASEND_ACCOUNT_ID]",
    ),
    click.option(
        "--credential",
        metavar="NAME",
        default=None,
        envvar="RECONCILER_CREDENTIAL",
        help="Use AHASEND_API_KEY_<CREDENTIAL>, and name it in the file.",
    ),
    click.option(
        "--sub-accounts",
        is_flag=True,
        type=SwitchType(),
        envvar="RECONCILER_SUB_ACCOUNTS",
        help="Also write the keys of its sub accounts; the credential needs sub-accounts:read and "
        "sub-account-api-keys:read.",
    ),
    click.option(
        "--actual",
        type=PathType(),
        default=None,
        envvar="RECONCILER_ACTUAL_TO",
        help="Instead, save the keys as they are listed to this file, for plan --actual and audit --actual.",
    ),
    options.rate,
    options.burst,
    options.log_format,
    options.log_level("error"),
)
def command(  # noqa: PLR0913 # one parameter an option
    *,
    to: Path,
    overwrite: bool,
    account: str | None,
    credential: str | None,
    sub_accounts: bool,
    actual: Path | None,
    rate: float,
    burst: int,
    log_format: str | None,
    log_level: str,
) -> int:
    """Write the keys of an account as desired state, which plan then finds in sync. Nothing remote is written.

    With --actual the keys are saved as they are instead, to be judged later or elsewhere; no secret is in it.

    Example: reconciler export
    Example: reconciler export --to config/keys --sub-accounts --overwrite
    Example: reconciler export --actual listing.json
    """
    from reconciler.cli.exporting import Wanted, export
    from reconciler.cli.options import Options

    wanted = Wanted(to, actual, overwrite, account, credential, sub_accounts)
    return export(wanted, Options((), (), rate, burst), log_format, log_level)
