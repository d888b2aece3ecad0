"""``apply --trail``, ``trail verify`` and ``trail show``, as their users meet them."""

import json
import os
from pathlib import Path

import pytest

from cli.test_processes import MANY, drifted, start, wait_for_writes
from daemon.test_segments import no_room_beyond
from reconciler.daemon.segments import read_files, segments
from shell import FILES, SHOP, Shell
from world import ACCOUNT, key_id

TRAIL = Path("trail.jsonl")


def kept(shell: Shell) -> str:
    """A trail of one refused and one applied change; its head as the logs tell it."""
    shell.drift("domains:read")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RECONCILER_HOLD", "incident 7")
        assert shell.run("apply", "--trail", str(TRAIL)) == 3
    assert shell.run("apply", "--trail", str(TRAIL), "--log-format", "json") == 0
    finished = json.loads(shell.err.splitlines()[-1])
    assert finished["event"] == "pass.finished"
    return str(finished["trail"])


def change(old: bytes, new: bytes) -> None:
    data = TRAIL.read_bytes()
    assert old in data
    TRAIL.write_bytes(data.replace(old, new, 1))


def test_a_trail_is_kept_and_verified(shell: Shell) -> None:
    """What apply stores is intact, ends with the head that its log tells, and counts its write."""
    head = kept(shell)
    assert shell.run("trail", "verify", str(TRAIL), "--head", head) == 0
    assert shell.out.startswith("4 lines, 1 write, from 20")
    assert shell.out.endswith(f", head {head}, intact\n")
    assert shell.run("apply", "--trail", str(TRAIL), "--log-level", "error") == 0
    assert shell.run("trail", "verify", "--trail", str(TRAIL), "--head", head.removeprefix("sha256:")) == 0


def test_the_head_of_a_dry_run(shell: Shell) -> None:
    """The head that is logged at the end of a pass is that of its last line, also of what a dry run would do."""
    shell.drift("domains:read")
    assert shell.run("apply", "--dry-run", "--trail", str(TRAIL), "--log-format", "json") == 0
    head = json.loads(shell.err.splitlines()[-1])["trail"]
    assert shell.run("trail", "verify", str(TRAIL), "--head", head) == 0
    assert shell.out.endswith(", intact\n")
    assert shell.out.startswith("2 lines, 0 writes, ")


