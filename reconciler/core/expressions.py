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
from difflib import get_close_matches
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.facts import FUNCTIONS, Fact, calls, replaced, unwritten
from reconciler.core.scrutiny import wrong_parts
from reconciler.core.tree import Kind, Node, Tree, read_tree

if TYPE_CHECKING:
    from cel_expr_python import cel

MOST_CHARACTERS: Final = 4096
"""How long an expression may be."""
MOST_TEXT: Final = 1024
"""How long a text may be that an expression puts together with others, or searches for a pattern."""
_NEAR: Final = 0.7


class Type(StrEnum):
    """What kind of value a variable holds."""

    TEXT = "text"
    TEXTS = "list of text"
    TEXT_BY_NAME = "text by name"
    TRUTH = "true or false"
    MOMENT = "time"
    LENGTH = "length of time"


VARIABLES: Final[Mapping[str, Type]] = {
    "key.name": Type.TEXT,
    "key.label": Type.TEXT,
    "key.id": Type.TEXT,
    "key.scopes": Type.TEXTS,
    "key.roles": Type.TEXTS,
    "key.domains": Type.TEXTS,
    "key.ip_allow_list": Type.TEXTS,
    "key.list_managed": Type.TRUTH,
    "key.owner": Type.TEXT,
    "key.state": Type.TEXT,
    "key.managed": Type.TRUTH,
    "key.annotations": Type.TEXT_BY_NAME,
    "key.created_at": Type.MOMENT,
    "key.age": Type.LENGTH,
    "key.never_used": Type.TRUTH,
    "key.last_used_at": Type.MOMENT,
    "key.idle": Type.LENGTH,
    "key.account": Type.TEXT,
    "key.sub_account": Type.TEXT,
    "change.action": Type.TEXT,
    "change.granted": Type.TEXTS,
    "change.revoked": Type.TEXTS,
    "change.direction": Type.TEXT,
    "now": Type.MOMENT,
}
"""Every variable, none of which is ever null: absent text is empty, and an absent time is the beginning of 1970."""
ABOUT_CHANGES: Final = "change."
_FUNCTIONS: Final = {
    "covers": 'covers(key.scopes, "messages:send:{shop.example.com}")',
    "networks_within": 'networks_within(key.ip_allow_list, ["203.0.113.0/24"])',
    "duration": 'duration("24h")',
    "timestamp": 'timestamp("2026-01-31T00:00:00Z")',
    "size": "size(key.scopes)",
    "matches": 'key.label.matches("^[a-z]+$")',
    "startsWith": 'key.label.startsWith("tmp-")',
    "endsWith": 'key.label.endsWith("-old")',
    "contains": 'key.label.contains("test")',
    "exists": 'key.scopes.exists(s, s == "*")',
    "all": 'key.scopes.all(s, s != "*")',
    "filter": 'key.scopes.filter(s, s.startsWith("accounts:"))',
    "exists_one": 'key.scopes.exists_one(s, s == "*")',
    "map": "key.domains.map(d, d.size()) == [16]",
    "has": "has(key.annotations.ticket)",
}
_THROUGH: Final = frozenset({"matches", "contains", "size", "string", "bytes"})
_MACROS: Final = frozenset({"exists", "exists_one", "all", "filter", "map"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an expression, at a 1-based line and column (in characters) of it."""

    line: int
    column: int
    message: str


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
            raise EvaluationError(_plain(str(error))) from None
        value = result.value()
        if value is True or value is False:
            return bool(value)
        told = _plain(str(value))
        hint = '; ask first whether it is there, as in "tier" in key.annotations && ...' if _ABSENT in told else ""
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
        raise ExpressionError([Fault(*_place(text, half.start()), "is half of a character: write the whole one")])
    try:
        program = _checking().compile(text)
    except RuntimeError as error:
        raise ExpressionError(_faults(text, str(error))) from None
    tree = read_tree(program.serialize())
    if asked := [node for node in _variables(tree) if text[tree.offset(node)] == "("]:
        message = "has() is for annotations, such as has(key.annotations.ticket): {} is always there"
        raise ExpressionError(Fault(*_place(text, tree.offset(node)), message.format(node.text)) for node in asked)
    if program.return_type() != _cel().Type.BOOL:
        message = 'is not true or false: write a comparison, such as key.owner == ""'
        raise ExpressionError([Fault(1, 1, message)])
    wrong = (*wrong_parts(tree, _fails), *unwritten(tree))
    if wrong:
        faults = {Fault(*_place(text, tree.offset(node)), message) for node, message in wrong}
        raise ExpressionError(sorted(faults, key=lambda fault: (fault.line, fault.column)))
    found = calls(tree, text)
    evaluable, facts = replaced(text, found), tuple(dict.fromkeys(call.fact for call in found))
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


# What CEL says is wrong

_ERROR: Final = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(\d+):(\d+): (.*)", re.MULTILINE)
_UNDECLARED: Final = re.compile(r"undeclared reference to '(.+?)' \(in container ''\)")
_OVERLOAD: Final = re.compile(r"found no matching overload for '(.+?)' applied to '(.+)'")
_ABSENT: Final = "Key not found in map"
_THERE_IS: Final = f"there are key, change and now, and the functions {', '.join(_FUNCTIONS)}"
_OPERATORS: Final = {"@in": "in", "_[_]": "[ ]", "_?_:_": "? :"}
_TRAILER: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")


def _plain(message: str) -> str:
    return _TRAILER.sub("", _TRAILER.sub("", message))


def _faults(text: str, message: str) -> list[Fault]:
    """Put CEL's errors in words; what follows from a name that it does not know is left out."""
    found = [(int(line), int(column), said) for line, column, said in _ERROR.findall(message)]
    if not found:
        return [Fault(1, 1, _in_words(_plain(message.partition("\n")[0])))]
    unknown = [(line, column, match[1]) for line, column, said in found if (match := _UNDECLARED.match(said))]
    macros = [each for each in unknown if each[2] in _MACROS]
    if not unknown:
        line, column, said = found[0]
        return [Fault(line, column, _in_words(said))]
    return [_undeclared(text, *each) for each in macros or unknown]


def _undeclared(text: str, line: int, column: int, name: str) -> Fault:
    """Say what may have been meant by a name that there is not, at the name's beginning."""
    before = text.split("\n")[line - 1][: column - 1]
    if before.endswith(name):  # CEL points at the parenthesis of a call, and at the last dot of a name
        column -= len(name)
    elif before.endswith(name.rpartition(".")[0]):
        column -= len(name.rpartition(".")[0])
    return Fault(line, column, _unknown(name))


def _unknown(name: str) -> str:
    if name in _FUNCTIONS:
        return f"{name} does not take this: write it as {_FUNCTIONS[name]}"
    of, _, field = name.partition(".")
    fields = [each.partition(".")[2] for each in VARIABLES if each.startswith(f"{of}.")]
    listed = f"the fields of {of} are {', '.join(fields)}"
    if fields and not field:
        return f"{name!r} is no value by itself: {listed}"
    near = [f"{of}.{each}" for each in get_close_matches(field, fields, n=1)]
    near = near or get_close_matches(name, (*VARIABLES, *_FUNCTIONS), n=1, cutoff=_NEAR)
    if near:
        return f"there is no {name!r}: did you mean {near[0]!r}?"
    return f"there is no {name!r}: {listed if fields else _THERE_IS}"


_TYPES: Final = {
    "google.protobuf.Duration": "length of time",
    "google.protobuf.Timestamp": "time",
    "list(string)": "list of text",
    "map(string, string)": "text by name",
    "null_type": "null",
    "string": "text",
    "int": "number",
    "bool": "truth",
}
_ADVICE: Final = {
    "length of time": 'write a length of time as duration("720h")',
    "time": 'write a time as timestamp("2026-01-31T00:00:00Z")',
    "null": 'nothing is ever null: compare with ""',
    "list of text": 'write lists as ["a", "b"], and ask for one of a list with in',
}
_SPELLED: Final = {"and": "&&", "or": "||", "not": "!"}


def _in_words(said: str) -> str:
    match = _OVERLOAD.match(said)
    if match:
        return _does_not_fit(match[1], match[2])
    if "recursion limit" in said or "recursion depth" in said:
        return "lies too deep in parentheses: write it in simpler parts"
    if said.startswith("Syntax error: mismatched input '<EOF>'"):
        return "ends too early: something is missing here"
    if "token recognition error at: '=" in said:
        return "write == to compare"
    told = said.partition(" expecting ")[0]
    if (word := re.search(r"input '(and|or|not)'", told)) is not None:
        return f"write {_SPELLED[word[1]]} for {word[1]!r}"
    return told


def _does_not_fit(function: str, types: str) -> str:
    """Say which kinds of values do not go together, and how those that people get wrong are written."""
    for name, words in _TYPES.items():
        types = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", words, types)
    advice = next((each for kind, each in _ADVICE.items() if kind in types), "")
    told = f"{_OPERATORS.get(function, function.strip('_'))!r} does not go with {types}"
    return f"{told}: {advice}" if advice else told


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


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
