"""Loads with motors: cold stores and pumps."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import hours, integer, number
from firmware_sim.loads.base import Moments, PlainLoad, wander
from firmware_sim.weather import hour_of_day, is_workday


@dataclass(frozen=True, kw_only=True)
class ColdStore(PlainLoad):
    """Compressors that switch on and off, longer on warm days and when doors open."""

    mean_w: float = number(low=1.0)
    compressors: int = integer(3, low=1, high=50)
    cycle_min: float = number(18.0, low=5.0, high=60.0)

    PF: ClassVar[float] = 0.84
    THD_PERCENT: ClassVar[float] = 4.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.mean_w * 2.2

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: fans always, and each compressor in its own cycle, whose phase wanders."""
        doors = 0.08 * is_workday(at.time_s) * (np.abs(hour_of_day(at.time_s) - 12) < 6)
        duty = np.clip(0.45 + 0.012 * (at.temperature_c - 10) + doors, 0.1, 0.95)
        on = np.zeros_like(at.time_s)
        for n in range(self.compressors):
            cycle_s = self.cycle_min * 60 * (0.8 + 0.4 * chance.once(f"cycle{n}"))
            phase = at.time_s / cycle_s + 0.6 * chance.smooth(f"phase{n}", at.time_s, 5 * cycle_s)
            on += np.mod(phase, 1.0) < duty
        running = on / self.compressors / 0.47  # the mean duty of a year is about 0.47
        return self.mean_w * (0.15 + 0.85 * running) * wander(chance, at, (0.01, 60))


@dataclass(frozen=True, kw_only=True)
class Motor(PlainLoad):
    """A motor or pump that runs in the ``hours`` of workdays and stands otherwise."""

    power_w: float = number(low=1.0)
    hours: tuple[float, float] = hours((6.0, 22.0))

    PF: ClassVar[float] = 0.80
    THD_PERCENT: ClassVar[float] = 3.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.2

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W; the controls stay on at 1 %."""
        hour = hour_of_day(at.time_s)
        running = (hour >= self.hours[0]) & (hour < self.hours[1]) & (is_workday(at.time_s) > 0)
        return self.power_w * np.where(running, 1.0, 0.01) * wander(chance, at, (0.04, 1200), (0.02, 1))
