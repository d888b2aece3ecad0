"""A story's world whose events are counted, a clock that the story moves, and what a scrape finds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from reconciler.metrics import Metrics
from world import ACCOUNT, NOON, OFFICE, OTHER, World, admin, key, key_id

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
FILES = f'keys: [{{name: shop, scopes: ["{SHOP}"], ip_allow_list: {OFFICE}}}]\n'
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Scrape:
    """What a scrape found: each series and its value."""

    series: Mapping[Series, float]

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of one series, None where there is none."""
        return self.series.get((name, frozenset(labels.items())))

    def told(self, name: str, *labels: str, zeros: bool = False) -> dict[Any, float]:
        """The series of a metric by the values of these labels, those that are 0 only where asked for."""
        found = {}
        for (called, labelled), value in self.series.items():
            if called == name and (value or zeros):
                values = tuple(dict(labelled)[label] for label in labels)
                found[values[0] if len(values) == 1 else values] = value
        return found

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.series}


def scraped(found: Iterable[MetricFamily]) -> Scrape:
    return Scrape(
        {(sample.name, frozenset(sample.labels.items())): sample.value for each in found for sample in each.samples}
    )


def families(metrics: Metrics, accept: str = "") -> list[MetricFamily]:
    """What Prometheus' own parser for the format makes of an exposition."""
    text, _ = metrics.exposition(accept)
    return list((read_open_metrics if accept else read_text)(text.decode()))


@cache
def _line(line: str) -> tuple[Series, float]:
    """Read one line; of a scrape nearly all are as they were in the one before."""
    (family,) = read_text(f"{line}\n")
    (sample,) = family.samples
    return (sample.name, frozenset(sample.labels.items())), sample.value


def read(text: str) -> Scrape:
    """Read Prometheus' text line by line: many scrapes, quickly."""
    return Scrape(dict(_line(line) for line in text.splitlines() if not line.startswith("#")))


@dataclass
class Watched:
    """A world that is watched from noon on; ``interval`` is its schedule's, in seconds."""

    world: World
    interval: float | None = 300.0
    elapsed: float = 0.0
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(lambda: NOON.timestamp() + self.elapsed, self.interval)
        self.world.observe = self.metrics.observe

    def later(self, **span: float) -> None:
        """Let time pass."""
        self.elapsed += timedelta(**span).total_seconds()
        self.world.now = NOON + timedelta(seconds=self.elapsed)

    def scrape(self) -> Scrape:
        return read(self.metrics.exposition()[0].decode())

    def keys(self, account: str = ACCOUNT) -> dict[str, float]:
        """How many keys of an account are in which state, by the last scrape."""
        told = self.scrape().told("reconciler_keys", "account_id", "state")
        return {state: count for (account_id, state), count in told.items() if account_id == account}

    def drift(self, number: int = 1, scope: str = NEWS) -> None:
        """Somebody changes a key by hand."""
        with self.world.edited() as keys:
            keys[key_id(number)]["scopes"] = [scope]


def watched(folder: Path, *keys: dict[str, Any], files: str = FILES, **fields: Any) -> Watched:
    """Watch a world; without ``keys`` of its own it has one, in sync with the files."""
    files = f"unmanaged: {{then: ignore}}\n{files}" if "unmanaged" not in files else files
    return Watched(World(folder, [*keys] or [key(1, "shop", SHOP)], files, **fields))


def with_another_account(watching: Watched) -> None:
    """Let the files name a second account, with one key in sync."""
    world = watching.world
    token = f"aha-sk-{'o' * 64}"
    world.tokens["other"] = token
    account = {"id": OTHER, "keys": [admin(OTHER, token), key(901, "other", "domains:read")]}
    world.folder.joinpath("other.yaml").write_text(
        f"version: 1\naccount: {{id: {OTHER}, credential: other}}\nunmanaged: {{then: ignore}}\n"
        f'keys: [{{name: other, scopes: ["domains:read"]}}]\n'
    )
    world.emulator.load({"accounts": [*world.emulator.dump()["accounts"], account]})
