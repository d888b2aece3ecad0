"""What Prometheus would see of a story, minute by minute, as input for its own engine's unit tests (promtool)."""

import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metrics.watched import Scrape, Series, Watched
from observability.expressions import ALERTS
from required import promtool
from world import NOON

TARGET = {"job": "reconciler", "instance": "reconciler:8080"}
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


@dataclass
class Timeline:
    """Scrapes of a world that is watched, one a minute; None where nothing answered."""

    watching: Watched
    scrapes: list[Scrape | None] = field(default_factory=list)

    @property
    def minute(self) -> int:
        """The minute of the last scrape."""
        return len(self.scrapes) - 1

    def minutes(self, count: int, act: Callable[[], object] = lambda: None, every: int = 5) -> int:
        """Let minutes pass, with a scrape at the end of each, and every few of them do something; give the last."""
        for minute in range(count):
            if minute % every == 0:
                act()
            self.watching.later(minutes=1)
            self.scrapes.append(self.scrape())
        return self.minute

    def silence(self, count: int) -> int:
        """Let minutes pass in which there is nothing to scrape."""
        self.scrapes += [None] * count
        return self.minute

    def scrape(self) -> Scrape:
        return self.watching.scrape()

    def series(self) -> list[dict[str, str]]:
        """Every series that was ever seen, in promtool's notation."""
        every = {series for scrape in self.scrapes if scrape for series in scrape.series}
        return [
            {"series": _name(series), "values": " ".join(self._values(series))} for series in sorted(every, key=str)
        ]

    def _values(self, series: Series) -> list[str]:
        told: list[str] = []
        for scrape in self.scrapes:
            value = scrape.series.get(series) if scrape else None
            if value is None:
                told.append("stale" if told and told[-1] not in ("stale", "_") else "_")
            else:
                told.append(_number(series[0], value))
        return told


def _name(series: Series) -> str:
    name, labels = series
    told = {**dict(labels), **TARGET}
    return f"{name}{{{', '.join(f'{label}={_quoted(value)}' for label, value in sorted(told.items()))}}}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _number(name: str, value: float) -> str:
    """Write a number; promtool's time begins with 0, the story's at noon."""
    if name.endswith("_timestamp_seconds"):
        value -= NOON.timestamp() + 60  # the first scrape, a minute after noon, is at promtool's 0
    return "NaN" if math.isnan(value) else repr(value)


@dataclass(frozen=True)
class Query:
    """An expression, at a minute, and the samples that it should give, by their labels."""

    expression: str
    minute: int
    samples: Mapping[str, float]


def firing(minute: int, *alerts: str) -> Query:
    """These alerts fire at that minute, and no others."""
    return Query(FIRING, minute, {f'{{alertname="{alert}"}}': 1.0 for alert in alerts})


def check(folder: Path, timeline: Timeline, queries: Sequence[Query]) -> None:
    """Let promtool evaluate the alert rules over a timeline, and ask it the queries.

    Raises:
        AssertionError: promtool found something else, and tells what.
    """
    tests: dict[str, Any] = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": timeline.series(),
                "promql_expr_test": [
                    {
                        "expr": query.expression,
                        "eval_time": f"{query.minute}m",
                        "exp_samples": [{"labels": each, "value": value} for each, value in query.samples.items()],
                    }
                    for query in queries
                ],
            }
        ],
    }
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(tests, width=10_000), encoding="utf-8")
    run("test", "rules", str(path))


def run(*arguments: str, given: str = "") -> None:
    """Run promtool; what it complains of is the failure."""
    done = subprocess.run([promtool(), *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
