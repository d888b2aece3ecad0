"""``run`` as a process: what wakes it, what ends it, also as the first process of a container."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from required import not_run
from shell import FILES, Shell

RECONCILER = [sys.executable, "-m", "reconciler"]
HOURLY = ["run", "--every", "1h", "--log-format", "json"]


class Running:
    """A daemon's process, and what it logs."""

    def __init__(self, process: subprocess.Popen[str], logs: Path) -> None:
        self.process = process
        self._logs = logs

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Give the lines of the log, or those of one event; a traceback would be none."""
        lines = [json.loads(line) for line in self._logs.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if event in ("", line["event"])]

    def until(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 20
        while not happened():
            assert time.monotonic() < deadline, f"{what}: {self._logs.read_text()}"
            assert self.process.poll() is None, self._logs.read_text()
            time.sleep(0.01)

    def until_passes(self, count: int) -> None:
        self.until(lambda: len(self.lines("pass.finished")) >= count, f"pass {count} never ended")

    def ends(self) -> tuple[int, float]:
        """Wait for its end; give its exit code, and the seconds that it took."""
        began = time.monotonic()
        code = self.process.wait(timeout=20)
        return code, time.monotonic() - began


@contextmanager
def running(shell: Shell, *arguments: str, before: tuple[str, ...] = (), **options: Any) -> Iterator[Running]:
    logs = shell.folder / "logs"
    with logs.open("w") as stderr:
        process = subprocess.Popen([*before, *RECONCILER, *arguments], stderr=stderr, text=True, **options)
        try:
            yield Running(process, logs)
        finally:
            process.kill()
            process.wait()


def test_a_signal_begins_a_pass(shell: Shell) -> None:
    """SIGHUP begins a pass at once, which reads the files anew."""
    with running(shell, *HOURLY) as daemon:
        daemon.until_passes(1)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_passes(2)
        assert [line["trigger"] for line in daemon.lines("pass.started")] == ["start", "signal"]
        daemon.process.terminate()
        assert daemon.ends()[0] == 0


def test_a_changed_file_is_applied_at_once(shell: Shell) -> None:
    """A file that changes is applied within moments, and one that breaks does not end the daemon or undo anything."""
    with running(shell, *HOURLY) as daemon:
        daemon.until_passes(1)
        shell.write(FILES.replace("messages:send:{shop.example.com}", "messages:send:all"))
        daemon.until(lambda: shell.emulator.requests["PUT"] == 1, "no write came")
        daemon.until_passes(2)
        shell.write(FILES.replace("scopes", "scops"))
        daemon.until_passes(3)
        assert [line["trigger"] for line in daemon.lines("pass.started")] == ["start", "files", "files"]
        (rejected,) = daemon.lines("config.rejected")
        assert len(rejected["problems"]) == 2
        assert shell.emulator.requests["PUT"] == 1
        daemon.process.terminate()
        assert daemon.ends()[0] == 0


def silent(shell: Shell, delay: str) -> None:
    shell.drift("domains:read")
    shell.emulator.set_faults({"rules": [{"method": "PUT", "path": "*", "rate": 1, "do": {"delay": delay}}]})


def test_terminated_while_a_write_is_under_way(shell: Shell) -> None:
    """On SIGTERM the write that was begun is finished and looked at, no other is begun, and the report tells of it."""
    silent(shell, "1500ms")
    with running(shell, *HOURLY, "-o", "json=report.json") as daemon:
        daemon.until(lambda: shell.emulator.requests["PUT"] == 1, "no write came")
        daemon.process.terminate()
        code, seconds = daemon.ends()
        assert (code, seconds < 10) == (0, True)
        assert daemon.lines()[-1]["event"] == "daemon.stopped"
    report = json.loads(Path("report.json").read_text())
    assert report["summary"]["applied"] == 1
    assert shell.emulator.requests["PUT"] == 1


def test_terminated_twice_it_leaves_at_once(shell: Shell) -> None:
    """A second SIGTERM does not wait for an answer that does not come; what is not known is told as that."""
    silent(shell, "60s")
    with running(shell, *HOURLY) as daemon:
        daemon.until(lambda: shell.emulator.requests["PUT"] == 1, "no write came")
        daemon.process.terminate()
        time.sleep(0.5)
        assert daemon.process.poll() is None
        daemon.process.terminate()
        code, seconds = daemon.ends()
        assert (code, seconds < 3) == (0, True)
        (failed,) = daemon.lines("change.failed")
        assert "not known" in failed["reason"] or "did not come in time" in failed["reason"]


def test_as_the_first_process(shell: Shell) -> None:
    """As the first process of a container, to which no signal means anything by itself, it heeds SIGTERM and SIGHUP."""
    if not (shutil.which("unshare") and os.geteuid() == 0):
        not_run("pid1", "unshare, as root")
    with running(shell, *HOURLY, before=("unshare", "--pid", "--fork", "--kill-child")) as daemon:
        daemon.until_passes(1)
        (first,) = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
        assert Path(f"/proc/{first}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
        os.kill(int(first), signal.SIGHUP)
        daemon.until_passes(2)
        os.kill(int(first), signal.SIGTERM)
        assert daemon.ends()[0] == 0
        assert daemon.lines()[-1]["event"] == "daemon.stopped"


def test_an_early_signal_is_no_end(shell: Shell) -> None:
    """A SIGHUP that comes while it starts, as soon as its command is known, does not end it."""
    with running(shell, *HOURLY) as daemon:
        daemon.until(lambda: heeds_hangup(daemon.process.pid), "SIGHUP would end it")
        assert daemon.lines() == []
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_passes(1)


def heeds_hangup(pid: int) -> bool:
    """Tell whether a process ignores SIGHUP or catches it."""
    text = Path(f"/proc/{pid}/status").read_text()
    return any(int(text.split(f"{mask}:")[1].split()[0], 16) & 1 for mask in ("SigIgn", "SigCgt"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--time-zone", "Europe/Berln", "--cron", "0 3 * * *"], "did you mean 'Europe/Berlin'?"),
        (["--time-zone", "Europe/Berlin"], "--time-zone is for --cron"),
        (["--cron", "0 3 * * *", "--time-zone", "../../etc/passwd"], "no time zone"),
    ],
)
def test_time_zones_that_are_none(shell: Shell, arguments: list[str], told: str) -> None:
    """A zone that there is not, and one for an interval, are wrong usage, before anything is read."""
    assert shell.run("run", *arguments) == 64
    assert told in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_a_schedule_in_a_time_zone(shell: Shell) -> None:
    """With --cron and --time-zone the daemon says when its passes begin, and where that is meant."""
    with running(shell, "run", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin") as daemon:
        daemon.until_passes(1)
        assert daemon.lines()[0]["schedule"] == "cron 0 3 * * * (Europe/Berlin)"
