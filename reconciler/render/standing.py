"""How a daemon and its accounts stand, in a word: what its page and ``reconciler status`` say first.

What the last pass found counts only as long as the daemon does its work: one whose passes hang, or whose accounts are
not read in time, is never in sync. Texts come out as they are: to escape them is the rendering's affair.
"""

from dataclasses import replace

from reconciler.core.report import Report
from reconciler.core.status import Status, in_sync
from reconciler.render.ages import minute
from reconciler.render.verdict import Tone, Verdict, verdict

_MOST_REASONS = 5
_READ_ON = "What follows is as the last pass left it."


def standing(status: Status, report: Report | None) -> Verdict:
    """Judge a daemon by its status and the last report: what is not known comes before what was found.

    Without the report, as before the first pass, or where it could not be had, only the status counts. A report of
    another pass than the status tells of is judged all the same: good is only what both call so.
    """
    if status.last_pass is None:
        began = minute(status.started_at)
        return Verdict(Tone.BAD, "Not known yet", f"No pass has ended since the daemon began at {began}.")
    if not status.readiness.ready:
        return Verdict(Tone.BAD, "Not ready", f"{_because(status)}. {_READ_ON}")
    if status.sync.in_sync is None:
        told = "The last pass could not tell whether anything differs: accounts could not be read, or it broke off."
        return Verdict(Tone.BAD, "Not known", told)
    return _mindful_of_rejected_files(status, _found(status, report))


def _because(status: Status) -> str:
    """Say why a daemon is not ready: of a thousand accounts that are late the first are told."""
    reasons = status.readiness.reasons
    shown = [*reasons[:_MOST_REASONS]]
    shown += [f"and {len(reasons) - len(shown)} more"] if len(reasons) > len(shown) else []
    return "; ".join(shown) or "the daemon does not say why"


def _found(status: Status, report: Report | None) -> Verdict:
    """Judge what the last pass found; a good report does not help where the status says that something differs."""
    good = Verdict(Tone.GOOD, "In sync", "No person has to act.")
    differs = Verdict(Tone.LOOK, "Differs", "A person should look at what differs.")
    if report is None:
        return good if status.sync.in_sync else differs
    found = verdict(report)
    if found.tone is Tone.LOOK and status.sync.in_sync and in_sync(report):
        return replace(found, words=f"In sync, {found.words.lower()}")
    if found.tone is not Tone.GOOD:
        return found
    return good if status.sync.in_sync else differs


def _mindful_of_rejected_files(status: Status, found: Verdict) -> Verdict:
    """Say that newer files do not load, unless there is worse: the accounts are as the files say that did load."""
    configuration = status.readiness.configuration
    if configuration.rejected is None or found.tone in (Tone.BAD, Tone.ACT):
        return found
    told = f"A person must mend them: {configuration.rejected}. Those that loaded last stay in force."
    return Verdict(Tone.ACT, "Newer files do not load", told)


def since(status: Status) -> str:
    """Say since when the accounts stand as the last pass found them, in a sentence; nothing where that is not known.

    What the daemon found at its first pass may stand so for longer.
    """
    if status.sync.in_sync is None or status.sync.since is None:
        return ""
    told = "In sync" if status.sync.in_sync else "Not in sync"
    or_longer = ", the daemon's first pass, or longer" if status.sync.at_start else ""
    return f"{told} since {minute(status.sync.since)}{or_longer}."
