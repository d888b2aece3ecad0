"""Starts a command with what a unit's NoNewPrivileges, MemoryDenyWriteExecute, LimitCORE and SystemCallFilter leave it.

``confined.py NAME,NAME -- COMMAND``; with ``--check`` it only tells whether this machine can do that. systemd forbids
memory to be executed that was written by a filter of system calls, too; the kernel's own switch is as strict.
"""

import ctypes
import errno
import os
import resource
import sys

_NO_NEW_PRIVILEGES, _DENY_WRITE_EXECUTE, _REFUSE_EXEC_GAIN = 38, 65, 1
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def main() -> None:
    """Give up what is not named, and become the command."""
    _give_up(sys.argv[1].split(","), check=sys.argv[2] == "--check")
    if sys.argv[2] == "--":
        os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 # the command of a unit


def _give_up(allowed: list[str], *, check: bool) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    for switch in (_NO_NEW_PRIVILEGES, _DENY_WRITE_EXECUTE):
        if libc.prctl(switch, _REFUSE_EXEC_GAIN, 0, 0, 0):
            sys.exit(f"the kernel does not know prctl({switch})")
    try:
        filters = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        sys.exit(str(error))
    filters.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(filters.seccomp_init(_ALLOW if check else _REFUSE))
    for name in filter(None, allowed):
        number = filters.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are those of other machines
            filters.seccomp_rule_add(context, _ALLOW, number, 0)
    if filters.seccomp_load(context):
        sys.exit("the kernel takes no filter of system calls")


main()
