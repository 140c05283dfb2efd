"""Photovoltaics: generation, hence negative active power."""

from dataclasses import dataclass
from typing import ClassVar

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import number
from firmware_sim.loads.base import Moments, PlainLoad


@dataclass(frozen=True, kw_only=True)
class Pv(PlainLoad):
    """Solar modules: a clear-sky curve by season, with clouds; the inverter draws a little at night."""

    peak_w: float = number(low=1.0)

    PF: ClassVar[float] = 0.999
    THD_PERCENT: ClassVar[float] = 3.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.peak_w

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W, negative by day."""
        generated = self.peak_w * at.weather.sunlight(at.time_s) * at.weather.clearness(at.time_s)
        return 0.0005 * self.peak_w - generated
