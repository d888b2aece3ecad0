"""What every test may rely on: an environment that says nothing of the reconciler or its API, and a shell."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
