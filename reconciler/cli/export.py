"""``reconciler export``: writes desired state from an account."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.ahasend.client import ReadSession, open_reads
from reconciler.ahasend.pace import Paces, Stop, in_flight
from reconciler.cli import options
from reconciler.cli.options import Options
from reconciler.cli.output import write_stdout
from reconciler.cli.wiring import Secrets, Wiring, make_observer, run_with_signals
from reconciler.core.keys import UUID_PATTERN, AccountRef, RemoteSubAccount
from reconciler.errors import OutputError, ReconcilerError, RemoteError, SettingsError, mask
from reconciler.files.entries import CREDENTIAL
from reconciler.files.export import SubAccountKeys, export_account
from reconciler.files.saved import Listing, SavedAccount, write_listing
from reconciler.files.whole import write_whole
from reconciler.listing import ACCOUNTS_AT_ONCE
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
    click.option(
        "--sub-accounts",
        is_flag=True,
        type=options.SwitchType(),
        envvar="RECONCILER_SUB_ACCOUNTS",
        help="Also write the keys of its sub accounts; the credential needs sub-accounts:read and "
        "sub-account-api-keys:read.",
    ),
    click.option(
        "--actual",
        type=options.PathType(),
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

    Example: reconciler export --to config/keys
    """
    if credential is not None and not re.fullmatch(CREDENTIAL, credential):
        raise click.UsageError(f"--credential {credential!r}: lower-case letters, digits and '-', such as production")
    secrets = Secrets()
    settings = secrets.remember(load_settings([credential]))
    reference = AccountRef(_account_id(account, settings.account_id), None, credential)
    path = actual or to / f"{reference.account_id}.yaml"
    special = actual is not None and path.exists() and not path.is_file()
    if path.exists() and not (overwrite or special):
        other = "name another file" if actual else "--to another directory"
        raise OutputError(f"{path} exists already", hint=f"pass --overwrite to replace it, or {other}")
    wiring = Wiring(Options((), (), rate, burst), make_observer(log_format, log_level, secrets), secrets)

    async def work(stop: Stop) -> int:
        taken_at = datetime.now(UTC)
        try:
            async with open_reads(wiring.client(settings, Paces(rate, burst), stop)) as session:
                keys = await session.reader(reference).list_keys()
                below = await _sub_accounts(session, reference) if sub_accounts else None
        except RemoteError as error:  # unread is not empty: no file is better than one that lacks some keys
            raise ReconcilerError(error.message, hint=error.hint) from None
        if actual:
            listing = Listing(taken_at, (SavedAccount(reference.account_id, keys, below),))
            text = write_listing(listing)
        else:
            text = export_account(reference, keys, below or ())
        write_whole(path, mask(text, *secrets()), overwrite=overwrite or special)
        count = len(keys) + sum(len(each.keys) for each in below or ())
        write_stdout(f"wrote {number(count, 'key')}{_whose(below) if below is not None else ''} to {path}\n")
        return 0

    return run_with_signals(work)


def _whose(below: Sequence[SubAccountKeys]) -> str:
    left_out = sum(not each.sub_account.active for each in below)
    but = f", {left_out} suspended left out," if left_out else ""
    return f" of the account and {number(len(below) - left_out, 'sub account')}{but}"


async def _sub_accounts(session: ReadSession, account: AccountRef) -> tuple[SubAccountKeys, ...]:
    """Read the keys of every sub account but those of the suspended, which are left alone."""

    async def read(sub_account: RemoteSubAccount) -> SubAccountKeys:
        if not sub_account.active:
            return SubAccountKeys(sub_account, ())
        return SubAccountKeys(
            sub_account, await session.reader(replace(account, sub_account_id=sub_account.id)).list_keys()
        )

    return await in_flight(await session.reader(account).list_sub_accounts(), read, ACCOUNTS_AT_ONCE)


def _account_id(option: str | None, setting: str | None) -> str:
    """Give the account to export: the option's, else the environment's."""
    account_id = (option or setting or "").strip().lower()
    if not account_id:
        raise SettingsError("no account to export", hint="set AHASEND_ACCOUNT_ID, or pass --account")
    if re.fullmatch(UUID_PATTERN, account_id):
        return account_id
    if option:
        raise click.UsageError("--account is not a UUID")
    raise SettingsError("AHASEND_ACCOUNT_ID is not a UUID", hint="the dashboard shows the account's id")
