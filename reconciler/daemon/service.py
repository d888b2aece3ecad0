"""One worker that makes passes, woken by a schedule, by files that change, by a signal or by a request."""

import asyncio
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from reconciler.ahasend.pace import Stop, unless
from reconciler.core import departures
from reconciler.core.events import (
    ConfigRejected,
    ConfigReloaded,
    DaemonFaulted,
    DaemonStarted,
    DaemonStopped,
    Observer,
    PassFailed,
    ReportDropped,
    Trigger,
)
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import Limits
from reconciler.core.keys import (
    EVERY_SUB_ACCOUNT,
    DesiredAccount,
    DesiredState,
    KeySpec,
    Source,
    UnmanagedRule,
)
from reconciler.core.memory import Memory
from reconciler.core.report import AccountStatus, Report
from reconciler.core.subjects import span
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.status import AccountRead, Progress, Rejection
from reconciler.daemon.watch import Watch
from reconciler.errors import FilesError, Interrupted, Problem, ReconcilerError
from reconciler.files.looks import LOADS_AT_MOST, Looks, keep_changing
from reconciler.reconcile import PassInputs, run_pass

CLOCK_LOOKS: Final = 5.0
CLOCK_JUMP: Final = 2.0
"""Seconds that the clock may be corrected by within `CLOCK_LOOKS`; by more, and the schedule is made anew."""
LAST_WAIT: Final = 1.0
"""Seconds that the end waits for what stands beside the passes."""
LONGEST_DELIVERY: Final = 10.0
"""Seconds that passes wait for a report to be written; where nobody reads it, it may take for ever."""
MOMENT: Final = 0.1
"""Seconds after which what should be over by now is."""
BEGUN_ANEW: Final = 10.0
"""Seconds after which what stands beside the passes is begun anew where it ended in an error."""
_NOWHERE: Final = Source("", 0, 0)
_ASKED: Final = "asked to stop"
_GONE: Final = "was there before, and is gone: put it back, or start anew without it; no pass is made without its rules"
_URGENT: Final = (Trigger.REQUEST, Trigger.SIGNAL, Trigger.FILES, Trigger.START, Trigger.SCHEDULE)


