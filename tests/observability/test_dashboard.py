"""The dashboard's expressions in Prometheus' own engine: well formed, and each shows something of an eventful day."""

from pathlib import Path

import pytest
import yaml

from metrics.watched import NEWS, watched
from observability.expressions import queries
from observability.timeline import Query, Timeline, check, run
from world import key

pytestmark = [pytest.mark.promtool, pytest.mark.usefixtures("promtool")]

POLICY = "rules: [{id: owners, uses: require-owner, severity: warn}]\n"


def test_the_expressions_are_well_formed(tmp_path: Path) -> None:
    """Each could be a recording rule."""
    rules = [{"record": f"dashboard:panel:{number}", "expr": each} for number, each in enumerate(queries())]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    run("check", "rules", str(path))


def test_each_shows_something(tmp_path: Path) -> None:
    """After passes that healed something, found something and met a fault no panel is empty."""
    folder = tmp_path / "files"
    folder.mkdir()
    timeline = Timeline(watched(folder, key(1, "shop", NEWS), policy=POLICY))
    world = timeline.watching.world
    world.faults({"method": "GET", "path": "*", "first": 1, "do": {"status": 429}})
    timeline.minutes(60, world.run)
    asked = [Query(f"count({each}) > bool 0", timeline.minute, {"{}": 1.0}) for each in queries()]
    check(tmp_path, timeline, asked)


def test_what_is_in_sync_is_not_claimed_in_vain(tmp_path: Path) -> None:
    """While something differs the dashboard does not say for how long all has been in sync."""
    folder = tmp_path / "files"
    folder.mkdir()
    timeline = Timeline(watched(folder))
    world = timeline.watching.world
    good = timeline.minutes(30, world.run)
    timeline.watching.drift()
    drifted = timeline.minutes(10, world.plan)
    mended = timeline.minutes(10, world.run)
    world.faults({"method": "GET", "path": "*", "do": {"status": 403}})
    unread = timeline.minutes(10, world.run)
    (in_sync,) = [each for each in queries() if "in_sync_since" in each]
    known = Query(in_sync, good, {"{}": 30 * 60.0}), Query(in_sync, mended, {"{}": 10 * 60.0})
    check(tmp_path, timeline, [*known, Query(in_sync, drifted, {}), Query(in_sync, unread, {})])
