"""A session of bash in which the commands of a page are run as they stand, one after another, in a folder of its own.

What must differ from one session to the next is made equal before outputs are compared: times, ports and commits. Lines
of the log are left out.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from typing import IO

import yaml

from pages.page import Command, Page
from reconciler.emulator.server import Emulator, load_seed
from served import served

ACCOUNTS = Path(__file__).parent / "accounts"
INSTALLED = Path(sys.executable).parent
NO_ACCOUNT = "none"
LONGEST = 60
"""The longest that one command may take, in seconds."""
_END = "-- end of output, exit code "
_LOG = '{"timestamp": "'
_VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z| UTC)?"), "TIME"),
    (re.compile(r"\b(in|for|after) [\d.]+ (ms|s|seconds?)\b"), r"\1 SOME TIME"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "COMMIT"),
    (re.compile(r"\brun [0-9a-f]{32}\b"), "run RUN"),
    (re.compile(r"\bhead sha256:[0-9a-f]{64}\b"), "head HASH"),
    (re.compile(r"\bcommit [0-9a-f]{7,12}\b"), "commit COMMIT"),
]


class Session:
    """A bash that is told one command after the other."""

    def __init__(self, process: "subprocess.Popen[str]", ports: dict[str, str]) -> None:
        self._process = process
        self._ports = ports

    def run(self, command: str) -> tuple[str, int]:
        """Run a command; give what it printed, to stdout and stderr, and its exit code, which ``$?`` still is."""
        assert self._process.stdin is not None
        text = _replaced(command, self._ports)
        self._process.stdin.write(f"{text}\n_code=$?; echo; echo '{_END}'$_code; (exit $_code)\n")
        self._process.stdin.flush()
        watch = Timer(LONGEST, self._process.kill)
        watch.start()
        try:
            *lines, end = self._lines(command)
        finally:
            watch.cancel()
        came = "".join(lines).removesuffix("\n")
        came += "" if came.endswith("\n") or not came else "\n"  # a page cannot show that the end of a line is missing
        return _replaced(came, {ours: theirs for theirs, ours in self._ports.items()}), int(end.removeprefix(_END))

    def _lines(self, command: str) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith(_LOG):
                yield line
            if line.startswith(_END):
                return
        raise AssertionError(f"the session ended, or took longer than {LONGEST} s: {command}")


@contextmanager
def opened(page: Page, folder: Path, commands: Path) -> Iterator[Session]:
    """Open a session in an empty folder, with the account of the page in an emulator; ends all that it started.

    Args:
        page: The page.
        folder: An empty folder.
        commands: The folder in which ``reconciler`` is.
    """
    ports = {"4280": _free_port(), "8080": _free_port()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_UNKNOWN)}
    (folder / "home").mkdir()
    (folder / "work").mkdir()
    environment |= _SETTINGS | {
        "PATH": f"{commands}{os.pathsep}{environment['PATH']}",
        "HOME": str(folder / "home"),
        "RECONCILER_LISTEN": f"127.0.0.1:{ports['8080']}",
    }
    with ExitStack() as stack:
        if page.account != NO_ACCOUNT:
            assert page.account is not None, "nobody asked for this page to be run"
            environment |= stack.enter_context(_account(page.account))
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder / "work",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        stack.callback(_end, process)
        yield Session(process, ports)


def play(page: Page, folder: Path, commands: Path = INSTALLED) -> str:
    """Write the files of a page and run its commands, in its order.

    Gives the first place where the page shows something else than what came, or nothing: what follows a command that
    did something else tells nothing.
    """
    with opened(page, folder, commands) as session:
        for block in page.blocks:
            if block.file is not None:
                path = folder / "work" / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            for command in block.commands if block.is_run else ():
                came, code = session.run(command.text)
                if not agree(command.shown, came):
                    return told(command, came)
                if code and not command.shown:
                    return f"line {command.line}: $ {command.text}--- it prints nothing, and ends with {code}"
    return ""


def told(command: Command, came: str) -> str:
    """Say what the page shows and what came."""
    return f"line {command.line}: $ {command.text}--- the page shows\n{command.shown}--- what came\n{came}"


def agree(shown: str, came: str) -> bool:
    """Whether a page shows what came; a line ``...`` stands for any lines."""
    parts = [re.escape(_even(part)) for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*".join(parts), _even(came)) is not None


_UNKNOWN = ("COVERAGE", "RECONCILER_", "AHASEND_", "GIT_", "NO_COLOR", "COLUMNS", "LC_", "LANG")
_SETTINGS = {
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": said
        for who in ("AUTHOR", "COMMITTER")
        for what, said in (("NAME", "Ada"), ("EMAIL", "a@x"))
    },
}


@contextmanager
def _account(name: str) -> Iterator[dict[str, str]]:
    """Serve an account; the credential is the first secret of its seed, and logs say errors alone."""
    seed = ACCOUNTS / f"{name}.yaml"
    first = yaml.safe_load(seed.read_text(encoding="utf-8"))["accounts"][0]
    secrets = [key["secret_key"] for key in first["keys"] if "secret_key" in key]
    with served(Emulator(load_seed(seed))) as address:
        yield {
            "AHASEND_ENDPOINT": address,
            "AHASEND_ACCOUNT_ID": first["id"],
            "AHASEND_API_KEY": secrets[0],
            "RECONCILER_LOG_LEVEL": "error",
        }


def _even(text: str) -> str:
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


def _replaced(text: str, numbers: dict[str, str]) -> str:
    return re.sub(r"\b\d{4,5}\b", lambda found: numbers.get(found[0], found[0]), text)


def _free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def _end(process: "subprocess.Popen[str]") -> None:
    """End the session with everything that it left running."""
    pipes: list[IO[str] | None] = [process.stdin, process.stdout]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in pipes:
        if pipe is not None:
            pipe.close()
