"""Features beside tsfresh, TSFEL and pycatch22, and what features and judgement cost a gateway.

python -m bench.features [INSTALLED]      write its section of docs/performance.md, in about a minute
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.analyse.analyst import Analyst
from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.features import of_days
from agent.analyse.features.feature import Feature
from agent.analyse.features.inputs import Days
from agent.analyse.features.robust import Floats
from agent.analyse.quality.inspector import Inspector
from agent.analyse.recording import Recording
from agent.analyse.site import without_facts
from bench.performance_page import write_sections

_SEED = 11
_METERS, _DAYS = 256, 56
_BLOCK = 64  # meters, as of_days takes them
_ROWS = 12  # of the libraries, which take one meter after the other
_HISTORY_DAYS = 120
_WINDOW_METERS, _WINDOWS = 32, 12
_SCRIPT = Path(__file__).parent / "peers/feature_libraries.py"
_SAME = 1e-9  # relative: the same definition


def offices(meters: int, days: int) -> Floats:
    """Simulate hours of offices in W, (meters, days, 24), none missing: libraries know no gaps."""
    rng = np.random.default_rng(_SEED)
    is_open = (np.arange(24) > 7) & (np.arange(24) < 18) & (np.arange(days) % 7 < 5)[:, None]
    drift = 1 + 0.2 * np.sin(np.arange(days) / 20)[:, None]
    hours: Floats = 2000 + 3000 * is_open * drift + rng.normal(0, 150, (meters, days, 24))
    return hours


def inputs(hours: Floats) -> Days:
    """Give what all features of days need."""
    rng = np.random.default_rng(_SEED)
    meters, days, _ = hours.shape
    return Days(
        hourly_w=hours,
        weekend=np.arange(days) % 7 >= 5,
        reactive_var=0.3 * hours,
        temperature_c=15 + 8 * rng.random(hours.shape),
        power_factor=rng.random((meters, days)),
        noise_floor=rng.random((meters, days)),
    )


def cpu_s(do: Callable[[], Any], times: int = 7) -> float:
    """Give the CPU time of the quickest run: other programs must not count."""
    took = []
    for _ in range(times):
        began = time.process_time()
        do()
        took.append(time.process_time() - began)
    return min(took)


def ours_s(days: Days) -> dict[str, float]:
    """Give the CPU time a meter of each feature by itself, with what it shares with others but the choice of hours."""
    table = {name: feature for part in of_days.TABLES.values() for name, feature in part.items()}
    block = days.meters(slice(_BLOCK))
    return {name: min(_alone_s(feature, block) for _ in range(7)) / _BLOCK for name, feature in table.items()}


def _alone_s(feature: Feature[Days], days: Days) -> float:
    fresh = replace(days)  # remembers nothing that was computed before
    assert fresh.series_w.size
    began = time.process_time()
    feature.compute(fresh)
    return time.process_time() - began


def _all(days: Days) -> dict[str, Floats]:
    return of_days.features(replace(days))


def libraries(installed: Path, rows: Floats) -> Mapping[str, Any]:
    """Compute with what ``bench/peers/install`` could have; nothing where it could not."""
    python = installed / "features/bin/python"
    if not python.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "rows.npy", rows)
        done = subprocess.run([python, _SCRIPT, f"{folder}/rows.npy"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"bench: no feature libraries: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def day_of_windows_s() -> float:
    """Give the CPU time of the judgement of a day of 256 meters that have 120 days of history."""
    hours = offices(_METERS, _HISTORY_DAYS)
    meters = tuple(f"m{row}" for row in range(_METERS))
    recording = Recording(meters, 20_000 * 86_400, 3600, {"active_power_w": hours.reshape(_METERS, -1)})
    analyst, took = Analyst("bench", without_facts(meters), shipped_rules()), []
    for window in recording.windows():
        began = time.process_time()
        if analyst.take(window).days:
            took.append(time.process_time() - began)
    return float(np.median(took[-14:]))


def window_s() -> tuple[float, float]:
    """Give the median and the longest CPU time of a window of 15 minutes of 32 meters, polled every second."""
    rng = np.random.default_rng(_SEED)
    shape = (_WINDOW_METERS, _WINDOWS * 900)
    phases = [f"l{phase}" for phase in (1, 2, 3)]
    power = 20_000 + rng.normal(0, 100, shape)
    series = {
        "active_power_w": power,
        "reactive_power_var": 0.2 * power + rng.normal(0, 10, shape),
        "power_factor": np.full(shape, 0.98),
        "frequency_hz": 50 + rng.normal(0, 0.01, shape),
        "active_energy_import_wh": 1e6 + np.cumsum(power, axis=-1) / 3600,
        **{f"active_power_{phase}_w": power / 3 + rng.normal(0, 5, shape) for phase in phases},
        **{f"voltage_{phase}_v": 230 + rng.normal(0, 0.3, shape) for phase in phases},
        **{f"current_{phase}_a": power / 690 + rng.normal(0, 0.05, shape) for phase in phases},
    }
    meters = tuple(f"m{row}" for row in range(_WINDOW_METERS))
    site = without_facts(meters)
    inspector, analyst, took = Inspector(site.meters), Analyst("bench", site, shipped_rules()), []
    for window in Recording(meters, 20_000 * 86_400, 1, series).windows():
        began = time.process_time()
        analyst.take(inspector.take(window).window)
        took.append(time.process_time() - began)
    return float(np.median(took)), max(took)


def section(installed: Path) -> str:
    """Give the section of the page."""
    hours = offices(_METERS, _DAYS)
    rows = hours[:_ROWS].reshape(_ROWS, -1)
    found = libraries(installed, rows)
    ours = {name: values[:_ROWS] for name, values in of_days.features(inputs(hours)).items()}
    short_s, long_s = (cpu_s(partial(_all, inputs(hours[:, -days:]))) for days in (14, _DAYS))
    table = comparison(found, ours, ours_s(inputs(hours)), long_s / _METERS)
    median_s, longest_s = window_s()
    return f"""## Features

