"""docs/metrics.md: the metrics of the process, and what the values of labels mean."""

import re
from pathlib import Path

from metrics.watched import Watched, watched
from reconciler.metrics.catalogue import DaysLeft, KeyState, Result

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)


def test_the_page_lists_the_process(tmp_path: Path) -> None:
    """Every metric of the process is listed, and no other; ours are in the reference."""
    watching: Watched = watched(tmp_path)
    exposed = {name for name in watching.scrape().names if name.startswith("process_")}
    assert {name for name, *_ in ROW.findall(PAGE) if name.startswith("process_")} == exposed


def test_the_page_explains_values() -> None:
    """Each state of a key, each result, each bucket of days is explained."""
    explained = set(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert {*KeyState, *Result, *DaysLeft} <= explained
