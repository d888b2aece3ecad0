"""Expressions: their values for a key, alone and together, and the bounds that hold while they run."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.complaints import Fault
from reconciler.core.expressions import (
    MOST_CHARACTERS,
    MOST_TEXT,
    Batch,
    EvaluationError,
    Expression,
    ExpressionError,
    batch,
    bind,
    compile_expression,
)
from reconciler.core.vocabulary import VARIABLES, Type

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY: Mapping[str, object] = {
    "key.name": "shop",
    "key.label": "Läden 😀",
    "key.id": "k-1",
    "key.scopes": ["domains:read", "messages:send:{shop.example.com}"],
    "key.roles": ["sender"],
    "key.domains": ["shop.example.com"],
    "key.ip_allow_list": ["203.0.113.0/24"],
    "key.list_managed": True,
    "key.owner": "team-growth",
    "key.state": "present",
    "key.managed": True,
    "key.annotations": {"ticket": "INC-1"},
    "key.created_at": NOON - timedelta(days=30),
    "key.age": timedelta(days=30),
    "key.never_used": False,
    "key.last_used_at": NOON - timedelta(hours=1),
    "key.idle": timedelta(hours=1),
    "key.account": "a-1",
    "key.sub_account": "s-1",
    "change.action": "update",
    "change.granted": ["domains:read"],
    "change.revoked": ["anywhere"],
    "change.direction": "mixed",
    "now": NOON,
}
DEEP = "(" * 32 + "key.managed" + ")" * 32
NO_OWNER = 'Key not found in map : "owner"; ask first whether it is there, as in "tier" in key.annotations && ...'
OVER_BUDGET = "Iteration budget exceeded"


def holds(text: str, changes: Mapping[str, object] | None = None) -> bool:
    values, expression = {**KEY, **(changes or {})}, compile_expression(text)
    return expression.holds(bind(values, expression.facts), values)


def held(texts: list[str], changes: Mapping[str, object] | None = None) -> list[bool] | None:
    values = {**KEY, **(changes or {})}
    facts = [fact for text in texts for fact in compile_expression(text).facts]
    return together(texts).holds(bind(values, facts), values)


def together(texts: list[str]) -> Batch:
    batched = batch([compile_expression(text) for text in texts])
    assert batched is not None
    return batched


def failure(text: str, changes: Mapping[str, object] | None = None) -> str:
    with pytest.raises(EvaluationError) as caught:
        holds(text, changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("key.name", 'key.name == "shop"', 'key.name == "Shop"'),
        ("key.label", 'key.label == "Läden 😀"', "key.label.size() != 7"),
        ("key.id", 'key.id == "k-1"', 'key.id == ""'),
        ("key.scopes", '"domains:read" in key.scopes', '"*" in key.scopes'),
        ("key.roles", 'key.roles == ["sender"]', "key.roles.size() > 1"),
        ("key.domains", 'key.domains.all(d, d.endsWith(".com"))', 'key.domains.exists(d, d.startsWith("."))'),
        ("key.ip_allow_list", 'key.ip_allow_list[0] == "203.0.113.0/24"', "key.ip_allow_list.size() == 0"),
        ("key.list_managed", "key.list_managed", "!key.list_managed"),
        ("key.owner", 'key.owner.matches("^team-[a-z]+$")', 'key.owner.matches("^[a-z]+$")'),
        ("key.state", 'key.state in ["present", "absent"]', 'key.state == "quarantined"'),
        ("key.managed", "key.managed == true", "key.managed && false"),
        ("key.annotations", 'key.annotations.ticket == "INC-1"', "has(key.annotations.owner)"),
        ("key.created_at", 'key.created_at < timestamp("2026-11-01T00:00:00Z")', "key.created_at == now"),
        ("key.age", 'key.age == duration("720h")', 'key.age > duration("720h")'),
        ("key.never_used", "key.never_used ? false : true", "key.never_used"),
        ("key.last_used_at", "now - key.last_used_at == key.idle", "key.last_used_at < timestamp(1)"),
        ("key.idle", 'key.idle >= duration("1h")', 'key.idle < duration("59m59s")'),
        ("key.account", 'key.account + key.sub_account == "a-1s-1"', 'key.account != "a-1"'),
        ("key.sub_account", 'key.sub_account.contains("-")', 'key.sub_account == ""'),
        ("change.action", 'change.action == "update"', 'change.action == "delete"'),
        ("change.granted", "change.granted.filter(s, s in key.scopes).size() == 1", "change.granted.size() == 0"),
        ("change.revoked", 'change.revoked.exists_one(s, s == "anywhere")', 'change.revoked.map(s, s + "!") == ["!"]'),
        ("change.direction", 'change.direction != "widen"', 'change.direction == "none"'),
        ("now", "now.getFullYear() == 2026", "now.getFullYear() == 1970"),
    ],
)
def test_every_variable(name: str, right: str, wrong: str) -> None:
    """Each variable can be asked about as what it is, and its value decides."""
    assert name in compile_expression(right).names
    assert name in compile_expression(wrong).names
    assert (holds(right), holds(wrong)) == (True, False)


def test_the_table_above_is_whole() -> None:
    """No variable is without an example, and each has one of six types."""
    assert VARIABLES.keys() == KEY.keys()
    assert set(VARIABLES.values()) == set(Type)


@pytest.mark.parametrize(
    ("text", "names", "about_changes"),
    [
        ("true", set(), False),
        ('key.owner == "" && key.owner != "x"', {"key.owner"}, False),
        ("now - key.created_at > key.idle", {"now", "key.created_at", "key.idle"}, False),
        ('covers(key.scopes, "*")', {"key.scopes"}, False),
        ("key.managed && networks_within(key.ip_allow_list, [])", {"key.managed", "key.ip_allow_list"}, False),
        ("has(key.annotations.ticket)", {"key.annotations"}, False),
        ('"*" in change.granted', {"change.granted"}, True),
        ('covers(change.granted, "*")', {"change.granted"}, True),
        ('key.managed && change.action == "update"', {"key.managed", "change.action"}, True),
        ('key.label == "change.action" // change.action', {"key.label"}, False),
    ],
)
def test_what_an_expression_reads(text: str, names: set[str], about_changes: bool) -> None:
    """An expression knows its text and its variables; one that reads a change is about changes, and is asked alone."""
    expression = compile_expression(text)
    assert (expression.text, expression.names) == (text, frozenset(names))
    assert expression.about_changes is about_changes


@pytest.mark.parametrize(
    "text",
    [
        "key.managed // at the end",
        "// at the beginning\nkey.managed",
        'key.owner != "" && // why\n\n  key.managed\n',
        'key.owner != "// no comment"',
        '"""two\nlines""".contains("\\n")',
        r'r"\d" != "d"',
        "!!key.managed",
        DEEP,
        "key.managed" + " " * (MOST_CHARACTERS - 11),
        '"' + "😀" * (MOST_CHARACTERS - 8) + '" != ""',
    ],
)
def test_forms(text: str) -> None:
    """Comments, lines, raw and long texts, 32 parentheses and 4,096 characters, however many bytes, are taken."""
    assert holds(text)


def test_too_many_characters() -> None:
    """One character more than 4,096 is not even looked at."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression("(" * (MOST_CHARACTERS + 1))
    assert caught.value.faults == (Fault(1, 1, "has 4097 characters: at most 4096 are allowed"),)


# What has no value


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ('key.annotations.owner == ""', {}, NO_OWNER),
        ('key.annotations["owner"] == ""', {}, NO_OWNER),
        ('key.roles[1] == ""', {}, "Index error: index=1 size=1"),
        ("1 / (key.roles.size() - 1) == 1", {}, "divide by zero"),
        ("duration(key.owner) < key.age", {}, "String to Duration conversion failed"),
        ("timestamp(key.owner) < now", {}, "String to Timestamp conversion failed"),
    ],
)
def test_no_value(text: str, changes: Mapping[str, object], message: str) -> None:
    """An expression that reads what is not there fails, in words without codes."""
    assert failure(text, changes) == message


