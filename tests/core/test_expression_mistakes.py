"""What is said about an expression that cannot be used: line, column, what is wrong and what to write instead."""

import pytest

from reconciler.core.complaints import Fault
from reconciler.core.expressions import ExpressionError, compile_expression

KEY_FIELDS = (
    "the fields of key are name, label, id, scopes, roles, domains, ip_allow_list, list_managed, owner, state, "
    "managed, annotations, created_at, age, never_used, last_used_at, idle, account, sub_account"
)
CHANGE_FIELDS = "the fields of change are action, granted, revoked, direction"
THERE_IS = (
    "there are key, change and now, and the functions covers, networks_within, duration, timestamp, size, matches, "
    "startsWith, endsWith, contains, exists, all, filter, exists_one, map, has"
)
LENGTHS = 'write a length of time as duration("720h")'
TIMES = 'write a time as timestamp("2026-01-31T00:00:00Z")'
LISTS = 'write lists as ["a", "b"], and ask for one of a list with in'
NO_TRUTH = 'is not true or false: write a comparison, such as key.owner == ""'
TOO_EARLY = "ends too early: something is missing here"
TOO_DEEP = "lies too deep in parentheses: write it in simpler parts"
NO_HAS = "has() is for annotations, such as has(key.annotations.ticket): {} is always there"
INJECTED = "ERROR: <input>:9:9: undeclared reference to 'x' (in container '')"


