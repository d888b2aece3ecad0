"""The alert rules in Prometheus' own engine: each fires in the condition that it is for, and in no good state."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from observability.expressions import ALERTS, alerts
from observability.stories import STORIES, Claims, Story
from observability.timeline import Timeline, check, firing, run

pytestmark = [pytest.mark.promtool, pytest.mark.usefixtures("promtool")]


@cache
def told(story: Story) -> tuple[Timeline, Claims]:
    """Tell a story, once."""
    with TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        return story(files)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: str(story.__name__))
def test_what_fires_when(tmp_path: Path, story: Story) -> None:
    """At each minute that a story claims something of, exactly those alerts fire."""
    timeline, claims = told(story)
    check(tmp_path, timeline, [firing(minute, *claimed) for minute, claimed in claims.items()])


def test_every_alert_fires_once() -> None:
    """No alert is without a story in which it fires."""
    fired = {alert for story in STORIES for claimed in told(story)[1].values() for alert in claimed}
    assert fired == {rule["alert"] for rule in alerts()}


def test_the_rules_are_well_formed() -> None:
    """Expressions, templates and durations are what Prometheus takes."""
    run("check", "rules", str(ALERTS))
