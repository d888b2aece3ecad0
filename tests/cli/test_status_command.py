"""``reconciler status`` as a command: what it asks, prints and exits with."""

import json
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pexpect
import pytest

from cli.test_asking import READY, REPORT, STATUS, answering, http, says
from reconciler.cli import main
from reconciler.cli.asking import DaemonAt
from reconciler.cli.watching import Watcher, screen, watch_daemon
from reconciler.daemon.address import Address
from reconciler.files.status import load_status
from reconciler.render.json import render
from render.statuses import NOT_IN_SYNC, status

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = says(status=http(render(STATUS)), report=http(render(REPORT)), readyz=http(READY))
SECRET = "aha-sk-" + "s" * 20
ILL = status(NOT_IN_SYNC, f"account a-1 was not read\nsince {SECRET}")
UNREADY = READY.replace(b"true", b"false").replace(b'"reasons":[]', b'"reasons":["one\\n","two %s"]' % SECRET.encode())
ILL_ANSWERS = says(status=http(render(ILL)), report=http(render(REPORT)), readyz=http(UNREADY, 503))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["status", *arguments])
    return (code, *capsys.readouterr())


def test_a_daemon_that_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one that does its work how everything stands is told, as text, as JSON, or in a line; the exit code is 0."""
    with answering(WELL) as (daemon, asked):
        at = f"--at={daemon.address}"
        code, out, _ = run(capsys, at)
        assert (code, out.splitlines()[0]) == (0, "In sync.")
        code, out, _ = run(capsys, at, "-o", "json")
        assert (code, load_status(out.encode())) == (0, STATUS)
        assert run(capsys, at, "--quiet") == (0, "ready\n", "")
    assert [each.split(b" ")[1] for each in asked] == [b"/status", b"/report", b"/status", b"/readyz"]


def test_a_daemon_that_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one that does not, the reasons are told, without secrets; the exit code is 1."""
    with answering(ILL_ANSWERS) as (daemon, _):
        at = f"--at={daemon.address}"
        for arguments in ((), ("-o", "json")):
            code, out, _ = run(capsys, at, *arguments)
            assert code == 1
            assert "was not read" in out
            assert SECRET not in out
        assert run(capsys, at, "-q") == (1, "not ready: one\\n; two aha-sk-***\n", "")


def test_where_it_asks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the container of a daemon no option is needed: it asks where that listens, unless told otherwise."""
    with answering(WELL) as (daemon, _):
        monkeypatch.setenv("RECONCILER_LISTEN", f"0.0.0.0:{daemon.address.port}")
        assert run(capsys, "-q")[0] == 0
        monkeypatch.setenv("RECONCILER_LISTEN", "127.0.0.1:1")
        monkeypatch.setenv("RECONCILER_AT", str(daemon.address))
        assert run(capsys, "-q")[0] == 0
        assert run(capsys, "-q", "--at", f"http://{daemon.address}/")[0] == 0
        monkeypatch.delenv("RECONCILER_AT")
        code, out, err = run(capsys, "-q")
    assert (code, out) == (1, "")
    assert err.startswith("error: no daemon answers at 127.0.0.1:1: connection refused\n  hint: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--at", "none"), "nowhere to ask"),
        (("--at", "127.0.0.1:0"), "the daemon's log says which"),
        (("--at", "8080"), "names no host"),
        (("--at", "x y:1"), "is no address to ask at: write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080\n"),
        (("--quiet", "-o", "json"), "exclude each other"),
        (("--watch", "-o", "json"), "--watch is for people"),
        (("--watch", "--quiet"), "--watch is for people"),
        (("--every", "5s"), "--every is for --watch"),
        (("--timeout", "soon"), "is no duration"),
        (("--page",), "No such option"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str) -> None:
    """Wrong usage is 64, and nothing is asked."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (64, "")
    assert told in err