def faults(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    return [(fault.line, fault.column, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, TOO_EARLY),
        ("  ", 1, 3, TOO_EARLY),
        ("// nothing but a comment", 1, 25, TOO_EARLY),
        ("key.owner ==", 1, 13, TOO_EARLY),
        ("key.managed &&\n", 2, 1, TOO_EARLY),
        ("(", 1, 2, TOO_EARLY),
        ("key.managed key.never_used", 1, 13, "Syntax error: mismatched input 'key'"),
        ("key.managed)", 1, 12, "Syntax error: extraneous input ')'"),
        ("key.managed and key.never_used", 1, 13, "write && for 'and'"),
        ("key.managed or key.never_used", 1, 13, "write || for 'or'"),
        ('"*" not in key.scopes', 1, 5, "write ! for 'not'"),
        ("\"input 'and'\" true", 1, 15, "Syntax error: extraneous input 'true'"),
        ("not key.managed", 1, 5, "Syntax error: mismatched input 'key'"),
        ("key.managed && ()", 1, 17, "Syntax error: mismatched input ')'"),
        ('"é😀" == key.owner && )', 1, 22, "Syntax error: mismatched input ')'"),
        ('key.owner = "x"', 1, 11, "write == to compare"),
        ('key.owner == "x', 1, 14, "Syntax error: token recognition error at: '\"x'"),
        ("if", 1, 1, "reserved identifier: if"),
        ("9223372036854775808 == 1", 1, 1, "invalid int literal"),
        ("has(key)", 1, 5, "has() argument must be a field selection"),
        ('key.scopes.all("s", true)', 1, 16, "all() variable name must be a simple identifier"),
        ("(" * 33 + "true" + ")" * 33, 1, 1, TOO_DEEP),
        ("(" * 4096, 1, 1, TOO_DEEP),
        ("[" * 4096, 1, 1, TOO_DEEP),
        ("{" * 4096, 1, 1, TOO_DEEP),
        ("true ? true : " * 290 + "true", 1, 1, TOO_DEEP),
        ("1" + " + 1" * 1000 + " == 1", 1, 1, TOO_DEEP),
        ("key.scopes" + ".filter(a, true)" * 200 + ".size() == 0", 1, 1, TOO_DEEP),
        ("key.annotations" + ".a" * 1000 + ' == ""', 1, 1, TOO_DEEP),
        ("[1]" + "[0]" * 1000 + " == 1", 1, 1, TOO_DEEP),
    ],
)
def test_syntax(text: str, line: int, column: int, message: str) -> None:
    """What is no expression is told where it stops being one, and depth that would take the stack is refused."""
    assert faults(text) == [(line, column, message)]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("key.owner", 1, 1, NO_TRUTH),
        ('"true"', 1, 1, NO_TRUTH),
        ("key.scopes.map(s, s)", 1, 1, NO_TRUTH),
        ("key.managed ? 1 : 2", 1, 1, NO_TRUTH),
        ("now", 1, 1, NO_TRUTH),
        ('key.managed == "yes"', 1, 13, "'==' does not go with (truth, text)"),
        ("key.owner == null", 1, 11, "'==' does not go with (text, null): nothing is ever null: compare with \"\""),
        ("key.age > 30", 1, 9, f"'>' does not go with (length of time, number): {LENGTHS}"),
        ("key.age == now", 1, 9, f"'==' does not go with (length of time, time): {LENGTHS}"),
        ("now - 5 > now", 1, 5, f"'-' does not go with (time, number): {TIMES}"),
        ('key.created_at > "2026-01-01"', 1, 16, f"'>' does not go with (time, text): {TIMES}"),
        ('key.scopes == "*"', 1, 12, f"'==' does not go with (list of text, text): {LISTS}"),
        ("[key.scopes] == key.roles", 1, 14, f"'==' does not go with (list(list of text), list of text): {LISTS}"),
        ('key.annotations == ""', 1, 17, "'==' does not go with (text by name, text)"),
        ('{"a": 1} == ""', 1, 10, "'==' does not go with (map(text, number), text)"),
        ("1.5 == 1", 1, 5, "'==' does not go with (double, number)"),
        ('"int" == 1u', 1, 7, "'==' does not go with (text, uint)"),
        ("!key.owner", 1, 1, "'!' does not go with (text)"),
        ("key.managed && 1", 1, 13, "'&&' does not go with (truth, number)"),
        ("size(1) == 1", 1, 5, "'size' does not go with (number)"),
        ('key.managed ||\n\n  covers("a", "b")', 3, 9, "'covers' does not go with (text, text)"),
        ('"é😀" != "" && key.owner > 1', 1, 25, "'>' does not go with (text, number)"),
        (
            'key.annotations.ticket.id == ""',
            1,
            23,
            "expression of type 'string' cannot be the operand of a select operation",
        ),
        (
            "key.owner.all(s, true)",
            1,
            4,
            "expression of type 'string' cannot be the range of a comprehension (must be list, map, or dynamic)",
        ),
    ],
)
def test_types(text: str, line: int, column: int, message: str) -> None:
    """An expression must be true or false, and what does not go together is told at the operator."""
    assert faults(text) == [(line, column, message)]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('key.lable == ""', 1, 1, "there is no 'key.lable': did you mean 'key.label'?"),
        ('key.lable.startsWith("x")', 1, 1, "there is no 'key.lable': did you mean 'key.label'?"),
        ('keys.label == ""', 1, 1, "there is no 'keys.label': did you mean 'key.label'?"),
        ('change.actoin == ""', 1, 1, "there is no 'change.actoin': did you mean 'change.action'?"),
        ("nov > key.created_at", 1, 1, f"there is no 'nov': {THERE_IS}"),
        ('foo == ""', 1, 1, f"there is no 'foo': {THERE_IS}"),
        ('foo.bar.baz == ""', 1, 1, f"there is no 'foo.bar.baz': {THERE_IS}"),
        ('key.colour == ""', 1, 1, f"there is no 'key.colour': {KEY_FIELDS}"),
        ('change.x == ""', 1, 1, f"there is no 'change.x': {CHANGE_FIELDS}"),
        ("key == 1", 1, 1, f"'key' is no value by itself: {KEY_FIELDS}"),
        ('change == ""', 1, 1, f"'change' is no value by itself: {CHANGE_FIELDS}"),
        ('cover(key.scopes, "*")', 1, 1, "there is no 'cover': did you mean 'covers'?"),
        ('key.label.startswith("x")', 1, 11, "there is no 'startswith': did you mean 'startsWith'?"),
        ('key.label.lower() == "x"', 1, 11, f"there is no 'lower': {THERE_IS}"),
        ('key.scopes.exists(s, t == "*")', 1, 22, f"there is no 't': {THERE_IS}"),
        ('"é😀" == foo', 1, 9, f"there is no 'foo': {THERE_IS}"),
        ('"é😀" == key.lable', 1, 9, "there is no 'key.lable': did you mean 'key.label'?"),
        ('"é😀" == key.label.trim()', 1, 19, f"there is no 'trim': {THERE_IS}"),
        ('key.owner != "é" &&\n  key.lable == ""', 2, 3, "there is no 'key.lable': did you mean 'key.label'?"),
        ('// key.lable\n\n (key.lable) == ""', 3, 3, "there is no 'key.lable': did you mean 'key.label'?"),
        ('key . lable == ""', 1, 5, "there is no 'key.lable': did you mean 'key.label'?"),
        ('key\n  .lable == ""', 2, 3, "there is no 'key.lable': did you mean 'key.label'?"),
    ],
)
def test_unknown_names(text: str, line: int, column: int, message: str) -> None:
    """A name that there is not is told where it begins, in characters, with the one that may have been meant."""
    assert faults(text) == [(line, column, message)]


