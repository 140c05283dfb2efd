"""From the start of the process to the first request on a bus, with everything that a gateway can have kept.

python -m bench.delivery restart           430 days in fast motion without an uplink, then 10 starts: 15 minutes
python -m bench.delivery restart --short   3 days, 3 starts

The agent itself makes the full history and the full spool. Each start finds what ``kill -9`` left, and
none of it in the page cache; Python and its libraries are in the cache, as after the first start.
"""

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.delivery import site
from bench.delivery.witness import Witness
from tests.broker import mosquitto
from tests.facility import Facility

PERIOD_S = 900.0  # a poll a window makes the same records in a third of the time
WINDOW_S = 900
MOST_S = 3.0
FILL_S = 3600.0  # of real time, at most, for 430 simulated days


def measure(seed: int, *, short: bool) -> dict[str, Any]:
    """Give the figures; there is no chance in them."""
    days, starts = (3, 3) if short else (430, 10)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        broker = stack.enter_context(mosquitto(folder))
        parts = stack.enter_context(site.site(folder, broker, period_s=PERIOD_S, window_s=WINDOW_S, speed=1e6))
        broker.stop()
        parts.collector.kill()
        witness = Witness.on_the_first_bus(parts)
        first = [_killed(parts, witness) for _ in range(starts)]
        began_s = time.monotonic()
        parts.agent.start()
        site.wait(parts.agent, lambda: parts.now_s() >= site.START_S + days * site.DAY_S, FILL_S)
        parts.agent.kill()
        took_s = time.monotonic() - began_s
        full = []
        for _ in range(starts):
            _forget(parts.folder / "state")
            full.append(_killed(parts, witness))
        sizes = {path.name: path.stat().st_size for path in sorted((folder / "state").glob("*.db*"))}
    return {
        "seed": seed,
        "days": days,
        "filled_s": took_s,
        "files": sizes,
        "empty_s": sorted(first),
        "full_s": sorted(full),
        "holds": max(full) < MOST_S,
    }


def _killed(parts: Facility, witness: Witness) -> float:
    """Start an agent, and kill it when it has asked a meter."""
    took_s = witness.start(parts.agent)
    parts.agent.kill()
    return took_s


def _forget(state: Path) -> None:
    """Put the state out of the page cache."""
    for path in state.glob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