@pytest.mark.parametrize(
    "text",
    [
        'key.managed || key.annotations.owner == ""',
        'key.annotations.owner == "" || key.managed',
        '!has(key.annotations.owner) || key.annotations.owner == ""',
    ],
)
def test_a_part_that_does_not_matter_may_fail(text: str) -> None:
    """A part without a value does no harm where another part decides, in whichever order."""
    assert holds(text)


# Bounds


@pytest.mark.parametrize("text", ['key.scopes.all(s, s != "*")', 'key.scopes.filter(s, s == "*") == []'])
def test_the_engines_budget(text: str) -> None:
    """An expression over 9,999 elements has a value; over more than the engine's budget it fails."""
    assert holds(text, {"key.scopes": ["a"] * 9_999})
    assert failure(text, {"key.scopes": ["a"] * 10_000}) == OVER_BUDGET


def test_the_budget_counts_loops_in_loops() -> None:
    """The budget is one for the whole expression, loops in loops included: 99 * (1 + 99) steps, not 100 * (1 + 100)."""
    text = 'key.scopes.all(a, key.scopes.all(b, b != "*"))'
    assert holds(text, {"key.scopes": ["a"] * 99})
    assert failure(text, {"key.scopes": ["a"] * 100}) == OVER_BUDGET


@pytest.mark.parametrize(
    ("text", "name", "value", "longer"),
    [
        ('key.owner + "x" != ""', "key.owner", "a" * MOST_TEXT, "a" * (MOST_TEXT + 1)),
        ('key.owner.matches("^a")', "key.owner", "a" * MOST_TEXT, "a" * (MOST_TEXT + 1)),
        ('key.owner.matches("^é")', "key.owner", "é" * MOST_TEXT, "é" * (MOST_TEXT + 1)),
        ('!matches(key.scopes[0], "b")', "key.scopes", ["a", "a" * MOST_TEXT], ["a", "a" * (MOST_TEXT + 1)]),
        (
            'key.annotations.map(name, name + "x") != ["x"]',
            "key.annotations",
            {"a" * MOST_TEXT: ""},
            {"a" * (MOST_TEXT + 1): ""},
        ),
        (
            'key.annotations.a.matches("^a*$")',
            "key.annotations",
            {"a": "a" * MOST_TEXT},
            {"a": "a" * (MOST_TEXT + 1)},
        ),
    ],
)
def test_texts_that_are_copied_or_searched(text: str, name: str, value: object, longer: object) -> None:
    """Texts of 1,024 characters are put together and searched for patterns, longer ones are not."""
    assert holds(text, {name: value})
    assert failure(text, {name: longer}) == f"{name} holds 1025 characters, and at most 1024 are looked at"
    assert held([text, "key.managed"], {name: value}) == [True, True]
    assert held([text, "key.managed"], {name: longer}) is None


