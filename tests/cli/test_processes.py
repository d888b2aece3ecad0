"""Whole processes: signals, a kill in the middle, pipes that close, what gets imported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from cli.test_asking import READY, answering, http, says
from reconciler.cli import main
from reconciler.emulator.server import Emulator
from shell import FILES, SHOP, Shell
from world import ACCOUNT, admin, key

RECONCILER = [sys.executable, "-m", "reconciler"]
MANY = 40


def drifted(shell: Shell) -> None:
    """Forty keys, each with a scope too many."""
    keys = [key(number, f"k{number:02}", SHOP, "domains:read") for number in range(1, MANY + 1)]
    shell.emulator.load({"accounts": [{"id": ACCOUNT, "domains": ["shop.example.com"], "keys": [admin(), *keys]}]})
    shell.write(FILES[: FILES.index("  - {name: shop")] + "".join(map(entry, range(1, MANY + 1))))


def entry(number: int) -> str:
    return f'  - {{name: k{number:02}, scopes: ["{SHOP}"]}}\n'


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command that heeds SIGHUP, also where the tests themselves were started by nohup."""
    return subprocess.Popen(
        [*RECONCILER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"preexec_fn": heed_hang_ups, **options},
    )


def heed_hang_ups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_for_writes(emulator: Emulator, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(emulator.history) < count:
        assert time.monotonic() < deadline, "no write came"
        time.sleep(0.01)


def wait_for_requests(emulator: Emulator, method: str) -> None:
    deadline = time.monotonic() + 20
    while not emulator.requests[method]:
        assert time.monotonic() < deadline, "no request came"
        time.sleep(0.01)


def test_killed_in_the_middle_of_an_apply(shell: Shell) -> None:
    """After a SIGKILL in the middle, a second run does the rest, each key once, and the third nothing."""
    drifted(shell)
    process = start("apply", "--allow", "max-changes", "--rate", "40", "--burst", "6")
    wait_for_writes(shell.emulator, 3)
    process.kill()
    process.communicate()
    done = len(shell.emulator.history)
    assert 3 <= done < MANY
    assert shell.run("apply", "--allow", "max-changes") == 0
    written = [change.key_id for change in shell.emulator.history]
    assert len(written) == len(set(written)) == MANY
    before = shell.emulator.requests["PUT"]
    assert shell.run("apply") == 0
    assert "in sync" in shell.out
    assert shell.emulator.requests["PUT"] == before


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGHUP] * 3])
def test_terminated_in_the_middle_of_an_apply(shell: Shell, numbers: list[signal.Signals]) -> None:
    """After a SIGTERM or SIGHUP apply ends soon with exit 4, its report written; what it says was applied was."""
    drifted(shell)
    process = start("apply", "--allow", "max-changes", "--rate", "40", "--burst", "6", "-o", "json")
    wait_for_writes(shell.emulator, 3)
    began = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.02)
    out, _ = process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode == 4
    changes = json.loads(out)["accounts"][0]["changes"]
    assert [change["outcome"] for change in changes].count("applied") == len(shell.emulator.history) < MANY
    assert {change["reason"] for change in changes if change["outcome"] == "failed"} == {"interrupted"}


def test_several_hang_ups_are_one(shell: Shell) -> None:
    """A write whose answer comes late is waited for, however often somebody says that the terminal is gone."""
    shell.drift("domains:read")
    shell.emulator.set_faults({"rules": [{"method": "PUT", "path": "*", "rate": 1, "do": {"delay": "1s"}}]})
    process = start("apply", "-o", "json")
    wait_for_requests(shell.emulator, "PUT")
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    out, _ = process.communicate()
    assert json.loads(out)["accounts"][0]["changes"][0]["outcome"] == "applied"


def test_a_terminal_that_is_closed(shell: Shell) -> None:
    """Where the terminal is closed no write is left of which the trail does not tell the end."""
    drifted(shell)
    arguments = ["apply", "--allow", "max-changes", "--rate", "40", "--burst", "6", "--trail", "trail.jsonl"]
    spawned = pexpect.spawn(sys.executable, ["-m", "reconciler", *arguments], timeout=20, preexec_fn=heed_hang_ups)
    wait_for_writes(shell.emulator, 3)
    os.close(spawned.child_fd)
    assert spawned.pid is not None
    _, status = os.waitpid(spawned.pid, 0)
    assert os.waitstatus_to_exitcode(status) > 0
    events = [json.loads(line)["event"] for line in Path("trail.jsonl").read_text().splitlines()]
    assert events.count("write.started") == events.count("write.ended") == len(shell.emulator.history) < MANY


def test_nohup(shell: Shell) -> None:
    """Who starts a command that SIGHUP is not to end is obeyed."""
    drifted(shell)
    ignoring = ["bash", "-c", 'trap "" HUP; exec "$@"', "bash", *RECONCILER]
    process = subprocess.Popen([*ignoring, "apply", "--allow", "max-changes", "--rate", "40", "--burst", "6"])
    wait_for_writes(shell.emulator, 3)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=30) == 0
    assert len(shell.emulator.history) == MANY


