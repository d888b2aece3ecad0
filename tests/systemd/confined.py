"""Starts a command with what a unit leaves it, by the same filters of system calls that systemd would set.

``confined.py CALLS FAMILIES -- COMMAND``: NoNewPrivileges, LimitCORE=0, MemoryDenyWriteExecute, SystemCallFilter by the
names of the calls, and RestrictAddressFamilies by theirs, each list with commas. With ``--check`` in the place of
``--`` it only tells whether this machine can do that.
"""

import ctypes
import errno
import mmap
import os
import resource
import socket
import sys

_NO_NEW_PRIVILEGES = 38
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_EQUAL, _MASKED_EQUAL = 4, 7
_FAMILIES = range(46)
"""Of sockets, as many as Linux knows."""


class Comparison(ctypes.Structure):
    """One of an argument of a system call with a value, as libseccomp takes it."""

    _fields_ = (("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Filter:
    """What a process may call from now on; of several each must allow a call."""

    def __init__(self, library: ctypes.CDLL, default: int) -> None:
        library.seccomp_init.restype = ctypes.c_void_p
        self._library = library
        self._context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, call: str, *compared: Comparison) -> None:
        """Do something else than by default about a call; one that this kind of machine does not have is left out."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            array = (Comparison * len(compared))(*compared)
            rule = ctypes.c_uint32(action), number, len(compared), array
            if self._library.seccomp_rule_add_array(self._context, *rule):
                sys.exit(f"no rule for {call}")

    def load(self) -> None:
        """Let it hold for this process and all that it starts."""
        if self._library.seccomp_load(self._context):
            sys.exit("the kernel takes no filter of system calls")


def main() -> None:
    """Give up what is not named, and become the command."""
    calls, families = (each.split(",") for each in sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        sys.exit(str(error))
    _deny_write_execute(Filter(library, _ALLOW))
    if sys.argv[3] == "--check":
        return
    _restrict_families(Filter(library, _ALLOW), {getattr(socket, name) for name in families})
    _restrict_calls(Filter(library, _REFUSE | errno.EPERM), calls)
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606 # the command of a unit


def _deny_write_execute(rules: Filter) -> None:
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    rules.add(_REFUSE | errno.EPERM, "mmap", Comparison(2, _MASKED_EQUAL, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        rules.add(_REFUSE | errno.EPERM, call, Comparison(2, _MASKED_EQUAL, mmap.PROT_EXEC, mmap.PROT_EXEC))
    rules.load()


def _restrict_families(rules: Filter, allowed: set[int]) -> None:
    for family in set(_FAMILIES) - allowed:
        rules.add(_REFUSE | errno.EAFNOSUPPORT, "socket", Comparison(0, _EQUAL, family, 0))
    rules.load()


def _restrict_calls(rules: Filter, allowed: list[str]) -> None:
    for call in allowed:
        rules.add(_ALLOW, call)
    rules.load()


main()
