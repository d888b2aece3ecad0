"""What of a report is to be shown at a line of a file, as code hosts do: each thing once, with its text and its place.

What no file asks for, such as a key that nobody manages, is shown at the rule that it breaks, or at the top of the
policy: GitHub refuses a whole report in which one thing has no place. What a finding or a refusal tells already is not
told again of the change that it holds back. All texts are visible.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.changes import Outcome
from reconciler.core.findings import OF_THE_RUN, Severity, Waiver
from reconciler.core.keys import Source
from reconciler.core.report import Report, ReportedAccount, ReportedChange, ReportedFinding, ReportedRefusal, Standing
from reconciler.errors import visible
from reconciler.render import groups, owners
from reconciler.render.groups import Owner
from reconciler.render.page import quoted
from reconciler.render.words import unmentioned

GUARDRAIL = "guardrail/"
CHANGE = "change/"
UNREAD = "account/unread"
"""No rule of a policy has a slash in its name."""

_HINT = "\n  hint: "  # as errors carry it
_LONGEST_TEXT = 2000
_LONGEST_LABEL = 48


class Level(StrEnum):
    """How serious an alert is, the most serious first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """Its place in the order of levels, 0 for the most serious."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(Level)}
LEVELS = {Severity.DENY: Level.ERROR, Severity.WARN: Level.WARNING, Severity.NOTE: Level.NOTE}
_ENDED = {
    Outcome.DENIED: ("is denied", Level.ERROR),
    Outcome.REFUSED: ("is refused", Level.ERROR),
    Outcome.SKIPPED: ("is skipped", Level.WARNING),
    Outcome.FAILED: ("failed", Level.ERROR),
    Outcome.STALE: ("is stale", Level.WARNING),
}


@dataclass(frozen=True, slots=True)
class About:
    """The account and the key that something is about; ``key`` is a name in the files."""

    account_id: str | None
    sub_account_id: str | None = None
    key: str | None = None
    key_id: str | None = None
    label: str | None = None

    @property
    def members(self) -> dict[str, str | None]:
        """All of it by name."""
        return {
            "account_id": self.account_id,
            "sub_account_id": self.sub_account_id,
            "key": self.key,
            "key_id": self.key_id,
            "label": self.label,
        }

    @property
    def path(self) -> tuple[str, ...]:
        """From the account to the key, as far as it is known."""
        key = self.key if self.key is not None else self.label if self.label is not None else self.key_id
        return tuple(visible(each) for each in (self.account_id, self.sub_account_id, key) if each is not None)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to show.

    Attributes:
        rule: What speaks: a rule of the policy, something that the reconciler itself looks at, a guardrail or an
            outcome (after `GUARDRAIL` or `CHANGE`), or `UNREAD`.
        level: How serious it is; what is waived is only noted.
        identity: What makes it the same in two reports.
        text: Sentences for a person, the first of them a summary.
        place: Where to show it; None where the report names no file at all. Line 0: the file as a whole.
        about: What it is about.
        severity: That of a finding.
        waived: Why a finding is accepted.
        new: Whether it was not there in an earlier report, where there is one.
    """

    rule: str
    level: Level
    identity: tuple[str | None, ...]
    text: str
    place: Source | None
    about: About
    severity: Severity | None = None
    waived: Waiver | None = None
    new: bool = True


@dataclass(frozen=True, slots=True)
class Alerts:
    """What is to be shown, what only tells how the run was made, and what only an earlier report had."""

    shown: tuple[Alert, ...]
    of_the_run: tuple[Alert, ...]
    gone: tuple[Alert, ...]


def collect(report: Report) -> Alerts:
    """Give the alerts of a report, in its order."""
    teller = _Teller(report)
    told = _Told(report)
    left = (
        (account, change)
        for account in report.accounts
        for change in account.changes
        if change.outcome in _ENDED and not told.tells(account, change)
    )
    shown = (
        *(teller.finding(each) for each in report.findings if each.rule not in OF_THE_RUN),
        *map(teller.refusal, report.refusals),
        *(teller.change(account, change) for account, change in left),
        *teller.unread(),
    )
    of_the_run = (teller.finding(each) for each in report.findings if each.rule in OF_THE_RUN)
    gone = report.since.gone if report.since else ()
    return Alerts(shown, tuple(of_the_run), tuple(map(teller.finding, gone)))


