"""The facility in motion: its grid, its weather and its metering points.

Everything is computed in blocks of steps counted from 1970, so the same time gives the same
numbers to whoever asks, whenever the simulator was started.
"""

import functools
import math

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power, Supply, supply
from firmware_sim.faults.book import FaultBook
from firmware_sim.feeder import BLOCK, Feeder
from firmware_sim.loads.base import Moments
from firmware_sim.mains import Mains
from firmware_sim.scenario import MeterSpec, Scenario
from firmware_sim.weather import Weather


class Plant:
    """All meters of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._weather, self._mains = Weather(scenario.seed), Mains(scenario.seed)
        self.first_block = self.step_of(scenario.start_s) // BLOCK
        self._counted_to = self.first_block
        self.moments = functools.lru_cache(maxsize=4)(self._moments)
        self._supply_of = functools.lru_cache(maxsize=4)(self._supply)
        self.feeders: dict[str, Feeder] = {}
        shared = {bus.name: bus.faults for bus in scenario.buses}
        for meter in scenario.meters:
            self.feeders[meter.id] = Feeder(self, meter, FaultBook((*meter.faults, *shared[meter.bus])))

    def step_of(self, time_s: float) -> int:
        """Give the number of the step in which a time lies, counted from 1970."""
        return math.floor(time_s / self.scenario.step_s)

    def times_s(self, block: int) -> Floats:
        """Give the middles of the steps of a block."""
        numbers = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.float64)
        return (numbers + 0.5) * self.scenario.step_s

    def _moments(self, block: int) -> Moments:
        return Moments(self.times_s(block), self.scenario.step_s, self._weather, self._mains)

    def supply(self, block: int) -> Supply:
        """Give voltages and frequency over a block."""
        return self._supply_of(block)

    def _supply(self, block: int) -> Supply:
        return supply(self.scenario.seed, self.times_s(block), self.scenario.step_s)

    def load_power(self, meter: MeterSpec, number: int, block: int) -> Power:
        """Give what one load of a meter draws over a block; NaN is a gap."""
        return meter.loads[number].power(self.moments(block), Chance(self.scenario.seed, meter.id, number))

    def rated_w(self, meter: MeterSpec) -> float:
        """Give the largest power to be expected behind a meter, W."""
        inner = sum(self._rated_w(name) for name in meter.sum_of)
        return max(1.0, inner + sum(load.rated_w for load in meter.loads))

    def _rated_w(self, name: str) -> float:
        return next(self.rated_w(meter) for meter in self.scenario.meters if meter.id == name)

    def recount(self, now_s: float) -> None:
        """Forget what was counted ahead of now: something in the plant is not as it was."""
        self._counted_to = min(self._counted_to, max(self.step_of(now_s) // BLOCK, self.first_block))
        for feeder in self.feeders.values():
            feeder.forget(self._counted_to - self.first_block)

    def count_to(self, block: int) -> None:
        """Count all meters' energy up to the start of a block, abreast: who sums others finds their power computed."""
        for counted in range(self._counted_to, block):
            for feeder in self.feeders.values():
                feeder.count(counted)
            self._counted_to = counted + 1
