"""``run`` as a process: what wakes it, what ends it, also as the first process of a container."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from required import not_run
from shell import FILES, Shell
from world import TOKEN

RECONCILER = [sys.executable, "-m", "reconciler"]
HOURLY = ["run", "--every", "1h", "--log-format", "json", "--listen", "none"]


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
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline, f"{what}: {self._logs.read_text()}"
            assert self.process.poll() is None, self._logs.read_text()
            time.sleep(0.01)

    def until_passes(self, count: int) -> None:
        self.until(lambda: len(self.lines("pass.finished")) >= count, f"pass {count} never ended")

    def ends(self) -> tuple[int, float]:
        """Wait for its end; give its exit code, and the seconds that it took."""
        began = time.monotonic()
        code = self.process.wait(timeout=60)
        return code, time.monotonic() - began


@contextmanager
def running(shell: Shell, *arguments: str, before: tuple[str, ...] = (), **options: Any) -> Iterator[Running]:
    logs = shell.folder / "logs"
    with logs.open("w") as stderr:
        process = subprocess.Popen([*before, *RECONCILER, *arguments], stderr=stderr, text=True, **options)
        try:
            yield Running(process, logs)
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Let it end by itself if it can, so that what was covered is counted."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


HERE = ("--listen", "127.0.0.1:0")
WEB_TOKEN = "0123456789abcdef-reconcile"


def ask(daemon: Running, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Ask the daemon's web server; gives the status and the body."""
    daemon.until(lambda: bool(daemon.lines("daemon.started")), "it never began")
    (started,) = daemon.lines("daemon.started")
    request = urllib.request.Request(f"{started['listen']}{path}", method=method, headers=headers)  # noqa: S310 # http
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 # a loopback address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_tells_how_it_is_doing(shell: Shell) -> None:
    """It answers that it lives, whether it is ready and why not, and counts what it did."""
    shell.drift("domains:read")
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        assert ask(daemon, "/livez") == (200, '{"status":"ok"}')
        code, text = ask(daemon, "/readyz")
        assert (code, json.loads(text)["reasons"]) == (200, [])
        _, metrics = ask(daemon, "/metrics")
        assert 'reconciler_changes_total{action="update",direction="mixed",outcome="applied"} 1.0' in metrics
        assert "reconciler_pass_interval_seconds 3630.0" in metrics
        shell.write("keys: 7")
        daemon.until_passes(2)
        code, text = ask(daemon, "/readyz")
        told = json.loads(text)["configuration"]
        assert (code, told["rejected"], told["problem_count"]) == (200, "the files do not load", 3)
        assert "reconciler_config_rejected 1.0" in ask(daemon, "/metrics")[1]
        daemon.process.terminate()
        assert daemon.ends()[0] == 0


def test_without_a_policy_it_says_so(shell: Shell) -> None:
    """A daemon that starts where no policy is says that no rule holds, once; with one it does not."""
    with running(shell, *HOURLY) as daemon:
        daemon.until_passes(1)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_passes(2)
        (finding,) = daemon.lines("finding.raised")
        assert (finding["rule"], finding["level"]) == ("no-policy", "warning")
    Path("config/policy.yaml").write_text("version: 1\n")
    with running(shell, *HOURLY) as daemon:
        daemon.until_passes(1)
        assert daemon.lines("finding.raised") == []


