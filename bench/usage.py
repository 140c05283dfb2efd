"""What a process and its children use, as the kernel counts it."""

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One program over ``seconds``."""

    seconds: float
    processor_s: float  # all threads and children
    resident_mb: float
    private_mb: float  # what no other process shares
    polls: int  # requests that the meters answered meanwhile

    @property
    def processor_percent(self) -> float:
        """Share of one core."""
        return 100 * self.processor_s / self.seconds

    @property
    def polls_per_s(self) -> float:
        """Requests a second, as the meters counted them."""
        return self.polls / self.seconds

    @property
    def processor_us_per_poll(self) -> float:
        """Microseconds of a core for one request."""
        return 1e6 * self.processor_s / self.polls if self.polls else float("nan")


def watch(pid: int, seconds: float, polls: Callable[[], int]) -> Usage:
    """Watch a process for some time."""
    used_s, asked, began_s = _processor_s(pid), polls(), time.perf_counter()
    time.sleep(seconds)
    took_s = time.perf_counter() - began_s
    return Usage(
        seconds=took_s,
        processor_s=_processor_s(pid) - used_s,
        resident_mb=_memory_mb(pid, "Rss"),
        private_mb=_memory_mb(pid, "Private_Clean") + _memory_mb(pid, "Private_Dirty"),
        polls=polls() - asked,
    )


def _tree(pid: int) -> list[int]:
    """Give a process and all below it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += _tree(int(child))
    return found


def _processor_s(pid: int) -> float:
    """Give the seconds of a core that all live threads have used; schedstat counts nanoseconds."""
    total_ns = 0
    for process in _tree(pid):
        for statistics in Path(f"/proc/{process}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that ends meanwhile
                total_ns += int(statistics.read_text().split()[0])
    return total_ns / 1e9


def _memory_mb(pid: int, key: str) -> float:
    total_kb = 0
    for process in _tree(pid):
        with contextlib.suppress(OSError):
            found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)
            total_kb += int(found[1]) if found else 0
    return total_kb / 1024
