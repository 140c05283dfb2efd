"""Where time comes from. Only the composition root makes a clock; everything else is given a time.

Two kinds. The system's clock waits in real time. The driven clock is for fast motion: its owner,
the agent, sets the time and lets as much of it pass as the machine can follow, and the simulator
in another process reads the same time from the file. No tick is ever lost to a slow machine,
so a run in fast motion gives the same result everywhere. ``agent/clock_script.py`` makes it go wrong.

The file holds one little-endian float64: UTC seconds since 1970.
"""

import asyncio
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Protocol

from agent.clock_kernel import KernelClock
from agent.records import ClockReading

_TIME = struct.Struct("<d")
_LOOK_S = 5.0  # a clock that is set while we wait, and a suspend, are noticed within this time


class Clock(Protocol):
    """UTC now, the time since the boot beside it, and a way to wait for a moment.

    ``is_simulated`` says that the time is none that others live in, ``is_shared`` that the collector
    lives in it too: then its receipts tell how far ours is off.
    """

    is_simulated: bool
    is_shared: bool

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""

    def read(self) -> ClockReading:
        """Give UTC, boot time and trust of one moment."""

    async def sleep_until(self, time_s: float) -> None:
        """Wait for ``time_s``; may return before it, for the caller to see whether the clock was set."""

    def patience_s(self, time_s: float) -> float | None:
        """Give how many real seconds remain until ``time_s``; None where work may take as long as it takes."""

    def true_s(self, time_s: float) -> float:
        """Give the time that ``time_s`` stands for: another one only where a script sets the clock wrong."""


class SystemClock:
    """The machine's own clock."""

    is_simulated = False
    is_shared = True

    def __init__(self) -> None:
        self._kernel = KernelClock()

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""
        return time.time()

    def read(self) -> ClockReading:
        """Ask the kernel."""
        return self._kernel.read()

    async def sleep_until(self, time_s: float) -> None:
        """Wait in real time, by the monotonic clock, which nobody sets."""
        await asyncio.sleep(min(_LOOK_S, max(0.0, time_s - time.time())))

    def patience_s(self, time_s: float) -> float | None:
        """Give the real seconds that remain."""
        return max(0.0, time_s - time.time())

    def true_s(self, time_s: float) -> float:
        """Give the same."""
        return time_s


class DrivenClock:
    """A clock in a file that this process drives, at most ``speed`` times as fast as real time.

    Its boot time is the driven time: whoever comes back finds the same boot.
    Raises OSError where the file cannot be made, ValueError where it holds something else than a time.
    """

    is_simulated = True
    is_shared = False

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

    def driven_s(self) -> float:
        """Give the time in the file."""
        return float(_TIME.unpack_from(self._memory)[0])

    async def drive_to(self, time_s: float) -> None:
        """Move the time on, not faster than the pace."""
        self._paced_s += max(0.0, time_s - self.driven_s()) * self._real_per_s
        await asyncio.sleep(max(0.0, self._paced_s - time.monotonic()))
        self._set(max(time_s, self.driven_s()))

    def now_s(self) -> float:
        """Give the time in the file."""
        return self.driven_s()

    def read(self) -> ClockReading:
        """Give the time in the file: it is right by definition."""
        now_s = self.driven_s()
        return ClockReading(utc_s=now_s, boot_s=now_s, boot_id="driven", trust="S", error_s=0.0)

    async def sleep_until(self, time_s: float) -> None:
        """Move the time on."""
        await self.drive_to(time_s)

    def patience_s(self, time_s: float) -> float | None:
        """Give None: in fast motion the time waits for the work."""
        return None

    def true_s(self, time_s: float) -> float:
        """Give the same."""
        return time_s
