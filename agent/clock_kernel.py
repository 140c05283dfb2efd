"""What Linux knows of its clock: the boot, the time since it, and whether a time server has set it.

Nothing here needs a privilege: ``adjtimex`` that changes nothing may be called by everybody.
"""

import ctypes
import time
from pathlib import Path

from agent.records import ClockReading, Trust

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_RTC = Path("/sys/class/rtc")
_BOOT_ID_DIGITS = 12  # of 32: enough to tell a site's boots apart
_STA_UNSYNC = 0x40  # linux/timex.h: not synchronised, or the error has grown beyond 16 s, 9 hours after the last word
_TORN_S = 0.01  # two clocks that are read within this time were read together
_TRIES = 10


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: change nothing
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


class KernelClock:
    """Reads the clocks of this machine."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._boot_id = _boot_id()
        self._unset: Trust = "I" if _has_set_by_rtc() else "U"

    def read(self) -> ClockReading:
        """Read all at one moment; a process that is stopped between two readings tries again."""
        for _ in range(_TRIES):
            before_s, utc_s, after_s = boot_s(), time.time(), boot_s()
            if after_s - before_s < _TORN_S:
                break
        timex = _Timex()
        is_told = self._libc.adjtimex(ctypes.byref(timex)) >= 0  # a service may be kept from asking
        return ClockReading(
            utc_s=utc_s,
            boot_s=after_s,
            boot_id=self._boot_id,
            trust="S" if is_told and not timex.status & _STA_UNSYNC else self._unset,
            error_s=timex.maxerror / 1e6,
        )


def boot_s() -> float:
    """Give the seconds since the boot, through every suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip().replace("-", "")[:_BOOT_ID_DIGITS]


def _has_set_by_rtc() -> bool:
    """Tell whether a battery-backed clock set the time at boot; a Raspberry Pi before the 5 has none."""
    return any(path.read_text().strip() == "1" for path in _RTC.glob("*/hctosys"))
