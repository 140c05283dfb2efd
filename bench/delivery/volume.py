"""How much the agent writes to the card: 20 meters, windows of 15 minutes, from the process's own counters.

python -m bench.delivery volume           two days of windows, and three hours of polls by the second: 4 minutes
python -m bench.delivery volume --short   three hours of windows, a quarter of an hour of polls

Fast motion would flatter the figure: pages that are written twice within seconds reach the disk once.
So a window ends every half second only, each gets its receipt as at a real site, and after each the
files are forced to the disk, which at a real site the system does within half a minute.
"""

import os
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.acquire.poll.status_file import KEPT_S
from bench.delivery import site
from tests.broker import mosquitto
from tests.facility import Facility

WINDOW_S = 900
WINDOW_REAL_S = 0.5
MOST_MB_A_DAY = 25.0
_PAGE = 4096
_WARM_S = 3600  # of simulated time: the first start makes the files


def measure(seed: int, *, short: bool) -> dict[str, Any]:
    """Give the figures; there is no chance in them."""
    hours, polled_h = (3.0, 0.25) if short else (48.0, 3.0)
    windows = _run(60.0, hours, WINDOW_S / WINDOW_REAL_S)
    polls = _run(1.0, polled_h, 1e6)
    by_the_hour = 24 * 3600 / KEPT_S * (-(-windows["status_bytes"] // _PAGE) * _PAGE)
    day_mb = (windows["bytes_a_window"] * site.DAY_S / WINDOW_S + by_the_hour) / 1e6
    return {
        "seed": seed,
        "by_windows": windows,
        "by_the_second": polls,
        "status_mb_a_day": by_the_hour / 1e6,
        "mb_a_day": day_mb,
        "holds": day_mb < MOST_MB_A_DAY and polls["bytes_a_window"] < 2 * windows["bytes_a_window"],
    }


def _run(period_s: float, hours: float, speed: float) -> dict[str, Any]:
    """Give what one agent wrote from its second hour on."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_on_a_disk())))
        broker = stack.enter_context(mosquitto(folder))
        parts = stack.enter_context(site.site(folder, broker, period_s=period_s, window_s=WINDOW_S, speed=speed))
        parts.agent.start()
        state = folder / "state"
        _until(parts, state, site.START_S + _WARM_S + period_s)
        before = _written(parts.agent.pid)
        _until(parts, state, site.START_S + _WARM_S + hours * 3600 + period_s)
        after = _written(parts.agent.pid)
        (told,) = parts.query("SELECT count(DISTINCT start_s) FROM summary")[0]
        sizes = {path.name: path.stat().st_size for path in sorted(state.iterdir()) if path.is_file()}
    windows = hours * 3600 / WINDOW_S
    return {
        "period_s": period_s,
        "hours": hours,
        "windows": windows,
        "windows_at_the_collector": told,
        "polls": hours * 3600 / period_s * len(site.METERS),
        "written_bytes": after[0] - before[0],
        "cancelled_bytes": after[1] - before[1],
        "bytes_a_window": (after[0] - before[0]) / windows,
        "status_bytes": sizes.get("status.json", 0),
        "files": sizes,
    }


def _on_a_disk() -> Path:
    """Give a folder whose file system counts what is written; memory does not."""
    return Path("/var/tmp")


def _until(parts: Facility, state: Path, time_s: float) -> None:
    """Wait for a moment of the simulated time, and force the files to the disk after each window."""
    forced = 0.0

    def passed() -> bool:
        nonlocal forced
        middle = (parts.now_s() + WINDOW_S / 2) // WINDOW_S  # by then the receipt is there
        if middle != forced:
            forced = middle
            for path in state.glob("*.*"):
                _force(path)
        return parts.now_s() >= time_s

    site.wait(parts.agent, passed)


def _force(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # gone meanwhile
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(pid: int) -> tuple[int, int]:
    """Give the bytes that a process has caused to be written, and those of them that were taken back in time."""
    text = Path(f"/proc/{pid}/io").read_text()
    numbers = {key: int(value) for key, value in re.findall(r"^(\w+): (\d+)$", text, re.MULTILINE)}
    return numbers["write_bytes"], numbers["cancelled_write_bytes"]
