"""Computing loads: a data hall, and the mining farm that everybody looks for."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import hours, integer, number
from firmware_sim.loads.base import Load, Moments, wander
from firmware_sim.weather import hour_of_day, is_workday

_REBOOT_S = 12 * 60  # fan test, chip initialisation and frequency ramp of a mining machine
_MONTH_S = 30 * 86400
_EPOCH_S = 1_767_225_600  # 2026-01-01: where the growth of a data hall is counted from


@dataclass(frozen=True, kw_only=True)
class DataHall(Load):
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


@dataclass(frozen=True, kw_only=True)
class MinerFarm(Load):
    """Mining machines at full power day and night, from a date on.

    They ramp up over minutes, reboot now and then, draw a little more when warm, and stop in
    the ``curtail`` hours of workdays where the tariff pays for that.
    """

    machines: int = integer(low=1, high=1_000_000)
    machine_w: float = number(3400.0, low=1.0, high=20_000.0)
    ramp_min: float = number(8.0, high=1440.0)
    reboots_per_week: float = number(5.0, high=500.0)
    curtail: tuple[float, float] | None = hours(None)

    MINING: ClassVar[bool] = True
    PF: ClassVar[float] = 0.988  # measured median of modern server power supplies: the same circuits
    CAPACITIVE: ClassVar[bool] = True
    THD_PERCENT: ClassVar[float] = 5.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.machines * self.machine_w * 1.05

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: machines that run, times their warmth and a small noise."""
        rebooting = min(1.0, self.reboots_per_week * _REBOOT_S / (7 * 86400))
        phase_s = chance.once("phase") * _REBOOT_S
        down = chance.slots("reboot", at.time_s + phase_s, _REBOOT_S, "binomial", self.machines, rebooting)
        warmth = 1 + 0.03 * np.clip((at.temperature_c - 10) / 15, -1, 1)
        ramp = np.clip((at.time_s - self.starts) / max(self.ramp_min * 60, 1.0), 0, 1)
        noise = wander(chance, at, (0.003, 3600), (0.003, 1))
        return (self.machines - down) * self.machine_w * warmth * ramp * noise * self._allowed(at.time_s)

    def _allowed(self, time_s: Floats) -> Floats:
        if self.curtail is None:
            return np.ones_like(time_s)
        hour = hour_of_day(time_s)
        stopped = (hour >= self.curtail[0]) & (hour < self.curtail[1]) & (is_workday(time_s) > 0)
        return np.where(stopped, 0.02, 1.0)  # fans and controllers stay on
