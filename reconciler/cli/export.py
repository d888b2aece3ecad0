"""``reconciler export``: writes desired state from an account."""

import re
from pathlib import Path

import click

from reconciler.ahasend.client import open_reads
from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli import options
from reconciler.cli.output import write_stdout
from reconciler.cli.wiring import Options, Secrets, Wiring, make_observer, run_with_signals
from reconciler.core.keys import AccountRef
from reconciler.errors import OutputError, ReconcilerError, RemoteError, SettingsError
from reconciler.files.entries import CREDENTIAL, UUID
from reconciler.files.export import export_account
from reconciler.files.whole import write_whole
from reconciler.render.words import number
from reconciler.settings import load_settings


@click.command("export", short_help="Write desired state from an account.")
@options.apply_all(
    click.option(
        "--to",
        type=options.PathType(),
        default=options.DEFAULT_DESIRED,
        show_default=True,
        envvar="RECONCILER_TO",
        help="Directory to write into.",
    ),
    click.option(
        "--overwrite",
        is_flag=True,
        type=options.SwitchType(),
        envvar="RECONCILER_OVERWRITE",
        help="Replace a file that is there already.",
    ),
    click.option(
        "--account", default=None, envvar="RECONCILER_ACCOUNT", help="Account id.  [default: AHASEND_ACCOUNT_ID]"
    ),
    click.option(
        "--credential",
        default=None,
        envvar="RECONCILER_CREDENTIAL",
        help="Use AHASEND_API_KEY_<CREDENTIAL>, and name it in the file.",
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
    rate: float,
    burst: int,
    log_format: str | None,
    log_level: str,
) -> int:
    """Write the keys of an account as desired state, which plan then finds in sync. Nothing remote is written.

    Example: reconciler export --to config/keys
    """
    if credential is not None and not re.fullmatch(CREDENTIAL, credential):
        raise click.UsageError(f"--credential {credential!r}: lower-case letters, digits and '-', such as production")
    secrets = Secrets()
    settings = secrets.remember(load_settings([credential]))
    reference = AccountRef(_account_id(account, settings.account_id), None, credential)
    path = to / f"{reference.account_id}.yaml"
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="pass --overwrite to replace it, or --to another directory")
    wiring = Wiring(Options((), None, rate, burst), make_observer(log_format, log_level, secrets), secrets)

    async def work(stop: Stop) -> int:
        try:
            async with open_reads(wiring.client(settings, Paces(rate, burst), stop)) as session:
                keys = await session.reader(reference).list_keys()
        except RemoteError as error:  # the one account could not be read: as for a plan, that is an error
            raise ReconcilerError(error.message, hint=error.hint) from None
        write_whole(path, export_account(reference, keys), overwrite=overwrite)
        write_stdout(f"wrote {number(len(keys), 'key')} to {path}\n")
        return 0

    return run_with_signals(work)


def _account_id(option: str | None, setting: str | None) -> str:
    """Give the account to export: the option's, else the environment's."""
    account_id = (option or setting or "").strip().lower()
    if not account_id:
        raise SettingsError("no account to export", hint="set AHASEND_ACCOUNT_ID, or pass --account")
    if re.fullmatch(UUID, account_id):
        return account_id
    if option:
        raise click.UsageError("--account is not a UUID")
    raise SettingsError("AHASEND_ACCOUNT_ID is not a UUID", hint="the dashboard shows the account's id")
