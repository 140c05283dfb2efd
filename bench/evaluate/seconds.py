"""What the seconds tell of mining machines: how often a hidden farm of single machines is found, and who is accused.

    python -m bench.evaluate.seconds recall [--seeds 20] [--period 1] [--jitter 0.0]
    python -m bench.evaluate.seconds clean [--seeds 50]
    python -m bench.evaluate.seconds servers --data ../shared/data

Loads and farms are those of the simulator, P and Q second by second, without Modbus; the farm is
there from the first second, so nothing but its single machines can betray it. ``recall`` hides
farms of a tenth of the site's mean load; a farm is found when a day's log-odds reach the shipped
threshold within seven days. ``jitter`` lets each load's tan phi wander by this much over a second,
a minute and a quarter of an hour alike: in the simulator active and reactive power of a building
go together more strictly than anybody has measured. ``servers`` are real wall-power logs at 1 s,
one run after another in random order, one to four servers a meter, three days.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from agent.analyse.features.robust import Floats
from agent.analyse.machines.machines import Machines
from agent.analyse.machines.weigh import shipped_machine_rules, weigh
from agent.analyse.window import WINDOW_QUANTITIES
from agent.records import Quality, Window
from firmware_sim.chance import Chance
from firmware_sim.loads import KINDS, Load
from firmware_sim.loads.base import Moments
from firmware_sim.mains import Mains
from firmware_sim.weather import Weather

DAY = 20_458  # Monday, 2026-01-05
DAY_S, WINDOW_S = 86_400, 900
DAYS = 7
SHARE = 0.10
MACHINE_W = 3250.0  # s19_pro, the simulator's default
SIZES = (4, 6, 10, 20, 50)
_PROCESSES = 2
_BATCH = 10  # meters of a window: more share the cost of a call

SITES: dict[str, Callable[[float], list[Load]]] = {
    "office": lambda w: [_load("office", mean_w=w)],
    "cold store": lambda w: [_load("cold_store", mean_w=w, compressors=max(3, round(w / 40_000)))],
    "pump station": lambda w: [_load("pump", power_w=w / 0.33 / 3, cycle_min=20.0 + 7 * n) for n in range(3)],
    "data hall": lambda w: [_load("data_hall", it_w=w / 1.25)],
}
CLEAN: dict[str, Callable[[float], list[Load]]] = {
    **SITES,
    "office, lifts, lights": lambda w: [
        _load("office", mean_w=0.8 * w),
        _load("lift", power_w=12_000.0, lifts=2),
        _load("lighting", power_w=0.3 * w, burns="workdays", blocks=8),
    ],
    "servers of 800 W": lambda w: [_load("servers", servers=round(w / 500))],
    "servers of 3.3 kW": lambda w: [_load("servers", servers=round(w / 2000), server_w=3300.0)],
    "base stations": lambda w: [_load("base_station", power_w=w / 4) for _ in range(4)],
    "thermostats of 3 kW": lambda w: [_load("heater", power_w=w, heaters=max(1, round(w / 3000)))],
    "dryer": lambda w: [_load("process", power_w=w)],
    "motor by the shift": lambda w: [_load("motor", power_w=2 * w)],
    "lifts": lambda w: [_load("lift", power_w=12_000.0, lifts=4)],
    "lights in blocks": lambda w: [_load("lighting", power_w=w, burns="workdays", blocks=max(3, round(w / 3000)))],
}
CLEAN_W = (20_000.0, 60_000.0, 130_000.0, 400_000.0)  # means of clean sites, in turn


def _load(kind: str, **keys: float | str) -> Load:
    return KINDS[kind](**keys)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Meter:
    """One simulated meter."""

    loads: Sequence[Load]
    seed: int
    jitter: float

    def day(self, number: int, period_s: float) -> tuple[Floats, Floats]:
        """Give a day's active and reactive power, tick by tick."""
        time_s = (number + (np.arange(round(DAY_S / period_s)) + 0.5) * period_s / DAY_S) * DAY_S
        at = Moments(time_s, period_s, Weather(self.seed), Mains(self.seed))
        active, reactive = np.zeros_like(time_s), np.zeros_like(time_s)
        for n, load in enumerate(self.loads):
            power = load.power(at, Chance(self.seed, "meter", n))
            active = active + power.active_w
            reactive = reactive + power.reactive_var + self._wandering(n, time_s) * np.abs(power.active_w)
        return active, reactive

    def _wandering(self, load: int, time_s: Floats) -> Floats | float:
        if not self.jitter:
            return 0.0
        chance = Chance(self.seed, "jitter", load)
        waves: Floats = self.jitter * np.sum([chance.smooth(f"{s}", time_s, s) for s in (1.0, 60.0, 900.0)], axis=0)
        return waves


