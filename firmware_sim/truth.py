"""What is truly so: the energy behind each meter, and how much of it goes into mining."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from firmware_sim.chance import Floats
from firmware_sim.feeder import BLOCK
from firmware_sim.plant import Plant

_RECENT_S = 7 * 86400  # a whole week, so that the weekend has its part
_NOW_S = 900  # the usual demand interval


@dataclass(frozen=True, slots=True)
class Truth:
    """One meter, or the site, over a period. Energies in kWh, powers in W.

    ``load_kwh`` is what the loads consumed, generation not counted. ``load_w`` and ``mining_w``
    are means of the last week, ``load_now_w`` and ``mining_now_w`` of the last 15 minutes.
    ``since_s`` is when the first mining load began, None where there was none.
    """

    load_kwh: float
    mining_kwh: float
    load_w: float
    mining_w: float
    load_now_w: float
    mining_now_w: float
    since_s: float | None

    @property
    def mining_share(self) -> float:
        """Mining energy over load energy, 0 to 1."""
        return self.mining_kwh / self.load_kwh if self.load_kwh else 0.0

    def as_json(self) -> dict[str, float | None]:
        """Give the fields, and the share."""
        return asdict(self) | {"mining_share": self.mining_share}


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
        "site": site.as_json(),
        "meters": [{"meter": meter} | found.as_json() for meter, found in meters.items()],
    }


def _own(plant: Plant, meter_id: str, until_s: float) -> Truth:
    """Give the truth of a meter's own loads."""
    start_s, step_s = plant.scenario.start_s, plant.scenario.step_s
    meter = plant.feeders[meter_id].meter
    joules = _Joules()
    for block in range(plant.step_of(start_s) // BLOCK, plant.step_of(until_s) // BLOCK + 1):
        times_s = plant.times_s(block)
        inside = (times_s > start_s) & (times_s < until_s)
        for number, load in enumerate(meter.loads):
            active_w = plant.load_power(meter, number, block).active_w
            power_w = np.where(inside, np.maximum(np.nan_to_num(active_w), 0), 0.0)
            joules.add(power_w * step_s, until_s - times_s, load.MINING)
            if load.MINING and joules.since_s is None and power_w.any():
                joules.since_s = float(times_s[power_w > 0][0]) - step_s / 2
    recent_s, now_s = (max(min(period_s, until_s - start_s), step_s) for period_s in (_RECENT_S, _NOW_S))
    return Truth(
        load_kwh=joules.load / 3.6e6,
        mining_kwh=joules.mining / 3.6e6,
        load_w=joules.recent_load / recent_s,
        mining_w=joules.recent_mining / recent_s,
        load_now_w=joules.load_now / now_s,
        mining_now_w=joules.mining_now / now_s,
        since_s=joules.since_s,
    )


@dataclass(slots=True)
class _Joules:
    """Sums that grow block by block."""

    load: float = 0.0
    mining: float = 0.0
    recent_load: float = 0.0
    recent_mining: float = 0.0
    load_now: float = 0.0
    mining_now: float = 0.0
    since_s: float | None = None

    def add(self, step_j: Floats, ago_s: Floats, mining: bool) -> None:
        """Add what one load took in each step of a block, so long before the end."""
        total, late, now = (float(step_j[ago_s <= period_s].sum()) for period_s in (np.inf, _RECENT_S, _NOW_S))
        self.load += total
        self.recent_load += late
        self.load_now += now
        if mining:
            self.mining += total
            self.recent_mining += late
            self.mining_now += now


def _joined(parts: list[Truth]) -> Truth:
    return Truth(
        load_kwh=sum(part.load_kwh for part in parts),
        mining_kwh=sum(part.mining_kwh for part in parts),
        load_w=sum(part.load_w for part in parts),
        mining_w=sum(part.mining_w for part in parts),
        load_now_w=sum(part.load_now_w for part in parts),
        mining_now_w=sum(part.mining_now_w for part in parts),
        since_s=min((part.since_s for part in parts if part.since_s is not None), default=None),
    )
