"""Options that several commands share, and the kinds of values they take.

Each has an environment variable ``RECONCILER_…``; repeatable ones are comma-separated there.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from reconciler.core.allowable import ALLOWABLE, NEVER_ALLOWED
from reconciler.daemon.address import Address

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Value = TypeVar("Value")
DEFAULT_DESIRED = "config/keys"
DEFAULT_POLICY = "config/policy.yaml"
DEFAULT_RATE = 25.0
DEFAULT_BURST = 50
DEFAULT_ACCOUNT_TIMEOUT = "5m"
DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_TRAIL_SIZE = "64MiB"
DEFAULT_NOTIFY_EVERY = "5m"
DEFAULT_PASS_TIMEOUT = "30m"  # noqa: S105 # a length of time
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_LONGEST = 366 * 86400
_SIZE = re.compile(r"(\d{1,9})(KiB|MiB|GiB)")
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class OutputFormat(StrEnum):
    """What a report can be written as."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    SARIF = "sarif"


@dataclass(frozen=True, slots=True)
class Output:
    """One rendering of the report; ``path`` None is stdout."""

    format: OutputFormat
    path: Path | None = None


class Offering(click.ParamType[Value]):
    """A kind of value that a shell can complete: a file, unless something else is offered."""

    def offers(self, incomplete: str) -> Iterable[CompletionItem]:  # noqa: ARG002 # which files there are, a shell knows
        """Give the values that begin like that; files are left to the shell, which knows what ~ and $HOME stand for."""
        return [CompletionItem("", type="file")]

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 # click's signature
        param: click.Parameter,  # noqa: ARG002 # as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """Give what is offered, whatever else the line says."""
        return [*self.offers(incomplete)]


class _Listed(Offering[Value]):
    """A value of a repeatable option, comma-separated in an environment variable."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [part.strip() for part in rv.split(",") if part.strip()]


class OutputType(_Listed[Output]):
    """``FORMAT`` or ``FORMAT=FILE``."""

    name = "format[=file]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        """Read one output."""
        name, equals, path = str(value).partition("=")
        if name not in set(OutputFormat):
            self.fail(f"{name!r} is not one of {', '.join(OutputFormat)}{_meant(name, path)}", param, ctx)
        if (equals and not path) or path == "-":
            self.fail(f"{value!r} names no file: write {name} for stdout or {name}=FILE", param, ctx)
        if match := _SECOND.search(path):
            self.fail(f"{value!r} is two outputs in one: give each its own, -o {match[1]}={match[2]}", param, ctx)
        return Output(OutputFormat(name), Path(path) if path else None)

    def offers(self, incomplete: str) -> Iterable[CompletionItem]:
        """Offer formats, and files where a format is written out."""
        name, equals, _ = incomplete.partition("=")
        if equals:
            return [CompletionItem(f"{name}=", type="file")] if name in set(OutputFormat) else []
        found = [each.value for each in OutputFormat if each.startswith(incomplete)]
        return [
            CompletionItem(value, help=where)
            for each in found
            for value, where in ((each, "to stdout"), (f"{each}=", "to a file"))
        ]


_SECOND = re.compile(rf",({'|'.join(OutputFormat)})=(.*)")
_ENDINGS = {
    ".txt": OutputFormat.TEXT,
    ".json": OutputFormat.JSON,
    ".md": OutputFormat.MARKDOWN,
    ".html": OutputFormat.HTML,
    ".htm": OutputFormat.HTML,
    ".sarif": OutputFormat.SARIF,
}


def _meant(name: str, path: str) -> str:
    """Say what somebody probably meant who gave something that is no format, such as a file's name."""
    from difflib import get_close_matches

    ending = Path(name).suffix.lower()
    if not path and ending in _ENDINGS:
        return f": did you mean {_ENDINGS[ending]}={name}?"
    near = _ENDINGS.get(f".{name.lower()}") or next(iter(get_close_matches(name.lower(), [*OutputFormat], n=1)), None)
    return f": did you mean {near}{f'={path}' if path else ''}?" if near else ""


