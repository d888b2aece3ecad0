"""Reading of what nobody vouches for: of a list with ten million mistakes the first is enough."""

from typing import Any

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator


def first_problem(adapter: TypeAdapter[Any]) -> SchemaValidator:
    """Give what validates as an adapter does, but ends each list at the first item that is wrong.

    Each problem that is collected takes several times the memory of what is wrong, and time.
    """
    return SchemaValidator(_failing_fast(adapter.core_schema))


def _failing_fast(schema: Any) -> Any:
    """Give a schema, or a part of one, in which every list fails fast."""
    if isinstance(schema, dict):
        fast = {name: _failing_fast(part) for name, part in schema.items()}
        return fast | {"fail_fast": True} if schema.get("type") == "tuple" else fast
    return [_failing_fast(part) for part in schema] if isinstance(schema, list) else schema