class _Teller:
    """Puts what a report holds into words, and finds its place."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._owners = {(one.account_id, one.sub_account_id): groups.owner_of(one) for one in report.accounts}
        self._places = _Places(report)

    def finding(self, finding: ReportedFinding) -> Alert:
        """Give a finding as an alert; one about no key is known by its message, any other one is not."""
        about = About(finding.account_id, finding.sub_account_id, finding.key, finding.key_id, finding.label)
        waived = finding.waived
        return Alert(
            finding.rule,
            Level.NOTE if waived else LEVELS[finding.severity],
            finding.identity,
            self._sentences(
                about,
                _named(finding),
                f"Waived until {waived.until}, by {waived.owner}: {waived.reason}" if waived else "",
                f"Hint: {finding.hint}" if finding.hint else "",
            ),
            self._places.of(finding.source, finding.rule),
            about,
            finding.severity,
            waived,
            finding.since is Standing.NEW,
        )

    def refusal(self, refusal: ReportedRefusal) -> Alert:
        """Give a refusal as an alert, known by its guardrail: its message counts."""
        rule = f"{GUARDRAIL}{refusal.guardrail}"
        about = About(refusal.account_id, refusal.sub_account_id, key_id=refusal.key_id)
        text = self._sentences(about, f"{refusal.guardrail}: {refusal.message}")
        place = self._places.of(self._places.refused(refusal), rule)
        return Alert(rule, Level.ERROR, (rule, *_account(about), refusal.key_id), text, place, about)

    def change(self, account: ReportedAccount, change: ReportedChange) -> Alert:
        """Give a change that was held back or failed as an alert."""
        rule = f"{CHANGE}{change.outcome}"
        ended, level = _ENDED[change.outcome]
        about = About(account.account_id, account.sub_account_id, change.name, change.key_id, change.label)
        title = change.name if change.name is not None else quoted(change.label, _LONGEST_LABEL)
        reason = f": {change.reason}" if change.reason else ""
        text = self._sentences(about, f"The change of {title} ({change.action}) {ended}{reason}")
        identity = (rule, *_account(about), change.key_id or change.name or change.label)
        return Alert(rule, level, identity, text, self._places.of(change.source, rule), about)

    def unread(self) -> Iterator[Alert]:
        """Give the accounts that could not be read; those sub accounts of one together that share an error.

        A host takes what is found there no more for mended: that must not be all that it says.
        """
        for failure in groups.failures(self._report):
            first = failure.owners[0]
            about = About(first.account_id, None if failure.shared else first.sub_account_id)
            who = f"{len(failure.owners)} sub accounts of account {first.account_id}" if failure.shared else _who(first)
            text = self._sentences(
                About(None),
                f"Could not read {who}: {failure.text or 'nobody knows why'}",
                "What was found there before is not known to be mended",
            )
            yield Alert(UNREAD, Level.ERROR, (UNREAD, *_account(about)), text, self._places.of(None, UNREAD), about)

    def _sentences(self, about: About, *sentences: str) -> str:
        """Give sentences, and at their end whom they are about: an alert is read without the rest of the report."""
        whom = ""
        if about.account_id is not None:
            key = f"key {about.key_id} of " if about.key_id else ""
            known = self._owners.get((about.account_id, about.sub_account_id))
            whom = f"This is about {key}{_who(known or Owner(about.account_id, about.sub_account_id))}"
        told = [visible(each.replace(_HINT, ". Hint: ")) for each in (*sentences, whom) if each]
        ended = (each if each.endswith((".", "!", "?")) else f"{each}." for each in told)
        return shortened(" ".join(ended), _LONGEST_TEXT)


def shortened(text: str, most: int) -> str:
    """Give no more than so many characters of a text, with three dots where it goes on."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _account(about: About) -> tuple[str | None, str | None]:
    return about.account_id, about.sub_account_id


