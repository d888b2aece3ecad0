"""A daemon for each story."""

from pathlib import Path

import pytest

from daemon.house import Daemon, shop


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    """One over a key that has another scope than the files say."""
    folder = tmp_path / "keys"
    folder.mkdir()
    return Daemon(shop(folder))
