"""docs/reference/rules.md: the built-in rules, and what expressions may name."""

from collections.abc import Iterator

from reconciler.core.vocabulary import EXAMPLES, HOLDS, MACROS, VARIABLES
from reconciler.files.rule_entries import BUILTINS
from reference_pages.markdown import code, plain, table
from reference_pages.schemas import Document, parameters

_INTRODUCTION = """\
What a rule of a policy can ask. [policy.md](../policy.md) tells how to write one, and what its severity does; the
other fields of a rule are in [files.md](files.md#policy-rules)."""
_BUILTINS = """\
A rule takes one with `uses`, and its parameters in `with`. Scopes may be patterns: a key reaches one when a scope
of it is like the pattern, or covers something that is."""
_VARIABLES = """\
None is ever null: what is not there is empty, and a time that is not there is the beginning of 1970. Those of
`change` are about changes only: an audit asks no rule that names one."""
_FUNCTIONS = """\
Of CEL, and two of ours, `covers` and `networks_within`: [policy.md](../policy.md#expressions) tells what these two
ask, and which bounds an expression has."""


def page() -> Iterator[str]:
    """Give the page, block by block."""
    yield "# Rules and expressions"
    yield _INTRODUCTION
    yield "## Built-in rules"
    yield _BUILTINS
    rows = (
        (code(name), parameters(each.shape.schema, Document(name, each.shape.schema)), plain(each.reason))
        for name, each in BUILTINS.items()
    )
    yield table(("rule", "`with`", "what it asks for, and why"), rows)
    yield "## Variables of expressions"
    yield _VARIABLES
    rows = ((code(name), kind.value, plain(HOLDS[name])) for name, kind in VARIABLES.items())
    yield table(("variable", "type", "holds"), rows)
    yield "## Functions of expressions"
    yield _FUNCTIONS
    rows = ((code(name), "each of a list" if name in MACROS else "", code(each)) for name, each in EXAMPLES.items())
    yield table(("function", "asks about", "for example"), rows)
