"""Expressions in Google's CEL, checked when they are loaded and bounded when they run.

Nothing else imports CEL, and that only when an expression is compiled: its library takes 14 MB. What its own limits
leave open is closed here, on the checked syntax tree: text that grows by being put together, values that hold each
other, patterns and times that are wrong or costly and that CEL would find only when a key reaches them.

Sources: the language definition of CEL (its functions, macros and operators), ``checked.proto`` and ``syntax.proto`` of
the same project (the tree), and measurements of its C++ implementation, which stops an expression after 10,000
iterations and takes no more than 32 levels of nesting.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.complaints import ABSENT, Fault, faults, place, plain
from reconciler.core.facts import FUNCTIONS, Fact, calls, replaced, unwritten
from reconciler.core.scrutiny import wrong_parts
from reconciler.core.tree import Kind, Node, Tree, read_tree
from reconciler.core.vocabulary import ABOUT_CHANGES, VARIABLES, Type

if TYPE_CHECKING:
    from cel_expr_python import cel

MOST_CHARACTERS: Final = 4096
"""How long an expression may be."""
MOST_TEXT: Final = 1024
"""How long a text may be that an expression puts together with others, or searches for a pattern."""


_THROUGH: Final = frozenset({"matches", "contains", "size", "string", "bytes"})


class ExpressionError(Exception):
    """An expression that cannot be used, with everything that is wrong with it; never leaves the package's loaders."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in self.faults))


class EvaluationError(Exception):
    """An expression that has no value for one key: what it reads is not there, or it is too much for its bounds."""


Bound = Any
"""What `bind` gives: the values of variables, ready for any number of expressions."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression that is true or false for a key.

    ``names`` are the variables that it and its ``facts`` read; in the ``evaluable`` text variables stand for facts.
    """

    text: str
    names: frozenset[str]
    copies_text: bool
    facts: tuple[Fact, ...]
    evaluable: str
    program: Any

    @property
    def about_changes(self) -> bool:
        """Whether it reads a variable of a change, and so can be asked about changes only."""
        return any(name.startswith(ABOUT_CHANGES) for name in self.names)

    def holds(self, bound: Bound, values: Mapping[str, object]) -> bool:
        """Give its value for one key.

        Args:
            bound: The variables, as `bind` made them of ``values``.
            values: The same, to be measured where the expression would copy them.

        Raises:
            EvaluationError: it has none.
        """
        _check_whole(self.names, values)
        if self.copies_text:
            _check_sizes(self.names, values)
        try:
            result = self.program.eval(bound)
        except RuntimeError as error:
            raise EvaluationError(plain(str(error))) from None
        value = result.value()
        if value is True or value is False:
            return bool(value)
        told = plain(str(value))
        hint = '; ask first whether it is there, as in "tier" in key.annotations && ...' if ABSENT in told else ""
        raise EvaluationError(f"{told}{hint}")


@dataclass(frozen=True, slots=True)
class Batch:
    """Several expressions that are evaluated at once, at a third of the cost; ``measured`` variables are measured."""

    program: Any
    measured: frozenset[str]

    def holds(self, bound: Bound, values: Mapping[str, object]) -> list[bool] | None:
        """Give the value of each; None where they have to be asked one by one, since some has none."""
        try:
            _check_whole(values, values)
            _check_sizes(self.measured, values)
            held = self.program.eval(bound).plain_value()
        except (EvaluationError, RuntimeError):
            return None
        return held if isinstance(held, list) else None


def batch(expressions: Sequence[Expression]) -> Batch | None:
    """Put expressions together; None where there is nothing to put together, or CEL does not take it."""
    if len(expressions) < 2:  # noqa: PLR2004 # one is no batch
        return None
    facts = dict.fromkeys(fact.name for expression in expressions for fact in expression.facts)
    program = _together(tuple(expression.evaluable for expression in expressions), tuple(facts))
    measured = frozenset(name for expression in expressions if expression.copies_text for name in expression.names)
    return Batch(program, measured) if program else None


@lru_cache(maxsize=64)
def _together(texts: tuple[str, ...], facts: tuple[str, ...]) -> Any:
    """Compile a list of expressions, once for ten thousand sub accounts; None where CEL does not take it."""
    # Each ends its own line, since it may end with a comment.
    try:
        return _evaluating(facts).compile("[" + ", ".join(f"({text}\n)" for text in texts) + "]")
    except RuntimeError:
        return None


def bind(values: Mapping[str, object], facts: Iterable[Fact] = ()) -> Bound:
    """Make the values of variables ready for expressions with these facts."""
    return _evaluating().Activation({**values, **{fact.name: fact.holds(values) for fact in facts}})


