"""What docstrings say of the fields of a dataclass, put into its JSON Schema: editors and the reference show it."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

_FIELDS = "Attributes:"
_FIELD = re.compile(r"^(\w+): ", re.MULTILINE)


def published(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the JSON Schema of a format as others get it: described, and of draft 2020-12."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described(schema)}


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Give a JSON Schema in which fields have the descriptions that docstrings list under ``Attributes:``."""
    return {**_node(schema), "$defs": {name: _node(each) for name, each in schema["$defs"].items()}}


def _node(node: dict[str, Any]) -> dict[str, Any]:
    prose, _, listed = inspect.cleandoc(node.get("description", "")).partition(_FIELDS)
    if "properties" not in node:
        return node
    told = dict(_fields(inspect.cleandoc(listed)))
    properties = {
        name: {**each, "description": told[name]} if name in told else each for name, each in node["properties"].items()
    }
    return {**node, "description": _unwrapped(prose), "properties": properties}


def _fields(listed: str) -> Iterator[tuple[str, str]]:
    """Give each field of a list with its text, which may go on in further lines."""
    parts = _FIELD.split(listed)[1:]
    yield from zip(parts[::2], map(_unwrapped, parts[1::2]), strict=True)


def _unwrapped(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
