"""Builds what a pass needs from options, files and the environment, and runs it with the signals in hand."""

import asyncio
import gc
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads, open_writes
from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.last_line import LINE, Above
from reconciler.cli.options import DEFAULT_DESIRED, DEFAULT_POLICY, Options
from reconciler.cli.progress import Progress, is_wanted
from reconciler.core.events import Event, Observer, PassFinished, tell_all
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import Consent
from reconciler.core.keys import UUID_PATTERN, AccountRef, DesiredAccount, DesiredState
from reconciler.core.shards import Shard
from reconciler.errors import FilesError, Problem, TrailError
from reconciler.files.commits import Commits
from reconciler.files.desired import Loaded, load_desired
from reconciler.files.folders import find_files
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.looks import load_whole
from reconciler.files.saved import Listing, load_listings
from reconciler.logs import LogFormat, LogLevel, Stream, log_observer
from reconciler.reconcile import Access, DryRun, Live, PassInputs, Patience, Saved
from reconciler.settings import Settings, load_settings, look_up

if TYPE_CHECKING:
    from reconciler.daemon.trail import Trail
    from reconciler.metrics import Metrics

Result = TypeVar("Result")
MOST_SECRETS = 200
"""How many secrets are looked for in each text: a year of rotations would make that slow."""
MOST_OF_ADDRESSES = 400
"""The same, of parts of addresses of people: those take no room from credentials and tokens."""
_NO_POLICY = Finding(
    "no-policy",
    Severity.WARN,
    f"there is no policy at {DEFAULT_POLICY}: no rule, no requirement and no change window holds",
    "write one, or name it with --policy, so that it is missed where it is gone",
)


class Secrets:
    """The secrets that were read last, so that logs can mask them even after a rotation; old ones are forgotten.

    Attributes:
        revision: Another one whenever they have become others; their number does not change where one goes for another.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._seen: dict[str, None] = {}
        self._of_addresses: dict[str, None] = {}
        self._settings: Settings | None = None

    def __call__(self) -> Iterable[str]:
        """Give them all: those too that the settings in use read since they were loaded."""
        for secret in self._settings.secrets if self._settings else ():
            self.hide(secret)
        return (*self._seen, *self._of_addresses)

    def hide(self, secret: str) -> None:
        """Add one; of more than `MOST_SECRETS` the one that was in use the longest time ago goes."""
        self._keep(self._seen, secret, MOST_SECRETS)

    def hide_address(self, secrets: Iterable[str]) -> None:
        """Add those of an address of people; of more than `MOST_OF_ADDRESSES` the oldest go."""
        for secret in secrets:
            self._keep(self._of_addresses, secret, MOST_OF_ADDRESSES)

    def _keep(self, seen: dict[str, None], secret: str, most: int) -> None:
        """Put a secret behind all others, and forget the first of too many."""
        self.revision += secret not in seen
        seen.pop(secret, None)
        seen[secret] = None
        if len(seen) > most:
            del seen[next(iter(seen))]

    def remember(self, settings: Settings) -> Settings:
        """Add what ``settings`` hold and will hold, and give them back; they take the place of those before."""
        self()
        self._settings = settings
        return settings


@dataclass(frozen=True, slots=True)
class Wiring:
    """What lives as long as the process: the options, who is told, and the secrets that nobody may be told.

    ``trail`` is where decisions and writes are stored, if anywhere.
    """

    options: Options
    observe: Observer
    secrets: Secrets = field(default_factory=Secrets)
    trail: "Trail | None" = None

    def inputs(self, paces: Paces, stop: Stop) -> PassInputs:
        """Load files and settings anew, and give what one pass needs.

        Raises:
            FilesError: the files do not load.
            SettingsError: a credential or the endpoint is missing or wrong.
            UsageError: a variable of the reconciler's own holds a value that it cannot have.
        """
        listing = load_listings(self.options.actual) if self.options.actual else None
        policy, loaded = self._load(listing)
        loaded = _of_shard(loaded, self.options.shard) if self.options.shard else loaded
        accounts = [desired.account for desired in loaded.state.accounts]
        settings = self.secrets.remember(load_settings(account.credential for account in accounts))
        consent = Consent(policy.limits, self.options.allowed, settings.self_keys, self.options.digest, settings.hold)
        return PassInputs(
            run_id=uuid.uuid4().hex,
            desired=loaded.state,
            access=Saved(listing) if listing else self._access(settings, paces, stop),
            observe=self.observe,
            stop=stop,
            consent=consent,
            notes=(*self._remarks(policy, listing), *policy.findings, *loaded.findings),
            policy=policy.policy,
            patience=Patience(self.options.pass_timeout.total_seconds(), self.options.account_timeout.total_seconds()),
            check_domains=self.options.check_domains,
            began=datetime.now(UTC),
            policy_files=frozenset(policy.sources),
            clock=None if listing else lambda: datetime.now(UTC),
            shard=str(self.options.shard) if self.options.shard else None,
        )

    def _remarks(self, policy: LoadedPolicy, listing: Listing | None) -> tuple[Finding, ...]:
        """Say by what is judged, where that may surprise: a daemon that starts without its policy has no rules."""
        remarks = _age(listing) if listing else ()
        return (*remarks, _NO_POLICY) if self.options.unattended and not policy.sources else remarks

    def _load(self, listing: Listing | None) -> tuple[LoadedPolicy, Loaded]:
        """Load files that may be exchanged meanwhile; a daemon sees to that itself, and waits for what is written."""
        policies = partial(load_policies, self.options.policy, starter=self.options.starter)
        load = partial(load_both, policies, partial(self._desired, listing))
        return load() if self.options.unattended else load_whole(self.options.inputs, load)

    def _desired(self, listing: Listing | None) -> Loaded:
        if self.options.without_files and self.options.desired == (Path(DEFAULT_DESIRED),) and _holds_none():
            return _without_files(listing)
        loaded = load_desired(self.options.desired, look_up)
        if not loaded.state.accounts:
            raise FilesError((Problem(", ".join(loaded.sources), 0, 0, "no account is named: add 'account: <uuid>'"),))
        return loaded

    def _access(self, settings: Settings, paces: Paces, stop: Stop) -> Access:
        config = self.client(settings, paces, stop)
        return DryRun(lambda: open_reads(config)) if self.options.dry_run else Live(lambda: open_writes(config))

    def client(self, settings: Settings, paces: Paces, stop: Stop) -> ClientConfig:
        """Give the client's configuration."""
        return ClientConfig(Endpoint(settings.endpoint), paces, stop, self.observe, settings.token)