def test_terminated_while_the_server_is_silent(shell: Shell) -> None:
    """With an answer that never comes, apply still ends within ten seconds of SIGTERM, and says what is not known."""
    shell.drift("domains:read")
    shell.emulator.set_faults({"rules": [{"method": "PUT", "path": "*", "rate": 1, "do": {"delay": "60s"}}]})
    process = start("apply", "-o", "json")
    wait_for_requests(shell.emulator, "PUT")
    began = time.monotonic()
    process.terminate()
    out, _ = process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode == 4
    assert "interrupted" in json.loads(out)["accounts"][0]["changes"][0]["reason"]


def test_terminated_while_listing(shell: Shell) -> None:
    """After a SIGTERM while the account is listed apply exits 4: nothing is wrong, and a retry may help."""
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"delay": "60s"}}]})
    process = start("apply", "-o", "json")
    wait_for_requests(shell.emulator, "GET")
    process.terminate()
    out, _ = process.communicate()
    assert process.returncode == 4
    assert "interrupted" in json.loads(out)["accounts"][0]["error"]


def test_a_name_that_takes_minutes_to_resolve_holds_no_signal_up(shell: Shell) -> None:
    """A thread that waits for a name neither delays the end after a SIGTERM nor costs the report."""
    program = (
        "import socket, sys, time; import reconciler.__main__ as m;"
        "socket.getaddrinfo = lambda *a, **k: (print('asked', file=sys.stderr, flush=True), time.sleep(60)); m.run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "apply", "-o", "json"],
        env=os.environ | {"AHASEND_ENDPOINT": "https://slow.invalid"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "asked" not in process.stderr.readline():
        assert process.poll() is None
    began = time.monotonic()
    process.terminate()
    out, _ = process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode == 4
    assert json.loads(out)["accounts"][0]["status"] == "failed"


def test_a_closed_stdout_is_told_before_anything_is_done(shell: Shell) -> None:
    """With no place for results nothing is done; with none for logs only they are lost."""
    shell.drift("domains:read")
    command = f"{sys.executable} -m reconciler apply"
    closed = subprocess.run(["bash", "-c", f"{command} >&-"], capture_output=True, text=True, check=False)
    assert closed.returncode == 1
    assert "stdout is closed" in closed.stderr
    assert shell.emulator.requests["GET"] == 0
    silent = subprocess.run(["bash", "-c", f"{command} 2>&-"], capture_output=True, text=True, check=False)
    assert silent.returncode == 0
    assert "Applied 1 of 1 change" in silent.stdout


def test_terminated_before_anything_was_begun() -> None:
    """A SIGTERM while the process still starts ends it with 4, also as the first process of a container."""
    program = (
        "import os, signal; import reconciler.__main__ as m; import reconciler.cli as c;"
        "c.main = lambda: os.kill(os.getpid(), signal.SIGTERM); m.run()"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 4


@pytest.mark.parametrize("where", ["c.main = interrupt", "sys.modules['reconciler.cli'] = Loading('x')"])
def test_interrupted_before_anything_was_begun(where: str) -> None:
    """Ctrl-C while the process still starts, or a second one while the first is told, is one word, and 130."""
    program = (
        "import os, signal, sys, types; import reconciler.__main__ as m; import reconciler.cli as c\n"
        "def interrupt(*_): os.kill(os.getpid(), signal.SIGINT)\n"
        "class Loading(types.ModuleType):\n    __getattr__ = interrupt\n"
        f"{where}; m.run()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(("command", "code"), [("run", 0), ("apply", 4)])
def test_signals_before_anything_was_begun(command: str, code: int) -> None:
    """While it still starts, `run` ends with 0 on SIGTERM, as it is meant to end, and lives on after a SIGHUP."""
    program = (
        "import os, signal, sys; import reconciler.__main__ as m; import reconciler.cli as c;"
        "numbers = [signal.SIGHUP] * (sys.argv[1] == 'run') + [signal.SIGTERM];"
        "c.main = lambda: [os.kill(os.getpid(), number) for number in numbers]; m.run()"
    )
    assert subprocess.run([sys.executable, "-c", program, command], check=False).returncode == code


def test_run_heals_until_terminated(shell: Shell) -> None:
    """Run makes a pass at once, heals what drifts later, and exits 0 on SIGTERM, with its reports in a file."""
    shell.drift("domains:read")
    process = start("run", "--every", "1s", "--jitter", "0s", "--listen", "none", "-o", "json=report.json")
    wait_for_writes(shell.emulator, 1)
    shell.drift("domains:write")
    wait_for_writes(shell.emulator, 2)
    began = time.monotonic()
    process.terminate()
    out, err = process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode == 0
    assert out == ""
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[0]["event"] == "daemon.started"
    assert lines[-1]["event"] == "daemon.stopped"
    assert json.loads(Path("report.json").read_text())["mode"] == "apply"


def test_run_survives_a_report_that_cannot_be_written(shell: Shell) -> None:
    """A disk that fills up under the reports is told, and the daemon goes on healing."""
    process = start("run", "--every", "1s", "--jitter", "0s", "--listen", "none", "-o", "json=/dev/full")
    shell.drift("domains:read")
    wait_for_writes(shell.emulator, 1)
    shell.drift("domains:write")
    wait_for_writes(shell.emulator, 2)
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 0
    assert "error: /dev/full cannot be written" in err


def test_a_reader_that_leaves_early(shell: Shell) -> None:
    """Piped into something that reads nothing, the exit code is still that of the work, and stderr stays empty."""
    drifted(shell)
    process = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m reconciler plan --detailed-exitcode | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 3
    assert process.stderr == ""


def test_full_disks_do_not_end_the_daemon(shell: Shell) -> None:
    """Where neither reports nor errors can be written any more, passes go on: they keep the keys as they should be."""
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [*RECONCILER, "run", "--every", "1s", "--jitter", "0s", "--listen", "none", "-o", "json=/dev/full"],
            stderr=full,
        )
        deadline = time.monotonic() + 20
        while shell.emulator.requests["GET"] < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline, "no second pass came"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("arguments", [["--version"], ["plan"]])
def test_a_full_disk_behind_stdout(shell: Shell, arguments: list[str]) -> None:
    """Where stdout cannot be written, that is an error and not silence."""
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([*RECONCILER, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert "stdout cannot be written" in process.stderr


def test_the_emulator_serves_until_terminated(shell: Shell) -> None:
    """The emulator prints its address once it listens, and exits 0 on SIGTERM."""
    Path("seed.yaml").write_text("accounts: []\n")
    process = start("emulator", "--seed", "seed.yaml", "--port", "0", "--latency", "1ms")
    assert process.stdout is not None
    assert "http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


def imported(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    program = "import sys; from reconciler.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    process = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return set(process.stderr.split())


def test_help_imports_next_to_nothing() -> None:
    """``--help`` loads click and our table of commands, and none of the libraries that the commands need."""
    modules = imported("--help")
    assert modules.isdisjoint(
        {"httpx", "pydantic", "yaml", "structlog", "apscheduler", "starlette", "uvicorn", "stamina", "asyncio"}
    )


def test_plan_imports_only_what_it_needs(shell: Shell) -> None:
    """``plan`` loads neither the scheduler nor the web server nor the emulator."""
    modules = imported("plan")
    assert "httpx" in modules
    assert modules.isdisjoint({"apscheduler", "starlette", "uvicorn", "reconciler.emulator", "jinja2"})


def test_what_notifies_is_loaded_only_where_somebody_is_notified(shell: Shell) -> None:
    """Without addresses neither Apprise nor what it brings along is imported: it need not be installed."""
    modules = imported("notify")
    assert "reconciler.notify" in modules
    assert modules.isdisjoint({"apprise", "requests"})


def test_python_m(shell: Shell) -> None:
    """``python -m reconciler`` is the same command."""
    process = subprocess.run([*RECONCILER, "--version"], capture_output=True, text=True, check=True)
    assert main(["--version"]) == 0
    assert process.stdout == shell.capture.readouterr().out


def test_colours_on_a_terminal_only(shell: Shell) -> None:
    """On a terminal the text is coloured, with NO_COLOR it is not; progress and colours never reach a pipe."""
    shell.drift("domains:read")
    for no_color, coloured in (("", True), ("1", False)):
        main_end, command_end = os.openpty()
        process = subprocess.Popen(
            [*RECONCILER, "plan"], stdout=command_end, env=os.environ | {"NO_COLOR": no_color, "TERM": "xterm"}
        )
        process.wait()
        os.close(command_end)
        assert (b"\x1b[" in os.read(main_end, 1 << 16)) is coloured
        os.close(main_end)
    shell.run("plan")
    assert "\x1b" not in shell.out


def test_a_health_check_imports_next_to_nothing() -> None:
    """``status --quiet``, which is asked every half a minute, loads neither our decisions nor what reads reports."""
    with answering(says(readyz=http(READY))) as (daemon, _):
        modules = imported("status", "--quiet", "--at", str(daemon.address))
    assert modules.isdisjoint({"httpx", "pydantic", "yaml", "structlog", "asyncio", "uvicorn", "jinja2", "rich"})
    few = {f"reconciler.core.{name}" for name in ("allowable", "patterns", "scopes")}
    assert {name for name in modules if name.startswith("reconciler.core.")} <= few
    assert not {name for name in modules if name.startswith("reconciler.render.")}
