"""What a report comes to in a word, and what is to be done about it: every rendering says it alike."""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.report import AccountStatus, Mode, Report


class Tone(StrEnum):
    """How something is to be taken."""

    GOOD = "good"
    LOOK = "look"
    ACT = "act"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a report is to be taken, in two words, and what is to be done about it, in a sentence."""

    tone: Tone
    words: str
    call: str


_ACT = "A person must act."
_RETRY = "A retry may help; if it does not, a person must act."
_NOBODY = "No person has to act."


def verdict(report: Report) -> Verdict:
    """Judge a report: what is not known comes before what is held back, that before what differs."""
    counts = report.summary
    held_back = counts.denied or counts.refused or counts.skipped or report.refusals
    must_act = held_back or (report.mode is Mode.AUDIT and counts.findings.deny)
    failed = any(account.status is AccountStatus.FAILED for account in report.accounts)
    if failed or counts.failed or counts.stale:
        return Verdict(Tone.BAD, "Not complete", _ACT if must_act else _RETRY)
    if must_act:
        return Verdict(Tone.ACT, "A person must act", _ACT)
    if counts.planned:
        return Verdict(Tone.LOOK, "Differs", "A person should review it before it is applied.")
    if counts.findings.deny or counts.findings.warn:
        return Verdict(Tone.LOOK, "To look at", "A person should look at what was found.")
    return _nothing_to_do(report)


def _nothing_to_do(report: Report) -> Verdict:
    if report.summary.paused:
        return Verdict(Tone.LOOK, "Paused", "No person has to act until the pauses end.")
    if report.mode is Mode.AUDIT:
        return Verdict(Tone.GOOD, "Only notes" if report.summary.findings.note else "Nothing found", _NOBODY)
    if any(finding.rule == "saved-listing" for finding in report.findings):
        return Verdict(Tone.GOOD, "Was in sync", _NOBODY)
    return Verdict(Tone.GOOD, "Applied" if report.summary.applied else "In sync", _NOBODY)