def _of_shard(loaded: Loaded, shard: Shard) -> Loaded:
    """Keep of what was loaded what is about the accounts of one shard, and say so."""
    state = loaded.state.of(shard)
    told = f"only the accounts of shard {shard} are looked at: {len(state.accounts)} of {len(state.everywhere)}"
    note = Finding("shard", Severity.NOTE, told, "every account belongs to exactly one shard, by its id")
    kept = (each for each in loaded.findings if each.account is None or shard.takes(each.account.account_id))
    return replace(loaded, state=state, findings=(note, *kept))


def _age(listing: Listing) -> tuple[Finding, ...]:
    """Say as of when everything is judged that goes by a saved listing."""
    told = (
        f"all is as of {listing.taken_at:%Y-%m-%d %H:%M} UTC, when the keys were listed: ages, pauses and waivers, too"
    )
    return (Finding("saved-listing", Severity.NOTE, told),)


def _absent(path: str) -> bool:
    """Tell whether there is nothing at a path, not even a link; what cannot be looked at may be there."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _holds_none() -> bool:
    """Tell whether there are no files where they are by default; what cannot be looked at may hold some."""
    if _absent(DEFAULT_DESIRED):
        return True
    found = find_files([Path(DEFAULT_DESIRED)])
    return bool(found.empty) and not found.links_out


def _without_files(listing: Listing | None) -> Loaded:
    """Give the accounts of the listing, or the one that the environment names, of whose keys no file says anything."""
    ids = [account.account_id for account in listing.accounts] if listing else [_account_of_environment()]
    accounts = tuple(DesiredAccount(AccountRef(each), ()) for each in ids)
    told = f"there are no files in {DEFAULT_DESIRED}, so that every key counts as unmanaged"
    note = Finding("no-desired-state", Severity.NOTE, told, "`reconciler export` writes them")
    return Loaded(DesiredState(accounts), (note,), ())


def _account_of_environment() -> str:
    account_id = (look_up("AHASEND_ACCOUNT_ID") or "").strip().lower()
    if not re.fullmatch(UUID_PATTERN, account_id):
        message = f"holds no desired-state file, and AHASEND_ACCOUNT_ID is {'not a UUID' if account_id else 'not set'}"
        raise FilesError((Problem(DEFAULT_DESIRED, 0, 0, f"{message}: write files, name them, or set it"),))
    return account_id


def load_policies(paths: Sequence[Path], *, starter: bool = False) -> LoadedPolicy:
    """Load the policy; only the default path may be absent, and a link is not absent.

    ``starter``: then the policy that comes with the reconciler is used, and that is noted; otherwise there is none.
    """
    if not paths and _absent(DEFAULT_POLICY):
        near = Path(DEFAULT_POLICY).parent.glob("polic*")
        if misnamed := sorted(path for path in near if path.suffix in ("", ".yaml", ".yml")):
            hint = f"name it {DEFAULT_POLICY}, or name it with --policy"
            told = f"there is {misnamed[0]}, but no {DEFAULT_POLICY}: is that the policy? {hint}"
            raise FilesError((Problem(DEFAULT_POLICY, 0, 0, told),))
        if not starter:
            return LoadedPolicy()
        from reconciler.files.policy import load_starter

        told = f"there is no policy at {DEFAULT_POLICY}: judged by the starter policy that comes with the reconciler"
        note = Finding("starter-policy", Severity.NOTE, told, "write your own, see docs/policy.md")
        return replace(load_starter(), findings=(note,))
    from reconciler.files.policy import load_policy

    return load_policy(paths or (Path(DEFAULT_POLICY),))


def load_both(policies: Callable[[], LoadedPolicy], desired: Callable[[], Loaded]) -> tuple[LoadedPolicy, Loaded]:
    """Load policy and desired state; what is wrong with either is told together."""
    problems: list[Problem] = []
    policy, loaded = LoadedPolicy(), None
    try:
        policy = policies()
    except FilesError as error:
        problems += error.problems
    try:
        loaded = desired()
    except FilesError as error:
        problems += error.problems
    if problems or loaded is None:
        raise FilesError(tuple(problems))
    return policy, loaded


def as_of(inputs: PassInputs) -> datetime:
    """Give the time to judge by: that of a saved listing, else now."""
    match inputs.access:
        case Saved(listing=listing):
            return listing.taken_at
        case _:
            return datetime.now(UTC)


def looking_at(inputs: PassInputs) -> DryRun | Saved:
    """Give the access of a command that only looks; one that could write would be a bug."""
    match inputs.access:
        case Live():
            raise RuntimeError("this command must not hold anything that could write")
        case access:
            return access


def keep_trail(
    path: Path | None, size: int, secrets: Secrets, commits: Commits | None = None
) -> "AbstractContextManager[Trail | None]":
    """Open the trail at ``path``, if there is to be one, for as long as the context is open.

    ``commits`` are looked up where others look them up, too.

    Raises:
        TrailError: it cannot be kept there.
    """
    if path is None:
        return nullcontext()
    from reconciler.daemon.trail import open_trail

    return open_trail(path, size=size, secrets=secrets, commits=commits)


def make_observer(
    log_format: str | None,
    log_level: str | None,
    secrets: Secrets,
    trail: "Trail | None" = None,
    metrics: "Metrics | None" = None,
    stream: Stream | None = None,
) -> Observer:
    """Give the observer that stores the trail, if there is one, writes logs to stderr, and counts, if asked for.

    ``stream`` takes the place of stderr; then nobody is shown how far a pass has come, as they are on a terminal.
    On a terminal the report tells what happened, so that there, unless asked otherwise, only errors are logged.
    """
    on_terminal = sys.stderr.isatty()
    progress = None
    if stream is None and log_format != LogFormat.JSON and is_wanted(sys.stderr, os.environ):
        progress, stream = Progress(sys.stderr, time.monotonic), Above(sys.stderr, LINE)
    chosen = LogFormat(log_format or ("console" if on_terminal else "json"))
    level = LogLevel(log_level or ("error" if on_terminal else "info"))
    head: Callable[[], str | None] = (lambda: trail.head) if trail else (lambda: None)
    log = log_observer(stream or sys.stderr, format=chosen, level=level, secrets=secrets, trail=head)
    stored = [_counted(trail, metrics) if metrics else trail] if trail else []
    return tell_all(*stored, log, *([metrics.observe] if metrics else []), *([progress] if progress else []))


def _counted(trail: "Trail", metrics: "Metrics") -> Observer:
    """Give the trail as an observer whose failures are counted: those that raise, and those that a pass ends with."""

    def observe(event: Event) -> None:
        try:
            trail(event)
        except TrailError:
            metrics.trail_failed()
            raise
        if isinstance(event, PassFinished) and trail.problem:
            metrics.trail_failed()

    return observe


def run_with_signals(work: Callable[[Stop], Awaitable[Result]]) -> Result:
    """Run ``work`` in a loop of its own; SIGTERM and SIGINT ask it to stop, a second one not to wait.

    So does SIGHUP, of a terminal that is closed, unless it is ignored, as under nohup. Several of them are one: the
    kernel and the shell both send it.

    Once asked to stop, the loop is left as it is: closing it would wait for threads, which may take minutes to resolve
    a name.
    """
    stop = Stop()

    def hang_up() -> None:
        if not stop.requested.is_set():
            stop.request()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    async def main() -> Result:
        gc.freeze()  # what is loaded by now stays; the collector need not look at it again
        gc.enable()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            _heed(number, loop, stop.request)
        if before[signal.SIGHUP] is not signal.SIG_IGN:
            _heed(signal.SIGHUP, loop, hang_up)
        return await work(stop)

    runner = asyncio.Runner()
    try:
        return runner.run(main())
    finally:
        if not stop.requested.is_set():
            runner.close()
            for number, handler in before.items():
                signal.signal(number, handler)


def _heed(number: signal.Signals, loop: asyncio.AbstractEventLoop, asked: Callable[[], None]) -> None:
    """Have a signal call back in the loop, whatever else comes.

    asyncio's own handlers hear of signals through a socket: one that comes while a storm of others fills it is lost.
    """

    def heard(*_: object) -> None:
        with suppress(RuntimeError):  # of a loop that is closed: there is nothing left to stop
            loop.call_soon_threadsafe(asked)

    signal.signal(number, heard)
    signal.siginterrupt(number, False)
