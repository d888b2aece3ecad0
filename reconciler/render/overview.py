"""What the HTML file tells, in its order, before it is markup: verdict, changes, findings, keys, ages, what ends when.

Texts from files and from the server come out as they are: to escape them is the template's affair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from reconciler.core.allowable import COVERAGE
from reconciler.core.findings import Severity
from reconciler.core.inventory import ReportedRule
from reconciler.core.keys import Source
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
from reconciler.render.ages import Life, Scale, Share, last_uses, minute, moment
from reconciler.render.approval import apply_exactly
from reconciler.render.groups import Group, Once, Owner, group_of
from reconciler.render.matrix import Column, Holder, Matrix, Row, matrix
from reconciler.render.tables import MOST_BARS, Ending, Found, KeyRow, Lives, Tile
from reconciler.render.verdict import Tone, Verdict, verdict
from reconciler.render.words import accounts_in_words, approvable, list_not_managed, number, summary

_MOST_ROWS: Final = 40
_MOST_KEYS: Final = 10_000


class Overview:
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
        """What it comes to, and what is to be done."""
        return verdict(self.report)

    @property
    def sentence(self) -> str:
        """What it comes to in numbers."""
        return summary(self.report)

    # What was looked at

    @property
    def title(self) -> str:
        """What kind of report it is."""
        return self.report.mode.value.capitalize()

    @property
    def as_of(self) -> str:
        """The time by which everything is judged, to the minute."""
        return minute(self.report.as_of or self.report.started_at)

    @property
    def made(self) -> str:
        """When the report was made, to the minute."""
        return minute(self.report.started_at)

    @property
    def over(self) -> str:
        """How many keys were looked at, and where."""
        read = [account for account in self.report.accounts if account.status is AccountStatus.OK]
        return f"{number(sum(account.keys.actual for account in read), 'key')} in {accounts_in_words(read)}"

    @property
    def approvable(self) -> bool:
        """Whether there is something to apply by its digest."""
        return approvable(self.report)

    @property
    def apply_exactly(self) -> str:
        """The command that applies exactly this."""
        return apply_exactly(self.report.digest or "", self.report.shard)

    @property
    def list_not_managed(self) -> list[str]:
        """How many keys have no allow list in the files."""
        return list_not_managed(self.report)

    @property
    def of_actual(self) -> bool:
        """Whether rules were asked of the keys that there are, and not of what files want them to be."""
        return self.report.mode is Mode.AUDIT

    @property
    def before_or_after(self) -> str:
        """As of when keys are shown: a plan shows them without its changes."""
        if self.of_actual or not self.report.changes:
            return ""
        changes = "before the changes of this plan" if self.report.mode is Mode.PLAN else "after what was applied"
        told = f"Here, in the table and on the time line keys are as they are {changes}"
        return f"{told}; findings are about what the files want them to be."

    @property
    def account_ids(self) -> list[str]:
        """The accounts that it is about, each once."""
        return list(dict.fromkeys(account.account_id for account in self.report.accounts))

    @property
    def policy_files(self) -> list[str]:
        """The files in which its rules and waivers stand."""
        places = [*(rule.source for rule in self.report.rules), *(waiver.source for waiver in self.report.waivers)]
        return sorted({place.file for place in places if place})

    @property
    def known(self) -> bool:
        """Whether any account was read: where none was, nothing is known of keys and of what breaks rules."""
        return any(account.inventory is not None for account in self.report.accounts)

    @property
    def whole(self) -> bool:
        """Whether every account was read."""
        return not self.failures

    @property
    def requests(self) -> list[tuple[str, int]]:
        """The requests that it took, by method."""
        counts = self.report.requests
        told = (("GET", counts.GET), ("PUT", counts.PUT), ("POST", counts.POST), ("DELETE", counts.DELETE))
        return [(method, count) for method, count in told if count]

    @cached_property
    def rules(self) -> list[tuple[ReportedRule, int]]:
        """The rules that were asked, and how many findings each has that are not waived."""
        counts: Counter[tuple[str, Source | None]] = Counter()
        for finding in self.report.findings:
            if finding.waived is None:
                counts[finding.rule, finding.source if finding.rule == COVERAGE else None] += 1
        places = ((rule, rule.source if rule.rule == COVERAGE else None) for rule in self.report.rules)
        return [(rule, counts[rule.rule, place]) for rule, place in places]

    @cached_property
    def tiles(self) -> list[Tile]:
        """The numbers that are told first."""
        counts, found, marks = self.report.summary, self.report.summary.findings, self.marks
        tiles = [Tile(sum(account.keys.actual for account in self.report.accounts), "keys read")]
        if self.report.mode is not Mode.AUDIT:
            tiles += [
                Tile(len(self.report.changes), "changes"),
                Tile(counts.failed + counts.stale, "failed", Tone.BAD),
                Tile(counts.denied + counts.refused + counts.skipped, "held back", Tone.ACT),
            ]
        if self.report.mode is Mode.APPLY:
            tiles.append(Tile(counts.applied, "applied"))
        of_keys = (
            Tile(found.deny, "deny", Tone.ACT, "deny"),
            Tile(found.warn, "warn", Tone.LOOK, "warn"),
            Tile(found.note, "note", mark="note"),
            Tile(marks["open"], f"usable from anywhere{self._now}", mark="open"),
            Tile(marks["wild"], f"may do everything{self._now}", mark="wild"),
            Tile(marks["stale"], "not used for 90 days", mark="stale"),
            Tile(marks["never"], "90 days old and never used", mark="never"),
            Tile(marks["unmanaged"], "in no file", mark="unmanaged"),
        )
        return [*tiles, *(tile if self.known else replace(tile, count=None) for tile in of_keys)]

    @property
    def _now(self) -> str:
        return " now" if self.report.mode is Mode.PLAN else ""

    @cached_property
    def sections(self) -> list[tuple[str, str]]:
        """The parts of the file that there are, by the names of their headings."""
        sections = (
            (self.failures, "failures", "Not read"),
            (self.changes or self.refusals, "changes", "Changes"),
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
            ("stale", "not used for 90 days"),
            ("never", "90 days old and never used"),
            ("new", "new findings"),
            ("off", "switched off"),
        )
        return [(mark, told) for mark, told in facets if self.marks[mark]]

    def standing(self, since: str) -> int:
        """Count the findings that stand so against the earlier report."""
        return sum(finding.since == since for finding in self.report.findings)

    # Changes

    @cached_property
    def changes(self) -> dict[Group, list[Once[ReportedChange]]]:
        """The changes by group; those that are the same in several sub accounts once."""
        found: dict[Group, list[Once[ReportedChange]]] = {group: [] for group in Group}
        for family in groups.families(self.report, "above"):
            for told in family.changes:
                found[group_of(told.item)].append(told)
        return {group: groups.by_gravity(changes) for group, changes in found.items() if changes}

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
    def _findings(self) -> list[Once[ReportedFinding]]:
        return groups.findings(self.report)

    @cached_property
    def found(self) -> list[Found]:
        """What breaks which rule, the most serious first; what is waived is not among it."""
        rules = {rule.rule: (rule.checks, rule.why) for rule in self.report.rules if rule.rule != COVERAGE}
        found = groups.by_rule(self._findings)
        return [
            Found(rule, severity, *rules.get(rule, ("", "")), tuple(told)) for (severity, rule), told in found.items()
        ]

    @cached_property
    def waived(self) -> list[Once[ReportedFinding]]:
        """The findings that are waived."""
        return [told for told in self._findings if told.item.waived is not None]

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
        """The table of keys, in the order of the matrix: those first that can do most."""
        found: defaultdict[tuple[str | None, ...], list[ReportedFinding]] = defaultdict(list)
        ranks = {severity: severity.rank for severity in Severity}
        for finding in sorted(self.report.findings, key=lambda each: ranks[each.severity]):
            if finding.key_id is not None:
                found[finding.account_id, finding.sub_account_id, finding.key_id].append(finding)
        return [self._row(row, holder, found) for row in self.matrix.rows for holder in row.holders]

    @property
    def shown_rows(self) -> list[KeyRow]:
        """The rows of the table: a browser shows no hundred thousand of them."""
        return self.rows[:_MOST_KEYS]

    def _row(self, row: Row, holder: Holder, found: Mapping[tuple[str | None, ...], list[ReportedFinding]]) -> KeyRow:
        owner, key = holder.owner, holder.key
        own = found.get((owner.account_id, owner.sub_account_id, key.key_id), [])
        standing = tuple([finding for finding in own if finding.waived is None])
        waived = tuple([finding for finding in own if finding.waived]) if len(standing) < len(own) else ()
        return KeyRow(holder, row.number, Life.of(key, self.now), standing, waived)

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
        scale = Scale.over([row.life for those in (used, never) for row in those[:MOST_BARS]], self.now)
        told = (("Not used for 90 days or longer", "stale", used), ("Made as long ago, and never used", "never", never))
        return [(title, mark, Lives(tuple(those), scale)) for title, mark, those in told if those]

    # What ends

    @cached_property
    def endings(self) -> list[Ending]:
        """The waivers and the pauses, those first that end first."""
        return sorted((*self._waivers(), *self._pauses()), key=lambda each: (each.until, each.what, each.about))

    def _waivers(self) -> Iterator[Ending]:
        waived: defaultdict[str, list[ReportedFinding]] = defaultdict(list)
        for finding in self.report.findings:
            if finding.waived:
                waived[finding.rule].append(finding)
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
                sum(finding.waived_by(waiver) for finding in waived[waiver.rule]),
            )

    def _pauses(self) -> Iterator[Ending]:
        for pause in self.report.pauses:
            below = " of sub accounts" if pause.of_sub_accounts else ""
            of = f" of account {pause.account_id}" if len(self._ids) > 1 or below else ""
            about = f"{pause.name}{below}{of}"
            yield Ending("pause", about, pause.until, self._days(pause.until), "", pause.reason, pause.source)

    def _days(self, until: str) -> int | None:
        """Count the days until the end of a day; that day itself is 0."""
        end = moment(until)
        return (end.date() - self.now.date()).days if end else None
