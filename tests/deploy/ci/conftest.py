"""One forge, one emulator and one installed reconciler for all pipelines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forges import Forge, forging
from reconciler.emulator.server import Emulator
from required import tool
from served import served
from stages import Stage, install, seed
from warm import Warm, warm


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    code, log = install(folder)
    assert code == 0, log
    return folder / "reconciler"


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    with forging() as one:
        yield one


@pytest.fixture(scope="session")
def account() -> Iterator[tuple[Emulator, str]]:
    emulator = Emulator(seed())
    with served(emulator) as address:
        yield emulator, address


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with warm(tmp_path_factory.mktemp("warm")) as one:
        yield one


@pytest.fixture
def stage(tmp_path: Path, forge: Forge, account: tuple[Emulator, str], process: Warm, installed: Path) -> Stage:
    tool("git")
    emulator, address = account
    emulator.load(seed())
    forge.clear()
    made = Stage(tmp_path, forge, emulator, address, process, installed)
    made.begin()
    return made
