"""Reads what an account has, and writes it as desired state or as a saved listing: the work of ``export``."""

import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.ahasend.client import ReadSession, open_reads
from reconciler.ahasend.pace import Paces, Stop, in_flight
from reconciler.cli.options import Options
from reconciler.cli.output import write_stdout
from reconciler.cli.wiring import Secrets, Wiring, make_observer, run_with_signals
from reconciler.core.events import AccountListed, Observer, SubAccountsListed
from reconciler.core.keys import UUID_PATTERN, AccountRef, RemoteKey, RemoteSubAccount
from reconciler.errors import OutputError, ReconcilerError, RemoteError, SettingsError, mask
from reconciler.files.entries import CREDENTIAL
from reconciler.files.export import SubAccountKeys, export_account
from reconciler.files.saved import Listing, SavedAccount, write_listing
from reconciler.files.whole import write_whole
from reconciler.listing import ACCOUNTS_AT_ONCE
from reconciler.render.words import number
from reconciler.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported, and to where; ``actual`` is the file of a saved listing, where that is wanted instead."""

    to: Path
    actual: Path | None
    overwrite: bool
    account: str | None
    credential: str | None
    sub_accounts: bool


def export(wanted: Wanted, about: Options, log_format: str | None, log_level: str) -> int:
    """Export, and give the exit code.

    Raises:
        click.UsageError: an account or a credential is named that cannot be one.
        OutputError: there is something already, or it cannot be written.
        ReconcilerError: something could not be read: then nothing is written.
    """
    credential = wanted.credential
    if credential is not None and not re.fullmatch(CREDENTIAL, credential):
        raise click.UsageError(f"--credential {credential!r}: lower-case letters, digits and '-', such as production")
    secrets = Secrets()
    settings = secrets.remember(load_settings([credential]))
    reference = AccountRef(_account_id(wanted.account, settings.account_id), None, credential)
    path = wanted.actual or wanted.to / f"{reference.account_id}.yaml"
    replaced = _is_replaced(path, wanted)
    wiring = Wiring(about, make_observer(log_format, log_level, secrets), secrets)

    async def work(stop: Stop) -> int:
        taken_at = datetime.now(UTC)
        keys, below = await _read(wiring, settings, reference, stop, sub_accounts=wanted.sub_accounts)
        if wanted.actual:
            text = write_listing(Listing(taken_at, (SavedAccount(reference.account_id, keys, below),)))
        else:
            text = export_account(reference, keys, below or ())
        write_whole(path, mask(text, *secrets()), overwrite=replaced)
        count = len(keys) + sum(len(each.keys) for each in below or ())
        write_stdout(f"wrote {number(count, 'key')}{_whose(below) if below is not None else ''} to {path}\n")
        return 0

    return run_with_signals(work)


def _is_replaced(path: Path, wanted: Wanted) -> bool:
    """Tell whether what is at ``path`` is replaced; a file is only where that was asked for."""
    special = wanted.actual is not None and path.exists() and not path.is_file()
    if path.exists() and not (wanted.overwrite or special):
        other = "name another file" if wanted.actual else "--to another directory"
        raise OutputError(f"{path} exists already", hint=f"pass --overwrite to replace it, or {other}")
    return wanted.overwrite or special


async def _read(
    wiring: Wiring, settings: Settings, account: AccountRef, stop: Stop, *, sub_accounts: bool
) -> tuple[tuple[RemoteKey, ...], tuple[SubAccountKeys, ...] | None]:
    """Read the keys of an account and, where asked for, of its sub accounts; all of them, or raise."""
    paces, run_id = Paces(wiring.options.rate, wiring.options.burst), uuid.uuid4().hex
    try:
        async with open_reads(wiring.client(settings, paces, stop)) as session:
            keys = await session.reader(account).list_keys()
            wiring.observe(AccountListed(run_id, account, len(keys)))
            below = await _Below(session, account, wiring.observe, run_id).read() if sub_accounts else None
    except RemoteError as error:  # unread is not empty: no file is better than one that lacks some keys
        raise ReconcilerError(error.message, hint=error.hint) from None
    return keys, below


def _whose(below: Sequence[SubAccountKeys]) -> str:
    left_out = sum(not each.sub_account.active for each in below)
    but = f", {left_out} suspended left out," if left_out else ""
    return f" of the account and {number(len(below) - left_out, 'sub account')}{but}"


@dataclass(frozen=True, slots=True)
class _Below:
    """The reading of all sub accounts of an account, but those of the suspended, which are left alone."""

    session: ReadSession
    parent: AccountRef
    observe: Observer
    run_id: str

    async def read(self) -> tuple[SubAccountKeys, ...]:
        """Give the keys of each."""
        found = await self.session.reader(self.parent).list_sub_accounts()
        active = sum(each.active for each in found)
        with suppress(Exception):  # an observer may forbid a write, but break no reading
            self.observe(SubAccountsListed(self.run_id, self.parent, len(found), active))
        return await in_flight(found, self._keys, ACCOUNTS_AT_ONCE)

    async def _keys(self, sub_account: RemoteSubAccount) -> SubAccountKeys:
        if not sub_account.active:
            return SubAccountKeys(sub_account, ())
        account = replace(self.parent, sub_account_id=sub_account.id)
        keys = await self.session.reader(account).list_keys()
        self.observe(AccountListed(self.run_id, account, len(keys), None, sub_account.name))
        return SubAccountKeys(sub_account, keys)


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