def test_lines_after_the_head_are_counted(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head of an earlier pass is found, and how many lines follow it is said; all of it by variables, too."""
    head = kept(shell)
    shell.drift("domains:read")
    monkeypatch.setenv("RECONCILER_TRAIL", str(TRAIL))
    monkeypatch.setenv("RECONCILER_TRAIL_HEAD", head)
    assert shell.run("apply") == 0
    assert shell.run("trail", "verify") == 0
    assert shell.out.endswith(f"intact; 2 lines after {head}\n")


def test_a_tail_that_was_cut(shell: Shell) -> None:
    """Without the last line the trail looks intact, but for the head that the logs have."""
    head = kept(shell)
    lines = TRAIL.read_bytes().splitlines(keepends=True)
    TRAIL.write_bytes(b"".join(lines[:-1]))
    assert shell.run("trail", "verify", str(TRAIL)) == 0
    assert shell.run("trail", "verify", str(TRAIL), "--head", head) == 1
    assert shell.err.startswith(f"error: the tail was cut: {head} is not in it; it ends with line 3, sha256:")


def test_a_line_that_was_changed(shell: Shell) -> None:
    """The file and the line are named, and what is wrong."""
    kept(shell)
    change(b'"outcome":"applied"', b'"outcome":"refused"')
    assert shell.run("trail", "verify", str(TRAIL)) == 1
    assert shell.err.startswith("error: trail.jsonl:4 was changed: its hash is not that of what it says\n")
    assert shell.out == ""


def test_earlier_files_are_found_or_named(shell: Shell) -> None:
    """A rotated trail verifies whole; a part of it with the hash before it; alone it says what it lacks."""
    shell.drift("domains:read")
    assert shell.run("apply", "--trail", str(TRAIL), "--trail-size", "1KiB") == 0
    shell.drift("domains:read")
    assert shell.run("apply", "--trail", str(TRAIL), "--trail-size", "1KiB") == 0
    parts = [*segments(TRAIL), TRAIL]
    assert len(parts) > 2
    assert shell.run("trail", "verify", str(TRAIL)) == 0
    whole = shell.out
    assert shell.run("trail", "verify", *map(str, parts)) == 0
    assert shell.out == whole
    assert shell.run("trail", "verify", str(parts[0])) == 0
    base = shell.out.split("head ")[1].split(",")[0]
    archive = Path("archive")
    archive.mkdir()
    parts[0].rename(archive / "first")
    assert shell.run("trail", "verify", str(TRAIL)) == 1
    assert "rather than 1: earlier files are not here" in shell.err
    assert shell.run("trail", "verify", str(TRAIL), "--base", base) == 0
    assert shell.run("trail", "verify", "archive/first", *map(str, parts[1:])) == 0
    assert shell.run("trail", "show", str(TRAIL), "--key", "shop") == 0
    assert "warning" not in shell.err
    TRAIL.unlink()
    assert shell.run("trail", "verify", str(TRAIL), "--base", base) == 1
    assert "trail.jsonl cannot be read: no such file" in shell.err
    assert shell.run("trail", "verify", "archive/first", *map(str, parts[1:-1])) == 0


def test_a_link_to_a_trail(shell: Shell) -> None:
    """A link stands for the trail that it leads to, with its earlier files."""
    shell.drift("domains:read")
    assert shell.run("apply", "--trail", str(TRAIL), "--trail-size", "1KiB") == 0
    Path("link").symlink_to(TRAIL)
    assert shell.run("trail", "verify", str(TRAIL)) == 0
    whole = shell.out
    assert shell.run("trail", "verify", "link") == 0
    assert shell.out == whole


def test_what_is_no_trail(shell: Shell) -> None:
    """A file that is missing or empty, a folder, or none at all is said; a wrong hash is wrong usage."""
    TRAIL.touch()
    for arguments, code, told in (
        (["none"], 1, "none cannot be read: no such file or directory"),
        ([str(TRAIL)], 1, "trail.jsonl holds no line"),
        (["config"], 1, "config is no regular file"),
        ([], 64, "no trail is named"),
        ([str(TRAIL), "--head", "abc"], 64, "'abc' is no hash"),
        ([str(TRAIL), "--base", "sha256:" + "A" * 64], 64, "is no hash"),
    ):
        assert shell.run("trail", "verify", *arguments) == code
        assert told in shell.err
    assert shell.run("trail") == 64


def test_the_history_of_a_key(shell: Shell) -> None:
    """``show`` tells what was refused and what was written, and who asked; as JSON the lines themselves."""
    kept(shell)
    assert shell.run("trail", "show", str(TRAIL), "--key", "shop") == 0
    assert f'shop  "shop"  key {key_id(1)}  account {ACCOUNT}\n' in shell.out
    assert "why: hold: " in shell.out
    assert "asked for at config/keys/keys.yaml:6:" in shell.out
    assert f"scopes  + {SHOP}" in shell.out
    assert "update: applied" in shell.out
    assert shell.err == ""
    assert shell.run("trail", "show", "--trail", str(TRAIL), "--key", key_id(1), "-o", "json") == 0
    assert shell.out.splitlines() == TRAIL.read_text().splitlines()[1:]


def test_a_list_is_found_again_after_a_fence(shell: Shell) -> None:
    """The list that a fenced key had is told, also by the key's id and in its account alone."""
    shell.write(FILES.replace(f'"{SHOP}"]', f'"{SHOP}"], state: quarantined'))
    assert shell.run("apply", "--trail", str(TRAIL)) == 0
    assert shell.run("trail", "show", str(TRAIL), "--key", key_id(1), "--account", ACCOUNT) == 0
    assert "The list before it was fenced (" in shell.out
    assert shell.out.endswith("): 203.0.113.0/24\n")


def test_a_key_that_nobody_knows(shell: Shell) -> None:
    """An unknown key exits 1 and says which one was meant, if any."""
    kept(shell)
    assert shell.run("trail", "show", str(TRAIL), "--key", "shpo") == 1
    assert shell.err == "error: no line is about a key 'shpo'\n  hint: did you mean 'shop'?\n"
    assert shell.run("trail", "show", str(TRAIL), "--key", "x\x1b[31m", "--account", "y") == 1
    assert "about a key 'x\\x1b[31m' in account y" in shell.err
    assert "`reconciler explain`" in shell.err


def test_a_broken_trail_is_shown_with_a_warning(shell: Shell) -> None:
    """What can still be read is told, and that it is not proven."""
    kept(shell)
    change(b'"outcome":"refused"', b'"outcome":"skipped"')
    assert shell.run("trail", "show", str(TRAIL), "--key", "shop") == 0
    assert "update: applied" in shell.out
    assert "hold" not in shell.out
    assert "warning: trail.jsonl:2 was changed" in shell.err
    assert "warning: 1 line could not be understood, and may be about the key" in shell.err


def test_a_trail_that_cannot_be_kept(shell: Shell) -> None:
    """Nothing is asked or written where the trail cannot be opened; a report must not take its place."""
    shell.drift("domains:read")
    before = shell.emulator.requests["GET"]
    assert shell.run("apply", "--trail", "none/trail.jsonl") == 1
    assert "there is no folder" in shell.err
    assert shell.run("apply", "--trail", str(TRAIL), "-o", f"json={TRAIL}") == 64
    assert "would replace a file that is read" in shell.err
    assert shell.emulator.requests["GET"] == before
    assert shell.emulator.requests["PUT"] == 0


@pytest.mark.parametrize("text", ["64", "1.5MiB", "64MB", "-1KiB", "many"])
def test_sizes(shell: Shell, text: str) -> None:
    """A size has a unit, unless it is 0."""
    assert shell.run("apply", "--trail-size", text) == 64
    assert "is no size: write a number and KiB, MiB or GiB" in shell.err
    assert shell.run("apply", "--trail", str(TRAIL), "--trail-size", "0") == 0
    assert shell.run("apply", "--trail", str(TRAIL), "--trail-size", "2GiB") == 0


def test_a_full_disk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the trail is full nothing is written, and apply says so and exits 4; so does a dry run."""
    shell.drift("domains:read")
    assert shell.run("apply", "--dry-run", "--trail", str(TRAIL)) == 0
    size = TRAIL.stat().st_size
    with no_room_beyond(size):
        assert shell.run("apply", "--trail", str(TRAIL)) == 4
        assert "not written, since the write could not be recorded" in " ".join(shell.out.split())
        assert "error: the trail lacks something of this pass: " in shell.err
        shell.drift("domains:read", "messages:read:all")
        assert shell.run("apply", "--dry-run", "--trail", str(TRAIL)) == 4
        assert "error: the trail lacks something of this pass: " in shell.err
        monkeypatch.setenv("RECONCILER_HOLD", "incident 7")
        assert shell.run("apply", "--trail", str(TRAIL)) == 4
        monkeypatch.delenv("RECONCILER_HOLD")
    assert shell.emulator.requests["PUT"] == 0
    assert TRAIL.stat().st_size == size
    assert shell.run("apply", "--trail", str(TRAIL)) == 0


def test_an_account_that_cannot_be_read_weighs_more(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no account could be read either, the exit code says that."""
    assert shell.run("apply", "--trail", str(TRAIL)) == 0
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}}]})

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    assert shell.run("apply", "--trail", str(TRAIL)) == 1
    assert "the trail lacks something of this pass" in shell.err


