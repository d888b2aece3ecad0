"""What the daemon answers over HTTP: whether it does its work, metrics, a pass on request, and how keys are."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, TypeVar

from reconciler.cli.masking import Mask
from reconciler.cli.wiring import Secrets, Wiring
from reconciler.core.events import Observer, Trigger
from reconciler.core.inventory import rfc3339
from reconciler.core.report import Mode, Report
from reconciler.core.status import Readiness, Status
from reconciler.daemon.address import Address
from reconciler.daemon.chronicle import Chronicle, Plans
from reconciler.daemon.past import read_past
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.segments import stamp
from reconciler.daemon.service import Service
from reconciler.daemon.status import judge_readiness
from reconciler.errors import UsageError
from reconciler.files.commits import Commits
from reconciler.metrics import Metrics
from reconciler.settings import web_token

if TYPE_CHECKING:
    from reconciler.daemon.audience import Audience
    from reconciler.daemon.maker import Maker
    from reconciler.daemon.shown import Draws, Pages, Showcase, Shown
    from reconciler.daemon.trail import Trail

INTERVALS = 3
"""An account that was not read for so many intervals is not looked after."""
GRACE = timedelta(seconds=5)
"""What a pass may take longer than the last one."""


class Token:
    """The token that requests for a pass must bear, as it is now; every one that ever was is masked."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def __call__(self) -> str | None:
        """Give it, None where nobody may ask: also where it could be guessed."""
        with suppress(UsageError):
            return self.read()
        return None

    def read(self) -> str | None:
        """Give it, None where there is none.

        Raises:
            UsageError: it could be guessed.
        """
        token = web_token()
        if token:
            self._secrets.hide(token)
        return token


@dataclass(frozen=True, slots=True)
class Look:
    """Where the daemon listens, and who may see keys there, by which names, as the options say it."""

    listen: Address
    page: str = "local"
    hosts: tuple[str, ...] = ()

    @property
    def audience(self) -> "Audience":
        """Give the same as the endpoints take it."""
        from reconciler.daemon.audience import Audience, PageFor

        own = self.listen.host.lower().removesuffix(".")
        return Audience(PageFor(self.page), frozenset({own, *self.hosts}))


def make_chronicle(
    schedule: Schedule, commits: Commits, trail: "Trail | None", tell: Observer, *, dry_run: bool
) -> Chronicle:
    """Give the observer that keeps what there is to show; what was before the daemon began it takes from its trail."""
    plans = Plans(Mode.PLAN if dry_run else Mode.APPLY, schedule.words)
    return Chronicle(plans, commits, _now, tell, read_past(trail.path) if trail else None)


def due(schedule: Schedule, seconds: float, read_at: datetime) -> datetime:
    """Give until when an account must be read again: three beginnings later, and as long as a pass takes."""
    return schedule.after(read_at, INTERVALS) + schedule.jitter + timedelta(seconds=seconds) + GRACE


@dataclass(frozen=True, slots=True)
class Site:
    """The daemon's web server with all that it answers."""

    look: Look
    schedule: Schedule
    wiring: Wiring
    metrics: Metrics
    token: Token
    chronicle: Chronicle

    @asynccontextmanager
    async def open(self, service: Service) -> AsyncIterator[Address]:
        """Answer over HTTP while the block lasts; give the address."""
        from reconciler.daemon.endpoints import Handlers, application
        from reconciler.daemon.maker import Maker
        from reconciler.daemon.web import Web

        readiness = Momentary(self.chronicle, partial(self._readiness, service))
        maker = Maker()
        handlers = Handlers(
            readiness,
            self.metrics.exposition,
            partial(service.wake, Trigger.REQUEST),
            self.token,
            self._showcase(partial(self._status, service, readiness), maker),
        )
        web = Web(application(handlers), self.look.listen.host, self.look.listen.port)
        try:
            yield await web.start()
        finally:
            await web.stop()
            maker.end()

    def _readiness(self, service: Service) -> Readiness:
        trail = self.wiring.trail
        progress = replace(service.progress, trail=trail.problem if trail else None)
        in_time = partial(due, self.schedule, service.seconds)
        return judge_readiness(progress, _now(), in_time, tuple(self.wiring.secrets()))

    def _showcase(self, status: Callable[[], Status], maker: "Maker") -> "Showcase":
        from reconciler.daemon.shown import Showcase
        from reconciler.render.board import POLICY

        documents = Documents(self.chronicle, self.wiring.secrets, status)
        return Showcase(self.look.audience, documents.status, documents.report, documents.pages, POLICY, maker)

    def _status(self, service: Service, readiness: Callable[[], Readiness]) -> Status:
        next_at = service.next_at
        return self.chronicle.status(readiness(), rfc3339(next_at) if next_at else None)