@pytest.mark.parametrize(
    "text",
    [
        'key.owner != ""',
        'key.owner.startsWith("a") && !key.owner.endsWith("b")',
        'key.roles.size() + 1 == 2 && key.owner != ""',
        'key.roles.filter(r, r != "").size() == 1 && key.owner != ""',
        'covers(key.scopes, "domains:read") && key.owner != ""',
    ],
)
def test_texts_that_are_only_compared(text: str) -> None:
    """A text of any length may be compared."""
    assert holds(text, {"key.owner": "a" * (MOST_TEXT + 1)})


@pytest.mark.parametrize(("name", "empty"), [("key.scopes", []), ("key.annotations", {}), ("key.owner", "")])
def test_nothing_to_measure(name: str, empty: object) -> None:
    """An empty list, mapping or text is short enough, and so is what is no text."""
    text = f'size({name}) == 0 && key.id + "x" != "" && key.managed && now > key.created_at'
    assert holds(text, {name: empty})


# Together


def test_a_batch_gives_each_its_value() -> None:
    """Expressions that are evaluated together have the values, in their order, that each has alone."""
    texts = [
        "key.managed // a comment ends its line, not the next expression",
        "key.never_used",
        '// first\nkey.owner == "team-growth" ||\n  key.managed',
        'key.owner == "), (true" // ])',
        'key.label.matches("^L")',
        'covers(key.scopes, "messages:send:{shop.example.com}")',
        'networks_within(key.ip_allow_list, ["198.51.100.0/24"])',
        'covers(key.scopes, "messages:send:{shop.example.com}") && key.never_used // once more',
        'covers(key.scopes, "domains:read") && now - key.created_at == key.age && key.idle > duration("59m")',
    ]
    alone = [holds(text) for text in texts]
    assert held(texts) == alone == [True, False, True, False, True, True, False, False, True]


