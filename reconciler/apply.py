"""Carries out an approved plan: reads each key again, writes what differs, and believes only what it sees.

Grants go first and what revokes comes last; before each write that revokes, what watches over the account and the
changes that were to grant the same are asked again with what has really been applied.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from reconciler.ahasend.client import WriteSession
from reconciler.ahasend.pace import Stop, in_flight
from reconciler.core.changes import Change, Dependencies, Fields, Outcome, skip_reason, waves
from reconciler.core.events import ChangeApplied, ChangeFailed, ChangeSkipped, ChangeStarted, Observer
from reconciler.core.freezes import frozen
from reconciler.core.guardrails import ApprovedPlan
from reconciler.core.keys import AccountRef, RemoteKey
from reconciler.core.networks import FENCED, AllowList
from reconciler.core.plan import AccountPlan
from reconciler.core.scopes import ScopeSet
from reconciler.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    NotWritten,
    RateLimited,
    ReconcilerError,
    Rejected,
    ServerFault,
    Unauthorized,
    Unreachable,
)
from reconciler.listing import ACCOUNTS_AT_ONCE, OUT_OF_TIME, Refusals

CHANGES_AT_ONCE = 10
"""Changes of one account under way at the same time: enough for the pace, few enough that each key was just read."""
WRITE_ATTEMPTS = 3
_FIRST_PAUSE = 0.25
_UNCHANGED = "the key was unchanged when it was read last"
_AMBIGUOUS = (Unreachable, ServerFault, BadAnswer, RateLimited)


class _Ended(Exception):
    """Carries how a change ended where it ends before anything is sent; never leaves this module."""

    def __init__(self, change: Change) -> None:
        super().__init__(change.reason)
        self.change = change


@dataclass(frozen=True, slots=True)
class Run:
    """What the changes of one pass share.

    That is its id, the wish to stop, who is told, each account's seconds left, and when the pass began by the loop's
    clock, which no change of the time of day moves. ``clock`` tells the time of day, for change windows that begin
    when it is set; ``superseded`` tells of which accounts files say something else by now.
    """

    run_id: str
    stop: Stop
    observe: Observer
    seconds: Mapping[AccountRef, float] = field(default_factory=dict)
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    clock: Callable[[], datetime] | None = None
    superseded: Callable[[AccountRef], bool] = lambda _account: False


async def apply_plan(approved: ApprovedPlan, session: WriteSession, run: Run) -> tuple[Change, ...]:
    """Make the planned changes of every account: accounts side by side, sub accounts of one parent some at a time.

    Returns all changes of the plan in its order, those that were planned with the outcome that they came to: applied,
    failed, stale, skipped, refused or paused. Remote errors never escape; they are outcomes.
    """
    ended = {account.account: account.changes for account in approved.plan.accounts}
    families: defaultdict[str, list[AccountPlan]] = defaultdict(list)
    for account in approved.plan.accounts:
        if any(change.applicable for change in account.changes):
            families[account.account.account_id].append(account)

    async def make_all(family: list[AccountPlan]) -> None:
        credential = _Credential()

        async def make(account: AccountPlan) -> None:
            with run.stop.within(run.seconds.get(account.account, math.inf), OUT_OF_TIME) as stop:
                made = _AccountRun(account, approved, session, replace(run, stop=stop), credential)
                ended[account.account] = await made.changes()

        await in_flight(family, make, ACCOUNTS_AT_ONCE)

    await asyncio.gather(*map(make_all, families.values()))
    return tuple(change for changes in ended.values() for change in changes)


@dataclass(slots=True)
class _Credential:
    """What an account and its sub accounts learn of the credential that writes all their keys.

    ``closed`` is why nothing more may be sent with it at all. The right to write the account's own keys says nothing
    about the right to write those of its sub accounts, nor the other way round.
    """

    closed: str | None = None
    own: Refusals = field(default_factory=Refusals)
    below: Refusals = field(default_factory=Refusals)

    def refusals(self, account: AccountRef) -> Refusals:
        return self.own if account.parent is None else self.below

    def note(self, change: Change, error: ReconcilerError) -> None:
        """Learn from a request for one change that was refused; that of a send-only key is that kind's affair."""
        if isinstance(error, Unauthorized) and change.account.parent is None:
            self.closed = error.message
        elif not (isinstance(error, Forbidden) and change.before and change.before.send_only):
            self.refusals(change.account).note((change.account, change.key_id), error)


