"""docs/reference/metrics.md: the metrics with the values of their labels, and the alerts."""

from collections.abc import Iterator
from typing import Any

from observability.expressions import alerts
from reconciler.metrics.catalogue import CATALOGUE, Metric, at_the_start
from reference_pages.markdown import anchor, code, codes, plain, table

_INTRODUCTION = """\
What `run` serves at `/metrics`, and `apply --metrics-file` writes. [metrics.md](../metrics.md) tells what the
values of labels mean, which metrics there are of the process, and what to do about an alert."""
_AT_THE_START = """\
Their series are there with 0 before anything has happened. Labels that are not named here are known only later."""
_ALERTS = """\
`deploy/observability/alerts.yaml`. Each name leads to what to do."""


def page() -> Iterator[str]:
    """Give the page, block by block."""
    yield "# Metrics and alerts"
    yield _INTRODUCTION
    yield "## Metrics"
    rows = ((code(each.name), each.kind.value, codes(each.labels), plain(each.help)) for each in CATALOGUE)
    yield table(("metric", "kind", "labels", "meaning"), rows)
    yield "## Values that labels have from the start"
    yield _AT_THE_START
    yield table(("metric", "label", "values"), (row for metric in CATALOGUE for row in _values(metric)))
    yield "## Alerts"
    yield _ALERTS
    yield table(("alert", "severity", "for", "expression", "tells"), map(_alert, alerts()))


def _values(metric: Metric) -> Iterator[tuple[str, str, str]]:
    known = at_the_start()[metric]
    for at, label in enumerate(metric.labels):
        if values := dict.fromkeys(str(series[at]) for series in known):
            yield code(metric.name), code(label), codes(values)


def _alert(rule: dict[str, Any]) -> tuple[str, ...]:
    name = rule["alert"]
    link = f"[{code(name)}](../metrics.md#{anchor(name)})"
    return (
        link,
        rule["labels"]["severity"],
        rule.get("for", ""),
        code(rule["expr"]),
        plain(rule["annotations"]["summary"]),
    )
