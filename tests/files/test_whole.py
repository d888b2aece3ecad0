"""Files written whole or not at all."""

from pathlib import Path

import pytest

from reconciler.errors import OutputError
from reconciler.files.whole import write_whole


def test_an_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    """Without --overwrite nothing is replaced; with it the file is; nothing else is left in the folder."""
    path = tmp_path / "a.yaml"
    write_whole(path, "1\r\n", overwrite=False)
    with pytest.raises(OutputError) as caught:
        write_whole(path, "2", overwrite=False)
    assert str(caught.value) == f"{path} is already there\n  hint: pass --overwrite to replace it"
    assert path.read_bytes() == b"1\r\n"
    write_whole(path, "2", overwrite=True)
    assert path.read_text() == "2"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path: Path) -> None:
    """Folders on the way are made."""
    write_whole(tmp_path / "a/b/c.yaml", "1", overwrite=False)
    assert (tmp_path / "a/b/c.yaml").read_text() == "1"


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """What is no regular file is written to as it is, and its error is told."""
    write_whole(Path("/dev/null"), "1", overwrite=True)
    with pytest.raises(OutputError, match="no space left on device"):
        write_whole(Path("/dev/full"), "1", overwrite=True)


@pytest.mark.parametrize(("name", "reason"), [("", "is a directory"), ("f/a", "not a directory")])
def test_what_cannot_be_written_is_an_output_error(tmp_path: Path, name: str, reason: str) -> None:
    """Errors of the system are told in words, and leave nothing behind."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "f").touch()
    with pytest.raises(OutputError, match=f"cannot be written: {reason}"):
        write_whole(tmp_path / "in" / name, "", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
