"""``reconciler`` for the sessions of pages: a process that has loaded the program already is copied for each command.

A start costs half a second of computing, and the pages have many short commands. Each still is a process of its own,
with the folder, environment and standard streams of the session; ``run`` and ``emulator`` are the real command.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOADED = (
    "answering",
    "apply",
    "audit",
    "explain",
    "export",
    "exporting",
    "one_pass",
    "plan",
    "status",
    "trail",
    "validate",
)
"""The modules of ``reconciler.cli`` with what commands need beside themselves."""
LATER = ("anyio._backends._asyncio", "anyio.streams.tls", "httpcore", "reconciler.reconcile", "reconciler.settings")
"""What these import when they are called."""
_CLIENT = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] in (["run"], ["emulator"]):
    os.execv({real!r}, ["reconciler", *sys.argv[1:]])
asked = socket.socket(socket.AF_UNIX)
asked.connect({address!r})
what = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(asked, [b"%9d" % len(what)], [0, 1, 2])
asked.sendall(what)
sys.exit(int(asked.recv(9) or b"70"))
"""


@contextmanager
def quick(folder: Path) -> Iterator[Path]:
    """Have a folder for ``PATH`` with such a command in it, until the block ends."""
    real, address = Path(sys.executable).with_name("reconciler"), folder / "socket"
    client = folder / "bin/reconciler"
    client.parent.mkdir()
    client.write_text(_CLIENT.format(python=sys.executable, real=str(real), address=str(address)), encoding="utf-8")
    client.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    server = subprocess.Popen([sys.executable, __file__, str(address)], env=environment, stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"ready\n"
        yield client.parent
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def serve(address: str) -> None:
    """Answer on a socket: for each command that is asked for, a copy of this process is it."""
    for name in (*(f"reconciler.cli.{each}" for each in LOADED), *LATER):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(address)
        one.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            asked, _ = one.accept()
            if os.fork() == 0:
                one.close()
                be(asked)
            asked.close()


def be(asked: socket.socket) -> None:
    """Be the command that is asked for; does not return."""
    head, streams, _, _ = socket.recv_fds(asked, 9, 3)
    what = b""
    while len(what) < int(head):
        what += asked.recv(65536)
    arguments, folder, environment = json.loads(what)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["reconciler", *arguments]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    from reconciler.cli import main

    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    asked.sendall(b"%d" % code)
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
