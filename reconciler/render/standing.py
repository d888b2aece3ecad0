"""How a daemon and its accounts stand, in a word: what its page and ``reconciler status`` say first.

What the last pass found counts only as long as the daemon does its work: one whose passes hang, or whose accounts are
not read in time, is never in sync. Texts come out as they are: to escape them is the rendering's affair.
"""

from dataclasses import replace

from reconciler.core.report import Report
from reconciler.core.status import AccountReadiness, Status, in_sync
from reconciler.render.ages import minute, to_the_minute
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
    found = _found(status, report)
    if found.tone in (Tone.GOOD, Tone.LOOK) and any(map(is_unread, status.readiness.accounts)):
        return Verdict(Tone.BAD, "Not known", "Accounts could not be read the last time.")
    return _mindful_of_rejected_files(status, found)


def is_unread(account: AccountReadiness) -> bool:
    """Tell whether an account, or a sub account of it, could not be read the last time."""
    return account.error is not None or account.sub_accounts.failed_count > 0


def reasons(status: Status) -> list[str]:
    """Say why a daemon is not ready; but for why an account could not be read, which is told with the account."""
    return [to_the_minute(_without_cause(reason, status)) for reason in status.readiness.reasons]


def _without_cause(reason: str, status: Status) -> str:
    causes = (each.error for each in status.readiness.accounts if reason.startswith(f"{unread_words(each)} "))
    return next((reason.removesuffix(f": {cause}") for cause in causes if cause), reason)


def unread_words(account: AccountReadiness) -> str:
    """Give the words with which a reason begins that is about an account which was not read in time."""
    return f"account {account.account_id} was not read"


def _because(status: Status) -> str:
    """Say why a daemon is not ready: of a thousand accounts that are late the first are told."""
    told = reasons(status)
    shown = told[:_MOST_REASONS]
    shown += [f"and {len(told) - len(shown)} more"] if len(told) > len(shown) else []
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


def doubted(status: Status, report: Report | None) -> bool:
    """Tell whether what the last pass found may not be how things are, or not what the files say by now."""
    readiness = status.readiness
    unsound = not readiness.ready or any(map(is_unread, readiness.accounts))
    if unsound or readiness.configuration.rejected is not None:
        return True
    return standing(status, report).tone is Tone.BAD and status.sync.in_sync is not False


def stands(status: Status, report: Report | None) -> tuple[str, str] | None:
    """Say how the accounts stand against the files by the last pass, and since when; None: not known, or in doubt.

    In sync is only what the newest files say, and only where everything was read.
    """
    sync = status.sync
    if status.last_pass is None or sync.in_sync is None or sync.since is None:
        return None
    if not sync.in_sync:
        return "not in sync", sync.since
    if any(map(is_unread, status.readiness.accounts)) or (report and verdict(report).tone is Tone.BAD):
        return None
    return "in sync" if status.readiness.configuration.rejected is None else "as the older files say", sync.since


def since(status: Status, report: Report | None) -> str:
    """Say the same in a sentence, nothing where it is not known; what was first found so may stand so for longer."""
    found = stands(status, report)
    if found is None:
        return ""
    words, when = found
    or_longer = ", the daemon's first pass, or longer" if status.sync.at_start else ""
    told = f"{words.capitalize()} since {minute(when)}{or_longer}."
    return told if status.readiness.ready else f"At the last pass: {told}"
