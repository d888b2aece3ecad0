"""Reads what accounts have: their keys, the sub accounts that the files mean and their keys, perhaps their domains.

Unread is not empty: whatever could not be read whole is `Unread`, and nothing is planned for it. Where the list of an
account's sub accounts could not be read, that is one `Unread` for all of them.
"""

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

from reconciler.ahasend.client import KeyReader, ReadSession
from reconciler.ahasend.pace import Stop, in_flight
from reconciler.core.events import AccountListed, Observer, SubAccountsListed
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import AccountRef, DesiredAccount, DesiredState, RemoteKey, RemoteSubAccount
from reconciler.core.rests import Failure, Identity, Rest
from reconciler.core.sub_accounts import Chosen, choose, labels_of_rules, unmatched, unselected
from reconciler.errors import Forbidden, Interrupted, ReconcilerError, Unauthorized
from reconciler.files.export import SubAccountKeys
from reconciler.files.saved import Listing

ACCOUNTS_AT_ONCE = 15
"""Sub accounts of one parent that are under way at the same time: one connection is left for the list of them."""
OUT_OF_TIME = "out of time"
MOST_REFUSED = 15
"""After so many refusals it is the credential that is refused, and not a few odd keys or sub accounts."""
_SLOW = "is the API slow, or --rate too low for so many keys?"
_ACCOUNT_HINT = f"{_SLOW} --account-timeout sets the limit"
_PASS_HINT = (
    f"{_SLOW} --pass-timeout sets the limit, of which reading may take two thirds where something may be written"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """An account that was read whole, in so many ``seconds``; ``domains`` is None where nobody asked for them."""

    desired: DesiredAccount
    keys: tuple[RemoteKey, ...]
    domains: frozenset[str] | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Unread:
    """An account that could not be read, or of which the files want what cannot be.

    One that was ``passed_over`` was not asked, or not to the end: its turn comes first in the next pass. ``failure`` is
    there where it was asked, and that is what came of it.
    """

    desired: DesiredAccount
    error: str
    passed_over: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Suspended:
    """A sub account whose keys are of no use at present; they are left alone."""

    desired: DesiredAccount


Reading = Listed | Unread | Suspended


def asked(readings: Iterable[Reading]) -> Iterator[tuple[Identity, Failure | None]]:
    """Give the accounts that were asked to the end, each with why it could not be read, or None."""
    for reading in readings:
        match reading:
            case Listed():
                yield reading.desired.account.identity, None
            case Unread(failure=Failure() as failure):
                yield reading.desired.account.identity, failure
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Errand:
    """What the reading of one pass shares.

    ``seconds`` is how long one account may take; ``check_domains`` says whether to read the domains of accounts (not of
    sub accounts, whose domains their parents cannot list); ``passed_over`` are those that the pass before did not come
    to, by identity: they go first; ``rests`` are those that are not asked, since they failed in the passes before.
    """

    run_id: str
    session: ReadSession
    stop: Stop
    observe: Observer
    seconds: float
    check_domains: bool = False
    passed_over: frozenset[Identity] = frozenset()
    rests: Mapping[Identity, Rest] = field(default_factory=dict)


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
    if resting := _resting(desired, errand):
        return (resting,), ()
    with errand.stop.within(errand.seconds, OUT_OF_TIME) as stop:
        reader = errand.session.reader(desired.account, stop)
        try:
            keys = await reader.list_keys()
            domains = await reader.list_domains() if errand.check_domains else None
        except ReconcilerError as error:
            return (_unread(desired, error, errand),), ()
        listed = Listed(desired, keys, domains, clock() - began)
        _tell(desired, errand, len(keys))
        if not desired.sub_accounts:
            return (listed,), ()
        if resting := _resting(_every_sub_account(desired), errand):
            return (listed, resting), ()
        try:
            below, findings = await _Below(desired, errand).read(reader)
        except ReconcilerError as error:
            return (listed, _unread(_every_sub_account(desired), error, errand)), ()
    return (listed, *below), findings


def _every_sub_account(parent: DesiredAccount) -> DesiredAccount:
    """Give what stands for all sub accounts of an account together; nothing is wanted of it."""
    return DesiredAccount(parent.account.every_sub_account, ())


@dataclass(slots=True)
class Refusals:
    """What refused requests tell of the credential that they carried.

    A 403 speaks of one operation, and AhaSend leaves open whether every kind of key can be written; a 401 may be that
    of a sub account which was suspended meanwhile. So only many refusals tell something: as many 403, each about
    something else and with no success at all, or as many 401 with none in between.
    """

    _forbidden: set[Hashable] = field(default_factory=set)
    _unauthorized: int = 0
    _succeeded: bool = False
    _said: str = ""

    def note(self, about: Hashable, error: ReconcilerError) -> None:
        """Take notice of an error of a request about something; any but 401 and 403 tells nothing."""
        match error:
            case Forbidden():
                self._forbidden.add(about)
            case Unauthorized():
                self._unauthorized += 1
            case _:
                return
        self._said = error.message

    def succeed(self) -> None:
        """Take notice of a success."""
        self._succeeded = True
        self._unauthorized = 0

    @property
    def verdict(self) -> str | None:
        """What was said last if it is the credential that is refused, else None."""
        forbidden = len(self._forbidden) >= MOST_REFUSED and not self._succeeded
        return self._said if forbidden or self._unauthorized >= MOST_REFUSED else None


@dataclass(slots=True)
class _Below:
    """The reading of one account's sub accounts, each as soon as a page of their list shows it.

    Listing them first would leave the pace unused meanwhile. What the whole list says decides in the end: where that is
    not what the page said, the sub account is read again. ``_refused`` ends the asking: the credential is of no use.
    """

    _parent: DesiredAccount
    _errand: Errand
    _taken: dict[str, Chosen] = field(default_factory=dict)
    _readings: dict[str, Reading] = field(default_factory=dict)
    _refusals: Refusals = field(default_factory=Refusals)
    _refused: ReconcilerError | None = None
    _untold: Counter[str] = field(default_factory=Counter)

    async def read(self, reader: KeyReader) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
        """Read the list and, meanwhile, what it shows; raises what the list ends with."""
        arrived: asyncio.PriorityQueue[tuple[int, int, Chosen | None]] = asyncio.PriorityQueue()
        errand = self._errand
        order = count()
        labels = labels_of_rules(self._parent)
        whole: list[RemoteSubAccount] = []
        wanted: list[Chosen] = []

        def seen(page: tuple[RemoteSubAccount, ...]) -> None:
            for chosen in choose(self._parent, (one for one in page if one.id not in self._taken), labels):
                self._taken[chosen.remote.id] = chosen
                late = chosen.desired.account.identity not in errand.passed_over
                arrived.put_nowait((int(late), next(order), chosen))

        async def read_list() -> None:
            whole.extend(await reader.list_sub_accounts(seen))
            wanted.extend(choose(self._parent, whole, labels))
            with suppress(Exception):  # an observer may forbid a write, but break no reading
                errand.observe(SubAccountsListed(errand.run_id, self._parent.account, len(whole), len(wanted)))
            for _ in range(ACCOUNTS_AT_ONCE):
                arrived.put_nowait((2, next(order), None))

        async def read_what_arrived() -> None:
            while chosen := (await arrived.get())[2]:
                await self._read(chosen)

        work = (read_list, *[read_what_arrived] * ACCOUNTS_AT_ONCE)
        await in_flight(work, lambda part: part(), len(work))
        await in_flight((one for one in wanted if self._taken.get(one.remote.id) != one), self._read, ACCOUNTS_AT_ONCE)
        for message, number in self._untold.items():
            _tell(_every_sub_account(self._parent), errand, 0, f"{number} sub accounts: {message}")
        return tuple(self._readings[one.remote.id] for one in wanted), self._findings(whole, tuple(wanted))

    def _findings(self, whole: list[RemoteSubAccount], wanted: tuple[Chosen, ...]) -> tuple[Finding, ...]:
        unchecked = _not_checked(self._parent) if self._errand.check_domains else None
        notes = (unselected(self._parent, whole, wanted), unchecked)
        return (*unmatched(self._parent, whole), *filter(None, notes))

    async def _read(self, chosen: Chosen) -> None:
        self._readings[chosen.remote.id] = await self._reading(chosen)

    async def _reading(self, chosen: Chosen) -> Reading:
        errand, desired = self._errand, chosen.desired
        if chosen.remote.suspended:
            errand.observe(AccountListed(errand.run_id, desired.account, 0, None, desired.name, suspended=True))
            return Suspended(desired)
        if error := _not_to_be(chosen):
            return replace(_unread(desired, error, errand), failure=None)
        if unasked := self._unasked(desired):
            return unasked
        clock = asyncio.get_running_loop().time
        began = clock()
        with errand.stop.within(errand.seconds, OUT_OF_TIME) as stop:
            try:
                keys = await errand.session.reader(desired.account, stop).list_keys()
            except ReconcilerError as error:
                self._note(desired, error)
                return _unread(desired, error, errand)
        self._refusals.succeed()
        _tell(desired, errand, len(keys))
        return Listed(desired, keys, None, clock() - began)

    def _unasked(self, desired: DesiredAccount) -> Unread | None:
        """Give what is said of a sub account that is not asked in this pass; None where it is."""
        if resting := _resting(desired, self._errand):
            return resting
        if self._refused:
            return self._quietly(desired, self._refused)
        if self._errand.stop.requested.is_set():
            return self._quietly(desired, _in_words(Interrupted(self._errand.stop.reason), self._errand))
        return None

    def _quietly(self, desired: DesiredAccount, error: ReconcilerError) -> Unread:
        """Tell of what keeps thousands from being read once, in the end; the report has it for each of them."""
        self._untold[error.message] += 1
        return Unread(desired, str(error), passed_over=True)

    def _note(self, desired: DesiredAccount, error: ReconcilerError) -> None:
        """Ask nobody else once it is plain that the credential may not: ten thousand sub accounts would all refuse."""
        self._refusals.note(desired.account, error)
        if self._refused is None and (said := self._refusals.verdict):
            told = f"not read, since other requests of its parent were refused: {said}"
            self._refused = ReconcilerError(told, hint=error.hint)


class Tell(Protocol):
    """Tells what became of one account."""

    def __call__(self, desired: DesiredAccount, keys: int, error: str | None, *, suspended: bool) -> None:
        """Tell how many keys it has, or why it could not be read."""
        ...


def look_up(desired: DesiredState, listing: Listing, tell: Tell) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Give what :func:`list_accounts` would have, by what was listed then; an account that was not is `Unread`."""
    saved = {account.account_id: account for account in listing.accounts}
    readings: list[Reading] = []
    findings: list[Finding] = []
    for one in desired.accounts:
        account = saved.get(one.account.account_id)
        if account is None:
            readings.append(Unread(one, f"{_NOT_SAVED}; save it with `reconciler export --actual FILE`"))
            continue
        readings.append(Listed(one, account.keys, None, 0.0))
        if one.sub_accounts and account.sub_accounts is None:
            message = (
                "the sub accounts were not listed; save them with `reconciler export --sub-accounts --actual FILE`"
            )
            readings.append(Unread(_every_sub_account(one), message))
        elif one.sub_accounts or account.sub_accounts:
            below, found = _saved_below(one, account.sub_accounts or ())
            readings += below
            findings += found
    named = {each.account.account_id for each in desired.everywhere}
    findings += (_not_looked_at(each) for each in saved if each not in named)
    for reading in readings:
        keys = len(reading.keys) if isinstance(reading, Listed) else 0
        error = reading.error if isinstance(reading, Unread) else None
        tell(reading.desired, keys, error, suspended=isinstance(reading, Suspended))
    return tuple(readings), tuple(findings)


def _not_looked_at(account_id: str) -> Finding:
    message = f"account {account_id} is in the listing, but no file names it: none of its keys was looked at"
    return Finding("account-not-named", Severity.WARN, message, "name it in a file", AccountRef(account_id))


_NOT_SAVED = "the account is not in the listing"


def _saved_below(
    parent: DesiredAccount, saved: Sequence[SubAccountKeys]
) -> tuple[Iterator[Reading], tuple[Finding, ...]]:
    keys = {each.sub_account.id: each.keys for each in saved}
    whole = [each.sub_account for each in saved]
    wanted = choose(parent, whole)
    note = unselected(parent, whole, wanted)
    findings = (*unmatched(parent, whole), *((note,) if note else ()))
    return (_saved_reading(one, keys[one.remote.id]) for one in wanted), findings


def _saved_reading(chosen: Chosen, keys: tuple[RemoteKey, ...]) -> Reading:
    if chosen.remote.suspended:
        return Suspended(chosen.desired)
    if error := _not_to_be(chosen):
        return Unread(chosen.desired, str(error))
    return Listed(chosen.desired, keys, None, 0.0)


def _not_to_be(chosen: Chosen) -> ReconcilerError | None:
    """Say why nothing can be planned for a sub account whatever keys it has, or None."""
    if chosen.remote.strange:
        return ReconcilerError(
            f"its status is {chosen.remote.status!r}, which this version does not know: nothing is planned for it",
            hint="look for a newer reconciler; until then let no rule select it",
        )
    return None if chosen.clash is None else ReconcilerError(chosen.clash)


def _not_checked(parent: DesiredAccount) -> Finding:
    message = "the domains of sub accounts cannot be read with their parent's credential, so they are not checked"
    return Finding("domains-not-checked", Severity.NOTE, message, "", parent.account)


def _unread(desired: DesiredAccount, error: ReconcilerError, errand: Errand) -> Unread:
    told = _in_words(error, errand)
    _tell(desired, errand, 0, told.message)
    if isinstance(error, Interrupted):
        return Unread(desired, str(told), passed_over=True)
    return Unread(desired, str(told), failure=Failure(told.message, told.hint))


def _resting(desired: DesiredAccount, errand: Errand) -> Unread | None:
    """Give what is said of an account that is not asked, since it failed in the passes before; None where it is."""
    rest = errand.rests.get(desired.account.identity)
    if rest is None:
        return None
    _tell(desired, errand, 0, str(rest))
    return Unread(desired, str(ReconcilerError(str(rest), hint=rest.failure.hint)))


def _in_words(error: ReconcilerError, errand: Errand) -> ReconcilerError:
    """Say which of the limits of time it was that ended the reading."""
    if not isinstance(error, Interrupted) or str(error) != OUT_OF_TIME:
        return error
    if errand.stop.requested.is_set():
        return ReconcilerError(f"{OUT_OF_TIME}: the pass had none left for it", hint=_PASS_HINT)
    told = f"{OUT_OF_TIME}: it was not read whole within {errand.seconds:g} s"
    return ReconcilerError(told, hint=_ACCOUNT_HINT)


def _tell(desired: DesiredAccount, errand: Errand, keys: int, error: str | None = None) -> None:
    errand.observe(AccountListed(errand.run_id, desired.account, keys, error, desired.name))
