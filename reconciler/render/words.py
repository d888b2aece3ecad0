"""What every rendering for people says alike: the lines of a difference, and the sentence that sums up.

Texts from files and from the server come out as they are: to escape them is the rendering's affair.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from reconciler.core.changes import Action, Delta, Direction, ListDiff, Outcome
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.networks import ANYWHERE, FENCE
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    KeyEvent,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    Standing,
)
from reconciler.core.scopes import ScopeSet, parse_scope

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

DIRECTION_WORDS = {
    Direction.WIDEN: "widens",
    Direction.NARROW: "narrows",
    Direction.MIXED: "mixed",
    Direction.NONE: "same access",
}
"""What becomes of access, as every format tells it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference: ``+`` or ``-``, what comes or goes, and a remark where that alone would mislead."""

    sign: Literal["+", "-"]
    text: str
    remark: str = ""


def direction(told: ReportedChange | ChangedKey) -> str:
    """Tell what becomes of access; nothing of a change that could not be worked out."""
    known = told.fields or told.access.direction is not Direction.NONE
    return DIRECTION_WORDS[told.access.direction] if known else ""


def kept(diff: ListDiff | None) -> int:
    """Count what a list has before and after."""
    return len({*diff.before} & {*diff.after}) if diff and diff.before else 0


def scope_lines(diff: ListDiff | None) -> list[Line]:
    """Give the lines of a scope set; a scope that the other side covers is marked: its line changes nothing."""
    if diff is None:
        return []
    removed, added = _sides(diff)
    before, after = (set(ScopeSet.parse(texts or ()).texts) for texts in (diff.before, diff.after))
    gone = [Line("-", text, "still covered" if _covered(text, after) else "") for text in removed]
    come = [Line("+", text, "already covered" if _covered(text, before) else "") for text in added]
    return gone + come


def _covered(text: str, held: set[str]) -> bool:
    """Tell whether a set covers a scope; asked of thousands of them, so that it must not go through the set."""
    scope = parse_scope(text)
    return scope.text in held or not held.isdisjoint(scope.wider)


def network_lines(diff: ListDiff | None, access: Delta) -> list[Line]:
    """Give the lines of an allow list: ``anywhere`` for an empty one, the fence as what it is.

    Between two lists of networks, those that reach nobody new, or lose nobody, are marked.
    """
    if diff is None:
        return []
    removed, added = _sides(diff)
    plain = diff.before not in (None, (), (FENCE,)) and diff.after not in ((), (FENCE,))
    granted, revoked = set(access.granted), set(access.revoked)
    gone = [Line("-", text, "still covered" if plain and text not in revoked else "") for text in removed]
    come = [Line("+", text, "already covered" if plain and text not in granted else "") for text in added]
    if diff.before == (FENCE,):
        gone = [Line("-", text, "fence: switched off so far") for text in removed]
    if diff.after == (FENCE,):
        come = [Line("+", text, "fence: switched off") for text in added]
    return ([Line("-", ANYWHERE)] if diff.before == () else gone) + ([Line("+", ANYWHERE)] if not diff.after else come)


def _sides(diff: ListDiff) -> tuple[list[str], list[str]]:
    """Give what only the old list has, and what only the new one has."""
    before = diff.before or ()
    old, new = set(before), set(diff.after)
    return [text for text in before if text not in new], [text for text in diff.after if text not in old]


def in_words(change: ReportedChange | ChangedKey) -> tuple[str, str]:
    """Tell what a change grants and what it revokes beyond what its lines show, as the deletion of a key does."""
    lines = [*scope_lines(change.fields.scopes), *network_lines(change.fields.ip_allow_list, change.access.networks)]
    shown = {(line.sign, line.text) for line in lines}
    scopes, networks = change.access.scopes, change.access.networks
    granted = [[text for text in texts if ("+", text) not in shown] for texts in (scopes.granted, networks.granted)]
    revoked = [[text for text in texts if ("-", text) not in shown] for texts in (scopes.revoked, networks.revoked)]
    return _sentence(*granted), _sentence(*revoked)


def _sentence(scopes: list[str], networks: list[str]) -> str:
    told = [", ".join(scopes)] if scopes else []
    return "; ".join([*told, f"use from {', '.join(networks)}"] if networks else told)


def mention(key: str) -> re.Pattern[str]:
    """Give what finds a key in a text: as it is called, or as the messages of rules have it in quotes."""
    forms = "|".join(re.escape(form) for form in (key, repr(key)[1:-1]))
    return re.compile(rf"(?<![\w.-])(?:{forms})(?![\w-]|\.\w)")


def unmentioned(finding: ReportedFinding, message: str) -> str | None:
    """Give the name of the key that a finding is about, or its label, where the message does not name it."""
    about = finding.key if finding.key is not None else finding.label
    return None if about is None or mention(about).search(message) else about


def number(count: int, what: str) -> str:
    """Count in words: ``1 key``, ``2 keys``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def summary(report: Report) -> str:
    """Say in one sentence what a pass comes to; ``in sync`` is in it only where nothing differs and nothing failed."""
    if report.mode is Mode.AUDIT:
        told = _audit(report)
    elif in_sync(report):
        saved = any(finding.rule == "saved-listing" for finding in report.findings)
        told = (
            f"Everything {'was in sync when it was listed' if saved else 'is in sync'}: {_read(report)}, nothing to do"
        )
    elif _nothing_differs(report):
        told = f"Nothing to change: {_read(report)}; {number(_to_look_at(report), 'finding')} to look at"
    elif report.mode is Mode.PLAN:
        told = f"Plan: {_intended(report)}"
    else:
        told = f"Applied {report.summary.applied} of {number(len(report.changes), 'change')}{_where(report)}"
    return "; ".join([told, *_remainder(report)]) + "."


