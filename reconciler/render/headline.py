"""What every page of the daemon says first: how it stands, since when, and what is wrong with the daemon itself.

Texts come out as they are: to escape them is the template's affair.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from reconciler.core.inventory import rfc3339
from reconciler.core.report import Mode, Report
from reconciler.core.status import AccountReadiness, Status
from reconciler.render.addresses import Address
from reconciler.render.groups import Owner, owner_of
from reconciler.render.standing import doubted, reasons, standing, stands, unread_words
from reconciler.render.verdict import Tone, Verdict
from reconciler.render.words import number, summary

_MOST_REASONS: Final = 20


@dataclass(frozen=True, slots=True)
class Unread:
    """An account, or a sub account, that could not be read the last time: why, and when it last could.

    ``owner`` has the name of a sub account where the last report knows it; ``late``: that is too long ago. ``again``:
    why it could not stands already with another.
    """

    address: Address
    owner: Owner
    why: str
    read_at: str | None
    late: bool
    again: bool = False


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
        """What it comes to."""
        return standing(self.status, self._report)

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
        return doubted(self.status, self._report)

    @property
    def since(self) -> tuple[str, str] | None:
        """How the accounts stand against the files, where the verdict does not say it, and since when.

        None: that is not known, or in doubt.
        """
        found = stands(self.status, self._report) if self.status.readiness.ready else None
        said = found is not None and self.verdict.words.lower().startswith(found[0])
        return ("", found[1]) if found and said else found

    @cached_property
    def troubles(self) -> list[Trouble]:
        """What is wrong with the daemon, the worst first; an account that could not be read is told once."""
        found = [*self._not_ready(), *self._rejected()]
        told = any(trouble.unread for trouble in found)
        return found if told else [*found, *self._not_read()]

    def _not_ready(self) -> Iterator[Trouble]:
        readiness = self.status.readiness
        if not readiness.ready:
            then = "Nothing below is known to be so now: it is as the last pass left it."
            if self.status.last_pass is None:
                then = "No pass has ended yet: nothing is known so far."
            accounts = tuple(unread_words(each) for each in readiness.accounts if each.error is not None)
            told = [reason for reason in reasons(self.status) if not reason.startswith(accounts)]
            if not told and not self.unread:
                told = ["it does not say why"]
            shown = tuple(told[:_MOST_REASONS])
            more = len(told) - len(shown) + self.more_unread
            yield Trouble("The daemon is not ready", told=shown, more=more, unread=self.unread, then=then)

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
        if self.unread:
            then = "Of these nothing is known: neither that they are as the files say, nor that they are not."
            yield Trouble("Not read the last time", more=self.more_unread, unread=self.unread, then=then)

    @cached_property
    def unread(self) -> tuple[Unread, ...]:
        """The accounts that could not be read the last time; of thousands of sub accounts the first."""
        found = [one for account in self.status.readiness.accounts for one in _unread(account, self._owners)]
        causes = [one.why for one in found]
        return tuple(replace(one, again=one.why in causes[:place]) for place, one in enumerate(found))

    @property
    def counted_unread(self) -> dict[str, int]:
        """How many sub accounts of an account could not be read besides, where there are such."""
        below = {account.account_id: account.sub_accounts for account in self.status.readiness.accounts}
        counts = {account_id: each.failed_count - len(each.failed) for account_id, each in below.items()}
        return {account_id: count for account_id, count in counts.items() if count}

    @property
    def more_unread(self) -> int:
        """How many those are in all."""
        return sum(self.counted_unread.values())

    @cached_property
    def _owners(self) -> dict[Address, Owner]:
        owners = map(owner_of, self._report.accounts if self._report else ())
        return {Address(owner.account_id, owner.sub_account_id): owner for owner in owners}

    @property
    def changed_words(self) -> str:
        """What somebody who cannot see the page is told whenever it is another thing than before."""
        count = len(self.troubles)
        besides = f" {number(count, 'warning')} about the daemon." if count else ""
        return f"{self.verdict.words}. {self.verdict.call}{besides}"


def _unread(account: AccountReadiness, owners: dict[Address, Owner]) -> Iterator[Unread]:
    if account.error is not None:
        owner = Owner(account.account_id)
        read_at = _written(account.read_at)
        yield Unread(Address(account.account_id), owner, account.error, read_at, not account.ready)
    for below in account.sub_accounts.failed:
        address = Address(account.account_id, below.sub_account_id)
        owner = owners.get(address) or Owner(account.account_id, below.sub_account_id)
        why = below.error or "it was not read in time"
        yield Unread(address, owner, why, _written(below.read_at), not below.ready)


def _written(when: datetime | None) -> str | None:
    return rfc3339(when) if when else None
