"""Loads of buildings: offices, lighting, and a constant for tests."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import number
from firmware_sim.loads.base import Moments, PlainLoad, wander
from firmware_sim.weather import hour_of_day, is_workday

_HOURS = (0.0, 5.5, 7.0, 9.0, 11.5, 12.5, 13.5, 16.5, 18.5, 21.0, 24.0)
_OCCUPIED = (0.0, 0.0, 0.35, 1.0, 1.0, 0.86, 1.0, 0.92, 0.4, 0.05, 0.0)
_DAY_MEAN = float(np.mean(np.interp(np.linspace(0, 24, 2401), _HOURS, _OCCUPIED)))
_OCCUPIED_MEAN = _DAY_MEAN * 5 / 7  # weekends are empty


@dataclass(frozen=True, kw_only=True)
class Office(PlainLoad):
    """An office building: people on workdays with a lunch dip, a base at night, heating and cooling by the weather."""

    mean_w: float = number(low=1.0)
    base_share: float = number(0.5, high=1.0)

    PF: ClassVar[float] = 0.93
    THD_PERCENT: ClassVar[float] = 12.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.mean_w * 3

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: a base and a busy part that vary on their own, and heating or cooling on top."""
        occupied = np.interp(hour_of_day(at.time_s), _HOURS, _OCCUPIED) * is_workday(at.time_s)
        busy_today = 1 + 0.05 * chance.slots("day", at.time_s, 86400, "standard_normal")
        busy = occupied / _OCCUPIED_MEAN * (1 - self.base_share) * busy_today
        discomfort = np.abs(at.temperature_c - 17) / 10
        climate = 0.08 * discomfort * (0.4 + 0.6 * occupied)
        noise = wander(chance, at, (0.015, 14400), (0.02, 900), (0.012, 1))
        return self.mean_w * (0.93 * (self.base_share + busy) + climate) * noise


@dataclass(frozen=True, kw_only=True)
class Lighting(PlainLoad):
    """Lights that burn day and night, as in a garage: the flattest honest load there is."""

    power_w: float = number(low=1.0)

    PF: ClassVar[float] = 0.95
    CAPACITIVE: ClassVar[bool] = True
    THD_PERCENT: ClassVar[float] = 15.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: some lamps fail and are replaced over weeks."""
        return self.power_w * wander(chance, at, (0.008, 20 * 86400), (0.001, 1))


@dataclass(frozen=True, kw_only=True)
class Constant(PlainLoad):
    """Exactly one power, for tests."""

    power_w: float = number(low=-1e9)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return abs(self.power_w)

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W."""
        return np.full_like(at.time_s, self.power_w)