class Service:
    """Makes passes, one after another: one at once, then one whenever it is woken.

    Nothing is ever dropped or cancelled: however often it is woken while a pass is under way, that makes one pass
    afterwards. Files that do not load, or change while they are loaded, leave those in force that loaded last.
    ``seconds`` is how long the last pass took.
    """

    def __init__(
        self, schedule: Schedule, load: Callable[[], PassInputs], deliver: Callable[[Report], None], watch: Watch
    ) -> None:
        self._schedule = schedule
        self._load = load
        self._deliver = deliver
        self._watch = watch
        self._due: set[Trigger] = {Trigger.START}
        self._woken = asyncio.Event()
        self._woken.set()
        self._rejected: Rejection | None = None
        self._loaded_at: datetime | None = None
        self._since: float | None = None
        self.seconds = 0.0
        self._delivery: asyncio.Task[None] | None = None
        self._going: PassInputs | None = None
        self._comparing: asyncio.Task[None] | None = None
        self._overtaken: frozenset[str] = frozenset()
        self._looks = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._job: Job | None = None
        self._reads: dict[tuple[str, str | None], AccountRead] = {}

    @property
    def progress(self) -> Progress:
        """What was done so far."""
        return Progress(self._loaded_at, self._age, self._rejected, tuple(self._reads.values()))

    @property
    def next_at(self) -> datetime | None:
        """When the schedule lets the next pass begin; None: it has not begun itself."""
        return None if self._job is None else self._job.next_run_time

    @property
    def _age(self) -> float | None:
        """How many seconds ago what is in force was loaded; None: nothing was yet."""
        return None if self._since is None else asyncio.get_running_loop().time() - self._since

    def wake(self, trigger: Trigger) -> None:
        """Let a pass begin as soon as none is under way; to be called from within the loop."""
        self._due.add(trigger)
        self._woken.set()

    async def run(self, stop: Stop, observe: Observer, listen: str | None = None) -> None:
        """Make passes until asked to stop; ``listen`` is the address to tell, if there is one.

        Raises:
            ReconcilerError: what the first pass needs does not load. Later, that is reported, and tried again.
        """
        try:
            in_force = self._takes_force(await self._loaded(stop))
        except Interrupted:
            observe(DaemonStopped(_ASKED, 0))
            return
        scheduler = AsyncIOScheduler(timezone=UTC)
        # Jobs only wake: one that is late is not dropped, and there is nothing to be cancelled.
        options = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._job = job = scheduler.add_job(self._on_schedule, self._schedule.fresh(), **options)
        scheduler.start()
        observe(DaemonStarted(self._schedule.words, in_force.mode, listen))
        beside = [
            asyncio.create_task(_for_ever(lambda: self._watch.run(lambda: self._files_changed(stop)), observe)),
            asyncio.create_task(_for_ever(lambda: self._mind_the_clock(job), observe)),
        ]
        memory, reason = Memory(), "an error"
        try:
            while trigger := await self._next(stop):
                if trigger is not Trigger.START:
                    in_force = await self._renewed(in_force, stop, observe)
                if stop.requested.is_set():
                    break
                memory = await self._pass(self._due_inputs(in_force, trigger), memory, stop)
            reason = _ASKED
        except Interrupted:  # while files were loaded: nothing was begun
            reason = _ASKED
        finally:
            scheduler.shutdown(wait=False)
            for task in beside:
                task.cancel()
            await asyncio.wait(beside, timeout=LAST_WAIT)
            observe(DaemonStopped(reason, memory.passes))

    # What wakes it

    async def _on_schedule(self) -> None:
        self.wake(Trigger.SCHEDULE)

    async def _next(self, stop: Stop) -> Trigger | None:
        """Wait until a pass is due, and say why it is; None when asked to stop."""
        with suppress(Interrupted):
            await unless(stop.requested, self._woken.wait())
        if stop.requested.is_set():
            return None
        trigger = next(each for each in _URGENT if each in self._due)
        self._due.clear()
        self._woken.clear()
        return trigger

    def _files_changed(self, stop: Stop) -> None:
        """Let a pass begin, and find out whether the one under way is overtaken."""
        self.wake(Trigger.FILES)
        if self._going is not None:
            self._looks += 1
            self._comparing = asyncio.create_task(self._compare(self._going, self._looks, stop))

    async def _compare(self, going: PassInputs, look: int, stop: Stop) -> None:
        """Find out of which accounts files say something else than a pass goes by; what does not load says nothing."""
        with suppress(Exception):  # the next pass meets the same, and tells of it
            overtaken = await stop.unless_requested(lambda: _overtaken(going, self._load()))
            if self._going is going and look == self._looks:
                self._overtaken = overtaken

    async def _mind_the_clock(self, job: Job) -> None:
        """Make the schedule anew, and a pass, when the clock is set: else that would wait for times that are gone."""
        loop = asyncio.get_running_loop()
        ahead = datetime.now(UTC).timestamp() - loop.time()
        while True:
            await asyncio.sleep(CLOCK_LOOKS)
            now_ahead = datetime.now(UTC).timestamp() - loop.time()
            if abs(now_ahead - ahead) > CLOCK_JUMP:
                job.reschedule(self._schedule.fresh())
                self.wake(Trigger.SCHEDULE)
            ahead = now_ahead

    # What it goes by

    async def _loaded(self, stop: Stop) -> PassInputs:
        """Load files and settings once they rest; what changes while it is read is read again."""
        for _ in range(LOADS_AT_MOST):
            looks = await unless(stop.requested, self._watch.settled())
            self._watch.known = looks
            try:
                inputs = await stop.unless_requested(self._load)
            except Interrupted:
                raise
            except ReconcilerError:
                if await self._stands(looks):
                    raise
                continue
            if await self._stands(looks):
                # The watch may have told of what was loaded just now.
                self._due.discard(Trigger.FILES)
                if not self._due:
                    self._woken.clear()
                return inputs
        raise keep_changing()  # the next change is waited for

    async def _stands(self, looks: Looks) -> bool:
        return await self._watch.looks() == looks

    async def _renewed(self, before: PassInputs, stop: Stop, observe: Observer) -> PassInputs:
        """Load anew; give what was in force before where that fails, with a finding that says so.

        Raises:
            Interrupted: asked to stop meanwhile.
        """
        try:
            inputs = await self._loaded(stop)
            _check_policies(before, inputs)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 # a file that meets a bug of ours is no reason to end either
            if not isinstance(error, ReconcilerError):
                observe(DaemonFaulted(*told(error)))
                error = ReconcilerError(f"files and settings could not be loaded: {type(error).__name__}")
            observe(self._reject(error))
            return before
        if self._rejected or _says(inputs) != _says(before):
            observe(ConfigReloaded(len(inputs.desired.accounts), inputs.desired.named))
        return self._takes_force(inputs)

    def _takes_force(self, inputs: PassInputs) -> PassInputs:
        self._rejected = None
        self._loaded_at, self._since = datetime.now(UTC), asyncio.get_running_loop().time()
        # At the start nothing is known, and nothing is ready; who comes later has time until it is read.
        since = self._loaded_at if self._reads else None
        self._reads = _known(self._reads, inputs.desired, since)
        return inputs

    def _reject(self, error: ReconcilerError) -> ConfigRejected:
        """Note that something newer does not load than what is in force; give the event of it."""
        since = self._rejected.at if self._rejected else datetime.now(UTC)
        problems = error.problems if isinstance(error, FilesError) else ()
        message = "the files do not load" if isinstance(error, FilesError) else error.message
        hint = "`reconciler validate` tells all that is wrong" if isinstance(error, FilesError) else error.hint
        self._rejected = Rejection(since, message, problems, hint)
        shown = f"{message}; {hint}" if hint and not problems else message
        return ConfigRejected(problems, shown, None if self._age is None else round(self._age, 3))

    def _due_inputs(self, in_force: PassInputs, trigger: Trigger) -> PassInputs:
        """Give what one pass needs: what is in force, with a name and a time of its own."""
        inputs = replace(
            in_force,
            run_id=uuid.uuid4().hex,
            began=datetime.now(UTC),
            trigger=trigger,
            superseded=lambda account: account.account_id in self._overtaken,
        )
        if self._rejected is None or (age := self._age) is None:
            return inputs
        message = f"{self._rejected.message}: what was loaded {span(timedelta(seconds=age))} ago stays in force"
        finding = Finding("config-rejected", Severity.WARN, message, self._rejected.hint)
        return replace(inputs, notes=(finding, *inputs.notes), config_age=age)

    # What it does

    async def _pass(self, inputs: PassInputs, memory: Memory, stop: Stop) -> Memory:
        """Make one pass; what goes wrong in it, whatever it is, is told, and is no reason to end."""
        clock = asyncio.get_running_loop().time
        began, before = clock(), memory.passes
        self._going, self._overtaken = inputs, frozenset()
        try:
            report, memory = await run_pass(inputs, datetime.now(UTC), memory)
            self._reads = _read(self._reads, report, datetime.now(UTC))
            self.seconds = clock() - began
            self._set_alarm(departures.first_end(memory.named))
            await unless(stop.abandoned, self._hand_over(report, inputs.observe))
        except Interrupted:
            pass
        except ReconcilerError as error:  # a setting that shows to be wrong only now, as that of a proxy
            inputs.observe(self._reject(error))
        except Exception as error:  # noqa: BLE001 # a bug must not keep all accounts from being looked at for ever
            inputs.observe(PassFailed(inputs.run_id, *told(error)))
        finally:
            self._going = None
        return replace(memory, passes=before + 1)

    def _set_alarm(self, moment: float | None) -> None:
        """Let a pass begin at a moment of the loop's clock, at which a key is spared no more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if moment is not None:
            self._alarm = asyncio.get_running_loop().call_at(moment + MOMENT, self.wake, Trigger.SCHEDULE)

    async def _hand_over(self, report: Report, observe: Observer) -> None:
        """Let a report be written: in a thread, since a large one takes seconds, and somebody may ask meanwhile."""
        if self._delivery is not None and not self._delivery.done():
            observe(ReportDropped(report.run_id))
            return
        self._delivery = asyncio.create_task(asyncio.to_thread(self._deliver, report))
        done, _ = await asyncio.wait({self._delivery}, timeout=LONGEST_DELIVERY)
        if done:
            self._delivery.result()


async def _for_ever(work: Callable[[], Awaitable[None]], observe: Observer) -> None:
    """Begin work anew whenever it ends in an error: without it nobody would notice what it looks after."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 # whatever it was, it is told
            observe(DaemonFaulted(*told(error)))
        await asyncio.sleep(BEGUN_ANEW)


