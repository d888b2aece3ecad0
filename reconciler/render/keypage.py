"""The pages of single accounts and single keys, also of those that are gone, or of which nothing is known.

Texts come out as they are: to escape them is the template's affair.
"""

import shlex
from functools import cached_property
from typing import Final

from reconciler.core.changes import Fields, Outcome
from reconciler.core.inventory import KeyStanding
from reconciler.core.networks import AllowList
from reconciler.core.report import AccountStatus, ReportedAccount, ReportedChange, ReportedFinding
from reconciler.core.status import AskedBy
from reconciler.render.addresses import Address
from reconciler.render.cards import Card, card
from reconciler.render.groups import Once
from reconciler.render.headline import Headline
from reconciler.render.lately import Entry, Lately
from reconciler.render.lookup import Counted, Lookup
from reconciler.render.matrix import Place, place_of
from reconciler.render.tables import KeyRow
from reconciler.render.verdict import Tone, Verdict

PAGE: Final = 100
"""Keys, or sub accounts, on a page."""
_MOST_ENTRIES: Final = 200

_BY_OUTCOME = {
    Outcome.PLANNED: Verdict(Tone.LOOK, "Differs", "What is to be changed stands below."),
    Outcome.FAILED: Verdict(Tone.BAD, "Not changed", "It failed; the next pass tries again."),
    Outcome.STALE: Verdict(Tone.BAD, "Not changed", "The key had changed meanwhile; the next pass looks again."),
    Outcome.DENIED: Verdict(Tone.ACT, "Held back", "A rule denies the change: a person must act."),
    Outcome.REFUSED: Verdict(Tone.ACT, "Held back", "A guardrail refuses the change: a person must act."),
    Outcome.SKIPPED: Verdict(Tone.ACT, "Held back", "The change was skipped: a person must act."),
    Outcome.PAUSED: Verdict(Tone.LOOK, "Paused", "The files want it left as it is for now."),
}
_BY_STANDING = {
    KeyStanding.MANAGED: Verdict(Tone.GOOD, "As the files say", "Nothing is to be changed."),
    KeyStanding.UNMANAGED: Verdict(Tone.LOOK, "In no file", "The files know nothing of this key."),
    KeyStanding.UNCLEAR: Verdict(Tone.ACT, "Unclear", "A file may mean this key, but which one it means is not clear."),
}
_UNKNOWN = Verdict(Tone.BAD, "Not known", "Its account could not be read in the last pass.")
_NOT_YET = Verdict(Tone.BAD, "Not known yet", "No pass has told of it since the daemon began.")
_GONE = Verdict(Tone.LOOK, "Gone", "The account has no such key any more, or not yet again.")


class KeyPage:
    """What is told of one key."""

    def __init__(self, address: Address, headline: Headline, lookup: Lookup, lately: Lately) -> None:
        self.address = address
        self._headline = headline
        self._lookup = lookup
        self._lately = lately
        self.row: KeyRow | None = lookup.rows.get(address)
        name = self.row.holder.key.name if self.row else None
        self._all = lately.about(address, name)
        self.whole_from = lately.whole_from

    @property
    def known(self) -> bool:
        """Whether there is such a page: the key is there, was there, or may be there for all that is known."""
        return bool(self.row or self._all or self.changes) or not self._read

    @property
    def _read(self) -> bool:
        account = self._lookup.accounts.get(self.address.account)
        return account is not None and account.inventory is not None

    @property
    def changes(self) -> list[Once[ReportedChange]]:
        """What would change, or was changed in the last pass."""
        return self._lookup.changes.get(self.address, [])

    @property
    def cards(self) -> list[Card]:
        """The same, with who asked for it and what to do."""
        return [card(once, self._lookup, self._lately) for once in self.changes]

    @cached_property
    def wanted(self) -> Fields | None:
        """What the files want to be otherwise than it is; None: they do not name it, or perhaps do."""
        if self.row is None or self.row.holder.key.standing is not KeyStanding.MANAGED:
            return None
        left = (once.item.fields for once in self.changes if once.item.outcome is not Outcome.APPLIED)
        return next(left, Fields())

    @property
    def wanted_from(self) -> Place | None:
        """From where the files want it to be used, where that is otherwise than it is."""
        networks = self.wanted.ip_allow_list if self.wanted else None
        return place_of(AllowList.parse(networks.after)) if networks else None

    @property
    def findings(self) -> tuple[ReportedFinding, ...]:
        """What the policy finds."""
        return (*self.row.findings, *self.row.waived) if self.row else ()

    @cached_property
    def entries(self) -> list[Entry]:
        """Its history, the newest first."""
        return self._all[:_MOST_ENTRIES]

    @property
    def more_entries(self) -> int:
        """How much of it is not shown."""
        return len(self._all) - len(self.entries)

    @property
    def account(self) -> ReportedAccount | None:
        """The account that it is in, if the last pass tells of it."""
        return self._lookup.accounts.get(self.address.account)

    @property
    def by(self) -> AskedBy | None:
        """The commit that asked for something of it last."""
        return next((entry.told.asked_by for entry in self._all if entry.told.asked_by), None)

    @property
    def called(self) -> str:
        """What to call it: its name, its label, or its id where nobody knows more."""
        if self.row:
            return self.row.holder.key.name or self.row.holder.key.label or self.address.key_id or ""
        last = next((entry.told for entry in self._all), None)
        return (last.name or last.label if last else "") or self.address.key_id or ""

    @property
    def trail_command(self) -> str:
        """The command that tells all that became of it, where a trail is kept: by its name, or else its id."""
        key = (self.row.holder.key.name if self.row else None) or self.address.key_id or ""
        return f"reconciler trail show --key {shlex.quote(key)} FILE"

    @cached_property
    def verdict(self) -> Verdict:
        """How it stands; nothing is good while that of the daemon is in doubt."""
        found = self._found()
        if found.tone is Tone.GOOD and self._headline.doubted:
            return Verdict(Tone.LOOK, "Was as the files say", "So it was in the last pass; whether it is, is in doubt.")
        return found

    def _found(self) -> Verdict:
        for once in self.changes:
            if once.item.outcome is not Outcome.APPLIED:
                return _BY_OUTCOME[once.item.outcome]
        if self.row:
            return _BY_STANDING[self.row.holder.key.standing]
        if self._lookup.report is None:
            return _NOT_YET
        return _GONE if self._read else _UNKNOWN