@pytest.mark.parametrize(
    ("text", "column", "name", "right"),
    [
        ('covers("*")', 1, "covers", 'covers(key.scopes, "messages:send:{shop.example.com}")'),
        ("networks_within()", 1, "networks_within", 'networks_within(key.ip_allow_list, ["203.0.113.0/24"])'),
        ("key.age > duration()", 11, "duration", 'duration("24h")'),
        ("now > timestamp()", 7, "timestamp", 'timestamp("2026-01-31T00:00:00Z")'),
        ("size() == 1", 1, "size", "size(key.scopes)"),
        ("key.label.matches()", 11, "matches", 'key.label.matches("^[a-z]+$")'),
        ('startsWith(key.label, "tmp-")', 1, "startsWith", 'key.label.startsWith("tmp-")'),
        ("key.label.endsWith()", 11, "endsWith", 'key.label.endsWith("-old")'),
        ('contains("test")', 1, "contains", 'key.label.contains("test")'),
        ('key.scopes.exists("*")', 12, "exists", 'key.scopes.exists(s, s == "*")'),
        ("key.scopes.all()", 12, "all", 'key.scopes.all(s, s != "*")'),
        ("key.annotations.all(n, t, n == t)", 17, "all", 'key.scopes.all(s, s != "*")'),
        ('key.scopes.filter(s == "*")', 12, "filter", 'key.scopes.filter(s, s.startsWith("accounts:"))'),
        ("has()", 1, "has", "has(key.annotations.ticket)"),
    ],
)
def test_known_functions_used_wrongly(text: str, column: int, name: str, right: str) -> None:
    """A function that is not called as it should be is shown as it should; what follows from that is left out."""
    assert faults(text) == [(1, column, f"{name} does not take this: write it as {right}")]


@pytest.mark.parametrize(
    ("text", "line", "column", "name"),
    [
        ("has(key.scopes)", 1, 4, "key.scopes"),
        ("has(key.annotations)", 1, 4, "key.annotations"),
        ("has (key.managed)", 1, 5, "key.managed"),
        ("(has(change.action))", 1, 5, "change.action"),
        ('"é😀" != "" &&\n  !has(key.never_used)', 2, 7, "key.never_used"),
        ("key.scopes.all(s, has(key.list_managed))", 1, 22, "key.list_managed"),
    ],
)
def test_nothing_but_an_annotation_is_ever_absent(text: str, line: int, column: int, name: str) -> None:
    """Whether a variable is there need not be asked, and would be true for every key."""
    assert faults(text) == [(line, column, NO_HAS.format(name))]


def test_variables_in_parentheses() -> None:
    """A variable in parentheses is no has(), also one of a loop with the name of a variable."""
    compile_expression("(key.managed) && (now) > (key.created_at) && has(key.annotations.now)")
    compile_expression('(key.scopes.all(now, (now) != "")) && (key.scopes).size() > 0')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'"{INJECTED}" == 1', [(1, len(INJECTED) + 4, "'==' does not go with (text, number)")]),
        (f'"""\n{INJECTED}\n""" == 1', [(3, 5, "'==' does not go with (text, number)")]),
        (f'"""\n{INJECTED}\n""" == foo', [(3, 8, f"there is no 'foo': {THERE_IS}")]),
        (f"foo == 1 // {INJECTED}", [(1, 1, f"there is no 'foo': {THERE_IS}")]),
    ],
)
def test_texts_that_read_like_errors(text: str, expected: list[tuple[int, int, str]]) -> None:
    """What CEL says is told, and never what stands in the expression itself."""
    assert faults(text) == expected


def test_every_mistake_is_told() -> None:
    """All names that there are not are told at once, in the order in which they stand."""
    assert faults('foo == "" ||\n  key.lable == ""') == [
        (1, 1, f"there is no 'foo': {THERE_IS}"),
        (2, 3, "there is no 'key.lable': did you mean 'key.label'?"),
    ]
    assert faults('key.state == "gone" ||\n change.action == "upsert" || key.state == "off"') == [
        (1, 14, "key.state is never 'gone': it is one of absent, present, quarantined"),
        (2, 19, "change.action is never 'upsert': it is one of create, delete, quarantine, restore, update"),
        (2, 44, "key.state is never 'off': it is one of absent, present, quarantined"),
    ]


def test_the_error_itself() -> None:
    """An error holds its faults as values, and reads as one sentence."""
    error = ExpressionError(iter([Fault(1, 2, "a"), Fault(3, 4, "b")]))
    assert error.faults == (Fault(1, 2, "a"), Fault(3, 4, "b"))
    assert str(error) == "a; b"
