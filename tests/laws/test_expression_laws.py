"""Laws of expressions: they mean what the same rule in Python means, alone and in a batch, and are never a surprise."""

from itertools import product

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders import ACCOUNT, NOW, networks, scopes
from laws.grammar import Told, Truth, any_expressions, any_words, expressions, shown, subjects
from laws.universe import law
from reconciler.core.expressions import EvaluationError, Expression, ExpressionError, bind, compile_expression
from reconciler.core.findings import Severity
from reconciler.core.judging import Bench, Verdict
from reconciler.core.rules import Rule
from reconciler.core.subjects import Subject, values


def held(expression: Expression, subject: Subject) -> Truth:
    taken = values(subject, expression.names)
    try:
        return expression.holds(bind(taken, expression.facts), taken)
    except EvaluationError:
        return None


def compiled(told: Told) -> Expression:
    assume(told.text.count(" + ") <= 6)  # more are refused, as too costly
    return compile_expression(told.text)


@settings(law, max_examples=350)
@given(any_expressions, subjects())
def test_an_expression_means_what_the_same_rule_in_python_means(told: Told, subject: Subject) -> None:
    """It is true, false or without a value as the Python of the same rule is, and reads the variables that it names."""
    expression = compiled(told)
    assert expression.names == told.names
    assert held(expression, subject) is told.truth(shown(subject))


@settings(law, max_examples=100)
@given(st.lists(expressions, max_size=6), st.lists(subjects(any_words), max_size=3))
def test_a_batch_says_what_each_says_alone(tolds: list[Told], keys: list[Subject]) -> None:
    """Rules that are asked together find what each would find alone: broken, failed, or nothing to be said."""
    rules = [Rule(f"r{place}", Severity.WARN, compiled(told)) for place, told in enumerate(tolds)]
    found = {(id(one.subject), one.rule.id): one.verdict for one in Bench(rules, keys).broken()}
    verdicts = {True: Verdict.BROKEN, None: Verdict.FAILED}
    assert found == {
        (id(subject), rule.id): verdicts[truth]
        for subject, (rule, told) in product(keys, zip(rules, tolds, strict=True))
        if (subject.change or "change." not in told.text) and (truth := told.truth(shown(subject))) is not False
    }


# Whatever is written

WORDS = (
    *(
        "key",
        "key.name",
        "key.label",
        "key.scopes",
        "key.annotations",
        "key.age",
        "key.created_at",
        "key.managed",
        "now",
    ),
    *("change.granted", ".", ",", ":", "?", "!", "(", ")", "[", "]", "{", "}", "&&", "||", "==", "!=", "<", ">=", "in"),
    *("+", "-", "*", "/", "%", "s", "0", "1", "2u", "1.5", '""', '"a"', '"*"', "'", '"""', r'b"\xff"', r'r"\"', "true"),
    *("covers(key.scopes, ", "networks_within(key.ip_allow_list, ", "size(", "has(", "has(key.annotations.a)", "null"),
    *("key.scopes.exists(s, ", ".all(s, ", ".map(s, ", ".filter(s, ", ".matches(", '"("', ".startsWith(", "duration("),
    *("timestamp(", '"1h"', '"2026-01-31T00:00:00Z"', "dyn(", "type(", "string(", "int(", "google.protobuf.Struct{}"),
    *(
        "//",
        "\n",
        "\t",
        "\r",
        "\0",
        "é",
        "😀",
        "\u2028",
        "#",
        "$",
        "\\",
        "`",
        "@result",
        "__result__",
        "foo",
        "key.fo",
        "for",
    ),
    *("9223372036854775808", "covers", "networks_within", "key.scopes, ", '["10.0.0.0/8"]'),
)
pieces = st.lists(st.sampled_from(WORDS), max_size=12)
POWERFUL = Subject(NOW, ACCOUNT, "a", scopes("*"), networks(), managed=False)


@settings(law, max_examples=1500)
@given(pieces.map("".join) | pieces.map(" ".join) | st.text(st.characters(), max_size=30))
def test_no_text_is_a_surprise(text: str) -> None:
    """Any text is an expression, true, false or without a value, or is refused with faults that lie in it."""
    try:
        expression = compile_expression(text)
    except ExpressionError as error:
        faults = error.faults
    else:
        assert held(expression, POWERFUL) in (True, False, None)
        return
    lines = text.split("\n")
    assert faults
    assert all(1 <= fault.line <= len(lines) for fault in faults), faults
    assert all(1 <= fault.column <= len(lines[fault.line - 1]) + 1 for fault in faults), faults
    assert all(fault.message for fault in faults)


anything = st.text(st.characters(), max_size=4)


def cut(text: str) -> bool:
    """Tell whether a text holds a NUL, at which CEL would cut it, or half of a character, which no UTF-8 text can."""
    return any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


@law
@given(anything, st.lists(anything, max_size=2))
def test_no_key_is_a_surprise(label: str, texts: list[str]) -> None:
    """Whatever a key is called and may do, each rule keeps, breaks or fails for it, whatever the others do."""
    asked = {"label": 'key.label == "a"', "scopes": 'key.scopes.exists(s, s == "*")', "managed": "key.managed"}
    rules = [Rule(name, Severity.WARN, compile_expression(text)) for name, text in asked.items()]
    subject = Subject(NOW, ACCOUNT, label, scopes(*texts), networks(), managed=True)
    said = {judged.rule.id: judged.verdict for judged in Bench(rules, [subject]).broken()}
    failed = {"label": cut(label), "scopes": cut("".join(texts)), "managed": False}
    broken = {"label": label == "a", "scopes": "*" in texts, "managed": True}
    assert said == {
        name: Verdict.FAILED if failed[name] else Verdict.BROKEN for name in asked if failed[name] or broken[name]
    }
