"""What systemd is told, over real sockets of its kind."""

import asyncio
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reconciler.ahasend.pace import Stop
from reconciler.core.changes import Outcome
from reconciler.core.events import ConfigReloaded, DaemonStarted, PassFailed, PassFinished
from reconciler.daemon.supervisor import Supervisor
from render.reports import account, change, report
from virtual_time import run_virtual

PROCESS = 4711
STARTED = DaemonStarted("every 5m")


class Ear:
    """What listens in systemd's place."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def heard(self) -> list[str]:
        """Give what was told since the last time."""
        told: list[str] = []
        while True:
            try:
                told += self._listener.recv(4096).decode().splitlines()
            except BlockingIOError:
                return told


@contextmanager
def ear(address: str) -> Iterator[Ear]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind(address)
        yield Ear(listener)


def supervisor(address: str, **variables: str) -> Supervisor:
    return Supervisor({"NOTIFY_SOCKET": address, **variables}, PROCESS)


def test_how_it_stands(tmp_path: Path) -> None:
    """It is ready once what the first pass needs was loaded, and tells in two words what each pass came to."""
    address = str(tmp_path / "notify")
    with ear(address) as systemd:
        tell = supervisor(address).observe
        tell(ConfigReloaded(1, 2))
        assert systemd.heard() == []
        tell(STARTED)
        assert systemd.heard() == ["READY=1", "STATUS=Makes passes: every 5m"]
        tell(PassFinished("run", report(), 1.0))
        assert systemd.heard() == ["STATUS=In sync. No person has to act."]
        tell(PassFinished("run", report(account(change("shop", outcome=Outcome.REFUSED))), 1.0))
        assert systemd.heard() == ["STATUS=A person must act."]
        tell(PassFailed("run", "KeyError: 'x'", "here:1"))
        assert systemd.heard() == ["STATUS=The last pass ended in an error that nobody foresaw: the log tells it."]


def test_an_abstract_address() -> None:
    """A name behind an @ is one in the kernel's own space, where systemd's socket is for some containers."""
    name = f"reconciler-{uuid.uuid4()}"
    with ear(f"\0{name}") as systemd:
        supervisor(f"@{name}").observe(STARTED)
        assert systemd.heard()[0] == "READY=1"


@pytest.mark.parametrize("process", ["", str(PROCESS)])
def test_signs_of_life(tmp_path: Path, process: str) -> None:
    """It gives two signs of life in each limit, as long as it runs; the end is told when it is asked for."""
    address, stop = str(tmp_path / "notify"), Stop()

    async def story() -> None:
        with ear(address) as systemd:
            async with supervisor(address, WATCHDOG_USEC="120000000", WATCHDOG_PID=process).watching(stop):
                await asyncio.sleep(241)  # of virtual time
                assert systemd.heard() == ["WATCHDOG=1"] * 5
                stop.request()
                assert systemd.heard() == ["STOPPING=1"]
            await asyncio.sleep(600)
            assert systemd.heard() == []

    run_virtual(story())


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "9" * 5000},
        {"WATCHDOG_USEC": "\u0663000"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(PROCESS + 1)},
    ],
)
def test_no_signs_are_wanted(tmp_path: Path, variables: dict[str, str]) -> None:
    """Without a limit that is one, or with that of another process, there are no signs of life; the end is told."""
    address, stop = str(tmp_path / "notify"), Stop()

    async def story() -> None:
        with ear(address) as systemd:
            async with supervisor(address, **variables).watching(stop):
                await asyncio.sleep(600)
                stop.request()
            assert systemd.heard() == ["STOPPING=1"]

    run_virtual(story())


@pytest.mark.parametrize("name", ["", "gone"])
def test_nobody_listens(tmp_path: Path, name: str) -> None:
    """Without a supervisor nothing is told, and one that is gone is no error: the daemon lives as long as it would."""
    nobody = supervisor(str(tmp_path / name) if name else "", WATCHDOG_USEC="1000000")

    async def story() -> float:
        nobody.observe(STARTED)
        async with nobody.watching(Stop()):
            await asyncio.sleep(10)
        return asyncio.get_running_loop().time()

    assert run_virtual(story()) >= 10
    assert list(tmp_path.iterdir()) == []


def test_a_supervisor_that_does_not_read(tmp_path: Path) -> None:
    """What finds no room is lost at once: the passes do not wait for who only wants to know of them."""
    address = str(tmp_path / "notify")
    with ear(address) as systemd, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with suppress(BlockingIOError):
            while filler.sendto(b"OTHER=1", address):
                pass
        began = time.monotonic()
        for _ in range(50):
            supervisor(address).observe(STARTED)
        assert time.monotonic() - began < 5  # not a second each
        assert set(systemd.heard()) == {"OTHER=1"}
        supervisor(address).observe(STARTED)
        assert systemd.heard()[0] == "READY=1"
