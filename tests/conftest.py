"""What every test may rely on: an environment that says nothing of the reconciler or its API, and a shell.

What did not run is said on a line of its own: a skipped test is easily overlooked.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import required
from shell import Shell, opened


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("RECONCILER_", "AHASEND_")) or name in ("NO_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    with opened(tmp_path, monkeypatch, capsys) as one:
        yield one


@pytest.fixture(scope="session")
def promtool() -> str:
    return required.promtool()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = {str(report.longrepr[2]) for report in terminalreporter.getreports("skipped")}
    for reason in sorted(reasons):
        _, found, what = reason.partition("not run: ")
        if found:
            terminalreporter.write_line(found + what)
