"""Tells systemd that a service is up and that its main loop turns: where it hangs, systemd starts it anew.

The protocol of sd_notify(3) is a datagram a time, to the socket that systemd names in the environment. Where it
names none, nobody is told.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping

_PART = 4  # messages in the time that systemd waits: a busy machine may delay some


async def feed(environment: Mapping[str, str]) -> None:
    """Say that we are up, then again and again that we are, for ever. To be run by the loop that is watched."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        _tell(line, address, "READY=1")
        while limit_s := _limit_s(environment):
            _tell(line, address, "WATCHDOG=1")
            await asyncio.sleep(limit_s / _PART)


def _tell(line: socket.socket, address: str, text: str) -> None:
    """Send one message; a systemd that does not listen just now hears the next one."""
    with contextlib.suppress(OSError):
        line.sendto(text.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def _limit_s(environment: Mapping[str, str]) -> float:
    """Give how long systemd waits for a word, 0 where it does not, or waits for another process.

    >>> _limit_s({"WATCHDOG_USEC": "45000000"}), _limit_s({"WATCHDOG_USEC": "45000000", "WATCHDOG_PID": "0"})
    (45.0, 0.0)
    """
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 1e6 if usec.isdecimal() and pid == str(os.getpid()) else 0.0