def test_a_new_credential_is_tried_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account whose credential was refused is left alone no longer when a new one is put in place."""
    secrets = shell.folder / "secrets"
    secrets.mkdir()
    (secrets / "ahasend_api_key").write_text("aha-sk-" + "0" * 64)
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
    shell.drift("domains:read")
    with running(shell, *HOURLY) as daemon:
        daemon.until_passes(1)
        assert daemon.lines("account.listed")[-1]["error"]
        (secrets / "ahasend_api_key").write_text(TOKEN)
        daemon.until_passes(2)
        assert [line["trigger"] for line in daemon.lines("pass.started")] == ["start", "files"]
        assert shell.emulator.requests["PUT"] == 1


def test_an_account_that_cannot_be_read_is_not_ready(shell: Shell) -> None:
    """A daemon that never read its account lives, and is not ready; the reason is that of the API."""
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}}]})
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        assert ask(daemon, "/livez")[0] == 200
        code, text = ask(daemon, "/readyz")
        assert code == 503
        assert "was not read yet" in json.loads(text)["reasons"][0]


def test_a_pass_on_request(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the token a pass begins at once, without it none; one in the folder of secrets counts once it is there."""
    secrets = shell.folder / "secrets"
    secrets.mkdir()
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("RECONCILER_TOKEN", WEB_TOKEN)
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        assert ask(daemon, "/reconcile", "POST")[0] == 401
        assert ask(daemon, "/reconcile", "POST", Authorization=f"Bearer {WEB_TOKEN}x")[0] == 401
        assert ask(daemon, "/reconcile", "GET", Authorization=f"Bearer {WEB_TOKEN}")[0] == 405
        assert ask(daemon, "/reconcile", "POST", Authorization=f"Bearer {WEB_TOKEN}")[0] == 202
        daemon.until_passes(2)
        (secrets / "reconciler_token").write_text("another-token-of-the-team\n")
        assert ask(daemon, "/reconcile", "POST", Authorization=f"Bearer {WEB_TOKEN}")[0] == 401
        assert ask(daemon, "/reconcile", "POST", Authorization="Bearer another-token-of-the-team")[0] == 202
        (secrets / "reconciler_token").write_text("short\n")
        assert ask(daemon, "/reconcile", "POST", Authorization="Bearer short")[0] == 403
        daemon.until(lambda: len(daemon.lines("pass.started")) >= 3, "no pass was asked for")
        assert "request" in {line["trigger"] for line in daemon.lines("pass.started")}
        assert WEB_TOKEN not in (shell.folder / "logs").read_text()


