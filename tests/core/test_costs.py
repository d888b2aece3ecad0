"""What an expression could take for one key: the estimate, and what it refuses when a policy is loaded."""

from itertools import count, takewhile

import pytest

from reconciler.core.costs import MOST_COST, MOST_ELEMENTS, cost, instructions
from reconciler.core.expressions import MOST_CHARACTERS, ExpressionError, compile_expression
from reconciler.core.tree import read_tree

COSTLY = "could take too long for one key: ask less inside all, exists, filter and map"
PATTERN = "this pattern is too long, or repeats too much: that is too costly"
ONES = "[" + ", ".join(["1"] * 33) + "]"


def steps(text: str) -> int:
    return cost(read_tree(compile_expression(text).program.serialize()))


def faults(text: str) -> list[str]:
    """What is wrong, without its place; nothing where the expression is taken."""
    try:
        compile_expression(text)
    except ExpressionError as error:
        return [fault.message for fault in error.faults]
    return []


def filled(before: str, term: str, after: str = "") -> str:
    """As many terms, joined by ``&&``, as an expression may have characters."""
    texts = (before + " && ".join([term] * times) + after for times in count(1))
    return list(takewhile(lambda text: len(text) <= MOST_CHARACTERS, texts))[-1]


def in_loops(term: str, times: int = 1) -> str:
    return f"key.scopes.all(a, key.scopes.all(b, {' && '.join([term] * times)}))"


# The estimate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", 1),
        ("key.managed", 1),
        ("!key.managed", 2),
        ("key.managed && key.never_used", 3),
        ('key.owner == ""', 3),
        ('"x" in key.scopes', 3 + MOST_ELEMENTS),
        ("key.scopes == key.roles", 3 + 2 * MOST_ELEMENTS),
        ("key.annotations != key.annotations", 3 + 2 * MOST_ELEMENTS),
        ('key.scopes == ["a", "b"]', 3 + 2 + MOST_ELEMENTS + 2),
        ('key.owner in ["a", "b", "c"]', 3 + 3 + 3),
        ('{"a": 1} == {"b": 2}', 1 + 2 * 2 + 2 * 3),
        ('key.annotations.string == ""', 4),
        ("google.protobuf.Int32Value{value: 300} == 300", 4),
        ('string(now) != ""', 3 + 20),
        ('now > timestamp("2026-01-31T00:00:00Z")', 3 + 20),
        ('key.age > duration("24h")', 3 + 20),
        ('key.label.matches("abc")', 2 + 20 * 3),
        ('key.owner + "x" == ""', 2 + 20 + 2),
        ('key.owner + "x" == key.name + "y" + "z"', 1 + 3 * 20 + 5),
        ('key.owner + key.name == ""', 2 + 20 * 2 + 3),
        ('(key.owner + key.name).contains("x")', 2 + 20 * 2 + 1000 * 4 + 1),
        ("(key.owner + key.name).size() == 1", 2 + 20 * 2 + 200 * 2 + 3),
        ("1 + 1 == 2", 5),
        ('(key.owner + "x").matches("abc")', 20 * 3 + 1 + 20 + 2),
        ('key.label.matches("abc") && key.owner + "x" + "y" != ""', 1 + 20 * 3 + 2 + 1 + 2 * 20 + 4),
    ],
)
def test_one_evaluation(text: str, expected: int) -> None:
    """A step is one for most parts; comparing costs by elements, patterns by length, and joining texts costs most."""
    assert steps(text) == expected