def compile_expression(text: str) -> Expression:
    """Check an expression and make it ready.

    Raises:
        ExpressionError: with what is wrong and where: syntax, unknown variables and functions, types, constants that
            CEL would refuse only when it reaches them, and whatever could make it run without end.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError([Fault(1, 1, f"has {len(text)} characters: at most {MOST_CHARACTERS} are allowed")])
    if half := re.search("[\ud800-\udfff]", text):
        raise ExpressionError([Fault(*place(text, half.start()), "is half of a character: write the whole one")])
    try:
        program = _checking().compile(text)
    except RuntimeError as error:
        raise ExpressionError(faults(text, str(error))) from None
    tree = read_tree(program.serialize())
    if asked := [node for node in _variables(tree) if text[tree.offset(node)] == "("]:
        message = "has() is for annotations, such as has(key.annotations.ticket): {} is always there"
        raise ExpressionError(Fault(*place(text, tree.offset(node)), message.format(node.text)) for node in asked)
    if program.return_type() != _cel().Type.BOOL:
        message = 'is not true or false: write a comparison, such as key.owner == ""'
        raise ExpressionError([Fault(1, 1, message)])
    wrong = (*wrong_parts(tree, _fails), *unwritten(tree))
    if wrong:
        found = {Fault(*place(text, tree.offset(node)), message) for node, message in wrong}
        raise ExpressionError(sorted(found, key=lambda fault: (fault.line, fault.column)))
    asked_of_us = calls(tree, text)
    evaluable, facts = replaced(text, asked_of_us), tuple(dict.fromkeys(call.fact for call in asked_of_us))
    copies = any(_works_through(tree, node) for node in tree.nodes())
    program = _evaluating(tuple(fact.name for fact in facts)).compile(evaluable)
    return Expression(text, tree.names & VARIABLES.keys(), copies, facts, evaluable, program)


def _works_through(tree: Tree, node: Node) -> bool:
    """Tell whether a call goes through a whole text, or copies it, so that a very long one must be measured first."""
    if node.kind is not Kind.CALL:
        return False
    of_text = node.text in _THROUGH and not tree.type_of(node.children[0]).depth
    return of_text or "add_string" in tree.overloads(node)


def _variables(tree: Tree) -> Iterator[Node]:
    return (node for node in tree.nodes() if node.kind is Kind.NAME and node.text in VARIABLES)


# The environment


def _cel() -> Any:
    from cel_expr_python import cel

    return cel


@cache
def _checking() -> "cel.Env":
    """Give the environment in which expressions are checked: with our functions, which are never called there."""
    cel = _cel()
    texts = cel.Type.List(cel.Type.STRING)
    second = {"covers": cel.Type.STRING, "networks_within": texts}
    functions = [cel.FunctionDecl(name, [_overload(cel, name, [texts, second[name]])]) for name in FUNCTIONS]
    return cel.NewEnv(variables=_types(cel), functions=functions)


@lru_cache(maxsize=256)
def _evaluating(facts: tuple[str, ...] = ()) -> "cel.Env":
    """Give an environment in which expressions are evaluated: with a variable for each of their facts."""
    cel = _cel()
    environment = cel.NewEnv(variables=_types(cel) | dict.fromkeys(facts, cel.Type.BOOL))
    environment.compile("true")  # one that compiled nothing cannot take times and lengths of time
    return environment


def _types(cel: Any) -> dict[str, Any]:
    kind = cel.Type
    types = {
        Type.TEXT: kind.STRING,
        Type.TEXTS: kind.List(kind.STRING),
        Type.TEXT_BY_NAME: kind.Map(kind.STRING, kind.STRING),
        Type.TRUTH: kind.BOOL,
        Type.MOMENT: kind.TIMESTAMP,
        Type.LENGTH: kind.DURATION,
    }
    return {name: types[each] for name, each in VARIABLES.items()}


def _overload(cel: Any, name: str, parameters: list[Any]) -> Any:
    return cel.Overload(name, return_type=cel.Type.BOOL, parameters=parameters)


@cache
def _trial(expression: str) -> Any:
    """Compile an expression over one variable ``text``, to try constants on."""
    cel = _cel()
    return cel.NewEnv(variables={"text": cel.Type.STRING}).compile(expression)


def _fails(expression: str, text: str) -> bool:
    return isinstance(_trial(expression).eval(data={"text": text}).value(), str)


# What is looked at before anything is evaluated

_CUT: Final = re.compile("[\0\ud800-\udfff]")
"""What CEL's library cuts a text at without a word, or takes for no text at all."""


def _check_whole(names: Iterable[str], values: Mapping[str, object]) -> None:
    for name in names:
        if any(map(_CUT.search, _texts(values[name]))):
            raise EvaluationError(f"{name} holds a NUL, or half of a character, at which CEL would cut it")


def _check_sizes(names: Iterable[str], values: Mapping[str, object]) -> None:
    for name in names:
        longest = max(map(len, _texts(values[name])), default=0)
        if longest > MOST_TEXT:
            raise EvaluationError(f"{name} holds {longest} characters, and at most {MOST_TEXT} are looked at")


def _texts(value: object) -> Iterable[str]:
    match value:
        case str():
            return (value,)
        case list():
            return value
        case dict():
            return (*value, *value.values())
        case _:
            return ()
