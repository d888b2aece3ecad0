"""One forge, one emulator and one installed reconciler for all pipelines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forges import Forge, forging
from pages.quick import quick
from reconciler.emulator.server import Emulator
from required import tool
from served import served
from stages import Stage, install, seed


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
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with quick(tmp_path_factory.mktemp("quick")) as folder:
        yield folder / "reconciler"


@pytest.fixture
def stage(tmp_path: Path, forge: Forge, account: tuple[Emulator, str], loaded: Path, installed: Path) -> Stage:
    tool("git")
    emulator, address = account
    emulator.load(seed())
    forge.clear()
    made = Stage(tmp_path, forge, emulator, address, loaded, installed)
    made.begin()
    return made
