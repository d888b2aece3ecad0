"""What every page of the daemon says first: how it stands, since when, and what is wrong with the daemon itself.

Texts come out as they are: to escape them is the template's affair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from reconciler.core.inventory import rfc3339
from reconciler.core.report import Mode, Report
from reconciler.core.status import AccountReadiness, Status
from reconciler.render.addresses import Address
from reconciler.render.standing import standing
from reconciler.render.verdict import Tone, Verdict
from reconciler.render.words import number, summary

_MOST_REASONS: Final = 20


@dataclass(frozen=True, slots=True)
class Unread:
    """An account, or a sub account, that could not be read the last time: why, and when it last could."""

    address: Address
    why: str
    read_at: str | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong with the daemon, or with what it goes by.

    Attributes:
        title: What it is.
        since: Since when (RFC 3339), where that is known.
        told: What is said of it, each a sentence or a line.
        more: How many lines there are besides.
        unread: The accounts that it is about.
        then: What holds meanwhile.
    """

    title: str
    since: str | None = None
    told: tuple[str, ...] = ()
    more: int = 0
    unread: tuple[Unread, ...] = ()
    then: str = ""


class Headline:
    """How a daemon stands, judged by its status and by the report of its last pass."""

    def __init__(self, status: Status, report: Report | None) -> None:
        self.status = status
        self._report = report

    @cached_property
    def verdict(self) -> Verdict:
        """What it comes to; nothing is in sync while an account was not read, however the last pass ended."""
        found = standing(self.status, self._report)
        if found.tone in (Tone.GOOD, Tone.LOOK) and self._unread:
            return Verdict(Tone.BAD, "Not known", "Accounts could not be read the last time.")
        return found

    @property
    def sign(self) -> str:
        """The picture of it: that of its tone, or an eye where all is in sync, but something is to be looked at."""
        seen = self.verdict.tone is Tone.LOOK and self.status.sync.in_sync
        return "seen" if seen else self.verdict.tone.value

    @property
    def title(self) -> str:
        """What stands in the tab."""
        return f"{self.verdict.words} \N{MIDDLE DOT} AhaSend keys"

    @property
    def dry(self) -> bool:
        """Whether the daemon only plans."""
        return self.status.mode is Mode.PLAN

    @property
    def call(self) -> str:
        """What is to be done, and what the last pass comes to in numbers; not these while they may not hold."""
        if not self.status.readiness.ready and self.status.last_pass:
            return "What is wrong stands above; what follows is as the last pass left it."
        told = [] if self.verdict.call == f"{self.verdict.words}." else [self.verdict.call]
        return " ".join([*told, summary(self._report)] if self._report and not self.doubted else told)

    @property
    def doubted(self) -> bool:
        """Whether what the last pass found may not be how things are, or not what the files say by now."""
        return bool(self.troubles) or (self.verdict.tone is Tone.BAD and self.status.sync.in_sync is not False)

    @property
    def since(self) -> str | None:
        """Since when the accounts are as they are against the files; None: that is not known, or in doubt."""
        sync = self.status.sync
        return None if self.doubted or sync.in_sync is None else sync.since

    @property
    def troubles(self) -> list[Trouble]:
        """What is wrong with the daemon, the worst first."""
        return [*self._not_ready(), *self._rejected(), *self._not_read()]

    def _not_ready(self) -> Iterator[Trouble]:
        readiness = self.status.readiness
        if not readiness.ready:
            then = "Nothing below is known to be so now: it is as the last pass left it."
            if self.status.last_pass is None:
                then = "No pass has ended yet: nothing is known so far."
            reasons = readiness.reasons[:_MOST_REASONS] or ("it does not say why",)
            more = len(readiness.reasons) - len(reasons)
            yield Trouble("The daemon is not ready", told=reasons, more=more, then=then)

    def _rejected(self) -> Iterator[Trouble]:
        configuration = self.status.readiness.configuration
        if configuration.rejected is not None:
            loaded = "Those that loaded last stay in force" if configuration.loaded_at else "None are in force"
            yield Trouble(
                "Newer files do not load",
                _written(configuration.rejected_at),
                configuration.problems or (configuration.rejected,),
                configuration.problem_count - len(configuration.problems),
                then=f"{loaded}. What is newer in the files is not looked at until they are mended.",
            )

    def _not_read(self) -> Iterator[Trouble]:
        if self._unread:
            late = [account for account in self.status.readiness.accounts if account.sub_accounts.failed_count]
            count = sum(account.sub_accounts.failed_count - len(account.sub_accounts.failed) for account in late)
            then = "Of these nothing is known: neither that they are as the files say, nor that they are not."
            yield Trouble("Not read the last time", more=count, unread=self._unread, then=then)

    @cached_property
    def _unread(self) -> tuple[Unread, ...]:
        return tuple(one for account in self.status.readiness.accounts for one in _unread(account))

    @property
    def changed_words(self) -> str:
        """What somebody who cannot see the page is told whenever it is another thing than before."""
        count = len(self.troubles)
        besides = f" {number(count, 'warning')} about the daemon." if count else ""
        return f"{self.verdict.words}. {self.verdict.call}{besides}"


def _unread(account: AccountReadiness) -> Iterator[Unread]:
    if account.error is not None:
        yield Unread(Address(account.account_id), account.error, _written(account.read_at))
    for below in account.sub_accounts.failed:
        address = Address(account.account_id, below.sub_account_id)
        yield Unread(address, below.error or "it was not read in time", _written(below.read_at))


def _written(when: datetime | None) -> str | None:
    return rfc3339(when) if when else None
