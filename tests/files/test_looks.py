"""Files that somebody exchanges while they are read: half of one state and half of the next is neither."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import FilesError, Problem, ReconcilerError
from reconciler.files.looks import LOADS_AT_MOST, load_whole


@pytest.fixture
def swapped(tmp_path: Path) -> Callable[[int], None]:
    """A folder of files behind one link, as Kubernetes lays it out; gives what exchanges them all for another state."""
    folder = tmp_path / "keys"
    folder.mkdir()

    def swap(state: int) -> None:
        dated = folder / f"..{state}"
        dated.mkdir(exist_ok=True)
        (dated / "a.yaml").write_text(str(state))
        (folder / "..next").symlink_to(dated.name)
        (folder / "..next").rename(folder / "..data")

    swap(0)
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    return swap


def test_files_that_rest_are_loaded_once(tmp_path: Path, swapped: Callable[[int], None]) -> None:
    """What does not change is read once, and what is wrong with it is told."""
    loads: list[str] = []

    def load() -> str:
        loads.append((tmp_path / "keys/a.yaml").read_text())
        return loads[-1]

    assert load_whole((tmp_path / "keys",), load) == "0"
    assert loads == ["0"]

    def wrong() -> str:
        loads.append("wrong")
        raise FilesError((Problem("a.yaml", 1, 1, "is wrong"),))

    with pytest.raises(FilesError, match="is wrong"):
        load_whole((tmp_path / "keys",), wrong)
    assert loads == ["0", "wrong"]


@pytest.mark.parametrize("first", ["whole", "broken"])
def test_files_that_are_exchanged_meanwhile(tmp_path: Path, swapped: Callable[[int], None], first: str) -> None:
    """What was read while they were exchanged counts for nothing, not even its mistakes; they are read once more."""
    loads: list[str] = []

    def load() -> str:
        loads.append((tmp_path / "keys/a.yaml").read_text())
        if len(loads) == 1:
            swapped(1)
            if first == "broken":
                raise FilesError((Problem("a.yaml", 1, 1, "is half there"),))
        return loads[-1]

    assert load_whole((tmp_path / "keys",), load) == "1"
    assert loads == ["0", "1"]


def test_files_that_never_rest(tmp_path: Path, swapped: Callable[[int], None]) -> None:
    """Files that change whenever they are read are given up, and that is said."""
    loads: list[int] = []

    def load() -> None:
        loads.append(len(loads) + 1)
        swapped(loads[-1])

    with pytest.raises(ReconcilerError, match="keep changing while they are read"):
        load_whole((tmp_path / "keys",), load)
    assert len(loads) == LOADS_AT_MOST
