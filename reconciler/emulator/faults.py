"""Faults on demand: rules that make the emulator answer late, wrongly or not at all."""

import fnmatch
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

When = Literal["before", "after"]
Body = Literal["truncated", "malformed", "html"]

_DELAY = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>ms|s)")
_BODILESS = frozenset({204, 205, 304})
_HTML = b"<!DOCTYPE html>\n<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"


class FaultError(ValueError):
    """Rules of faults that cannot be used: where, and what is wrong."""


class ConnectionDropped(Exception):
    """The connection was to be lost, ``when`` says whether before or after the request took effect.

    `server.Server` aborts the TCP connection for it. In process it leaves the application, for a transport of the
    caller's own to turn into a client's error.
    """

    def __init__(self, when: When) -> None:
        super().__init__(f"connection dropped {when} the effect")
        self.when = when


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request; the default is that nothing does. ``delay`` is in seconds.

    ``status`` answers instead of the API, before or after the request took effect, as ``status_when`` says.
    """

    status: int | None = None
    status_when: When = "before"
    delay: float = 0.0
    drop: When | None = None
    body: Body | None = None
    repeat_cursor: bool = False

    @property
    def prevents_effect(self) -> bool:
        """Whether the request is lost before it takes effect."""
        return self.drop == "before" or (self.status is not None and self.status_when == "before")


NO_FAULT = Fault()


@dataclass(slots=True)
class _Rule:
    method: str
    path: re.Pattern[str]
    fault: Fault
    first: int | None
    every: int | None
    rate: float | None
    seen: int = field(default=0)

    def matches(self, method: str, path: str) -> bool:
        return self.method in {"*", method} and self.path.match(path) is not None

    def fires(self, chance: random.Random) -> bool:
        self.seen += 1
        if self.first is not None:
            return self.seen <= self.first
        if self.every is not None:
            return self.seen % self.every == 0
        return self.rate is None or chance.random() < self.rate


class Faults:
    """The rules in force, with their counters."""

    def __init__(self, document: object) -> None:
        """Read ``{"random_seed": 7, "rules": [...]}``; raises `FaultError` saying what is wrong where."""
        fields = _mapping(document, "faults", {"random_seed", "rules"})
        seed = fields.get("random_seed")
        if seed is not None and type(seed) is not int:
            raise FaultError(f"random_seed: a whole number is expected, not {seed!r}")
        rules = fields.get("rules", [])
        if not isinstance(rules, list):
            raise FaultError(f"rules: a list is expected, not {rules!r}")
        self._chance = random.Random(seed)
        self._rules = [_rule(rule, f"rules[{index}]") for index, rule in enumerate(rules)]

    def pick(self, method: str, path: str) -> Fault:
        """Return what is to happen to a request: the first rule that matches it and fires, wins."""
        for rule in self._rules:
            if rule.matches(method, path) and rule.fires(self._chance):
                return rule.fault
        return NO_FAULT


def mangled(body: bytes, how: Body) -> tuple[bytes, bytes]:
    """Return what is sent instead of the JSON ``body``, and its content type."""
    if how == "html":
        return _HTML, b"text/html; charset=utf-8"
    return (body[: len(body) // 2] if how == "truncated" else body[:-1] + b",]"), b"application/json"


def _rule(document: object, where: str) -> _Rule:
    fields = _mapping(document, where, {"method", "path", "first", "every", "rate", "do"})
    counters = sorted({"first", "every", "rate"} & fields.keys())
    if len(counters) > 1:
        raise FaultError(f"{where}: only one of {', '.join(counters)} can be given")
    return _Rule(
        method=_text(fields, "method", where).upper(),
        path=re.compile(fnmatch.translate(_text(fields, "path", where))),
        fault=_fault(fields.get("do"), f"{where}.do"),
        first=_count(fields, "first", where),
        every=_count(fields, "every", where),
        rate=_share(fields, where),
    )


def _fault(document: object, where: str) -> Fault:
    fields = _mapping(document, where, {"status", "when", "delay", "drop", "body", "cursor"})
    if "status" in fields and fields.keys() <= {"status", "when"}:
        return _status_fault(fields["status"], fields.get("when", "before"), where)
    if len(fields) != 1 or "when" in fields:
        raise FaultError(
            f"{where}: exactly one of status, delay, drop, body, cursor is expected, and when with status alone"
        )
    ((kind, value),) = fields.items()
    match kind, value:
        case "delay", str() if match := _DELAY.fullmatch(value):
            return Fault(delay=float(match["number"]) / (1000 if match["unit"] == "ms" else 1))
        case "drop", ("before" | "after") as when:
            return Fault(drop=when)
        case "body", ("truncated" | "malformed" | "html") as how:
            return Fault(body=how)
        case "cursor", "repeat":
            return Fault(repeat_cursor=True)
    expected = {
        "delay": 'a text such as "2s" or "150ms"',
        "drop": " or ".join(get_args(When)),
        "body": ", ".join(get_args(Body)),
        "cursor": "repeat",
    }[kind]
    raise FaultError(f"{where}.{kind}: {expected} is expected, not {value!r}")


def _status_fault(status: object, when: object, where: str) -> Fault:
    match status, when:
        case int(), ("before" | "after") as known if 200 <= status <= 599 and status not in _BODILESS:  # noqa: PLR2004 - HTTP's own bounds
            return Fault(status=status, status_when=known)
        case _, "before" | "after":
            raise FaultError(f"{where}.status: a status with a body, 200 to 599 is expected, not {status!r}")
    raise FaultError(f"{where}.when: {' or '.join(get_args(When))} is expected, not {when!r}")


def _mapping(document: object, where: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise FaultError(f"{where}: a mapping is expected")
    unknown = sorted(str(name) for name in document.keys() - known)
    if unknown:
        raise FaultError(f"{where}: unknown field {unknown[0]}; known are {', '.join(sorted(known))}")
    return document


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name, "*")
    if not isinstance(value, str):
        raise FaultError(f"{where}.{name}: a text is expected, not {value!r}")
    return value


def _count(fields: Mapping[str, Any], name: str, where: str) -> int | None:
    if name not in fields:
        return None
    value = fields[name]
    if type(value) is not int or value < 1:
        raise FaultError(f"{where}.{name}: a whole number from 1 is expected, not {value!r}")
    return value


def _share(fields: Mapping[str, Any], where: str) -> float | None:
    if "rate" not in fields:
        return None
    value = fields["rate"]
    if type(value) not in {int, float} or not 0 <= value <= 1:
        raise FaultError(f"{where}.rate: a share from 0 to 1 is expected, not {value!r}")
    return float(value)
