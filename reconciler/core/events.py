"""What happens during a pass, as frozen values given to one observer as they happen.

Logs, metrics, progress and the trail consume them. ``ChangeStarted`` comes before each write, and an observer that
raises then forbids the write.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.changes import Change
from reconciler.core.findings import Finding
from reconciler.core.guardrails import Refusal
from reconciler.core.keys import AccountRef
from reconciler.core.report import Mode, Report
from reconciler.errors import Problem


class Trigger(StrEnum):
    """Why a pass of the daemon begins."""

    START = "start"
    SCHEDULE = "schedule"
    FILES = "files"
    SIGNAL = "signal"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class PassStarted:
    """A pass begins; ``number`` counts the passes of this process from 1.

    ``trigger`` is None where a person or a CronJob made it. ``config_age`` is None but where newer files do not load:
    then it is how many seconds ago those were loaded that are in force. ``desired`` is how many keys the files name for
    accounts; how many they mean in sub accounts is not known before. ``shard`` is None where all accounts are meant.
    """

    run_id: str
    mode: Mode
    number: int
    trigger: Trigger | None = None
    config_age: float | None = None
    desired: int | None = None
    shard: str | None = None


@dataclass(frozen=True, slots=True)
class AccountListed:
    """All keys of an account were read, or could not be (``error``); ``name`` is a sub account's.

    Those of a ``suspended`` sub account are left alone.
    """

    run_id: str
    account: AccountRef
    keys: int
    error: str | None = None
    name: str | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class ListingProgressed:
    """So many ``keys`` of an account were listed, and more follow: an account with few keys never comes to this."""

    account: AccountRef
    keys: int


@dataclass(frozen=True, slots=True)
class SubAccountsListed:
    """All sub accounts of an account were listed; of ``selected`` ones the keys are read."""

    run_id: str
    account: AccountRef
    sub_accounts: int
    selected: int


@dataclass(frozen=True, slots=True)
class VariableMisspelt:
    """An environment variable means nothing, and was probably to be the one that is ``meant``."""

    variable: str
    meant: str


@dataclass(frozen=True, slots=True)
class FindingRaised:
    """A rule is broken."""

    run_id: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class PlanComputed:
    """The plan stands, with the guardrails' verdicts."""

    run_id: str
    digest: str | None
    changes: int
    applicable: int


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """A guardrail refused something."""

    run_id: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class ChangeStarted:
    """A write is about to be sent; raising here forbids it."""

    run_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class ChangeApplied:
    """The account was seen to be as the change wanted it."""

    run_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class ChangeFailed:
    """A change failed or was stale; its reason says why."""

    run_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class ChangeSkipped:
    """A change was held back or paused; its reason says why."""

    run_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """A request met a passing fault and is sent again in ``wait`` seconds; ``attempt`` counts from 1."""

    account_id: str
    method: str
    error: str
    attempt: int
    wait: float


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """A request that was begun is over, whether or not anybody still waited for it.

    ``status`` is None where no answer came, or none that could be taken. ``seconds`` are those from its beginning to
    its end; ``waited`` are those before, in which it had to wait for the account's pace.
    """

    account_id: str
    method: str
    status: int | None
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True)
class PassFinished:
    """A pass ended with this report."""

    run_id: str
    report: Report
    seconds: float


@dataclass(frozen=True, slots=True)
class ReportDropped:
    """The report of a pass was not written, since the one before still is: nobody reads where it goes."""

    run_id: str


@dataclass(frozen=True, slots=True)
class PassFailed:
    """A pass of the daemon ended in an error that nobody foresaw: a bug. ``where`` is a place in the code."""

    run_id: str
    error: str
    where: str


@dataclass(frozen=True, slots=True)
class ConfigRejected:
    """The files or settings do not load; those of ``in_force_age`` seconds ago stay in force, None: there are none."""

    problems: tuple[Problem, ...]
    message: str
    in_force_age: float | None = None


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """Files that say something else than before, or had been rejected, were loaded."""

    accounts: int
    keys: int


@dataclass(frozen=True, slots=True)
class DaemonStarted:
    """The daemon makes its first pass, and then waits for its schedule; ``listen`` is where it answers, if it does."""

    schedule: str
    mode: Mode = Mode.APPLY
    listen: str | None = None


@dataclass(frozen=True, slots=True)
class DaemonFaulted:
    """Something beside the passes went wrong, a bug: it is begun anew. ``where`` is as in `PassFailed`."""

    error: str
    where: str


@dataclass(frozen=True, slots=True)
class NotificationSent:
    """A message was delivered to ``address``: what was new, what was over, and what was told once more, in numbers."""

    address: str
    news: int
    over: int
    reminders: int


@dataclass(frozen=True, slots=True)
class NotificationFailed:
    """A message was not delivered, or an address cannot be used: then there is no ``wait`` until the next attempt.

    ``attempt`` counts from 1 since the last delivery; ``error`` is in words of ours and holds nothing of the address.
    """

    address: str
    error: str
    attempt: int
    wait: float | None


@dataclass(frozen=True, slots=True)
class DaemonStopped:
    """The daemon ends; ``passes`` it has made."""

    reason: str
    passes: int


Event = (
    PassStarted
    | AccountListed
    | ListingProgressed
    | SubAccountsListed
    | VariableMisspelt
    | FindingRaised
    | PlanComputed
    | PlanRefused
    | ChangeStarted
    | ChangeApplied
    | ChangeFailed
    | ChangeSkipped
    | RequestRetried
    | RequestEnded
    | PassFinished
    | ReportDropped
    | PassFailed
    | ConfigRejected
    | ConfigReloaded
    | DaemonStarted
    | DaemonFaulted
    | NotificationSent
    | NotificationFailed
    | DaemonStopped
)
Observer = Callable[[Event], None]


def tell_all(*observers: Observer) -> Observer:
    """Give one observer for several, told in their order.

    One that forbids a write ends the telling of it; what has happened is told to all, and then the first error raised.
    """

    def observe(event: Event) -> None:
        errors: list[Exception] = []
        for each in observers:
            try:
                each(event)
            except Exception as error:
                if isinstance(event, ChangeStarted):
                    raise
                errors.append(error)
        if errors:
            raise errors[0]

    return observe