def _who(owner: Owner) -> str:
    return " ".join(owners.in_words(owner))


def _named(finding: ReportedFinding) -> str:
    """Give the message of a finding, with the key that it is about where it does not name that."""
    about = unmentioned(finding, finding.message)
    if about is None:
        return finding.message
    return f"{finding.key or quoted(about, _LONGEST_LABEL)}: {finding.message}"


class _Places:
    """Looks up where things are to be shown."""

    def __init__(self, report: Report) -> None:
        self._rules = {one.rule: one.source for one in reversed(report.rules) if one.source}
        first = next(filter(None, _sources(report)), None)
        self._top = Source(first.file, 0, 0) if first else None
        self._of_keys: dict[tuple[str | None, ...], Source] = {}
        self._held_back: defaultdict[tuple[str | None, ...], list[tuple[str, Source]]] = defaultdict(list)
        for account in report.accounts:
            for change in account.changes:
                if change.source is not None:
                    self._keep((account.account_id, account.sub_account_id), change, change.source)

    def _keep(self, whose: tuple[str, str | None], change: ReportedChange, source: Source) -> None:
        if change.key_id is not None:
            self._of_keys[*whose, change.key_id] = source
        if change.reason is not None:
            for each in {whose, (whose[0], None), (None, None)}:
                self._held_back[each].append((change.reason, source))

    def of(self, source: Source | None, rule: str) -> Source | None:
        """Give the place of what a file asks for, or else that of the rule that speaks, or else the first file."""
        return source or self._rules.get(rule) or self._top

    def refused(self, refusal: ReportedRefusal) -> Source | None:
        """Give the place of the change that a guardrail refused, or of the first one where it refused many."""
        whose = (refusal.account_id, refusal.sub_account_id)
        if refusal.key_id is not None:
            return self._of_keys.get((*whose, refusal.key_id))
        reason = f"{refusal.guardrail}: {refusal.message}"
        return next((source for told, source in self._held_back[whose] if reason in told), None)


def _sources(report: Report) -> Iterator[Source | None]:
    """Give every place that a report names, those of the policy first."""
    yield from (each.source for each in report.rules)
    yield from (each.source for each in report.waivers)
    yield from (each.source for each in report.findings)
    for account in report.accounts:
        yield from (each.source for each in account.changes)
        yield from (each.source for each in account.inventory or ())


class _Told:
    """Knows whether a finding or a refusal tells already why a change is held back.

    The reason of such a change begins with the name of the rule, or of the guardrail, that holds it back.
    """

    def __init__(self, report: Report) -> None:
        self._of_keys: set[tuple[str | None, ...]] = set()
        self._of_accounts: set[tuple[str | None, ...]] = set()
        for finding in report.findings:
            if finding.waived is None:
                self._add(finding, (finding.key, finding.key_id), finding.rule)
        for refusal in report.refusals:
            self._add(refusal, (refusal.key_id,), refusal.guardrail)
            if refusal.key_id is None:
                self._of_accounts.add((refusal.account_id, refusal.sub_account_id, refusal.guardrail))

    def _add(self, about: ReportedFinding | ReportedRefusal, keys: Iterable[str | None], speaks: str) -> None:
        self._of_keys |= {(about.account_id, about.sub_account_id, key, speaks) for key in keys if key is not None}

    def tells(self, account: ReportedAccount, change: ReportedChange) -> bool:
        if not change.outcome.held_back or change.reason is None:
            return False
        speaks, _, _ = change.reason.partition(": ")
        own = (account.account_id, account.sub_account_id)
        keys = {(*own, key, speaks) for key in (change.name, change.key_id)}
        whole = {(*whose, speaks) for whose in (own, (account.account_id, None), (None, None))}
        return not (self._of_keys.isdisjoint(keys) and self._of_accounts.isdisjoint(whole))
