"""Which time it is in the simulation."""

import mmap
import os
import struct
import time
from pathlib import Path
from typing import Protocol

_TIME = struct.Struct("<d")


class Clock(Protocol):
    """Simulated UTC."""

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""


class WallClock:
    """The machine's own time: what ``flatwatt run`` on the same machine sees."""

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""
        return time.time()


class PacedClock:
    """A time of its own that begins at ``start_s`` and passes ``speed`` times as fast as the real one."""

    def __init__(self, start_s: float, speed: float) -> None:
        self._start_s, self._speed, self._begun_s = start_s, speed, time.monotonic()

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""
        return self._start_s + (time.monotonic() - self._begun_s) * self._speed


class StillClock:
    """A time that moves only when its owner says so."""

    def __init__(self, time_s: float) -> None:
        self.time_s = time_s

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""
        return self.time_s


class FollowedClock:
    """The time that another process drives: one little-endian float64 in a file. ``start_s`` until the file is there.

    A driver that comes back may replace nothing but the eight bytes: the file stays mapped.
    """

    def __init__(self, path: Path, start_s: float) -> None:
        self._path, self._start_s = path, start_s
        self._memory: mmap.mmap | None = None

    def now_s(self) -> float:
        """Give UTC seconds since 1970."""
        if self._memory is None and not self._open():
            return self._start_s
        assert self._memory is not None
        return float(_TIME.unpack_from(self._memory)[0]) or self._start_s  # 0: made, but not yet set

    def _open(self) -> bool:
        if not self._path.is_file() or self._path.stat().st_size < _TIME.size:
            return False
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            self._memory = mmap.mmap(descriptor, _TIME.size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        return True
