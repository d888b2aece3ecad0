"""Messages of rules: what is filled in, and what is said about a placeholder that stands for nothing."""

import pytest

from reconciler.core.templates import Template, TemplateError, read_template
from reconciler.core.vocabulary import VARIABLES

WORDS = {name: f"<{name}>" for name in VARIABLES}


@pytest.mark.parametrize(
    ("text", "parts", "filled"),
    [
        ("", ("",), ""),
        ("as it is", ("as it is",), "as it is"),
        ("{key.name}", ("", "key.name", ""), "<key.name>"),
        ("{key.name}{now}", ("", "key.name", "", "now", ""), "<key.name><now>"),
        ("é {key.owner} 😀\n{now}.", ("é ", "key.owner", " 😀\n", "now", "."), "é <key.owner> 😀\n<now>."),
        ("{key.id} {key.id}", ("", "key.id", " ", "key.id", ""), "<key.id> <key.id>"),
        ("{{", ("{",), "{"),
        ("}}", ("}",), "}"),
        ("{{}}", ("{}",), "{}"),
        ("{{key.name}}", ("{key.name}",), "{key.name}"),
        ("{{{key.name}}}", ("{", "key.name", "}"), "{<key.name>}"),
        ("a {{ b }} {now} c", ("a { b } ", "now", " c"), "a { b } <now> c"),
        ("%s {change.granted} $1", ("%s ", "change.granted", " $1"), "%s <change.granted> $1"),
    ],
)
def test_messages(text: str, parts: tuple[str, ...], filled: str) -> None:
    """Texts and variables take turns; a doubled brace is a brace; everything else stays as it is."""
    template = read_template(text)
    assert template == Template(parts)
    assert template.filled(WORDS) == filled


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable(name: str) -> None:
    """Each variable of expressions can be shown."""
    template = read_template(f"is {{{name}}}!")
    assert template.names == {name}
    assert template.filled({name: "it"}) == "is it!"


def test_names() -> None:
    """The names are those of variables, once each, and never a text that looks like one."""
    assert read_template("key.id {key.name} {{now}} {key.name} {key.owner}").names == {"key.name", "key.owner"}
    assert read_template("key.name").names == frozenset()


def test_values_are_not_read_again() -> None:
    """A value with braces in it is shown as it is."""
    assert read_template("{key.label}: {key.id}").filled({"key.label": "{key.id}", "key.id": "{{"}) == "{key.id}: {{"


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("{key.lable}", 0, "there is no variable 'key.lable' to be filled in: did you mean {key.label}?"),
        ("é😀 {Key.name}", 3, "there is no variable 'Key.name' to be filled in: did you mean {key.name}?"),
        (
            "{key.name} {change.grant}",
            11,
            "there is no variable 'change.grant' to be filled in: did you mean {change.granted}?",
        ),
        ("{ key.name }", 0, "there is no variable ' key.name ' to be filled in: did you mean {key.name}?"),
        ("in {x}", 3, "there is no variable 'x' to be filled in: write {{x}} if it is text"),
        ("{}", 0, "there is no variable '' to be filled in: write {{}} if it is text"),
        ("a { b", 2, "'{' stands alone: write '{{' for a brace, or {key.name} for a value"),
        ("a } b", 2, "'}' stands alone: write '}}' for a brace, or {key.name} for a value"),
        ("{key.name", 0, "'{' stands alone: write '{{' for a brace, or {key.name} for a value"),
        ("key.name}", 8, "'}' stands alone: write '}}' for a brace, or {key.name} for a value"),
        ("{{{", 2, "'{' stands alone: write '{{' for a brace, or {key.name} for a value"),
        ("{now}}", 5, "'}' stands alone: write '}}' for a brace, or {key.name} for a value"),
        ("line\n{now {key.id}", 5, "'{' stands alone: write '{{' for a brace, or {key.name} for a value"),
        ("{x} {y}", 0, "there is no variable 'x' to be filled in: write {{x}} if it is text"),
    ],
)
def test_mistakes(text: str, offset: int, message: str) -> None:
    """The first placeholder that stands for nothing is told, at its place, with what to write instead."""
    with pytest.raises(TemplateError) as caught:
        read_template(text)
    assert (caught.value.offset, caught.value.message, str(caught.value)) == (offset, message, message)
