"""The kinds of values that options take: how each is read, and what a shell is offered where one may stand.

Repeatable ones are comma-separated in an environment variable.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from reconciler.core.allowable import ALLOWABLE, NEVER_ALLOWED
from reconciler.daemon.address import Address

if TYPE_CHECKING:
    from reconciler.core.shards import Shard

Value = TypeVar("Value")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_LONGEST = 366 * 86400
_SIZE = re.compile(r"(\d{1,9})(KiB|MiB|GiB)")
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
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


class ShardType(click.ParamType["Shard"]):
    """``INDEX/COUNT``, counted from 0."""

    name = "index/count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Shard":
        """Read one shard."""
        from reconciler.core.shards import Shard

        match = _SHARD.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no shard: write which of how many, counted from 0, such as 3/16", param, ctx)
        try:
            return Shard(int(match[1]), int(match[2]))
        except ValueError as error:
            self.fail(f"{value!r} is no shard: {error}", param, ctx)


class DigestType(click.ParamType[str]):
    """A plan's digest."""

    name = "sha256:..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check one digest."""
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", str(value)):
            self.fail(f"{value!r} is no digest: it is sha256: and 64 hexadecimal digits, as plan prints it", param, ctx)
        return str(value)
