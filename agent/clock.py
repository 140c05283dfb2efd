"""Where time comes from. Only the composition root makes a clock; everything else is given a time.

Two kinds. The system's clock waits in real time. The driven clock is for fast motion: its owner,
the agent, sets the time and lets as much of it pass as the machine can follow, and the simulator
in another process reads the same time from the file. No tick is ever lost to a slow machine,
so a run in fast motion gives the same result everywhere.

The file holds one little-endian float64: UTC seconds since 1970.
"""

import asyncio
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Protocol

_TIME = struct.Struct("<d")


class Clock(Protocol):
    """UTC now, and a way to wait for a moment."""

    @property
    def trust(self) -> str:
        """How far the time is to be trusted: ``synchronised``, ``informative`` or ``simulated``."""

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""

    async def sleep_until(self, time_s: float) -> None:
        """Return at ``time_s`` or as soon after it as possible."""

    def patience_s(self, time_s: float) -> float | None:
        """Give how many real seconds remain until ``time_s``; None where work may take as long as it takes."""


class SystemClock:
    """The machine's own clock."""

    @property
    def trust(self) -> str:
        """``informative``: the kernel's synchronisation state is not read yet."""
        return "informative"

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""
        return time.time()

    async def sleep_until(self, time_s: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(0.0, time_s - time.time()))

    def patience_s(self, time_s: float) -> float | None:
        """Give the real seconds that remain."""
        return max(0.0, time_s - time.time())


class DrivenClock:
    """A clock in a file that this process drives, at most ``speed`` times as fast as real time.

    Raises OSError where the file cannot be made, ValueError where it holds something else than a time.
    """

    trust = "simulated"

    def __init__(self, path: Path, start_s: float, speed: float) -> None:
        size = path.stat().st_size if path.exists() else 0
        if size not in (0, _TIME.size):
            raise ValueError("not a clock but a file of something else")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, _TIME.size)
            self._memory = mmap.mmap(descriptor, _TIME.size)
        finally:
            os.close(descriptor)
        if not size:  # a driver that comes back after a crash goes on where it was
            self._set(start_s)
        self._real_per_s = 1.0 / speed
        self._paced_s = time.monotonic()

    def _set(self, time_s: float) -> None:
        _TIME.pack_into(self._memory, 0, time_s)

    def now_s(self) -> float:
        """Give the time in the file."""
        return float(_TIME.unpack_from(self._memory)[0])

    async def sleep_until(self, time_s: float) -> None:
        """Move the time on, not faster than the pace."""
        self._paced_s += max(0.0, time_s - self.now_s()) * self._real_per_s
        await asyncio.sleep(max(0.0, self._paced_s - time.monotonic()))
        self._set(max(time_s, self.now_s()))

    def patience_s(self, time_s: float) -> float | None:
        """Give None: in fast motion the time waits for the work."""
        return None
