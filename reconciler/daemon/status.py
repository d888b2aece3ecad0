"""How the daemon is doing: whether it is ready, and why not, worked out from what it has done."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from reconciler.core.inventory import rfc3339
from reconciler.core.status import (
    AccountReadiness,
    ConfigurationStatus,
    Readiness,
    SubAccountReadiness,
    SubAccountsReadiness,
)
from reconciler.errors import Problem, mask, visible

MOST_PROBLEMS = 20
MOST_SUB_ACCOUNTS = 10
_MOST_LETTERS = 500
_NEVER = datetime.min.replace(tzinfo=UTC)
Due = Callable[[datetime], datetime]
"""Gives until when an account that was read at a time must have been read again; never earlier for a later time."""


@dataclass(frozen=True, slots=True)
class AccountRead:
    """What became of reading an account, or a sub account.

    Attributes:
        account_id: The account, for a sub account its parent.
        sub_account_id: The sub account, if it is one.
        read_at: When all its keys were last read; None: never yet.
        error: Why it could not be read the last time that it was tried; None: it could.
        known_since: From when on it should be read, where files name it only since a while after the daemon's start.
    """

    account_id: str
    sub_account_id: str | None = None
    read_at: datetime | None = None
    error: str | None = None
    known_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Files or settings that did not load, since when, why, and what to do."""

    at: datetime
    message: str
    problems: tuple[Problem, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the daemon has done so far.

    Attributes:
        loaded_at: When the configuration in force was loaded; None: none is.
        age: How many seconds ago that was, by a clock that nobody sets.
        rejection: What was rejected after that; None: the configuration in force is the newest.
        reads: One for each account of the configuration in force, and for each sub account that is known.
        trail: Why the trail cannot be written; None: it can, or there is none.
    """

    loaded_at: datetime | None = None
    age: float | None = None
    rejection: Rejection | None = None
    reads: tuple[AccountRead, ...] = ()
    trail: str | None = None


def judge_readiness(progress: Progress, now: datetime, due: Due, secrets: Sequence[str] = ()) -> Readiness:
    """Work out whether a configuration is loaded and each account of it was read in time.

    An account that was never read is not ready, but one that files named later has time from then. A configuration
    that was rejected changes nothing: the one before it is in force as long as passes go on. Without its trail nothing
    is written. ``secrets`` are masked, before a text is cut in the middle of one.
    """
    show = partial(_shown, tuple(secrets))
    families: dict[str, dict[str | None, AccountRead]] = {}
    for read in progress.reads:
        # A parent of which nothing is told is one that was never read.
        family = families.setdefault(read.account_id, {None: AccountRead(read.account_id)})
        family[read.sub_account_id] = read
    is_late = _lateness((read for family in families.values() for read in family.values()), now, due)
    accounts = tuple(_account_status(account_id, family, is_late, show) for account_id, family in families.items())
    reasons = [] if progress.loaded_at else ["no configuration is loaded"]
    reasons += [f"nothing is written without its line in the trail: {show(progress.trail)}"] if progress.trail else []
    reasons += [reason for account in accounts for reason in _reasons(account)]
    return Readiness(not reasons, tuple(reasons), _configuration_status(progress, show), accounts)


_IsLate = Callable[[AccountRead], bool]
_Show = Callable[[str | None], str | None]


def _lateness(reads: Iterable[AccountRead], now: datetime, due: Due) -> _IsLate:
    """Give what tells whether one of ``reads`` was so long ago that it should have been repeated by now.

    To ask a crontab line takes long, and accounts come in thousands: it is asked as a search asks, a few times in all.
    """

    def since(read: AccountRead) -> datetime:
        return read.read_at or read.known_since or _NEVER

    times = sorted({since(read) for read in reads} - {_NEVER})
    in_time = times[bisect_left(times, now, key=due) :]
    return lambda read: not in_time or since(read) < in_time[0]


def _account_status(
    account_id: str, family: dict[str | None, AccountRead], is_late: _IsLate, show: _Show
) -> AccountReadiness:
    own = family[None]
    late = {sub_account_id for sub_account_id, read in family.items() if is_late(read)}
    failed = [each for each, read in family.items() if each is not None and (read.error or each in late)]
    # Of thousands that fail only those are written out that are told.
    first = sorted(failed, key=lambda each: each not in late)[:MOST_SUB_ACCOUNTS]
    return AccountReadiness(
        account_id,
        own.read_at,
        ready=None not in late,
        error=show(own.error),
        sub_accounts=SubAccountsReadiness(
            count=len(family) - 1,
            late_count=len(late - {None}),
            failed_count=len(failed),
            failed=tuple(
                SubAccountReadiness(each, family[each].read_at, each not in late, show(family[each].error))
                for each in first
            ),
        ),
    )


def _reasons(account: AccountReadiness) -> Iterable[str]:
    if not account.ready:
        when = f"since {rfc3339(account.read_at)}" if account.read_at else "yet"
        yield f"account {account.account_id} was not read {when}" + (f": {account.error}" if account.error else "")
    if late := account.sub_accounts.late_count:
        yield (
            f"account {account.account_id}: {late} of {account.sub_accounts.count} sub accounts were not read in time"
        )


def _configuration_status(progress: Progress, show: _Show) -> ConfigurationStatus:
    rejection = progress.rejection
    problems = rejection.problems if rejection else ()
    return ConfigurationStatus(
        progress.loaded_at,
        progress.age,
        show(rejection.message) if rejection else None,
        rejection.at if rejection else None,
        tuple(filter(None, map(show, map(str, problems[:MOST_PROBLEMS])))),
        len(problems),
    )


def _shown(secrets: tuple[str, ...], text: str | None) -> str | None:
    return None if text is None else _short(visible(mask(text.replace("\n  hint: ", "; "), *secrets)))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
