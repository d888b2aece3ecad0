"""The pages of docs/reference are those that the code makes, whole, and Markdown that shows what it says."""

import re

import pytest
from markdown_it import MarkdownIt

from command_tree import walk
from observability.expressions import alerts
from reconciler.cli.variables import variables_of
from reconciler.core.vocabulary import EXAMPLES, HOLDS, VARIABLES
from reconciler.exits import ExitCode
from reconciler.files.report import report_schema
from reconciler.files.rule_entries import BUILTINS
from reconciler.files.saved import listing_schema
from reconciler.files.status import status_schema
from reconciler.metrics.catalogue import CATALOGUE
from reference import FOLDER, PAGES, written
from reference_pages.files import DESIRED, LISTING, POLICY
from reference_pages.markdown import code, plain, table
from reference_pages.report import REPORT, STATUS

MARKDOWN = MarkdownIt("commonmark").enable("table")


def test_markdown_shows_what_is_meant() -> None:
    """Pipes stay in their cell, backquotes in their code, and whatever would be markup is shown."""
    shown = MARKDOWN.render(table(("a", "b"), [(code("x|y"), plain("a*b*c <d> `e|f` g_h _i_ [](x)"))]))
    assert "<td><code>x|y</code></td>" in shown
    assert "<td>a*b*c &lt;d&gt; <code>e|f</code> g_h _i_ [](x)</td>" in shown
    assert MARKDOWN.render(code("a`b")) == "<p><code>a`b</code></p>\n"
    with pytest.raises(ValueError, match="a backquote too many"):
        plain("a `b")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    """The committed page is what the code says now: if this fails, run `make reference` and look at what changed."""
    assert (FOLDER / name).read_text(encoding="utf-8") == written(name)


def test_there_is_no_other_page() -> None:
    """Every page of the folder is made by the code."""
    assert sorted(page.name for page in FOLDER.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_as_it_is_meant(name: str) -> None:
    """Each table is one, and each row of it has its cells."""
    page = written(name)
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        rows = block.splitlines()
        shown = MARKDOWN.render(block)
        assert shown.count("<tr>") == len(rows) - 1
        assert {row.count("|") - row.count("\\|") for row in rows} == {rows[0].count("|")}


def test_the_pages_are_whole() -> None:
    """Every option, variable, exit code, rule, metric and alert is in the page that is about it."""
    commands = written("commands.md")
    for name, command, _ in walk():
        assert f"\n## reconciler {name}\n" in commands
        for each in command.params:
            assert all(f"`{variable}`" in commands for variable in variables_of(each))
            assert all(opt in commands for opt in each.opts)
    assert all(f"| `{int(each)}` |" in written("exit-codes.md") for each in ExitCode)
    rules = written("rules.md")
    assert all(f"| `{name}` |" in rules for name in (*BUILTINS, *VARIABLES, *EXAMPLES))
    assert list(HOLDS) == list(VARIABLES)
    metrics = written("metrics.md")
    assert all(f"| `{each.name}` | {each.kind} |" in metrics for each in CATALOGUE)
    assert all(f"[`{each['alert']}`]" in metrics for each in alerts())


@pytest.mark.parametrize(
    "schema", [report_schema(), status_schema(), listing_schema()], ids=["report", "status", "listing"]
)
def test_every_field_is_described(schema: dict[str, object]) -> None:
    """Each field of what programs read has a description in its JSON Schema, where an editor shows it, too."""
    kinds = schema["$defs"]
    assert isinstance(kinds, dict)
    for name, node in {"": schema, **kinds}.items():
        if "properties" in node:
            assert node["description"], name
            assert "Attributes" not in node["description"]
            undescribed = [field for field, each in node["properties"].items() if not each.get("description")]
            assert undescribed == [], name


@pytest.mark.parametrize("document", [DESIRED, POLICY, LISTING, REPORT, STATUS], ids=lambda each: each.title)
def test_every_kind_of_object_has_a_section(document: object) -> None:
    """Whatever a schema defines is told: no kind of object is left out, nor is a field of it."""
    assert isinstance(document, type(DESIRED))
    told = "\n".join(document.sections())
    kinds = [node for node in document.schema.get("$defs", {}).values() if "properties" in node]
    assert told.count("### ") == len(kinds) + 1
    assert all(f"| `{field}` |" in told for node in kinds for field in node["properties"])
