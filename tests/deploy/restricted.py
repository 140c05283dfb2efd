"""Start a program behind the walls of a unit's file, as far as they need neither systemd nor root.

    python -m tests.deploy.restricted deploy/flatwatt-agent.service COMMAND …

The system calls that ``SystemCallFilter=`` leaves, the sockets that ``RestrictAddressFamilies=`` leaves, no memory
that can be written and executed (``MemoryDenyWriteExecute=``), and no new privileges. The rest of the walls are
mounts, users and devices, which only systemd builds.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO
_EQUAL, _MASKED_EQUAL = 4, 7  # SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ
_NO_NEW_PRIVS = 38  # of prctl(2)
_WRITE, _EXECUTE = 2, 4  # PROT_WRITE, PROT_EXEC


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def settings(unit: Path, name: str) -> list[str]:
    """Give the values of one setting, in order."""
    lines = unit.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def system_calls(unit: Path) -> set[str]:
    """Give the names that the unit's lists leave, as systemd reads them: what follows adds, or with ~ takes away."""
    left: set[str] = set()
    for value in settings(unit, "SystemCallFilter"):
        names = {call for word in value.removeprefix("~").split() for call in _expanded(word)}
        left = left - names if value.startswith("~") else left | names
    return left | _expanded("@default")


def _expanded(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    command = ["systemd-analyze", "syscall-filter", word]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    words = [line.strip() for line in listed if line.strip() and not line.strip().startswith("#")]
    return {call for inner in words for call in _expanded(inner)}


def confine(unit: Path) -> None:
    """Put this process behind the walls; what it executes stays there."""
    calls = system_calls(unit)
    families = {family for value in settings(unit, "RestrictAddressFamilies") for family in value.split()}
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if "yes" in settings(unit, "MemoryDenyWriteExecute"):
        _deny_write_execute()
    _leave(calls - {"socket"}, families)


def _deny_write_execute() -> None:
    """Refuse what systemd refuses: to map memory for writing and executing, and to make memory executable later."""
    walls = _Filter(_ALLOW)
    both = _WRITE | _EXECUTE
    walls.add(_REFUSE, "mmap", _Comparison(2, _MASKED_EQUAL, both, both))
    for name in ("mprotect", "pkey_mprotect"):
        walls.add(_REFUSE, name, _Comparison(2, _MASKED_EQUAL, _EXECUTE, _EXECUTE))
    walls.load()


def _leave(calls: set[str], families: set[str]) -> None:
    """Refuse all system calls but these, and sockets but of these families."""
    walls = _Filter(_REFUSE)
    for name in calls:
        walls.add(_ALLOW, name)
    for family in families:
        walls.add(_ALLOW, "socket", _Comparison(0, _EQUAL, getattr(socket, family), 0))
    walls.load()


class _Filter:
    """A filter of libseccomp."""

    def __init__(self, otherwise: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint(otherwise)))

    def add(self, action: int, name: str, *arguments: _Comparison) -> None:
        """Add a rule; a call of another architecture has no number, and needs none."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            rules = (_Comparison * len(arguments))(*arguments)
            self._library.seccomp_rule_add_array(self._context, ctypes.c_uint(action), number, len(arguments), rules)

    def load(self) -> None:
        """Put it in force, for this process and all that follow."""
        if self._library.seccomp_load(self._context):
            raise OSError("the filter of system calls cannot be loaded")


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