class GuardrailType(_Listed[str]):
    """The name of a guardrail that can be let through."""

    name = "guardrail"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check one name."""
        if value in NEVER_ALLOWED:
            self.fail(f"{value!r} cannot be allowed, it is somebody's explicit word", param, ctx)
        if value not in ALLOWABLE:
            from difflib import get_close_matches

            near = get_close_matches(str(value).lower(), ALLOWABLE, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            self.fail(f"{value!r} is not one of {', '.join(ALLOWABLE)}{meant}", param, ctx)
        return str(value)

    def offers(self, incomplete: str) -> Iterable[CompletionItem]:
        """Offer the guardrails that can be let through."""
        return [CompletionItem(name) for name in ALLOWABLE if name.startswith(incomplete)]


class PathType(_Listed[Path]):
    """A file or a directory, which need not exist yet."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Read one path."""
        if not str(value) or "\0" in str(value):
            self.fail("an empty path names nothing", param, ctx)
        return Path(value)


def duration(text: str) -> timedelta:
    """Read a number with a unit; raise ``ValueError`` for what is none, or longer than a year."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: write a number and ms, s, m, h or d, such as 5m")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than a year")
    return timedelta(seconds=seconds)


class DurationType(click.ParamType[timedelta]):
    """A number with a unit: ``20ms``, ``30s``, ``5m``, ``1h``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read one duration."""
        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class TimeZoneType(Offering[tzinfo]):
    """The name of a time zone in the IANA database."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """Read one time zone."""
        from reconciler.crontab import read_zone

        try:
            return read_zone(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def offers(self, incomplete: str) -> Iterable[CompletionItem]:
        """Offer the zones that there are."""
        from zoneinfo import available_timezones

        return [CompletionItem(name) for name in sorted(available_timezones()) if name.startswith(incomplete)]


class SizeType(click.ParamType[int]):
    """A number with a unit, ``64MiB``, or 0; in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read one size."""
        if str(value) == "0":
            return 0
        match = _SIZE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no size: write a number and KiB, MiB or GiB, such as 64MiB, or 0", param, ctx)
        return int(match[1]) * _BYTES[match[2]]


class SwitchType(click.types.BoolParamType):
    """Yes or no; blank text in an environment variable is neither."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Read one switch."""
        if isinstance(value, str) and not value.strip():
            self.fail(f"{value!r} is neither yes nor no: write true or false, or unset the variable", param, ctx)
        return super().convert(value, param, ctx)


class ListenType(click.ParamType[Address]):
    """``HOST:PORT``, an IPv6 address in brackets, or ``none``, which is None."""

    name = "host:port|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address | None:  # type: ignore[override] # click takes None for no value
        """Read one address."""
        if value == "none":
            return None
        try:
            return Address.read(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class HostNameType(_Listed[str]):
    """The name of a host, without a port; in lower case."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check one name."""
        try:
            return Address.read(f"{value}:0").host.lower().removesuffix(".")
        except ValueError:
            self.fail(
                f"{value!r} is no name of a host: write it without scheme and port, as keys.example.com", param, ctx
            )


class PageUrlType(click.ParamType[str]):
    """The address of a page, of which paths are made; without a slash at its end."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read one address."""
        text = str(value)
        if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]+(?:/[A-Za-z0-9._~/%-]*)?", text):
            self.fail(f"{value!r} is no address of a page: write one such as https://keys.example.com", param, ctx)
        return text.rstrip("/")


class RateType(click.FloatRange):
    """A finite number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read one number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number of requests", param, ctx)
        return number


class DigestType(click.ParamType[str]):
    """A plan's digest."""

    name = "sha256:..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check one digest."""
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", str(value)):
            self.fail(f"{value!r} is no digest: it is sha256: and 64 hexadecimal digits, as plan prints it", param, ctx)
        return str(value)


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