def test_killed_in_the_middle_of_an_apply_with_a_trail(shell: Shell) -> None:
    """After a SIGKILL the trail is intact or mended at the next start, and each PUT has its line."""
    drifted(shell)
    arguments = ["apply", "--allow", "max-changes", "--rate", "40", "--burst", "6", "--trail", str(TRAIL)]
    process = start(*arguments)
    wait_for_writes(shell.emulator, 3)
    process.kill()
    process.communicate()
    assert shell.run("apply", "--allow", "max-changes", "--trail", str(TRAIL)) == 0
    assert shell.run("trail", "verify", str(TRAIL)) == 0
    lines = [json.loads(line) for _, line in read_files([TRAIL])]
    started = {line["key_id"] for line in lines if line["event"] == "write.started"}
    assert started == {made.key_id for made in shell.emulator.history}
    assert len(started) == MANY


def test_a_second_process_is_refused(shell: Shell) -> None:
    """While one apply keeps the trail another one is refused before it does anything."""
    drifted(shell)
    process = start("apply", "--allow", "max-changes", "--rate", "40", "--burst", "6", "--trail", str(TRAIL))
    wait_for_writes(shell.emulator, 1)
    assert shell.run("apply", "--trail", str(TRAIL)) == 1
    assert f"is written by another process (pid {process.pid})" in shell.err
    process.terminate()
    process.communicate()
    assert shell.run("trail", "verify", str(TRAIL)) == 0