_Reads = dict[tuple[str, str | None], AccountRead]


def _known(reads: _Reads, desired: DesiredState, since: datetime | None) -> _Reads:
    """Keep what is known of the accounts that files name; new ones are known ``since`` a time."""
    named = {account.account.account_id for account in desired.accounts}
    kept = {place: read for place, read in reads.items() if place[0] in named}
    new: _Reads = {(each, None): AccountRead(each, known_since=since) for each in sorted(named)}
    return {**new, **kept}


def _read(reads: _Reads, report: Report, now: datetime) -> _Reads:
    """Learn from a report which accounts were read; a sub account that it does not have is not there any more.

    Where the list of an account's sub accounts was not read, nothing new is known of them.
    """
    learnt: _Reads = {}
    for account in report.accounts:
        place = account.account_id, account.sub_account_id
        before = reads.get(place) or AccountRead(*place, known_since=now)
        failed = account.status is AccountStatus.FAILED
        learnt[place] = replace(before, error=account.error) if failed else replace(before, read_at=now, error=None)
    unread = {place[0] for place in learnt if learnt[place].error and place[1] in (None, EVERY_SUB_ACCOUNT)}
    return {**{place: read for place, read in reads.items() if place[0] in unread}, **learnt}


def _says(inputs: PassInputs) -> tuple[object, ...]:
    """Give what files say, to tell whether they say something else."""
    return inputs.desired, inputs.policy.digest, inputs.consent


