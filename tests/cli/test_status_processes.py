"""``status`` and ``run`` as processes: one asks, the other answers, or does not."""

import json
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from cli.test_processes import imported
from cli.test_run_processes import HERE, HOURLY, RECONCILER, WEB_TOKEN, Running, ask, running
from reconciler.files.report import load_report
from reconciler.render.json import render
from shell import FILES, Shell
from world import TOKEN


def at(daemon: Running) -> str:
    """Where a daemon listens, as an option."""
    daemon.until(lambda: bool(daemon.lines("daemon.started")), "it never began")
    return f"--at={daemon.lines('daemon.started')[0]['listen']}"


def status(daemon: Running, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*RECONCILER, "status", at(daemon), *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


def test_how_everything_stands(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drift that was mended, who asked for it, who can do what: all of it is told, and none of the secrets."""
    monkeypatch.setenv("RECONCILER_TOKEN", WEB_TOKEN)
    shell.drift("domains:read")
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        code, out, err = status(daemon)
        assert (code, err) == (0, "")
        assert out.startswith("In sync, to look at.\n  In sync since ")  # there is no policy
        assert "shop  update, mixed  applied\n                    config/keys/keys.yaml:6\n" in out
        assert "api-keys:write, api-keys:read  from anywhere" in out
        assert status(daemon, "-q")[:2] == (0, "ready\n")
        code, out, _ = status(daemon, "-o", "json")
        told = json.loads(out)
        assert (code, told["sync"]["in_sync"], told["last_pass"]["number"]) == (0, True, 1)
        assert told["next_at"] > told["as_of"]
        assert [each["outcome"] for each in told["recent"]] == ["applied"]
        code, text = ask(daemon, "/report")
        assert (code, render(load_report(text))) == (200, text)
        assert load_report(text).run_id == told["last_pass"]["run_id"]
        _, page = ask(daemon, "/status")
        assert json.loads(page)["sync"] == told["sync"]
        for secret in (TOKEN, WEB_TOKEN):
            assert secret not in out + text + page


def test_what_is_held_back(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held back is told with why and where, and is no ill health."""
    monkeypatch.setenv("RECONCILER_HOLD", "INC-7")
    shell.drift("domains:read")
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        code, out, _ = status(daemon)
        assert code == 0
        assert out.startswith("A person must act.\n  Not in sync since ")
        assert "on hold: INC-7" in out
        assert "config/keys/keys.yaml:6" in out
        assert "plan sha256:" in out
        shell.write(FILES.replace("scopes", "scops"))
        daemon.until_passes(2)
        _, out, _ = status(daemon)
        assert "Newer files do not load\n  the files do not load since " in out
        assert "config/keys/keys.yaml:5:" in out


def test_an_account_that_cannot_be_read(shell: Shell) -> None:
    """A daemon that cannot read its account is not well, and never in sync."""
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"status": 403}}]})
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        code, out, _ = status(daemon)
        assert (code, out.splitlines()[0]) == (1, "Not ready.")
        assert "in sync" not in out.lower()
        assert "never read: " in out
        code, out, _ = status(daemon, "--quiet")
        assert code == 1
        assert out.startswith("not ready: account ")


def test_before_the_first_pass_has_ended(shell: Shell) -> None:
    """While the first pass takes its time, nothing is known, and that is said."""
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"delay": "5s"}}]})
    with running(shell, *HOURLY, *HERE) as daemon:
        code, out, _ = status(daemon)
        assert (code, out.splitlines()[0]) == (1, "Not known yet.")
        assert ask(daemon, "/report")[0] == 503


