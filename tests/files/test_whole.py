"""Files written whole or not at all."""

import os
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


def test_a_link_goes_on_leading_where_it_led(tmp_path: Path) -> None:
    """What a link leads to is replaced, and not the link; a file keeps its mode."""
    target, link = tmp_path / "there", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to("there")
    write_whole(link, "new", overwrite=True)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600
    dangling = tmp_path / "dangling"
    dangling.symlink_to("made")
    write_whole(dangling, "1", overwrite=True)
    assert (tmp_path / "made").read_text() == "1"


def test_a_link_to_a_descriptor_is_written_through(tmp_path: Path) -> None:
    """A link such as /dev/stdout stays one, and what it leads to is added to, as its owner has it open."""
    taken = tmp_path / "taken"
    with taken.open("w") as file:
        file.write("before\n")
        file.flush()
        link = tmp_path / "stdout"
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        write_whole(link, "after\n", overwrite=True)
        assert link.is_symlink()
    assert taken.read_text() == "before\nafter\n"


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    """That is an error at once; one that is read gets all of the text."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="no such device or address"):
        write_whole(pipe, "1", overwrite=True)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, "all of it", overwrite=True)
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