def windows(active: Floats, reactive: Floats, day: int, period_s: float) -> Iterator[Window]:
    """Cut (meters, ticks) of a day, or more, into windows."""
    ticks, meters = round(WINDOW_S / period_s), len(active)
    unknown = np.full((meters, ticks), np.nan)
    for n in range(active.shape[1] // ticks):
        cut = slice(n * ticks, (n + 1) * ticks)
        yield Window(
            start_s=day * DAY_S + n * WINDOW_S,
            window_s=WINDOW_S,
            period_s=period_s,
            meters=tuple(map(str, range(meters))),
            values=dict.fromkeys(WINDOW_QUANTITIES, unknown)
            | {"active_power_w": active[:, cut], "reactive_power_var": reactive[:, cut]},
            identity={},
            coverage=np.ones(meters),
            quality=(Quality.GOOD,) * meters,
        )


def found_on(meters: Sequence[Meter], period_s: float) -> tuple[list[int], Floats]:
    """Give the first day, from 1, on which each meter is taken for mining (0: none), and its highest log-odds."""
    machines, rules = Machines([str(n) for n in range(len(meters))]), shipped_machine_rules()
    first, highest = np.zeros(len(meters), dtype=int), np.full(len(meters), -np.inf)
    for day in range(DAYS):
        powers = [meter.day(DAY + day, period_s) for meter in meters]
        active, reactive = (np.array(series) for series in zip(*powers, strict=True))
        for window in windows(active, reactive, DAY + day, period_s):
            machines.take(window)
        log_odds, _ = weigh(machines.signs(DAY + day), rules)
        highest = np.fmax(highest, log_odds)
        first = np.where((first == 0) & (log_odds >= rules.mining), day + 1, first)
        if first.all():
            break
    return first.tolist(), highest


def recall(seeds: int, period_s: float, jitter: float) -> None:
    """Print how many hidden farms are found within the week."""
    print(f"a farm of {SHARE:.0%} of the mean, {seeds} seeds, polls of {period_s:g} s, jitter {jitter:g}")
    for site, make in SITES.items():
        for size in SIZES:
            loads = [*make(size * MACHINE_W / SHARE), _load("miner_farm", machines=size)]
            found, _ = _judged([Meter(loads, seed, jitter) for seed in range(seeds)], period_s)
            hits = sorted(day for day in found if day)
            when = f", half of them by day {hits[len(hits) // 2]}" if hits else ""
            print(f"  {site:13} {size:3} machines  found {len(hits) / seeds:4.0%}{when}", flush=True)


def clean(seeds: int, period_s: float, jitter: float) -> None:
    """Print how many weeks of meters without a farm are taken for mining."""
    print(f"no farm, {seeds} meter-weeks a kind, polls of {period_s:g} s, jitter {jitter:g}")
    for site, make in CLEAN.items():
        meters = [Meter(make(CLEAN_W[seed % len(CLEAN_W)]), 1000 + seed, jitter) for seed in range(seeds)]
        found, highest = _judged(meters, period_s)
        alarms = sum(day > 0 for day in found)
        print(f"  {site:22} {alarms} alarms, highest log-odds {highest.max():5.1f}", flush=True)


def servers(data: Path, seed: int = 1, days: int = 3) -> dict[str, Floats]:
    """Give the log-odds of meters with one to four real servers of each system above 300 W."""
    table = parquet.read_table(data / "mlperf_wallpower_1s.parquet", columns=["run", "W", "PF"])
    names = np.array(table["run"].to_pylist())
    all_watts, factor = (table[column].to_numpy().astype(np.float64) for column in ("W", "PF"))
    runs: dict[str, list[tuple[Floats, Floats]]] = {}
    for name in np.unique(names):
        watts = all_watts[names == name]
        var = -watts * np.sqrt(1 / np.clip(factor[names == name], 0.3, 1) ** 2 - 1)  # capacitive
        if np.median(watts) > 300:
            runs.setdefault("/".join(str(name).split("/")[:2]), []).append((watts, np.nan_to_num(var)))
    chance = np.random.default_rng(seed)
    return {
        system: _odds([_racked(logs, n, days, chance) for n in (1, 2, 3, 4)], days) for system, logs in runs.items()
    }


def _odds(tracks: Sequence[tuple[Floats, Floats]], days: int) -> Floats:
    machines = Machines([str(n) for n in range(len(tracks))])
    active, reactive = (np.array(part) for part in zip(*tracks, strict=True))
    for window in windows(active, reactive, DAY, 1.0):
        machines.take(window)
    return weigh(machines.signs(DAY + days - 1), shipped_machine_rules())[0]


def _racked(
    logs: Sequence[tuple[Floats, Floats]], count: int, days: int, chance: np.random.Generator
) -> tuple[Floats, Floats]:
    """Give the sum of so many servers, each with its runs one after another."""
    total = np.zeros((2, days * DAY_S))
    for _ in range(count):
        order = chance.integers(len(logs), size=1 + days * DAY_S // min(len(log[0]) for log in logs))
        total += np.concatenate([np.array(logs[n]) for n in order], axis=-1)[:, : days * DAY_S]
    return total[0], total[1]


def _judged(meters: Sequence[Meter], period_s: float) -> tuple[list[int], Floats]:
    """Give what :func:`found_on` does, in batches on all processors."""
    batches = [meters[k : k + _BATCH] for k in range(0, len(meters), _BATCH)]
    with Pool(_PROCESSES) as pool:
        parts = pool.map(partial(found_on, period_s=period_s), batches, chunksize=1)
    return [day for days, _ in parts for day in days], np.concatenate([odds for _, odds in parts])


def main() -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("recall", "clean", "servers"))
    parser.add_argument("--seeds", type=int, default=0, help="meters of each kind; 20 for recall, 50 for clean")
    parser.add_argument("--period", type=float, default=1.0, help="of the polls, seconds")
    parser.add_argument("--jitter", type=float, default=0.0, help="of each load's tan phi")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    if args.part == "servers":
        print("real servers at 1 s (MLPerf), 3 days of runs in random order, seed 1")
        for system, log_odds in servers(args.data).items():
            print(f"  {system:45} log-odds of 1 to 4 servers: {' '.join(f'{odds:5.1f}' for odds in log_odds)}")
    elif args.part == "recall":
        recall(args.seeds or 20, args.period, args.jitter)
    else:
        clean(args.seeds or 50, args.period, args.jitter)
    return 0


if __name__ == "__main__":
    sys.exit(main())
