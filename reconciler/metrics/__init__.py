"""What there is to watch, in numbers, for Prometheus. ``docs/metrics.md`` is the catalogue.

Law: counting happens when something happens, a scrape only writes down; it never fails a pass, and no label's values
are as many as there are keys.
"""

from reconciler.metrics.counting import Metrics

__all__ = ["Metrics"]
