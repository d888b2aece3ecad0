"""Laws of bad policy files: whatever is in one, it loads or is refused, and never is a surprise."""

import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.policies import documents, dump, load
from laws.universe import law
from reconciler.errors import FilesError, Problem
from reconciler.files.policy import policy_schema

PARAMETERS = ("scopes", "most", "ipv4", "patterns", "owners", "sets", "for", "after", "age", "except")
KINDS = (policy_schema(), *policy_schema()["$defs"].values())
FIELDS = sorted({*PARAMETERS, *(name for each in KINDS for name in each["properties"])})
ODD = (
    "{key.name}",
    "{key.nme}",
    "{",
    "}}",
    "key.owner == 1",
    "key.scopes.exists(",
    "2026-02-30",
    "",
    "*",
    "9" * 30 + "d",
)
junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.integers(),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
        st.sampled_from(FIELDS),
        st.sampled_from(ODD),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Give every container of a document with each of its keys or indexes."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            names = list(each) if isinstance(each, dict) else list(range(len(each)))
            found += [(each, name) for name in names]
            waiting += [each[name] for name in names]
    return found


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """A policy in which a few values are others, gone, or there twice."""
    document = json.loads(json.dumps(draw(documents)))
    for _ in range(draw(st.integers(1, 3))):
        container, name = draw(st.sampled_from(places(document) or [(document, "version")]))
        match draw(st.sampled_from(("other", "other", "gone", "more"))):
            case "other":
                container[name] = draw(junk)
            case "gone":
                container.pop(name)
            case _ if isinstance(container, list):
                container.append(draw(junk | st.just(container[name])))
            case _:
                container[draw(st.sampled_from(FIELDS))] = draw(junk)
        if not document:
            break
    return dump(document)


@settings(law, max_examples=300)
@given(spoilt() | junk.map(dump))
def test_no_file_is_a_surprise(text: str) -> None:
    """Whatever is in a policy file, it loads or is refused with problems, each on one line and at a place in it."""
    problems = refusal(text)
    lines = text.split("\n")
    assert problems is None or problems
    for problem in problems or ():
        assert str(problem).isprintable()
        assert problem.line == 0 or 1 <= problem.column <= len(lines[problem.line - 1]) + 1


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
pieces = st.lists(st.sampled_from(("key.", "name", "{", "}", "==", '"', "\n", "scopes", "in", " ")), max_size=9)


@settings(law, max_examples=200)
@given(st.sampled_from(("when", "message", "hint")), anything | pieces.map("".join))
def test_no_text_of_a_rule_is_a_surprise(field: str, text: str) -> None:
    """Whatever text an expression, a message or a hint is, the file loads or is refused at a place in it."""
    rule = {"id": "r", "severity": "warn", "when": "true", "message": "m", field: text}
    problems = refusal(yaml.dump({"version": 1, "rules": [rule]}, Dumper=yaml.CSafeDumper))
    assert problems is None or all(str(problem).isprintable() and problem.line for problem in problems)


def refusal(text: str) -> tuple[Problem, ...] | None:
    try:
        load(text)
    except FilesError as error:
        return error.problems
    return None
