"""Reads what accounts have: their keys, the sub accounts that the files mean and their keys, perhaps their domains.

Unread is not empty: whatever could not be read whole is `Unread`, and nothing is planned for it. Where an account, or
the list of its sub accounts, could not be read, that holds for all of them.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.ahasend.client import KeyReader, ReadSession
from reconciler.ahasend.pace import Stop, in_flight
from reconciler.core.events import AccountListed, Observer
from reconciler.core.findings import Finding
from reconciler.core.keys import DesiredAccount, RemoteKey, RemoteSubAccount
from reconciler.core.sub_accounts import Chosen, choose, unmatched
from reconciler.errors import Interrupted, ReconcilerError

ACCOUNTS_AT_ONCE = 16
"""Sub accounts of one parent that are under way at the same time: as many as there are connections."""
OUT_OF_TIME = "out of time"


@dataclass(frozen=True, slots=True)
class Listed:
    """An account that was read whole, in so many ``seconds``; ``domains`` is None where nobody asked for them."""

    desired: DesiredAccount
    keys: tuple[RemoteKey, ...]
    domains: frozenset[str] | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Unread:
    """An account that could not be read, or of which the files want what cannot be."""

    desired: DesiredAccount
    error: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """A sub account whose keys are of no use at present; they are left alone."""

    desired: DesiredAccount


Reading = Listed | Unread | Suspended


@dataclass(frozen=True, slots=True)
class Errand:
    """What the reading of one pass shares.

    ``seconds`` is how long one account may take; ``check_domains`` says whether to read the domains of accounts (not of
    sub accounts, whose domains their parents cannot list).
    """

    run_id: str
    session: ReadSession
    stop: Stop
    observe: Observer
    seconds: float
    check_domains: bool


async def list_accounts(
    desired: Iterable[DesiredAccount], errand: Errand
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Read every account, side by side, each followed by its sub accounts; give what is to be said about them, too.

    Remote errors never escape.
    """
    read = await asyncio.gather(*(_family(account, errand) for account in desired))
    readings = tuple(reading for readings, _ in read for reading in readings)
    return readings, tuple(finding for _, findings in read for finding in findings)


async def _family(desired: DesiredAccount, errand: Errand) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Read an account and, where rules are there for them, its sub accounts."""
    clock = asyncio.get_running_loop().time
    began = clock()
    with errand.stop.within(errand.seconds, OUT_OF_TIME) as stop:
        reader = errand.session.reader(desired.account, stop)
        try:
            keys = await reader.list_keys()
            domains = await reader.list_domains() if errand.check_domains else None
            read_in = clock() - began
            _tell(desired, errand, len(keys))
            below, findings = await _below(desired, reader, errand) if desired.sub_accounts else ((), ())
        except ReconcilerError as error:
            return (_unread(desired, error, errand),), ()
    return (Listed(desired, keys, domains, read_in), *below), findings


async def _below(
    desired: DesiredAccount, reader: KeyReader, errand: Errand
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Read the sub accounts that rules select, each as soon as a page of their list shows it.

    Listing them first would leave the pace unused meanwhile. What was read counts only once the list was read whole.
    """
    arrived: asyncio.Queue[Chosen | None] = asyncio.Queue()
    listed: dict[str, RemoteSubAccount] = {}
    readings: dict[str, Reading] = {}
    whole: list[RemoteSubAccount] = []

    def seen(page: tuple[RemoteSubAccount, ...]) -> None:
        for chosen in choose(desired, (one for one in page if one.id not in listed)):
            arrived.put_nowait(chosen)
        listed.update((one.id, one) for one in page)

    async def read_list() -> None:
        whole.extend(await reader.list_sub_accounts(seen))
        for _ in range(ACCOUNTS_AT_ONCE):
            arrived.put_nowait(None)

    async def read_what_arrived() -> None:
        while chosen := await arrived.get():
            readings[chosen.remote.id] = await _sub_account(chosen, errand)

    work = (read_list, *[read_what_arrived] * ACCOUNTS_AT_ONCE)
    await in_flight(work, lambda part: part(), len(work))
    there = sorted(one.id for one in whole if one.id in readings)
    return tuple(readings[each] for each in there), unmatched(desired, whole)


async def _sub_account(chosen: Chosen, errand: Errand) -> Reading:
    desired = chosen.desired
    if chosen.remote.suspended:
        return Suspended(desired)
    if chosen.clash is not None:
        return _unread(desired, ReconcilerError(chosen.clash), errand)
    clock = asyncio.get_running_loop().time
    began = clock()
    with errand.stop.within(errand.seconds, OUT_OF_TIME) as stop:
        try:
            keys = await errand.session.reader(desired.account, stop).list_keys()
        except ReconcilerError as error:
            return _unread(desired, error, errand)
    _tell(desired, errand, len(keys))
    return Listed(desired, keys, None, clock() - began)


def _unread(desired: DesiredAccount, error: ReconcilerError, errand: Errand) -> Unread:
    if isinstance(error, Interrupted) and str(error) == OUT_OF_TIME:
        error = ReconcilerError(f"{OUT_OF_TIME}: it was not read whole", hint=_PATIENCE_HINT)
    _tell(desired, errand, 0, error.message)
    return Unread(desired, str(error))


_PATIENCE_HINT = "is the API slow, or --rate too low for so many keys? See --account-timeout and --pass-timeout"


def _tell(desired: DesiredAccount, errand: Errand, keys: int, error: str | None = None) -> None:
    errand.observe(AccountListed(errand.run_id, desired.account, keys, error, desired.name))
