"""What the HTML file tells, in its order, before it is markup: verdict, changes, findings, keys, ages, what ends when.

Texts from files and from the server come out as they are: to escape them is the template's affair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from reconciler.core.inventory import ReportedRule
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
)
from reconciler.render import groups
from reconciler.render.ages import Life, Share, last_uses, moment
from reconciler.render.exhibits import Ending, Found, KeyRow, Lives, Lot, Tile, Tone, Verdict, lot_of
from reconciler.render.groups import Once, Owner
from reconciler.render.matrix import Column, Holder, Matrix, matrix
from reconciler.render.words import accounts_in_words, number, summary

_MOST_ROWS: Final = 40


class Dossier:
    """Everything that the file tells of one report."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.now = moment(report.as_of or report.started_at) or datetime.fromtimestamp(0, UTC)

    @property
    def several(self) -> bool:
        """Whether keys of several accounts, or sub accounts, are told."""
        return len(self.report.accounts) > 1

    @cached_property
    def _ids(self) -> set[str]:
        return {account.account_id for account in self.report.accounts}

    def names(self, owner: Owner) -> bool:
        """Whether it must be said whose something is: of one account that is plain, but for its sub accounts."""
        return owner.sub_account_id is not None or len(self._ids) > 1

    @cached_property
    def verdict(self) -> Verdict:
        """What it comes to."""
        tone, words = self._verdict()
        return Verdict(tone, words, summary(self.report))

    def _verdict(self) -> tuple[Tone, str]:
        report, counts = self.report, self.report.summary
        failed = any(account.status is AccountStatus.FAILED for account in report.accounts)
        held_back = counts.denied or counts.refused or counts.skipped or report.refusals
        if failed or counts.failed or counts.stale:
            return Tone.BAD, "Not complete"
        if held_back or (report.mode is Mode.AUDIT and counts.findings.deny):
            return Tone.ACT, "A person must act"
        if counts.planned:
            return Tone.LOOK, "Differs"
        if counts.findings.deny or counts.findings.warn:
            return Tone.LOOK, "To look at"
        if counts.paused:
            return Tone.LOOK, "Paused"
        done = "Applied" if counts.applied else "In sync"
        return Tone.GOOD, "Nothing found" if report.mode is Mode.AUDIT else done

    # What was looked at

    @property
    def title(self) -> str:
        """What kind of report it is."""
        return self.report.mode.value.capitalize()

    @property
    def as_of(self) -> str:
        """The time by which everything is judged, to the minute."""
        return _minute(self.report.as_of or self.report.started_at)

    @property
    def made(self) -> str:
        """When the report was made, to the minute."""
        return _minute(self.report.started_at)

    @property
    def over(self) -> str:
        """How many keys were looked at, and where."""
        read = [account for account in self.report.accounts if account.status is AccountStatus.OK]
        return f"{number(sum(account.keys.actual for account in read), 'key')} in {accounts_in_words(read)}"

    @property
    def requests(self) -> list[tuple[str, int]]:
        """The requests that it took, by method."""
        counts = self.report.requests
        told = (("GET", counts.GET), ("PUT", counts.PUT), ("POST", counts.POST), ("DELETE", counts.DELETE))
        return [(method, count) for method, count in told if count]

    @cached_property
    def rules(self) -> list[tuple[ReportedRule, int]]:
        """The rules that were asked, and how many findings each has that are not waived."""
        counts = Counter(finding.rule for finding in self.report.findings if finding.waived is None)
        return [(rule, counts[rule.rule]) for rule in self.report.rules]

    @cached_property
    def tiles(self) -> list[Tile]:
        """The numbers that are told first."""
        counts = self.report.summary
        tiles = [Tile(len(self.rows), "keys read")]
        if self.report.mode is not Mode.AUDIT:
            tiles += [
                Tile(len(self.report.changes), "changes"),
                Tile(counts.denied + counts.refused + counts.skipped, "held back", Tone.ACT),
            ]
        found = counts.findings
        tiles += [Tile(found.deny, "deny", Tone.ACT), Tile(found.warn, "warn", Tone.LOOK), Tile(found.note, "note")]
        marks = self.marks
        return [
            *tiles,
            Tile(marks["open"], "usable from anywhere"),
            Tile(marks["wild"], "may do everything"),
            Tile(marks["stale"] + marks["never"], "unused for 90 days"),
            Tile(counts.unmanaged, "in no file"),
        ]

    @cached_property
    def sections(self) -> list[tuple[str, str]]:
        """The parts of the file that there are, by the names of their headings."""
        sections = (
            (self.failures, "failures", "Not read"),
            (self.lots or self.refusals, "changes", "Changes"),
            (True, "findings", "Findings"),
            (self.report.since, "since", "Since the earlier audit"),
            (self.rows, "who", "Who can do what"),
            (self.rows, "keys", "Keys"),
            (self.rows, "ages", "Stale and unused keys"),
            (True, "ends", "Waivers and pauses"),
            (True, "checked", "What was checked"),
        )
        return [(name, title) for there, name, title in sections if there]

    @property
    def facets(self) -> list[tuple[str, str]]:
        """The words by which the table is filtered, those only that some key bears, and what they are called."""
        facets = (
            ("deny", "deny"),
            ("warn", "warn"),
            ("note", "note"),
            ("unmanaged", "in no file"),
            ("unclear", "unclear"),
            ("open", "usable from anywhere"),
            ("wild", "may do everything"),
            ("stale", "unused for 90 days"),
            ("never", "never used for 90 days"),
            ("off", "switched off"),
        )
        return [(mark, told) for mark, told in facets if self.marks[mark]]

    def standing(self, since: str) -> int:
        """Count the findings that stand so against the earlier report."""
        return sum(finding.since == since for finding in self.report.findings)

    # Changes

    @cached_property
    def lots(self) -> dict[Lot, list[Once[ReportedChange]]]:
        """The changes by lot; those that are the same in several sub accounts once."""
        found: dict[Lot, list[Once[ReportedChange]]] = {lot: [] for lot in Lot}
        for family in groups.families(self.report, "above"):
            for told in family.changes:
                found[lot_of(told.item)].append(told)
        return {lot: changes for lot, changes in found.items() if changes}

    @cached_property
    def refusals(self) -> list[Once[ReportedRefusal]]:
        """The refusals that no change tells in full."""
        return groups.refusals(self.report)

    @cached_property
    def failures(self) -> list[Once[ReportedAccount]]:
        """The accounts that could not be read."""
        return groups.failures(self.report)

    # Findings

    @cached_property
    def found(self) -> list[Found]:
        """What breaks which rule, the most serious first; what is waived is not among it."""
        checks = {rule.rule: rule.checks for rule in self.report.rules}
        found = groups.by_rule(groups.findings(self.report))
        return [Found(rule, severity, checks.get(rule, ""), tuple(told)) for (severity, rule), told in found.items()]

    @cached_property
    def waived(self) -> list[Once[ReportedFinding]]:
        """The findings that are waived."""
        return [told for told in groups.findings(self.report) if told.item.waived is not None]

    @cached_property
    def changed_keys(self) -> list[Once[ChangedKey]]:
        """The keys that are other ones than in the earlier report, those first that can do more."""
        return groups.changed_keys(self.report)

    # Keys

    @cached_property
    def holders(self) -> list[Holder]:
        """Every key that was read, and whose it is."""
        return [
            Holder.of(groups.owner_of(account), key)
            for account in self.report.accounts
            for key in account.inventory or ()
        ]

    @cached_property
    def matrix(self) -> Matrix:
        """Who can do what, and from where."""
        return matrix(self.holders, _MOST_ROWS)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the matrix."""
        return self.matrix.columns

    @cached_property
    def rows(self) -> list[KeyRow]:
        """The table of keys, in the order of the matrix: the mightiest first."""
        found: defaultdict[tuple[str | None, ...], list[ReportedFinding]] = defaultdict(list)
        for finding in sorted(self.report.findings, key=lambda each: each.severity.rank):
            if finding.waived is None and finding.key_id is not None:
                found[finding.account_id, finding.sub_account_id, finding.key_id].append(finding)
        return [
            KeyRow(
                holder,
                row.number,
                Life.of(holder.key, self.now),
                tuple(found[holder.owner.account_id, holder.owner.sub_account_id, holder.key.key_id]),
            )
            for row in self.matrix.rows
            for holder in row.holders
        ]

    @cached_property
    def marks(self) -> Counter[str]:
        """How many keys bear each of the words by which the table is filtered."""
        return Counter(mark for row in self.rows for mark in row.marks.split())

    # Ages

    @cached_property
    def last_uses(self) -> tuple[Share, ...]:
        """When keys were last used."""
        return last_uses(row.life for row in self.rows)

    @cached_property
    def stale(self) -> list[tuple[str, str, Lives]]:
        """The keys that nobody used for long, by what they are marked with; those switched off need nobody's care."""
        rows = sorted(
            (row for row in self.rows if row.stale),
            key=lambda row: (-(row.life.idle or timedelta()), row.holder.key.key_id),
        )
        used, never = ([row for row in rows if (row.life.used is None) is unused] for unused in (False, True))
        lots = (("Not used for 90 days or longer", "stale", used), ("Made as long ago, and never used", "never", never))
        return [(title, mark, Lives(tuple(lot), self.now)) for title, mark, lot in lots if lot]

    # What ends

    @cached_property
    def endings(self) -> list[Ending]:
        """The waivers and the pauses, those first that end first."""
        return sorted((*self._waivers(), *self._pauses()), key=lambda each: (each.until, each.what, each.about))

    def _waivers(self) -> Iterator[Ending]:
        used = Counter(
            (told.rule, told.waived.until, told.waived.owner, told.waived.reason)
            for told in self.report.findings
            if told.waived
        )
        for waiver in self.report.waivers:
            about = waiver.key if waiver.key is not None else f"labels like {waiver.label}"
            yield Ending(
                f"waiver of {waiver.rule}",
                about if waiver.account is None else f"{about} in account {waiver.account}",
                waiver.until,
                self._days(waiver.until),
                waiver.owner,
                waiver.reason,
                waiver.source,
                used[waiver.rule, waiver.until, waiver.owner, waiver.reason],
            )

    def _pauses(self) -> Iterator[Ending]:
        for holder in self.holders:
            key = holder.key
            if key.paused:
                until, reason = key.paused.until, key.paused.reason
                yield Ending("pause", key.name or key.label, until, self._days(until), key.owner, reason, key.source)

    def _days(self, until: str) -> int | None:
        """Count the days until the end of a day; that day itself is 0."""
        end = moment(until)
        return (end.date() - self.now.date()).days if end else None


def _minute(text: str) -> str:
    """Write a time to the minute; one that nobody can read stays as it is."""
    when = moment(text)
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else text