class _AccountRun:
    """The changes of one account under way.

    ``_keys`` holds the account's keys as they were last seen; a revocation that is under way counts as made, so that
    two of them cannot each rely on the other not to happen.
    """

    def __init__(
        self,
        account: AccountPlan,
        approved: ApprovedPlan,
        session: WriteSession,
        run: Run,
        credential: _Credential,
    ) -> None:
        self._changes = list(account.changes)
        self._places = {id(change): place for place, change in enumerate(account.changes)}
        self._dependencies = Dependencies(account.changes)
        self._approved = approved
        self._watch = approved.watch(account)
        self._keys = {key.id: key for key in account.actual}
        self._reader = session.reader(account.account, run.stop)
        self._writer = session.writer(account.account, run.stop)
        self._run = run
        self._slots = asyncio.Semaphore(CHANGES_AT_ONCE)
        self._credential = credential
        self._refusals = credential.refusals(account.account)

    async def changes(self) -> tuple[Change, ...]:
        """Make what is planned, wave by wave, and give every change with its outcome."""
        for wave in waves(change for change in tuple(self._changes) if change.applicable):
            await asyncio.gather(*map(self._make, wave))
        return tuple(self._changes)

    async def _make(self, change: Change) -> None:
        async with self._slots:
            ended = await self._attempt(change)
        place = self._places[id(change)]
        self._changes[place] = ended
        if ended.outcome is Outcome.APPLIED:
            self._refusals.succeed()
        try:
            self._run.observe(self._event(ended))
        except Exception as error:  # noqa: BLE001 # what was done stays done, but nothing more that is not recorded
            self._credential.closed = f"what was done can no longer be recorded: {error}"
            self._changes[place] = ended.ended(ended.outcome, f"{ended.reason or ended.outcome}; not recorded: {error}")

    def _event(self, ended: Change) -> ChangeApplied | ChangeFailed | ChangeSkipped:
        if ended.outcome is Outcome.APPLIED:
            return ChangeApplied(self._run.run_id, ended)
        if ended.outcome.may_be_retried:
            return ChangeFailed(self._run.run_id, ended)
        return ChangeSkipped(self._run.run_id, ended)

    async def _attempt(self, change: Change) -> Change:
        """Ask what must be asked, and write."""
        key_id, _ = _target(change)
        try:
            return self._held(change) or await self._write(change, key_id)
        except _Ended as ended:
            return ended.change
        except ReconcilerError as error:
            return change.ended(Outcome.FAILED, str(error))

    def _held(self, change: Change) -> Change | None:
        """Say why the change must not be sent now, or None; it is asked right before a write, without a pause."""
        if self._run.stop.requested.is_set():
            return change.ended(Outcome.FAILED, self._run.stop.reason)
        if overtaken := self._overtaken(change):
            return overtaken
        # What switches a key off is tried even then: a leak must not stay open for what other keys were answered.
        if closed := self._credential.closed or (None if change.switches_off else self._refusals.verdict):
            return change.ended(Outcome.FAILED, f"not sent, since the account refused another request: {closed}")
        for provider in self._dependencies.of(change):
            current = self._changes[self._places[id(provider)]]
            if current.outcome not in (Outcome.APPLIED, Outcome.PLANNED):
                return change.ended(Outcome.SKIPPED, skip_reason(current, change))
        if objection := self._watch.objection(change, partial(self._others, change)):
            return change.ended(Outcome.REFUSED, f"{objection.guardrail}: {objection.message}")
        return None

    def _overtaken(self, change: Change) -> Change | None:
        """Say what came after the pass began and forbids the change now: newer files, a change window; or None."""
        if self._run.superseded(change.account):
            return change.ended(Outcome.STALE, "the files say something else by now; the next pass goes by that")
        paused = (frozen(change, self._approved.consent.freezes(now)) for now in self._times())
        return next(filter(None, paused), None)

    def _times(self) -> Iterator[datetime]:
        """Give the time of the pass and what has gone by since it began, and the time of day where that counts, too."""
        yield self._approved.now + timedelta(seconds=asyncio.get_running_loop().time() - self._run.began)
        if self._run.clock:
            yield self._run.clock()

    def _others(self, change: Change) -> Iterable[RemoteKey]:
        return (key for key_id, key in self._keys.items() if key_id != change.key_id)

    async def _write(self, change: Change, key_id: str) -> Change:
        """Write, and compare what the account says then with what was asked."""
        try:
            seen = await self._send(change, key_id)
        except NotFound:
            return self._gone(change, key_id)
        except (Rejected, Forbidden, Unauthorized) as error:
            return await self._refused(change, key_id, error)
        self._keys[key_id] = seen
        if _as_asked(change, seen):
            return change.ended(Outcome.APPLIED)
        failed = change.ended(Outcome.FAILED, f"the account's answer is not what was asked: {_shown(change, seen)}")
        return replace(failed, written=tuple(change.fields.diffs), seen=seen)

    async def _send(self, change: Change, key_id: str) -> RemoteKey:
        """Send the PUT; where its answer was lost, look what it did, and send it again only if it did nothing.

        `Rejected`, `Forbidden`, `Unauthorized`: nothing was written. Source: AhaSend answers 400 to a PUT that changes
        nothing, so one that is sent again although the first took effect after all looks refused.
        """
        failure = ""
        for attempt in range(WRITE_ATTEMPTS):
            if attempt:
                await self._rest(_FIRST_PAUSE * 2**attempt)
            if failure and self._run.stop.requested.is_set():
                raise NotWritten(f"{self._run.stop.reason}; {_UNCHANGED} after: {failure}")
            try:
                return await self._writer.update_key(
                    key_id, change.fields, first=partial(self._last_look, change, key_id, failure)
                )
            except (Rejected, Forbidden, Unauthorized) as error:
                if not failure:
                    raise
                failure = error.message
            except _AMBIGUOUS as error:
                failure = error.message
            seen = await self._look(key_id, failure)
            if not seen.same_access(_target(change)[1]):
                return seen
        raise NotWritten(f"{failure}; tried {WRITE_ATTEMPTS} times, {_UNCHANGED}")

    async def _last_look(self, change: Change, key_id: str, failure: str) -> None:
        """Read the key right before its PUT is sent, and ask again what must be asked; `_Ended` forbids the PUT.

        A revocation counts as made from here on, until it is known that nothing was written; what is granted does not
        count until it was seen.
        """
        try:
            seen = await self._reader.get_key(key_id)
        except NotFound:
            raise _Ended(self._gone(change, key_id)) from None
        except ReconcilerError as error:
            self._credential.note(change, error)
            raise _Ended(change.ended(Outcome.FAILED, str(error))) from None
        if failure and _as_asked(change, seen):
            self._keys[key_id] = seen
            raise _Ended(change.ended(Outcome.APPLIED))
        if not seen.same_access(_target(change)[1]):
            self._keys[key_id] = seen
            stale = change.ended(Outcome.STALE, "the key changed after it was listed; the next pass looks again")
            raise _Ended(replace(stale, seen=seen))
        if used := self._approved.in_use(change, seen):
            raise _Ended(change.ended(Outcome.REFUSED, f"in-use: {used}"))
        if held := self._held(change):
            raise _Ended(held)
        self._announce(change)
        if change.after and (change.access.networks.revoked or change.access.scopes.revoked):
            self._keys[key_id] = _certain(change, seen, change.after)

    def _announce(self, change: Change) -> None:
        """Tell the observer that a write begins; whatever it raises forbids the write."""
        try:
            self._run.observe(ChangeStarted(self._run.run_id, change))
        except Exception as error:  # noqa: BLE001 # whatever keeps a write from being recorded forbids it
            reason = f"not written, since the write could not be recorded: {error}"
            raise _Ended(change.ended(Outcome.FAILED, reason)) from None

    async def _refused(self, change: Change, key_id: str, error: ReconcilerError) -> Change:
        """Say why nothing was written, and whether to go on in this account.

        A 401 says that the credential is of no use any more, but for what `Refusals` tells.
        """
        _, self._keys[key_id] = _target(change)
        if isinstance(error, Rejected) and change.switches_off and (change.fields.label or change.fields.scopes):
            return await self._switch_off_alone(change, key_id, error)
        self._credential.note(change, error)
        if not isinstance(error, Rejected):
            return change.ended(Outcome.FAILED, str(error))
        return replace(change.ended(Outcome.FAILED, change.asked_for(str(error))), rejected=str(error))

    async def _switch_off_alone(self, change: Change, key_id: str, refused: Rejected) -> Change:
        """Fence a key although the rest of its change was refused: a leak must not stay open for a label or a scope."""
        fence = replace(change, fields=Fields(ip_allow_list=change.fields.ip_allow_list))
        try:
            seen = await self._send(fence, key_id)
        except NotFound:
            return self._gone(change, key_id)
        except _Ended as ended:
            # It speaks of the fence alone, and what is reported is the whole change.
            if ended.change.outcome is not Outcome.APPLIED:
                told = f"{ended.change.reason}; before that it was refused: {refused}"
                return replace(change.ended(ended.change.outcome, told), seen=ended.change.seen)
            seen = self._keys[key_id]
        self._keys[key_id] = seen
        told = "was switched off" if seen.ip_allow_list.fenced else f"now has {_shown(fence, seen)}"
        failed = change.ended(Outcome.FAILED, f"the key {told}; the rest of the change was refused: {refused}")
        return replace(failed, written=tuple(fence.fields.diffs), seen=seen)

    def _gone(self, change: Change, key_id: str) -> Change:
        self._keys.pop(key_id, None)
        return change.ended(Outcome.STALE, "the key was deleted after it was listed; the next pass looks again")

    async def _look(self, key_id: str, failure: str) -> RemoteKey:
        """Read what a write did whose answer was lost; not to know is a failure, never a guess."""
        try:
            return await self._reader.get_key(key_id, patient=True)
        except NotFound:
            raise
        except ReconcilerError as error:
            raise NotWritten(
                f"{failure}; whether it was written is not known, since the key could not be read afterwards: "
                f"{error.message}",
                hint="the next pass reads the key and repairs what differs",
            ) from error

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._run.stop.requested.wait(), seconds)


