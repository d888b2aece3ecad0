"""What is true of every pass once it has ended, and of two runs of one scene: each gives what is not so, in words."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from campaigning.oracle import FENCE, FIELDS, Access, Wish, allowed_by, overlap
from campaigning.scene import holders
from campaigning.watch import Watch
from reconciler.core.changes import Outcome
from reconciler.core.report import AccountStatus, Mode, Report, exit_code
from reconciler.emulator.store import Change

_PIECE = 20
"""Letters of a secret that are a leak."""


def strayed(changes: Iterable[Change], wishes: Iterable[Wish], before: Mapping[str, Access]) -> list[str]:
    """Give what keys went through that was neither so in the beginning nor asked for, and keys that nobody named."""
    wished = {wish.key_id: wish for wish in wishes}
    breaches = []
    for change in changes:
        wish = wished.get(change.key_id)
        if wish is None or wish.hands_off or change.after is None:
            breaches.append(f"key {change.key_id} was written, which no file lets anybody write")
            continue
        after, had = Access.of_seed(change.after), before[change.key_id]
        granted = [each for each in after.scopes if had.lacks(each) and not allowed_by(wish.scopes or (), each)]
        if granted:
            breaches.append(f"key {change.key_id} was granted {granted}, which nobody asked for")
        breaches += [
            f"key {change.key_id} went through {name} {getattr(after, name)}"
            for name in FIELDS
            if getattr(after, name) not in (getattr(had, name), getattr(wish, name))
        ]
    return breaches


def leaks(texts: Iterable[str], secrets: Collection[str]) -> list[str]:
    """Give the secrets of which more than a few letters stand in something that is shown."""
    pieces = [secret[start : start + _PIECE] for secret in secrets for start in range(7, len(secret) - _PIECE, _PIECE)]
    return [
        f"a secret is shown: …{text[max(0, at - 60) : at]}***"
        for text in texts
        for piece in pieces
        if (at := text.find(piece)) >= 0
    ]


def misreported(report: Report, watch: Watch, missed: Collection[str]) -> list[str]:
    """Give what a report says that is not so; ``missed`` are the keys that are not as the files want them."""
    breaches = []
    reported = {change.key_id: change for change in report.changes if change.key_id}
    for change in watch.written:
        planned = reported.get(change.key_id or "")
        if planned is None or not change.fields.diffs.items() <= planned.fields.diffs.items():
            breaches.append(f"what was written to {change.key_id} is not in the report's plan")
    if (report.requests.GET, report.requests.PUT) != (watch.counts["GET"], watch.counts["PUT"]):
        breaches.append(f"the report counts {report.requests}, but there were {watch.counts}")
    code = exit_code(report)
    if code != _expected_code(report):
        breaches.append(f"the exit code is {code}, not {_expected_code(report)}")
    paused = {change.key_id for change in report.changes if change.outcome is Outcome.PAUSED}
    lied_about = sorted(set(missed) - paused)
    if code == 0 and report.mode is Mode.APPLY and lied_about:
        breaches.append(f"the exit code is 0, but {lied_about} are not as the files want them")
    return breaches


def unread(report: Report, document: Mapping[str, Any], selected: Mapping[str, frozenset[str]]) -> list[str]:
    """Give the accounts that a report calls read although a part of them was not; no key comes or goes in a story."""
    keys = {holder["id"]: len(holder["keys"]) for holder in holders(document)}
    breaches = []
    below: dict[str, set[str]] = {}
    for account in report.accounts:
        holder = account.sub_account_id or account.account_id
        below.setdefault(account.account_id, set()).update(filter(None, (account.sub_account_id,)))
        if account.status is AccountStatus.OK and account.keys.actual != keys[holder]:
            breaches.append(f"account {holder} is said to be read, with {account.keys.actual} of {keys[holder]} keys")
    failed = {account.account_id for account in report.accounts if account.status is AccountStatus.FAILED}
    for parent, found in below.items():
        if parent not in failed and found != selected.get(parent, frozenset()):
            breaches.append(f"of the sub accounts {sorted(selected[parent])} only {sorted(found)} are reported")
    return breaches


def _expected_code(report: Report) -> int:
    failed = [account.status is AccountStatus.FAILED for account in report.accounts]
    readable = [account.status is AccountStatus.OK for account in report.accounts]
    outcomes = {change.outcome.value for change in report.changes}
    if any(failed) and not any(readable):
        return 1
    if any(failed) or outcomes & {"failed", "stale"}:
        return 4
    return 3 if report.refusals or outcomes & {"refused", "denied", "skipped"} else 0


def unexcused(
    wishes: Collection[Wish],
    before: Mapping[str, Access],
    after: Mapping[str, Access],
    outcomes: Mapping[tuple[str, str], str],
) -> list[str]:
    """Give the wishes that a pass without faults did not fulfil for no reason that the campaign knows."""
    left = [wish for wish in wishes if wish.key_id is None or wish.fulfilled(after[wish.key_id]) != after[wish.key_id]]
    breaches = []
    for wish in left:
        outcome = outcomes.get((wish.holder, wish.name or wish.key_id or ""), "")
        allowed = _OUTCOMES[wish.why_not]
        if wish.why_not == "" and outcome == "skipped" and _waits(wish, left, before):
            continue
        if outcome not in allowed and (wish.name is not None or wish.why_not != "unclear"):
            breaches.append(f"{wish.name or wish.key_id} ({wish.why_not or 'possible'}) is {outcome or 'untouched'}")
    return breaches


_OUTCOMES = {
    "": (),
    "paused": ("paused",),
    "absent": ("skipped",),
    "unclear": ("failed",),
    "missing": ("skipped",),
    "no networks": ("skipped",),
    "refused": ("refused",),
    "suspended": ("",),
    "foreign": ("failed", "denied", "skipped"),
}


def _waits(wish: Wish, left: Iterable[Wish], before: Mapping[str, Access]) -> bool:
    """Tell whether a wish takes away what another one that is left was to grant."""
    had = before[wish.key_id or ""]
    kept = () if wish.name is None and wish.networks == FENCE else wish.scopes or ()
    lost = [held for held in had.scopes if not allowed_by(kept, held)]
    to_come = [
        granted
        for other in left
        if other.holder == wish.holder and other is not wish
        for granted in other.scopes or ()
        if other.key_id is None or before[other.key_id].lacks(granted)
    ]
    return any(overlap(revoked, granted) for revoked in lost for granted in to_come)
