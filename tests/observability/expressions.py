"""The expressions of alerts and dashboard, and which metrics, labels and values they name."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOYED = Path(__file__).parents[2] / "deploy/observability"
ALERTS = DEPLOYED / "alerts.yaml"
DASHBOARD = DEPLOYED / "dashboard.json"

_SELECTOR = re.compile(r"\b((?:reconciler|process)_[a-z_]+)(?:{([^}]*)})?")
_MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Named:
    """A metric that an expression names, with the values of each label that it asks for."""

    metric: str
    values: tuple[tuple[str, str], ...]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """The panels that show something, each with its queries."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """The expressions of the dashboard as Grafana sends them, with everything chosen."""
    told = [target["expr"] for panel in panels() for target in panel["targets"]]
    chosen = (("$__rate_interval", "1h"), ("$instance", ".*"), ("$account", ".*"))
    for name, value in chosen:
        told = [expression.replace(name, value) for expression in told]
    return told


def expressions() -> list[str]:
    return [*(rule["expr"] for rule in alerts()), *queries()]


def named(expression: str) -> list[Named]:
    """The metrics that an expression names, each value of a label by itself."""
    return [
        Named(metric, tuple((label, one) for label, _, value in _MATCHER.findall(labels) for one in value.split("|")))
        for metric, labels in _SELECTOR.findall(expression)
    ]


def grouped_by(expression: str) -> set[str]:
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}