def _target(change: Change) -> tuple[str, RemoteKey]:
    """Give the id of the key to write to, and the key as it was listed; a planned change that lacks them is a bug."""
    if change.key_id is None or change.before is None:
        raise RuntimeError(f"the change of {change.title} is planned but names no key")
    return change.key_id, change.before


def _certain(change: Change, before: RemoteKey, after: RemoteKey) -> RemoteKey:
    """Give what a key may do for certain while it is being changed: what it had before and will have after."""
    granted = {*change.access.networks.granted}
    kept = tuple(text for text in after.ip_allow_list.networks if text not in granted)
    networks = before.ip_allow_list if after.ip_allow_list.anywhere else AllowList(kept) if kept else FENCED
    scopes = ScopeSet(tuple(scope for scope in after.scopes if before.scopes.covers(scope)))
    return replace(after, scopes=scopes, ip_allow_list=networks)


def _as_asked(change: Change, seen: RemoteKey) -> bool:
    """Tell whether every field that was sent reads back as it was wanted."""
    wanted, fields = change.after, change.fields
    return wanted is not None and (
        (fields.label is None or seen.label == wanted.label)
        and (fields.scopes is None or seen.scopes.equivalent(wanted.scopes))
        and (fields.ip_allow_list is None or seen.ip_allow_list.equivalent(wanted.ip_allow_list))
    )


def _shown(change: Change, seen: RemoteKey) -> str:
    """Name the fields that were sent, as the account has them."""
    fields = change.fields
    parts = (
        f"label {seen.label!r}" if fields.label else "",
        f"scopes {', '.join(seen.scopes.texts) or 'none'}" if fields.scopes else "",
        f"ip_allow_list {', '.join(seen.ip_allow_list.shown)}" if fields.ip_allow_list else "",
    )
    return "; ".join(filter(None, parts))
