"""Writes metrics down, as Prometheus' text or as OpenMetrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import assert_never

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from reconciler.metrics.catalogue import CATALOGUE, DURATIONS, Kind, Metric, Values

_OPEN_METRICS = "application/openmetrics-text"
_TEXT = "text/plain"


@dataclass(slots=True)
class Durations:
    """How many passes took how long: one count for each of `DURATIONS`, one for those above, and all seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATIONS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one pass."""
        self.counts[sum(seconds > bound for bound in DURATIONS)] += 1
        self.seconds += seconds


class _Written(Collector):
    """Gives what there is to write to the library that writes it."""

    def __init__(self, values: Mapping[Metric, Values], durations: Durations) -> None:
        self._values = values
        self._durations = durations

    def collect(self) -> Iterable[MetricFamily]:
        for metric in CATALOGUE:
            yield _family(metric, self._values[metric], self._durations)


def _family(metric: Metric, values: Values, durations: Durations) -> MetricFamily:
    family: CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily
    match metric.kind:
        case Kind.COUNTER:
            family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        case Kind.GAUGE:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        case Kind.HISTOGRAM:
            bounds = (*map(floatToGoString, DURATIONS), "+Inf")
            buckets = list(zip(bounds, map(float, accumulate(durations.counts)), strict=True))
            return HistogramMetricFamily(metric.name, metric.help, buckets, durations.seconds)
        case Kind.INFO:
            family = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
            for labels in values:
                family.add_metric([], dict(zip(metric.labels, labels, strict=True)))
            return family
        case _:
            assert_never(metric.kind)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def write(values: Mapping[Metric, Values], durations: Durations, accept: str, *, process: bool) -> tuple[bytes, str]:
    """Give the text and its content type.

    Args:
        values: The series of each metric, but for the histogram's.
        durations: Those of the histogram.
        accept: An ``Accept`` header; OpenMetrics is written for who asks for it, and Prometheus' text for all others.
        process: Whether to tell of this process' processor time, memory and open files as well.
    """
    registry = CollectorRegistry()
    registry.register(_Written(values, durations))
    if process:
        ProcessCollector(registry=registry)
    # The library trips over versions that are none, and promises those that it does not write.
    asked = any(part.partition(";")[0].strip().lower() == _OPEN_METRICS for part in accept.split(","))
    encode, content_type = choose_encoder(_OPEN_METRICS if asked else _TEXT)
    return encode(registry), content_type
