"""Carries out ``diagnose``: what one would look at first, had one a terminal on the gateway."""

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent import __version__
from agent.acquire.poll.statistics import MeterStatistics, PollStatistics
from agent.deliver.command_table import Value
from agent.deliver.spool.spool import Spool
from agent.operate.executor import Done, Outcome
from agent.records import ClockReading

_MOST_METERS = 60  # told one by one, those in trouble first: a reply stays below 10 kB
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Datum = tuple[str, float | int | str | None]


class Diagnose:
    """Looks at the parts of the agent and at the machine; ``link`` gives what the publisher says of itself."""

    def __init__(
        self,
        spool: Spool,
        *,
        read_clock: Callable[[], ClockReading],
        statistics: Callable[[], PollStatistics],
        link: Callable[[], Mapping[str, float | int | str | None]],
    ) -> None:
        self._spool = spool
        self._read_clock = read_clock
        self._statistics = statistics
        self._link = link

    def __call__(self, _arguments: Mapping[str, Value], done: Done) -> None:
        """Tell all at once."""
        statistics = self._statistics()
        silent = sum(1 for meter in statistics.meters.values() if meter.silent_polls)
        data = dict(self._all(statistics))
        done(Outcome(f"{len(statistics.meters)} meters, {silent} of them silent", data))

    def _all(self, statistics: PollStatistics) -> Iterator[Datum]:
        yield from _versions()
        yield from _clock(self._read_clock())
        yield from _spool(self._spool)
        yield from ((f"link_{name}", _plain(value)) for name, value in self._link().items())
        yield from _machine(self._spool.path.parent)
        yield from _buses(statistics)
        yield from _meters(statistics)


def _plain(value: float | int | str | None) -> float | int | str | None:
    """Give what a reply can carry: yes is 1."""
    return int(value) if isinstance(value, bool) else value


def _versions() -> Iterator[Datum]:
    yield "software", __version__
    yield "python", sys.version.split()[0]
    yield "machine", f"{platform.system()} {platform.release()} {platform.machine()}"


def _clock(now: ClockReading) -> Iterator[Datum]:
    yield "utc_s", now.utc_s
    yield "boot_s", now.boot_s
    yield "boot_id", now.boot_id
    yield "clock", now.trust


def _spool(spool: Spool) -> Iterator[Datum]:
    yield "stream", spool.stream
    yield "last_seq", spool.last_seq
    yield "receipted", spool.receipted
    yield "kept_from_seq", spool.floor + 1
    yield "storage", spool.storage
    yield "spool_bytes", spool.file_bytes


def _machine(folder: Path) -> Iterator[Datum]:
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(folder)
        yield "disk_bytes", disk.total
        yield "disk_free_bytes", disk.free
    yield "cpu_s", round(sum(os.times()[:2]), 1)
    yield "load_1m", round(os.getloadavg()[0], 2)
    yield "memory_bytes", _number("/proc/self/statm", 1, _PAGE_BYTES)
    yield "memory_available_bytes", _number_after("/proc/meminfo", "MemAvailable:", 1024)
    yield "open_files", _entries("/proc/self/fd")
    yield "temperature_c", _number("/sys/class/thermal/thermal_zone0/temp", 0, 0.001)  # a Pi slows down at 80


def _buses(statistics: PollStatistics) -> Iterator[Datum]:
    for name, bus in statistics.buses.items():
        yield (
            f"bus {name}",
            (
                f"{100 * bus.utilisation:.0f}% in use, {bus.overruns} ticks skipped, "
                f"95% of reads within {bus.period_p95_s:.2f} s of the last"
            ),
        )


def _meters(statistics: PollStatistics) -> Iterator[Datum]:
    """Give one line a meter, those with the most trouble first."""
    meters = sorted(statistics.meters.items(), key=lambda item: -_trouble(item[1]))
    for name, meter in meters[:_MOST_METERS]:
        failures = ", ".join(f"{count} {reason}" for reason, count in meter.failures.items()) or "no failures"
        silent = f", silent for {meter.silent_polls} polls" if meter.silent_polls else ""
        yield f"meter {name}", f"{meter.polls} polls, {failures}{silent}, p99 {1000 * meter.p99_s:.0f} ms"


def _trouble(meter: MeterStatistics) -> float:
    return (1e9 if meter.silent_polls else 0) + sum(meter.failures.values()) + meter.missed + meter.out_of_range


def _number(path: str, word: int, scale: float) -> float | None:
    """Give one number of a file of the kernel; None where the machine has it not."""
    try:
        return round(int(Path(path).read_text().split()[word]) * scale, 3)
    except (OSError, ValueError, IndexError):
        return None


def _number_after(path: str, name: str, scale: int) -> int | None:
    try:
        words = Path(path).read_text().split()
        return int(words[words.index(name) + 1]) * scale
    except (OSError, ValueError, IndexError):
        return None


def _entries(path: str) -> int | None:
    try:
        return len(list(Path(path).iterdir()))
    except OSError:
        return None
