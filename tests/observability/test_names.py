"""What alerts and dashboard name is what there is: metrics, labels, values of labels, runbooks."""

import re
from pathlib import Path

import pytest

from metrics.watched import families, scraped, watched
from observability.expressions import alerts, expressions, grouped_by, named, panels
from observability.timeline import TARGET
from reconciler.core.findings import Severity
from reconciler.metrics.catalogue import CATALOGUE, OTHER
from world import ACCOUNT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference/metrics.md").read_text(encoding="utf-8")
OPEN = {"account_id", "rule"}
"""Labels whose values are not known beforehand."""
LATER = {"severity": {*Severity}, "status": {OTHER}}
"""Values that a label may have besides those that are there from the start."""


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """The series of a scrape after a pass: each metric, its labels and their values."""
    watching = watched(tmp_path_factory.mktemp("files"))
    watching.world.run()
    told: dict[str, dict[str, set[str]]] = {metric.name: {} for metric in CATALOGUE}
    for name, labels in scraped(families(watching.metrics)).series:
        values = told.setdefault(name, {})
        for label, value in labels:
            values.setdefault(label, set()).add(value)
    for metric in CATALOGUE:
        told[metric.name] |= {label: told[metric.name].get(label, set()) for label in metric.labels}
    return told


@pytest.mark.parametrize("expression", expressions())
def test_every_name_is_one_that_is_exposed(expression: str, exposed: dict[str, dict[str, set[str]]]) -> None:
    """Metrics, labels and the values that are asked for exist, and are documented."""
    found = named(expression)
    assert found
    for each in found:
        assert each.metric in exposed
        assert f"`{re.sub('_(bucket|sum|count)$', '', each.metric)}`" in PAGE + REFERENCE
        for label, value in each.values:
            known = exposed[each.metric] | {target: {value} for target in TARGET}
            assert label in known
            if label not in OPEN and not set(".*$") & set(value):
                assert value in known[label] | LATER.get(label, set()), f"{each.metric} has no {label}={value}"
    labels = {label for each in found for label in exposed[each.metric]} | set(TARGET)
    assert grouped_by(expression) <= labels


def test_every_alert_says_what_to_do() -> None:
    """Each has a severity, a summary, a description, and a runbook that is a section of docs/metrics.md."""
    sections = re.findall(r"^### (Reconciler\w+)$", PAGE, re.MULTILINE)
    assert sections == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/metrics.md#{rule['alert'].lower()}"
        about = PAGE.split(f"### {rule['alert']}\n")[1].split("\n#")[0]
        assert len(about.split()) > 30
        assert "**Means**" in about
        assert "**Do**" in about


def test_labels_of_alerts_are_there() -> None:
    """What a text of an alert fills in is a label that its expression keeps."""
    for rule in alerts():
        texts = " ".join(rule["annotations"].values())
        filled = set(re.findall(r"\$labels\.(\w+)", texts))
        kept = grouped_by(rule["expr"]) if " by (" in rule["expr"] else {"instance", "job", "account_id"}
        assert filled <= kept


def test_every_panel_says_what_it_shows() -> None:
    """Each has a title and a description, asks the data source that was chosen, and none lies over another."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_no_label_names_a_key(exposed: dict[str, dict[str, set[str]]]) -> None:
    """Keys come by the thousand: none has series of its own."""
    labels = {label for labels in exposed.values() for label in labels}
    assert not labels & {"key_id", "key", "name", "label", "sub_account_id"}
    assert exposed["reconciler_keys"]["account_id"] == {ACCOUNT}
