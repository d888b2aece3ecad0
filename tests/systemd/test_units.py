"""The units for systemd: what systemd's own checker says, and how their commands do under what they allow."""

import json
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.emulator.server import Emulator
from required import systemd_analyze
from served import served
from shell import FILES, keys
from systemd.units import PROGRAM, SERVICES, TIMERS, UNITS, Machine, can_confine, confined, read_unit
from world import ACCOUNT, TOKEN, key_id

RECONCILER = Path(sysconfig.get_path("scripts"), "reconciler")
MOST_EXPOSED = "15"
"""In tenths: systemd's own scale goes from 0, for what may do nothing, to 10."""

POLICY = """version: 1
rules:
  - {id: few-senders, severity: note, when: 'key.scopes.exists(s, s.startsWith("messages:send"))', message: "it sends"}
"""
"""With an expression, so that CEL's own compiled code has to do with what the units allow."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The units, where the command is that they start."""
    for name in (*SERVICES, *TIMERS):
        (tmp_path / name).write_text((UNITS / name).read_text().replace(PROGRAM, str(RECONCILER)))
    return tmp_path


def analyze(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [systemd_analyze(), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_systemd_takes_them(folder: Path) -> None:
    """Its checker finds nothing to say about any of the units."""
    done = analyze(folder, "verify", "--man=no", *(f"./{name}" for name in (*SERVICES, *TIMERS)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_how_exposed_they_are(folder: Path) -> None:
    """The measure that systemd has of what a service could still do is low for each of them."""
    for name in SERVICES:
        done = analyze(folder, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", f"./{name}")
        assert done.returncode == 0, done.stdout


def test_what_the_page_says() -> None:
    """The page about systemd names every unit, every file that they read, and how exposed systemd finds them."""
    page = (UNITS.parents[1] / "docs/how-to/run-under-systemd.md").read_text()
    for name in SERVICES:
        unit = read_unit(name)
        sources = [each.partition(":")[2] for each in unit.all("LoadCredential")]
        named = [*sources, unit.one("EnvironmentFile").lstrip("-"), f"/var/lib/{unit.one('StateDirectory')}"]
        assert [each for each in named if each not in page] == []
        rated = analyze(UNITS, "security", "--offline=yes", "--no-pager", f"./{name}").stdout.splitlines()[-1]
        (level,) = re.findall(r"\d+\.\d", rated)
        assert f"at {level} of 10" in page
    for name in (*SERVICES, *TIMERS):
        assert f"`{name}`" in page or f"`{name.replace('.service', '.timer')}`, `.service`" in page


def test_they_are_confined_alike() -> None:
    """What one service may not do, none may."""
    sandboxes = []
    for name in SERVICES:
        text = (UNITS / name).read_text()
        sandboxes.append(text[text.index("DynamicUser=") :].partition("\n[Install]")[0].strip())
    assert len(set(sandboxes)) == 1


def test_what_fits_the_product() -> None:
    """Wrong usage is not tried again, the end has time for a write, and daemon and timer exclude each other.

    No exit code counts as success that asks for a person.
    """
    daemon, apply = read_unit("reconciler.service"), read_unit("reconciler-apply.service")
    assert daemon.one("RestartPreventExitStatus") == "64"
    assert {each.one("TimeoutStopSec") for each in map(read_unit, SERVICES)} == {"30s"}
    assert [each.all("SuccessExitStatus") for each in (daemon, apply)] == [[], []]
    assert daemon.one("Conflicts").split() == ["reconciler-apply.timer", "reconciler-apply.service"]
    assert read_unit("reconciler-apply.timer").one("Conflicts") == "reconciler.service"


RESTARTED = {"Type": "notify", "Restart": "on-failure", "RestartSec": "30s", "WatchdogSec": "2min", "KillMode": "mixed"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("reconciler.service", RESTARTED | {"TimeoutStartSec": "2min"}),
        ("reconciler-apply.service", {"Type": "oneshot", "TimeoutStartSec": "35min"}),
        ("reconciler-audit.service", {"Type": "oneshot", "TimeoutStartSec": "35min"}),
        ("reconciler-apply.timer", {"OnCalendar": "*:0/10", "Persistent": "yes", "RandomizedDelaySec": "1min"}),
        ("reconciler-audit.timer", {"OnCalendar": "*-*-* 06:00:00", "Persistent": "yes"}),
    ],
)
def test_when_they_start_and_end(name: str, settings: dict[str, str]) -> None:
    """A daemon that failed or hangs is started anew; passes come at the times that the page says, and have time."""
    unit = read_unit(name)
    assert {each: unit.one(each) for each in settings} == settings
    if name.endswith(".service"):
        kept = {each: unit.one(each) for each in ("StateDirectoryMode", "UMask", "LimitCORE", "KeyringMode")}
        assert kept == {"StateDirectoryMode": "0700", "UMask": "0077", "LimitCORE": "0", "KeyringMode": "private"}


@pytest.fixture
def emulator() -> Emulator:
    return Emulator({"accounts": [{"id": ACCOUNT, "domains": ["shop.example.com"], "keys": drifted()}]})


def drifted() -> list[dict[str, object]]:
    admin, shop = keys()
    return [admin, {**shop, "scopes": ["domains:read"]}]


@pytest.fixture
def machine(tmp_path: Path, emulator: Emulator) -> Iterator[Machine]:
    """A machine that is set up as the page about systemd says, but for the address of the API."""
    can_confine()
    machine = Machine(tmp_path)
    machine.write("/etc/reconciler/keys/keys.yaml", FILES)
    machine.write("/etc/reconciler/policy/policy.yaml", POLICY)
    for name in ("ahasend_api_key", "ahasend_api_key_audit"):
        machine.write(f"/etc/reconciler/credentials/{name}", f"{TOKEN}\n")
    with served(emulator) as address:
        lines = {"AHASEND_ACCOUNT_ID": ACCOUNT, "AHASEND_ENDPOINT": address, "RECONCILER_SELF_KEY_ID": key_id(0)}
        lines["RECONCILER_LISTEN"] = "127.0.0.1:0"
        machine.write("/etc/reconciler/environment", "".join(f"{name}={text}\n" for name, text in lines.items()))
        yield machine


def test_the_daemon(machine: Machine, emulator: Emulator) -> None:
    """The daemon does with the environment, the credentials and the system calls that its unit gives it.

    It is ready, applies, gives signs of life, begins a pass when it is reloaded, and ends in good order.
    """
    unit = read_unit("reconciler.service")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(30)
        systemd.bind(str(machine.root / "notify"))

        def until(line: str) -> None:
            heard: list[str] = []
            while line not in heard:
                heard += systemd.recv(4096).decode().splitlines()
                assert len(heard) < 100, heard

        told = {"NOTIFY_SOCKET": str(machine.root / "notify"), "WATCHDOG_USEC": "1000000"}
        with machine.started(unit, RECONCILER, **told) as process:
            until("READY=1")
            until("STATUS=Applied. No person has to act.")
            until("WATCHDOG=1")
            assert (unit.one("ExecReload"), unit.one("Type")) == ("/bin/kill -HUP $MAINPID", "notify")
            process.send_signal(signal.SIGHUP)
            until("STATUS=In sync. No person has to act.")
            process.send_signal(signal.SIGTERM)
            until("STOPPING=1")
            _, logs = process.communicate(timeout=30)
    assert (process.returncode, emulator.requests["PUT"]) == (0, 1)
    events = [json.loads(line)["event"] for line in logs.splitlines()]
    assert (events[0], events[-1]) == ("daemon.started", "daemon.stopped")
    trail = machine.path("/var/lib/reconciler/trail.jsonl")
    assert [json.loads(line)["event"] for line in trail.read_text().splitlines()][1:] == [
        "write.started",
        "write.ended",
    ]
    assert TOKEN not in logs


def test_a_pass(machine: Machine, emulator: Emulator) -> None:
    """One pass of the timer's service applies what the files say; what is held back fails the unit."""
    unit = read_unit("reconciler-apply.service")
    with machine.started(unit, RECONCILER) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, emulator.requests["PUT"]) == (0, 1), err
    assert ("Applied 1 of 1 change" in out, "few-senders" in out) == (True, True)
    machine.write(
        "/etc/reconciler/keys/keys.yaml", FILES.replace('"api-keys:read", "api-keys:write"', '"api-keys:read"')
    )
    with machine.started(unit, RECONCILER) as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, emulator.requests["PUT"], "guardian" in out) == (3, 1, True)


def test_an_audit(machine: Machine, emulator: Emulator) -> None:
    """The audit keeps its reports in the folder that is its own, and sends nothing but GET."""
    with machine.started(read_unit("reconciler-audit.service"), RECONCILER) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    kept = {path.name for path in machine.path("/var/lib/reconciler-audit").iterdir()}
    assert kept == {"audit.html", "audit.json"}
    assert emulator.requests["PUT"] == 0


TRIES = """
import mmap, os, socket
def refused(work):
    try:
        work()
    except OSError:
        return True
    return False
tried = (
    lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    lambda: os.nice(1),
    lambda: os.chroot("/"),
    lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    lambda: socket.socket(),
    lambda: mmap.mmap(-1, 4096),
)
print(*map(refused, tried))
"""


def test_the_confinement_holds() -> None:
    """What these tests start can neither execute memory that it wrote, nor do anything else that the unit forbids."""
    can_confine()
    free = [sys.executable, "-I", "-c", TRIES.replace("chroot", "stat")]
    assert subprocess.check_output(free, text=True) == "False False False False False False\n"
    confined_by = confined(read_unit("reconciler.service"))
    held = subprocess.check_output([*confined_by, sys.executable, "-I", "-c", TRIES], text=True)
    assert held == "True True True True False False\n"