def approvable(report: Report) -> bool:
    """Tell whether a plan holds what can be applied, by its digest, as it is or with a guardrail let through."""
    return report.mode is Mode.PLAN and bool(report.summary.planned or report.summary.refused)


def list_not_managed(report: Report) -> list[str]:
    """Say how many keys have no allow list in the files, and how many of those are usable from anywhere."""
    free = sum(account.keys.list_not_managed for account in report.accounts)
    open_ = sum(account.keys.list_open for account in report.accounts)
    if not free:
        return []
    have = "has" if free == 1 else "have"
    usable = f", {open_} of them {'is' if open_ == 1 else 'are'} usable from anywhere" if open_ else ""
    return [f"{number(free, 'key')} {have} no ip_allow_list in the files{usable}"]


def in_sync(report: Report) -> bool:
    """Tell whether every account was read, nothing differs, nothing was refused, and there is nothing to look at."""
    return _nothing_differs(report) and not _to_look_at(report)


def _nothing_differs(report: Report) -> bool:
    failed = any(account.status is AccountStatus.FAILED for account in report.accounts)
    return not (failed or report.changes or report.refusals)


def _to_look_at(report: Report) -> int:
    """Count the findings that are more than notes: a rule that selects nothing, say, is no good order."""
    return report.summary.findings.deny + report.summary.findings.warn


def accounts_in_words(accounts: Iterable[ReportedAccount]) -> str:
    """Count accounts and, where there are any, sub accounts: ``1 account and 20 sub accounts``."""
    ids = [account.sub_account_id for account in accounts]
    one, every = ids.count(None), ids.count(EVERY_SUB_ACCOUNT)
    counts = ((one, "account"), (len(ids) - one - every, "sub account"))
    told = [number(count, what) for count, what in counts if count]
    if every:
        told.append(f"all sub accounts of {number(every, 'account')}")
    return " and ".join(told) or number(0, "account")


def _read(report: Report) -> str:
    """Say how many keys were compared, in how many accounts."""
    read = [account for account in report.accounts if account.status is AccountStatus.OK]
    return f"{number(report.summary.unchanged, 'key')} in {accounts_in_words(read)}"


def _where(report: Report, outcomes: Collection[Outcome] = tuple(Outcome)) -> str:
    """Say how many accounts some changes touch, if there are sub accounts: a rule may reach many of them."""
    if all(account.sub_account_id is None for account in report.accounts):
        return ""
    touched = [account for account in report.accounts if any(c.outcome in outcomes for c in account.changes)]
    return f" in {accounts_in_words(touched)}" if touched else ""


def _audit(report: Report) -> str:
    counts = report.summary.findings
    found = (("deny", counts.deny), ("warn", counts.warn), ("note", counts.note))
    judged = sum(account.keys.actual for account in report.accounts)
    told = ", ".join(f"{count} {severity}" for severity, count in found if count) or "nothing found"
    read = [account for account in report.accounts if account.status is AccountStatus.OK]
    if not read and any(account.status is AccountStatus.FAILED for account in report.accounts):
        return "Audit: nothing could be read, so nothing is known of any key"
    of = f" of {accounts_in_words(read)}" if any(account.sub_account_id is not None for account in read) else ""
    return f"Audit: {told} in {number(judged, 'key')}{of}{_compared(report)}"


def _compared(report: Report) -> str:
    """Say what became of what an earlier report had found, and of its keys."""
    if report.since is None:
        return ""
    standings = [finding.since for finding in report.findings]
    counts = (standings.count(Standing.NEW), standings.count(Standing.OPEN), len(report.since.gone))
    day = report.since.moment[:10]  # a text from a file, of which only a day is told
    since = f"since {day}" if _DAY.fullmatch(day) else "since the earlier audit"
    later = ", which is the later one" if report.as_of and report.since.moment > report.as_of else ""
    told = "; {}{}: {} new, {} still open, {} gone".format(since, later, *counts)
    events = [key.what for key in report.since.keys]
    keys = [f"{events.count(event)} {event}" for event in KeyEvent if event in events]
    return f"{told}; keys: {', '.join(keys)}" if keys else told


def _intended(report: Report) -> str:
    planned = [change.action for change in report.changes if change.outcome is Outcome.PLANNED]
    told = [f"{planned.count(action)} to {action}" for action in Action if action in planned]
    if told:
        return ", ".join(told) + _where(report, (Outcome.PLANNED,))
    statuses = {account.status for account in report.accounts}
    if AccountStatus.FAILED not in statuses:
        return "nothing to change"
    return "nothing to change in what could be read" if AccountStatus.OK in statuses else "nothing could be read"


def _remainder(report: Report) -> list[str]:
    """Say of which shard alone it is, count what was not done, and what there was nothing to do about."""
    counts = report.summary
    held_back = counts.refused + counts.denied + counts.skipped
    failed = [account for account in report.accounts if account.status is AccountStatus.FAILED]
    suspended = sum(account.status is AccountStatus.SUSPENDED for account in report.accounts)
    told = (
        (report.shard, f"only shard {report.shard} was looked at"),
        (failed, f"{accounts_in_words(failed)} FAILED"),
        (counts.failed, f"{counts.failed} failed"),
        (counts.stale, f"{counts.stale} stale"),
        (held_back, f"{held_back} held back"),
        (counts.paused, f"{counts.paused} paused"),
        (counts.unchanged and not _nothing_differs(report), f"{counts.unchanged} unchanged"),
        (counts.unmanaged, f"{counts.unmanaged} unmanaged"),
        (suspended, f"{number(suspended, 'sub account')} suspended"),
    )
    return [text for applies, text in told if applies]
