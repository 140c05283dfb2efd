"""What is truly so: the energy behind each meter, and how much of it goes into mining."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from firmware_sim.chance import Floats
from firmware_sim.plant import BLOCK, Plant

_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Truth:
    """One meter, or the site, over a period. Energies in kWh, powers in W.

    ``load_kwh`` is what the loads consumed, generation not counted. ``mining_w`` is the mean
    of the last day. ``since_s`` is when the first mining load began, None where there was none.
    """

    load_kwh: float
    mining_kwh: float
    mining_share: float
    mining_w: float
    since_s: float | None


def truth(plant: Plant, until_s: float) -> tuple[Truth, dict[str, Truth]]:
    """Give the truth from the scenario's start until a time, for the site and by meter."""
    own = {meter.id: _own(plant, meter.id, until_s) for meter in plant.scenario.meters}
    sums = {meter.id: meter.sum_of for meter in plant.scenario.meters}

    def within(meter: str) -> set[str]:
        return {meter}.union(*(within(inner) for inner in sums[meter]))

    site = _joined(list(own.values()))
    return site, {meter: _joined([own[inner] for inner in sorted(within(meter))]) for meter in own}


def as_json(plant: Plant, until_s: float) -> dict[str, Any]:
    """Give the truth as ``flatwatt sim --truth --json`` prints it."""
    site, meters = truth(plant, until_s)
    return {
        "scenario": plant.scenario.name,
        "from_s": plant.scenario.start_s,
        "until_s": until_s,
        "site": asdict(site),
        "meters": [{"meter": meter} | asdict(found) for meter, found in meters.items()],
    }


def _own(plant: Plant, meter_id: str, until_s: float) -> Truth:
    """Give the truth of a meter's own loads."""
    start_s, step_s = plant.scenario.start_s, plant.scenario.step_s
    meter = plant.feeders[meter_id].meter
    load_ws = mining_ws = last_day_ws = 0.0
    since_s: float | None = None
    for block in range(plant.step_of(start_s) // BLOCK, plant.step_of(until_s) // BLOCK + 1):
        times_s = plant.times_s(block)
        inside = (times_s > start_s) & (times_s < until_s)
        for number, load in enumerate(meter.loads):
            power_w = np.where(inside, np.nan_to_num(plant.load_w(meter, number, block)), 0.0)
            load_ws += float(np.maximum(power_w, 0).sum()) * step_s
            if load.MINING:
                mining_ws += float(power_w.sum()) * step_s
                last_day_ws += float(power_w[times_s >= until_s - _DAY_S].sum()) * step_s
                since_s = _earlier(since_s, times_s[power_w > 0] - step_s / 2)
    last_day_s = max(min(_DAY_S, until_s - start_s), step_s)
    share = mining_ws / load_ws if load_ws else 0.0
    return Truth(load_ws / 3.6e6, mining_ws / 3.6e6, share, last_day_ws / last_day_s, since_s)


def _earlier(since_s: float | None, running_s: Floats) -> float | None:
    if not len(running_s):
        return since_s
    return float(running_s[0]) if since_s is None else min(since_s, float(running_s[0]))


def _joined(parts: list[Truth]) -> Truth:
    load_kwh = sum(part.load_kwh for part in parts)
    mining_kwh = sum(part.mining_kwh for part in parts)
    since = min((part.since_s for part in parts if part.since_s is not None), default=None)
    mining_w = sum(part.mining_w for part in parts)
    return Truth(load_kwh, mining_kwh, mining_kwh / load_kwh if load_kwh else 0.0, mining_w, since)
