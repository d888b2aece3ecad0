"""Says on a line of its own what did not run: a skipped test is easily overlooked."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = {str(report.longrepr[2]) for report in terminalreporter.getreports("skipped")}
    for reason in sorted(reasons):
        _, found, what = reason.partition("not run: ")
        if found:
            terminalreporter.write_line(found + what)