@pytest.mark.parametrize(
    ("loop", "turns"),
    [
        ("key.scopes.all(a, {})", MOST_ELEMENTS),
        ("key.annotations.all(a, {})", MOST_ELEMENTS),
        ("[1, 2, 3].all(a, {})", 3),
        ("key.scopes.filter(a, true).all(b, {})", MOST_ELEMENTS),
        ("[1, 2].map(a, a).map(b, b).all(c, {})", 2),
        ("key.scopes.all(a, [1, 2, 3].all(b, {}))", 3 * MOST_ELEMENTS),
        ("[1, 2, 3].all(a, key.scopes.all(b, {}))", 3 * MOST_ELEMENTS),
        ("[[1, 2], [3, 4]].all(a, a.all(b, {}))", 2 * MOST_ELEMENTS),
        ("key.scopes.all(a, [" + ", ".join(["1"] * 33) + "].all(b, {}))", 33 * MOST_ELEMENTS),
        ("key.scopes.all(a, [" + ", ".join(["1"] * 34) + "].all(b, {}))", 10_000),
        ("key.scopes.all(a, key.scopes.all(b, {}))", 10_000),
        ("key.scopes.all(a, key.scopes.all(b, key.scopes.all(c, {})))", 10_000),
        ("key.scopes.all(a, {}) && key.scopes.all(a, true)", MOST_ELEMENTS),
    ],
)
def test_loops(loop: str, turns: int) -> None:
    """What lies in loops counts once for each turn, of which CEL allows ten thousand."""
    assert steps(loop.format("!true")) - steps(loop.format("true")) == turns


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('[1, 2, 3].all(a, "x" in key.scopes)', '[1, 2, 3].all(a, "x" in ["y"])'),
        ('["x" in key.scopes].all(a, a)', '["x" in ["y"]].all(a, a)'),
    ],
)
def test_what_a_loop_goes_over(text: str, plain: str) -> None:
    """What a loop goes over is made once, and what lies in it each time."""
    turns = 3 if text.startswith("[1") else 1
    assert steps(text) - steps(plain) == turns * (MOST_ELEMENTS - 2)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", 0),
        ("abc", 3),
        ("é😀", 2),
        (r"\pL", 903),
        (r"\p{Greek}\PN", 9 + 3 + 1800),
        (r"\d+", 3),
        (r"\pL{2}", 6 + 900 + 2 * 900),
        ("a{7}", 4 + 7),
        ("a{2,7}", 6 + 7),
        ("a{7,}", 5 + 7),
        ("a{0}", 4 + 1),
        ("a{0,0}b{3}", 10 + 1 + 3),
        ("(ab){7}", 7 * 7),
        ("(ab){2,7}", 9 * 7),
        ("(ab){7,}", 8 * 7),
        ("(ab){0}", 7),
        ("((a){2}b{3}){5}", (15 + 3) * 2 * 5),
        ("{a}", 3),
        ("a{,7}", 5),
        ("(((.*s.){10}){10}){9}x", 22 * 900),
        ("(a|b)*a(a|b){900,}x", 19 * 900),
        (r"(.*\pL.*){99}x$", (15 + 900) * 99),
    ],
)
def test_patterns(pattern: str, expected: int) -> None:
    """A pattern is as long as its counted repeats make it: those of groups multiply the whole, and classes are long."""
    assert instructions(pattern) == expected


# What is refused


def weighing(count: int) -> str:
    """A part of so many steps, before another."""
    return f"[{', '.join(['1'] * (count - 24))}].size() > 0 && "


