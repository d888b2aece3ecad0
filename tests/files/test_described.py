"""Descriptions in JSON Schemas: what docstrings list of a class's fields becomes each field's."""

from reconciler.files.described import described

DOCSTRING = """One ``thing``, and
    more of it.

    Attributes:
        name: What it is called,
            in several lines.
        kind: Whether it is ``odd``: or not.
    """


def test_fields_get_what_the_docstring_lists() -> None:
    """Prose and fields come apart, on one line each; a field of which nothing is said, and a plain type, stay."""
    fields = {"name": {"type": "string"}, "kind": {"$ref": "#/$defs/Kind"}, "other": {"type": "null"}}
    kind = {"description": "What kind.", "enum": ["odd"]}
    told = described(
        {"description": DOCSTRING, "properties": fields, "$defs": {"Kind": kind, "Bare": {"properties": {}}}}
    )
    assert told == {
        "description": "One `thing`, and more of it.",
        "properties": {
            "name": {"type": "string", "description": "What it is called, in several lines."},
            "kind": {"$ref": "#/$defs/Kind", "description": "Whether it is `odd`: or not."},
            "other": {"type": "null"},
        },
        "$defs": {"Kind": kind, "Bare": {"description": "", "properties": {}}},
    }
