"""The `reconciler` of a pipeline's steps: processes forked from one that has imported it all, to save time.

Each has directory, environment, standard output and error of the step that starts it, and is told of in a file: which
command was started with which variables.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

STANDING_IN = '''"""Has the process that the tests keep warm do the work."""
import array, json, os, socket, sys

def run():
    sys.stdout.flush()
    request = json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["WARM"])
        socket.send_fds(line, [len(request).to_bytes(4, "big")], [1, 2])
        line.sendall(request)
        sys.exit(line.recv(1)[0])
'''

IMPORTED = (
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "httpcore",
    "pydantic_settings",
    "reconciler.apply",
    "reconciler.cli.exporting",
    "reconciler.cli.one_pass",
    "reconciler.cli.validate",
    "reconciler.reconcile",
    "reconciler.render.json",
    "reconciler.render.markdown",
    "reconciler.render.sarif",
    "reconciler.settings",
)


@dataclass(frozen=True)
class Warm:
    """Where it listens, and what it was asked for."""

    address: Path
    told: Path

    def commands(self) -> list[dict[str, Any]]:
        """Give what was started: ``argv``, ``cwd`` and ``env``."""
        return [json.loads(line) for line in self.told.read_text(encoding="utf-8").splitlines()]

    def forget(self) -> None:
        self.told.write_text("", encoding="utf-8")


@contextmanager
def warm(folder: Path) -> Iterator[Warm]:
    """Keep one warm until the block ends."""
    kept = Warm(folder / "warm", folder / "told.jsonl")
    kept.forget()
    ours = ("AHASEND_", "RECONCILER_", "COVERAGE_")  # what it does is measured by other tests
    bare = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(kept.address))
        line.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, str(line.fileno()), str(kept.told)], pass_fds=[line.fileno()], env=bare
        )
        try:
            yield kept
        finally:
            process.terminate()
            process.wait()


def serve(line: socket.socket, told: Path) -> None:
    """Start one process after the other."""
    from reconciler.cli import main

    with redirect_stdout(StringIO()):
        main(["plan", "--help"])
    for module in IMPORTED:
        import_module(module)
    while True:
        client, _ = line.accept()
        with client:
            size, fds, _, _ = socket.recv_fds(client, 4, 2)
            request = client.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL).decode()
            with told.open("a", encoding="utf-8") as file:
                file.write(f"{request}\n")
            child = os.fork()
            if child == 0:
                become(json.loads(request), fds)
            for each in fds:
                os.close(each)
            _, status = os.waitpid(child, 0)
            client.send(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))


def become(request: dict[str, Any], fds: list[int]) -> None:
    """Be the process that a step started."""
    from reconciler.cli import main

    code = 70
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        for number, fd in enumerate(fds, start=1):
            os.dup2(fd, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        code = main(request["argv"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