def test_a_daemon_that_hangs_or_is_gone(shell: Shell) -> None:
    """A daemon that is stopped, or killed, is not well; with watching that is told, and it goes on."""
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        where = at(daemon)
        daemon.process.send_signal(signal.SIGSTOP)
        for arguments in ((), ("-q",), ("-o", "json")):
            code, out, err = status(daemon, "--timeout", "500ms", *arguments)
            assert (code, out) == (1, "")
            assert "did not answer within 0.5 s" in err
        daemon.process.send_signal(signal.SIGCONT)
        assert status(daemon, "-q")[0] == 0
        watching = subprocess.Popen(
            [*RECONCILER, "status", where, "--watch", "--every", "100ms"], stdout=subprocess.PIPE, text=True
        )
        assert watching.stdout
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(iter(watching.stdout.readline, "")))  # type: ignore[union-attr] # it was asked for
        reading.start()
        daemon.until(lambda: any("In sync" in line for line in lines), "nothing was shown")
        daemon.process.kill()
        daemon.process.wait()
        code, _, err = status(daemon, "-q")
        assert (code, "connection refused" in err) == (1, True)
        watching.send_signal(signal.SIGTERM)
        reading.join(10)
        watching.wait(10)
        watching.stdout.close()


def test_its_history_survives_a_restart(shell: Shell) -> None:
    """With a trail, what happened before the daemon was started anew is still told; without one it is not."""
    shell.drift("domains:read")
    for trail in (("--trail", "trail.jsonl"), ("--trail", "trail.jsonl"), ()):
        with running(shell, *HOURLY, *HERE, *trail) as daemon:
            daemon.until_passes(1)
            _, out, _ = status(daemon, "-o", "json")
            told = json.loads(out)
            assert [each["outcome"] for each in told["recent"]] == (["applied"] if trail else [])
            assert told["sync"]["in_sync"]


def test_options_about_the_page(shell: Shell) -> None:
    """Who may look is what the options say; the names by which browsers may ask, too."""
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        assert ask(daemon, "/status", **forwarded)[0] == 403
        assert ask(daemon, "/status", Host="keys.example.com")[0] == 421
        status, page = ask(daemon, "/")
        assert (status, page[:15]) == (200, "<!DOCTYPE html>")
        assert ask(daemon, "/", **forwarded)[0] == 403
    with running(shell, *HOURLY, *HERE, "--page", "none") as daemon:
        daemon.until_passes(1)
        assert ask(daemon, "/")[0] == 404
    with running(shell, *HOURLY, *HERE, "--page", "all", "--page-host", "keys.example.com") as daemon:
        daemon.until_passes(1)
        assert ask(daemon, "/status", **forwarded, Host="keys.example.com")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--page", "everybody"), "'everybody' is not one of"),
        (("--page-host", "https://keys.example.com"), "without scheme and port, as keys.example.com"),
        (("--page-host", "keys.example.com:80"), "without scheme and port"),
        (("--page-host", ""), "is no name of a host"),
    ],
)
def test_options_that_cannot_be(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    """What cannot be meant is wrong usage, before anything is read."""
    assert shell.run("run", *arguments) == 64
    assert told in shell.err


def test_a_huge_answer() -> None:
    """What answers with a hundred megabytes is left before it has filled the memory."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 100000000\r\n\r\n")
                try:
                    for _ in range(100):
                        connection.sendall(b" " * 1_000_000)
                except OSError:
                    return

        thread = threading.Thread(target=talk)
        thread.start()
        done = subprocess.run(
            [*RECONCILER, "status", f"--at=127.0.0.1:{server.getsockname()[1]}", "-o", "json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        thread.join()
    assert (done.returncode, done.stdout) == (1, "")
    assert "larger than one of a daemon can be" in done.stderr


def test_it_imports_only_what_it_needs(shell: Shell) -> None:
    """A health check loads no HTTP client, no scheduler, no web server, and no templates; so does the rest of it."""
    with running(shell, *HOURLY, *HERE) as daemon:
        daemon.until_passes(1)
        for arguments in (("-q",), (), ("-o", "json")):
            modules = imported("status", at(daemon), *arguments)
            assert modules.isdisjoint(
                {"httpx", "apscheduler", "starlette", "uvicorn", "jinja2", "yaml", "structlog", "asyncio"}
            )
            assert "reconciler.reconcile" not in modules


def test_its_files_are_its_own(shell: Shell) -> None:
    """A status writes nothing."""
    before = sorted(map(str, Path().rglob("*")))
    assert shell.run("status", "--at", "127.0.0.1:1") == 1
    assert sorted(map(str, Path().rglob("*"))) == before
