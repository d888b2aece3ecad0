"""docs/metrics.md: every metric that there is, with its kind, labels and meaning, and no other."""

import re
from pathlib import Path

from metrics.watched import Watched, watched
from reconciler.metrics.catalogue import CATALOGUE, DaysLeft, KeyState, Result

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)


def test_the_page_lists_every_metric() -> None:
    """Names, kinds, labels and meanings are those of the code, in its order."""
    expected = [
        (metric.name, metric.kind.value, ", ".join(f"`{label}`" for label in metric.labels), metric.help)
        for metric in CATALOGUE
    ]
    assert [row for row in ROW.findall(PAGE) if row[0].startswith("reconciler_")] == expected


def test_the_page_lists_the_process(tmp_path: Path) -> None:
    """So are those of the process."""
    watching: Watched = watched(tmp_path)
    exposed = {name for name in watching.scrape().names if name.startswith("process_")}
    assert {name for name, *_ in ROW.findall(PAGE) if name.startswith("process_")} == exposed


def test_the_page_explains_values() -> None:
    """Each state of a key, each result, each bucket of days is explained."""
    explained = set(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert {*KeyState, *Result, *DaysLeft} <= explained
