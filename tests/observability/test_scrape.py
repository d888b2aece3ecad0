"""What Prometheus' own linter has to say of what it is given to scrape: nothing."""

from pathlib import Path

import pytest

from metrics.watched import watched
from observability.timeline import run

pytestmark = [pytest.mark.promtool, pytest.mark.usefixtures("promtool")]


def test_a_scrape_is_without_fault(tmp_path: Path) -> None:
    """Names, types, help and samples of a scrape are as they should be."""
    folder = tmp_path / "files"
    folder.mkdir()
    watching = watched(folder)
    watching.drift()
    watching.world.run()
    run("check", "metrics", given=watching.metrics.exposition()[0].decode())
    watching.metrics.write_textfile(tmp_path / "reconciler.prom")
    run("check", "metrics", given=(tmp_path / "reconciler.prom").read_text(encoding="utf-8"))
