"""Measure flatwatt beside its peers in one go, and write docs/performance.md.

make bench                      everything, in about 20 minutes
python -m bench --short         only the sections that are arithmetic or simulated time, in seconds
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import fairness, features, flat_out, polling, replay, rtu_cycle, start_up, wire_time
from bench.peers.programs import FLATWATT
from bench.performance_page import PAGE, write_sections

_DEADLINE_METERS = 200


def computed() -> Iterator[str]:
    """Give the sections that are arithmetic or simulated time: the same on every machine."""
    yield wire_time.section()
    yield fairness.section()


def _measured(installed: Path, seconds: float) -> Iterator[str]:
    """Give the head of the page and the sections for which programs run."""
    yield f"# Performance\n\n`make bench` measures all of this in one go and writes this page.\n\n{_machine()}\n"
    yield polling.section(list(polling.compare(installed, (10, 50), seconds)), seconds)
    yield polling.deadlines(polling.measure(FLATWATT, installed, _DEADLINE_METERS, seconds))
    yield flat_out.section(flat_out.speeds(installed, 5.0))
    yield rtu_cycle.section()
    yield features.section(installed)
    yield replay.section()
    starts = start_up.start_up_s(5, 10)
    yield (
        "## Start-up\n\n"
        f"From the start of `flatwatt run` to the first Modbus request on the wire, ten meters: "
        f"{statistics.median(starts):.2f} s in the median of {len(starts)} starts ({starts[0]:.2f} to "
        f"{starts[-1]:.2f} s). It polls on whole seconds, so up to one of them is waiting for the tick.\n"
    )


def _machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} at commit {commit.strip()}: {os.cpu_count()} cores of {model}, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}; nothing here was run on ARM."
    )


def main() -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="only what is computed")
    parser.add_argument("--installed", type=Path, default=Path(".bench"), help="what bench/peers/install made")
    parser.add_argument("--seconds", type=float, default=65.0, help="for each program; a window of 60 s must close")
    args = parser.parse_args()
    sections = [] if args.short else list(_measured(args.installed, args.seconds))
    write_sections([*sections, *computed()])
    print(PAGE.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
