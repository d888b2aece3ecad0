"""A JSON Schema as pages tell it: a section for each kind of object, with a table of its fields."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reference_pages.markdown import anchor, code, codes, plain, table

Node = dict[str, Any]
_TYPES = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "mapping",
    "null": "null",
}
_UNIONS = ("anyOf", "oneOf")
_FORMATS = {"date-time": "date and time"}


@dataclass(frozen=True)
class Document:
    """One kind of file: what titles of its sections begin with, and its schema.

    ``judged``: people write it, so that what is required is told; else every field is there.
    """

    title: str
    schema: Node
    judged: bool = True

    def sections(self) -> Iterator[str]:
        """Give the Markdown of each kind of object, in the order in which a reader comes to it."""
        for name, path in self._found.items():
            node = self._node(name)
            yield f"### {self._heading(path)}"
            yield plain(node["description"])
            yield self._table(node)
            if told := tuple(rules(node)):
                yield "\n".join(f"- {each}" for each in told)

    @property
    def _found(self) -> dict[str, str]:
        """Give each kind of object with the path at which it is met first."""
        found, left = {"": ""}, [("", "")]
        while left:
            name, path = left.pop(0)
            for field, node in self._node(name).get("properties", {}).items():
                for kind, below in self._objects(node, f"{path}.{field}".removeprefix(".")):
                    if kind not in found:
                        found[kind] = below
                        left.append((kind, below))
        return found

    def _node(self, name: str) -> Node:
        node: Node = self.schema["$defs"][name] if name else self.schema
        return node

    def _objects(self, node: Node, path: str) -> Iterator[tuple[str, str]]:
        if (name := _named(node)) and "properties" in self._node(name):
            yield name, path
        for each in (each for union in _UNIONS for each in node.get(union, ())):
            yield from self._objects(each, path)
        if "items" in node:
            yield from self._objects(node["items"], f"{path}[]")
        if isinstance(node.get("additionalProperties"), dict):
            yield from self._objects(node["additionalProperties"], f"{path}.*")

    def _heading(self, path: str) -> str:
        return f"{self.title}: {code(path)}" if path else f"{self.title}: the whole"

    def _table(self, node: Node) -> str:
        needed = node.get("required", ())
        fields = node.get("properties", {})
        if not self.judged:
            return table(
                ("field", "type", "meaning"),
                ((code(name), self.type(each), plain(each["description"])) for name, each in fields.items()),
            )
        rows = (
            (
                code(name),
                self.type(each),
                "yes" if name in needed else "",
                _default(each),
                plain(each["description"]),
            )
            for name, each in fields.items()
        )
        return table(("field", "type", "required", "default", "meaning"), rows)

    def type(self, node: Node) -> str:
        """Say what a value must be."""
        if name := _named(node):
            found = self._node(name)
            if "properties" in found:
                return f"[{code(self._found[name]) if self._found[name] else 'the whole'}](#{self._anchor(name)})"
            return self.type(found)
        if "const" in node:
            return code(str(node["const"]))
        if "enum" in node:
            return codes(map(str, node["enum"]))
        for union in _UNIONS:
            if union in node and "type" not in node:
                return " or ".join(dict.fromkeys(map(self.type, node[union])))
        return self._plain_type(node)

    def _anchor(self, name: str) -> str:
        return anchor(self._heading(self._found[name]))

    def _plain_type(self, node: Node) -> str:
        match node:
            case {"type": "array", "items": items}:
                return f"list of {self.type(items)}"
            case {"type": "object", "additionalProperties": dict(values)}:
                return f"mapping of text to {self.type(values)}"
            case {"type": "integer", "minimum": least}:
                return _range(least, node.get("maximum"))
            case {"type": "string"}:
                return _text(node)
            case _:
                return _TYPES[node["type"]]


def _range(least: int, most: int | None) -> str:
    if least == most:
        return str(least)
    return f"whole number, {least} at least" if most is None else f"whole number from {least} to {most}"


def _text(node: Node) -> str:
    match node:
        case {"pattern": pattern}:
            return f"text like {code(pattern)}"
        case {"format": known}:
            return _FORMATS[known]
        case {"minLength": least, "maxLength": most}:
            return f"text of {least} to {most} characters"
        case _:
            return "text"


def _named(node: Node) -> str | None:
    reference = node.get("$ref")
    return reference.rpartition("/")[2] if reference else None


def _default(node: Node) -> str:
    default = node.get("default")
    return "" if default in (None, "") else code(default if isinstance(default, str) else json.dumps(default))


def rules(node: Node) -> Iterator[str]:
    """Say which fields must, and must not, stand together."""
    for options, words in ((node.get("anyOf"), "At least one of these"), (node.get("oneOf"), "Exactly one of these")):
        if options:
            yield f"{words}: {'; '.join(map(_option, options))}."
    if "minProperties" in node:
        yield f"At least {node['minProperties']} of the fields."
    for name, needed in node.get("dependentRequired", {}).items():
        yield f"{code(name)} needs {codes(needed)}."


def _option(node: Node) -> str:
    told = " with ".join(map(code, node["required"]))
    conditions = node.get("properties", {}).items()
    for name, each in conditions:
        if each is False:
            told += f" without {code(name)}"
        elif "enum" in each:
            told += f" ({codes(each['enum'])})"
    return told


def parameters(node: Node, document: Document) -> str:
    """Say in one cell what a built-in rule takes."""
    needed = node.get("required", ())
    told = (
        f"{code(name)}: {document.type(each)}{_if_left_out(name in needed, each)}; {plain(each['description'])}"
        for name, each in node.get("properties", {}).items()
    )
    return "<br>".join(told)


def _if_left_out(required: bool, node: Node) -> str:
    if required:
        return ", required"
    default = _default(node)
    return f", {default} by default" if default and not re.fullmatch(r"`\[\]`", default) else ""