Worked = TypeVar("Worked")


class Momentary(Generic[Worked]):
    """Gives what was worked out within the same second, unless something happened since: however many ask."""

    def __init__(self, chronicle: Chronicle, work_out: Callable[[], Worked]) -> None:
        self._chronicle = chronicle
        self._work_out = work_out
        self._last: tuple[tuple[str, int], Worked] | None = None

    def __call__(self) -> Worked:
        """Give it."""
        moment = _now().isoformat(timespec="seconds"), self._chronicle.revision
        if self._last is None or self._last[0] != moment:
            self._last = moment, self._work_out()
        return self._last[1]


class Documents:
    """Status, report and pages of a daemon, to be made when somebody asks; no secret is in them.

    However many ask within a second, they are told the same.
    """

    def __init__(self, chronicle: Chronicle, secrets: Secrets, now: Callable[[], Status]) -> None:
        self._chronicle = chronicle
        self._secrets = secrets
        self._current = Momentary(chronicle, now)
        self._process = uuid.uuid4().hex

    def status(self) -> "Shown":
        """Give the status as it is now; its tag is about all of it but times that go on by themselves."""
        from reconciler.daemon.shown import Shown

        status = self._current()
        return Shown(
            self._tag_of(status), status.as_of, status.as_of, partial(_written, status, tuple(self._secrets()))
        )

    def report(self) -> "Shown | None":
        """Give the report of the last pass that ended; None: none did."""
        from reconciler.daemon.shown import Shown

        report = self._chronicle.report
        if report is None:
            return None
        return Shown(self._tag(report.run_id), "", stamp(_now()), partial(_written, report, tuple(self._secrets())))

    def pages(self) -> "Pages":
        """Give the pages as they are now."""
        from reconciler.daemon.shown import Pages

        status, report, secrets = self._current(), self._chronicle.report, tuple(self._secrets())
        return Pages(
            tag=self._tag_of(status),
            moment=status.as_of,
            report=self._tag(report.run_id if report else ""),
            board=partial(_board, report, secrets),
            status=partial(_masked, status, secrets),
        )

    def _tag_of(self, status: Status) -> str:
        """Give a tag about all that a status, and so a page, says but times that go on by themselves."""
        readiness = status.readiness
        timeless = replace(readiness, configuration=replace(readiness.configuration, age_seconds=None))
        said = repr((self._chronicle.revision, status.next_at, timeless))
        return self._tag(sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:32])

    def _tag(self, said: str) -> str:
        """Give a tag that no other process has given to something else, nor this one with other secrets to mask."""
        self._secrets()  # those that were read since are among them only then
        return f"{self._process}-{self._secrets.revision}-{said}"


def _written(told: Report | Status, secrets: tuple[str, ...]) -> str:
    from reconciler.render import json

    # Text by text: to look through a hundred megabytes at once would hold all threads up until it is done.
    return json.render(_masked(told, secrets))


Told = TypeVar("Told", Report, Status, Report | Status)


def _masked(told: Told, secrets: tuple[str, ...]) -> Told:
    masked: Told = Mask(secrets)(told)
    return masked


def _board(report: Report | None, secrets: tuple[str, ...]) -> "Draws":
    """Give what draws pages of a report."""
    from reconciler.render.board import Board

    return Board(_masked(report, secrets) if report else None)


def _now() -> datetime:
    return datetime.now(UTC)