_OF_ACCOUNT = {
    AccountStatus.FAILED: Verdict(Tone.BAD, "Not read", "Nothing is known of its keys."),
    AccountStatus.SUSPENDED: Verdict(Tone.LOOK, "Suspended", "Its keys are left alone."),
}


class AccountPage:
    """What is told of one account, or sub account."""

    def __init__(self, address: Address, headline: Headline, lookup: Lookup, lately: Lately, page: int = 1) -> None:
        self.address = address
        self._headline = headline
        self._lookup = lookup
        self.account = lookup.accounts.get(address)
        self._page = page
        self._lately = lately
        self._all = lately.within(address)
        self.whole_from = lately.whole_from

    @property
    def known(self) -> bool:
        """Whether there is such a page: the account is there, was there, or may be for all that is known."""
        of_files = {account.account_id for account in self._headline.status.readiness.accounts}
        return bool(self.account or self._all) or self.address.account_id in of_files or self._lookup.report is None

    @property
    def called(self) -> str:
        """What to call it."""
        named = self.account.sub_account_name if self.account else None
        return named or self.address.sub_account_id or self.address.account_id

    @cached_property
    def verdict(self) -> Verdict:
        """How it stands; nothing is good while that of the daemon is in doubt."""
        if self.account is None:
            gone = Verdict(Tone.LOOK, "Not looked at", "The last pass tells of no such account.")
            return _NOT_YET if self._lookup.report is None else gone
        if self.account.status in _OF_ACCOUNT:
            return _OF_ACCOUNT[self.account.status]
        return self._counted()

    def _counted(self) -> Verdict:
        own = next(each for each in self._lookup.counted if each.address == self.address)
        if own.held:
            return Verdict(Tone.ACT, "A person must act", "Changes are held back.")
        if own.differs:
            return Verdict(Tone.LOOK, "Differs", "Some of its keys are not as the files say.")
        if self._headline.doubted:
            return Verdict(Tone.LOOK, "Was in sync", "So it was in the last pass; whether it is, is in doubt.")
        return Verdict(Tone.GOOD, "In sync", "Its own keys are as the files say.")

    @property
    def unlisted(self) -> str | None:
        """Why it is not known which sub accounts it has; None: it is."""
        return self._lookup.unlisted.get(self.address)

    @cached_property
    def changes(self) -> list[Once[ReportedChange]]:
        """What is not as the files say, keys that do not exist yet among it."""
        changes = self.account.changes if self.account else ()
        addresses = dict.fromkeys(Address(*self._owner, change.key_id) for change in changes)
        found = [once for address in addresses for once in self._lookup.changes.get(address, ())]
        return [once for once in found if once.item.outcome is not Outcome.APPLIED]

    @property
    def cards(self) -> list[Card]:
        """The first of it, with who asked for it and what to do."""
        return [card(once, self._lookup, self._lately) for once in self.changes[:PAGE]]

    @property
    def _owner(self) -> tuple[str, str | None]:
        return self.address.account_id, self.address.sub_account_id

    @property
    def findings(self) -> list[ReportedFinding]:
        """What the policy finds about it as a whole, or about keys that are not there."""
        return self._lookup.findings.get(self.address, [])

    @cached_property
    def rows(self) -> list[tuple[Address, KeyRow]]:
        """Its keys."""
        return [each for each in self._lookup.rows.items() if each[0].account == self.address]

    @cached_property
    def below(self) -> list[Counted]:
        """Its sub accounts, those first that need somebody."""
        if self.address.sub_account_id is not None:
            return []
        return [
            each
            for each in self._lookup.counted
            if each.address.account_id == self.address.account_id and each.address.sub_account_id is not None
        ]

    @property
    def pages(self) -> int:
        """How many pages its sub accounts take."""
        return max(-(-len(self.below) // PAGE), 1)

    @property
    def page(self) -> int:
        """Which of them is shown, from 1."""
        return min(self._page, self.pages)

    @property
    def shown_below(self) -> list[Counted]:
        """The sub accounts that are shown."""
        return self.below[(self.page - 1) * PAGE : self.page * PAGE]

    @property
    def entries(self) -> list[Entry]:
        """What became of its keys lately, the newest first."""
        return self._all[:PAGE]