@pytest.mark.parametrize("texts", [[], ["key.managed"]])
def test_nothing_to_put_together(texts: list[str]) -> None:
    """One expression is no batch."""
    assert batch([compile_expression(text) for text in texts]) is None


def test_a_batch_that_cel_does_not_take() -> None:
    """An expression as deep as CEL takes cannot lie in a list as well: such are asked one by one."""
    assert batch([compile_expression(DEEP), compile_expression("key.managed")]) is None


def test_a_batch_in_which_one_fails() -> None:
    """Where one of a batch has no value, no answer is given for any of them."""
    texts = ["key.managed", 'key.annotations.ticket == "INC-1"']
    assert held(texts) == [True, True]
    assert held(texts, {"key.annotations": {}}) is None


def test_a_batch_has_one_budget() -> None:
    """A batch that takes more steps than the budget gives no answer, though each alone has one."""
    texts = ['key.scopes.all(s, s != "*")'] * 2
    assert held(texts, {"key.scopes": ["a"] * 4_999}) == [True, True]
    assert held(texts, {"key.scopes": ["a"] * 5_000}) is None
    assert holds(texts[0], {"key.scopes": ["a"] * 5_000})


def test_only_what_is_copied_is_measured_in_a_batch() -> None:
    """Only the variables of those expressions that copy texts are measured."""
    copying, reading = 'key.owner + "x" != ""', 'key.label != ""'
    assert together([copying, reading]).measured == {"key.owner"}
    assert held([copying, reading], {"key.label": "a" * (MOST_TEXT + 1)}) == [True, True]
    assert held([copying, reading], {"key.owner": "a" * (MOST_TEXT + 1)}) is None


def test_one_binding_serves_many_expressions() -> None:
    """What is bound once, with the facts of all expressions, can be asked again and again, alone and together."""
    texts = ("key.managed", "key.never_used", 'covers(key.scopes, "*")', 'covers(key.scopes, "domains:read")')
    expressions: list[Expression] = [compile_expression(text) for text in texts]
    bound = bind(KEY, [fact for each in expressions for fact in each.facts])
    for _ in range(2):
        assert [each.holds(bound, KEY) for each in expressions] == [True, False, False, True]


def test_a_text_that_cel_would_cut_has_no_value() -> None:
    """At a NUL CEL ends a text: what follows is never left unjudged."""
    told = compile_expression('key.label == "app"')
    taken: dict[str, object] = {"key.label": "app\0 whatever", "key.scopes": ["a\0b"], "key.annotations": {"a": "\0"}}
    for text, name in (
        ('key.label == "app"', "key.label"),
        ('"a" in key.scopes', "key.scopes"),
        ('key.annotations.a == ""', "key.annotations"),
    ):
        with pytest.raises(EvaluationError, match=name):
            compile_expression(text).holds(bind(taken), taken)
    together = batch([told, compile_expression('key.label != "x"')])
    assert together is not None
    assert together.holds(bind(taken), taken) is None
    with pytest.raises(ExpressionError, match="half of a character"):
        compile_expression("key.label == '\ud800'")