def _overtaken(going: PassInputs, newer: PassInputs) -> frozenset[str]:
    """Give the accounts of a pass of which newer files ask for something else, wherever in them that stands.

    Raises:
        FilesError: a policy is gone from the newer files.
    """
    _check_policies(going, newer)
    # Of the same policy the limits are the same, but for their places.
    allowed, allows = (replace(inputs.consent, limits=Limits()) for inputs in (going, newer))
    judged_anew = (going.policy.digest, allowed) != (newer.policy.digest, allows)
    asks = {each.account.account_id: _asks(each) for each in newer.desired.accounts}
    return frozenset(
        each.account.account_id
        for each in going.desired.accounts
        if judged_anew or _asks(each) != asks.get(each.account.account_id)
    )


def _asks(desired: DesiredAccount) -> tuple[object, ...]:
    """Give what files ask for, without the places where they do, and without descriptions."""
    rules = tuple((rule.select, _keys(rule.keys), _sourceless(rule.unmanaged)) for rule in desired.sub_accounts)
    return desired.account, _keys(desired.keys), _sourceless(desired.unmanaged), rules, desired.reserved


def _keys(specs: Iterable[KeySpec]) -> tuple[KeySpec, ...]:
    return tuple(replace(spec, source=_NOWHERE, description="") for spec in specs)


def _sourceless(rule: UnmanagedRule | None) -> UnmanagedRule | None:
    return None if rule is None else replace(rule, source=None)


def _check_policies(before: PassInputs, now: PassInputs) -> None:
    """Refuse files from which a policy is missing that was in force, if anything of it is: nobody would miss that.

    Raises:
        FilesError: naming each.
    """
    gone = sorted(before.policy_files - now.policy_files)
    fewer = len(now.policy_files) < len(before.policy_files)
    if gone and (_demands(before) - _demands(now) or (fewer and _limits_differ(before, now))):
        raise FilesError(tuple(Problem(name, 0, 0, _GONE) for name in gone))


def _demands(inputs: PassInputs) -> set[object]:
    """Give the rules, requirements and change windows of a policy, whatever file they stand in."""
    limits = inputs.consent.limits
    required = {(each.scope.text, each.account, each.sub_account) for each in limits.require}
    windows = {(replace(each.terms, source=None), each.times) for each in limits.windows}
    return {*(rule.id for rule in inputs.policy.rules), *required, *windows}


def _limits_differ(before: PassInputs, now: PassInputs) -> bool:
    """Tell whether guardrails are others than before."""
    was, are = (replace(inputs.consent.limits, require=(), windows=()) for inputs in (before, now))
    return was != are


def told(error: Exception) -> tuple[str, str]:
    """Say what an error is that nobody foresaw, and the place in the code that it came from."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}", f"{place.name}:{place.lineno}"