def test_the_limit() -> None:
    """An expression of a million steps is taken, and one step more is not, which is told at its root."""
    costly = "\n || " + in_loops('string(now) != ""', 3)
    search = "key.scopes.all(s, {}s.matches('" + "x" * 36 + "'))"
    inside, outside = divmod(1_000_000 - steps(f"{search.format('')}{costly}"), MOST_ELEMENTS)
    search = search.format(weighing(inside - 1))
    text = f"{weighing(outside + MOST_ELEMENTS)}{search}{costly}"
    assert (steps(text), MOST_COST, MOST_ELEMENTS) == (1_000_000, 1_000_000, 300)
    with pytest.raises(ExpressionError) as caught:
        compile_expression(f"{weighing(outside + MOST_ELEMENTS + 1)}{search}{costly}")
    assert [(fault.line, fault.column, fault.message) for fault in caught.value.faults] == [(2, 2, COSTLY)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key.scopes.all(a, {ONES}.all(b, key.scopes == key.scopes))", [COSTLY]),
        (filled("", f"key.scopes.all(a, {ONES}.all(b, key.scopes == key.scopes))"), [COSTLY]),
        (filled(f"key.scopes.all(a, {ONES}.all(b, ", "key.scopes == key.scopes", "))"), [COSTLY]),
        (in_loops('!("x" in key.scopes)'), [COSTLY]),
        (filled("key.scopes.all(a, key.scopes.all(b, ", '!("x" in key.scopes)', "))"), [COSTLY]),
        (filled(f"key.scopes.all(a, {ONES}.all(b, ", '!("x" in key.scopes)', "))"), [COSTLY]),
        (filled("key.scopes.all(a, key.scopes.all(b, ", 'string(now) != ""', "))"), [COSTLY]),
        (filled("key.scopes.all(a, key.scopes.all(b, ", "1 < 2", "))"), [COSTLY]),
        (filled("key.scopes.all(a, key.scopes.all(b, ", 'timestamp("2026-01-31T00:00:00Z") < now', "))"), [COSTLY]),
        (r'!key.scopes.exists(s, s.matches("(.*\\pL.*){99}x$"))', [COSTLY, PATTERN]),
        ('!key.scopes.exists(s, s.matches("(((.*s.){10}){10}){9}x"))', [COSTLY, PATTERN]),
        ('key.scopes.all(a, key.scopes.all(b, !a.matches("(a|b)*a(a|b){900,}x")))', [COSTLY, PATTERN]),
        ('key.scopes.all(a, key.scopes.all(b, !a.matches("^[a-z]+$")))', [COSTLY]),
        (f"{ONES}.all(x, key.scopes.map(a, [{', '.join(['1'] * 600)}]).size() > 0)", [COSTLY]),
        (f"{ONES}.all(x, key.scopes.map(a, [{','.join(['1'] * 1900)}]).size() > 0)", [COSTLY]),
        (f"{ONES}.all(x, key.scopes.map(a, {{{','.join(f'{n}:1' for n in range(600))}}}).size() > 0)", [COSTLY]),
        (f"{ONES}.all(x, key.scopes.map(a, {{{','.join(f'{n}:a' for n in range(600))}}}).size() > 0)", [COSTLY]),
    ],
)
def test_what_could_get_out_of_hand(text: str, expected: list[str]) -> None:
    """What could take seconds or hundreds of megabytes for one key is refused before any key is asked."""
    assert len(text) <= MOST_CHARACTERS
    assert faults(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'key.scopes.exists(s, s.startsWith("accounts:"))',
        'key.scopes.all(s, s.matches("^team-[a-z]{2,20}-[0-9]{1,6}$"))',
        'key.scopes.exists(a, a != "*" && key.domains.exists(d, a.endsWith(d)))',
        "key.domains.all(d, key.scopes.exists(s, s.contains(d)))",
        'key.scopes.exists(s, s.startsWith("a") || s.startsWith("b") || s.endsWith("c") || s.contains("d"))',
        'key.domains.exists(d, ("messages:send:{" + d + "}") in ["messages:send:{shop.example.com}"])',
        "key.scopes.exists(s, s in key.roles)",
        'key.scopes.exists(matches, matches == "*") && has(key.annotations.matches)',
        'key.scopes.map(s, s + "!").size() == 1',
        f"{ONES}.all(n, n == 1)",
        f"key.scopes.all(a, {ONES}.all(b, b == 1))",
        f"[{', '.join(['1'] * 1000)}].size() == 1000",
        filled("", 'covers(key.scopes, "*")'),
        filled("", 'string(now) != ""'),
    ],
)
def test_what_is_ordinary(text: str) -> None:
    """What policies ask about scopes, domains and times is taken."""
    assert faults(text) == []
