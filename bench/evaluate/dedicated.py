"""Feeders that are a farm as a whole, among the meters of a real site: how soon they are called mining.

Flatness alone cannot tell a farm from a data hall, so each feeder is tried twice: with its load
only, and with a power factor too. The power factors are those of real servers at constant load
(MLPerf wall power, systems above 600 W); no miner's is public.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from agent.analyse.detect.evidence import Rules
from agent.analyse.site import without_facts
from bench.evaluate import metrics
from bench.evaluate.data import Floats, Meter
from bench.evaluate.farms import CLEAN, CURTAILED, HARD, MACHINE_W, ROUGH, Kind, farm
from bench.evaluate.metrics import Figure
from bench.evaluate.table import table
from bench.evaluate.trial import Trace, replay

KINDS = {"clean": CLEAN, "rough": ROUGH, "curtailed": CURTAILED, "rough, curtailed": HARD}
BEFORE_DAYS = 56  # of a feeder that was there before the farm
_BEFORE_SHARE = 0.05  # of the farm's power: lights and fans of a hall
_DAYS = 21  # with the farm
_POWER_W = (10e3, 1e6)  # three machines to three hundred
_FEEDERS = 8  # in a replay, beside the site's own meters
_SPREAD_DAYS = 14  # in which the farms of one replay start, where they start later than the record


@dataclass(frozen=True, slots=True)
class Feeder:
    """What was said of one dedicated feeder; ``onset`` is the day of the farm's start, 0 if it is older."""

    name: str
    kind: str
    onset: int
    with_factor: bool
    trace: Trace

    def within(self, days: int) -> bool:
        """Tell whether an alarm was raised in the first ``days`` of the farm."""
        raised = self.trace.told("raised")
        return bool(((raised >= self.onset) & (raised < self.onset + days)).any())

    def noticed(self, days: int) -> bool:
        """Tell whether it was called flat, suspect or mining in the first ``days``."""
        return bool(np.isin(self.trace.verdict[self.onset : self.onset + days], ("flat", "suspect", "mining")).any())


@dataclass(frozen=True, slots=True)
class Hall:
    """A replay's worth of feeders of one kind among real meters, feeders first; arrays are (meters, days, 24)."""

    kind: str
    names: tuple[str, ...]
    first_day: int
    onsets: tuple[int, ...]  # of the feeders
    power_w: Floats
    power_factor: Floats | None


def halls(meters: Sequence[Meter], factors: Sequence[float], rounds: int, seed: int) -> Iterator[Hall]:
    """Give halls of each kind, the farm from the first day or after eight weeks, without a power factor and with it."""
    rng = np.random.default_rng((seed, 1))
    for number in range(rounds):
        for kind in KINDS:
            for before in (0, BEFORE_DAYS):
                hall = _hall(meters, kind, before, number, rng)
                factor = np.full(hall.power_w.shape, np.nan)
                level = rng.choice(factors, _FEEDERS)[:, None, None]
                factor[:_FEEDERS] = np.minimum(level + 0.003 * rng.standard_normal(factor[:_FEEDERS].shape), 1.0)
                yield hall
                yield replace(hall, power_factor=factor)


def judge(hall: Hall, rules: Rules) -> list[Feeder]:
    """Replay a hall and give its dedicated feeders."""
    quantities = {} if hall.power_factor is None else {"power_factor": hall.power_factor}
    traces = replay(hall.names, hall.first_day, hall.power_w, without_facts(hall.names), rules, quantities)
    feeders = zip(hall.names, hall.onsets, traces, strict=False)
    return [Feeder(name, hall.kind, onset, bool(quantities), trace) for name, onset, trace in feeders]


def server_factors(data: Path) -> list[float]:
    """Give the median power factor of each real server that draws more than 600 W."""
    logs = parquet.read_table(data / "mlperf_wallpower_1s.parquet", columns=["run", "W", "PF"])
    systems = np.array(["/".join(run.split("/")[:2]) for run in logs["run"].to_pylist()])
    watts, factor = (logs[name].to_numpy().astype(float) for name in ("W", "PF"))
    busy = {name: factor[(systems == name) & (watts > 600)] for name in np.unique(systems)}
    return [float(np.nanmedian(factors)) for factors in busy.values() if np.isfinite(factors).sum() > 60]


def report(feeders: Sequence[Feeder]) -> str:
    """Tell how many feeders were found in time."""
    rows = []
    for is_new, since in ((False, "from the first day"), (True, "after eight weeks")):
        for kind in KINDS:
            cells = [f"{kind}, {since}"]
            for with_factor in (False, True):
                some = [f for f in feeders if (f.kind, f.onset > 0, f.with_factor) == (kind, is_new, with_factor)]
                cells += [_share(some, days).text() for days in (7, 14)]
                if not with_factor:
                    cells.append(metrics.mean([f.noticed(14) for f in some], [f.name for f in some]).text())
            rows.append(cells)
    head = ["feeder", "7 days", "14 days", "flat, suspect or mining, 14 days", "with factor, 7 days", "14 days"]
    return table(head, rows)


def _share(feeders: Sequence[Feeder], days: int) -> Figure:
    return metrics.mean([f.within(days) for f in feeders], [f.name for f in feeders])


def _hall(meters: Sequence[Meter], kind: str, before: int, number: int, rng: np.random.Generator) -> Hall:
    onsets = before + (rng.integers(0, _SPREAD_DAYS, _FEEDERS) if before else np.zeros(_FEEDERS, dtype=int))
    days = int(onsets.max()) + _DAYS
    first = int(rng.integers(365, len(meters[0].hourly_w) - days))
    weekend = meters[0].weekend[first : first + days]
    low, high = np.log(_POWER_W)
    watts = np.exp(rng.uniform(low, high, _FEEDERS))
    loads = [_load(rng, KINDS[kind], watts[row], int(onsets[row]), weekend) for row in range(_FEEDERS)]
    others = [meter.hourly_w[first : first + days] for meter in meters]
    names = (*(f"farm {number}.{row}" for row in range(_FEEDERS)), *(meter.building for meter in meters))
    power_w = np.stack([*loads, *others])
    return Hall(kind, names, meters[0].first_day + first, tuple(map(int, onsets)), power_w, None)


def _load(rng: np.random.Generator, kind: Kind, watts: float, onset: int, weekend: NDArray[np.bool_]) -> Floats:
    before = watts * _BEFORE_SHARE * (1 + 0.05 * rng.standard_normal((onset, 24)))
    return np.concatenate([before, watts * farm(rng, kind, weekend[onset:], machines=watts / MACHINE_W)])
