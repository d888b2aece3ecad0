"""Options that several commands share; each has an environment variable ``RECONCILER_…``."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.cli.values import (
    DurationType,
    GuardrailType,
    HostNameType,
    ListenType,
    OutputFormat,
    OutputType,
    PageUrlType,
    PathType,
    RateType,
    ShardType,
    SizeType,
    SwitchType,
    duration,
)
from reconciler.core.allowable import ALLOWABLE

if TYPE_CHECKING:
    from reconciler.core.shards import Shard

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
DEFAULT_DESIRED = "config/keys"
DEFAULT_POLICY = "config/policy.yaml"
DEFAULT_RATE = 25.0
DEFAULT_BURST = 50
DEFAULT_ACCOUNT_TIMEOUT = "5m"
DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_TRAIL_SIZE = "64MiB"
DEFAULT_NOTIFY_EVERY = "5m"
DEFAULT_PASS_TIMEOUT = "30m"  # noqa: S105 # a length of time

desired = click.option(
    "--desired",
    type=PathType(),
    multiple=True,
    default=(DEFAULT_DESIRED,),
    show_default=True,
    envvar="RECONCILER_DESIRED",
    help="File or directory that says which keys should exist; repeatable.",
)
policy = click.option(
    "--policy",
    type=PathType(),
    multiple=True,
    envvar="RECONCILER_POLICY",
    help="Policy file, or directory of them; repeatable, the strictest wins.  "
    f"[default: {DEFAULT_POLICY}, which may be absent]",
)
rate = click.option(
    "--rate",
    type=RateType(min=0.1, max=1000),
    metavar="NUMBER",
    default=DEFAULT_RATE,
    show_default=True,
    envvar="RECONCILER_RATE",
    help="Requests a second per account; the account's own mail shares the API's limit of 100.",
)
burst = click.option(
    "--burst",
    type=click.IntRange(min=1, max=10000),
    metavar="NUMBER",
    default=DEFAULT_BURST,
    show_default=True,
    envvar="RECONCILER_BURST",
    help="Requests that may go at once before the rate counts; the API's limit is 200.",
)
_check_domains = click.option(
    "--check-domains",
    is_flag=True,
    type=SwitchType(),
    envvar="RECONCILER_CHECK_DOMAINS",
    help="Deny scopes for domains that the account does not have; needs domains:read; not for sub accounts.",
)
_account_timeout = click.option(
    "--account-timeout",
    type=DurationType(),
    default=DEFAULT_ACCOUNT_TIMEOUT,
    show_default=True,
    envvar="RECONCILER_ACCOUNT_TIMEOUT",
    help="The longest that one account, or sub account, may take in a pass; the rest fails as out of time.",
)
_pass_timeout = click.option(
    "--pass-timeout",
    type=DurationType(),
    default=DEFAULT_PASS_TIMEOUT,
    show_default=True,
    envvar="RECONCILER_PASS_TIMEOUT",
    help="The longest that a pass may take; the rest fails as out of time.",
)
output = click.option(
    "-o",
    "--output",
    type=OutputType(),
    multiple=True,
    envvar="RECONCILER_OUTPUT",
    help=f"{', '.join(OutputFormat)}; to stdout or =FILE; repeatable, at most one to stdout.  "
    "[default: text; for run none]",
)
log_format = click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default=None,
    envvar="RECONCILER_LOG_FORMAT",
    help="Logs on stderr.  [default: console on a terminal, else json]",
)


def log_level(default: str | None) -> Callable[[Decorated], Decorated]:
    """Give ``--log-level``; None: what happens is logged where no person looks at the report."""
    shown = "" if default else "  [default: info, error on a terminal]"
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default=default,
        show_default=default is not None,
        envvar="RECONCILER_LOG_LEVEL",
        help=f"The least important lines to log.{shown}",
    )


actual = click.option(
    "--actual",
    type=PathType(),
    multiple=True,
    envvar="RECONCILER_ACTUAL",
    help="Go by keys as `export --actual` saved them, with no credential at all; repeatable.",
)
shard = click.option(
    "--shard",
    type=ShardType(),
    metavar="INDEX/COUNT",
    default=None,
    envvar="RECONCILER_SHARD",
    help="Look at this share of the accounts alone, such as 3/16; counted from 0.  [default: all accounts]",
)
dry_run = click.option(
    "--dry-run",
    is_flag=True,
    type=SwitchType(),
    envvar="RECONCILER_DRY_RUN",
    help="Only plan; nothing in the process can write.",
)
allow = click.option(
    "--allow",
    type=GuardrailType(),
    multiple=True,
    envvar="RECONCILER_ALLOW",
    help=f"Let a guardrail through, by name; repeatable. One of {', '.join(ALLOWABLE)}.",
)
listen = click.option(
    "--listen",
    type=ListenType(),
    metavar="HOST:PORT|none",
    default=DEFAULT_LISTEN,
    show_default=True,
    envvar="RECONCILER_LISTEN",
    help="Where the page, /status, /livez, /readyz, /metrics and POST /reconcile are served; 0.0.0.0:8080 for "
    "everybody, none for nobody.",
)
page = click.option(
    "--page",
    type=click.Choice(["local", "all", "none"]),
    default="local",
    show_default=True,
    envvar="RECONCILER_PAGE",
    help="Who may see keys there, on the page, /status and /report: clients on this machine, all, or (none) no page.",
)
page_host = click.option(
    "--page-host",
    type=HostNameType(),
    multiple=True,
    envvar="RECONCILER_PAGE_HOST",
    help="A name by which browsers may ask for the page, besides localhost, IP addresses and --listen; repeatable.",
)

trail = click.option(
    "--trail",
    type=PathType(),
    default=None,
    envvar="RECONCILER_TRAIL",
    help="Append each decision and each write to this file, as a chain that shows tampering; see `trail verify`.",
)
trail_size = click.option(
    "--trail-size",
    type=SizeType(),
    default=DEFAULT_TRAIL_SIZE,
    show_default=True,
    envvar="RECONCILER_TRAIL_SIZE",
    help="Put the trail's file aside when it gets larger, and go on in a new one; 0: never.",
)

notify_every = click.option(
    "--notify-every",
    type=DurationType(),
    default=DEFAULT_NOTIFY_EVERY,
    show_default=True,
    envvar="RECONCILER_NOTIFY_EVERY",
    help="The shortest time between two messages to an address of RECONCILER_NOTIFY; the next one has what came since.",
)
page_url = click.option(
    "--page-url",
    type=PageUrlType(),
    default=None,
    envvar="RECONCILER_PAGE_URL",
    help="Where people reach the status page, for links in messages, such as https://keys.example.com.",
)


def apply_all(*options: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Apply several option decorators, shown in the order given."""

    def decorate(function: Decorated) -> Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about passes."""

    desired: tuple[Path, ...]
    policy: tuple[Path, ...]
    rate: float
    burst: int
    account_timeout: timedelta = field(default_factory=lambda: duration(DEFAULT_ACCOUNT_TIMEOUT))
    pass_timeout: timedelta = field(default_factory=lambda: duration(DEFAULT_PASS_TIMEOUT))
    check_domains: bool = False
    dry_run: bool = True
    allowed: frozenset[str] = frozenset()
    digest: str | None = None
    actual: tuple[Path, ...] = ()
    starter: bool = False
    without_files: bool = False
    unattended: bool = False
    shard: "Shard | None" = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files, and directories of files, that a pass reads."""
        return (*self.desired, *(self.policy or (Path(DEFAULT_POLICY),)), *self.actual)

    def by_listing(self, actual: tuple[Path, ...]) -> "Options":
        """Give the same for a pass that goes by saved listings, if there are any.

        Raises:
            click.UsageError: it is to look at what they do not hold.
        """
        if actual and self.check_domains:
            raise click.UsageError("--check-domains needs the account: a saved listing holds no domains")
        return replace(self, actual=actual)

    def allowing(self, guardrails: Iterable[str]) -> "Options":
        """Give the same with guardrails let through."""
        return replace(self, allowed=frozenset(guardrails))

    def looking(self, actual: tuple[Path, ...], *, starter: bool = False) -> "Options":
        """Give the same for a command that only looks at keys, for which no files need be there."""
        return replace(self.by_listing(actual), without_files=True, starter=starter)


def about_passes(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every command with passes has; the function gets them as ``about``, an `Options`."""

    @functools.wraps(function)
    def command(  # noqa: PLR0913 # one parameter an option
        *,
        desired: tuple[Path, ...],
        policy: tuple[Path, ...],
        rate: float,
        burst: int,
        account_timeout: timedelta,
        pass_timeout: timedelta,
        check_domains: bool,
        **others: Any,
    ) -> int:
        about = Options(desired, policy, rate, burst, account_timeout, pass_timeout, check_domains)
        return function(about=about, **others)

    return apply_all(desired, policy, _check_domains, rate, burst, _account_timeout, _pass_timeout)(command)