Simulated offices, {_DAYS} days of hours a meter, no gaps, CPU time (`bench/features.py`). flatwatt computes a feature
for {_METERS} meters in one call, the libraries take one meter after the other; all are used as their documentation
says. *Same*: within {_SAME:.0e} of ours; else the largest difference relative to the largest value. What
could not be installed has no column. Nothing of these libraries is shipped; pycatch22 is under the GPL. Where they
differ: TSFEL takes percentiles without interpolating, catch24's deviation is that of a sample, and tsfresh's
autocorrelation refers both parts to one mean and can exceed 1. None of them takes a gap; flatwatt's times include
looking for gaps.

{table}

All {len(ours)} features of days of {_METERS} meters take **{1e3 * short_s:.0f} ms** over 14 days and \
**{1e3 * long_s:.0f} ms** over {_DAYS} days.
The judgement does not wait for them, it takes its own few: the end of a day of {_METERS} meters with {_HISTORY_DAYS}
days of history, features and judgement, takes **{1e3 * day_of_windows_s():.0f} ms**. A window of 15 minutes of
{_WINDOW_METERS} meters polled every second takes **{1e3 * median_s:.1f} ms** in the median and {1e3 * longest_s:.1f} ms
at most, checks and analysis together (`Inspector.take`, `Analyst.take`).
"""


def comparison(
    found: Mapping[str, Any], ours: Mapping[str, Floats], ours_a_meter_s: Mapping[str, float], whole_s: float
) -> str:
    """Give the table: one row a feature that some library has, and one for the whole sets."""
    lines = [
        "| feature | flatwatt | " + " | ".join(f"{name} {each['version']}" for name, each in found.items()) + " |",
        "|---|---:|" + "---:|" * len(found),
    ]
    shared = [name for name in ours if any(name in each["values"] for each in found.values())]
    for name in shared:
        cells = [_cell(each, name, ours[name]) for each in found.values()]
        lines.append(f"| `{name}` | {_micro(ours_a_meter_s[name])} | " + " | ".join(cells) + " |")
    whole = [f"{each['set_size']} in {_micro(each['set_seconds'])}" for each in found.values()]
    lines.append(f"| a meter, whole set | {len(ours)} in {_micro(whole_s)} | {' | '.join(whole)} |")
    return "\n".join(lines)


def _cell(library: Mapping[str, Any], name: str, ours: Floats) -> str:
    if name not in library["values"]:
        return "—"
    off = np.max(np.abs(np.array(library["values"][name]) - ours)) / np.max(np.abs(ours))
    agreement = "same" if off < _SAME else f"off by {off:.1g}"
    return f"{_micro(library['seconds'][name])}, {agreement}"


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:.3g} µs" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"


if __name__ == "__main__":
    write_sections([section(Path(sys.argv[1] if len(sys.argv) > 1 else ".bench"))])