def test_an_interval_in_the_environment_is_for_watching(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says about watching is no mistake where nobody watches."""
    monkeypatch.setenv("RECONCILER_STATUS_EVERY", "5s")
    with answering(WELL) as (daemon, _):
        assert run(capsys, "-q", f"--at={daemon.address}")[0] == 0


def test_it_takes_as_long_as_it_may(capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon that hangs is left after the time that --timeout gives it."""
    with answering(lambda connection, path: time.sleep(2)) as (daemon, _):
        code, _, err = run(capsys, f"--at={daemon.address}", "--timeout", "200ms")
    assert code == 1
    assert "did not answer within 0.2 s" in err


# Watching


class Steps:
    """A clock that ends the story at its last step, as Ctrl-C does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> None:
        self.left: Iterator[Callable[[], object]] = iter(steps)
        monkeypatch.setattr("reconciler.cli.watching.time.sleep", self.sleep)
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        step = next(self.left, None)
        if step is None:
            raise KeyboardInterrupt
        step()


def nothing() -> None:
    """Let time pass."""


def test_watching_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no person looks at a terminal, it is printed anew when something changed, and not else."""
    told = [STATUS]

    def talk(connection: object, path: bytes) -> None:
        connection.sendall(http(render(REPORT if path == b"/report" else told[0])))  # type: ignore[attr-defined] # a socket

    def another_pass() -> None:
        told[0] = status(passes=25)

    def drift() -> None:
        told[0] = status(NOT_IN_SYNC, passes=26)

    steps = Steps(monkeypatch, nothing, another_pass, drift, nothing)
    with answering(talk) as (daemon, _):
        code, out, err = run(capsys, "--watch", f"--at={daemon.address}", "--every", "3s")
    assert (code, err) == (130, "\ninterrupted\n")
    assert steps.waits == [3.0] * 5
    assert [line for line in out.splitlines() if line in ("In sync.", "Differs.")] == ["In sync.", "Differs."]


def test_watching_a_daemon_that_goes_away() -> None:
    """While it is away that is said, since when, with what it said last; when it is back all is as before."""
    with answering(WELL) as (daemon, _):
        watcher = Watcher(daemon)
        before, gist = watcher.look(NOON)
        assert before.startswith("In sync.\n")
    with socket.socket() as taken:  # so that no other test listens there
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", daemon.address.port))
        away, first = watcher.look(NOON + timedelta(seconds=2))
        again, second = watcher.look(NOON + timedelta(minutes=2))
    assert away == again
    assert first == second != gist
    assert away.startswith("No answer since 2026-11-23 12:00:02 UTC.\n  no daemon answers at 127.0.0.1:")
    assert "  hint: is `reconciler run` running" in away
    assert "\nWhat it said last, as of 2026-11-23T10:00:05Z:\n\nIn sync.\n" in away
    with answering(WELL) as (daemon, _):
        watcher._daemon = daemon
        assert watcher.look(NOON) == (before, gist)
    assert "since 2026-11-23 12:09:00 UTC" in watcher.look(NOON + timedelta(minutes=9))[0]


def test_watching_where_nobody_ever_answered() -> None:
    """Where nothing ever answered, only that is said."""
    text, _ = Watcher(DaemonAt(Address("127.0.0.1", 1), 1.0)).look(NOON)
    assert "What it said last" not in text


def test_a_screen() -> None:
    """A screen is drawn over the one before in one piece; what has no room is counted, and nothing is left over."""
    assert screen("one\ntwo\n", 10, 2) == "\x1b[H\x1b[Kone\r\n\x1b[Ktwo\r\n\x1b[Kasked every 2 s; Ctrl-C ends it\x1b[J"
    drawn = screen("\n".join(map(str, range(50))), 10, 0.5)
    assert drawn.count("\r\n") == 9
    assert "7\r\n\x1b[K... 42 more lines, in a higher window or without --watch\r\n\x1b[Kasked every 0.5 s" in drawn
    assert screen("one\ntwo\nthree\n", 3, 2).count("\r\n") == 2
    for height in (1, 2):
        assert screen("one\ntwo\n", height, 2) == "\x1b[H\x1b[Kone\x1b[J"


class Terminal:
    """Stdout that says that a person looks at it."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def test_watching_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal it takes the other screen, draws there, and gives the first one back, whatever ends it."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    steps = Steps(monkeypatch, nothing)
    with answering(WELL) as (daemon, _), pytest.raises(KeyboardInterrupt):
        watch_daemon(daemon, 2.0)
    assert terminal.text.startswith("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H")
    assert terminal.text.endswith("\x1b[?7h\x1b[?25h\x1b[?1049l")
    assert terminal.text.count("\x1b[H") == len(steps.waits) == 2


def _heed_everything() -> None:
    """The tests may run in the background or under nohup, where these are ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_watching_at_a_real_terminal() -> None:
    """In a pseudo terminal the picture comes, tells when the daemon goes away, and Ctrl-C ends it with 130."""
    with answering(WELL) as (daemon, _):
        child = pexpect.spawn(
            sys.executable,
            ["-m", "reconciler", "status", "--watch", "--every", "100ms", f"--at={daemon.address}"],
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
            dimensions=(24, 80),
            timeout=20,
            encoding="utf-8",
            preexec_fn=_heed_everything,
        )
        child.expect_exact("\x1b[?1049h\x1b[?25l\x1b[?7l")
        child.expect_exact("In sync.")
        child.expect_exact("Ctrl-C ends it")
    child.expect_exact("No answer since")
    child.sendintr()
    child.expect_exact("\x1b[?7h\x1b[?25h\x1b[?1049l")
    child.expect_exact("interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


OPEN, CLOSE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"


@contextmanager
def watched(*before: str) -> Iterator["pexpect.spawn[str]"]:
    """A terminal in which a daemon is being watched."""
    with answering(WELL) as (daemon, _):
        watching = [
            sys.executable,
            "-m",
            "reconciler",
            "status",
            "--watch",
            "--every",
            "100ms",
            f"--at={daemon.address}",
        ]
        program, *arguments = [*before, shlex.join(watching)] if before else watching
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        child = pexpect.spawn(
            program, arguments, env=environment, timeout=20, encoding="utf-8", preexec_fn=_heed_everything
        )
        child.expect_exact(OPEN)
        child.expect_exact("In sync.")
        yield child
        child.expect(pexpect.EOF)
        child.close()


def test_a_terminal_is_given_back_while_it_is_stopped() -> None:
    """Ctrl-Z gives the terminal back as it was; when the watching goes on, it takes it again."""
    with watched("bash", "-c", 'set -m; eval "$0"; echo at the prompt; read; fg') as child:
        child.sendcontrol("z")
        child.expect_exact(CLOSE)
        child.expect_exact("at the prompt")
        child.sendline("")
        child.expect_exact(OPEN)
        child.expect_exact("In sync.")
        child.sendintr()
        child.expect_exact(CLOSE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_terminal_is_given_back_at_the_end(number: signal.Signals) -> None:
    """Whichever signal ends the watching, the terminal is as it was; it ends with 1, but by SIGQUIT as that does."""
    with watched() as child:
        child.kill(number)
        child.expect_exact(CLOSE)
    assert (child.exitstatus, child.signalstatus) == ((None, number) if number == signal.SIGQUIT else (1, None))


def test_a_signal_that_is_to_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was started by nohup is not ended by the end of its terminal; afterwards signals do what they did before."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    hung_up: list[object] = []
    try:
        Steps(monkeypatch, lambda: hung_up.append(signal.getsignal(signal.SIGHUP)))
        with answering(WELL) as (daemon, _), pytest.raises(KeyboardInterrupt):
            watch_daemon(daemon, 2.0)
        assert hung_up == [signal.SIG_IGN]
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGHUP, before[0])


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed as JSON is the status, as its schema says, and ends with a newline."""
    with answering(WELL) as (daemon, _):
        _, out, _ = run(capsys, "-o", "json", f"--at={daemon.address}")
    assert json.loads(out)["schema"] == "reconciler/status/v1"
    assert out.endswith("}\n")
