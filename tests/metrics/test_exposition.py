"""What a scrape gets: two formats that Prometheus' own parsers read, by its conventions, and quickly."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics.watched import OPEN_METRICS, Watched, families, scraped, watched
from reconciler.core.events import PassFinished
from reconciler.core.plan import KeyCounts
from reconciler.metrics import Metrics
from reconciler.metrics.catalogue import CATALOGUE
from shell import Shell
from world import ACCOUNT, NOON

PROCESS = "process_"


@pytest.fixture
def watching(tmp_path: Path) -> Watched:
    """After one pass that healed something."""
    one = watched(tmp_path)
    one.drift()
    one.world.run()
    return one


TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml", TEXT),
        (OPEN_METRICS, OPEN),
        ("Application/OpenMetrics-Text", OPEN),
        (f"{OPEN_METRICS};q=0.75,text/plain;version=0.0.4;q=0.5", OPEN),
        ("application/openmetrics-text;version=\r\nX-Evil: 1", OPEN),
        ("application/openmetrics-text; version=abc", OPEN),
    ],
)
def test_the_format_follows_who_asks(watching: Watched, accept: str, content_type: str) -> None:
    """OpenMetrics for who asks for it, else Prometheus' text; what the header holds besides changes nothing."""
    text, given = watching.metrics.exposition(accept)
    assert given == content_type
    assert text.endswith(b"# EOF\n") == ("openmetrics" in content_type)


def test_both_formats_tell_the_same(watching: Watched) -> None:
    """Series and values do not depend on the format, the process' own aside, which change meanwhile."""
    plain, open_metrics = (scraped(families(watching.metrics, accept)) for accept in ("", OPEN_METRICS))
    told = [{series: value for series, value in each.series.items() if "process_" not in series[0]}
            for each in (plain, open_metrics)]  # fmt: skip
    assert told[0] == told[1]
    assert len(told[0]) > 100
    assert plain.names == open_metrics.names


def test_names_follow_the_conventions(watching: Watched) -> None:
    """One prefix, base units, _total for counters and for nothing else, a sentence of help, labels in lower case."""
    for metric in CATALOGUE:
        assert re.fullmatch(r"reconciler(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.name.endswith("_info") == (metric.kind == "info")
        assert not re.search("milli|minute|hour|count$|_ms|_id$", metric.name)
        assert re.fullmatch(r"[A-Z0-9].*[^ .]\.", metric.help)
        assert all(re.fullmatch(r"[a-z_]+", label) and label != "key_id" for label in metric.labels)
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


def test_everything_has_help_and_a_type(watching: Watched) -> None:
    """Each family of a scrape says what it is, and is one of the catalogue's or of the process'."""
    found = {family.name: family for family in families(watching.metrics)}
    for metric in CATALOGUE:
        family = found.pop(metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name)
        assert family.documentation == metric.help
        assert family.type == ("gauge" if metric.kind == "info" else metric.kind)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert all(name.startswith(PROCESS) for name in found)


def test_the_process_is_told(watching: Watched) -> None:
    """Processor time, memory and open files of the process are there, under the names that everybody uses."""
    names = {name for name in watching.scrape().names if name.startswith(PROCESS)}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names


def test_nothing_is_shared(tmp_path: Path) -> None:
    """Two of them in one process know nothing of each other, nor of the library's own registry."""
    first, second = watched(tmp_path), Metrics(lambda: 0.0)
    first.world.run()
    assert "reconciler_keys" not in scraped(families(second)).names
    assert not any(name.startswith("python_") for name in scraped(families(second)).names)


def test_a_scrape_changes_nothing(watching: Watched) -> None:
    """Whoever asks, and how often, the next one gets the same."""
    first = watching.scrape().series
    for accept in ("", OPEN_METRICS, "nonsense"):
        watching.metrics.exposition(accept)
    again = watching.scrape().series
    assert {series for series in first if first[series] != again[series]} <= {
        series for series in first if series[0].startswith(PROCESS)
    }


def test_build_information(watching: Watched) -> None:
    """Which version runs, on which Python, is a series that is always 1."""
    version, python = next(iter(watching.scrape().told("reconciler_build_info", "version", "python")))
    assert python == ".".join(map(str, sys.version_info[:3]))
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", version)


def test_a_scrape_of_many_keys_takes_milliseconds(watching: Watched) -> None:
    """With 5,000 keys in 20 accounts the fastest of some scrapes stays under 50 ms: counting was done before."""
    report = watching.world.plan()
    (account,) = report.accounts
    watching.drift()
    (change,) = watching.world.plan().changes
    accounts = tuple(
        replace(account, account_id=f"{n:08}{ACCOUNT[8:]}", changes=(change,) * 250, keys=KeyCounts(250))
        for n in range(20)
    )
    watching.metrics.observe(PassFinished("run", replace(report, accounts=accounts), 1.0))
    assert sum(watching.scrape().told("reconciler_keys", "account_id", "state").values()) >= 5000
    assert min(_seconds(watching.metrics) for _ in range(5)) < 0.05


def _seconds(metrics: Metrics) -> float:
    began = time.perf_counter()
    metrics.exposition(OPEN_METRICS)
    return time.perf_counter() - began


def test_only_who_asks_pays_for_it(shell: Shell) -> None:
    """A command without metrics does not load the library that writes them."""
    program = (
        "import sys, json\nfrom reconciler.cli import main\nmain(['apply', '--log-level', 'error'])\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('prometheus')]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "in sync" in done.stdout
    assert json.loads(done.stderr) == []


# The file for a node exporter


def test_a_textfile(tmp_path: Path, watching: Watched) -> None:
    """It is Prometheus' text, with what a scrape would tell but the process, which the exporter tells of itself."""
    path = tmp_path / "metrics" / "reconciler.prom"
    watching.metrics.write_textfile(path)
    told = scraped(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    assert told.series == {
        series: value for series, value in watching.scrape().series.items() if not series[0].startswith(PROCESS)
    }
    assert told("reconciler_last_pass_timestamp_seconds") == NOON.timestamp()
    assert [each.name for each in path.parent.iterdir()] == ["reconciler.prom"]


def test_a_textfile_is_replaced_whole(tmp_path: Path, watching: Watched) -> None:
    """The one of the pass before is replaced, not added to, and goes on being readable for others."""
    path = tmp_path / "reconciler.prom"
    path.write_text("of_another_version 1\n")
    path.chmod(0o644)
    watching.metrics.write_textfile(path)
    assert "of_another_version" not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o644
