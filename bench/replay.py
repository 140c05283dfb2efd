"""How long does a replay take, and how much memory? One core, from the file to the JSON lines.

    python -m bench.replay          measures, and writes its section of docs/performance.md

The loads are made by a formula: an office each, one in ten with a farm from the middle of the year
on; how much there is to read and to judge does not depend on whose load it is.
"""

import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.performance_page import write_sections

_START = np.datetime64("2025-01-01T00:00:00")
_HEAD = "time,meter,active_power_w\n"


@dataclass(frozen=True, slots=True)
class Case:
    """A recording to be made and replayed."""

    text: str
    meters: int
    days: int
    step_s: int
    by_meter: bool = False
    packed: bool = False

    @property
    def rows(self) -> int:
        """Lines below the header."""
        return self.meters * self.days * 86_400 // self.step_s


CASES = (
    Case("a year, 15 minutes, by time", 100, 365, 900),
    Case("the same, by meter", 100, 365, 900, by_meter=True),
    Case("a year, 15 minutes, by time, gzipped", 10, 365, 900, packed=True),
    Case("ten years, 1 hour, by time", 2, 10 * 365, 3600),
    Case("two weeks, 1 second, by time", 1, 14, 1),
)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay took."""

    case: Case
    processor_s: float
    seconds: float
    resident_mb: float


def write(case: Case, folder: Path) -> Path:
    """Write the recording of a case."""
    path = folder / ("load.csv.gz" if case.packed else "load.csv")
    with gzip.open(path, "wt", compresslevel=1) if case.packed else path.open("w") as file:
        file.write(_HEAD)
        file.writelines(_lines(case))
    return path


def _lines(case: Case) -> Iterator[str]:
    ticks = case.rows // case.meters
    days = range(case.days)
    if case.by_meter:
        for meter in range(case.meters):
            yield from (line for day in days for line in _day(case, day, [meter]))
    else:
        for day in days:
            lines = _day(case, day, range(case.meters))
            per_day = ticks // case.days
            yield from (lines[meter * per_day + tick] for tick in range(per_day) for meter in range(case.meters))


def _day(case: Case, day: int, meters: range | list[int]) -> list[str]:
    """Give the lines of a day, meter by meter."""
    seconds = np.arange(0, 86_400, case.step_s)
    moments = np.datetime_as_string(_START + np.timedelta64(day, "D") + seconds.astype("timedelta64[s]"))
    busy = np.exp(-(((seconds / 3600 - 13) / 4.5) ** 2)) * (1.0 if (day + 2) % 7 < 5 else 0.1)
    lines = []
    for meter in meters:
        chance = np.random.default_rng((meter, day))
        load = (8000 + 200 * meter) * (0.4 + busy) * (1 + 0.04 * chance.standard_normal(len(seconds)))
        load += 9000.0 * (meter % 10 == 0 and day >= case.days // 2)
        lines += [f"{at}Z,meter-{meter},{watts:.1f}\n" for at, watts in zip(moments, load.tolist(), strict=True)]
    return lines


def measure(case: Case, folder: Path) -> Replay:
    """Replay a case as a user would; it has a single thread, and NumPy is kept to one."""
    path = write(case, folder)
    command = [sys.executable, "-m", "agent.cli", "replay", str(path), "--json"]
    began_s = time.perf_counter()
    with (folder / "days.json").open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": "."}
        )
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the replay of {case.text} failed")
    processor_s = used.ru_utime + used.ru_stime
    return Replay(case, processor_s, time.perf_counter() - began_s, used.ru_maxrss / 1024)


def section() -> str:
    """Give the section of the page."""
    with tempfile.TemporaryDirectory() as folder:
        replays = [measure(case, Path(folder)) for case in CASES]
    lines = [
        "## Replay",
        "",
        "`flatwatt replay FILE --json` in one thread, from the CSV file to a JSON line for each meter and day; the "
        "loads are made by a formula, one in ten with a farm. Rows are "
        "kept in a temporary file, 32 bytes each and 8 for each further quantity, and the loads in another, 9 bytes "
        "for each meter and step; the memory holds 16,384 rows, the windows of a moment and 430 days of hourly means.",
        "",
        "| recording | meters | rows | processor, s | wall clock, s | peak memory, MB |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r.case.text} | {r.case.meters} | {r.case.rows:,} | {r.processor_s:.1f} | {r.seconds:.1f} | "
            f"{r.resident_mb:.0f} |"
            for r in replays
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_sections([section()])
