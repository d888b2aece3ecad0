"""``apply --metrics-file``: a file for a node exporter, written when the pass ends, whatever became of it."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics.watched import Scrape, scraped
from shell import Shell
from world import ACCOUNT

FILE = "reconciler.prom"


def told(path: str = FILE) -> Scrape:
    return scraped(text_string_to_metric_families(Path(path).read_text(encoding="utf-8")))


def test_a_pass_that_applies(shell: Shell) -> None:
    """After a pass that mended something the file tells of it, and of no trigger."""
    shell.drift("domains:read")
    assert shell.run("apply", "--metrics-file", FILE) == 0
    seen = told()
    assert seen("reconciler_passes_total", mode="apply", result="ok", trigger="command") == 1
    assert seen.told("reconciler_changes_total", "outcome") == {"applied": 1}
    assert seen.told("reconciler_keys", "state") == {"in_sync": 2}
    assert seen.told("reconciler_requests_total", "method", "status")["PUT", "200"] == 1
    assert "reconciler_pass_interval_seconds" not in seen.names
    assert not any(name.startswith("process_") for name in seen.names)


def test_a_dry_run(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run is told as one, also where the variable names the file."""
    monkeypatch.setenv("RECONCILER_METRICS_FILE", FILE)
    shell.drift("domains:read")
    assert shell.run("apply", "--dry-run") == 0
    assert told().told("reconciler_passes_total", "mode") == {"plan": 1}
    assert told().told("reconciler_keys", "state") == {"in_sync": 1, "planned": 1}


def test_a_pass_that_reads_nothing(shell: Shell) -> None:
    """An account that could not be read is told as failed: the file is written whatever the exit code."""
    shell.emulator.set_faults({"rules": [{"method": "*", "path": "*", "do": {"status": 403}}]})
    assert shell.run("apply", "--metrics-file", FILE) == 1
    assert told()("reconciler_account_failed", account_id=ACCOUNT) == 1
    assert told().told("reconciler_passes_total", "result") == {"error": 1}


def test_a_report_that_cannot_be_written(shell: Shell, tmp_path: Path) -> None:
    """The metrics are written although the report could not be."""
    (tmp_path / "full.txt").symlink_to("/dev/full")
    assert shell.run("apply", "--metrics-file", FILE, "-o", "text=full.txt") == 1
    assert "full.txt cannot be written" in shell.err
    assert told().told("reconciler_passes_total", "result") == {"ok": 1}


def test_files_that_do_not_load(shell: Shell) -> None:
    """No pass, no new file: the one of the pass before stays, and grows old."""
    assert shell.run("apply", "--metrics-file", FILE) == 0
    before = Path(FILE).read_bytes()
    shell.write("nonsense: true\n")
    assert shell.run("apply", "--metrics-file", FILE) == 1
    assert Path(FILE).read_bytes() == before
    Path(FILE).unlink()
    assert shell.run("apply", "--metrics-file", FILE) == 1
    assert not Path(FILE).exists()


def test_a_folder_that_is_not_there(shell: Shell) -> None:
    """What cannot be written in the end is said before anything is done."""
    shell.drift("domains:read")
    assert shell.run("apply", "--metrics-file", "nowhere/reconciler.prom") == 1
    assert "cannot be written" in shell.err
    assert "--metrics-file" in shell.err
    assert shell.emulator.requests["PUT"] == 0


@pytest.mark.parametrize("name", ["reconciler.txt", "prom", ".prom", "x\0.prom", "reconciler.PROM", "a.prom.gz"])
def test_a_name_that_no_exporter_reads(shell: Shell, name: str) -> None:
    """A file that does not end in .prom would be written for nobody: that is wrong usage."""
    assert shell.run("apply", "--metrics-file", name) == 64
    assert "does not end in .prom" in shell.err
    assert shell.emulator.requests["GET"] == 0
