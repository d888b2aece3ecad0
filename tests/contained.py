"""Runs a command as the first process of a container, with no engine: `Container.start` does what one would do.

As a script it stands between ``unshare`` and the command: it makes a root file system that cannot be written and
the mounts in it, gives up all privileges, and lets the command take its place. It needs root, Linux and util-linux.
"""

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

_READ_ONLY, _NO_SETUID, _REMOUNT, _BIND = 1, 2, 32, 4096
_NO_NEW_PRIVILEGES, _DROP_FROM_BOUNDING_SET = 38, 24


@dataclass(frozen=True)
class Container:
    """What an engine would be told: the image's own configuration, and what is said beside it."""

    root: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    folder: str
    user: str
    read_only: dict[str, str] = field(default_factory=dict)
    """Files and folders of this machine, by where the container sees them."""
    writable: tuple[str, ...] = ()
    inside: int = 0
    """The process whose container is entered, as ``exec`` of an engine does; 0: it is a new one."""

    def start(self, **options: Any) -> "subprocess.Popen[str]":
        """Start it; the process is that of ``unshare``, which ends as the container's first process does."""
        namespaces = (
            ["nsenter", "--target", str(self.inside), "--mount", "--pid"]
            if self.inside
            else ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        )
        script = [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(asdict(self))]
        return subprocess.Popen([*namespaces, *script], text=True, env={"PATH": os.defpath}, **options)

    def run(self, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run it to its end; gives its exit code and what it wrote."""
        process = self.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            out, err = process.communicate(timeout=seconds)
        finally:
            process.kill()
        return subprocess.CompletedProcess(self.argv, process.returncode, out, err)


def first_process(unshare: int) -> int:
    """Give the number that a container's first process has on this machine; 0 as long as there is none."""
    children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text(encoding="utf-8").split()
    return int(children[0]) if children else 0


_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None)
    if _LIBC.mount(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} at {target}: {os.strerror(ctypes.get_errno())}")


def _mount_all(told: dict[str, Any]) -> str:
    """Lay a layer over the image's, as engines do, make the mounts in it, and let nobody write to it any more."""
    layers = f"{told['root']}.layers"
    Path(layers).mkdir(exist_ok=True)
    _mount("tmpfs", layers, "tmpfs")
    upper, work, root = (f"{layers}/{name}" for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        Path(folder).mkdir()
    _mount("overlay", root, "overlay", data=f"lowerdir={told['root']},upperdir={upper},workdir={work}")
    _mount("proc", f"{root}/proc", "proc")
    mounts = {f"/dev/{name}": f"/dev/{name}" for name in ("null", "zero", "urandom")} | told["read_only"]
    for target, source in mounts.items():
        place = Path(root + target)
        place.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        _mount(source, str(place), flags=_BIND)
        if target in told["read_only"]:
            _mount(source, str(place), flags=_BIND | _REMOUNT | _READ_ONLY)
    for target in told["writable"]:
        Path(root + target).mkdir(parents=True, exist_ok=True)
        _mount("tmpfs", root + target, "tmpfs", _NO_SETUID, "mode=1777")
    _mount("overlay", root, flags=_BIND | _REMOUNT | _READ_ONLY)
    return root


def _become(user: str) -> None:
    """Take all privileges away, and every way back to them."""
    capabilities = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="utf-8"))
    for capability in range(capabilities + 1):
        if _LIBC.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    uid, gid = map(int, user.split(":"))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if _LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _main(told: dict[str, Any]) -> NoReturn:
    root = f"{told['root']}.layers/root" if told["inside"] else _mount_all(told)
    os.chroot(root)
    os.chdir(told["folder"])
    os.umask(0o022)
    _become(told["user"])
    os.execvpe(told["argv"][0], told["argv"], told["environment"])  # noqa: S606 # there is no shell in there


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
