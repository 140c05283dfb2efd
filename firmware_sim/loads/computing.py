"""Computing loads: a data hall."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import number
from firmware_sim.loads.base import Moments, PlainLoad, wander
from firmware_sim.weather import hour_of_day, is_workday

_MONTH_S = 30 * 86400
_EPOCH_S = 1_767_225_600  # 2026-01-01: where the growth of a data hall is counted from


@dataclass(frozen=True, kw_only=True)
class DataHall(PlainLoad):
    """Servers that breathe a little and grow slowly, with cooling that follows the day and the weather."""

    it_w: float = number(low=1.0)
    cooling_share: float = number(0.25, high=2.0)
    growth_percent_per_month: float = number(0.5, low=-20.0, high=20.0)

    PF: ClassVar[float] = 0.97
    CAPACITIVE: ClassVar[bool] = True
    THD_PERCENT: ClassVar[float] = 6.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.it_w * (1 + self.cooling_share) * 1.3

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: servers are busier by day, and batches of new ones arrive over months."""
        growth = 1 + self.growth_percent_per_month / 100 * (at.time_s - _EPOCH_S) / _MONTH_S
        busy = 1 + 0.02 * np.cos(2 * np.pi * (hour_of_day(at.time_s) - 14) / 24) * (0.4 + 0.6 * is_workday(at.time_s))
        it_w = self.it_w * np.clip(growth, 0.1, 1.25) * busy * wander(chance, at, (0.008, 7200), (0.006, 300))
        cooling_w = it_w * self.cooling_share * np.clip(1 + 0.03 * (at.temperature_c - 10), 0.4, 2)
        total: Floats = it_w + cooling_w
        return total