def test_a_token_that_could_be_guessed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is too short is wrong usage, before anything is read."""
    monkeypatch.setenv("RECONCILER_TOKEN", "secret")
    assert shell.run("run") == 64
    assert "RECONCILER_TOKEN is shorter than 16 characters" in shell.err


def test_a_port_that_is_taken(shell: Shell) -> None:
    """Where the port is taken it does not begin, says so, and makes no request."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert shell.run("run", "--listen", f"127.0.0.1:{port}") == 1
    assert "another process listens there" in shell.err
    assert "--listen" in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_a_trail_of_what_it_did(shell: Shell) -> None:
    """Each write is in the trail, with why the pass began; its head is logged, and with that the trail is verified."""
    shell.drift("domains:read")
    with running(shell, *HOURLY, "--trail", "trail.jsonl") as daemon:
        daemon.until_passes(1)
        head = daemon.lines("pass.finished")[-1]["trail"]
        assert shell.run("run", "--trail", "trail.jsonl", "--listen", "none") == 1
        assert "trail" in shell.err
        daemon.process.terminate()
        assert daemon.ends()[0] == 0
    lines = [json.loads(line) for line in Path("trail.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["trail.started", "write.started", "write.ended"]
    assert {line["trigger"] for line in lines[1:]} == {"start"}
    assert shell.run("trail", "verify", "trail.jsonl", "--head", head) == 0
    assert shell.run("trail", "show", "trail.jsonl", "--key", "shop") == 0
    assert "domains:read" in shell.out


def limited() -> None:
    """Let no file of this process grow over a size that the first line of a trail fits into, and no other."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))


def test_a_trail_that_cannot_be_written(shell: Shell) -> None:
    """On a full disk nothing is written to any key; that is logged, counted and told as not ready, and passes go on.

    The trail is told of a write before all others: what it forbids is nowhere said to have begun.
    """
    shell.drift("domains:read")
    # Its own log would not fit either.
    command = (*HOURLY, *HERE, "--trail", "trail.jsonl")
    # Nor would what is counted as covered.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    with piped(shell, *command, preexec_fn=limited, env=environment) as daemon:
        daemon.until_passes(1)
        (failed,) = daemon.lines("change.failed")
        assert "could not be recorded" in failed["reason"]
        assert shell.emulator.requests["PUT"] == 0
        code, text = ask(daemon, "/readyz")
        assert code == 503
        assert "without its line in the trail" in json.loads(text)["reasons"][0]
        assert re.search(r"reconciler_trail_failures_total [1-9]", ask(daemon, "/metrics")[1])
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_passes(2)
        assert len(daemon.lines("change.failed")) == 2
        assert daemon.lines("change.started") == []
        # As a decision that is made again it is told once; two writes would be two.
        (recent,) = json.loads(ask(daemon, "/status")[1])["recent"]
        assert (recent["outcome"], recent["reason"]) == ("failed", failed["reason"])
        daemon.process.terminate()
        assert daemon.ends()[0] == 0


@contextmanager
def piped(shell: Shell, *arguments: str, **options: Any) -> Iterator[Running]:
    """Run the daemon with its log going through a pipe, which no limit of its own stops."""
    logs = shell.folder / "logs"
    with logs.open("wb") as file:
        copy = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
        process = subprocess.Popen([*RECONCILER, *arguments], stderr=copy.stdin, text=True, **options)
        assert copy.stdin
        copy.stdin.close()
        try:
            yield Running(process, logs)
        finally:
            end(process)
            copy.wait()


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


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.6])
def test_terminated_while_it_starts(shell: Shell, seconds: float) -> None:
    """A SIGTERM is heeded from the first moment on, and is no failure: a roll-out may stop what has just begun."""
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"delay": "60s"}}]})
    with running(shell, *HOURLY) as daemon:
        daemon.until(lambda: heeds(daemon.process.pid, signal.SIGTERM), "SIGTERM would kill it")
        time.sleep(seconds)
        daemon.process.terminate()
        code, took = daemon.ends()
        assert (code, took < 10) == (0, True)
        assert "Traceback" not in (shell.folder / "logs").read_text()


def test_a_storm_of_signals(shell: Shell) -> None:
    """Thousands of SIGHUPs are one wish, or a few, nothing but lines of the log comes of them, and SIGTERM is heard."""
    with running(shell, *HOURLY) as daemon:
        for passes in (1, 2):
            daemon.until_passes(passes)
            for _ in range(20_000):
                daemon.process.send_signal(signal.SIGHUP)
        daemon.process.terminate()  # while there is no room for one more signal
        assert daemon.ends()[0] == 0
        assert all(line.startswith("{") for line in (shell.folder / "logs").read_text().splitlines())


def test_logs_that_nobody_reads(shell: Shell) -> None:
    """A log whose reader hangs stops neither passes nor answers, and is no reason not to end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    command = [*RECONCILER, "run", "--every", "1s", "--jitter", "0s", "--log-level", "debug", "--listen", "none"]
    process = subprocess.Popen(command, stderr=writing)
    os.close(writing)
    try:
        deadline = time.monotonic() + 30
        while shell.emulator.requests["GET"] < 8:
            assert time.monotonic() < deadline, "passes stopped"
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def test_terminated_while_its_folder_is_busy(shell: Shell) -> None:
    """A log that is written beside the policy, a folder that is watched, keeps nobody from ending it."""
    log = Path("config/run.log")
    for _ in range(3):
        with log.open("w") as stderr:
            process = subprocess.Popen([*RECONCILER, *HOURLY, "--log-level", "debug"], stderr=stderr)
            while "pass.finished" not in log.read_text():
                time.sleep(0.01)
            process.terminate()
            assert process.wait(timeout=10) == 0


def test_an_early_signal_is_no_end(shell: Shell) -> None:
    """A SIGHUP that comes while it starts, as soon as its command is known, does not end it."""
    with running(shell, *HOURLY) as daemon:
        daemon.until(lambda: heeds(daemon.process.pid, signal.SIGHUP), "SIGHUP would end it")
        assert daemon.lines() == []
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_passes(1)


def heeds(pid: int, number: int) -> bool:
    """Tell whether a process ignores a signal or catches it."""
    text = Path(f"/proc/{pid}/status").read_text()
    return any(int(text.split(f"{mask}:")[1].split()[0], 16) >> (number - 1) & 1 for mask in ("SigIgn", "SigCgt"))


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
    with running(shell, "run", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin", *HERE) as daemon:
        daemon.until_passes(1)
        assert daemon.lines()[0]["schedule"] == "cron 0 3 * * * (Europe/Berlin)"
